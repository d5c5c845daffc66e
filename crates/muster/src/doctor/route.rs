//! The way to a server: its addresses, the proxy that the environment names, and a connection over either. Must not know
//! what is spoken on it.

use std::io;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use muster_device::{BoxStream, Connecting, Connector};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::limits::{MAX_ADDRESSES, MAX_HEAD, STEP};
use super::report::plain;

/// Where an HTTP proxy is, and what opens it.
#[derive(Clone)]
pub struct Proxy {
    host: String,
    port: u16,
    /// `Basic …`, where the URL has a user.
    authorization: Option<String>,
}

/// How a port is reached.
#[derive(Clone)]
pub enum Way {
    /// As it is.
    Direct,
    /// By a CONNECT of this proxy.
    Proxy(Proxy),
}

impl Proxy {
    /// The one that the environment names for that host. The error says what of it cannot be used.
    pub fn of_environment(variable: fn(&str) -> Option<String>, host: &str) -> Result<Option<Self>, String> {
        let first =
            |names: [&str; 4]| names.into_iter().find_map(|name| Some((name.to_owned(), variable(name)?)));
        let Some((name, url)) = first(["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]) else {
            return Ok(None);
        };
        let exempt = variable("NO_PROXY").or_else(|| variable("no_proxy")).unwrap_or_default();
        if exempt.split(',').map(str::trim).any(|pattern| is_exempt(pattern, host)) {
            return Ok(None);
        }
        Self::read(&url).map(Some).map_err(|why| format!("{name}: {why}"))
    }

    fn read(url: &str) -> Result<Self, String> {
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        // The URL may hold a password: no error repeats it.
        let url = reqwest::Url::parse(&url).map_err(|_| "this is no URL of a proxy".to_owned())?;
        if url.scheme() != "http" {
            return Err(format!("{} proxies are not tried; http:// ones are", plain(url.scheme())));
        }
        let host = url.host_str().ok_or("the proxy has no host")?.trim_matches(['[', ']']).to_owned();
        let decoded = |text: &str| {
            percent_encoding::percent_decode_str(text)
                .decode_utf8()
                .map(std::borrow::Cow::into_owned)
                .unwrap_or_default()
        };
        let authorization = (!url.username().is_empty()).then(|| {
            let pair = format!("{}:{}", decoded(url.username()), decoded(url.password().unwrap_or_default()));
            format!("Basic {}", STANDARD.encode(pair))
        });
        Ok(Self { host, port: url.port().unwrap_or(80), authorization })
    }

    /// Host and port, without what opens it.
    pub fn shown(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    async fn connect(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("the proxy {}: {error}", self.shown()));
        let mut stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(named)?;
        let authority =
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
        if let Some(authorization) = &self.authorization {
            request.extend(["Proxy-Authorization: ", authorization.as_str(), "\r\n"]);
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await.map_err(named)?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() >= MAX_HEAD {
                return Err(io::Error::other(format!("the proxy {} answers without an end", self.shown())));
            }
            // Byte by byte: what comes behind the head is the server's.
            head.push(stream.read_u8().await.map_err(named)?);
        }
        let first = String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
        match first.split(' ').nth(1) {
            Some("200") => Ok(stream),
            Some("407") => Err(io::Error::other(format!(
                "the proxy {} wants a user and a password (407): write them into HTTPS_PROXY",
                self.shown()
            ))),
            _ => Err(io::Error::other(format!(
                "the proxy {} does not let {authority} pass: {}",
                self.shown(),
                plain(&first)
            ))),
        }
    }
}

fn is_exempt(pattern: &str, host: &str) -> bool {
    let pattern = pattern.trim_start_matches('*').trim_start_matches('.').to_ascii_lowercase();
    let host = host.to_ascii_lowercase();
    !pattern.is_empty() && (host == pattern || host.ends_with(&format!(".{pattern}"))) || pattern == "*"
}

impl Connector for Way {
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a> {
        Box::pin(async move { Ok(Box::new(open(self, host, port).await?) as BoxStream) })
    }
}

/// The addresses of a name.
pub async fn resolve(host: &str) -> io::Result<Vec<SocketAddr>> {
    let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", STEP.as_secs()));
    let found = timeout(STEP, tokio::net::lookup_host((host, 0))).await.map_err(|_| late())??;
    Ok(found.take(MAX_ADDRESSES).collect())
}

/// A connection, within a step's time.
pub async fn open(way: &Way, host: &str, port: u16) -> io::Result<TcpStream> {
    let connecting = async {
        match way {
            Way::Direct => TcpStream::connect((host, port)).await,
            Way::Proxy(proxy) => proxy.connect(host, port).await,
        }
    };
    let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", STEP.as_secs()));
    timeout(STEP, connecting).await.map_err(|_| late())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxy_is_read_from_the_environment_and_its_password_is_not_shown() {
        let variable = |name: &str| match name {
            "https_proxy" => Some("http://user:p%40ss@proxy.example:3128".to_owned()),
            "NO_PROXY" => Some("localhost, .corp.example,*.plant".to_owned()),
            _ => None,
        };
        let of = |host| Proxy::of_environment(variable, host).unwrap();
        let proxy = of("dps.example").unwrap();
        assert_eq!(proxy.shown(), "proxy.example:3128");
        assert_eq!(proxy.authorization.unwrap(), format!("Basic {}", STANDARD.encode("user:p@ss")));
        for host in ["localhost", "a.corp.example", "corp.example", "x.plant"] {
            assert!(of(host).is_none(), "{host}");
        }
        assert!(of("notcorp.example").is_some());
        let refused = |url: &str| Proxy::read(url).err().unwrap();
        assert!(refused("socks5://user:secret@h:1").contains("socks5"));
        assert!(!refused("http://user:secret@").contains("secret"));
        assert_eq!(Proxy::read("proxy:8080").unwrap().shown(), "proxy:8080");
    }
}

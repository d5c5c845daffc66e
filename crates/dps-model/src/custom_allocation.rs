//! `customAllocationDefinition` of an enrollment: where a custom allocation asks. Owns its rules and the masking of its
//! secret, the URL's query; must not know how the webhook is called.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::limits::MAX_WEBHOOK_URL;
use crate::{ApiVersion, Error};

/// Where a custom allocation asks.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomAllocationDefinition {
    /// Its query may hold a key: mask it wherever it is shown to anybody but its owner.
    pub webhook_url: String,
    /// Version of the request's shape.
    pub api_version: String,
}

/// Which webhooks may be asked without TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlainWebhooks {
    /// None.
    #[default]
    Refused,
    /// Those on this very machine, for development.
    Loopback,
}

impl CustomAllocationDefinition {
    /// Checks both members. Errors name the member and never repeat the URL's query.
    pub fn check(&self, plain: PlainWebhooks) -> Result<(), Error> {
        check_url(&self.webhook_url, plain).map_err(|why| {
            Error::argument(format!(
                "customAllocationDefinition.webhookUrl {why}; send a URL such as https://host/path?code=key"
            ))
        })?;
        let version = ApiVersion::parse(&self.api_version);
        if version.is_some_and(|version| version.at_least(ApiVersion::V2018_09_01_PREVIEW)) {
            return Ok(());
        }
        Err(Error::argument(
            "customAllocationDefinition.apiVersion is not a published version from 2018-09-01-preview on; send \
             2019-03-31 or a later one",
        ))
    }

    /// The URL as others than its owner see it: `?****` in place of the query.
    pub fn masked_url(&self) -> String {
        match self.webhook_url.split_once('?') {
            Some((head, _)) => format!("{head}?****"),
            None => self.webhook_url.clone(),
        }
    }
}

impl std::fmt::Debug for CustomAllocationDefinition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CustomAllocationDefinition")
            .field("webhook_url", &self.masked_url())
            .field("api_version", &self.api_version)
            .finish()
    }
}

fn check_url(url: &str, plain: PlainWebhooks) -> Result<(), &'static str> {
    let address = WebAddress::of(url)?;
    match address {
        WebAddress { tls: true, .. } => Ok(()),
        _ if plain == PlainWebhooks::Refused => Err("is not https"),
        WebAddress { host, .. } if is_loopback(host) => Ok(()),
        _ => Err("is not https, which only a loopback address may do"),
    }
}

/// Where a webhook is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebAddress<'a> {
    /// `https`, not `http`.
    pub tls: bool,
    /// Its host, without a port.
    pub host: &'a str,
}

impl<'a> WebAddress<'a> {
    /// Checks the URL of a webhook. What is said of it repeats nothing of it.
    pub fn of(url: &'a str) -> Result<Self, &'static str> {
        if url.len() > MAX_WEBHOOK_URL {
            return Err("is longer than 2048 bytes");
        }
        if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("holds white space or characters that are not percent-encoded");
        }
        let (scheme, rest) = url.split_once("://").ok_or("is no absolute URL")?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err("holds a user name, which is not sent");
        }
        if rest.contains('#') {
            return Err("holds a fragment, which is not sent");
        }
        let host = host(authority).ok_or("has no valid host")?;
        match scheme.to_ascii_lowercase().as_str() {
            "https" => Ok(Self { tls: true, host }),
            "http" => Ok(Self { tls: false, host }),
            _ => Err("is not https"),
        }
    }
}

/// The host of an authority whose port, if any, is a number.
fn host(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            (address, after)
        }
        None => match authority.find(':') {
            Some(at) => authority.split_at_checked(at)?,
            None => (authority, ""),
        },
    };
    let port_fits = match port.strip_prefix(':') {
        Some(number) => number.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
    (port_fits && !host.is_empty() && host.chars().all(legal)).then_some(host)
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::{CustomAllocationDefinition, PlainWebhooks};

    fn why(url: &str, version: &str, plain: PlainWebhooks) -> Option<String> {
        let definition =
            CustomAllocationDefinition { webhook_url: url.to_owned(), api_version: version.to_owned() };
        definition.check(plain).err().map(|error| error.message.into_owned())
    }

    #[test]
    fn webhook_urls_that_may_be_asked_pass() {
        for url in [
            "https://f.example/api/allocate?code=key==&x=%20",
            "HTTPS://f.example:8443",
            "https://[2001:db8::1]:443/a",
            "https://10.0.0.1/a",
        ] {
            assert_eq!(why(url, "2019-03-31", PlainWebhooks::Refused), None, "{url}");
        }
        for url in ["http://localhost:7071/api", "http://127.0.0.1/x", "http://[::1]:80/x?code=k"] {
            assert_eq!(why(url, "2018-09-01-preview", PlainWebhooks::Loopback), None, "{url}");
            assert!(why(url, "2021-10-01", PlainWebhooks::Refused).is_some(), "{url}");
        }
    }

    #[test]
    fn webhook_urls_that_may_not_be_asked_named_without_their_key() {
        for url in [
            "",
            "f.example/a?code=s3cret",
            "ftp://f.example/?code=s3cret",
            "http://f.example/?code=s3cret",
            "http://localhost.example/?code=s3cret",
            "https://?code=s3cret",
            "https://a b/?code=s3cret",
            "https://u:p@f.example/?code=s3cret",
            "https://f.example:99999/?code=s3cret",
            "https://f.example/?code=s3cret#x",
            "https://[::1/?code=s3cret",
            "https://é.example/?code=s3cret",
            &format!("https://f.example/?code=s3cret{}", "x".repeat(3000)),
        ] {
            let why = why(url, "2019-03-31", PlainWebhooks::Loopback).expect(url);
            assert!(why.contains("webhookUrl") && !why.contains("s3cret"), "{url}: {why}");
        }
        for version in ["", "2018-04-01", "2017-08-31-preview", "2019-03-32", "latest"] {
            let why = why("https://f.example/", version, PlainWebhooks::Refused).expect(version);
            assert!(why.contains("apiVersion"), "{version}: {why}");
        }
    }

    #[test]
    fn webhook_url_masked_for_others_and_in_debug() {
        let definition = CustomAllocationDefinition {
            webhook_url: "https://f.example/a?code=s3cret?x".into(),
            api_version: "2019-03-31".into(),
        };
        assert_eq!(definition.masked_url(), "https://f.example/a?****");
        assert!(!format!("{definition:?}").contains("s3cret"));
    }
}

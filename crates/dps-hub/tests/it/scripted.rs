//! A server that reads requests and gives the answers of a script, one connection each, over TLS on a free port.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use dps_core::ports::SystemClock;
use dps_hub::{HttpWebhook, RestHubs, client_config};
use dps_model::connection_string::ConnectionString;
use dps_model::custom_allocation::PlainWebhooks;
use dps_model::hub::LinkedHub;
use dps_model::{HubName, Secret};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub line: String,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

pub struct Scripted {
    pub client: RestHubs,
    pub webhook: HttpWebhook,
    /// Connections that were made.
    pub connections: Arc<AtomicUsize>,
    pub link: LinkedHub,
    requests: Arc<Mutex<Vec<Request>>>,
    task: Option<JoinHandle<()>>,
}

/// An answer's text; the connection is closed behind it.
pub fn answer(status: &str, headers: &[(&str, &str)], body: &str) -> String {
    let length = body.len();
    let mut text = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n");
    for (name, value) in headers {
        text.extend([*name, ": ", *value, "\r\n"]);
    }
    text + "\r\n" + body
}

impl Scripted {
    pub async fn start(script: impl IntoIterator<Item = String>) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".into()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let script: Vec<String> = script.into_iter().collect();
        let task = tokio::spawn(serve(
            listener,
            TlsAcceptor::from(Arc::new(config)),
            script,
            requests.clone(),
            connections.clone(),
        ));
        let tls = client_config(provider, [certificate]).unwrap();
        let link = LinkedHub {
            name: HubName::parse("127.0.0.1").unwrap(),
            connection: ConnectionString {
                host,
                policy: "iothubowner".into(),
                key: Secret::new(vec![7; 32]),
            },
            allocation_weight: 1,
            apply_allocation_policy: true,
            location: String::new(),
        };
        let webhook = HttpWebhook::new(tls.clone(), PlainWebhooks::Loopback).unwrap();
        let client = RestHubs::new(Arc::new(SystemClock::new()), tls).unwrap();
        Self { client, webhook, connections, link, requests, task: Some(task) }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Stops listening; the port refuses from now on.
    pub async fn stop(&mut self) {
        let task = self.task.take().unwrap();
        task.abort();
        task.await.ok();
    }
}

async fn serve(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    script: Vec<String>,
    requests: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
) {
    let mut script = script.into_iter();
    while let Ok((stream, _)) = listener.accept().await {
        connections.fetch_add(1, Ordering::Relaxed);
        let Ok(mut stream) = acceptor.accept(stream).await else { continue };
        while let Some(request) = read(&mut stream).await {
            requests.lock().unwrap().push(request);
            let Some(answer) = script.next() else { break };
            stream.write_all(answer.as_bytes()).await.ok();
            if !answer.contains("Connection: keep-alive") {
                stream.shutdown().await.ok();
                break;
            }
        }
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n").map(ToOwned::to_owned);
    let line = lines.next()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':').map(|(k, v)| (k.to_ascii_lowercase(), v.trim().to_owned())))
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = bytes.split_off(end + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Request { line, headers, body })
}

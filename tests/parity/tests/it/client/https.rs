//! HTTP/1.1 by hand.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Asking, Client, Stream, Told};
use crate::device::Device;

pub struct Https {
    stream: Stream,
    device: Device,
    token: Option<String>,
}

impl Https {
    pub fn new(stream: Stream, device: Device) -> Self {
        let token = device.token();
        Self { stream, device, token }
    }
}

#[async_trait]
impl Client for Https {
    async fn ask(&mut self, asking: Asking<'_>) {
        let (method, tail, body) = match asking {
            Asking::Register { payload } => ("PUT", "/register".to_owned(), self.device.body(payload)),
            Asking::Poll { operation_id } => ("GET", format!("/operations/{operation_id}"), String::new()),
            Asking::LookUp => ("POST", String::new(), self.device.body(None)),
        };
        let path = format!("/{}{tail}?api-version=2019-03-31", self.device.address());
        let token =
            self.token.as_ref().map(|token| format!("Authorization: {token}\r\n")).unwrap_or_default();
        let json = if body.is_empty() { "" } else { "Content-Type: application/json; charset=utf-8\r\n" };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: parity\r\n{token}{json}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    async fn answer(&mut self) -> Told {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let header = |name: &str| {
            head.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        let mut body = vec![0; header("content-length").unwrap().parse().unwrap()];
        self.stream.read_exact(&mut body).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        let retry_after = header("retry-after").map(|seconds| seconds.parse().unwrap());
        let how = format!("HTTP {status}");
        if let (401, Some(blob)) = (status, body["authenticationKey"].as_str()) {
            assert_eq!(body["keyName"], "registration");
            return Told::Challenged { how, blob: STANDARD.decode(blob).unwrap() };
        }
        if status < 300 {
            return Told::Accepted { how, retry_after, body };
        }
        let code = header("x-ms-error-code").unwrap_or_default();
        Told::Refused { how: format!("{how}, x-ms-error-code {code}"), retry_after, body }
    }

    async fn challenge(&mut self) -> Told {
        self.ask(Asking::Register { payload: None }).await;
        self.answer().await
    }

    async fn prove(&mut self, token: String) {
        self.token = Some(token);
    }
}

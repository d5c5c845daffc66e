//! HTTP/1.1 by hand, on one kept-alive connection: nothing is retried or followed behind a test's back.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;

use serde_json::Value;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufStream,
};

/// A whole answer; header names in lower case.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HashMap<String, String>,
    /// All of `Set-Cookie`.
    cookies: Vec<String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// Each `Set-Cookie`.
    pub fn cookies(&self) -> &[String] {
        &self.cookies
    }
}

/// A connection.
pub struct Http<S>(BufStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Http<S> {
    pub fn over(stream: S) -> Self {
        Self(BufStream::new(stream))
    }

    /// One request and its answer.
    pub async fn ask(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> io::Result<Answer> {
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            head.push_str("Host: localhost\r\n");
        }
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n"); // a String takes everything
        }
        if let Some(body) = body {
            let _ = write!(head, "Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        }
        head.push_str("\r\n");
        let whole = [head.as_bytes(), body.unwrap_or_default()].concat();
        self.send(&whole).await?;
        self.answer().await
    }

    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await?;
        self.0.flush().await
    }

    /// The next answer; an interim one has no body. The end of the stream is an error.
    pub async fn answer(&mut self) -> io::Result<Answer> {
        let status = self.line().await?;
        let status =
            status.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| broken(&status))?;
        let (mut headers, mut cookies) = (HashMap::new(), Vec::new());
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(':') else { break };
            if name.eq_ignore_ascii_case("set-cookie") {
                cookies.push(value.trim().to_owned());
            }
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length =
            headers.get("content-length").map_or(Ok(0), |text| text.parse().map_err(|_| broken(text)))?;
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await?;
        Ok(Answer { status, headers, cookies, body })
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }

    pub fn into_inner(self) -> S {
        self.0.into_inner()
    }
}

fn broken(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("this is no HTTP: {text}"))
}

//! HTTP/1.1 by hand: enough for answers with a Content-Length.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::sleep;

use super::tls::Stream;
use super::{Crowd, Plan, Seen, Work};
use crate::devices::Device;

/// The version that current SDKs send.
const VERSION: &str = "api-version=2021-06-01";
/// Largest answer that is taken: a full page of a query.
const MAX_ANSWER: usize = 8 * 1024 * 1024;
/// Pause after a poll that came too early.
pub(super) const PAUSE: Duration = Duration::from_millis(2);

/// A connection and what was read but not used.
pub struct Connection {
    stream: Stream,
    input: BytesMut,
}

/// An answer.
pub struct Answer {
    /// Status.
    pub status: u16,
    head: BytesMut,
    /// Body.
    pub body: BytesMut,
}

impl Answer {
    /// A header; `name` is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let head = std::str::from_utf8(&self.head).ok()?;
        head.split("\r\n").find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Connection {
    pub(super) async fn open(crowd: &Crowd, device: &Device) -> Result<Self> {
        let stream = crowd.tls.connect(crowd.plan.address, 0, device).await?;
        Ok(Self::over(stream))
    }

    /// Over a stream that somebody else opened.
    pub fn over(stream: Stream) -> Self {
        Self { stream, input: BytesMut::with_capacity(4 * 1024) }
    }

    /// A whole registration, as a device that does not wait between its requests.
    pub(super) async fn register_until_assigned(
        &mut self,
        plan: &Plan,
        device: &Device,
        seen: &mut Seen,
    ) -> Result<()> {
        let begun = Instant::now();
        let operation = self.register(plan, device).await?;
        seen.time("register", begun);
        self.poll_until_assigned(plan, device, &operation, seen).await
    }

    async fn register(&mut self, plan: &Plan, device: &Device) -> Result<String> {
        let answer = self.ask(&register(plan, device)).await?;
        if answer.status != 202 {
            bail!("register was answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
        }
        operation_id(&answer.body)
    }

    async fn poll_until_assigned(
        &mut self,
        plan: &Plan,
        device: &Device,
        operation: &str,
        seen: &mut Seen,
    ) -> Result<()> {
        let path = format!("/{}/registrations/{}/operations/{operation}?{VERSION}", plan.id_scope, device.id);
        loop {
            let begun = Instant::now();
            let answer = self.ask(&request("GET", &path, device, None)).await?;
            match answer.status {
                200 => {
                    assigned(&answer.body)?;
                    seen.time("poll", begun);
                    return Ok(());
                }
                202 => seen.early_polls += 1,
                other => bail!("a poll was answered {other}: {}", String::from_utf8_lossy(&answer.body)),
            }
            sleep(PAUSE).await;
        }
    }

    /// One more device on this connection.
    pub(super) async fn again(&mut self, plan: &Plan, device: &Device, seen: &mut Seen) -> Result<()> {
        let begun = Instant::now();
        match plan.work {
            Work::HttpStatic => {
                self.fetch("register", device).await?;
                seen.time("register", begun);
            }
            Work::HttpRefused => {
                let answer = self.ask(&register(plan, device)).await?;
                seen.time("refused", begun);
                if answer.status != 401 && answer.status != 404 {
                    bail!("a wrong key was answered {}", answer.status);
                }
                if is_challenge(&answer) {
                    bail!("a wrong key was challenged");
                }
            }
            Work::HttpChallenge => {
                let answer = self.ask(&register(plan, device)).await?;
                seen.time("challenge", begun);
                if !is_challenge(&answer) {
                    bail!("no challenge but {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
                }
            }
            Work::HttpLookup => {
                let path = format!("/{}/registrations/{}?{VERSION}", plan.id_scope, device.id);
                let answer = self.ask(&request("POST", &path, device, Some("{}"))).await?;
                seen.time("lookup", begun);
                if answer.status != 200 {
                    bail!("a lookup was answered {}", answer.status);
                }
            }
            Work::HttpRegisterAndPoll => return self.register_until_assigned(plan, device, seen).await,
            _ => {
                self.register(plan, device).await?;
                seen.time("register", begun);
            }
        }
        Ok(())
    }

    /// A static answer, asked for with the headers of a device.
    pub(super) async fn fetch(&mut self, name: &str, device: &Device) -> Result<()> {
        let answer = self.ask(&request("GET", &format!("/{name}"), device, None)).await?;
        if answer.status == 200 { Ok(()) } else { bail!("/{name} was answered {}", answer.status) }
    }

    /// One request and its answer.
    pub async fn ask(&mut self, request: &str) -> Result<Answer> {
        self.stream.write_all(request.as_bytes()).await?;
        self.stream.flush().await?;
        loop {
            if let Some((status, head, length)) = head(&self.input)?
                && self.input.len() >= head + length
            {
                let head = self.input.split_to(head);
                return Ok(Answer { status, head, body: self.input.split_to(length) });
            }
            if self.input.len() > MAX_ANSWER {
                bail!("the answer is too long");
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                bail!("the server closed the connection");
            }
        }
    }
}

/// Status, length of the head and length of the body, once the head is whole.
fn head(input: &[u8]) -> Result<Option<(u16, usize, usize)>> {
    let Some(end) = input.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&input[..end]).context("the head of an answer")?;
    let status = text.get(9..12).and_then(|digits| digits.parse().ok()).context("no status")?;
    let length = text.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok()).flatten()
    });
    Ok(Some((status, end + 4, length.context("no Content-Length")?)))
}

/// Does the answer hold what a TPM is to unwrap?
fn is_challenge(answer: &Answer) -> bool {
    let key = b"\"authenticationKey\":\"";
    answer.status == 401 && answer.body.windows(key.len()).any(|found| found == key)
}

fn register(plan: &Plan, device: &Device) -> String {
    let path = format!("/{}/registrations/{}/register?{VERSION}", plan.id_scope, device.id);
    let keys = device.tpm.as_ref().map_or_else(String::new, |keys| format!(",\"tpm\":{keys}"));
    let body = format!("{{\"registrationId\":\"{}\"{keys}}}", device.id);
    request("PUT", &path, device, Some(&body))
}

fn request(method: &str, path: &str, device: &Device, body: Option<&str>) -> String {
    let mut text = String::with_capacity(2048);
    let _ = write!(
        text,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\nUser-Agent: muster-bench\r\n"
    );
    if let Some(token) = &device.token {
        let _ = write!(text, "Authorization: {token}\r\n");
    }
    if let Some(body) = body {
        let length = body.len();
        let _ = write!(
            text,
            "Content-Type: application/json; charset=utf-8\r\nContent-Length: {length}\r\n\r\n{body}"
        );
    } else {
        text.push_str("\r\n");
    }
    text
}

/// `operationId` of an answer.
pub(super) fn operation_id(body: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(body)?;
    let (_, rest) = text.split_once("\"operationId\":\"").context("the answer has no operationId")?;
    Ok(rest.split('"').next().unwrap_or_default().to_owned())
}

/// Fails unless the answer says that the device has a hub.
pub(super) fn assigned(body: &[u8]) -> Result<()> {
    let text = std::str::from_utf8(body)?;
    if text.contains("\"status\":\"assigned\"") && text.contains("\"assignedHub\":") {
        Ok(())
    } else {
        bail!("the operation ended otherwise: {text}")
    }
}

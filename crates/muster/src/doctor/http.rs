//! One HTTP/1.1 question and the head of its answer, on any stream, bounded in bytes and time. Must not know why it is asked.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use super::limits::{MAX_HEAD, STEP};
use super::report::plain;

/// The head of an answer.
#[derive(Debug)]
pub struct Head {
    /// e.g. 404.
    pub status: u16,
    /// The first line.
    pub line: String,
    headers: Vec<(String, String)>,
}

impl Head {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// Asks. `headers` are whole lines, each with its end.
pub async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    host: &str,
    path: &str,
    headers: &str,
) -> io::Result<Head> {
    let asked = async {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: muster-doctor\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        let mut bytes = Vec::new();
        let mut chunk = [0; 1024];
        loop {
            let count = stream.read(&mut chunk).await?;
            bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
            if let Some(head) = whole(&bytes) {
                return read(&head);
            }
            if count == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the connection was closed without a whole answer",
                ));
            }
            if bytes.len() > MAX_HEAD {
                return Err(io::Error::other(format!("the answer's head has more than {MAX_HEAD} bytes")));
            }
        }
    };
    let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", STEP.as_secs()));
    timeout(STEP, asked).await.map_err(|_| late())?
}

fn whole(bytes: &[u8]) -> Option<String> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some(String::from_utf8_lossy(bytes.get(..end)?).into_owned())
}

fn read(head: &str) -> io::Result<Head> {
    let mut lines = head.split("\r\n");
    let line = plain(lines.next().unwrap_or_default());
    let status = line.strip_prefix("HTTP/").and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("this is no HTTP: {line}")))?;
    let pairs = lines.filter_map(|line| line.split_once(':'));
    let headers = pairs.map(|(name, value)| (name.trim().to_owned(), plain(value))).collect();
    Ok(Head { status, line, headers })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn answers_are_read_within_their_bounds() {
        for (said, expected) in [
            ("HTTP/1.1 404 Not Found\r\nDate: then\r\n\r\nbody", Ok(404)),
            ("SSH-2.0-x\r\n\r\n", Err("no HTTP")),
            ("HTTP/1.1 200 OK\r\n", Err("closed")),
            ("", Err("closed")),
        ] {
            let (mut near, mut far) = tokio::io::duplex(4096);
            far.write_all(said.as_bytes()).await.unwrap();
            tokio::spawn(async move {
                let mut request = vec![0; 4];
                far.read_exact(&mut request).await.unwrap();
            });
            match (ask(&mut near, "h", "/", "").await, expected) {
                (Ok(head), Ok(status)) => assert_eq!(head.status, status),
                (Err(error), Err(why)) => assert!(error.to_string().contains(why), "{error}"),
                (got, _) => panic!("{said}: {got:?}"),
            }
        }
        let (mut near, _silent) = tokio::io::duplex(4096);
        let late = ask(&mut near, "h", "/", "").await.unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        let (mut near, mut far) = tokio::io::duplex(64);
        tokio::spawn(async move { while far.write_all(&[b'x'; 64]).await.is_ok() {} });
        assert!(ask(&mut near, "h", "/", "").await.unwrap_err().to_string().contains("more than"));
    }
}

//! MQTT through a WebSocket (RFC 6455): the opening handshake as a client, then frames as a byte stream. Owns pings,
//! masks and the two closes; frames are `dps-wire`'s. Must not know what the bytes say.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, Bytes, BytesMut};
use dps_model::limits::{MAX_BODY, MAX_HTTP_HEADER};
use dps_wire::websocket::{Decoder, End, NORMAL, Opcode, Role, encode};
use http::header::{
    CONNECTION, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE, USER_AGENT,
};
use http::{HeaderMap, HeaderName, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::answer::Answer;
use crate::error::{Error, closed};
use crate::limits::{MAX_WEBSOCKET_FRAME, MAX_WEBSOCKET_MESSAGE};
use crate::stream::BoxStream;
use crate::transport::{CLIENT_VERSION, failed, retry_after};

/// Where Azure's clients ask for it; a provisioning service and its hubs alike.
const PATH: &str = "/$iothub/websocket";
/// The sub-protocol.
const MQTT: &str = "mqtt";
/// Hashed behind the key (§1.3).
const SALT: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Asks the server for a WebSocket and gives its byte stream.
pub(crate) async fn open(stream: BoxStream, authority: &str) -> Result<BoxStream, Error> {
    let mut nonce = [0; 16];
    fill(&mut nonce).map_err(|error| Error::Setting(error.to_string()))?;
    let key = STANDARD.encode(nonce);
    let failed = |error: hyper::Error| failed(authority, &error);
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HTTP_HEADER)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    // It ends with the upgrade, or with the sender of this function.
    tokio::spawn(async move { connection.with_upgrades().await.unwrap_or_default() });
    let request = Request::get(PATH)
        .header(HOST, authority)
        .header(USER_AGENT, CLIENT_VERSION)
        .header(UPGRADE, "websocket")
        .header(CONNECTION, "Upgrade")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, &key)
        .header(SEC_WEBSOCKET_PROTOCOL, MQTT)
        .body(Empty::<Bytes>::new())
        .map_err(|error| Error::Setting(format!("the handshake cannot be written: {error}")))?;
    let response = sender.send_request(request).await.map_err(failed)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refusal(response).await);
    }
    agreed(response.headers(), &key)
        .map_err(|what| Error::Protocol(format!("{authority} agrees to a WebSocket and {what}")))?;
    let upgraded = hyper::upgrade::on(response).await.map_err(failed)?;
    let parts = upgraded.downcast::<TokioIo<BoxStream>>().map_err(|_| closed(authority))?;
    Ok(Box::new(WebSocket::new(parts.io.into_inner(), parts.read_buf)))
}

async fn refusal(response: Response<Incoming>) -> Error {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await.map(http_body_util::Collected::to_bytes);
    let retry_after = retry_after(&head.headers);
    Answer { status: head.status.as_u16(), retry_after, body: body.unwrap_or_default() }.refusal()
}

/// The server read the key, and speaks what was asked (§4.1).
fn agreed(headers: &HeaderMap, key: &str) -> Result<(), &'static str> {
    let value = |name: &HeaderName| {
        headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().trim()
    };
    if !value(&UPGRADE).eq_ignore_ascii_case("websocket") {
        return Err("upgrades to something else");
    }
    if value(&SEC_WEBSOCKET_ACCEPT) != accept(key) {
        return Err("has not read its key");
    }
    if !value(&SEC_WEBSOCKET_PROTOCOL).eq_ignore_ascii_case(MQTT) {
        return Err("speaks another sub-protocol than mqtt");
    }
    Ok(())
}

fn accept(key: &str) -> String {
    let mut hash = digest::Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key.as_bytes());
    hash.update(SALT);
    STANDARD.encode(hash.finish())
}

fn fill(bytes: &mut [u8]) -> io::Result<()> {
    rand::fill(bytes).map_err(|_| io::Error::other("the system has no randomness to give"))
}

/// The client's end of a WebSocket after its handshake.
struct WebSocket<S> {
    stream: S,
    /// What came behind the handshake.
    early: Bytes,
    decoder: Decoder,
    /// Frames on their way out: one of data, a pong and a close at most.
    output: BytesMut,
    /// The ping to answer next.
    ping: Option<Bytes>,
    /// Why nothing more is read.
    end: Option<End>,
    /// Our close frame is on its way.
    closed: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    fn new(stream: S, early: Bytes) -> Self {
        let decoder = Decoder::new(Role::Client, MAX_WEBSOCKET_MESSAGE);
        Self { stream, early, decoder, output: BytesMut::new(), ping: None, end: None, closed: false }
    }

    /// Puts a frame behind those that wait, under a mask that nobody can foresee (§5.3).
    fn put(&mut self, opcode: Opcode, data: &[u8]) -> io::Result<()> {
        let mut mask = [0; 4];
        fill(&mut mask)?;
        encode(opcode, data, Some(mask), &mut self.output);
        Ok(())
    }

    /// Our close frame, once.
    fn close(&mut self, code: u16) -> io::Result<()> {
        if !self.closed {
            self.closed = true;
            self.put(Opcode::Close, &code.to_be_bytes())?;
        }
        Ok(())
    }

    /// Sends what waits. A ping that comes while the peer does not read replaces the one before it.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while !self.output.is_empty() {
                let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.output))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.output.advance(written);
            }
            match self.ping.take() {
                Some(ping) if !self.closed => self.put(Opcode::Pong, &ping)?,
                _ => break,
            }
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Reads once; payload goes into the buffer, all else is noted. False at the end of the stream.
    fn poll_receive(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let before = buf.filled().len();
        if self.early.is_empty() {
            ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        } else {
            let count = self.early.len().min(buf.remaining());
            buf.put_slice(&self.early.split_to(count));
        }
        let piece = buf.filled_mut().get_mut(before..).unwrap_or_default();
        if piece.is_empty() {
            return Poll::Ready(Ok(false));
        }
        let decoded = self.decoder.decode(piece);
        buf.set_filled(before + decoded.payload);
        self.ping = decoded.ping.or(self.ping.take());
        if let Some(end) = decoded.end {
            self.close(match &end {
                End::Closed(code) => code.unwrap_or(NORMAL),
                End::Failed(error) => error.close_code(),
            })?;
            self.end = Some(end);
        }
        Poll::Ready(Ok(true))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        while buf.remaining() > 0 && buf.filled().len() == before {
            // A peer that does not take our frames may still send its own; that it is gone, reading tells.
            let _ = self.poll_send(cx);
            match &self.end {
                Some(End::Failed(error)) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error.clone())));
                }
                Some(End::Closed(_)) => break,
                None => {}
            }
            if !ready!(self.poll_receive(cx, buf))? {
                break;
            }
        }
        // What was read together with the payload is answered without waiting for more.
        if self.ping.is_some() || self.end.is_some() {
            let _ = self.poll_send(cx);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_send(cx))?;
        if self.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let data = buf.get(..MAX_WEBSOCKET_FRAME).unwrap_or(buf);
        if !data.is_empty() {
            self.put(Opcode::Binary, data)?;
        }
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send(cx)
    }

    /// Our close frame goes out; whoever leaves does not wait for the other one.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.close(NORMAL)?;
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn headers(upgrade: &'static str, accept: &str, protocol: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(UPGRADE, upgrade.parse().unwrap());
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept.parse().unwrap());
        headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol.parse().unwrap());
        headers
    }

    #[test]
    fn agreed_takes_the_standards_example_and_nothing_else() {
        // RFC 6455 §1.3.
        let good = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        agreed(&headers("WebSocket", good, "MQTT"), KEY).unwrap();
        for (upgrade, accept, protocol) in
            [("h2c", good, "mqtt"), ("websocket", "bm8=", "mqtt"), ("websocket", good, "AMQPWSB10")]
        {
            agreed(&headers(upgrade, accept, protocol), KEY).unwrap_err();
        }
        agreed(&HeaderMap::new(), KEY).unwrap_err();
    }

    #[tokio::test]
    async fn stream_frames_masks_pongs_and_closes() {
        let (here, mut there) = tokio::io::duplex(1 << 16);
        let mut socket = WebSocket::new(here, Bytes::from_static(b"\x82\x02"));
        there.write_all(b"ab\x89\x02hi\x82\x01c\x88\x02\x03\xe8").await.unwrap();
        let mut read = Vec::new();
        socket.write_all(b"xyz").await.unwrap();
        socket.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"abc");
        assert!(socket.write_all(b"late").await.is_err(), "nothing is sent behind a close");
        drop(socket);

        let mut wire = Vec::new();
        there.read_to_end(&mut wire).await.unwrap();
        let mut decoder = Decoder::new(Role::Server, 100);
        let decoded = decoder.decode(&mut wire);
        assert_eq!(&wire[..decoded.payload], b"xyz");
        assert_eq!(decoded.end, Some(End::Closed(Some(1000))), "masked, or the server's decoder says so");
    }

    #[tokio::test]
    async fn stream_pings_are_answered() {
        let (here, mut there) = tokio::io::duplex(1 << 16);
        let mut socket = WebSocket::new(here, Bytes::new());
        there.write_all(b"\x89\x02hi\x82\x01c").await.unwrap();
        assert_eq!(socket.read_u8().await.unwrap(), b'c');
        let mut pong = [0; 8];
        there.read_exact(&mut pong).await.unwrap();
        assert_eq!(pong[..2], [0x8a, 0x82]);
        assert_eq!([pong[6] ^ pong[2], pong[7] ^ pong[3]], *b"hi");
    }

    #[tokio::test]
    async fn stream_broken_frames_are_an_error_and_told() {
        let (here, mut there) = tokio::io::duplex(1 << 16);
        let mut socket = WebSocket::new(here, Bytes::new());
        // A server's frame with a mask.
        there.write_all(b"\x82\x81\x01\x02\x03\x04c").await.unwrap();
        let error = socket.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        drop(socket);
        let mut wire = Vec::new();
        there.read_to_end(&mut wire).await.unwrap();
        assert_eq!(Decoder::new(Role::Server, 100).decode(&mut wire).end, Some(End::Closed(Some(1002))));
    }

    #[tokio::test]
    async fn stream_written_in_pieces_reads_whole() {
        let (here, mut there) = tokio::io::duplex(32);
        let mut socket = WebSocket::new(here, Bytes::new());
        let text = vec![7; 3 * MAX_WEBSOCKET_FRAME];
        let write = async {
            socket.write_all(&text).await.unwrap();
            socket.shutdown().await.unwrap();
        };
        let read = async {
            let mut wire = Vec::new();
            there.read_to_end(&mut wire).await.unwrap();
            let decoded = Decoder::new(Role::Server, 1 << 20).decode(&mut wire);
            wire.truncate(decoded.payload);
            (wire, decoded.end)
        };
        let ((), (wire, end)) = tokio::join!(write, read);
        assert_eq!((wire, end), (text, Some(End::Closed(Some(1000)))));
    }
}

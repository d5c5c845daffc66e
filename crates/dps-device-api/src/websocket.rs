//! A WebSocket as the byte stream that the fronts read (RFC 6455), and which protocol a sub-protocol's name means.
//! Owns pings, the two closes, and what is sent while the peer does not read; must not know what the bytes say, nor
//! the handshake (`https` has it).
//!
//! A connection that waits holds no buffer: payload is unmasked in the reader's own.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use dps_model::{Protocol, limits};
use dps_wire::websocket::{Decoder, End, NORMAL, Opcode, Role, encode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::foreign::Stream;

/// The sub-protocols that are spoken, in any case.
const SUBPROTOCOLS: &[(&str, Protocol)] = &[("mqtt", Protocol::MqttWs), ("AMQPWSB10", Protocol::AmqpWs)];

/// What a client that offers this sub-protocol speaks.
pub(crate) fn protocol(subprotocol: &str) -> Option<Protocol> {
    let spoken = SUBPROTOCOLS.iter().find(|(name, _)| name.eq_ignore_ascii_case(subprotocol));
    spoken.map(|(_, protocol)| *protocol)
}

/// The names of what is spoken, for a refusal.
pub(crate) fn spoken() -> String {
    SUBPROTOCOLS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// Bytes that are read and thrown away at once while a close is awaited.
const CHUNK: usize = 1024;

/// The server's end of a WebSocket after its handshake.
pub(crate) struct WebSocket {
    stream: Box<dyn Stream>,
    /// What came behind the handshake.
    early: Bytes,
    decoder: Decoder,
    /// Frames on their way out: one of data, a pong and a close at most.
    output: BytesMut,
    /// Something was written that TLS may hold still.
    unflushed: bool,
    /// The ping to answer next.
    ping: Option<Bytes>,
    /// Why nothing more is read.
    end: Option<End>,
    /// Our close frame is on its way.
    closed: bool,
    /// The peer's side of the connection has ended, or is no longer waited for.
    gone: bool,
    patience: Option<Pin<Box<Sleep>>>,
    /// Room that was given to data which nobody wants any more.
    discarded: usize,
}

impl WebSocket {
    pub(crate) fn new(stream: Box<dyn Stream>, early: Bytes) -> Self {
        Self {
            stream,
            early,
            decoder: Decoder::new(Role::Server, limits::MAX_WEBSOCKET_MESSAGE as u64),
            output: BytesMut::new(),
            unflushed: false,
            ping: None,
            end: None,
            closed: false,
            gone: false,
            patience: None,
            discarded: 0,
        }
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
                self.unflushed = true;
            }
            match self.ping.take() {
                Some(ping) if !self.closed => encode(Opcode::Pong, &ping, None, &mut self.output),
                _ => break,
            }
        }
        // Nothing waits, so nothing is kept.
        self.output = BytesMut::new();
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Our close frame, once.
    fn close(&mut self, code: Option<u16>) {
        if !self.closed {
            self.closed = true;
            let code = code.map(u16::to_be_bytes);
            encode(Opcode::Close, code.as_ref().map_or(&[], |code| &code[..]), None, &mut self.output);
        }
    }

    /// Reads once; payload goes into the buffer, all else is noted. False at the end of the stream.
    fn poll_receive(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let before = buf.filled().len();
        if self.early.is_empty() {
            ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        } else {
            let count = self.early.len().min(buf.remaining());
            buf.put_slice(&self.early.split_to(count));
            if self.early.is_empty() {
                self.early = Bytes::new();
            }
        }
        if buf.filled().len() == before {
            return Poll::Ready(Ok(false));
        }
        let decoded = self.decoder.decode(&mut buf.filled_mut()[before..]);
        buf.set_filled(before + decoded.payload);
        self.ping = decoded.ping.or(self.ping.take());
        if let Some(end) = decoded.end {
            self.close(match &end {
                End::Closed(code) => *code,
                End::Failed(error) => Some(error.close_code()),
            });
            self.end = Some(end);
        }
        Poll::Ready(Ok(true))
    }

    /// Waits for the peer's answer to our close, so that it finds our last words before the connection is gone
    /// (§7.1.1). Not for ever, and not through any amount of other data.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.gone && !matches!(self.end, Some(End::Closed(_))) {
            let patience = self.patience.get_or_insert_with(|| {
                Box::pin(tokio::time::sleep(Duration::from_secs(limits::WEBSOCKET_CLOSE_TIMEOUT)))
            });
            self.gone = patience.as_mut().poll(cx).is_ready() || self.discarded > limits::MAX_BODY_DISCARDED;
            if !self.gone {
                let mut chunk = [0; CHUNK];
                let mut chunk = ReadBuf::new(&mut chunk);
                self.gone = !matches!(ready!(self.poll_receive(cx, &mut chunk)), Ok(true));
                self.discarded += CHUNK;
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for WebSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        while buf.remaining() > 0 && buf.filled().len() == before {
            let sent = self.poll_send(cx);
            if let Some(end) = &self.end {
                let failed = match end {
                    End::Closed(_) => Ok(()),
                    End::Failed(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error.clone())),
                };
                // The answer leaves first; whether it arrives changes nothing.
                let _ = ready!(sent);
                return Poll::Ready(failed);
            }
            // A peer that does not take our frames may still send its own.
            if let Poll::Ready(Err(error)) = sent {
                return Poll::Ready(Err(error));
            }
            if self.gone {
                break;
            }
            self.gone = !ready!(self.poll_receive(cx, buf))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WebSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_send(cx))?;
        if self.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let taken = buf.len().min(limits::MAX_WEBSOCKET_MESSAGE);
        if taken > 0 {
            encode(Opcode::Binary, &buf[..taken], None, &mut self.output);
        }
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.close(Some(NORMAL));
        if ready!(self.poll_send(cx)).is_err() {
            self.gone = true;
        }
        ready!(self.poll_linger(cx));
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

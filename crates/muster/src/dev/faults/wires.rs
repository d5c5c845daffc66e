//! The connections of a development server, each with a switch: it can be cut, or made dumb. Owns what a connection does
//! then; must not know why.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use dps_device_api::Transport;
use dps_device_api::foreign::Stream;
use dps_model::{Channel, Protocol};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How a connection fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// As it should.
    Well,
    /// What is written goes nowhere; what is read is read.
    Dumb,
    /// It is over, without a word.
    Cut,
}

struct Switch {
    fate: Fate,
    /// Who waits for bytes.
    reader: Option<Waker>,
}

type Shared = Arc<Mutex<Switch>>;

/// Where a connection comes from, and the port that it came to: a port of the client's may be in use towards several.
type Key = (SocketAddr, Port);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Port {
    Https,
    Mqtt,
    Amqp,
}

impl Port {
    /// A WebSocket is on the port that it began on.
    fn of(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Http | Protocol::MqttWs | Protocol::AmqpWs => Self::Https,
            Protocol::Mqtt => Self::Mqtt,
            Protocol::Amqp => Self::Amqp,
        }
    }
}

/// All connections that are open.
#[derive(Default)]
pub struct Wires(Arc<Mutex<HashMap<Key, Shared>>>);

/// Decides how one connection fares, even when it is over and its place is another's.
pub struct Handle(Shared);

impl Handle {
    /// From now on.
    pub fn set(&self, fate: Fate) {
        let waiting = {
            let mut switch = locked(&self.0);
            switch.fate = fate;
            switch.reader.take()
        };
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

impl Wires {
    /// That connection, while it is open.
    pub fn of(&self, channel: &Channel) -> Option<Handle> {
        let key = (channel.peer, Port::of(channel.protocol));
        locked(&self.0).get(&key).cloned().map(Handle)
    }

    /// Decides how that connection fares from now on.
    pub fn set(&self, channel: &Channel, fate: Fate) {
        if let Some(handle) = self.of(channel) {
            handle.set(fate);
        }
    }
}

impl Transport for Wires {
    fn carry(&self, channel: &Arc<Channel>, stream: Box<dyn Stream>) -> Box<dyn Stream> {
        let switch = Arc::new(Mutex::new(Switch { fate: Fate::Well, reader: None }));
        let key = (channel.peer, Port::of(channel.protocol));
        locked(&self.0).insert(key, Arc::clone(&switch));
        Box::new(Wire { inner: stream, switch, all: Arc::clone(&self.0), key })
    }
}

/// One connection.
struct Wire {
    inner: Box<dyn Stream>,
    switch: Shared,
    all: Arc<Mutex<HashMap<Key, Shared>>>,
    key: Key,
}

impl Wire {
    fn fate(&self) -> Fate {
        locked(&self.switch).fate
    }
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in here can be left half done by a panic.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn cut<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        {
            let mut switch = locked(&self.switch);
            if switch.fate == Fate::Cut {
                return Poll::Ready(Ok(())); // the end of the stream
            }
            switch.reader = Some(cx.waker().clone());
        }
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.fate() {
            Fate::Well => Pin::new(&mut self.inner).poll_write(cx, buf),
            Fate::Dumb => Poll::Ready(Ok(buf.len())),
            Fate::Cut => cut(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.fate() {
            Fate::Well => Pin::new(&mut self.inner).poll_flush(cx),
            Fate::Dumb => Poll::Ready(Ok(())),
            Fate::Cut => cut(),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.fate() {
            Fate::Well => Pin::new(&mut self.inner).poll_shutdown(cx),
            Fate::Dumb | Fate::Cut => Poll::Ready(Ok(())),
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let mut all = locked(&self.all);
        // The client's port may be in use again.
        if all.get(&self.key).is_some_and(|switch| Arc::ptr_eq(switch, &self.switch)) {
            all.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use dps_model::TlsSession;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn channel(protocol: Protocol) -> Arc<Channel> {
        let peer = ([127, 0, 0, 1], 5_000).into();
        Arc::new(Channel { protocol, peer, tls: TlsSession::default() })
    }

    #[tokio::test]
    async fn wire_that_is_cut_ends_a_read_that_waits_and_takes_nothing_more() {
        let wires = Arc::new(Wires::default());
        let (near, mut far) = tokio::io::duplex(64);
        let mut wire = wires.carry(&channel(Protocol::Http), Box::new(near));
        wire.write_all(b"well").await.unwrap();
        let switches = Arc::clone(&wires);
        let later = tokio::spawn(async move {
            tokio::task::yield_now().await;
            // The WebSocket on the connection: the same wire. A connection to another port is another one.
            switches.set(&channel(Protocol::Mqtt), Fate::Cut);
            switches.set(&channel(Protocol::AmqpWs), Fate::Cut);
        });
        assert_eq!(wire.read(&mut [0; 8]).await.unwrap(), 0);
        later.await.unwrap();
        assert_eq!(wire.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        drop(wire);
        let mut heard = Vec::new();
        far.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"well");
        assert!(locked(&wires.0).is_empty());
    }

    #[tokio::test]
    async fn wire_that_is_dumb_reads_on_and_says_nothing() {
        let wires = Wires::default();
        let (near, mut far) = tokio::io::duplex(64);
        let mut wire = wires.carry(&channel(Protocol::Mqtt), Box::new(near));
        wires.set(&channel(Protocol::Mqtt), Fate::Dumb);
        far.write_all(b"hello").await.unwrap();
        let mut heard = [0; 5];
        wire.read_exact(&mut heard).await.unwrap();
        wire.write_all(b"lost").await.unwrap();
        wire.shutdown().await.unwrap();
        drop(wire);
        assert_eq!((heard.as_slice(), far.read(&mut [0; 8]).await.unwrap()), (&b"hello"[..], 0));
    }
}

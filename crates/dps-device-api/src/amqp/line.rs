//! One AMQP connection: the stream, the engine on it and its time. Owns waiting, writing and the last words; must not
//! know who speaks nor what is asked, for a neighbour goes on with it where its owner turns out to be one.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use dps_model::limits;
use dps_wire::amqp::connection::{Config, Connection, ConnectionError, Event};
use dps_wire::amqp::performative::AmqpError;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use crate::foreign::Stream;
use crate::listener::{self, Shutdown};
use crate::read::read;

/// What a wait ended with.
#[derive(Debug)]
pub enum Came {
    /// So many bytes, which the engine has; 0 is the end of the stream.
    Bytes(io::Result<usize>),
    /// [`AmqpLine::tick`] is due.
    Time,
    /// The server stops.
    Shutdown,
}

/// The stream, the engine and the time of a connection.
pub struct AmqpLine {
    /// The engine.
    pub connection: Connection,
    stream: Box<dyn Stream>,
    shutdown: Shutdown,
    begun: Instant,
}

impl AmqpLine {
    /// A connection that begins now.
    pub fn new(stream: Box<dyn Stream>, config: Arc<Config>, shutdown: Shutdown) -> Self {
        Self { connection: Connection::new(config, 0), stream, shutdown, begun: Instant::now() }
    }

    /// The engine's time.
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits for bytes, or for what ends the waiting. May be dropped: nothing is lost then.
    pub async fn wait(&mut self) -> Came {
        let deadline = self.connection.deadline().map(|ms| self.begun + Duration::from_millis(ms));
        let time = async move {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let connection = &mut self.connection;
        tokio::select! {
            biased;
            () = listener::requested(&mut self.shutdown) => Came::Shutdown,
            came = read(&mut self.stream, |chunk| connection.receive(chunk)) => Came::Bytes(came),
            () = time => Came::Time,
        }
    }

    /// The next event of what came.
    pub fn poll(&mut self) -> Result<Option<Event>, ConnectionError> {
        let now_ms = self.now_ms();
        self.connection.poll(now_ms)
    }

    /// Does what is due by now.
    pub fn tick(&mut self) -> Result<(), ConnectionError> {
        let now_ms = self.now_ms();
        self.connection.tick(now_ms)
    }

    /// Says CLOSE, with an error or without.
    pub fn close(&mut self, error: Option<AmqpError>) {
        let now_ms = self.now_ms();
        self.connection.close(error, now_ms);
    }

    /// Says CLOSE because the server stops; clients come back at once.
    pub fn stop(&mut self) {
        self.close(Some(AmqpError::new("amqp:connection:forced", "The server stops.")));
    }

    /// Writes what the engine has to say; a peer that hardly reads is given up. Not to be dropped: half a frame could
    /// be written.
    pub async fn flush(&mut self) -> io::Result<()> {
        if !self.connection.has_output() {
            return Ok(());
        }
        let output = self.connection.take_output();
        let write = async {
            self.stream.write_all(&output).await?;
            self.stream.flush().await
        };
        let in_time = tokio::time::timeout(Duration::from_secs(limits::WRITE_TIMEOUT), write).await;
        in_time.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// The last words, a CLOSE perhaps, are worth a try, and so is the wait for the peer's; then TLS is closed in
    /// good order.
    pub async fn part(&mut self) {
        self.close(None);
        while self.flush().await.is_ok() && !self.connection.is_closed() {
            let goes_on = match self.wait().await {
                // Nothing but the peer's CLOSE matters any more.
                Came::Bytes(Ok(1..)) => matches!(self.poll(), Ok(None)),
                Came::Time => self.tick().is_ok(),
                Came::Bytes(_) | Came::Shutdown => false,
            };
            if !goes_on {
                break;
            }
        }
        let _ = self.stream.shutdown().await;
    }
}

//! AMQP 1.0: one conversation from the protocol header to CLOSE. The engine is `dps_wire`'s; here its events meet the
//! core. Owns the order of reading, answering and waiting, and where a refusal is told: in SASL's outcome, at OPEN, at
//! ATTACH or in the verdict about a message. Must not know frames' bytes nor what the core does.
//!
//! Requests are answered one after the other: while one is with the core nothing is read, so a client that pipelines
//! waits in its own buffers. A connection that waits holds no buffer of ours.

mod decode;
mod encode;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use dps_model::{Channel, Error, ErrorCode, TrackingId};
use dps_wire::amqp::connection::{Connection, ConnectionError, DeliveryId, Event, LinkId};
use dps_wire::amqp::message::Message;
use dps_wire::amqp::performative::{AmqpError, Attach, Role, SaslCode, SaslInit};
use dps_wire::amqp::sasl::{Mechanism, TpmExchange, TpmStep};
use dps_wire::amqp::value::Secret;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use self::decode::{Device, Refusal};
use crate::api::DeviceApi;
use crate::foreign::Stream;
use crate::listener::{self, Accepted, Shutdown};
use crate::read::read;
use crate::refused::{Claims, Ended, Over};
use crate::reject;

fn refused(reason: impl std::fmt::Display) -> Over {
    Over::Refused(Ended::at("protocol", reason.to_string()))
}

fn broken(error: ConnectionError) -> Over {
    match error {
        // The end of the peer's time: as good as gone.
        ConnectionError::Idle => Over::Quietly,
        ConnectionError::Handshake => Over::Refused(Ended::at("connect", error.to_string())),
        _ => refused(error),
    }
}

/// Serves one connection to its end.
pub(crate) async fn serve(api: Arc<DeviceApi>, accepted: Accepted) {
    let Accepted { mut stream, channel, opened, mut shutdown, .. } = accepted;
    let mut conversation = Conversation::new(&api, &channel);
    let over = conversation.lead(&mut stream, &mut shutdown).await;
    if let Over::Refused(ended) = over {
        api.refused.connection(opened, channel.protocol, channel.peer, ended);
    }
    conversation.part(&mut stream, &mut shutdown).await;
}

/// Writes what the connection has to say.
async fn flush(connection: &mut Connection, stream: &mut Box<dyn Stream>) -> io::Result<()> {
    if connection.has_output() {
        let output = connection.take_output();
        stream.write_all(&output).await?;
        stream.flush().await?;
    }
    Ok(())
}

/// A conversation with the device API.
struct Conversation<'a> {
    api: &'a DeviceApi,
    channel: &'a Arc<Channel>,
    connection: Connection,
    device: Option<Box<Device>>,
    /// SASL TPM, while it lasts.
    exchange: Option<Box<TpmExchange>>,
    /// The link on which answers go.
    answers: Option<LinkId>,
    begun: Instant,
}

/// What a wait ended with.
enum Came {
    Bytes(io::Result<usize>),
    Time,
    Shutdown,
}

impl<'a> Conversation<'a> {
    fn new(api: &'a DeviceApi, channel: &'a Arc<Channel>) -> Self {
        let connection = Connection::new(Arc::clone(&api.amqp_config), 0);
        let (device, exchange, answers) = (None, None, None);
        Self { api, channel, connection, device, exchange, answers, begun: Instant::now() }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits for bytes, which go to the connection, or for what ends the waiting.
    async fn wait(&mut self, stream: &mut Box<dyn Stream>, shutdown: &mut Shutdown) -> Came {
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
            () = listener::requested(shutdown) => Came::Shutdown,
            came = read(stream, |chunk| connection.receive(chunk)) => Came::Bytes(came),
            () = time => Came::Time,
        }
    }

    /// Reads and answers until there is nothing more to answer.
    async fn lead(&mut self, stream: &mut Box<dyn Stream>, shutdown: &mut Shutdown) -> Over {
        loop {
            match self.wait(stream, shutdown).await {
                Came::Bytes(Ok(1..)) => {}
                Came::Bytes(Ok(0)) => return Over::Quietly,
                Came::Bytes(Err(error)) => return error.into(),
                Came::Time => {
                    let now_ms = self.now_ms();
                    if let Err(error) = self.connection.tick(now_ms) {
                        return broken(error);
                    }
                }
                Came::Shutdown => {
                    let forced = AmqpError::new("amqp:connection:forced", "The server stops.");
                    let now_ms = self.now_ms();
                    self.connection.close(Some(forced), now_ms);
                    return Over::Quietly;
                }
            }
            if let Err(over) = self.answer_all(stream).await {
                return over;
            }
        }
    }

    /// The last words, a CLOSE perhaps, are worth a try, and so is the wait for the peer's; then TLS is closed in good
    /// order.
    async fn part(&mut self, stream: &mut Box<dyn Stream>, shutdown: &mut Shutdown) {
        let now_ms = self.now_ms();
        self.connection.close(None, now_ms);
        while flush(&mut self.connection, stream).await.is_ok() && !self.connection.is_closed() {
            let now_ms = self.now_ms();
            let goes_on = match self.wait(stream, shutdown).await {
                // Nothing but the peer's CLOSE matters any more.
                Came::Bytes(Ok(1..)) => matches!(self.connection.poll(now_ms), Ok(None)),
                Came::Time => self.connection.tick(self.now_ms()).is_ok(),
                Came::Bytes(_) | Came::Shutdown => false,
            };
            if !goes_on {
                break;
            }
        }
        let _ = stream.shutdown().await;
    }

    /// Answers all that was received; each answer is on its way before the next event is looked at.
    async fn answer_all(&mut self, stream: &mut Box<dyn Stream>) -> Result<(), Over> {
        loop {
            let now_ms = self.now_ms();
            let event = self.connection.poll(now_ms).map_err(broken)?;
            let Some(event) = event else { return Ok(flush(&mut self.connection, stream).await?) };
            self.answer(event).await?;
            flush(&mut self.connection, stream).await?;
        }
    }

    async fn answer(&mut self, event: Event) -> Result<(), Over> {
        match event {
            Event::SaslInit(init) => Box::pin(self.sasl(&init)).await,
            Event::SaslResponse(response) => Box::pin(self.tpm(&response)).await,
            Event::Open(_) => self.open(),
            Event::Attach { link, attach } => self.attach(link, &attach),
            Event::Delivery { id, settled, message } => Box::pin(self.request(id, settled, &message)).await,
            Event::Detached { link, error } => {
                if self.answers == Some(link) {
                    self.answers = None;
                }
                // Broken rules end the connection too: nothing could be asked any more.
                error.map_or(Ok(()), |error| Err(self.detached(error)))
            }
            Event::Verdict { .. } => Ok(()),
            Event::Closed(_) => Err(Over::Quietly),
        }
    }

    async fn sasl(&mut self, init: &SaslInit) -> Result<(), Over> {
        match Mechanism::parse(init.mechanism.as_str()) {
            Some(Mechanism::Plain) => match decode::plain(init.initial_response.as_ref()) {
                Ok(device) => {
                    self.device = Some(Box::new(device));
                    self.connection.sasl_outcome(SaslCode::Ok).map_err(refused)
                }
                Err(reason) => self.unauthenticated(format!("SASL PLAIN: {reason}")),
            },
            Some(Mechanism::Tpm) => {
                self.exchange = Some(Box::default());
                let nothing = Secret::new(Vec::new());
                self.tpm(init.initial_response.as_ref().unwrap_or(&nothing)).await
            }
            // The engine lets no mechanism pass that is not offered.
            _ => self.unauthenticated("a SASL mechanism that is not offered".to_owned()),
        }
    }

    /// One message of SASL TPM. Whether the token fits the challenge is judged with the first request, which it
    /// comes with.
    async fn tpm(&mut self, message: &Secret) -> Result<(), Over> {
        let Some(exchange) = &mut self.exchange else { return Err(refused("a SASL response without TPM")) };
        let step = match exchange.receive(message) {
            Ok(TpmStep::Activate(keys)) => {
                let device = self.device.insert(Box::new(decode::tpm(&keys)));
                let request = decode::challenge(device, self.channel, TrackingId::fresh());
                // The event of it is the core's, whatever comes of it.
                let answer = self.api.core.serve(request).await;
                let Some(blob) = answer.as_ref().ok().and_then(encode::challenge) else {
                    self.connection.sasl_outcome(outcome(&answer)).map_err(refused)?;
                    return Err(Over::Quietly);
                };
                exchange.activate(&blob)
            }
            step => step,
        };
        match step {
            Ok(TpmStep::Challenge(challenge)) => self.connection.sasl_challenge(challenge).map_err(refused),
            Ok(TpmStep::Token(token)) => {
                self.exchange = None;
                if let Some(device) = &mut self.device {
                    device.show(&token);
                }
                self.connection.sasl_outcome(SaslCode::Ok).map_err(refused)
            }
            Ok(TpmStep::Activate(_)) => Err(refused("SASL TPM asks twice for a blob")),
            Err(error) => self.unauthenticated(format!("SASL TPM: {error}")),
        }
    }

    /// SASL's refusal is one number: the reason is for the event.
    fn unauthenticated(&mut self, reason: String) -> Result<(), Over> {
        self.connection.sasl_outcome(SaslCode::Auth).map_err(refused)?;
        Err(Over::Refused(Ended { claimed: self.claimed(), ..Ended::at("connect", reason) }))
    }

    fn open(&mut self) -> Result<(), Over> {
        let knows_scope = |scope: &str| self.api.core.knows_scope(scope);
        let now_ms = self.now_ms();
        match decode::open(self.device.as_deref(), self.channel, knows_scope) {
            Ok(()) => self.connection.accept_open(now_ms).map_err(refused),
            Err(error) => {
                let (said, over) = self.told("OPEN", self.claimed(), error);
                self.connection.refuse_open(said, now_ms).map_err(refused)?;
                Err(over)
            }
        }
    }

    fn attach(&mut self, link: LinkId, attach: &Attach) -> Result<(), Over> {
        let claimed = self.claimed().or_else(|| attach.address().map(ToOwned::to_owned));
        let knows_scope = |scope: &str| self.api.core.knows_scope(scope);
        match decode::attach(self.device.take(), attach, self.channel, knows_scope) {
            Ok(device) => {
                self.device = Some(device);
                if attach.role == Role::Receiver {
                    self.answers = Some(link);
                }
                self.connection.accept_link(link).map_err(refused)
            }
            Err(error) => {
                let (said, over) = self.told("ATTACH", claimed, error);
                self.connection.refuse_link(link, said.clone()).map_err(refused)?;
                let now_ms = self.now_ms();
                self.connection.close(Some(said), now_ms);
                Err(over)
            }
        }
    }

    /// What the peer reads about a refused connection, and its event: both with one tracking id.
    fn told(&self, at: &str, claimed: Option<String>, error: Error) -> (AmqpError, Over) {
        let tracking_id = TrackingId::fresh();
        let said = self.reject(&error, tracking_id);
        let reason = format!("{at}, {}: {}", said.condition, error.cause.unwrap_or(error.message));
        (said, Over::Refused(Ended { tracking_id, claimed, ..Ended::at("connect", reason) }))
    }

    fn detached(&mut self, error: AmqpError) -> Over {
        let now_ms = self.now_ms();
        let claimed = self.claimed();
        let reason = format!(
            "a link was detached, {}: {}",
            error.condition,
            error.description.as_deref().unwrap_or_default()
        );
        self.connection.close(Some(error), now_ms);
        Over::Refused(Ended { claimed, ..Ended::at("protocol", reason) })
    }

    fn claimed(&self) -> Option<String> {
        self.device.as_ref().map(|device| device.address())
    }

    /// One request: the verdict, then the answer.
    async fn request(&mut self, id: DeliveryId, settled: bool, message: &Message) -> Result<(), Over> {
        let Some(device) = &self.device else { return Err(refused("a message came before a link")) };
        let tracking_id = TrackingId::fresh();
        let opened = self.api.refused.open();
        let asked = if let Some(link) = self.answers {
            decode::decode(device, self.channel, message, tracking_id).map(|asked| (link, asked))
        } else {
            let error = Box::new(Error::argument("No link is attached on which an answer could go."));
            Err(Refusal { operation: None, error })
        };
        let answer = match asked {
            Ok((link, request)) => self
                .api
                .core
                .serve(request)
                .await
                .and_then(|response| encode::encode(&response, message.correlation_id()))
                .map(|answer| (link, answer)),
            Err(Refusal { operation, error }) => {
                let claims = Claims { operation, ..device.claims() };
                self.api.refused.request(opened, self.channel, tracking_id, claims).refuse(&error);
                Err(*error)
            }
        };
        match answer {
            Ok((link, answer)) => {
                if !settled {
                    self.connection.accept(id).map_err(refused)?;
                }
                self.connection.send(link, &answer, false).map(drop).map_err(refused)
            }
            // A message that came settled has no verdict that could carry an error.
            Err(_) if settled => Ok(()),
            Err(error) => {
                let said = self.reject(&error, tracking_id);
                self.connection.reject(id, said).map_err(refused)
            }
        }
    }

    fn reject(&self, error: &Error, tracking_id: TrackingId) -> AmqpError {
        encode::refusal(reject::amqp(error, tracking_id, self.api.clock.now()))
    }
}

/// The number of SASL for a TPM that the core did not challenge.
fn outcome<T>(answer: &Result<T, Error>) -> SaslCode {
    match answer {
        Err(error) if error.code.row().retryable => SaslCode::SysTemp,
        Err(Error { code: ErrorCode::Internal, .. }) => SaslCode::Sys,
        _ => SaslCode::Auth,
    }
}

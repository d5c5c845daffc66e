//! AMQP 1.0: one conversation from the protocol header to CLOSE. The engine is `dps_wire`'s; here its events meet the
//! core. Owns the order of reading, answering and waiting, and where a refusal is told: in SASL's outcome, at OPEN, at
//! ATTACH or in the verdict about a message. Must not know frames' bytes nor what the core does.
//!
//! Requests are answered one after the other: while one is with the core nothing is read, so a client that pipelines
//! waits in its own buffers. A connection that waits holds no buffer of ours.

mod decode;
mod encode;
pub(crate) mod line;

use std::sync::Arc;
use std::time::Duration;

use dps_model::{Channel, Error, ErrorCode, TrackingId, limits};
use dps_wire::amqp::connection::{ConnectionError, DeliveryId, Event, LinkId, SendError};
use dps_wire::amqp::message::Message;
use dps_wire::amqp::performative::{AmqpError, Attach, Role, SaslCode, SaslInit};
use dps_wire::amqp::sasl::{Mechanism, Plain, TpmExchange, TpmStep};
use dps_wire::amqp::value::{DecodeError, Secret};
use tokio::time::Instant;

use self::decode::{Device, Refusal};
use self::line::{AmqpLine, Came};
use crate::api::DeviceApi;
use crate::foreign::{AmqpClaim, AmqpConnection, ForeignFront};
use crate::listener::Accepted;
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

/// How a conversation leaves us.
enum Exit {
    Over(Over),
    /// This event told that the connection is a neighbour's.
    HandedOver(Arc<dyn ForeignFront>, Box<Event>),
}

impl<T: Into<Over>> From<T> for Exit {
    fn from(over: T) -> Self {
        Self::Over(over.into())
    }
}

/// Serves one connection to its end, or until it turns out to be a neighbour's.
pub(crate) async fn serve(api: Arc<DeviceApi>, accepted: Accepted) {
    let Accepted { stream, channel, opened, shutdown, .. } = accepted;
    let line = AmqpLine::new(stream, Arc::clone(&api.amqp_config), shutdown);
    let mut conversation = Conversation::new(&api, &channel, line);
    match conversation.lead().await {
        Exit::Over(over) => {
            if let Over::Refused(ended) = over.of(|| conversation.claimed()) {
                api.refused.connection(opened, channel.protocol, channel.peer, ended);
            }
            conversation.line.part().await;
        }
        Exit::HandedOver(front, event) => {
            let Conversation { line, hostname, .. } = conversation;
            let connection = AmqpConnection { channel: Arc::clone(&channel), line, hostname, event: *event };
            Box::pin(front.amqp(connection)).await;
        }
    }
}

/// A conversation with the device API.
struct Conversation<'a> {
    api: &'a DeviceApi,
    channel: &'a Arc<Channel>,
    line: AmqpLine,
    device: Option<Box<Device>>,
    /// SASL TPM, while it lasts.
    exchange: Option<Box<TpmExchange>>,
    /// Why a TPM was not challenged: SASL has no words, so OPEN is refused with it.
    refusal: Option<Box<AmqpError>>,
    /// Of the peer's OPEN, for a neighbour.
    hostname: Option<String>,
    /// The link on which answers go.
    answers: Option<LinkId>,
    /// By when the first link has to say who speaks, once the connection is open and nobody has.
    patience: Option<Instant>,
}

impl<'a> Conversation<'a> {
    fn new(api: &'a DeviceApi, channel: &'a Arc<Channel>, line: AmqpLine) -> Self {
        Self {
            api,
            channel,
            line,
            device: None,
            exchange: None,
            refusal: None,
            hostname: None,
            answers: None,
            patience: None,
        }
    }

    /// Reads and answers until there is nothing more to answer.
    async fn lead(&mut self) -> Exit {
        loop {
            let came = match self.patience {
                Some(patience) => tokio::time::timeout_at(patience, self.line.wait()).await,
                None => Ok(self.line.wait().await),
            };
            let Ok(came) = came else { return self.nobody().into() };
            match came {
                Came::Bytes(Ok(1..)) => {}
                Came::Bytes(Ok(0)) => return Over::Quietly.into(),
                Came::Bytes(Err(error)) => return error.into(),
                Came::Time => {
                    if let Err(error) = self.line.tick() {
                        return broken(error).into();
                    }
                }
                Came::Shutdown => {
                    self.line.stop();
                    return Over::Quietly.into();
                }
            }
            if let Err(exit) = self.answer_all().await {
                return exit;
            }
        }
    }

    /// Answers all that was received; each answer is on its way before the next event is looked at.
    async fn answer_all(&mut self) -> Result<(), Exit> {
        loop {
            let Some(event) = self.line.poll().map_err(broken)? else {
                return Ok(self.line.flush().await?);
            };
            if let Some(front) = self.neighbour(&event) {
                return Err(Exit::HandedOver(front, Box::new(event)));
            }
            self.answer(event).await?;
            self.line.flush().await?;
        }
    }

    /// Whose the connection is by this event, if it is not the device API's.
    fn neighbour(&self, event: &Event) -> Option<Arc<dyn ForeignFront>> {
        let front_of = |claim| self.api.fronts.devices.iter().find(|front| front.claims_amqp(claim)).cloned();
        match event {
            Event::SaslInit(init) => match Mechanism::parse(init.mechanism.as_str())? {
                Mechanism::Plain => {
                    let plain = Plain::parse(init.initial_response.as_ref()?).ok()?;
                    front_of(AmqpClaim::User(&plain.user))
                }
                mechanism @ Mechanism::MsSbCbs => front_of(AmqpClaim::Mechanism(mechanism)),
                Mechanism::Tpm | Mechanism::External | Mechanism::Anonymous => None,
            },
            Event::Attach { attach, .. } if self.device.is_none() => {
                front_of(AmqpClaim::Address(attach.address()?))
            }
            _ => None,
        }
    }

    async fn answer(&mut self, event: Event) -> Result<(), Over> {
        match event {
            Event::SaslInit(init) => Box::pin(self.sasl(&init)).await,
            Event::SaslResponse(response) => Box::pin(self.tpm(&response)).await,
            Event::Open(open) => {
                self.hostname = open.hostname;
                self.open()
            }
            Event::Attach { link, attach } => self.attach(link, &attach),
            Event::Delivery { id, settled, message } => Box::pin(self.request(id, settled, message)).await,
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
                    self.authenticated()
                }
                Err(reason) => self.unauthenticated(format!("SASL PLAIN: {reason}")),
            },
            Some(Mechanism::Tpm) => {
                self.exchange = Some(Box::default());
                let nothing = Secret::new(Vec::new());
                self.tpm(init.initial_response.as_ref().unwrap_or(&nothing)).await
            }
            // As if there were no SASL: the first link says who speaks.
            Some(Mechanism::Anonymous) => self.authenticated(),
            Some(Mechanism::External) if !self.channel.tls.chain.is_empty() => self.authenticated(),
            Some(Mechanism::External) => {
                self.unauthenticated("SASL EXTERNAL: there is no client certificate".to_owned())
            }
            // The engine lets no mechanism pass that is not offered.
            Some(Mechanism::MsSbCbs) | None => {
                self.unauthenticated("a SASL mechanism that is not offered".to_owned())
            }
        }
    }

    /// One message of SASL TPM. Whether the token fits the challenge is judged with the first request, which it
    /// comes with.
    async fn tpm(&mut self, message: &Secret) -> Result<(), Over> {
        let Some(exchange) = &mut self.exchange else { return Err(refused("a SASL response without TPM")) };
        let step = match exchange.receive(message) {
            Ok(TpmStep::Activate(keys)) => {
                let device = self.device.insert(Box::new(decode::tpm(&keys)));
                let tracking_id = TrackingId::fresh();
                let request = decode::challenge(device, self.channel, tracking_id);
                // The event of it is the core's, whatever comes of it.
                let answer = self.api.core.serve(request).await;
                match answer.map(|response| encode::challenge(&response)) {
                    Ok(Some(blob)) => exchange.activate(&blob),
                    // An answer that asks for no proof, such as `disabled`: its register message hears it again.
                    Ok(None) => return self.authenticated(),
                    Err(error) => {
                        self.refusal = Some(Box::new(self.reject(&error, tracking_id)));
                        return self.authenticated();
                    }
                }
            }
            step => step,
        };
        match step {
            Ok(TpmStep::Challenge(challenge)) => {
                self.line.connection.sasl_challenge(challenge).map_err(refused)
            }
            Ok(TpmStep::Token(token)) => {
                if let Some(device) = &mut self.device {
                    device.show(&token);
                }
                self.authenticated()
            }
            Ok(TpmStep::Activate(_)) => Err(refused("SASL TPM asks twice for a blob")),
            Err(error) => self.unauthenticated(format!("SASL TPM: {error}")),
        }
    }

    /// SASL ends well, which says no more than that somebody has been named.
    fn authenticated(&mut self) -> Result<(), Over> {
        self.exchange = None;
        self.line.connection.sasl_outcome(SaslCode::Ok).map_err(refused)
    }

    /// SASL's refusal is one number: the reason is for the event.
    fn unauthenticated(&mut self, reason: String) -> Result<(), Over> {
        self.line.connection.sasl_outcome(SaslCode::Auth).map_err(refused)?;
        Err(Over::Refused(Ended::at("connect", reason)))
    }

    fn open(&mut self) -> Result<(), Over> {
        let knows_scope = |scope: &str| self.api.core.knows_scope(scope);
        let now_ms = self.line.now_ms();
        if let Some(said) = self.refusal.take() {
            self.line.connection.refuse_open(*said, now_ms).map_err(refused)?;
            return Err(Over::Quietly);
        }
        let shared = !self.api.fronts.devices.is_empty();
        match decode::open(self.device.as_deref(), self.channel, shared, knows_scope) {
            Ok(()) => {
                let patience = Duration::from_secs(limits::CONNECT_TIMEOUT);
                self.patience = self.device.is_none().then(|| Instant::now() + patience);
                self.line.connection.accept_open(now_ms).map_err(refused)
            }
            Err(error) => {
                let (said, over) = self.told("OPEN", None, error);
                self.line.connection.refuse_open(said, now_ms).map_err(refused)?;
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
                self.patience = None;
                if attach.role == Role::Receiver {
                    self.answers = Some(link);
                }
                self.line.connection.accept_link(link).map_err(refused)
            }
            Err(error) => {
                let (said, over) = self.told("ATTACH", claimed, error);
                self.line.connection.refuse_link(link, said.clone()).map_err(refused)?;
                self.line.close(Some(said));
                Err(over)
            }
        }
    }

    /// Nobody has said in time who speaks.
    fn nobody(&mut self) -> Over {
        let error = Error::new(ErrorCode::Unauthorized)
            .because(format!("no link said within {} seconds who speaks", limits::CONNECT_TIMEOUT));
        let (said, over) = self.told("ATTACH", None, error);
        self.line.close(Some(said));
        over
    }

    /// What the peer reads about a refused connection, and its event: both with one tracking id.
    fn told(&self, at: &str, claimed: Option<String>, error: Error) -> (AmqpError, Over) {
        let tracking_id = TrackingId::fresh();
        let said = self.reject(&error, tracking_id);
        let reason = format!("{at}, {}: {}", said.condition, error.cause.unwrap_or(error.message));
        (said, Over::Refused(Ended { tracking_id, claimed, ..Ended::at("connect", reason) }))
    }

    fn detached(&mut self, error: AmqpError) -> Over {
        let reason = format!(
            "a link was detached, {}: {}",
            error.condition,
            error.description.as_deref().unwrap_or_default()
        );
        self.line.close(Some(error));
        refused(reason)
    }

    /// An answer that the peer gives no room for: nothing could be answered any more.
    fn unsent(&mut self, error: SendError) -> Over {
        let reason = format!("an answer could not be sent: {error}");
        self.line.close(Some(AmqpError::new(error.condition(), reason.clone())));
        refused(reason)
    }

    fn claimed(&self) -> Option<String> {
        self.device.as_ref().map(|device| device.address())
    }

    /// One request: the verdict, then the answer.
    async fn request(
        &mut self,
        id: DeliveryId,
        settled: bool,
        message: Result<Box<Message>, DecodeError>,
    ) -> Result<(), Over> {
        let Some(device) = &self.device else { return Err(refused("a message came before a link")) };
        let tracking_id = TrackingId::fresh();
        let opened = self.api.refused.open();
        let correlation_id = message.as_ref().ok().and_then(|message| message.correlation_id()).cloned();
        let asked = decode::decode(device, self.channel, message, tracking_id).and_then(|asked| {
            let link = self.answers.ok_or_else(|| {
                let error = Box::new(Error::argument("No link is attached on which an answer could go."));
                Refusal { operation: None, error }
            })?;
            Ok((link, asked))
        });
        let answer = match asked {
            Ok((link, request)) => self
                .api
                .core
                .serve(request)
                .await
                .and_then(|response| encode::encode(&response, correlation_id.as_ref()))
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
                    self.line.connection.accept(id).map_err(refused)?;
                }
                let sent = self.line.connection.send(link, &answer, false);
                sent.map(drop).map_err(|error| self.unsent(error))
            }
            // A message that came settled has no verdict that could carry an error.
            Err(_) if settled => Ok(()),
            Err(error) => {
                let said = self.reject(&error, tracking_id);
                self.line.connection.reject(id, said).map_err(refused)
            }
        }
    }

    fn reject(&self, error: &Error, tracking_id: TrackingId) -> AmqpError {
        encode::refusal(reject::amqp(error, tracking_id, self.api.clock.now()))
    }
}

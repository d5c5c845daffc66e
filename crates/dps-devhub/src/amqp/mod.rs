//! Devices over AMQP: whose the connection is, tokens on `$cbs`, links, and what travels on them. Owns the loop and
//! its bounds; must not know messages' sections (`decode`, `encode`) nor who may connect.
//!
//! One connection is one device's, which proves who it is by SASL PLAIN, by a token on `$cbs`, or by its certificate
//! with its first link; or a service's, which has the policy's token and sends messages to devices.

mod decode;
mod encode;
mod links;
mod traffic;
mod visitor;

use std::sync::Arc;

use dps_device_api::foreign::{AmqpConnection, AmqpLine, Came};
use dps_model::limits::{CONNECT_TIMEOUT, MAX_HUB_COMMANDS, MAX_HUB_PACKET, MAX_TOKENS_REFUSED};
use dps_model::{Channel, TrackingId};
use dps_wire::amqp::address::{HubAddress, HubEndpoint};
use dps_wire::amqp::connection::{Config, ConnectionError, Event, LinkId, SendError};
use dps_wire::amqp::performative::{AmqpError, Attach, SaslCode, SaslInit};
use dps_wire::amqp::sasl::{Mechanism, Plain};

use self::links::{Links, Purpose};
use self::visitor::{Visitor, until};
use crate::access::{self, Shown};
use crate::end::End;
use crate::failure::{HubErrorCode, HubFailure};
use crate::guest::{Proven, Turned};
use crate::record::{Begun, Claimed};
use crate::{DevHub, DevHubs};

impl From<ConnectionError> for End {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::Idle => Self::Silent,
            _ => Self::Broke(error.to_string()),
        }
    }
}

impl From<SendError> for End {
    fn from(error: SendError) -> Self {
        Self::Broke(error.to_string())
    }
}

impl From<std::io::Error> for End {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::TimedOut => Self::Silent,
            _ => Self::Gone,
        }
    }
}

/// What one connection of a hub may use.
pub(crate) fn config() -> Config {
    Config {
        max_message_size: MAX_HUB_PACKET,
        max_partial: 2 * MAX_HUB_PACKET,
        // What has waited for the connection may wait for the device's credit.
        max_queued: MAX_HUB_COMMANDS,
        handshake_timeout_ms: CONNECT_TIMEOUT * 1000,
        ..Config::new("muster-devhub", vec![Mechanism::Plain.symbol(), Mechanism::MsSbCbs.symbol()])
    }
}

impl DevHubs {
    /// Serves a connection that turned out to be a hub's to its end.
    pub(crate) async fn serve_amqp(&self, connection: AmqpConnection) {
        let AmqpConnection { channel, mut line, hostname, event } = connection;
        line.connection.adopt(Arc::clone(&self.amqp_config));
        let asked = hostname.as_deref().or(channel.tls.sni.as_deref());
        let Some(hub) = self.hub_or_first(asked.unwrap_or_default()).cloned() else { return };
        let begun = self.begin();
        let patience = self.now_ms().saturating_add(CONNECT_TIMEOUT * 1000);
        let (visitor, links) = (Visitor::Nobody { patience }, Links::default());
        let mut conversation = Conversation {
            hubs: self,
            channel,
            line,
            hub,
            visitor,
            links,
            observes: false,
            begun,
            tokens_refused: 0,
            module_refused: false,
        };
        let end = conversation.lead(event).await;
        conversation.part(end).await;
    }

    /// The device and the hub of a PLAIN user name: `{deviceId}@sas.{hub}`, the hub's name or its first label.
    pub(crate) fn user<'a>(&self, user: &'a str) -> Option<(&'a str, &Arc<DevHub>)> {
        let (device_id, name) = user.rsplit_once("@sas.")?;
        let short = |hub: &&Arc<DevHub>| {
            hub.name.as_str().split('.').next().is_some_and(|label| label.eq_ignore_ascii_case(name))
        };
        let hub = self.hub(name).or_else(|| self.hubs.iter().find(short))?;
        Some((device_id, hub))
    }

    fn now_ms(&self) -> u64 {
        self.clock.monotonic_micros() / 1000
    }
}

/// A conversation with one device.
struct Conversation<'a> {
    hubs: &'a DevHubs,
    channel: Arc<Channel>,
    line: AmqpLine,
    /// The hub that the peer says it speaks to; a token names its own.
    hub: Arc<DevHub>,
    visitor: Visitor,
    links: Links,
    /// The device wants to hear of desired properties.
    observes: bool,
    begun: Begun,
    tokens_refused: usize,
    module_refused: bool,
}

impl Conversation<'_> {
    async fn lead(&mut self, first: Event) -> End {
        let mut first = Some(first);
        loop {
            if let Err(end) = self.answer_all(first.take()).await {
                return end;
            }
            let now = self.hubs.now_ms();
            let deadline = self.visitor.deadline();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return if matches!(self.visitor, Visitor::Nobody { .. }) {
                    self.nobody()
                } else {
                    End::Expired
                };
            }
            let went = tokio::select! {
                // In the order in which it happened: a device hears nothing of before it asked.
                biased;
                command = self.visitor.command() => match command {
                    Some(command) => self.command(command),
                    None => Err(End::Displaced),
                },
                came = self.line.wait() => self.came(came),
                () = until(now, deadline) => Ok(()),
            };
            if let Err(end) = went {
                return end;
            }
        }
    }

    fn came(&mut self, came: Came) -> Result<(), End> {
        match came {
            Came::Bytes(Ok(1..)) => Ok(()),
            Came::Bytes(Ok(0)) => Err(End::Gone),
            Came::Bytes(Err(error)) => Err(error.into()),
            Came::Time => Ok(self.line.tick()?),
            Came::Shutdown => Err(End::Stopped),
        }
    }

    /// Answers all that was received; each answer is on its way before the next event is looked at.
    async fn answer_all(&mut self, mut first: Option<Event>) -> Result<(), End> {
        loop {
            let event = match first.take() {
                Some(event) => Some(event),
                None => self.line.poll()?,
            };
            let Some(event) = event else { return Ok(self.line.flush().await?) };
            self.answer(event).await?;
            self.line.flush().await?;
        }
    }

    /// Says why, gives the place up, and closes.
    async fn part(mut self, end: End) {
        let said = match &end {
            End::Displaced => Some(("amqp:connection:forced", end.to_string())),
            End::Expired => Some(("amqp:unauthorized-access", end.to_string())),
            End::Broke(why) => Some(("amqp:not-allowed", why.clone())),
            End::Left | End::Gone | End::Silent | End::Refused | End::Stopped => None,
        };
        match (self.visitor, &end) {
            (Visitor::Device(guest), _) => guest.leave(&end.to_string()),
            (Visitor::Nobody { .. }, End::Broke(why)) => {
                self.hubs.refused(self.begun, &self.channel, TrackingId::fresh(), Claimed::default(), why);
            }
            (Visitor::Nobody { .. } | Visitor::Service { .. }, _) => {}
        }
        if let End::Stopped = end {
            self.line.stop();
        } else {
            self.line.close(said.map(|(condition, why)| AmqpError::new(condition, why)));
        }
        self.line.part().await;
    }

    async fn answer(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::SaslInit(init) => self.sasl(&init).await,
            Event::SaslResponse(_) => Err(End::Broke("a SASL response without a challenge".to_owned())),
            Event::Open(open) => {
                if let Some(hub) = open.hostname.and_then(|name| self.hubs.hub(&name).cloned()) {
                    self.hub = hub;
                }
                let now_ms = self.line.now_ms();
                Ok(self.line.connection.accept_open(now_ms)?)
            }
            Event::Attach { link, attach } => self.attach(link, &attach).await,
            Event::Delivery { id, settled, message } => {
                let taken = match message {
                    Ok(message) => self.delivery(id.link(), &message).await,
                    Err(error) => Err(AmqpError::new("amqp:decode-error", error.to_string())),
                };
                self.judge(id, settled, taken)?;
                if self.tokens_refused > MAX_TOKENS_REFUSED {
                    return Err(End::Broke("too many tokens were refused".to_owned()));
                }
                Ok(())
            }
            Event::Detached { link, .. } => {
                if self.links.remove(link) == Some(Purpose::Twin) {
                    self.observes &= self.links.to_peer(Purpose::Twin).is_some();
                }
                Ok(())
            }
            Event::Verdict { .. } => Ok(()),
            Event::Closed(_) => Err(End::Left),
        }
    }

    async fn sasl(&mut self, init: &SaslInit) -> Result<(), End> {
        if Mechanism::parse(init.mechanism.as_str()) == Some(Mechanism::MsSbCbs) {
            return Ok(self.line.connection.sasl_outcome(SaslCode::Ok)?);
        }
        let plain = init.initial_response.as_ref().and_then(|response| Plain::parse(response).ok());
        let known = plain.as_ref().and_then(|plain| Some((plain, self.hubs.user(&plain.user)?)));
        let Some((plain, (device_id, hub))) = known else {
            return Err(End::Broke("SASL PLAIN names no device of a hub".to_owned()));
        };
        let token = std::str::from_utf8(plain.password.expose()).unwrap_or("?");
        let shown = Shown { password: Some(token), leaf: None };
        let proven = self.hubs.prove(hub, device_id, &shown).await;
        match self.welcome(proven).await {
            Ok(()) => Ok(self.line.connection.sasl_outcome(SaslCode::Ok)?),
            Err(turned) => {
                let (code, why) = match turned {
                    Turned::Away(why) => (SaslCode::Auth, why),
                    Turned::Back(failure) => (SaslCode::SysTemp, failure.to_string()),
                };
                let id = TrackingId::fresh();
                let claimed = Claimed::device(&plain.user, hub, device_id, None);
                self.hubs.refused(self.begun, &self.channel, id, claimed, &why);
                self.line.connection.sasl_outcome(code)?;
                self.line.flush().await?;
                Err(End::Refused)
            }
        }
    }

    /// A proven device becomes the guest, or its guest has a newer proof.
    async fn welcome(&mut self, proven: Result<Proven, Turned>) -> Result<(), Turned> {
        let proven = proven?;
        match &mut self.visitor {
            Visitor::Nobody { .. } => {
                let guest = self.hubs.seat(proven).await?;
                self.hubs.arrived(self.begun, &self.channel, &guest);
                self.visitor = Visitor::Device(Box::new(guest));
                Ok(())
            }
            Visitor::Device(guest) if guest.is(&proven) => {
                guest.renew(&proven);
                Ok(())
            }
            Visitor::Device(_) | Visitor::Service { .. } => {
                Err(Turned::Away("the connection is somebody else's already".to_owned()))
            }
        }
    }

    /// A service shows a token of the policy for that host.
    fn serve(&mut self, host: &str, token: &str) -> Result<(), Turned> {
        let hub =
            self.hubs.hub(host).ok_or_else(|| Turned::Away("no hub of this server is named".to_owned()))?;
        let names = [hub.name.as_str(); 2];
        let until = access::service(Some(token), names, "", &self.hubs.key, self.hubs.clock.now());
        let expires = self.hubs.monotonic_expiry(until.map_err(Turned::Away)?);
        match &mut self.visitor {
            Visitor::Device(_) => Err(Turned::Away("the connection is a device's already".to_owned())),
            visitor => {
                *visitor = Visitor::Service { hub: Arc::clone(hub), expires };
                Ok(())
            }
        }
    }

    async fn attach(&mut self, link: LinkId, attach: &Attach) -> Result<(), End> {
        let address = attach.address().unwrap_or_default();
        let (device_id, endpoint) = match HubAddress::parse(address) {
            Ok(HubAddress::Cbs) => return self.accept(link, attach, Purpose::Tokens),
            Ok(HubAddress::CloudToDevice) => {
                if let Visitor::Service { .. } = self.visitor {
                    return self.accept(link, attach, Purpose::CloudToDevice);
                }
                let why = "the address is for services, and no token of the policy was shown";
                let claimed = Claimed::words(Some(address));
                return self.turned_away(link, claimed, Turned::Away(why.to_owned()));
            }
            Ok(HubAddress::Device { device_id, module_id: None, endpoint }) => (device_id, endpoint),
            Ok(HubAddress::Device { device_id, module_id, .. }) => {
                return self.refuse_module(link, address, &device_id, module_id.as_deref());
            }
            Err(error) => {
                return self.refuse(link, &HubFailure::new(HubErrorCode::RouteNotFound, error.to_string()));
            }
        };
        if let Visitor::Nobody { .. } = self.visitor {
            // Without a token there is the certificate.
            let leaf = self.channel.tls.chain.first().map(Vec::as_slice);
            let proven = self.hubs.prove(&self.hub, &device_id, &Shown { password: None, leaf }).await;
            if let Err(turned) = self.welcome(proven).await {
                let hub = Arc::clone(&self.hub);
                let claimed = Claimed::device(address, &hub, &device_id, None);
                return self.turned_away(link, claimed, turned);
            }
        }
        match self.visitor.guest() {
            Some(guest) if guest.id.as_str() == device_id => self.accept(link, attach, endpoint.into()),
            _ => self.refuse(link, &HubFailure::unauthorized()),
        }
    }

    fn accept(&mut self, link: LinkId, attach: &Attach, purpose: Purpose) -> Result<(), End> {
        if !purpose.goes(attach.role) {
            let why = "Nothing goes that way on this address.";
            return self.refuse(link, &HubFailure::argument(why));
        }
        if let Some(older) = self.links.put(link, purpose, attach.role) {
            let stolen = AmqpError::new("amqp:link:stolen", "A newer link took its place.");
            self.line.connection.detach_link(older, Some(stolen))?;
        }
        self.line.connection.accept_link(link)?;
        if let Some(guest) = self.visitor.guest() {
            guest.active();
            guest.ready();
        }
        Ok(())
    }

    fn refuse(&mut self, link: LinkId, failure: &HubFailure) -> Result<(), End> {
        let said = encode::failure(failure, TrackingId::fresh(), self.hubs.clock.now());
        Ok(self.line.connection.refuse_link(link, said)?)
    }

    /// A module's link. Recorded once a connection, which may try again.
    fn refuse_module(
        &mut self,
        link: LinkId,
        address: &str,
        device_id: &str,
        module_id: Option<&str>,
    ) -> Result<(), End> {
        if !std::mem::replace(&mut self.module_refused, true) {
            let claimed = Claimed::device(address, &self.hub, device_id, module_id);
            let why = "modules are not served by the development hub";
            self.hubs.refused(self.begun, &self.channel, TrackingId::fresh(), claimed, why);
        }
        self.refuse(link, &HubFailure::argument("Modules are not served by the development hub."))
    }

    /// Nobody who may connect: told at the link, then the connection closes, under one tracking id.
    fn turned_away(&mut self, link: LinkId, claimed: Claimed<'_>, turned: Turned) -> Result<(), End> {
        let tracking_id = TrackingId::fresh();
        let (failure, why) = match turned {
            Turned::Away(why) => (HubFailure::unauthorized(), why),
            Turned::Back(failure) => (failure.clone(), failure.to_string()),
        };
        self.hubs.refused(self.begun, &self.channel, tracking_id, claimed, &why);
        let said = encode::failure(&failure, tracking_id, self.hubs.clock.now());
        self.line.connection.refuse_link(link, said.clone())?;
        self.line.close(Some(said));
        Err(End::Refused)
    }

    /// Nobody has shown a token or a certificate in time.
    fn nobody(&mut self) -> End {
        let why = format!("no device has proven who it is within {CONNECT_TIMEOUT} seconds");
        let id = TrackingId::fresh();
        self.hubs.refused(self.begun, &self.channel, id, Claimed::default(), &why);
        let said = encode::failure(&HubFailure::unauthorized(), id, self.hubs.clock.now());
        self.line.close(Some(said));
        End::Refused
    }
}

impl From<HubEndpoint> for Purpose {
    fn from(endpoint: HubEndpoint) -> Self {
        match endpoint {
            HubEndpoint::Events => Self::Events,
            HubEndpoint::DeviceBound => Self::DeviceBound,
            HubEndpoint::Twin => Self::Twin,
            HubEndpoint::Methods => Self::Methods,
        }
    }
}

//! What travels on the links: tokens, telemetry, twins, methods, messages to devices. Owns which answer goes on which
//! link; must not know how a connection begins or ends.

use dps_model::limits::MAX_DEVICEBOUND;
use dps_model::{DeviceId, TrackingId};
use dps_wire::amqp::connection::{DeliveryId, LinkId, SendError};
use dps_wire::amqp::message::Message;
use dps_wire::amqp::performative::AmqpError;

use super::decode::{self, Content, PutToken, TwinRequest};
use super::links::Purpose;
use super::visitor::Visitor;
use super::{Conversation, encode};
use crate::access::Shown;
use crate::end::End;
use crate::failure::HubFailure;
use crate::guest::Turned;
use crate::presence::Command;
use crate::record::Claimed;

/// What a message comes to: an answer on another link perhaps, or its rejection.
pub(super) type Taken = Result<Option<(LinkId, Message)>, AmqpError>;

impl Conversation<'_> {
    /// A message on one of the links.
    pub(super) async fn delivery(&mut self, link: LinkId, message: &Message) -> Taken {
        match self.links.purpose(link) {
            Some(Purpose::Tokens) => self.token(message).await,
            Some(Purpose::Events) => self.telemetry(message),
            Some(Purpose::Twin) => self.twin(message).await,
            Some(Purpose::Methods) => self.method_answer(message),
            Some(Purpose::CloudToDevice) => self.cloud_to_device(message).await,
            Some(Purpose::DeviceBound) | None => Err(encode::rejection("Nothing is taken on this link.")),
        }
    }

    /// The verdict, then the answer.
    pub(super) fn judge(&mut self, id: DeliveryId, settled: bool, taken: Taken) -> Result<(), End> {
        let (judged, answer) = match taken {
            Ok(answer) => (if settled { Ok(()) } else { self.line.connection.accept(id) }, answer),
            Err(_) if settled => return Ok(()),
            Err(why) => (self.line.connection.reject(id, why), None),
        };
        match judged {
            // The link went away meanwhile.
            Err(SendError::NoDelivery) => {}
            judged => judged?,
        }
        answer.map_or(Ok(()), |(link, message)| self.send(link, &message))
    }

    /// `put-token`: the answer goes on the other link of `$cbs`.
    async fn token(&mut self, message: &Message) -> Taken {
        let Some(link) = self.links.to_peer(Purpose::Tokens) else {
            return Err(encode::rejection("Attach a receiver to $cbs first: the answer goes there."));
        };
        let PutToken { audience, host, device_id, token } =
            decode::put_token(message).map_err(encode::rejection)?;
        let shown = Shown { password: Some(token), leaf: None };
        let welcome = match (self.hubs.hub(&host), &device_id) {
            (Some(hub), Some(device_id)) => {
                let proven = self.hubs.prove(hub, device_id, &shown).await;
                self.welcome(proven).await
            }
            (_, _) => self.serve(&host, token),
        };
        let (status, said) = match welcome {
            Ok(()) => (200, "OK".to_owned()),
            Err(turned) => {
                self.tokens_refused += 1;
                let id = TrackingId::fresh();
                let (failure, why) = match turned {
                    Turned::Away(why) => (HubFailure::unauthorized(), why),
                    Turned::Back(failure) => (failure.clone(), failure.to_string()),
                };
                let claimed = match (self.hubs.hub(&host), &device_id) {
                    (Some(hub), Some(device_id)) => Claimed::device(&audience, hub, device_id, None),
                    _ => Claimed::words(Some(&audience)),
                };
                self.hubs.refused(self.begun, &self.channel, id, claimed, &why);
                (failure.code.status(), format!("{failure} Tracking ID:{id}"))
            }
        };
        Ok(Some((link, encode::token_answer(message, status, said))))
    }

    fn telemetry(&mut self, message: &Message) -> Taken {
        let Content { properties, payload } = decode::content(message).map_err(encode::rejection)?;
        if let Some(guest) = self.visitor.guest() {
            guest.active();
            guest.telemetry(properties, payload);
        }
        Ok(None)
    }

    /// A service's message to the device that `to` names.
    async fn cloud_to_device(&mut self, message: &Message) -> Taken {
        let Visitor::Service { hub, .. } = &self.visitor else {
            return Err(encode::rejection("Only a service sends to devices."));
        };
        let device_id = decode::recipient(message).map_err(encode::rejection)?;
        let content = decode::content(message).map_err(encode::rejection)?;
        let size = content.size();
        let Content { properties, payload } = content;
        let sent = if size > MAX_DEVICEBOUND {
            Err(HubFailure::argument(format!("A message to a device has at most {MAX_DEVICEBOUND} bytes.")))
        } else {
            match DeviceId::parse(&device_id) {
                Ok(id) => match hub.registry.device(&id).await {
                    Ok(_) => hub.presence.device_bound(&id, properties, payload).await,
                    Err(failure) => Err(failure),
                },
                Err(error) => Err(HubFailure::argument(error.to_string())),
            }
        };
        sent.map(|()| None)
            .map_err(|failure| encode::failure(&failure, TrackingId::fresh(), self.hubs.clock.now()))
    }

    async fn twin(&mut self, message: &Message) -> Taken {
        let Some(guest) = self.visitor.guest() else { return Err(encode::rejection("Nobody is here.")) };
        let (Some(link), Some(correlation_id)) =
            (self.links.to_peer(Purpose::Twin), message.correlation_id())
        else {
            let why =
                "A twin request has a correlation-id, and a receiver on the twin's address for its answer.";
            return Err(encode::rejection(why));
        };
        guest.active();
        let answer = match decode::twin(message) {
            TwinRequest::Get => guest.twin().await,
            TwinRequest::Report(patch) => guest.report(&patch).await,
            TwinRequest::Observe(observes) => {
                self.observes = observes;
                guest.twin_done()
            }
            TwinRequest::Unknown(why) => guest.twin_failure(HubFailure::argument(why)),
        };
        Ok(Some((link, encode::twin_answer(correlation_id, answer))))
    }

    fn method_answer(&mut self, message: &Message) -> Taken {
        let (number, answer) = decode::method_answer(message).map_err(encode::rejection)?;
        if let Some(guest) = self.visitor.guest_mut() {
            guest.called(number, answer);
        }
        Ok(None)
    }

    /// A device that grants no credit for what it asked for loses its connection; it comes back and reads what it
    /// missed.
    pub(super) fn command(&mut self, command: Command) -> Result<(), End> {
        match command {
            Command::Desired { version, told } => {
                let link = self.links.to_peer(Purpose::Twin).filter(|_| self.observes);
                link.map_or(Ok(()), |link| self.send(link, &encode::desired(version, &told)))
            }
            Command::Method { name, payload, answer } => {
                let Some(link) = self.links.to_peer(Purpose::Methods) else { return Ok(()) };
                let Some(number) = self.visitor.guest_mut().and_then(|guest| guest.call(answer)) else {
                    return Ok(());
                };
                if !self.deliver(link, &encode::method(name, number, payload))?
                    && let Some(guest) = self.visitor.guest_mut()
                {
                    guest.call_failed(number);
                }
                Ok(())
            }
            // Its sender has been told that it was not taken in time.
            Command::DeviceBound { answer, .. } if answer.is_closed() => Ok(()),
            Command::DeviceBound { properties, payload, answer } => {
                let delivered = match self.links.to_peer(Purpose::DeviceBound) {
                    Some(link) => self.deliver(link, &encode::device_bound(properties, payload))?,
                    None => false,
                };
                answer.send(delivered).ok();
                Ok(())
            }
        }
    }

    /// True when it is on its way, false when it is larger than the device takes: no fault of the device.
    fn deliver(&mut self, link: LinkId, message: &Message) -> Result<bool, End> {
        match self.line.connection.send(link, message, false) {
            Ok(_) => Ok(true),
            Err(SendError::TooLarge { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn send(&mut self, link: LinkId, message: &Message) -> Result<(), End> {
        Ok(self.line.connection.send(link, message, false).map(drop)?)
    }
}

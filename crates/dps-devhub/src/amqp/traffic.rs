//! What travels on the links: tokens, telemetry, twins, methods, messages to devices. Owns which answer goes on which
//! link; must not know how a connection begins or ends.

use dps_model::limits::{MAX_DEVICEBOUND, MAX_TOKENS_REFUSED};
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

impl Conversation<'_> {
    /// A message on one of the links; an inner error is its rejection.
    pub(super) async fn delivery(
        &mut self,
        id: DeliveryId,
        message: &Message,
    ) -> Result<Result<(), AmqpError>, End> {
        match self.links.purpose(id.link()) {
            Some(Purpose::Tokens) => self.token(message).await,
            Some(Purpose::Events) => Ok(self.telemetry(message)),
            Some(Purpose::Twin) => self.twin(message).await,
            Some(Purpose::Methods) => Ok(self.method_answer(message)),
            Some(Purpose::CloudToDevice) => Ok(self.cloud_to_device(message).await),
            Some(Purpose::DeviceBound) | None => Ok(Err(encode::rejection("Nothing is taken on this link."))),
        }
    }

    pub(super) fn judge(
        &mut self,
        id: DeliveryId,
        settled: bool,
        taken: Result<(), AmqpError>,
    ) -> Result<(), End> {
        if settled {
            return Ok(());
        }
        let judged = match taken {
            Ok(()) => self.line.connection.accept(id),
            Err(why) => self.line.connection.reject(id, why),
        };
        match judged {
            // The link went away meanwhile.
            Err(SendError::NoDelivery) => Ok(()),
            judged => Ok(judged?),
        }
    }

    /// `put-token`: the answer goes on the other link of `$cbs`.
    async fn token(&mut self, message: &Message) -> Result<Result<(), AmqpError>, End> {
        let Some(link) = self.links.to_peer(Purpose::Tokens) else {
            return Ok(Err(encode::rejection("Attach a receiver to $cbs first: the answer goes there.")));
        };
        let PutToken { audience, host, device_id, token } = match decode::put_token(message) {
            Ok(asked) => asked,
            Err(why) => return Ok(Err(encode::rejection(why))),
        };
        let shown = Shown { password: Some(token), leaf: None };
        let welcome = match (self.hubs.hub(&host), device_id) {
            (Some(hub), Some(device_id)) => {
                let proven = self.hubs.prove(hub, &device_id, &shown).await;
                self.welcome(proven).await
            }
            (_, _) => self.serve(&host, token),
        };
        let (status, said) = match welcome {
            Ok(()) => (200, "OK".to_owned()),
            Err(turned) => {
                self.tokens_refused += 1;
                if self.tokens_refused > MAX_TOKENS_REFUSED {
                    return Err(End::Broke("too many tokens were refused".to_owned()));
                }
                let id = TrackingId::fresh();
                let (failure, why) = match turned {
                    Turned::Away(why) => (HubFailure::unauthorized(), why),
                    Turned::Back(failure) => (failure.clone(), failure.to_string()),
                };
                self.hubs.refused(self.begun, &self.channel, id, Some(&audience), &why);
                (failure.code.status(), format!("{failure} Tracking ID:{id}"))
            }
        };
        self.send(link, &encode::token_answer(message, status, said))?;
        Ok(Ok(()))
    }

    fn telemetry(&mut self, message: &Message) -> Result<(), AmqpError> {
        let Content { properties, payload } = decode::content(message).map_err(encode::rejection)?;
        if let Some(guest) = self.visitor.guest() {
            guest.active();
            guest.telemetry(properties, payload);
        }
        Ok(())
    }

    /// A service's message to the device that `to` names.
    async fn cloud_to_device(&mut self, message: &Message) -> Result<(), AmqpError> {
        let Visitor::Service { hub, .. } = &self.visitor else {
            return Err(encode::rejection("Only a service sends to devices."));
        };
        let device_id = decode::recipient(message).map_err(encode::rejection)?;
        let Content { properties, payload } = decode::content(message).map_err(encode::rejection)?;
        let sent = if payload.len() > MAX_DEVICEBOUND {
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
        sent.map_err(|failure| encode::failure(&failure, TrackingId::fresh(), self.hubs.clock.now()))
    }

    async fn twin(&mut self, message: &Message) -> Result<Result<(), AmqpError>, End> {
        let Some(guest) = self.visitor.guest() else { return Ok(Err(encode::rejection("Nobody is here."))) };
        let (Some(link), Some(correlation_id)) =
            (self.links.to_peer(Purpose::Twin), message.correlation_id())
        else {
            let why =
                "A twin request has a correlation-id, and a receiver on the twin's address for its answer.";
            return Ok(Err(encode::rejection(why)));
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
        self.send(link, &encode::twin_answer(correlation_id, answer))?;
        Ok(Ok(()))
    }

    fn method_answer(&mut self, message: &Message) -> Result<(), AmqpError> {
        let (number, answer) = decode::method_answer(message).map_err(encode::rejection)?;
        if let Some(guest) = self.visitor.guest_mut() {
            guest.called(number, answer);
        }
        Ok(())
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
                self.send(link, &encode::method(name, number, payload))
            }
            Command::DeviceBound { properties, payload, answer } => {
                let link = self.links.to_peer(Purpose::DeviceBound);
                let sent = link.map(|link| self.send(link, &encode::device_bound(properties, payload)));
                answer.send(matches!(sent, Some(Ok(())))).ok();
                sent.unwrap_or(Ok(()))
            }
        }
    }

    fn send(&mut self, link: LinkId, message: &Message) -> Result<(), End> {
        Ok(self.line.connection.send(link, message, false).map(drop)?)
    }
}

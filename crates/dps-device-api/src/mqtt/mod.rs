//! MQTT 3.1.1: one conversation from CONNECT to its end. The engine is `dps_wire`'s; here its events meet the core.
//! Owns the order of reading, answering and waiting; must not know packets' bytes nor what the core does.
//!
//! Requests are answered one after the other: while one is with the core nothing is read, so a client that pipelines
//! waits in its own buffers. A connection that waits holds no buffer of ours.

mod decode;
mod encode;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use dps_model::{Channel, TrackingId, limits};
use dps_wire::mqtt::codec::{Decoder, Role};
use dps_wire::mqtt::packet::{Connect, ConnectReturnCode, Packet, Publish};
use dps_wire::mqtt::session::{Event, SendError, Session};
use dps_wire::mqtt::topic::dps::SUBSCRIBE_FILTER;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;
use zeroize::Zeroize;

use self::decode::{Device, Refusal};
use self::encode::Answer;
use crate::api::DeviceApi;
use crate::foreign::{ForeignFront, MqttConnection, Stream};
use crate::listener::{self, Accepted, Shutdown};
use crate::read::read;
use crate::refused::{Claims, Ended, Over};
use crate::reject;

fn refused(reason: impl std::fmt::Display) -> Over {
    Over::Refused(Ended::at("protocol", reason.to_string()))
}

/// Serves one connection to its end.
pub(crate) async fn serve(api: Arc<DeviceApi>, accepted: Accepted) {
    let Accepted { mut stream, channel, opened, mut shutdown, .. } = accepted;
    let mut input = BytesMut::new();
    let greeting = tokio::select! {
        biased;
        () = listener::requested(&mut shutdown) => return,
        greeting = greeting(&api, &mut stream, &mut input) => greeting,
    };
    let over = match greeting {
        Err(over) => {
            let _ = stream.shutdown().await;
            over
        }
        Ok(Some((connect, rest))) => match claimant(&api, &connect) {
            Some(front) => {
                input.as_mut().zeroize();
                let front = Arc::clone(front);
                let connection = MqttConnection { channel, stream, buffered: rest, connect: *connect };
                return hand_over(&*front, connection, shutdown).await;
            }
            None => Box::pin(converse(&api, stream, &channel, input, shutdown)).await,
        },
        Ok(None) => Box::pin(converse(&api, stream, &channel, input, shutdown)).await,
    };
    if let Over::Refused(ended) = over {
        api.refused.connection(opened, channel.protocol, channel.peer, ended);
    }
}

/// The neighbour whose user name this is.
fn claimant<'a>(api: &'a DeviceApi, connect: &Connect) -> Option<&'a Arc<dyn ForeignFront>> {
    let user_name = connect.user_name.as_deref()?;
    api.fronts.devices.iter().find(|front| front.claims_mqtt(user_name))
}

/// A neighbour's connection ends with the server: its device connects again.
async fn hand_over(front: &dyn ForeignFront, connection: MqttConnection, mut shutdown: Shutdown) {
    tokio::select! {
        biased;
        () = listener::requested(&mut shutdown) => {}
        () = front.mqtt(connection) => {}
    }
}

/// Reads until CONNECT is whole, and leaves its bytes in `input`. Gives CONNECT and what came behind it; `None` when
/// the bytes are none, which the session then says in its words.
async fn greeting(
    api: &DeviceApi,
    stream: &mut Box<dyn Stream>,
    input: &mut BytesMut,
) -> Result<Option<(Box<Connect>, BytesMut)>, Over> {
    let read = async {
        loop {
            if read(stream, |chunk| input.extend_from_slice(chunk)).await? == 0 {
                return Err(Over::Quietly);
            }
            let mut rest = input.clone();
            match Decoder::new(Role::Server, api.session_limits.codec).decode(&mut rest) {
                Ok(None) => {}
                Ok(Some(Packet::Connect(connect))) => return Ok(Some((connect, rest))),
                Ok(Some(_)) | Err(_) => return Ok(None),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(limits::CONNECT_TIMEOUT), read).await.unwrap_or_else(|_| {
        let reason = format!("no MQTT CONNECT came within {} seconds", limits::CONNECT_TIMEOUT);
        Err(Over::Refused(Ended::at("connect", reason)))
    })
}

/// A conversation with the device API.
struct Conversation<'a> {
    api: &'a DeviceApi,
    channel: &'a Arc<Channel>,
    session: Session,
    device: Option<Box<Device>>,
    begun: Instant,
}

async fn converse(
    api: &DeviceApi,
    mut stream: Box<dyn Stream>,
    channel: &Arc<Channel>,
    mut input: BytesMut,
    mut shutdown: Shutdown,
) -> Over {
    let session = Session::new(Arc::clone(&api.session_limits), 0);
    let mut conversation = Conversation { api, channel, session, device: None, begun: Instant::now() };
    conversation.session.receive(&input);
    input.as_mut().zeroize();
    drop(input);
    let over = conversation.lead(&mut stream, &mut shutdown).await;
    // The last words, a CONNACK perhaps, are worth a try; then TLS is closed in good order.
    let _ = flush(&mut conversation.session, &mut stream).await;
    let _ = stream.shutdown().await;
    over.of(|| conversation.claimed())
}

/// Writes what the session has to say.
async fn flush(session: &mut Session, stream: &mut Box<dyn Stream>) -> io::Result<()> {
    if session.has_output() {
        let output = session.take_output();
        stream.write_all(&output).await?;
        stream.flush().await?;
    }
    Ok(())
}

impl Conversation<'_> {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Reads and answers until there is nothing more to answer.
    async fn lead(&mut self, stream: &mut Box<dyn Stream>, shutdown: &mut Shutdown) -> Over {
        loop {
            if let Err(over) = self.answer_all(stream).await {
                return over;
            }
            let silence = self.silence();
            let session = &mut self.session;
            let came = tokio::select! {
                biased;
                () = listener::requested(shutdown) => None,
                came = read(stream, |chunk| session.receive(chunk)) => Some(came),
                () = silence => None,
            };
            match came {
                Some(Ok(1..)) => {}
                Some(Err(error)) => return error.into(),
                // The end of the stream or of its time: MQTT has no word for it (§3.1.2.10).
                Some(Ok(0)) | None => return Over::Quietly,
            }
        }
    }

    /// Ends when the peer has been silent for longer than it promised. One that promised nothing may be silent for
    /// ever (§3.1.2.10): TCP finds out whether it is there.
    fn silence(&self) -> impl Future<Output = ()> + use<> {
        let deadline = self.session.deadline().map(|ms| self.begun + Duration::from_millis(ms));
        async move {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        }
    }

    fn claimed(&self) -> Option<String> {
        let claims = self.device.as_ref()?.claims();
        Some(format!("{}/registrations/{}", claims.id_scope, claims.registration_id))
    }

    /// Answers all that was received; each answer is on its way before the next request is looked at.
    async fn answer_all(&mut self, stream: &mut Box<dyn Stream>) -> Result<(), Over> {
        loop {
            let now_ms = self.now_ms();
            let event = self.session.poll(now_ms).map_err(refused)?;
            let Some(event) = event else { return Ok(flush(&mut self.session, stream).await?) };
            self.answer(event).await?;
            flush(&mut self.session, stream).await?;
        }
    }

    async fn answer(&mut self, event: Event) -> Result<(), Over> {
        match event {
            Event::Connect(connect) => self.admit(&connect),
            Event::UnsupportedProtocol(protocol) => Err(Over::Refused(Ended::at(
                "connect",
                format!("{protocol} is asked for, and MQTT 3.1.1 is spoken: CONNACK 1"),
            ))),
            // Other filters are refused in SUBACK: the client learns it, and the connection serves on.
            Event::Subscribe(subscribe) => self
                .session
                .grant(&subscribe, |wanted| wanted.filter == SUBSCRIBE_FILTER)
                .map(drop)
                .map_err(refused),
            Event::Publish(publish) => Box::pin(self.request(publish)).await,
            Event::Unsubscribed(_) | Event::Delivered(_) => Ok(()),
            Event::Disconnected => Err(Over::Quietly),
        }
    }

    fn admit(&mut self, connect: &Connect) -> Result<(), Over> {
        match decode::connect(connect, self.channel, |scope| self.api.core.knows_scope(scope)) {
            Ok(device) => {
                self.device = Some(Box::new(device));
                let now_ms = self.now_ms();
                self.session.accept(now_ms).map_err(refused)
            }
            Err(error) => {
                let code = reject::connack(error.code).unwrap_or(ConnectReturnCode::NotAuthorized);
                self.session.refuse(code).map_err(refused)?;
                let reason = format!("CONNACK {}: {}", code as u8, error.cause.unwrap_or(error.message));
                let claimed = connect.user_name.clone();
                Err(Over::Refused(Ended { claimed, ..Ended::at("connect", reason) }))
            }
        }
    }

    /// One request: PUBACK, then the response.
    async fn request(&mut self, publish: Publish) -> Result<(), Over> {
        let Some(device) = &self.device else { return Err(refused("PUBLISH came before CONNECT")) };
        if self.session.granted(&format!("{}x", SUBSCRIBE_FILTER.trim_end_matches('#'))).is_none() {
            return Err(refused(SendError::NotSubscribed));
        }
        let tracking_id = TrackingId::fresh();
        let opened = self.api.refused.open();
        let answer = match decode::decode(device, self.channel, &publish, tracking_id) {
            Ok((rid, request)) => match self.api.core.serve(request).await {
                Ok(response) => {
                    encode::encode(&response, &rid).or_else(|error| self.reject(&error, tracking_id, &rid))
                }
                Err(error) => self.reject(&error, tracking_id, &rid),
            },
            Err(Refusal::Answer { rid, operation, error }) => {
                let claims = Claims { operation, ..device.claims() };
                self.api.refused.request(opened, self.channel, tracking_id, claims).refuse(&error);
                self.reject(&error, tracking_id, &rid)
            }
            Err(Refusal::Close(reason)) => return Err(refused(reason)),
        };
        let Answer { topic, payload } = answer.map_err(refused)?;
        self.session.respond(publish.delivery, topic, payload).map(drop).map_err(refused)
    }

    fn reject(
        &self,
        error: &dps_model::Error,
        tracking_id: TrackingId,
        rid: &str,
    ) -> Result<Answer, dps_model::Error> {
        encode::refusal(reject::mqtt(error, tracking_id, self.api.clock.now()), rid)
    }
}

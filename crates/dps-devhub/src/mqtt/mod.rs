//! Devices over MQTT: who may connect, and the record of who may not. `connection` has the conversation.
//! Must not know topics (dps-wire has them) or how the registry stores.

mod connection;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::BytesMut;
use dps_core::ports::Clock;
use dps_device_api::foreign::{ForeignFront, MqttConnection};
use dps_events::{ConnectionRecord, Event};
use dps_model::limits::{
    CONNECT_TIMEOUT, MAX_EVENT_TEXT, MAX_HUB_PACKET, MAX_MQTT_IN_FLIGHT, MAX_SUBSCRIPTIONS,
};
use dps_model::{Channel, DeviceId, Timestamp, TrackingId};
use dps_wire::mqtt::codec::{Limits, encode};
use dps_wire::mqtt::packet::{Connect, ConnectReturnCode, Packet};
use dps_wire::mqtt::session::{Event as SessionEvent, Session, SessionLimits};
use dps_wire::mqtt::topic::hub::UserName;
use zeroize::Zeroize;

use self::connection::{Connection, End, Line};
use crate::access::{self, Admitted, Shown};
use crate::registry::Authentication;
use crate::{DevHub, DevHubs};

/// A CONNECT that was refused: the answer, and why, for the operator.
struct Refusal {
    code: ConnectReturnCode,
    why: String,
}

impl Refusal {
    fn unauthorized(why: impl Into<String>) -> Self {
        Self { code: ConnectReturnCode::NotAuthorized, why: why.into() }
    }
}

/// A CONNECT that was accepted.
struct Welcome {
    hub: Arc<DevHub>,
    id: DeviceId,
    authentication: Authentication,
    admitted: Admitted,
    model_id: Option<String>,
}

/// When a unit of work began.
struct Begun {
    time: Timestamp,
    micros: u64,
}

#[async_trait]
impl ForeignFront for DevHubs {
    fn claims_mqtt(&self, username: &str) -> bool {
        username.split_once('/').is_some_and(|(host, _)| self.hub(host).is_some())
    }

    async fn mqtt(&self, connection: MqttConnection) {
        let begun = Begun { time: self.clock.now(), micros: self.clock.monotonic_micros() };
        let MqttConnection { channel, stream, buffered, connect } = connection;
        let claimed = connect.user_name.clone();
        let mut line = Line::new(stream, Arc::clone(&self.clock), begin(&connect, &*self.clock));
        // The session was given exactly one packet, so this event is it, or the refusal of its protocol.
        let Ok(Some(SessionEvent::Connect(connect))) = line.poll() else {
            line.flush().await.ok();
            self.record(&channel, &begun, claimed, "the CONNECT is not MQTT 3.1.1");
            return;
        };
        match self.judge(&channel, &connect).await {
            Ok(welcome) => {
                if let Some(refusal) = self.serve(&mut line, welcome, &buffered).await {
                    self.refuse(line, &channel, &begun, claimed, &refusal).await;
                }
            }
            Err(refusal) => self.refuse(line, &channel, &begun, claimed, &refusal).await,
        }
    }
}

/// A session to which the CONNECT, read by somebody else, is told again.
fn begin(connect: &Connect, clock: &dyn Clock) -> Session {
    let limits = SessionLimits {
        codec: Limits { max_packet: MAX_HUB_PACKET, max_connect: MAX_HUB_PACKET, ..Limits::default() },
        max_subscriptions: MAX_SUBSCRIPTIONS,
        max_in_flight: MAX_MQTT_IN_FLIGHT,
        connect_timeout_ms: CONNECT_TIMEOUT * 1000,
        ..SessionLimits::default()
    };
    let mut session = Session::new(Arc::new(limits), clock.monotonic_micros() / 1000);
    let mut bytes = BytesMut::new();
    if encode(&Packet::Connect(Box::new(connect.clone())), &mut bytes).is_ok() {
        session.receive(&bytes);
    }
    bytes.as_mut().zeroize();
    session
}

impl DevHubs {
    async fn judge(&self, channel: &Channel, connect: &Connect) -> Result<Welcome, Refusal> {
        let text = connect.user_name.as_deref().unwrap_or_default();
        let user = UserName::parse(text)
            .map_err(|error| Refusal::unauthorized(format!("the user name is not a hub's: {error}")))?;
        let hub = self.hub(&user.hub_host).ok_or_else(|| Refusal {
            code: ConnectReturnCode::ServerUnavailable,
            why: "the user name names no hub of this server".into(),
        })?;
        if user.module_id.is_some() {
            return Err(Refusal::unauthorized("modules are not served by the development hub"));
        }
        if connect.client_id != user.device_id {
            return Err(Refusal::unauthorized("the client id is not the device id of the user name"));
        }
        let id =
            DeviceId::parse(&user.device_id).map_err(|error| Refusal::unauthorized(error.to_string()))?;
        let device = hub
            .registry
            .get(&id)
            .await
            .map_err(|failure| Refusal {
                code: ConnectReturnCode::ServerUnavailable,
                why: failure.to_string(),
            })?
            .ok_or_else(|| Refusal::unauthorized("the hub has no such device"))?;
        let shown = Shown {
            password: connect.password.as_ref().map(|password| password.expose_str().unwrap_or("?")),
            leaf: channel.tls.chain.first().map(Vec::as_slice),
        };
        let admitted = access::device(&device, hub.name.as_str(), &self.key, &shown, self.clock.now())
            .map_err(Refusal::unauthorized)?;
        let authentication = device.authentication;
        Ok(Welcome { hub: Arc::clone(hub), id, authentication, admitted, model_id: user.model_id })
    }

    /// Answers a refusal, closes, records.
    async fn refuse(
        &self,
        mut line: Line,
        channel: &Channel,
        begun: &Begun,
        claimed: Option<String>,
        refusal: &Refusal,
    ) {
        line.session.refuse(refusal.code).ok();
        line.close().await;
        self.record(channel, begun, claimed, &refusal.why);
    }

    /// Serves a device to its end, unless its verdict turns out to be out of date.
    async fn serve(&self, line: &mut Line, welcome: Welcome, buffered: &[u8]) -> Option<Refusal> {
        let Welcome { hub, id, authentication, admitted, model_id } = welcome;
        let place = hub.presence.enter(&id);
        // The verdict may be out of date: only a change from here on reaches the place.
        let still = hub.registry.get(&id).await;
        if !still.is_ok_and(|device| {
            device.is_some_and(|device| device.is_enabled() && device.authentication == authentication)
        }) {
            return Some(Refusal::unauthorized("the identity changed while the device connected"));
        }
        if line.accept().await.is_err() {
            return None;
        }
        tracing::info!(hub = %hub.name, device = %id, "device connected to the development hub");
        self.hook.on_connection(&hub.name, &id, true);
        if let Some(model_id) = model_id.filter(|model| model.len() <= MAX_EVENT_TEXT)
            && let Err(failure) = hub.registry.follow_model(&id, &model_id).await
        {
            tracing::debug!(%failure, "the model id was not kept");
        }
        let expires = admitted.until.map(|until| self.monotonic_expiry(until));
        let mut connection = Connection::new(line, place, Arc::clone(&hub), id.clone(), expires, &self.hook);
        let end = connection.run(buffered).await;
        connection.close().await;
        self.hook.on_connection(&hub.name, &id, false);
        tracing::info!(hub = %hub.name, device = %id, reason = %end, "device left the development hub");
        None
    }

    /// The monotonic millisecond at which a token that is valid until then (Unix seconds) is no longer taken.
    fn monotonic_expiry(&self, until: i64) -> u64 {
        let left = until
            .saturating_add(dps_model::limits::SAS_CLOCK_SKEW)
            .saturating_mul(1000)
            .saturating_sub(self.clock.now().millis());
        (self.clock.monotonic_micros() / 1000).saturating_add(u64::try_from(left).unwrap_or(0))
    }

    /// The one record of a connection that was refused before it was a device's.
    fn record(&self, channel: &Channel, begun: &Begun, claimed: Option<String>, reason: &str) {
        self.sink.record(Event::Connection(Box::new(ConnectionRecord {
            tracking_id: TrackingId::fresh(),
            time: begun.time,
            micros: self.clock.monotonic_micros().saturating_sub(begun.micros),
            protocol: channel.protocol,
            peer: channel.peer,
            stage: "connect",
            reason: bounded(reason),
            claimed: claimed.map(|text| bounded(&text)),
        })));
    }
}

fn bounded(text: &str) -> String {
    text.char_indices().take_while(|(at, c)| at + c.len_utf8() <= MAX_EVENT_TEXT).map(|(_, c)| c).collect()
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Left => "it said goodbye",
            Self::Gone => "the connection ended",
            Self::Silent => "it was silent for too long",
            Self::Displaced => "another connection took its place, or its identity changed",
            Self::Expired => "its token expired",
            Self::Broke(why) => why,
        })
    }
}

//! Devices over MQTT: who may connect, and the record of who may not. `connection` has the conversation.
//! Must not know topics (dps-wire has them) or how the registry stores.

mod connection;

use std::sync::Arc;

use bytes::BytesMut;
use dps_core::ports::Clock;
use dps_device_api::foreign::MqttConnection;
use dps_model::limits::{
    CONNECT_TIMEOUT, MAX_EVENT_TEXT, MAX_HUB_PACKET, MAX_MQTT_IN_FLIGHT, MAX_SUBSCRIPTIONS,
};
use dps_model::{Channel, TrackingId};
use dps_wire::mqtt::codec::{Limits, encode};
use dps_wire::mqtt::packet::{Connect, ConnectReturnCode, Packet};
use dps_wire::mqtt::session::{Event as SessionEvent, Session, SessionLimits};
use dps_wire::mqtt::topic::hub::UserName;
use zeroize::Zeroize;

use self::connection::{Connection, Line};
use crate::DevHubs;
use crate::access::Shown;
use crate::guest::{Proven, Turned};
use crate::record::{Begun, Claimed};

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

impl From<Turned> for Refusal {
    fn from(turned: Turned) -> Self {
        match turned {
            Turned::Away(why) => Self::unauthorized(why),
            Turned::Back(failure) => {
                Self { code: ConnectReturnCode::ServerUnavailable, why: failure.to_string() }
            }
        }
    }
}

/// A CONNECT that was accepted.
struct Welcome {
    proven: Proven,
    model_id: Option<String>,
}

impl DevHubs {
    /// Serves a connection whose CONNECT names one of these hubs to its end.
    pub(crate) async fn serve_mqtt(&self, connection: MqttConnection) {
        let begun = self.begin();
        let MqttConnection { channel, stream, buffered, connect } = connection;
        let claimed = connect.user_name.clone();
        let mut line = Line::new(stream, Arc::clone(&self.clock), begin(&connect, &*self.clock));
        // The session was given exactly one packet, so this event is it, or the refusal of its protocol.
        let Ok(Some(SessionEvent::Connect(connect))) = line.poll() else {
            line.flush().await.ok();
            self.record(&channel, begun, claimed.as_deref(), "the CONNECT is not MQTT 3.1.1");
            return;
        };
        match self.judge(&channel, &connect).await {
            Ok(welcome) => {
                if let Some(refusal) = self.serve(&mut line, &channel, begun, welcome, &buffered).await {
                    self.refuse(line, &channel, begun, claimed.as_deref(), &refusal).await;
                }
            }
            Err(refusal) => self.refuse(line, &channel, begun, claimed.as_deref(), &refusal).await,
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
        let shown = Shown {
            password: connect.password.as_ref().map(|password| password.expose_str().unwrap_or("?")),
            leaf: channel.tls.chain.first().map(Vec::as_slice),
        };
        let proven = self.prove(hub, &user.device_id, &shown).await?;
        Ok(Welcome { proven, model_id: user.model_id })
    }

    /// Answers a refusal, closes, records.
    async fn refuse(
        &self,
        mut line: Line,
        channel: &Channel,
        begun: Begun,
        claimed: Option<&str>,
        refusal: &Refusal,
    ) {
        line.session.refuse(refusal.code).ok();
        line.close().await;
        self.record(channel, begun, claimed, &refusal.why);
    }

    /// Serves a device to its end, unless its verdict turns out to be out of date.
    async fn serve(
        &self,
        line: &mut Line,
        channel: &Channel,
        begun: Begun,
        welcome: Welcome,
        buffered: &[u8],
    ) -> Option<Refusal> {
        let Welcome { proven, model_id } = welcome;
        let guest = match self.seat(proven).await {
            Ok(guest) => guest,
            Err(turned) => return Some(turned.into()),
        };
        if line.accept().await.is_err() {
            return None;
        }
        self.arrived(begun, channel, &guest);
        if let Some(model_id) = model_id.filter(|model| model.len() <= MAX_EVENT_TEXT)
            && let Err(failure) = guest.hub.registry.follow_model(&guest.id, &model_id).await
        {
            tracing::debug!(%failure, "the model id was not kept");
        }
        let mut connection = Connection::new(line, guest);
        let end = connection.run(buffered).await;
        connection.close(&end).await;
        None
    }

    fn record(&self, channel: &Channel, begun: Begun, claimed: Option<&str>, reason: &str) {
        let user = claimed.and_then(|text| UserName::parse(text).ok());
        let named = claimed
            .zip(user)
            .and_then(|(text, user)| Some((text, self.hub(&user.hub_host)?, user)))
            .map(|(text, hub, user)| Claimed::device(text, hub, &user.device_id, user.module_id.as_deref()));
        let claimed = named.unwrap_or_else(|| Claimed::words(claimed));
        self.refused(begun, channel, TrackingId::fresh(), claimed, reason);
    }
}

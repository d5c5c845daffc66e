//! Stands before the development hubs on the shared ports, and lets rules strike the connections of devices and the calls
//! of services.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dps_access::without_port;
use dps_core::ports::Clock;
use dps_devhub::DevHubs;
use dps_device_api::foreign::{AmqpClaim, AmqpConnection, Body, ForeignFront, HttpFront, MqttConnection};
use dps_events::{ConnectionRecord, Event, EventSink};
use dps_model::{Channel, TrackingId};
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};

use super::Faults;
use super::book::{Occasion, Strike};
use super::rule::{Fault, Point};
use super::wires::Fate;

/// Development hubs that may be struck.
pub struct FaultyHubFront {
    /// The hubs.
    pub hubs: Arc<DevHubs>,
    /// What strikes.
    pub faults: Faults,
    /// Where events go.
    pub sink: Arc<dyn EventSink>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// Who connects to which hub, as far as it is known.
struct Visit<'a> {
    channel: &'a Arc<Channel>,
    hub: Option<&'a str>,
    device: Option<&'a str>,
}

impl FaultyHubFront {
    /// May the connection be served? One that is to fare badly later is served until then.
    async fn admit(&self, visit: &Visit<'_>) -> bool {
        let first = || self.hubs.names().next().map(dps_model::HubName::as_str);
        let hub = visit.hub.map(without_port).or_else(first);
        let protocol = Some(visit.channel.protocol);
        let point = Point::HubConnection;
        let occasion = Occasion { point, device: visit.device, hub, protocol, id_scope: None };
        let Some(strike) = self.faults.book.strike(&occasion) else { return true };
        self.record(visit, &strike);
        match strike.fault {
            Fault::Delay { milliseconds } => {
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                true
            }
            Fault::Disconnect { milliseconds, .. } => self.later(visit.channel, milliseconds, Fate::Cut),
            Fault::Drop { milliseconds, .. } => self.later(visit.channel, milliseconds, Fate::Dumb),
            _ => {
                self.faults.wires.set(visit.channel, Fate::Cut);
                false
            }
        }
    }

    /// Gives the connection its fate then; until then all is well.
    fn later(&self, channel: &Arc<Channel>, milliseconds: u64, fate: Fate) -> bool {
        let Some(wire) = self.faults.wires.of(channel) else { return true };
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            wire.set(fate);
        });
        true
    }

    fn record(&self, visit: &Visit<'_>, strike: &Strike) {
        let hub = visit.hub.unwrap_or_default();
        self.sink.record(Event::Connection(Box::new(ConnectionRecord {
            tracking_id: TrackingId::fresh(),
            time: self.clock.now(),
            micros: 0,
            protocol: visit.channel.protocol,
            peer: visit.channel.peer,
            stage: "fault",
            reason: strike.reason(),
            causes: Vec::new(),
            claimed: visit.device.map(|device| format!("{hub}/devices/{device}")),
            hub_device: None,
            handshake: None,
        })));
    }
}

#[async_trait]
impl ForeignFront for FaultyHubFront {
    fn claims_mqtt(&self, username: &str) -> bool {
        self.hubs.claims_mqtt(username)
    }

    async fn mqtt(&self, connection: MqttConnection) {
        let user = connection.connect.user_name.as_deref().unwrap_or_default();
        // `{device}/{module}` is a module of the device.
        let device = connection.connect.client_id.split('/').next();
        let hub = user.split('/').next();
        if self.admit(&Visit { channel: &connection.channel, hub, device }).await {
            self.hubs.mqtt(connection).await;
        }
    }

    fn claims_amqp(&self, claim: AmqpClaim<'_>) -> bool {
        self.hubs.claims_amqp(claim)
    }

    async fn amqp(&self, connection: AmqpConnection) {
        let device = dps_devhub::device_of(&connection);
        let hub = connection.hostname.as_deref().or(connection.channel.tls.sni.as_deref());
        let visit = Visit { channel: &connection.channel, hub, device: device.as_deref() };
        if self.admit(&visit).await {
            self.hubs.amqp(connection).await;
        }
    }
}

#[async_trait]
impl HttpFront for FaultyHubFront {
    fn claims_http(&self, host: &str, path: &str) -> bool {
        self.hubs.claims_http(host, path)
    }

    async fn http(&self, request: Request<Body>) -> Response<Body> {
        let named = request.uri().authority().map(http::uri::Authority::as_str);
        let host = named.or_else(|| request.headers().get(HOST)?.to_str().ok()).map(str::to_owned);
        let channel = request.extensions().get::<Arc<Channel>>().cloned();
        if let Some(channel) = channel
            && !self.admit_service(host.as_deref(), &channel)
        {
            return unavailable();
        }
        self.hubs.http(request).await
    }
}

impl FaultyHubFront {
    /// A service that calls a hub is struck by nothing but the hub being down.
    fn admit_service(&self, host: Option<&str>, channel: &Arc<Channel>) -> bool {
        let known = host
            .map(without_port)
            .and_then(|host| self.hubs.names().find(|name| name.as_str().eq_ignore_ascii_case(host)));
        let hub = known.or_else(|| self.hubs.names().next()).map(dps_model::HubName::as_str);
        let Some(strike) = self.faults.book.strike_down(hub) else { return true };
        self.record(&Visit { channel, hub, device: None }, &strike);
        false
    }
}

fn unavailable() -> Response<Body> {
    let text =
        r#"{"Message":"ErrorCode:ServerError;the hub is down: a fault rule of this development server"}"#;
    let mut response = Response::new(Full::from(text).map_err(|never| match never {}).boxed());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

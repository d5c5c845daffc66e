//! What the fronts share: the core, the clock, the event sink, the gates, and the neighbours behind `foreign`.
//! Must not know a protocol.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dps_core::ports::Clock;
use dps_core::{DeviceRequest, DeviceResponse};
use dps_events::EventSink;
use dps_model::{Error, limits};
use dps_wire::amqp;
use dps_wire::amqp::sasl::Mechanism;
use dps_wire::mqtt::codec::Limits;
use dps_wire::mqtt::session::SessionLimits;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::foreign::{AmqpClaim, ForeignFront, HttpFront};
use crate::handshakes::Handshakes;
use crate::listener::{self, Port, Shutdown};
use crate::refused::Refused;
use crate::tls::ServerTls;
use crate::transport::{Direct, Transport};

/// What the fronts ask of the core. It records the event of every request that it is handed.
#[async_trait]
pub trait Core: Send + Sync + 'static {
    /// Answers a device.
    async fn serve(&self, request: DeviceRequest) -> Result<DeviceResponse, Error>;
    /// Does a provisioning service of this server have that id scope?
    fn knows_scope(&self, id_scope: &str) -> bool;
}

/// The neighbours on the shared ports, in the order in which they are asked.
pub struct Fronts {
    /// Answer HTTP requests that are not the device API's.
    pub http: Vec<Arc<dyn HttpFront>>,
    /// Answer MQTT and AMQP connections that are not the device API's.
    pub devices: Vec<Arc<dyn ForeignFront>>,
    /// Who stands between connections and all of them.
    pub transport: Arc<dyn Transport>,
}

impl Default for Fronts {
    fn default() -> Self {
        Self { http: Vec::new(), devices: Vec::new(), transport: Arc::new(Direct) }
    }
}

/// How much is taken on at once, over all ports together.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Open connections; more are closed at once.
    pub connections: usize,
    /// TLS handshakes in progress; more wait.
    pub handshakes: usize,
    /// Time that connections get to finish at shutdown.
    pub drain: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: limits::MAX_CONNECTIONS,
            handshakes: limits::MAX_HANDSHAKES,
            drain: Duration::from_secs(limits::DRAIN_TIMEOUT),
        }
    }
}

/// How much is taken on now.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Open connections.
    pub connections: usize,
    /// TLS handshakes in progress.
    pub handshakes: usize,
}

/// How much of the bounds is taken.
#[derive(Clone, Copy, Debug)]
pub struct DoorLoad {
    /// What is open or in progress now.
    pub taken: Taken,
    /// What may be.
    pub bounds: Bounds,
}

/// The device API on its ports.
pub struct DeviceApi {
    pub(crate) core: Arc<dyn Core>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) refused: Refused,
    pub(crate) fronts: Fronts,
    pub(crate) session_limits: Arc<SessionLimits>,
    pub(crate) amqp_config: Arc<amqp::connection::Config>,
    pub(crate) connections: Arc<Semaphore>,
    /// Requests of neighbours that are handled.
    pub(crate) neighbours: Arc<Semaphore>,
    pub(crate) handshakes: Handshakes,
    pub(crate) bounds: Bounds,
}

impl DeviceApi {
    /// The device API before this core, within the default bounds.
    pub fn new(
        core: Arc<dyn Core>,
        sink: Arc<dyn EventSink>,
        clock: Arc<dyn Clock>,
        fronts: Fronts,
    ) -> Arc<Self> {
        Self::bounded(core, sink, clock, fronts, Bounds::default())
    }

    /// The same within other bounds.
    pub fn bounded(
        core: Arc<dyn Core>,
        sink: Arc<dyn EventSink>,
        clock: Arc<dyn Clock>,
        fronts: Fronts,
        bounds: Bounds,
    ) -> Arc<Self> {
        Arc::new(Self {
            core,
            refused: Refused::new(sink, Arc::clone(&clock)),
            clock,
            session_limits: Arc::new(session_limits()),
            amqp_config: Arc::new(amqp_config(&fronts)),
            neighbours: Arc::new(Semaphore::new(limits::MAX_NEIGHBOUR_REQUESTS)),
            fronts,
            connections: Arc::new(Semaphore::new(bounds.connections)),
            handshakes: Handshakes::new(bounds.handshakes),
            bounds,
        })
    }

    /// How many connections are open and how many handshakes are in progress.
    pub fn load(&self) -> DoorLoad {
        let connections = self.bounds.connections.saturating_sub(self.connections.available_permits());
        let handshakes = self.bounds.handshakes.saturating_sub(self.handshakes.free());
        DoorLoad { taken: Taken { connections, handshakes }, bounds: self.bounds }
    }

    /// Serves HTTPS until the shutdown, then lets requests in progress end within the time of the drain.
    pub async fn serve_https(self: Arc<Self>, listener: TcpListener, tls: &ServerTls, shutdown: Shutdown) {
        listener::run(self, listener, tls.https(), Port::Https, shutdown).await;
    }

    /// Serves MQTT over TLS, likewise.
    pub async fn serve_mqtt(self: Arc<Self>, listener: TcpListener, tls: &ServerTls, shutdown: Shutdown) {
        listener::run(self, listener, tls.plain(), Port::Mqtt, shutdown).await;
    }

    /// Serves AMQP over TLS, likewise.
    pub async fn serve_amqp(self: Arc<Self>, listener: TcpListener, tls: &ServerTls, shutdown: Shutdown) {
        listener::run(self, listener, tls.plain(), Port::Amqp, shutdown).await;
    }
}

fn session_limits() -> SessionLimits {
    SessionLimits {
        codec: Limits {
            max_packet: limits::MAX_MQTT_PACKET,
            max_connect: limits::MAX_MQTT_CONNECT,
            ..Limits::default()
        },
        max_subscriptions: limits::MAX_SUBSCRIPTIONS,
        max_in_flight: limits::MAX_MQTT_IN_FLIGHT,
        connect_timeout_ms: limits::CONNECT_TIMEOUT * 1000,
        ..SessionLimits::default()
    }
}

/// Named as Azure names its gateways. What a neighbour alone has a use for is offered where one is.
fn amqp_config(fronts: &Fronts) -> amqp::connection::Config {
    let container_id = format!("IoTDPSGW_{}", uuid::Uuid::new_v4().simple());
    let own = [Mechanism::Plain, Mechanism::Tpm, Mechanism::External, Mechanism::Anonymous];
    let claimed = |mechanism| fronts.devices.iter().any(|f| f.claims_amqp(AmqpClaim::Mechanism(mechanism)));
    let theirs = [Mechanism::MsSbCbs].into_iter().filter(|mechanism| claimed(*mechanism));
    let mechanisms = own.into_iter().chain(theirs).map(Mechanism::symbol).collect();
    amqp::connection::Config {
        max_message_size: limits::MAX_AMQP_MESSAGE,
        max_partial: limits::MAX_AMQP_MESSAGE,
        handshake_timeout_ms: limits::CONNECT_TIMEOUT * 1000,
        ..amqp::connection::Config::new(container_id, mechanisms)
    }
}

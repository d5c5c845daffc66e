//! A server on free ports before a core that answers from memory, and what a test sees of both.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_core::ports::SystemClock;
use dps_core::{DeviceOperation, DeviceRequest, DeviceResponse};
use dps_device_api::{Bounds, Core, DeviceApi, Fronts, ServerTls};
use dps_events::{AttemptRecord, ConnectionRecord, Event, EventSink};
use dps_model::registration::{DeviceRegistrationResult, RegistrationOperationStatus, Status, TpmKeys};
use dps_model::{Error, ErrorCode, OperationId, Protocol, RegistrationId};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, watch};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::pki::Ca;

pub const SCOPE: &str = "0ne00000001";
pub const PENDING: &str = "5.0000000000000000.pending";

/// What a TPM is challenged with.
pub const BLOB: [u8; 766] = [7; 766];

/// What the core was asked.
#[derive(Debug)]
pub struct Seen {
    pub id_scope: String,
    pub registration_id: String,
    pub api_version: Option<String>,
    pub client: Option<String>,
    pub sas_token: Option<String>,
    pub chain: usize,
    pub protocol: Protocol,
    pub tls_version: String,
    pub sni: Option<String>,
    pub operation: String,
    pub payload: Option<String>,
    pub tpm: Option<TpmKeys>,
}

#[derive(Default)]
pub struct FakeCore {
    seen: Mutex<Vec<Seen>>,
    entered: Notify,
    gate: Notify,
}

#[async_trait]
impl Core for FakeCore {
    async fn serve(&self, request: DeviceRequest) -> Result<DeviceResponse, Error> {
        let (operation, payload) = match &request.operation {
            DeviceOperation::Register(body) => ("register".to_owned(), body.payload.as_ref()),
            DeviceOperation::OperationStatus { operation_id } => (format!("status {operation_id}"), None),
            DeviceOperation::RegistrationLookup(body) => ("lookup".to_owned(), body.payload.as_ref()),
        };
        let tpm = match &request.operation {
            DeviceOperation::Register(body) | DeviceOperation::RegistrationLookup(body) => body.tpm.clone(),
            DeviceOperation::OperationStatus { .. } => None,
        };
        let challenged = tpm.is_some() && request.sas_token.is_none();
        self.seen.lock().unwrap().push(Seen {
            id_scope: request.id_scope.clone(),
            registration_id: request.registration_id.clone(),
            api_version: request.api_version.clone(),
            client: request.client.clone(),
            sas_token: request.sas_token.map(|text| String::from_utf8(text.expose().to_vec()).unwrap()),
            chain: request.channel.tls.chain.len(),
            protocol: request.channel.protocol,
            tls_version: request.channel.tls.version.clone(),
            sni: request.channel.tls.sni.clone(),
            operation,
            payload: payload.map(|json| json.get().to_owned()),
            tpm,
        });
        assert_ne!(request.registration_id, "panic", "asked to");
        if request.registration_id == "slow" {
            self.entered.notify_one();
            self.gate.notified().await;
        }
        if request.registration_id == "unauthorized" {
            return Err(Error::new(ErrorCode::Unauthorized).because("private"));
        }
        if request.registration_id == "throttled" {
            return Err(Error::new(ErrorCode::Throttled).retry_after(7));
        }
        if challenged {
            let authentication_key = STANDARD.encode(BLOB);
            return Ok(DeviceResponse::Challenge { authentication_key, key_name: "registration" });
        }
        let id = RegistrationId::parse(&request.registration_id)?;
        Ok(match request.operation {
            DeviceOperation::Register(_) => {
                DeviceResponse::Admitted { operation_id: OperationId::fresh(7), retry_after: 3 }
            }
            DeviceOperation::OperationStatus { operation_id } => {
                let pending = operation_id == PENDING;
                let status = if pending { Status::Assigning } else { Status::Assigned };
                let registration_state = Some(DeviceRegistrationResult::bare(id, status));
                let status =
                    Box::new(RegistrationOperationStatus { operation_id, status, registration_state });
                DeviceResponse::Status { status, retry_after: pending.then_some(3) }
            }
            DeviceOperation::RegistrationLookup(_) => {
                DeviceResponse::Registration(Box::new(DeviceRegistrationResult::bare(id, Status::Unassigned)))
            }
        })
    }

    fn knows_scope(&self, id_scope: &str) -> bool {
        [SCOPE, "0ne1", "0ne00ABCDEF"].contains(&id_scope)
    }
}

struct Sink(mpsc::UnboundedSender<Event>);

impl EventSink for Sink {
    fn record(&self, event: Event) {
        let _ = self.0.send(event);
    }
}

pub struct Server {
    pub https: SocketAddr,
    pub mqtt: SocketAddr,
    pub amqp: SocketAddr,
    pub ca: Ca,
    pub tls: Arc<ServerTls>,
    core: Arc<FakeCore>,
    api: Arc<DeviceApi>,
    events: mpsc::UnboundedReceiver<Event>,
    stop: watch::Sender<bool>,
    serving: Vec<tokio::task::JoinHandle<()>>,
}

impl Server {
    pub async fn start() -> Self {
        Self::with(Fronts::default()).await
    }

    pub async fn with(fronts: Fronts) -> Self {
        Self::bounded(fronts, Bounds::default()).await
    }

    pub async fn bounded(fronts: Fronts, bounds: Bounds) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let core = Arc::new(FakeCore::default());
        let api = DeviceApi::bounded(
            Arc::clone(&core) as Arc<dyn Core>,
            Arc::new(Sink(sender)),
            Arc::new(SystemClock::new()),
            fronts,
            bounds,
        );
        let ca = Ca::new();
        let tls = Arc::new(ServerTls::new(ca.server(&["localhost", "127.0.0.1"])).unwrap());
        let (stop, shutdown) = watch::channel(false);
        let mut serving = Vec::new();
        let mut addresses = Vec::new();
        for port in 0..3 {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            addresses.push(listener.local_addr().unwrap());
            let (api, tls, shutdown) = (Arc::clone(&api), Arc::clone(&tls), shutdown.clone());
            serving.push(tokio::spawn(async move {
                match port {
                    0 => api.serve_https(listener, &tls, shutdown).await,
                    1 => api.serve_mqtt(listener, &tls, shutdown).await,
                    _ => api.serve_amqp(listener, &tls, shutdown).await,
                }
            }));
        }
        let (https, mqtt, amqp) = (addresses[0], addresses[1], addresses[2]);
        Self { https, mqtt, amqp, ca, tls, core, api, events, stop, serving }
    }

    /// A client without a certificate.
    pub fn plain(&self) -> ClientConfig {
        self.ca.client(&rustls::version::TLS13, None)
    }

    /// What the core was asked since the last look.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.core.seen.lock().unwrap())
    }

    /// Waits until the core works on a request of the device `slow`.
    pub async fn busy(&self) {
        self.core.entered.notified().await;
    }

    /// Waits until no connection is open.
    pub async fn idle(&self) {
        while self.api.load().taken.connections > 0 {
            tokio::task::yield_now().await;
        }
    }

    /// Tells the server to stop, and the core to go on with the device `slow` once it has been told.
    pub fn stop_while_busy(&self) {
        self.stop.send_replace(true);
        self.core.gate.notify_one();
    }

    pub async fn event(&mut self) -> Event {
        self.events.recv().await.unwrap()
    }

    pub async fn connection_event(&mut self) -> ConnectionRecord {
        match self.event().await {
            Event::Connection(record) => *record,
            other => panic!("not a connection: {other:?}"),
        }
    }

    pub async fn attempt_event(&mut self) -> AttemptRecord {
        match self.event().await {
            Event::Attempt(record) => *record,
            other => panic!("not an attempt: {other:?}"),
        }
    }

    /// Stops the server, waits for its end, and gives what events are left.
    pub async fn stop(mut self) -> Vec<Event> {
        self.stop.send_replace(true);
        for task in self.serving {
            task.await.unwrap();
        }
        let mut left = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            left.push(event);
        }
        left
    }
}

/// TLS to a server as `localhost`.
pub async fn connect(address: SocketAddr, config: ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
    connect_as(address, config, "localhost").await
}

/// TLS to a server under that name.
pub async fn connect_as(
    address: SocketAddr,
    config: ClientConfig,
    name: &'static str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(name).unwrap(), tcp).await
}

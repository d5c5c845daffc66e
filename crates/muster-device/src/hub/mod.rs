//! A device's hub, over MQTT: telemetry, its twin, the desired properties as they change. Owns what an application
//! calls; `connection` has the conversation. Must not know how the hub was found.

mod connection;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dps_wire::mqtt::topic::hub::{
    DeviceTopic, Property, PropertyBag, TWIN_DESIRED, TWIN_RESPONSES, UserName,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use self::connection::{Command, Connection, Reply};
use crate::answer::Answer;
use crate::assignment::Assignment;
use crate::attestation::Attestation;
use crate::clock::{Clock, SystemClock};
use crate::error::Error;
use crate::limits::{
    DEFAULT_HUB_TIMEOUT, HUB_KEEP_ALIVE, MAX_DESIRED_WAITING, MAX_HUB_PACKET, MAX_REQUESTS_IN_FLIGHT,
    MAX_TELEMETRY,
};
use crate::mqtt::{Line, Login};
use crate::stream::{Connector, Tcp};
use crate::tls::Server;
use crate::transport::{self, CLIENT_VERSION, Transport};

/// `api-version` of the connection.
const API_VERSION: &str = "2021-04-12";

/// How to reach a hub.
#[derive(Clone)]
#[must_use]
pub struct HubOptions {
    pub(crate) transport: Transport,
    pub(crate) port: Option<u16>,
    pub(crate) roots: Option<Vec<u8>>,
    pub(crate) dial: Option<String>,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) timeout: Duration,
    pub(crate) model_id: Option<String>,
}

impl Default for HubOptions {
    fn default() -> Self {
        Self {
            transport: Transport::Mqtt,
            port: None,
            roots: None,
            dial: None,
            connector: Arc::new(Tcp),
            clock: Arc::new(SystemClock),
            timeout: DEFAULT_HUB_TIMEOUT,
            model_id: None,
        }
    }
}

impl HubOptions {
    /// [`Transport::Mqtt`] unless said otherwise; a hub's devices have no HTTPS here.
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// Another port than 8883, or 443 for a WebSocket.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Trusts these certificates (PEM) alone, in place of the machine's.
    pub fn roots(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Some(pem.into());
        self
    }

    /// Dials this address in place of the hub's name; the name is still checked.
    pub fn dial(mut self, address: impl Into<String>) -> Self {
        self.dial = Some(address.into());
        self
    }

    /// Another way to the address than TCP.
    pub fn connector(mut self, connector: Arc<dyn Connector>) -> Self {
        self.connector = connector;
        self
    }

    /// Time one request may take, connecting too; 30 seconds unless said otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The device's IoT Plug and Play model.
    pub fn model_id(mut self, model_id: impl Into<String>) -> Self {
        self.model_id = Some(model_id.into());
        self
    }

    /// Another wall clock than the machine's, for the expiry of tokens.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

/// A device's twin as its hub tells it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Twin {
    /// What the cloud wants, `$version` among it.
    #[serde(default)]
    pub desired: Map<String, Value>,
    /// What the device reported, `$version` among it.
    #[serde(default)]
    pub reported: Map<String, Value>,
}

/// A change that the cloud made to the desired properties.
#[derive(Clone, Debug, PartialEq)]
pub enum Desired {
    /// These members are new; null removes one.
    Changed {
        /// The version after the change.
        version: u64,
        /// The change.
        patch: Map<String, Value>,
    },
    /// The application did not keep up and so many changes are lost: read the twin.
    Missed(u64),
}

/// The desired properties' changes, from the moment on at which it was made. See [`HubClient::desired_properties`].
pub struct DesiredProperties(broadcast::Receiver<(u64, Map<String, Value>)>);

impl DesiredProperties {
    /// The next change; `None` when the connection is over. Cancel-safe.
    pub async fn next(&mut self) -> Option<Desired> {
        match self.0.recv().await {
            Ok((version, patch)) => Some(Desired::Changed { version, patch }),
            Err(RecvError::Lagged(count)) => Some(Desired::Missed(count)),
            Err(RecvError::Closed) => None,
        }
    }
}

/// A device connected to its hub. Dropping it leaves the hub; [`HubClient::close`] waits until that is done.
pub struct HubClient {
    device_id: String,
    timeout: Duration,
    commands: mpsc::Sender<Command>,
    desired: broadcast::WeakSender<(u64, Map<String, Value>)>,
    /// Why the connection ended, once it has.
    ended: watch::Receiver<Option<Error>>,
    task: JoinHandle<()>,
}

impl fmt::Debug for HubClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubClient").field("device_id", &self.device_id).finish_non_exhaustive()
    }
}

impl HubClient {
    /// Connects a device to the hub it was assigned to, with the credential it was provisioned with. A connection that
    /// shows a SAS token lives as long as the token: a day.
    pub async fn connect(
        assignment: &Assignment,
        credential: &Attestation,
        options: HubOptions,
    ) -> Result<Self, Error> {
        let limit = options.timeout;
        let line = tokio::time::timeout(limit, open(assignment, credential, &options))
            .await
            .unwrap_or(Err(Error::Timeout { limit, doing: "connecting to the hub" }))?;
        let (commands, queue) = mpsc::channel(MAX_REQUESTS_IN_FLIGHT);
        let (desired, _) = broadcast::channel(MAX_DESIRED_WAITING);
        let weak = desired.downgrade();
        let (end, ended) = watch::channel(None);
        let connection = Connection::new(line, queue, desired, limit);
        let task = tokio::spawn(async move {
            let error = connection.run().await;
            end.send_replace(Some(error));
        });
        let device_id = assignment.device_id.clone();
        Ok(Self { device_id, timeout: limit, commands, desired: weak, ended, task })
    }

    /// The device's id on the hub.
    pub fn device_id(&self) -> &str {
        &self.device_id
    }

    /// Sends a message to the cloud and waits until the hub has it. Names that begin with `$.` are system properties
    /// (`$.ct`: content type, `$.mid`: message id).
    pub async fn send_telemetry(
        &self,
        payload: impl Into<Bytes>,
        properties: &[(&str, &str)],
    ) -> Result<(), Error> {
        let properties = properties
            .iter()
            .map(|(key, value)| Property { key: (*key).to_owned(), value: Some((*value).to_owned()) })
            .collect();
        let topic = DeviceTopic::Telemetry {
            device_id: self.device_id.clone(),
            module_id: None,
            properties: PropertyBag(properties),
        };
        let topic = topic.topic().map_err(|error| Error::Setting(error.to_string()))?;
        let payload = payload.into();
        if payload.len() > MAX_TELEMETRY {
            let length = payload.len();
            return Err(Error::Setting(format!(
                "the message has {length} bytes, and a hub takes {MAX_TELEMETRY}"
            )));
        }
        self.ask("sending telemetry", |reply| Command::Telemetry { topic, payload, reply }).await
    }

    /// Reads the whole twin.
    pub async fn twin(&self) -> Result<Twin, Error> {
        let reply = self.ask("reading the twin", |reply| Command::TwinGet { reply }).await?;
        let body = accepted(reply)?.body;
        serde_json::from_slice(&body).map_err(|error| {
            Error::Protocol(format!(
                "the hub's twin cannot be read: line {}, column {}",
                error.line(),
                error.column()
            ))
        })
    }

    /// Changes reported properties: members of the JSON object are set, null removes one. Gives the new version.
    pub async fn report(&self, patch: &Value) -> Result<u64, Error> {
        if !patch.is_object() {
            return Err(Error::Setting("reported properties are a JSON object".into()));
        }
        let payload = Bytes::from(patch.to_string());
        let reply = self.ask("reporting properties", |reply| Command::Report { payload, reply }).await?;
        accepted(reply)?
            .version
            .ok_or_else(|| Error::Protocol("the hub took the report and named no version".into()))
    }

    /// The desired properties' changes from now on. Read the twin behind this call and nothing is missed.
    pub fn desired_properties(&self) -> DesiredProperties {
        let receiver = self.desired.upgrade().map(|desired| desired.subscribe());
        // Of a connection that is over: a stream that has ended.
        DesiredProperties(receiver.unwrap_or_else(|| broadcast::channel(1).1))
    }

    /// Waits until the connection is over, and says why. Cancel-safe.
    pub async fn ended(&self) -> Error {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(error) => error.clone().unwrap_or_else(gone),
            Err(_) => gone(),
        }
    }

    /// Why the connection is over, if it is.
    pub(crate) fn end(&self) -> Option<Error> {
        self.ended.borrow().clone()
    }

    /// Leaves the hub in good order.
    ///
    /// # Errors
    /// When the connection was over before.
    pub async fn close(self) -> Result<(), Error> {
        let Self { commands, task, ended, .. } = self;
        if let Some(error) = ended.borrow().clone() {
            return Err(error);
        }
        // The connection ends when nobody can ask it any more.
        drop(commands);
        task.await.map_err(|_| gone())
    }

    /// Hands a request to the connection and waits for its reply, within the bound.
    async fn ask<T>(
        &self,
        doing: &'static str,
        command: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Command,
    ) -> Result<T, Error> {
        let (reply, replied) = oneshot::channel();
        let limit = self.timeout;
        let asked = async {
            if self.commands.send(command(reply)).await.is_err() {
                return Err(self.ended().await);
            }
            match replied.await {
                Ok(result) => result,
                Err(_) => Err(self.ended().await),
            }
        };
        tokio::time::timeout(limit, asked).await.unwrap_or(Err(Error::Timeout { limit, doing }))
    }
}

fn gone() -> Error {
    Error::Disconnected("its task has ended".into())
}

/// A twin reply, if the hub took the request.
fn accepted(reply: Reply) -> Result<Reply, Error> {
    if (200..300).contains(&reply.status) {
        return Ok(reply);
    }
    Err(Answer { status: reply.status, retry_after: None, body: reply.body }.refusal())
}

async fn open(
    assignment: &Assignment,
    credential: &Attestation,
    options: &HubOptions,
) -> Result<connection::HubLine, Error> {
    let hub = &assignment.assigned_hub;
    let device_id = &assignment.device_id;
    if options.transport == Transport::Https {
        return Err(Error::Setting("a hub is reached over MQTT or MQTT through a WebSocket".into()));
    }
    let port = options.port.unwrap_or(options.transport.port());
    let connector = Arc::clone(&options.connector);
    let server = Server::new(hub, port, options.roots.as_deref(), credential, connector)?;
    let server = server.dial(options.dial.clone());
    let user_name = UserName {
        hub_host: hub.clone(),
        device_id: device_id.clone(),
        module_id: None,
        api_version: Some(API_VERSION.to_owned()),
        device_client_type: Some(CLIENT_VERSION.to_owned()),
        model_id: options.model_id.clone(),
    };
    let login = Login {
        client_id: device_id.clone(),
        user_name: user_name.to_string(),
        password: credential.hub_token(hub, device_id, &*options.clock).await?,
        keep_alive: HUB_KEEP_ALIVE,
    };
    let (stream, address) = transport::open_mqtt(options.transport, &server).await?;
    let mut line = Line::connect(stream, address, login, MAX_HUB_PACKET).await?;
    line.subscribe(&[TWIN_RESPONSES, TWIN_DESIRED]).await?;
    Ok(line)
}

//! A development hub on a store in memory, with a clock that stands still unless told otherwise.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use dps_attestation::SasToken;
use dps_core::ports::{Clock, Store};
use dps_devhub::{DevHubs, Hook, POLICY, Telemetry};
use dps_device_api::foreign::{Body, ForeignFront, HttpFront, MqttConnection};
use dps_events::{Event, EventSink, HubDeviceName};
use dps_model::connection_string::ConnectionString;
use dps_model::hub::LinkedHub;
use dps_model::{Channel, DeviceId, HubName, Protocol, Secret, Timestamp, TlsSession};
use dps_store::MemoryStore;
use dps_wire::mqtt::codec::{Decoder, Limits, Role, encode};
use dps_wire::mqtt::packet::{
    Connect, ConnectReturnCode, Delivery, Packet, PacketId, Password, Protocol as Version, Publish, QoS,
    Subscribe, SubscribeFilter,
};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

pub const HUB: &str = "hub.local";
pub const OTHER: &str = "other.local";
const NOW: i64 = 1_700_000_000;

/// Wall time is set by the test; monotonic time is the runtime's, so that paused time reaches it.
pub struct TestClock {
    seconds: AtomicI64,
    start: tokio::time::Instant,
}

impl TestClock {
    /// Sets the wall clock to the machine's, once.
    pub fn follow_machine(&self) {
        let now = dps_core::ports::SystemClock::new().now();
        self.seconds.store(now.seconds(), Ordering::SeqCst);
    }

    fn seconds(&self) -> i64 {
        self.seconds.load(Ordering::SeqCst)
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.seconds() * 1000)
    }

    fn monotonic_micros(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap()
    }
}

#[derive(Default)]
pub struct Watcher {
    events: Mutex<Vec<Event>>,
    telemetry: Mutex<Vec<Telemetry>>,
    connections: Mutex<Vec<(String, bool)>>,
}

impl EventSink for Watcher {
    fn record(&self, event: Event) {
        self.events.lock().unwrap().push(event);
    }
}

impl Hook for Watcher {
    fn on_telemetry(&self, message: &Telemetry) {
        self.telemetry.lock().unwrap().push(message.clone());
    }

    fn on_connection(&self, hub: &HubName, device_id: &DeviceId, connected: bool) {
        self.connections.lock().unwrap().push((format!("{hub}/{device_id}"), connected));
    }
}

pub struct World {
    pub hubs: Arc<DevHubs>,
    pub store: Arc<dyn Store>,
    pub clock: Arc<TestClock>,
    pub watcher: Arc<Watcher>,
    pub key: Secret,
}

/// An answer of the REST.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl World {
    pub fn new() -> Self {
        Self::on(Arc::new(MemoryStore::new()))
    }

    pub fn on(store: Arc<dyn Store>) -> Self {
        let clock = Arc::new(TestClock { seconds: AtomicI64::new(NOW), start: tokio::time::Instant::now() });
        let watcher = Arc::new(Watcher::default());
        let key = Secret::new(vec![7; 32]);
        let names = [HUB, OTHER, "HUB.local:8443"].map(|name| HubName::parse(name).unwrap()).to_vec();
        let hubs = Arc::new(DevHubs::new(
            &store,
            clock.clone(),
            watcher.clone(),
            names,
            key.clone(),
            watcher.clone(),
        ));
        Self { hubs, store, clock, watcher, key }
    }

    pub fn link(&self, host: &str) -> LinkedHub {
        LinkedHub {
            name: HubName::parse(HUB).unwrap(),
            connection: ConnectionString { host: host.into(), policy: POLICY.into(), key: self.key.clone() },
            allocation_weight: 1,
            apply_allocation_policy: true,
            location: String::new(),
        }
    }

    pub fn token(&self, host: &str) -> String {
        SasToken::sign(host, &self.key, self.clock.seconds() + 3600, Some(POLICY))
    }

    pub async fn raw(&self, request: Request<Full<Bytes>>) -> Answer {
        let request = request.map(|body| -> Body { body.map_err(|never| match never {}).boxed() });
        let response = self.hubs.http(request).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// An authorized call of the first hub.
    pub async fn call(&self, call: &str, headers: &[(&str, &str)], body: impl Into<Option<Value>>) -> Answer {
        let (method, path) = call.split_once(' ').unwrap();
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{path}?api-version=2021-04-12"))
            .header("host", format!("{HUB}:8443"))
            .header("authorization", self.token(HUB));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.into().map(|value: Value| value.to_string()).unwrap_or_default();
        self.raw(request.body(Full::new(Bytes::from(body))).unwrap()).await
    }

    /// A device with these keys: bytes of 1 and of 2.
    pub async fn device(&self, id: &str) -> Answer {
        let body = json!({ "deviceId": id, "authentication": { "type": "sas", "symmetricKey": {
            "primaryKey": STANDARD.encode([1; 32]), "secondaryKey": STANDARD.encode([2; 32]) } } });
        let answer = self.call(&format!("PUT /devices/{id}"), &[], body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }

    pub fn device_token(&self, id: &str, key: u8, lifetime: i64) -> String {
        SasToken::sign(
            &format!("{HUB}/devices/{id}"),
            &Secret::new(vec![key; 32]),
            self.clock.seconds() + lifetime,
            None,
        )
    }

    pub fn telemetry(&self) -> Vec<Telemetry> {
        self.watcher.telemetry.lock().unwrap().clone()
    }

    pub fn connections(&self) -> Vec<(String, bool)> {
        self.watcher.connections.lock().unwrap().clone()
    }

    /// The connections recorded since the last look: device, module, and why it was refused, if it was.
    pub fn recorded(&self) -> Vec<(HubDeviceName, Option<String>)> {
        let events = std::mem::take(&mut *self.watcher.events.lock().unwrap());
        events
            .into_iter()
            .map(|event| match event {
                Event::Connection(record) => (record.hub_device.unwrap(), Some(record.reason)),
                Event::HubConnection(record) => (record.device, None),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    /// The reasons of the connections refused since the last look.
    pub fn refusals(&self) -> Vec<String> {
        let events = std::mem::take(&mut *self.watcher.events.lock().unwrap());
        events
            .into_iter()
            .filter_map(|event| match event {
                Event::Connection(record) => Some(record.reason),
                Event::HubConnection(_) => None,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    /// Connects; the answer of the hub and the client.
    pub async fn connect(&self, hello: Hello<'_>) -> (ConnectReturnCode, Client) {
        let user = hello.user.map_or_else(
            || format!("{HUB}/{}/?api-version=2021-04-12&DeviceClientType=test", hello.id),
            ToOwned::to_owned,
        );
        let (near, far) = tokio::io::duplex(1024 * 1024);
        let connect = Connect {
            protocol: Version::V311,
            clean_session: false,
            keep_alive: hello.keep_alive,
            client_id: hello.client_id.unwrap_or(hello.id).to_owned(),
            will: None,
            user_name: Some(user),
            password: hello.password.map(|text| Password::new(text.into_bytes())),
        };
        let chain: Vec<Vec<u8>> = hello.leaf.map(<[u8]>::to_vec).into_iter().collect();
        let channel = Arc::new(Channel {
            protocol: Protocol::Mqtt,
            peer: "127.0.0.1:1".parse().unwrap(),
            tls: TlsSession { chain: chain.into(), ..TlsSession::default() },
        });
        let hubs = Arc::clone(&self.hubs);
        let buffered = BytesMut::new();
        let connection = MqttConnection { channel, stream: Box::new(far), buffered, connect };
        tokio::spawn(async move { hubs.mqtt(connection).await });
        let decoder = Decoder::new(Role::Client, Limits { max_packet: 1024 * 1024, ..Limits::default() });
        let mut client = Client { stream: near, decoder, input: BytesMut::new(), last_id: 0 };
        match client.receive().await {
            Some(Packet::ConnAck(answer)) => (answer.code, client),
            other => panic!("{other:?} instead of CONNACK"),
        }
    }

    /// Connects a device of `device` with its first key.
    pub async fn connected(&self, id: &str) -> Client {
        let password = Some(self.device_token(id, 1, 3600));
        let (code, client) = self.connect(Hello { id, password, ..Hello::default() }).await;
        assert_eq!(code, ConnectReturnCode::Accepted);
        client
    }
}

/// What a client says at first.
#[derive(Default)]
pub struct Hello<'a> {
    pub id: &'a str,
    pub user: Option<&'a str>,
    pub client_id: Option<&'a str>,
    pub password: Option<String>,
    pub leaf: Option<&'a [u8]>,
    pub keep_alive: u16,
}

/// A device's side of one MQTT connection.
pub struct Client {
    stream: DuplexStream,
    decoder: Decoder,
    input: BytesMut,
    last_id: u16,
}

impl Client {
    /// The next packet; `None` when the hub closed.
    pub async fn receive(&mut self) -> Option<Packet> {
        loop {
            if let Some(packet) = self.decoder.decode(&mut self.input).unwrap() {
                return Some(packet);
            }
            if self.stream.read_buf(&mut self.input).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// The next message: its topic and payload.
    pub async fn message(&mut self) -> (String, Bytes) {
        match self.receive().await {
            Some(Packet::Publish(publish)) => {
                if let Some(id) = publish.delivery.packet_id() {
                    self.send(&Packet::PubAck(id)).await;
                }
                (publish.topic, publish.payload)
            }
            other => panic!("{other:?} instead of PUBLISH"),
        }
    }

    pub async fn bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub async fn send(&mut self, packet: &Packet) {
        let mut bytes = BytesMut::new();
        encode(packet, &mut bytes).unwrap();
        self.bytes(&bytes).await;
    }

    fn id(&mut self) -> PacketId {
        self.last_id += 1;
        PacketId::new(self.last_id).unwrap()
    }

    /// Publishes with QoS 1; the id that PUBACK will name.
    pub async fn publish(&mut self, topic: &str, payload: &str) -> PacketId {
        let packet_id = self.id();
        let delivery = Delivery::AtLeastOnce { packet_id, dup: false };
        let payload = Bytes::copy_from_slice(payload.as_bytes());
        self.send(&Packet::Publish(Publish { topic: topic.into(), delivery, retain: false, payload })).await;
        packet_id
    }

    /// Publishes with QoS 1 and waits for PUBACK.
    pub async fn tell(&mut self, topic: &str, payload: &str) {
        let id = self.publish(topic, payload).await;
        assert_eq!(self.receive().await, Some(Packet::PubAck(id)));
    }

    pub async fn subscribe(&mut self, filters: &[&str]) -> Vec<bool> {
        let filters = filters
            .iter()
            .map(|filter| SubscribeFilter { filter: (*filter).into(), qos: QoS::AtLeastOnce })
            .collect();
        let packet_id = self.id();
        self.send(&Packet::Subscribe(Subscribe { packet_id, filters })).await;
        match self.receive().await {
            Some(Packet::SubAck(answer)) => answer
                .results
                .iter()
                .map(|result| *result != dps_wire::mqtt::packet::SubscribeResult::Failure)
                .collect(),
            other => panic!("{other:?} instead of SUBACK"),
        }
    }
}

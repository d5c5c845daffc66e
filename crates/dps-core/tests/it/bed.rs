//! What the tests stand on: a service with its store, hubs, clock and events, and the devices that ask it.

use std::sync::{Arc, Mutex};

use dps_attestation::sas_token::sign_for_device;
use dps_attestation::symmetric_key::derive_device_key;
use dps_attestation::tpm::ChallengeSecret;
use dps_core::allocation::regions::ReloadableRegions;
use dps_core::enrollment::find::Finder;
use dps_core::enrollment::group_lane::GroupLane;
use dps_core::enrollment::{Enrollments, KeyRings};
use dps_core::ports::{Clock, Collection, Document, Hubs, Precondition, Store, Write};
use dps_core::{
    DeviceOperation, DeviceRequest, DeviceResponse, Instances, Operations, Provisioning, Throttle,
};
use dps_events::{AssignmentRecord, AttemptRecord, Event, EventSink};
use dps_model::attestation::Mechanism;
use dps_model::channel::TlsSession;
use dps_model::connection_string::ConnectionString;
use dps_model::enrollment::{AllocationPolicy, EnrollmentInput};
use dps_model::etag::IfMatch;
use dps_model::hub::LinkedHub;
use dps_model::instance::{AccessPolicy, Instance, Right};
use dps_model::limits::Profile;
use dps_model::registration::{DeviceRegistration, DeviceRegistrationResult, RegistrationOperationStatus};
use dps_model::{Channel, Error, HubName, IdScope, Protocol, RegistrationId, Secret, Timestamp, TrackingId};
use dps_store::MemoryStore;
use serde_json::{Value, json};

use crate::hubs::FakeHubs;

/// 2030-01-01T00:00:00Z: certificates made here are valid then.
pub const NOW: i64 = 1_893_456_000_000;
pub const SCOPE: &str = "0ne00TEST01";

/// Wall time that follows the runtime's clock, which tests may pause.
pub struct TestClock {
    base: Mutex<i64>,
    start: tokio::time::Instant,
}

impl TestClock {
    pub fn starting_at(millis: i64) -> Self {
        Self { base: Mutex::new(millis), start: tokio::time::Instant::now() }
    }

    pub fn advance(&self, seconds: i64) {
        *self.base.lock().unwrap() += seconds * 1_000;
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.start.elapsed().as_millis()).unwrap();
        Timestamp::from_millis(*self.base.lock().unwrap() + elapsed)
    }

    fn monotonic_micros(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap()
    }
}

/// Every event, in order.
#[derive(Default)]
pub struct Events(Mutex<Vec<Event>>);

impl EventSink for Events {
    fn record(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Events {
    pub fn all(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }

    pub fn attempts(&self) -> Vec<AttemptRecord> {
        let attempt = |event| match event {
            Event::Attempt(record) => Some(*record),
            _ => None,
        };
        self.all().into_iter().filter_map(attempt).collect()
    }

    pub fn last_attempt(&self) -> AttemptRecord {
        self.attempts().pop().unwrap()
    }

    /// The last register request.
    pub fn last_register(&self) -> AttemptRecord {
        let mut attempts = self.attempts();
        attempts.retain(|record| record.operation == dps_events::Operation::Register);
        attempts.pop().unwrap()
    }

    pub fn assignments(&self) -> Vec<AssignmentRecord> {
        let assignment = |event| match event {
            Event::Assignment(record) => Some(*record),
            _ => None,
        };
        self.all().into_iter().filter_map(assignment).collect()
    }
}

pub fn linked(name: &str, weight: u32) -> LinkedHub {
    LinkedHub {
        name: HubName::parse(name).unwrap(),
        connection: ConnectionString {
            host: name.to_owned(),
            policy: "iothubowner".into(),
            key: Secret::new(vec![7; 32]),
        },
        allocation_weight: weight,
        apply_allocation_policy: true,
        location: String::new(),
    }
}

pub fn instance(hubs: Vec<LinkedHub>) -> Instance {
    Instance {
        name: "dps".into(),
        id_scope: IdScope::parse(SCOPE).unwrap(),
        allocation_policy: AllocationPolicy::Hashed,
        linked_hubs: hubs,
        access_policies: vec![AccessPolicy {
            name: "owner".into(),
            primary: Secret::new(b"access-policy-primary-key-bytes!".to_vec()),
            secondary: Secret::new(vec![4; 32]),
            rights: vec![Right::ServiceConfig],
        }],
        resource_id: "/subscriptions/s".into(),
        location: "local".into(),
        certificates: Vec::new(),
        network: dps_model::network::NetworkAccess::default(),
        disable_local_auth: false,
        resource: dps_model::instance::Resource::default(),
        rows: None,
        etag: dps_model::Etag::fresh(),
    }
}

/// Puts so many bare documents there.
pub async fn fill(store: &Arc<dyn Store>, collection: Collection, instance: &str, rows: usize) {
    let put = |n: usize| Write::Put {
        collection,
        instance: instance.to_owned(),
        document: Document {
            id: format!("row-{n}"),
            etag: dps_model::Etag::fresh(),
            body: "{}".to_owned(),
            sealed: None,
            owner: None,
            due: None,
            lookups: Vec::new(),
        },
        precondition: Precondition::Absent,
    };
    for chunk in (0..rows).collect::<Vec<_>>().chunks(500) {
        store.write(chunk.iter().map(|n| put(*n)).collect()).await.unwrap();
    }
}

/// A running service.
pub struct Bed {
    pub store: Arc<dyn Store>,
    pub hubs: Arc<FakeHubs>,
    pub clock: Arc<TestClock>,
    pub events: Arc<Events>,
    pub instances: Arc<Instances>,
    pub instance: Arc<Instance>,
    pub enrollments: Enrollments,
    pub operations: Arc<Operations>,
    pub throttle: Arc<Throttle>,
    pub regions: Arc<ReloadableRegions>,
    pub provisioning: Arc<Provisioning>,
}

impl Bed {
    pub async fn new() -> Self {
        Self::with_hubs(&["hub-a.example"]).await
    }

    pub async fn with_hubs(names: &[&str]) -> Self {
        let hubs = names.iter().map(|name| linked(name, 1)).collect();
        Self::over(Arc::new(MemoryStore::new()), Arc::default(), Arc::default(), hubs, NOW).await
    }

    /// A service over a store and hubs that may hold something already: a restart.
    pub async fn over(
        store: Arc<dyn Store>,
        hubs: Arc<FakeHubs>,
        events: Arc<Events>,
        linked_hubs: Vec<LinkedHub>,
        now: i64,
    ) -> Self {
        let throttle = |clock| Throttle::new(Profile::None, clock);
        Self::throttled(store, hubs, events, linked_hubs, now, throttle).await
    }

    /// The same within limits.
    pub async fn throttled(
        store: Arc<dyn Store>,
        hubs: Arc<FakeHubs>,
        events: Arc<Events>,
        linked_hubs: Vec<LinkedHub>,
        now: i64,
        throttle: impl FnOnce(Arc<dyn Clock>) -> Throttle,
    ) -> Self {
        let clock = Arc::new(TestClock::starting_at(now));
        let instances = Arc::new(
            Instances::open(Arc::clone(&store), instance(linked_hubs), |kept, wanted| {
                kept.linked_hubs = wanted.linked_hubs;
            })
            .await
            .unwrap(),
        );
        let rings = Arc::new(KeyRings::new(Arc::clone(&store)));
        let lane = Arc::new(GroupLane::start().unwrap());
        let time: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let sink: Arc<dyn EventSink> = Arc::clone(&events) as _;
        let port: Arc<dyn Hubs> = Arc::clone(&hubs) as _;
        let operations = Operations::new(
            Arc::clone(&store),
            port,
            Arc::clone(&time),
            Arc::clone(&sink),
            Arc::clone(&instances),
        );
        let operations = Arc::new(operations.with_webhook(Arc::clone(&hubs) as _));
        let enrollments =
            Enrollments::new(Arc::clone(&store), Arc::clone(&time), Arc::clone(&rings), Arc::clone(&lane));
        let instance = instances.default_instance();
        let throttle = Arc::new(throttle(Arc::clone(&time)));
        let finder = Finder::new(Arc::clone(&store), rings, lane);
        let regions = Arc::new(ReloadableRegions::default());
        let provisioning = Provisioning::new(
            Arc::clone(&instances),
            finder,
            Arc::clone(&operations),
            Arc::clone(&throttle),
            ChallengeSecret::new(&Secret::new(vec![9; 32])),
            time,
            sink,
        );
        let provisioning = Arc::new(provisioning.with_regions(Arc::clone(&regions) as _));
        Self {
            store,
            hubs,
            clock,
            events,
            instances,
            instance,
            enrollments,
            operations,
            throttle,
            regions,
            provisioning,
        }
    }

    /// The same store, hubs and events under a new service with those hubs.
    pub async fn restarted(&self, hubs: &[&str]) -> Self {
        let hubs = hubs.iter().map(|name| linked(name, 1)).collect();
        let (store, events) = (Arc::clone(&self.store), Arc::clone(&self.events));
        Self::over(store, Arc::clone(&self.hubs), events, hubs, self.clock.now().millis()).await
    }

    /// Creates or replaces an individual enrollment and answers its mechanism.
    pub async fn enroll(&self, id: &str, body: Value) -> Mechanism {
        let put = |if_match| self.enrollments.put_individual(&self.instance, id, input(&body), if_match);
        match put(None).await {
            Ok(changed) => changed.value.attestation,
            Err(_) => put(Some(IfMatch::Any)).await.unwrap().value.attestation,
        }
    }

    /// Creates or replaces a group.
    pub async fn enroll_group(&self, id: &str, body: Value) -> Mechanism {
        let put = |if_match| self.enrollments.put_group(&self.instance, id, input(&body), if_match);
        match put(None).await {
            Ok(changed) => changed.value.attestation,
            Err(_) => put(Some(IfMatch::Any)).await.unwrap().value.attestation,
        }
    }

    /// A device with a symmetric-key individual enrollment of its own.
    pub async fn keyed(&self, id: &str) -> Device {
        Device::keyed(id, primary(&self.enroll(id, symmetric()).await))
    }

    pub async fn ask(&self, request: DeviceRequest) -> Result<DeviceResponse, Error> {
        self.provisioning.serve(request).await
    }

    /// Registers; the operation id.
    pub async fn register(&self, device: &Device) -> Result<String, Error> {
        match self.ask(self.request(device, register())).await? {
            DeviceResponse::Admitted { operation_id, .. } => Ok(operation_id.as_str().to_owned()),
            other => panic!("not admitted: {other:?}"),
        }
    }

    pub async fn poll(&self, device: &Device, id: &str) -> Result<RegistrationOperationStatus, Error> {
        let operation = DeviceOperation::OperationStatus { operation_id: id.to_owned() };
        match self.ask(self.request(device, operation)).await? {
            DeviceResponse::Status { status, .. } => Ok(*status),
            other => panic!("no status: {other:?}"),
        }
    }

    pub async fn lookup(&self, device: &Device) -> Result<DeviceRegistrationResult, Error> {
        let operation = DeviceOperation::RegistrationLookup(DeviceRegistration::default());
        match self.ask(self.request(device, operation)).await? {
            DeviceResponse::Registration(state) => Ok(*state),
            other => panic!("no registration: {other:?}"),
        }
    }

    /// Registers and polls; the state under that operation.
    pub async fn provision(&self, device: &Device) -> DeviceRegistrationResult {
        let id = self.register(device).await.unwrap();
        self.poll(device, &id).await.unwrap().registration_state.unwrap()
    }

    pub fn request(&self, device: &Device, operation: DeviceOperation) -> DeviceRequest {
        device.request(self.clock.now(), operation)
    }

    /// The stored registration.
    pub async fn document(&self, id: &str) -> Option<Document> {
        self.store.get(Collection::Registrations, "dps", id).await.unwrap()
    }
}

/// So many seconds pass, in steps: who waits is woken at its time, and may wait anew.
pub async fn later(seconds: u64) {
    for _ in 0..4 * seconds {
        tokio::time::advance(std::time::Duration::from_millis(250)).await;
        for _ in 0..16 {
            tokio::task::yield_now().await;
        }
    }
}

pub fn register() -> DeviceOperation {
    DeviceOperation::Register(DeviceRegistration::default())
}

/// What a device proves itself with.
#[derive(Clone)]
pub enum Credential {
    Key(Secret),
    Chain(Vec<Vec<u8>>),
    Nothing,
}

/// A device that asks.
#[derive(Clone)]
pub struct Device {
    pub id: String,
    pub credential: Credential,
    /// Seconds from now to the expiry of its token.
    pub lifetime: i64,
    pub peer: [u8; 4],
}

impl Device {
    pub fn new(id: &str, credential: Credential) -> Self {
        Self { id: id.to_owned(), credential, lifetime: 3_600, peer: [127, 0, 0, 1] }
    }

    pub fn keyed(id: &str, key: Secret) -> Self {
        Self::new(id, Credential::Key(key))
    }

    /// A device of a symmetric-key group.
    pub fn derived(id: &str, group_key: &Secret) -> Self {
        Self::keyed(id, derive_device_key(group_key, id))
    }

    pub fn certified(id: &str, chain: &[&[u8]]) -> Self {
        Self::new(id, Credential::Chain(chain.iter().map(|der| der.to_vec()).collect()))
    }

    pub fn request(&self, now: Timestamp, operation: DeviceOperation) -> DeviceRequest {
        let (sas_token, chain) = match &self.credential {
            Credential::Key(key) => {
                let scope = IdScope::parse(SCOPE).unwrap();
                let expiry = now.seconds() + self.lifetime;
                // An id that is none cannot be signed for; its request is refused before the token is looked at.
                let id = RegistrationId::parse(&self.id)
                    .unwrap_or_else(|_| RegistrationId::parse("none").unwrap());
                (Some(sign_for_device(&scope, &id, key, expiry).into()), Vec::new())
            }
            Credential::Chain(chain) => (None, chain.clone()),
            Credential::Nothing => (None, Vec::new()),
        };
        let tls = TlsSession { version: "TLSv1.3".into(), chain: chain.into(), ..TlsSession::default() };
        let channel = Channel { protocol: Protocol::Mqtt, peer: (self.peer, 40_000).into(), tls };
        DeviceRequest {
            tracking_id: TrackingId::fresh(),
            channel: Arc::new(channel),
            id_scope: SCOPE.into(),
            registration_id: self.id.clone(),
            api_version: Some("2019-03-31".into()),
            client: Some("test/1".into()),
            sas_token,
            operation,
        }
    }
}

pub fn input(body: &Value) -> EnrollmentInput {
    serde_json::from_value(body.clone()).unwrap()
}

/// A body with generated keys.
pub fn symmetric() -> Value {
    json!({"attestation": {"type": "symmetricKey"}})
}

/// The same with another member.
pub fn with(mut body: Value, member: &str, value: Value) -> Value {
    body[member] = value;
    body
}

pub fn primary(mechanism: &Mechanism) -> Secret {
    match mechanism {
        Mechanism::SymmetricKey(keys) => keys.primary.clone(),
        _ => panic!("no symmetric key"),
    }
}

pub fn secondary(mechanism: &Mechanism) -> Secret {
    match mechanism {
        Mechanism::SymmetricKey(keys) => keys.secondary.clone(),
        _ => panic!("no symmetric key"),
    }
}

/// The code of a refusal.
pub fn code<T>(result: Result<T, Error>) -> u32 {
    result.err().expect("refused").code.row().code
}

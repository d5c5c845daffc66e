//! One management API over an empty store, a clock that stands still and a sink that keeps what it is given.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dps_access::{AccessControl, KeyFetch};
use dps_attestation::sas_token::sign_for_device;
use dps_core::enrollment::group_lane::GroupLane;
use dps_core::enrollment::{Enrollments, KeyRings};
use dps_core::ports::{Clock, HostNames, Hosting, Hubs, NoRegions, NoWebhook, Store};
use dps_core::{Instances, Lifecycle, Rehearsals};
use dps_events::attempt_log::{Found, Lookup};
use dps_events::{
    AttemptLog, AttemptReader, AttemptRecord, Event, EventSink, ManagementCallRecord, Presented,
};
use dps_management_api::diagnosis::{Attempts, Explain, LastShown, Remembering, Unknown};
use dps_management_api::{Body, Diagnosis, Insights, InstanceResources, ManagementApi};
use dps_model::enrollment::AllocationPolicy;
use dps_model::instance::{AccessPolicy, Instance, Resource, Right};
use dps_model::network::NetworkAccess;
use dps_model::{
    Channel, Error, Etag, IdScope, Protocol, RegistrationId, Secret, Timestamp, TlsSession, TrackingId,
};
use dps_monitor::alerts::archive::Archive;
use dps_monitor::alerts::book::RuleBook;
use dps_monitor::destinations::{Batch, DeliveryError, Destination};
use dps_monitor::inbox::Inbox;
use dps_monitor::metrics::Rollups;
use dps_monitor::settings::{Destinations, SettingsBook, Workspace};
use dps_monitor::{MonitorState, Notifier, QueryEngine};
use dps_store::{MemoryStore, StoreState};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::issuer::Issuer;

/// 2026-12-01T00:00:00Z.
pub const NOW: i64 = 1_796_083_200;
pub const TOKEN: &str = "token-of-this-server";
/// The default instance.
pub const DEFAULT: &str =
    "/subscriptions/S-1/resourceGroups/muster/providers/Microsoft.Devices/provisioningServices/dps";

/// The id of another instance.
pub fn service(name: &str) -> String {
    format!("/subscriptions/s-1/resourceGroups/fleet/providers/Microsoft.Devices/provisioningServices/{name}")
}

#[derive(Default)]
pub struct StandingClock(std::sync::atomic::AtomicU64);

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(NOW * 1000)
    }

    fn monotonic_micros(&self) -> u64 {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }
}

#[derive(Default)]
struct Recorder {
    calls: Mutex<Vec<ManagementCallRecord>>,
    arrivals: Mutex<Vec<Event>>,
}

impl EventSink for Recorder {
    fn record(&self, event: Event) {
        match event {
            Event::ManagementCall(record) => self.calls.lock().unwrap().push(*record),
            Event::HubConnection(_) => self.arrivals.lock().unwrap().push(event),
            other => panic!("the management API recorded {other:?}"),
        }
    }
}

/// The attempt log.
struct Log(AttemptReader);

#[async_trait]
impl Attempts for Log {
    async fn find(&self, lookup: Lookup) -> std::io::Result<Found> {
        self.0.find(&lookup)
    }

    fn telling_hubs(&self) -> Vec<String> {
        vec!["hub.local".to_owned()]
    }
}

/// Hosts whoever it has a permit for.
struct Gate(Arc<Semaphore>);

#[async_trait]
impl Hosting for Gate {
    async fn host(&self, _instance: &Instance) -> Result<(), Error> {
        self.0.acquire().await.unwrap().forget();
        Ok(())
    }

    async fn unhost(&self, _instance: &Instance) {}

    fn host_names(&self, instance: &Instance) -> HostNames {
        let service = format!("{}.example", instance.name);
        HostNames { portal: service.clone(), service, device: "example".into() }
    }

    fn is_reserved(&self, name: &str) -> bool {
        name == "www"
    }
}

/// The built-in workspace.
pub const WORKSPACE: &str =
    "/subscriptions/s-1/resourceGroups/muster/providers/Microsoft.OperationalInsights/workspaces/muster";
/// A destination of diagnostic settings.
pub const STORAGE: &str = "/subscriptions/s-1/providers/Microsoft.Storage/storageAccounts/files";
/// Another one.
pub const STREAM: &str = "/subscriptions/s-1/providers/Microsoft.EventHub/namespaces/n/authorizationRules/r";

/// Takes everything.
struct Takes;

#[async_trait]
impl Destination for Takes {
    async fn deliver(&self, _: &Batch) -> Result<(), DeliveryError> {
        Ok(())
    }

    fn event_hub(&self, _: &str) -> Option<Arc<dyn Destination>> {
        Some(Arc::new(Self))
    }
}

fn destinations() -> Destinations {
    let takes = |id: &str| (id.to_lowercase(), Arc::new(Takes) as Arc<dyn Destination>);
    Destinations {
        workspace: Some(Workspace {
            id: "11111111-2222-3333-4444-555555555555".into(),
            resource_id: WORKSPACE.into(),
        }),
        external: [takes(STORAGE), takes(STREAM)].into(),
    }
}

/// Writes the reason down where it is easily seen.
struct ByReason;

#[async_trait::async_trait]
impl Explain for ByReason {
    async fn explain(&self, record: &mut AttemptRecord) {
        record.client = record.reason.map(str::to_owned);
    }
}

/// It remembers `dev-1` alone, which showed a token of the key 1.
struct OneRefused;

impl Remembering for OneRefused {
    fn last(&self, _: &str, registration_id: &str) -> Option<Arc<LastShown>> {
        let id = RegistrationId::parse("dev-1").unwrap();
        let scope = IdScope::parse("0ne00ABCDEF").unwrap();
        let token = sign_for_device(&scope, &id, &Secret::new(vec![1; 32]), NOW + 60);
        let shown = LastShown {
            tracking_id: TrackingId::fresh(),
            time: Timestamp::from_millis((NOW - 60) * 1_000),
            protocol: Protocol::AmqpWs,
            peer: "198.51.100.4:9".parse().unwrap(),
            api_version: None,
            presented: Presented::default().with_sas_token(&token.into()),
        };
        (registration_id == "dev-1").then(|| Arc::new(shown))
    }
}

fn enrollments(instances: &Arc<Instances>, clock: &Arc<dyn Clock>) -> Arc<Enrollments> {
    let store = Arc::clone(instances.store());
    let rings = Arc::new(KeyRings::new(Arc::clone(&store)));
    let lane = Arc::new(GroupLane::start().unwrap());
    Arc::new(Enrollments::new(store, Arc::clone(clock), rings, lane))
}

/// An answer, read to its end.
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{} {}", self.status, self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body of a success.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert!(self.status < 300, "{} {}", self.status, self.text);
        self.json()
    }

    /// Status, ARM's code and the message of a failure.
    #[track_caller]
    pub fn refusal(&self) -> (u16, String, String) {
        let body = self.json();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        // Azure Monitor's own shape, where its clients read that.
        if body.get("error").is_none() {
            assert_eq!(body["errorCode"].to_string(), self.header("x-ms-error-code"));
            return (self.status, text(&body["code"]), text(&body["message"]));
        }
        assert_eq!(body["message"], body["error"]["message"]);
        assert_eq!(body["code"].to_string(), self.header("x-ms-error-code"));
        (self.status, text(&body["error"]["code"]), text(&body["error"]["message"]))
    }
}

/// A call to be made.
pub struct Ask {
    method: &'static str,
    pub uri: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// A call of whoever has the token, with a version.
pub fn ask(method: &'static str, path: &str) -> Ask {
    let uri = format!("{path}?api-version=2022-02-05");
    let ask = Ask { method, uri, headers: HeaderMap::new(), body: Vec::new() };
    ask.header("host", "example:8443").header("authorization", &format!("Bearer {TOKEN}"))
}

impl Ask {
    pub fn json(self, body: &Value) -> Self {
        Self { body: body.to_string().into_bytes(), ..self.header("content-type", "application/json") }
    }

    pub fn bytes(self, body: &[u8]) -> Self {
        Self { body: body.to_vec(), ..self.header("content-type", "application/json") }
    }

    pub fn uri(self, uri: &str) -> Self {
        Self { uri: uri.to_owned(), ..self }
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }
}

/// What may be there for watching, or not.
#[derive(Default)]
pub struct Watch {
    pub queries: Option<Arc<dyn QueryEngine>>,
    pub notifier: Option<Arc<dyn Notifier>>,
}

/// The management API and what stands around it.
pub struct Bed {
    pub api: ManagementApi,
    pub instances: Arc<Instances>,
    pub life: Lifecycle,
    pub gate: Arc<Semaphore>,
    pub issuer: Arc<Issuer>,
    pub rollups: Arc<Rollups>,
    pub state: Arc<dyn MonitorState>,
    pub rules: Arc<RuleBook>,
    pub enrollments: Arc<Enrollments>,
    pub inbox: Arc<Inbox>,
    recorder: Arc<Recorder>,
    log: Mutex<(AttemptLog, tempfile::TempDir)>,
}

impl Bed {
    /// One that hosts everybody.
    pub async fn new() -> Self {
        Self::over(Arc::new(MemoryStore::new()), Semaphore::MAX_PERMITS).await
    }

    pub async fn over(store: Arc<dyn Store>, permits: usize) -> Self {
        Self::built(store, permits, Watch::default()).await
    }

    /// One whose log rows that engine finds.
    pub async fn asking(engine: Arc<dyn QueryEngine>) -> Self {
        Self::watching(Watch { queries: Some(engine), notifier: None }).await
    }

    /// One with what may be there for watching.
    pub async fn watching(watch: Watch) -> Self {
        Self::built(Arc::new(MemoryStore::new()), Semaphore::MAX_PERMITS, watch).await
    }

    /// The same, with hubs that are asked when they are linked.
    pub fn with_hubs(self, hubs: Arc<dyn Hubs>) -> Self {
        Self { api: self.api.with_hubs(hubs), ..self }
    }

    async fn built(store: Arc<dyn Store>, permits: usize, watch: Watch) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(StandingClock::default());
        let recorder = Arc::new(Recorder::default());
        let kept = Arc::clone(&store);
        let instances = Arc::new(Instances::open(store, default(), |_, _| {}).await.unwrap());
        let gate = Arc::new(Semaphore::new(permits));
        let life = Lifecycle::new(Arc::clone(&instances), Arc::new(Gate(Arc::clone(&gate))));
        let issuer = Arc::new(Issuer::new());
        let keys = Arc::clone(&issuer) as Arc<dyn KeyFetch>;
        let access = AccessControl::new(vec![Issuer::settings()], &keys);
        let access = Arc::new(access.with_management_token(TOKEN.to_owned().into()));
        let sink: Arc<dyn EventSink> = Arc::<Recorder>::clone(&recorder);
        let state: Arc<dyn MonitorState> = Arc::new(StoreState::new(kept));
        let rollups = Arc::new(Rollups::new(Arc::clone(&state)));
        let settings = Arc::new(SettingsBook::open(Arc::clone(&state), destinations()).await.unwrap());
        let resources = Arc::new(InstanceResources(Arc::clone(&instances)));
        let rules = Arc::new(RuleBook::open(Arc::clone(&state), resources, WORKSPACE.into()).await.unwrap());
        let Watch { queries, notifier } = watch;
        let alerts = Archive::new(Arc::clone(&state));
        let insights = Insights {
            rollups: Arc::clone(&rollups),
            settings,
            queries,
            rules: Arc::clone(&rules),
            alerts,
            notifier,
        };
        let enrollments = enrollments(&instances, &clock);
        let rehearsals = Rehearsals::new(
            Arc::clone(&instances),
            Arc::clone(&enrollments),
            Arc::clone(&clock),
            Arc::new(NoRegions),
            Arc::new(NoWebhook),
        );
        let inbox = Arc::new(Inbox::open(Arc::clone(&state)).await.unwrap());
        let folder = tempfile::tempdir().unwrap();
        let log = AttemptLog::open(folder.path()).unwrap();
        let diagnosis = Diagnosis {
            rehearsals: Some(Arc::new(rehearsals.unwrap())),
            explain: Some(Arc::new(ByReason)),
            drift: None,
            shown: Some(Arc::new(OneRefused)),
            attempts: Some(Arc::new(Log(log.reader()))),
            unknown: Some(Unknown { inbox: Arc::clone(&inbox), enrollments: Arc::clone(&enrollments) }),
        };
        let log = Mutex::new((log, folder));
        let api = ManagementApi::new(Arc::clone(&instances), life.clone(), access, insights, sink, clock);
        let api = api.with_diagnosis(diagnosis);
        Self { api, instances, life, gate, issuer, rollups, state, rules, enrollments, inbox, recorder, log }
    }

    /// What the attempt log has from now on.
    pub fn log(&self, events: &[Event]) {
        let (log, _) = &mut *self.log.lock().unwrap();
        for event in events {
            log.append(event).unwrap();
        }
        log.flush().unwrap();
    }

    pub async fn call(&self, ask: Ask) -> Reply {
        let body: Body = Full::new(bytes::Bytes::from(ask.body)).map_err(|never| match never {}).boxed();
        let mut request = Request::builder().method(ask.method).uri(ask.uri).body(body).unwrap();
        *request.headers_mut() = ask.headers;
        request.extensions_mut().insert(Arc::new(Channel {
            protocol: Protocol::Http,
            peer: SocketAddr::from(([192, 0, 2, 7], 50_000)),
            tls: TlsSession::default(),
        }));
        let (head, body) = self.api.serve(request).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Reply { status: head.status.as_u16(), headers: head.headers, text }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.call(ask("GET", path)).await
    }

    /// Creates or changes an instance and follows the operation to its end.
    pub async fn put(&self, name: &str, body: Value) -> Value {
        let reply = self.call(ask("PUT", &service(name)).json(&body)).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        self.followed(&reply).await;
        self.get(&service(name)).await.ok()
    }

    /// Follows the operation of an answer to its end.
    pub async fn followed(&self, reply: &Reply) -> Value {
        let url = reply.header("azure-asyncoperation").to_owned();
        let path = url.strip_prefix("https://example:8443").unwrap_or_else(|| panic!("{url}")).to_owned();
        loop {
            let progress = self.call(ask("GET", "").uri(&path)).await.ok();
            if progress["status"] != "Running" {
                return progress;
            }
            tokio::task::yield_now().await;
        }
    }

    /// The events recorded since the last look.
    pub fn events(&self) -> Vec<ManagementCallRecord> {
        std::mem::take(&mut *self.recorder.calls.lock().unwrap())
    }

    /// The arrivals of devices at hubs that were recorded since the last look.
    pub fn arrivals(&self) -> Vec<Event> {
        std::mem::take(&mut *self.recorder.arrivals.lock().unwrap())
    }
}

/// The least that makes an instance.
pub fn least() -> Value {
    json!({"location": "westus", "properties": {}, "sku": {"name": "S1", "capacity": 1}})
}

pub fn default() -> Instance {
    Instance {
        name: "dps".into(),
        id_scope: IdScope::parse("0ne00ABCDEF").unwrap(),
        allocation_policy: AllocationPolicy::Hashed,
        linked_hubs: Vec::new(),
        access_policies: vec![AccessPolicy {
            name: "provisioningserviceowner".into(),
            primary: Secret::new(vec![1; 32]),
            secondary: Secret::new(vec![2; 32]),
            rights: vec![Right::ServiceConfig],
        }],
        certificates: Vec::new(),
        network: NetworkAccess::default(),
        disable_local_auth: false,
        resource_id: DEFAULT.into(),
        location: "local".into(),
        resource: Resource::default(),
        rows: None,
        etag: Etag::fresh(),
    }
}

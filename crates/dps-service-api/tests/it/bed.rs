//! One service API over an empty store, a clock that stands still and a sink that keeps what it is given.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use dps_access::{AccessControl, KeyFetch};
use dps_attestation::sas_token::SasToken;
use dps_core::enrollment::KeyRings;
use dps_core::enrollment::group_lane::GroupLane;
use dps_core::ports::{Clock, Store};
use dps_core::{Enrollments, Instances, Throttle};
use dps_events::{Event, EventSink, ServiceCallRecord};
use dps_model::enrollment::AllocationPolicy;
use dps_model::instance::{AccessPolicy, Instance, Right};
use dps_model::limits::Profile;
use dps_model::{Channel, IdScope, Protocol, Secret, Timestamp, TlsSession};
use dps_service_api::{Body, ServiceApi};
use dps_store::MemoryStore;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;

use crate::issuer::Issuer;

/// 2026-12-01T00:00:00Z.
pub const NOW: i64 = 1_796_083_200;
/// `NOW` as answers write it.
pub const NOW_TEXT: &str = "2026-12-01T00:00:00.0000000Z";
/// A bearer token that may do everything.
pub const MANAGEMENT_TOKEN: &str = "a-token-for-tests";
/// Name of the one instance.
pub const INSTANCE: &str = "muster";

/// A clock that stands still; each look at its stopwatch takes a microsecond.
#[derive(Default)]
struct StandingClock(std::sync::atomic::AtomicU64);

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(NOW * 1000)
    }

    fn monotonic_micros(&self) -> u64 {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }
}

#[derive(Default)]
struct Recorder(Mutex<Vec<ServiceCallRecord>>);

impl EventSink for Recorder {
    fn record(&self, event: Event) {
        match event {
            Event::ServiceCall(record) => self.0.lock().unwrap().push(*record),
            other => panic!("the service API recorded {other:?}"),
        }
    }
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

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Status and code of the catalogue, `200` alone for a success.
    #[track_caller]
    pub fn code(&self) -> String {
        match self.header("x-ms-error-code") {
            Some(code) => {
                assert_eq!(self.json()["errorCode"].to_string(), code);
                assert_eq!(self.status.to_string(), code[..3]);
                code.to_owned()
            }
            None => self.status.to_string(),
        }
    }
}

/// A call to be made.
pub struct Ask {
    builder: http::request::Builder,
    body: Body,
}

/// A call as the owner, with a JSON content type and an api-version.
pub fn ask(method: &str, path: &str) -> Ask {
    let builder = Request::builder()
        .method(method)
        .uri(format!("{path}?api-version=2021-10-01"))
        .header("Host", "localhost:8443")
        .header("Authorization", token("provisioningserviceowner"));
    Ask { builder, body: whole("") }
}

/// A body that is there at once.
pub fn whole(text: impl Into<bytes::Bytes>) -> Body {
    Full::new(text.into()).map_err(|never| match never {}).boxed()
}

impl Ask {
    pub fn uri(mut self, uri: &str) -> Self {
        self.builder = self.builder.uri(uri);
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.text("application/json", body.to_string())
    }

    pub fn text(self, content_type: &str, body: impl Into<bytes::Bytes>) -> Self {
        Self { body: whole(body), ..self }.header("Content-Type", content_type)
    }

    pub fn body(self, body: Body) -> Self {
        Self { body, ..self }
    }

    /// Sets a header, over what was there.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.builder.headers_mut().unwrap().insert(name, value.parse().unwrap());
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.builder.headers_mut().unwrap().remove(name);
        self
    }

    pub fn request(self) -> Request<Body> {
        let mut request = self.builder.body(self.body).unwrap();
        request.extensions_mut().insert(Arc::new(Channel {
            protocol: Protocol::Http,
            peer: SocketAddr::from(([192, 0, 2, 7], 50_000)),
            tls: TlsSession::default(),
        }));
        request
    }
}

fn key(byte: u8) -> Secret {
    Secret::new(vec![byte; 32])
}

/// The policies of the instance: the owner, and one for each right.
pub const POLICIES: [(&str, &[Right]); 7] = [
    ("provisioningserviceowner", &[Right::ServiceConfig, Right::DeviceConnect, Right::EnrollmentWrite]),
    ("ServiceConfig", &[Right::ServiceConfig]),
    ("EnrollmentRead", &[Right::EnrollmentRead]),
    ("EnrollmentWrite", &[Right::EnrollmentWrite]),
    ("DeviceConnect", &[Right::DeviceConnect]),
    ("RegistrationStatusRead", &[Right::RegistrationStatusRead]),
    ("RegistrationStatusWrite", &[Right::RegistrationStatusWrite]),
];

/// A good token of that policy.
pub fn token(policy: &str) -> String {
    let index = POLICIES.iter().position(|(name, _)| *name == policy).unwrap();
    SasToken::sign("localhost", &key(u8::try_from(index).unwrap() + 1), NOW + 60, Some(policy))
}

fn instance() -> Instance {
    let access_policies = (1..).zip(POLICIES).map(|(byte, (name, rights))| AccessPolicy {
        name: name.into(),
        primary: key(byte),
        secondary: key(byte + 100),
        rights: rights.to_vec(),
    });
    Instance {
        name: INSTANCE.into(),
        id_scope: IdScope::parse("0ne00ABCDEF").unwrap(),
        allocation_policy: AllocationPolicy::Hashed,
        linked_hubs: Vec::new(),
        access_policies: access_policies.collect(),
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

/// The service API and what stands around it.
pub struct Bed {
    pub api: ServiceApi,
    pub store: Arc<dyn Store>,
    pub instances: Arc<Instances>,
    pub issuer: Arc<Issuer>,
    recorder: Arc<Recorder>,
}

impl Bed {
    pub async fn new() -> Self {
        Self::over(Arc::new(MemoryStore::new())).await
    }

    pub async fn over(store: Arc<dyn Store>) -> Self {
        Self::limited(store, Profile::None).await
    }

    pub async fn limited(store: Arc<dyn Store>, profile: Profile) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(StandingClock::default());
        let recorder = Arc::new(Recorder::default());
        let instances = Arc::new(Instances::open(Arc::clone(&store), instance(), |_, _| {}).await.unwrap());
        let rings = Arc::new(KeyRings::new(Arc::clone(&store)));
        let lane = Arc::new(GroupLane::start().unwrap());
        let enrollments = Arc::new(Enrollments::new(Arc::clone(&store), Arc::clone(&clock), rings, lane));
        let sink: Arc<dyn EventSink> = Arc::<Recorder>::clone(&recorder);
        let throttle = Arc::new(Throttle::new(profile, Arc::clone(&clock)));
        let issuer = Arc::new(Issuer::new());
        let keys = Arc::clone(&issuer) as Arc<dyn KeyFetch>;
        let access = AccessControl::new(vec![Issuer::settings()], &keys)
            .with_management_token(MANAGEMENT_TOKEN.to_owned().into());
        let (known, access) = (Arc::clone(&instances), Arc::new(access));
        let api = ServiceApi::new(enrollments, instances, access, throttle, sink, clock);
        Self { api, store, instances: known, issuer, recorder }
    }

    pub async fn call(&self, ask: Ask) -> Reply {
        let (head, body) = self.api.serve(ask.request()).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Reply {
            status: head.status.as_u16(),
            headers: head.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    /// The events recorded since the last look.
    pub fn events(&self) -> Vec<ServiceCallRecord> {
        std::mem::take(&mut *self.recorder.0.lock().unwrap())
    }

    /// The one event recorded since the last look.
    #[track_caller]
    pub fn event(&self) -> ServiceCallRecord {
        let mut events = self.events();
        assert_eq!(events.len(), 1, "{events:?}");
        events.remove(0)
    }
}

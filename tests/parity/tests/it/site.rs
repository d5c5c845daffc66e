//! One server in this process: the real device API on free ports, over the real core and a store in memory.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dps_attestation::tpm::ChallengeSecret;
use dps_core::enrollment::find::Finder;
use dps_core::enrollment::group_lane::GroupLane;
use dps_core::enrollment::{Enrollments, KeyRings};
use dps_core::ports::{Clock, Collection, Hubs, Store};
use dps_core::{
    DeviceOperation, DeviceRequest, DeviceResponse, Instances, Operations, Provisioning, Throttle,
};
use dps_device_api::{Core, DeviceApi, Fronts, ServerTls};
use dps_events::EventSink;
use dps_model::attestation::Mechanism;
use dps_model::connection_string::ConnectionString;
use dps_model::enrollment::AllocationPolicy;
use dps_model::hub::LinkedHub;
use dps_model::instance::Instance;
use dps_model::limits::Profile;
use dps_model::network::{IpFilterAction, IpFilterRule, IpFilterTarget, IpMask};
use dps_model::{Error, HubName, IdScope, Secret};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::events::{Events, HeldClock};
use crate::hubs::HeldHubs;
use crate::pki::Ca;
use crate::store::HeldStore;

pub const SCOPE: &str = "0ne00PARITY";
const INSTANCE: &str = "dps";
const HUB: &str = "hub-a.example";

/// Where the protocols are served.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    pub https: SocketAddr,
    pub mqtt: SocketAddr,
    pub amqp: SocketAddr,
}

/// The core, and what custom payloads it was handed.
struct Observed {
    provisioning: Arc<Provisioning>,
    payloads: Arc<Mutex<HashMap<String, String>>>,
}

#[async_trait]
impl Core for Observed {
    async fn serve(&self, request: DeviceRequest) -> Result<DeviceResponse, Error> {
        if let DeviceOperation::Register(body) = &request.operation
            && let Some(payload) = &body.payload
        {
            let (id, payload) = (request.registration_id.clone(), payload.get().to_owned());
            self.payloads.lock().unwrap().insert(id, payload);
        }
        self.provisioning.serve(request).await
    }

    fn knows_scope(&self, id_scope: &str) -> bool {
        self.provisioning.knows_scope(id_scope)
    }
}

pub struct Site {
    pub clock: Arc<HeldClock>,
    pub events: Arc<Events>,
    pub hubs: Arc<HeldHubs>,
    pub provisioning: Arc<Provisioning>,
    pub ca: Ca,
    pub ports: Ports,
    pub store: Arc<HeldStore>,
    instances: Arc<Instances>,
    instance: Arc<Instance>,
    enrollments: Enrollments,
    payloads: Arc<Mutex<HashMap<String, String>>>,
    stop: watch::Sender<bool>,
    serving: Mutex<Vec<JoinHandle<()>>>,
}

fn instance() -> Instance {
    let hub = LinkedHub {
        name: HubName::parse(HUB).unwrap(),
        connection: ConnectionString {
            host: HUB.to_owned(),
            policy: "iothubowner".into(),
            key: Secret::new(vec![7; 32]),
        },
        allocation_weight: 1,
        apply_allocation_policy: true,
        location: String::new(),
    };
    Instance {
        name: INSTANCE.into(),
        id_scope: IdScope::parse(SCOPE).unwrap(),
        allocation_policy: AllocationPolicy::Hashed,
        linked_hubs: vec![hub],
        access_policies: Vec::new(),
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

impl Site {
    pub async fn open(limits: Profile) -> Self {
        let (clock, events) = (Arc::new(HeldClock::new()), Arc::new(Events::new()));
        let hubs = Arc::new(HeldHubs::new());
        let held = Arc::new(HeldStore::new());
        let store = Arc::clone(&held) as Arc<dyn Store>;
        let time = || Arc::clone(&clock) as Arc<dyn Clock>;
        let sink = || Arc::clone(&events) as Arc<dyn EventSink>;
        let instances = Arc::new(Instances::open(Arc::clone(&store), instance(), |_, _| {}).await.unwrap());
        let rings = Arc::new(KeyRings::new(Arc::clone(&store)));
        let lane = Arc::new(GroupLane::start().unwrap());
        let port = Arc::clone(&hubs) as Arc<dyn Hubs>;
        let operations = Operations::new(Arc::clone(&store), port, time(), sink(), Arc::clone(&instances));
        let enrollments = Enrollments::new(Arc::clone(&store), time(), Arc::clone(&rings), Arc::clone(&lane));
        let instance = instances.default_instance();
        let provisioning = Arc::new(Provisioning::new(
            Arc::clone(&instances),
            Finder::new(Arc::clone(&store), rings, lane),
            Arc::new(operations),
            Arc::new(Throttle::new(limits, time())),
            ChallengeSecret::new(&Secret::new(vec![9; 32])),
            time(),
            sink(),
        ));
        let payloads = Arc::default();
        let core = Observed { provisioning: Arc::clone(&provisioning), payloads: Arc::clone(&payloads) };
        let api = DeviceApi::new(Arc::new(core), sink(), time(), Fronts::default());
        let ca = Ca::new("parity");
        let (stop, shutdown) = watch::channel(false);
        let (ports, serving) = serve(&api, &ca, &shutdown).await;
        Self {
            clock,
            events,
            hubs,
            provisioning,
            ca,
            ports,
            store: held,
            instances,
            instance,
            enrollments,
            payloads,
            stop,
            serving: Mutex::new(serving),
        }
    }

    /// A rule that keeps every device of this machine out, or none.
    pub async fn keep_out(&self, kept_out: bool) {
        let rule = IpFilterRule {
            filter_name: "this machine".into(),
            action: IpFilterAction::Reject,
            ip_mask: IpMask::parse("127.0.0.0/8").unwrap(),
            target: IpFilterTarget::DeviceApi,
        };
        let rules = if kept_out { vec![rule] } else { Vec::new() };
        let known = self.instances.default_instance();
        let changed = self.instances.change(&known, None, |instance| {
            instance.network.rules.clone_from(&rules);
            Ok(())
        });
        changed.await.unwrap();
    }

    pub async fn enroll(&self, id: &str, body: &Value) -> Mechanism {
        let input = serde_json::from_value(body.clone()).unwrap();
        self.enrollments.put_individual(&self.instance, id, input, None).await.unwrap().value.attestation
    }

    pub async fn enroll_group(&self, id: &str, body: &Value) -> Mechanism {
        let input = serde_json::from_value(body.clone()).unwrap();
        self.enrollments.put_group(&self.instance, id, input, None).await.unwrap().value.attestation
    }

    /// The custom payload that the core was handed last for that device.
    pub fn payload(&self, id: &str) -> Option<String> {
        self.payloads.lock().unwrap().get(id).cloned()
    }

    /// The stored registration.
    pub async fn document(&self, id: &str) -> Option<Value> {
        let document = self.store.get(Collection::Registrations, INSTANCE, id).await.unwrap()?;
        Some(serde_json::from_str(&document.body).unwrap())
    }

    pub async fn registrations(&self) -> u64 {
        self.store.count(Collection::Registrations, INSTANCE).await.unwrap()
    }

    /// Stops serving; when it returns, every event is recorded.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let serving = std::mem::take(&mut *self.serving.lock().unwrap());
        for task in serving {
            task.await.unwrap();
        }
    }
}

async fn serve(
    api: &Arc<DeviceApi>,
    ca: &Ca,
    shutdown: &watch::Receiver<bool>,
) -> (Ports, Vec<JoinHandle<()>>) {
    let tls = Arc::new(ServerTls::new(ca.server()).unwrap());
    let (mut addresses, mut serving) = (Vec::new(), Vec::new());
    for port in 0..3 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        addresses.push(listener.local_addr().unwrap());
        let (api, tls, shutdown) = (Arc::clone(api), Arc::clone(&tls), shutdown.clone());
        serving.push(tokio::spawn(async move {
            match port {
                0 => api.serve_https(listener, &tls, shutdown).await,
                1 => api.serve_mqtt(listener, &tls, shutdown).await,
                _ => api.serve_amqp(listener, &tls, shutdown).await,
            }
        }));
    }
    (Ports { https: addresses[0], mqtt: addresses[1], amqp: addresses[2] }, serving)
}

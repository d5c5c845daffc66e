use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dps_core::Instances;
use dps_core::ports::{Clock, Store, SystemClock};
use dps_events::{AddressMask, AttemptRecord, Event, Metrics, Operation, Outcome};
use dps_model::enrollment::AllocationPolicy;
use dps_model::instance::{Instance, Resource};
use dps_model::network::NetworkAccess;
use dps_model::{Channel, Etag, IdScope, Protocol, TlsSession, TrackingId};
use dps_monitor::destinations::{Batch, DeliveryError, Destination, Records};
use dps_monitor::metrics::Rollups;
use dps_monitor::settings::{LogChoice, MetricChoice, Setting};
use dps_store::{MemoryStore, StoreState};

use super::{DiagnosticSettings, WorkspacePlace};

const RESOURCE: &str =
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/provisioningServices/dps";
const STORAGE: &str = "/storageAccounts/files";

#[derive(Default)]
struct Remembers(Mutex<Vec<Batch>>);

#[async_trait]
impl Destination for Remembers {
    async fn deliver(&self, batch: &Batch) -> Result<(), DeliveryError> {
        self.0.lock().unwrap().push(batch.clone());
        Ok(())
    }
}

fn instance() -> Instance {
    Instance {
        name: "dps".into(),
        id_scope: IdScope::parse("0ne00ABCDEF").unwrap(),
        allocation_policy: AllocationPolicy::Hashed,
        linked_hubs: Vec::new(),
        access_policies: Vec::new(),
        certificates: Vec::new(),
        network: NetworkAccess::default(),
        disable_local_auth: false,
        resource_id: RESOURCE.into(),
        location: "local".into(),
        resource: Resource::default(),
        rows: None,
        etag: Etag::fresh(),
    }
}

fn attempt(clock: &dyn Clock) -> Event {
    let channel = Channel {
        protocol: Protocol::Mqtt,
        peer: "192.0.2.7:1".parse().unwrap(),
        tls: TlsSession::default(),
    };
    let mut record = AttemptRecord::open(TrackingId::fresh(), clock.now(), &channel, Operation::Register);
    record.instance = Some("dps".into());
    record.outcome = Outcome::Success;
    Event::Attempt(Box::new(record))
}

#[tokio::test]
async fn event_reaches_the_destination_that_a_setting_names_and_the_next_listener() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let state = Arc::new(StoreState::new(Arc::clone(&store)));
    let place = WorkspacePlace {
        id: uuid::Uuid::nil(),
        subscription: uuid::Uuid::nil(),
        addresses: AddressMask::Masked,
    };
    let files = Arc::new(Remembers::default());
    let external = [(STORAGE.to_lowercase(), Arc::clone(&files) as _)].into();
    let metrics = Arc::new(Metrics::new());
    let diagnostics =
        DiagnosticSettings::open(state, &place, external, &metrics, Arc::clone(&clock)).await.unwrap();
    let seen = Arc::new(Mutex::new(0));
    let counter = Arc::clone(&seen);
    let mut listener = diagnostics.delivering(Box::new(move |_| *counter.lock().unwrap() += 1));
    let instances = Instances::open(store, instance(), |_, _| {}).await.unwrap();
    diagnostics.begin(&place, &Arc::new(instances));

    listener(&attempt(clock.as_ref()));
    let setting = Setting {
        name: "files".into(),
        storage_account_id: Some(STORAGE.into()),
        logs: vec![LogChoice {
            category_group: Some("allLogs".into()),
            enabled: true,
            ..LogChoice::default()
        }],
        ..Setting::default()
    };
    diagnostics.book.put(RESOURCE, setting).await.unwrap();
    listener(&attempt(clock.as_ref()));
    diagnostics.close().await;
    listener(&attempt(clock.as_ref()));

    assert_eq!(*seen.lock().unwrap(), 3);
    let batches = std::mem::take(&mut *files.0.lock().unwrap());
    let [Batch { resource_id, records: Records::Logs(logs), .. }] = &batches[..] else {
        panic!("{batches:?}")
    };
    assert_eq!((resource_id.as_str(), logs.len()), (RESOURCE.to_uppercase().as_str(), 1));
    assert_eq!(logs[0].caller_ip_address, "192.0.2.XXX");
}

#[tokio::test(start_paused = true)]
async fn metrics_are_exported_while_the_server_runs() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let clock = Arc::new(Moving::default());
    let state = Arc::new(StoreState::new(Arc::clone(&store)));
    let place = WorkspacePlace {
        id: uuid::Uuid::nil(),
        subscription: uuid::Uuid::nil(),
        addresses: AddressMask::Masked,
    };
    let files = Arc::new(Remembers::default());
    let external = [(STORAGE.to_lowercase(), Arc::clone(&files) as _)].into();
    let (metrics, time) = (Arc::new(Metrics::new()), Arc::clone(&clock) as Arc<dyn Clock>);
    let diagnostics =
        DiagnosticSettings::open(Arc::clone(&state) as _, &place, external, &metrics, time).await.unwrap();
    let setting = Setting {
        name: "files".into(),
        storage_account_id: Some(STORAGE.into()),
        metrics: vec![MetricChoice {
            category: Some("AllMetrics".into()),
            enabled: true,
            ..MetricChoice::default()
        }],
        ..Setting::default()
    };
    diagnostics.book.put(RESOURCE, setting).await.unwrap();
    let rollups = Arc::new(Rollups::new(state));
    let instances = Arc::new(Instances::open(store, instance(), |_, _| {}).await.unwrap());
    let keeper = diagnostics.keep_up(Arc::clone(&rollups), instances, None);
    rollups.observe(&attempt(clock.as_ref()));
    while files.0.lock().unwrap().is_empty() {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    keeper.abort();
    let batches = std::mem::take(&mut *files.0.lock().unwrap());
    let Records::Metrics(minutes) = &batches[0].records else { panic!("{batches:?}") };
    assert_eq!((minutes[0].name, minutes[0].count), ("AttestationAttempts", 1));
    // It begins with the time that it has when it is asked first; the minute ends and the delay goes by.
    assert!((75..90).contains(&clock.now().seconds()), "{}", clock.now().seconds());
}

/// As tokio's: tests can pause it.
struct Moving(tokio::time::Instant);

impl Default for Moving {
    fn default() -> Self {
        Self(tokio::time::Instant::now())
    }
}

impl Clock for Moving {
    fn now(&self) -> dps_model::Timestamp {
        dps_model::Timestamp::from_millis(i64::try_from(self.0.elapsed().as_millis()).unwrap())
    }

    fn monotonic_micros(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap()
    }
}

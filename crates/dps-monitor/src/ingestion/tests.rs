use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use dps_events::{AddressMask, ConnectionRecord, Event, Metrics};
use dps_model::limits::MAX_LOG_ROWS_WAITING;
use dps_model::{Protocol, Timestamp, TrackingId};

use super::Ingestion;
use crate::logs::{Category, Projection, ResourceLog};
use crate::{LogError, LogStore, MemoryLogStore, Resource, Resources, Routes, Row, StoreFacts, Table};

struct Nobody;

/// Wants every log.
struct All;

impl Routes for All {
    fn to_workspace(&self, _: &ResourceLog) -> bool {
        true
    }
}

impl Resources for Nobody {
    fn find(&self, _: Option<&str>) -> Option<Resource> {
        None
    }
}

fn event() -> Event {
    Event::Connection(Box::new(ConnectionRecord {
        tracking_id: TrackingId::fresh(),
        time: Timestamp::from_millis(0),
        micros: 1,
        protocol: Protocol::Mqtt,
        peer: "127.0.0.1:9".parse().unwrap(),
        stage: "handshake",
        reason: "no TLS record".into(),
        causes: Vec::new(),
        claimed: None,
        hub_device: None,
        handshake: None,
    }))
}

fn start(store: Arc<dyn LogStore>, routes: Arc<dyn Routes>) -> (Ingestion, Arc<Metrics>) {
    let projection =
        Projection { resources: Arc::new(Nobody), workspace: "w".into(), addresses: AddressMask::Masked };
    let metrics = Arc::new(Metrics::new());
    (Ingestion::start(store, projection, routes, Arc::clone(&metrics)).unwrap(), metrics)
}

#[test]
fn closed_ingestion_has_appended_every_row_it_took_in_few_batches() {
    let store = Arc::new(MemoryLogStore::default());
    let (ingestion, metrics) = start(Arc::clone(&store) as _, Arc::new(All));
    for _ in 0..1_000 {
        ingestion.take(&event());
    }
    ingestion.close();
    ingestion.take(&event());
    assert_eq!((store.rows().len(), ingestion.waiting()), (1_000, 0));
    assert!(store.appends() < 100, "{} appends", store.appends());
    let text = metrics.render();
    assert!(text.contains(r#"muster_log_rows_total{table="AzureDiagnostics"} 1000"#), "{text}");
    assert!(text.contains(r#"muster_log_rows_dropped_total{cause="queue"} 1"#), "{text}");
}

#[test]
fn rows_that_the_store_does_not_keep_are_counted_and_later_ones_kept() {
    let store = Arc::new(MemoryLogStore::default());
    store.fail(true);
    let (ingestion, metrics) = start(Arc::clone(&store) as _, Arc::new(All));
    ingestion.take(&event());
    while ingestion.waiting() > 0 {
        std::thread::yield_now();
    }
    store.fail(false);
    ingestion.take(&event());
    ingestion.close();
    assert_eq!(store.rows().len(), 1);
    let text = metrics.render();
    assert!(text.contains(r#"muster_log_rows_dropped_total{cause="store"} 1"#), "{text}");
}

/// A store that keeps nothing until it is told to go on.
struct Stuck {
    entered: Mutex<Sender<()>>,
    go_on: Mutex<Receiver<()>>,
}

impl LogStore for Stuck {
    fn append(&self, _: Vec<Row>) -> Result<(), LogError> {
        let _ = self.entered.lock().unwrap().send(());
        let _ = self.go_on.lock().unwrap().recv();
        Ok(())
    }

    fn facts(&self) -> StoreFacts {
        StoreFacts::default()
    }
}

#[test]
fn store_that_hangs_holds_nobody_up() {
    let ((entered, enters), (release, go_on)) = (channel(), channel());
    let store = Stuck { entered: Mutex::new(entered), go_on: Mutex::new(go_on) };
    let (ingestion, metrics) = start(Arc::new(store), Arc::new(All));
    ingestion.take(&event());
    enters.recv().unwrap();
    for _ in 0..MAX_LOG_ROWS_WAITING + 10 {
        ingestion.take(&event());
    }
    let text = metrics.render();
    assert!(text.contains(r#"muster_log_rows_dropped_total{cause="queue"} "#), "{text}");
    assert!(ingestion.waiting() <= MAX_LOG_ROWS_WAITING + 1, "{}", ingestion.waiting());
    drop(release);
    ingestion.close();
    assert_eq!(ingestion.waiting(), 0);
}

/// Wants the service's logs alone.
struct ServiceOnly;

impl Routes for ServiceOnly {
    fn to_workspace(&self, log: &ResourceLog) -> bool {
        log.category == Category::ServiceOperations
    }
}

#[test]
fn row_that_no_setting_sends_is_not_kept() {
    let store = Arc::new(MemoryLogStore::default());
    let (ingestion, metrics) = start(Arc::clone(&store) as _, Arc::new(ServiceOnly));
    ingestion.take(&event());
    let cells = Table::AzureMetrics.columns().iter().map(|(_, ty)| dps_kql::Value::Null(*ty)).collect();
    ingestion.append(Row { table: Table::AzureMetrics, cells });
    ingestion.close();
    assert_eq!(store.rows().iter().map(|row| row.table).collect::<Vec<_>>(), [Table::AzureMetrics]);
    assert!(!metrics.render().contains("cause=\"queue\""));
}

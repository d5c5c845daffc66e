use std::sync::{Arc, Mutex};

use dps_events::Metrics;
use dps_kql::Value;
use dps_model::limits::{MAX_METRIC_EXPORT_MINUTES, METRIC_EXPORT_DELAY};
use dps_model::{Protocol, Timestamp};
use tokio::runtime::Handle;

use super::{MetricExport, Rows};
use crate::destinations::Records;
use crate::metrics::Rollups;
use crate::metrics::fixtures::{Break, MemoryState, attempt};
use crate::ports::Resource;
use crate::settings::book::SettingsBook;
use crate::settings::deliveries::Deliveries;
use crate::settings::fixtures::{RESOURCE, Remembers, destinations, to_storage};
use crate::settings::setting::{DEFAULT_SETTING, MetricChoice};
use crate::{Row, Table};

/// A server that can be started again over what it keeps.
struct Bed {
    state: Arc<MemoryState>,
    storage: Arc<Remembers>,
    rows: Arc<Mutex<Vec<Row>>>,
    book: Arc<SettingsBook>,
    rollups: Arc<Rollups>,
    deliveries: Arc<Deliveries>,
    export: MetricExport,
}

impl Bed {
    async fn start(state: &Arc<MemoryState>) -> Self {
        let (storage, stream) = (Arc::<Remembers>::default(), Arc::<Remembers>::default());
        let known = destinations(Arc::clone(&storage) as _, stream as _);
        let book = Arc::new(SettingsBook::open(Arc::clone(state) as _, known).await.unwrap());
        let rollups = Arc::new(Rollups::new(Arc::clone(state) as _));
        let metrics = Arc::new(Metrics::new());
        let deliveries = Arc::new(Deliveries::new(Arc::clone(&book), metrics, Handle::current()));
        let rows = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&rows);
        let keep: Rows = Arc::new(move |row| kept.lock().unwrap().push(row));
        let export = MetricExport::new(
            Arc::clone(&book),
            Arc::clone(&rollups),
            Arc::clone(state) as _,
            Arc::clone(&deliveries),
            Some(keep),
        );
        Self { state: Arc::clone(state), storage, rows, book, rollups, deliveries, export }
    }

    fn count(&self, second: i64) {
        self.rollups.observe(&attempt("dps", Protocol::Mqtt, true, second));
    }

    async fn run(&self, second: i64) -> usize {
        let resource = Resource { id: RESOURCE.into(), location: "local".into() };
        self.export.run(&[resource], Timestamp::from_millis(second * 1_000)).await.unwrap()
    }

    /// Minute and count of each row since the last look.
    fn seen(&self) -> Vec<(i64, f64)> {
        let cell = |row: &Row, name: &str| {
            let place = Table::AzureMetrics.columns().iter().position(|(it, _)| *it == name).unwrap();
            row.cells[place].clone()
        };
        let of = |row: &Row| match (cell(row, "TimeGenerated"), cell(row, "Total")) {
            (Value::DateTime(ticks), Value::Real(total)) => ((ticks - EPOCH) / 600_000_000, total),
            other => panic!("{other:?}"),
        };
        std::mem::take(&mut *self.rows.lock().unwrap()).iter().map(of).collect()
    }
}

const EPOCH: i64 = 621_355_968_000_000_000;
/// A minute is due then.
const DUE: i64 = 60 + METRIC_EXPORT_DELAY;

#[tokio::test]
async fn minute_is_exported_once_when_it_is_over_and_an_empty_one_not_at_all() {
    let bed = Bed::start(&Arc::default()).await;
    assert_eq!(bed.run(0).await, 0);
    bed.count(1);
    bed.count(59);
    bed.count(60);
    assert_eq!((bed.run(DUE - 1).await, bed.seen()), (0, vec![]));
    assert_eq!((bed.run(DUE).await, bed.seen()), (1, vec![(0, 2.0)]));
    assert_eq!((bed.run(DUE + 1).await, bed.seen()), (0, vec![]));
    assert_eq!((bed.run(DUE + 180).await, bed.seen()), (1, vec![(1, 1.0)]));
    // A clock that was set back exports nothing again.
    assert_eq!((bed.run(DUE).await, bed.seen()), (0, vec![]));
}

#[tokio::test]
async fn restart_doubles_nothing_and_makes_up_for_what_was_not_exported() {
    let state = Arc::new(MemoryState::default());
    let bed = Bed::start(&state).await;
    bed.run(0).await;
    bed.count(1);
    bed.run(DUE).await;
    bed.count(61);
    bed.rollups.flush(Timestamp::from_millis(62_000)).await.unwrap();
    assert_eq!(bed.seen(), [(0, 1.0)]);

    let again = Bed::start(&state).await;
    again.count(62);
    assert_eq!((again.run(DUE + 60).await, again.seen()), (1, vec![(1, 2.0)]));
    let third = Bed::start(&state).await;
    assert_eq!((third.run(DUE + 60).await, third.seen()), (0, vec![]));
}

#[tokio::test]
async fn standstill_is_made_up_for_within_its_bound() {
    let state = Arc::new(MemoryState::default());
    let bed = Bed::start(&state).await;
    bed.run(0).await;
    for minute in 0..100 {
        bed.count(60 * minute);
    }
    let exported = bed.run(DUE + 99 * 60).await;
    assert_eq!(i64::try_from(exported), Ok(MAX_METRIC_EXPORT_MINUTES));
    let minutes: Vec<i64> = bed.seen().into_iter().map(|(minute, _)| minute).collect();
    assert_eq!(minutes, (40..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn failed_state_exports_nothing_and_the_next_run_does() {
    let bed = Bed::start(&Arc::default()).await;
    bed.run(0).await;
    bed.count(1);
    bed.state.break_next(Break::Before);
    let resource = Resource { id: RESOURCE.into(), location: "local".into() };
    let failed = bed.export.run(&[resource], Timestamp::from_millis(DUE * 1_000)).await;
    assert!(failed.is_err() && bed.seen().is_empty());
    assert_eq!((bed.run(DUE).await, bed.seen()), (1, vec![(0, 1.0)]));
}

#[tokio::test(start_paused = true)]
async fn metrics_go_where_the_settings_say() {
    let bed = Bed::start(&Arc::default()).await;
    bed.run(0).await;
    let choice = MetricChoice { category: Some("AllMetrics".into()), enabled: true, ..Default::default() };
    let setting = crate::settings::setting::Setting {
        metrics: vec![choice],
        ..to_storage("files", "DeviceOperations")
    };
    bed.book.put(RESOURCE, setting).await.unwrap();
    bed.count(1);
    assert_eq!((bed.run(DUE).await, bed.seen()), (1, vec![]));
    bed.book.delete(RESOURCE, "files").await.unwrap().unwrap();
    assert!(bed.book.get(RESOURCE, DEFAULT_SETTING).is_none());
    bed.count(61);
    assert_eq!((bed.run(DUE + 60).await, bed.seen()), (0, vec![]));
    bed.deliveries.close().await;
    let batches = bed.storage.batches();
    let Records::Metrics(minutes) = &batches[0].records else { panic!("{batches:?}") };
    assert_eq!((batches.len(), minutes.len()), (1, 1));
    assert_eq!((minutes[0].name, minutes[0].count, minutes[0].time.millis()), ("AttestationAttempts", 1, 0));
}

use std::sync::Arc;
use std::time::Duration;

use dps_events::Metrics;
use dps_model::Timestamp;
use dps_model::limits::{DELIVERY_DRAIN, MAX_DELIVERY_ATTEMPTS, MAX_DELIVERY_RECORDS_WAITING};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::Deliveries;
use crate::destinations::{DeliveryError, Records};
use crate::logs::Category::{DeviceOperations, ServiceOperations};
use crate::metrics::fixtures::MemoryState;
use crate::settings::book::SettingsBook;
use crate::settings::fixtures::{Answer, RESOURCE, Remembers, STREAM, destinations, log, minute, to_storage};
use crate::settings::setting::{LogChoice, MetricChoice, Setting};

/// A book of two settings: device operations to storage, everything to a stream.
struct Bed {
    storage: Arc<Remembers>,
    stream: Arc<Remembers>,
    book: Arc<SettingsBook>,
    metrics: Arc<Metrics>,
    deliveries: Deliveries,
}

impl Bed {
    async fn new(storage: Arc<Remembers>) -> Self {
        let stream = Remembers::with_hub();
        let known = destinations(Arc::clone(&storage) as _, Arc::clone(&stream) as _);
        let state = Arc::new(MemoryState::default());
        let book = Arc::new(SettingsBook::open(state as _, known).await.unwrap());
        book.put(RESOURCE, to_storage("Files", "DeviceOperations")).await.unwrap();
        let all = LogChoice { category_group: Some("allLogs".into()), enabled: true, ..Default::default() };
        let metrics =
            MetricChoice { category: Some("AllMetrics".into()), enabled: true, ..Default::default() };
        let setting = Setting {
            name: "stream".into(),
            event_hub_authorization_rule_id: Some(STREAM.into()),
            event_hub_name: Some("hub".into()),
            logs: vec![all],
            metrics: vec![metrics],
            ..Setting::default()
        };
        book.put(RESOURCE, setting).await.unwrap();
        let metrics = Arc::new(Metrics::new());
        let deliveries = Deliveries::new(Arc::clone(&book), Arc::clone(&metrics), Handle::current());
        // The setting names an event hub of it.
        let stream = stream.hub.clone().unwrap();
        Self { storage, stream, book, metrics, deliveries }
    }

    fn take(&self, number: u64) {
        self.deliveries.take(&log(DeviceOperations, number), now());
    }

    /// The value of a series, by the beginning of its line without the prefix.
    fn count(&self, series: &str) -> u64 {
        let text = self.metrics.render();
        let line = text.lines().find(|line| line.starts_with(&format!("muster_{series}")));
        line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    }
}

fn now() -> Timestamp {
    Timestamp::from_millis(1_000)
}

fn numbers(destination: &Remembers) -> Vec<Vec<u64>> {
    let logs = |records: &Records| match records {
        Records::Logs(logs) => logs.iter().map(|log| log.duration_ms).collect(),
        Records::Metrics(minutes) => minutes.iter().map(|minute| minute.count).collect(),
    };
    destination.batches().iter().map(|batch| logs(&batch.records)).collect()
}

fn later(after: Option<Duration>) -> Answer {
    Answer::Fails(DeliveryError::Later { why: "busy".into(), after })
}

const OF_FILES: &str = r#"{instance="dps",setting="files",destination="storage""#;

#[tokio::test(start_paused = true)]
async fn record_goes_to_each_destination_that_takes_it_and_gathered_ones_together() {
    let bed = Bed::new(Arc::default()).await;
    bed.take(1);
    bed.deliveries.take(&log(ServiceOperations, 2), now());
    bed.take(3);
    let outlets = bed.book.effect(&RESOURCE.to_uppercase()).outlets.clone();
    assert_eq!(outlets.iter().map(|outlet| outlet.takes_metrics()).collect::<Vec<_>>(), [false, true]);
    bed.deliveries.take_metrics(&outlets[1], &[minute(4), minute(5)], now());
    bed.deliveries.close().await;
    assert_eq!(numbers(&bed.storage), [vec![1, 3]]);
    assert_eq!(numbers(&bed.stream), [vec![1, 3], vec![2], vec![4, 5]]);
    let batch = bed.stream.batches().remove(0);
    assert_eq!((batch.resource_id, batch.received), (RESOURCE.to_uppercase(), now()));
    assert_eq!(bed.count(&format!("delivered_records_total{OF_FILES}")), 2);
    // Later ones are nobody's.
    bed.take(6);
    assert_eq!(numbers(&bed.storage).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn destination_that_fails_and_then_takes_it_has_it_once_and_waits_as_it_asked() {
    let storage = Remembers::after([
        later(None),
        later(Some(Duration::from_secs(100))),
        later(Some(Duration::from_hours(20))),
        Answer::Panics,
    ]);
    let bed = Bed::new(storage).await;
    let began = Instant::now();
    bed.take(1);
    while bed.storage.batches().is_empty() {
        bed.storage.called.notified().await;
    }
    // The gathering, then 1, 100, 600 as the most that may be asked for, and 8 seconds.
    assert_eq!(began.elapsed(), Duration::from_secs(1 + 1 + 100 + 600 + 8));
    assert_eq!(numbers(&bed.storage), [[1]]);
    bed.deliveries.close().await;
    assert_eq!(bed.count(&format!("delivery_retries_total{OF_FILES}")), 4);
    assert_eq!(bed.count("delivery_dead_letters_total"), 0);
}

#[tokio::test(start_paused = true)]
async fn refused_batch_and_one_that_is_never_taken_are_dead_letters_by_cause() {
    let busy = (0..MAX_DELIVERY_ATTEMPTS).map(|_| later(None));
    let refused = Answer::Fails(DeliveryError::Refused("no such container".into()));
    let bed = Bed::new(Remembers::after(std::iter::once(refused).chain(busy))).await;
    for (number, cause) in [(1, "refused"), (2, "exhausted")] {
        bed.take(number);
        while bed.count(&format!("delivery_dead_letters_total{OF_FILES},cause=\"{cause}\"")) == 0 {
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
    }
    bed.take(3);
    bed.deliveries.close().await;
    assert_eq!(numbers(&bed.storage), [[3]]);
}

#[tokio::test(start_paused = true)]
async fn destination_that_hangs_holds_up_neither_others_nor_who_records() {
    let bed = Bed::new(Remembers::after((0..1_000).map(|_| Answer::Hangs))).await;
    for number in 0..2 * MAX_DELIVERY_RECORDS_WAITING as u64 {
        bed.take(number);
        if number % 1_000 == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let dropped = format!("delivery_records_dropped_total{OF_FILES},cause=\"queue\"");
    assert_eq!(bed.count(&dropped), MAX_DELIVERY_RECORDS_WAITING as u64);
    let began = Instant::now();
    bed.deliveries.close().await;
    assert_eq!(began.elapsed(), Duration::from_secs(DELIVERY_DRAIN));
    let streamed: usize = numbers(&bed.stream).iter().map(Vec::len).sum();
    assert_eq!(streamed, 2 * MAX_DELIVERY_RECORDS_WAITING);
    let dropped = format!("delivery_records_dropped_total{OF_FILES},cause=\"closed\"");
    assert_eq!(bed.count(&dropped), MAX_DELIVERY_RECORDS_WAITING as u64);
}

#[tokio::test(start_paused = true)]
async fn deleted_setting_delivers_what_waits_and_takes_nothing_more() {
    let bed = Bed::new(Arc::default()).await;
    bed.take(1);
    bed.deliveries.settle();
    bed.take(2);
    bed.book.delete(RESOURCE, "files").await.unwrap().unwrap();
    bed.take(3);
    bed.deliveries.settle();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(numbers(&bed.storage), [[1, 2]]);
    bed.deliveries.close().await;
    assert_eq!(numbers(&bed.stream), [[1, 2, 3]]);
}

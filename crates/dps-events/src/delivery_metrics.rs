//! What becomes of diagnostic settings' records, as Prometheus sees it.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::metrics::Metrics;

/// Names a destination of a diagnostic setting.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DeliveryLabels {
    /// Name of the provisioning service.
    pub instance: String,
    /// Name of the setting.
    pub setting: String,
    /// `storage`, `eventhub` or `partner`.
    pub destination: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Undelivered {
    instance: String,
    setting: String,
    destination: &'static str,
    cause: &'static str,
}

impl Undelivered {
    fn of(labels: &DeliveryLabels, cause: &'static str) -> Self {
        let DeliveryLabels { instance, setting, destination } = labels.clone();
        Self { instance, setting, destination, cause }
    }
}

/// Counters of records.
pub(crate) struct DeliveryCounters {
    delivered: Family<DeliveryLabels, Counter>,
    retries: Family<DeliveryLabels, Counter>,
    dead: Family<Undelivered, Counter>,
    dropped: Family<Undelivered, Counter>,
}

impl DeliveryCounters {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let counters = Self {
            delivered: Family::default(),
            retries: Family::default(),
            dead: Family::default(),
            dropped: Family::default(),
        };
        let help = "Records that a diagnostic setting's destination took";
        registry.register("delivered_records", help, counters.delivered.clone());
        let help = "Further attempts at batches that a destination did not take";
        registry.register("delivery_retries", help, counters.retries.clone());
        let help =
            "Records that were given up: the destination refused them, or did not take them for too long";
        registry.register("delivery_dead_letters", help, counters.dead.clone());
        let help = "Records that were never sent: the queue was full, or the setting or the server ended";
        registry.register("delivery_records_dropped", help, counters.dropped.clone());
        counters
    }
}

impl Metrics {
    /// Counts records that a destination took.
    pub fn delivered(&self, labels: &DeliveryLabels, records: u64) {
        self.deliveries.delivered.get_or_create(labels).inc_by(records);
    }

    /// Counts a further attempt at a batch.
    pub fn delivery_retried(&self, labels: &DeliveryLabels) {
        self.deliveries.retries.get_or_create(labels).inc();
    }

    /// Counts records that were given up: `refused` or `exhausted` was the cause.
    pub fn delivery_dead(&self, labels: &DeliveryLabels, cause: &'static str, records: u64) {
        self.deliveries.dead.get_or_create(&Undelivered::of(labels, cause)).inc_by(records);
    }

    /// Counts records that were never sent: `queue` or `closed` was the cause.
    pub fn delivery_dropped(&self, labels: &DeliveryLabels, cause: &'static str, records: u64) {
        if records > 0 {
            self.deliveries.dropped.get_or_create(&Undelivered::of(labels, cause)).inc_by(records);
        }
    }
}

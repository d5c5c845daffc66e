//! What becomes of log rows, as Prometheus sees it.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::metrics::Metrics;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kept {
    table: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Dropped {
    cause: &'static str,
}

/// Counters of rows.
pub(crate) struct LogCounters {
    kept: Family<Kept, Counter>,
    dropped: Family<Dropped, Counter>,
}

impl LogCounters {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let counters = Self { kept: Family::default(), dropped: Family::default() };
        registry.register("log_rows", "Rows that the log store keeps", counters.kept.clone());
        let help = "Rows that were dropped: the queue was full, or the store failed";
        registry.register("log_rows_dropped", help, counters.dropped.clone());
        counters
    }
}

impl Metrics {
    /// Counts rows of a table that the log store keeps.
    pub fn log_rows_kept(&self, table: &'static str, rows: u64) {
        if rows > 0 {
            self.logs.kept.get_or_create(&Kept { table }).inc_by(rows);
        }
    }

    /// Counts rows that it does not: `queue` or `store` was the cause.
    pub fn log_rows_dropped(&self, cause: &'static str, rows: u64) {
        self.logs.dropped.get_or_create(&Dropped { cause }).inc_by(rows);
    }

    /// Rows of that cause so far.
    pub fn log_rows_lost(&self, cause: &'static str) -> u64 {
        self.logs.dropped.get(&Dropped { cause }).map_or(0, |counter| counter.get())
    }
}

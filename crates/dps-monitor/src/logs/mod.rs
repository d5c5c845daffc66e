//! Events as rows. Owns what of an event is shown in which column of which table, and the raw record that other
//! destinations get; must not know where rows go.

mod activity;
mod metric;
mod resource_log;

use std::sync::Arc;

use dps_events::{AddressMask, Event};
use dps_kql::Value;
use dps_model::{Timestamp, limits};

pub use activity::ActivityLog;
pub use metric::{MetricTotal, rows_of_minute};
pub use resource_log::{Category, ResourceLog};

use crate::ports::Resources;
use crate::{Row, Table};

/// A closed event as a log shows it.
#[derive(Clone, Debug, PartialEq)]
pub enum LogRecord {
    /// Of a category that diagnostic settings send where they say.
    Resource(ResourceLog),
    /// Of the control plane.
    Activity(ActivityLog),
}

impl LogRecord {
    /// Its row in the workspace of that id.
    pub fn row(&self, workspace: &str) -> Row {
        match self {
            Self::Resource(log) => log.row(workspace),
            Self::Activity(log) => log.row(workspace),
        }
    }
}

/// Makes records of events.
#[derive(Clone)]
pub struct Projection {
    /// Whose events they are.
    pub resources: Arc<dyn Resources>,
    /// Id of the workspace: `TenantId` of its rows.
    pub workspace: String,
    /// How much of a caller's address is shown.
    pub addresses: AddressMask,
}

impl Projection {
    /// The record; none of what is counted only.
    pub fn project(&self, event: &Event) -> Option<LogRecord> {
        if let Event::ManagementCall(call) = event {
            return ActivityLog::of(call, self.addresses).map(LogRecord::Activity);
        }
        let row = event.row()?;
        let resource = self.resources.find(row.instance);
        ResourceLog::of(&row, resource, self.addresses).map(LogRecord::Resource)
    }
}

/// A row of a table, its cells asked for by the names of columns.
fn row(table: Table, mut cell: impl FnMut(&str) -> Value) -> Row {
    Row { table, cells: table.columns().iter().map(|(name, _)| cell(name)).collect() }
}

/// A text, cut to what a column holds.
fn text(text: &str) -> Value {
    let end = text.floor_char_boundary(limits::MAX_LOG_FIELD);
    Value::String(text.get(..end).unwrap_or_default().into())
}

/// Ticks from 0001-01-01 to 1970-01-01.
const UNIX_EPOCH: i64 = 621_355_968_000_000_000;

/// An instant in ticks.
pub(crate) fn ticks(time: Timestamp) -> i64 {
    let since = i64::try_from(time.0.as_nanosecond().div_euclid(100)).unwrap_or(i64::MAX);
    since.saturating_add(UNIX_EPOCH)
}

/// When a unit of work ended: rows are in the order of answers, and none comes hours after the time that it bears.
fn ended(began: Timestamp, micros: u64) -> Timestamp {
    began.plus_millis(i64::try_from(micros / 1_000).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use dps_kql::Value;
    use dps_model::{Timestamp, limits};

    use super::{text, ticks};

    #[test]
    fn ticks_count_from_the_year_one() {
        assert_eq!(ticks(Timestamp::from_millis(0)), 621_355_968_000_000_000);
        let time = Timestamp::parse("2022-04-01T00:52:00.1234567Z").unwrap();
        assert_eq!(ticks(time) % 10_000_000, 1_234_567);
        assert_eq!(ticks(Timestamp::parse("0001-01-01T00:00:00Z").unwrap()), 0);
    }

    #[test]
    fn text_longer_than_a_column_is_cut_at_a_character() {
        let Value::String(kept) = text(&format!("x{}", "ü".repeat(limits::MAX_LOG_FIELD))) else { panic!() };
        assert_eq!(kept.len(), limits::MAX_LOG_FIELD - 1);
    }
}

//! The part in memory: rows that are durable in segments and in no file yet. Owns how small batches grow together; must
//! not know disks.

use std::collections::BTreeMap;

use datafusion::arrow::array::{Array, RecordBatch, TimestampMicrosecondArray};
use datafusion::arrow::compute::{concat_batches, max, min};
use datafusion::arrow::error::ArrowError;
use dps_monitor::Table;

use super::limits::MAX_BATCH_ROWS;
use super::scan::HotBatch;
use super::schema;

/// Rows by the segment that holds them and by table.
#[derive(Debug, Default)]
pub struct Hot {
    segments: BTreeMap<u64, BTreeMap<Table, Vec<HotBatch>>>,
    /// Rows.
    pub rows: u64,
    /// Bytes of memory.
    pub bytes: u64,
}

impl Hot {
    /// Adds a batch that a segment holds.
    pub fn push(&mut self, segment: u64, table: Table, batch: HotBatch) {
        let batches = self.segments.entry(segment).or_default().entry(table).or_default();
        // As in a log-structured merge: a row is copied once for each doubling, and a snapshot sees few batches.
        self.rows += batch.rows.num_rows() as u64;
        let mut grown = batch;
        let mut taken = 0;
        for last in batches.iter().rev() {
            let rows = grown.rows.num_rows();
            if last.rows.num_rows() > 2 * rows || last.rows.num_rows() + rows > MAX_BATCH_ROWS {
                break;
            }
            // What cannot be one batch stays two.
            let Ok(merged) = merged(last, &grown) else { break };
            grown = merged;
            taken += 1;
        }
        let before: usize = batches.iter().rev().take(taken).map(memory).sum();
        batches.truncate(batches.len() - taken);
        self.bytes = (self.bytes + memory(&grown) as u64).saturating_sub(before as u64);
        batches.push(grown);
    }

    /// A table's batches, in the order of arrival.
    pub fn batches(&self, table: Table) -> Vec<HotBatch> {
        self.through(u64::MAX, table)
    }

    /// Those of the segments up to one.
    pub fn through(&self, segment: u64, table: Table) -> Vec<HotBatch> {
        let tables = self.segments.range(..=segment).filter_map(|(_, tables)| tables.get(&table));
        tables.flatten().cloned().collect()
    }

    /// Forgets those of the segments up to one.
    pub fn drop_through(&mut self, segment: u64) {
        self.segments.retain(|number, _| *number > segment);
        let batches = || self.segments.values().flat_map(BTreeMap::values).flatten();
        self.rows = batches().map(|b| b.rows.num_rows() as u64).sum();
        self.bytes = batches().map(|b| memory(b) as u64).sum();
    }
}

/// A batch with the bounds of its time. None if it has no rows.
pub fn bounded(rows: RecordBatch) -> Option<HotBatch> {
    let times = rows.column(0).as_any().downcast_ref::<TimestampMicrosecondArray>()?;
    let (earliest, latest) = (schema::ticks(min(times)?), schema::ticks(max(times)?));
    Some(HotBatch { rows, earliest, latest })
}

fn merged(first: &HotBatch, second: &HotBatch) -> Result<HotBatch, ArrowError> {
    Ok(HotBatch {
        rows: concat_batches(&first.rows.schema(), [&first.rows, &second.rows])?,
        earliest: first.earliest.min(second.earliest),
        latest: first.latest.max(second.latest),
    })
}

fn memory(batch: &HotBatch) -> usize {
    batch.rows.get_array_memory_size()
}

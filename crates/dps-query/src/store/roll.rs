//! Rolling: rows in memory become files, one for each table and hour. Must not drop a segment before the manifest says
//! that its rows are in files.

use datafusion::arrow::array::{Array, RecordBatch, TimestampMicrosecondArray};
use dps_monitor::Table;

use super::parquet::{self, HOUR, Note};
use super::scan::DataFile;
use super::upkeep::{Change, Upkeep};
use super::{ParquetStore, hot, schema};

impl ParquetStore {
    /// Rolls every row whose append has returned. On an error all of them stay where they are.
    pub(super) fn roll(&self, upkeep: &mut Upkeep) -> Result<u64, String> {
        let through = self.seal();
        let first = upkeep.manifest.rolled + 1;
        if through < first {
            return Ok(0);
        }
        let mut change = Change { rolled: through, ..Change::default() };
        let attempt = upkeep.manifest.next;
        for table in Table::ALL {
            let note = Note { first, through, attempt, ..Note::default() };
            if let Err(error) = self.roll_table(upkeep, table, &note, &mut change) {
                upkeep.doom(change.add.into_iter().map(|(_, file)| file.location));
                tracing::warn!(error, "rows of the log store were not rolled into files");
                return Err(error);
            }
        }
        let rows = change.add.iter().map(|(_, file)| file.rows).sum();
        self.commit(upkeep, change)?;
        upkeep.retry_at = 0;
        Ok(rows)
    }

    /// The same, if memory has grown since the last failure: trying costs seconds.
    pub(super) fn roll_unless_just_failed(&self, upkeep: &mut Upkeep) -> Result<(), String> {
        let bytes = self.state().hot.bytes;
        if bytes < upkeep.retry_at && bytes <= 2 * self.options.hot_bytes {
            return Ok(());
        }
        upkeep.retry_at = bytes + self.options.hot_bytes / 8;
        self.roll(upkeep)?;
        self.sweep(upkeep);
        Ok(())
    }

    fn roll_table(
        &self,
        upkeep: &mut Upkeep,
        table: Table,
        note: &Note,
        to: &mut Change,
    ) -> Result<(), String> {
        let batches = self.state().hot.through(note.through, table);
        let batches: Vec<RecordBatch> = batches.into_iter().map(|b| b.rows).collect();
        if batches.is_empty() {
            return Ok(());
        }
        let rows = parquet::sorted(&batches, table).map_err(|e| e.to_string())?;
        drop(batches);
        for hour in hours(&rows) {
            let file = self.put(upkeep, table, hour, note.clone())?;
            to.add.push((table, file));
        }
        Ok(())
    }

    /// Writes sorted rows of one hour as a new file, which is not in yet.
    pub(super) fn put(
        &self,
        upkeep: &mut Upkeep,
        table: Table,
        rows: RecordBatch,
        mut note: Note,
    ) -> Result<DataFile, String> {
        let rows = hot::bounded(rows).ok_or("a file of no rows")?;
        (note.earliest, note.latest) = (rows.earliest, rows.latest);
        let bytes = parquet::write(&rows.rows, &note).map_err(|e| e.to_string())?;
        let location = parquet::location(table, rows.earliest, upkeep.manifest.next);
        upkeep.manifest.next += 1;
        let size = bytes.len() as u64;
        if let Err(error) = self.archive.put(&location, bytes) {
            upkeep.doom([location]);
            return Err(error);
        }
        let (count, columns) = (rows.rows.num_rows() as u64, table.columns().len());
        Ok(DataFile { location, size, rows: count, earliest: rows.earliest, latest: rows.latest, columns })
    }
}

/// Sorted rows, cut at full hours.
fn hours(rows: &RecordBatch) -> Vec<RecordBatch> {
    let Some(times) = rows.column(0).as_any().downcast_ref::<TimestampMicrosecondArray>() else {
        return Vec::new();
    };
    let hour = |at: usize| schema::ticks(times.value(at)).div_euclid(HOUR);
    let mut cut = Vec::new();
    let mut from = 0;
    for at in 1..=times.len() {
        if at == times.len() || hour(at) != hour(from) {
            cut.push(rows.slice(from, at - from));
            from = at;
        }
    }
    cut
}

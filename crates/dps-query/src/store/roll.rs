//! Rolling: rows in memory become files, one for each table and hour. Must not drop a segment before the manifest says
//! that its rows are in files.

use datafusion::arrow::array::RecordBatch;
use dps_monitor::Table;

use super::ParquetStore;
use super::order::Sorted;
use super::parquet::{self, Note};
use super::scan::DataFile;
use super::upkeep::{Change, Upkeep};

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
        let rows = Sorted::of(batches).map_err(|e| e.to_string())?;
        for hour in rows.hours() {
            let Some((earliest, latest)) = rows.bounds(&hour) else { continue };
            let note = Note { earliest, latest, ..note.clone() };
            let bytes = parquet::write(table, &note, rows.pieces(&hour)).map_err(|e| e.to_string())?;
            let file = self.put(upkeep, table, &note, hour.len() as u64, bytes)?;
            to.add.push((table, file));
        }
        Ok(())
    }

    /// Puts a new file of so many rows in place, which is not in yet.
    pub(super) fn put(
        &self,
        upkeep: &mut Upkeep,
        table: Table,
        note: &Note,
        rows: u64,
        bytes: Vec<u8>,
    ) -> Result<DataFile, String> {
        let (earliest, latest) = (note.earliest, note.latest);
        let location = parquet::location(table, earliest, upkeep.manifest.next);
        upkeep.manifest.next += 1;
        let size = bytes.len() as u64;
        if let Err(error) = self.archive.put(&location, bytes) {
            upkeep.doom([location]);
            return Err(error);
        }
        Ok(DataFile { location, size, rows, earliest, latest, columns: table.columns().len() })
    }
}

//! Rows in the order of their time. Owns sorting what is in memory, and merging what is sorted already, both piece by
//! piece, so that neither needs its rows in memory twice; must not know files.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use datafusion::arrow::array::{Array, RecordBatch, TimestampMicrosecondArray};
use datafusion::arrow::compute::interleave_record_batch;
use datafusion::arrow::error::ArrowError;
use datafusion::parquet::errors::ParquetError;

use super::limits::PAGE_ROWS;
use super::parquet::HOUR;
use super::schema;

/// Rows of several batches, sorted; those of one time in the order of their coming.
pub struct Sorted {
    batches: Vec<RecordBatch>,
    /// Time in microseconds, batch and row.
    order: Vec<(i64, u32, u32)>,
}

impl Sorted {
    /// Sorts.
    pub fn of(batches: Vec<RecordBatch>) -> Result<Self, ArrowError> {
        let mut order = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
        for (batch, rows) in (0_u32..).zip(&batches) {
            let times = times(rows)?;
            order.extend((0_u32..).zip(times.values()).map(|(row, time)| (*time, batch, row)));
        }
        order.sort_unstable();
        Ok(Self { batches, order })
    }

    /// The stretches of each hour.
    pub fn hours(&self) -> Vec<Range<usize>> {
        let hour = |at: &(i64, u32, u32)| schema::ticks(at.0).div_euclid(HOUR);
        let mut from = 0;
        let stretches = self.order.chunk_by(|a, b| hour(a) == hour(b)).map(|rows| {
            let stretch = from..from + rows.len();
            from = stretch.end;
            stretch
        });
        stretches.collect()
    }

    /// The first and the last time of a stretch, in ticks; none if it has no rows.
    pub fn bounds(&self, stretch: &Range<usize>) -> Option<(i64, i64)> {
        let rows = self.order.get(stretch.clone())?;
        Some((schema::ticks(rows.first()?.0), schema::ticks(rows.last()?.0)))
    }

    /// The rows of a stretch, piece by piece.
    pub fn pieces(&self, stretch: &Range<usize>) -> impl Iterator<Item = Result<RecordBatch, ParquetError>> {
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        let rows = self.order.get(stretch.clone()).unwrap_or_default();
        rows.chunks(PAGE_ROWS).map(move |piece| {
            let places: Vec<_> =
                piece.iter().map(|(_, batch, row)| (*batch as usize, *row as usize)).collect();
            Ok(interleave_record_batch(&batches, &places)?)
        })
    }
}

fn times(rows: &RecordBatch) -> Result<&TimestampMicrosecondArray, ArrowError> {
    let first = rows.columns().first().and_then(|column| column.as_any().downcast_ref());
    first.ok_or_else(|| ArrowError::SchemaError("the first column is no time".to_owned()))
}

/// A source of a merge failed.
#[derive(Debug)]
pub struct SourceFailed {
    /// Which of them; none if it was the merging itself.
    pub source: Option<usize>,
    /// Why.
    pub error: ParquetError,
}

impl From<ParquetError> for SourceFailed {
    fn from(error: ParquetError) -> Self {
        Self { source: None, error }
    }
}

/// Merges sorted sources: of each of them one batch is held at a time.
pub struct Merged<S> {
    sources: Vec<Source<S>>,
    /// Where each source's next row is in time.
    next: BinaryHeap<Reverse<(i64, usize)>>,
    /// Batches that a piece takes rows of.
    held: Vec<RecordBatch>,
    failed: bool,
}

struct Source<S> {
    rest: S,
    /// Its batch among those held.
    batch: usize,
    /// The next row of it.
    row: usize,
}

impl<S: Iterator<Item = Result<RecordBatch, ParquetError>>> Merged<S> {
    /// Of these sources.
    pub fn of(sources: impl IntoIterator<Item = S>) -> Result<Self, SourceFailed> {
        let sources = sources.into_iter().map(|rest| Source { rest, batch: 0, row: 0 }).collect();
        let mut merged = Self { sources, next: BinaryHeap::new(), held: Vec::new(), failed: false };
        for at in 0..merged.sources.len() {
            merged.turn(at)?;
        }
        Ok(merged)
    }

    /// Goes to a source's next batch that has rows.
    fn turn(&mut self, at: usize) -> Result<(), SourceFailed> {
        let Some(source) = self.sources.get_mut(at) else { return Ok(()) };
        let failed = |error| SourceFailed { source: Some(at), error };
        for batch in source.rest.by_ref() {
            let batch = batch.map_err(failed)?;
            if batch.num_rows() == 0 {
                continue;
            }
            let first = times(&batch).map_err(|error| failed(error.into()))?.value(0);
            (source.batch, source.row) = (self.held.len(), 0);
            self.held.push(batch);
            self.next.push(Reverse((first, at)));
            break;
        }
        Ok(())
    }

    /// Takes the earliest row that is left.
    fn take(&mut self, places: &mut Vec<(usize, usize)>) -> Result<(), SourceFailed> {
        let Some(Reverse((_, at))) = self.next.pop() else { return Ok(()) };
        let Some(source) = self.sources.get_mut(at) else { return Ok(()) };
        places.push((source.batch, source.row));
        source.row += 1;
        let Some(batch) = self.held.get(source.batch).filter(|batch| source.row < batch.num_rows()) else {
            return self.turn(at);
        };
        let time = times(batch).map_err(|error| SourceFailed { source: Some(at), error: error.into() })?;
        self.next.push(Reverse((time.value(source.row), at)));
        Ok(())
    }

    fn piece(&mut self) -> Result<Option<RecordBatch>, SourceFailed> {
        let mut places = Vec::with_capacity(PAGE_ROWS);
        while places.len() < PAGE_ROWS && !self.next.is_empty() {
            self.take(&mut places)?;
        }
        if places.is_empty() {
            return Ok(None);
        }
        let batches: Vec<&RecordBatch> = self.held.iter().collect();
        let piece = interleave_record_batch(&batches, &places).map_err(ParquetError::from)?;
        self.forget();
        Ok(Some(piece))
    }

    /// Lets go of batches that have no more rows to give.
    fn forget(&mut self) {
        let mut kept = Vec::with_capacity(self.sources.len());
        for Reverse((_, at)) in &self.next {
            let Some(source) = self.sources.get_mut(*at) else { continue };
            if let Some(batch) = self.held.get(source.batch) {
                source.batch = kept.len();
                kept.push(batch.clone());
            }
        }
        self.held = kept;
    }
}

impl<S: Iterator<Item = Result<RecordBatch, ParquetError>>> Iterator for Merged<S> {
    type Item = Result<RecordBatch, SourceFailed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let piece = self.piece().transpose();
        self.failed = matches!(piece, Some(Err(_)));
        piece
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray};
    use datafusion::arrow::compute::concat_batches;
    use datafusion::parquet::errors::ParquetError;
    use proptest::prelude::*;

    use super::{Merged, PAGE_ROWS, Sorted};

    fn batch(rows: &[(i64, i64)]) -> RecordBatch {
        let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|(time, _)| *time));
        let numbers = Int64Array::from_iter_values(rows.iter().map(|(_, number)| *number));
        let columns: [(&str, ArrayRef); 2] = [("time", Arc::new(times)), ("number", Arc::new(numbers))];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn rows(pieces: impl Iterator<Item = RecordBatch>) -> Vec<(i64, i64)> {
        let pieces: Vec<_> = pieces.inspect(|piece| assert!(piece.num_rows() <= PAGE_ROWS)).collect();
        let Some(first) = pieces.first() else { return Vec::new() };
        let whole = concat_batches(&first.schema(), &pieces).unwrap();
        let times = whole.column(0).as_any().downcast_ref::<TimestampMicrosecondArray>().unwrap();
        let numbers = whole.column(1).as_any().downcast_ref::<Int64Array>().unwrap();
        times.values().iter().copied().zip(numbers.values().iter().copied()).collect()
    }

    fn batches() -> impl Strategy<Value = Vec<Vec<(i64, i64)>>> {
        prop::collection::vec(prop::collection::vec((0_i64..50, any::<i64>()), 0..40), 0..8)
    }

    proptest! {
        #[test]
        fn sorting_keeps_each_row_in_order_of_time_and_coming(batches in batches()) {
            let mut expected: Vec<_> = batches.iter().flatten().copied().collect();
            expected.sort_by_key(|(time, _)| *time);
            let sorted = Sorted::of(batches.iter().map(|rows| batch(rows)).collect()).unwrap();
            let all = 0..expected.len();
            prop_assert_eq!(rows(sorted.pieces(&all).map(Result::unwrap)), expected);
        }

        #[test]
        fn merging_keeps_each_row_in_order_of_time(mut sources in batches(), cut in 1_usize..9) {
            for rows in &mut sources {
                rows.sort_by_key(|(time, _)| *time);
            }
            let read = |rows: &Vec<(i64, i64)>| {
                let batches: Vec<_> = rows.chunks(cut).map(|rows| Ok(batch(rows))).collect();
                batches.into_iter()
            };
            let merged = Merged::of(sources.iter().map(read)).unwrap();
            let got = rows(merged.map(Result::unwrap));
            prop_assert!(got.is_sorted_by_key(|(time, _)| *time));
            let mut expected: Vec<_> = sources.concat();
            let mut got = got;
            expected.sort_unstable();
            got.sort_unstable();
            prop_assert_eq!(got, expected);
        }
    }

    #[test]
    fn source_that_fails_is_named_and_ends_the_merge() {
        let good = vec![Ok(batch(&[(1, 1)])), Ok(batch(&[(3, 3)]))];
        let bad = vec![Ok(batch(&[(2, 2)])), Err(ParquetError::General("damaged".into()))];
        let mut merged = Merged::of([good.into_iter(), bad.into_iter()]).unwrap();
        assert_eq!(merged.next().unwrap().unwrap_err().source, Some(1));
        assert!(merged.next().is_none());
    }

    #[test]
    fn hours_are_stretches() {
        let hour = 3_600_000_000;
        let sorted =
            Sorted::of(vec![batch(&[(hour + 1, 0), (0, 1)]), batch(&[(2 * hour, 2), (1, 3)])]).unwrap();
        assert_eq!(sorted.hours(), [0..2, 2..3, 3..4]);
        assert!(sorted.bounds(&(4..4)).is_none());
    }
}

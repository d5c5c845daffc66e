//! The first rows of each group, in the order of the input: the left side of `innerunique`, the levels of `top-nested`.

use std::collections::HashMap;

use datafusion::arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::common::Result;
use datafusion::execution::memory_pool::MemoryReservation;

use super::{Run, Start, Transform};

/// Bytes of a group beside its key.
const GROUP_BYTES: usize = 64;

/// The operator.
#[derive(Debug)]
pub struct FirstOfEach {
    /// What a group is; null is a value like others.
    pub keys: Vec<String>,
    /// How many of each.
    pub count: u64,
}

impl Transform for FirstOfEach {
    fn name(&self) -> &'static str {
        "FirstOfEach"
    }

    fn operands(&self) -> Vec<&str> {
        self.keys.iter().map(String::as_str).collect()
    }

    fn made(&self) -> Vec<(String, DataType)> {
        Vec::new()
    }

    fn wants_all(&self) -> bool {
        true
    }

    fn start(&self, start: Start) -> Result<Box<dyn Run>> {
        let places = self.keys.iter().map(|key| start.input.index_of(key)).collect::<Result<Vec<_>, _>>()?;
        let fields = places.iter().map(|at| SortField::new(start.input.field(*at).data_type().clone()));
        let rows = RowConverter::new(fields.collect())?;
        let (count, memory) = (self.count, start.memory);
        Ok(Box::new(Counting { places, rows, count, passed: 0, seen: HashMap::new(), memory, kept: None }))
    }
}

struct Counting {
    places: Vec<usize>,
    rows: RowConverter,
    count: u64,
    /// Rows seen, where there are no keys and so one group.
    passed: u64,
    seen: HashMap<OwnedRow, u64>,
    memory: MemoryReservation,
    kept: Option<RecordBatch>,
}

impl Run for Counting {
    fn push(&mut self, batch: RecordBatch) -> Result<()> {
        let keys: Vec<ArrayRef> = self.places.iter().map(|at| batch.column(*at).clone()).collect();
        let mut kept = Vec::with_capacity(batch.num_rows());
        if keys.is_empty() {
            let left = self.count.saturating_sub(self.passed);
            kept.extend((0_u64..).take(batch.num_rows()).map(|row| row < left));
            self.passed = self.passed.saturating_add(batch.num_rows() as u64);
        } else {
            let keys = self.rows.convert_columns(&keys)?;
            for key in &keys {
                kept.push(self.is_among_first(key.owned())?);
            }
        }
        let kept = filter_record_batch(&batch, &BooleanArray::from(kept))?;
        self.kept = (kept.num_rows() > 0).then_some(kept);
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<RecordBatch>> {
        Ok(self.kept.take())
    }
}

impl Counting {
    fn is_among_first(&mut self, key: OwnedRow) -> Result<bool> {
        if let Some(count) = self.seen.get_mut(&key) {
            *count += 1;
            return Ok(*count <= self.count);
        }
        self.memory.try_grow(GROUP_BYTES + key.row().data().len())?;
        self.seen.insert(key, 1);
        Ok(self.count > 0)
    }
}

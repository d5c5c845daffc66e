//! `row_number`, `row_cumsum`, `prev` and `next`: columns that look at neighbours in a serialized input. All of it is held,
//! because a row may look at any other; what is held is asked of the memory pool.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Int64Array, PrimitiveArray, RecordBatch,
    UInt32Array,
};
use datafusion::arrow::compute::kernels::zip::zip;
use datafusion::arrow::compute::{concat_batches, is_null, take};
use datafusion::arrow::datatypes::{
    ArrowNativeTypeOp, DataType, Decimal128Type, Float64Type, Int32Type, Int64Type, SchemaRef,
};
use datafusion::common::{Result, internal_err, resources_err};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::scalar::ScalarValue;

use super::{Run, Start, Transform};

/// The operator.
#[derive(Debug)]
pub struct Window {
    /// Name, type and meaning of each column.
    pub columns: Vec<(String, DataType, WindowColumn)>,
}

/// What a column holds; operands are columns of the input.
#[derive(Clone, Debug)]
pub enum WindowColumn {
    /// A number, counted from `start`, anew where `restart` is true.
    RowNumber {
        /// The first.
        start: i64,
        /// Bool.
        restart: Option<String>,
    },
    /// The sum of `term` so far, anew where `restart` is true. Null adds nothing.
    CumulativeSum {
        /// A number.
        term: String,
        /// Bool.
        restart: Option<String>,
    },
    /// `value` of the row so many rows before, behind when negative.
    Shifted {
        /// Any.
        value: String,
        /// Rows.
        offset: i64,
        /// Where there is no such row.
        default: ScalarValue,
    },
}

impl Transform for Window {
    fn name(&self) -> &'static str {
        "Window"
    }

    fn operands(&self) -> Vec<&str> {
        self.columns.iter().flat_map(|(_, _, column)| column.operands()).collect()
    }

    fn made(&self) -> Vec<(String, DataType)> {
        self.columns.iter().map(|(name, ty, _)| (name.clone(), ty.clone())).collect()
    }

    fn wants_all(&self) -> bool {
        true
    }

    fn start(&self, start: Start) -> Result<Box<dyn Run>> {
        let columns = self.columns.iter().map(|(_, _, column)| column.clone()).collect();
        Ok(Box::new(Holding { columns, start, held: Vec::new(), rows: 0, whole: None, given: 0 }))
    }
}

impl WindowColumn {
    fn operands(&self) -> Vec<&str> {
        match self {
            Self::RowNumber { restart, .. } => restart.iter().map(String::as_str).collect(),
            Self::CumulativeSum { term, restart } => {
                std::iter::once(term).chain(restart).map(String::as_str).collect()
            }
            Self::Shifted { value, .. } => vec![value],
        }
    }

    fn compute(&self, whole: &RecordBatch) -> Result<ArrayRef> {
        let column = |name: &String| -> Result<ArrayRef> {
            Ok(Arc::clone(whole.column(whole.schema().index_of(name)?)))
        };
        let restarts = |name: &Option<String>| -> Result<Option<BooleanArray>> {
            name.as_ref().map(|name| Ok(column(name)?.as_boolean().clone())).transpose()
        };
        match self {
            Self::RowNumber { start, restart } => {
                let restarts = restarts(restart)?;
                let numbers = numbers(*start, whole.num_rows(), restarts.as_ref());
                Ok(Arc::new(Int64Array::from_iter_values(numbers)))
            }
            Self::CumulativeSum { term, restart } => {
                let (term, restarts) = (column(term)?, restarts(restart)?);
                match term.data_type() {
                    DataType::Int32 => Ok(sums::<Int32Type>(&term, restarts.as_ref())),
                    DataType::Int64 => Ok(sums::<Int64Type>(&term, restarts.as_ref())),
                    DataType::Float64 => Ok(sums::<Float64Type>(&term, restarts.as_ref())),
                    DataType::Decimal128(..) => Ok(sums::<Decimal128Type>(&term, restarts.as_ref())),
                    other => internal_err!("row_cumsum of {other}"),
                }
            }
            Self::Shifted { value, offset, default } => shifted(&column(value)?, *offset, default),
        }
    }
}

fn is_restart(restarts: Option<&BooleanArray>, row: usize) -> bool {
    restarts.is_some_and(|restarts| restarts.is_valid(row) && restarts.value(row))
}

fn numbers(start: i64, rows: usize, restarts: Option<&BooleanArray>) -> impl Iterator<Item = i64> {
    let mut next = start;
    (0..rows).map(move |row| {
        if is_restart(restarts, row) {
            next = start;
        }
        let number = next;
        next = next.wrapping_add(1);
        number
    })
}

fn sums<T: ArrowPrimitiveType>(term: &ArrayRef, restarts: Option<&BooleanArray>) -> ArrayRef {
    let terms = term.as_primitive::<T>();
    let mut sum = T::Native::ZERO;
    let so_far = (0..terms.len()).map(|row| {
        if is_restart(restarts, row) {
            sum = T::Native::ZERO;
        }
        if terms.is_valid(row) {
            sum = sum.add_wrapping(terms.value(row));
        }
        sum
    });
    let sums = PrimitiveArray::<T>::from_iter_values(so_far);
    Arc::new(sums.with_data_type(term.data_type().clone()))
}

fn shifted(values: &ArrayRef, offset: i64, default: &ScalarValue) -> Result<ArrayRef> {
    let rows = i64::try_from(values.len()).unwrap_or(i64::MAX);
    let from = |row: i64| {
        let at = row.checked_sub(offset).filter(|at| (0..rows).contains(at))?;
        u32::try_from(at).ok()
    };
    let places: UInt32Array = (0..rows).map(from).collect();
    let moved = take(values, &places, None)?;
    if default.is_null() {
        return Ok(moved);
    }
    let default = default.cast_to(values.data_type())?.to_scalar()?;
    Ok(zip(&is_null(&places)?, &default, &moved)?)
}

struct Holding {
    columns: Vec<WindowColumn>,
    start: Start,
    held: Vec<RecordBatch>,
    rows: usize,
    whole: Option<RecordBatch>,
    given: usize,
}

impl Run for Holding {
    fn push(&mut self, batch: RecordBatch) -> Result<()> {
        // Once as it came, once in the whole.
        self.start.memory.try_grow(batch.get_array_memory_size().saturating_mul(2))?;
        self.rows = self.rows.saturating_add(batch.num_rows());
        if u32::try_from(self.rows).is_err() {
            return resources_err!("more than {} rows in a serialized input", u32::MAX);
        }
        self.held.push(batch);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.whole = Some(complete(
            &self.columns,
            &mut self.held,
            &self.start.input,
            &self.start.output,
            &self.start.memory,
        )?);
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<RecordBatch>> {
        let Some(whole) = &self.whole else { return Ok(None) };
        let rows = whole.num_rows().saturating_sub(self.given).min(self.start.batch_rows);
        if rows == 0 {
            return Ok(None);
        }
        let part = whole.slice(self.given, rows);
        self.given += rows;
        Ok(Some(part))
    }
}

fn complete(
    columns: &[WindowColumn],
    held: &mut Vec<RecordBatch>,
    input: &SchemaRef,
    output: &SchemaRef,
    memory: &MemoryReservation,
) -> Result<RecordBatch> {
    let whole = concat_batches(input, held.iter())?;
    held.clear();
    let mut arrays = whole.columns().to_vec();
    for column in columns {
        let made = column.compute(&whole)?;
        memory.try_grow(made.get_array_memory_size())?;
        arrays.push(made);
    }
    super::batch(output, arrays, whole.num_rows())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_beyond_the_ends_are_the_default() {
        let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
        let of = |offset, default| shifted(&values, offset, &ScalarValue::Int64(default)).unwrap();
        let longs = |array: ArrayRef| array.as_primitive::<Int64Type>().iter().collect::<Vec<_>>();
        assert_eq!(longs(of(1, None)), [None, Some(1), None]);
        assert_eq!(longs(of(-2, Some(9))), [Some(3), Some(9), Some(9)]);
        assert_eq!(longs(of(i64::MIN, Some(9))), [Some(9); 3]);
    }

    #[test]
    fn sums_and_numbers_begin_anew_where_told() {
        let restarts = BooleanArray::from(vec![None, Some(false), Some(true)]);
        let terms: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), None, Some(7)]));
        let sums = sums::<Int64Type>(&terms, Some(&restarts));
        assert_eq!(sums.as_primitive::<Int64Type>().values(), &[5, 5, 7]);
        assert_eq!(numbers(1, 3, Some(&restarts)).collect::<Vec<_>>(), [1, 2, 1]);
    }
}

//! `range`: one value after the other. Owns when it ends; its input is one row and means nothing.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::Result;

use super::{Run, Start, Transform};

/// The operator.
#[derive(Debug)]
pub struct Steps {
    /// Name of its column.
    pub name: String,
    /// From where to where by what.
    pub bounds: Bounds,
}

/// Both ends are inclusive; a step of nought or away from the end gives nothing beyond the first value's test.
#[derive(Clone, Copy, Debug)]
pub enum Bounds {
    /// 32 bits.
    Int(i32, i32, i32),
    /// 64 bits, ticks too.
    Long(i64, i64, i64),
    /// Doubles.
    Real(f64, f64, f64),
}

impl Transform for Steps {
    fn name(&self) -> &'static str {
        "Range"
    }

    fn operands(&self) -> Vec<&str> {
        Vec::new()
    }

    fn made(&self) -> Vec<(String, DataType)> {
        let ty = match self.bounds {
            Bounds::Int(..) => DataType::Int32,
            Bounds::Long(..) => DataType::Int64,
            Bounds::Real(..) => DataType::Float64,
        };
        vec![(self.name.clone(), ty)]
    }

    fn passes_columns(&self) -> bool {
        false
    }

    fn wants_all(&self) -> bool {
        true
    }

    fn start(&self, start: Start) -> Result<Box<dyn Run>> {
        let (bounds, output, rows) = (self.bounds, start.output, start.batch_rows);
        Ok(Box::new(Stepping { bounds, next: None, output, rows }))
    }
}

struct Stepping {
    bounds: Bounds,
    /// Number of the next value, once the input's row is there.
    next: Option<u64>,
    output: SchemaRef,
    rows: usize,
}

impl Run for Stepping {
    fn push(&mut self, _: RecordBatch) -> Result<()> {
        self.next.get_or_insert(0);
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<RecordBatch>> {
        let Some(first) = self.next else { return Ok(None) };
        let numbers = (first..).take(self.rows);
        let column: ArrayRef = match self.bounds {
            Bounds::Int(from, to, step) => {
                let values = whole(numbers, i64::from(from), i64::from(to), i64::from(step));
                Arc::new(values.map(|value| i32::try_from(value).ok()).collect::<Int32Array>())
            }
            Bounds::Long(from, to, step) => {
                Arc::new(Int64Array::from_iter_values(whole(numbers, from, to, step)))
            }
            Bounds::Real(from, to, step) => {
                Arc::new(Float64Array::from_iter_values(real(numbers, from, to, step)))
            }
        };
        let rows = column.len();
        // Fewer than a batch were the last.
        self.next = (rows == self.rows).then(|| first.saturating_add(rows as u64));
        if rows == 0 { Ok(None) } else { super::batch(&self.output, vec![column], rows).map(Some) }
    }
}

fn whole(numbers: impl Iterator<Item = u64>, from: i64, to: i64, step: i64) -> impl Iterator<Item = i64> {
    numbers.map_while(move |number| {
        let value = i128::from(from) + i128::from(number) * i128::from(step);
        let within = if step > 0 { value <= i128::from(to) } else { step < 0 && value >= i128::from(to) };
        if within { i64::try_from(value).ok() } else { None }
    })
}

#[allow(clippy::cast_precision_loss, reason = "so many values are never made")]
fn real(numbers: impl Iterator<Item = u64>, from: f64, to: f64, step: f64) -> impl Iterator<Item = f64> {
    numbers.map_while(move |number| {
        let value = (number as f64).mul_add(step, from);
        let within = if step > 0.0 { value <= to } else { step < 0.0 && value >= to };
        within.then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::{real, whole};

    #[test]
    fn ranges_hold_both_ends_and_never_wrap() {
        assert_eq!(whole(0.., 1, 7, 3).collect::<Vec<_>>(), [1, 4, 7]);
        assert_eq!(whole(0.., 3, 1, -1).collect::<Vec<_>>(), [3, 2, 1]);
        assert_eq!(whole(0.., 1, 3, 0).count(), 0);
        assert_eq!(whole(0.., i64::MAX - 1, i64::MAX, 1).count(), 2);
        assert_eq!(real(0.., 0.0, 1.0, 0.25).count(), 5);
        assert_eq!(real(0.., 0.0, f64::NAN, 1.0).count(), 0);
    }
}

//! The second half of `make-series`: aggregated bins of each group become arrays along the axis, one value for each step.
//! Owns the axis and its bounds; must not know what was aggregated.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringBuilder, UInt32Array,
};
use datafusion::arrow::compute::{cast, concat_batches, take};
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema};
use datafusion::arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_plan::PhysicalExpr;

use super::{Run, Start, Transform};

/// Values of one series.
pub const SERIES_VALUES: usize = 1_048_576;
/// Bytes of text after which a batch is given.
const BATCH_BYTES: usize = 4 << 20;
/// Bytes of a value that are asked of the memory pool.
const VALUE_BYTES: usize = 16;

/// The operator.
#[derive(Debug)]
pub struct Series {
    /// Columns of the groups, which pass under new names.
    pub keys: Vec<(String, String, DataType)>,
    /// The column of the bin's beginning.
    pub bin: String,
    /// Columns of values as JSON text, the names of their series, and what an empty bin holds.
    pub values: Vec<(String, String, String)>,
    /// Name of the axis' column.
    pub axis_name: String,
    /// The axis.
    pub axis: Axis,
    /// From a column `axis` of the axis' type to JSON text.
    pub axis_text: Arc<dyn PhysicalExpr>,
}

/// Where the bins begin.
#[derive(Clone, Copy, Debug)]
pub enum Axis {
    /// Int, long, or ticks.
    Whole {
        /// The axis is 32 bits wide.
        int: bool,
        /// First bin; the first of all rows when not given.
        from: Option<i64>,
        /// End, and whether a bin may begin there; the last of all rows when not given.
        to: Option<(i64, bool)>,
        /// Positive.
        step: i64,
    },
    /// Doubles.
    Real {
        /// First bin; the first of all rows when not given.
        from: Option<f64>,
        /// End, and whether a bin may begin there.
        to: Option<(f64, bool)>,
        /// Positive.
        step: f64,
    },
}

impl Transform for Series {
    fn name(&self) -> &'static str {
        "MakeSeries"
    }

    fn operands(&self) -> Vec<&str> {
        let keys = self.keys.iter().map(|(key, _, _)| key.as_str());
        keys.chain([self.bin.as_str()])
            .chain(self.values.iter().map(|(value, _, _)| value.as_str()))
            .collect()
    }

    fn made(&self) -> Vec<(String, DataType)> {
        let keys = self.keys.iter().map(|(_, name, ty)| (name.clone(), ty.clone()));
        let values = self.values.iter().map(|(_, name, _)| (name.clone(), DataType::Utf8));
        keys.chain(values).chain([(self.axis_name.clone(), DataType::Utf8)]).collect()
    }

    fn passes_columns(&self) -> bool {
        false
    }

    fn wants_all(&self) -> bool {
        true
    }

    fn start(&self, start: Start) -> Result<Box<dyn Run>> {
        let place = |name: &String| start.input.index_of(name);
        Ok(Box::new(Collecting {
            keys: self.keys.iter().map(|(key, _, _)| place(key)).collect::<Result<_, _>>()?,
            bin: place(&self.bin)?,
            values: self
                .values
                .iter()
                .map(|(value, _, default)| Ok((place(value)?, default.clone())))
                .collect::<Result<_>>()?,
            axis: self.axis,
            axis_text: Arc::clone(&self.axis_text),
            start,
            held: Vec::new(),
            groups: None,
        }))
    }
}

struct Collecting {
    keys: Vec<usize>,
    bin: usize,
    values: Vec<(usize, String)>,
    axis: Axis,
    axis_text: Arc<dyn PhysicalExpr>,
    start: Start,
    held: Vec<RecordBatch>,
    groups: Option<Groups>,
}

/// All rows, which of them are whose, and the axis.
struct Groups {
    whole: RecordBatch,
    /// Place of each row's bin along the axis; none outside of it.
    places: Vec<Option<usize>>,
    rows: Vec<Vec<u32>>,
    length: usize,
    axis: String,
    next: usize,
}

impl Run for Collecting {
    fn push(&mut self, batch: RecordBatch) -> Result<()> {
        self.start.memory.try_grow(batch.get_array_memory_size().saturating_mul(2))?;
        self.held.push(batch);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        let whole = concat_batches(&self.start.input, self.held.iter())?;
        self.held.clear();
        let (places, axis_values) = self.axis.place(whole.column(self.bin))?;
        let length = axis_values.len();
        let axis = self.axis_as_text(axis_values)?;
        let rows = self.group(&whole)?;
        self.groups = Some(Groups { whole, places, rows, length, axis, next: 0 });
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<RecordBatch>> {
        let Some(groups) = &mut self.groups else { return Ok(None) };
        let mut builders: Vec<_> = self.values.iter().map(|_| StringBuilder::new()).collect();
        let mut axis = StringBuilder::new();
        let mut firsts = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH_BYTES && firsts.len() < self.start.batch_rows {
            let Some(rows) = groups.rows.get(groups.next) else { break };
            for (builder, (column, default)) in builders.iter_mut().zip(&self.values) {
                let text = groups.series(rows, *column, default);
                bytes += text.len();
                builder.append_value(text);
            }
            bytes += groups.axis.len();
            axis.append_value(&groups.axis);
            firsts.push(rows.first().copied());
            groups.next += 1;
        }
        if firsts.is_empty() {
            return Ok(None);
        }
        let rows = firsts.len();
        let firsts = UInt32Array::from(firsts);
        let key = |place: &usize| take(groups.whole.column(*place), &firsts, None);
        let mut columns: Vec<ArrayRef> = self.keys.iter().map(key).collect::<Result<_, _>>()?;
        columns.extend(builders.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef));
        columns.push(Arc::new(axis.finish()));
        super::batch(&self.start.output, columns, rows).map(Some)
    }
}

impl Collecting {
    fn group(&self, whole: &RecordBatch) -> Result<Vec<Vec<u32>>> {
        let count = u32::try_from(whole.num_rows()).or_else(|_| plan_err!("make-series: too many bins"))?;
        if self.keys.is_empty() {
            // One series, even of no rows.
            return Ok(vec![(0..count).collect()]);
        }
        let fields = self.keys.iter().map(|at| SortField::new(whole.column(*at).data_type().clone()));
        let converter = RowConverter::new(fields.collect())?;
        let columns: Vec<_> = self.keys.iter().map(|at| Arc::clone(whole.column(*at))).collect();
        let keys = converter.convert_columns(&columns)?;
        let mut known: HashMap<OwnedRow, usize> = HashMap::new();
        let mut groups: Vec<Vec<u32>> = Vec::new();
        for (row, key) in (0..count).zip(&keys) {
            let next = groups.len();
            let group = *known.entry(key.owned()).or_insert(next);
            match groups.get_mut(group) {
                Some(rows) => rows.push(row),
                None => groups.push(vec![row]),
            }
        }
        self.start.memory.try_grow(keys.size().saturating_mul(2))?;
        Ok(groups)
    }

    fn axis_as_text(&self, values: ArrayRef) -> Result<String> {
        self.start.memory.try_grow(values.len().saturating_mul(VALUE_BYTES))?;
        let schema = Arc::new(Schema::new(vec![Field::new("axis", values.data_type().clone(), true)]));
        let rows = values.len();
        let batch = super::batch(&schema, vec![values], rows)?;
        let texts = match self.axis_text.evaluate(&batch)? {
            ColumnarValue::Array(texts) => texts,
            ColumnarValue::Scalar(text) => text.to_array_of_size(rows)?,
        };
        let texts = texts.as_string::<i32>();
        Ok(array_text((0..rows).map(|row| if texts.is_valid(row) { texts.value(row) } else { "null" })))
    }
}

impl Groups {
    fn series(&self, rows: &[u32], column: usize, default: &str) -> String {
        let texts = self.whole.column(column).as_string::<i32>();
        let mut values = vec![default; self.length];
        for row in rows.iter().filter_map(|row| usize::try_from(*row).ok()) {
            let place = self.places.get(row).copied().flatten();
            if let Some(value) = place.and_then(|place| values.get_mut(place)) {
                // A bin that has rows is not an empty one, although they come to nothing.
                *value = if texts.is_valid(row) { texts.value(row) } else { "null" };
            }
        }
        array_text(values.into_iter())
    }
}

fn array_text<'a>(values: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::from("[");
    for (at, value) in values.enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push_str(value);
    }
    text.push(']');
    text
}

impl Axis {
    /// The place of each bin along the axis, and the axis' values.
    fn place(self, bins: &ArrayRef) -> Result<(Vec<Option<usize>>, ArrayRef)> {
        match self {
            Self::Whole { int, from, to, step } => {
                let bins = cast(bins, &DataType::Int64)?;
                let bins = bins.as_primitive::<Int64Type>();
                let smallest = bins.iter().flatten().min();
                let largest = bins.iter().flatten().max();
                let Some(from) = from.or(smallest) else { return Ok((Vec::new(), empty(int))) };
                // Without rows and an end there is nothing along the axis.
                let Some((to, inclusive)) = to.or(largest.map(|last| (last, true))) else {
                    return Ok((vec![None; bins.len()], empty(int)));
                };
                let span = i128::from(to) - i128::from(from);
                let count = count(span.max(-1), i128::from(step), inclusive)?;
                let place = |bin: Option<i64>| {
                    let place = (i128::from(bin?) - i128::from(from)).checked_div_euclid(i128::from(step))?;
                    usize::try_from(place).ok().filter(|place| *place < count)
                };
                let values = (0..count).filter_map(|at| {
                    i64::try_from(i128::from(from) + i128::try_from(at).ok()? * i128::from(step)).ok()
                });
                let axis: ArrayRef = Arc::new(Int64Array::from_iter_values(values));
                let axis = if int { cast(&axis, &DataType::Int32)? } else { axis };
                Ok((bins.iter().map(place).collect(), axis))
            }
            Self::Real { from, to, step } => place_reals(bins, from, to, step),
        }
    }
}

fn empty(int: bool) -> ArrayRef {
    if int {
        Arc::new(Int32Array::from(Vec::<i32>::new()))
    } else {
        Arc::new(Int64Array::from(Vec::<i64>::new()))
    }
}

fn count(span: i128, step: i128, inclusive: bool) -> Result<usize> {
    if step <= 0 {
        return plan_err!("make-series: the step must be positive");
    }
    let count = if inclusive { span.div_euclid(step) + 1 } else { (span.max(0) + step - 1).div_euclid(step) };
    match usize::try_from(count.max(0)) {
        Ok(count) if count <= SERIES_VALUES => Ok(count),
        _ => plan_err!("make-series: more than {SERIES_VALUES} values in a series; take a larger step"),
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "counts are bounded before")]
fn place_reals(
    bins: &ArrayRef,
    from: Option<f64>,
    to: Option<(f64, bool)>,
    step: f64,
) -> Result<(Vec<Option<usize>>, ArrayRef)> {
    if !matches!(bins.data_type(), DataType::Float64) {
        return internal_err!("make-series over {}", bins.data_type());
    }
    let bins = bins.as_primitive::<Float64Type>();
    let finite = || bins.iter().flatten().filter(|bin| bin.is_finite());
    let none = || -> ArrayRef { Arc::new(Float64Array::from(Vec::<f64>::new())) };
    let Some(from) = from.or_else(|| finite().reduce(f64::min)) else {
        return Ok((vec![None; bins.len()], none()));
    };
    let Some((to, inclusive)) = to.or_else(|| finite().reduce(f64::max).map(|last| (last, true))) else {
        return Ok((vec![None; bins.len()], none()));
    };
    let steps = (to - from) / step;
    if !steps.is_finite() || step <= 0.0 || steps > SERIES_VALUES as f64 {
        return plan_err!("make-series: the step must be positive, and give at most {SERIES_VALUES} values");
    }
    // A bin's beginning is computed; it may lie beside the multiple of the step by a rounding.
    let count = if inclusive { (steps + 1e-9).floor() as i64 + 1 } else { (steps - 1e-9).ceil() as i64 };
    let count = usize::try_from(count.max(0)).unwrap_or(0);
    let place = |bin: Option<f64>| {
        let place = ((bin? - from) / step).round();
        (place >= 0.0 && place < count as f64)
            .then_some(place as i64)
            .and_then(|place| usize::try_from(place).ok())
    };
    let places = bins.iter().map(place).collect();
    Ok((
        places,
        Arc::new(Float64Array::from_iter_values((0..count).map(|at| (at as f64).mul_add(step, from)))),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(
        bins: Vec<i64>,
        from: Option<i64>,
        to: Option<(i64, bool)>,
        step: i64,
    ) -> (Vec<Option<usize>>, usize) {
        let bins: ArrayRef = Arc::new(Int64Array::from(bins));
        let (places, axis) = Axis::Whole { int: false, from, to, step }.place(&bins).unwrap();
        (places, axis.len())
    }

    #[test]
    fn axis_is_as_long_as_its_ends_say() {
        assert_eq!(whole(vec![], Some(0), Some((10, false)), 3).1, 4);
        assert_eq!(whole(vec![], Some(0), Some((9, false)), 3).1, 3);
        assert_eq!(whole(vec![], Some(0), Some((9, true)), 3).1, 4);
        assert_eq!(whole(vec![6, 0, 3], None, None, 3), (vec![Some(2), Some(0), Some(1)], 3));
        assert_eq!(whole(vec![-3, 12], Some(0), Some((10, false)), 3).0, [None, None]);
        assert_eq!(whole(vec![], None, None, 3).1, 0);
        assert_eq!(whole(vec![], Some(5), Some((0, false)), 3).1, 0);
    }

    #[test]
    fn axis_without_bounds_or_steps_is_refused() {
        let bins: ArrayRef = Arc::new(Int64Array::from(vec![0]));
        let of =
            |to, step| Axis::Whole { int: false, from: Some(0), to: Some((to, false)), step }.place(&bins);
        assert!(of(i64::MAX, 1).is_err());
        assert!(of(10, 0).is_err());
        let reals: ArrayRef = Arc::new(Float64Array::from(vec![0.0]));
        assert!(Axis::Real { from: Some(0.0), to: Some((1.0, false)), step: 0.0 }.place(&reals).is_err());
        assert_eq!(
            Axis::Real { from: Some(0.0), to: Some((1.0, false)), step: 0.1 }.place(&reals).unwrap().1.len(),
            10
        );
    }
}

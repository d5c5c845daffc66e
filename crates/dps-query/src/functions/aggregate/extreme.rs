//! Rows that are kept whole: the one with the least or greatest first value, or any.

use std::cmp::Ordering;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, StructArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::Accumulator;
use datafusion::scalar::ScalarValue;
use dps_kql::Type;

use super::udaf::{conformed, readers, struct_fields};
use crate::functions::datum::Datum;
use crate::functions::null;
use crate::functions::number::order;

/// A row: one value for each argument.
type Row = Vec<ScalarValue>;

fn row_at(columns: &[ArrayRef], row: usize) -> Result<Row> {
    columns.iter().map(|column| ScalarValue::try_from_array(column, row)).collect()
}

fn held(row: Option<&Row>) -> usize {
    row.map_or(0, |row| row.iter().map(ScalarValue::size).sum())
}

fn none(types: &[Type]) -> Row {
    types.iter().copied().map(null).collect()
}

/// The row as one value: itself where it has one, else a struct.
fn as_value(row: &[ScalarValue], outputs: &[Type]) -> Result<ScalarValue> {
    if let ([one, ..], [_]) = (row, outputs) {
        return Ok(one.clone());
    }
    let columns: Vec<ArrayRef> = row.iter().map(ScalarValue::to_array).collect::<Result<_>>()?;
    let row = StructArray::try_new(struct_fields(outputs), columns, None)?;
    Ok(ScalarValue::Struct(Arc::new(row)))
}

#[derive(Debug)]
pub(super) struct Extreme {
    types: Vec<Type>,
    outputs: Vec<Type>,
    greatest: bool,
    /// The first value of the best row, and all of it.
    best: Option<(Datum<'static>, Row)>,
    /// A row without a first value, which is kept when no row has one.
    spare: Option<Row>,
}

impl Extreme {
    pub(super) fn new(types: Vec<Type>, outputs: Vec<Type>, greatest: bool) -> Self {
        Self { types, outputs, greatest, best: None, spare: None }
    }

    fn is_better(&self, value: &Datum<'_>, than: &Datum<'_>) -> bool {
        let better = if self.greatest { Ordering::Greater } else { Ordering::Less };
        match order(value, than) {
            Some(order) => order == better,
            // A number is better than none.
            None => order(than, than).is_none() && order(value, value).is_some(),
        }
    }

    /// Keeps a row without a first value, if there is none yet but the one that stands for no rows.
    fn keep_spare(&mut self, columns: &[ArrayRef], row: usize) -> Result<()> {
        let wanted = self.best.is_none()
            && self.spare.as_ref().is_none_or(|spare| spare.iter().all(ScalarValue::is_null));
        if wanted {
            self.spare = Some(row_at(columns, row)?);
        }
        Ok(())
    }
}

impl Accumulator for Extreme {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let columns = conformed(values, &self.types)?;
        let readers = readers(&columns, &self.types)?;
        let Some(first) = readers.first() else { return Ok(()) };
        let mut found: Option<(Datum<'_>, usize)> = None;
        for row in 0..columns.first().map_or(0, Array::len) {
            let value = first.get(row);
            if value.is_null() {
                self.keep_spare(&columns, row)?;
                continue;
            }
            let better = match (&found, &self.best) {
                (Some((best, _)), _) | (None, Some((best, _))) => self.is_better(&value, best),
                (None, None) => true,
            };
            if better {
                found = Some((value, row));
            }
        }
        if let Some((value, row)) = found {
            self.best = Some((value.into_owned(), row_at(&columns, row)?));
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        match self.best.as_ref().map(|(_, row)| row).or(self.spare.as_ref()) {
            Some(row) => as_value(row, &self.outputs),
            None => as_value(&none(&self.types), &self.outputs),
        }
    }

    fn size(&self) -> usize {
        let best = self.best.as_ref().map(|(_, row)| row);
        size_of_val(self) + held(best) + held(self.spare.as_ref())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        if let Some(row) = self.best.as_ref().map(|(_, row)| row).or(self.spare.as_ref()) {
            return Ok(row.clone());
        }
        // Null, also of text, which says that there is no row.
        let mut row = none(&self.types);
        if let Some(first @ ScalarValue::Utf8(_)) = row.first_mut() {
            *first = ScalarValue::Utf8(None);
        }
        Ok(row)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let columns = conformed(states, &self.types)?;
        let Some(first) = columns.first() else { return Ok(()) };
        for row in 0..first.len() {
            if !first.is_valid(row) {
                // Of text it says that there was no row: text has no null.
                if first.data_type() != &DataType::Utf8 {
                    self.keep_spare(&columns, row)?;
                }
                continue;
            }
            let one: Vec<ArrayRef> = columns.iter().map(|column| column.slice(row, 1)).collect();
            self.update_batch(&one)?;
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct AnyRow {
    types: Vec<Type>,
    outputs: Vec<Type>,
    /// How many values the row has that are not null, and the row.
    kept: Option<(i64, Row)>,
}

impl AnyRow {
    pub(super) fn new(types: Vec<Type>, outputs: Vec<Type>) -> Self {
        Self { types, outputs, kept: None }
    }

    fn is_full(&self) -> bool {
        self.kept
            .as_ref()
            .is_some_and(|(values, _)| usize::try_from(*values).is_ok_and(|n| n >= self.types.len()))
    }
}

impl Accumulator for AnyRow {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if self.is_full() {
            return Ok(());
        }
        let columns = conformed(values, &self.types)?;
        for row in 0..columns.first().map_or(0, Array::len) {
            let values = columns.iter().filter(|column| column.is_valid(row)).count();
            let values = i64::try_from(values).unwrap_or(i64::MAX);
            if self.kept.as_ref().is_none_or(|(kept, _)| values > *kept) {
                self.kept = Some((values, row_at(&columns, row)?));
                if self.is_full() {
                    break;
                }
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        match &self.kept {
            Some((_, row)) => as_value(row, &self.outputs),
            None => as_value(&none(&self.types), &self.outputs),
        }
    }

    fn size(&self) -> usize {
        size_of_val(self) + held(self.kept.as_ref().map(|(_, row)| row))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let (values, mut row) = match &self.kept {
            Some((values, row)) => (Some(*values), row.clone()),
            None => (None, none(&self.types)),
        };
        row.push(ScalarValue::Int64(values));
        Ok(row)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some((values, columns)) = states.split_last() else { return Ok(()) };
        let columns = conformed(columns, &self.types)?;
        for row in 0..values.len() {
            let ScalarValue::Int64(Some(values)) = ScalarValue::try_from_array(values, row)? else {
                continue;
            };
            if self.kept.as_ref().is_none_or(|(kept, _)| values > *kept) {
                self.kept = Some((values, row_at(&columns, row)?));
            }
        }
        Ok(())
    }
}

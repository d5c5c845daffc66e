//! Batches as an answer's rows, up to the caps of a request.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Decimal128Type, Float64Type, Int32Type, Int64Type};
use dps_kql::{Schema, Type, Value};
use dps_monitor::ports::{PartialAnswer, QueryLimits};

use crate::functions;

/// Bytes of a cell beside its text.
const CELL_BYTES: usize = 16;

/// Rows gathered so far.
#[derive(Debug)]
pub struct Gathered {
    /// The rows.
    pub rows: Vec<Vec<Value>>,
    /// Why there are no more.
    pub partial: Option<PartialAnswer>,
    bytes: usize,
}

impl Gathered {
    /// None yet.
    pub const fn new() -> Self {
        Self { rows: Vec::new(), partial: None, bytes: 0 }
    }

    /// Takes in a batch; false when the answer is full.
    pub fn push(&mut self, schema: &Schema, batch: &RecordBatch, limits: &QueryLimits) -> bool {
        for row in 0..batch.num_rows() {
            if self.rows.len() >= limits.rows {
                self.partial = Some(PartialAnswer::Rows);
                return false;
            }
            let cells = schema.iter().zip(batch.columns()).map(|(column, array)| cell(array, row, column.ty));
            let cells: Vec<_> = cells.collect();
            self.bytes = cells.iter().fold(self.bytes, |bytes, cell| bytes.saturating_add(size(cell)));
            if self.bytes > limits.bytes {
                self.partial = Some(PartialAnswer::Bytes);
                return false;
            }
            self.rows.push(cells);
        }
        true
    }
}

fn size(value: &Value) -> usize {
    CELL_BYTES
        + match value {
            Value::String(text) | Value::Decimal(text) => text.len(),
            Value::Dynamic(json) => json_size(json),
            _ => 0,
        }
}

fn json_size(json: &serde_json::Value) -> usize {
    match json {
        serde_json::Value::String(text) => CELL_BYTES + text.len(),
        serde_json::Value::Array(values) => CELL_BYTES + values.iter().map(json_size).sum::<usize>(),
        serde_json::Value::Object(members) => {
            CELL_BYTES
                + members
                    .iter()
                    .map(|(name, value)| CELL_BYTES + name.len() + json_size(value))
                    .sum::<usize>()
        }
        _ => CELL_BYTES,
    }
}

/// The value of a cell.
pub fn cell(array: &ArrayRef, row: usize, ty: Type) -> Value {
    let found = if array.is_valid(row) { value(array, row, ty) } else { None };
    found.unwrap_or_else(|| match ty {
        Type::String => Value::String("".into()),
        ty => Value::Null(ty),
    })
}

fn value(array: &ArrayRef, row: usize, ty: Type) -> Option<Value> {
    let long = || array.as_primitive_opt::<Int64Type>().map(|longs| longs.value(row));
    let text = || array.as_string_opt::<i32>().map(|texts| texts.value(row));
    Some(match ty {
        Type::Bool => Value::Bool(array.as_boolean_opt()?.value(row)),
        Type::Int => Value::Int(array.as_primitive_opt::<Int32Type>()?.value(row)),
        Type::Long => Value::Long(long()?),
        Type::DateTime => Value::DateTime(long()?),
        Type::TimeSpan => Value::TimeSpan(long()?),
        Type::Real => Value::Real(array.as_primitive_opt::<Float64Type>()?.value(row)),
        Type::Decimal => {
            let digits = array.as_primitive_opt::<Decimal128Type>()?.value(row);
            Value::Decimal(functions::decimal::format(digits).into())
        }
        Type::String => Value::String(text()?.into()),
        Type::Guid => Value::Guid(guid(text()?)?),
        Type::Dynamic => match serde_json::from_str(text()?) {
            Ok(serde_json::Value::Null) => Value::Null(Type::Dynamic),
            Ok(json) => Value::Dynamic(json),
            // Nested more deeply than a tree may be: its text.
            Err(_) => Value::Dynamic(serde_json::Value::String(text()?.to_owned())),
        },
    })
}

fn guid(text: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    let mut digits = text.chars().filter(|char| *char != '-').map(|char| char.to_digit(16));
    for byte in &mut bytes {
        *byte = u8::try_from(digits.next()?? << 4 | digits.next()??).ok()?;
    }
    digits.next().is_none().then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::guid;

    #[test]
    fn guids_are_their_digits() {
        let mut bytes = [0; 16];
        bytes[0] = 0xab;
        bytes[15] = 0x01;
        assert_eq!(guid("ab000000-0000-0000-0000-000000000001"), Some(bytes));
        assert_eq!(guid("ab000000-0000-0000-0000-00000000000"), None);
        assert_eq!(guid("ab000000-0000-0000-0000-0000000000010"), None);
        assert_eq!(guid("zz000000-0000-0000-0000-000000000001"), None);
    }
}

//! Rows to Arrow. Owns the check that a row fits its table and the building of batches; must not know where they go.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringBuilder,
    TimestampMicrosecondArray,
};
use datafusion::arrow::error::ArrowError;
use dps_kql::{Type, Value};
use dps_monitor::{LogError, Row, Table};

use super::limits::MAX_TICKS;
use super::schema;

/// Why a row cannot be kept, if it cannot.
pub fn check(row: &Row) -> Result<(), LogError> {
    let columns = row.table.columns();
    let name = row.table.name();
    if row.cells.len() != columns.len() {
        let (has, needs) = (row.cells.len(), columns.len());
        return Err(LogError(format!("a row of {name} has {has} cells instead of {needs}")));
    }
    for (at, (cell, (column, ty))) in row.cells.iter().zip(columns).enumerate() {
        let fits = match cell {
            // Rows are kept by the hour of their time, the first column.
            Value::Null(of) => of == ty && *ty != Type::String && at != 0,
            Value::DateTime(ticks) => *ty == Type::DateTime && (0..=MAX_TICKS).contains(ticks),
            other => other.ty() == *ty,
        };
        if !fits {
            return Err(LogError(format!("a row of {name} has no {} in {column}", ty.name())));
        }
    }
    Ok(())
}

/// A batch of rows of one table, each checked.
pub fn batch(table: Table, rows: &[&Row]) -> Result<RecordBatch, ArrowError> {
    let columns = table.columns().iter().enumerate();
    let arrays = columns.map(|(at, (_, ty))| array(*ty, rows, at)).collect();
    RecordBatch::try_new(schema::physical(table), arrays)
}

/// What a cell of a column is in rows that were written before the column was there.
pub fn absent(ty: Type) -> Value {
    if ty == Type::String { Value::String("".into()) } else { Value::Null(ty) }
}

/// The text that stands for a cell, if its column is kept as text.
pub fn text(cell: &Value) -> Option<std::borrow::Cow<'_, str>> {
    match cell {
        Value::String(text) | Value::Decimal(text) => Some((&**text).into()),
        Value::Dynamic(json) => Some(json.to_string().into()),
        Value::Guid(bits) => {
            let hex = format!("{:032x}", u128::from_be_bytes(*bits));
            let mut parts = hex.as_str();
            let mut text = String::with_capacity(36);
            for length in [8, 4, 4, 4] {
                let (part, rest) = parts.split_at(length);
                text.push_str(part);
                text.push('-');
                parts = rest;
            }
            text.push_str(parts);
            Some(text.into())
        }
        _ => None,
    }
}

fn array(ty: Type, rows: &[&Row], at: usize) -> ArrayRef {
    let cells = rows.iter().map(|row| row.cells.get(at));
    match ty {
        Type::Bool => Arc::new(
            cells
                .map(|c| match c {
                    Some(Value::Bool(value)) => Some(*value),
                    _ => None,
                })
                .collect::<BooleanArray>(),
        ),
        Type::Int => Arc::new(
            cells
                .map(|c| match c {
                    Some(Value::Int(value)) => Some(*value),
                    _ => None,
                })
                .collect::<Int32Array>(),
        ),
        Type::Long | Type::TimeSpan => Arc::new(
            cells
                .map(|c| match c {
                    Some(Value::Long(value) | Value::TimeSpan(value)) => Some(*value),
                    _ => None,
                })
                .collect::<Int64Array>(),
        ),
        Type::Real => Arc::new(
            cells
                .map(|c| match c {
                    Some(Value::Real(value)) => Some(*value),
                    _ => None,
                })
                .collect::<Float64Array>(),
        ),
        Type::DateTime => {
            let instants: TimestampMicrosecondArray = cells
                .map(|c| match c {
                    Some(Value::DateTime(ticks)) => Some(schema::micros(*ticks)),
                    _ => None,
                })
                .collect();
            Arc::new(instants.with_timezone("UTC"))
        }
        Type::String | Type::Dynamic | Type::Guid | Type::Decimal => {
            let mut texts = StringBuilder::with_capacity(rows.len(), 0);
            cells.for_each(|cell| texts.append_option(cell.and_then(text)));
            Arc::new(texts.finish())
        }
    }
}

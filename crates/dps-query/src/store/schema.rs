//! Rows as Arrow: the physical type of each column, in memory and in files. Owns the mapping of ticks to microseconds;
//! must not know how a query engine represents values.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use dps_kql::Type;
use dps_monitor::Table;

/// Microseconds from 0001-01-01 to 1970-01-01.
pub const MICROS_BEFORE_EPOCH: i64 = 719_162 * 86_400 * 1_000_000;
/// Ticks in a microsecond.
pub const TICKS_PER_MICRO: i64 = 10;

/// A table's columns in memory: `datetime` is `Timestamp(Microsecond, "UTC")`, `string` is `Utf8` without nulls,
/// `dynamic`, `guid` and `decimal` are nullable `Utf8` (compact JSON; lower case; digits), `timespan` is `Int64` ticks,
/// the rest is what its name says, nullable.
pub fn physical(table: Table) -> SchemaRef {
    let field = |(name, ty): &(&str, Type)| Field::new(*name, data_type(*ty), *ty != Type::String);
    Arc::new(Schema::new(table.columns().iter().map(field).collect::<Vec<_>>()))
}

/// Arrow's type for a column of that type.
pub fn data_type(ty: Type) -> DataType {
    match ty {
        Type::Bool => DataType::Boolean,
        Type::Int => DataType::Int32,
        Type::Long | Type::TimeSpan => DataType::Int64,
        Type::Real => DataType::Float64,
        Type::String | Type::Dynamic | Type::Guid | Type::Decimal => DataType::Utf8,
        Type::DateTime => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    }
}

/// A stored instant as ticks since 0001-01-01.
pub const fn ticks(micros: i64) -> i64 {
    micros.saturating_add(MICROS_BEFORE_EPOCH).saturating_mul(TICKS_PER_MICRO)
}

/// Ticks as they are stored: to the microsecond, what is below is cut.
pub const fn micros(ticks: i64) -> i64 {
    ticks.div_euclid(TICKS_PER_MICRO) - MICROS_BEFORE_EPOCH
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::limits::MAX_TICKS;

    #[test]
    fn ticks_of_whole_microseconds_survive_the_round_trip() {
        for value in [0, 10, 621_355_968_000_000_000, MAX_TICKS - 9, 638_000_000_000_000_010] {
            assert_eq!(ticks(micros(value)), value);
        }
        assert_eq!(micros(621_355_968_000_000_000), 0, "1970");
        assert_eq!(ticks(micros(19)), 10, "what is below a microsecond is cut");
    }

    #[test]
    fn tables_have_time_first_and_text_without_nulls() {
        for table in Table::ALL {
            let schema = physical(table);
            assert_eq!(schema.field(0).name(), "TimeGenerated");
            for (field, (_, ty)) in schema.fields().iter().zip(table.columns()) {
                assert_eq!(field.is_nullable(), *ty != Type::String, "{}", field.name());
            }
        }
    }
}

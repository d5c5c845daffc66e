//! Percentiles by nearest rank, exact: values with how often they occur, so that many equal ones cost little. What it
//! holds counts against the query's memory.

use datafusion::scalar::ScalarValue;
use dps_kql::Type;

use super::udaf::Packed;
use crate::functions::datum::{Datum, Reader};
use crate::functions::json::{self, Array};
use crate::functions::limits::PERCENTILE_BUFFER;
use crate::functions::{DECIMAL_PRECISION, DECIMAL_SCALE, decimal, null};

#[derive(Debug)]
pub(super) struct Percentiles {
    percents: Vec<f64>,
    weighted: bool,
    ty: Type,
    /// None for an array of all.
    output: Option<Type>,
    /// Sorted by key.
    counted: Vec<(i64, u64)>,
    buffer: Vec<(i64, u64)>,
}

impl Percentiles {
    pub(super) fn new(percents: Vec<f64>, weighted: bool, ty: Type, output: Option<Type>) -> Self {
        Self { percents, weighted, ty, output, counted: Vec::new(), buffer: Vec::new() }
    }

    fn add(&mut self, key: i64, times: u64) {
        self.buffer.push((key, times));
        if self.buffer.len() >= PERCENTILE_BUFFER.max(self.counted.len()) {
            self.settle();
        }
    }

    fn settle(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        self.buffer.sort_unstable_by_key(|(key, _)| *key);
        let mut merged: Vec<(i64, u64)> = Vec::with_capacity(self.counted.len());
        let mut known = self.counted.iter().copied().peekable();
        let mut new = self.buffer.iter().copied().peekable();
        loop {
            let next = match (known.peek(), new.peek()) {
                (Some(left), Some(right)) if left.0 <= right.0 => known.next(),
                (Some(_), None) => known.next(),
                _ => new.next(),
            };
            let Some((key, times)) = next else { break };
            match merged.last_mut() {
                Some(last) if last.0 == key => last.1 = last.1.saturating_add(times),
                _ => merged.push((key, times)),
            }
        }
        merged.shrink_to_fit();
        self.counted = merged;
        self.buffer.clear();
    }

    /// The least value at or below which lies such a share.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank among the values"
    )]
    fn at(&self, percent: f64) -> Option<i64> {
        let total = self.counted.iter().fold(0_u64, |total, (_, times)| total.saturating_add(*times));
        let rank = ((percent / 100.0 * total as f64).ceil() as u64).clamp(1, total.max(1));
        let mut below = 0_u64;
        self.counted
            .iter()
            .find(|(_, times)| {
                below = below.saturating_add(*times);
                below >= rank
            })
            .map(|(key, _)| *key)
    }

    fn datum(&self, key: i64) -> Datum<'static> {
        match self.ty {
            Type::Real => Datum::Real(of_key(key)),
            Type::Decimal => decimal::from_real(of_key(key)).map_or(Datum::Null, Datum::Decimal),
            Type::DateTime => Datum::DateTime(key),
            Type::TimeSpan => Datum::TimeSpan(key),
            _ => Datum::Long(key),
        }
    }
}

/// An integer that sorts as the double does.
fn key_of(value: f64) -> i64 {
    let bits = (value + 0.0).to_bits().cast_signed();
    if bits < 0 { bits ^ i64::MAX } else { bits }
}

fn of_key(key: i64) -> f64 {
    let bits = if key < 0 { key ^ i64::MAX } else { key };
    f64::from_bits(bits.cast_unsigned())
}

impl Packed for Percentiles {
    fn take(&mut self, columns: &[Reader<'_>], row: usize) {
        let Some(value) = columns.first().map(|column| column.get(row)) else { return };
        let key = match self.ty {
            Type::Real | Type::Decimal => value.real().filter(|value| !value.is_nan()).map(key_of),
            _ => value.integer(),
        };
        let times = if self.weighted {
            columns
                .get(1)
                .and_then(|column| column.get(row).integer())
                .and_then(|times| u64::try_from(times).ok())
        } else {
            Some(1)
        };
        if let (Some(key), Some(times)) = (key, times.filter(|times| *times > 0)) {
            self.add(key, times);
        }
    }

    fn value(&mut self) -> ScalarValue {
        self.settle();
        let mut found = self.percents.iter().map(|percent| self.at(*percent).map(|key| self.datum(key)));
        let Some(output) = self.output else {
            let array = found.map(|value| json::of_datum(&value.unwrap_or(Datum::Null))).collect::<Array>();
            return match array.finish() {
                Datum::Json(text) => ScalarValue::Utf8(Some(text.into_owned())),
                _ => null(Type::Dynamic),
            };
        };
        match (output, found.next().flatten()) {
            (Type::Real, Some(value)) => ScalarValue::Float64(value.real()),
            (Type::Int, Some(value)) => {
                ScalarValue::Int32(value.integer().and_then(|value| i32::try_from(value).ok()))
            }
            (Type::Decimal, Some(Datum::Decimal(value))) => {
                ScalarValue::Decimal128(Some(value), DECIMAL_PRECISION, DECIMAL_SCALE)
            }
            (Type::Long | Type::DateTime | Type::TimeSpan, Some(value)) => {
                ScalarValue::Int64(value.integer())
            }
            _ => null(output),
        }
    }

    fn held(&self) -> usize {
        (self.counted.capacity() + self.buffer.capacity()) * size_of::<(i64, u64)>()
    }

    fn pack(&mut self) -> Vec<u8> {
        self.settle();
        self.counted
            .iter()
            .flat_map(|(key, times)| [key.to_le_bytes(), times.to_le_bytes()])
            .flatten()
            .collect()
    }

    fn unpack(&mut self, bytes: &[u8]) -> bool {
        let (words, rest) = bytes.as_chunks::<8>();
        let (pairs, odd) = words.as_chunks::<2>();
        for [key, times] in pairs {
            self.add(i64::from_le_bytes(*key), u64::from_le_bytes(*times));
        }
        rest.is_empty() && odd.is_empty()
    }
}

#[cfg(test)]
#[allow(
    clippy::float_cmp,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small numbers of a test"
)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keys_of_doubles_sort_as_they_do(left: f64, right: f64) {
            prop_assume!(!left.is_nan() && !right.is_nan());
            prop_assert_eq!(left.partial_cmp(&right), Some(key_of(left).cmp(&key_of(right))));
            prop_assert_eq!(of_key(key_of(left)), left);
        }

        #[test]
        fn percentile_is_the_nearest_rank(values in prop::collection::vec(-50_i64..50, 1..300), percent in 0.0..=100.0) {
            let mut state = Percentiles::new(vec![percent], false, Type::Long, Some(Type::Long));
            for value in &values {
                state.add(*value, 1);
            }
            let mut sorted = values;
            sorted.sort_unstable();
            let rank = ((percent / 100.0 * sorted.len() as f64).ceil() as usize).max(1);
            prop_assert_eq!(state.value(), ScalarValue::Int64(Some(sorted[rank - 1])));
        }
    }
}

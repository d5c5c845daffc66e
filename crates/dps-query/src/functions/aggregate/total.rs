//! Sums and means of decimals, timespans and datetimes, exactly.

use datafusion::scalar::ScalarValue;
use dps_kql::Type;

use super::udaf::Packed;
use crate::functions::datum::{Datum, Reader};
use crate::functions::{DECIMAL_PRECISION, DECIMAL_SCALE, decimal, null};

#[derive(Debug)]
pub(super) struct Total {
    ty: Type,
    mean: bool,
    /// None once it was too large.
    sum: Option<i128>,
    count: i64,
}

impl Total {
    pub(super) fn new(ty: Type, mean: bool) -> Self {
        Self { ty, mean, sum: Some(0), count: 0 }
    }
}

impl Packed for Total {
    fn take(&mut self, columns: &[Reader<'_>], row: usize) {
        let value = match columns.first().map(|column| column.get(row)) {
            Some(Datum::Decimal(value)) => value,
            Some(Datum::DateTime(ticks) | Datum::TimeSpan(ticks)) => i128::from(ticks),
            _ => return,
        };
        self.sum = self.sum.and_then(|sum| sum.checked_add(value));
        self.count += 1;
    }

    fn value(&mut self) -> ScalarValue {
        if self.mean && self.count == 0 {
            return null(self.ty);
        }
        let value = if self.mean { self.sum.map(|sum| sum / i128::from(self.count)) } else { self.sum };
        match self.ty {
            Type::Decimal => {
                let within = value.and_then(|value| decimal::add(value, 0));
                ScalarValue::Decimal128(within, DECIMAL_PRECISION, DECIMAL_SCALE)
            }
            _ => ScalarValue::Int64(value.and_then(|value| i64::try_from(value).ok())),
        }
    }

    fn held(&self) -> usize {
        0
    }

    fn pack(&mut self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.sum.is_some())];
        bytes.extend(self.sum.unwrap_or(0).to_le_bytes());
        bytes.extend(self.count.to_le_bytes());
        bytes
    }

    fn unpack(&mut self, bytes: &[u8]) -> bool {
        let Some((known, rest)) = bytes.split_first() else { return false };
        let Some((sum, count)) = rest.split_first_chunk::<16>() else { return false };
        let Ok(count) = <[u8; 8]>::try_from(count) else { return false };
        let sum = (*known == 1).then(|| i128::from_le_bytes(*sum));
        self.sum = self.sum.zip(sum).and_then(|(left, right)| left.checked_add(right));
        self.count += i64::from_le_bytes(count);
        true
    }
}

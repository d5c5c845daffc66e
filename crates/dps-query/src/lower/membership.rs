//! `x in (subquery)`: a set that is looked into, not a list of comparisons. Null is in no set.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use dps_kql::Type;

use crate::functions;

/// Whether a value is among the first column's.
pub fn membership(value: Expr, ty: Type, rows: &[RecordBatch], ignore_case: bool, negated: bool) -> Expr {
    let mut set = Set::of(ty);
    for column in rows.iter().filter_map(|batch| batch.columns().first()) {
        set.insert(column, ignore_case);
    }
    let signature = Signature::exact(vec![functions::arrow_type(ty)], Volatility::Immutable);
    let membership = Membership { set: Arc::new(set), ignore_case, negated, signature };
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::new_from_impl(membership)), vec![value]))
}

#[derive(Debug)]
enum Set {
    Longs(HashSet<i64>),
    Texts(HashSet<Box<str>>),
    Others(HashSet<ScalarValue>),
}

impl Set {
    fn of(ty: Type) -> Self {
        match functions::arrow_type(ty) {
            DataType::Int64 => Self::Longs(HashSet::new()),
            DataType::Utf8 => Self::Texts(HashSet::new()),
            _ => Self::Others(HashSet::new()),
        }
    }

    fn insert(&mut self, column: &ArrayRef, ignore_case: bool) {
        match self {
            Self::Longs(set) => {
                set.extend(
                    column
                        .as_primitive_opt::<Int64Type>()
                        .into_iter()
                        .flat_map(|longs| longs.iter().flatten()),
                );
            }
            Self::Texts(set) => {
                let texts =
                    column.as_string_opt::<i32>().into_iter().flat_map(|texts| texts.iter().flatten());
                set.extend(
                    texts.map(|text| if ignore_case { text.to_lowercase().into() } else { text.into() }),
                );
            }
            Self::Others(set) => {
                let values =
                    (0..column.len()).filter_map(|row| ScalarValue::try_from_array(column, row).ok());
                set.extend(values.filter(|value| !value.is_null()));
            }
        }
    }

    fn holds(&self, column: &ArrayRef, row: usize, ignore_case: bool) -> bool {
        if column.is_null(row) {
            return false;
        }
        match self {
            Self::Longs(set) => {
                column.as_primitive_opt::<Int64Type>().is_some_and(|longs| set.contains(&longs.value(row)))
            }
            Self::Texts(set) => column.as_string_opt::<i32>().is_some_and(|texts| {
                let text = texts.value(row);
                if ignore_case { set.contains(text.to_lowercase().as_str()) } else { set.contains(text) }
            }),
            Self::Others(set) => {
                ScalarValue::try_from_array(column, row).is_ok_and(|value| set.contains(&value))
            }
        }
    }
}

#[derive(Debug)]
struct Membership {
    set: Arc<Set>,
    ignore_case: bool,
    negated: bool,
    signature: Signature,
}

/// Two are one where their set is the same object.
impl PartialEq for Membership {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.set, &other.set)
            && self.ignore_case == other.ignore_case
            && self.negated == other.negated
    }
}

impl Eq for Membership {}

impl Hash for Membership {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.set).hash(state);
        self.negated.hash(state);
    }
}

impl ScalarUDFImpl for Membership {
    fn name(&self) -> &'static str {
        "in_subquery"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(column) = arrays.first() else {
            return Ok(ColumnarValue::Scalar(ScalarValue::Boolean(None)));
        };
        let found = |row| Some(self.set.holds(column, row, self.ignore_case) != self.negated);
        Ok(ColumnarValue::Array(Arc::new((0..column.len()).map(found).collect::<BooleanArray>())))
    }
}

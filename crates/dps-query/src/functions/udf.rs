//! A KQL function as `DataFusion` calls it: columns in, a column out. Owns the loop over rows and what is kept between
//! batches; must not know what any function means.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, not_impl_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, expr::ScalarFunction,
};
use datafusion::scalar::ScalarValue;
use dps_kql::{Scalar, Type};

use super::arrow_type;
use super::datum::{Datum, Reader, Writer, conform};
use super::kernel::{Kernel, kernel};
use super::regex::Regexes;
use super::vector;

/// What a kernel may know of its call beside its arguments.
#[derive(Debug)]
pub struct Call {
    /// The function, for kernels of several.
    pub function: Scalar,
    /// What it yields.
    pub ty: Type,
    /// Compiled patterns.
    pub regexes: Regexes,
}

/// One call in a query.
#[derive(Debug)]
pub struct KqlFunction {
    call: Call,
    types: Vec<Type>,
    signature: Signature,
}

impl KqlFunction {
    /// The call as an expression.
    pub fn call(function: Scalar, args: Vec<Expr>, types: &[Type], ty: Type) -> Expr {
        let volatility = if is_volatile(function) { Volatility::Volatile } else { Volatility::Immutable };
        let signature = if args.is_empty() {
            Signature::nullary(volatility)
        } else {
            Signature::user_defined(volatility)
        };
        let call = Call { function, ty, regexes: Regexes::default() };
        let udf = ScalarUDF::new_from_impl(Self { call, types: types.to_vec(), signature });
        Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(udf), args))
    }

    /// The function that an expression calls, if it is one of these.
    pub fn called(expr: &Expr) -> Option<(Scalar, &[Expr])> {
        let Expr::ScalarFunction(call) = expr else { return None };
        let own = call.func.inner().downcast_ref::<Self>()?;
        Some((own.call.function, &call.args))
    }
}

/// Whether each row gets another value.
fn is_volatile(function: Scalar) -> bool {
    matches!(function, Scalar::Rand | Scalar::NewGuid)
}

impl PartialEq for KqlFunction {
    fn eq(&self, other: &Self) -> bool {
        self.call.function == other.call.function
            && self.call.ty == other.call.ty
            && self.types == other.types
    }
}

impl Eq for KqlFunction {}

impl Hash for KqlFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.call.function, self.call.ty, &self.types).hash(state);
    }
}

impl ScalarUDFImpl for KqlFunction {
    fn name(&self) -> &str {
        self.call.function.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, _: &[DataType]) -> Result<Vec<DataType>> {
        Ok(self.types.iter().copied().map(arrow_type).collect())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(arrow_type(self.call.ty))
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        let nullable = self.call.ty != Type::String;
        Ok(Arc::new(Field::new(self.name(), arrow_type(self.call.ty), nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = !is_volatile(self.call.function)
            && args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let columns = columns(args.args, &self.types)?;
        let readers = readers(&columns, &self.types)?;
        let result = self.run(&readers, rows)?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }
}

impl KqlFunction {
    fn run(&self, readers: &[Reader<'_>], rows: usize) -> Result<ArrayRef> {
        if let Some(result) = vector::run(&self.call, readers, rows) {
            return Ok(result);
        }
        let Some(kernel) = kernel(self.call.function) else {
            return not_impl_err!("{}", self.call.function.name());
        };
        each_row(kernel, &self.call, readers, rows)
    }
}

fn each_row(kernel: Kernel, call: &Call, readers: &[Reader<'_>], rows: usize) -> Result<ArrayRef> {
    let mut to = Writer::new(call.ty, rows);
    let mut values: Vec<Datum<'_>> = Vec::with_capacity(readers.len());
    for row in 0..rows {
        values.clear();
        values.extend(readers.iter().map(|reader| reader.get(row)));
        to.push(&kernel(call, &values))?;
    }
    to.finish()
}

/// The arguments as arrays, each with whether it is one value for all rows.
pub(super) fn columns(args: Vec<ColumnarValue>, types: &[Type]) -> Result<Vec<(ArrayRef, bool)>> {
    let column = |(arg, ty): (ColumnarValue, &Type)| match arg {
        ColumnarValue::Array(array) => Ok((conform(array, *ty)?, false)),
        ColumnarValue::Scalar(value) => Ok((conform(value.to_array()?, *ty)?, true)),
    };
    args.into_iter().zip(types).map(column).collect()
}

/// Readers over them.
pub(super) fn readers<'a>(columns: &'a [(ArrayRef, bool)], types: &[Type]) -> Result<Vec<Reader<'a>>> {
    columns
        .iter()
        .zip(types)
        .map(|((array, constant), ty)| Reader::new(array.as_ref() as &dyn Array, *ty, *constant))
        .collect()
}

//! `a.b[3]` over dynamic values, without a tree per row. Owns the way in; must not know what is done with what is found.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, StringBuilder};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    expr::ScalarFunction,
};
use datafusion::scalar::ScalarValue;
use dps_kql::{Scalar, Type};

use super::datum::{Datum, Reader};
use super::json::{self, Step};
use super::udf::{self, KqlFunction};

/// A step into a dynamic value, its expression lowered.
#[derive(Clone, Debug)]
pub enum PathStep {
    /// A member of a bag.
    Member(String),
    /// An element of an array; negative from the end.
    Index(i64),
    /// A member or an element, by the value and its type.
    Computed(Expr, Type),
}

/// The dynamic value at the end of a way into a dynamic value; null where it leads nowhere. Of `parse_json(text)` the
/// text is walked as it stands: what follows the value that is looked for is not judged.
pub fn path(base: Expr, steps: Vec<PathStep>) -> Result<Expr> {
    let base = match KqlFunction::called(&base) {
        Some((Scalar::ToDynamic, [text])) => text.clone(),
        _ => base,
    };
    let mut args = vec![base];
    let mut types = vec![Type::Dynamic];
    let mut way = Vec::with_capacity(steps.len());
    for step in steps {
        way.push(match step {
            PathStep::Member(name) => Some(Step::Member(name)),
            PathStep::Index(index) => Some(Step::Index(index)),
            PathStep::Computed(expr, ty) => {
                args.push(expr);
                types.push(ty);
                None
            }
        });
    }
    let signature = Signature::user_defined(Volatility::Immutable);
    let name = name_of(&way);
    let udf = ScalarUDF::new_from_impl(JsonPath { name, way, types, signature });
    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(udf), args)))
}

/// Two ways into one value have two names, since columns are told apart by theirs.
fn name_of(way: &[Option<Step>]) -> String {
    way.iter().fold("json_path".to_owned(), |name, step| match step {
        Some(Step::Member(member)) => name + "." + member,
        Some(Step::Index(index)) => format!("{name}[{index}]"),
        None => name + "[]",
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonPath {
    name: String,
    /// None where the next argument says the step.
    way: Vec<Option<Step>>,
    types: Vec<Type>,
    signature: Signature,
}

impl ScalarUDFImpl for JsonPath {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, _: &[DataType]) -> Result<Vec<DataType>> {
        Ok(self.types.iter().copied().map(super::arrow_type).collect())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let columns = udf::columns(args.args, &self.types)?;
        let readers = udf::readers(&columns, &self.types)?;
        let result = self.walk(&readers, rows)?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }
}

impl JsonPath {
    fn walk(&self, readers: &[Reader<'_>], rows: usize) -> Result<ArrayRef> {
        let Some((base, computed)) = readers.split_first() else {
            return internal_err!("a path of nothing");
        };
        let Some(texts) = base.strings() else { return internal_err!("a path into no text") };
        let fixed: Option<Vec<Step>> = self.way.iter().cloned().collect();
        let mut to = StringBuilder::with_capacity(rows, rows * 16);
        for row in 0..rows {
            let at = if base.constant { 0 } else { row };
            if texts.is_null(at) {
                to.append_null();
                continue;
            }
            let text = texts.value(at);
            let found = match &fixed {
                Some(way) => json::find(text, way),
                None => self.steps_of(computed, row).and_then(|way| json::find(text, &way)),
            };
            match found {
                // What is found is part of the text, but for white space in it.
                Some(found) => to.append_option(json::compacted(found)),
                None => to.append_null(),
            }
        }
        Ok(Arc::new(to.finish()))
    }

    fn steps_of(&self, computed: &[Reader<'_>], row: usize) -> Option<Vec<Step>> {
        let mut values = computed.iter().map(|reader| reader.get(row));
        self.way
            .iter()
            .map(|step| match step {
                Some(step) => Some(step.clone()),
                None => values.next().and_then(|value| step_of(&value)),
            })
            .collect()
    }
}

fn step_of(value: &Datum<'_>) -> Option<Step> {
    match value {
        Datum::Text(name) => Some(Step::Member(name.to_string())),
        Datum::Json(text) => match json::scalar(text) {
            Datum::Text(name) => Some(Step::Member(name.into_owned())),
            other => other.integer().map(Step::Index),
        },
        other => other.integer().map(Step::Index),
    }
}

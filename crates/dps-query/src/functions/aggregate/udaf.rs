//! An aggregate as `DataFusion` calls it. Owns which accumulator runs and the shape of its state between threads.

use std::fmt::Debug;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Expr, Signature, Volatility};
use datafusion::scalar::ScalarValue;
use dps_kql::{Aggregate, Type};

use super::collect::{Bags, Lists, Sets};
use super::distinct::Distinct;
use super::extreme::{AnyRow, Extreme};
use super::percentile::Percentiles;
use super::total::Total;
use crate::functions::arrow_type;
use crate::functions::datum::{Reader, conform};

/// What is measured, with its literals.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Measure {
    /// Sum, or mean.
    Total { mean: bool },
    /// The row with the least or greatest first value.
    Extreme { greatest: bool },
    /// Some row.
    Any,
    /// How many different.
    Distinct,
    /// By nearest rank; percentages as the bits of doubles.
    Percentile { percents: Vec<u64>, weighted: bool, array: bool },
    /// All.
    List { nulls: bool, limit: usize },
    /// Each once.
    Set { limit: usize },
    /// Members of bags.
    Bag { limit: usize },
}

/// One aggregate in a query.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct KqlAggregate {
    /// Different for what is measured differently, since columns are told apart by their names.
    name: String,
    measure: Measure,
    types: Vec<Type>,
    outputs: Vec<Type>,
    signature: Signature,
}

impl KqlAggregate {
    /// The aggregate as an expression.
    pub(super) fn call(
        function: Aggregate,
        measure: Measure,
        args: Vec<Expr>,
        types: Vec<Type>,
        outputs: Vec<Type>,
        filter: Option<Expr>,
    ) -> Expr {
        let signature = Signature::user_defined(Volatility::Immutable);
        let name = match &measure {
            Measure::Percentile { percents, .. } => percents
                .iter()
                .fold(function.name().to_owned(), |name, bits| format!("{name}_{}", f64::from_bits(*bits))),
            Measure::List { limit, .. } | Measure::Set { limit } | Measure::Bag { limit } => {
                format!("{}_{limit}", function.name())
            }
            _ => function.name().to_owned(),
        };
        let udaf = AggregateUDF::new_from_impl(Self { name, measure, types, outputs, signature });
        let filter = filter.map(Box::new);
        Expr::AggregateFunction(AggregateFunction::new_udf(
            Arc::new(udaf),
            args,
            false,
            filter,
            Vec::new(),
            None,
        ))
    }

    fn yielded(&self) -> DataType {
        let carries = matches!(self.measure, Measure::Extreme { .. } | Measure::Any);
        match self.outputs.as_slice() {
            [one] => arrow_type(*one),
            several if carries => DataType::Struct(struct_fields(several)),
            _ => DataType::Utf8,
        }
    }
}

/// Fields named by their numbers.
pub(super) fn struct_fields(types: &[Type]) -> Fields {
    let field = |(index, ty): (usize, &Type)| Field::new(index.to_string(), arrow_type(*ty), true);
    types.iter().enumerate().map(field).collect()
}

impl AggregateUDFImpl for KqlAggregate {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, _: &[DataType]) -> Result<Vec<DataType>> {
        Ok(self.types.iter().copied().map(arrow_type).collect())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.yielded())
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field =
            |name: &str, ty: DataType| Arc::new(Field::new(format!("{}[{name}]", args.name), ty, true));
        let columns = || {
            self.types
                .iter()
                .enumerate()
                .map(|(index, ty)| field(&index.to_string(), arrow_type(*ty)))
                .collect()
        };
        Ok(match self.measure {
            Measure::Extreme { .. } => columns(),
            Measure::Any => {
                let mut columns: Vec<FieldRef> = columns();
                columns.push(field("values", DataType::Int64));
                columns
            }
            _ => vec![field("state", DataType::Binary)],
        })
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let types = self.types.clone();
        let ty = types.first().copied().unwrap_or(Type::Dynamic);
        let output = self.outputs.first().copied().unwrap_or(Type::Dynamic);
        let packed = |state: Box<dyn Packed>| {
            Box::new(Packing { types: self.types.clone(), state }) as Box<dyn Accumulator>
        };
        Ok(match &self.measure {
            Measure::Total { mean } => packed(Box::new(Total::new(ty, *mean))),
            Measure::Extreme { greatest } => Box::new(Extreme::new(types, self.outputs.clone(), *greatest)),
            Measure::Any => Box::new(AnyRow::new(types, self.outputs.clone())),
            Measure::Distinct => packed(Box::<Distinct>::default()),
            Measure::Percentile { percents, weighted, array } => {
                let percents = percents.iter().map(|bits| f64::from_bits(*bits)).collect();
                let output = if *array { None } else { Some(output) };
                packed(Box::new(Percentiles::new(percents, *weighted, ty, output)))
            }
            Measure::List { nulls, limit } => packed(Box::new(Lists::new(*nulls, *limit))),
            Measure::Set { limit } => packed(Box::new(Sets::new(*limit))),
            Measure::Bag { limit } => packed(Box::new(Bags::new(*limit))),
        })
    }
}

/// State that travels between threads as bytes.
pub(super) trait Packed: Debug + Send + Sync {
    /// Takes a row.
    fn take(&mut self, columns: &[Reader<'_>], row: usize);
    /// The value.
    fn value(&mut self) -> ScalarValue;
    /// Bytes held beside itself.
    fn held(&self) -> usize;
    /// As bytes.
    fn pack(&mut self) -> Vec<u8>;
    /// Adds what was packed elsewhere; false when it was not this.
    fn unpack(&mut self, bytes: &[u8]) -> bool;
}

#[derive(Debug)]
struct Packing {
    types: Vec<Type>,
    state: Box<dyn Packed>,
}

impl Accumulator for Packing {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let columns = conformed(values, &self.types)?;
        let readers = readers(&columns, &self.types)?;
        for row in 0..columns.first().map_or(0, Array::len) {
            self.state.take(&readers, row);
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.state.value())
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.state.held()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Binary(Some(self.state.pack()))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let packed = states.first().and_then(|states| states.as_binary_opt::<i32>());
        let packed = packed.ok_or_else(|| exec_datafusion_err!("a state is not bytes"))?;
        for bytes in packed.iter().flatten() {
            if !self.state.unpack(bytes) {
                return Err(exec_datafusion_err!("a state of another aggregate"));
            }
        }
        Ok(())
    }
}

pub(super) fn conformed(values: &[ArrayRef], types: &[Type]) -> Result<Vec<ArrayRef>> {
    values.iter().zip(types).map(|(array, ty)| conform(Arc::clone(array), *ty)).collect()
}

pub(super) fn readers<'a>(columns: &'a [ArrayRef], types: &[Type]) -> Result<Vec<Reader<'a>>> {
    columns.iter().zip(types).map(|(array, ty)| Reader::new(array.as_ref(), *ty, false)).collect()
}

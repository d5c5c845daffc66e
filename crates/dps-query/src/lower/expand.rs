//! `mv-expand`: what is expanded is computed beneath the operator, what its elements become above it.

use datafusion::common::{Result, plan_err};
use dps_kql::{Expanded, Type};

use super::{Lowering, Relation, column};
use crate::operator::Expand;

/// How rows are expanded.
#[derive(Clone, Copy, Debug)]
pub struct Shape<'a> {
    /// What.
    pub columns: &'a [Expanded],
    /// The last column is the element's number.
    pub item_index: bool,
    /// Bags become pairs.
    pub bag_as_array: bool,
    /// At most so many rows of each.
    pub limit: Option<u64>,
    /// Columns of the result.
    pub width: usize,
}

impl Lowering<'_> {
    pub(super) fn expand(&self, input: Relation, shape: &Shape<'_>) -> Result<Relation> {
        let sources = shape.columns.iter().map(|expanded| {
            let source = self.expr(&expanded.source, &input.columns)?;
            Self::convert(source, expanded.source.ty, Type::Dynamic)
        });
        let sources = sources.collect::<Result<Vec<_>>>()?;
        let (input, sources) = self.extended(input, sources)?;
        let elements = sources.iter().map(|_| self.name()).collect::<Result<Vec<_>>>()?;
        let item_index = shape.item_index.then(|| self.name()).transpose()?;
        let expand = Expand {
            sources,
            elements: elements.clone(),
            item_index: item_index.clone(),
            bag_as_array: shape.bag_as_array,
            limit: shape.limit,
        };
        let expanded = self.operator(input, expand)?;
        let mut columns: Vec<Option<_>> = expanded.columns.iter().map(|name| Some(column(name))).collect();
        columns.resize(shape.width, None);
        for (target, element) in shape.columns.iter().zip(&elements) {
            let value = Self::convert(column(element), Type::Dynamic, target.ty)?;
            match columns.get_mut(target.target) {
                Some(slot) => *slot = Some(value),
                None => return plan_err!("mv-expand: a column beyond the schema"),
            }
        }
        if let (Some(name), Some(last)) = (&item_index, columns.last_mut()) {
            *last = Some(column(name));
        }
        let Some(columns) = columns.into_iter().collect::<Option<Vec<_>>>() else {
            return plan_err!("mv-expand: a column that nothing fills");
        };
        self.project(expanded, columns)
    }
}

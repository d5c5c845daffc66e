//! What names mean beside columns: `let`s, parameters, `as`. Inner ones hide outer ones.

use crate::ast::Function;
use crate::{Column, Expr, Plan, Schema};

use super::window::Windows;
use crate::Aggregation;

/// What a name stands for.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there are as many as a query has names")]
pub(super) enum Binding {
    /// A value that no column decides.
    Scalar(Expr),
    /// Rows.
    Table(Plan),
    /// A function, which sees the names before it.
    Function {
        function: Box<Function>,
        /// How many names it sees.
        sees: usize,
    },
    /// Something wrong, of which its author has been told.
    Wrong,
}

/// The names in sight, innermost last.
#[derive(Debug, Default)]
pub(super) struct Scope {
    names: Vec<(String, Binding)>,
    /// Where the present block begins: within it a name is declared once.
    block: usize,
}

impl Scope {
    pub(super) fn find(&self, name: &str) -> Option<&Binding> {
        self.names.iter().rev().find(|(known, _)| known == name).map(|(_, binding)| binding)
    }

    pub(super) fn declare(&mut self, name: &str, binding: Binding) {
        self.names.push((name.to_owned(), binding));
    }

    /// Whether the present block has it already.
    pub(super) fn declared(&self, name: &str) -> bool {
        self.names.iter().skip(self.block).any(|(known, _)| known == name)
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|(name, _)| name.as_str())
    }

    /// Opens a block that sees the first `sees` names alone. Give the answer to [`Self::leave`].
    pub(super) fn enter(&mut self, sees: usize) -> Hidden {
        let names = self.names.split_off(sees.min(self.names.len()));
        let hidden = Hidden { names, block: self.block };
        self.block = self.names.len();
        hidden
    }

    /// Closes the block.
    pub(super) fn leave(&mut self, hidden: Hidden) {
        self.names.truncate(self.block);
        self.names.extend(hidden.names);
        self.block = hidden.block;
    }
}

/// What a block does not see.
pub(super) struct Hidden {
    names: Vec<(String, Binding)>,
    block: usize,
}

/// Aggregates that the expressions of a `summarize` call.
#[derive(Debug, Default)]
pub(super) struct Summary {
    /// Columns before those of the first.
    pub(super) keys: Vec<Expr>,
    pub(super) aggregations: Vec<Aggregation>,
    /// Within an argument of an aggregate, where columns are seen and aggregates are not.
    pub(super) inside: bool,
}

impl Summary {
    /// Columns that the aggregations make.
    pub(super) fn width(&self) -> usize {
        self.keys.len() + self.aggregations.iter().map(|aggregation| aggregation.outputs.len()).sum::<usize>()
    }
}

/// The rows that an expression is over.
#[derive(Debug)]
pub(super) struct Rows<'r> {
    pub(super) columns: &'r [Column],
    /// In a `summarize`.
    pub(super) summary: Option<Summary>,
    /// Where functions over neighbours may stand.
    pub(super) windows: Option<Windows>,
}

impl<'r> Rows<'r> {
    pub(super) const fn of(columns: &'r [Column]) -> Self {
        Self { columns, summary: None, windows: None }
    }

    /// No rows at all: constants.
    pub(super) const fn none() -> Self {
        Self { columns: &[], summary: None, windows: None }
    }

    pub(super) fn windowed(columns: &'r [Column]) -> Self {
        Self { columns, summary: None, windows: Some(Windows::default()) }
    }

    pub(super) fn summary(columns: &'r [Column], keys: Vec<Expr>) -> Self {
        Self { columns, summary: Some(Summary { keys, ..Summary::default() }), windows: None }
    }

    /// Enters or leaves an argument of an aggregate.
    pub(super) const fn set_inside(&mut self, inside: bool) {
        if let Some(summary) = &mut self.summary {
            summary.inside = inside;
        }
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        position(self.columns, name)
    }
}

/// Where a column of that name is.
pub(super) fn position(columns: &[Column], name: &str) -> Option<usize> {
    columns.iter().position(|column| column.name == name)
}

/// A column.
pub(super) fn column(name: impl Into<String>, ty: crate::Type) -> Column {
    Column { name: name.into(), ty }
}

/// Each column as it is.
pub(super) fn identity(schema: &Schema) -> Vec<Expr> {
    schema
        .iter()
        .enumerate()
        .map(|(index, column)| Expr { kind: crate::ExprKind::Column(index), ty: column.ty })
        .collect()
}

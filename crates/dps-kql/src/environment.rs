//! What a query is judged against, and what comes of it.

use crate::{Diagnostics, Evaluate, Plan, Render, Schema};

/// A table of the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name, in its own case: names of tables and columns mind case.
    pub name: String,
    /// Its columns.
    pub schema: Schema,
}

/// What a query is judged against.
#[derive(Clone, Copy, Debug)]
pub struct Environment<'a> {
    /// The tables there are.
    pub tables: &'a [Table],
    /// What `now()` is for the whole of the query, in ticks.
    pub now: i64,
    /// Schemas of the `evaluate` operators, in the order in which [`Analysis::Open`] asked for them.
    pub opened: &'a [Schema],
}

/// What an analysis comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Analysis {
    /// A plan that can run.
    Ready(Box<Query>),
    /// The columns of an `evaluate` depend on rows: run `input`, apply `evaluate`, and analyse again with the schema at
    /// the end of [`Environment::opened`]. The plan of the next analysis has `Node::Opened` in its place.
    Open {
        /// What it evaluates.
        input: Box<Plan>,
        /// How.
        evaluate: Box<Evaluate>,
    },
}

/// A query that can run.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// What it computes.
    pub plan: Plan,
    /// How its author wants to see it.
    pub render: Option<Render>,
}

/// The result of an analysis.
pub type Analysed = Result<Analysis, Diagnostics>;

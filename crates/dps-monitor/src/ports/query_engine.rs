//! The query port: KQL in, tables out.

use std::time::Duration;

use async_trait::async_trait;
use dps_kql::{Column, Diagnostics, Render, Value};

/// Runs queries, on threads of its own.
#[async_trait]
pub trait QueryEngine: Send + Sync + 'static {
    /// The tables that a query may name.
    fn tables(&self) -> &[dps_kql::Table];

    /// Runs a query to its end, or to its limits. Dropping the future cancels it.
    async fn run(&self, request: QueryRequest) -> Result<Answer, QueryError>;
}

/// A query.
#[derive(Clone, Debug)]
pub struct QueryRequest {
    /// KQL.
    pub text: String,
    /// Rows whose `TimeGenerated` is at or after the first and before the second, in ticks; intersected with what the
    /// text says.
    pub timespan: Option<(i64, i64)>,
    /// Whose rows.
    pub scope: Scope,
    /// What `now()` is, in ticks.
    pub now: i64,
    /// What it may cost.
    pub limits: QueryLimits,
}

/// Whose rows a query sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of the workspace.
    Workspace,
    /// Those of these resources (ARM ids, case ignored), or beneath them.
    Resources(Vec<String>),
}

/// What a query may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryLimits {
    /// Until it is cancelled.
    pub time: Duration,
    /// Rows answered; what is beyond is cut, and said.
    pub rows: usize,
    /// Bytes answered, about; the same.
    pub bytes: usize,
    /// Bytes of memory while it runs; beyond, it fails.
    pub memory: usize,
}

/// What a query yields.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Its result.
    pub table: AnswerTable,
    /// How its author wants to see it.
    pub render: Option<Render>,
    /// What was cut.
    pub partial: Option<PartialAnswer>,
    /// How long it ran.
    pub elapsed: Duration,
    /// Rows that it read.
    pub scanned_rows: u64,
}

/// A result.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerTable {
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows, each of the columns' length and types.
    pub rows: Vec<Vec<Value>>,
}

/// Why an answer is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartialAnswer {
    /// More rows than `QueryLimits::rows`.
    Rows,
    /// More bytes than `QueryLimits::bytes`.
    Bytes,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The text is wrong.
    #[error("{0}")]
    Wrong(Diagnostics),
    /// The text is right, and its values are not: a pattern that is no regular expression, a step of nought.
    #[error("{0}")]
    Value(String),
    /// It ran too long.
    #[error("the query ran longer than {0:?}")]
    Time(Duration),
    /// It wanted too much memory.
    #[error("the query needs more memory than it may have; filter earlier, or summarize by fewer keys")]
    Memory,
    /// Too many run, and too many wait.
    #[error("too many queries run at once")]
    Busy,
    /// The engine failed; private.
    #[error("the query engine failed: {0}")]
    Failed(String),
}

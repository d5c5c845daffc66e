//! The plan: relational operators over typed expressions, every name resolved, every shorthand spelt out. The contract
//! between the binder, which makes it, and an engine, which runs it. Columns are indices into the input's schema.

use crate::{Aggregate, Scalar, Type, Value};

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Type,
}

/// Columns in order; names are unique within it.
pub type Schema = Vec<Column>;

/// An operator and what it yields.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The operator.
    pub node: Node,
    /// What it yields.
    pub schema: Schema,
}

/// A relational operator. Order of rows is defined only after `Sort` and what keeps it (`Take`, `Filter`, `Project`,
/// `Window`, `Parse`, `MvExpand`).
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// All rows and columns of a table of the catalog.
    Table {
        /// Its name there.
        name: String,
        /// `workspace("…")` or `resource("…")` around it.
        scope: Option<String>,
    },
    /// Rows written in the query.
    Values {
        /// Each of the schema's length.
        rows: Vec<Vec<Value>>,
    },
    /// `range`: one column, both ends inclusive.
    Range {
        /// First value; has no columns, like the two below.
        from: Expr,
        /// Last value.
        to: Expr,
        /// Distance.
        step: Expr,
    },
    /// Rows for which the predicate is true; null is not.
    Filter {
        /// Of.
        input: Box<Plan>,
        /// Bool.
        predicate: Expr,
    },
    /// The schema's columns, computed; also `extend` and every kind of `project`.
    Project {
        /// Of.
        input: Box<Plan>,
        /// One per column of the schema.
        columns: Vec<Expr>,
    },
    /// `summarize`, `distinct`, `count`: keys first, then the outputs of each aggregation. Without keys it yields one
    /// row even of no rows. Null is a key like others.
    Aggregate {
        /// Of.
        input: Box<Plan>,
        /// The groups.
        keys: Vec<Expr>,
        /// What is made of each.
        aggregations: Vec<Aggregation>,
    },
    /// Sorted, stable.
    Sort {
        /// Of.
        input: Box<Plan>,
        /// First decides first.
        keys: Vec<SortKey>,
    },
    /// The first rows.
    Take {
        /// Of.
        input: Box<Plan>,
        /// How many; has no columns.
        count: Expr,
    },
    /// The left schema, then the right one with names made unique; one side alone for semi and anti joins.
    Join {
        /// Which rows.
        kind: JoinKind,
        /// Left.
        left: Box<Plan>,
        /// Right.
        right: Box<Plan>,
        /// Pairs of the same type that must be equal (null equals null), over the left and over the right schema.
        on: Vec<(Expr, Expr)>,
    },
    /// All rows of all inputs, which have the node's schema.
    Union {
        /// At least one.
        inputs: Vec<Plan>,
    },
    /// `mv-expand`: a row for each element; several columns side by side, the shorter ones padded with null.
    MvExpand {
        /// Of.
        input: Box<Plan>,
        /// What is expanded, in place or appended, in the order of the schema.
        columns: Vec<Expanded>,
        /// `with_itemindex=`: the schema's last column is the element's index, a long.
        item_index: bool,
        /// `bagexpansion=array`: an object becomes pairs `[name, value]` and not objects of one member.
        bag_as_array: bool,
        /// At most so many rows of each.
        limit: Option<u64>,
    },
    /// `mv-apply`: the subquery runs for each row of the input over that row's expansion.
    MvApply {
        /// Of.
        input: Box<Plan>,
        /// What is expanded, as in `MvExpand`.
        columns: Vec<Expanded>,
        /// `with_itemindex=`.
        item_index: bool,
        /// At most so many rows of each.
        limit: Option<u64>,
        /// Its leaf is `Applied`. The node's schema is the input's columns that are not expanded, then the subquery's
        /// (a name of both is the subquery's, in the input's place).
        subquery: Box<Plan>,
        /// Where each column of the schema comes from: `Ok` of the subquery, `Err` of the input.
        sources: Vec<Result<usize, usize>>,
    },
    /// The rows that an `evaluate` has made, by its number among those of the query.
    Opened(usize),
    /// The expanded rows of the `MvApply` around it: the input's columns with the expanded ones in place or appended.
    Applied,
    /// `make-series`: one row per group; the schema is keys, one dynamic array per series, the axis as a dynamic array.
    MakeSeries {
        /// Of.
        input: Box<Plan>,
        /// Number, datetime or timespan of each row.
        axis: Expr,
        /// First value of the axis; the smallest of all rows when not given. Has no columns, like the two below.
        from: Option<Expr>,
        /// End of the axis, exclusive (inclusive where `inclusive`); the largest of all rows when not given.
        to: Option<Expr>,
        /// Width of a bin.
        step: Expr,
        /// The form `in range(from, to, step)`: the end belongs to it.
        inclusive: bool,
        /// The groups.
        keys: Vec<Expr>,
        /// What is made of each.
        series: Vec<Series>,
    },
    /// Columns appended that look at neighbours in a serialized input.
    Window {
        /// Of.
        input: Box<Plan>,
        /// One per appended column.
        functions: Vec<WindowFunction>,
    },
    /// `parse` and `parse-where`: columns appended (or replaced, by the plan's projection) from a text.
    Parse {
        /// Of.
        input: Box<Plan>,
        /// String.
        source: Expr,
        /// The pattern.
        pieces: Vec<ParsePiece>,
        /// How it is matched.
        mode: ParseMode,
        /// Rows that do not match stay, with empty columns.
        keep_unmatched: bool,
    },
    /// `parse-kv`: columns appended from `key=value` pairs.
    ParseKv {
        /// Of.
        input: Box<Plan>,
        /// String.
        source: Expr,
        /// Keys looked for, one per appended column, whose type is the schema's.
        keys: Vec<String>,
        /// Between pairs; white space when empty.
        pair_delimiter: String,
        /// Between key and value; white space when empty.
        kv_delimiter: String,
        /// Opens and closes a quoted value.
        quotes: Vec<(char, char)>,
        /// Escapes a character within quotes.
        escape: Option<char>,
        /// Keys ends where a delimiter stands in a word (`greedy=true` turns that off).
        greedy: bool,
    },
    /// `top-nested`: per level a key and its aggregate.
    TopNested {
        /// Of.
        input: Box<Plan>,
        /// Outermost first; each gives two columns of the schema.
        levels: Vec<TopNestedLevel>,
    },
}

/// `evaluate`: what it yields is known only when its input has run. The binder asks for it (see `bind`).
#[derive(Clone, Debug, PartialEq)]
pub enum Evaluate {
    /// `pivot(column, aggregate, keys…)`: groups by the keys and a column for each value of `column`, named by it.
    Pivot {
        /// Input's column whose values become names; string or convertible to one.
        column: Expr,
        /// What fills the cells.
        aggregation: Aggregation,
        /// Keys, all other columns when the query names none.
        keys: Vec<(String, Expr)>,
    },
    /// `bag_unpack(column, prefix, conflict)`: a column for each member, in place of the bag.
    BagUnpack {
        /// Index of the dynamic column.
        column: usize,
        /// Before each name.
        prefix: String,
        /// `error`, `replace_source` or `keep_source` when a name exists.
        conflict: String,
        /// Members that stay in no column.
        ignored: Vec<String>,
    },
}

/// A typed expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Type of its value.
    pub ty: Type,
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// A literal.
    Literal(Value),
    /// A column of the input.
    Column(usize),
    /// A function or an operator. Arguments have the types that the function wants: the binder has put in `ToLong` and
    /// the like where Kusto converts on its own.
    Call {
        /// Which.
        function: Scalar,
        /// In order.
        args: Vec<Expr>,
    },
    /// A way into a dynamic value; what is not there is null. Dynamic.
    Path {
        /// Dynamic.
        base: Box<Expr>,
        /// Outermost first; at least one.
        steps: Vec<Step>,
    },
    /// `x in (subquery)`: the subquery has one column of `x`'s type.
    InQuery {
        /// The value.
        value: Box<Expr>,
        /// Run once.
        query: Box<Plan>,
        /// `!in`.
        negated: bool,
        /// `in~`.
        ignore_case: bool,
    },
    /// `toscalar(subquery)`: first column of its first row, null of none. Run once.
    ScalarQuery(Box<Plan>),
}

/// A step into a dynamic value.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// `.name` or `["name"]`.
    Member(String),
    /// `[3]`, `[-1]` from the end.
    Index(i64),
    /// `[expression]`: string for a member, number for an index.
    Computed(Box<Expr>),
}

/// An aggregate function at work.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregation {
    /// Which.
    pub function: Aggregate,
    /// In order; see [`Aggregate`] for what each takes.
    pub args: Vec<Expr>,
    /// What it yields: one column, but for `arg_max`, `arg_min`, `take_any` and the like, which carry others along.
    pub outputs: Vec<Column>,
}

/// A key to sort by.
#[derive(Clone, Debug, PartialEq)]
pub struct SortKey {
    /// Not dynamic.
    pub expr: Expr,
    /// Largest first.
    pub descending: bool,
    /// Where nulls go.
    pub nulls_first: bool,
}

/// Which rows a join yields. Names say the side that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// One row of the left per key, with each match. The default.
    InnerUnique,
    /// Each pair.
    Inner,
    /// And the left ones without a match.
    LeftOuter,
    /// And the right ones without a match.
    RightOuter,
    /// And both.
    FullOuter,
    /// Left rows with a match.
    LeftSemi,
    /// Right rows with a match.
    RightSemi,
    /// Left rows without.
    LeftAnti,
    /// Right rows without.
    RightAnti,
}

/// A column that `mv-expand` expands.
#[derive(Clone, Debug, PartialEq)]
pub struct Expanded {
    /// Dynamic, over the input.
    pub source: Expr,
    /// Index in the resulting schema.
    pub target: usize,
    /// `to typeof(…)`; dynamic when not asked for.
    pub ty: Type,
}

/// One series of `make-series`.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// One output.
    pub aggregation: Aggregation,
    /// What an empty bin holds; 0 when not given.
    pub default: Value,
}

/// A function over neighbours.
#[derive(Clone, Debug, PartialEq)]
pub enum WindowFunction {
    /// `row_number(start, restart)`.
    RowNumber {
        /// First number.
        start: i64,
        /// Begins anew where true.
        restart: Option<Expr>,
    },
    /// `row_cumsum(x, restart)`.
    CumulativeSum {
        /// Number.
        term: Expr,
        /// Begins anew where true.
        restart: Option<Expr>,
    },
    /// `prev(x, n, default)` where `offset` is positive, `next(x, n, default)` where it is negative.
    Shifted {
        /// Of that row.
        value: Expr,
        /// How many rows before this one.
        offset: i64,
        /// Where there is no such row.
        default: Value,
    },
}

/// How `parse` matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseMode {
    /// All or nothing.
    Simple,
    /// A text that does not convert leaves its column null.
    Relaxed,
    /// The literals are regular expressions.
    Regex {
        /// `flags=i`.
        ignore_case: bool,
        /// `flags=U`: swaps greed.
        ungreedy: bool,
        /// `flags=s`: a dot matches line ends.
        dot_all: bool,
    },
}

/// A piece of a pattern of `parse`.
#[derive(Clone, Debug, PartialEq)]
pub enum ParsePiece {
    /// Text that must be there.
    Literal(String),
    /// `*`: anything.
    Skip,
    /// A column, whose index in the node's schema is given.
    Column(usize),
}

/// A level of `top-nested`.
#[derive(Clone, Debug, PartialEq)]
pub struct TopNestedLevel {
    /// How many per parent; all when not given. Has no columns.
    pub count: Option<Expr>,
    /// The key.
    pub key: Expr,
    /// `with others = …`: the key of a row for the rest.
    pub others: Option<Value>,
    /// By what.
    pub aggregation: Aggregation,
    /// Smallest first.
    pub ascending: bool,
}

/// `render`: nothing is drawn here, what it says travels with the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Render {
    /// `timechart`, `table` …
    pub visualization: String,
    /// `title=`, `kind=`, `xcolumn=` … in the order written.
    pub properties: Vec<(String, String)>,
}

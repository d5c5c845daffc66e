//! The syntax tree of a query: what its author wrote, with the place of each piece in bytes. Owns shapes alone; must not
//! know what a name means or which type a thing has.
//!
//! Scalar and tabular expressions are one kind of tree, as the grammar cannot tell `T` from `x`. Parentheses leave no trace:
//! the tree says what belongs together. The height of a tree is bounded (`limits::MAX_DEPTH`), so it may be walked by
//! recursion.

mod operator;

pub use operator::{
    Column, Distinct, FindColumn, JoinOn, MvColumn, NamePattern, Nulls, Operator, OperatorKind, Order,
    Ordered, ParseKind, ParsePart, Partition, RenderProperty, SeriesAggregate, SeriesRange, Setting,
    SettingValue, TableSource, TopNestedPart,
};

use crate::{Scalar, Type, Value};

/// A place in the text, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Of the first character.
    pub start: usize,
    /// After the last.
    pub end: usize,
}

impl Span {
    /// From the start of this to the end of that.
    #[must_use]
    pub const fn to(self, last: Self) -> Self {
        Self { start: self.start, end: last.end }
    }
}

/// A name as written, without the brackets and quotes of `['a name']`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Its characters.
    pub text: String,
    /// Its place, brackets and quotes included.
    pub span: Span,
}

/// A whole query: statements in their order, of which those that are expressions yield results.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryBlock {
    /// At least one; the last is an expression.
    pub statements: Vec<Statement>,
}

/// Between two semicolons.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// `let name = …`.
    Let(Let),
    /// `set name = value`: a wish about how it is run.
    Set {
        /// The option.
        name: Name,
        /// None is true.
        value: Option<SettingValue>,
    },
    /// An expression, which is tabular in a query that is legal.
    Query(Expr),
}

/// A name for something.
#[derive(Clone, Debug, PartialEq)]
pub struct Let {
    /// The name.
    pub name: Name,
    /// The thing.
    pub value: LetValue,
    /// From `let` to the end of the value.
    pub span: Span,
}

/// What a `let` may name.
#[derive(Clone, Debug, PartialEq)]
pub enum LetValue {
    /// Scalar or tabular.
    Expr(Expr),
    /// `(a:long, T:(*)) { … }`.
    Function(Function),
}

/// A function of the query's author.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// `view`: a wildcard of `union` and a plain `search` see it.
    pub view: bool,
    /// Tabular ones first.
    pub parameters: Vec<Parameter>,
    /// Names that its result may use.
    pub lets: Vec<Let>,
    /// What it yields.
    pub result: Box<Expr>,
}

/// A parameter of a function.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: Name,
    /// What it takes.
    pub kind: ParameterKind,
}

/// What a parameter takes.
#[derive(Clone, Debug, PartialEq)]
pub enum ParameterKind {
    /// `a:long = 5`.
    Scalar {
        /// Its type.
        ty: Type,
        /// What it is when no argument is given; a literal.
        default: Option<Expr>,
    },
    /// `T:(a:long)`, or `T:(*)`, which has no columns here.
    Tabular(Vec<Column>),
}

/// An expression and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where.
    pub span: Span,
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// A literal, with its value.
    Literal(Value),
    /// `typeof(long)`: one column without a name, and `typeof(a:long, b:string)`.
    TypeOf(Vec<Column>),
    /// A column, a table, a `let`, a parameter; also `$left`, `$right`, `$table`.
    Name(String),
    /// `*`: all columns. An argument of a call, the left side of a text predicate, or the whole of a search.
    Star,
    /// `f(…)`; also `toscalar(…)`, `materialize(…)`, `count()`, `workspace("…")`.
    Call(Call),
    /// `base.name`, `base[3]`, `base.f()`.
    Path {
        /// Not a path itself.
        base: Box<Expr>,
        /// Outermost first, at least one.
        steps: Vec<PathStep>,
    },
    /// `-x`; `+x` is `x`.
    Negate(Box<Expr>),
    /// Arithmetic, comparison and text predicates of two sides. `column:"text"` of a search is [`Scalar::Has`].
    Binary {
        /// Which.
        operator: Scalar,
        /// Where the operator stands.
        at: Span,
        /// Left side.
        left: Box<Expr>,
        /// Right side.
        right: Box<Expr>,
    },
    /// `a and b and c`, a chain of one operator.
    Logical {
        /// [`Scalar::And`] or [`Scalar::Or`].
        operator: Scalar,
        /// At least two, none of which is a chain of the same operator on its left.
        operands: Vec<Expr>,
    },
    /// `x in (a, b)` and its kin, `has_any` and `has_all` as well. The list may be one table.
    In {
        /// Which.
        operator: Scalar,
        /// Where the operator stands.
        at: Span,
        /// What is looked for.
        value: Box<Expr>,
        /// Among these; at least one.
        list: Vec<Expr>,
    },
    /// `x between (low .. high)`.
    Between {
        /// `!between`.
        negated: bool,
        /// Where the operator stands.
        at: Span,
        /// What is judged.
        value: Box<Expr>,
        /// Least.
        low: Box<Expr>,
        /// Greatest, or how far it lies above.
        high: Box<Expr>,
    },
    /// `datatable (a:long) [1, 2]`.
    DataTable {
        /// Its columns.
        columns: Vec<Column>,
        /// Row by row; literals, perhaps negated. Their number need not fit.
        values: Vec<Expr>,
    },
    /// Operators behind a source.
    Pipe {
        /// Where rows come from.
        source: Box<Expr>,
        /// In order, at least one.
        operators: Vec<Operator>,
    },
    /// An operator that needs no input: `print`, `range`, and `union`, `search`, `find`, `evaluate` that stand first.
    Leading(Box<Operator>),
}

/// A function's name and what it is given.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// As written: names of functions are legal in one case alone.
    pub name: Name,
    /// What it is given; an argument has a name in `bag_pack`-like plugins and in functions of the author.
    pub args: Vec<Named>,
    /// From the name to the parenthesis.
    pub span: Span,
}

/// A step into a value, or into another workspace.
#[derive(Clone, Debug, PartialEq)]
pub enum PathStep {
    /// `.name`.
    Member(Name),
    /// `[expression]`.
    Index(Expr),
    /// `.database("x")`.
    Call(Call),
}

/// An expression that may have been given names.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// None, one, or several in parentheses: `(a, b) = arg_max(x, *)`.
    pub names: Vec<Name>,
    /// What is named.
    pub expr: Expr,
}

impl Named {
    /// From the first name to the end of the expression.
    #[must_use]
    pub fn span(&self) -> Span {
        self.names.first().map_or(self.expr.span, |name| name.span.to(self.expr.span))
    }
}

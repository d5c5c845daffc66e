//! The operators that stand between pipes.

use super::{Call, Expr, Name, Named, Span};
use crate::Type;

/// An operator and its place, from its keyword on.
#[derive(Clone, Debug, PartialEq)]
pub struct Operator {
    /// Which.
    pub kind: OperatorKind,
    /// Where.
    pub span: Span,
    /// `kind=`, `hint.strategy=`, `isfuzzy=`, `withsource=` … between keyword and operands, in the order written.
    pub settings: Vec<Setting>,
}

/// `name = value` between an operator's keyword and its operands.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// `kind`, `hint.strategy` …
    pub name: Name,
    /// Its value.
    pub value: SettingValue,
}

/// A value of a setting.
#[derive(Clone, Debug, PartialEq)]
pub enum SettingValue {
    /// `inner`.
    Name(Name),
    /// `true`, `5`, `"text"`.
    Literal(Expr),
}

/// A name and a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Empty in `typeof(long)`.
    pub name: Name,
    /// Its type.
    pub ty: Type,
}

/// A name, or a pattern of names where it holds a `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    /// The characters.
    pub name: Name,
    /// A `*` in it stands for anything; else it is a character of the name.
    pub wildcard: bool,
}

/// Ascending or descending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// `asc`.
    Ascending,
    /// `desc`.
    Descending,
    /// `granny-asc`: digits count as numbers. Of `project-reorder` alone.
    GrannyAscending,
    /// `granny-desc`.
    GrannyDescending,
}

/// Where nulls go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nulls {
    /// `nulls first`.
    First,
    /// `nulls last`.
    Last,
}

/// An expression to order by.
#[derive(Clone, Debug, PartialEq)]
pub struct Ordered {
    /// By what.
    pub key: Named,
    /// None is descending.
    pub order: Option<Order>,
    /// None follows the order.
    pub nulls: Option<Nulls>,
}

/// What each operator says.
#[derive(Clone, Debug, PartialEq)]
pub enum OperatorKind {
    /// `where`, `filter`. Has a name where the author wrote `where a = 1` and meant `==`.
    Where(Named),
    /// `project`.
    Project(Vec<Named>),
    /// `project-away`.
    ProjectAway(Vec<NamePattern>),
    /// `project-keep`.
    ProjectKeep(Vec<NamePattern>),
    /// `project-rename`.
    ProjectRename(Vec<Named>),
    /// `project-reorder`.
    ProjectReorder(Vec<(NamePattern, Option<Order>)>),
    /// `extend`.
    Extend(Vec<Named>),
    /// `summarize`; `by` alone is legal, and so is neither.
    Summarize {
        /// Aggregates.
        aggregates: Vec<Named>,
        /// Keys.
        by: Vec<Named>,
    },
    /// `sort`, `order`.
    Sort(Vec<Ordered>),
    /// `top`.
    Top {
        /// How many.
        count: Expr,
        /// By what.
        by: Ordered,
    },
    /// `top-hitters`.
    TopHitters {
        /// How many.
        count: Expr,
        /// Of what.
        of: Named,
        /// Weight; counted when not given.
        by: Option<Ordered>,
    },
    /// `top-nested`, outermost first.
    TopNested(Vec<TopNestedPart>),
    /// `take`, `limit`.
    Take(Expr),
    /// `count`, perhaps `count as name`.
    Count(Option<Name>),
    /// `distinct`.
    Distinct(Distinct),
    /// `print`.
    Print(Vec<Named>),
    /// `range`.
    Range {
        /// The column.
        name: Name,
        /// First value.
        from: Expr,
        /// Last value.
        to: Expr,
        /// Distance.
        step: Expr,
    },
    /// `render`.
    Render {
        /// `timechart` …
        visualization: Name,
        /// In the order written.
        properties: Vec<RenderProperty>,
    },
    /// `parse`, `parse-where`.
    Parse {
        /// `parse-where`.
        filter: bool,
        /// How it is matched.
        kind: ParseKind,
        /// `flags=` of the kind `regex`.
        flags: Option<Name>,
        /// The text.
        source: Expr,
        /// The pattern.
        pattern: Vec<ParsePart>,
    },
    /// `parse-kv`.
    ParseKv {
        /// The text.
        source: Expr,
        /// Keys with their types.
        keys: Vec<Column>,
        /// `pair_delimiter=`, `kv_delimiter=`, `quote=`, `escape=`, `greedy=`, `regex=`.
        properties: Vec<Setting>,
    },
    /// `join`.
    Join {
        /// The right side.
        right: Box<Expr>,
        /// On what.
        on: Vec<JoinOn>,
    },
    /// `lookup`.
    Lookup {
        /// The right side.
        right: Box<Expr>,
        /// On what.
        on: Vec<JoinOn>,
    },
    /// `union`.
    Union(Vec<TableSource>),
    /// `search`.
    Search {
        /// `in (…)`; everything when empty.
        sources: Vec<TableSource>,
        /// A string stands for `* has string`.
        predicate: Expr,
    },
    /// `find`.
    Find {
        /// `in (…)`; everything when empty.
        sources: Vec<TableSource>,
        /// A string stands for `* has string`.
        predicate: Expr,
        /// `project`; empty is `project-smart`.
        project: Vec<FindColumn>,
    },
    /// `mv-expand`.
    MvExpand {
        /// What is expanded.
        columns: Vec<MvColumn>,
        /// At most so many rows.
        limit: Option<Expr>,
    },
    /// `mv-apply`.
    MvApply {
        /// What is expanded.
        columns: Vec<MvColumn>,
        /// At most so many rows.
        limit: Option<Expr>,
        /// What is done with the rows of each.
        subquery: Vec<Operator>,
    },
    /// `make-series`.
    MakeSeries {
        /// One per series.
        aggregates: Vec<SeriesAggregate>,
        /// `on`.
        axis: Named,
        /// Where it begins and ends.
        range: SeriesRange,
        /// Keys.
        by: Vec<Named>,
    },
    /// `serialize`.
    Serialize(Vec<Named>),
    /// `evaluate`.
    Evaluate {
        /// The plugin's call.
        call: Call,
        /// `: (a:long)`, what it will yield.
        schema: Option<Vec<Column>>,
    },
    /// `getschema`.
    GetSchema,
    /// `as`.
    As(Name),
    /// `sample`.
    Sample(Expr),
    /// `sample-distinct`.
    SampleDistinct {
        /// How many.
        count: Expr,
        /// Of what.
        of: Named,
    },
    /// `partition`.
    Partition {
        /// By what.
        by: Expr,
        /// What is done with each part.
        body: Partition,
    },
    /// `reduce`.
    Reduce {
        /// By what.
        by: Named,
        /// `threshold=`, `characters=`.
        with: Vec<Named>,
    },
    /// `invoke`.
    Invoke(Expr),
    /// `consume`.
    Consume,
}

impl OperatorKind {
    /// Its keyword; of two, the one that documentation prefers.
    pub const fn keyword(&self) -> &'static str {
        match self {
            Self::Where(_) => "where",
            Self::Project(_) => "project",
            Self::ProjectAway(_) => "project-away",
            Self::ProjectKeep(_) => "project-keep",
            Self::ProjectRename(_) => "project-rename",
            Self::ProjectReorder(_) => "project-reorder",
            Self::Extend(_) => "extend",
            Self::Summarize { .. } => "summarize",
            Self::Sort(_) => "sort",
            Self::Top { .. } => "top",
            Self::TopHitters { .. } => "top-hitters",
            Self::TopNested(_) => "top-nested",
            Self::Take(_) => "take",
            Self::Count(_) => "count",
            Self::Distinct(_) => "distinct",
            Self::Print(_) => "print",
            Self::Range { .. } => "range",
            Self::Render { .. } => "render",
            Self::Parse { filter: false, .. } => "parse",
            Self::Parse { filter: true, .. } => "parse-where",
            Self::ParseKv { .. } => "parse-kv",
            Self::Join { .. } => "join",
            Self::Lookup { .. } => "lookup",
            Self::Union(_) => "union",
            Self::Search { .. } => "search",
            Self::Find { .. } => "find",
            Self::MvExpand { .. } => "mv-expand",
            Self::MvApply { .. } => "mv-apply",
            Self::MakeSeries { .. } => "make-series",
            Self::Serialize(_) => "serialize",
            Self::Evaluate { .. } => "evaluate",
            Self::GetSchema => "getschema",
            Self::As(_) => "as",
            Self::Sample(_) => "sample",
            Self::SampleDistinct { .. } => "sample-distinct",
            Self::Partition { .. } => "partition",
            Self::Reduce { .. } => "reduce",
            Self::Invoke(_) => "invoke",
            Self::Consume => "consume",
        }
    }
}

/// A level of `top-nested`.
#[derive(Clone, Debug, PartialEq)]
pub struct TopNestedPart {
    /// All when not given.
    pub count: Option<Expr>,
    /// The key.
    pub of: Named,
    /// `with others = …`.
    pub others: Option<Expr>,
    /// By which aggregate.
    pub by: Ordered,
}

/// What `distinct` looks at.
#[derive(Clone, Debug, PartialEq)]
pub enum Distinct {
    /// `*`.
    Star,
    /// Columns, at least one.
    Columns(Vec<Named>),
}

/// A property of `render`: `title="…"`, `ycolumns=a, b`.
#[derive(Clone, Debug, PartialEq)]
pub struct RenderProperty {
    /// Its name.
    pub name: Name,
    /// A literal's text or a word; several where columns are listed.
    pub values: Vec<String>,
    /// From the name to the value's end.
    pub span: Span,
}

/// How `parse` matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseKind {
    /// `kind=simple`, the default.
    Simple,
    /// `kind=relaxed`.
    Relaxed,
    /// `kind=regex`.
    Regex,
}

/// A part of a pattern of `parse`.
#[derive(Clone, Debug, PartialEq)]
pub enum ParsePart {
    /// Text that must be there.
    Text(String, Span),
    /// `*`.
    Star(Span),
    /// `name:type`; a string when no type is given.
    Column(Name, Option<Type>),
}

/// A condition of `join` and `lookup`.
#[derive(Clone, Debug, PartialEq)]
pub enum JoinOn {
    /// `on a`.
    Column(Name),
    /// `on $left.a == $right.b`, or any other expression, for the binder to judge.
    Expr(Expr),
}

/// Where `union`, `search` and `find` look.
#[derive(Clone, Debug, PartialEq)]
pub enum TableSource {
    /// A table, a call, or a query in parentheses.
    Expr(Expr),
    /// `App*`, perhaps behind `workspace("x").`
    Pattern {
        /// Before the dot.
        within: Option<Expr>,
        /// The pattern.
        pattern: NamePattern,
    },
}

/// A column that `find` shows.
#[derive(Clone, Debug, PartialEq)]
pub enum FindColumn {
    /// `name`, `name:type`.
    Column(Name, Option<Type>),
    /// `pack(*)`.
    Pack,
}

/// What `mv-expand` and `mv-apply` expand.
#[derive(Clone, Debug, PartialEq)]
pub struct MvColumn {
    /// The value.
    pub value: Named,
    /// `to typeof(…)`.
    pub to: Option<Type>,
}

/// A series of `make-series`.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesAggregate {
    /// The aggregate.
    pub value: Named,
    /// `default=`.
    pub default: Option<Expr>,
}

/// Where the axis of `make-series` begins and ends.
#[derive(Clone, Debug, PartialEq)]
pub enum SeriesRange {
    /// `in range(from, to, step)`.
    In {
        /// First value.
        from: Expr,
        /// Last value.
        to: Expr,
        /// Width of a bin.
        step: Expr,
    },
    /// `from … to … step …`.
    FromTo {
        /// First value.
        from: Option<Expr>,
        /// Value after the last.
        to: Option<Expr>,
        /// Width of a bin.
        step: Expr,
    },
}

/// What `partition` does with each part.
#[derive(Clone, Debug, PartialEq)]
pub enum Partition {
    /// `( … )`: operators over the part.
    Operators(Vec<Operator>),
    /// `{ … }`: a query of its own.
    Query(Box<Expr>),
}

//! Operators as text.

use super::{Tight, is_word, joined, literal::Quoted, schema};
use crate::ast::{
    Distinct, Expr, FindColumn, JoinOn, MvColumn, NamePattern, Nulls, Operator, OperatorKind, Order, Ordered,
    ParseKind, ParsePart, Partition, RenderProperty, SeriesAggregate, SeriesRange, Setting, TableSource,
    TopNestedPart,
};
use crate::parser::Level;
use std::fmt::{Display, Formatter, Result, Write};

impl Display for Operator {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        to.write_str(self.kind.keyword())?;
        for setting in &self.settings {
            write!(to, " {setting}")?;
        }
        operands(to, &self.kind)
    }
}

/// What stands behind the keyword and the settings, with the space before it.
fn operands(to: &mut Formatter<'_>, kind: &OperatorKind) -> Result {
    match kind {
        OperatorKind::Where(named) => write!(to, " {named}"),
        OperatorKind::Project(items)
        | OperatorKind::ProjectRename(items)
        | OperatorKind::Extend(items)
        | OperatorKind::Serialize(items)
        | OperatorKind::Print(items) => listed(to, items),
        OperatorKind::ProjectAway(patterns) | OperatorKind::ProjectKeep(patterns) => listed(to, patterns),
        OperatorKind::ProjectReorder(patterns) => reordered(to, patterns),
        OperatorKind::Sort(keys) => {
            to.write_str(" by")?;
            listed(to, keys)
        }
        OperatorKind::Take(count) | OperatorKind::Sample(count) => write!(to, " {}", loose(count)),
        OperatorKind::Count(None) | OperatorKind::GetSchema | OperatorKind::Consume => Ok(()),
        OperatorKind::Count(Some(name)) => write!(to, " as {name}"),
        OperatorKind::As(name) => write!(to, " {name}"),
        OperatorKind::Distinct(Distinct::Star) => to.write_str(" *"),
        OperatorKind::Distinct(Distinct::Columns(columns)) => listed(to, columns),
        OperatorKind::Range { name, from, to: last, step } => {
            write!(to, " {name} from {} to {} step {}", loose(from), loose(last), loose(step))
        }
        OperatorKind::Render { visualization, properties } => render(to, &visualization.text, properties),
        OperatorKind::Invoke(call) => write!(to, " {}", loose(call)),
        OperatorKind::Summarize { .. }
        | OperatorKind::Top { .. }
        | OperatorKind::TopHitters { .. }
        | OperatorKind::TopNested(_)
        | OperatorKind::MakeSeries { .. }
        | OperatorKind::SampleDistinct { .. }
        | OperatorKind::Reduce { .. } => summary(to, kind),
        OperatorKind::Join { .. }
        | OperatorKind::Lookup { .. }
        | OperatorKind::Union(_)
        | OperatorKind::Search { .. }
        | OperatorKind::Find { .. } => sources(to, kind),
        OperatorKind::MvExpand { .. }
        | OperatorKind::MvApply { .. }
        | OperatorKind::Partition { .. }
        | OperatorKind::Evaluate { .. } => expansion(to, kind),
        OperatorKind::Parse { .. } | OperatorKind::ParseKv { .. } => pattern(to, kind),
    }
}

fn loose(expr: &Expr) -> Tight<'_> {
    Tight(expr, Level::Or)
}

/// A list with a space before it, if it has any members.
fn listed<T: Display>(to: &mut Formatter<'_>, items: &[T]) -> Result {
    if items.is_empty() {
        return Ok(());
    }
    to.write_char(' ')?;
    joined(to, items, ", ")
}

/// A word and a list, if the list has any members.
fn clause<T: Display>(to: &mut Formatter<'_>, word: &str, items: &[T]) -> Result {
    if items.is_empty() {
        return Ok(());
    }
    write!(to, " {word}")?;
    listed(to, items)
}

fn reordered(to: &mut Formatter<'_>, patterns: &[(NamePattern, Option<Order>)]) -> Result {
    for (index, (pattern, order)) in patterns.iter().enumerate() {
        write!(to, "{} {pattern}", if index > 0 { "," } else { "" })?;
        if let Some(order) = order {
            write!(to, " {order}")?;
        }
    }
    Ok(())
}

fn render(to: &mut Formatter<'_>, visualization: &str, properties: &[RenderProperty]) -> Result {
    write!(to, " {visualization}")?;
    if properties.is_empty() {
        return Ok(());
    }
    if properties.iter().any(|property| property.name.text == "by") {
        return properties.iter().try_for_each(|property| write!(to, " {property}"));
    }
    to.write_str(" with (")?;
    joined(to, properties, ", ")?;
    to.write_str(")")
}

fn summary(to: &mut Formatter<'_>, kind: &OperatorKind) -> Result {
    match kind {
        OperatorKind::Summarize { aggregates, by } => {
            listed(to, aggregates)?;
            clause(to, "by", by)
        }
        OperatorKind::Top { count, by } => write!(to, " {} by {by}", loose(count)),
        OperatorKind::SampleDistinct { count, of } | OperatorKind::TopHitters { count, of, by: None } => {
            write!(to, " {} of {of}", loose(count))
        }
        OperatorKind::TopHitters { count, of, by: Some(by) } => {
            write!(to, " {} of {of} by {by}", loose(count))
        }
        OperatorKind::TopNested(parts) => {
            to.write_char(' ')?;
            joined(to, parts, ", top-nested ")
        }
        OperatorKind::Reduce { by, with } => {
            write!(to, " by {by}")?;
            clause(to, "with", with)
        }
        OperatorKind::MakeSeries { aggregates, axis, range, by } => {
            listed(to, aggregates)?;
            write!(to, " on {axis}{range}")?;
            clause(to, "by", by)
        }
        _ => Ok(()),
    }
}

fn sources(to: &mut Formatter<'_>, kind: &OperatorKind) -> Result {
    match kind {
        OperatorKind::Join { right, on } | OperatorKind::Lookup { right, on } => {
            write!(to, " {}", loose(right))?;
            clause(to, "on", on)
        }
        OperatorKind::Union(tables) => listed(to, tables),
        OperatorKind::Search { sources, predicate } => {
            within(to, sources)?;
            write!(to, " {}", loose(predicate))
        }
        OperatorKind::Find { sources, predicate, project } => {
            within(to, sources)?;
            write!(to, " where {}", loose(predicate))?;
            clause(to, "project", project)
        }
        _ => Ok(()),
    }
}

fn within(to: &mut Formatter<'_>, sources: &[TableSource]) -> Result {
    if sources.is_empty() {
        return Ok(());
    }
    to.write_str(" in (")?;
    joined(to, sources, ", ")?;
    to.write_char(')')
}

fn expansion(to: &mut Formatter<'_>, kind: &OperatorKind) -> Result {
    match kind {
        OperatorKind::MvExpand { columns, limit } => mv_columns(to, columns, limit.as_ref()),
        OperatorKind::MvApply { columns, limit, subquery } => {
            mv_columns(to, columns, limit.as_ref())?;
            to.write_str(" on (")?;
            joined(to, subquery, " | ")?;
            to.write_char(')')
        }
        OperatorKind::Partition { by, body: Partition::Operators(operators) } => {
            write!(to, " by {} (", loose(by))?;
            joined(to, operators, " | ")?;
            to.write_char(')')
        }
        OperatorKind::Partition { by, body: Partition::Query(query) } => {
            write!(to, " by {} {{ {query} }}", loose(by))
        }
        OperatorKind::Evaluate { call, schema: None } => write!(to, " {call}"),
        OperatorKind::Evaluate { call, schema: Some(columns) } => {
            write!(to, " {call} : ")?;
            schema(to, columns)
        }
        _ => Ok(()),
    }
}

fn mv_columns(to: &mut Formatter<'_>, columns: &[MvColumn], limit: Option<&Expr>) -> Result {
    listed(to, columns)?;
    limit.map_or(Ok(()), |limit| write!(to, " limit {limit}"))
}

fn pattern(to: &mut Formatter<'_>, kind: &OperatorKind) -> Result {
    match kind {
        OperatorKind::Parse { kind, flags, source, pattern, .. } => {
            let word = match kind {
                ParseKind::Simple => "simple",
                ParseKind::Relaxed => "relaxed",
                ParseKind::Regex => "regex",
            };
            write!(to, " kind={word}")?;
            if let Some(flags) = flags {
                write!(to, " flags={}", flags.text)?;
            }
            write!(to, " {} with", loose(source))?;
            pattern.iter().try_for_each(|part| write!(to, " {part}"))
        }
        OperatorKind::ParseKv { source, keys, properties } => {
            write!(to, " {} as ", loose(source))?;
            schema(to, keys)?;
            if properties.is_empty() {
                return Ok(());
            }
            to.write_str(" with (")?;
            joined::<Setting>(to, properties, ", ")?;
            to.write_char(')')
        }
        _ => Ok(()),
    }
}

impl Display for NamePattern {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        if self.wildcard { to.write_str(&self.name.text) } else { self.name.fmt(to) }
    }
}

impl Display for Order {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        to.write_str(match self {
            Self::Ascending => "asc",
            Self::Descending => "desc",
            Self::GrannyAscending => "granny-asc",
            Self::GrannyDescending => "granny-desc",
        })
    }
}

impl Display for Ordered {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        self.key.fmt(to)?;
        if let Some(order) = self.order {
            write!(to, " {order}")?;
        }
        match self.nulls {
            None => Ok(()),
            Some(Nulls::First) => to.write_str(" nulls first"),
            Some(Nulls::Last) => to.write_str(" nulls last"),
        }
    }
}

impl Display for TopNestedPart {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        if let Some(count) = &self.count {
            write!(to, "{} ", loose(count))?;
        }
        write!(to, "of {}", self.of)?;
        if let Some(others) = &self.others {
            write!(to, " with others = {}", loose(others))?;
        }
        write!(to, " by {}", self.by)
    }
}

impl Display for RenderProperty {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        let (name, values) = (self.name.text.as_str(), self.values.as_slice());
        let spelled = |value: &String| if is_word(value) { value.clone() } else { Quoted(value).to_string() };
        let named = |value: &String| format!("[{}]", Quoted(value));
        match name {
            "by" => write!(to, "by ")?,
            _ => write!(to, "{name}=")?,
        }
        let values: Vec<String> = match name {
            "by" | "series" | "ycolumns" | "anomalycolumns" => values.iter().map(named).collect(),
            "title" | "xtitle" | "ytitle" => values.iter().map(|value| Quoted(value).to_string()).collect(),
            _ => values.iter().map(spelled).collect(),
        };
        joined(to, &values, ", ")
    }
}

impl Display for ParsePart {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        match self {
            Self::Text(text, _) => Quoted(text).fmt(to),
            Self::Star(_) => to.write_char('*'),
            Self::Column(name, None) => name.fmt(to),
            Self::Column(name, Some(ty)) => write!(to, "{name}:{}", ty.name()),
        }
    }
}

impl Display for JoinOn {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        match self {
            Self::Column(name) => name.fmt(to),
            Self::Expr(expr) => loose(expr).fmt(to),
        }
    }
}

impl Display for TableSource {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        match self {
            Self::Expr(expr) => Tight(expr, Level::Primary).fmt(to),
            Self::Pattern { within: None, pattern } => pattern.fmt(to),
            Self::Pattern { within: Some(within), pattern } => {
                write!(to, "{}.{pattern}", Tight(within, Level::Primary))
            }
        }
    }
}

impl Display for FindColumn {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        match self {
            Self::Pack => to.write_str("pack(*)"),
            Self::Column(name, None) => name.fmt(to),
            Self::Column(name, Some(ty)) => write!(to, "{name}:{}", ty.name()),
        }
    }
}

impl Display for MvColumn {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        self.value.fmt(to)?;
        self.to.map_or(Ok(()), |ty| write!(to, " to typeof({})", ty.name()))
    }
}

impl Display for SeriesAggregate {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        self.value.fmt(to)?;
        self.default.as_ref().map_or(Ok(()), |default| write!(to, " default={}", loose(default)))
    }
}

impl Display for SeriesRange {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        match self {
            Self::In { from, to: last, step } => {
                write!(to, " in range({}, {}, {})", loose(from), loose(last), loose(step))
            }
            Self::FromTo { from, to: last, step } => {
                if let Some(from) = from {
                    write!(to, " from {}", loose(from))?;
                }
                if let Some(last) = last {
                    write!(to, " to {}", loose(last))?;
                }
                write!(to, " step {}", loose(step))
            }
        }
    }
}

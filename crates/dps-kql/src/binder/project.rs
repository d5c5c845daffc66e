//! `where`, `project` and its kin, `extend`, `print`, `range`, `getschema`.

use std::collections::HashSet;

use super::convert::{convert, element, is_number, is_summable, promoted, wider};
use super::name::{self, Names, natural};
use super::scope::{Rows, column, identity, position};
use super::window::Windows;
use super::{Binder, Bound, Stopped, all};
use crate::ast::{self, ExprKind as Syntax, Name, NamePattern, Named, Order, Span};
use crate::signature::{self, several};
use crate::{Column, Expr, Node, Plan, Schema, Type, Value};

/// How a column came to its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Called {
    /// By its author, or it is a column as it was; no other may be called so.
    Declared(String, Span),
    /// By its expression; it gives way.
    Natural(String),
    /// Not at all.
    Unnamed,
}

/// A column that an item of a list makes.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) called: Called,
    pub(super) expr: Expr,
    pub(super) span: Span,
}

impl Binder<'_> {
    pub(super) fn filter(&mut self, input: Plan, predicate: &Named, span: Span) -> Bound<Plan> {
        if let [name, ..] = predicate.names.as_slice() {
            let message = "The expression must have the type bool.".to_owned();
            let mend = format!("Say {} == …: one = gives a name, two compare.", name.text);
            return Err(self.tell("KS141", predicate.span(), message, Some(mend)));
        }
        let mut rows = Rows::windowed(&input.schema);
        let predicate = self.condition(&mut rows, &predicate.expr)?;
        let windows = rows.windows.take().unwrap_or_default();
        if windows.is_empty() {
            let schema = input.schema.clone();
            return self.node(Node::Filter { input: Box::new(input), predicate }, schema, span);
        }
        let shown = input.schema.clone();
        let input = self.windowed(input, windows, span)?;
        let schema = input.schema.clone();
        let filtered = self.node(Node::Filter { input: Box::new(input), predicate }, schema, span)?;
        let columns = identity(&shown);
        self.node(Node::Project { input: Box::new(filtered), columns }, shown, span)
    }

    /// The columns that an item makes: one, but for functions that yield several.
    pub(super) fn item(&mut self, rows: &mut Rows<'_>, item: &Named) -> Bound<Vec<Made>> {
        let span = item.span();
        if let Syntax::Call(call) = &item.expr.kind
            && self.scope.find(&call.name.text).is_none()
            && let Some(function) = signature::scalar(&call.name.text)
            && let Some(columns) = several(function.function)
        {
            let array = self.built_in(rows, function, call)?;
            let argument = call.args.first().and_then(|arg| natural(&arg.expr, rows.columns, &self.scope));
            let prefix = name::prefixed(&call.name.text, argument);
            if let Some(extra) = item.names.get(columns.columns.len()) {
                return self.fail("KS150", extra.span, "The name does not have a corresponding expression.");
            }
            self.grow(2 * columns.columns.len(), span)?;
            return Ok(columns
                .columns
                .iter()
                .enumerate()
                .map(|(index, (suffix, ty))| {
                    let called = match item.names.get(index) {
                        Some(given) => Called::Declared(given.text.clone(), given.span),
                        None => Called::Natural(format!("{prefix}_{suffix}")),
                    };
                    let at = i64::try_from(index).unwrap_or(i64::MAX);
                    Made { called, expr: convert(element(array.clone(), at), *ty), span }
                })
                .collect());
        }
        let called = self.called(rows.columns, item)?;
        let expr = self.scalar(rows, &item.expr)?;
        Ok(vec![Made { called, expr, span }])
    }

    /// What an item that makes one column is called.
    pub(super) fn called(&mut self, columns: &[Column], item: &Named) -> Bound<Called> {
        match item.names.as_slice() {
            [] => Ok(match (&item.expr.kind, natural(&item.expr, columns, &self.scope)) {
                (Syntax::Name(_), Some(name)) => Called::Declared(name, item.expr.span),
                (_, Some(name)) => Called::Natural(name),
                (_, None) => Called::Unnamed,
            }),
            [given] => Ok(Called::Declared(given.text.clone(), given.span)),
            [first, .., last] => {
                let span = first.span.to(last.span);
                self.fail("KS149", span, "The expression does not have multiple named values.")
            }
        }
    }

    /// Binds all items of a list.
    pub(super) fn items(&mut self, rows: &mut Rows<'_>, items: &[Named]) -> Bound<Vec<Made>> {
        let made = items.iter().map(|item| self.item(rows, item)).collect();
        Ok(all(made)?.into_iter().flatten().collect())
    }

    /// Names for columns beside each other.
    pub(super) fn name_apart(&mut self, names: &mut Names, called: Called) -> Bound<String> {
        match called {
            Called::Declared(name, span) => names.declare(&name).ok_or_else(|| self.twice(&name, span)),
            Called::Natural(name) => Ok(names.apart(&name)),
            Called::Unnamed => Ok(names.counted()),
        }
    }

    pub(super) fn project(&mut self, input: Plan, items: &[Named], span: Span) -> Bound<Plan> {
        let mut rows = Rows::windowed(&input.schema);
        let made = self.items(&mut rows, items)?;
        let windows = rows.windows.take().unwrap_or_default();
        let mut names = Names::default();
        let mut schema = Vec::with_capacity(made.len());
        let mut columns = Vec::with_capacity(made.len());
        for made in made {
            let ty = made.expr.ty;
            schema.push(self.name_apart(&mut names, made.called).map(|name| column(name, ty)));
            columns.push(made.expr);
        }
        let schema = all(schema)?;
        self.projected(input, windows, columns, schema, span)
    }

    fn projected(
        &mut self,
        input: Plan,
        windows: Windows,
        columns: Vec<Expr>,
        schema: Schema,
        span: Span,
    ) -> Bound<Plan> {
        let input = self.windowed(input, windows, span)?;
        self.node(Node::Project { input: Box::new(input), columns }, schema, span)
    }

    /// `extend`, and `serialize` with items.
    pub(super) fn extend(&mut self, input: Plan, items: &[Named], span: Span) -> Bound<Plan> {
        let mut rows = Rows::windowed(&input.schema);
        let made = self.items(&mut rows, items)?;
        let windows = rows.windows.take().unwrap_or_default();
        if made.is_empty() {
            return Ok(input);
        }
        let mut schema = input.schema.clone();
        let mut columns = identity(&schema);
        let mut names = Names::default();
        for known in &schema {
            names.claim(&known.name);
        }
        let mut declared = HashSet::new();
        let mut good = Ok(());
        for made in made {
            let (name, at) = match made.called {
                Called::Declared(name, at) => {
                    if !declared.insert(name.clone()) {
                        good = Err(self.twice(&name, at));
                        continue;
                    }
                    (name, at)
                }
                Called::Natural(name)
                    if declared.contains(&name) && position(&input.schema, &name).is_some() =>
                {
                    good = Err(self.twice(&name, made.span));
                    continue;
                }
                Called::Natural(name) => (name, made.span),
                Called::Unnamed => (names.unnamed(), made.span),
            };
            self.grow(1, at)?;
            let ty = made.expr.ty;
            if let Some(index) = position(&schema, &name) {
                schema[index] = column(name, ty);
                columns[index] = made.expr;
            } else {
                names.claim(&name);
                schema.push(column(name, ty));
                columns.push(made.expr);
            }
        }
        good?;
        self.projected(input, windows, columns, schema, span)
    }

    pub(super) fn print(&mut self, items: &[Named], span: Span) -> Bound<Plan> {
        let mut rows = Rows::none();
        let mut names = Names::default();
        let mut made = Vec::new();
        for (index, item) in items.iter().enumerate() {
            made.push(self.item(&mut rows, item).and_then(|made| {
                let single = made.len() == 1;
                let named = made.into_iter().map(|made| {
                    let called = match made.called {
                        Called::Declared(name, at) if !item.names.is_empty() => Called::Declared(name, at),
                        Called::Natural(name) if !single => Called::Natural(name),
                        _ => Called::Natural(format!("print_{index}")),
                    };
                    let ty = made.expr.ty;
                    Ok((column(self.name_apart(&mut names, called)?, ty), made.expr))
                });
                all(named.collect())
            }));
        }
        let (schema, columns): (Vec<_>, Vec<_>) = all(made)?.into_iter().flatten().unzip();
        let one = self.node(Node::Values { rows: vec![Vec::new()] }, Vec::new(), span)?;
        self.node(Node::Project { input: Box::new(one), columns }, schema, span)
    }

    pub(super) fn range(&mut self, name: &Name, bounds: [&ast::Expr; 3], span: Span) -> Bound<Plan> {
        let mut bound = Vec::with_capacity(3);
        for expr in bounds {
            bound.push(self.constant(&mut Rows::none(), expr).and_then(|value| {
                if is_summable(value.ty) {
                    return Ok(value);
                }
                let message = "The argument value must be summable: a number, timespan or datetime.";
                self.fail("KS138", expr.span, message)
            }));
        }
        let mut values = all(bound)?.into_iter();
        let (Some(from), Some(to), Some(step)) = (values.next(), values.next(), values.next()) else {
            return Err(Stopped);
        };
        let (ty, distance) = match (from.ty, to.ty, step.ty) {
            (a, b, c) if is_number(a) && is_number(b) && is_number(c) => {
                let ty = promoted(wider(wider(a, b), c));
                (ty, ty)
            }
            (Type::DateTime, Type::DateTime, Type::TimeSpan) => (Type::DateTime, Type::TimeSpan),
            (Type::TimeSpan, Type::TimeSpan, Type::TimeSpan) => (Type::TimeSpan, Type::TimeSpan),
            (a, _, c) => return Err(self.undefined("range", bounds[2].span, &[a, c])),
        };
        let (from, to, step) = (convert(from, ty), convert(to, ty), convert(step, distance));
        self.node(Node::Range { from, to, step }, vec![column(name.text.clone(), ty)], span)
    }

    /// The input's columns as rows.
    pub(super) fn get_schema(&mut self, input: &Plan, span: Span) -> Bound<Plan> {
        let text = |text: &str| Value::String(text.into());
        let rows = input
            .schema
            .iter()
            .zip(0..)
            .map(|(known, index)| {
                vec![
                    text(&known.name),
                    Value::Long(index),
                    text(system_type(known.ty)),
                    text(known.ty.name()),
                ]
            })
            .collect();
        let schema = vec![
            column("ColumnName", Type::String),
            column("ColumnOrdinal", Type::Long),
            column("DataType", Type::String),
            column("ColumnType", Type::String),
        ];
        self.node(Node::Values { rows }, schema, span)
    }

    /// Columns of the input that a pattern means.
    fn meant(&mut self, schema: &Schema, pattern: &NamePattern) -> Bound<Vec<usize>> {
        let found: Vec<_> = if pattern.wildcard {
            let matches = |known: &Column| matches_pattern(&pattern.name.text, &known.name);
            schema.iter().enumerate().filter(|(_, known)| matches(known)).map(|(index, _)| index).collect()
        } else {
            position(schema, &pattern.name.text).into_iter().collect()
        };
        if !found.is_empty() {
            return Ok(found);
        }
        let names: Vec<_> = schema.iter().map(|known| known.name.clone()).collect();
        self.unknown(&pattern.name.text, pattern.name.span, &names)
    }

    fn pick(&mut self, input: Plan, kept: &[usize], span: Span) -> Bound<Plan> {
        let all = identity(&input.schema);
        let columns = kept.iter().filter_map(|index| all.get(*index).cloned()).collect();
        let schema = kept.iter().filter_map(|index| input.schema.get(*index).cloned()).collect();
        self.node(Node::Project { input: Box::new(input), columns }, schema, span)
    }

    pub(super) fn project_away(&mut self, input: Plan, patterns: &[NamePattern], span: Span) -> Bound<Plan> {
        let meant = patterns.iter().map(|pattern| self.meant(&input.schema, pattern)).collect();
        let gone: HashSet<_> = all(meant)?.into_iter().flatten().collect();
        let kept: Vec<_> = (0..input.schema.len()).filter(|index| !gone.contains(index)).collect();
        self.pick(input, &kept, span)
    }

    pub(super) fn project_keep(&mut self, input: Plan, patterns: &[NamePattern], span: Span) -> Bound<Plan> {
        let meant = patterns.iter().map(|pattern| self.meant(&input.schema, pattern)).collect();
        let kept: HashSet<_> = all(meant)?.into_iter().flatten().collect();
        let kept: Vec<_> = (0..input.schema.len()).filter(|index| kept.contains(index)).collect();
        self.pick(input, &kept, span)
    }

    pub(super) fn project_rename(&mut self, input: Plan, items: &[Named], span: Span) -> Bound<Plan> {
        let mut schema = input.schema.clone();
        let mut good = Vec::new();
        for item in items {
            let (Some(new), Syntax::Name(old)) = (item.names.first(), &item.expr.kind) else {
                good.push(self.fail("KS110", item.span(), "Column rename assignment expected."));
                continue;
            };
            let Some(index) = position(&input.schema, old) else {
                let names: Vec<_> = input.schema.iter().map(|known| known.name.clone()).collect();
                good.push(self.unknown(old, item.expr.span, &names));
                continue;
            };
            if position(&schema, &new.text).is_some() {
                good.push(Err(self.twice(&new.text, new.span)));
            } else {
                schema[index].name.clone_from(&new.text);
                good.push(Ok(()));
            }
        }
        all(good)?;
        let columns = identity(&input.schema);
        self.node(Node::Project { input: Box::new(input), columns }, schema, span)
    }

    pub(super) fn project_reorder(
        &mut self,
        input: Plan,
        items: &[(NamePattern, Option<Order>)],
        span: Span,
    ) -> Bound<Plan> {
        let mut groups = Vec::new();
        for (pattern, order) in items {
            groups.push(self.meant(&input.schema, pattern).map(|mut found| {
                sort_names(&mut found, &input.schema, *order);
                found
            }));
        }
        let mut seen = HashSet::new();
        let mut kept: Vec<_> =
            all(groups)?.into_iter().flatten().filter(|index| seen.insert(*index)).collect();
        kept.extend((0..input.schema.len()).filter(|index| !seen.contains(index)));
        self.pick(input, &kept, span)
    }
}

fn sort_names(found: &mut [usize], schema: &Schema, order: Option<Order>) {
    // Letters in order, whatever their case.
    let name = |index: &usize| schema.get(*index).map(|known| known.name.to_lowercase()).unwrap_or_default();
    match order {
        None => {}
        Some(Order::Ascending) => found.sort_by_cached_key(|index| name(index)),
        Some(Order::Descending) => found.sort_by_cached_key(|index| std::cmp::Reverse(name(index))),
        Some(Order::GrannyAscending) => found.sort_by_cached_key(|index| granny(&name(index))),
        Some(Order::GrannyDescending) => {
            found.sort_by_cached_key(|index| granny(&name(index)));
            found.reverse();
        }
    }
}

/// A name in which digits are padded, so that 9 stands before 10.
fn granny(name: &str) -> String {
    const WIDTH: usize = 20;
    let mut padded = String::with_capacity(name.len());
    let mut digits = String::new();
    for letter in name.chars().chain(std::iter::once('\0')) {
        if letter.is_ascii_digit() {
            digits.push(letter);
            continue;
        }
        if !digits.is_empty() {
            padded.push_str(&"0".repeat(WIDTH.saturating_sub(digits.len())));
            padded.push_str(&digits);
            digits.clear();
        }
        padded.push(letter);
    }
    padded
}

/// Whether a name fits a pattern in which `*` stands for anything.
pub(super) fn matches_pattern(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(first) = parts.next() else { return false };
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let parts: Vec<_> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The name of a type outside of Kusto, as `getschema` tells it.
const fn system_type(ty: Type) -> &'static str {
    match ty {
        Type::Bool => "System.SByte",
        Type::Int => "System.Int32",
        Type::Long => "System.Int64",
        Type::Real => "System.Double",
        Type::Decimal => "System.Data.SqlTypes.SqlDecimal",
        Type::String => "System.String",
        Type::DateTime => "System.DateTime",
        Type::TimeSpan => "System.TimeSpan",
        Type::Guid => "System.Guid",
        Type::Dynamic => "System.Object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pattern_with_stars_matches_in_order() {
        assert!(matches_pattern("App*", "AppEvents") && matches_pattern("*", ""));
        assert!(matches_pattern("a*b*c", "axxbyyc") && matches_pattern("*x*", "axb"));
        assert!(
            !matches_pattern("a*a", "a") && !matches_pattern("App*", "app") && !matches_pattern("a", "ab")
        );
    }

    #[test]
    fn granny_order_counts_digits_as_numbers() {
        assert!(granny("a9") < granny("a10"));
        assert!(granny("a") < granny("a1"));
    }
}

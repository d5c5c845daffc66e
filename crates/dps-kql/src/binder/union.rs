//! `union`: columns of one name and type are one; of one name and several types each becomes `name_type`.

use std::collections::HashMap;

use super::convert::{column as at, literal, null, text};
use super::name::Names;
use super::project::matches_pattern;
use super::scope::column;
use super::{Binder, Bound, Stopped, all};
use crate::ast::{self, ExprKind as Syntax, NamePattern, Operator, SettingValue, Span, TableSource};
use crate::diagnostic::code;
use crate::{Column, Expr, Node, Plan, Schema, Type, Value};

/// Rows and what they are called.
pub(super) struct Part {
    pub(super) name: String,
    pub(super) plan: Plan,
}

impl Binder<'_> {
    pub(super) fn union(
        &mut self,
        first: Option<Plan>,
        sources: &[TableSource],
        operator: &Operator,
    ) -> Bound<Plan> {
        let fuzzy = operator.settings.iter().any(|setting| {
            setting.name.text == "isfuzzy"
                && matches!(
                    &setting.value,
                    SettingValue::Literal(ast::Expr { kind: Syntax::Literal(Value::Bool(true)), .. })
                )
        });
        let source_name = operator
            .settings
            .iter()
            .find(|setting| matches!(setting.name.text.as_str(), "withsource" | "with_source"));
        let source_name = match source_name.map(|setting| &setting.value) {
            None => None,
            Some(SettingValue::Name(name)) => Some(name.text.clone()),
            Some(SettingValue::Literal(expr)) => match &expr.kind {
                Syntax::Literal(Value::String(name)) => Some(name.to_string()),
                _ => return self.fail("KS222", expr.span, "String literal expected."),
            },
        };
        let mut parts: Vec<_> =
            first.map(|plan| Part { name: name_of(&plan, 0), plan }).into_iter().collect();
        parts.extend(self.parts(sources, fuzzy)?);
        let inner = operator.settings.iter().any(|setting| {
            setting.name.text == "kind"
                && matches!(&setting.value, SettingValue::Name(kind) if kind.text == "inner")
        });
        if inner {
            parts = self.narrowed(parts, operator.span)?;
        }
        self.united(parts, source_name.as_deref(), operator.span)
    }

    /// The parts with the columns that all of them have.
    fn narrowed(&mut self, parts: Vec<Part>, span: Span) -> Bound<Vec<Part>> {
        let Some(first) = parts.first() else { return Ok(parts) };
        let in_all = |known: &&Column| parts.iter().all(|part| part.plan.schema.contains(known));
        let common: Schema = first.plan.schema.iter().filter(in_all).cloned().collect();
        if common.is_empty() {
            let message =
                "The tables of a union of kind inner have no column in common; leave kind=inner out.";
            return self.fail(code::UNSUPPORTED, span, message);
        }
        let mut narrowed = Vec::with_capacity(parts.len());
        for Part { name, plan } in parts {
            let kept = plan.schema.iter().enumerate().filter(|(_, known)| common.contains(known));
            let (columns, schema) = kept.map(|(index, known)| (at(index, known.ty), known.clone())).unzip();
            let plan = self.node(Node::Project { input: Box::new(plan), columns }, schema, span)?;
            narrowed.push(Part { name, plan });
        }
        Ok(narrowed)
    }

    /// Binds tables, patterns of tables and queries. Fuzzy ones that are not there are left out.
    pub(super) fn parts(&mut self, sources: &[TableSource], fuzzy: bool) -> Bound<Vec<Part>> {
        let mut parts = Vec::new();
        for source in sources {
            parts.push(match source {
                TableSource::Pattern { within, pattern } => self.pattern(within.as_ref(), pattern, fuzzy),
                TableSource::Expr(expr) if fuzzy && self.is_missing(expr) => Ok(Vec::new()),
                TableSource::Expr(expr) => self.table(expr).map(|plan| {
                    let name = match &expr.kind {
                        Syntax::Name(name) => name.clone(),
                        _ => name_of(&plan, parts.len()),
                    };
                    vec![Part { name, plan }]
                }),
            });
        }
        Ok(all(parts)?.into_iter().flatten().collect())
    }

    fn is_missing(&self, expr: &ast::Expr) -> bool {
        let source = match &expr.kind {
            Syntax::Pipe { source, .. } => source,
            _ => expr,
        };
        match &source.kind {
            Syntax::Name(name) => {
                self.scope.find(name).is_none()
                    && !self.environment.tables.iter().any(|table| table.name == *name)
            }
            Syntax::Path { steps, .. } => match steps.last() {
                Some(ast::PathStep::Member(name)) => {
                    !self.environment.tables.iter().any(|table| table.name == name.text)
                }
                _ => false,
            },
            _ => false,
        }
    }

    fn pattern(
        &mut self,
        within: Option<&ast::Expr>,
        pattern: &NamePattern,
        fuzzy: bool,
    ) -> Bound<Vec<Part>> {
        let span = pattern.name.span;
        let place = match within.map(|expr| (&expr.kind, expr.span)) {
            None => None,
            Some((Syntax::Call(call), _)) => Some(self.place_of(call)?),
            Some((_, span)) => return self.fail("KS111", span, "Tabular value expected."),
        };
        let environment = self.environment;
        let names: Vec<_> = environment.tables.iter().map(|table| table.name.as_str()).collect();
        let found: Vec<_> =
            names.into_iter().filter(|name| matches_pattern(&pattern.name.text, name)).collect();
        if found.is_empty() && !fuzzy {
            let message = format!("The name '{}' does not refer to any known table.", pattern.name.text);
            return self.fail("KS142", span, message);
        }
        let parts = found.into_iter().map(|name| {
            let plan = self.catalog_table(name, place.clone(), span)?;
            Ok(Part { name: name.to_owned(), plan })
        });
        parts.collect()
    }

    /// All tables.
    pub(super) fn everything(&mut self, span: Span) -> Bound<Vec<Part>> {
        let environment = self.environment;
        let mut parts = Vec::new();
        for table in environment.tables {
            let plan = self.catalog_table(&table.name, None, span)?;
            parts.push(Part { name: table.name.clone(), plan });
        }
        Ok(parts)
    }

    /// One relation of all; with a column that says where a row is from, if a name for it is given.
    pub(super) fn united(&mut self, parts: Vec<Part>, source: Option<&str>, span: Span) -> Bound<Plan> {
        if parts.is_empty() {
            return self.node(Node::Values { rows: Vec::new() }, Vec::new(), span);
        }
        let (schema, places) = merged(&parts, source);
        let mut inputs = Vec::with_capacity(parts.len());
        for (part, places) in parts.into_iter().zip(places) {
            self.grow(schema.len(), span)?;
            let mut columns: Vec<Expr> = schema.iter().map(|known| literal(null(known.ty))).collect();
            if let (Some(_), Some(first)) = (source, columns.first_mut()) {
                *first = text(&part.name);
            }
            for (index, (place, known)) in places.into_iter().zip(&part.plan.schema).enumerate() {
                if let Some(slot) = columns.get_mut(place) {
                    *slot = at(index, known.ty);
                }
            }
            let plan = if part.plan.schema == schema {
                part.plan
            } else {
                self.node(Node::Project { input: Box::new(part.plan), columns }, schema.clone(), span)?
            };
            inputs.push(plan);
        }
        match (inputs.pop(), inputs.is_empty()) {
            (Some(only), true) => Ok(only),
            (Some(last), false) => {
                inputs.push(last);
                self.node(Node::Union { inputs }, schema, span)
            }
            (None, _) => Err(Stopped),
        }
    }
}

/// What rows are called that have no name of their own.
fn name_of(plan: &Plan, index: usize) -> String {
    match &plan.node {
        Node::Table { name, .. } => name.clone(),
        _ => format!("union_arg{index}"),
    }
}

/// The schema of all, and where each column of each part goes.
fn merged(parts: &[Part], source: Option<&str>) -> (Schema, Vec<Vec<usize>>) {
    let mut order: Vec<&str> = Vec::new();
    let mut types: HashMap<&str, Vec<Type>> = HashMap::new();
    for known in parts.iter().flat_map(|part| &part.plan.schema) {
        let known_types = types.entry(&known.name).or_insert_with(|| {
            order.push(&known.name);
            Vec::new()
        });
        if !known_types.contains(&known.ty) {
            known_types.push(known.ty);
        }
    }
    let mut names = Names::default();
    let mut schema = Vec::new();
    let mut places: HashMap<(&str, Type), usize> = HashMap::new();
    if let Some(source) = source {
        names.claim(source);
        schema.push(column(source, Type::String));
    }
    for name in order {
        let known_types = types.get(name).map_or(&[][..], Vec::as_slice);
        for ty in known_types {
            let called = match known_types {
                [_] => names.apart(name),
                _ => names.apart(&format!("{name}_{}", ty.name())),
            };
            places.insert((name, *ty), schema.len());
            schema.push(column(called, *ty));
        }
    }
    let places = parts
        .iter()
        .map(|part| {
            let place = |known: &crate::Column| places.get(&(known.name.as_str(), known.ty)).copied();
            part.plan.schema.iter().map(|known| place(known).unwrap_or(usize::MAX)).collect()
        })
        .collect();
    (schema, places)
}

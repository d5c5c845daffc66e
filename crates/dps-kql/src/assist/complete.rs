//! What could stand at a cursor: names in sight there, operators, functions of the right kind. Must not know how a place is
//! found.

use super::mark::{BOUND, given, is_word_operator};
use super::place::{self, Operand, Place, Stage};
use super::{Completion, MarkKind};
use crate::{Analysis, Column, Environment, Scalar, keyword, lexer, limits, parser, signature};

/// Shorter and shorter beginnings of a pipe that are tried for their columns.
const TRIES: usize = 8;
/// Operators that take aggregates.
const SUMMING: &[&str] = &["summarize", "make-series", "top-nested"];
/// Operators whose operands are names of columns.
const NAMING: &[&str] = &["project-away", "project-keep", "project-reorder"];
const JOINS: &[&str] = &[
    "inner",
    "innerunique",
    "leftouter",
    "rightouter",
    "fullouter",
    "leftanti",
    "rightanti",
    "leftsemi",
    "rightsemi",
];
const COMPARING: &[&str] = &["==", "!=", "=~", "!~", "<", "<=", ">", ">="];

/// What could stand at that offset.
pub(super) fn at(text: &str, cursor: usize, environment: &Environment<'_>) -> Vec<Completion> {
    let place = place::of(text, cursor);
    let mut list = List { place: &place, found: Vec::new() };
    match &place.stage {
        Stage::Elsewhere => {}
        Stage::Piped => list.add("|", MarkKind::Operator, "goes on", "| "),
        Stage::Operator => list.operators(),
        Stage::Source { value, statement } => {
            list.tables(environment);
            list.given();
            list.words(
                &["union", "search", "print", "range", "datatable"],
                MarkKind::Keyword,
                "begins a query",
            );
            if *statement {
                list.words(&["let"], MarkKind::Keyword, "names something");
            }
            if *value {
                list.functions();
            }
        }
        Stage::Operand(operand) => list.operand(operand, environment),
    }
    list.sorted()
}

struct List<'p, 't> {
    place: &'p Place<'t>,
    found: Vec<Completion>,
}

impl List<'_, '_> {
    fn add(&mut self, label: &str, kind: MarkKind, detail: &str, insert: &str) {
        let typed = self.place.typed;
        self.found.push(Completion {
            label: label.to_owned(),
            kind,
            detail: detail.to_owned(),
            insert: insert.to_owned(),
            start: typed.start,
            end: typed.end,
        });
    }

    fn words(&mut self, words: &[&str], kind: MarkKind, detail: &str) {
        for word in words {
            self.add(word, kind, detail, &format!("{word} "));
        }
    }

    fn operators(&mut self) {
        for operator in parser::operators() {
            let insert = if matches!(operator, "count" | "getschema" | "consume") {
                operator.to_owned()
            } else {
                format!("{operator} ")
            };
            self.add(operator, MarkKind::Keyword, "operator", &insert);
        }
    }

    fn tables(&mut self, environment: &Environment<'_>) {
        for table in environment.tables {
            self.add(&table.name, MarkKind::Table, "table", &table.name);
        }
    }

    /// Names of the statements before.
    fn given(&mut self) {
        let before = self.place.before;
        let mut names: Vec<&str> = given(before, &lexer::lex(before).tokens).into_iter().collect();
        names.sort_unstable();
        for name in names {
            self.add(name, MarkKind::Variable, "named above", name);
        }
    }

    fn functions(&mut self) {
        let listed = signature::scalars().filter_map(|row| row.names.first()).copied();
        for name in BOUND.iter().copied().chain(listed) {
            self.add(name, MarkKind::Function, "function", &format!("{name}("));
        }
    }

    fn aggregates(&mut self) {
        for row in signature::aggregates() {
            if let Some(name) = row.names.first() {
                let insert = if *name == "count" { "count()".to_owned() } else { format!("{name}(") };
                self.add(name, MarkKind::Aggregate, "aggregate", &insert);
            }
        }
    }

    fn columns(&mut self, environment: &Environment<'_>) {
        for column in columns(self.place, environment) {
            let plain = keyword::may_be_value(&column.name)
                && column.name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
                && column.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            let escaped = || column.name.replace('\\', "\\\\").replace('\'', "\\'");
            let insert = if plain { column.name.clone() } else { format!("['{}']", escaped()) };
            self.add(&column.name, MarkKind::Column, column.ty.name(), &insert);
        }
    }

    fn operand(&mut self, operand: &Operand<'_>, environment: &Environment<'_>) {
        let Operand { operator, own, last, ended, calls } = operand;
        let has = |word: &str| own.contains(&word);
        let begun = own.len() > 1 || !calls.is_empty();
        match *operator {
            "render" if !begun => self.words(parser::VISUALIZATIONS, MarkKind::Keyword, "chart"),
            "take" | "limit" | "sample" | "count" | "getschema" | "consume" | "as" | "invoke" | "render" => {}
            "evaluate" if !begun => {
                for plugin in ["bag_unpack", "pivot"] {
                    self.add(plugin, MarkKind::Function, "plug-in", &format!("{plugin}("));
                }
            }
            "union" if calls.is_empty() => {
                self.tables(environment);
                self.given();
            }
            "join" | "lookup" if calls.is_empty() && !has("on") => self.joined(operand, environment),
            "sort" | "order" | "top" if calls.is_empty() && !has("by") && (*operator != "top" || *ended) => {
                self.words(&["by"], MarkKind::Keyword, "what decides");
            }
            "top" if !has("by") => {}
            name if NAMING.contains(&name) => {
                if !ended {
                    self.columns(environment);
                }
            }
            _ if *last == "." => {}
            _ if *ended => self.behind_a_value(operand),
            _ => {
                self.columns(environment);
                self.given();
                let summing = SUMMING.contains(operator) && !has("by");
                let within = calls.iter().any(|call| signature::aggregate(call).is_some());
                if summing && !within {
                    self.aggregates();
                }
                self.functions();
                if has("on") && matches!(*operator, "join" | "lookup") {
                    self.words(&["$left", "$right"], MarkKind::Keyword, "side of the join");
                }
            }
        }
    }

    fn joined(&mut self, operand: &Operand<'_>, environment: &Environment<'_>) {
        if operand.last == "=" {
            return self.words(JOINS, MarkKind::Keyword, "kind of join");
        }
        let tabled = operand.ended && !JOINS.contains(&operand.last);
        if tabled {
            return self.words(&["on"], MarkKind::Keyword, "what is the same");
        }
        if operand.own.len() == 1 {
            self.add("kind", MarkKind::Keyword, "kind of join", "kind=");
        }
        self.tables(environment);
        self.given();
    }

    fn behind_a_value(&mut self, operand: &Operand<'_>) {
        if matches!(operand.operator, "sort" | "order" | "top") && operand.calls.is_empty() {
            self.words(&["desc", "asc", "nulls first", "nulls last"], MarkKind::Keyword, "order");
        }
        let grouped = SUMMING.contains(&operand.operator) || operand.operator == "distinct";
        if SUMMING.contains(&operand.operator) && operand.calls.is_empty() && !operand.own.contains(&"by") {
            self.words(&["by"], MarkKind::Keyword, "groups");
        }
        if operand.operator == "make-series" && operand.calls.is_empty() {
            self.words(&["on", "from", "to", "step"], MarkKind::Keyword, "axis");
        }
        if grouped && operand.calls.is_empty() {
            return;
        }
        for name in COMPARING {
            self.add(name, MarkKind::Operator, "comparison", &format!("{name} "));
        }
        for operator in Scalar::ALL.iter().filter(|operator| is_word_operator(**operator)) {
            let listed = matches!(
                operator,
                Scalar::In
                    | Scalar::NotIn
                    | Scalar::InIgnoreCase
                    | Scalar::NotInIgnoreCase
                    | Scalar::HasAny
                    | Scalar::HasAll
                    | Scalar::Between
                    | Scalar::NotBetween
            );
            let name = operator.name();
            let insert = if listed { format!("{name} (") } else { format!("{name} ") };
            self.add(name, MarkKind::Operator, "operator", &insert);
        }
    }

    /// What begins as was typed comes first, then what holds it; the rest is left out.
    fn sorted(self) -> Vec<Completion> {
        let typed = self.place.prefix.to_ascii_lowercase();
        let rank = |completion: &Completion| {
            let label = completion.label.to_ascii_lowercase();
            if label.starts_with(&typed) { Some(0) } else { label.contains(&typed).then_some(1) }
        };
        let mut ranked: Vec<(i32, Completion)> =
            self.found.into_iter().filter_map(|found| Some((rank(&found)?, found))).collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.truncate(limits::MAX_COMPLETIONS);
        ranked.into_iter().map(|(_, completion)| completion).collect()
    }
}

/// The columns that the pipe has where the cursor stands; of a beginning of it, where the whole is not legal yet.
fn columns(place: &Place<'_>, environment: &Environment<'_>) -> Vec<Column> {
    for source in place.sources.iter().take(TRIES) {
        for before in [place.before, ""] {
            match crate::analyse(&format!("{before}\n{source}"), environment) {
                Ok(Analysis::Ready(query)) => return query.plan.schema,
                Ok(Analysis::Open { input, .. }) => return input.schema,
                Err(_) => {}
            }
        }
    }
    // Rows of an array that is taken apart, or a search over everything: a column is one of some table.
    let mut all: Vec<Column> = Vec::new();
    if place.sources.is_empty()
        && !matches!(place.stage, Stage::Operand(Operand { operator: "print" | "range", .. }))
    {
        let every = environment.tables.iter().flat_map(|table| &table.schema);
        for column in every {
            if all.iter().all(|known| known.name != column.name) {
                all.push(column.clone());
            }
        }
    }
    all
}

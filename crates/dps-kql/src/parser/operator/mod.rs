//! Operators by their keyword, and the simple ones.

mod expand;
mod pattern;
mod render;
mod source;
mod summary;

pub(crate) use self::render::VISUALIZATIONS;
use super::{Caught, Parsed, Parser};
use crate::ast::{Distinct, Name, Nulls, Operator, OperatorKind, Order, Ordered, Setting, SettingValue};
use crate::diagnostic::code;
use crate::lexer::TokenKind;

/// Keywords of operators.
const OPERATORS: &[&str] = &[
    "as",
    "consume",
    "count",
    "distinct",
    "evaluate",
    "extend",
    "filter",
    "find",
    "getschema",
    "invoke",
    "join",
    "limit",
    "lookup",
    "make-series",
    "mv-apply",
    "mv-expand",
    "mvapply",
    "mvexpand",
    "order",
    "parse",
    "parse-kv",
    "parse-where",
    "partition",
    "print",
    "project",
    "project-away",
    "project-keep",
    "project-rename",
    "project-reorder",
    "range",
    "reduce",
    "render",
    "sample",
    "sample-distinct",
    "search",
    "serialize",
    "sort",
    "summarize",
    "take",
    "top",
    "top-hitters",
    "top-nested",
    "union",
    "where",
];

/// Operators of Kusto that are not understood here.
const UNSUPPORTED: &[&str] = &[
    "__executeAndCache",
    "__partitionby",
    "assert-schema",
    "facet",
    "fork",
    "graph-mark-components",
    "graph-match",
    "graph-shortest-paths",
    "graph-to-table",
    "graph-where-edges",
    "graph-where-nodes",
    "macro-expand",
    "make-graph",
    "partitioned-by",
    "project-by-names",
    "project-smart",
    "scan",
];

/// Names of the operators that are understood and in use.
pub(crate) fn operators() -> impl Iterator<Item = &'static str> {
    const OLD: &[&str] = &["filter", "mvapply", "mvexpand"];
    OPERATORS.iter().copied().filter(|name| !OLD.contains(name))
}

pub(crate) fn is_operator(word: &str) -> bool {
    OPERATORS.contains(&word) || UNSUPPORTED.contains(&word)
}

/// Whether an operator stands here that needs no input.
pub(super) fn leads(parser: &Parser<'_>) -> bool {
    let behind = parser.written(1);
    match parser.written(0) {
        "print" | "search" | "union" => true,
        "find" => behind != "(" || parser.written(2) == "(",
        "range" => parser.written(2) == "from" || behind == "[",
        "evaluate" => parser.is_word(1) && matches!(parser.written(2), "(" | "."),
        _ => false,
    }
}

/// Whether what stands behind could be meant as one more of a list.
pub(super) const fn ends_in_list(kind: &OperatorKind) -> bool {
    matches!(
        kind,
        OperatorKind::Project(_)
            | OperatorKind::ProjectAway(_)
            | OperatorKind::ProjectKeep(_)
            | OperatorKind::ProjectRename(_)
            | OperatorKind::ProjectReorder(_)
            | OperatorKind::Extend(_)
            | OperatorKind::Summarize { .. }
            | OperatorKind::Sort(_)
            | OperatorKind::Print(_)
            | OperatorKind::Distinct(_)
            | OperatorKind::Serialize(_)
            | OperatorKind::Union(_)
    )
}

impl Parser<'_> {
    /// The operator that stands here.
    pub(super) fn operator(&mut self) -> Parsed<Operator> {
        let start = self.span();
        let keyword = self.written(0);
        if !self.is_word(0) || !is_operator(keyword) {
            return Err(self.no_operator());
        }
        self.advance();
        if UNSUPPORTED.contains(&keyword) {
            return Err(self.unsupported(start, &format!("The operator {keyword}"), None));
        }
        let settings = if takes_settings(keyword) { self.settings()? } else { Vec::new() };
        let kind = self.operands(keyword)?;
        self.above()?;
        Ok(Operator { kind, span: start.to(self.before()), settings })
    }

    /// What stands behind a pipe is none.
    fn no_operator(&mut self) -> Caught {
        let suggestion = if self.is_word(0) {
            nearest(self.written(0)).map(|word| format!("Did you mean {word}?"))
        } else {
            (self.is("|") && self.slice(self.before()) == "|").then(|| "Write or.".to_owned())
        };
        let span =
            if self.at_end() || matches!(self.kind(), TokenKind::Mark) { self.before() } else { self.span() };
        self.tell(code::NO_OPERATOR, span, "Query operator expected.".to_owned(), suggestion)
    }

    fn operands(&mut self, keyword: &str) -> Parsed<OperatorKind> {
        Ok(match keyword {
            "where" | "filter" => OperatorKind::Where(self.named()?),
            "project" => OperatorKind::Project(self.optional_list(Self::named)?),
            "project-away" => OperatorKind::ProjectAway(self.optional_list(Self::name_pattern)?),
            "project-keep" => OperatorKind::ProjectKeep(self.optional_list(Self::name_pattern)?),
            "project-rename" => OperatorKind::ProjectRename(self.optional_list(Self::named)?),
            "project-reorder" => OperatorKind::ProjectReorder(self.optional_list(|parser| {
                let pattern = parser.name_pattern()?;
                Ok((pattern, parser.reorder()))
            })?),
            "extend" => OperatorKind::Extend(self.list(Self::named)?),
            "serialize" => OperatorKind::Serialize(self.optional_list(Self::named)?),
            "print" => OperatorKind::Print(self.list(Self::named)?),
            "sort" | "order" => {
                self.demand("by")?;
                OperatorKind::Sort(self.list(Self::ordered)?)
            }
            "take" | "limit" => OperatorKind::Take(self.named()?.expr),
            "count" => OperatorKind::Count(if self.eat("as") { Some(self.value_name()?) } else { None }),
            "distinct" if self.eat("*") => OperatorKind::Distinct(Distinct::Star),
            "distinct" => OperatorKind::Distinct(Distinct::Columns(self.list(Self::named)?)),
            "getschema" => OperatorKind::GetSchema,
            "consume" => OperatorKind::Consume,
            "as" => OperatorKind::As(self.value_name()?),
            "sample" => OperatorKind::Sample(self.named()?.expr),
            "invoke" => self.invoke()?,
            "summarize" | "top" | "top-hitters" | "top-nested" | "make-series" | "sample-distinct"
            | "reduce" => self.summary(keyword)?,
            "join" | "lookup" | "union" | "search" | "find" | "range" => self.source_operator(keyword)?,
            "mv-expand" | "mvexpand" | "mv-apply" | "mvapply" | "partition" | "evaluate" => {
                self.expansion(keyword)?
            }
            "parse" | "parse-where" => self.parse(keyword == "parse-where")?,
            "parse-kv" => self.parse_kv()?,
            _ => self.render()?,
        })
    }

    fn optional_list<T>(&mut self, rule: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        if self.at_end() { Ok(Vec::new()) } else { self.list(rule) }
    }

    fn order(&mut self) -> Option<Order> {
        if self.eat("asc") {
            return Some(Order::Ascending);
        }
        self.eat("desc").then_some(Order::Descending)
    }

    fn reorder(&mut self) -> Option<Order> {
        if self.eat("granny-asc") {
            return Some(Order::GrannyAscending);
        }
        if self.eat("granny-desc") { Some(Order::GrannyDescending) } else { self.order() }
    }

    /// `expression asc nulls first`.
    fn ordered(&mut self) -> Parsed<Ordered> {
        let key = self.named()?;
        let order = self.order();
        let nulls = if !self.eat("nulls") {
            None
        } else if self.eat("first") {
            Some(Nulls::First)
        } else if self.eat("last") {
            Some(Nulls::Last)
        } else {
            return Err(self.expected_one_of(&["first", "last"]));
        };
        Ok(Ordered { key, order, nulls })
    }

    fn invoke(&mut self) -> Parsed<OperatorKind> {
        if !self.is_word(0) || self.written(1) != "(" && self.written(1) != "." {
            return Err(self.missing("function call"));
        }
        Ok(OperatorKind::Invoke(self.postfix(false)?))
    }

    /// `(name = value, …)` behind `with`.
    fn with_properties(&mut self, names: &[&str]) -> Parsed<Vec<Setting>> {
        self.demand("(")?;
        let mut properties = Vec::new();
        while !self.is(")") {
            if !names.contains(&self.written(0)) {
                return Err(self.expected_one_of(names));
            }
            let name = Name { text: self.written(0).to_owned(), span: self.advance() };
            self.demand("=")?;
            let value = if matches!(self.kind(), TokenKind::Word) {
                return Err(self.missing("literal"));
            } else {
                SettingValue::Literal(self.signed_literal()?)
            };
            properties.push(Setting { name, value });
            if !self.eat(",") {
                break;
            }
        }
        self.demand(")")?;
        Ok(properties)
    }
}

/// Operators whose first operand could not be mistaken for a setting.
fn takes_settings(keyword: &str) -> bool {
    !matches!(
        keyword,
        "project"
            | "project-away"
            | "project-keep"
            | "project-rename"
            | "project-reorder"
            | "extend"
            | "print"
            | "range"
            | "parse"
            | "parse-where"
            | "parse-kv"
            | "render"
            | "count"
            | "getschema"
            | "invoke"
    )
}

/// The operator whose name differs least, if by little.
fn nearest(word: &str) -> Option<&'static str> {
    /// Longer words are like none.
    const LONGEST: usize = 32;
    if word.len() > LONGEST {
        return None;
    }
    let lower = word.to_ascii_lowercase();
    let spelled = |operator: &str| strsim::levenshtein(&lower, operator);
    let (operator, apart) =
        OPERATORS.iter().map(|operator| (operator, spelled(operator))).min_by_key(|pair| pair.1)?;
    (apart * 3 <= lower.len()).then_some(operator)
}

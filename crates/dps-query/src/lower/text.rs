//! `parse` and `parse-kv`: our operators take texts, the functions make values of them.

use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, lit, when};
use dps_kql::{Node, ParseMode, ParsePiece, Plan, Type};
use regex::RegexBuilder;

use super::{Lowering, Relation, column};
use crate::functions;
use crate::operator::{PairSyntax, Pairs, Parse, group_name};

/// Bytes of a compiled pattern, and of a pattern.
const PATTERN_BYTES: usize = 1 << 20;
const TEXT_BYTES: usize = 16 << 10;

impl Lowering<'_> {
    pub(super) fn parse(&self, plan: &Plan, input: Relation) -> Result<Relation> {
        match &plan.node {
            Node::Parse { source, pieces, mode, keep_unmatched, .. } => {
                self.parse_pattern(plan, input, source, pieces, *mode, *keep_unmatched)
            }
            Node::ParseKv { source, keys, pair_delimiter, kv_delimiter, quotes, escape, greedy, .. } => {
                let syntax = PairSyntax {
                    pair: pair_delimiter.clone(),
                    value: kv_delimiter.clone(),
                    quotes: quotes.clone(),
                    escape: *escape,
                    greedy: *greedy,
                };
                self.parse_pairs(plan, input, source, keys, syntax)
            }
            _ => plan_err!("no parse"),
        }
    }

    fn parse_pattern(
        &self,
        plan: &Plan,
        input: Relation,
        source: &dps_kql::Expr,
        pieces: &[ParsePiece],
        mode: ParseMode,
        keep_unmatched: bool,
    ) -> Result<Relation> {
        let width = input.columns.len();
        let types: Vec<_> = plan.schema.iter().skip(width).map(|column| column.ty).collect();
        let pattern = pattern(pieces, width, &types, mode)?;
        let source = self.expr(source, &input.columns)?;
        let (input, source) = self.operand(input, source)?;
        let matched = self.name()?;
        let taken = types.iter().map(|_| self.name()).collect::<Result<Vec<_>>>()?;
        let columns = input.columns.clone();
        let parse = Parse { source, pattern, matched: matched.clone(), taken: taken.clone() };
        let parsed = self.operator(input, parse)?;
        let mut values = Vec::with_capacity(types.len());
        for (name, ty) in taken.iter().zip(&types) {
            values.push((Self::convert(column(name), Type::String, *ty)?, *ty));
        }
        let mut holds = column(&matched);
        if mode == ParseMode::Simple {
            let typed = values.iter().filter(|(_, ty)| *ty != Type::String);
            holds = typed.fold(holds, |holds, (value, _)| holds.and(value.clone().is_not_null()));
        }
        let mut outputs: Vec<Expr> = columns.iter().map(|name| column(name)).collect();
        let (parsed, holds) = self.operand(parsed, holds)?;
        for (value, ty) in values {
            outputs.push(when(column(&holds), value).otherwise(lit(functions::null(ty)))?);
        }
        let parsed = if keep_unmatched {
            parsed
        } else {
            let plan = LogicalPlanBuilder::from(parsed.plan).filter(column(&holds))?.build()?;
            Relation { plan, ..parsed }
        };
        self.project(parsed, outputs)
    }

    fn parse_pairs(
        &self,
        plan: &Plan,
        input: Relation,
        source: &dps_kql::Expr,
        keys: &[String],
        syntax: PairSyntax,
    ) -> Result<Relation> {
        let source = self.expr(source, &input.columns)?;
        let (input, source) = self.operand(input, source)?;
        let mut outputs: Vec<Expr> = input.columns.iter().map(|name| column(name)).collect();
        let mut named = Vec::with_capacity(keys.len());
        for (key, made) in keys.iter().zip(plan.schema.iter().skip(input.columns.len())) {
            let name = self.name()?;
            outputs.push(Self::convert(column(&name), Type::String, made.ty)?);
            named.push((key.clone(), name));
        }
        let read = self.operator(input, Pairs { source, keys: named, syntax })?;
        self.project(read, outputs)
    }
}

/// One expression for the whole text.
fn pattern(pieces: &[ParsePiece], width: usize, types: &[Type], mode: ParseMode) -> Result<regex::Regex> {
    let (regex, ignore_case, ungreedy, dot_all) = match mode {
        ParseMode::Regex { ignore_case, ungreedy, dot_all } => (true, ignore_case, ungreedy, dot_all),
        ParseMode::Simple | ParseMode::Relaxed => (false, false, false, true),
    };
    let mut text = String::from("^");
    for (at, piece) in pieces.iter().enumerate() {
        let last = at + 1 == pieces.len();
        match piece {
            ParsePiece::Literal(literal) if regex => text.push_str(literal),
            ParsePiece::Literal(literal) => text.push_str(&regex::escape(literal)),
            ParsePiece::Skip => text.push_str(if last { ".*" } else { ".*?" }),
            ParsePiece::Column(index) => {
                let made = index.checked_sub(width).filter(|made| *made < types.len());
                let Some(made) = made else { return plan_err!("parse: a column that it does not make") };
                let ty = types.get(made).copied().unwrap_or(Type::String);
                let what = match (mode, ty) {
                    (ParseMode::Simple | ParseMode::Regex { .. }, Type::Int | Type::Long) => r"\s*[+-]?\d+",
                    (ParseMode::Simple | ParseMode::Regex { .. }, Type::Real | Type::Decimal) => {
                        r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
                    }
                    _ if last => ".*",
                    _ => ".*?",
                };
                text.push_str("(?P<");
                text.push_str(&group_name(made));
                text.push('>');
                text.push_str(what);
                text.push(')');
            }
        }
    }
    text.push('$');
    if text.len() > TEXT_BYTES {
        return plan_err!("parse: the pattern has more than {TEXT_BYTES} bytes");
    }
    let built = RegexBuilder::new(&text)
        .case_insensitive(ignore_case)
        .swap_greed(ungreedy)
        .dot_matches_new_line(dot_all)
        .size_limit(PATTERN_BYTES)
        .dfa_size_limit(PATTERN_BYTES)
        .build();
    match built {
        Ok(pattern) => Ok(pattern),
        Err(error) => plan_err!("parse: the pattern is no regular expression: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(pieces: &[ParsePiece], types: &[Type], mode: ParseMode, text: &str) -> Option<Vec<String>> {
        let pattern = pattern(pieces, 1, types, mode).unwrap();
        let found = pattern.captures(text)?;
        Some((0..types.len()).map(|at| found.name(&group_name(at)).unwrap().as_str().to_owned()).collect())
    }

    #[test]
    fn patterns_take_the_shortest_and_the_last_takes_the_rest() {
        use ParsePiece::{Column, Literal, Skip};
        let pieces = [Skip, Literal("id=".into()), Column(1), Literal(" n=".into()), Column(2), Skip];
        let types = [Type::String, Type::Long];
        assert_eq!(taken(&pieces, &types, ParseMode::Simple, "x id=a.b n=42 y").unwrap(), ["a.b", "42"]);
        assert_eq!(taken(&pieces, &types, ParseMode::Simple, "x id=a n=z"), None);
        assert_eq!(taken(&pieces, &types, ParseMode::Relaxed, "x id=a n=z").unwrap(), ["a", ""]);
        let rest = [Literal("a".into()), Column(1)];
        assert_eq!(taken(&rest, &[Type::String], ParseMode::Simple, "a b\nc").unwrap(), [" b\nc"]);
        assert_eq!(taken(&rest, &[Type::String], ParseMode::Simple, "ba"), None);
    }

    #[test]
    fn patterns_that_are_none_or_too_large_are_refused() {
        let regex = ParseMode::Regex { ignore_case: false, ungreedy: false, dot_all: false };
        let of = |text: &str| pattern(&[ParsePiece::Literal(text.into())], 0, &[], regex);
        assert!(of("(").is_err());
        assert!(of("(?:a{1000}){1000}").is_err());
        assert!(of(&"a".repeat(TEXT_BYTES)).is_err());
    }
}

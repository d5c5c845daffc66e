//! `parse`, `parse-where`, `parse-kv`.

use super::convert::{column as at, convert};
use super::scope::{Rows, column, position};
use super::{Binder, Bound, Stopped, all};
use crate::ast::{
    self, ExprKind as Syntax, Name, Operator, OperatorKind, ParseKind, ParsePart, Setting, SettingValue, Span,
};
use crate::diagnostic::code;
use crate::{Expr, Node, ParseMode, ParsePiece, Plan, Schema, Type, Value};

impl Binder<'_> {
    pub(super) fn parse(&mut self, input: Plan, operator: &Operator) -> Bound<Plan> {
        let OperatorKind::Parse { filter, kind, flags, source, pattern } = &operator.kind else {
            return Err(Stopped);
        };
        let source = convert(self.scalar(&mut Rows::of(&input.schema), source)?, Type::String);
        let mode = match kind {
            ParseKind::Simple => ParseMode::Simple,
            ParseKind::Relaxed => ParseMode::Relaxed,
            ParseKind::Regex => self.regex_mode(flags.as_ref())?,
        };
        let columns = self.pattern_columns(pattern)?;
        let pieces = self.pieces(pattern, input.schema.len(), *kind)?;
        let keep_unmatched = !filter;
        self.appended(input, columns, operator.span, |input| Node::Parse {
            input,
            source,
            pieces,
            mode,
            keep_unmatched,
        })
    }

    fn regex_mode(&mut self, flags: Option<&Name>) -> Bound<ParseMode> {
        let (mut ignore_case, mut ungreedy, mut dot_all) = (false, false, false);
        for flag in flags.iter().flat_map(|flags| flags.text.chars().map(|flag| (flag, flags.span))) {
            match flag.0 {
                'i' => ignore_case = true,
                'U' => ungreedy = true,
                's' => dot_all = true,
                // `m` changes what a line's ends mean, which a pattern of one line has not.
                'm' => {}
                _ => {
                    return self.fail(
                        "KS140",
                        flag.1,
                        "The expression must be one of the values: U, i, m, s",
                    );
                }
            }
        }
        Ok(ParseMode::Regex { ignore_case, ungreedy, dot_all })
    }

    fn pattern_columns(&mut self, pattern: &[ParsePart]) -> Bound<Schema> {
        let mut columns: Schema = Vec::new();
        for part in pattern {
            if let ParsePart::Column(name, ty) = part {
                if position(&columns, &name.text).is_some() {
                    return Err(self.twice(&name.text, name.span));
                }
                columns.push(column(name.text.clone(), ty.unwrap_or(Type::String)));
            }
        }
        Ok(columns)
    }

    /// The pattern, whose columns begin at `first`.
    fn pieces(&mut self, pattern: &[ParsePart], first: usize, kind: ParseKind) -> Bound<Vec<ParsePiece>> {
        let mut next = first;
        let mut pieces: Vec<ParsePiece> = Vec::with_capacity(pattern.len());
        let mut last_is_text = false;
        for part in pattern {
            let piece = match part {
                ParsePart::Text(text, _) => ParsePiece::Literal(text.clone()),
                ParsePart::Star(_) if last_is_text && kind != ParseKind::Regex => ParsePiece::Skip,
                ParsePart::Star(_) => ParsePiece::Skip,
                ParsePart::Column(..) => {
                    next += 1;
                    ParsePiece::Column(next - 1)
                }
            };
            match (pieces.last(), &piece, part) {
                (Some(ParsePiece::Column(_)), ParsePiece::Column(_), ParsePart::Column(name, _))
                    if last_is_text =>
                {
                    return self.fail("KS101", name.span, "The column name must follow a string literal");
                }
                (Some(ParsePiece::Skip), ParsePiece::Skip | ParsePiece::Column(_), part) => {
                    return self.fail("KS102", place(part), "A string literal must follow a *");
                }
                _ => {}
            }
            last_is_text = matches!(part, ParsePart::Column(_, None | Some(Type::String)));
            pieces.push(piece);
        }
        Ok(pieces)
    }

    pub(super) fn parse_kv(
        &mut self,
        input: Plan,
        source: &ast::Expr,
        keys: &[ast::Column],
        properties: &[Setting],
        span: Span,
    ) -> Bound<Plan> {
        let source = convert(self.scalar(&mut Rows::of(&input.schema), source)?, Type::String);
        let columns = self.declared_columns(keys)?;
        let keys = columns.iter().map(|key| key.name.clone()).collect();
        let mut pair_delimiter = String::new();
        let mut kv_delimiter = String::new();
        let mut quotes = Vec::new();
        let mut escape = None;
        let mut greedy = false;
        for property in properties {
            match property.name.text.as_str() {
                "pair_delimiter" => pair_delimiter = self.property_text(property)?,
                "kv_delimiter" => kv_delimiter = self.property_text(property)?,
                "quote" => quotes = self.quotes(property)?,
                "escape" => escape = self.property_text(property)?.chars().next(),
                "greedy" => greedy = matches!(literal_of(property), Some(Value::Bool(true))),
                other => {
                    let message = format!("The property '{other}' of parse-kv is not supported.");
                    return self.fail(code::UNSUPPORTED, property.name.span, message);
                }
            }
        }
        self.appended(input, columns, span, |input| Node::ParseKv {
            input,
            source,
            keys,
            pair_delimiter,
            kv_delimiter,
            quotes,
            escape,
            greedy,
        })
    }

    fn property_text(&mut self, property: &Setting) -> Bound<String> {
        match literal_of(property) {
            Some(Value::String(text)) => Ok(text.to_string()),
            _ => self.fail("KS222", property.name.span, "String literal expected."),
        }
    }

    /// One quote, a pair, or an array of them.
    fn quotes(&mut self, property: &Setting) -> Bound<Vec<(char, char)>> {
        let texts: Vec<String> = match literal_of(property) {
            Some(Value::String(text)) => vec![text.to_string()],
            Some(Value::Dynamic(serde_json::Value::Array(list)))
                if list.len() <= super::limits::MAX_QUOTES =>
            {
                list.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect()
            }
            _ => return self.fail("KS222", property.name.span, "String literal expected."),
        };
        let pairs = texts.iter().map(|text| {
            let mut letters = text.chars();
            match (letters.next(), letters.next(), letters.next()) {
                (Some(open), None, _) => Ok((open, open)),
                (Some(open), Some(close), None) => Ok((open, close)),
                _ => self.fail(
                    "KS140",
                    property.name.span,
                    "A quote is one character, or two: an opening and a closing one.",
                ),
            }
        });
        all(pairs.collect())
    }

    /// Columns behind the input's; one whose name is there already takes its place.
    fn appended(
        &mut self,
        input: Plan,
        columns: Schema,
        span: Span,
        node: impl FnOnce(Box<Plan>) -> Node,
    ) -> Bound<Plan> {
        let width = input.schema.len();
        let outer = input.schema.clone();
        let mut names = super::name::Names::default();
        for known in outer.iter().chain(&columns) {
            names.claim(&known.name);
        }
        let mut inner = outer.clone();
        let mut clash = false;
        for made in &columns {
            let taken = position(&outer, &made.name).is_some();
            clash |= taken;
            let name = if taken { names.apart(&made.name) } else { made.name.clone() };
            inner.push(column(name, made.ty));
        }
        let plan = self.node(node(Box::new(input)), inner, span)?;
        if !clash {
            return Ok(plan);
        }
        let mut schema = outer;
        let mut shown: Vec<Expr> = super::scope::identity(&schema);
        for (index, made) in columns.into_iter().enumerate() {
            let expr = at(width + index, made.ty);
            if let Some(place) = position(&schema, &made.name) {
                schema[place] = made;
                shown[place] = expr;
            } else {
                schema.push(made);
                shown.push(expr);
            }
        }
        self.node(Node::Project { input: Box::new(plan), columns: shown }, schema, span)
    }
}

const fn place(part: &ParsePart) -> Span {
    match part {
        ParsePart::Text(_, span) | ParsePart::Star(span) => *span,
        ParsePart::Column(name, _) => name.span,
    }
}

const fn literal_of(property: &Setting) -> Option<&Value> {
    match &property.value {
        SettingValue::Literal(ast::Expr { kind: Syntax::Literal(value), .. }) => Some(value),
        _ => None,
    }
}

//! What each token is, as far as tokens tell it.

use std::collections::HashSet;

use super::{Mark, MarkKind};
use crate::lexer::{self, Token, TokenKind};
use crate::{Scalar, Table, Value, parser, signature};

/// Words of operators and statements that are neither operators nor functions.
const KEYWORDS: &[&str] = &[
    "as",
    "asc",
    "by",
    "default",
    "desc",
    "first",
    "from",
    "hint",
    "in",
    "kind",
    "last",
    "let",
    "nulls",
    "of",
    "on",
    "pattern",
    "set",
    "step",
    "to",
    "typeof",
    "view",
    "with",
    "with_itemindex",
    "with_source",
    "withsource",
];
const TYPES: &[&str] = &[
    "bool", "boolean", "datetime", "date", "decimal", "double", "dynamic", "guid", "int", "long", "real",
    "string", "time", "timespan", "uniqueid",
];
/// Functions that the binder makes something else of, so that no signature lists them.
pub(super) const BOUND: &[&str] =
    &["ago", "now", "toscalar", "column_ifexists", "pack_all", "row_number", "row_cumsum", "prev", "next"];
/// Marks that compute.
const COMPUTING: &[&str] =
    &["==", "=~", "!=", "!~", "<=", "<>", ">=", "<", ">", "+", "-", "*", "/", "%", "=", "..", "|"];

/// The pieces of a text.
pub(super) fn marks(text: &str, tables: &[Table]) -> Vec<Mark> {
    let tokens = lexer::lex(text).tokens;
    let given = given(text, &tokens);
    let mut marks = Vec::with_capacity(tokens.len());
    let mut end = 0;
    for (index, token) in tokens.iter().enumerate() {
        comments(text, end, token.span.start, &mut marks);
        end = token.span.end;
        if token.kind == TokenKind::End {
            break;
        }
        let written = slice(text, token);
        let kind = match &token.kind {
            TokenKind::Text(_) => MarkKind::String,
            TokenKind::Literal(Value::Long(_) | Value::Int(_) | Value::Real(_) | Value::Decimal(_))
                if written.starts_with(|first: char| first.is_ascii_digit()) =>
            {
                MarkKind::Number
            }
            TokenKind::Literal(_) => MarkKind::Literal,
            TokenKind::Mark if COMPUTING.contains(&written) => MarkKind::Operator,
            TokenKind::Mark => MarkKind::Punctuation,
            TokenKind::Unknown | TokenKind::End => MarkKind::Unknown,
            TokenKind::Word => word(text, &tokens, index, tables, &given),
        };
        marks.push(Mark { kind, start: token.span.start, end: token.span.end });
    }
    marks
}

/// The characters of a token.
pub(super) fn slice<'t>(text: &'t str, token: &Token) -> &'t str {
    text.get(token.span.start..token.span.end).unwrap_or_default()
}

/// Is it an operator between two values, written as a word?
pub(super) fn is_infix(word: &str) -> bool {
    word == "matches"
        || word == "regex"
        || Scalar::ALL.iter().any(|one| one.name() == word && is_word_operator(*one))
}

/// Is it written as a word between two values?
pub(super) fn is_word_operator(operator: Scalar) -> bool {
    matches!(
        operator,
        Scalar::And
            | Scalar::Or
            | Scalar::Between
            | Scalar::NotBetween
            | Scalar::HasAny
            | Scalar::HasAll
            | Scalar::In
            | Scalar::NotIn
            | Scalar::InIgnoreCase
            | Scalar::NotInIgnoreCase
            | Scalar::MatchesRegex
    ) || (Scalar::Has as usize..=Scalar::NotEndsWithCs as usize).contains(&(operator as usize))
}

/// Names that a `let` of the text gives.
pub(super) fn given<'t>(text: &'t str, tokens: &[Token]) -> HashSet<&'t str> {
    let words = tokens.windows(2);
    let named = words.filter_map(|pair| match pair {
        [word, name] if slice(text, word) == "let" && name.kind == TokenKind::Word => Some(slice(text, name)),
        _ => None,
    });
    named.collect()
}

fn word(text: &str, tokens: &[Token], index: usize, tables: &[Table], given: &HashSet<&str>) -> MarkKind {
    let token = |at: Option<usize>| at.and_then(|at| tokens.get(at)).map_or("", |token| slice(text, token));
    let (before, written, behind) = (token(index.checked_sub(1)), token(Some(index)), token(Some(index + 1)));
    let begins = matches!(before, "" | "|" | ";" | "(" | "{");
    if before == "." {
        return MarkKind::Column;
    }
    if begins && parser::is_operator(written) && (behind != "(" || signature::scalar(written).is_none()) {
        return MarkKind::Keyword;
    }
    if before == ":" && TYPES.contains(&written) {
        return MarkKind::Type;
    }
    if behind == "(" {
        if signature::scalar(written).is_some() || BOUND.contains(&written) {
            return MarkKind::Function;
        }
        if signature::aggregate(written).is_some() {
            return MarkKind::Aggregate;
        }
    }
    if given.contains(written) {
        return MarkKind::Variable;
    }
    if is_infix(written) {
        return MarkKind::Operator;
    }
    if tables.iter().any(|table| table.name == written)
        && (begins || matches!(before, "," | "=" | "union" | "join"))
    {
        return MarkKind::Table;
    }
    if KEYWORDS.contains(&written) && !matches!(behind, "==" | "=~" | "!=") {
        return MarkKind::Keyword;
    }
    match behind {
        "(" => MarkKind::Function,
        _ => MarkKind::Column,
    }
}

/// What lies between tokens is blank, or a comment.
fn comments(text: &str, start: usize, end: usize, marks: &mut Vec<Mark>) {
    let mut at = start;
    while let Some(found) = text.get(at..end).and_then(|gap| gap.find("//")) {
        let from = at + found;
        let rest = text.get(from..end).unwrap_or_default();
        let length = rest.find(['\n', '\r', '\u{2028}', '\u{2029}']).unwrap_or(rest.len());
        marks.push(Mark { kind: MarkKind::Comment, start: from, end: from + length });
        at = from + length.max(2);
    }
}

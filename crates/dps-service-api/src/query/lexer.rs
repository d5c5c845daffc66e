//! From text to tokens, each with the character it begins at. Must not know the grammar.

use dps_model::limits::MAX_QUERY_TEXT;
use serde_json::Number;

use super::error::QueryError;
use super::syntax::Operator;

/// A token and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub what: Lexeme,
    /// Its first character, counted from 1.
    pub at: usize,
    /// As it was written.
    pub text: String,
}

/// A kind of token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Lexeme {
    /// A name or keyword.
    Word,
    /// A text between quotes, without them.
    Text(String),
    Number(Number),
    Operator(Operator),
    /// One of `( ) [ ] , . * ;`
    Mark(char),
}

/// Is the text one word, that needs no quotes in a path?
pub(super) fn is_word(text: &str) -> bool {
    text.chars().next().is_some_and(begins_word) && text.chars().all(goes_on_word)
}

fn begins_word(c: char) -> bool {
    c.is_alphabetic() || matches!(c, '_' | '$')
}

fn goes_on_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}

/// All tokens of the text.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, QueryError> {
    if text.len() > MAX_QUERY_TEXT {
        let what = format!("it has {} bytes, at most {MAX_QUERY_TEXT} are read", text.len());
        return Err(QueryError::new(1, text, what, "Ask several shorter queries"));
    }
    let mut tokens = Vec::new();
    let (mut rest, mut at) = (text, 1);
    loop {
        let trimmed = rest.trim_start();
        at += rest.chars().count() - trimmed.chars().count();
        rest = trimmed;
        let Some(first) = rest.chars().next() else { return Ok(tokens) };
        let (what, length) = lexeme(rest, first, at)?;
        let (written, left) = rest.split_at_checked(length).unwrap_or((rest, ""));
        tokens.push(Token { what, at, text: written.to_owned() });
        at += written.chars().count();
        rest = left;
    }
}

/// The token at the start of `rest`, and its length in bytes.
fn lexeme(rest: &str, first: char, at: usize) -> Result<(Lexeme, usize), QueryError> {
    if let Some((written, operator)) =
        Operator::WRITTEN.into_iter().find(|(written, _)| rest.starts_with(written))
    {
        return match rest.get(..2) {
            Some("==") => Err(QueryError::new(at, "==", "== is no operator", "Write =")),
            _ => Ok((Lexeme::Operator(operator), written.len())),
        };
    }
    match first {
        '(' | ')' | '[' | ']' | ',' | '.' | '*' | ';' => Ok((Lexeme::Mark(first), 1)),
        '\'' | '"' => quoted(rest, first, at),
        c if c.is_ascii_digit() || c == '-' => number(rest, at),
        c if begins_word(c) => {
            let length = rest.find(|c| !goes_on_word(c)).unwrap_or(rest.len());
            Ok((Lexeme::Word, length))
        }
        '&' => Err(QueryError::new(at, "&", "& is no operator", "Write AND")),
        '|' => Err(QueryError::new(at, "|", "| is no operator", "Write OR")),
        '!' => Err(QueryError::new(at, "!", "! is no operator", "Write NOT, or != between two values")),
        c => {
            let instead =
                "Put texts between quotes, and names of other characters between brackets and quotes";
            Err(QueryError::new(at, &c.to_string(), "this character has no meaning here", instead))
        }
    }
}

/// A text between quotes of either kind; the quote doubled stands for itself.
fn quoted(rest: &str, quote: char, at: usize) -> Result<(Lexeme, usize), QueryError> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((place, c)) = characters.next() {
        if c != quote {
            text.push(c);
        } else if characters.peek().is_some_and(|(_, next)| *next == quote) {
            text.push(c);
            characters.next();
        } else {
            return Ok((Lexeme::Text(text), place + c.len_utf8()));
        }
    }
    let instead = format!("End it with {quote}; a {quote} inside is written twice");
    Err(QueryError::new(at, rest, "the text has no closing quote", instead))
}

/// A number as JSON writes it.
fn number(rest: &str, at: usize) -> Result<(Lexeme, usize), QueryError> {
    let mut length = 0;
    let mut before = ' ';
    for c in rest.chars() {
        let sign = matches!(c, '-' | '+') && (length == 0 || matches!(before, 'e' | 'E'));
        if !(sign || c == '.' || c.is_ascii_alphanumeric() || c == '_') {
            break;
        }
        (before, length) = (c, length + c.len_utf8());
    }
    let text = rest.get(..length).unwrap_or_default();
    match serde_json::from_str(text) {
        Ok(number) => Ok((Lexeme::Number(number), length)),
        Err(_) => Err(QueryError::new(
            at,
            text,
            "this is no number",
            "Write numbers as JSON does, for example 12, -0.5 or 1e3, and anything else between quotes",
        )),
    }
}

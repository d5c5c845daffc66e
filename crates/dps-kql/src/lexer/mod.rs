//! Text into tokens. Owns the shape of every token, literals included; must not know where a token may stand.

mod number;
#[cfg(test)]
mod tests;
mod text;

use crate::ast::Span;
use crate::diagnostic::code;
use crate::{Diagnostic, Value, keyword, limits, literal};

/// A token and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub kind: TokenKind,
    pub span: Span,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TokenKind {
    /// An identifier or a keyword, also with a hyphen, `!has`, `in~`, `$left`. Its characters are those of its place.
    Word,
    /// A number, a truth value, `datetime(…)` and the like.
    Literal(Value),
    /// A string literal, unescaped.
    Text(String),
    /// Punctuation. Its characters are those of its place.
    Mark,
    /// Characters that are no token; the lexer has told so.
    Unknown,
    /// After the last.
    End,
}

/// What the lexer yields: at least the end.
pub(crate) struct Lexed {
    pub tokens: Vec<Token>,
    pub errors: Vec<Diagnostic>,
}

/// Takes a text apart.
pub(crate) fn lex(text: &str) -> Lexed {
    let mut lexer = Lexer { text, at: 0, tokens: Vec::new(), errors: Vec::new() };
    lexer.run();
    Lexed { tokens: lexer.tokens, errors: lexer.errors }
}

/// Marks, longest first.
const MARKS: &[&str] = &[
    "==", "=~", "=>", "!=", "!~", "<=", "<>", ">=", "..", "|", ";", ",", ":", "(", ")", "[", "]", "{", "}",
    ".", "=", "<", ">", "+", "-", "*", "/", "%", "@", "?",
];

/// What may follow a `!`.
const NEGATED: &[&str] = &[
    "between",
    "contains",
    "contains_cs",
    "endswith",
    "endswith_cs",
    "has",
    "has_cs",
    "hasprefix",
    "hasprefix_cs",
    "hassuffix",
    "hassuffix_cs",
    "in",
    "startswith",
    "startswith_cs",
];

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<Token>,
    errors: Vec<Diagnostic>,
}

impl<'a> Lexer<'a> {
    fn run(&mut self) {
        loop {
            self.skip_blank();
            if self.rest().is_empty() || self.errors.len() >= limits::MAX_ERRORS {
                break;
            }
            if self.tokens.len() >= limits::MAX_TOKENS {
                let at = self.at;
                self.told(
                    code::LIMIT,
                    at,
                    at,
                    format!("The query has more than {} tokens.", limits::MAX_TOKENS),
                );
                break;
            }
            self.token();
        }
        self.push(TokenKind::End, self.text.len());
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Adds a token that begins at `start` and ends here.
    fn push(&mut self, kind: TokenKind, start: usize) {
        self.tokens.push(Token { kind, span: Span { start, end: self.at.max(start) } });
    }

    fn told(&mut self, code: &'static str, start: usize, end: usize, message: String) {
        self.errors.push(Diagnostic { code, message, start, end, suggestion: None });
    }

    fn suggest(&mut self, suggestion: &str) {
        if let Some(error) = self.errors.last_mut() {
            error.suggestion = Some(suggestion.to_owned());
        }
    }

    fn skip_blank(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start_matches(is_blank).len();
            self.at += blank;
            if !self.rest().starts_with("//") {
                return;
            }
            let comment = self.rest().find(['\n', '\r', '\u{2028}', '\u{2029}']).unwrap_or(self.rest().len());
            self.at += comment;
        }
    }

    fn token(&mut self) {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return };
        if self.string() || self.raw_guid() {
            return;
        }
        match first {
            '0'..='9' => self.number(),
            'a'..='z' | 'A'..='Z' | '_' | '$' => self.word(),
            '!' => self.exclamation(),
            _ => self.mark(first),
        }
    }

    fn word(&mut self) {
        let start = self.at;
        if let Some(word) = keyword::hyphenated(self.rest()) {
            self.at += word.len();
            return self.push(TokenKind::Word, start);
        }
        let word = word_of(self.rest());
        self.at += word.len();
        match word {
            "true" | "True" | "TRUE" => return self.push(TokenKind::Literal(Value::Bool(true)), start),
            "false" | "False" | "FALSE" => return self.push(TokenKind::Literal(Value::Bool(false)), start),
            "in" if self.rest().starts_with('~') => self.at += 1,
            _ => {}
        }
        match literal::Kind::of(word) {
            Some(kind) if self.rest().starts_with('(') => self.in_parentheses(kind, start),
            _ => self.push(TokenKind::Word, start),
        }
    }

    /// `long(5)`: what stands in the parentheses is taken as it is.
    fn in_parentheses(&mut self, kind: literal::Kind, start: usize) {
        let rest = self.rest();
        let Some(close) = rest.find(')') else {
            self.at = self.text.len();
            self.told(code::UNCLOSED, self.at, self.at, "Missing: )".to_owned());
            return self.push(TokenKind::Unknown, start);
        };
        let inside = rest.get(1..close).unwrap_or_default();
        self.at += close + 1;
        if let Some(value) = kind.read(inside) {
            return self.push(TokenKind::Literal(value), start);
        }
        let message = format!("The text in the parentheses is no {}.", kind.ty().name());
        self.told(code::BAD_LITERAL, start, self.at, message);
        self.suggest(kind.example());
        self.push(TokenKind::Unknown, start);
    }

    fn exclamation(&mut self) {
        let start = self.at;
        let word = word_of(self.rest().get(1..).unwrap_or_default());
        if !NEGATED.contains(&word) {
            return self.mark('!');
        }
        self.at += 1 + word.len();
        if word == "in" && self.rest().starts_with('~') {
            self.at += 1;
        }
        self.push(TokenKind::Word, start);
    }

    fn mark(&mut self, first: char) {
        let start = self.at;
        if let Some(mark) = MARKS.iter().find(|mark| self.rest().starts_with(**mark)) {
            self.at += mark.len();
            return self.push(TokenKind::Mark, start);
        }
        self.at += first.len_utf8();
        let message = format!("Unexpected: {}", first.escape_debug());
        self.told(code::UNEXPECTED, start, self.at, message);
        match first {
            '&' => self.suggest("Write `and`."),
            '!' => self.suggest("Write `not(…)`."),
            '“' | '”' | '‘' | '’' => self.suggest("Quotes are \" or '."),
            '`' => {
                self.suggest("Write ['a name'] for a name with other characters than letters, digits and _.");
            }
            _ => {}
        }
        self.push(TokenKind::Unknown, start);
    }

    /// `74be27de-1e4e-49d9-b579-fe0b331d3642` is told apart, so that it is not arithmetic.
    fn raw_guid(&mut self) -> bool {
        const LENGTH: usize = 36;
        let start = self.at;
        let Some(guid) = self.rest().get(..LENGTH) else { return false };
        if !guid.starts_with(|first: char| first.is_ascii_hexdigit()) || literal::read_guid(guid).is_none() {
            return false;
        }
        if self.rest().get(LENGTH..).is_some_and(|rest| rest.starts_with(is_word)) {
            return false;
        }
        self.at += LENGTH;
        let message = "Raw guid literals are not allowed in this context, use guid(...) instead.".to_owned();
        self.told(code::RAW_GUID, start, self.at, message);
        self.push(TokenKind::Unknown, start);
        true
    }
}

/// Characters of words.
fn is_word(next: char) -> bool {
    next.is_ascii_alphanumeric() || next == '_'
}

/// The word that a text begins with; `$` stands in front alone.
fn word_of(text: &str) -> &str {
    let after = text.strip_prefix('$').unwrap_or(text);
    let length = text.len() - after.trim_start_matches(is_word).len();
    text.get(..length).unwrap_or_default()
}

/// White space, the marks of byte order and of no width included.
fn is_blank(next: char) -> bool {
    next.is_whitespace() && !matches!(next, '\u{85}' | '\u{b}')
        || matches!(next, '\u{180e}' | '\u{200b}' | '\u{feff}')
}

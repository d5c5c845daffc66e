//! The place in the tokens: looking, taking, demanding, telling, and going on after an error.

use super::{Caught, Parsed, Parser};
use crate::ast::Span;
use crate::diagnostic::code;
use crate::lexer::{Token, TokenKind};
use crate::{Diagnostic, keyword, limits};

impl<'a> Parser<'a> {
    /// The token so many behind the current one; the end has itself behind it.
    pub(super) fn ahead(&self, by: usize) -> Option<&Token> {
        self.tokens.get(self.at + by).or_else(|| self.tokens.last())
    }

    pub(super) fn kind(&self) -> &TokenKind {
        self.ahead(0).map_or(&TokenKind::End, |token| &token.kind)
    }

    /// Place of the current token.
    pub(super) fn span(&self) -> Span {
        self.ahead(0).map_or(Span { start: self.end, end: self.end }, |token| token.span)
    }

    /// Place of the token before.
    pub(super) fn before(&self) -> Span {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(Span::default(), |token| token.span)
    }

    pub(super) fn slice(&self, span: Span) -> &'a str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }

    /// Characters of a word or mark that is so many tokens ahead; of nothing else.
    pub(super) fn written(&self, by: usize) -> &'a str {
        match self.ahead(by) {
            Some(Token { kind: TokenKind::Word | TokenKind::Mark, span }) => self.slice(*span),
            _ => "",
        }
    }

    /// Whether the current token is this word or mark.
    pub(super) fn is(&self, text: &str) -> bool {
        self.written(0) == text
    }

    pub(super) fn is_word(&self, by: usize) -> bool {
        matches!(self.ahead(by), Some(Token { kind: TokenKind::Word, .. }))
    }

    pub(super) fn advance(&mut self) -> Span {
        let span = self.span();
        if !matches!(self.kind(), TokenKind::End) {
            self.at += 1;
        }
        span
    }

    /// Takes this word or mark if it is here.
    pub(super) fn eat(&mut self, text: &str) -> bool {
        let here = self.is(text);
        if here {
            self.advance();
        }
        here
    }

    /// Takes this word or mark, which must be here.
    pub(super) fn demand(&mut self, text: &str) -> Parsed<Span> {
        if self.is(text) { Ok(self.advance()) } else { Err(self.expected(text)) }
    }

    /// Nothing follows in this operator.
    pub(super) fn at_end(&self) -> bool {
        matches!(self.kind(), TokenKind::End) || matches!(self.written(0), "|" | ";" | ")" | "}" | "]")
    }

    /// Whether an expression could begin here.
    pub(super) fn begins_expression(&self) -> bool {
        match self.kind() {
            TokenKind::Literal(_) | TokenKind::Text(_) => true,
            TokenKind::Word => {
                keyword::may_be_value(self.written(0)) || matches!(self.written(0), "dynamic" | "typeof")
            }
            _ => false,
        }
    }

    pub(super) fn tell(
        &mut self,
        code: &'static str,
        span: Span,
        message: String,
        suggestion: Option<String>,
    ) -> Caught {
        let Span { start, end } = span;
        // What the lexer found, or what was found here before, is not told twice.
        let echo =
            self.errors.iter().any(|error| error.start == start || (error.start..error.end).contains(&start));
        let lexers = matches!(self.kind(), TokenKind::Unknown) && !self.errors.is_empty();
        if !echo && !lexers && self.errors.len() < limits::MAX_ERRORS {
            self.errors.push(Diagnostic { code, message, start, end, suggestion });
        }
        Caught
    }

    pub(super) fn expected(&mut self, text: &str) -> Caught {
        let suggestion = self.hint();
        self.tell(code::EXPECTED, self.here(), format!("Expected: {text}"), suggestion)
    }

    pub(super) fn expected_one_of(&mut self, words: &[&str]) -> Caught {
        self.tell(code::EXPECTED, self.here(), format!("Expected one of: {}", words.join(", ")), None)
    }

    /// Something must stand behind the token before: an expression, a name.
    pub(super) fn missing(&mut self, what: &str) -> Caught {
        let word = self.written(0);
        let suggestion = if self.is_word(0) && !keyword::may_be_value(word) {
            Some(format!("If the keyword '{word}' is meant as a name, write ['{word}']."))
        } else {
            self.hint()
        };
        let at = self.before().end;
        self.tell(code::MISSING, Span { start: at, end: at }, format!("Missing {what}"), suggestion)
    }

    /// What stands here belongs to nothing.
    pub(super) fn stray(&mut self, expected: &str) -> Caught {
        let suggestion = self.hint();
        if matches!(self.kind(), TokenKind::Mark) {
            let message = "The incomplete fragment is unexpected.".to_owned();
            return self.tell(code::FRAGMENT, self.here(), message, suggestion);
        }
        self.tell(code::EXPECTED, self.here(), format!("Expected: {expected}"), suggestion)
    }

    pub(super) fn unsupported(&mut self, span: Span, what: &str, suggestion: Option<&str>) -> Caught {
        let message = format!("{what} is not supported here.");
        self.tell(code::UNSUPPORTED, span, message, suggestion.map(str::to_owned))
    }

    pub(super) fn too_many(&mut self, what: &str, limit: usize) -> Caught {
        self.tell(code::LIMIT, self.here(), format!("There are more than {limit} {what}."), None)
    }

    /// The current token, or the end of what is before it where the text ends.
    fn here(&self) -> Span {
        if matches!(self.kind(), TokenKind::End) {
            let end = self.before().end;
            return Span { start: end, end };
        }
        self.span()
    }

    /// What authors of other languages write, in the words of this one.
    fn hint(&self) -> Option<String> {
        let before = self.slice(self.before());
        let hint = match (before, self.written(0)) {
            ("not", _) => "Write not(…).",
            (_, "is") => "Write isnull(…) or isempty(…).",
            (_, "as") => "A name stands in front: name = expression.",
            ("=" | "==" | "<" | ">", "=" | "==" | "<" | ">") => "Comparisons are ==, !=, <, <=, > and >=.",
            (_, "=") => "Write == to compare.",
            (_, "|") if !self.at_pipe_end() => "Put the query in parentheses.",
            ("|", "|") => "Write or.",
            (_, "," | ")" | "]" | "}") => return None,
            (_, word) if self.is_word(0) && super::operator::is_operator(word) => {
                return Some(format!("Write | before {word}."));
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }

    fn at_pipe_end(&self) -> bool {
        !super::operator::is_operator(self.written(1))
    }

    /// Goes to the next of these marks that stands outside of brackets opened since `from`, and takes none.
    pub(super) fn recover(&mut self, from: usize, marks: &[&str]) {
        let mut level = 0_usize;
        let mut at = from;
        while let Some(token) = self.tokens.get(at) {
            let text = if matches!(token.kind, TokenKind::Mark) { self.slice(token.span) } else { "" };
            if at >= self.at && level == 0 && marks.contains(&text) {
                break;
            }
            match text {
                "(" | "[" | "{" => level += 1,
                ")" | "]" | "}" => level = level.saturating_sub(1),
                _ => {}
            }
            if matches!(token.kind, TokenKind::End) {
                break;
            }
            at += 1;
        }
        self.at = at;
    }

    /// Runs a rule one level deeper in the grammar's recursion.
    pub(super) fn deeper<T>(&mut self, rule: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.depth += 1;
        let parsed = if self.depth > limits::MAX_DEPTH { Err(self.too_deep()) } else { self.apart(rule) };
        self.depth -= 1;
        parsed
    }

    /// Runs a rule whose tree grows beside those built before it.
    pub(super) fn apart<T>(&mut self, rule: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        let beside = std::mem::replace(&mut self.deepest, self.depth);
        let parsed = rule(self);
        self.deepest = self.deepest.max(beside);
        parsed
    }

    /// Counts a node above the trees built since the last [`Parser::apart`].
    pub(super) fn above(&mut self) -> Parsed<()> {
        self.deepest += 1;
        if self.deepest > limits::MAX_DEPTH { Err(self.too_deep()) } else { Ok(()) }
    }

    fn too_deep(&mut self) -> Caught {
        let message = format!("The query is nested deeper than {} levels.", limits::MAX_DEPTH);
        self.tell(code::TOO_DEEP, self.here(), message, None)
    }

    /// `rule`, and again behind each comma.
    pub(super) fn list<T>(&mut self, rule: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        self.list_within(limits::MAX_LIST, rule)
    }

    pub(super) fn list_within<T>(
        &mut self,
        most: usize,
        mut rule: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        let mut items = vec![rule(self)?];
        while self.eat(",") {
            if items.len() >= most {
                return Err(self.too_many("members in one list", most));
            }
            items.push(rule(self)?);
        }
        Ok(items)
    }
}

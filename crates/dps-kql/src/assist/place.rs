//! Where a cursor stands: in which pipe, behind which operator, within which call. Owns the reading of unfinished text; must
//! not know columns or what is offered.

use super::mark::slice;
use crate::ast::Span;
use crate::lexer::{self, Token, TokenKind};
use crate::parser;

/// A cursor's place.
pub(super) struct Place<'t> {
    /// What has been typed of the word at the cursor, up to its end.
    pub typed: Span,
    /// Of that, what stands before the cursor.
    pub prefix: &'t str,
    /// The statements before.
    pub before: &'t str,
    /// The pipe so far, without the operator that is being written: the whole first, then shorter and shorter.
    pub sources: Vec<&'t str>,
    /// What is being written.
    pub stage: Stage<'t>,
}

/// What is being written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stage<'t> {
    /// Nothing that could be helped with: a string, a comment, a new name.
    Elsewhere,
    /// The beginning of a pipe. `value` is true where a value may stand as well.
    Source { value: bool, statement: bool },
    /// Behind a table, before a pipe.
    Piped,
    /// The operator behind a pipe.
    Operator,
    /// Behind an operator's name.
    Operand(Operand<'t>),
}

/// Behind an operator's name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Operand<'t> {
    /// The operator; `let` for a value that gets a name.
    pub operator: &'t str,
    /// Its words and marks up to the cursor, of its own level alone.
    pub own: Vec<&'t str>,
    /// The token before the cursor; the operator's name when there is none.
    pub last: &'t str,
    /// That token ends a value.
    pub ended: bool,
    /// The functions around the cursor.
    pub calls: Vec<&'t str>,
}

/// A parenthesis that is open at the cursor, or the statement.
struct Frame {
    /// Index of its first token.
    first: usize,
    /// The pipes in it.
    pipes: Vec<usize>,
    /// The word before it.
    call: Option<usize>,
    /// Rows stand in it, not a value.
    rows: bool,
}

impl Frame {
    fn new(first: usize, call: Option<usize>, rows: bool) -> Self {
        Self { first, pipes: Vec::new(), call, rows }
    }

    /// Index of the first token of the operator at its end.
    fn stage(&self) -> usize {
        self.pipes.last().map_or(self.first, |pipe| pipe + 1)
    }
}

struct Reader<'t> {
    text: &'t str,
    tokens: Vec<Token>,
    frames: Vec<Frame>,
    /// Where the present statement begins.
    statement: usize,
}

/// The place of a cursor.
pub(super) fn of(text: &str, cursor: usize) -> Place<'_> {
    let cursor = floor(text, cursor);
    let (head, tail) = text.split_at_checked(cursor).unwrap_or((text, ""));
    let begin = head.len() - typed(head).len();
    let end = cursor + tail.len() - tail.trim_start_matches(is_word).len();
    let elsewhere = |stage| Place {
        typed: Span { start: begin, end },
        prefix: head.get(begin..).unwrap_or_default(),
        before: "",
        sources: Vec::new(),
        stage,
    };
    let lexed = lexer::lex(head);
    if in_text_or_comment(head, &lexed.tokens) {
        return elsewhere(Stage::Elsewhere);
    }
    let mut tokens = lexed.tokens;
    tokens.retain(|token| token.kind != TokenKind::End && token.span.start < begin);
    let mut reader = Reader { text, tokens, frames: Vec::new(), statement: 0 };
    reader.read();
    let (sources, stage) = reader.stage();
    Place { before: text.get(..reader.statement).unwrap_or_default(), sources, ..elsewhere(stage) }
}

impl<'t> Reader<'t> {
    fn written(&self, index: usize) -> &'t str {
        self.tokens.get(index).map_or("", |token| slice(self.text, token))
    }

    fn read(&mut self) {
        self.frames = vec![Frame::new(0, None, true)];
        for index in 0..self.tokens.len() {
            match self.written(index) {
                "(" => {
                    let call = index.checked_sub(1).filter(|at| self.is_name(*at));
                    let rows = self.takes_rows(index);
                    self.frames.push(Frame::new(index + 1, call, rows));
                }
                "{" => self.frames.push(Frame::new(index + 1, None, true)),
                "[" => self.frames.push(Frame::new(index + 1, None, false)),
                ")" | "]" | "}" if self.frames.len() > 1 => drop(self.frames.pop()),
                "|" => {
                    if let Some(frame) = self.frames.last_mut() {
                        frame.pipes.push(index);
                        frame.rows = true;
                    }
                }
                ";" => self.end_statement(index),
                _ => {}
            }
        }
    }

    fn end_statement(&mut self, index: usize) {
        match self.frames.as_mut_slice() {
            [only] => {
                *only = Frame::new(index + 1, None, true);
                self.statement = self.tokens.get(index).map_or(0, |token| token.span.end);
            }
            // Of a function's body.
            [.., last] => *last = Frame::new(index + 1, None, true),
            [] => {}
        }
    }

    fn is_name(&self, index: usize) -> bool {
        self.tokens.get(index).is_some_and(|token| token.kind == TokenKind::Word)
    }

    /// Do rows stand in the parenthesis that opens there?
    fn takes_rows(&self, index: usize) -> bool {
        let before = index.checked_sub(1).map_or("", |at| self.written(at));
        if matches!(before, "materialize" | "toscalar" | "in" | "!in" | "in~" | "!in~") {
            return true;
        }
        let Some(frame) = self.frames.last() else { return false };
        let stage = frame.stage()..index;
        let named = stage.clone().next().map_or("", |at| self.written(at));
        let mut words = stage.map(|at| self.written(at));
        match named {
            "join" | "lookup" => !words.any(|word| word == "on"),
            "union" => {
                matches!(before, "union" | "," | "inner" | "outer" | "true" | "false") || before.is_empty()
            }
            "mv-apply" | "partition" => words.any(|word| word == "on" || word == "by"),
            _ => false,
        }
    }

    /// The pipe at the cursor, and what is being written of it.
    fn stage(&self) -> (Vec<&'t str>, Stage<'t>) {
        let depth = self.frames.iter().rposition(|frame| frame.rows).unwrap_or(0);
        let Some(frame) = self.frames.get(depth) else { return (Vec::new(), Stage::Elsewhere) };
        let mut first = frame.first;
        let mut named = false;
        if self.written(first) == "let" {
            let Some(equals) = (first..self.tokens.len()).find(|at| self.written(*at) == "=") else {
                return (Vec::new(), Stage::Elsewhere);
            };
            first = equals + 1;
            named = true;
        }
        let offset = |index: usize, end: bool| {
            let token = self.tokens.get(index);
            token.map_or(self.text.len(), |token| if end { token.span.end } else { token.span.start })
        };
        let begin = offset(first, false);
        let pipes = frame.pipes.iter().rev().filter(|pipe| **pipe > first);
        let sources = pipes.filter_map(|pipe| self.text.get(begin..offset(*pipe, false))).collect();
        let stage = frame.pipes.last().map_or(first, |pipe| (pipe + 1).max(first));
        let inner = self.frames.get(depth + 1..).unwrap_or_default();
        let calls: Vec<&str> =
            inner.iter().filter_map(|frame| frame.call).map(|at| self.written(at)).collect();
        if stage >= self.tokens.len() {
            let stage = if frame.pipes.is_empty() {
                Stage::Source { value: named || frame.call.is_some(), statement: depth == 0 && !named }
            } else {
                Stage::Operator
            };
            return (sources, stage);
        }
        let operator = self.written(stage);
        let known = parser::is_operator(operator);
        if !known && !named && frame.pipes.is_empty() && calls.is_empty() && stage + 1 == self.tokens.len() {
            return (sources, Stage::Piped);
        }
        (sources, Stage::Operand(self.operand(stage, known, calls)))
    }

    fn operand(&self, stage: usize, known: bool, calls: Vec<&'t str>) -> Operand<'t> {
        let mut own = Vec::new();
        let mut level = 0_usize;
        for index in stage..self.tokens.len() {
            let written = self.written(index);
            match written {
                "(" | "[" | "{" => level += 1,
                ")" | "]" | "}" => level = level.saturating_sub(1),
                _ if level == 0 => own.push(written),
                _ => {}
            }
        }
        let last = self.tokens.len().saturating_sub(1);
        let ended = last > stage || !known;
        let operator = if known { self.written(stage) } else { "let" };
        Operand { operator, own, last: self.written(last), ended: ended && self.ends_value(last), calls }
    }

    fn ends_value(&self, index: usize) -> bool {
        let written = self.written(index);
        match self.tokens.get(index).map(|token| &token.kind) {
            Some(TokenKind::Literal(_) | TokenKind::Text(_)) => true,
            Some(TokenKind::Mark) => matches!(written, ")" | "]" | "*"),
            Some(TokenKind::Word) => {
                !super::mark::is_infix(written)
                    && !matches!(written, "by" | "on" | "step" | "from" | "to" | "of" | "with")
            }
            _ => false,
        }
    }
}

/// The word that a text ends with, hyphens of operators included.
fn typed(head: &str) -> &str {
    let end_of = |text: &str| text.trim_end_matches(is_word).len();
    let mut begin = end_of(head);
    let before = head.get(..begin).unwrap_or_default();
    if let Some(stem) = before.strip_suffix('-') {
        let whole = end_of(stem);
        let word = head.get(whole..).unwrap_or_default();
        let behind_pipe = head.get(..whole).unwrap_or_default().trim_end().ends_with('|');
        if behind_pipe && whole < stem.len() && parser::operators().any(|operator| operator.starts_with(word))
        {
            begin = whole;
        }
    } else if before.ends_with(['!', '$']) {
        begin -= 1;
    }
    head.get(begin..).unwrap_or_default()
}

fn in_text_or_comment(head: &str, tokens: &[Token]) -> bool {
    let mut ended = 0;
    if let Some(last) = tokens.iter().rev().find(|token| token.kind != TokenKind::End) {
        ended = last.span.end;
        let written = slice(head, last);
        let quoted = written.trim_start_matches(['h', 'H']).starts_with(['"', '\'', '@', '`', '~']);
        if last.kind == TokenKind::Unknown && ended == head.len() && quoted {
            return true;
        }
    }
    let gap = head.get(ended..).unwrap_or_default();
    gap.rfind("//").is_some_and(|at| !gap.get(at..).unwrap_or_default().contains(['\n', '\r']))
}

fn is_word(next: char) -> bool {
    next.is_ascii_alphanumeric() || next == '_'
}

fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

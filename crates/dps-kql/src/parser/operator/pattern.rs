//! `parse`, `parse-where`, `parse-kv`.

use super::super::{Parsed, Parser};
use crate::ast::{Name, OperatorKind, ParseKind, ParsePart};
use crate::diagnostic::code;
use crate::lexer::TokenKind;
use crate::limits;

const KV_PROPERTIES: &[&str] = &["pair_delimiter", "kv_delimiter", "quote", "escape", "greedy", "regex"];

impl Parser<'_> {
    pub(super) fn parse(&mut self, filter: bool) -> Parsed<OperatorKind> {
        let mut kind = ParseKind::Simple;
        let mut flags = None;
        if self.is("kind") && self.written(1) == "=" {
            self.advance();
            self.advance();
            kind = match self.written(0) {
                "simple" => ParseKind::Simple,
                "regex" => ParseKind::Regex,
                "relaxed" => ParseKind::Relaxed,
                _ => return Err(self.expected_one_of(&["simple", "regex", "relaxed"])),
            };
            self.advance();
            if self.eat("flags") {
                self.demand("=")?;
                if !self.is_word(0) {
                    return Err(self.missing("name"));
                }
                flags = Some(Name { text: self.written(0).to_owned(), span: self.advance() });
            }
        }
        let source = self.expression()?;
        self.demand("with")?;
        let pattern = self.pattern()?;
        Ok(OperatorKind::Parse { filter, kind, flags, source, pattern })
    }

    fn pattern(&mut self) -> Parsed<Vec<ParsePart>> {
        let mut parts: Vec<ParsePart> = Vec::new();
        while !self.at_end() {
            if parts.len() >= limits::MAX_LIST {
                return Err(self.too_many("parts in one pattern", limits::MAX_LIST));
            }
            let start = self.span();
            let part = if matches!(self.kind(), TokenKind::Text(_)) {
                let text = self.text_literal()?;
                ParsePart::Text(text, start.to(self.before()))
            } else if self.eat("*") {
                ParsePart::Star(start)
            } else if self.is_word(0) || self.is("[") {
                let name = self.given_name()?;
                let ty = if self.eat(":") { Some(self.type_name()?) } else { None };
                ParsePart::Column(name, ty)
            } else {
                return Err(self.stray(";"));
            };
            self.neighbours(parts.last(), &part)?;
            parts.push(part);
        }
        Ok(parts)
    }

    /// Only a text says where one column ends and the next begins.
    fn neighbours(&mut self, before: Option<&ParsePart>, part: &ParsePart) -> Parsed<()> {
        match (before, part) {
            (Some(ParsePart::Star(star)), ParsePart::Star(_) | ParsePart::Column(..)) => {
                let message = "A string literal must follow a *".to_owned();
                Err(self.tell("KS102", *star, message, None))
            }
            (Some(ParsePart::Column(..)), ParsePart::Column(name, _)) => {
                let message = "The column name must follow a string literal".to_owned();
                Err(self.tell("KS101", name.span, message, None))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn parse_kv(&mut self) -> Parsed<OperatorKind> {
        let source = self.expression()?;
        self.demand("as")?;
        if !self.is("(") {
            return Err(self.missing("schema declaration"));
        }
        let from = self.span();
        let keys = self.columns()?;
        if keys.is_empty() {
            let span = from.to(self.before());
            return Err(self.tell(code::MISSING, span, "Missing key".to_owned(), None));
        }
        let properties = if self.eat("with") { self.with_properties(KV_PROPERTIES)? } else { Vec::new() };
        Ok(OperatorKind::ParseKv { source, keys, properties })
    }
}

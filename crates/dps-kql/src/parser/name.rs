//! Names that are given, types, lists of columns, patterns, and settings of operators.

use super::{Parsed, Parser};
use crate::ast::{Column, Name, NamePattern, Setting, SettingValue, Span};
use crate::diagnostic::code;
use crate::lexer::{Token, TokenKind};
use crate::{Type, keyword, limits};

/// Names that may stand before a `=` between an operator and its operands.
const SETTINGS: &[&str] = &[
    "bagexpansion",
    "best_effort",
    "bin_legacy",
    "decodeblocks",
    "expandoutput",
    "force_remote",
    "isfuzzy",
    "kind",
    "with_itemindex",
    "with_match_id",
    "with_source",
    "with_step_name",
    "withsource",
];
/// The same behind `hint.`.
const HINTS: &[&str] = &[
    "concurrency",
    "distribution",
    "materialized",
    "num_partitions",
    "pass_filters",
    "pass_filters_column",
    "progressive_top",
    "remote",
    "shufflekey",
    "spread",
    "strategy",
];

impl Parser<'_> {
    /// `['a name']`, `["a name"]`; nothing is taken of anything else.
    pub(super) fn bracketed_name(&mut self) -> Option<Name> {
        let closes = |by| self.written(by) == "]";
        let Some(Token { kind: TokenKind::Text(text), .. }) = self.ahead(1) else { return None };
        if !self.is("[") || !closes(2) {
            return None;
        }
        let text = text.clone();
        let start = self.advance();
        self.advance();
        Some(Name { text, span: start.to(self.advance()) })
    }

    /// Names before a `=`, if any: `a =`, `['a b'] =`, `(a, b) =`.
    pub(super) fn given_names(&mut self) -> Parsed<Vec<Name>> {
        if self.is("(") {
            return if self.is_tuple() { self.tuple() } else { Ok(Vec::new()) };
        }
        let length = if self.is_word(0) {
            1
        } else if self.is("[") && matches!(self.ahead(1), Some(Token { kind: TokenKind::Text(_), .. })) {
            3
        } else {
            return Ok(Vec::new());
        };
        if self.written(length) != "=" {
            return Ok(Vec::new());
        }
        let name = self.given_name()?;
        self.advance();
        Ok(vec![name])
    }

    /// Whether `(name, name …) =` stands here.
    fn is_tuple(&self) -> bool {
        let mut by = 1;
        loop {
            by += match self.ahead(by).map(|token| &token.kind) {
                Some(TokenKind::Word) => 1,
                Some(TokenKind::Mark) if self.written(by) == "[" && self.written(by + 2) == "]" => 3,
                _ => return false,
            };
            match self.written(by) {
                "," => by += 1,
                ")" => return self.written(by + 1) == "=",
                _ => return false,
            }
        }
    }

    fn tuple(&mut self) -> Parsed<Vec<Name>> {
        self.demand("(")?;
        let names = self.list(Self::given_name)?;
        self.demand(")")?;
        self.demand("=")?;
        Ok(names)
    }

    /// A name that a column or a parameter is given.
    pub(super) fn given_name(&mut self) -> Parsed<Name> {
        if let Some(name) = self.bracketed_name() {
            return Ok(name);
        }
        if !self.is_word(0) {
            return Err(self.missing("name"));
        }
        let word = self.written(0);
        if !keyword::may_be_given(word) {
            let message =
                format!("The name '{word}' needs to be bracketed as ['{word}'] to be used in this context.");
            return Err(self.tell(code::RESERVED, self.span(), message, None));
        }
        Ok(Name { text: word.to_owned(), span: self.advance() })
    }

    /// `long`, `datetime` …
    pub(super) fn type_name(&mut self) -> Parsed<Type> {
        if !self.is_word(0) {
            return Err(self.missing("type name"));
        }
        let word = self.written(0);
        let Some(ty) = type_of(word) else {
            let message = format!("The name '{word}' is not a valid type name that can be used here.");
            let names = "bool, datetime, decimal, dynamic, guid, int, long, real, string, timespan";
            return Err(self.tell(code::NO_TYPE, self.span(), message, Some(format!("Types are {names}."))));
        };
        self.advance();
        Ok(ty)
    }

    /// `(long)` as a column without a name.
    pub(super) fn lone_type(&mut self) -> Parsed<Column> {
        let start = self.demand("(")?;
        let ty = self.type_name()?;
        self.demand(")")?;
        Ok(Column { name: Name { text: String::new(), span: Span { start: start.end, end: start.end } }, ty })
    }

    /// `typeof(long)` behind `to`.
    pub(super) fn typeof_clause(&mut self) -> Parsed<Option<Type>> {
        if !self.eat("to") {
            return Ok(None);
        }
        if !self.eat("typeof") {
            return Err(self.missing("typeof"));
        }
        Ok(Some(self.lone_type()?.ty))
    }

    /// `(a:long, b:string)`.
    pub(super) fn columns(&mut self) -> Parsed<Vec<Column>> {
        self.demand("(")?;
        let mut columns = Vec::new();
        while !self.is(")") {
            if columns.len() >= limits::MAX_LIST {
                return Err(self.too_many("columns", limits::MAX_LIST));
            }
            let name = self.given_name()?;
            self.demand(":")?;
            columns.push(Column { name, ty: self.type_name()? });
            if !self.eat(",") {
                break;
            }
        }
        self.demand(")")?;
        Ok(columns)
    }

    /// Tokens of a name with a `*` that begins so many tokens ahead: they stand without space between them.
    pub(super) fn pattern_length(&self, by: usize) -> Option<usize> {
        let mut length = 0;
        let mut star = false;
        let mut end = None;
        while let Some(token) = self.tokens.get(self.at + by + length) {
            let starred = self.written(by + length) == "*";
            let part = starred || matches!(token.kind, TokenKind::Word | TokenKind::Literal(_));
            if !part || end.is_some_and(|end| end != token.span.start) {
                break;
            }
            star |= starred;
            end = Some(token.span.end);
            length += 1;
        }
        star.then_some(length)
    }

    /// A name, or a pattern of names.
    pub(super) fn name_pattern(&mut self) -> Parsed<NamePattern> {
        let Some(length) = self.pattern_length(0) else {
            return Ok(NamePattern { name: self.value_name()?, wildcard: false });
        };
        let start = self.span();
        for _ in 0..length {
            self.advance();
        }
        let span = start.to(self.before());
        let name = Name { text: self.slice(span).to_owned(), span };
        Ok(NamePattern { name, wildcard: true })
    }

    /// `kind = inner hint.strategy = shuffle …`.
    pub(super) fn settings(&mut self) -> Parsed<Vec<Setting>> {
        let mut settings = Vec::new();
        while let Some(length) = self.setting_length() {
            if settings.len() >= limits::MAX_LIST {
                return Err(self.too_many("settings", limits::MAX_LIST));
            }
            let start = self.span();
            for _ in 0..length {
                self.advance();
            }
            let span = start.to(self.before());
            let name = Name { text: self.slice(span).to_owned(), span };
            self.demand("=")?;
            settings.push(Setting { name, value: self.setting_value()? });
        }
        Ok(settings)
    }

    fn setting_length(&self) -> Option<usize> {
        if SETTINGS.contains(&self.written(0)) && self.written(1) == "=" {
            return Some(1);
        }
        let hint = self.is("hint") && self.written(1) == "." && HINTS.contains(&self.written(2));
        (hint && self.written(3) == "=").then_some(3)
    }

    pub(super) fn setting_value(&mut self) -> Parsed<SettingValue> {
        if let Some(name) = self.bracketed_name() {
            return Ok(SettingValue::Name(name));
        }
        if self.is_word(0) && !(self.is("dynamic") && self.written(1) == "(") {
            let name = Name { text: self.written(0).to_owned(), span: self.advance() };
            return Ok(SettingValue::Name(name));
        }
        if self.at_end() || self.is("(") {
            return Err(self.missing("value"));
        }
        Ok(SettingValue::Literal(self.signed_literal()?))
    }
}

fn type_of(word: &str) -> Option<Type> {
    Some(match word {
        "bool" | "boolean" => Type::Bool,
        "int" | "int32" => Type::Int,
        "long" | "int64" => Type::Long,
        "real" | "double" => Type::Real,
        "decimal" => Type::Decimal,
        "string" => Type::String,
        "datetime" | "date" => Type::DateTime,
        "timespan" | "time" => Type::TimeSpan,
        "guid" | "uniqueid" => Type::Guid,
        "dynamic" => Type::Dynamic,
        _ => return None,
    })
}

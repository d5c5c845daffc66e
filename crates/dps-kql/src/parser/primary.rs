//! The smallest expressions: literals, names, calls, parentheses, and the steps behind them.

use super::{Parsed, Parser};
use crate::ast::{Call, Expr, ExprKind, Name, Named, PathStep};
use crate::diagnostic::code;
use crate::lexer::TokenKind;
use crate::{Value, keyword, limits};

impl Parser<'_> {
    /// A primary and its steps: `a.b[0].c(1)`. Where a table is looked for, a step with a `*` is left to the caller.
    pub(super) fn postfix(&mut self, before_pattern: bool) -> Parsed<Expr> {
        let base = self.apart(Self::primary)?;
        let mut steps = Vec::new();
        while matches!(self.written(0), "." | "[") {
            if before_pattern && self.is(".") && self.pattern_length(1).is_some() {
                break;
            }
            if steps.len() >= limits::MAX_LIST {
                return Err(self.too_many("steps in one path", limits::MAX_LIST));
            }
            steps.push(self.step()?);
        }
        if steps.is_empty() {
            return Ok(base);
        }
        self.above()?;
        let span = base.span.to(self.before());
        Ok(Expr { kind: ExprKind::Path { base: Box::new(base), steps }, span })
    }

    fn step(&mut self) -> Parsed<PathStep> {
        let dot = self.eat(".");
        if self.is("[") {
            if dot && let Some(name) = self.bracketed_name() {
                return Ok(PathStep::Member(name));
            }
            self.advance();
            let index = self.expression()?;
            self.demand("]")?;
            return Ok(PathStep::Index(index));
        }
        if self.is_word(0) && self.written(1) == "(" {
            return Ok(PathStep::Call(self.call()?));
        }
        Ok(PathStep::Member(self.value_name()?))
    }

    fn primary(&mut self) -> Parsed<Expr> {
        match self.kind() {
            TokenKind::Literal(value) => {
                let kind = ExprKind::Literal(value.clone());
                Ok(Expr { kind, span: self.advance() })
            }
            TokenKind::Text(_) => {
                let span = self.span();
                let text = self.text_literal()?;
                let kind = ExprKind::Literal(Value::String(text.into()));
                Ok(Expr { kind, span: span.to(self.before()) })
            }
            TokenKind::Word => self.worded(),
            TokenKind::Mark if self.is("(") => self.parenthesised(),
            TokenKind::Mark if self.is("[") => {
                let name = self.value_name()?;
                Ok(Expr { kind: ExprKind::Name(name.text), span: name.span })
            }
            _ => Err(self.missing("expression")),
        }
    }

    /// Adjacent string literals are one.
    pub(super) fn text_literal(&mut self) -> Parsed<String> {
        let TokenKind::Text(first) = self.kind() else { return Err(self.missing("string")) };
        let mut text = first.clone();
        self.advance();
        while let TokenKind::Text(next) = self.kind() {
            let next = next.clone();
            text.push_str(&next);
            self.advance();
        }
        Ok(text)
    }

    fn parenthesised(&mut self) -> Parsed<Expr> {
        let start = self.advance();
        let inner = self.pipe()?;
        let end = self.demand(")")?;
        Ok(Expr { kind: inner.kind, span: start.to(end) })
    }

    fn worded(&mut self) -> Parsed<Expr> {
        let calls = self.written(1) == "(";
        match self.written(0) {
            "dynamic" if calls => self.dynamic(),
            "typeof" if calls => self.type_of(),
            "toscalar" | "totable" => self.query_call(),
            "datatable" => self.data_table(),
            "externaldata" | "external_data" => {
                let span = self.span();
                Err(self.unsupported(
                    span,
                    "`externaldata`",
                    Some("Only tables of this workspace can be read."),
                ))
            }
            _ if calls => {
                let call = self.call()?;
                let span = call.span;
                self.above()?;
                Ok(Expr { kind: ExprKind::Call(call), span })
            }
            _ => {
                let Ok(name) = self.value_name() else { return Err(self.missing("expression")) };
                Ok(Expr { kind: ExprKind::Name(name.text), span: name.span })
            }
        }
    }

    /// `name(arguments)`.
    pub(super) fn call(&mut self) -> Parsed<Call> {
        let name = self.value_name()?;
        self.demand("(")?;
        if self.is("by") {
            return Err(self.expected(")"));
        }
        let args = if self.is(")") { Vec::new() } else { self.list(Self::argument)? };
        if !self.is(")") && self.begins_expression() {
            return Err(self.stray(","));
        }
        let end = self.demand(")")?;
        let span = name.span.to(end);
        Ok(Call { name, args, span })
    }

    fn argument(&mut self) -> Parsed<Named> {
        if self.is("*") && matches!(self.written(1), "," | ")") {
            let span = self.advance();
            return Ok(Named { names: Vec::new(), expr: Expr { kind: ExprKind::Star, span } });
        }
        self.named()
    }

    /// `toscalar(query)`, `totable(query)`.
    fn query_call(&mut self) -> Parsed<Expr> {
        let name = Name { text: self.written(0).to_owned(), span: self.advance() };
        if self.is("kind") && self.written(1) == "=" && self.written(2) == "nooptimization" {
            self.advance();
            self.advance();
            self.advance();
        }
        self.call_of_query(name)
    }

    /// `materialize(query)`, which stands where a table does.
    pub(super) fn materialize(&mut self) -> Parsed<Expr> {
        let name = Name { text: self.written(0).to_owned(), span: self.advance() };
        self.call_of_query(name)
    }

    fn call_of_query(&mut self, name: Name) -> Parsed<Expr> {
        self.demand("(")?;
        let expr = self.pipe()?;
        let span = name.span.to(self.demand(")")?);
        self.above()?;
        let args = vec![Named { names: Vec::new(), expr }];
        Ok(Expr { kind: ExprKind::Call(Call { name, args, span }), span })
    }

    /// `typeof(long)`, `typeof(a:long, b:string)`.
    fn type_of(&mut self) -> Parsed<Expr> {
        let start = self.advance();
        let columns = if self.written(2) == ":" || self.written(1) == "[" {
            self.columns()?
        } else {
            vec![self.lone_type()?]
        };
        Ok(Expr { kind: ExprKind::TypeOf(columns), span: start.to(self.before()) })
    }

    /// `datatable (a:long) [1, 2]`.
    fn data_table(&mut self) -> Parsed<Expr> {
        let start = self.advance();
        self.settings()?;
        if !self.is("(") {
            return Err(self.missing("schema declaration"));
        }
        let columns = self.columns()?;
        self.demand("[")?;
        let mut values = Vec::new();
        while !self.is("]") {
            values.push(self.apart(Self::signed_literal)?);
            if !self.eat(",") {
                break;
            }
        }
        if !self.is("]") && (self.begins_expression() || matches!(self.written(0), "+" | "-" | "*" | "/")) {
            return Err(self.tell(code::EXPECTED, self.span(), "Expected: ,".to_owned(), None));
        }
        let end = self.demand("]")?;
        self.above()?;
        Ok(Expr { kind: ExprKind::DataTable { columns, values }, span: start.to(end) })
    }

    /// A literal with a sign perhaps, and nothing that would have to be computed.
    pub(super) fn signed_literal(&mut self) -> Parsed<Expr> {
        let start = self.span();
        let negative = self.is("-");
        if negative || self.is("+") {
            self.advance();
        }
        let literal = matches!(self.kind(), TokenKind::Literal(_) | TokenKind::Text(_));
        let dynamic = self.is("dynamic") && self.written(1) == "(";
        if !literal && !dynamic {
            return Err(self.missing("literal"));
        }
        let inner = self.primary()?;
        let span = start.to(inner.span);
        if negative {
            self.above()?;
            return Ok(Expr { kind: ExprKind::Negate(Box::new(inner)), span });
        }
        Ok(Expr { kind: inner.kind, span })
    }

    /// A name where a value, a table or a member stands.
    pub(super) fn value_name(&mut self) -> Parsed<Name> {
        if self.is("[") {
            if let Some(name) = self.bracketed_name() {
                return Ok(name);
            }
            self.advance();
            return Err(self.missing("name"));
        }
        if !self.is_word(0) || !keyword::may_be_value(self.written(0)) {
            return Err(self.missing("name"));
        }
        Ok(Name { text: self.written(0).to_owned(), span: self.advance() })
    }
}

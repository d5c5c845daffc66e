//! Statements between semicolons: queries, `let`, `set`.

use super::{Parsed, Parser};
use crate::ast::{Expr, Function, Let, LetValue, Name, Parameter, ParameterKind, QueryBlock, Statement};
use crate::diagnostic::code;
use crate::lexer::TokenKind;
use crate::limits;

impl Parser<'_> {
    /// All statements of the text.
    pub(super) fn block(&mut self) -> QueryBlock {
        let mut statements: Vec<Statement> = Vec::new();
        while !matches!(self.kind(), TokenKind::End) {
            if statements.len() >= limits::MAX_STATEMENTS {
                self.too_many("statements", limits::MAX_STATEMENTS);
                break;
            }
            let from = self.at;
            let parsed = self.statement().and_then(|statement| {
                let ends = matches!(self.kind(), TokenKind::End) || self.is(";");
                if ends { Ok(statement) } else { Err(self.stray(";")) }
            });
            match parsed {
                Ok(statement) => statements.push(statement),
                Err(_) => self.recover(from, &[";"]),
            }
            if !self.eat(";") {
                break;
            }
        }
        if self.errors.is_empty() && !matches!(statements.last(), Some(Statement::Query(_))) {
            self.missing("query: the last statement must be an expression");
        }
        QueryBlock { statements }
    }

    fn statement(&mut self) -> Parsed<Statement> {
        let behind = self.written(1);
        let named = self.is_word(1) || behind == "[";
        match self.written(0) {
            "let" if !matches!(behind, "|" | "." | "(" | ";" | "=") => {
                Ok(Statement::Let(self.let_statement()?))
            }
            "set" if !matches!(behind, "|" | "." | "(" | "=") => self.set_statement(),
            "declare" if named => {
                let span = self.advance().to(self.span());
                let what = format!("`declare {}`", self.written(0));
                Err(self.unsupported(span, &what, Some("Use let.")))
            }
            "alias" if behind == "database" => {
                let span = self.advance().to(self.span());
                Err(self.unsupported(span, "`alias database`", None))
            }
            "restrict" if behind == "access" => {
                let span = self.advance().to(self.span());
                Err(self.unsupported(span, "`restrict access`", None))
            }
            _ => Ok(Statement::Query(self.statement_query()?)),
        }
    }

    fn statement_query(&mut self) -> Parsed<Expr> {
        let from = self.at;
        if self.is("|") {
            return Err(self.stray(";"));
        }
        match self.apart(Self::source) {
            Ok(source) => {
                if !self.is("|") && !self.is(";") && !matches!(self.kind(), TokenKind::End) {
                    self.stray(";");
                    self.recover(from, &["|", ";"]);
                    let _ = self.piped(source, true);
                    return Err(super::Caught);
                }
                self.piped(source, true)
            }
            Err(caught) => {
                self.recover(from, &["|", ";"]);
                // What follows may be wrong as well; nothing is made of it.
                let nothing = Expr { kind: crate::ast::ExprKind::Star, span: self.span() };
                let _ = self.piped(nothing, true);
                Err(caught)
            }
        }
    }

    fn set_statement(&mut self) -> Parsed<Statement> {
        self.advance();
        let name = self.word_name()?;
        let value = if self.eat("=") { Some(self.setting_value()?) } else { None };
        Ok(Statement::Set { name, value })
    }

    /// Any word as a name.
    fn word_name(&mut self) -> Parsed<Name> {
        if !self.is_word(0) {
            return Err(self.missing("name"));
        }
        Ok(Name { text: self.written(0).to_owned(), span: self.advance() })
    }

    fn let_statement(&mut self) -> Parsed<Let> {
        let start = self.advance();
        let name = self.value_name()?;
        self.demand("=")?;
        let value = if self.is_function() {
            LetValue::Function(self.deeper(Self::function)?)
        } else {
            LetValue::Expr(self.pipe()?)
        };
        Ok(Let { name, value, span: start.to(self.before()) })
    }

    /// `view (`, `() {`, `(name: type`.
    fn is_function(&self) -> bool {
        if self.is("view") && self.written(1) == "(" {
            return true;
        }
        if !self.is("(") {
            return false;
        }
        let colon = match self.written(1) {
            ")" => return self.written(2) != "|",
            "[" => 4,
            _ => 2,
        };
        self.written(colon) == ":" && (self.is_word(colon + 1) || self.written(colon + 1) == "(")
    }

    fn function(&mut self) -> Parsed<Function> {
        let view = self.eat("view");
        self.demand("(")?;
        let parameters = if self.is(")") { Vec::new() } else { self.list(Self::parameter)? };
        self.demand(")")?;
        let scalar = |parameter: &Parameter| matches!(parameter.kind, ParameterKind::Scalar { .. });
        if let Some(first) = parameters.iter().position(scalar)
            && let Some(late) = parameters.iter().skip(first).find(|parameter| !scalar(parameter))
        {
            let message = "Tabular parameters must be declared first.".to_owned();
            return Err(self.tell(code::PARAMETER_ORDER, late.name.span, message, None));
        }
        self.demand("{")?;
        let mut lets = Vec::new();
        while self.is("let") && !matches!(self.written(1), "|" | "." | "(" | "}") {
            if lets.len() >= limits::MAX_STATEMENTS {
                return Err(self.too_many("statements", limits::MAX_STATEMENTS));
            }
            lets.push(self.let_statement()?);
            self.demand(";")?;
        }
        let result = Box::new(self.pipe()?);
        self.eat(";");
        self.demand("}")?;
        self.above()?;
        Ok(Function { view, parameters, lets, result })
    }

    fn parameter(&mut self) -> Parsed<Parameter> {
        let name = self.given_name()?;
        self.demand(":")?;
        if !self.is("(") {
            let ty = self.type_name()?;
            let default = if self.eat("=") { Some(self.signed_literal()?) } else { None };
            return Ok(Parameter { name, kind: ParameterKind::Scalar { ty, default } });
        }
        if self.written(1) == "*" {
            self.advance();
            self.advance();
            self.demand(")")?;
            return Ok(Parameter { name, kind: ParameterKind::Tabular(Vec::new()) });
        }
        Ok(Parameter { name, kind: ParameterKind::Tabular(self.columns()?) })
    }
}

//! Expressions: operators by how tightly they bind, and pipes.

use super::infix::{Infix, Level};
use super::{Parsed, Parser, operator};
use crate::ast::{Expr, ExprKind, Named, Operator, Span};
use crate::diagnostic::code;
use crate::lexer::TokenKind;
use crate::{Scalar, limits};

impl Parser<'_> {
    /// An expression without pipes.
    pub(super) fn expression(&mut self) -> Parsed<Expr> {
        self.deeper(|parser| parser.climb(Level::Or))
    }

    /// `name = expression`, `(a, b) = expression`, or the expression alone.
    pub(super) fn named(&mut self) -> Parsed<Named> {
        let names = self.given_names()?;
        Ok(Named { names, expr: self.expression()? })
    }

    /// Operands joined by what binds at least as tightly as `least`.
    fn climb(&mut self, least: Level) -> Parsed<Expr> {
        let mut left = self.apart(Self::unary)?;
        let mut most = Level::Unary;
        while let Some(infix) = self.infix(0) {
            let level = infix.level();
            if level < least || level > most {
                break;
            }
            most = level;
            if !level.chains() {
                // The next one must bind less tightly; one that does not is left for the caller to refuse.
                most = loosened(level);
            }
            left = self.joined(left, infix)?;
        }
        Ok(left)
    }

    fn joined(&mut self, left: Expr, infix: Infix) -> Parsed<Expr> {
        let at = self.advance();
        let tighter = infix.level().tighter();
        let start = left.span;
        let kind = match infix {
            Infix::Logical(operator) => {
                let mut operands = vec![left, self.apart(|parser| parser.climb(tighter))?];
                while self.eat(operator.name()) {
                    if operands.len() >= limits::MAX_LIST {
                        return Err(self.too_many("operands in one chain", limits::MAX_LIST));
                    }
                    operands.push(self.apart(|parser| parser.climb(tighter))?);
                }
                ExprKind::Logical { operator, operands }
            }
            Infix::Binary(operator) => {
                let at = if operator == Scalar::MatchesRegex { at.to(self.demand("regex")?) } else { at };
                let right = Box::new(self.apart(|parser| parser.climb(tighter))?);
                ExprKind::Binary { operator, at, left: Box::new(left), right }
            }
            Infix::In(operator) => {
                let list = self.in_list()?;
                ExprKind::In { operator, at, value: Box::new(left), list }
            }
            Infix::Between(negated) => {
                self.demand("(")?;
                let low = Box::new(self.expression()?);
                self.demand("..")?;
                let high = Box::new(self.expression()?);
                self.demand(")")?;
                ExprKind::Between { negated, at, value: Box::new(left), low, high }
            }
            Infix::Like => {
                return Err(self.unsupported(at, "`like`", Some("Write contains or matches regex.")));
            }
        };
        self.above()?;
        Ok(Expr { kind, span: start.to(self.before()) })
    }

    /// `(a, b)`, `(T | project x)`.
    fn in_list(&mut self) -> Parsed<Vec<Expr>> {
        self.demand("(")?;
        let mut first = true;
        let list = self.list_within(limits::MAX_TOKENS, |parser| {
            let item = if first { parser.pipe() } else { parser.expression() };
            first = false;
            item
        })?;
        self.demand(")")?;
        Ok(list)
    }

    /// `-x`, `+x`, `x`.
    fn unary(&mut self) -> Parsed<Expr> {
        if self.is("*") && self.takes_star(1) {
            let span = self.advance();
            return Ok(Expr { kind: ExprKind::Star, span });
        }
        let start = self.span();
        if self.eat("-") {
            let inner = self.postfix(false)?;
            self.above()?;
            let span = start.to(inner.span);
            return Ok(Expr { kind: ExprKind::Negate(Box::new(inner)), span });
        }
        self.eat("+");
        self.postfix(false)
    }

    /// A source and operators behind it, or an expression: whichever is written.
    pub(super) fn pipe(&mut self) -> Parsed<Expr> {
        self.deeper(|parser| {
            let source = parser.source()?;
            parser.piped(source, false)
        })
    }

    /// What may stand before the first pipe.
    pub(super) fn source(&mut self) -> Parsed<Expr> {
        if operator::leads(self) {
            let operator = self.operator()?;
            let span = operator.span;
            self.above()?;
            return Ok(Expr { kind: ExprKind::Leading(Box::new(operator)), span });
        }
        if self.is("materialize") && self.written(1) == "(" {
            return self.materialize();
        }
        if self.is_word(0) && operator::is_operator(self.written(0)) && !self.continues_name() {
            let message =
                format!("The operator {} cannot be the first operator in a query.", self.written(0));
            let suggestion = "Begin with a table: T | …".to_owned();
            return Err(self.tell(code::NEEDS_INPUT, self.span(), message, Some(suggestion)));
        }
        self.apart(|parser| parser.climb(Level::Or))
    }

    /// Whether the word here is used as a name although an operator is called so.
    fn continues_name(&self) -> bool {
        let behind = self.written(1);
        let ends = self.ahead(1).is_none_or(|token| matches!(token.kind, TokenKind::End));
        ends || matches!(behind, "|" | ";" | ")" | "," | "." | "(" | "[" | "=") || self.infix(1).is_some()
    }

    /// The operators behind a source. At a statement's own level, one that is wrong does not hide the next ones.
    pub(super) fn piped(&mut self, source: Expr, statement: bool) -> Parsed<Expr> {
        let mut operators: Vec<Operator> = Vec::new();
        let mut sound = true;
        while self.is("|") {
            let from = self.at;
            self.advance();
            if operators.len() >= limits::MAX_OPERATORS {
                return Err(self.too_many("operators in one pipe", limits::MAX_OPERATORS));
            }
            let parsed = self.apart(|parser| {
                let operator = parser.operator()?;
                parser.operator_end(&operator, statement)?;
                Ok(operator)
            });
            match parsed {
                Ok(operator) => operators.push(operator),
                Err(caught) if !statement => return Err(caught),
                Err(_) => {
                    sound = false;
                    self.recover(from, &["|", ";"]);
                }
            }
        }
        if !sound {
            return Err(super::Caught);
        }
        if operators.is_empty() {
            return Ok(source);
        }
        self.above()?;
        let span = Span { start: source.span.start, end: self.before().end };
        Ok(Expr { kind: ExprKind::Pipe { source: Box::new(source), operators }, span })
    }

    /// What follows an operator must be able to.
    fn operator_end(&mut self, operator: &Operator, statement: bool) -> Parsed<()> {
        let ends = matches!(self.kind(), TokenKind::End) || matches!(self.written(0), "|" | ";");
        let closes = matches!(self.written(0), ")" | "}" | ",");
        if ends || closes && !statement {
            return Ok(());
        }
        let expected =
            if operator::ends_in_list(&operator.kind) && self.begins_expression() { "," } else { ";" };
        Err(self.stray(expected))
    }
}

/// What may follow an operator of a level that does not chain.
const fn loosened(level: Level) -> Level {
    match level {
        Level::Text | Level::Unary | Level::Primary => Level::Product,
        Level::Product | Level::Sum => Level::Sum,
        Level::Relation => Level::Equality,
        Level::Equality => Level::And,
        Level::And | Level::Or => Level::Or,
    }
}

//! Operators that bring in other tables: `join`, `lookup`, `union`, `search`, `find`; and `range`.

use super::super::{Parsed, Parser};
use crate::ast::{Expr, ExprKind, FindColumn, JoinOn, Name, OperatorKind, TableSource};
use crate::{Scalar, limits};

impl Parser<'_> {
    pub(super) fn source_operator(&mut self, keyword: &str) -> Parsed<OperatorKind> {
        match keyword {
            "join" => {
                let (right, on) = self.joined_to()?;
                Ok(OperatorKind::Join { right, on })
            }
            "lookup" => {
                let (right, on) = self.joined_to()?;
                Ok(OperatorKind::Lookup { right, on })
            }
            "union" => Ok(OperatorKind::Union(self.list(Self::table_source)?)),
            "search" => {
                let sources = if self.is("in") { self.within()? } else { Vec::new() };
                Ok(OperatorKind::Search { sources, predicate: self.search_predicate()? })
            }
            "find" => self.find(),
            _ => {
                let name = self.value_name()?;
                self.demand("from")?;
                let from = self.expression()?;
                self.demand("to")?;
                let to = self.expression()?;
                self.demand("step")?;
                Ok(OperatorKind::Range { name, from, to, step: self.expression()? })
            }
        }
    }

    /// The right side of a join and its conditions.
    fn joined_to(&mut self) -> Parsed<(Box<Expr>, Vec<JoinOn>)> {
        let right = Box::new(self.expression()?);
        if self.is("where") {
            let span = self.span();
            return Err(self.unsupported(
                span,
                "`where` in a join",
                Some("Write on and the columns that are equal."),
            ));
        }
        if !self.eat("on") {
            return if self.at_end() {
                Err(self.missing("join on condition clause"))
            } else {
                Err(self.expected("on"))
            };
        }
        let on = self.list(|parser| {
            let Expr { kind, span } = parser.expression()?;
            Ok(match kind {
                ExprKind::Name(text) => JoinOn::Column(Name { text, span }),
                kind => JoinOn::Expr(Expr { kind, span }),
            })
        })?;
        Ok((right, on))
    }

    /// `in (T, A*)`.
    fn within(&mut self) -> Parsed<Vec<TableSource>> {
        self.demand("in")?;
        self.demand("(")?;
        let sources = self.list(Self::table_source)?;
        self.demand(")")?;
        Ok(sources)
    }

    /// A table, a query in parentheses, a pattern, or one of these behind `workspace("x").`
    fn table_source(&mut self) -> Parsed<TableSource> {
        if self.pattern_length(0).is_some() {
            return Ok(TableSource::Pattern { within: None, pattern: self.name_pattern()? });
        }
        let expr = self.deeper(|parser| parser.postfix(true))?;
        if self.is(".") && self.pattern_length(1).is_some() {
            self.advance();
            return Ok(TableSource::Pattern { within: Some(expr), pattern: self.name_pattern()? });
        }
        Ok(TableSource::Expr(expr))
    }

    /// `*`, `* and …`, or an expression.
    fn search_predicate(&mut self) -> Parsed<Expr> {
        if !self.is("*") || self.takes_star(1) {
            return self.expression();
        }
        let span = self.advance();
        let star = Expr { kind: ExprKind::Star, span };
        if !self.eat("and") {
            return Ok(star);
        }
        let rest = self.expression()?;
        self.above()?;
        let span = span.to(rest.span);
        let operands = match rest.kind {
            ExprKind::Logical { operator: Scalar::And, operands } if operands.len() < limits::MAX_LIST => {
                std::iter::once(star).chain(operands).collect()
            }
            kind => vec![star, Expr { kind, span: rest.span }],
        };
        Ok(Expr { kind: ExprKind::Logical { operator: Scalar::And, operands }, span })
    }

    fn find(&mut self) -> Parsed<OperatorKind> {
        let listed = self.is("in");
        let sources = if listed { self.within()? } else { Vec::new() };
        if !self.eat("where") && listed {
            return Err(self.expected("where"));
        }
        let predicate = self.expression()?;
        let project = if self.eat("project") { self.list(Self::find_column)? } else { Vec::new() };
        if project.is_empty() {
            self.eat("project-smart");
        }
        if self.is("project-away") || self.is("__projectAway") {
            let span = self.span();
            return Err(self.unsupported(
                span,
                "`project-away` in find",
                Some("Write | project-away behind it."),
            ));
        }
        Ok(OperatorKind::Find { sources, predicate, project })
    }

    fn find_column(&mut self) -> Parsed<FindColumn> {
        if self.is("pack") && self.written(1) == "(" {
            self.advance();
            self.demand("(")?;
            self.demand("*")?;
            self.demand(")")?;
            return Ok(FindColumn::Pack);
        }
        let name = self.given_name()?;
        let ty = if self.eat(":") { Some(self.type_name()?) } else { None };
        Ok(FindColumn::Column(name, ty))
    }
}

//! Operators that run something for parts of their input: `mv-expand`, `mv-apply`, `partition`, `evaluate`.

use super::super::{Parsed, Parser};
use crate::ast::{Expr, ExprKind, MvColumn, Operator, OperatorKind, Partition, PathStep};
use crate::limits;

impl Parser<'_> {
    pub(super) fn expansion(&mut self, keyword: &str) -> Parsed<OperatorKind> {
        match keyword {
            "mv-expand" | "mvexpand" => {
                let columns = self.list(Self::mv_column)?;
                Ok(OperatorKind::MvExpand { columns, limit: self.mv_limit()? })
            }
            "mv-apply" | "mvapply" => {
                let columns = self.list(Self::mv_column)?;
                let limit = self.mv_limit()?;
                self.demand("on")?;
                self.demand("(")?;
                let subquery = self.deeper(Self::subquery)?;
                self.demand(")")?;
                Ok(OperatorKind::MvApply { columns, limit, subquery })
            }
            "partition" => self.partition(),
            _ => self.evaluate(),
        }
    }

    fn mv_column(&mut self) -> Parsed<MvColumn> {
        let value = self.named()?;
        Ok(MvColumn { value, to: self.typeof_clause()? })
    }

    fn mv_limit(&mut self) -> Parsed<Option<Expr>> {
        if self.eat("limit") { Ok(Some(self.signed_literal()?)) } else { Ok(None) }
    }

    /// Operators with pipes between them, and no source.
    fn subquery(&mut self) -> Parsed<Vec<Operator>> {
        let mut operators = vec![self.apart(Self::operator)?];
        while self.eat("|") {
            if operators.len() >= limits::MAX_OPERATORS {
                return Err(self.too_many("operators in one pipe", limits::MAX_OPERATORS));
            }
            operators.push(self.apart(Self::operator)?);
        }
        Ok(operators)
    }

    fn partition(&mut self) -> Parsed<OperatorKind> {
        self.demand("by")?;
        let by = self.partition_key()?;
        if self.is("in") {
            let span = self.span();
            return Err(self.unsupported(span, "`in` in partition", None));
        }
        let body = if self.eat("{") {
            let query = Box::new(self.pipe()?);
            self.demand("}")?;
            Partition::Query(query)
        } else {
            self.demand("(")?;
            let operators = self.deeper(Self::subquery)?;
            self.demand(")")?;
            Partition::Operators(operators)
        };
        Ok(OperatorKind::Partition { by, body })
    }

    /// A name and members; a parenthesis behind it is not of it.
    fn partition_key(&mut self) -> Parsed<Expr> {
        let name = self.value_name()?;
        let base = Expr { kind: ExprKind::Name(name.text), span: name.span };
        let mut steps = Vec::new();
        while self.eat(".") {
            if steps.len() >= limits::MAX_LIST {
                return Err(self.too_many("steps in one path", limits::MAX_LIST));
            }
            steps.push(PathStep::Member(self.value_name()?));
        }
        if steps.is_empty() {
            return Ok(base);
        }
        self.above()?;
        let span = base.span.to(self.before());
        Ok(Expr { kind: ExprKind::Path { base: Box::new(base), steps }, span })
    }

    fn evaluate(&mut self) -> Parsed<OperatorKind> {
        if !self.is_word(0) {
            return Err(self.missing("function call"));
        }
        let call = self.call()?;
        let schema = if self.eat(":") { Some(self.columns()?) } else { None };
        Ok(OperatorKind::Evaluate { call, schema })
    }
}

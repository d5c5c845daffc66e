//! `in` and its kin, and predicates of every column.

use super::convert::{call, chain, column, convert};
use super::operator::meeting;
use super::scope::{Binding, Rows};
use super::{Binder, Bound, all, fold};
use crate::ast::{self, ExprKind as Syntax, Span};
use crate::{Expr, ExprKind, Node, Plan, Scalar, Type, Value};

impl Binder<'_> {
    /// `x in (…)`, `x has_any (…)`.
    pub(super) fn membership(
        &mut self,
        rows: &mut Rows<'_>,
        operator: Scalar,
        value: &ast::Expr,
        list: &[ast::Expr],
        span: Span,
    ) -> Bound<Expr> {
        let query = match list {
            [one] if self.is_table(rows, one) => Some(self.table(one)?),
            _ => None,
        };
        if matches!(value.kind, Syntax::Star) {
            return self.any_column_in(rows, operator, list, span);
        }
        let bound = self.scalar(rows, value)?;
        let of_text = !matches!(operator, Scalar::In | Scalar::NotIn);
        if of_text && !matches!(bound.ty, Type::String | Type::Dynamic) {
            return self.fail("KS107", value.span, "A value of type string or dynamic expected.");
        }
        if let Some(query) = query {
            return self.among_rows(operator, bound, query, span);
        }
        let list = all(list.iter().map(|one| self.scalar(rows, one)).collect())?;
        Ok(among(operator, bound, list))
    }

    /// Whether an expression yields rows: a column or a value of that name comes first.
    pub(super) fn is_table(&self, rows: &Rows<'_>, expr: &ast::Expr) -> bool {
        match &expr.kind {
            Syntax::Pipe { .. } | Syntax::Leading(_) | Syntax::DataTable { .. } => true,
            Syntax::Name(name) if rows.position(name).is_some() => false,
            Syntax::Name(name) => match self.scope.find(name) {
                Some(Binding::Table(_)) => true,
                Some(Binding::Function { .. }) => self.yields_table(name),
                Some(_) => false,
                None => self.environment.tables.iter().any(|table| table.name == *name),
            },
            Syntax::Call(call) => match call.name.text.as_str() {
                "materialize" => call.args.first().is_some_and(|arg| self.is_table(rows, &arg.expr)),
                "table" => true,
                name => self.yields_table(name),
            },
            Syntax::Path { base, .. } => {
                matches!(&base.kind, Syntax::Call(call) if super::source::is_place(call))
            }
            _ => false,
        }
    }

    fn among_rows(&mut self, operator: Scalar, value: Expr, query: Plan, span: Span) -> Bound<Expr> {
        let Some(first) = query.schema.first().map(|column| column.ty) else {
            return self.fail("KS190", span, "The table has no columns");
        };
        let (negated, ignore_case) = match operator {
            Scalar::In => (false, false),
            Scalar::NotIn => (true, false),
            Scalar::InIgnoreCase => (false, true),
            Scalar::NotInIgnoreCase => (true, true),
            _ => {
                let terms = self.gathered(query, span)?;
                return Ok(call(operator, vec![convert(value, Type::String), terms], Type::Bool));
            }
        };
        let ty = meeting(value.ty, first);
        let schema = vec![super::scope::column("value", ty)];
        let columns = vec![convert(column(0, first), ty)];
        let query = self.node(Node::Project { input: Box::new(query), columns }, schema, span)?;
        let value = Box::new(convert(value, ty));
        let kind = ExprKind::InQuery { value, query: Box::new(query), negated, ignore_case };
        Ok(Expr { kind, ty: Type::Bool })
    }

    /// The first column of rows as one array.
    fn gathered(&mut self, query: Plan, span: Span) -> Bound<Expr> {
        let ty = query.schema.first().map_or(Type::String, |column| column.ty);
        let outputs = vec![super::scope::column("values", Type::Dynamic)];
        let args = vec![convert(column(0, ty), Type::String)];
        let aggregation =
            crate::Aggregation { function: crate::Aggregate::MakeSet, args, outputs: outputs.clone() };
        let node =
            Node::Aggregate { input: Box::new(query), keys: Vec::new(), aggregations: vec![aggregation] };
        let plan = self.node(node, outputs, span)?;
        Ok(Expr { kind: ExprKind::ScalarQuery(Box::new(plan)), ty: Type::Dynamic })
    }

    /// `* has "x"`: any column that can be asked.
    pub(super) fn any_column(
        &mut self,
        rows: &mut Rows<'_>,
        operator: Scalar,
        at: Span,
        right: &ast::Expr,
    ) -> Bound<Expr> {
        let right = self.scalar(rows, right)?;
        let mut operands = Vec::new();
        for (index, asked) in rows.columns.iter().enumerate() {
            if comparable(asked.ty, right.ty, operator) {
                self.grow(1, at)?;
                let left = column(index, asked.ty);
                operands.push(self.binary(operator, at, left, right.clone())?);
            }
        }
        Ok(chain(gathering(operator), operands))
    }

    fn any_column_in(
        &mut self,
        rows: &mut Rows<'_>,
        operator: Scalar,
        list: &[ast::Expr],
        span: Span,
    ) -> Bound<Expr> {
        let list = all(list.iter().map(|one| self.scalar(rows, one)).collect())?;
        self.grow(list.len().saturating_mul(rows.columns.len()), span)?;
        let mut operands = Vec::new();
        for (index, asked) in rows.columns.iter().enumerate() {
            if list.iter().any(|one| comparable(asked.ty, one.ty, operator)) {
                operands.push(among(operator, column(index, asked.ty), list.clone()));
            }
        }
        Ok(chain(gathering(operator), operands))
    }
}

/// A positive predicate holds where one column says so, a negative one where all do.
const fn gathering(operator: Scalar) -> Scalar {
    match operator {
        Scalar::NotEqual
        | Scalar::NotEqualIgnoreCase
        | Scalar::NotHas
        | Scalar::NotHasCs
        | Scalar::NotHasPrefix
        | Scalar::NotHasPrefixCs
        | Scalar::NotHasSuffix
        | Scalar::NotHasSuffixCs
        | Scalar::NotContains
        | Scalar::NotContainsCs
        | Scalar::NotStartsWith
        | Scalar::NotStartsWithCs
        | Scalar::NotEndsWith
        | Scalar::NotEndsWithCs
        | Scalar::NotIn
        | Scalar::NotInIgnoreCase => Scalar::And,
        _ => Scalar::Or,
    }
}

/// Whether `* operator value` asks a column of that type.
fn comparable(column: Type, value: Type, operator: Scalar) -> bool {
    let texts = matches!(column, Type::String | Type::Dynamic);
    match operator {
        Scalar::Equal | Scalar::NotEqual | Scalar::In | Scalar::NotIn => match value {
            Type::String | Type::Dynamic => texts,
            value if super::convert::is_number(value) => super::convert::is_number(column),
            value => column == value,
        },
        _ => texts,
    }
}

/// `value` among the others; all of one type, or one array.
fn among(operator: Scalar, value: Expr, list: Vec<Expr>) -> Expr {
    let of_text = !matches!(operator, Scalar::In | Scalar::NotIn);
    if let [only] = list.as_slice()
        && only.ty == Type::Dynamic
        && !matches!(&only.kind, ExprKind::Literal(Value::Dynamic(serde_json::Value::Array(_))))
    {
        let value = if of_text { convert(value, Type::String) } else { value };
        return call(operator, vec![value, only.clone()], Type::Bool);
    }
    let list = spread(list);
    let others = list.iter().map(|one| one.ty).filter(|ty| *ty != Type::Dynamic);
    let ty = match value.ty {
        _ if of_text => Type::String,
        Type::Dynamic => others.reduce(meeting).unwrap_or(Type::String),
        ty => others.fold(ty, meeting),
    };
    let sides = std::iter::once(value).chain(list).map(|side| convert(side, ty)).collect();
    call(operator, sides, Type::Bool)
}

/// Arrays that are written down, element by element.
fn spread(list: Vec<Expr>) -> Vec<Expr> {
    let mut spread = Vec::with_capacity(list.len());
    for one in list {
        match &one.kind {
            ExprKind::Literal(Value::Dynamic(serde_json::Value::Array(elements))) => {
                let kinds = [Type::Long, Type::Real, Type::Bool, Type::String];
                for element in elements {
                    let value = kinds.iter().find_map(|ty| fold::element(element, *ty));
                    spread.extend(value.map(super::convert::literal));
                }
            }
            _ => spread.push(one),
        }
    }
    spread
}

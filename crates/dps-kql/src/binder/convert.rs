//! Building expressions: calls, conversions that Kusto makes on its own, columns, literals.

use super::fold;
use crate::{Expr, ExprKind, Scalar, Step, Type, Value};

/// A literal.
pub(super) const fn literal(value: Value) -> Expr {
    let ty = value.ty();
    Expr { kind: ExprKind::Literal(value), ty }
}

/// A text.
pub(super) fn text(text: &str) -> Expr {
    literal(Value::String(text.into()))
}

/// A column.
pub(super) const fn column(index: usize, ty: Type) -> Expr {
    Expr { kind: ExprKind::Column(index), ty }
}

/// A call, or what it comes to when all is known.
pub(super) fn call(function: Scalar, args: Vec<Expr>, ty: Type) -> Expr {
    if let Some(value) = fold::fold(function, &args, ty) {
        return literal(value);
    }
    Expr { kind: ExprKind::Call { function, args }, ty }
}

/// The value as another type; null, or the empty text, where it is none.
pub(super) fn convert(expr: Expr, ty: Type) -> Expr {
    if expr.ty == ty {
        return expr;
    }
    if let ExprKind::Literal(Value::Null(_)) = expr.kind {
        return literal(null(ty));
    }
    let function = match ty {
        Type::Bool => Scalar::ToBool,
        Type::Int => Scalar::ToInt,
        Type::Long => Scalar::ToLong,
        Type::Real => Scalar::ToReal,
        Type::Decimal => Scalar::ToDecimal,
        Type::String => Scalar::ToString,
        Type::DateTime => Scalar::ToDateTime,
        Type::TimeSpan => Scalar::ToTimeSpan,
        Type::Guid => Scalar::ToGuid,
        Type::Dynamic => return wrapped(expr),
    };
    call(function, vec![expr], ty)
}

/// A null, which of strings is the empty one.
pub(super) fn null(ty: Type) -> Value {
    if ty == Type::String { Value::String("".into()) } else { Value::Null(ty) }
}

/// A value as a dynamic that holds it. `parse_json` would read a text as JSON, so a text goes through an array.
fn wrapped(expr: Expr) -> Expr {
    if let ExprKind::Literal(value) = &expr.kind
        && let Some(json) = fold::json(value)
    {
        return literal(Value::Dynamic(json));
    }
    if expr.ty != Type::String {
        return call(Scalar::ToDynamic, vec![expr], Type::Dynamic);
    }
    let array = call(Scalar::PackArray, vec![expr], Type::Dynamic);
    element(array, 0)
}

/// An element of an array.
pub(super) fn element(array: Expr, index: i64) -> Expr {
    Expr {
        kind: ExprKind::Path { base: Box::new(array), steps: vec![Step::Index(index)] },
        ty: Type::Dynamic,
    }
}

/// `and` or `or` of all; true and false of none.
pub(super) fn chain(operator: Scalar, mut operands: Vec<Expr>) -> Expr {
    match operands.len() {
        0 => literal(Value::Bool(operator == Scalar::And)),
        1 => operands.remove(0),
        _ => call(operator, operands, Type::Bool),
    }
}

/// Whether a type is a number.
pub(super) const fn is_number(ty: Type) -> bool {
    matches!(ty, Type::Int | Type::Long | Type::Real | Type::Decimal)
}

/// Whether a type is int or long.
pub(super) const fn is_integer(ty: Type) -> bool {
    matches!(ty, Type::Int | Type::Long)
}

/// Whether values can be added up.
pub(super) const fn is_summable(ty: Type) -> bool {
    is_number(ty) || matches!(ty, Type::DateTime | Type::TimeSpan)
}

/// Whether values can be sorted.
pub(super) const fn is_orderable(ty: Type) -> bool {
    is_summable(ty) || matches!(ty, Type::String | Type::Bool)
}

/// A long for an int.
pub(super) const fn promoted(ty: Type) -> Type {
    match ty {
        Type::Int => Type::Long,
        ty => ty,
    }
}

/// Whether Kusto makes one of the other where the other is wanted.
pub(super) const fn widens(from: Type, to: Type) -> bool {
    matches!(
        (from, to),
        (Type::Int, Type::Long | Type::Real | Type::Decimal)
            | (Type::Long, Type::Real | Type::Decimal)
            | (Type::Real, Type::Decimal)
            | (Type::Dynamic, Type::String)
    )
}

/// The wider of two numbers.
pub(super) fn wider(left: Type, right: Type) -> Type {
    if widens(left, right) { right } else { left }
}

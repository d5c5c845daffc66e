//! Operators of one and two sides: which types they take, and what they make of them.

use super::convert::{call, convert, is_number, promoted, wider};
use super::{Binder, Bound, Stopped};
use crate::ast::Span;
use crate::{Expr, ExprKind, Scalar, Type};

impl Binder<'_> {
    /// `-x`.
    pub(super) fn negate(&mut self, value: Expr, span: Span) -> Bound<Expr> {
        let ty = match value.ty {
            Type::TimeSpan | Type::Dynamic => value.ty,
            ty if is_number(ty) => promoted(ty),
            ty => {
                let message = format!("The operator '-' is not defined for the operand type {}.", ty.name());
                return self.fail("KS106", span, message);
            }
        };
        let value = convert(value, ty);
        Ok(call(Scalar::Negate, vec![value], ty))
    }

    /// `x + y`, `x == y`, `x has y` …
    pub(super) fn binary(&mut self, operator: Scalar, at: Span, left: Expr, right: Expr) -> Bound<Expr> {
        let types = (left.ty, right.ty);
        let bound = match operator {
            Scalar::Add | Scalar::Subtract | Scalar::Multiply | Scalar::Divide | Scalar::Modulo => {
                arithmetic(operator, left, right)
            }
            Scalar::Equal | Scalar::NotEqual => Some(equality(operator, left, right)),
            Scalar::Less | Scalar::LessOrEqual | Scalar::Greater | Scalar::GreaterOrEqual => {
                comparison(operator, left, right)
            }
            _ => predicate(operator, left, right),
        };
        bound.ok_or_else(|| self.undefined(operator.name(), at, &[types.0, types.1]))
    }

    /// Tells that an operator does not take these.
    pub(super) fn undefined(&mut self, operator: &str, at: Span, types: &[Type]) -> Stopped {
        let names: Vec<_> = types.iter().map(|ty| ty.name()).collect();
        let list = match names.split_last() {
            Some((last, first)) if !first.is_empty() => format!("{} and {last}", first.join(", ")),
            _ => names.concat(),
        };
        let message = format!("The operator '{operator}' is not defined for the operand types {list}.");
        let suggestion = mend(operator, types);
        self.tell("KS106", at, message, suggestion)
    }

    /// `and`, `or`.
    pub(super) fn logical(&mut self, operator: Scalar, operands: Vec<(Expr, Span)>) -> Bound<Expr> {
        let mut made = Vec::with_capacity(operands.len());
        let types: Vec<_> = operands.iter().map(|(operand, _)| operand.ty).collect();
        for (index, (operand, span)) in operands.into_iter().enumerate() {
            match operand.ty {
                Type::Bool | Type::Dynamic => made.push(convert(operand, Type::Bool)),
                ty => {
                    let other = if index == 0 { types.get(1) } else { types.first() };
                    let pair = [ty, other.copied().unwrap_or(Type::Bool)];
                    return Err(self.undefined(operator.name(), span, &pair));
                }
            }
        }
        Ok(call(operator, made, Type::Bool))
    }

    /// `x between (low .. high)`.
    pub(super) fn between(
        &mut self,
        operator: Scalar,
        at: Span,
        sides: [Expr; 3],
        spans: [Span; 2],
    ) -> Bound<Expr> {
        let [value, low, high] = sides;
        let types = [value.ty, low.ty, high.ty];
        if let (Type::DateTime, Type::DateTime, Type::TimeSpan) = (value.ty, low.ty, high.ty) {
            let high = call(Scalar::Add, vec![low.clone(), high], Type::DateTime);
            return Ok(call(operator, vec![value, low, high], Type::Bool));
        }
        let numbers = is_number(value.ty) || is_number(low.ty) || is_number(high.ty);
        if numbers {
            for (side, span) in [(&low, spans[0]), (&high, spans[1])] {
                if !is_number(side.ty) && side.ty != Type::Dynamic {
                    return self.fail("KS137", span, "The expression value must be a number.");
                }
            }
        }
        let common = match (value.ty, low.ty, high.ty) {
            _ if numbers => types.iter().copied().filter(|ty| is_number(*ty)).reduce(wider).map(promoted),
            (Type::DateTime, Type::DateTime, Type::DateTime) => Some(Type::DateTime),
            (Type::TimeSpan, Type::TimeSpan, Type::TimeSpan) => Some(Type::TimeSpan),
            _ => None,
        };
        let fits = types.iter().all(|ty| Some(*ty) == common || is_number(*ty) || *ty == Type::Dynamic);
        match common {
            Some(ty) if fits => {
                let sides = [value, low, high].into_iter().map(|side| convert(side, ty)).collect();
                Ok(call(operator, sides, Type::Bool))
            }
            _ => Err(self.undefined(operator.name(), at, &types)),
        }
    }
}

fn mend(operator: &str, types: &[Type]) -> Option<String> {
    let text = types.first().is_some_and(|ty| is_number(*ty)) && types.get(1) == Some(&Type::String);
    if text && matches!(operator, "has" | "contains" | "startswith" | "endswith") {
        return Some("tostring(…) makes a text of the number.".to_owned());
    }
    if types.contains(&Type::String) && matches!(operator, "+" | "-" | "<" | ">" | "<=" | ">=") {
        return Some(match operator {
            "+" => "strcat(…) joins texts; tolong(…), todouble(…) or todatetime(…) converts one.".to_owned(),
            _ => {
                "tolong(…), todouble(…) or todatetime(…) converts a text; strcmp(…) orders texts.".to_owned()
            }
        });
    }
    None
}

/// None where the operator is not defined. Kusto's parser takes a few more pairs, such as the sum of two datetimes, which
/// mean nothing.
fn arithmetic(operator: Scalar, left: Expr, right: Expr) -> Option<Expr> {
    use Type::{DateTime, Dynamic, TimeSpan};
    let both = |ty: Type, left, right| Some(call(operator, vec![convert(left, ty), convert(right, ty)], ty));
    let mixed = |ty: Type, left, right| Some(call(operator, vec![left, right], ty));
    let sum = matches!(operator, Scalar::Add | Scalar::Subtract);
    match (left.ty, right.ty) {
        (a, b) if is_number(a) && is_number(b) => both(promoted(wider(a, b)), left, right),
        (Dynamic, Dynamic) => mixed(Dynamic, left, right),
        (Dynamic, b) if is_number(b) => both(promoted(b), left, right),
        (a, Dynamic) if is_number(a) => both(promoted(a), left, right),
        (TimeSpan, TimeSpan) => match operator {
            Scalar::Divide => mixed(Type::Real, left, right),
            Scalar::Multiply => None,
            _ => mixed(TimeSpan, left, right),
        },
        (TimeSpan, Dynamic) | (Dynamic, TimeSpan) if sum => both(TimeSpan, left, right),
        (DateTime, TimeSpan) => match operator {
            Scalar::Add | Scalar::Subtract => mixed(DateTime, left, right),
            Scalar::Divide => mixed(Type::Real, left, right),
            Scalar::Modulo => mixed(TimeSpan, left, right),
            _ => None,
        },
        (TimeSpan, DateTime) if operator == Scalar::Add => mixed(DateTime, left, right),
        (DateTime, DateTime) if operator == Scalar::Subtract => mixed(TimeSpan, left, right),
        (DateTime, Dynamic) | (Dynamic, DateTime) if operator == Scalar::Subtract => {
            mixed(TimeSpan, convert(left, DateTime), convert(right, DateTime))
        }
        (DateTime, Dynamic) if operator == Scalar::Add => mixed(DateTime, left, convert(right, TimeSpan)),
        (Dynamic, DateTime) if operator == Scalar::Add => mixed(DateTime, convert(left, TimeSpan), right),
        (TimeSpan, b) if is_number(b) && matches!(operator, Scalar::Multiply | Scalar::Divide) => {
            mixed(TimeSpan, left, factor(right))
        }
        (a, TimeSpan) if is_number(a) && operator == Scalar::Multiply => mixed(TimeSpan, factor(left), right),
        _ => None,
    }
}

/// What a timespan is multiplied by: a long or a real.
fn factor(number: Expr) -> Expr {
    match number.ty {
        Type::Int => convert(number, Type::Long),
        Type::Decimal => convert(number, Type::Real),
        _ => number,
    }
}

/// All types can be asked whether they are equal; the engine wants one type.
fn equality(operator: Scalar, left: Expr, right: Expr) -> Expr {
    let ty = meeting(left.ty, right.ty);
    call(operator, vec![convert(left, ty), convert(right, ty)], Type::Bool)
}

/// The type in which values of two types are compared: text against a number or a truth as texts, text against the others
/// as the others.
pub(super) fn meeting(left: Type, right: Type) -> Type {
    use Type::{Bool, DateTime, Dynamic, Guid, String, TimeSpan};
    match (left, right) {
        (a, b) if a == b => a,
        (Dynamic, b) => promoted(b),
        (a, Dynamic) => promoted(a),
        (a, b) if is_number(a) && is_number(b) => promoted(wider(a, b)),
        (Bool, b) if is_number(b) => promoted(b),
        (a, Bool) if is_number(a) => promoted(a),
        (String, other @ (DateTime | TimeSpan | Guid | Bool))
        | (other @ (DateTime | TimeSpan | Guid | Bool), String) => other,
        _ => String,
    }
}

#[expect(clippy::match_same_arms, reason = "one arm for each rule, in their order")]
fn comparison(operator: Scalar, left: Expr, right: Expr) -> Option<Expr> {
    use Type::{Bool, DateTime, Dynamic, TimeSpan};
    let ty = match (left.ty, right.ty) {
        (a, b) if is_number(a) && is_number(b) => promoted(wider(a, b)),
        (Bool, Bool) => Type::Long,
        (Bool, b) if is_number(b) => promoted(b),
        (TimeSpan, TimeSpan) => TimeSpan,
        (DateTime, DateTime) => DateTime,
        (Dynamic, Dynamic) => Dynamic,
        (Dynamic, b) if is_number(b) => promoted(b),
        (a, Dynamic) if is_number(a) => promoted(a),
        _ => return None,
    };
    Some(call(operator, vec![convert(left, ty), convert(right, ty)], Bool))
}

/// Predicates of text: both sides become text.
fn predicate(operator: Scalar, left: Expr, right: Expr) -> Option<Expr> {
    let is_text = |expr: &Expr| matches!(expr.ty, Type::String | Type::Dynamic);
    (is_text(&left) && is_text(&right)).then(|| {
        let sides = vec![convert(left, Type::String), convert(right, Type::String)];
        call(operator, sides, Type::Bool)
    })
}

/// Whether all rows see the same value.
pub(super) fn is_constant(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Literal(_) | ExprKind::ScalarQuery(_) => true,
        ExprKind::Column(_) | ExprKind::InQuery { .. } => false,
        ExprKind::Call { args, .. } => args.iter().all(is_constant),
        ExprKind::Path { base, steps } => {
            is_constant(base)
                && steps.iter().all(|step| match step {
                    crate::Step::Computed(expr) => is_constant(expr),
                    crate::Step::Member(_) | crate::Step::Index(_) => true,
                })
        }
    }
}

//! What `DataFusion` can say itself, exactly as Kusto means it: such expressions prune files and cost least. Owns the
//! choice; must not know kernels.

use datafusion::common::{Result, plan_err};
use datafusion::functions::core::expr_fn;
use datafusion::logical_expr::expr_fn::{binary_expr, cast, in_list};
use datafusion::logical_expr::{Expr, Operator, lit, when};
use datafusion::scalar::ScalarValue;
use dps_kql::{Scalar, Type};

use super::arrow_type;
use super::regex::compile;

/// The native expression, where there is one with the same meaning.
pub fn lower(function: Scalar, args: &[Expr], types: &[Type], ty: Type) -> Option<Expr> {
    match function {
        Scalar::And => args.iter().cloned().reduce(Expr::and),
        Scalar::Or => args.iter().cloned().reduce(Expr::or),
        Scalar::Not => args.first().cloned().map(|arg| Expr::Not(Box::new(arg))),
        Scalar::Iff | Scalar::Case => choice(args, types, ty),
        Scalar::Coalesce if !matches!(ty, Type::String | Type::Dynamic) && types.iter().all(|t| *t == ty) => {
            Some(expr_fn::coalesce(args.to_vec()))
        }
        Scalar::IsNull | Scalar::IsNotNull | Scalar::IsEmpty | Scalar::IsNotEmpty => {
            emptiness(function, args.first()?, *types.first()?)
        }
        Scalar::Equal | Scalar::NotEqual => equality(function == Scalar::NotEqual, args, types),
        Scalar::Less | Scalar::LessOrEqual | Scalar::Greater | Scalar::GreaterOrEqual => {
            ordering(function, args, types)
        }
        Scalar::Between | Scalar::NotBetween => between(function == Scalar::NotBetween, args, types),
        Scalar::In | Scalar::NotIn => membership(function == Scalar::NotIn, args, types),
        Scalar::Add | Scalar::Subtract | Scalar::Multiply | Scalar::Divide | Scalar::Negate => {
            arithmetic(function, args, types, ty)
        }
        Scalar::ToBool
        | Scalar::ToInt
        | Scalar::ToLong
        | Scalar::ToReal
        | Scalar::ToDecimal
        | Scalar::ToString
        | Scalar::ToDateTime
        | Scalar::ToTimeSpan
        | Scalar::ToGuid
        | Scalar::ToDynamic => conversion(args, types, ty),
        Scalar::Pi => Some(lit(std::f64::consts::PI)),
        _ => None,
    }
}

/// Literal patterns are judged before a query runs.
pub fn check_patterns(function: Scalar, args: &[Expr]) -> Result<()> {
    let place = match function {
        Scalar::MatchesRegex | Scalar::ReplaceRegex | Scalar::IndexOfRegex => 1,
        Scalar::Extract | Scalar::ExtractAll | Scalar::Trim | Scalar::TrimStart | Scalar::TrimEnd => 0,
        _ => return Ok(()),
    };
    let Some(Expr::Literal(ScalarValue::Utf8(Some(pattern)), _)) = args.get(place) else { return Ok(()) };
    match compile(pattern) {
        Ok(_) => Ok(()),
        Err(error) => plan_err!("{}: the regular expression is not valid: {error}", function.name()),
    }
}

/// Types whose order in Arrow is Kusto's. A real's is not: NaN has a place there.
fn is_ordered(ty: Type) -> bool {
    !matches!(ty, Type::Real | Type::Dynamic)
}

fn is_value(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(value, _) if !value.is_null())
}

fn choice(args: &[Expr], types: &[Type], ty: Type) -> Option<Expr> {
    let (otherwise, pairs) = args.split_last()?;
    let of_type = |index: usize| types.get(index).is_some_and(|found| *found == ty);
    let (pairs, rest) = pairs.as_chunks::<2>();
    if pairs.is_empty() || !rest.is_empty() || !of_type(args.len() - 1) {
        return None;
    }
    if !(0..pairs.len()).all(|pair| of_type(2 * pair + 1)) {
        return None;
    }
    let mut pairs = pairs.iter().cloned();
    let [condition, value] = pairs.next()?;
    let mut builder = when(condition, value);
    for [condition, value] in pairs {
        builder = builder.when(condition, value);
    }
    builder.otherwise(otherwise.clone()).ok()
}

fn emptiness(function: Scalar, arg: &Expr, ty: Type) -> Option<Expr> {
    let arg = arg.clone();
    Some(match (function, ty) {
        (Scalar::IsNull, Type::String) => lit(false),
        (Scalar::IsNotNull, Type::String) => lit(true),
        (Scalar::IsEmpty, Type::String) => arg.eq(lit("")),
        (Scalar::IsNotEmpty, Type::String) => arg.not_eq(lit("")),
        (Scalar::IsEmpty | Scalar::IsNotEmpty, Type::Dynamic) => return None,
        (Scalar::IsNull | Scalar::IsEmpty, _) => arg.is_null(),
        _ => arg.is_not_null(),
    })
}

/// Null against a value is false, and its contrary true. A column and a literal are said so that files are pruned.
fn equality(negated: bool, args: &[Expr], types: &[Type]) -> Option<Expr> {
    let ([left, right], [left_type, right_type]) = (args, types) else { return None };
    if left_type != right_type || !is_ordered(*left_type) {
        return None;
    }
    let operator = if negated { Operator::NotEq } else { Operator::Eq };
    let compared = binary_expr(left.clone(), operator, right.clone());
    if *left_type == Type::String {
        return Some(compared);
    }
    let column = match (left, right) {
        (Expr::Column(_), value) if is_value(value) => left.clone(),
        (value, Expr::Column(_)) if is_value(value) => right.clone(),
        _ => return None,
    };
    Some(total(compared, column, negated))
}

fn total(compared: Expr, column: Expr, negated: bool) -> Expr {
    if negated { compared.or(column.is_null()) } else { compared.and(column.is_not_null()) }
}

fn ordering(function: Scalar, args: &[Expr], types: &[Type]) -> Option<Expr> {
    let ([left, right], [left_type, right_type]) = (args, types) else { return None };
    if left_type != right_type || !is_ordered(*left_type) {
        return None;
    }
    let operator = match function {
        Scalar::Less => Operator::Lt,
        Scalar::LessOrEqual => Operator::LtEq,
        Scalar::Greater => Operator::Gt,
        _ => Operator::GtEq,
    };
    Some(binary_expr(left.clone(), operator, right.clone()))
}

fn between(negated: bool, args: &[Expr], types: &[Type]) -> Option<Expr> {
    let ([value, low, high], [ty, rest @ ..]) = (args, types) else { return None };
    if !is_ordered(*ty) || rest.iter().any(|other| other != ty) {
        return None;
    }
    let (value, low, high) = (value.clone(), low.clone(), high.clone());
    Some(if negated {
        value.clone().lt(low).or(value.gt(high))
    } else {
        value.clone().gt_eq(low).and(value.lt_eq(high))
    })
}

fn membership(negated: bool, args: &[Expr], types: &[Type]) -> Option<Expr> {
    let ([value, list @ ..], [ty, rest @ ..]) = (args, types) else { return None };
    if list.is_empty()
        || !is_ordered(*ty)
        || rest.iter().any(|other| other != ty)
        || !list.iter().all(is_value)
    {
        return None;
    }
    let found = in_list(value.clone(), list.to_vec(), negated);
    match (ty, value) {
        (Type::String, _) => Some(found),
        (_, Expr::Column(_)) => Some(total(found, value.clone(), negated)),
        _ => None,
    }
}

/// Whole numbers wrap, as Kusto's do; doubles are IEEE's. Datetimes, decimals and whole division have kernels.
fn arithmetic(function: Scalar, args: &[Expr], types: &[Type], ty: Type) -> Option<Expr> {
    let number = |allowed: &[Type]| types.iter().all(|ty| allowed.contains(ty));
    let native = match ty {
        Type::Real if function == Scalar::Divide && number(&[Type::TimeSpan]) => true,
        Type::Real => number(&[Type::Int, Type::Long, Type::Real]),
        Type::Long | Type::Int if function == Scalar::Divide => false,
        Type::Long => number(&[Type::Int, Type::Long]),
        Type::Int => number(&[Type::Int]),
        Type::TimeSpan if matches!(function, Scalar::Add | Scalar::Subtract | Scalar::Negate) => {
            number(&[Type::TimeSpan])
        }
        _ => false,
    };
    if !native {
        return None;
    }
    let same = |(arg, found): (&Expr, &Type)| {
        if arrow_type(*found) == arrow_type(ty) { arg.clone() } else { cast(arg.clone(), arrow_type(ty)) }
    };
    let args: Vec<Expr> = args.iter().zip(types).map(same).collect();
    match (function, args.as_slice()) {
        (Scalar::Negate, [arg]) if ty == Type::Real => Some(Expr::Negative(Box::new(arg.clone()))),
        (Scalar::Negate, [arg]) => {
            let zero = if ty == Type::Int { lit(0_i32) } else { lit(0_i64) };
            Some(binary_expr(zero, Operator::Minus, arg.clone()))
        }
        (_, [left, right]) => {
            let operator = match function {
                Scalar::Add => Operator::Plus,
                Scalar::Subtract => Operator::Minus,
                Scalar::Multiply => Operator::Multiply,
                _ => Operator::Divide,
            };
            Some(binary_expr(left.clone(), operator, right.clone()))
        }
        _ => None,
    }
}

fn conversion(args: &[Expr], types: &[Type], ty: Type) -> Option<Expr> {
    let ([arg], [from]) = (args, types) else { return None };
    if *from == ty {
        return Some(arg.clone());
    }
    match (from, ty) {
        (Type::DateTime | Type::TimeSpan, Type::Long) => Some(arg.clone()),
        (Type::Int, Type::Long | Type::Real) | (Type::Long, Type::Real) => {
            Some(cast(arg.clone(), arrow_type(ty)))
        }
        _ => None,
    }
}

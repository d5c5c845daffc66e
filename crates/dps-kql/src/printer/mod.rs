//! The syntax tree as text again: one canonical spelling, which reads back to the same tree. Must not know the original.

mod literal;
mod operator;
#[cfg(test)]
mod tests;

use crate::Scalar;
use crate::ast::{
    Call, Column, Expr, ExprKind, Function, Let, LetValue, Name, Named, ParameterKind, PathStep, QueryBlock,
    Setting, SettingValue, Statement,
};
use crate::keyword;
use crate::lexer::{TokenKind, lex};
use crate::parser::{Level, level_of};
use std::fmt::{Display, Formatter, Result};

impl Display for QueryBlock {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        joined(to, &self.statements, ";\n")
    }
}

impl Display for Statement {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        match self {
            Self::Let(let_) => let_.fmt(to),
            Self::Set { name, value: None } => write!(to, "set {}", name.text),
            Self::Set { name, value: Some(value) } => write!(to, "set {} = {value}", name.text),
            Self::Query(expr) => expr.fmt(to),
        }
    }
}

impl Display for Let {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        write!(to, "let {} = ", self.name)?;
        match &self.value {
            LetValue::Expr(expr) => expr.fmt(to),
            LetValue::Function(function) => function.fmt(to),
        }
    }
}

impl Display for Function {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        to.write_str(if self.view { "view (" } else { "(" })?;
        for (index, parameter) in self.parameters.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(to, "{comma}{}:", parameter.name)?;
            match &parameter.kind {
                ParameterKind::Scalar { ty, default: None } => to.write_str(ty.name())?,
                ParameterKind::Scalar { ty, default: Some(default) } => {
                    write!(to, "{} = {default}", ty.name())?;
                }
                ParameterKind::Tabular(columns) if columns.is_empty() => to.write_str("(*)")?,
                ParameterKind::Tabular(columns) => schema(to, columns)?,
            }
        }
        to.write_str(") { ")?;
        for let_ in &self.lets {
            write!(to, "{let_}; ")?;
        }
        write!(to, "{} }}", self.result)
    }
}

/// Within nothing: pipes need no parentheses.
impl Display for Expr {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        match &self.kind {
            ExprKind::Pipe { source, operators } => {
                match &source.kind {
                    ExprKind::Pipe { .. } => write!(to, "({source})")?,
                    _ => source.fmt(to)?,
                }
                operators.iter().try_for_each(|operator| write!(to, "\n| {operator}"))
            }
            ExprKind::Leading(operator) => operator.fmt(to),
            kind => Tight(self, level(kind)).fmt(to),
        }
    }
}

impl Display for Named {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        match self.names.as_slice() {
            [] => {}
            [name] => write!(to, "{name} = ")?,
            names => {
                to.write_str("(")?;
                joined(to, names, ", ")?;
                to.write_str(") = ")?;
            }
        }
        Tight(&self.expr, Level::Or).fmt(to)
    }
}

/// In brackets and quotes where it could not stand everywhere as it is.
impl Display for Name {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        let bare = is_word(&self.text)
            && keyword::may_be_value(&self.text)
            && keyword::may_be_given(&self.text)
            && !crate::parser::is_operator(&self.text)
            // Alone in a statement, they would begin one of another kind.
            && !matches!(self.text.as_str(), "let" | "set" | "declare" | "alias" | "restrict");
        if bare { to.write_str(&self.text) } else { write!(to, "[{}]", literal::Quoted(&self.text)) }
    }
}

impl Display for Call {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        write!(to, "{}(", self.name.text)?;
        let query = matches!(self.name.text.as_str(), "toscalar" | "totable" | "materialize");
        match self.args.as_slice() {
            [only] if query => only.expr.fmt(to)?,
            args => joined(to, args, ", ")?,
        }
        to.write_str(")")
    }
}

impl Display for PathStep {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        match self {
            Self::Member(name) => write!(to, ".{name}"),
            Self::Index(index) => write!(to, "[{}]", Tight(index, Level::Or)),
            Self::Call(call) => write!(to, ".{call}"),
        }
    }
}

impl Display for Setting {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        write!(to, "{}={}", self.name.text, self.value)
    }
}

impl Display for SettingValue {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        match self {
            Self::Name(name) if is_word(&name.text) && name.text != "dynamic" => to.write_str(&name.text),
            Self::Name(name) => write!(to, "[{}]", literal::Quoted(&name.text)),
            Self::Literal(expr) => expr.fmt(to),
        }
    }
}

/// An expression where only what binds at least so tightly needs no parentheses.
struct Tight<'a>(&'a Expr, Level);

impl Display for Tight<'_> {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        let Self(expr, least) = *self;
        if matches!(expr.kind, ExprKind::Pipe { .. } | ExprKind::Leading(_)) || level(&expr.kind) < least {
            return write!(to, "({expr})");
        }
        match &expr.kind {
            ExprKind::Literal(value) => literal::Printed(value).fmt(to),
            ExprKind::TypeOf(columns) => match columns.as_slice() {
                [lone] if lone.name.text.is_empty() => write!(to, "typeof({})", lone.ty.name()),
                columns => {
                    to.write_str("typeof")?;
                    schema(to, columns)
                }
            },
            ExprKind::Name(text) => Name { text: text.clone(), span: expr.span }.fmt(to),
            ExprKind::Star => to.write_str("*"),
            ExprKind::Call(call) => call.fmt(to),
            ExprKind::Path { base, steps } => path(to, base, steps),
            ExprKind::Negate(inner) => write!(to, "-{}", Tight(inner, Level::Primary)),
            ExprKind::Binary { operator, left, right, .. } => binary(to, *operator, left, right),
            ExprKind::Logical { operator, operands } => {
                let tighter = level_of(*operator).tighter();
                let between = format!(" {} ", operator.name());
                let operands: Vec<Tight<'_>> =
                    operands.iter().map(|operand| Tight(operand, tighter)).collect();
                joined(to, &operands, &between)
            }
            ExprKind::In { operator, value, list, .. } => {
                write!(to, "{} {} (", Tight(value, Level::Relation), operator.name())?;
                let list: Vec<Tight<'_>> = list.iter().map(|item| Tight(item, Level::Or)).collect();
                joined(to, &list, ", ")?;
                to.write_str(")")
            }
            ExprKind::Between { negated, value, low, high, .. } => {
                let word = if *negated { "!between" } else { "between" };
                let (low, high) = (Tight(low, Level::Or), Tight(high, Level::Or));
                write!(to, "{} {word} ({low} .. {high})", Tight(value, Level::Relation))
            }
            ExprKind::DataTable { columns, values } => {
                to.write_str("datatable ")?;
                schema(to, columns)?;
                to.write_str(" [")?;
                joined(to, values, ", ")?;
                to.write_str("]")
            }
            ExprKind::Pipe { .. } | ExprKind::Leading(_) => Ok(()),
        }
    }
}

fn binary(to: &mut Formatter<'_>, operator: Scalar, left: &Expr, right: &Expr) -> Result {
    let level = level_of(operator);
    let left = Tight(left, if level.chains() { level } else { level.tighter() });
    write!(to, "{left} {} {}", operator.name(), Tight(right, level.tighter()))
}

fn path(to: &mut Formatter<'_>, base: &Expr, steps: &[PathStep]) -> Result {
    match &base.kind {
        // `5.a` would be a number with a dot.
        ExprKind::Literal(_) | ExprKind::Path { .. } => write!(to, "({base})")?,
        _ => Tight(base, Level::Primary).fmt(to)?,
    }
    steps.iter().try_for_each(|step| step.fmt(to))
}

fn level(kind: &ExprKind) -> Level {
    match kind {
        ExprKind::Logical { operator, .. }
        | ExprKind::Binary { operator, .. }
        | ExprKind::In { operator, .. } => level_of(*operator),
        ExprKind::Between { .. } => Level::Equality,
        ExprKind::Negate(_) => Level::Unary,
        _ => Level::Primary,
    }
}

fn schema(to: &mut Formatter<'_>, columns: &[Column]) -> Result {
    to.write_str("(")?;
    for (index, column) in columns.iter().enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        write!(to, "{comma}{}:{}", column.name, column.ty.name())?;
    }
    to.write_str(")")
}

fn joined<T: Display>(to: &mut Formatter<'_>, items: &[T], between: &str) -> Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            to.write_str(between)?;
        }
        item.fmt(to)?;
    }
    Ok(())
}

/// Whether a text is one word to the lexer, and nothing else.
fn is_word(text: &str) -> bool {
    let lexed = lex(text);
    let [word, _end] = lexed.tokens.as_slice() else { return false };
    word.kind == TokenKind::Word && (word.span.start, word.span.end) == (0, text.len())
}

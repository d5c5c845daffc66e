//! Conditions as text that reads back to the same condition.

use std::fmt::{Display, Formatter, Result, Write as _};

use super::lexer::is_word;
use super::syntax::{Condition, Literal, Operand, Operator, Path, Step, TextFunction};

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Constant(value) => write!(f, "{value}"),
            Self::And(parts) => joined(f, parts, " AND "),
            Self::Or(parts) => joined(f, parts, " OR "),
            Self::Not(inner) => {
                f.write_str("NOT ")?;
                inner.fmt_within(f)
            }
            Self::Compare(left, operator, right) => write!(f, "{left} {operator} {right}"),
            Self::In { operand, negated, list } => {
                let not = if *negated { "NOT " } else { "" };
                write!(f, "{operand} {not}IN (")?;
                for (index, literal) in list.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{literal}")?;
                }
                f.write_char(')')
            }
            Self::IsDefined(path) => write!(f, "IS_DEFINED({path})"),
            Self::IsTrue(path) => path.fmt(f),
            Self::ArrayContains(path, literal) => write!(f, "ARRAY_CONTAINS({path}, {literal})"),
            Self::Text { function, operand, part, ignore_case } => {
                let case = if *ignore_case { ", true" } else { "" };
                write!(f, "{}({operand}, {}{case})", function.name(), Quoted(part))
            }
        }
    }
}

impl Condition {
    /// In parentheses where it would otherwise join its surroundings.
    fn fmt_within(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::And(_) | Self::Or(_) => write!(f, "({self})"),
            _ => self.fmt(f),
        }
    }
}

fn joined(f: &mut Formatter<'_>, parts: &[Condition], by: &str) -> Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(by)?;
        }
        part.fmt_within(f)?;
    }
    Ok(())
}

impl TextFunction {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::StartsWith => "STARTSWITH",
            Self::EndsWith => "ENDSWITH",
            Self::Contains => "CONTAINS",
        }
    }
}

impl Display for Operator {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let written = Self::WRITTEN.iter().find(|(_, operator)| operator == self);
        f.write_str(written.map_or("", |(text, _)| text))
    }
}

impl Display for Operand {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Path(path) => path.fmt(f),
            Self::Literal(literal) => literal.fmt(f),
        }
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Flag(value) => write!(f, "{value}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) | Self::Time { text, .. } => Quoted(text).fmt(f),
        }
    }
}

/// A text between single quotes; a quote within is doubled.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "'{}'", self.0.replace('\'', "''"))
    }
}

impl Display for Path {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for (index, step) in self.steps.iter().enumerate() {
            match step {
                Step::Name(name) if index == 0 => f.write_str(name)?,
                Step::Name(name) if is_word(name) => write!(f, ".{name}")?,
                Step::Name(name) => write!(f, "[{}]", Quoted(name))?,
                Step::Index(place) => write!(f, "[{place}]")?,
            }
        }
        Ok(())
    }
}

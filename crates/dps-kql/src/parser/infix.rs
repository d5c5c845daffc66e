//! What may stand between two operands, and how tightly it binds.

use super::Parser;
use crate::Scalar;

/// An operator with two sides.
#[derive(Clone, Copy)]
pub(super) enum Infix {
    /// `or`, `and`: chains.
    Logical(Scalar),
    /// Two operands.
    Binary(Scalar),
    /// A list in parentheses.
    In(Scalar),
    /// Two bounds in parentheses; negated.
    Between(bool),
    /// Old operators that no documentation has any more.
    Like,
}

/// How tightly operators bind; each binds tighter than the one before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Or,
    And,
    Equality,
    Relation,
    Sum,
    Product,
    Text,
    Unary,
    Primary,
}

impl Level {
    /// The next tighter one.
    pub(crate) const fn tighter(self) -> Self {
        match self {
            Self::Or => Self::And,
            Self::And => Self::Equality,
            Self::Equality => Self::Relation,
            Self::Relation => Self::Sum,
            Self::Sum => Self::Product,
            Self::Product => Self::Text,
            Self::Text => Self::Unary,
            Self::Unary | Self::Primary => Self::Primary,
        }
    }

    /// Whether another of the same level may follow: `1 + 2 - 3` is legal, `1 < 2 < 3` is not.
    pub(crate) const fn chains(self) -> bool {
        matches!(self, Self::Or | Self::And | Self::Sum | Self::Product)
    }
}

/// Level of an operator in text.
pub(crate) fn level_of(operator: Scalar) -> Level {
    match operator {
        Scalar::Or => Level::Or,
        Scalar::And => Level::And,
        Scalar::Equal
        | Scalar::NotEqual
        | Scalar::In
        | Scalar::NotIn
        | Scalar::InIgnoreCase
        | Scalar::NotInIgnoreCase
        | Scalar::HasAny
        | Scalar::HasAll
        | Scalar::Between
        | Scalar::NotBetween => Level::Equality,
        Scalar::Less | Scalar::LessOrEqual | Scalar::Greater | Scalar::GreaterOrEqual => Level::Relation,
        Scalar::Add | Scalar::Subtract => Level::Sum,
        Scalar::Multiply | Scalar::Divide | Scalar::Modulo => Level::Product,
        _ => Level::Text,
    }
}

impl Infix {
    pub(super) fn level(self) -> Level {
        match self {
            Self::Logical(operator) | Self::Binary(operator) | Self::In(operator) => level_of(operator),
            Self::Between(_) => Level::Equality,
            Self::Like => Level::Text,
        }
    }

    fn of(text: &str) -> Option<Self> {
        Some(match text {
            "or" => Self::Logical(Scalar::Or),
            "and" => Self::Logical(Scalar::And),
            "in" => Self::In(Scalar::In),
            "!in" => Self::In(Scalar::NotIn),
            "in~" => Self::In(Scalar::InIgnoreCase),
            "!in~" => Self::In(Scalar::NotInIgnoreCase),
            "has_any" => Self::In(Scalar::HasAny),
            "has_all" => Self::In(Scalar::HasAll),
            "between" => Self::Between(false),
            "!between" => Self::Between(true),
            "like" | "likecs" | "notlike" | "notlikecs" => Self::Like,
            _ => Self::Binary(Self::binary(text)?),
        })
    }

    fn binary(text: &str) -> Option<Scalar> {
        Some(match text {
            "==" => Scalar::Equal,
            "!=" | "<>" => Scalar::NotEqual,
            "<" => Scalar::Less,
            "<=" => Scalar::LessOrEqual,
            ">" => Scalar::Greater,
            ">=" => Scalar::GreaterOrEqual,
            "+" => Scalar::Add,
            "-" => Scalar::Subtract,
            "*" => Scalar::Multiply,
            "/" => Scalar::Divide,
            "%" => Scalar::Modulo,
            _ => Self::text(text)?,
        })
    }

    fn text(text: &str) -> Option<Scalar> {
        Some(match text {
            "=~" => Scalar::EqualIgnoreCase,
            "!~" => Scalar::NotEqualIgnoreCase,
            ":" | "has" => Scalar::Has,
            "!has" => Scalar::NotHas,
            "has_cs" => Scalar::HasCs,
            "!has_cs" => Scalar::NotHasCs,
            "hasprefix" => Scalar::HasPrefix,
            "!hasprefix" => Scalar::NotHasPrefix,
            "hasprefix_cs" => Scalar::HasPrefixCs,
            "!hasprefix_cs" => Scalar::NotHasPrefixCs,
            "hassuffix" => Scalar::HasSuffix,
            "!hassuffix" => Scalar::NotHasSuffix,
            "hassuffix_cs" => Scalar::HasSuffixCs,
            "!hassuffix_cs" => Scalar::NotHasSuffixCs,
            "contains" => Scalar::Contains,
            "!contains" | "notcontains" => Scalar::NotContains,
            "contains_cs" | "containscs" => Scalar::ContainsCs,
            "!contains_cs" | "notcontainscs" => Scalar::NotContainsCs,
            "startswith" => Scalar::StartsWith,
            "!startswith" => Scalar::NotStartsWith,
            "startswith_cs" => Scalar::StartsWithCs,
            "!startswith_cs" => Scalar::NotStartsWithCs,
            "endswith" => Scalar::EndsWith,
            "!endswith" => Scalar::NotEndsWith,
            "endswith_cs" => Scalar::EndsWithCs,
            "!endswith_cs" => Scalar::NotEndsWithCs,
            "matches" => Scalar::MatchesRegex,
            _ => return None,
        })
    }
}

impl Parser<'_> {
    /// The operator that stands so many tokens ahead.
    pub(super) fn infix(&self, by: usize) -> Option<Infix> {
        let text = self.written(by);
        let behind = self.written(by + 1);
        // `on x in range(…)` of `make-series` is not a list; `matches` is half an operator.
        if text == "in" && behind == "range" || text == "matches" && behind != "regex" {
            return None;
        }
        Infix::of(text)
    }

    /// Whether an operator stands there that takes `*` on its left.
    pub(super) fn takes_star(&self, by: usize) -> bool {
        match self.infix(by) {
            Some(Infix::Binary(operator)) => operator == Scalar::Equal || level_of(operator) == Level::Text,
            _ => false,
        }
    }
}

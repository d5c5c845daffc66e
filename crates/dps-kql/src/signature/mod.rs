//! What every function of the language takes and yields, and how a column that nobody named is called after it. Owns the
//! tables and the search in them; must not know expressions or scopes.

mod aggregate;
mod bags;
mod flow;
mod numbers;
mod series;
mod several;
mod text;
mod time;

pub(crate) use several::several;

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::{Aggregate, Scalar, Type};

/// What a parameter accepts, and what the argument is made into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wants {
    /// Any value, as it is.
    Any,
    /// Any value; it becomes a string.
    Text,
    /// This type and what widens to it; it becomes that type.
    Is(Type),
    /// String or dynamic, as it is.
    TextOrDynamic,
    /// Int or long; it becomes a long.
    Integer,
    /// Any number, as it is.
    Number,
    /// Any number; it becomes a real.
    Real,
    /// Any number; it becomes what the call yields.
    Widest,
    /// A number, datetime or timespan, as it is.
    Summable,
    /// What can be sorted, as it is.
    Orderable,
    /// Anything but dynamic, as it is.
    NotDynamic,
    /// A dynamic array.
    Array,
    /// A dynamic object.
    Bag,
    /// A dynamic array, or an integer, which becomes a long.
    IntegerOrArray,
    /// One type with the others of its kind; it becomes that.
    Common,
    /// The same, of what can be sorted.
    CommonOrderable,
    /// The same; where the others differ all become dynamic.
    CommonOrDynamic,
    /// `typeof(…)`, which names what the call yields and is no argument of the plan.
    TypeLiteral,
}

/// What an argument must be besides its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing.
    Anything,
    /// The same for all rows.
    Constant,
    /// Written down.
    Literal,
    /// Written down, and not empty.
    NotEmpty,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

/// A parameter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Param {
    pub(crate) wants: Wants,
    pub(crate) need: Need,
    pub(crate) optional: bool,
}

impl Param {
    const fn new(wants: Wants) -> Self {
        Self { wants, need: Need::Anything, optional: false }
    }

    const fn opt(self) -> Self {
        Self { optional: true, ..self }
    }

    const fn constant(self) -> Self {
        Self { need: Need::Constant, ..self }
    }

    const fn need(self, need: Need) -> Self {
        Self { need, ..self }
    }
}

/// How parameters meet arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One for one.
    Fixed,
    /// The last parameters, so many of them, again and again, up to so many arguments in all.
    Repeating { group: usize, most: usize },
    /// All but the last parameter again and again, then the last: `case`.
    Cases,
}

/// What a call yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Yields {
    /// This.
    Is(Type),
    /// What the first argument is.
    First,
    /// The same, but a long for an int.
    FirstPromoted,
    /// The widest number among the arguments, a long for an int.
    Widest,
    /// The type that the `Common` arguments have in common.
    Common,
    /// The same, dynamics left out where others are there.
    CommonNotDynamic,
    /// What `typeof(…)` said.
    TypeLiteral,
}

/// A way to call a function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signature {
    pub(crate) params: &'static [Param],
    pub(crate) layout: Layout,
    pub(crate) yields: Yields,
}

impl Signature {
    /// Fewest and most arguments.
    pub(crate) fn arity(&self) -> (usize, usize) {
        let required = self.params.iter().filter(|param| !param.optional).count();
        match self.layout {
            Layout::Fixed => (required, self.params.len()),
            Layout::Repeating { most, .. } => (required, most),
            Layout::Cases => (required, MOST_ARGUMENTS),
        }
    }

    /// The parameter of the argument at `index` of `count`.
    #[expect(clippy::match_same_arms, reason = "one arm for each layout, in its two halves")]
    pub(crate) fn param(&self, index: usize, count: usize) -> Option<&'static Param> {
        let len = self.params.len();
        match self.layout {
            Layout::Fixed => self.params.get(index),
            Layout::Repeating { group, .. } if index >= len => {
                let first = len.saturating_sub(group);
                self.params.get(first + (index - first) % group.max(1))
            }
            Layout::Repeating { .. } => self.params.get(index),
            Layout::Cases if index + 1 == count => self.params.last(),
            Layout::Cases => self.params.get(index % (len.saturating_sub(1)).max(1)),
        }
    }

    /// Whether so many arguments can be.
    pub(crate) fn takes(&self, count: usize) -> bool {
        let (least, most) = self.arity();
        let whole = match self.layout {
            Layout::Fixed => true,
            Layout::Repeating { group, .. } => {
                count <= self.params.len() || (count - self.params.len()).is_multiple_of(group.max(1))
            }
            Layout::Cases => count % 2 == 1,
        };
        (least..=most).contains(&count) && whole
    }
}

/// How a column is called that such a call makes and nobody named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// `Column1`, and the empty name within others.
    None,
    /// As the first argument is called.
    First,
    /// The same, when it is the only one.
    Only,
    /// `prefix_argument`.
    Prefix(&'static str),
    /// `argument_suffix`.
    Suffix(&'static str),
}

/// A function of one row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScalarFunction {
    /// Its preferred name, then old ones.
    pub(crate) names: &'static [&'static str],
    pub(crate) function: Scalar,
    /// Tried in order; of one, errors are more precise.
    pub(crate) signatures: &'static [Signature],
    pub(crate) naming: Naming,
}

/// A function of many rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AggregateFunction {
    pub(crate) names: &'static [&'static str],
    pub(crate) function: Aggregate,
    pub(crate) signatures: &'static [Signature],
    /// Before `_` and the argument's name.
    pub(crate) naming: Naming,
}

/// Arguments that one call can have where the language knows no end: more than a query's text could hold in sense.
pub(crate) const MOST_ARGUMENTS: usize = 32_767;

/// The function of that name.
pub(crate) fn scalar(name: &str) -> Option<&'static ScalarFunction> {
    SCALARS.get(name).copied()
}

/// The aggregate of that name.
pub(crate) fn aggregate(name: &str) -> Option<&'static AggregateFunction> {
    AGGREGATES.get(name).copied()
}

/// All functions of one row.
pub(crate) fn scalars() -> impl Iterator<Item = &'static ScalarFunction> {
    [flow::TABLE, numbers::TABLE, text::TABLE, time::TABLE, bags::TABLE, series::TABLE].into_iter().flatten()
}

/// All aggregates.
pub(crate) fn aggregates() -> impl Iterator<Item = &'static AggregateFunction> {
    aggregate::TABLE.iter()
}

static SCALARS: LazyLock<HashMap<&'static str, &'static ScalarFunction>> =
    LazyLock::new(|| scalars().flat_map(|row| row.names.iter().map(move |name| (*name, row))).collect());

static AGGREGATES: LazyLock<HashMap<&'static str, &'static AggregateFunction>> =
    LazyLock::new(|| aggregates().flat_map(|row| row.names.iter().map(move |name| (*name, row))).collect());

const fn row(
    names: &'static [&'static str],
    function: Scalar,
    signatures: &'static [Signature],
    naming: Naming,
) -> ScalarFunction {
    ScalarFunction { names, function, signatures, naming }
}

const fn sig(params: &'static [Param], yields: Yields) -> Signature {
    Signature { params, layout: Layout::Fixed, yields }
}

const fn to(params: &'static [Param], ty: Type) -> Signature {
    sig(params, Yields::Is(ty))
}

const fn many(params: &'static [Param], group: usize, most: usize, yields: Yields) -> Signature {
    Signature { params, layout: Layout::Repeating { group, most }, yields }
}

const ANY: Param = Param::new(Wants::Any);
const TEXT: Param = Param::new(Wants::Text);
const STRING: Param = Param::new(Wants::Is(Type::String));
const PATTERN: Param = STRING.constant();
const LONG: Param = Param::new(Wants::Is(Type::Long));
const REAL_ONLY: Param = Param::new(Wants::Is(Type::Real));
const BOOL: Param = Param::new(Wants::Is(Type::Bool));
const DATETIME: Param = Param::new(Wants::Is(Type::DateTime));
const TIMESPAN: Param = Param::new(Wants::Is(Type::TimeSpan));
const TEXT_OR_DYNAMIC: Param = Param::new(Wants::TextOrDynamic);
const INTEGER: Param = Param::new(Wants::Integer);
const NUMBER: Param = Param::new(Wants::Number);
const REAL: Param = Param::new(Wants::Real);
const WIDEST: Param = Param::new(Wants::Widest);
const SUMMABLE: Param = Param::new(Wants::Summable);
const ORDERABLE: Param = Param::new(Wants::Orderable);
const NOT_DYNAMIC: Param = Param::new(Wants::NotDynamic);
const ARRAY: Param = Param::new(Wants::Array);
const BAG: Param = Param::new(Wants::Bag);
const TYPE_LITERAL: Param = Param::new(Wants::TypeLiteral);

/// `now(offset)`.
pub(crate) const NOW: Signature = to(&[TIMESPAN.opt()], Type::DateTime);
/// `ago(distance)`.
pub(crate) const AGO: Signature = to(&[TIMESPAN], Type::DateTime);

#[cfg(test)]
mod tests;

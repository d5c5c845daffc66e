//! What a condition is made of. Owns the shapes; the invariants are the parser's: lists have at least two parts, paths
//! begin with a name.

use dps_model::Timestamp;
use serde_json::Number;

use super::members::Kind;

/// Something that is true or false of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// Always, or never.
    Constant(bool),
    /// All of them.
    And(Vec<Condition>),
    /// One of them at least.
    Or(Vec<Condition>),
    /// The contrary.
    Not(Box<Condition>),
    /// Two values compared.
    Compare(Operand, Operator, Operand),
    /// A value is one of a list, or none of it.
    In {
        /// The value.
        operand: Operand,
        /// `NOT IN`.
        negated: bool,
        /// At least one.
        list: Vec<Literal>,
    },
    /// The member is there, were it `null`.
    IsDefined(Path),
    /// The member is `true`.
    IsTrue(Path),
    /// The member is a list that holds the value.
    ArrayContains(Path, Literal),
    /// A text holds another.
    Text {
        /// Where.
        function: TextFunction,
        /// The one.
        operand: Operand,
        /// The other.
        part: String,
        /// Without regard to the case of ASCII letters.
        ignore_case: bool,
    },
}

/// A value of a row, or of the query itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// Of the row.
    Path(Path),
    /// Of the query.
    Literal(Literal),
}

/// A value that the query names.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// `null`.
    Null,
    /// `true`, `false`.
    Flag(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
    /// A text that is compared with a time.
    Time {
        /// As it was written.
        text: String,
        /// The instant it names.
        at: Timestamp,
    },
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Equal,
    /// `<>`, `!=`
    Different,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Operator {
    /// Every operator, as it is written; longer ones before those they begin with.
    pub(super) const WRITTEN: [(&'static str, Self); 7] = [
        ("<>", Self::Different),
        ("!=", Self::Different),
        ("<=", Self::LessOrEqual),
        (">=", Self::GreaterOrEqual),
        ("=", Self::Equal),
        ("<", Self::Less),
        (">", Self::Greater),
    ];
}

/// Where a text is looked for in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextFunction {
    /// At its start.
    StartsWith,
    /// At its end.
    EndsWith,
    /// Anywhere.
    Contains,
}

/// The way to a value of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    pub(super) steps: Vec<Step>,
    pub(super) kind: Kind,
}

/// A part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into an object.
    Name(String),
    /// Into a list.
    Index(usize),
}

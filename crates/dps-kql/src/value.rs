//! The ten scalar types and their values. Owns what a literal can be; must not know arithmetic.

/// A scalar type of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Type {
    /// Truth.
    Bool,
    /// 32 bits.
    Int,
    /// 64 bits.
    Long,
    /// IEEE 754 double.
    Real,
    /// 34 significant decimal digits.
    Decimal,
    /// Text; it has no null, only empty.
    String,
    /// An instant in UTC, in ticks since 0001-01-01.
    DateTime,
    /// A duration in ticks.
    TimeSpan,
    /// 128 bits.
    Guid,
    /// JSON, or a scalar that came out of it.
    Dynamic,
}

impl Type {
    /// The name in query text and in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Long => "long",
            Self::Real => "real",
            Self::Decimal => "decimal",
            Self::String => "string",
            Self::DateTime => "datetime",
            Self::TimeSpan => "timespan",
            Self::Guid => "guid",
            Self::Dynamic => "dynamic",
        }
    }
}

/// Ticks of 100 nanoseconds in a second.
pub const TICKS_PER_SECOND: i64 = 10_000_000;
/// Ticks in a day.
pub const TICKS_PER_DAY: i64 = 86_400 * TICKS_PER_SECOND;

/// A value: a literal of a plan, a cell of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// No value, of that type. Never of [`Type::String`].
    Null(Type),
    /// Truth.
    Bool(bool),
    /// 32 bits.
    Int(i32),
    /// 64 bits.
    Long(i64),
    /// Double.
    Real(f64),
    /// A decimal, as its digits: `-12.50`, `1e40`.
    Decimal(Box<str>),
    /// Text.
    String(Box<str>),
    /// Ticks since 0001-01-01T00:00:00Z.
    DateTime(i64),
    /// Ticks.
    TimeSpan(i64),
    /// The 128 bits, big-endian as written.
    Guid([u8; 16]),
    /// JSON; never a JSON null, which is `Null(Dynamic)`.
    Dynamic(serde_json::Value),
}

impl Value {
    /// Its type.
    pub const fn ty(&self) -> Type {
        match self {
            Self::Null(ty) => *ty,
            Self::Bool(_) => Type::Bool,
            Self::Int(_) => Type::Int,
            Self::Long(_) => Type::Long,
            Self::Real(_) => Type::Real,
            Self::Decimal(_) => Type::Decimal,
            Self::String(_) => Type::String,
            Self::DateTime(_) => Type::DateTime,
            Self::TimeSpan(_) => Type::TimeSpan,
            Self::Guid(_) => Type::Guid,
            Self::Dynamic(_) => Type::Dynamic,
        }
    }
}

//! The type system (AMQP 1.0 part 1): values <-> bytes. Every legal value can be kept and written again.
//!
//! Owns the constructors, their lengths and the bounds on hostile nesting. Must not know frames or performatives.

mod decode;
mod encode;
mod error;

use std::fmt;

use bytes::Bytes;
use zeroize::Zeroizing;

pub(crate) use self::decode::{List, Reader, symbol_keys};
pub(crate) use self::encode::{ListWriter, put_described_list, put_section, put_value};
pub use self::error::DecodeError;

/// A symbol (§1.6.21): ASCII from some constrained domain.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol(String);

impl Symbol {
    /// Takes ASCII text; `None` when it is not.
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        text.is_ascii().then_some(Self(text))
    }

    /// A symbol of the program's own. What is not ASCII becomes `?`, so that the bytes are always legal.
    pub fn from_static(text: &'static str) -> Self {
        Self(text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ":{}", self.0)
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq<str> for Symbol {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

/// A map with symbols as keys (`fields`, §2.8.11), in the order of arrival.
pub type Fields = Vec<(Symbol, Value)>;

/// Any value. Floating point numbers are kept as their bits: they are echoed, never computed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// 8 bits, unsigned.
    Ubyte(u8),
    /// 16 bits, unsigned.
    Ushort(u16),
    /// 32 bits, unsigned.
    Uint(u32),
    /// 64 bits, unsigned.
    Ulong(u64),
    /// 8 bits, signed.
    Byte(i8),
    /// 16 bits, signed.
    Short(i16),
    /// 32 bits, signed.
    Int(i32),
    /// 64 bits, signed.
    Long(i64),
    /// The bits of an IEEE 754 binary32.
    Float(u32),
    /// The bits of an IEEE 754 binary64.
    Double(u64),
    /// IEEE 754 decimal32, as its bytes.
    Decimal32([u8; 4]),
    /// IEEE 754 decimal64, as its bytes.
    Decimal64([u8; 8]),
    /// IEEE 754 decimal128, as its bytes.
    Decimal128([u8; 16]),
    /// One Unicode character.
    Char(char),
    /// Milliseconds since 1970-01-01T00:00:00Z.
    Timestamp(i64),
    /// RFC 4122's sixteen bytes.
    Uuid([u8; 16]),
    /// Bytes.
    Binary(Bytes),
    /// Text.
    String(String),
    /// A symbol.
    Symbol(Symbol),
    /// A sequence of values of any types.
    List(Vec<Value>),
    /// Pairs in the order of arrival.
    Map(Vec<(Value, Value)>),
    /// A sequence of values of one type.
    Array(Array),
    /// A descriptor and what it describes.
    Described(Box<(Value, Value)>),
}

impl Value {
    /// `value` under a numeric descriptor.
    pub fn described(code: u64, value: Self) -> Self {
        Self::Described(Box::new((Self::Ulong(code), value)))
    }

    /// The text of a string or a symbol.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Symbol(symbol) => Some(symbol.as_str()),
            _ => None,
        }
    }

    /// A whole number of any width, if it fits.
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Self::Ubyte(n) => Some(n.into()),
            Self::Ushort(n) => Some(n.into()),
            Self::Uint(n) => Some(n.into()),
            Self::Ulong(n) => i64::try_from(n).ok(),
            Self::Byte(n) => Some(n.into()),
            Self::Short(n) => Some(n.into()),
            Self::Int(n) => Some(n.into()),
            Self::Long(n) => Some(n),
            _ => None,
        }
    }
}

/// Values of one type (§1.6.24). That they share a constructor is checked when one is made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Array(Vec<Value>);

impl Array {
    /// An array of these; `None` when they have several types (or descriptors).
    pub fn new(items: Vec<Value>) -> Option<Self> {
        let alike =
            items.iter().zip(items.iter().skip(1)).all(|(one, next)| encode::same_constructor(one, next));
        alike.then_some(Self(items))
    }

    /// What is in it.
    pub fn items(&self) -> &[Value] {
        &self.0
    }
}

/// Bytes of a SASL exchange: a token, a key, a challenge. Not printed, and wiped when dropped. `==` takes no
/// constant time: it is for tests, never for authentication.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes; treat them as a secret.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text, if they are UTF-8, as a SAS token is.
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

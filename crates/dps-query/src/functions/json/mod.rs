//! JSON as text: walked, cut up and put together without trees. Owns the grammar; must not know columns.
//! Everything that reads is safe with any text; what is no JSON reads as nothing.

mod build;
mod find;
mod scan;

pub use build::{Array, Bag, number_text, of_datum, quote, real_text};
pub use find::{Step, find};
pub use scan::{compact, compacted, elements, kind, members, scalar, unquote};

/// What a JSON value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true`, `false`.
    Bool,
    /// A number.
    Number,
    /// A string.
    Text,
    /// An array.
    Array,
    /// An object.
    Bag,
}

#[cfg(test)]
mod tests;

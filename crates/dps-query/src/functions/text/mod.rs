//! Functions of text. Owns terms, predicates, patterns, addresses and digests; must not know columns.

mod address;
mod edit;
mod encode;
mod pattern;
mod predicate;
mod search;
mod url;

pub use address::*;
pub use edit::*;
pub use encode::*;
pub use pattern::*;
pub use predicate::*;
pub use search::{Matcher, fold};
pub use url::*;

#[cfg(test)]
mod tests;

//! Functions of arrays and bags. Owns what they do with elements as they stand in JSON text; must not know columns.

mod array;
mod bag;
mod set;

pub use array::*;
pub use bag::*;
pub use set::*;

#[cfg(test)]
mod tests;

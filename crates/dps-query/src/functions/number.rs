//! Operators, comparison, conversion, choice and mathematics of one row. Owns their nulls and overflows; must not know
//! text predicates or dynamic values.

mod compare;
mod convert;
mod math;

pub use compare::{
    between, choose, coalesce, emptiness, equal, extreme_of, is_equal, logic, not, order, ordered,
};
pub use convert::{convert, get_type, real_to_long, to_text};
pub use math::*;

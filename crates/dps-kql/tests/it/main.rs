//! The language as its users write it: against the official parser, and as properties.

mod binding;
mod corpus;
mod names;
mod oracle;
mod page;
mod properties;

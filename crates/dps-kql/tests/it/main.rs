//! The language as its users write it: against the official parser, and as properties.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)] // a test that cannot go on fails

mod binding;
mod corpus;
mod names;
mod oracle;
mod page;
mod properties;

//! The language as its users write it: against the official parser, and as properties.

mod corpus;
mod oracle;
mod properties;

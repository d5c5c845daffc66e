//! Where settings come from. The only room that reads the environment.

pub mod environment;

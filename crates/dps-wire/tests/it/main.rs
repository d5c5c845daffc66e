//! The wire engines from outside: golden bytes, hostile bytes, round trips, and whole conversations.

// clippy.toml allows these in tests, and does not see that helpers belong to them.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod amqp;
mod golden;
mod hostile;
mod round_trip;
mod samples;
mod session;
mod topics;

//! The doors as a device sees them: real sockets, real TLS, a core that answers from memory.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a failing test may panic

mod amqp;
mod amqp_sdks;
mod errors;
mod fixture;
mod hostile;
mod https;
mod hub;
mod mqtt;
mod pki;
mod tls;
mod websocket;

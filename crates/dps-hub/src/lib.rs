//! The client of a linked IoT hub: its service REST, spoken over TLS with the link's shared access policy.
//!
//! Owns requests, their repetition-safety and what a hub's refusal means (`dps_core::ports::HubError`). Must not know
//! enrollments, allocation or the development hub: to this crate every hub is a host that answers.

mod answer;
mod identity;
mod name;
mod rest;
mod tls;
mod tokens;

pub use rest::{RestHubs, SetupError};
pub use tls::client_config;

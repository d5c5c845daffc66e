//! The clients of what provisioning reaches over HTTP: a linked IoT hub's service REST, spoken over TLS with the link's
//! shared access policy, and custom-allocation webhooks.
//!
//! Owns requests, their repetition-safety and what a refusal means (`dps_core::ports::{HubError, WebhookError}`). Must
//! not know enrollments, allocation or the development hub: to this crate every hub is a host that answers.

mod answer;
mod identity;
mod name;
mod rest;
mod tls;
mod tokens;
mod webhook;
mod wire;

pub use rest::{RestHubs, SetupError};
pub use tls::client_config;
pub use webhook::HttpWebhook;

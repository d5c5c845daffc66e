//! Monitoring from outside.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod explanations;
mod metrics_page;

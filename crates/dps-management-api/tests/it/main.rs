//! The management API from outside: its routes over a store in memory, with hosting that tests hold back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod activity;
mod alerts;
mod attempts;
mod bed;
mod certificates;
mod diagnostic_settings;
mod events;
mod inbox;
mod issuer;
mod links;
mod logs;
mod metrics;
mod page;
mod refusals;
mod rehearsals;
mod rights;
mod services;
mod timeline;

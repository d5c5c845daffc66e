//! The core from outside: devices and administrators at its doors, a store in memory, hubs and a clock that tests hold.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod bed;
mod ca_certificates;
mod certificate_claims;
mod enrollments;
mod events;
mod group_lane;
mod herd;
mod hubs;
mod instances;
mod kept_forms;
mod known;
mod lifecycle;
mod operations;
mod pki;
mod properties;
mod provisioning;
mod refusals;
mod rehearsals;
mod reprovision;
mod rng;
mod simulation;
mod successor;
mod throttle;
mod webhook;

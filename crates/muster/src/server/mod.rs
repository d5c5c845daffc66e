//! A running server: what `muster dev` and other ways to run it share. Owns the joining of the rooms, the listeners and
//! the order in which they are taken apart; must not know where settings come from.

pub mod alerting;
pub mod attempts;
pub mod data_dir;
pub mod destinations;
pub mod diagnostic_settings;
mod error_pages;
mod explaining;
mod fronts;
pub mod health;
pub mod last_shown;
mod link_probes;
pub mod place;
mod plain_apis;
mod plain_http;
pub mod ports;
pub mod process;
pub mod regions;
pub mod rollups;
pub mod rooms;
pub mod running;
pub mod sessions;
pub mod telemetry;
mod unknown;
pub mod watching;
#[cfg_attr(not(feature = "logs"), path = "no_workspace.rs")]
pub mod workspace;

//! `muster dev` and `muster serve` as processes of their own, and what no misfortune may take from their devices: a kill,
//! a full disk, a restart, ten thousand idle connections, hostile bytes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // in the helpers of tests too

mod alerts;
mod bad_input;
mod control_plane;
mod dev;
mod device_guide;
mod device_tpm;
mod diagnose;
mod disk;
mod doctor;
mod endurance;
mod error_rows;
mod fleet;
mod harness;
mod idle_clients;
mod portal;
mod restart;
mod serve;
mod slow_clients;
// The same chip that the rules of attestation are tested with.
#[allow(dead_code)] // it can do more than these tests ask of it
#[path = "../../../dps-attestation/tests/it/software_tpm.rs"]
mod software_tpm;
mod storm;
// The same process that the client of TPMs is tested with.
#[allow(dead_code)] // it can do more than these tests ask of it
#[path = "../../../muster-device/tests/it/swtpm_process.rs"]
mod swtpm_process;
mod telemetry;
mod throttled;
mod timeline;
mod tpm;
mod watch;
#[cfg(feature = "logs")]
mod workspace;

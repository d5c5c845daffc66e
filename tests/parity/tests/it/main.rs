//! Every scenario over every protocol with every mechanism: real sockets, the real core, and one outcome.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a failing test may panic

mod client;
mod device;
mod events;
mod expected;
mod hubs;
mod matrix;
mod outcome;
mod page;
mod pki;
mod run;
mod scenario;
mod site;
// The same chip that the rules of attestation are tested with.
#[allow(dead_code)] // it can do more than these tests ask of it
#[path = "../../../../crates/dps-attestation/tests/it/software_tpm.rs"]
mod software_tpm;
mod store;

use hex as _; // the chip's file names it

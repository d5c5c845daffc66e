//! What the crate's users rely on: verdicts with their reasons, over keys and chains made here, and over certificates
//! that OpenSSL made (tests/fixtures/x509) where no Rust library makes such.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod certificate;
mod fixtures;
mod mechanism;
mod path;
mod pki;
mod possession;
mod properties;
mod references;
mod software_tpm;
mod swtpm;
mod symmetric;
mod tpm;

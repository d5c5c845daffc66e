//! Destinations against what they deliver to: Azurite, moto's S3, a Kafka-compatible broker, an OpenTelemetry receiver.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)] // helpers of tests fail like tests

mod azure_blob;
#[path = "../../src/fixtures.rs"]
mod fixtures;
mod kafka;
mod otlp;
mod peers;
mod s3;

use std::sync::Arc;

use dps_destinations::{Http, Now, tls};
use dps_model::Timestamp;

/// A client that trusts nobody but the machine.
fn http() -> Http {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Http::new(tls(provider, []).unwrap()).unwrap()
}

/// The machine's time: the other side compares it with its own.
#[allow(clippy::disallowed_methods)]
fn now() -> Now {
    Arc::new(|| Timestamp(jiff::Timestamp::now()))
}

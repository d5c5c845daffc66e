//! The client against servers of the test's own making: real sockets, real TLS, answers as the test writes them.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a failing test may panic

mod http_service;
mod hub;
mod mqtt_peer;
mod network;
mod pki;
mod provision_https;
mod provision_mqtt;
mod provision_websocket;
mod recovery;
// The same chip that the service's side is tested with.
#[allow(dead_code)] // it can do more than a device asks of it
#[path = "../../../dps-attestation/tests/it/software_tpm.rs"]
mod software_tpm;
mod swtpm;
mod swtpm_process;
mod tls;
mod tpm;

use std::time::Duration;

use muster_device::{Attestation, ProvisioningClient, ProvisioningClientBuilder, Transport};

/// Base64 of `secret key of 16+ bytes`.
pub const KEY: &str = "c2VjcmV0IGtleSBvZiAxNisgYnl0ZXM=";
pub const SCOPE: &str = "0ne00ABCDEF";
/// The name in the server's certificate, which no resolver knows.
pub const HOST: &str = "dps.test";
pub const OPERATION: &str = "5.316aac5bdc130deb.b1e02da8-c3a0-4ff2-a121-7ea7a6b7f550";
pub const ASSIGNING: &str =
    r#"{"operationId":"5.316aac5bdc130deb.b1e02da8-c3a0-4ff2-a121-7ea7a6b7f550","status":"assigning"}"#;
pub const ASSIGNED: &str = r#"{"operationId":"5.316aac5bdc130deb.b1e02da8-c3a0-4ff2-a121-7ea7a6b7f550","status":"assigned",
    "registrationState":{"symmetricKey":{},"registrationId":"my.dev_01:a-b","assignedHub":"hub.test",
    "deviceId":"my.dev_01:a-b","status":"assigned","substatus":"initialAssignment","etag":"IjY5"}}"#;
pub const UNAUTHORIZED: &str = r#"{"errorCode":401002,"trackingId":"2f8ae4b0-6ba1-4d1c-9d4e-6f6a4b1f0a11",
    "message":"Unauthorized","timestampUtc":"2021-03-04T22:11:31.1234567Z"}"#;
pub const DEVICE: &str = "my.dev_01:a-b";

pub fn key() -> Attestation {
    Attestation::symmetric_key(KEY).unwrap()
}

/// A client of the server on that port, that does not wait longer than it must.
pub fn client(
    ca: &pki::Ca,
    transport: Transport,
    port: u16,
    attestation: Attestation,
) -> ProvisioningClientBuilder {
    ProvisioningClient::builder(HOST, SCOPE, DEVICE, attestation)
        .transport(transport)
        .ports(port, port)
        .roots(ca.pem())
        .dial("127.0.0.1")
        .poll_immediately(true)
        .timeout(Duration::from_secs(30))
}

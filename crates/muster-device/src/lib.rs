//! The device's side of provisioning, for applications: register with a Device Provisioning Service, learn the hub,
//! connect to it.
//!
//! Owns the client's settings, its waiting and its sentences for people; packets and topics are `dps-wire`'s, tokens and
//! derived keys `dps-attestation`'s. Must not know how a service decides.
//!
//! ```no_run
//! use muster_device::{Attestation, HubClient, ProvisioningClient, Transport};
//!
//! # async fn example(ca: &[u8]) -> Result<(), muster_device::Error> {
//! let attestation = Attestation::symmetric_key("c2VjcmV0IGtleSBvZiAxNisgYnl0ZXM=")?;
//! let client = ProvisioningClient::builder("localhost", "0ne00ABCDEF", "device-1", attestation.clone())
//!     .transport(Transport::Mqtt)
//!     .roots(ca)
//!     .build()?;
//! let assignment = client.provision().await?;
//!
//! let hub = HubClient::connect(&assignment, &attestation, client.hub_options()).await?;
//! hub.send_telemetry(r#"{"temperature":21.5}"#, &[("$.ct", "application/json")]).await?;
//! let twin = hub.twin().await?;
//! println!("{} wants {:?}", assignment.device_id, twin.desired);
//! hub.close().await
//! # }
//! ```
//!
//! A device in the field has a [`Device`] in place of these single steps: it keeps its assignment, and recovers from
//! failures by Azure's rules.

mod answer;
mod assignment;
mod attestation;
mod backoff;
mod builder;
mod cache;
mod clock;
mod device;
mod error;
mod hub;
mod limits;
mod mqtt;
mod pace;
mod provisioning;
mod random;
mod recovery;
mod stream;
mod tls;
mod tpm;
mod transport;
mod websocket;

pub use assignment::Assignment;
pub use attestation::Attestation;
pub use builder::ProvisioningClientBuilder;
pub use cache::AssignmentCache;
pub use clock::{Clock, SystemClock};
pub use device::{Device, Notice};
pub use dps_model::registration::Substatus;
pub use dps_model::{Secret, Timestamp};
pub use error::Error;
pub use hub::{Desired, DesiredProperties, HubClient, HubOptions, Twin};
pub use provisioning::ProvisioningClient;
pub use recovery::{Fleet, Step};
pub use stream::{BoxStream, Connecting, Connector, Stream, Tcp};
pub use tpm::{
    InvalidTcti, SecurityProviderTpm, Tcti, Tpm2, TpmFailure, TpmKeyMissing, default_registration_id,
};
pub use transport::Transport;

/// The guide's Rust is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guides/device-client.md")]
struct Guide;

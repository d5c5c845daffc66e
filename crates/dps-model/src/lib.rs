//! The field's words as types, their JSON shapes, the error catalogue and the limits.
//!
//! Owns: identifiers, enrollments, registrations, attestation mechanisms, the hub's device and twin shapes,
//! every failure this service can name, and every bound it holds.
//! Must not know: sockets, stores, clocks, cryptography of attestation, or which protocol carried a request.

pub mod api_version;
pub mod attestation;
pub mod certificate_authority;
pub mod channel;
pub mod connection_string;
pub mod custom_allocation;
pub mod enrollment;
pub mod error;
mod error_causes;
pub mod error_code;
pub mod etag;
pub mod explanation;
pub mod hub;
pub mod ids;
pub mod instance;
pub mod json;
pub mod limits;
pub mod member;
pub mod network;
pub mod registration;
pub mod secret;
pub mod timestamp;
pub mod twin;

pub use api_version::ApiVersion;
pub use channel::{Channel, Protocol, TlsSession};
pub use error::{Error, ErrorBody};
pub use error_code::ErrorCode;
pub use etag::Etag;
pub use ids::{DeviceId, EnrollmentGroupId, HubName, IdScope, OperationId, RegistrationId, TrackingId};
pub use secret::Secret;
pub use timestamp::Timestamp;

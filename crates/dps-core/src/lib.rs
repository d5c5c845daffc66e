//! Provisioning: a device says who it is, we check, we choose a hub, we write it down, we tell the device.
//!
//! Owns the straight line of a registration, enrollments, allocation, operations and throttling, and the ports they
//! need.
//! Must not know any protocol: no status line, topic or link name stands here.

pub mod allocation;
pub mod drift;
pub mod enrollment;
mod event;
mod evidence;
#[cfg(test)]
mod fixtures;
pub mod instance;
mod known;
mod line;
pub mod links;
pub mod operation;
pub mod plan;
pub mod ports;
pub mod provisioning;
pub mod registration;
pub mod rehearsal;
pub mod reprovision;
pub mod request;
pub mod throttle;

pub use enrollment::{Changed, Enrollments};
pub use instance::{CaCertificates, Instances, Lifecycle};
pub use known::{HeldCertificate, Known};
pub use operation::Operations;
pub use provisioning::Provisioning;
pub use rehearsal::Rehearsals;
pub use request::{DeviceOperation, DeviceRequest, DeviceResponse};
pub use throttle::Throttle;

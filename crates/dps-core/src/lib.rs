//! Provisioning: a device says who it is, we check, we choose a hub, we write it down, we tell the device.
//!
//! Owns the straight line of a registration, enrollments, allocation and operations, and the ports they need.
//! Must not know any protocol: no HTTP status, topic or link name stands here.

pub mod ports;
pub mod request;

pub use request::{DeviceOperation, DeviceRequest, DeviceResponse};

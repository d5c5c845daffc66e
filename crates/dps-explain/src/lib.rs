//! Why it came so: a recorded event and what the service knows, to named causes with evidence and fix.
//!
//! Owns the closed catalogue of causes and the rules that name them. Pure: it reads no store, asks no clock and changes
//! nothing; what it is to know of the service is handed to it. Must not know who asks, and never speaks to a device.

pub mod catalogue;
mod known;
mod rules;
pub mod timeline;

pub use catalogue::{Entry, Family};
pub use known::{Authority, Known, Near, NearKind, SasMatch, Signer, Wanted};
pub use rules::{explain, missing_on_hub};

//! Who may do what on the service plane: shared access policies, their rights, and the tokens signed with their keys.
//!
//! Owns the decision and the reason of a refusal. Must not know routes, protocols or where policies are stored; how a
//! token is written and signed is dps-attestation's.

mod authorize;
mod refusal;
mod resource;
mod rights;

pub use authorize::{Call, Caller, authorize};
pub use dps_attestation::Slot;
pub use refusal::Refusal;
pub use resource::without_port;
pub use rights::allow;

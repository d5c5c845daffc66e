//! Who may do what: shared access policies with their rights, bearer tokens of identity providers with roles, and who has
//! signed in to the portal with either.
//!
//! Owns the decision and the reason of a refusal, and the keys of identity providers. Must not know routes, protocols or
//! where policies and settings are stored; how a shared access signature is written is dps-attestation's.

mod access_control;
mod assignment;
mod bearer;
mod caller;
mod refusal;
mod resource;
mod rights;
mod role;
mod sas;
mod session;
mod settings;

pub use access_control::{AccessControl, CHALLENGES, Call, ControlCall};
pub use assignment::{RoleAssignment, Scope};
pub use bearer::{BearerError, BearerToken, Claims, FetchError, HttpKeys, KeyFetch, KeySet, SetupError};
pub use caller::{Caller, Principal};
pub use dps_attestation::Slot;
pub use refusal::Refusal;
pub use resource::without_port;
pub use rights::allow;
pub use role::{Action, DataAction, Role};
pub use session::{Begun, Opened, Owner, Returned, SESSION_PREFIX, Services, Session, Sessions};
pub use settings::{
    IdentityProvider, InvalidSetting, management_audiences, portal_scopes, service_audiences,
};

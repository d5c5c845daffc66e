//! The client side of the public APIs: where the service is, how a caller proves its rights, what is sent again, what a
//! refusal means. Owns HTTP; must not know options, tables or files.
//!
//! Nothing here is Muster's own: the service API and the control plane are asked in Azure's words, so that the commands
//! work on any instance.

pub mod control_plane;
pub mod failure;
pub mod sender;
pub mod service;
pub mod target;

pub use self::control_plane::ControlPlane;
pub use self::failure::Failure;
pub use self::service::{Collection, ServiceApi};

//! The doors of the device API: listeners, TLS, and one front for each protocol.
//!
//! Owns how a connection is accepted, how a request is read (`decode`), how an answer is written (`encode`) and how a
//! failure is told (`reject`), and the events of everything refused before there was a request for the core.
//! Must not know enrollments, attestation, hubs or stores: a decoded request goes to the core, and what is not the
//! device API's goes through `foreign`.

mod amqp;
mod api;
mod certificate;
pub mod foreign;
mod greeting;
mod handshakes;
mod https;
pub mod json;
mod listener;
mod mqtt;
mod read;
mod refused;
pub mod reject;
mod timed;
pub mod tls;
pub mod transport;
mod websocket;

pub use api::{Bounds, Core, DeviceApi, DoorLoad, Fronts, Taken};
pub use listener::Shutdown;
pub use tls::{Identity, ServerTls, TlsError};
pub use transport::Transport;

//! The wire engines: bytes in -> events, events -> bytes out.
//!
//! Owns the grammar of what devices speak below the request: MQTT packets, topics and user names, WebSocket frames, and
//! the per-connection bookkeeping that the protocol itself demands. Both directions, because the device client
//! uses the same code as the server.
//!
//! Must not know: sockets, TLS, a runtime, a clock (time is an argument, in milliseconds), enrollments,
//! or what a request means. It uses no other crate of this workspace.

pub mod amqp;
pub mod mqtt;
pub mod websocket;

//! The AMQP engine from outside: what SDKs send and what they get, byte by byte; the rules of the protocol; values
//! and frames of any shape; hostile bytes.

mod codec;
mod connection;
mod conversations;
mod handshake;
mod peer;

//! AMQP 1.0 (OASIS, 29 October 2012), as far as DPS and a hub need it.
//!
//! `value` has the type system, `frame` and `performative` the words and their bytes, `message` what travels on
//! links, `connection` the server's side of one connection, `sasl` what happens before it, and `address` the
//! names that Azure puts on top. No transactions, no link recovery, no dynamic nodes: Azure's device endpoints
//! have none either.

pub mod address;
pub mod connection;
pub mod frame;
pub mod limits;
pub mod message;
pub mod performative;
pub mod sasl;
pub mod value;

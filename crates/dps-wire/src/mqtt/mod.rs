//! MQTT 3.1.1 (OASIS, 29 October 2014), as far as DPS and a hub need it.
//!
//! `packet` has the words, `codec` their bytes, `session` the server's side of one connection and `topic` the
//! names that Azure puts on top. No wills are served, no retained messages kept, no session survives its
//! connection, and QoS 2 is a violation: Azure does the same.

pub mod codec;
pub mod limits;
pub mod packet;
pub mod session;
pub mod topic;

//! Notifications: what webhooks are sent of an alert, and that they get it. Owns payloads, retries and the order of posts;
//! must not know when an alert fires, or how a post is made.
//!
//! A notification is a document, written together with its alert, until its webhook has accepted it or is given up. Between
//! the answer of a webhook and the removal of the document there is a moment: who is killed in it posts again after a
//! restart, with the same alert id.

mod notification;
mod outbox;
mod payload;
mod sample;

pub use notification::{Endpoint, Notification};
pub use outbox::{Counts, Outbox};
pub use payload::payload;

//! The inbox: devices that asked and that no enrollment knows, grouped by what would let them in. Owns which attempts are
//! such (`sighting`), what is remembered of them (`group`), and within which bounds (`book`); must not know what an
//! enrollment is, or who asks.

mod book;
mod group;
mod sighting;

pub use book::{Inbox, InboxError};
pub use group::{About, Because, Group, Kind, Sample};

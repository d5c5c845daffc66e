//! Faults that a development server causes when it is told to, so that firmware can be tested against them. Owns the rules
//! and the decorators around the ports of the server; the code that serves knows nothing of them (ADR 0022).

mod book;
mod core;
mod hub_fronts;
mod marks;
mod outbound;
mod rule;
mod wires;

use std::sync::Arc;

pub use self::book::FaultBook;
pub use self::core::FaultyCore;
pub use self::hub_fronts::FaultyHubFront;
pub use self::marks::{MarkingSink, Marks};
pub use self::outbound::{FaultyHubs, FaultyNotifications, FaultyWebhook};
pub use self::rule::Rule;
pub use self::wires::Wires;

/// What the decorators share.
#[derive(Clone, Default)]
pub struct Faults {
    /// The rules.
    pub book: Arc<FaultBook>,
    /// The connections.
    pub wires: Arc<Wires>,
    /// What the events of those who were hit are marked with.
    pub marks: Arc<Marks>,
}

//! Rules and action groups as clients write them (`Microsoft.Insights`), and what is wrong with them. Owns Azure's
//! validation and the way from a document to a [`Rule`](super::rule::Rule) or an
//! [`ActionGroup`](super::group::ActionGroup); must not know where documents are kept, nor when a rule fires.

pub mod action_group;
mod condition;
mod kind;
pub mod metric_alert;
mod parts;
pub mod query_rule;
#[cfg(test)]
mod tests;

pub use kind::Kind;

use crate::ports::Resources;

/// What a document may speak of. Where there is none, the document was judged when it was written, and what it names may
/// have gone since.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The provisioning services.
    pub resources: &'a dyn Resources,
    /// ARM id of the workspace that keeps log rows.
    pub workspace: &'a str,
    /// Is there an action group of that ARM id?
    pub has_group: &'a (dyn Fn(&str) -> bool + Sync),
}

//! The rules port: alert rules and action groups as they are now.

use std::sync::Arc;

use crate::alerts::group::ActionGroup;
use crate::alerts::rule::Rule;

/// Knows rules and groups. Asked at every evaluation: it must answer from memory.
pub trait RuleSource: Send + Sync + 'static {
    /// Every rule that is enabled.
    fn enabled(&self) -> Vec<Arc<Rule>>;

    /// The rule of that ARM id, in any case of letters, enabled or not. None when it is there no more.
    fn rule(&self, id: &str) -> Option<Arc<Rule>>;

    /// The action group of that ARM id, in any case of letters.
    fn group(&self, id: &str) -> Option<Arc<ActionGroup>>;
}

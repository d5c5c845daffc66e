//! Which alerts are meant.

use dps_model::Timestamp;

use crate::alerts::alert::{Alert, AlertState, MonitorCondition, Signal};
use crate::ports::IdParts;

/// From an instant on, up to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeSpan {
    /// The first.
    pub from: Timestamp,
    /// The last.
    pub to: Timestamp,
}

/// Which alerts are meant; what is empty or none lets everything through. Texts have no case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertFilter {
    /// Of the target.
    pub subscription: Option<String>,
    /// ARM ids of targets, or of what they lie in.
    pub targets: Vec<String>,
    /// Resource groups of targets: names, or ids.
    pub target_groups: Vec<String>,
    /// Types of targets.
    pub target_types: Vec<String>,
    /// What is watched.
    pub signals: Vec<Signal>,
    /// Fired or resolved.
    pub conditions: Vec<MonitorCondition>,
    /// Severities.
    pub severities: Vec<u8>,
    /// What people did.
    pub states: Vec<AlertState>,
    /// ARM ids of rules, or their names.
    pub rules: Vec<String>,
    /// When it fired.
    pub fired: Option<TimeSpan>,
}

impl AlertFilter {
    /// Is it one of them?
    pub fn passes(&self, alert: &Alert) -> bool {
        let target = IdParts::of(&alert.target);
        let kind = format!("{}/{}", target.provider, target.kind);
        let same = |one: &str, other: &str| one.to_lowercase() == other.to_lowercase();
        let is_target = |id: &String| within(&alert.target, id);
        let is_group = |group: &String| {
            let named = IdParts::of(group).resource_group;
            same(target.resource_group, if named.is_empty() { group } else { named })
        };
        let is_rule = |rule: &String| same(rule, &alert.rule) || same(rule, &alert.rule_name);
        self.subscription.as_ref().is_none_or(|subscription| same(subscription, target.subscription))
            && any(&self.targets, is_target)
            && any(&self.target_groups, is_group)
            && any(&self.target_types, |wanted| same(wanted, &kind))
            && any(&self.signals, |signal| *signal == alert.signal)
            && any(&self.conditions, |condition| *condition == alert.condition)
            && any(&self.severities, |severity| *severity == alert.severity)
            && any(&self.states, |state| *state == alert.state)
            && any(&self.rules, is_rule)
            && self.fired.is_none_or(|span| (span.from..=span.to).contains(&alert.fired))
    }
}

fn any<T>(wanted: &[T], is: impl FnMut(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(is)
}

/// Is it that, or does it lie beneath it?
fn within(id: &str, above: &str) -> bool {
    let (id, above) = (id.to_lowercase(), above.trim_end_matches('/').to_lowercase());
    id.strip_prefix(&above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

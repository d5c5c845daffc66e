//! What a rule remembers of its series between evaluations, and what follows from an evaluation: the stateful rules of
//! Azure's "Overview of Azure Monitor alerts", as a function of memory and finding. Must not know how findings come about,
//! nor how notifications are sent.
//!
//! A series whose alert is open has a memory; so has one of a stateless rule that is muted. A memory changes only when it
//! must, so that a rule that is quiet, or fires on and on, writes nothing.

mod evaluation;
mod keeper;

pub use evaluation::Evaluation;
pub use keeper::{AlertKeeper, Recorded};

use aws_lc_rs::digest::{SHA256, digest};
use dps_model::limits::METRIC_CHECKS_TO_RESOLVE;
use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

use super::evaluation::Series;
use super::rule::{Condition, Rule};

/// What a rule remembers of a series. Minutes are counted from 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// Which.
    pub series: Series,
    /// Its open alert, or the last one of a stateless rule.
    pub alert: Uuid,
    /// When somebody was told last; none where the alert is open and resolves.
    pub told: Option<i64>,
    /// Evaluations in a row that did not hold.
    pub clear: u32,
    /// The last evaluation that changed this.
    pub checked: i64,
}

/// When alerts of a rule resolve, and how often it tells of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// One alert until it resolves, after so many evaluations in a row that do not hold.
    Stateful {
        /// How many.
        checks: u32,
    },
    /// One alert each time, and nobody is told of it within so many minutes after the last time.
    Stateless {
        /// How many.
        mute: Option<u32>,
    },
}

impl Policy {
    /// The policy of a rule.
    pub fn of(rule: &Rule) -> Self {
        if !rule.stateful {
            return Self::Stateless { mute: rule.mute };
        }
        let frequency = rule.frequency.max(1);
        let checks = match &rule.condition {
            Condition::Metrics { .. } | Condition::Dynamic(_) => METRIC_CHECKS_TO_RESOLVE,
            Condition::Query(criterion) => match (criterion.time_to_resolve, frequency) {
                (Some(minutes), _) => minutes.div_ceil(frequency),
                // Azure: ten minutes clear, and for rules that are evaluated less often 3, 2 or 1 evaluations.
                (None, ..5) => 10_u32.div_ceil(frequency),
                (None, 5..=15) => 3,
                (None, 16..660) => 2,
                (None, 660..) => 1,
            },
        };
        Self::Stateful { checks: checks.max(1) }
    }
}

/// What follows from an evaluation for a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing.
    Stays,
    /// An alert.
    Fires {
        /// Is anybody told?
        told: bool,
    },
    /// Its alert resolves, and who was told is told.
    Resolves,
}

/// Takes a series one evaluation further; `fresh` is the id that its alert has if it fires now.
pub fn turn(
    policy: Policy,
    before: Option<Memory>,
    series: &Series,
    met: bool,
    at: i64,
    fresh: Uuid,
) -> (Option<Memory>, Turn) {
    let memory = |told| Memory { series: series.clone(), alert: fresh, told, clear: 0, checked: at };
    match (policy, before) {
        // Evaluated already, by a run that was broken off.
        (_, Some(before)) if before.checked >= at => (Some(before), Turn::Stays),
        // The rule was of the other kind.
        (Policy::Stateless { .. }, Some(Memory { told: None, .. })) => (None, Turn::Resolves),
        (Policy::Stateful { .. }, Some(Memory { told: Some(_), .. })) => {
            turn(policy, None, series, met, at, fresh)
        }
        (Policy::Stateful { .. }, None) if met => (Some(memory(None)), Turn::Fires { told: true }),
        (Policy::Stateful { .. }, Some(before)) if met && before.clear == 0 => (Some(before), Turn::Stays),
        (Policy::Stateful { .. }, Some(before)) if met => {
            (Some(Memory { clear: 0, checked: at, ..before }), Turn::Stays)
        }
        (Policy::Stateful { checks }, Some(before)) => {
            let clear = before.clear.saturating_add(1);
            if clear >= checks {
                return (None, Turn::Resolves);
            }
            (Some(Memory { clear, checked: at, ..before }), Turn::Stays)
        }
        (Policy::Stateless { mute }, before) => {
            let told = before.as_ref().and_then(|before| before.told);
            let minutes = i64::from(mute.unwrap_or(0));
            let muted = told.is_some_and(|told| at.saturating_sub(told) < minutes);
            match (met, muted) {
                (true, true) => (Some(memory(told)), Turn::Fires { told: false }),
                (true, false) => (mute.map(|_| memory(Some(at))), Turn::Fires { told: true }),
                (false, true) => (before, Turn::Stays),
                (false, false) => (None, Turn::Stays),
            }
        }
        (Policy::Stateful { .. }, None) => (None, Turn::Stays),
    }
}

/// The id of the alert that a rule's series fires in that minute: the same each time it is asked, so that an evaluation
/// that is done again finds what it did.
pub fn alert_id(rule: &str, series: &Series, at: i64) -> Uuid {
    // Lengths in front: no two lists of parts make the same bytes.
    let mut parts = Vec::new();
    let mut part = |text: &str| {
        parts.extend_from_slice(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        parts.extend_from_slice(text.as_bytes());
    };
    part(&rule.to_ascii_lowercase());
    part(&series.target.to_ascii_lowercase());
    for (name, value) in &series.dimensions {
        part(name);
        part(value);
    }
    parts.extend_from_slice(&at.to_be_bytes());
    let hash = digest(&SHA256, &parts);
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(hash.as_ref()).for_each(|(byte, of_hash)| *byte = *of_hash);
    Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests;

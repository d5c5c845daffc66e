//! What rules with dynamic thresholds have learnt, kept for as long as it holds. Must not know how one learns.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use dps_model::Timestamp;
use dps_model::limits::MAX_LEARNT_SERIES;

use crate::alerts::evaluation::{EvaluationError, Learnt, learn};
use crate::alerts::rule::{DynamicCriterion, Rule};
use crate::metrics::Rollups;

/// By the ids of rules.
pub(super) type LearntRules = HashMap<String, LearntRule>;

/// What a rule learnt, up to a minute. It holds while the rule is the same.
pub(super) struct LearntRule {
    rule: Rule,
    until: i64,
    learnt: Arc<Learnt>,
}

/// What a rule has learnt up to that minute, read anew where that is not known.
pub(super) async fn of(
    kept: &Mutex<LearntRules>,
    rollups: &Rollups,
    rule: &Rule,
    criterion: &DynamicCriterion,
    until: i64,
    now: Timestamp,
) -> Result<Arc<Learnt>, EvaluationError> {
    let lock = || kept.lock().unwrap_or_else(PoisonError::into_inner);
    let known = lock()
        .get(&rule.id)
        .filter(|known| known.until == until && known.rule == *rule)
        .map(|known| Arc::clone(&known.learnt));
    if let Some(known) = known {
        return Ok(known);
    }
    let learnt = Arc::new(learn(rollups, rule, criterion, until, now).await?);
    let mut all = lock();
    all.remove(&rule.id);
    let series: usize = all.values().map(|known| known.learnt.len()).sum();
    if series.saturating_add(learnt.len()) > MAX_LEARNT_SERIES {
        all.clear(); // each can be learnt again
    }
    all.insert(rule.id.clone(), LearntRule { rule: rule.clone(), until, learnt: Arc::clone(&learnt) });
    Ok(learnt)
}

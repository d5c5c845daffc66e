//! Keeps alerts: writes what follows from an evaluation, its alerts and its notifications together or not at all, and
//! removes what is over. Must not know webhooks.
//!
//! A write names the version of the rule's memory that it is made from. So an evaluation that is done twice, by a run after
//! a crash or by a second server, finds that it is done and changes nothing.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dps_model::limits::{
    ALERT_RETENTION_DAYS, MAX_ALERT_HISTORY, MAX_ALERT_SERIES, MAX_ALERT_WRITES, MAX_ALERTS_KEPT, MAX_PAGE,
    MAX_STATEFUL_LOG_ALERTS, MAX_STATELESS_LOG_ALERTS,
};
use dps_model::{Etag, Timestamp};
use serde_json::Value;

use super::{Evaluation, Memory, Policy, Turn, alert_id, turn};
use crate::alerts::alert::{Alert, AlertState, Change, ChangeEvent, MonitorCondition, Signal};
use crate::alerts::delivery::{Notification, Outbox};
use crate::alerts::evaluation::{Finding, Series, alert_context, instant, without_figures};
use crate::alerts::rule::{Condition, Rule};
use crate::ports::{Kept, MonitorState, RuleSource, Shelf, StateError, StateWrite};

/// How often a write over a version that is not the last one is made anew.
const TRIES: usize = 4;

/// Keeps alerts.
pub struct AlertKeeper {
    state: Arc<dyn MonitorState>,
    rules: Arc<dyn RuleSource>,
    outbox: Arc<Outbox>,
    /// Alerts that are kept, as of the last look and what fired since.
    kept: AtomicUsize,
}

/// What followed from an evaluation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Alerts that fired.
    pub fired: usize,
    /// Alerts that resolved.
    pub resolved: usize,
    /// Series that met the condition and found no place among the open alerts.
    pub left_out: usize,
}

/// Writes that belong together.
#[derive(Default)]
struct Batch {
    writes: Vec<StateWrite>,
    notifications: Vec<Notification>,
}

impl AlertKeeper {
    /// Over that state; who is told is known by the rules, and told by the outbox.
    pub fn new(state: Arc<dyn MonitorState>, rules: Arc<dyn RuleSource>, outbox: Arc<Outbox>) -> Self {
        Self { state, rules, outbox, kept: AtomicUsize::new(0) }
    }

    /// Writes what follows from what the evaluation of that minute found.
    pub async fn keep(
        &self,
        rule: &Rule,
        findings: &[Finding],
        at: i64,
        now: Timestamp,
    ) -> Result<Recorded, StateError> {
        self.again(|| self.keep_once(rule, findings, at, now)).await
    }

    /// Does it, and again where somebody else was faster.
    async fn again<T, F>(&self, mut once: impl FnMut() -> F) -> Result<T, StateError>
    where
        F: Future<Output = Result<T, StateError>>,
    {
        let mut outcome = Err(StateError::Changed);
        for _ in 0..TRIES {
            outcome = once().await;
            match &outcome {
                Err(StateError::Changed) => {}
                Err(StateError::Failed(_)) => {
                    // It may be done, though it says that it is not.
                    self.outbox.look_again();
                    break;
                }
                _ => break,
            }
        }
        outcome
    }

    async fn keep_once(
        &self,
        rule: &Rule,
        findings: &[Finding],
        at: i64,
        now: Timestamp,
    ) -> Result<Recorded, StateError> {
        let kept = self.state.get(Shelf::Evaluations, &Evaluation::id(&rule.id)).await?;
        let mut evaluation = kept.as_ref().map_or_else(|| Evaluation::of(&rule.id), Evaluation::read);
        let mut etag = kept.map(|kept| kept.etag);
        let (policy, mut recorded) = (Policy::of(rule), Recorded::default());
        let (mut batch, mut changed) = (Batch::default(), false);
        for (series, finding) in concerned(&evaluation, findings) {
            let met = finding.is_some_and(|finding| finding.met);
            let before = evaluation.series.remove(&series);
            let fresh = alert_id(&rule.id, &series, at);
            let (mut after, turn) = turn(policy, before.clone(), &series, met, at, fresh);
            match (turn, finding) {
                (Turn::Fires { told }, Some(finding)) => {
                    if has_place(rule, &evaluation, recorded) {
                        let alert = alert(rule, finding, fresh, at, now);
                        recorded.fired += usize::from(self.fire(rule, alert, told, now, &mut batch).await?);
                    } else {
                        recorded.left_out += 1;
                        after.clone_from(&before);
                    }
                }
                (Turn::Resolves, _) => {
                    let context = |before: &Value| match finding {
                        Some(finding) => alert_context(rule, finding, at),
                        None => without_figures(before, rule, at),
                    };
                    let memory = before.as_ref();
                    self.resolve(Some(rule), memory, context, now, &mut batch).await?;
                    recorded.resolved += 1;
                }
                (Turn::Stays | Turn::Fires { .. }, _) => {}
            }
            changed |= before != after;
            if let Some(after) = after {
                evaluation.series.insert(series, after);
            }
            if batch.writes.len() >= MAX_ALERT_WRITES {
                etag = Some(self.write(&evaluation, etag, &mut batch).await?);
                changed = false;
            }
        }
        if changed || !batch.writes.is_empty() {
            self.write(&evaluation, etag, &mut batch).await?;
        }
        Ok(recorded)
    }

    /// Writes the memories of a rule with what goes with them.
    async fn write(
        &self,
        evaluation: &Evaluation,
        over: Option<Etag>,
        batch: &mut Batch,
    ) -> Result<Etag, StateError> {
        let Batch { mut writes, notifications } = std::mem::take(batch);
        let (memories, etag) = evaluation.write(over);
        writes.push(memories);
        self.state.write(writes).await?;
        self.outbox.add(notifications.iter());
        Ok(etag)
    }

    /// Adds an alert; false where it is there already.
    async fn fire(
        &self,
        rule: &Rule,
        mut alert: Alert,
        told: bool,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<bool, StateError> {
        let id = alert.id.simple().to_string();
        if self.state.get(Shelf::Alerts, &id).await?.is_some() {
            return Ok(false);
        }
        if told {
            self.notify(rule, &mut alert, now, batch);
        }
        if !rule.stateful && self.kept.load(Ordering::Relaxed) >= MAX_ALERTS_KEPT {
            tracing::warn!(rule = rule.id, "too many alerts are kept: this one is told of and not kept");
            return Ok(true);
        }
        self.kept.fetch_add(1, Ordering::Relaxed);
        batch.writes.push(put(&alert, None));
        Ok(true)
    }

    /// Resolves the alert of a memory, and tells of it where the rule is still there.
    async fn resolve(
        &self,
        rule: Option<&Rule>,
        memory: Option<&Memory>,
        context: impl Fn(&Value) -> Value,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), StateError> {
        let Some(memory) = memory else { return Ok(()) };
        let found = self.state.get(Shelf::Alerts, &memory.alert.simple().to_string()).await?;
        let Some(kept) = found else { return Ok(()) };
        let mut alert: Alert = match serde_json::from_str(&kept.body) {
            Ok(alert) => alert,
            Err(error) => {
                tracing::error!(id = kept.id, %error, "an alert cannot be read, and stays as it is");
                return Ok(());
            }
        };
        if alert.condition == MonitorCondition::Resolved {
            return Ok(());
        }
        alert.condition = MonitorCondition::Resolved;
        alert.resolved = Some(now);
        alert.modified = now;
        alert.context = context(&alert.context);
        history(&mut alert, now, ChangeEvent::MonitorConditionChange, "Fired", "Resolved");
        if let Some(rule) = rule {
            self.notify(rule, &mut alert, now, batch);
        }
        batch.writes.push(put(&alert, Some(kept.etag)));
        Ok(())
    }

    /// Adds a notification for each webhook of each action group of the rule.
    fn notify(&self, rule: &Rule, alert: &mut Alert, now: Timestamp, batch: &mut Batch) {
        let mut told = Vec::new();
        for action in &rule.actions {
            let Some(group) = self.rules.group(&action.group).filter(|group| group.enabled) else { continue };
            for receiver in &group.webhooks {
                let notification = Notification::new(rule, action, alert, &group, receiver, now);
                if self.outbox.admits(&notification) {
                    batch.writes.push(notification.put());
                    batch.notifications.push(notification);
                } else {
                    tracing::error!(
                        rule = rule.id,
                        group = group.id,
                        receiver = receiver.name,
                        "too many notifications wait: this one is dropped"
                    );
                }
            }
            told.push(group.name.clone());
        }
        if !told.is_empty() {
            history(alert, now, ChangeEvent::ActionsTriggered, "", &told.join(", "));
        }
    }

    /// Resolves what rules left open that are gone or disabled, and forgets them. Who was told by a rule that is gone is
    /// not told: nobody knows any more who that was.
    pub async fn forget(&self, now: Timestamp) -> Result<usize, StateError> {
        let mut resolved = 0;
        for kept in self.all(Shelf::Evaluations).await? {
            let evaluation = Evaluation::read(&kept);
            let rule = self.rules.rule(&evaluation.rule);
            if rule.as_ref().is_none_or(|rule| !rule.enabled) {
                resolved += self.again(|| self.forget_once(&kept.id, rule.as_deref(), now)).await?;
            }
        }
        Ok(resolved)
    }

    async fn forget_once(&self, id: &str, rule: Option<&Rule>, now: Timestamp) -> Result<usize, StateError> {
        let Some(kept) = self.state.get(Shelf::Evaluations, id).await? else { return Ok(0) };
        let mut evaluation = Evaluation::read(&kept);
        let (mut etag, mut batch, mut resolved) = (kept.etag, Batch::default(), 0);
        while let Some((_, memory)) = evaluation.series.pop_first() {
            if memory.told.is_none() {
                self.resolve(rule, Some(&memory), Value::clone, now, &mut batch).await?;
                resolved += 1;
            }
            if batch.writes.len() >= MAX_ALERT_WRITES {
                etag = self.write(&evaluation, Some(etag), &mut batch).await?;
            }
        }
        let Batch { mut writes, notifications } = batch;
        // Removed, but only if nobody has written it meanwhile: a removal cannot say so itself.
        writes.push(evaluation.write(Some(etag)).0);
        writes.push(StateWrite::Delete { shelf: Shelf::Evaluations, id: id.to_owned() });
        self.state.write(writes).await?;
        self.outbox.add(notifications.iter());
        Ok(resolved)
    }

    /// Removes alerts that are older than their retention and not open; answers how many.
    pub async fn prune(&self, now: Timestamp) -> Result<usize, StateError> {
        let evaluations = self.all(Shelf::Evaluations).await?;
        let memories = evaluations.iter().flat_map(|kept| Evaluation::read(kept).series.into_values());
        let open: HashSet<String> = memories
            .filter(|memory| memory.told.is_none())
            .map(|memory| memory.alert.simple().to_string())
            .collect();
        let oldest = now.plus_millis(-ALERT_RETENTION_DAYS * 86_400_000);
        let is_old = |kept: &Kept| match serde_json::from_str::<Alert>(&kept.body) {
            Ok(alert) => alert.fired < oldest && alert.modified < oldest,
            Err(_) => true,
        };
        let (mut removed, mut left, mut after) = (0, 0, None::<String>);
        loop {
            let page = self.state.list(Shelf::Alerts, after.as_deref(), MAX_ALERT_WRITES).await?;
            let Some(last) = page.last().map(|kept| kept.id.clone()) else { break };
            let (old, young): (Vec<Kept>, Vec<Kept>) =
                page.into_iter().partition(|kept| is_old(kept) && !open.contains(&kept.id));
            (removed, left, after) = (removed + old.len(), left + young.len(), Some(last));
            let delete = |kept: Kept| StateWrite::Delete { shelf: Shelf::Alerts, id: kept.id };
            if !old.is_empty() {
                self.state.write(old.into_iter().map(delete).collect()).await?;
            }
        }
        self.kept.store(left, Ordering::Relaxed);
        Ok(removed)
    }

    async fn all(&self, shelf: Shelf) -> Result<Vec<Kept>, StateError> {
        let mut all = Vec::new();
        loop {
            let after = all.last().map(|kept: &Kept| kept.id.clone());
            let page = self.state.list(shelf, after.as_deref(), MAX_PAGE).await?;
            let is_last = page.len() < MAX_PAGE;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }
}

/// Series that met the condition or have a memory, with what was found of them.
fn concerned<'a>(evaluation: &Evaluation, findings: &'a [Finding]) -> Vec<(Series, Option<&'a Finding>)> {
    let known = |finding: &&Finding| finding.met || evaluation.series.contains_key(&finding.series);
    let mut concerned: Vec<(Series, Option<&Finding>)> =
        findings.iter().filter(known).map(|finding| (finding.series.clone(), Some(finding))).collect();
    let found: HashSet<&Series> = findings.iter().map(|finding| &finding.series).collect();
    let gone = evaluation.series.keys().filter(|series| !found.contains(series));
    concerned.extend(gone.map(|series| (series.clone(), None)));
    concerned
}

/// May another alert fire?
fn has_place(rule: &Rule, evaluation: &Evaluation, recorded: Recorded) -> bool {
    match (&rule.condition, rule.stateful) {
        (Condition::Query(_), true) => evaluation.series.len() < MAX_STATEFUL_LOG_ALERTS,
        (Condition::Query(_), false) => recorded.fired < MAX_STATELESS_LOG_ALERTS,
        (_, true) => evaluation.series.len() < MAX_ALERT_SERIES,
        (_, false) => recorded.fired < MAX_ALERT_SERIES,
    }
}

fn alert(rule: &Rule, finding: &Finding, id: uuid::Uuid, at: i64, now: Timestamp) -> Alert {
    let signal = match rule.condition {
        Condition::Query(_) => Signal::Log,
        Condition::Metrics { .. } | Condition::Dynamic(_) => Signal::Metric,
    };
    // A clock that went back must not make an alert older than what it tells of.
    let fired = now.max(instant(at));
    let mut alert = Alert {
        id,
        rule: rule.id.clone(),
        rule_name: rule.name.clone(),
        description: rule.description.clone(),
        severity: rule.severity,
        signal,
        target: finding.series.target.clone(),
        dimensions: finding.series.dimensions.clone(),
        condition: MonitorCondition::Fired,
        state: AlertState::New,
        fired,
        resolved: None,
        modified: fired,
        context: alert_context(rule, finding, at),
        history: Vec::new(),
    };
    history(&mut alert, fired, ChangeEvent::AlertCreated, "", "Fired");
    alert
}

fn history(alert: &mut Alert, at: Timestamp, event: ChangeEvent, old: &str, new: &str) {
    if alert.history.len() < MAX_ALERT_HISTORY {
        let (old, new) = (old.to_owned(), new.to_owned());
        alert.history.push(Change { at, event, old, new, by: "System".into(), comment: String::new() });
    }
}

fn put(alert: &Alert, over: Option<Etag>) -> StateWrite {
    // Plain fields: it cannot fail.
    let body = serde_json::to_string(alert).unwrap_or_default();
    let document = Kept { id: alert.id.simple().to_string(), etag: Etag::fresh(), body, sealed: None };
    StateWrite::Put { shelf: Shelf::Alerts, document, over: Some(over) }
}

#[cfg(test)]
mod tests;

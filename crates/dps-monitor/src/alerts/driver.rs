//! The driver: evaluates each rule when it is due, and takes what follows to the keeper. Owns the pace; must not know what
//! an evaluation looks at, or whom an alert is told.
//!
//! Rules are due at minutes that their frequency divides, and are evaluated a few seconds later, when what happened before
//! is counted and kept. A rule that missed its time, because the server was down or the rule took long, is evaluated once,
//! for the last time that it was due. Kinds of rules have lanes of their own: a query that takes a minute delays no metric.

mod learnt;
mod schedule;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dps_events::Metrics;
use dps_model::Timestamp;
use dps_model::limits::{
    ALERT_PRUNE_MINUTES, ALERT_QUERY_TIME, MAX_DYNAMIC_EVALUATIONS, MAX_LOG_EVALUATIONS,
    MAX_METRIC_EVALUATIONS, QUERY_GRACE,
};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::Now;
use super::evaluation::{EvaluationError, Finding, dynamic, learns_until, metrics, query};
use super::rule::{Condition, Rule};
use super::state::{AlertKeeper, Recorded};
use crate::metrics::{ReadError, Rollups};
use crate::ports::{QueryEngine, QueryError, RuleSource, StateError};
use learnt::LearntRules;
use schedule::{Schedule, due, last_minute, until_next};

/// Evaluates rules.
pub struct AlertDriver {
    rules: Arc<dyn RuleSource>,
    rollups: Arc<Rollups>,
    queries: Option<Arc<dyn QueryEngine>>,
    keeper: Arc<AlertKeeper>,
    now: Now,
    lanes: Lanes,
    learnt: Mutex<LearntRules>,
    /// What is wrong with rules, said once.
    problems: Mutex<HashMap<String, String>>,
    metrics: Arc<Metrics>,
}

struct Lanes {
    metrics: Semaphore,
    dynamic: Semaphore,
    queries: Semaphore,
}

/// What was done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evaluations {
    /// Evaluations that came to an end.
    pub evaluated: u64,
    /// Those that did not.
    pub failed: u64,
    /// Alerts that fired.
    pub fired: u64,
    /// Alerts that resolved.
    pub resolved: u64,
}

/// Why an evaluation came to nothing.
enum Failure {
    /// By itself: the next time is soon enough.
    Rule(String),
    /// By its surroundings: it is done again in a minute.
    Surroundings(String),
}

impl AlertDriver {
    /// Evaluates these rules over these metrics and, in a build that has one, by this engine.
    pub fn new(
        rules: Arc<dyn RuleSource>,
        rollups: Arc<Rollups>,
        queries: Option<Arc<dyn QueryEngine>>,
        keeper: Arc<AlertKeeper>,
        metrics: Arc<Metrics>,
        now: Now,
    ) -> Self {
        let lanes = Lanes {
            metrics: Semaphore::new(MAX_METRIC_EVALUATIONS),
            dynamic: Semaphore::new(MAX_DYNAMIC_EVALUATIONS),
            queries: Semaphore::new(MAX_LOG_EVALUATIONS),
        };
        let (learnt, problems) = (Mutex::default(), Mutex::default());
        Self { rules, rollups, queries, keeper, now, lanes, learnt, problems, metrics }
    }

    /// What was done so far.
    pub fn counts(&self) -> Evaluations {
        Evaluations {
            evaluated: self.metrics.alert_rules_evaluated("done"),
            failed: self.metrics.alert_rules_evaluated("failed"),
            fired: self.metrics.alerts_that("fired"),
            resolved: self.metrics.alerts_that("resolved"),
        }
    }

    /// Evaluates until it is told to stop. An evaluation that is broken off then is done by the next run.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut schedule = Schedule::default();
        let mut evaluations: JoinSet<Option<i64>> = JoinSet::new();
        let mut names: HashMap<tokio::task::Id, String> = HashMap::new();
        let mut tidied: Option<i64> = None;
        while !*stop.borrow_and_update() {
            let minute = last_minute((self.now)());
            if tidied != Some(minute) {
                let hourly = tidied.is_none() || minute.rem_euclid(ALERT_PRUNE_MINUTES) == 0;
                tidied = Some(minute);
                self.tidy(hourly).await;
            }
            for rule in schedule.start(self.rules.enabled(), minute) {
                let (driver, name) = (Arc::clone(&self), rule.id.clone());
                let task = evaluations.spawn(async move { driver.evaluate(&rule).await });
                names.insert(task.id(), name);
            }
            let next = tokio::time::sleep(until_next((self.now)()));
            tokio::pin!(next);
            loop {
                tokio::select! {
                    told = stop.changed() => match told {
                        Ok(()) => break,
                        Err(_) => return, // nobody is there to tell
                    },
                    () = &mut next => break,
                    Some(ended) = evaluations.join_next_with_id() => {
                        let (id, at) = match ended {
                            Ok((id, at)) => (id, at),
                            Err(error) => (error.id(), None),
                        };
                        if let Some(name) = names.remove(&id) {
                            schedule.finish(&name, at);
                        }
                    }
                }
            }
        }
    }

    /// Removes what is over: every minute what rules that are gone left open, every hour old alerts.
    async fn tidy(&self, hourly: bool) {
        let now = (self.now)();
        match self.keeper.forget(now).await {
            Ok(resolved) => self.count(Recorded { resolved, ..Recorded::default() }),
            Err(error) => tracing::warn!(%error, "alerts of rules that are gone could not be resolved"),
        }
        if hourly {
            match self.keeper.prune(now).await {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "alerts older than their retention removed"),
                Err(error) => tracing::warn!(%error, "old alerts could not be removed"),
            }
        }
    }

    /// Evaluates a rule for the last time that it was due, once its lane has a place; answers for which minute that was,
    /// and nothing where it is to be done again.
    async fn evaluate(&self, rule: &Rule) -> Option<i64> {
        let lane = match rule.condition {
            Condition::Metrics { .. } => &self.lanes.metrics,
            Condition::Dynamic(_) => &self.lanes.dynamic,
            Condition::Query(_) => &self.lanes.queries,
        };
        let _place = lane.acquire().await.ok()?;
        let now = (self.now)();
        let at = due(rule, last_minute(now));
        match self.evaluate_at(rule, at, now).await {
            Ok(recorded) => {
                self.metrics.alert_rule_evaluated("done");
                self.count(recorded);
                self.is_well(rule, recorded);
                Some(at)
            }
            Err(failure) => {
                self.metrics.alert_rule_evaluated("failed");
                let (problem, at) = match failure {
                    Failure::Rule(problem) => (problem, Some(at)),
                    Failure::Surroundings(problem) => (problem, None),
                };
                self.has_problem(rule, problem);
                at
            }
        }
    }

    async fn evaluate_at(&self, rule: &Rule, at: i64, now: Timestamp) -> Result<Recorded, Failure> {
        let findings = self.findings(rule, at, now).await?;
        // A rule that was changed or removed meanwhile must not fire any more.
        let current = self.rules.rule(&rule.id);
        if current.is_none_or(|current| *current != *rule) {
            return Ok(Recorded::default());
        }
        Ok(self.keeper.keep(rule, &findings, at, (self.now)()).await?)
    }

    async fn findings(&self, rule: &Rule, at: i64, now: Timestamp) -> Result<Vec<Finding>, Failure> {
        match &rule.condition {
            Condition::Metrics { criteria, .. } => Ok(metrics(&self.rollups, rule, criteria, at, now).await?),
            Condition::Dynamic(criterion) => {
                let until = learns_until(rule, criterion, at);
                let learnt = learnt::of(&self.learnt, &self.rollups, rule, criterion, until, now).await?;
                Ok(dynamic(&self.rollups, rule, criterion, &learnt, at, now).await?)
            }
            Condition::Query(criterion) => {
                let engine = self.queries.as_deref().ok_or(EvaluationError::NoQueries)?;
                let periods = u64::from(criterion.failing.of.saturating_add(1));
                // The engine keeps to the time of each query; this holds though one of its operators did not.
                let patience = Duration::from_secs(ALERT_QUERY_TIME.saturating_mul(periods) + QUERY_GRACE);
                match tokio::time::timeout(patience, query(engine, rule, criterion, at)).await {
                    Ok(findings) => Ok(findings?),
                    Err(_) => Err(EvaluationError::Query(QueryError::Time(patience)).into()),
                }
            }
        }
    }

    fn count(&self, recorded: Recorded) {
        let count = |alerts: usize| u64::try_from(alerts).unwrap_or(u64::MAX);
        self.metrics.alerts_became("fired", count(recorded.fired));
        self.metrics.alerts_became("resolved", count(recorded.resolved));
    }

    fn has_problem(&self, rule: &Rule, problem: String) {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        // Said once, not every minute.
        if problems.get(&rule.id) != Some(&problem) {
            tracing::warn!(rule = rule.id, problem, "an alert rule could not be evaluated");
            problems.retain(|id, _| self.rules.rule(id).is_some());
            problems.insert(rule.id.clone(), problem);
        }
    }

    fn is_well(&self, rule: &Rule, recorded: Recorded) {
        if recorded.left_out > 0 {
            let problem = format!("{} series found no place among its open alerts", recorded.left_out);
            return self.has_problem(rule, problem);
        }
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        if problems.remove(&rule.id).is_some() {
            tracing::info!(rule = rule.id, "the alert rule is evaluated again");
        }
    }
}

impl From<EvaluationError> for Failure {
    fn from(error: EvaluationError) -> Self {
        match &error {
            EvaluationError::Metrics(ReadError::State(_))
            | EvaluationError::Query(QueryError::Busy | QueryError::Failed(_)) => {
                Self::Surroundings(error.to_string())
            }
            _ => Self::Rule(error.to_string()),
        }
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        Self::Surroundings(error.to_string())
    }
}

#[cfg(test)]
mod tests;

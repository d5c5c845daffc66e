//! When rules are due. Must not know what is done then.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use dps_model::Timestamp;
use dps_model::limits::ALERT_EVALUATION_DELAY;

use crate::alerts::rule::Rule;

const MINUTE: i64 = 60_000;
#[allow(clippy::cast_possible_wrap, reason = "it is a few seconds")]
const DELAY: i64 = ALERT_EVALUATION_DELAY as i64 * 1_000;

/// Which rules are done and which are being evaluated, by their ids.
#[derive(Default)]
pub(super) struct Schedule {
    done: HashMap<String, i64>,
    running: HashSet<String>,
}

impl Schedule {
    /// The rules that are to be evaluated now.
    pub(super) fn start(&mut self, rules: Vec<Arc<Rule>>, minute: i64) -> Vec<Arc<Rule>> {
        let there: HashSet<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
        self.done.retain(|id, _| there.contains(id.as_str()));
        drop(there);
        let mut started = rules;
        started.retain(|rule| {
            // A minute that is to come was done before the clock went back.
            let is_done = |done: &i64| (due(rule, minute)..=minute).contains(done);
            !self.done.get(&rule.id).is_some_and(is_done) && !self.running.contains(&rule.id)
        });
        self.running.extend(started.iter().map(|rule| rule.id.clone()));
        started
    }

    /// The evaluation of a rule has ended, for that minute; none where it is to be done again.
    pub(super) fn finish(&mut self, id: &str, at: Option<i64>) {
        self.running.remove(id);
        match at {
            Some(at) => self.done.insert(id.to_owned(), at),
            None => self.done.remove(id),
        };
    }
}

/// The last minute at which a rule was due, up to that one.
pub(super) fn due(rule: &Rule, minute: i64) -> i64 {
    let frequency = i64::from(rule.frequency.max(1));
    minute.div_euclid(frequency).saturating_mul(frequency)
}

/// The last minute up to which everything is counted and kept.
pub(super) fn last_minute(now: Timestamp) -> i64 {
    now.millis().saturating_sub(DELAY).div_euclid(MINUTE)
}

/// How long until there is another.
pub(super) fn until_next(now: Timestamp) -> Duration {
    let since = now.millis().saturating_sub(DELAY).rem_euclid(MINUTE);
    Duration::from_millis(u64::try_from(MINUTE - since).unwrap_or(0).max(1))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Schedule, due, last_minute, until_next};
    use crate::alerts::evaluation::instant;
    use crate::alerts::fixtures::rule;
    use crate::alerts::rule::Rule;

    fn every(frequency: u32) -> Arc<Rule> {
        Arc::new(Rule { id: frequency.to_string(), frequency, ..rule(Vec::new()) })
    }

    fn started(schedule: &mut Schedule, minute: i64) -> Vec<String> {
        let rules = schedule.start(vec![every(1), every(5), every(60)], minute);
        rules.iter().map(|rule| rule.id.clone()).collect()
    }

    #[test]
    fn rules_start_when_due_and_once_after_a_pause() {
        let mut schedule = Schedule::default();
        assert_eq!(started(&mut schedule, 63), ["1", "5", "60"], "all of them are late at the start");
        for (id, at) in [("1", 63), ("5", 60), ("60", 60)] {
            schedule.finish(id, Some(at));
        }
        assert_eq!(started(&mut schedule, 64), ["1"]);
        assert_eq!(started(&mut schedule, 65), ["5"], "the first still runs");
        schedule.finish("5", Some(65));
        schedule.finish("1", Some(64));
        // Ten hours later each is evaluated once.
        assert_eq!(started(&mut schedule, 665), ["1", "5", "60"]);
        schedule.finish("5", None);
        assert_eq!(started(&mut schedule, 666), ["5"], "it is to be done again");
    }

    #[test]
    fn rules_that_are_gone_are_forgotten_and_a_clock_that_went_back_stops_nothing() {
        let mut schedule = Schedule::default();
        schedule.start(vec![every(5)], 100);
        schedule.finish("5", Some(100));
        assert!(schedule.start(Vec::new(), 101).is_empty() && schedule.done.is_empty());
        schedule.finish("5", Some(100));
        assert_eq!(schedule.start(vec![every(5)], 50).len(), 1);
    }

    #[test]
    fn minutes_are_over_a_few_seconds_later() {
        let at = |seconds: i64| instant(100).plus_millis(seconds * 1_000);
        assert_eq!([at(4), at(5), at(64), at(65)].map(last_minute), [99, 100, 100, 101]);
        assert_eq!([at(4), at(5), at(64)].map(|now| until_next(now).as_secs()), [1, 60, 1]);
        assert_eq!([0, 4, 5, 11].map(|minute| due(&every(5), minute)), [0, 0, 5, 10]);
    }
}

use std::sync::Arc;

use dps_model::limits::{MAX_STATEFUL_LOG_ALERTS, MAX_WEBHOOK_NOTIFICATIONS};
use serde_json::Value;

use super::{AlertKeeper, Recorded};
use crate::alerts::delivery::Outbox;
use crate::alerts::evaluation::{Figure, Finding, Series, instant};
use crate::alerts::fixtures::{
    Break, FakeRules, MemoryState, RecordingWebhooks, attempts, group, query_rule, rows_over, rule,
    shortly_after, target,
};
use crate::alerts::rule::{Action, Rule};
use crate::ports::{Shelf, StateError};

const AT: i64 = 29_000_000;

struct World {
    state: Arc<MemoryState>,
    rules: Arc<FakeRules>,
    outbox: Arc<Outbox>,
    keeper: AlertKeeper,
}

fn world(rule: &Rule) -> World {
    let state = Arc::new(MemoryState::default());
    let rules = Arc::new(FakeRules::default());
    rules.put(rule.clone());
    rules.put_group(group("ops", &["pager", "chat"]));
    let webhooks = Arc::new(RecordingWebhooks::default());
    let now = Arc::new(|| shortly_after(AT));
    let outbox = Arc::new(Outbox::new(state.clone(), rules.clone(), webhooks, Arc::default(), now));
    let keeper = AlertKeeper::new(state.clone(), rules.clone(), Arc::clone(&outbox));
    World { state, rules, outbox, keeper }
}

fn telling(rule: Rule) -> Rule {
    let action =
        Action { group: group("ops", &[]).id.to_uppercase(), properties: [("k".into(), "v".into())].into() };
    Rule { actions: vec![action], ..rule }
}

fn finding(value: &str, met: bool) -> Finding {
    let dimensions = vec![("Protocol".to_owned(), value.to_owned())];
    let figure = Figure { value: Some(9.0), threshold: Some(1.0), dimensions: dimensions.clone() };
    Finding { series: Series { target: target(), dimensions }, met, figures: vec![figure] }
}

impl World {
    async fn record(&self, rule: &Rule, findings: &[Finding], at: i64) -> Result<Recorded, StateError> {
        self.keeper.keep(rule, findings, at, shortly_after(at)).await
    }

    /// Condition of each alert, by the value of its dimension.
    fn alerts(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut alerts: Vec<_> = self
            .state
            .bodies(Shelf::Alerts)
            .iter()
            .map(|body| (text(&body["dimensions"][0][1]), text(&body["condition"])))
            .collect();
        alerts.sort();
        alerts
    }

    fn notifications(&self) -> usize {
        assert_eq!(self.outbox.counts().waiting, self.state.bodies(Shelf::Notifications).len());
        self.outbox.counts().waiting
    }
}

fn pairs(alerts: &[(&str, &str)]) -> Vec<(String, String)> {
    alerts.iter().map(|(one, other)| ((*one).to_owned(), (*other).to_owned())).collect()
}

#[tokio::test]
async fn alert_memory_and_notifications_are_one_write() {
    let rule = telling(rule(vec![attempts(1.0, &[])]));
    let world = world(&rule);
    let findings = [finding("Mqtt", true), finding("Http", false)];
    let fired = world.record(&rule, &findings, AT).await.unwrap();
    assert_eq!(fired, Recorded { fired: 1, ..Recorded::default() });
    assert_eq!(world.state.writes(), [4], "an alert, two notifications, the memory");
    assert_eq!(world.alerts(), pairs(&[("Mqtt", "Fired")]));
    assert_eq!(world.notifications(), 2);
    // It fires on: nothing is written.
    world.record(&rule, &findings, AT + 1).await.unwrap();
    assert_eq!(world.state.writes(), [4]);

    let alert = &world.state.bodies(Shelf::Alerts)[0];
    let events: Vec<_> =
        alert["history"].as_array().unwrap().iter().map(|change| change["event"].clone()).collect();
    assert_eq!(events, ["AlertCreated", "ActionsTriggered"]);
    assert_eq!(world.state.bodies(Shelf::Notifications)[0]["properties"]["k"], "v");
}

#[tokio::test]
async fn alert_resolves_with_the_state_that_people_gave_it() {
    let rule = telling(rule(vec![attempts(1.0, &[])]));
    let world = world(&rule);
    world.record(&rule, &[finding("Mqtt", true)], AT).await.unwrap();
    let id = world.state.bodies(Shelf::Alerts)[0]["id"].as_str().unwrap().replace('-', "");
    world.state.touch(Shelf::Alerts, &id, |alert| alert["state"] = "Acknowledged".into());
    // Once without data, which is no breach either, then twice with.
    for (at, findings) in [(1, vec![]), (2, vec![finding("Mqtt", false)]), (3, vec![finding("Mqtt", false)])]
    {
        let done = world.record(&rule, &findings, AT + at).await.unwrap();
        assert_eq!(done.resolved, usize::from(at == 3));
    }
    let alert = &world.state.bodies(Shelf::Alerts)[0];
    assert_eq!((&alert["condition"], &alert["state"]), (&"Resolved".into(), &"Acknowledged".into()));
    assert_eq!(alert["resolved"], Value::from(shortly_after(AT + 3).to_string()));
    assert_eq!(world.notifications(), 4, "two say that it fired, two that it resolved");
}

#[tokio::test]
async fn evaluation_done_again_changes_nothing_wherever_it_broke_off() {
    let rule = telling(rule(vec![attempts(1.0, &[])]));
    for broken in [Break::Before, Break::After] {
        let world = world(&rule);
        world.state.break_next(&[Some(broken)]);
        let failed = world.record(&rule, &[finding("Mqtt", true)], AT).await;
        assert!(matches!(failed, Err(StateError::Failed(_))));
        world.record(&rule, &[finding("Mqtt", true)], AT).await.unwrap();
        world.record(&rule, &[finding("Mqtt", true)], AT + 1).await.unwrap();
        assert_eq!(world.alerts(), pairs(&[("Mqtt", "Fired")]));
        assert_eq!(world.state.bodies(Shelf::Notifications).len(), 2);
        // The same where it resolves.
        world.record(&rule, &[], AT + 2).await.unwrap();
        world.record(&rule, &[], AT + 3).await.unwrap();
        world.state.break_next(&[Some(broken)]);
        assert!(world.record(&rule, &[], AT + 4).await.is_err());
        world.record(&rule, &[], AT + 4).await.unwrap();
        assert_eq!(world.alerts(), pairs(&[("Mqtt", "Resolved")]));
        assert_eq!(world.state.bodies(Shelf::Notifications).len(), 4);
    }
}

#[tokio::test]
async fn stateless_alerts_are_not_doubled_by_an_evaluation_done_again() {
    let rule = telling(Rule { stateful: false, ..query_rule(rows_over(0.0)) });
    let world = world(&rule);
    world.state.break_next(&[Some(Break::After)]);
    assert!(world.record(&rule, &[finding("a", true)], AT).await.is_err());
    assert_eq!(world.record(&rule, &[finding("a", true)], AT).await.unwrap().fired, 0);
    assert_eq!(world.record(&rule, &[finding("a", true)], AT + 1).await.unwrap().fired, 1);
    assert_eq!(world.alerts().len(), 2);
    assert_eq!(world.state.bodies(Shelf::Notifications).len(), 4);
}

#[tokio::test]
async fn muted_rule_keeps_alerts_and_tells_nobody() {
    let rule = telling(Rule { stateful: false, mute: Some(5), ..query_rule(rows_over(0.0)) });
    let world = world(&rule);
    for at in 0..6 {
        world.record(&rule, &[finding("a", true)], AT + at).await.unwrap();
    }
    assert_eq!((world.alerts().len(), world.notifications()), (6, 4));
}

#[tokio::test]
async fn somebody_elses_write_is_taken_into_account() {
    let rule = telling(rule(vec![attempts(1.0, &[])]));
    let world = Arc::new(world(&rule));
    let both = [finding("Mqtt", true), finding("Http", true)];
    // Two servers over one state.
    let other = AlertKeeper::new(world.state.clone(), world.rules.clone(), Arc::clone(&world.outbox));
    let (one, two) =
        tokio::join!(world.record(&rule, &both, AT), other.keep(&rule, &both, AT, shortly_after(AT)),);
    assert_eq!(one.unwrap().fired + two.unwrap().fired, 2);
    assert_eq!((world.alerts().len(), world.notifications()), (2, 4));
}

#[tokio::test]
async fn many_series_are_written_step_by_step_and_no_more_than_may_be_open() {
    let rule = telling(query_rule(rows_over(0.0)));
    let world = world(&rule);
    let many: Vec<Finding> =
        (0..MAX_STATEFUL_LOG_ALERTS + 20).map(|n| finding(&n.to_string(), true)).collect();
    // It breaks off in the middle, and goes on where it was.
    world.state.break_next(&[None, Some(Break::Before)]);
    assert!(world.record(&rule, &many, AT).await.is_err());
    let done = world.record(&rule, &many, AT).await.unwrap();
    assert_eq!(done.left_out, 20);
    assert_eq!(world.alerts().len(), MAX_STATEFUL_LOG_ALERTS);
    assert_eq!(world.notifications(), 2 * MAX_STATEFUL_LOG_ALERTS);
    assert!(world.state.writes().iter().all(|writes| *writes < 300));
}

#[tokio::test]
async fn rule_that_is_gone_resolves_silently_and_one_that_is_disabled_tells() {
    let rule = telling(rule(vec![attempts(1.0, &[])]));
    let world = world(&rule);
    world.record(&rule, &[finding("Mqtt", true)], AT).await.unwrap();
    assert_eq!(world.keeper.forget(shortly_after(AT)).await, Ok(0), "it is there");
    world.rules.put(Rule { enabled: false, ..rule.clone() });
    assert_eq!(world.keeper.forget(shortly_after(AT + 1)).await, Ok(1));
    assert_eq!((world.alerts(), world.notifications()), (pairs(&[("Mqtt", "Resolved")]), 4));
    assert!(world.state.bodies(Shelf::Evaluations).is_empty());

    world.rules.put(rule.clone());
    world.record(&rule, &[finding("Http", true)], AT + 2).await.unwrap();
    world.rules.remove(&rule.id);
    assert_eq!(world.keeper.forget(shortly_after(AT + 3)).await, Ok(1));
    assert_eq!(world.notifications(), 6, "nobody knows whom to tell");
    assert_eq!(world.alerts(), pairs(&[("Http", "Resolved"), ("Mqtt", "Resolved")]));
}

#[tokio::test]
async fn old_alerts_are_removed_unless_they_are_open() {
    let rule = telling(rule(vec![attempts(1.0, &[])]));
    let world = world(&rule);
    world.record(&rule, &[finding("Mqtt", true), finding("Http", true)], AT).await.unwrap();
    for at in 1..4 {
        world.record(&rule, &[finding("Mqtt", true)], AT + at).await.unwrap();
    }
    let days = |days: i64| instant(AT + days * 1_440 + 10);
    assert_eq!(world.keeper.prune(days(29)).await, Ok(0));
    assert_eq!(world.keeper.prune(days(31)).await, Ok(1));
    assert_eq!(world.alerts(), pairs(&[("Mqtt", "Fired")]));
}

#[tokio::test]
async fn notifications_beyond_a_webhooks_places_are_dropped_and_alerts_are_not() {
    let rule = telling(Rule { stateful: false, ..query_rule(rows_over(0.0)) });
    let world = world(&rule);
    let many: Vec<Finding> =
        (0..MAX_WEBHOOK_NOTIFICATIONS + 300).map(|n| finding(&n.to_string(), true)).collect();
    world.record(&rule, &many, AT).await.unwrap();
    assert_eq!(world.alerts().len(), many.len());
    let waiting = world.notifications() / 2;
    assert!((MAX_WEBHOOK_NOTIFICATIONS..MAX_WEBHOOK_NOTIFICATIONS + 300).contains(&waiting), "{waiting}");
}

#[tokio::test]
async fn group_that_is_disabled_or_gone_is_not_told() {
    let mut rule = telling(rule(vec![attempts(1.0, &[])]));
    rule.actions.push(Action { group: "/gone".into(), properties: [].into() });
    let world = world(&rule);
    let mut disabled = group("ops", &["pager"]);
    disabled.enabled = false;
    world.rules.put_group(disabled);
    world.record(&rule, &[finding("Mqtt", true)], AT).await.unwrap();
    assert_eq!(world.notifications(), 0);
    assert_eq!(world.state.bodies(Shelf::Alerts)[0]["history"].as_array().unwrap().len(), 1);
}

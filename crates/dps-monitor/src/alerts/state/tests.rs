use dps_model::limits::METRIC_CHECKS_TO_RESOLVE;
use proptest::prelude::*;
use uuid::Uuid;

use super::{Memory, Policy, Turn, alert_id, turn};
use crate::alerts::evaluation::Series;
use crate::alerts::fixtures::{query_rule, rows_over, rule};
use crate::alerts::rule::Rule;

fn series() -> Series {
    Series { target: "/t".into(), dimensions: vec![("Protocol".into(), "Mqtt".into())] }
}

/// What follows from findings, minute by minute: F fires and tells, f fires silently, R resolves.
fn story(policy: Policy, findings: &str) -> String {
    let mut memory: Option<Memory> = None;
    let each = findings.chars().zip(1..).map(|(finding, at)| {
        let fresh = alert_id("r", &series(), at);
        let (after, what) = turn(policy, memory.take(), &series(), finding == '!', at, fresh);
        memory = after;
        match what {
            Turn::Stays => '.',
            Turn::Fires { told: true } => 'F',
            Turn::Fires { told: false } => 'f',
            Turn::Resolves => 'R',
        }
    });
    each.collect()
}

#[test]
fn stateful_rule_fires_once_and_resolves_after_its_checks_in_a_row() {
    let three = Policy::Stateful { checks: 3 };
    assert_eq!(story(three, ".!!!..!...!"), ".F.......RF");
    assert_eq!(story(Policy::Stateful { checks: 1 }, "!.!."), "FRFR");
}

#[test]
fn stateless_rule_fires_each_time_and_is_muted_for_a_while() {
    assert_eq!(story(Policy::Stateless { mute: None }, "!!.!"), "FF.F");
    assert_eq!(story(Policy::Stateless { mute: Some(3) }, "!!!!.!!...!"), "FffF.fF...F");
}

#[test]
fn rule_that_changes_its_kind_resolves_what_is_open() {
    let fresh = Uuid::nil();
    let (open, _) = turn(Policy::Stateful { checks: 3 }, None, &series(), true, 1, fresh);
    let stateless = Policy::Stateless { mute: Some(9) };
    assert_eq!(turn(stateless, open, &series(), true, 2, fresh), (None, Turn::Resolves));
    let (muted, _) = turn(stateless, None, &series(), true, 1, fresh);
    let (after, what) = turn(Policy::Stateful { checks: 3 }, muted, &series(), true, 2, fresh);
    assert_eq!((after.unwrap().told, what), (None, Turn::Fires { told: true }));
}

#[test]
fn policy_of_rules_is_azures_table() {
    let metric = Policy::of(&rule(Vec::new()));
    assert_eq!(metric, Policy::Stateful { checks: METRIC_CHECKS_TO_RESOLVE });
    let log = |frequency, time_to_resolve| {
        let mut criterion = rows_over(0.0);
        criterion.time_to_resolve = time_to_resolve;
        Policy::of(&Rule { frequency, ..query_rule(criterion) })
    };
    for (frequency, checks) in [(1, 10), (5, 3), (15, 3), (30, 2), (600, 2), (660, 1), (720, 1), (1_440, 1)] {
        assert_eq!(log(frequency, None), Policy::Stateful { checks }, "{frequency}");
    }
    assert_eq!(log(5, Some(30)), Policy::Stateful { checks: 6 });
    assert_eq!(log(10, Some(1)), Policy::Stateful { checks: 1 });
    let stateless = Rule { stateful: false, mute: Some(60), ..rule(Vec::new()) };
    assert_eq!(Policy::of(&stateless), Policy::Stateless { mute: Some(60) });
}

#[test]
fn alert_id_is_the_same_for_the_same_and_for_nothing_else() {
    let id = alert_id("/Rules/A", &series(), 7);
    assert_eq!(id, alert_id("/rules/a", &series(), 7));
    let other = |change: fn(&mut Series)| {
        let mut series = series();
        change(&mut series);
        alert_id("/rules/a", &series, 7)
    };
    let others = [
        alert_id("/rules/b", &series(), 7),
        alert_id("/rules/a", &series(), 8),
        other(|series| series.target.push('2')),
        other(|series| series.dimensions.clear()),
        other(|series| series.dimensions[0] = ("ProtocolM".into(), "qtt".into())),
    ];
    assert!(others.iter().all(|other| *other != id));
}

proptest! {
    /// Whatever happens, an alert resolves only when it is open, and none fires while one is; what is done twice at the
    /// same minute does nothing.
    #[test]
    fn stateful_alerts_alternate(findings in proptest::collection::vec(any::<bool>(), 0..60), checks in 1..5_u32) {
        let policy = Policy::Stateful { checks };
        let (mut memory, mut open, mut clear): (Option<Memory>, bool, u32) = (None, false, 0);
        for (met, at) in findings.into_iter().zip(1_i64..) {
            let fresh = alert_id("r", &series(), at);
            let (after, what) = turn(policy, memory, &series(), met, at, fresh);
            clear = if met { 0 } else { clear + 1 };
            let expected = match (open, met) {
                (false, true) => Turn::Fires { told: true },
                (true, false) if clear == checks => Turn::Resolves,
                _ => Turn::Stays,
            };
            prop_assert_eq!(what, expected);
            match what {
                Turn::Fires { .. } => open = true,
                Turn::Resolves => open = false,
                Turn::Stays => {}
            }
            prop_assert_eq!(after.is_some(), open);
            let fresh_again = alert_id("r", &series(), at);
            if what != Turn::Resolves && (what != Turn::Stays || after.as_ref().is_some_and(|m| m.checked == at)) {
                let again = turn(policy, after.clone(), &series(), met, at, fresh_again);
                prop_assert_eq!(again, (after.clone(), Turn::Stays));
            }
            memory = after;
        }
    }
}

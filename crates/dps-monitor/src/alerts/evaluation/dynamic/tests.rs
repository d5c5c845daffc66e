use std::sync::Arc;

use dps_model::Protocol;
use proptest::prelude::*;

use super::{Band, DAY, Profile, Sample, dynamic, learn, learns_until};
use crate::alerts::fixtures::{MemoryState, attempt, attempts, rule, shortly_after};
use crate::alerts::rule::{Condition, DynamicCriterion, FailingPeriods, Rule, Sensitivity, Side};
use crate::metrics::Rollups;

/// Midnight of a Thursday.
const START: i64 = 10 * 7 * DAY;

/// One value each five minutes.
fn history(days: i64, value: impl Fn(i64) -> f64) -> Vec<Sample> {
    (0..days * DAY / 5).map(|place| START + place * 5).map(|minute| (minute, value(minute))).collect()
}

fn band(samples: &[Sample], at: i64, sensitivity: Sensitivity) -> Option<Band> {
    Profile::learn(samples, true, at).map(|profile| profile.band(at, sensitivity))
}

#[test]
fn too_little_history_says_nothing() {
    let end = START + 3 * DAY;
    assert!(band(&history(3, |_| 10.0), end, Sensitivity::Medium).is_some());
    assert!(band(&history(3, |_| 10.0)[1..], end, Sensitivity::Medium).is_none(), "not yet three days");
    let thirty: Vec<Sample> = (0..30).map(|n| (START + n * 300, 10.0)).collect();
    assert!(band(&thirty, START + 9_000, Sensitivity::Low).is_some());
    assert!(band(&thirty[..29], START + 9_000, Sensitivity::Low).is_none(), "29 values");
    assert!(Profile::learn(&[], true, START).is_none());
}

#[test]
fn band_follows_the_hour_of_the_day_and_after_three_weeks_that_of_the_week() {
    let busy = |minute: i64| if (8..18).contains(&(minute / 60 % 24)) { 400.0 } else { 10.0 };
    let days = history(7, busy);
    let (noon, night) = (START + 7 * DAY + 720, START + 7 * DAY + 120);
    assert!(band(&days, noon, Sensitivity::Medium).unwrap().lower > 300.0);
    assert!(band(&days, night, Sensitivity::Medium).unwrap().upper < 30.0);

    let is_weekend = |minute: i64| matches!(minute / DAY % 7, 2 | 3); // 1970 began on a Thursday
    let weeks = history(28, |minute| if is_weekend(minute) { 10.0 } else { busy(minute) });
    let saturday_noon = START + 30 * DAY + 720;
    assert!(band(&weeks, saturday_noon, Sensitivity::Medium).unwrap().upper < 30.0);
    assert!(band(&weeks, saturday_noon - DAY, Sensitivity::Medium).unwrap().lower > 300.0);
}

#[test]
fn an_attack_of_an_hour_teaches_nothing() {
    let quiet = history(10, |minute| 20.0 + f64::from(u8::try_from(minute / 5 % 5).unwrap()));
    let mut attacked = quiet.clone();
    attacked.iter_mut().filter(|(minute, _)| (0..60).contains(&(minute - START - 5 * DAY))).for_each(
        |sample| {
            sample.1 = 10_000.0;
        },
    );
    let at = START + 10 * DAY;
    let (one, other) =
        (band(&quiet, at, Sensitivity::Low).unwrap(), band(&attacked, at, Sensitivity::Low).unwrap());
    assert!((one.upper - other.upper).abs() < 5.0, "{one:?} {other:?}");
}

#[test]
fn sides_of_a_band() {
    let band = Band { lower: 2.0, upper: 4.0 };
    let outside = |side| [1.0, 2.0, 3.0, 4.0, 5.0].map(|value| band.is_left_by(value, side));
    assert_eq!(outside(Side::Above), [false, false, false, false, true]);
    assert_eq!(outside(Side::Below), [true, false, false, false, false]);
    assert_eq!(outside(Side::Either), [true, false, false, false, true]);
}

fn criterion(of: u32, at_least: u32) -> DynamicCriterion {
    DynamicCriterion {
        measure: attempts(0.0, &[("Protocol", true, &["*"])]).measure,
        side: Side::Above,
        sensitivity: Sensitivity::Medium,
        failing: FailingPeriods { of, at_least },
        ignore_before: None,
    }
}

fn rule_of(criterion: &DynamicCriterion) -> Rule {
    Rule { frequency: 30, window: 30, condition: Condition::Dynamic(criterion.clone()), ..rule(Vec::new()) }
}

fn observe(rollups: &Rollups, minute: i64, count: usize) {
    (0..count).for_each(|_| rollups.observe(&attempt(Protocol::Mqtt, true, minute)));
}

#[tokio::test]
async fn rule_fires_when_enough_windows_leave_the_band() {
    let rollups = Rollups::new(Arc::new(MemoryState::default()));
    let end = START + 4 * DAY;
    (0..4 * 48).for_each(|window| observe(&rollups, START + window * 30, 5));
    rollups.flush(shortly_after(end)).await.unwrap();
    let criterion = criterion(3, 2);
    let rule = rule_of(&criterion);
    for (over, met) in [(1, false), (2, true)] {
        // The latest windows, one after the other, are far above.
        let at = end + 30 * over;
        observe(&rollups, at - 30, 50);
        let now = shortly_after(at);
        let until = learns_until(&rule, &criterion, at);
        let learnt = learn(&rollups, &rule, &criterion, until, now).await.unwrap();
        let found = dynamic(&rollups, &rule, &criterion, &learnt, at, now).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].met, found[0].figures[0].value), (met, Some(50.0)), "{over}");
        assert!(found[0].figures[0].threshold.unwrap() < 20.0);
    }
}

#[tokio::test]
async fn rule_without_history_does_not_fire() {
    let rollups = Rollups::new(Arc::new(MemoryState::default()));
    let (criterion, at) = (criterion(1, 1), START + DAY);
    let rule = rule_of(&criterion);
    (0..48).for_each(|window| observe(&rollups, START + window * 30, 1));
    observe(&rollups, at - 30, 1_000);
    let now = shortly_after(at);
    let until = learns_until(&rule, &criterion, at);
    let learnt = learn(&rollups, &rule, &criterion, until, now).await.unwrap();
    let found = dynamic(&rollups, &rule, &criterion, &learnt, at, now).await.unwrap();
    assert_eq!((found[0].met, found[0].figures[0].threshold), (false, None));

    // Nor by what is to be ignored.
    let ignoring = DynamicCriterion { ignore_before: Some(shortly_after(at)), ..criterion };
    assert!(learn(&rollups, &rule, &ignoring, until, now).await.unwrap().is_empty());
}

#[test]
fn learning_ends_before_what_is_judged_and_moves_by_the_hour() {
    let criterion = criterion(4, 4);
    let rule = rule_of(&criterion);
    let at = START + 90;
    assert_eq!(learns_until(&rule, &criterion, at), START - 60);
    assert_eq!(learns_until(&rule, &criterion, at + 29), START - 60);
    assert_eq!(learns_until(&rule, &criterion, at + 30), START);
}

proptest! {
    #[test]
    fn band_holds_what_is_usual_and_is_narrower_when_more_sensitive(
        values in proptest::collection::vec(0.0..1e6_f64, 60), place in 0..60_usize, shift in 0..10_000_i64,
    ) {
        let samples: Vec<Sample> =
            values.iter().enumerate().map(|(n, value)| (START + i64::try_from(n).unwrap() * 120, *value)).collect();
        let at = START + 60 * 120;
        let profile = Profile::learn(&samples, false, at).unwrap();
        let minute = at + shift;
        let [high, medium, low] = [Sensitivity::High, Sensitivity::Medium, Sensitivity::Low]
            .map(|sensitivity| profile.band(minute, sensitivity));
        prop_assert!(low.lower <= medium.lower && medium.lower <= high.lower);
        prop_assert!(high.upper <= medium.upper && medium.upper <= low.upper);
        prop_assert!(0.0 <= low.lower && high.lower < high.upper);
        // The same values one by one greater make a band that is about that much higher, never lower.
        let more: Vec<Sample> = samples.iter().map(|(minute, value)| (*minute, value + 10.0)).collect();
        let higher = Profile::learn(&more, false, at).unwrap().band(minute, Sensitivity::High);
        prop_assert!(higher.upper >= high.upper);
        prop_assert!(values[place].is_finite());
    }
}

use std::sync::Arc;

use dps_model::limits::{MAX_METRIC_SERIES, METRIC_RETENTION_MINUTES};
use dps_model::{Protocol, Timestamp};

use super::Rollups;
use crate::metrics::fixtures::{Break, MemoryState, attempt, resource};
use crate::metrics::{Budget, Grain, Metric, Question, Rollup, Sample, Span};
use crate::ports::MonitorState;

/// 2026-12-01T00:00:00Z.
const START: i64 = 1_796_083_200;

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis((START + second) * 1_000)
}

fn rollups(state: &Arc<MemoryState>) -> Rollups {
    Rollups::new(Arc::clone(state) as Arc<dyn MonitorState>)
}

/// Attempts of the first day.
async fn total(rollups: &Rollups, now: Timestamp) -> Option<Rollup> {
    let span = Span::between(at(0), at(86_400)).unwrap();
    let question = Question::new(Metric::AttestationAttempts, vec![resource("dps")], span, Grain::Full);
    let values = rollups.read(&question, &mut Budget::default(), now).await.unwrap();
    values.series.first().unwrap().whole()
}

async fn count(rollups: &Rollups, now: Timestamp) -> u64 {
    total(rollups, now).await.map_or(0, |whole| whole.count)
}

fn observe(rollups: &Rollups, second: i64) {
    rollups.observe(&attempt("dps", Protocol::Mqtt, true, START + second));
}

#[tokio::test]
async fn point_is_readable_at_once_and_after_a_flush_and_a_restart() {
    let state = Arc::new(MemoryState::default());
    let first = rollups(&state);
    assert_eq!(total(&first, at(1)).await, None);
    observe(&first, 0);
    assert_eq!(count(&first, at(1)).await, 1);
    first.flush(at(1)).await.unwrap();
    observe(&first, 2);
    assert_eq!(count(&first, at(3)).await, 2);
    first.flush(at(3)).await.unwrap();
    drop(first);
    let second = rollups(&state);
    assert_eq!(count(&second, at(4)).await, 2);
    observe(&second, 4);
    assert_eq!(count(&second, at(5)).await, 3, "on top of what is stored, before it is read");
    second.flush(at(5)).await.unwrap();
    assert_eq!(count(&second, at(6)).await, 3);
    second.flush(at(7)).await.unwrap();
    assert_eq!(count(&rollups(&state), at(8)).await, 3);
}

#[tokio::test]
async fn kill_loses_what_was_not_flushed_and_nothing_else() {
    let state = Arc::new(MemoryState::default());
    let first = rollups(&state);
    observe(&first, 0);
    first.flush(at(1)).await.unwrap();
    observe(&first, 1);
    drop(first);
    assert_eq!(count(&rollups(&state), at(8)).await, 1);
}

#[tokio::test]
async fn failed_write_is_done_later_and_an_unacknowledged_one_counts_once() {
    for side in [Break::Before, Break::After] {
        let state = Arc::new(MemoryState::default());
        let rollups_of_run = rollups(&state);
        observe(&rollups_of_run, 0);
        state.break_next(side);
        assert!(rollups_of_run.flush(at(1)).await.is_err());
        assert_eq!(count(&rollups_of_run, at(1)).await, 1);
        observe(&rollups_of_run, 1);
        rollups_of_run.flush(at(2)).await.unwrap();
        assert_eq!(count(&rollups_of_run, at(3)).await, 2);
        assert_eq!(count(&rollups(&state), at(3)).await, 2);
    }
}

#[tokio::test]
async fn flush_that_is_broken_off_leaves_all_to_the_next() {
    let state = Arc::new(MemoryState::default());
    let rollups_of_run = rollups(&state);
    observe(&rollups_of_run, 0);
    state.break_next(Break::Hang);
    tokio::select! {
        biased;
        _ = rollups_of_run.flush(at(1)) => panic!("the write does not end"),
        () = std::future::ready(()) => {}
    }
    rollups_of_run.flush(at(2)).await.unwrap();
    assert_eq!(count(&rollups(&state), at(3)).await, 1);
}

#[tokio::test]
async fn hour_that_is_over_leaves_memory_and_a_late_point_adds_to_it() {
    let state = Arc::new(MemoryState::default());
    let rollups = rollups(&state);
    observe(&rollups, 0);
    rollups.flush(at(3_600 + 300)).await.unwrap();
    assert_eq!(rollups.open().hours.len(), 1, "it lingers");
    rollups.flush(at(3_600 + 900)).await.unwrap();
    assert!(rollups.open().hours.is_empty() && rollups.open().series.is_empty());
    observe(&rollups, 10);
    assert_eq!(count(&rollups, at(3_600 + 901)).await, 2);
    rollups.flush(at(3_600 + 902)).await.unwrap();
    assert_eq!(count(&rollups, at(3_600 + 903)).await, 2);
}

#[tokio::test]
async fn series_beyond_the_bound_are_counted_as_other() {
    let state = Arc::new(MemoryState::default());
    let rollups = rollups(&state);
    for number in 0..MAX_METRIC_SERIES + 5 {
        let sample = Sample {
            metric: Metric::CertificateDaysLeft,
            service: None,
            values: vec![format!("host-{number}")],
            value: 1.0,
        };
        rollups.sample(&[sample], at(0));
    }
    assert_eq!(rollups.overflowed(), 5);
    assert_eq!(rollups.open().hours.len(), MAX_METRIC_SERIES + 1);
    let span = Span::between(at(0), at(60)).unwrap();
    let question = Question::new(Metric::CertificateDaysLeft, vec![resource("dps")], span, Grain::Full);
    let values = rollups.read(&question, &mut Budget::default(), at(1)).await.unwrap();
    let whole = values.series.first().unwrap().whole().unwrap();
    assert_eq!(whole.count, MAX_METRIC_SERIES as u64 + 5, "none is lost");
}

#[tokio::test]
async fn what_is_older_than_the_retention_is_removed_and_the_rest_stays() {
    let state = Arc::new(MemoryState::default());
    let rollups = rollups(&state);
    for service in ["a", "a-b", "dps", "zz"] {
        for hours in [0, 1, 2, 3_000] {
            rollups.observe(&attempt(service, Protocol::Http, true, START + hours * 3_600));
        }
    }
    rollups.sample(
        &[Sample { metric: Metric::OpenConnections, service: None, values: vec![], value: 2.0 }],
        at(0),
    );
    rollups.flush(at(3_000 * 3_600)).await.unwrap();
    assert_eq!(state.ids().len(), 17);
    let now = at(METRIC_RETENTION_MINUTES * 60 + 2 * 3_600);
    assert_eq!(rollups.expire(now).await, Ok(9));
    assert_eq!(rollups.expire(now).await, Ok(0));
    assert_eq!(state.ids().len(), 8);
    assert!(state.ids().iter().all(|id| id.starts_with("AttestationAttempts/")));
}

#[tokio::test]
async fn damaged_document_counts_as_nothing_and_harms_no_other() {
    let state = Arc::new(MemoryState::default());
    let first = rollups(&state);
    observe(&first, 0);
    first.flush(at(1)).await.unwrap();
    state.damage();
    let second = rollups(&state);
    observe(&second, 1);
    second.flush(at(2)).await.unwrap();
    assert_eq!(count(&second, at(3)).await, 1);
}

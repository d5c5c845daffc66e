use std::sync::Arc;

use dps_model::limits::MAX_METRIC_POINTS;
use dps_model::{Protocol, Timestamp};
use proptest::prelude::*;

use super::{Order, Question, ReadError, Values};
use crate::metrics::fixtures::{MemoryState, attempt, resource};
use crate::metrics::{Aggregation, Budget, Filter, Grain, Metric, Rollups, Sample, Span};
use crate::ports::MonitorState;

/// 2026-12-01T00:00:00Z.
const START: i64 = 1_796_083_200;
const PROTOCOLS: [Protocol; 5] =
    [Protocol::Http, Protocol::Mqtt, Protocol::MqttWs, Protocol::Amqp, Protocol::AmqpWs];

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis((START + second) * 1_000)
}

fn question(span: Span, grain: Grain, filter: &str) -> Question {
    let metric = Metric::AttestationAttempts;
    let filter = match filter {
        "" => Filter::default(),
        text => Filter::parse(text, metric.definition(), false).unwrap(),
    };
    Question { filter, ..Question::new(metric, vec![resource("dps")], span, grain) }
}

fn block<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn totals(values: &Values) -> Vec<Vec<Option<f64>>> {
    let total = |rollup: &Option<crate::metrics::Rollup>| rollup.map(|rollup| rollup.sum);
    values.series.iter().map(|series| series.buckets.iter().map(total).collect()).collect()
}

/// Sums of a column over all series; none where all are none.
fn column_sums(values: &Values) -> Vec<Option<f64>> {
    let rows = totals(values);
    let width = rows.first().map_or(0, Vec::len);
    let sum = |column: usize| {
        let some: Vec<f64> = rows.iter().filter_map(|row| row[column]).collect();
        (!some.is_empty()).then(|| some.iter().sum())
    };
    (0..width).map(sum).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happened, and whenever it was flushed or the server restarted: split adds up to unsplit, grains add up to
    /// coarser ones, what nothing was counted in is null, and every attempt counts once.
    #[test]
    fn identities_hold_over_flushes_and_restarts(
        steps in prop::collection::vec((0..4_i64 * 3_600, 0..5_usize, any::<bool>(), 0..12_u8), 1..80),
        from in 0..3_600_i64,
        length in 1..4_i64 * 3_600,
    ) {
        block(async {
            let state = Arc::new(MemoryState::default());
            let open = || Rollups::new(Arc::clone(&state) as Arc<dyn MonitorState>);
            let (mut rollups, now) = (open(), at(4 * 3_600));
            for (second, protocol, good, step) in &steps {
                rollups.observe(&attempt("dps", PROTOCOLS[*protocol], *good, START + second));
                rollups.observe(&attempt("other", PROTOCOLS[*protocol], *good, START + second));
                if *step < 4 {
                    rollups.flush(now).await.unwrap();
                }
                if *step == 0 {
                    rollups = open();
                }
            }
            let span = Span::between(at(from), at(from + length)).unwrap();
            let read = async |grain, filter| rollups.read(&question(span, grain, filter), &mut Budget::default(), now).await.unwrap();
            let minutes = read(Grain::Minutes(1), "").await;

            // Against a count by hand.
            let mut expected = vec![None; usize::try_from(span.minutes()).unwrap()];
            for (second, ..) in &steps {
                let place = (START + second).div_euclid(60) - span.from;
                if let Some(bucket) = usize::try_from(place).ok().and_then(|place| expected.get_mut(place)) {
                    *bucket = Some(bucket.unwrap_or(0.0) + 1.0);
                }
            }
            prop_assert_eq!(&totals(&minutes), &vec![expected.clone()]);

            for filter in ["Protocol eq '*'", "Status eq '*'", "Status eq '*' and Protocol eq '*'"] {
                for grain in [Grain::Minutes(1), Grain::Minutes(60), Grain::Full] {
                    let (split, whole) = (read(grain, filter).await, read(grain, "").await);
                    if split.series.is_empty() {
                        prop_assert!(expected.iter().all(Option::is_none));
                        continue;
                    }
                    prop_assert_eq!(vec![column_sums(&split)], totals(&whole));
                }
            }
            for grain in [5_i64, 15, 30, 60, 360, 720, 1_440] {
                let coarse = read(Grain::Minutes(grain), "").await;
                let fold = |chunk: &[Option<f64>]| {
                    let some: Vec<f64> = chunk.iter().flatten().copied().collect();
                    (!some.is_empty()).then(|| some.iter().sum::<f64>())
                };
                let folded: Vec<_> = expected.chunks(usize::try_from(grain).unwrap()).map(fold).collect();
                prop_assert_eq!(totals(&coarse), vec![folded]);
            }
            Ok(())
        })?;
    }
}

async fn some() -> Rollups {
    let rollups = Rollups::new(Arc::new(MemoryState::default()));
    for (service, protocol, good, times) in [
        ("dps", Protocol::Http, true, 3),
        ("dps", Protocol::Mqtt, true, 5),
        ("dps", Protocol::Mqtt, false, 1),
        ("second", Protocol::MqttWs, true, 7),
    ] {
        for second in 0..times {
            rollups.observe(&attempt(service, protocol, good, START + second));
        }
    }
    rollups.flush(at(10)).await.unwrap();
    rollups
}

async fn shown(rollups: &Rollups, question: &Question) -> Vec<String> {
    let values = rollups.read(question, &mut Budget::default(), at(60)).await.unwrap();
    values
        .series
        .iter()
        .map(|series| {
            let names = series.dimensions.iter().map(|(name, value)| format!("{name}={value} "));
            let sum = series.whole().map_or("null".into(), |whole| whole.sum.to_string());
            format!("{}{sum}", names.collect::<String>())
        })
        .collect()
}

#[tokio::test]
async fn filter_splits_orders_and_cuts() {
    let rollups = some().await;
    let span = Span::between(at(0), at(60)).unwrap();
    let ask = |filter: &str| question(span, Grain::Minutes(1), filter);
    assert_eq!(shown(&rollups, &ask("")).await, ["9"]);
    let split = ["Protocol=Mqtt 6", "Protocol=Http 3"];
    assert_eq!(shown(&rollups, &ask("protocol eq '*'")).await, split);
    let order = Order { by: Aggregation::Total, ascending: true };
    let ascending = Question { order, top: Some(1), ..ask("protocol eq '*'") };
    assert_eq!(shown(&rollups, &ascending).await, ["Protocol=Http 3"]);
    let failed = ask("Status ne 'success' and Protocol eq '*'");
    assert_eq!(shown(&rollups, &failed).await, ["Status=ClientError Protocol=Mqtt 1"]);
    let text = "Protocol eq 'Mqtt' or Protocol eq 'Http'";
    let rolled_up = Question { rolled_up: vec!["PROTOCOL".into()], ..ask(text) };
    assert_eq!(shown(&rollups, &rolled_up).await, ["9"]);
    assert!(shown(&rollups, &ask("Protocol eq 'Amqp'")).await.is_empty());
}

#[tokio::test]
async fn several_resources_are_folded_or_split_by_id() {
    let rollups = some().await;
    let span = Span::between(at(0), at(60)).unwrap();
    let both = |filter| {
        let resources = vec![resource("DPS"), resource("second"), resource("third")];
        Question { resources, ..question(span, Grain::Full, filter) }
    };
    assert_eq!(shown(&rollups, &both("")).await, ["16"]);
    let id = |service| format!("Microsoft.ResourceId={}", resource(service).id);
    let split = [format!("{} 9", id("DPS")), format!("{} 7", id("second"))];
    assert_eq!(shown(&rollups, &both("Microsoft.ResourceId eq '*'")).await, split);
    let one = format!("Microsoft.ResourceId eq '{}'", resource("second").id);
    assert_eq!(shown(&rollups, &both(&one)).await, [format!("{} 7", id("second"))]);
}

#[tokio::test]
async fn metric_of_the_server_is_read_at_every_service_and_counted_once() {
    let rollups = some().await;
    let sample = |value| Sample { metric: Metric::OpenConnections, service: None, values: vec![], value };
    rollups.sample(&[sample(4.0), sample(8.0)], at(1));
    rollups.flush(at(2)).await.unwrap();
    let span = Span::between(at(0), at(60)).unwrap();
    let resources = vec![resource("dps"), resource("second")];
    let question = Question::new(Metric::OpenConnections, resources, span, Grain::Full);
    let values = rollups.read(&question, &mut Budget::default(), at(3)).await.unwrap();
    let whole = values.series.first().unwrap().whole().unwrap();
    assert_eq!((whole.count, whole.value(Aggregation::Average)), (2, 6.0));
}

#[tokio::test]
async fn span_outside_of_all_time_is_empty_and_too_many_points_are_refused() {
    let rollups = some().await;
    let (first, last) = (Timestamp::from_millis(i64::MIN), Timestamp::MAX);
    let whole = Span::between(first, last).unwrap();
    assert_eq!(shown(&rollups, &question(whole, Grain::Full, "")).await, ["9"]);
    let refused = rollups.read(&question(whole, Grain::Minutes(1), ""), &mut Budget::default(), at(60)).await;
    assert_eq!(refused, Err(ReadError::TooManyPoints));
    let long = Span { from: START / 60, to: START / 60 + MAX_METRIC_POINTS };
    let split = question(long, Grain::Minutes(1), "Protocol eq '*'");
    assert_eq!(rollups.read(&split, &mut Budget::default(), at(60)).await, Err(ReadError::TooManyPoints));
    let half = Span { from: START / 60, to: START / 60 + MAX_METRIC_POINTS / 2 + 1 };
    let (half, mut budget) = (question(half, Grain::Minutes(1), ""), Budget::default());
    assert!(rollups.read(&half, &mut budget, at(60)).await.is_ok());
    let second = rollups.read(&half, &mut budget, at(60)).await;
    assert_eq!(second, Err(ReadError::TooManyPoints), "the questions of a call share what they may cost");
    let future = Span::between(at(90_000_000), at(90_000_060)).unwrap();
    assert_eq!(shown(&rollups, &question(future, Grain::Full, "")).await, ["null"]);
}

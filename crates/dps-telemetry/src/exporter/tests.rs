use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dps_events::{AddressMask, AttemptRecord, Event, Operation, Outcome};
use dps_model::{Channel, Error, ErrorCode, Protocol, Timestamp, TlsSession, TrackingId};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

use super::{Counts, Exporter, Post, PostFailed, Settings, Signal};
use crate::limits::{MAX_ATTEMPTS, MAX_EVENTS_WAITING};

/// Keeps what it is sent; fails as often as it is told to.
#[derive(Default)]
struct Collector {
    taken: Mutex<Vec<(Signal, Vec<u8>)>>,
    failures: Mutex<Vec<PostFailed>>,
    stuck: bool,
}

#[async_trait]
impl Post for Collector {
    async fn post(&self, signal: Signal, body: Vec<u8>) -> Result<(), PostFailed> {
        if self.stuck {
            std::future::pending::<()>().await;
        }
        if let Some(failure) = self.failures.lock().unwrap().pop() {
            return Err(failure);
        }
        self.taken.lock().unwrap().push((signal, body));
        Ok(())
    }
}

impl Collector {
    fn failing(times: u32, again: bool) -> Arc<Self> {
        let failure = PostFailed { why: "503".into(), again, after: Some(Duration::from_secs(7)) };
        let failures = std::iter::repeat_n(failure, times as usize).collect();
        Arc::new(Self { failures: Mutex::new(failures), ..Self::default() })
    }

    fn spans(&self) -> usize {
        let taken = self.taken.lock().unwrap();
        let traces = taken.iter().filter(|(signal, _)| *signal == Signal::Traces);
        let count = |body: &Vec<u8>| {
            let request = ExportTraceServiceRequest::decode(&**body).unwrap();
            request
                .resource_spans
                .iter()
                .flat_map(|it| &it.scope_spans)
                .map(|it| it.spans.len())
                .sum::<usize>()
        };
        traces.map(|(_, body)| count(body)).sum()
    }
}

fn event(outcome: Outcome) -> Event {
    let channel = Channel {
        protocol: Protocol::Http,
        peer: "127.0.0.1:1".parse().unwrap(),
        tls: TlsSession::default(),
    };
    let mut record =
        AttemptRecord::open(TrackingId::fresh(), Timestamp::from_millis(1), &channel, Operation::Register);
    record.outcome = outcome;
    Event::Attempt(Box::new(record))
}

fn start(collector: &Arc<Collector>, per_mille: u16, metrics_every: Option<Duration>) -> Exporter {
    let settings = Settings {
        resource: vec![("service.name".into(), "muster".into())],
        traces: true,
        traces_per_mille: per_mille,
        metrics_every,
        addresses: AddressMask::Masked,
    };
    let text = "# HELP a Things.\n# TYPE a counter\na_total 1\n# EOF\n";
    let rendered = move || (text.to_owned(), Timestamp::from_millis(5));
    Exporter::start(settings, Arc::clone(collector) as _, Arc::new(rendered))
}

#[tokio::test(start_paused = true)]
async fn spans_are_sent_together_and_a_collector_that_fails_is_asked_again() {
    let collector = Collector::failing(MAX_ATTEMPTS - 1, true);
    let exporter = start(&collector, 1_000, None);
    for _ in 0..600 {
        exporter.take(&event(Outcome::Success));
    }
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert_eq!(collector.spans(), 600);
    assert!(collector.taken.lock().unwrap().len() <= 3, "they are sent in batches");
    assert_eq!(exporter.counts(), Counts { exported: 600, ..Counts::default() });
}

#[tokio::test(start_paused = true)]
async fn what_the_collector_never_takes_is_counted() {
    let collector = Collector::failing(1, false);
    let exporter = start(&collector, 1_000, None);
    exporter.take(&event(Outcome::Success));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(exporter.counts(), Counts { refused: 1, ..Counts::default() });

    let collector = Collector::failing(MAX_ATTEMPTS, true);
    let exporter = start(&collector, 1_000, None);
    exporter.take(&event(Outcome::Success));
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert_eq!((exporter.counts().refused, collector.spans()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn collector_that_is_stuck_costs_nobody_anything_but_spans() {
    let collector = Arc::new(Collector { stuck: true, ..Collector::default() });
    let exporter = start(&collector, 1_000, None);
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..MAX_EVENTS_WAITING + 5 {
        exporter.take(&event(Outcome::Success));
    }
    assert_eq!(exporter.counts().overflowed, 5);
    exporter.close().await; // ends although nothing is taken
}

#[tokio::test(start_paused = true)]
async fn failures_are_exported_whatever_the_share_of_successes() {
    let collector = Collector::failing(0, true);
    let exporter = start(&collector, 0, None);
    exporter.take(&event(Outcome::Success));
    exporter.take(&event(Outcome::failed(&Error::new(ErrorCode::Unauthorized))));
    exporter.close().await;
    assert_eq!(collector.spans(), 1);
}

#[tokio::test(start_paused = true)]
async fn metrics_go_at_their_interval_and_once_more_at_the_end() {
    let collector = Collector::failing(1, true);
    let exporter = start(&collector, 0, Some(Duration::from_mins(1)));
    tokio::time::sleep(Duration::from_secs(150)).await; // the first of two is lost
    exporter.close().await;
    let taken = collector.taken.lock().unwrap();
    assert_eq!(taken.len(), 2);
    let request = ExportMetricsServiceRequest::decode(&*taken[0].1).unwrap();
    let resource = &request.resource_metrics[0];
    assert_eq!(resource.resource.as_ref().unwrap().attributes[0].key, "service.name");
    assert_eq!(resource.scope_metrics[0].metrics[0].name, "a");
}

//! The export: events in, requests out. Who brings an event never waits; what finds no place, or no collector, is counted,
//! and said when it begins. Metrics are cumulative, so that one lost request of theirs loses nothing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dps_events::{AddressMask, Event};
use dps_model::Timestamp;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::limits::{BACKOFF, CLOSING, GATHER, MAX_ATTEMPTS, MAX_BATCH, MAX_EVENTS_WAITING, MAX_WAIT};
use crate::metrics::{self, Times};
use crate::spans::spans;

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metrics.
    Metrics,
}

/// Brings a request to the collector.
#[async_trait]
pub trait Post: Send + Sync + 'static {
    /// Sends a protobuf body.
    async fn post(&self, signal: Signal, body: Vec<u8>) -> Result<(), PostFailed>;
}

/// Why a request was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct PostFailed {
    /// What happened; holds no secret.
    pub why: String,
    /// May it be taken later?
    pub again: bool,
    /// Not before, as the collector said.
    pub after: Option<Duration>,
}

/// The text of `/metrics` as `OpenMetrics`, fresh each time, and what time it is then.
pub type Rendered = Arc<dyn Fn() -> (String, Timestamp) + Send + Sync>;

/// What is exported, and how it calls itself.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Attributes of the resource: `service.name`, `service.version` …
    pub resource: Vec<(String, String)>,
    /// Are there spans?
    pub traces: bool,
    /// Of a thousand traces that hold no failure so many are exported; failures always are.
    pub traces_per_mille: u16,
    /// Time between exports of metrics; none: they are not exported.
    pub metrics_every: Option<Duration>,
    /// How much of callers' addresses is shown.
    pub addresses: AddressMask,
}

/// What became of spans so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Spans that the collector took.
    pub exported: u64,
    /// Events that found no place in the queue.
    pub overflowed: u64,
    /// Spans that the collector did not take.
    pub refused: u64,
}

/// The export.
pub struct Exporter {
    settings: Settings,
    sender: Sender<Vec<Span>>,
    counted: Arc<Counted>,
    ending: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct Counted {
    exported: AtomicU64,
    overflowed: AtomicU64,
    refused: AtomicU64,
    overflowing: AtomicBool,
}

impl Exporter {
    /// Starts, within a runtime.
    pub fn start(settings: Settings, post: Arc<dyn Post>, rendered: Rendered) -> Self {
        let (sender, receiver) = mpsc::channel(MAX_EVENTS_WAITING);
        let (ending, ended) = watch::channel(false);
        let counted = Arc::new(Counted::default());
        let resource = resource(&settings.resource);
        let mut tasks = Vec::new();
        if settings.traces {
            let traces = Traces {
                out: Out { post: Arc::clone(&post), failing: false },
                resource: resource.clone(),
                counted: Arc::clone(&counted),
            };
            tasks.push(tokio::spawn(traces.run(receiver, ended.clone())));
        }
        if let Some(every) = settings.metrics_every {
            let out = Out { post, failing: false };
            tasks.push(tokio::spawn(export_metrics(out, resource, rendered, every, ended)));
        }
        Self { settings, sender, counted, ending, tasks: Mutex::new(tasks) }
    }

    /// Takes an event.
    pub fn take(&self, event: &Event) {
        if !self.settings.traces || !self.is_sampled(event) {
            return;
        }
        if self.sender.try_send(spans(event, self.settings.addresses)).is_ok() {
            self.counted.overflowing.store(false, Ordering::Relaxed);
            return;
        }
        self.counted.overflowed.fetch_add(1, Ordering::Relaxed);
        if !self.counted.overflowing.swap(true, Ordering::Relaxed) {
            tracing::warn!("spans come faster than the collector takes them; they are counted as dropped");
        }
    }

    /// A trace is exported whole or not at all: its id decides, which is random.
    fn is_sampled(&self, event: &Event) -> bool {
        let failed = match event {
            Event::Attempt(it) => it.outcome.result_type() != "Success",
            Event::Assignment(it) => it.outcome.result_type() != "Success",
            Event::ServiceCall(it) => it.outcome.result_type() != "Success",
            Event::ManagementCall(it) => it.outcome.result_type() != "Success",
            Event::Connection(_) | Event::LinkProbe(_) => true,
            Event::Polls(_) | Event::HubConnection(_) => false,
        };
        failed || event.trace().trace % 1_000 < u128::from(self.settings.traces_per_mille)
    }

    /// What became of spans so far.
    pub fn counts(&self) -> Counts {
        Counts {
            exported: self.counted.exported.load(Ordering::Relaxed),
            overflowed: self.counted.overflowed.load(Ordering::Relaxed),
            refused: self.counted.refused.load(Ordering::Relaxed),
        }
    }

    /// Sends what waits, for a short while, and ends.
    pub async fn close(&self) {
        self.ending.send_replace(true);
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let deadline = tokio::time::Instant::now() + CLOSING;
        for mut task in tasks {
            if tokio::time::timeout_at(deadline, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

struct Traces {
    out: Out,
    resource: Resource,
    counted: Arc<Counted>,
}

impl Traces {
    async fn run(mut self, mut receiver: Receiver<Vec<Span>>, mut ended: watch::Receiver<bool>) {
        loop {
            let mut events = Vec::new();
            tokio::select! {
                biased;
                _ = receiver.recv_many(&mut events, MAX_BATCH) => {}
                _ = ended.wait_for(|ended| *ended) => receiver.close(),
            }
            if events.is_empty() && receiver.is_closed() && receiver.is_empty() {
                return;
            }
            if events.len() < MAX_BATCH && !receiver.is_closed() {
                let more = async {
                    while events.len() < MAX_BATCH && receiver.recv_many(&mut events, MAX_BATCH).await > 0 {}
                };
                tokio::select! {
                    _ = tokio::time::timeout(GATHER, more) => {}
                    _ = ended.wait_for(|ended| *ended) => {}
                }
            }
            self.send(events.into_iter().flatten().collect()).await;
        }
    }

    async fn send(&mut self, spans: Vec<Span>) {
        if spans.is_empty() {
            return;
        }
        let count = spans.len() as u64;
        let scope = ScopeSpans { scope: Some(scope()), spans, ..ScopeSpans::default() };
        let resource = ResourceSpans {
            resource: Some(self.resource.clone()),
            scope_spans: vec![scope],
            ..ResourceSpans::default()
        };
        let body = ExportTraceServiceRequest { resource_spans: vec![resource] }.encode_to_vec();
        let taken = self.out.send(Signal::Traces, body, MAX_ATTEMPTS).await;
        let counter = if taken { &self.counted.exported } else { &self.counted.refused };
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

async fn export_metrics(
    mut out: Out,
    resource: Resource,
    rendered: Rendered,
    every: Duration,
    mut ended: watch::Receiver<bool>,
) {
    let start = nanos(rendered().1);
    let mut open = true;
    while open {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = ended.wait_for(|ended| *ended) => open = false,
        }
        let (text, now) = rendered();
        let request = metrics::request(&text, resource.clone(), Times { start, now: nanos(now) });
        // The next one holds what this one does.
        out.send(Signal::Metrics, request.encode_to_vec(), 1).await;
    }
}

/// The way out, with its patience.
struct Out {
    post: Arc<dyn Post>,
    failing: bool,
}

impl Out {
    async fn send(&mut self, signal: Signal, body: Vec<u8>, attempts: u32) -> bool {
        let mut backoff = BACKOFF;
        let mut attempt = 1;
        loop {
            let failed = match self.post.post(signal, body.clone()).await {
                Ok(()) => {
                    if std::mem::replace(&mut self.failing, false) {
                        tracing::info!(?signal, "the collector takes telemetry again");
                    }
                    return true;
                }
                Err(failed) => failed,
            };
            if !std::mem::replace(&mut self.failing, true) {
                tracing::warn!(?signal, error = %failed, "the collector does not take telemetry");
            }
            if !failed.again || attempt >= attempts {
                return false;
            }
            tokio::time::sleep(failed.after.unwrap_or(backoff).min(MAX_WAIT)).await;
            (attempt, backoff) = (attempt + 1, backoff * 2);
        }
    }
}

/// Who says all this.
pub(crate) fn scope() -> InstrumentationScope {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    InstrumentationScope { name: "muster".to_owned(), version, ..InstrumentationScope::default() }
}

fn resource(attributes: &[(String, String)]) -> Resource {
    let attribute = |(key, value): &(String, String)| KeyValue {
        key: key.clone(),
        value: Some(AnyValue { value: Some(Value::StringValue(value.clone())) }),
        ..KeyValue::default()
    };
    Resource { attributes: attributes.iter().map(attribute).collect(), ..Resource::default() }
}

/// As OTLP counts time: nanoseconds since 1970.
pub(crate) fn nanos(time: Timestamp) -> u64 {
    u64::try_from(time.millis()).unwrap_or_default().saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests;

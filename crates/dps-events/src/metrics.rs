//! Counters and histograms made of events, served to Prometheus. Owns names and labels; must not know who scrapes.
//! Labels are closed sets or configured names (instance, hub): no text of a client becomes a label.

mod exposition;
#[cfg(test)]
mod naming;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::sync::atomic::AtomicU64;

use dps_model::{Protocol, Timestamp};
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::alert_metrics::AlertCounters;
use crate::delivery_metrics::DeliveryCounters;
use crate::log_metrics::LogCounters;
use crate::record::{Event, Operation, Outcome, Step};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Attempts {
    instance: String,
    status: &'static str,
    protocol: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Registrations {
    instance: String,
    iothub: String,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Assigned {
    instance: String,
    iothub: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Lookups {
    operation: &'static str,
    status: &'static str,
    protocol: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refusals {
    code: u32,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Causes {
    cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServiceCalls {
    operation: &'static str,
    kind: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ManagementCalls {
    operation: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Connections {
    protocol: &'static str,
    stage: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StepName {
    step: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationName {
    operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Host {
    host: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Requests {
    kind: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Hub {
    instance: String,
    hub: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HubTrouble {
    instance: String,
    hub: String,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HubNews {
    instance: String,
    hub: String,
    news: &'static str,
}

/// How a linked hub is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSample {
    /// Name of the instance.
    pub instance: String,
    /// The hub.
    pub hub: String,
    /// Name of the catalogue's row; none when the link works.
    pub reason: Option<&'static str>,
    /// Since when, in Unix seconds.
    pub since: i64,
}

/// How busy the server is at this moment; gauges have no event to be made of.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadSample {
    /// Register requests that are handled.
    pub registering: usize,
    /// Register requests that wait for it.
    pub registering_waiting: usize,
    /// Polls and lookups that are handled.
    pub polling: usize,
    /// Polls and lookups that wait for it.
    pub polling_waiting: usize,
    /// Throttled devices that have a place.
    pub throttled_devices: usize,
    /// Open connections.
    pub connections: usize,
    /// TLS handshakes in progress.
    pub handshakes: usize,
}

/// An example of what was measured: the trace that it is of, which is also the UUID of the operation or the tracking id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Example {
    trace_id: TraceId,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct TraceId(u128);

impl EncodeLabelValue for TraceId {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> std::fmt::Result {
        write!(encoder, "{:032x}", self.0)
    }
}

type Histogram = HistogramWithExemplars<Example>;

/// Upper bounds of step durations, in seconds: from one database read to a hub that is slow.
const STEP_SECONDS: [f64; 14] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 30.0];

fn step_histogram() -> Histogram {
    Histogram::new(STEP_SECONDS.into_iter())
}

/// All metrics of the server.
pub struct Metrics {
    registry: Registry,
    attempts: Family<Attempts, Counter>,
    registrations: Family<Registrations, Counter>,
    assigned: Family<Assigned, Counter>,
    lookups: Family<Lookups, Counter>,
    refusals: Family<Refusals, Counter>,
    causes: Family<Causes, Counter>,
    service_calls: Family<ServiceCalls, Counter>,
    management_calls: Family<ManagementCalls, Counter>,
    connections: Family<Connections, Counter>,
    steps: Family<StepName, Histogram, fn() -> Histogram>,
    operations: Family<OperationName, Histogram, fn() -> Histogram>,
    certificates: Family<Host, Gauge>,
    overflowed: Counter<u64, AtomicU64>,
    dropped: Counter<u64, AtomicU64>,
    load: LoadGauges,
    links: LinkGauges,
    pub(crate) logs: LogCounters,
    pub(crate) alerts: AlertCounters,
    pub(crate) deliveries: DeliveryCounters,
}

struct LinkGauges {
    up: Family<Hub, Gauge>,
    since: Family<Hub, Gauge>,
    trouble: Family<HubTrouble, Gauge>,
    news: Family<HubNews, Counter>,
}

impl LinkGauges {
    fn register(registry: &mut Registry) -> Self {
        let gauges = Self {
            up: Family::default(),
            since: Family::default(),
            trouble: Family::default(),
            news: Family::default(),
        };
        registry.register(
            "linked_hub_up",
            "1 when the linked hub's probe succeeds, else 0",
            gauges.up.clone(),
        );
        let help = "Since when it is so, as Unix time";
        registry.register_with_unit("linked_hub_since", help, Unit::Seconds, gauges.since.clone());
        let help = "1 for a linked hub that does not work, with the reason";
        registry.register("linked_hub_trouble", help, gauges.trouble.clone());
        let help = "Changes of linked hubs that were told, and repetitions";
        registry.register("linked_hub_news", help, gauges.news.clone());
        gauges
    }
}

/// What Azure counts as well, by the names that others use for it.
struct AzureFamilies {
    attempts: Family<Attempts, Counter>,
    registrations: Family<Registrations, Counter>,
    assigned: Family<Assigned, Counter>,
    operations: Family<OperationName, Histogram, fn() -> Histogram>,
}

impl AzureFamilies {
    fn register(registry: &mut Registry) -> Self {
        let families = Self {
            attempts: Family::default(),
            registrations: Family::default(),
            assigned: Family::default(),
            operations: Family::new_with_constructor(step_histogram as fn() -> Histogram),
        };
        let help = "Device attestations attempted";
        registry.register("attestation_attempts", help, families.attempts.clone());
        let help = "Device registrations attempted at a hub";
        registry.register("registration_attempts", help, families.registrations.clone());
        let help = "Devices assigned to a hub";
        registry.register("device_assignments", help, families.assigned.clone());
        let help = "Duration of device requests, and of assignments after them";
        registry.register_with_unit("operation_duration", help, Unit::Seconds, families.operations.clone());
        families
    }
}

struct LoadGauges {
    requests: Family<Requests, Gauge>,
    throttled_devices: Gauge,
    connections: Gauge,
    handshakes: Gauge,
}

impl LoadGauges {
    fn register(registry: &mut Registry) -> Self {
        let gauges = Self {
            requests: Family::default(),
            throttled_devices: Gauge::default(),
            connections: Gauge::default(),
            handshakes: Gauge::default(),
        };
        registry.register("requests", "Device requests by kind and state", gauges.requests.clone());
        let help = "Devices that were throttled and have a place";
        registry.register("throttled_devices", help, gauges.throttled_devices.clone());
        registry.register("connections", "Open connections", gauges.connections.clone());
        registry.register("handshakes", "TLS handshakes in progress", gauges.handshakes.clone());
        gauges
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// No event yet.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let azure = AzureFamilies::register(registry.sub_registry_with_prefix("dps"));
        let own = registry.sub_registry_with_prefix("muster");
        let (lookups, refusals, service_calls, management_calls, connections) =
            (Family::default(), Family::default(), Family::default(), Family::default(), Family::default());
        own.register("device_lookups", "Operation polls and registration lookups", lookups.clone());
        own.register("refusals", "Refused device requests by code and reason", refusals.clone());
        let causes = Family::default();
        own.register("causes", "Refusals and failures by their foremost cause", causes.clone());
        own.register("service_calls", "Calls of the service API", service_calls.clone());
        own.register("management_calls", "Calls of the management API", management_calls.clone());
        own.register("refused_connections", "Connections that ended before a request", connections.clone());
        let steps = Family::new_with_constructor(step_histogram as fn() -> Histogram);
        let help = "Duration of the steps of device requests and operations";
        own.register_with_unit("step", help, Unit::Seconds, steps.clone());
        let certificates = Family::default();
        let help = "Time until the server certificate of a host ends";
        own.register_with_unit("certificate_left", help, Unit::Seconds, certificates.clone());
        let (dropped, overflowed) = (Counter::default(), Counter::default());
        own.register("events_dropped", "Events that could not be kept", dropped.clone());
        let help = "Points of metrics that found no place among the series and count as Other";
        own.register("metric_points_overflowed", help, overflowed.clone());
        let load = LoadGauges::register(own);
        let links = LinkGauges::register(own);
        let logs = LogCounters::register(own);
        let alerts = AlertCounters::register(own);
        let deliveries = DeliveryCounters::register(own);
        let AzureFamilies { attempts, registrations, assigned, operations } = azure;
        Self {
            registry,
            attempts,
            registrations,
            assigned,
            lookups,
            refusals,
            causes,
            service_calls,
            management_calls,
            connections,
            steps,
            operations,
            certificates,
            overflowed,
            dropped,
            load,
            links,
            logs,
            alerts,
            deliveries,
        }
    }

    /// Counts an event.
    pub fn observe(&self, event: &Event) {
        match event {
            Event::Attempt(attempt) => {
                let (status, protocol) = (attempt.outcome.result_type(), attempt.protocol.as_str());
                self.operation(attempt.operation.as_str(), attempt.micros, event);
                match attempt.operation {
                    // A challenge and its answer are one attempt.
                    Operation::Register if attempt.outcome == Outcome::Challenged => {}
                    Operation::Register => {
                        let instance = attempt.instance.clone().unwrap_or_default();
                        self.attempts.get_or_create(&Attempts { instance, status, protocol }).inc();
                    }
                    operation => {
                        let operation = operation.as_str();
                        self.lookups.get_or_create(&Lookups { operation, status, protocol }).inc();
                    }
                }
                if let Some(code) = attempt.outcome.code() {
                    let reason = attempt.reason.unwrap_or("");
                    self.refusals.get_or_create(&Refusals { code, reason }).inc();
                }
                self.steps(&attempt.steps, event);
            }
            Event::Assignment(assignment) => {
                let (instance, status) = (assignment.instance.clone(), assignment.outcome.result_type());
                let iothub = assignment.hub.clone().unwrap_or_default();
                if status == "Success" {
                    let assigned = Assigned { instance: instance.clone(), iothub: iothub.clone() };
                    self.assigned.get_or_create(&assigned).inc();
                }
                self.registrations.get_or_create(&Registrations { instance, iothub, status }).inc();
                self.operation("Assignment", assignment.micros, event);
                self.steps(&assignment.steps, event);
            }
            Event::ServiceCall(call) => {
                let status = call.outcome.result_type();
                let labels = ServiceCalls { operation: call.operation, kind: call.kind, status };
                self.service_calls.get_or_create(&labels).inc();
            }
            Event::ManagementCall(call) => {
                let status = call.outcome.result_type();
                let labels = ManagementCalls { operation: call.operation, status };
                self.management_calls.get_or_create(&labels).inc();
            }
            Event::Connection(connection) => {
                let labels =
                    Connections { protocol: Protocol::as_str(connection.protocol), stage: connection.stage };
                self.connections.get_or_create(&labels).inc();
            }
            Event::LinkProbe(probe) => {
                let (instance, hub) = (probe.instance.clone(), probe.hub.clone());
                self.links.news.get_or_create(&HubNews { instance, hub, news: probe.news }).inc();
            }
            // Their polls are counted one by one; a hub's devices are not the service's.
            Event::Polls(_) | Event::HubConnection(_) => {}
        }
    }

    /// Counts what a refusal or failure came from, once that is known.
    pub fn caused(&self, cause: &'static str) {
        self.causes.get_or_create(&Causes { cause }).inc();
    }

    /// Counts an event that could not be kept.
    pub fn drop_one(&self) {
        self.dropped.inc();
    }

    /// Events that could not be kept so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.get()
    }

    /// Notes how busy the server is; whoever renders does it right before.
    pub fn sample(&self, load: &LoadSample) {
        let set = |gauge: &Gauge, count: usize| gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        for (kind, state, count) in [
            ("Register", "in_flight", load.registering),
            ("Register", "waiting", load.registering_waiting),
            ("Poll", "in_flight", load.polling),
            ("Poll", "waiting", load.polling_waiting),
        ] {
            set(&self.load.requests.get_or_create(&Requests { kind, state }), count);
        }
        set(&self.load.throttled_devices, load.throttled_devices);
        set(&self.load.connections, load.connections);
        set(&self.load.handshakes, load.handshakes);
    }

    /// Notes how the linked hubs are; those that are linked no more are shown no more.
    pub fn sample_links(&self, links: &[LinkSample]) {
        let LinkGauges { up, since, trouble, .. } = &self.links;
        up.clear();
        since.clear();
        trouble.clear();
        for link in links {
            let labels = Hub { instance: link.instance.clone(), hub: link.hub.clone() };
            up.get_or_create(&labels).set(i64::from(link.reason.is_none()));
            since.get_or_create(&labels).set(link.since);
            if let Some(reason) = link.reason {
                let Hub { instance, hub } = labels;
                trouble.get_or_create(&HubTrouble { instance, hub, reason }).set(1);
            }
        }
    }

    /// Notes when server certificates end; those that are served no more are shown no more.
    pub fn sample_certificates(&self, ends: &[(String, Timestamp)], now: Timestamp) {
        self.certificates.clear();
        for (host, end) in ends {
            let left = end.seconds().saturating_sub(now.seconds());
            self.certificates.get_or_create(&Host { host: host.clone() }).set(left);
        }
    }

    /// Notes how many points of metrics found no place so far.
    pub fn sample_overflow(&self, total: u64) {
        self.overflowed.inc_by(total.saturating_sub(self.overflowed.get()));
    }

    /// The text that every Prometheus reads.
    pub fn render(&self) -> String {
        exposition::classic(&self.render_open_metrics())
    }

    /// The text as `OpenMetrics`, for who asks for it.
    pub fn render_open_metrics(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    fn steps(&self, steps: &[Step], event: &Event) {
        for step in steps {
            observe(&self.steps.get_or_create(&StepName { step: step.name }), step.micros, event);
        }
    }

    fn operation(&self, operation: &'static str, micros: u64, event: &Event) {
        observe(&self.operations.get_or_create(&OperationName { operation }), micros, event);
    }
}

fn observe(histogram: &Histogram, micros: u64, event: &Event) {
    let example = Example { trace_id: TraceId(event.trace().trace) };
    histogram.observe(seconds(micros), Some(example), None);
}

#[allow(clippy::cast_precision_loss)] // microseconds of a step are far below 2^53
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

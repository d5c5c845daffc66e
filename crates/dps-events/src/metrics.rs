//! Counters and histograms made of events, served to Prometheus. Owns names and labels; must not know who scrapes.
//! Labels are closed sets or configured names (instance, hub): no text of a client becomes a label.

use std::sync::atomic::AtomicU64;

use dps_model::Protocol;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::record::{Event, Operation, Step};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Attempts {
    instance: String,
    status: &'static str,
    protocol: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Registrations {
    instance: String,
    hub: String,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Assigned {
    instance: String,
    hub: String,
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

/// Upper bounds of step durations, in seconds: from one database read to a hub that is slow.
const STEP_SECONDS: [f64; 14] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 30.0];

fn step_histogram() -> Histogram {
    Histogram::new(STEP_SECONDS)
}

/// All metrics of the server.
pub struct Metrics {
    registry: Registry,
    attempts: Family<Attempts, Counter>,
    registrations: Family<Registrations, Counter>,
    assigned: Family<Assigned, Counter>,
    lookups: Family<Lookups, Counter>,
    refusals: Family<Refusals, Counter>,
    service_calls: Family<ServiceCalls, Counter>,
    management_calls: Family<ManagementCalls, Counter>,
    connections: Family<Connections, Counter>,
    steps: Family<StepName, Histogram, fn() -> Histogram>,
    dropped: Counter<u64, AtomicU64>,
    load: LoadGauges,
    links: LinkGauges,
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
        let mut registry = Registry::with_prefix("muster");
        let attempts = Family::default();
        registry.register("attestation_attempts", "Register requests of devices", attempts.clone());
        let registrations = Family::default();
        registry.register(
            "registration_attempts",
            "Registrations at a hub that ended",
            registrations.clone(),
        );
        let assigned = Family::default();
        registry.register("devices_assigned", "Devices assigned to a hub", assigned.clone());
        let lookups = Family::default();
        registry.register("device_lookups", "Operation polls and registration lookups", lookups.clone());
        let refusals = Family::default();
        registry.register("refusals", "Refused device requests by code and reason", refusals.clone());
        let service_calls = Family::default();
        registry.register("service_calls", "Calls of the service API", service_calls.clone());
        let management_calls = Family::default();
        registry.register("management_calls", "Calls of the management API", management_calls.clone());
        let connections = Family::default();
        registry.register(
            "refused_connections",
            "Connections that ended before a request",
            connections.clone(),
        );
        let steps = Family::new_with_constructor(step_histogram as fn() -> Histogram);
        let help = "Duration of the steps of device requests and operations";
        registry.register_with_unit("step", help, Unit::Seconds, steps.clone());
        let dropped = Counter::default();
        registry.register("events_dropped", "Events that could not be kept", dropped.clone());
        let load = LoadGauges::register(&mut registry);
        let links = LinkGauges::register(&mut registry);
        Self {
            registry,
            attempts,
            registrations,
            assigned,
            lookups,
            refusals,
            service_calls,
            management_calls,
            connections,
            steps,
            dropped,
            load,
            links,
        }
    }

    /// Counts an event.
    pub fn observe(&self, event: &Event) {
        match event {
            Event::Attempt(attempt) => {
                let (status, protocol) = (attempt.outcome.result_type(), attempt.protocol.as_str());
                match attempt.operation {
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
                self.steps(&attempt.steps);
            }
            Event::Assignment(assignment) => {
                let (instance, status) = (assignment.instance.clone(), assignment.outcome.result_type());
                let hub = assignment.hub.clone().unwrap_or_default();
                if status == "Success" {
                    let assigned = Assigned { instance: instance.clone(), hub: hub.clone() };
                    self.assigned.get_or_create(&assigned).inc();
                }
                self.registrations.get_or_create(&Registrations { instance, hub, status }).inc();
                self.steps(&assignment.steps);
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
        }
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

    /// The text that Prometheus reads.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    fn steps(&self, steps: &[Step]) {
        for step in steps {
            #[allow(clippy::cast_precision_loss)] // microseconds of a step are far below 2^53
            let seconds = step.micros as f64 / 1e6;
            self.steps.get_or_create(&StepName { step: step.name }).observe(seconds);
        }
    }
}

#[cfg(test)]
mod tests {
    use dps_model::{Channel, Error, ErrorCode, Protocol, Timestamp, TlsSession, TrackingId};

    use super::{LinkSample, LoadSample, Metrics};
    use crate::record::{AttemptRecord, Event, Operation, Outcome, Step};

    #[test]
    fn load_is_what_was_sampled_last() {
        let metrics = Metrics::new();
        metrics.sample(&LoadSample { registering: 9, connections: 4, ..LoadSample::default() });
        metrics.sample(&LoadSample { registering: 7, polling_waiting: 2, ..LoadSample::default() });
        let text = metrics.render();
        assert!(text.contains(r#"muster_requests{kind="Register",state="in_flight"} 7"#), "{text}");
        assert!(text.contains(r#"muster_requests{kind="Poll",state="waiting"} 2"#), "{text}");
        assert!(text.contains("muster_connections 0"), "{text}");
    }

    #[test]
    fn links_are_as_they_were_sampled_last() {
        let metrics = Metrics::new();
        let link =
            |hub: &str, reason| LinkSample { instance: "dps".into(), hub: hub.into(), reason, since: 7 };
        metrics.sample_links(&[link("a", None), link("b", Some("HubUnauthorized"))]);
        let text = metrics.render();
        assert!(text.contains(r#"muster_linked_hub_up{instance="dps",hub="a"} 1"#), "{text}");
        assert!(text.contains(r#"muster_linked_hub_up{instance="dps",hub="b"} 0"#), "{text}");
        let trouble = r#"muster_linked_hub_trouble{instance="dps",hub="b",reason="HubUnauthorized"} 1"#;
        assert!(text.contains(trouble), "{text}");
        assert!(text.contains(r#"muster_linked_hub_since_seconds{instance="dps",hub="b"} 7"#), "{text}");
        metrics.sample_links(&[link("b", None)]);
        let text = metrics.render();
        assert!(!text.contains(r#"hub="a""#) && !text.contains("HubUnauthorized"), "{text}");
    }

    #[test]
    fn attempts_are_counted_by_status_and_protocol() {
        let metrics = Metrics::new();
        let channel = Channel {
            protocol: Protocol::Http,
            peer: "127.0.0.1:1".parse().unwrap(),
            tls: TlsSession::default(),
        };
        let mut record = AttemptRecord::open(
            TrackingId::fresh(),
            Timestamp::from_millis(0),
            &channel,
            Operation::Register,
        );
        record.outcome = Outcome::failed(&Error::new(ErrorCode::Unauthorized));
        record.steps.push(Step { name: "verify", micros: 70 });
        metrics.observe(&Event::Attempt(Box::new(record)));
        let text = metrics.render();
        assert!(
            text.contains(
                r#"muster_attestation_attempts_total{instance="",status="ClientError",protocol="Http"} 1"#
            ),
            "{text}"
        );
        assert!(text.contains(r#"muster_refusals_total{code="401000",reason=""} 1"#), "{text}");
        assert!(text.contains(r#"muster_step_seconds_bucket{le="0.0001",step="verify"} 1"#), "{text}");
    }
}

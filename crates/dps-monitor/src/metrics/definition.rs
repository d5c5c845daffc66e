//! The catalogue of metrics: names, units, dimensions. Azure's three come first (docs: "Supported metrics with Azure
//! Monitor: Microsoft.Devices/provisioningServices"); ours stand in a namespace of their own. A name never changes.

/// Where a metric belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace {
    /// Azure's.
    Azure,
    /// Ours.
    Muster,
}

impl Namespace {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Azure, Self::Muster];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Azure => "Microsoft.Devices/provisioningServices",
            Self::Muster => "Muster/provisioningServices",
        }
    }

    /// Azure's word for its kind.
    pub const fn classification(self) -> &'static str {
        match self {
            Self::Azure => "Platform",
            Self::Muster => "Custom",
        }
    }

    /// The namespace of that name, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|namespace| namespace.name().eq_ignore_ascii_case(text.trim()))
    }

    /// Its metrics, in the order of the catalogue.
    pub fn metrics(self) -> impl Iterator<Item = Metric> {
        Metric::ALL.into_iter().filter(move |metric| metric.definition().namespace == self)
    }

    /// The metric of that name, in any case.
    pub fn metric(self, name: &str) -> Option<Metric> {
        self.metrics().find(|metric| metric.definition().name.eq_ignore_ascii_case(name.trim()))
    }
}

/// What a value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Milliseconds.
    MilliSeconds,
}

impl Unit {
    /// Azure's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::MilliSeconds => "MilliSeconds",
        }
    }
}

/// How the points of a grain become one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregation {
    /// Their sum by their number.
    Average,
    /// Their number.
    Count,
    /// The least.
    Minimum,
    /// The greatest.
    Maximum,
    /// Their sum.
    Total,
}

impl Aggregation {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Average, Self::Count, Self::Minimum, Self::Maximum, Self::Total];

    /// Azure's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Average => "Average",
            Self::Count => "Count",
            Self::Minimum => "Minimum",
            Self::Maximum => "Maximum",
            Self::Total => "Total",
        }
    }

    /// The member of a point that holds it.
    pub const fn member(self) -> &'static str {
        match self {
            Self::Average => "average",
            Self::Count => "count",
            Self::Minimum => "minimum",
            Self::Maximum => "maximum",
            Self::Total => "total",
        }
    }

    /// The aggregation of that name, in any case; `orderby` and alert rules have shorter ones too.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let short =
            [("sum", Self::Total), ("avg", Self::Average), ("min", Self::Minimum), ("max", Self::Maximum)];
        let long = Self::ALL.into_iter().find(|aggregation| aggregation.name().eq_ignore_ascii_case(text));
        long.or_else(|| {
            short.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, found)| found)
        })
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is described by its definition")]
pub enum Metric {
    AttestationAttempts,
    DeviceAssignments,
    RegistrationAttempts,
    StepDuration,
    ThrottledRequests,
    DeviceLookups,
    ServiceCalls,
    HubCalls,
    WebhookCalls,
    LinkedHubFailures,
    RefusedConnections,
    EventsDropped,
    RequestsInFlight,
    RequestsWaiting,
    OpenConnections,
    CertificateDaysLeft,
    SigningCertificateDaysLeft,
    LinkedHubsDown,
    Causes,
}

/// A metric's entry in the catalogue.
#[derive(Debug)]
pub struct Definition {
    /// Name in the API; stable.
    pub name: &'static str,
    /// Name for people.
    pub display: &'static str,
    /// One sentence.
    pub description: &'static str,
    /// Where it belongs.
    pub namespace: Namespace,
    /// What its values count.
    pub unit: Unit,
    /// The aggregation where none is asked for.
    pub primary: Aggregation,
    /// Those that mean something.
    pub supported: &'static [Aggregation],
    /// Names of its dimensions; the first is `ProvisioningServiceName` unless it tells of the whole server.
    pub dimensions: &'static [&'static str],
}

impl Definition {
    /// Where that dimension stands, in any case.
    pub fn dimension(&self, name: &str) -> Option<usize> {
        self.dimensions.iter().position(|dimension| dimension.eq_ignore_ascii_case(name))
    }

    /// Does it tell of one provisioning service, not of the server?
    pub fn is_of_a_service(&self) -> bool {
        self.dimensions.first() == Some(&SERVICE)
    }
}

/// The dimension that names the provisioning service.
pub(super) const SERVICE: &str = "ProvisioningServiceName";

/// Of things that happen: each point is one, so the total is what matters.
const COUNTED: &[Aggregation] = &[
    Aggregation::Total,
    Aggregation::Count,
    Aggregation::Average,
    Aggregation::Minimum,
    Aggregation::Maximum,
];
/// Of what is looked at now and then: a sum of looks says nothing.
const SAMPLED: &[Aggregation] = &[Aggregation::Average, Aggregation::Minimum, Aggregation::Maximum];

const fn counted(
    namespace: Namespace,
    [name, display, description]: [&'static str; 3],
    dimensions: &'static [&'static str],
) -> Definition {
    let (unit, primary, supported) = (Unit::Count, Aggregation::Total, COUNTED);
    Definition { name, display, description, namespace, unit, primary, supported, dimensions }
}

const fn sampled(
    [name, display, description]: [&'static str; 3],
    primary: Aggregation,
    dimensions: &'static [&'static str],
) -> Definition {
    let (namespace, unit, supported) = (Namespace::Muster, Unit::Count, SAMPLED);
    Definition { name, display, description, namespace, unit, primary, supported, dimensions }
}

static ATTESTATION_ATTEMPTS: Definition = counted(
    Namespace::Azure,
    ["AttestationAttempts", "Attestation attempts", "Number of device attestations attempted"],
    &[SERVICE, "Status", "Protocol"],
);
static DEVICE_ASSIGNMENTS: Definition = counted(
    Namespace::Azure,
    ["DeviceAssignments", "Devices assigned", "Number of devices assigned to an IoT hub"],
    &[SERVICE, "IotHubName"],
);
static REGISTRATION_ATTEMPTS: Definition = counted(
    Namespace::Azure,
    ["RegistrationAttempts", "Registration attempts", "Number of device registrations attempted"],
    &[SERVICE, "IotHubName", "Status"],
);
static STEP_DURATION: Definition = Definition {
    unit: Unit::MilliSeconds,
    primary: Aggregation::Average,
    ..counted(
        Namespace::Muster,
        ["StepDuration", "Step duration", "Time that a step of a device request or an operation took"],
        &[SERVICE, "Step"],
    )
};
static THROTTLED_REQUESTS: Definition = counted(
    Namespace::Muster,
    ["ThrottledRequests", "Throttled requests", "Requests of devices and services that were answered 429"],
    &[SERVICE, "Operation", "Protocol"],
);
static CAUSES: Definition = counted(
    Namespace::Muster,
    ["Causes", "Causes", "Refused and failed attempts of devices by their foremost cause"],
    &[SERVICE, "Cause", "Protocol"],
);
static DEVICE_LOOKUPS: Definition = counted(
    Namespace::Muster,
    ["DeviceLookups", "Device lookups", "Operation polls and registration lookups of devices"],
    &[SERVICE, "Operation", "Status"],
);
static SERVICE_CALLS: Definition = counted(
    Namespace::Muster,
    ["ServiceCalls", "Service calls", "Calls of the service API"],
    &[SERVICE, "Operation", "Status"],
);
static HUB_CALLS: Definition = counted(
    Namespace::Muster,
    ["HubCalls", "Hub calls", "Attempts to write a device at a linked hub, by how its operation ended"],
    &[SERVICE, "IotHubName", "Status"],
);
static WEBHOOK_CALLS: Definition = counted(
    Namespace::Muster,
    ["WebhookCalls", "Webhook calls", "Calls of custom-allocation webhooks, by what they came to"],
    &[SERVICE, "Status"],
);
static LINKED_HUB_FAILURES: Definition = counted(
    Namespace::Muster,
    ["LinkedHubFailures", "Linked hub failures", "Probes that told that a linked hub does not work"],
    &[SERVICE, "IotHubName"],
);
static REFUSED_CONNECTIONS: Definition = counted(
    Namespace::Muster,
    ["RefusedConnections", "Refused connections", "Connections that ended before there was a request"],
    &["Protocol", "Stage"],
);
static EVENTS_DROPPED: Definition = counted(
    Namespace::Muster,
    ["EventsDropped", "Events dropped", "Events that could not be kept, so that logs and metrics lack them"],
    &[],
);
static REQUESTS_IN_FLIGHT: Definition = sampled(
    ["RequestsInFlight", "Requests in flight", "Device requests that are handled"],
    Aggregation::Maximum,
    &["Kind"],
);
static REQUESTS_WAITING: Definition = sampled(
    ["RequestsWaiting", "Requests waiting", "Device requests that wait to be handled"],
    Aggregation::Maximum,
    &["Kind"],
);
static OPEN_CONNECTIONS: Definition =
    sampled(["OpenConnections", "Open connections", "Connections that are open"], Aggregation::Maximum, &[]);
static CERTIFICATE_DAYS_LEFT: Definition = sampled(
    ["CertificateDaysLeft", "Certificate days left", "Days until the server certificate of a host ends"],
    Aggregation::Minimum,
    &["Host"],
);

static SIGNING_CERTIFICATE_DAYS_LEFT: Definition = sampled(
    [
        "SigningCertificateDaysLeft",
        "Signing certificate days left",
        "Days until an uploaded CA certificate, which devices are attested by, ends",
    ],
    Aggregation::Minimum,
    &[SERVICE, "Certificate"],
);

static LINKED_HUBS_DOWN: Definition = sampled(
    [
        "LinkedHubsDown",
        "Linked hubs down",
        "1 while a linked hub does not answer or refuses its link, 0 while it works",
    ],
    Aggregation::Maximum,
    &[SERVICE, "IotHubName"],
);

impl Metric {
    /// Every metric, in the order of the catalogue.
    pub const ALL: [Self; 19] = [
        Self::AttestationAttempts,
        Self::DeviceAssignments,
        Self::RegistrationAttempts,
        Self::StepDuration,
        Self::ThrottledRequests,
        Self::DeviceLookups,
        Self::ServiceCalls,
        Self::HubCalls,
        Self::WebhookCalls,
        Self::LinkedHubFailures,
        Self::RefusedConnections,
        Self::EventsDropped,
        Self::RequestsInFlight,
        Self::RequestsWaiting,
        Self::OpenConnections,
        Self::CertificateDaysLeft,
        Self::SigningCertificateDaysLeft,
        Self::LinkedHubsDown,
        Self::Causes,
    ];

    /// Its entry.
    pub const fn definition(self) -> &'static Definition {
        match self {
            Self::AttestationAttempts => &ATTESTATION_ATTEMPTS,
            Self::DeviceAssignments => &DEVICE_ASSIGNMENTS,
            Self::RegistrationAttempts => &REGISTRATION_ATTEMPTS,
            Self::StepDuration => &STEP_DURATION,
            Self::ThrottledRequests => &THROTTLED_REQUESTS,
            Self::DeviceLookups => &DEVICE_LOOKUPS,
            Self::ServiceCalls => &SERVICE_CALLS,
            Self::HubCalls => &HUB_CALLS,
            Self::WebhookCalls => &WEBHOOK_CALLS,
            Self::LinkedHubFailures => &LINKED_HUB_FAILURES,
            Self::RefusedConnections => &REFUSED_CONNECTIONS,
            Self::EventsDropped => &EVENTS_DROPPED,
            Self::RequestsInFlight => &REQUESTS_IN_FLIGHT,
            Self::RequestsWaiting => &REQUESTS_WAITING,
            Self::OpenConnections => &OPEN_CONNECTIONS,
            Self::CertificateDaysLeft => &CERTIFICATE_DAYS_LEFT,
            Self::SigningCertificateDaysLeft => &SIGNING_CERTIFICATE_DAYS_LEFT,
            Self::LinkedHubsDown => &LINKED_HUBS_DOWN,
            Self::Causes => &CAUSES,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Aggregation, Metric, Namespace};

    #[test]
    fn names_are_unique_and_found_in_any_case() {
        let mut seen = HashSet::new();
        for metric in Metric::ALL {
            let definition = metric.definition();
            assert!(seen.insert(definition.name), "{}", definition.name);
            let found = definition.namespace.metric(&definition.name.to_uppercase());
            assert_eq!(found, Some(metric));
            assert!(definition.supported.contains(&definition.primary));
        }
        assert_eq!(Namespace::parse("microsoft.devices/PROVISIONINGSERVICES"), Some(Namespace::Azure));
        assert_eq!(Namespace::Azure.metric("StepDuration"), None);
    }

    #[test]
    fn aggregation_names_short_and_long() {
        assert_eq!(Aggregation::parse("total"), Some(Aggregation::Total));
        assert_eq!(Aggregation::parse(" SUM "), Some(Aggregation::Total));
        assert_eq!(Aggregation::parse("avg"), Some(Aggregation::Average));
        assert_eq!(Aggregation::parse("none"), None);
    }
}

//! Rules that are built in: what each watches, and from where on it fires. A change here changes what `builtin enable`
//! writes, not the rules that were written before.

use serde_json::{Value, json};

/// A rule that is built in.
#[derive(Debug)]
pub(super) struct Template {
    /// Its name; the rule's has [`PREFIX`] before it.
    pub(super) name: &'static str,
    /// What fires it, for people.
    pub(super) description: &'static str,
    pub(super) severity: u8,
    namespace: &'static str,
    metric: &'static str,
    aggregation: &'static str,
    /// A dimension whose values are series of their own, and the one value that is none of them.
    split: Option<(&'static str, Option<&'static str>)>,
    operator: &'static str,
    pub(super) threshold: f64,
    window: &'static str,
    frequency: &'static str,
}

/// What the names of the rules begin with.
pub(super) const PREFIX: &str = "builtin-";
const AZURE: &str = "Microsoft.Devices/provisioningServices";
const MUSTER: &str = "Muster/provisioningServices";

/// All of them.
pub(super) static TEMPLATES: [Template; 6] = [
    Template {
        name: "attestation-failures",
        description: "More than 10 devices in 5 minutes did not prove who they are.",
        severity: 2,
        namespace: AZURE,
        metric: "AttestationAttempts",
        aggregation: "Total",
        split: Some(("Status", Some("Success"))),
        operator: "GreaterThan",
        threshold: 10.0,
        window: "PT5M",
        frequency: "PT1M",
    },
    Template {
        name: "failed-assignments",
        description: "Devices proved who they are and got no hub.",
        severity: 1,
        namespace: AZURE,
        metric: "RegistrationAttempts",
        aggregation: "Total",
        split: Some(("Status", Some("Success"))),
        operator: "GreaterThan",
        threshold: 0.0,
        window: "PT5M",
        frequency: "PT1M",
    },
    Template {
        name: "hub-link-refused",
        description: "A linked hub does not answer, or refuses the key of its link.",
        severity: 1,
        namespace: MUSTER,
        metric: "LinkedHubsDown",
        aggregation: "Maximum",
        split: Some(("IotHubName", None)),
        operator: "GreaterThan",
        threshold: 0.0,
        window: "PT5M",
        frequency: "PT1M",
    },
    Template {
        name: "webhook-failing",
        description: "The webhook of a custom allocation fails or refuses.",
        severity: 1,
        namespace: MUSTER,
        metric: "WebhookCalls",
        aggregation: "Total",
        split: Some(("Status", Some("Success"))),
        operator: "GreaterThan",
        threshold: 0.0,
        window: "PT5M",
        frequency: "PT1M",
    },
    Template {
        name: "throttling",
        description: "Devices or services were answered 429: more ask than the limits let in.",
        severity: 2,
        namespace: MUSTER,
        metric: "ThrottledRequests",
        aggregation: "Total",
        split: None,
        operator: "GreaterThan",
        threshold: 0.0,
        window: "PT5M",
        frequency: "PT1M",
    },
    Template {
        name: "signing-certificate",
        description: "A CA certificate that devices are attested by ends within 30 days.",
        severity: 2,
        namespace: MUSTER,
        metric: "SigningCertificateDaysLeft",
        aggregation: "Minimum",
        split: Some(("Certificate", None)),
        operator: "LessThan",
        threshold: 30.0,
        window: "PT1H",
        frequency: "PT1H",
    },
];

impl Template {
    /// The one of that name.
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        let name = name.strip_prefix(PREFIX).unwrap_or(name);
        TEMPLATES.iter().find(|template| template.name.eq_ignore_ascii_case(name))
    }

    /// Name of the rule.
    pub(super) fn rule(&self) -> String {
        format!("{PREFIX}{}", self.name)
    }

    /// The rule for a provisioning service.
    pub(super) fn body(&self, service: &str, threshold: Option<f64>, groups: &[String]) -> Value {
        let dimensions: Vec<Value> = self
            .split
            .iter()
            .map(|(name, but)| match but {
                None => json!({ "name": name, "operator": "Include", "values": ["*"] }),
                Some(but) => json!({ "name": name, "operator": "Exclude", "values": [but] }),
            })
            .collect();
        let actions: Vec<Value> = groups.iter().map(|group| json!({ "actionGroupId": group })).collect();
        json!({
            "location": "global",
            "properties": {
                "description": self.description,
                "severity": self.severity,
                "enabled": true,
                "scopes": [service],
                "evaluationFrequency": self.frequency,
                "windowSize": self.window,
                "autoMitigate": true,
                "criteria": {
                    "odata.type": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
                    "allOf": [{
                        "criterionType": "StaticThresholdCriterion",
                        "name": self.name,
                        "metricNamespace": self.namespace,
                        "metricName": self.metric,
                        "timeAggregation": self.aggregation,
                        "dimensions": dimensions,
                        "operator": self.operator,
                        "threshold": threshold.unwrap_or(self.threshold),
                    }],
                },
                "actions": actions,
            },
        })
    }
}

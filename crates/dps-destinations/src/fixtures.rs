//! Batches for tests.

use dps_model::{Timestamp, TrackingId};
use dps_monitor::destinations::{Batch, MetricMinute, Records};
use dps_monitor::{Category, ResourceLog};

/// The resource of all of them.
pub const RESOURCE: &str =
    "/SUBSCRIPTIONS/S/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.DEVICES/PROVISIONINGSERVICES/P";

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// A device's attempt.
pub fn log(id: &str) -> ResourceLog {
    ResourceLog {
        time: at("2026-11-29T08:59:58.5Z"),
        resource_id: RESOURCE.into(),
        operation_name: "AttestationAttempt",
        operation_version: "March2019",
        category: Category::DeviceOperations,
        level: "Information",
        result_type: "Success",
        result_signature: String::new(),
        result_description: String::new(),
        duration_ms: 226,
        caller_ip_address: "24.18.226.XXX".into(),
        correlation_id: TrackingId(uuid::Uuid::nil()),
        location: "local".into(),
        cause: "",
        properties: format!("{{\"id\":\"{id}\"}}"),
    }
}

/// A batch of logs, received in the hour after their time.
pub fn logs(logs: &[ResourceLog]) -> Batch {
    let records = Records::Logs(logs.to_vec());
    Batch { received: at("2026-11-29T09:00:01Z"), resource_id: RESOURCE.into(), records }
}

/// A batch of one metric's minute.
pub fn metrics() -> Batch {
    let minute = MetricMinute {
        time: at("2026-11-29T08:59:00Z"),
        name: "RegistrationAttempts",
        unit: "Count",
        total: 12.0,
        count: 6,
        minimum: 1.0,
        maximum: 4.0,
    };
    Batch {
        received: at("2026-11-29T09:00:01Z"),
        resource_id: RESOURCE.into(),
        records: Records::Metrics(vec![minute]),
    }
}

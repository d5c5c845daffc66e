use std::sync::Arc;

use dps_events::{AddressMask, Event, ManagementCallRecord, Outcome};
use dps_kql::Value;
use dps_model::{Error, ErrorCode, Timestamp, TrackingId};
use serde_json::json;

use crate::logs::{LogRecord, Projection};
use crate::{Resource, Resources, Row, Table};

struct Nobody;

impl Resources for Nobody {
    fn find(&self, _: Option<&str>) -> Option<Resource> {
        None
    }
}

const ID: &str = "/subscriptions/s1/resourceGroups/Rg/providers/Microsoft.Devices/provisioningServices/Dps";

fn call(operation: &'static str, outcome: Outcome) -> ManagementCallRecord {
    ManagementCallRecord {
        tracking_id: TrackingId(uuid::Uuid::from_u128(7)),
        time: Timestamp::from_millis(1_000),
        micros: 5_000,
        operation,
        resource_id: Some(ID.into()),
        instance: Some("Dps".into()),
        api_version: Some("2022-12-12".into()),
        client: Some("az".into()),
        caller: Some("operator@example.org".into()),
        auth: Some("Bearer"),
        credential: Some("issuer role".into()),
        peer: "24.18.226.7:5000".parse().unwrap(),
        previous_etag: None,
        etag: Some("e2".into()),
        changed: vec!["iotHubs"],
        causes: Vec::new(),
        outcome,
    }
}

fn record(call: ManagementCallRecord) -> Option<Row> {
    let projection =
        Projection { resources: Arc::new(Nobody), workspace: "w".into(), addresses: AddressMask::Masked };
    let record = projection.project(&Event::ManagementCall(Box::new(call)));
    assert!(record.iter().all(|record| matches!(record, LogRecord::Activity(_))));
    record.map(|record| record.row("w"))
}

fn cell(row: &Row, name: &str) -> Value {
    let index = row.table.columns().iter().position(|(column, _)| *column == name).unwrap();
    row.cells[index].clone()
}

#[test]
fn write_is_a_row_of_the_activity_log() {
    let row = record(call("Microsoft.Devices/provisioningServices/write", Outcome::Success)).unwrap();
    assert_eq!(row.table, Table::AzureActivity);
    for ((name, ty), value) in Table::AzureActivity.columns().iter().zip(&row.cells) {
        assert_eq!(value.ty(), *ty, "{name}");
    }
    for (name, value) in [
        ("OperationName", "Create or update a provisioning service"),
        ("OperationNameValue", "MICROSOFT.DEVICES/PROVISIONINGSERVICES/WRITE"),
        ("ActivityStatus", "Succeeded"),
        ("ActivityStatusValue", "Success"),
        ("CategoryValue", "Administrative"),
        ("Caller", "operator@example.org"),
        ("CallerIpAddress", "24.18.226.XXX"),
        ("CorrelationId", "00000000-0000-0000-0000-000000000007"),
        ("ResourceId", ID),
        ("ResourceGroup", "Rg"),
        ("ResourceProviderValue", "MICROSOFT.DEVICES"),
        ("_ResourceId", &ID.to_lowercase()),
    ] {
        assert_eq!(cell(&row, name), Value::String(value.into()), "{name}");
    }
    let properties = json!({
        "entity": ID, "apiVersion": "2022-12-12", "durationMs": 5, "changed": ["iotHubs"], "etag": "e2",
    });
    assert_eq!(cell(&row, "Properties_d"), Value::Dynamic(properties));
}

#[test]
fn read_is_a_row_only_when_it_is_refused() {
    let read = "Microsoft.Devices/provisioningServices/read";
    assert_eq!(record(call(read, Outcome::Success)), None);
    let error = Error::new(ErrorCode::AuthorizationFailed);
    let row = record(call(read, Outcome::failed(&error))).unwrap();
    assert_eq!(cell(&row, "ActivityStatusValue"), Value::String("Failure".into()));
    assert_eq!(cell(&row, "ActivitySubstatusValue"), Value::String("403".into()));
    let Value::Dynamic(properties) = cell(&row, "Properties_d") else { panic!() };
    assert_eq!((&properties["code"], &properties["error"]), (&json!(403_002), &json!("AuthorizationFailed")));
}

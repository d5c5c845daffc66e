use std::sync::Arc;

use dps_events::{AddressMask, AttemptRecord, Event, Operation, Outcome};
use dps_kql::Value;
use dps_model::{Channel, Error, ErrorCode, Protocol, Timestamp, TlsSession, TrackingId};

use crate::logs::{LogRecord, Projection};
use crate::{Resource, Resources, Row, Table};

struct One;

impl Resources for One {
    fn find(&self, instance: Option<&str>) -> Option<Resource> {
        (instance != Some("gone")).then(|| Resource {
            id: "/subscriptions/5b8c/resourceGroups/MyGroup/providers/Microsoft.Devices/provisioningServices/MyDps"
                .into(),
            location: "centralus".into(),
        })
    }
}

fn projection(addresses: AddressMask) -> Projection {
    Projection {
        resources: Arc::new(One),
        workspace: "00000000-0000-0000-0000-00000000000a".into(),
        addresses,
    }
}

fn attempt(outcome: Outcome) -> AttemptRecord {
    let peer = "24.18.226.7:5000".parse().unwrap();
    let channel = Channel { protocol: Protocol::Mqtt, peer, tls: TlsSession::default() };
    let time = Timestamp::parse("2022-04-01T00:52:00Z").unwrap();
    let tracking_id = TrackingId(uuid::Uuid::from_u128(7));
    let mut record = AttemptRecord::open(tracking_id, time, &channel, Operation::Register);
    record.api_version = Some("2019-03-31".into());
    record.registration_id = "my-device-1".into();
    record.instance = Some("MyDps".into());
    record.micros = 226_400;
    record.outcome = outcome;
    record
}

fn cell(row: &Row, name: &str) -> Value {
    let index = row.table.columns().iter().position(|(column, _)| *column == name).unwrap();
    row.cells[index].clone()
}

fn cells(row: &Row, names: &[&str]) -> Vec<String> {
    let text = |name: &&str| match cell(row, name) {
        Value::String(text) => text.into(),
        other => panic!("{name} is {other:?}"),
    };
    names.iter().map(text).collect()
}

#[test]
fn record_is_azures_raw_shape() {
    let event = Event::Attempt(Box::new(attempt(Outcome::Success)));
    let Some(LogRecord::Resource(log)) = projection(AddressMask::Masked).project(&event) else { panic!() };
    let text = serde_json::to_string(&log).unwrap();
    assert_eq!(
        text,
        r#"{"time":"2022-04-01T00:52:00.2260000Z","resourceId":"/SUBSCRIPTIONS/5B8C/RESOURCEGROUPS/MYGROUP/PROVIDERS/MICROSOFT.DEVICES/PROVISIONINGSERVICES/MYDPS","operationName":"AttestationAttempt","operationVersion":"March2019","category":"DeviceOperations","level":"Information","resultType":"Success","resultSignature":"","resultDescription":"","durationMs":"226","callerIpAddress":"24.18.226.XXX","correlationId":"00000000-0000-0000-0000-000000000007","location":"centralus","properties":"{\"id\":\"my-device-1\",\"type\":\"Registration\",\"protocol\":\"Mqtt\"}"}"#
    );
}

#[test]
fn row_has_the_documented_columns() {
    let event = Event::Attempt(Box::new(attempt(Outcome::Success)));
    let projection = projection(AddressMask::Full);
    let row = projection.project(&event).unwrap().row(&projection.workspace);
    assert_eq!(row.table, Table::AzureDiagnostics);
    for ((name, ty), value) in Table::AzureDiagnostics.columns().iter().zip(&row.cells) {
        assert_eq!(value.ty(), *ty, "{name}");
    }
    assert_eq!(
        cells(&row, &["Resource", "ResourceGroup", "ResourceProvider", "ResourceType", "SubscriptionId"]),
        ["MYDPS", "MYGROUP", "MICROSOFT.DEVICES", "PROVISIONINGSERVICES", "5b8c"]
    );
    let lower =
        "/subscriptions/5b8c/resourcegroups/mygroup/providers/microsoft.devices/provisioningservices/mydps";
    assert_eq!(
        cells(&row, &["_ResourceId", "TenantId", "CallerIpAddress", "CallerIPAddress", "location_s", "Type"]),
        [
            lower,
            "00000000-0000-0000-0000-00000000000a",
            "24.18.226.7",
            "24.18.226.7",
            "centralus",
            "AzureDiagnostics"
        ]
    );
    assert_eq!(cell(&row, "DurationMs"), Value::Long(226));
}

#[test]
fn refusal_has_the_four_columns_that_an_operator_reads() {
    let error = Error::new(ErrorCode::Unauthorized).because("the token has expired");
    let event = Event::Attempt(Box::new(attempt(Outcome::failed(&error))));
    let row = projection(AddressMask::Masked).project(&event).unwrap().row("w");
    assert_eq!(
        cells(&row, &["OperationName", "ResultType", "ResultSignature", "ResultDescription", "Level"]),
        ["AttestationAttempt", "ClientError", "401", "401000 Unauthorized: the token has expired", "Warning"]
    );
}

#[test]
fn row_of_a_service_that_is_gone_belongs_to_no_resource() {
    let mut record = attempt(Outcome::Success);
    record.instance = Some("gone".into());
    let row = projection(AddressMask::None).project(&Event::Attempt(Box::new(record))).unwrap().row("w");
    assert_eq!(cells(&row, &["ResourceId", "_ResourceId", "Resource", "CallerIpAddress"]), ["", "", "", ""]);
    assert_eq!(cells(&row, &["Category"]), ["DeviceOperations"]);
}

#[test]
fn answered_poll_is_no_record() {
    let mut record = attempt(Outcome::Success);
    record.operation = Operation::OperationStatus;
    assert_eq!(projection(AddressMask::Masked).project(&Event::Attempt(Box::new(record))), None);
}

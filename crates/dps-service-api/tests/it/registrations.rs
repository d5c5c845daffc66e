//! Registration records over the service API.

use dps_core::registration::{EnrollmentName, Identities, Proof, RegistrationRecord};
use dps_model::registration::{DeviceRegistrationResult, GroupResult, Status, Substatus};
use dps_model::{HubName, RegistrationId, Timestamp};
use serde_json::json;

use crate::bed::{Bed, INSTANCE, NOW, NOW_TEXT, ask};

pub async fn register(bed: &Bed, id: &str) {
    let id = RegistrationId::parse(id).unwrap();
    let at = Timestamp::from_millis(NOW * 1000);
    let state = DeviceRegistrationResult {
        symmetric_key: Some(GroupResult { enrollment_group_id: Some("line-7".into()) }),
        created_date_time_utc: Some(at),
        assigned_hub: Some(HubName::parse("hub-1.example").unwrap()),
        device_id: Some(id.clone().into()),
        substatus: Some(Substatus::InitialAssignment),
        last_updated_date_time_utc: Some(at),
        ..DeviceRegistrationResult::bare(id, Status::Assigned)
    };
    let record = RegistrationRecord {
        state,
        enrollment: EnrollmentName::Individual,
        proof: Proof::SasToken("hash".into()),
        operation: None,
        identities: Identities::default(),
        carried: None,
    };
    let (write, _) = record.write(INSTANCE, None, None, None).unwrap();
    bed.store.write(vec![write]).await.unwrap();
}

#[tokio::test]
async fn registration_shown_without_its_attestation_and_deleted_once() {
    let bed = Bed::new().await;
    assert_eq!(bed.call(ask("GET", "/registrations/dev-1")).await.code(), "404202");
    register(&bed, "dev-1").await;
    let mut shown = bed.call(ask("GET", "/registrations/DEV-1")).await.json();
    let etag = shown.as_object_mut().unwrap().remove("etag").unwrap();
    let state = json!({
        "registrationId": "dev-1",
        "createdDateTimeUtc": NOW_TEXT,
        "assignedHub": "hub-1.example",
        "deviceId": "dev-1",
        "status": "assigned",
        "substatus": "initialAssignment",
        "lastUpdatedDateTimeUtc": NOW_TEXT,
    });
    assert_eq!(shown, state);
    let stale = ask("DELETE", "/registrations/dev-1").header("if-match", "stale");
    assert_eq!(bed.call(stale).await.code(), "412001");
    let current = ask("DELETE", "/registrations/dev-1").header("if-match", etag.as_str().unwrap());
    assert_eq!(bed.call(current).await.code(), "204");
    assert_eq!(bed.call(ask("DELETE", "/registrations/dev-1")).await.code(), "404202");
}

#[tokio::test]
async fn individual_of_a_registered_device_shows_its_state() {
    let bed = Bed::new().await;
    let body = json!({ "registrationId": "dev-1", "attestation": { "type": "symmetricKey" } });
    bed.call(ask("PUT", "/enrollments/dev-1").json(&body)).await;
    register(&bed, "dev-1").await;
    let state = &bed.call(ask("GET", "/enrollments/dev-1")).await.json()["registrationState"];
    assert_eq!((&state["status"], &state["assignedHub"]), (&json!("assigned"), &json!("hub-1.example")));
    assert_eq!(state.get("symmetricKey"), None);
}

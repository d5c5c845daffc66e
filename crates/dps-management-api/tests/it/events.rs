//! Every call is one event that tells who did what to what, and holds no secret.

use serde_json::json;

use crate::bed::{Bed, ask, least, service};

#[tokio::test]
async fn change_is_recorded_with_its_members_and_versions_and_without_its_values() {
    let bed = Bed::new().await;
    let mut body = least();
    let connection =
        "HostName=hub.example;SharedAccessKeyName=owner;SharedAccessKey=c2VjcmV0LWtleS0xMjM0NTY=";
    body["properties"]["iotHubs"] = json!([{"connectionString": connection}]);
    body["properties"]["authorizationPolicies"] =
        json!([{"keyName": "a", "rights": "EnrollmentRead", "primaryKey": "c2VjcmV0LWtleS0xMjM0NTY="}]);
    bed.call(ask("PUT", &service("second")).json(&body).header("user-agent", "cli/1")).await.ok();
    let event = bed.events().remove(0);
    assert_eq!(event.operation, "Microsoft.Devices/provisioningServices/write");
    assert_eq!(event.resource_id.as_deref(), Some(&*service("second")));
    assert_eq!((event.instance.as_deref(), event.client.as_deref()), (Some("second"), Some("cli/1")));
    assert_eq!((event.api_version.as_deref(), event.auth), (Some("2022-02-05"), Some("ManagementToken")));
    assert!(event.caller.is_some() && event.previous_etag.is_none() && event.etag.is_some());
    assert_eq!(event.changed, ["properties.iotHubs", "properties.authorizationPolicies"]);
    let text = serde_json::to_string(&event).unwrap();
    assert!(!text.contains("c2VjcmV0") && !text.contains("secret-key"), "{text}");
    let event = dps_events::Event::ManagementCall(Box::new(event));
    let row = event.row().unwrap();
    assert_eq!((row.category, row.result_type), ("Administrative", "Success"));
    assert_eq!(row.caller_ip_address, "192.0.2.XXX");

    let second = json!({"properties": {"allocationPolicy": "Static", "publicNetworkAccess": "Disabled"}});
    bed.call(ask("PUT", &service("second")).json(&second)).await.ok();
    let event = bed.events().pop().unwrap();
    assert_eq!(event.changed, ["properties.allocationPolicy", "properties.publicNetworkAccess"]);
    assert!(event.previous_etag.is_some() && event.previous_etag != event.etag);
    bed.call(ask("POST", &format!("{}/listkeys", service("second")))).await.ok();
    assert_eq!(
        bed.events().pop().unwrap().operation,
        "Microsoft.Devices/provisioningServices/listkeys/action"
    );
    bed.call(ask("DELETE", &service("second"))).await;
    let event = bed.events().pop().unwrap();
    assert_eq!(event.operation, "Microsoft.Devices/provisioningServices/delete");
    assert!(event.previous_etag.is_some() && event.etag.is_none());
}

//! Provisioning services: created, followed, changed, listed, deleted, and what a restart makes of the unfinished.

use std::sync::Arc;

use dps_core::ports::Store;
use dps_model::Secret;
use dps_store::MemoryStore;
use serde_json::{Value, json};

use crate::bed::{Bed, DEFAULT, ask, least, service};

const HUB: &str = "HostName=hub.example;SharedAccessKeyName=iothubowner;SharedAccessKey=AQIDBA==";

#[tokio::test]
async fn service_is_created_as_azure_does_and_active_once_it_is_hosted() {
    let bed = Bed::over(Arc::new(MemoryStore::new()), 0).await;
    let mut body = least();
    body["tags"] = json!({"plant": "7"});
    let reply = bed.call(ask("PUT", &service("Second")).json(&body)).await;
    let made = reply.ok();
    assert_eq!((reply.status, reply.header("retry-after")), (201, "1"));
    assert!(reply.header("location").contains("/operationResults/"));
    let properties = &made["properties"];
    assert_eq!(
        (&properties["state"], &properties["provisioningState"]),
        (&json!("Activating"), &json!("Accepted"))
    );
    assert_eq!(properties["idScope"], Value::Null);
    let poll = reply.header("azure-asyncoperation").strip_prefix("https://example:8443").unwrap().to_owned();
    assert_eq!(bed.call(ask("GET", "").uri(&poll)).await.ok(), json!({"status": "Running"}));
    assert_eq!(bed.get(&service("second")).await.ok()["properties"]["state"], "Activating");

    bed.gate.add_permits(1);
    assert_eq!(bed.followed(&reply).await, json!({"status": "Succeeded"}));
    let location = reply.header("location").strip_prefix("https://example:8443").unwrap().to_owned();
    let shown = bed.call(ask("GET", "").uri(&location)).await.ok();
    assert_eq!(shown, bed.get(&service("second")).await.ok());
    assert_eq!(shown["properties"]["state"], "Active");
    assert_eq!(shown["properties"]["serviceOperationsHostName"], "Second.example");
    assert_eq!((&shown["resourcegroup"], &shown["subscriptionid"]), (&json!("fleet"), &json!("s-1")));
    assert_eq!((&shown["tags"], &shown["sku"]["tier"]), (&json!({"plant": "7"}), &json!("Standard")));
    let scope = shown["properties"]["idScope"].as_str().unwrap();
    assert_eq!(bed.instances.by_scope(scope).unwrap().name, "Second");
    assert!(shown["properties"].get("authorizationPolicies").is_none());
}

#[tokio::test]
async fn created_service_whose_process_died_is_active_after_the_restart() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let bed = Bed::over(Arc::clone(&store), 0).await;
    let reply = bed.call(ask("PUT", &service("second")).json(&least())).await;
    drop(bed);
    let bed = Bed::over(store, 9).await;
    bed.life.resume().await;
    assert_eq!(bed.followed(&reply).await["status"], "Succeeded");
    assert_eq!(bed.get(&service("second")).await.ok()["properties"]["state"], "Active");
}

#[tokio::test]
async fn masked_link_that_is_echoed_keeps_its_key_and_one_left_out_goes() {
    let bed = Bed::new().await;
    let link = json!({"connectionString": HUB, "location": "westus", "allocationWeight": 10});
    let mut body = least();
    body["properties"]["iotHubs"] = json!([link]);
    let shown = bed.put("second", body).await;
    let hub = &shown["properties"]["iotHubs"][0];
    assert_eq!(hub["connectionString"], HUB.replace("AQIDBA==", "****"));
    assert_eq!((&hub["name"], &hub["allocationWeight"]), (&json!("hub.example"), &json!(10)));

    let key =
        || bed.instances.by_name("second").unwrap().linked_hubs.first().map(|hub| hub.connection.key.clone());
    let mut echo = shown.clone();
    echo["properties"]["iotHubs"][0]["allocationWeight"] = json!(20);
    let shown = bed.put("second", echo).await;
    assert_eq!(shown["properties"]["iotHubs"][0]["allocationWeight"], 20);
    assert!(key() == Some(Secret::new(vec![1, 2, 3, 4])));
    let kept = bed.put("second", json!({"location": "westus", "properties": {}})).await;
    assert_eq!(kept["properties"]["iotHubs"], shown["properties"]["iotHubs"], "left out is kept");
    let gone = bed.put("second", json!({"properties": {"iotHubs": []}})).await;
    assert_eq!(gone["properties"]["iotHubs"], json!([]));
}

#[tokio::test]
async fn policies_are_replaced_whole_kept_when_left_out_and_made_anew_without_keys() {
    let bed = Bed::new().await;
    bed.put("second", least()).await;
    let keys = async |bed: &Bed| bed.call(ask("POST", &format!("{}/listkeys", service("second")))).await.ok();
    let first = keys(&bed).await;
    let owner = &first["value"][0];
    assert_eq!(owner["keyName"], "provisioningserviceowner");
    assert_eq!(owner["rights"], "ServiceConfig, DeviceConnect, EnrollmentWrite");
    bed.put("second", json!({"properties": {"allocationPolicy": "static"}})).await;
    assert_eq!(keys(&bed).await, first);

    let reader = json!({"keyName": "reader", "rights": "EnrollmentRead"});
    bed.put("second", json!({"properties": {"authorizationPolicies": [owner, reader]}})).await;
    let both = keys(&bed).await;
    assert_eq!(both["value"][0], *owner, "sent keys stay");
    bed.put("second", json!({"properties": {"authorizationPolicies": [reader]}})).await;
    let alone = keys(&bed).await;
    assert_eq!(alone["value"].as_array().unwrap().len(), 1);
    assert_ne!(alone["value"][0]["primaryKey"], both["value"][1]["primaryKey"], "regenerated");
    let one = |name: &str| ask("POST", &format!("{}/keys/{name}/listkeys", service("second")));
    assert_eq!(bed.call(one("READER")).await.ok(), alone["value"][0]);
    assert_eq!(bed.call(one("provisioningserviceowner")).await.status, 404);
    assert!(bed.call(one("reader")).await.header("cache-control").contains("no-store"));
}

#[tokio::test]
async fn etag_of_body_or_header_guards_a_change() {
    let bed = Bed::new().await;
    let first = bed.put("second", least()).await;
    bed.put("second", first.clone()).await;
    let put = |body: &Value| ask("PUT", &service("second")).json(body);
    assert_eq!(bed.call(put(&first)).await.refusal().1, "PreconditionFailed");
    assert_eq!(bed.call(put(&first).header("if-match", "*")).await.status, 201, "the header comes first");
    let stale = first["etag"].as_str().unwrap();
    assert_eq!(bed.call(put(&least()).header("if-match", stale)).await.status, 412);
    assert_eq!(bed.call(put(&least()).header("if-none-match", "*")).await.status, 412);
    let new = ask("PUT", &service("third")).json(&least()).header("if-match", "*");
    assert_eq!(bed.call(new).await.status, 412);
    let delete = ask("DELETE", &service("second")).header("if-match", stale);
    assert_eq!(bed.call(delete).await.status, 412);
}

#[tokio::test]
async fn service_of_another_group_is_neither_seen_nor_taken() {
    let bed = Bed::new().await;
    bed.put("second", least()).await;
    let elsewhere = service("second").replace("fleet", "others");
    let (status, code, message) = bed.get(&elsewhere).await.refusal();
    assert_eq!((status, code.as_str()), (404, "ResourceNotFound"));
    assert!(message.contains("under resource group 'others' was not found"), "{message}");
    let keys = bed.call(ask("POST", &format!("{elsewhere}/listkeys"))).await;
    assert_eq!(keys.status, 404);
    let taken = bed.call(ask("PUT", &elsewhere).json(&least())).await;
    assert_eq!(taken.refusal().1, "NameNotAvailable");
    assert_eq!(bed.call(ask("DELETE", &elsewhere)).await.status, 204);
    assert_eq!(bed.get(&service("SECOND").to_uppercase()).await.ok()["name"], "second");
}

#[tokio::test]
async fn deleted_service_answers_no_more_and_its_operation_ends() {
    let bed = Bed::new().await;
    let scope = bed.put("second", least()).await["properties"]["idScope"].as_str().unwrap().to_owned();
    let reply = bed.call(ask("DELETE", &service("second"))).await;
    assert_eq!((reply.status, reply.text.as_str()), (202, "null"));
    assert!(bed.instances.by_scope(&scope).is_none());
    assert_eq!(bed.get(&service("second")).await.status, 404);
    assert_eq!(bed.followed(&reply).await["status"], "Succeeded");
    let location = reply.header("location").strip_prefix("https://example:8443").unwrap().to_owned();
    assert_eq!(bed.call(ask("GET", "").uri(&location)).await.status, 204);
    assert_eq!(bed.call(ask("DELETE", &service("second"))).await.status, 204);
    let again = bed.put("second", least()).await;
    assert_ne!(again["properties"]["idScope"], scope.as_str());
    assert_eq!(bed.call(ask("DELETE", DEFAULT)).await.refusal().1, "Conflict");
}

#[tokio::test]
async fn lists_hold_what_is_under_them_page_by_page() {
    let bed = Bed::new().await;
    for number in 0..101 {
        bed.put(&format!("service-{number:03}"), least()).await;
    }
    let names = |list: &Value| -> Vec<String> {
        list["value"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    let group = "/subscriptions/s-1/resourceGroups/FLEET/providers/Microsoft.Devices/provisioningServices";
    let first = bed.get(group).await.ok();
    assert_eq!(names(&first).len(), 100);
    let next = first["nextLink"].as_str().unwrap().strip_prefix("https://example:8443").unwrap();
    let second = bed.call(ask("GET", "").uri(next)).await.ok();
    assert_eq!((names(&second), &second["nextLink"]), (vec!["service-100".to_owned()], &Value::Null));
    let all = bed.get("/subscriptions/S-1/providers/Microsoft.Devices/provisioningServices").await.ok();
    assert_eq!(names(&all)[0], "dps");
    let none = bed.get("/subscriptions/other/providers/Microsoft.Devices/provisioningServices").await.ok();
    assert_eq!(none["value"], json!([]));
}

#[tokio::test]
async fn patch_changes_tags_and_the_rest_is_shown() {
    let bed = Bed::new().await;
    bed.put("second", least()).await;
    let patch = ask("PATCH", &service("second")).json(&json!({"tags": {"a": "b"}}));
    let shown = bed.call(patch).await.ok();
    assert_eq!(
        (&shown["tags"], &shown["properties"]["provisioningState"]),
        (&json!({"a": "b"}), &json!("Succeeded"))
    );
    let path = |rest: &str| format!("{}/{rest}", service("second"));
    assert_eq!(bed.get(&path("skus")).await.ok(), json!({"value": [{"name": "S1"}]}));
    assert_eq!(bed.get(&path("privateLinkResources")).await.ok(), json!({"value": []}));
    assert_eq!(bed.get(&path("privateEndpointConnections")).await.ok(), json!([]));
    assert_eq!(bed.get(&path("privateLinkResources/iotDps")).await.status, 404);
    let connect = ask("PUT", &path("privateEndpointConnections/a")).json(&json!({"properties": {}}));
    assert_eq!(bed.call(connect).await.status, 400);
    let operations = bed.get("/providers/Microsoft.Devices/operations").await.ok();
    assert!(operations["value"].as_array().unwrap().len() > 10);
}

#[tokio::test]
async fn names_are_checked_before_they_are_taken() {
    let bed = Bed::new().await;
    let check = async |name: &str| {
        let path = "/subscriptions/s-1/providers/Microsoft.Devices/checkProvisioningServiceNameAvailability";
        let reply = bed.call(ask("POST", path).json(&json!({"name": name}))).await.ok();
        (reply["nameAvailable"].as_bool().unwrap(), reply["reason"].as_str().unwrap().to_owned())
    };
    assert_eq!(check("second").await, (true, "Invalid".into()));
    for name in ["dps", "DPS", "www"] {
        assert_eq!(check(name).await, (false, "AlreadyExists".into()), "{name}");
    }
    assert_eq!(check("a_b").await, (false, "Invalid".into()));
    for name in ["a_b", "123"] {
        assert_eq!(bed.call(ask("PUT", &service(name)).json(&least())).await.status, 400, "{name}");
    }
}

#[tokio::test]
async fn operation_id_that_a_client_made_up_tells_nothing_of_another_service() {
    use base64::Engine as _;
    let bed = Bed::over(Arc::new(MemoryStore::new()), 0).await;
    let reply = bed.call(ask("PUT", &service("other")).json(&least())).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    let scope = bed.instances.by_name("other").unwrap().id_scope.clone();
    let status = async |resource: &str| {
        let id = format!("create;{scope};{resource}");
        let id = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(id);
        let path = format!("{resource}/operationresults/{id}?api-version=2022-02-05&asyncinfo");
        bed.call(ask("GET", "").uri(&path)).await.json()["status"].clone()
    };
    assert_eq!(status(&service("other")).await, "Running");
    assert_eq!(status(DEFAULT).await, "Failed", "no operation of that resource");
}

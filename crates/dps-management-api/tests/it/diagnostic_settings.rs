//! Diagnostic settings over ARM: Azure's shapes, its refusals, and what outlives a restart.

use std::sync::Arc;

use dps_store::MemoryStore;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::bed::{Ask, Bed, DEFAULT, Reply, STORAGE, STREAM, WORKSPACE, ask, least};

fn path(rest: &str) -> String {
    format!("{DEFAULT}/providers/microsoft.insights/{rest}")
}

fn to(method: &'static str, rest: &str) -> Ask {
    ask(method, "").uri(&format!("{}?api-version=2021-05-01-preview", path(rest)))
}

async fn get(bed: &Bed, rest: &str) -> Reply {
    bed.call(to("GET", rest)).await
}

async fn put(bed: &Bed, name: &str, properties: &Value) -> Reply {
    let body = json!({ "properties": properties });
    bed.call(to("PUT", &format!("diagnosticSettings/{name}")).json(&body)).await
}

async fn names(bed: &Bed) -> Vec<String> {
    let all = get(bed, "diagnosticSettings").await.ok();
    let name = |setting: &Value| setting["name"].as_str().unwrap().to_owned();
    all["value"].as_array().unwrap().iter().map(name).collect()
}

/// Status, code and message of a refusal in Azure Monitor's flat shape.
fn flat(reply: &Reply) -> (u16, String, String) {
    assert!(reply.json().get("error").is_none(), "{}", reply.text);
    reply.refusal()
}

fn files(category: &str) -> Value {
    json!({"storageAccountId": STORAGE, "logs": [{"category": category, "enabled": true}]})
}

#[tokio::test]
async fn setting_is_made_shown_listed_replaced_and_deleted() {
    let bed = Bed::new().await;
    let wanted = json!({
        "workspaceId": WORKSPACE.to_uppercase(),
        "eventHubAuthorizationRuleId": STREAM,
        "eventHubName": "fleet",
        "logAnalyticsDestinationType": "Dedicated",
        "logs": [{"categoryGroup": "allLogs", "enabled": true, "retentionPolicy": {"enabled": true, "days": 30}}],
        "metrics": [{"category": "AllMetrics", "enabled": true}],
    });
    let made = put(&bed, "to-both", &wanted).await.ok();
    let expected = json!({
        "id": path("diagnosticSettings/to-both"),
        "type": "Microsoft.Insights/diagnosticSettings",
        "name": "to-both",
        "location": null,
        "kind": null,
        "tags": null,
        "properties": {
            "workspaceId": WORKSPACE.to_uppercase(),
            "storageAccountId": null,
            "serviceBusRuleId": null,
            "eventHubAuthorizationRuleId": STREAM,
            "eventHubName": "fleet",
            "marketplacePartnerId": null,
            "logAnalyticsDestinationType": "Dedicated",
            "logs": [{
                "category": null, "categoryGroup": "allLogs", "enabled": true,
                "retentionPolicy": {"enabled": true, "days": 30},
            }],
            "metrics": [{
                "category": "AllMetrics", "timeGrain": null, "enabled": true,
                "retentionPolicy": {"enabled": false, "days": 0},
            }],
        },
        "identity": null,
    });
    assert_eq!(made, expected);
    assert_eq!(get(&bed, "diagnosticSettings/TO-BOTH").await.ok(), expected);
    // The body that was answered can be sent as it is.
    let again = bed.call(to("PUT", "diagnosticSettings/to-both").json(&made)).await.ok();
    assert_eq!(again, expected);
    put(&bed, "files", &files("DeviceOperations")).await.ok();
    assert_eq!(names(&bed).await, ["to-both", "files"]);
    put(&bed, "FILES", &files("ServiceOperations")).await.ok();
    assert_eq!(names(&bed).await, ["to-both", "FILES"]);

    let gone = bed.call(to("DELETE", "diagnosticSettings/files")).await;
    assert_eq!((gone.status, gone.text.as_str()), (200, ""));
    assert_eq!(bed.call(to("DELETE", "diagnosticSettings/files")).await.status, 204);
    let missing = flat(&get(&bed, "diagnosticSettings/files").await);
    let message = "The diagnostic setting 'files' doesn't exist.".to_owned();
    assert_eq!(missing, (404, "ResourceNotFound".into(), message));
    let changes: Vec<_> = bed
        .events()
        .into_iter()
        .filter(|event| event.etag.is_some())
        .map(|event| (event.operation, event.previous_etag.is_some()))
        .collect();
    let (write, delete) =
        ("Microsoft.Insights/diagnosticSettings/write", "Microsoft.Insights/diagnosticSettings/delete");
    assert_eq!(changes, [(write, false), (write, true), (write, true), (write, true), (delete, true)],);
}

#[tokio::test]
async fn default_setting_is_shown_and_deleted_for_good() {
    let store = Arc::new(MemoryStore::new());
    let bed = Bed::over(Arc::clone(&store) as _, Semaphore::MAX_PERMITS).await;
    let shown = get(&bed, "diagnosticSettings/muster-default").await.ok();
    let properties = &shown["properties"];
    assert_eq!(properties["workspaceId"], WORKSPACE);
    assert_eq!(properties["logs"][0]["categoryGroup"], "allLogs");
    assert_eq!(
        properties["metrics"][0],
        json!({
            "category": "AllMetrics", "timeGrain": null, "enabled": true,
            "retentionPolicy": {"enabled": false, "days": 0},
        })
    );
    assert_eq!(bed.call(to("DELETE", "diagnosticSettings/muster-default")).await.status, 200);
    drop(bed);
    let bed = Bed::over(store, Semaphore::MAX_PERMITS).await;
    assert_eq!(names(&bed).await, Vec::<String>::new());
}

#[tokio::test]
async fn refusals_are_azures_and_name_what_is_wrong() {
    let bed = Bed::new().await;
    put(&bed, "first", &files("DeviceOperations")).await.ok();
    for (properties, status, code, message) in [
        (
            files("DeviceOperations"),
            409,
            "Conflict",
            "is already used in diagnostic setting 'first' for category",
        ),
        (json!({}), 400, "BadRequest", "properties must name at least one data sink"),
        (files("Audit"), 400, "BadRequest", "properties.logs[0].category is no category of logs"),
        (json!({"workspaceId": "/none"}), 400, "BadRequest", WORKSPACE),
        (json!({"storageAccountId": "/none"}), 400, "BadRequest", "storageaccounts/files"),
        (json!({"logs": 7}), 400, "BadRequest", "properties.logs must be a list."),
    ] {
        let said = flat(&put(&bed, "second", &properties).await);
        assert_eq!((said.0, said.1.as_str()), (status, code), "{}", said.2);
        assert!(said.2.contains(message), "{}", said.2);
    }
    let wrong = put(&bed, "second", &files("Audit")).await.json();
    assert_eq!(wrong["target"], "properties.logs[0].category");
    for number in 2..=5 {
        let properties = json!({"workspaceId": WORKSPACE});
        put(&bed, &format!("s{number}"), &properties).await.ok();
    }
    let (status, _, message) = flat(&put(&bed, "sixth", &json!({"workspaceId": WORKSPACE})).await);
    assert!(
        status == 400 && message.starts_with("A resource has at most 5 diagnostic settings"),
        "{message}"
    );
    assert_eq!(names(&bed).await, ["first", "s2", "s3", "s4", "s5"]);

    let version =
        |version: &str| ask("GET", "").uri(&format!("{}?api-version={version}", path("diagnosticSettings")));
    for known in ["2016-09-01", "2017-05-01-preview", "2021-05-01-PREVIEW", "2022-02-05"] {
        bed.call(version(known)).await.ok();
    }
    let (status, code, message) = flat(&bed.call(version("2021-05-01")).await);
    assert_eq!((status, code.as_str()), (400, "InvalidApiVersionParameter"));
    assert!(message.contains("2021-05-01-preview"), "{message}");
    let elsewhere = DEFAULT.replace("/dps", "/nobody");
    let uri = format!("{elsewhere}/providers/Microsoft.Insights/diagnosticSettings?api-version=2022-02-05");
    assert_eq!(flat(&bed.call(ask("GET", "").uri(&uri)).await).1, "ResourceNotFound");
}

#[tokio::test]
async fn categories_are_azures() {
    let bed = Bed::new().await;
    let all = get(&bed, "diagnosticSettingsCategories").await.ok();
    let seen: Vec<Value> = all["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| json!([it["name"], it["properties"]["categoryType"], it["properties"]["categoryGroups"]]))
        .collect();
    let expected = json!([
        ["DeviceOperations", "Logs", ["allLogs"]],
        ["ServiceOperations", "Logs", ["audit", "allLogs"]],
        ["AllMetrics", "Metrics", null],
    ]);
    assert_eq!(Value::Array(seen), expected);
    let one = get(&bed, "diagnosticSettingsCategories/serviceoperations").await.ok();
    assert_eq!(one, all["value"][1]);
    assert_eq!(one["id"], path("diagnosticSettingsCategories/ServiceOperations"));
    assert_eq!(flat(&get(&bed, "diagnosticSettingsCategories/Other").await).0, 404);
}

#[tokio::test]
async fn settings_of_one_service_are_not_those_of_another() {
    let bed = Bed::new().await;
    bed.put("second", least()).await;
    put(&bed, "files", &files("DeviceOperations")).await.ok();
    let uri = format!(
        "{}/providers/Microsoft.Insights/diagnosticSettings?api-version=2021-05-01-preview",
        crate::bed::service("second")
    );
    let all = bed.call(ask("GET", "").uri(&uri)).await.ok();
    assert_eq!(all["value"].as_array().unwrap().len(), 1);
    assert_eq!(all["value"][0]["name"], "muster-default");
}

//! A destination of the file, named by a diagnostic setting: what a caller did is in a file, in Azure's layout.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::fixture::{Hub, Production, Site};
use crate::harness::run;

const TOKEN: &str = "a-token-of-at-least-thirty-two-characters";
const ID: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/Exported";

/// Asks for an enrollment that is not there.
async fn asked(server: &Production, enrollment: &str) {
    let token = server.endpoint.service_token();
    let mut http = server.endpoint.http().await.unwrap();
    let path = format!("/enrollments/{enrollment}?api-version=2021-10-01");
    let answer = http.ask("GET", &path, &[("Authorization", &token)], None).await.unwrap();
    assert_eq!(answer.status, 404);
}

/// Files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Every record below a folder; each line must be one.
fn records(folder: &Path) -> Vec<Value> {
    let texts = files(folder).into_iter().map(|file| std::fs::read_to_string(file).unwrap());
    let lines: Vec<String> =
        texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn ids(records: &[Value]) -> Vec<String> {
    let id = |record: &Value| {
        let properties: Value = serde_json::from_str(record["properties"].as_str().unwrap()).unwrap();
        properties["id"].as_str().unwrap().to_owned()
    };
    records.iter().map(id).collect()
}

/// Puts a setting; gives status and body.
async fn put(server: &Production, resource: &str, properties: Value) -> (u16, Value) {
    let path = format!(
        "{resource}/providers/Microsoft.Insights/diagnosticSettings/export?api-version=2021-05-01-preview"
    );
    let bearer = format!("Bearer {TOKEN}");
    let body = json!({ "properties": properties }).to_string();
    let mut http = server.endpoint.http().await.unwrap();
    let answer = http.ask("PUT", &path, &[("Authorization", &bearer)], Some(body.as_bytes())).await.unwrap();
    (answer.status, answer.json())
}

#[test]
fn records_reach_the_directory_that_a_setting_names_and_are_there_after_a_restart() {
    run(async {
        let hub = Hub::start().await;
        let site = Site::linked(&hub);
        let subscription = "11111111-2222-3333-4444-555555555555";
        site.settings(&format!(
            "[management]\nbearer_token = {{ value = \"{TOKEN}\" }}\nsubscription = \"{subscription}\"\n\
             [[destination]]\nid = \"{ID}\"\nkind = \"directory\"\npath = \"exported\""
        ));
        let exported = site.folder.join("exported");
        let resource = format!(
            "/subscriptions/{subscription}/resourceGroups/muster/providers/Microsoft.Devices/provisioningServices/factory"
        );
        let server = site.start().await;
        let logs = json!([{ "category": "ServiceOperations", "enabled": true }]);
        let (status, refused) =
            put(&server, &resource, json!({ "logs": logs, "storageAccountId": "/other" })).await;
        assert_eq!(status, 400);
        let known = refused["message"].as_str().unwrap().contains(&ID.to_lowercase());
        assert!(known, "the refusal names what there is: {refused}");
        let (status, made) = put(&server, &resource, json!({ "logs": logs, "storageAccountId": ID })).await;
        assert_eq!(status, 200, "{made}");
        asked(&server, "first").await;
        // A stop delivers what waits.
        server.stop();
        assert_eq!(ids(&records(&exported)), ["first"]);

        let server = site.start().await;
        asked(&server, "second").await;
        server.stop();
        let found = records(&exported);
        assert_eq!(ids(&found), ["first", "second"]);
        assert_eq!(
            (&found[1]["category"], &found[1]["resultSignature"]),
            (&json!("ServiceOperations"), &json!("404"))
        );
        let file = files(&exported).remove(0);
        let place = file.strip_prefix(&exported).unwrap().display().to_string();
        let folder = format!("insights-logs-serviceoperations/resourceId={}/y=", resource.to_uppercase());
        assert!(place.starts_with(&folder) && place.ends_with("/m=00/PT1H.json"), "{place}");
        hub.server.stop();
    });
}

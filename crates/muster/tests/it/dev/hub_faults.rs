//! Faults of hubs and webhooks: what becomes of operations, and of devices that are connected.

use dps_model::Secret;
use serde_json::{Value, json};

use super::{device_client, done, fault, logged, start};
use crate::harness::device::{Device, Proof, Protocol};
use crate::harness::run;
use crate::harness::server::Server;

async fn enrolled(server: &Server, id: &str) -> Device {
    let endpoint = &server.endpoint;
    let mut http = endpoint.http().await.unwrap();
    let key = Secret::new(vec![7; 32]);
    endpoint.enroll(&mut http, id, &key).await.unwrap();
    Device::new(id, Protocol::Mqtt, Proof::Key(key), endpoint)
}

/// Polls until the operation has ended, however.
async fn ended(device: &Device, server: &Server) -> Value {
    let mut link = device.connect(&server.endpoint).await.unwrap();
    let operation_id = link.register().await.unwrap().operation_id();
    loop {
        let reply = link.poll(&operation_id).await.unwrap();
        if reply.body["status"] != "assigning" {
            return reply.body;
        }
        tokio::task::yield_now().await;
    }
}

#[test]
fn hub_that_is_down_fails_the_operation_and_is_up_again() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let server = start(folder.path()).server().await;
        let device = enrolled(&server, "robot").await;
        let rule = fault(&server.endpoint, json!({"hub": "localhost"}), json!({"kind": "hubDown"})).await;
        let failed = ended(&device, &server).await;
        assert_eq!(
            (&failed["status"], &failed["registrationState"]["errorCode"]),
            (&json!("failed"), &json!(500_101)),
            "{failed}"
        );
        let line = logged(folder.path(), &["\"event\":\"assignment\"", "robot"]).await;
        assert_eq!(line["fault"], json!({"rule": rule, "kind": "hubDown"}), "{line}");
        let mut http = server.endpoint.http().await.unwrap();
        let down = server.endpoint.hub(&mut http, "localhost", ("GET", "/devices/robot"), &[], None).await;
        assert_eq!(down.unwrap().status, 503);

        done(&server.endpoint, "DELETE", &format!("/dev/faults/{rule}"), None).await;
        assert_eq!(ended(&device, &server).await["status"], "assigned");
        let up = server.endpoint.hub(&mut http, "localhost", ("GET", "/devices/robot"), &[], None).await;
        assert_eq!(up.unwrap().status, 200);
        server.stop();
    });
}

#[test]
fn hub_that_throttles_or_fails_once_is_asked_again() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let server = start(folder.path()).server().await;
        for (id, kind) in [
            ("throttled", json!({"kind": "throttle"})),
            ("failed", json!({"kind": "error", "status": 503})),
            ("delayed", json!({"kind": "delay", "milliseconds": 300})),
        ] {
            let device = enrolled(&server, id).await;
            let once = json!({"operation": "hubWrite", "registrationId": id, "count": 1});
            fault(&server.endpoint, once, kind).await;
            assert_eq!(ended(&device, &server).await["status"], "assigned", "{id}");
            let line = logged(folder.path(), &["\"event\":\"assignment\"", id]).await;
            assert_eq!(line["attempts"], if id == "delayed" { 1 } else { 2 }, "{line}");
            assert!(line["fault"]["rule"].is_string(), "{line}");
        }
        server.stop();
    });
}

#[test]
fn webhook_that_is_down_fails_the_operation() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let server = start(folder.path()).server().await;
        let device = enrolled(&server, "robot").await;
        let mut http = server.endpoint.http().await.unwrap();
        let mut enrollment =
            server.endpoint.service(&mut http, "GET", "/enrollments/robot", None).await.unwrap();
        enrollment["attestation"] = json!({"type": "symmetricKey", "symmetricKey": {
            "primaryKey": "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
            "secondaryKey": "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="}});
        enrollment["allocationPolicy"] = "custom".into();
        enrollment["customAllocationDefinition"] =
            json!({"webhookUrl": "http://127.0.0.1:9/choose", "apiVersion": "2019-03-31"});
        server.endpoint.service(&mut http, "DELETE", "/enrollments/robot", None).await.unwrap();
        server.endpoint.service(&mut http, "PUT", "/enrollments/robot", Some(enrollment)).await.unwrap();
        let rule =
            fault(&server.endpoint, json!({"registrationId": "robot"}), json!({"kind": "webhookDown"})).await;
        let failed = ended(&device, &server).await;
        assert_eq!(failed["status"], "failed", "{failed}");
        let line = logged(folder.path(), &["\"event\":\"assignment\"", "robot"]).await;
        assert_eq!(line["fault"], json!({"rule": rule, "kind": "webhookDown"}), "{line}");
        assert!(line["webhook"]["answer"].as_str().unwrap().contains(&rule), "{line}");
        server.stop();
    });
}

async fn is_connected(server: &Server) -> bool {
    let mut http = server.endpoint.http().await.unwrap();
    let answer = server.endpoint.hub(&mut http, "localhost", ("GET", "/devices/robot"), &[], None).await;
    answer.is_ok_and(|answer| answer.status == 200 && answer.json()["connectionState"] == "Connected")
}

async fn until(server: &Server, wanted: bool) {
    while is_connected(server).await != wanted {
        tokio::task::yield_now().await;
    }
}

#[test]
fn connected_device_is_cut_off_and_comes_back() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let server = start(folder.path()).server().await;
        drop(enrolled(&server, "robot").await);
        let once = json!({"operation": "hubConnection", "registrationId": "robot", "count": 1});
        let rule = fault(&server.endpoint, once, json!({"kind": "disconnect", "milliseconds": 1500})).await;
        let _device = device_client(folder.path(), "robot", &["connect", "--listen"]);
        until(&server, true).await;
        until(&server, false).await;
        until(&server, true).await;
        let line = logged(folder.path(), &[&rule]).await;
        assert_eq!((&line["event"], &line["stage"]), (&json!("connection"), &json!("fault")), "{line}");
        assert_eq!(line["claimed"], "localhost/devices/robot");
        server.stop();
    });
}

#[test]
fn hub_that_is_down_lets_no_device_in_until_it_is_up() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let server = start(folder.path()).server().await;
        let device = enrolled(&server, "robot").await;
        device.provision(&server.endpoint).await.unwrap();
        let at_hub = json!({"operation": "hubConnection", "hub": "localhost"});
        let rule = fault(&server.endpoint, at_hub, json!({"kind": "hubDown"})).await;
        let _device = device_client(folder.path(), "robot", &["connect", "--listen"]);
        let line = logged(folder.path(), &[&rule]).await;
        assert_eq!((&line["stage"], &line["claimed"]), (&json!("fault"), &json!("localhost/devices/robot")));
        assert!(!is_connected(&server).await);
        done(&server.endpoint, "DELETE", &format!("/dev/faults/{rule}"), None).await;
        until(&server, true).await;
        server.stop();
    });
}

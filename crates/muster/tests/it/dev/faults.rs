//! Each fault of a device's requests over each protocol: what the device sees, what the event says, and that all is well
//! afterwards.

use std::time::{Duration, Instant};

use dps_model::Secret;
use serde_json::{Value, json};

use super::{device_client, done, fault, logged, start};
use crate::harness::device::{Device, Proof, Protocol};
use crate::harness::run;
use crate::harness::server::Server;

const PROTOCOLS: [(&str, Protocol); 3] =
    [("over-https", Protocol::Https), ("over-mqtt", Protocol::Mqtt), ("over-amqp", Protocol::Amqp)];
/// A device that hears nothing gives up after so long.
const SILENCE: Duration = Duration::from_millis(700);

struct Bed {
    folder: tempfile::TempDir,
    server: Server,
    devices: Vec<Device>,
}

async fn bed() -> Bed {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path()).server().await;
    let mut http = server.endpoint.http().await.unwrap();
    let mut devices = Vec::new();
    for (id, protocol) in PROTOCOLS {
        let key = Secret::new(vec![7; 32]);
        server.endpoint.enroll(&mut http, id, &key).await.unwrap();
        devices.push(Device::new(id, protocol, Proof::Key(key), &server.endpoint));
    }
    Bed { folder, server, devices }
}

impl Bed {
    /// The rule strikes one request of each device; afterwards it is provisioned as if nothing had been.
    async fn one_refusal(&self, kind: Value, code: u64) {
        let endpoint = &self.server.endpoint;
        for device in &self.devices {
            let name = kind["kind"].as_str().unwrap();
            let id = fault(endpoint, json!({"registrationId": device.id, "count": 1}), kind.clone()).await;
            let reply = device.connect(endpoint).await.unwrap().register().await.unwrap();
            assert_eq!(u64::from(reply.status), code / 1000, "{}: {reply:?}", device.id);
            assert_eq!(reply.body["errorCode"], code, "{}", device.id);
            let told = reply.body.to_string();
            assert!(!told.contains("fault"), "the device hears what Azure says: {told}");
            let tracking_id = reply.body["trackingId"].as_str().unwrap();
            let line = logged(self.folder.path(), &[tracking_id]).await;
            assert_eq!(line["fault"], json!({"rule": id, "kind": name}), "{line}");
            assert_eq!(line["outcome"]["code"], code);
            assert!(line["outcome"]["cause"].as_str().unwrap().contains(&id), "{line}");
            assert_eq!(line["instance"], "muster-dev");
            device.provision(endpoint).await.unwrap();
        }
    }

    /// The rule takes one exchange of each device away; the connection ends, or nothing comes of it.
    async fn one_loss(&self, kind: &str, lost: &str) {
        let endpoint = &self.server.endpoint;
        for device in &self.devices {
            let wanted = json!({"kind": kind, "lost": lost});
            let rule = fault(endpoint, json!({"registrationId": device.id, "count": 1}), wanted).await;
            let mut link = device.connect(endpoint).await.unwrap();
            let heard = tokio::time::timeout(SILENCE, link.register()).await;
            match kind {
                "drop" => assert!(heard.is_err(), "{}: {heard:?}", device.id),
                _ => assert!(heard.unwrap().is_err(), "{}: the connection is over", device.id),
            }
            let line = logged(self.folder.path(), &[&rule, &device.id]).await;
            let result = if lost == "answer" { "success" } else { "abandoned" };
            assert_eq!(line["outcome"]["result"], result, "{line}");
            let mut http = endpoint.http().await.unwrap();
            let path = format!("/enrollments/{}", device.id);
            let enrollment = endpoint.service(&mut http, "GET", &path, None).await.unwrap();
            let status = &enrollment["registrationState"]["status"];
            if lost == "request" {
                assert_eq!(status, "unassigned", "{}: nothing came of the request", device.id);
            } else {
                assert_ne!(status, "unassigned", "{}: the work is done", device.id);
            }
            device.provision(endpoint).await.unwrap();
            let deleted = format!("/registrations/{}", device.id);
            endpoint.service(&mut http, "DELETE", &deleted, None).await.unwrap();
        }
    }
}

#[test]
fn device_is_throttled_over_each_protocol() {
    run(async {
        let bed = bed().await;
        bed.one_refusal(json!({"kind": "throttle", "retryAfter": 9}), 429_001).await;
        bed.server.stop();
    });
}

#[test]
fn device_meets_each_server_error_over_each_protocol() {
    run(async {
        let bed = bed().await;
        bed.one_refusal(json!({"kind": "error"}), 500_000).await;
        bed.one_refusal(json!({"kind": "error", "status": 503}), 503_001).await;
        bed.one_refusal(json!({"kind": "error", "status": 504}), 504_001).await;
        bed.server.stop();
    });
}

#[test]
fn throttled_device_is_told_how_long_to_wait() {
    run(async {
        let bed = bed().await;
        let endpoint = &bed.server.endpoint;
        fault(endpoint, json!({}), json!({"kind": "throttle", "retryAfter": 9})).await;
        let token = endpoint.device_token("over-https", &Secret::new(vec![7; 32]));
        let target =
            format!("/{}/registrations/over-https/register?api-version=2019-03-31", endpoint.id_scope);
        let mut http = endpoint.http().await.unwrap();
        let answer = http.ask("PUT", &target, &[("Authorization", &token)], Some(b"{}")).await.unwrap();
        assert_eq!((answer.status, answer.headers["retry-after"].as_str()), (429, "9"));
        bed.server.stop();
    });
}

#[test]
fn request_or_answer_is_lost_over_each_protocol() {
    run(async {
        let bed = bed().await;
        bed.one_loss("drop", "request").await;
        bed.one_loss("drop", "answer").await;
        bed.one_loss("disconnect", "request").await;
        bed.one_loss("disconnect", "answer").await;
        bed.server.stop();
    });
}

#[test]
fn request_is_delayed_over_each_protocol() {
    run(async {
        let bed = bed().await;
        let endpoint = &bed.server.endpoint;
        let rule = fault(
            endpoint,
            json!({"operation": "register", "count": 3}),
            json!({"kind": "delay", "milliseconds": 400}),
        )
        .await;
        for device in &bed.devices {
            let begun = Instant::now();
            let mut link = device.connect(endpoint).await.unwrap();
            assert_eq!(link.register().await.unwrap().status, 202);
            assert!(begun.elapsed() >= Duration::from_millis(400), "{}", device.id);
            let line = logged(bed.folder.path(), &[&rule, &device.id]).await;
            assert_eq!(
                (&line["fault"]["kind"], &line["outcome"]["result"]),
                (&json!("delay"), &json!("success"))
            );
        }
        bed.server.stop();
    });
}

#[test]
fn rules_strike_polls_apart_from_registrations_and_by_protocol() {
    run(async {
        let bed = bed().await;
        let endpoint = &bed.server.endpoint;
        let only = json!({"operation": "operationStatus", "protocol": "Mqtt", "after": 1});
        fault(endpoint, only, json!({"kind": "throttle"})).await;
        for device in &bed.devices {
            let mut link = device.connect(endpoint).await.unwrap();
            let operation_id = link.register().await.unwrap().operation_id();
            assert!(link.poll(&operation_id).await.unwrap().status < 300);
            let second = link.poll(&operation_id).await.unwrap().status;
            assert_eq!(second == 429, device.protocol == Protocol::Mqtt, "{}", device.id);
        }
        let shown = done(endpoint, "GET", "/dev/faults", None).await;
        assert_eq!((&shown["value"][0]["seen"], &shown["value"][0]["injected"]), (&2.into(), &1.into()));
        bed.server.stop();
    });
}

#[test]
fn device_over_websockets_is_struck_alike() {
    run(async {
        let bed = bed().await;
        let endpoint = &bed.server.endpoint;
        let rule = fault(
            endpoint,
            json!({"protocol": "MqttWs", "count": 1}),
            json!({"kind": "disconnect", "lost": "answer"}),
        )
        .await;
        let words = ["provision", "--transport", "mqtt-ws"];
        let mut client = device_client(bed.folder.path(), "over-mqtt", &words);
        assert_eq!(client.wait().code(), Some(1), "its connection is over");
        let mut client = device_client(bed.folder.path(), "over-mqtt", &words);
        assert_eq!(client.wait().code(), Some(0));
        let line = logged(bed.folder.path(), &[&rule]).await;
        assert_eq!((&line["protocol"], &line["fault"]["kind"]), (&json!("MqttWs"), &json!("disconnect")));
        bed.server.stop();
    });
}

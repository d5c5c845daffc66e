//! Limits as clients of a running server meet them: 429 on every protocol, `/health`, the gauges.

use dps_model::Secret;
use serde_json::json;

use crate::harness::device::{Device, Proof, Protocol};
use crate::harness::http::Http;
use crate::harness::run;
use crate::harness::server::Start;
use crate::harness::tls;

/// Far more polls than any machine does in the time that five of them need.
const TOO_MANY: usize = 1_000;

#[test]
fn device_that_does_not_wait_is_throttled_over_each_protocol() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let server = Start::on(folder.path()).with_limits("self-hosted").server().await;
        let endpoint = &server.endpoint;
        let mut http = endpoint.http().await.unwrap();
        for (id, protocol) in [("over-https", Protocol::Https), ("over-mqtt", Protocol::Mqtt)] {
            let key = Secret::new(vec![7; 32]);
            endpoint.enroll(&mut http, id, &key).await.unwrap();
            let device = Device::new(id, protocol, Proof::Key(key), endpoint);
            let mut link = device.connect(endpoint).await.unwrap();
            let operation_id = link.register().await.unwrap().operation_id();
            let mut answered = 0;
            let refused = loop {
                let reply = link.poll(&operation_id).await.unwrap();
                if reply.status == 429 {
                    break reply;
                }
                assert!(matches!(reply.status, 200 | 202), "{reply:?}");
                answered += 1;
                assert!(answered < TOO_MANY, "never throttled");
            };
            assert!(answered >= 5, "{answered}");
            assert_eq!(refused.body["errorCode"], 429_001);
            assert!(refused.body["trackingId"].is_string());
            assert!(link.register().await.unwrap().status == 202, "registering is counted apart");
        }
        server.stop();
    });
}

#[test]
fn throttled_poll_says_when_to_come_back() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let server = Start::on(folder.path()).with_limits("azure").server().await;
        let endpoint = &server.endpoint;
        let mut http = endpoint.http().await.unwrap();
        let key = Secret::new(vec![7; 32]);
        endpoint.enroll(&mut http, "dev-1", &key).await.unwrap();
        let token = endpoint.device_token("dev-1", &key);
        let target = format!("/{}/registrations/dev-1?api-version=2019-03-31", endpoint.id_scope);
        let device = Device::new("dev-1", Protocol::Https, Proof::Key(key), endpoint);
        assert_eq!(device.connect(endpoint).await.unwrap().register().await.unwrap().status, 202);
        for _ in 0..TOO_MANY {
            let answer = http.ask("POST", &target, &[("Authorization", &token)], Some(b"{}")).await.unwrap();
            if answer.status == 429 {
                let told: u32 = answer.headers["retry-after"].parse().unwrap();
                assert!((1..=11).contains(&told), "{told}");
                assert_eq!(answer.headers["x-ms-error-code"], "429001");
                server.stop();
                return;
            }
            assert_eq!(answer.status, 200);
        }
        panic!("never throttled");
    });
}

#[test]
fn health_and_gauges_say_how_busy_the_server_is() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let server = Start::on(folder.path()).with_metrics().server().await;
        let endpoint = &server.endpoint;
        let open = endpoint.http().await.unwrap();
        let mut plain = Http::over(tls::tcp(endpoint.http).await.unwrap());
        let health = plain.ask("GET", "/health", &[], None).await.unwrap();
        assert_eq!((health.status, &health.headers["content-type"][..]), (200, "application/json"));
        let health = health.json();
        assert_eq!((&health["status"], &health["reasons"]), (&json!("ok"), &json!([])));
        assert_eq!(health["registering"], json!({"inFlight": 0, "waiting": 0}));
        assert_eq!(health["connections"], 1);
        assert_eq!(endpoint.counter("muster_connections ").await.unwrap(), 1);
        let metrics = plain.ask("GET", "/metrics", &[], None).await.unwrap();
        let text = String::from_utf8(metrics.body).unwrap();
        assert!(text.contains(r#"muster_requests{kind="Register",state="waiting"} 0"#), "{text}");
        assert!(text.contains("muster_throttled_devices 0"), "{text}");
        drop(open);
        server.stop();
    });
}

//! A reset: what goes, what stays, and that nobody sees half of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dps_model::Secret;
use serde_json::{Value, json};

use super::{ask, done, fault, start};
use crate::harness::device::{Device, Proof, Protocol};
use crate::harness::run;
use crate::harness::server::Server;

async fn provisioned(server: &Server, id: &str) {
    let endpoint = &server.endpoint;
    let mut http = endpoint.http().await.unwrap();
    let key = Secret::new(vec![7; 32]);
    endpoint.enroll(&mut http, id, &key).await.unwrap();
    Device::new(id, Protocol::Mqtt, Proof::Key(key), endpoint).provision(endpoint).await.unwrap();
}

/// Status of the hub's answer about a device.
async fn on_hub(server: &Server, id: &str) -> u16 {
    let mut http = server.endpoint.http().await.unwrap();
    let path = format!("/devices/{id}");
    server.endpoint.hub(&mut http, "localhost", ("GET", &path), &[], None).await.unwrap().status
}

async fn enrollments(server: &Server) -> Value {
    let mut http = server.endpoint.http().await.unwrap();
    let query = json!({"query": "SELECT * FROM enrollments"});
    server.endpoint.service(&mut http, "POST", "/enrollments/query", Some(query)).await.unwrap()
}

#[test]
fn reset_leaves_what_names_the_server_and_nothing_else() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let server = start(folder.path()).server().await;
        let endpoint = &server.endpoint;
        provisioned(&server, "robot").await;
        let mut http = endpoint.http().await.unwrap();
        endpoint.enroll_group(&mut http, "robots", &Secret::new(vec![5; 32])).await.unwrap();
        let group = Secret::new(vec![5; 32]);
        let member = Device::of_group("member", Protocol::Https, &group, endpoint);
        member.provision(endpoint).await.unwrap();
        fault(endpoint, json!({}), json!({"kind": "throttle"})).await;
        assert_eq!(on_hub(&server, "robot").await, 200);

        let told = done(endpoint, "POST", "/dev/reset", None).await;
        assert_eq!((&told["enrollments"], &told["enrollmentGroups"]), (&json!(1), &json!(1)), "{told}");
        assert_eq!((&told["registrations"], &told["hubDevices"]), (&json!(2), &json!(2)), "{told}");
        assert_eq!(enrollments(&server).await, json!([]));
        assert_eq!(on_hub(&server, "robot").await, 404);
        assert_eq!(done(endpoint, "GET", "/dev/faults", None).await, json!({"value": []}));
        // Keys that were prepared of a group are gone as well: its device is a stranger.
        let refused = member.connect(endpoint).await.unwrap().register().await.unwrap();
        assert_eq!(refused.status, 401, "{refused:?}");
        // What names the server is what it was: the same endpoint provisions at once, and after a restart.
        provisioned(&server, "robot").await;
        let env = server.env.clone();
        server.stop();
        let again = start(folder.path()).server().await;
        for key in ["MUSTER_ID_SCOPE", "MUSTER_SERVICE_CONNECTION_STRING", "MUSTER_WORKSPACE_ID"] {
            let bare = |text: &str| text.split(';').skip(1).collect::<String>();
            let (before, after) = (&env[key], &again.env[key]);
            assert!(before == after || bare(before) == bare(after), "{key}");
        }
        assert_eq!(on_hub(&again, "robot").await, 200, "what was made after the reset stays");
        again.stop();
    });
}

#[test]
fn reset_keeps_what_it_is_told_to_keep() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let server = start(folder.path()).server().await;
        provisioned(&server, "robot").await;
        let keep = json!({"keep": ["enrollments", "hubDevices"]});
        let told = done(&server.endpoint, "POST", "/dev/reset", Some(keep)).await;
        assert_eq!((&told["enrollments"], &told["registrations"]), (&json!(0), &json!(1)), "{told}");
        let mut http = server.endpoint.http().await.unwrap();
        let kept = server.endpoint.service(&mut http, "GET", "/enrollments/robot", None).await.unwrap();
        assert_eq!(kept["registrationState"]["status"], "unassigned", "{kept}");
        assert_eq!(on_hub(&server, "robot").await, 200);
        let (status, refused) =
            ask(&server.endpoint, "POST", "/dev/reset", Some(json!({"keep": ["keys"]}))).await;
        assert_eq!(status, 400);
        assert!(refused["error"]["message"].as_str().unwrap().contains("hubDevices"), "{refused}");
        server.stop();
    });
}

#[test]
fn reset_undoes_settings_of_services_and_of_monitoring() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let server = start(folder.path()).server().await;
        let id = server.env["MUSTER_RESOURCE_ID"].clone();
        let bearer = format!("Bearer {}", server.env["MUSTER_BEARER_TOKEN"]);
        let mut http = server.endpoint.http().await.unwrap();
        let other = id.replace("muster-dev", "other");
        let version = "?api-version=2022-12-12";
        let authorized = [("Authorization", bearer.as_str())];
        let show = http.ask("GET", &format!("{id}{version}"), &authorized, None).await.unwrap();
        let mut wanted = show.json();
        assert_eq!(wanted["properties"]["allocationPolicy"], "Hashed", "{wanted}");
        wanted["properties"]["allocationPolicy"] = "Static".into();
        for member in ["id", "name", "type", "etag"] {
            wanted.as_object_mut().unwrap().remove(member);
        }
        let body = wanted.to_string();
        let put = format!("{id}{version}");
        let changed = http.ask("PUT", &put, &authorized, Some(body.as_bytes())).await.unwrap();
        assert!(changed.status < 300, "{}", changed.json());
        let body = json!({"location": "local", "sku": {"name": "S1", "capacity": 1}, "properties": {}});
        let made = format!("{other}{version}");
        let made = http.ask("PUT", &made, &authorized, Some(body.to_string().as_bytes())).await.unwrap();
        assert!(made.status < 300, "{}", made.json());
        let setting = format!(
            "{id}/providers/Microsoft.Insights/diagnosticSettings/service?api-version=2021-05-01-preview"
        );
        let removed = http.ask("DELETE", &setting, &authorized, None).await.unwrap();
        assert!(removed.status < 300, "{}", removed.status);

        done(&server.endpoint, "POST", "/dev/reset", None).await;
        let show = http.ask("GET", &format!("{id}{version}"), &authorized, None).await.unwrap();
        assert_eq!(show.json()["properties"]["allocationPolicy"], "Hashed");
        let gone = http.ask("GET", &format!("{other}{version}"), &authorized, None).await.unwrap();
        assert_eq!(gone.status, 404);
        let settings =
            format!("{id}/providers/Microsoft.Insights/diagnosticSettings?api-version=2021-05-01-preview");
        let kept = http.ask("GET", &settings, &authorized, None).await.unwrap().json();
        assert_eq!(kept["value"].as_array().map(Vec::len), Some(1), "the one from the start: {kept}");
        server.stop();
    });
}

#[test]
fn reset_among_registrations_leaves_no_half() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let server = start(folder.path()).server().await;
        let endpoint = server.endpoint.clone();
        let mut http = endpoint.http().await.unwrap();
        let key = Secret::new(vec![5; 32]);
        let over = Arc::new(AtomicBool::new(false));
        let mut storm = tokio::task::JoinSet::new();
        for number in 0..8 {
            let (endpoint, key, over) = (endpoint.clone(), key.clone(), Arc::clone(&over));
            storm.spawn(async move {
                let device = Device::of_group(&format!("robot-{number}"), Protocol::Mqtt, &key, &endpoint);
                while !over.load(Ordering::Relaxed) {
                    let Ok(mut link) = device.connect(&endpoint).await else { continue };
                    while !over.load(Ordering::Relaxed) && link.register().await.is_ok() {}
                }
            });
        }
        for _ in 0..10 {
            endpoint.enroll_group(&mut http, "robots", &key).await.unwrap();
            while on_hub(&server, "robot-3").await != 200 {
                tokio::task::yield_now().await;
            }
            done(&endpoint, "POST", "/dev/reset", None).await;
            // Without an enrollment nobody is let in: whatever is there now was left over.
            for number in 0..8 {
                assert_eq!(
                    on_hub(&server, &format!("robot-{number}")).await,
                    404,
                    "an identity was left over"
                );
            }
        }
        over.store(true, Ordering::Relaxed);
        while storm.join_next().await.is_some() {}
        server.stop();
    });
}

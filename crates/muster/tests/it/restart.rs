//! What a restart keeps, what it renews, and how the end of a process treats those who are being served.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::Mutex;

use dps_attestation::symmetric_key;
use dps_model::Secret;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::harness::device::{Device, Proof, Protocol};
use crate::harness::http::Http;
use crate::harness::run;
use crate::harness::server::{Endpoint, Start};
use crate::harness::tls;

/// What `dev.env` says that no restart may change.
const KEPT: [&str; 9] = [
    "MUSTER_ID_SCOPE",
    "MUSTER_DEVICE_HOST",
    "MUSTER_CA_FILE",
    "MUSTER_HUB_HOST",
    "MUSTER_RESOURCE_ID",
    "MUSTER_WORKSPACE_ID",
    "MUSTER_BEARER_TOKEN",
    "MUSTER_SERVICE_CONNECTION_STRING",
    "MUSTER_HUB_CONNECTION_STRING",
];
/// Clients that register while the server is told to end.
pub const LOAD: usize = 16;
/// Answers after which it is told.
pub const LOADED: usize = 100;

/// The kept values, without the port.
fn kept(env: &HashMap<String, String>) -> Vec<String> {
    KEPT.iter().map(|key| env[*key].replace(&format!(":{}", env["MUSTER_HTTPS_PORT"]), "")).collect()
}

async fn get(endpoint: &Endpoint, path: &str) -> Value {
    let mut http = endpoint.http().await.unwrap();
    endpoint.service(&mut http, "GET", path, None).await.unwrap()
}

/// An enrolled device that speaks MQTT.
async fn enrolled(endpoint: &Endpoint, id: &str) -> Device {
    let key = symmetric_key::generate().unwrap();
    let mut http = endpoint.http().await.unwrap();
    endpoint.enroll(&mut http, id, &key).await.unwrap();
    Device::new(id, Protocol::Mqtt, Proof::Key(key), endpoint)
}

#[test]
fn restart_keeps_names_keys_enrollments_and_registrations() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let start = Start::on(folder.path());
        let server = start.server().await;
        let endpoint = server.endpoint.clone();
        let group_key = Secret::new(vec![7; 64]);
        let device = enrolled(&endpoint, "kept-individual").await;
        endpoint.enroll_group(&mut endpoint.http().await.unwrap(), "kept-group", &group_key).await.unwrap();
        let member = Device::of_group("kept-member", Protocol::Https, &group_key, &endpoint);
        let states = [device.provision(&endpoint).await.unwrap(), member.provision(&endpoint).await.unwrap()];
        let paths = [
            "/enrollments/kept-individual",
            "/enrollmentGroups/kept-group",
            "/registrations/kept-individual",
            "/registrations/kept-member",
        ];
        let mut before = Vec::new();
        for path in paths {
            before.push(get(&endpoint, path).await);
        }
        let (env, files) = (server.env.clone(), files(folder.path()));
        server.stop();
        assert!(!folder.path().join("dev.env").exists(), "dev.env announces a server that has ended");

        let server = start.server().await;
        assert_eq!(kept(&server.env), kept(&env));
        assert_eq!(self::files(folder.path()), files);
        for (path, before) in paths.into_iter().zip(before) {
            assert_eq!(get(&server.endpoint, path).await, before, "{path}");
        }
        for (device, state) in [&device, &member].into_iter().zip(states) {
            let again = device.provision(&server.endpoint).await.unwrap();
            for member in ["assignedHub", "deviceId", "createdDateTimeUtc"] {
                assert_eq!(again[member], state[member], "{member} of {}", device.id);
            }
        }
        server.stop();
    });
}

/// The files that are made once.
fn files(folder: &std::path::Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "pem" || extension == "key"));
    names.sort();
    assert!(names.len() >= 3, "{names:?}");
    names.into_iter().map(|path| format!("{} {:?}", path.display(), std::fs::read(&path).unwrap())).collect()
}

#[test]
fn changed_names_renew_the_server_certificate_and_keep_the_ca() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let mut shown = Vec::new();
        let renamed: &[&str] = &["--host", "localhost", "--host", "factory.example", "--hub", "hub.example"];
        for names in [&[], &[], renamed, renamed] {
            let server = Start::on(folder.path()).with(names).server().await;
            let stream = tls::connect(server.endpoint.mqtt, &server.endpoint.trust.plain).await.unwrap();
            let leaf = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
            shown.push((leaf, std::fs::read_to_string(folder.path().join("ca.pem")).unwrap()));
            server.stop();
        }
        let same = |one: usize, other: usize| shown[one].0 == shown[other].0;
        assert!(same(0, 1) && !same(1, 2) && same(2, 3), "certificate renewed at the wrong time");
        assert!(shown.iter().all(|(_, ca)| *ca == shown[0].1), "the CA changed");
    });
}

#[test]
fn hub_no_longer_named_is_unlinked_and_keeps_its_devices() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let hubs: &[&str] = &["--hub", "a.localhost", "--hub", "b.localhost"];
        let both = Start::on(folder.path()).with(hubs);
        let server = both.server().await;
        let endpoint = &server.endpoint;
        let group_key = Secret::new(vec![9; 64]);
        endpoint.enroll_group(&mut endpoint.http().await.unwrap(), "moving", &group_key).await.unwrap();
        let mut on_b = None;
        // Hashed over two hubs, some of a few are on the second.
        for number in 0..64 {
            let device = Device::of_group(&format!("moving-{number}"), Protocol::Mqtt, &group_key, endpoint);
            let state = device.provision(endpoint).await.unwrap();
            if state["assignedHub"] == json!("b.localhost") {
                on_b = Some((device, state));
                break;
            }
        }
        let (device, state) = on_b.expect("a device on the second hub");
        let path = format!("/devices/{}", device.id);
        let mut http = endpoint.http().await.unwrap();
        let identity =
            endpoint.hub(&mut http, "b.localhost", ("GET", &path), &[], None).await.unwrap().json();
        assert_eq!(identity["deviceId"], json!(device.id));
        server.stop();

        let server = Start::on(folder.path()).with(&hubs[..2]).server().await;
        let kept = get(&server.endpoint, &format!("/registrations/{}", device.id)).await;
        assert_eq!(kept["assignedHub"], state["assignedHub"], "what was assigned stays written");
        for number in 64..96 {
            let other = format!("moving-{number}");
            let other = Device::of_group(&other, Protocol::Mqtt, &group_key, &server.endpoint);
            let state = other.provision(&server.endpoint).await.unwrap();
            assert_eq!(state["assignedHub"], json!("a.localhost"), "the only hub that is linked");
        }
        server.stop();

        let server = both.server().await;
        let mut http = server.endpoint.http().await.unwrap();
        let call = ("GET", &*path);
        let again = server.endpoint.hub(&mut http, "b.localhost", call, &[], None).await.unwrap().json();
        assert_eq!(again, identity);
        server.stop();
    });
}

#[test]
fn second_process_on_a_data_directory_is_refused_and_the_first_serves_on() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let start = Start::on(folder.path());
        let server = start.server().await;
        let mut second = start.process();
        let line = second.stderr.said("in use by another process").await;
        assert_eq!(second.wait().code(), Some(1));
        assert_eq!(second.stderr.text(), line, "one clear line");
        let announced = std::fs::read_to_string(folder.path().join("dev.env")).unwrap();
        assert!(announced.contains(&format!("MUSTER_MQTT_PORT={}\n", server.endpoint.mqtt)), "{announced}");
        let device = enrolled(&server.endpoint, "undisturbed").await;
        device.provision(&server.endpoint).await.unwrap();
        server.stop();
    });
}

#[test]
fn sigterm_under_load_answers_what_is_in_flight_and_loses_no_202() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let start = Start::on(folder.path());
        let mut server = start.server().await;
        let endpoint = server.endpoint.clone();
        let group_key = Secret::new(vec![3; 64]);
        endpoint.enroll_group(&mut endpoint.http().await.unwrap(), "load", &group_key).await.unwrap();

        // One request is known to be in flight: the server has asked for its body.
        let key = symmetric_key::generate().unwrap();
        let mut slow = endpoint.http().await.unwrap();
        endpoint.enroll(&mut slow, "slow", &key).await.unwrap();
        let token = endpoint.device_token("slow", &key);
        let target = format!("/{}/registrations/slow/register?api-version=2019-03-31", endpoint.id_scope);
        let body = br#"{"registrationId":"slow"}"#;
        let head = format!(
            "PUT {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {token}\r\nExpect: 100-continue\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        slow.send(head.as_bytes()).await.unwrap();
        assert_eq!(slow.answer().await.unwrap().status, 100);

        let load = Arc::new(Load { endpoint, group_key, told: Mutex::default(), count: watch::channel(0).0 });
        let workers: Vec<_> = (0..LOAD).map(|worker| tokio::spawn(Arc::clone(&load).go_on(worker))).collect();
        load.count.subscribe().wait_for(|count| *count >= LOADED).await.unwrap();
        server.process.terminate();
        server.process.stdout.said("Stopping").await;
        slow.send(body).await.unwrap();
        assert_eq!(slow.answer().await.unwrap().status, 202, "the request in flight");
        drop(slow);
        for worker in workers {
            worker.await.unwrap();
        }
        assert_eq!(server.process.wait().code(), Some(0), "{}", server.process.stderr.text());
        server.process.assert_calm();

        let server = start.server().await;
        let mut http = server.endpoint.http().await.unwrap();
        let mut told = std::mem::take(&mut *load.told.lock().unwrap());
        assert!(told.len() >= LOADED);
        told.push("slow".to_owned());
        for id in told {
            assert_assigned(&server.endpoint, &mut http, &id).await;
        }
        server.stop();
    });
}

/// What was interrupted after its 202 is taken up again by itself.
pub async fn assert_assigned(endpoint: &Endpoint, http: &mut Http<tls::Stream>, id: &str) {
    loop {
        let kept = endpoint.service(http, "GET", &format!("/registrations/{id}"), None).await.unwrap();
        match kept["status"].as_str() {
            Some("assigned") => return,
            Some("assigning") => {}
            other => panic!("{id} is {other:?}"),
        }
    }
}

/// Devices that register as long as there is a server.
pub struct Load {
    pub endpoint: Endpoint,
    pub group_key: Secret,
    pub told: Mutex<Vec<String>>,
    pub count: watch::Sender<usize>,
}

impl Load {
    pub async fn go_on(self: Arc<Self>, worker: usize) {
        for number in 0.. {
            let id = format!("load-{worker}-{number}");
            // An answer that is no 202 fails; a connection that ends is the end of the server.
            let Ok(()) = self.register(&id, worker).await else { break };
        }
        // It ends because it was told to.
        assert!(*self.count.borrow() >= LOADED, "the server left early");
    }

    async fn register(&self, id: &str, worker: usize) -> io::Result<()> {
        let protocol = if worker.is_multiple_of(2) { Protocol::Https } else { Protocol::Mqtt };
        let device = Device::of_group(id, protocol, &self.group_key, &self.endpoint);
        let mut link = device.connect(&self.endpoint).await?;
        let operation_id = link.register().await?.operation_id();
        self.told.lock().unwrap().push(id.to_owned());
        self.count.send_modify(|count| *count += 1);
        link.poll(&operation_id).await?.assigned();
        Ok(())
    }
}

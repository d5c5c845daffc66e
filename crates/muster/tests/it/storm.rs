//! kill -9 in the middle of a storm of registrations: nothing lost, nothing doubled.
//!
//! Each device comes, asks, and remembers what it was told, as a device on a bad network does; whatever fails because
//! the server was killed is tried again at the next one, and whatever fails otherwise fails the test.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_attestation::symmetric_key;
use dps_model::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::harness::device::{Device, Proof, Protocol};
use crate::harness::random::Random;
use crate::harness::run;
use crate::harness::server::{Endpoint, Server, Start, now};
use crate::harness::tls::DeviceCa;

const SEED: u64 = 0x5707_2026;
const DEVICES: usize = 5_000;
/// Of the devices, those with an enrollment of their own; of the rest each third has a certificate.
const INDIVIDUALS: usize = 500;
/// Devices that are at the server at once.
const AT_ONCE: usize = 48;
const KILLS: usize = 5;
const HUBS: [&str; 2] = ["a.localhost", "b.localhost"];
const GROUP: &str = "storm-keys";
const CA_GROUP: &str = "storm-certificates";

/// A device and what it was told.
struct Client {
    device: Device,
    operation_id: Option<String>,
    told_at: Option<Timestamp>,
    state: Option<Value>,
}

/// The server as its clients see it; the number counts the kills.
#[derive(Clone)]
struct Life {
    number: usize,
    endpoint: Endpoint,
}

/// What all visitors share.
struct Storm {
    waiting: Mutex<VecDeque<Client>>,
    done: Mutex<Vec<Client>>,
    /// 202s that clients have heard of.
    told: watch::Sender<usize>,
    /// Visits that a kill cut short.
    cut_short: AtomicUsize,
    /// None while the server is dead.
    life: watch::Receiver<Option<Life>>,
}

#[test]
fn storm_killed_again_and_again_loses_and_doubles_nothing() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let start = Start::on(folder.path()).with(&["--hub", HUBS[0], "--hub", HUBS[1]]);
        let mut server = start.server().await;
        let clients = enroll(&server.endpoint).await;
        let mut random = Random::new(SEED);
        let mut moments: Vec<usize> =
            (0..KILLS).map(|_| DEVICES / 20 + random.below(DEVICES * 9 / 10)).collect();
        moments.sort_unstable();

        let (told, mut heard) = watch::channel(0);
        let (living, life) = watch::channel(Some(Life { number: 0, endpoint: server.endpoint.clone() }));
        let storm = Arc::new(Storm {
            waiting: Mutex::new(clients),
            done: Mutex::default(),
            told,
            cut_short: AtomicUsize::new(0),
            life,
        });
        let visitors: Vec<_> = (0..AT_ONCE).map(|_| tokio::spawn(visit_all(Arc::clone(&storm)))).collect();
        for (kill, moment) in moments.into_iter().enumerate() {
            heard.wait_for(|told| *told >= moment).await.unwrap();
            // Said before it is done: a failure with the server alive is one that the test must not forgive.
            living.send_replace(None);
            server.process.kill();
            server.process.assert_calm();
            server = start.server().await;
            living.send_replace(Some(Life { number: kill + 1, endpoint: server.endpoint.clone() }));
        }
        for visitor in visitors {
            visitor.await.unwrap();
        }
        let cut_short = storm.cut_short.load(Ordering::Relaxed);
        assert!(cut_short >= KILLS, "the kills met nobody: {cut_short}");
        // Once more, when all is said and done: what was promised must be on disk.
        server.process.kill();
        let server = start.server().await;
        let clients = std::mem::take(&mut *storm.done.lock().unwrap());
        assert_eq!(clients.len(), DEVICES);
        judge(&server, &clients).await;
        server.stop();
    });
}

/// Makes the devices, in no order, and their enrollments.
async fn enroll(endpoint: &Endpoint) -> VecDeque<Client> {
    let group_key = symmetric_key::generate().unwrap();
    let ca = DeviceCa::new();
    let mut http = endpoint.http().await.unwrap();
    endpoint.enroll_group(&mut http, GROUP, &group_key).await.unwrap();
    let x509 = json!({"signingCertificates": {"primary": {"certificate": ca.pem}}});
    let body = json!({"enrollmentGroupId": CA_GROUP, "attestation": {"type": "x509", "x509": x509}});
    let path = format!("/enrollmentGroups/{CA_GROUP}");
    endpoint.service(&mut http, "PUT", &path, Some(body)).await.unwrap();
    let mut devices = Vec::with_capacity(DEVICES);
    for number in 0..DEVICES {
        let id = format!("storm-{number:04}");
        let protocol = if number % 2 == 0 { Protocol::Https } else { Protocol::Mqtt };
        devices.push(if number < INDIVIDUALS {
            let key = symmetric_key::generate().unwrap();
            endpoint.enroll(&mut http, &id, &key).await.unwrap();
            Device::new(&id, protocol, Proof::Key(key), endpoint)
        } else if number % 3 == 0 {
            Device::new(&id, protocol, Proof::Certificate(ca.issue(&id)), endpoint)
        } else {
            Device::of_group(&id, protocol, &group_key, endpoint)
        });
    }
    Random::new(SEED).shuffle(&mut devices);
    let fresh = |device| Client { device, operation_id: None, told_at: None, state: None };
    devices.into_iter().map(fresh).collect()
}

/// Brings one device after the other to the server, until all are assigned.
async fn visit_all(storm: Arc<Storm>) {
    let mut life = storm.life.clone();
    loop {
        let Some(mut client) = storm.waiting.lock().unwrap().pop_front() else { return };
        while client.state.is_none() {
            let Some(alive) = life.wait_for(Option::is_some).await.unwrap().clone() else { continue };
            let Err(error) = client.visit(&alive.endpoint, &storm.told).await else { continue };
            let now = life.borrow_and_update().as_ref().map(|life| life.number);
            assert_ne!(now, Some(alive.number), "{} at a living server: {error}", client.device.id);
            storm.cut_short.fetch_add(1, Ordering::Relaxed);
        }
        storm.done.lock().unwrap().push(client);
    }
}

impl Client {
    /// One connection: registers unless it was told an operation already, and asks what became of it.
    async fn visit(&mut self, endpoint: &Endpoint, told: &watch::Sender<usize>) -> io::Result<()> {
        let mut link = self.device.connect(endpoint).await?;
        let operation_id = if let Some(id) = &self.operation_id {
            id.clone()
        } else {
            let id = link.register().await?.operation_id();
            self.told_at = Some(now());
            told.send_modify(|count| *count += 1);
            self.operation_id.insert(id).clone()
        };
        let reply = link.poll(&operation_id).await?;
        assert_eq!(reply.body["operationId"].as_str(), Some(&*operation_id), "{}", self.device.id);
        self.state = reply.assigned().cloned();
        Ok(())
    }
}

/// Compares what the clients know with what the service and the hubs have.
async fn judge(server: &Server, clients: &[Client]) {
    let endpoint = &server.endpoint;
    let mut hub_of: HashMap<String, String> = HashMap::new();
    for hub in HUBS {
        for device in devices(endpoint, hub).await {
            let other = hub_of.insert(device.clone(), hub.to_owned());
            assert_eq!(other, None, "{device} is on both hubs");
        }
    }
    assert_eq!(hub_of.len(), DEVICES, "devices on both hubs together");
    for hub in HUBS {
        let share = hub_of.values().filter(|name| *name == hub).count();
        assert!(share > 0, "no device is on {hub}");
    }
    let mut http = endpoint.http().await.unwrap();
    for client in clients {
        let id = &client.device.id;
        let state = client.state.as_ref().unwrap();
        assert_eq!(state["assignedHub"].as_str(), hub_of.get(id).map(String::as_str), "hub of {id}");
        assert_eq!(
            (state["deviceId"].as_str(), state["registrationId"].as_str()),
            (Some(&**id), Some(&**id))
        );
        let created: Timestamp = serde_json::from_value(state["createdDateTimeUtc"].clone()).unwrap();
        assert!(Some(created) <= client.told_at, "{id} was created at {created}, after it was told");
        let kept = endpoint.service(&mut http, "GET", &format!("/registrations/{id}"), None).await.unwrap();
        for member in
            ["status", "assignedHub", "deviceId", "createdDateTimeUtc", "lastUpdatedDateTimeUtc", "etag"]
        {
            assert_eq!(kept[member], state[member], "{member} of {id}");
        }
        let hub = state["assignedHub"].as_str().unwrap();
        let call = ("GET", &*format!("/devices/{id}"));
        let identity = endpoint.hub(&mut http, hub, call, &[], None).await.unwrap().json();
        assert_eq!(credential(&identity), expected(&client.device), "credential of {id}");
    }
}

/// What the hub knows of the device's credential.
fn credential(identity: &Value) -> (&'static str, String) {
    let authentication = &identity["authentication"];
    match authentication["type"].as_str() {
        Some("sas") => ("sas", text(&authentication["symmetricKey"]["primaryKey"])),
        Some("selfSigned") => ("selfSigned", text(&authentication["x509Thumbprint"]["primaryThumbprint"])),
        other => panic!("authentication.type is {other:?}"),
    }
}

/// What it should know.
fn expected(device: &Device) -> (&'static str, String) {
    match &device.proof {
        Proof::Key(key) => ("sas", STANDARD.encode(key.expose())),
        Proof::Certificate(leaf) => ("selfSigned", leaf.thumbprint()),
    }
}

/// The ids of all devices of a hub, page after page.
async fn devices(endpoint: &Endpoint, hub: &str) -> Vec<String> {
    let mut http = endpoint.http().await.unwrap();
    let (mut found, mut continuation) = (Vec::new(), String::new());
    loop {
        let headers = [("x-ms-max-item-count", "1000"), ("x-ms-continuation", &*continuation)];
        let query = json!({"query": "SELECT * FROM devices"});
        let answer =
            endpoint.hub(&mut http, hub, ("POST", "/devices/query"), &headers, Some(query)).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.json());
        let rows = answer.json();
        let ids = rows.as_array().unwrap().iter().map(|row| row["deviceId"].as_str().unwrap().to_owned());
        found.extend(ids);
        match answer.headers.get("x-ms-continuation") {
            Some(next) => continuation.clone_from(next),
            None => return found,
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

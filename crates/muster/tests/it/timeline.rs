//! What the log of attempts and a device's timeline tell of a real server: registering, polling, the hub, a refusal, what
//! is missing; by the command line, and again after a restart.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_model::Secret;
use serde_json::{Value, json};

use crate::fleet::Site;
use crate::harness::device::{Device, Proof, Protocol};
use crate::harness::run;

const DEVICE: &str = "--dev-env muster-data/dev.env --registration-id robot-1";

fn key(n: u8) -> String {
    STANDARD.encode([n; 32])
}

fn kinds(told: &Value) -> Vec<&str> {
    told["entries"].as_array().unwrap().iter().map(|entry| entry["kind"].as_str().unwrap()).collect()
}

/// Asks until the timeline has an entry of that kind: lines are written a moment after the answer.
fn told(site: &Site, id: &str, kind: &str) -> Value {
    // Each question is a process of its own, which is pause enough.
    for _ in 0..400 {
        let said = site.muster(&format!("timeline {id}"));
        if said.status == Some(0) {
            let told = said.json();
            if kinds(&told).contains(&kind) {
                return told;
            }
        }
    }
    panic!("no {kind} in the timeline of {id}: {}", site.muster(&format!("timeline {id}")).text());
}

#[test]
fn timeline_goes_from_the_enrollment_to_the_hub_and_survives_a_restart() {
    run(async {
        let site = Site::start().await;
        let missing = site.muster("timeline robot-1").failed(3);
        assert!(missing.contains("nothing of robot-1 is on record"), "{missing}");
        let keys = format!("--primary-key {0} --secondary-key {0}", key(1));
        let enroll =
            format!("enrollment create --registration-id robot-1 --attestation-type symmetricKey {keys}");
        site.muster(&enroll).text();
        assert_ne!(site.muster(&format!("device provision {DEVICE} --key {}", key(2))).status, Some(0));
        let connected = site.muster(&format!("device connect {DEVICE} --key {} --send 21", key(1)));
        assert_eq!(connected.status, Some(0), "{}", connected.err);
        let first = told(&site, "robot-1", "hubConnection");
        let kinds = kinds(&first);
        for kind in [
            "enrollmentChange",
            "connection",
            "match",
            "attestation",
            "allocation",
            "hubWrite",
            "assigned",
            "polls",
        ] {
            assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
        }
        assert_eq!((kinds[0], *kinds.last().unwrap()), ("enrollmentChange", "hubConnection"));
        assert_eq!(first["gaps"], json!([]));
        let refused = first["entries"].as_array().unwrap().iter().find(|entry| entry["result"] == "refused");
        assert!(
            refused.unwrap()["detail"].as_str().unwrap().contains("SAS_SIGNATURE_MISMATCH"),
            "{refused:?}"
        );
        let refusals = site.muster("attempts --refused --registration-id ROBOT-1").json();
        assert_eq!(refusals[0]["error"]["code"], 401_000, "{refusals}");
        assert_eq!(refusals[0]["causes"][0]["code"], "SAS_SIGNATURE_MISMATCH");
        let tracking = refusals[0]["trackingId"].as_str().unwrap().to_owned();
        // The whole line is there, and no key is.
        assert_eq!(refusals[0]["record"]["correlationId"], json!(tracking));
        assert!(!refusals.to_string().contains(&key(1)));
        let table = site.muster("timeline robot-1 -o table").text();
        assert!(table.contains("for the first time") && table.contains("Polled"), "{table}");
        let site = site.restarted_after(async |_| {}).await;
        let again = told(&site, "robot-1", "hubConnection");
        assert_eq!(again["entries"], first["entries"]);
    });
}

#[test]
fn device_that_neither_polls_nor_connects_is_missed_after_its_time() {
    run(async {
        let site = Site::start().await;
        let endpoint = &site.server.endpoint;
        let secret = Secret::new(vec![1; 32]);
        let mut http = endpoint.http().await.unwrap();
        endpoint.enroll(&mut http, "silent-1", &secret).await.unwrap();
        let device = Device::new("silent-1", Protocol::Mqtt, Proof::Key(secret), endpoint);
        let mut link = device.connect(endpoint).await.unwrap();
        link.register().await.unwrap().operation_id();
        let soon = told(&site, "silent-1", "assigned");
        assert_eq!(soon["gaps"], json!([]));
        // The lines of the registration are of before; five minutes later it is missed.
        site.muster("dev clock set --offset-seconds 300").text();
        let later = told(&site, "silent-1", "neverPolled");
        let gaps: Vec<_> = later["gaps"].as_array().unwrap().iter().map(|gap| &gap["kind"]).collect();
        assert_eq!(gaps, ["neverPolled", "neverOnHub"]);
    });
}

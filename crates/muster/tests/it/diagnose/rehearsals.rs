//! `muster test`: what it foresees is what the device then meets, its exit status tells scripts, and nothing changes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_model::Secret;
use serde_json::{Value, json};

use crate::fleet::Site;
use crate::harness::device::{Device, Proof, Protocol};
use crate::harness::run;
use crate::harness::tls::DeviceCa;
use crate::software_tpm::SoftwareTpm;

/// What a test prints whose device would get no hub.
fn refused(site: &Site, line: &str) -> Value {
    let said = site.muster(line);
    assert_eq!(
        (said.status, said.err.as_str()),
        (Some(1), "muster: the device would get no hub\n"),
        "{line}"
    );
    serde_json::from_str(&said.out).unwrap()
}

#[test]
fn device_with_a_key_is_tested_before_it_is_enrolled_and_after() {
    run(async {
        let site = Site::start().await;
        let key = STANDARD.encode([7; 32]);
        site.write("device.key", &format!("{key}\n"));
        let own = json!({"registrationId": "pump-1", "attestation": {"type": "symmetricKey",
            "symmetricKey": {"primaryKey": key, "secondaryKey": key}}});
        site.write("own.json", &own.to_string());
        let test = "test --rid pump-1 --key @device.key -o json";

        let unknown = refused(&site, test);
        assert_eq!(unknown["outcome"]["status"], "wouldBeRefused");
        assert_eq!(unknown["outcome"]["code"], 401_000);
        let proposed = site.muster(&format!("{test} --proposed own.json")).json();
        assert_eq!(proposed["outcome"]["status"], "wouldBeAssigned");
        assert_eq!(refused(&site, test)["outcome"], unknown["outcome"], "nothing was enrolled");

        site.muster(&format!("enrollment create --rid pump-1 --at symmetricKey --pk {key} --sk {key}"))
            .json();
        let foreseen = site.muster(test).json();
        assert_eq!(foreseen["hub"], proposed["hub"]);
        let table =
            site.muster(&test.replace("-o json", "-o table --from 203.0.113.7 --protocol mqtt")).text();
        assert!(table.starts_with("ok") && table.contains("203.0.113.7 may call the device API"), "{table}");
        assert!(table.trim_end().ends_with("under individual enrollment pump-1."), "{table}");
        let state = site.muster("enrollment show --rid pump-1").json()["registrationState"].clone();
        assert_eq!(state["status"], "unassigned", "no test registered it");

        let endpoint = &site.server.endpoint;
        let proof = Proof::Key(Secret::new(vec![7; 32]));
        let state = Device::new("pump-1", Protocol::Mqtt, proof, endpoint).provision(endpoint).await.unwrap();
        assert_eq!((&foreseen["hub"], &foreseen["deviceId"]), (&state["assignedHub"], &state["deviceId"]));
        assert_eq!(foreseen["substatus"], state["substatus"]);
        assert_eq!(site.muster(test).json()["twin"], "kept", "it would stay where it is");

        site.muster("enrollment update --rid pump-1 --ps disabled").json();
        let disabled = refused(&site, test);
        assert_eq!(disabled["outcome"]["status"], "wouldBeDisabled");

        // What it showed when it was refused is asked about once more, with nothing at hand.
        let again = "test --rid pump-1 --last-shown -o json";
        let proof = Proof::Key(Secret::new(vec![8; 32]));
        let device = Device::new("pump-1", Protocol::Mqtt, proof, endpoint);
        assert_eq!(device.connect(endpoint).await.unwrap().register().await.unwrap().status, 401);
        assert_eq!(refused(&site, again)["causes"][0]["code"], "SAS_SIGNATURE_MISMATCH");
        let new = STANDARD.encode([8; 32]);
        site.muster(&format!("enrollment update --rid pump-1 --ps enabled --pk {new}")).json();
        assert_eq!(site.muster(again).json()["outcome"]["status"], "wouldBeAssigned");
        site.server.stop();
    });
}

#[test]
fn device_with_a_certificate_or_a_tpm_is_tested_from_files() {
    run(async {
        let site = Site::start().await;
        let ca = DeviceCa::new();
        site.write("leaf.pem", &ca.issue("camera-7").pem());
        site.write("other.pem", &DeviceCa::new().issue("camera-7").pem());
        site.write("ca.pem", &ca.pem);
        site.muster("enrollment-group create --eid cameras --cp ca.pem").json();
        let told = site.muster("test --cert leaf.pem --chain ca.pem").json();
        assert_eq!(
            (&told["registrationId"], &told["enrollment"]["id"]),
            (&json!("camera-7"), &json!("cameras"))
        );
        let other = refused(&site, "test --cert other.pem");
        assert_eq!(other["outcome"]["code"].as_u64().map(|code| code / 1_000), Some(401));
        assert_eq!(
            refused(&site, "test --cert leaf.pem --rid camera-8")["outcome"]["status"],
            "wouldBeRefused"
        );

        let keys = SoftwareTpm::new().keys();
        site.write("tpm.ek", &keys.endorsement_key);
        site.write("tpm.srk", keys.storage_root_key.as_deref().unwrap());
        site.muster("enrollment create --rid gateway-3 --at tpm --ek @tpm.ek").json();
        let challenged = site.muster("test --rid gateway-3 --ek @tpm.ek --srk @tpm.srk").json();
        assert_eq!(challenged["outcome"]["status"], "wouldBeChallenged");
        assert_eq!(refused(&site, "test --rid gateway-4 --ek @tpm.ek")["outcome"]["code"], 404_201);
        site.server.stop();
    });
}

#[test]
fn test_that_cannot_be_made_says_what_is_wrong_with_it() {
    run(async {
        let site = Site::start().await;
        site.write("bad.json", "{}");
        assert!(site.muster("test").failed(1).contains("registrationId is required"));
        assert!(site.muster("test --cert none.pem").failed(1).contains("none.pem cannot be read"));
        assert!(site.muster("test --rid a --proposed bad.json").failed(2).contains("registrationId nor"));
        assert!(site.muster("test --rid a --payload {").failed(2).contains("--payload is no JSON"));
        assert!(site.muster("test --rid a --key short").failed(1).contains("evidence.symmetricKey"));
        assert!(site.muster("test --cert bad.json").failed(1).contains("evidence.certificateChain[0]"));
        site.muster("test --key a --sas b").failed(2);
        site.muster("test --chain a.pem").failed(2);
        site.server.stop();
    });
}

//! The commands of the service API against a real server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_model::Secret;
use serde_json::json;

use super::{Site, muster, words};
use crate::harness::device::{Device, Proof, Protocol};
use crate::harness::run;
use crate::harness::tls::{DeviceCa, Leaf};

#[test]
fn enrollment_lives_through_its_commands() {
    run(async {
        let site = Site::start().await;
        let made = site
            .muster(
                "enrollment create --rid thermostat-1 --at symmetricKey --tags '{\"site\":\"a\"}' --props \
                 '{\"target\":21}' --rp never --ap hashed --ps enabled --did unit-1 --ee --info '{\"x\":1}'",
            )
            .json();
        assert_eq!(made["attestation"], json!({"type": "symmetricKey"}), "keys are hidden");
        assert_eq!(made["deviceId"], "unit-1");
        assert_eq!(made["capabilities"]["iotEdge"], true);
        assert_eq!(
            made["initialTwin"],
            json!({"tags": {"site": "a"}, "properties": {"desired": {"target": 21}}})
        );

        let shown = site.muster("enrollment show --rid thermostat-1 --show-keys").json();
        let keys = shown["attestation"]["symmetricKey"].clone();
        assert_eq!(keys["primaryKey"].as_str().unwrap().len(), 88);
        assert_eq!(shown["registrationState"]["status"], "unassigned");

        let changed = site.muster("enrollment update --rid THERMOSTAT-1 --ps disabled --show-keys").json();
        assert_eq!(changed["provisioningStatus"], "disabled");
        assert_eq!(changed["attestation"]["symmetricKey"], keys, "keys that are not said stay");
        assert_eq!(
            (&changed["reprovisionPolicy"], &changed["deviceId"]),
            (&made["reprovisionPolicy"], &made["deviceId"])
        );

        let stale = site
            .muster(&format!("enrollment update --rid thermostat-1 -e {} --ps enabled", made["etag"]))
            .failed(4);
        assert!(stale.contains("412 (412001)") && stale.contains("changed meanwhile"), "{stale}");
        let twice = site.muster("enrollment create --rid thermostat-1 --at symmetricKey").failed(4);
        assert!(
            twice.contains("409 (409201)") && twice.contains("tracking id") && twice.contains("`update`"),
            "{twice}"
        );
        site.muster(&format!("enrollment delete --rid thermostat-1 --etag {}", made["etag"])).failed(4);
        assert_eq!(site.muster("enrollment delete --rid thermostat-1").text(), "");
        let gone = site.muster("enrollment show --rid thermostat-1").failed(3);
        assert!(gone.contains("404 (404201): Enrollment not found"), "{gone}");
        site.server.stop();
    });
}

#[test]
fn enrollment_of_each_attestation_rolls_its_proof() {
    run(async {
        let site = Site::start().await;
        let ca = DeviceCa::new();
        let (old, new) = (ca.issue("camera-7"), ca.issue("camera-7"));
        site.write("old.pem", &old.pem());
        site.write("new.pem", &new.pem());
        site.muster("enrollment create --rid camera-7 --at x509 --cp old.pem").json();
        let endpoint = &site.server.endpoint;
        let provision = async |leaf: Leaf| {
            let device = Device::new("camera-7", Protocol::Https, Proof::Certificate(leaf), endpoint);
            device.provision(endpoint).await
        };
        provision(old).await.unwrap();
        site.muster("enrollment update --rid camera-7 --scp new.pem").json();
        let rolled = site.muster("enrollment update --rid camera-7 --remove-certificate").json();
        let pair = &rolled["attestation"]["x509"]["clientCertificates"];
        assert_eq!(pair["primary"], pair["secondary"], "the service shows one certificate in both places");
        provision(new).await.unwrap();
        let last = site.muster("enrollment update --rid camera-7 --rc").failed(2);
        assert!(last.contains("no secondary certificate"), "{last}");
        let kind = site.muster("enrollment update --rid camera-7 --pk MTIzNDU2Nzg5MDEyMzQ1Ng==").failed(2);
        assert!(kind.contains("is x509"), "{kind}");

        let ek = "AToAAQALAAMAsgAg";
        site.write("tpm.ek", &format!("{ek}\n"));
        let bad = site.muster("enrollment create --rid gateway-3 --at tpm --ek @tpm.ek").failed(1);
        assert!(bad.contains("400 (400004)"), "{bad}");
        site.server.stop();
    });
}

#[test]
fn group_gives_its_devices_keys_and_shows_their_registrations() {
    run(async {
        let site = Site::start().await;
        let made = site.muster("enrollment-group create --eid robots --show-keys").json();
        let key = made["attestation"]["symmetricKey"]["primaryKey"].as_str().unwrap();
        site.write("group.key", &format!("{key}\n"));
        let offline = site.muster("compute-device-key --key @group.key --rid robot-42").text();
        for same in [
            "compute-device-key --enrollment-id robots --rid robot-42",
            "enrollment-group compute-device-key --gid robots --rid robot-42",
        ] {
            assert_eq!(site.muster(same).text(), offline);
        }
        let second =
            site.muster("compute-device-key --eid robots --rid robot-42 --key-type secondary -o json").json();
        assert_ne!(second.as_str().unwrap(), offline.trim());

        let secret = STANDARD.decode(offline.trim()).unwrap();
        let endpoint = &site.server.endpoint;
        let device = Device::new("robot-42", Protocol::Mqtt, Proof::Key(Secret::new(secret)), endpoint);
        device.provision(endpoint).await.unwrap();
        let state = site.muster("registration show --registration-id robot-42").json();
        assert_eq!((&state["status"], &state["deviceId"]), (&json!("assigned"), &json!("robot-42")));
        let table = site.muster("registration show --registration-id robot-42 -o table").text();
        assert!(table.lines().any(|line| line.split_whitespace().eq(["status", "assigned"])), "{table}");
        site.muster(&format!("registration delete --rid robot-42 --etag {}", state["etag"])).text();
        site.muster("registration show --rid robot-42").failed(3);

        let changed = site.muster("enrollment-group update --gid robots --ps disabled --show-keys").json();
        assert_eq!(changed["attestation"], made["attestation"]);
        site.muster("enrollment-group show --eid robots -o table").text();
        site.muster("enrollment-group delete --eid robots").text();
        site.muster("compute-device-key --eid robots --rid robot-42").failed(3);
        site.server.stop();
    });
}

#[test]
fn service_is_found_by_option_file_environment_and_directory() {
    run(async {
        let site = Site::start().await;
        site.muster("enrollment create --rid d --at symmetricKey").json();
        let elsewhere = tempfile::tempdir().unwrap();
        let here = elsewhere.path();
        let show = |more: &str, variables: &[(&str, &str)]| {
            muster(here, &words(&format!("enrollment show --rid d -o jsonl {more}")), variables)
        };
        let data = site.path().join("muster-data").display().to_string();
        let (login, ca) = (&site.server.env["MUSTER_SERVICE_CONNECTION_STRING"], format!("{data}/ca.pem"));
        std::fs::write(here.join("login"), login).unwrap();

        show(&format!("--data-dir {data}"), &[]).json();
        show(&format!("--login @login --ca-file {ca}"), &[]).json();
        let variables = [("MUSTER_SERVICE_CONNECTION_STRING", login.as_str()), ("MUSTER_CA_FILE", &ca)];
        show("", &variables).json();

        let host = login.split([';', '=']).nth(1).unwrap();
        let token = &site.server.env["MUSTER_BEARER_TOKEN"];
        show(&format!("--host {host} --token {token} --ca-file {ca}"), &[]).json();

        let nothing = show("", &[]).failed(2);
        assert!(nothing.contains("no service is named") && nothing.contains("--login"), "{nothing}");
        let distrust = show("--login @login", &[]).failed(6);
        assert!(distrust.contains("certificate") && distrust.contains("--ca-file"), "{distrust}");
        let wrong = login.replace("SharedAccessKey=", "SharedAccessKey=AAAA");
        let variables = [("MUSTER_SERVICE_CONNECTION_STRING", wrong.as_str()), ("MUSTER_CA_FILE", &ca)];
        let refused = show("", &variables).failed(5);
        assert!(
            refused.contains("401 (401000)") && refused.contains("the environment's MUSTER_"),
            "{refused}"
        );
        assert!(!refused.contains("SharedAccessKey"), "{refused}");

        site.server.stop();
        let stopped = show(&format!("--login @login --ca-file {ca}"), &[]).failed(6);
        assert!(stopped.contains("--login") && stopped.contains("Is it running"), "{stopped}");
        assert_eq!(stopped.matches("trying again").count(), 2, "{stopped}");
        let gone = show(&format!("--data-dir {data}"), &[]).failed(2);
        assert!(gone.contains("is `muster dev` running?"), "{gone}");
    });
}

#[test]
fn usage_errors_and_completions_need_no_service() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let say = |line: &str| muster(folder.path(), &words(line), &[]);
        for bad in [
            "enrollment create --rid d",
            "enrollment create --rid d --at smartcard",
            "enrollment show",
            "enrollment list -o yaml",
            "compute-device-key --rid d",
            "linked-hub create",
        ] {
            say(bad).failed(2);
        }
        for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
            let script = say(&format!("completions {shell}")).text();
            assert!(script.contains("enrollment-group") && script.contains("compute-device-key"), "{shell}");
        }
    });
}

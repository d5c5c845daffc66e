//! The commands of the control plane against a real server, and what they change for its devices and callers.

use serde_json::{Value, json};

use super::Site;
use crate::harness::device::{Device, Proof, Protocol};
use crate::harness::run;
use crate::harness::tls::DeviceCa;

/// The file of CA certificates that a login from a file needs beside it.
const CA: &str = "--ca-file muster-data/ca.pem";

#[test]
fn policy_opens_what_its_rights_say_until_it_goes() {
    run(async {
        let site = Site::start().await;
        site.muster("enrollment create --rid d --at symmetricKey").json();
        site.muster("policy create --policy-name reader --rights EnrollmentRead").json();
        let string = site.muster("connection-string show --policy-name reader").text();
        site.write("reader", &string);
        site.muster(&format!("enrollment show --rid d --login @reader {CA}")).json();
        let refused = site.muster(&format!("enrollment delete --rid d --login @reader {CA}")).failed(5);
        assert!(refused.contains("--login") && !refused.contains("SharedAccessKey"), "{refused}");
        site.muster("policy update --policy-name reader --rights EnrollmentWrite").json();
        site.muster(&format!("enrollment update --rid d --ps disabled --login @reader {CA}")).json();
        site.muster("policy renew-key --policy-name reader --renew-key primary").json();
        site.muster(&format!("enrollment show --rid d --login @reader {CA}")).failed(5);
        site.write("reader", &site.muster("connection-string show --policy-name reader").text());
        site.muster(&format!("enrollment show --rid d --login @reader {CA}")).json();
        site.muster("policy delete --policy-name reader").text();
        site.muster(&format!("enrollment show --rid d --login @reader {CA}")).failed(5);
        let owner = site.muster("connection-string show").text();
        assert_eq!(owner.trim(), site.server.env["MUSTER_SERVICE_CONNECTION_STRING"]);
        site.server.stop();
    });
}

#[test]
fn hub_is_linked_changed_and_unlinked() {
    run(async {
        let site = Site::start().await;
        let before = site.muster("linked-hub list").json();
        assert_eq!(before.as_array().map(Vec::len), Some(1));
        let string =
            "HostName=hub-2.example;SharedAccessKeyName=iothubowner;SharedAccessKey=c2VjcmV0LWtleS1vZi1odWI=";
        site.write("hub-2", string);
        let linked =
            site.muster("linked-hub create --connection-string @hub-2 --allocation-weight 10").json();
        assert_eq!(linked["allocationWeight"], 10);
        assert!(!linked.to_string().contains("c2Vj"), "{linked}");
        site.muster("linked-hub create --connection-string @hub-2").failed(4);
        let out = site
            .muster("linked-hub update --linked-hub hub-2.example --apply-allocation-policy false")
            .json();
        assert_eq!((&out["applyAllocationPolicy"], &out["allocationWeight"]), (&json!(false), &json!(10)));
        site.muster("linked-hub delete --linked-hub hub-2.example").text();
        assert_eq!(site.muster("linked-hub list").json(), before);
        site.server.stop();
    });
}

#[test]
fn ca_certificate_is_proven_and_its_group_provisions() {
    run(async {
        let site = Site::start().await;
        let ca = DeviceCa::new();
        site.write("plant-ca.pem", &ca.pem);
        let made = site.muster("certificate create --certificate-name plant-ca --path plant-ca.pem").json();
        assert_eq!(made["properties"]["isVerified"], false);
        let code = site.muster("certificate generate-verification-code --certificate-name plant-ca").text();
        assert_eq!(code.trim().len(), 48);
        site.write("wrong.pem", &ca.issue("another code").pem());
        site.muster("certificate verify --certificate-name plant-ca --path wrong.pem").failed(1);
        site.write("proof.pem", &ca.issue(code.trim()).pem());
        let verified = site.muster("certificate verify --certificate-name plant-ca --path proof.pem").json();
        assert_eq!(verified["properties"]["isVerified"], true);
        site.muster("enrollment-group create --enrollment-id cameras --root-ca-name plant-ca").json();
        let endpoint = &site.server.endpoint;
        let device =
            Device::new("camera-1", Protocol::Https, Proof::Certificate(ca.issue("camera-1")), endpoint);
        device.provision(endpoint).await.unwrap();
        let used = site.muster("certificate delete --certificate-name plant-ca").failed(4);
        assert!(used.contains("cameras"), "{used}");
        site.muster("enrollment-group delete --enrollment-id cameras").text();
        site.muster("certificate delete --certificate-name plant-ca").text();
        assert_eq!(site.muster("certificate list").json(), json!([]));
        site.server.stop();
    });
}

#[test]
fn new_instance_works_at_once_and_apart() {
    run(async {
        let site = Site::start().await;
        let made = site.muster("instance create --name plant-7 --location local --tags site=7").json();
        assert_eq!(made["properties"]["state"], "Active");
        assert_ne!(made["properties"]["idScope"], site.server.env["MUSTER_ID_SCOPE"].as_str());
        site.muster("instance create --name plant-7 --location local").failed(4);
        let list = site.muster("instance list").json();
        assert_eq!(list.as_array().map(Vec::len), Some(2), "{list}");
        let own = site.muster("instance show").json();
        assert_eq!(own["properties"]["idScope"], site.server.env["MUSTER_ID_SCOPE"].as_str());
        site.write("plant-7", &site.muster("connection-string show --dps-name plant-7").text());
        site.muster(&format!("enrollment create --rid d --at symmetricKey --login @plant-7 {CA}")).json();
        site.muster(&format!("enrollment show --rid d --login @plant-7 {CA}")).json();
        site.muster("enrollment show --rid d").failed(3);
        let changed = site.muster("instance update --name plant-7 --allocation-policy Static").json();
        assert_eq!(changed["properties"]["allocationPolicy"], "Static");
        assert_eq!(changed["tags"], json!({"site": "7"}));
        let tags = site.muster("instance update --name plant-7 --tags").json();
        assert_eq!(tags.get("tags").unwrap_or(&Value::Null).as_object().map_or(0, serde_json::Map::len), 0);
        site.muster("instance update --name plant-7 --disable-local-auth").json();
        site.muster(&format!("enrollment show --rid d --login @plant-7 {CA}")).failed(5);
        site.muster("instance delete --name plant-7").text();
        site.muster("instance show --name plant-7").failed(3);
        site.server.stop();
    });
}

#[test]
fn diagnostic_setting_lives_through_its_commands() {
    run(async {
        let site = Site::start().await;
        let names = |site: &Site| -> Vec<Value> {
            let all = site.muster("diagnostic-settings list").json();
            all.as_array().unwrap().iter().map(|setting| setting["name"].clone()).collect()
        };
        assert_eq!(names(&site), ["muster-default"], "logs work before anybody sets anything");
        let table = site.muster("diagnostic-settings categories -o table").text();
        assert!(table.contains("ServiceOperations") && table.contains("AllMetrics"), "{table}");

        let workspace = &site.server.env["MUSTER_WORKSPACE_ID"];
        let create = format!("diagnostic-settings create --workspace {workspace}");
        let made = site.muster(&format!("{create} --name own --logs allLogs --metrics")).json();
        assert_eq!(made["properties"]["logs"][0]["categoryGroup"], "allLogs");
        assert_eq!(made["properties"]["metrics"][0]["category"], "AllMetrics");
        assert_eq!(names(&site), ["own"], "the first one takes the default's place");
        assert_eq!(site.muster("diagnostic-settings show -n OWN").json(), made);
        let refused = site.muster(&format!("{create} -n more --logs DeviceOperations")).failed(4);
        assert!(refused.contains("409210") && refused.contains("'own'"), "{refused}");
        let refused = site.muster(&format!("{create} -n more --logs Nonsense")).failed(1);
        assert!(refused.contains("there are DeviceOperations, ServiceOperations"), "{refused}");
        let refused =
            site.muster("diagnostic-settings create -n more --storage-account /x --logs audit").failed(1);
        assert!(refused.contains("properties.storageAccountId names no destination"), "{refused}");
        site.muster("diagnostic-settings create -n more --logs audit").failed(2);
        site.muster(&format!("{create} -n more")).failed(2);

        let narrowed = r#"--logs '[{"category": "DeviceOperations", "enabled": true}]'"#;
        site.muster(&format!("{create} -n own {narrowed}")).json();
        site.muster(&format!("{create} -n more --logs ServiceOperations")).json();
        assert_eq!(names(&site), ["own", "more"]);
        for name in ["own", "more", "more"] {
            assert_eq!(site.muster(&format!("diagnostic-settings delete -n {name}")).text(), "");
        }
        assert_eq!(names(&site), Vec::<Value>::new());
        site.muster("diagnostic-settings show -n own").failed(3);
        site.server.stop();
    });
}

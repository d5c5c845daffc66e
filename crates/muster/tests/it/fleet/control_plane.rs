//! The commands of the control plane against what Azure does.

use serde_json::{Value, json};

use super::azure::{Azure, Mischief, TOKEN};
use super::{Said, muster, words};
use crate::harness::run;

const ID: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/provisioningServices/n";
const HUB: &str = "HostName=hub.example;SharedAccessKeyName=iothubowner;SharedAccessKey=c2VjcmV0";

/// Azure with one service, and a folder that commands run in.
struct Site {
    azure: Azure,
    folder: tempfile::TempDir,
}

impl Site {
    async fn start() -> Self {
        let site = Self { azure: Azure::start().await, folder: tempfile::tempdir().unwrap() };
        let made = site.muster("instance create --name n --location westus --tags a=1").json();
        assert_eq!(made["properties"]["state"], "Active", "its end was waited for");
        std::fs::write(site.folder.path().join("hub"), HUB).unwrap();
        std::fs::write(site.folder.path().join("ca.pem"), "-----BEGIN CERTIFICATE-----").unwrap();
        site
    }

    fn muster(&self, line: &str) -> Said {
        let variables = [
            ("MUSTER_MANAGEMENT_URL", self.azure.base.as_str()),
            ("MUSTER_RESOURCE_ID", ID),
            ("MUSTER_BEARER_TOKEN", TOKEN),
        ];
        muster(self.folder.path(), &words(line), &variables)
    }
}

#[test]
fn instance_lives_through_its_commands() {
    run(async {
        let site = Site::start().await;
        site.muster("instance create --name n --location westus").failed(4);
        let other = site.muster("instance create -n other -l westus --no-wait").json();
        assert_eq!(other["properties"]["state"], "Activating");
        for list in ["instance list", "instance list -g g"] {
            let names: Vec<Value> =
                site.muster(list).json().as_array().unwrap().iter().map(|it| it["name"].clone()).collect();
            assert_eq!(names, ["n", "other"], "{list}: over two pages");
        }
        let table = site.muster("instance list -o table").text();
        assert!(table.starts_with("NAME") && table.contains("0ne00000001"), "{table}");
        let tagged = site.muster("instance update --tags b=2 c=x=y").json();
        assert_eq!(tagged["tags"], json!({"b": "2", "c": "x=y"}));
        let changed =
            site.muster("instance update --allocation-policy geolatency --disable-local-auth").json();
        assert_eq!(changed["properties"]["allocationPolicy"], "GeoLatency");
        assert_eq!(changed["properties"]["disableLocalAuth"], true);
        assert_eq!(changed["tags"], tagged["tags"]);
        assert_eq!(site.muster("instance delete --name other").text(), "");
        let gone = site.muster("instance show --name other").failed(3);
        assert!(gone.contains("404 (ResourceNotFound): The Resource was not found"), "{gone}");
    });
}

#[test]
fn linked_hub_lives_through_its_commands_and_its_key_is_kept() {
    run(async {
        let site = Site::start().await;
        let linked = site.muster("linked-hub create --connection-string @hub --allocation-weight 10").json();
        assert_eq!((&linked["location"], &linked["allocationWeight"]), (&json!("westus"), &json!(10)));
        assert!(!linked.to_string().contains("c2VjcmV0"), "{linked}");
        site.muster("linked-hub create --connection-string @hub").failed(4);
        let changed =
            site.muster("linked-hub update --linked-hub HUB.example --apply-allocation-policy false").json();
        assert_eq!(
            (&changed["applyAllocationPolicy"], &changed["allocationWeight"]),
            (&json!(false), &json!(10))
        );
        assert_eq!(site.azure.secret("hub.example"), "c2VjcmV0");
        let new = HUB.replace("c2VjcmV0", "bmV3");
        site.muster(&format!("linked-hub update --linked-hub hub.example --connection-string {new}")).json();
        assert_eq!(site.azure.secret("hub.example"), "bmV3");
        let other = new.replace("hub.example", "other.example");
        site.muster(&format!("linked-hub update --linked-hub hub.example --connection-string {other}"))
            .failed(2);
        assert_eq!(site.muster("linked-hub list").json().as_array().map(Vec::len), Some(1));
        site.muster("linked-hub show --linked-hub hub.example").json();
        site.muster("linked-hub delete --linked-hub hub.example").text();
        site.muster("linked-hub show --linked-hub hub.example").failed(3);
        site.muster("linked-hub delete --linked-hub hub.example").failed(3);
    });
}

#[test]
fn policy_lives_through_its_commands_and_opens_the_service() {
    run(async {
        let site = Site::start().await;
        let made = site.muster("policy create -n line-7 -r enrollmentread ServiceConfig").json();
        assert_eq!(made, json!({"keyName": "line-7", "rights": "EnrollmentRead, ServiceConfig"}));
        site.muster("policy create -n line-7 -r EnrollmentRead").failed(4);
        let shown = site.muster("policy show -n LINE-7 --show-keys").json();
        assert_eq!(shown["primaryKey"], "made-line-7-primaryKey");
        let swapped = site.muster("policy renew-key -n line-7 --renew-key swap --show-keys").json();
        assert_eq!(swapped["primaryKey"], "made-line-7-secondaryKey");
        let renewed = site.muster("policy renew-key -n line-7 --rk primary --show-keys").json();
        assert_eq!(renewed["secondaryKey"], "made-line-7-primaryKey");
        assert_eq!(renewed["primaryKey"].as_str().map(str::len), Some(88));
        let changed =
            site.muster("policy update -n line-7 --rights EnrollmentWrite --sk bmV3 --show-keys").json();
        assert_eq!(
            (&changed["rights"], &changed["secondaryKey"]),
            (&json!("EnrollmentWrite"), &json!("bmV3"))
        );
        assert_eq!(changed["primaryKey"], renewed["primaryKey"]);

        let port = site.azure.base.rsplit(':').next().unwrap();
        let host = format!("HostName=n.azure-devices-provisioning.net:{port};SharedAccessKeyName=");
        let owner = format!(
            "{host}provisioningserviceowner;SharedAccessKey=made-provisioningserviceowner-primaryKey\n"
        );
        assert_eq!(site.muster("connection-string show").text(), owner);
        let second = site.muster("connection-string show --pn line-7 --kt secondary").text();
        assert_eq!(second, format!("{host}line-7;SharedAccessKey=bmV3\n"));
        assert_eq!(site.muster("connection-string show --all").text().lines().count(), 2);
        site.muster("connection-string show --pn nobody").failed(3);

        site.muster("policy delete -n line-7").text();
        site.muster("policy show -n line-7").failed(3);
        assert_eq!(site.muster("policy list").json().as_array().map(Vec::len), Some(1));
    });
}

#[test]
fn certificate_is_proven_with_the_versions_that_are_read() {
    run(async {
        let site = Site::start().await;
        let made = site.muster("certificate create -n plant-ca -p ca.pem").json();
        assert_eq!(made["properties"]["isVerified"], false);
        site.muster("certificate create -n plant-ca -p ca.pem").failed(4);
        let code = site.muster("certificate generate-verification-code -n plant-ca").text();
        assert_eq!(code, format!("{}\n", "75A8".repeat(12)));
        let verified = site.muster("certificate verify -n plant-ca -p ca.pem").json();
        assert_eq!(verified["properties"]["isVerified"], true);
        let stale =
            format!("certificate update -n plant-ca -p ca.pem --etag {}", made["etag"].as_str().unwrap());
        site.muster(&stale).failed(4);
        assert_eq!(
            site.muster("certificate update -n plant-ca -p ca.pem").json()["properties"]["isVerified"],
            false
        );
        assert_eq!(site.muster("certificate list").json().as_array().map(Vec::len), Some(1));
        site.muster("certificate show -n plant-ca").json();
        site.muster("certificate delete -n plant-ca").text();
        site.muster("certificate delete -n plant-ca").failed(3);
        let verified = site.muster("certificate create -n sure -p ca.pem --verified").json();
        assert_eq!(verified["properties"]["isVerified"], true);
    });
}

#[test]
fn change_that_meets_another_or_fails_is_told() {
    run(async {
        let site = Site::start().await;
        site.azure.misbehave(Mischief::Race);
        let race = site.muster("policy create -n x -r EnrollmentRead").failed(4);
        assert!(race.contains("412 (PreconditionFailed)"), "{race}");
        site.azure.misbehave(Mischief::None);
        site.azure.misbehave(Mischief::Fail);
        let failed = site.muster("instance create -n late -l westus").failed(1);
        assert!(failed.contains("failed (400303): Cannot have duplicate iot hubs"), "{failed}");
    });
}

#[test]
fn token_goes_to_no_other_host() {
    run(async {
        let site = Site::start().await;
        site.muster("instance create -n other -l westus").json();
        site.azure.misbehave(Mischief::Lure);
        let lured = site.muster("instance list").failed(6);
        assert!(lured.contains("another host"), "{lured}");
        let wrong = site.muster("instance show --token nonsense").failed(5);
        assert!(wrong.contains("401 (InvalidAuthenticationToken)") && wrong.contains("--token"), "{wrong}");
    });
}

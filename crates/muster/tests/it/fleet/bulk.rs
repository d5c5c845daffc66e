//! Lists in pages and imports of many lines, against a real server.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::Site;
use crate::harness::run;

/// Enrollments with keys of their own, a line each.
fn lines(range: std::ops::Range<usize>) -> String {
    let mut text = String::new();
    for number in range {
        let keys =
            json!({"primaryKey": format!("{:0>32}", number * 4), "secondaryKey": "MTIzNDU2Nzg5MDEyMzQ1Ng=="});
        let attestation = json!({"type": "symmetricKey", "symmetricKey": keys});
        let line = json!({"registrationId": format!("d-{number:04}"), "attestation": attestation});
        let _ = writeln!(text, "{line}");
    }
    text
}

fn ids(text: &str) -> Vec<String> {
    let id = |line: &str| {
        serde_json::from_str::<Value>(line).unwrap()["registrationId"].as_str().unwrap().to_owned()
    };
    let mut ids: Vec<String> = text.lines().map(id).collect();
    ids.sort();
    ids
}

#[test]
fn fleet_is_imported_listed_exported_and_imported_again() {
    run(async {
        let site = Site::start().await;
        site.write("devices.jsonl", &lines(0..253));
        let done = site.muster("enrollment import devices.jsonl").json();
        assert_eq!(done, json!({"imported": 253, "failed": 0, "importedBefore": 0}));
        assert!(!site.path().join("devices.jsonl.progress").exists());

        let all = ids(&site.muster("enrollment list -o jsonl").text());
        assert_eq!(all.len(), 253);
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "each once");
        for (top, count) in [(0, 0), (7, 7), (100, 100), (101, 101), (1_000, 253)] {
            let listed = site.muster(&format!("enrollment list --top {top} -o jsonl")).text();
            assert_eq!(listed.lines().count(), count, "--top {top}");
        }
        let array = site.muster("enrollment list").json();
        assert_eq!(array.as_array().map(Vec::len), Some(253));
        let table = site.muster("enrollment list -o table --top 2").text();
        assert_eq!(table.lines().count(), 3, "{table}");
        let one = site.muster("enrollment list -o jsonl --query \"SELECT_*_WHERE\"");
        assert_eq!(one.failed(1).matches("400").count(), 2, "status and code");

        let export = site.muster("enrollment list -o jsonl --show-keys").text();
        assert!(export.lines().all(|line| line.contains("\"primaryKey\"")), "keys of all");
        site.write("export.jsonl", &export);
        site.muster("enrollment import export.jsonl --mode delete").json();
        assert_eq!(site.muster("enrollment list").json(), json!([]));
        site.muster("enrollment import export.jsonl").json();
        let again = site.muster("enrollment list -o jsonl --show-keys").text();
        let keys = |text: &str| {
            let key = |line: &str| serde_json::from_str::<Value>(line).unwrap()["attestation"].to_string();
            let mut keys: Vec<String> = text.lines().map(key).collect();
            keys.sort();
            keys
        };
        assert_eq!(keys(&again), keys(&export), "an export brings everything back");
        site.server.stop();
    });
}

#[test]
fn where_clause_finds_what_it_says() {
    run(async {
        let site = Site::start().await;
        site.write("devices.jsonl", &lines(0..30));
        site.muster("enrollment import devices.jsonl").json();
        site.muster("enrollment update --rid d-0007 --ps disabled").json();
        let text = "SELECT * FROM enrollments WHERE provisioningStatus = 'disabled'";
        let listed = site.muster(&format!("enrollment list -o jsonl --query \"{text}\"")).text();
        assert_eq!(ids(&listed), ["d-0007"]);
        site.server.stop();
    });
}

#[test]
fn line_that_fails_is_told_and_kept_and_the_others_are_imported() {
    run(async {
        let site = Site::start().await;
        site.muster("enrollment create --rid d-0003 --at symmetricKey").json();
        let bad = "{\"registrationId\":\"bad\",\"attestation\":{\"type\":\"smartcard\"}}\nnonsense\n";
        site.write("devices.jsonl", &format!("{}{bad}", lines(0..12)));
        site.write("rejects.jsonl", "of an earlier run, readable by others\n");
        let said = site.muster("enrollment import devices.jsonl --rejects rejects.jsonl");
        let mode = std::fs::metadata(site.path().join("rejects.jsonl")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "lines may hold keys");
        let (out, err) = (said.out.clone(), said.err.clone());
        assert_eq!(said.status, Some(1), "{err}");
        assert_eq!(
            serde_json::from_str::<Value>(&out).unwrap(),
            json!({"imported": 11, "failed": 3, "importedBefore": 0})
        );
        for told in [
            "devices.jsonl:4: d-0003: 409201 Enrollment already exists.",
            "devices.jsonl:13: bad: 400",
            "devices.jsonl:14: ?: it is no JSON",
            "muster: 3 of 14 lines of devices.jsonl failed, as told above",
        ] {
            assert!(err.contains(told), "{told}: {err}");
        }
        let rejects = std::fs::read_to_string(site.path().join("rejects.jsonl")).unwrap();
        assert_eq!(rejects.lines().count(), 3);
        assert!(rejects.contains("\"d-0003\"") && rejects.contains("nonsense"));
        assert_eq!(site.muster("enrollment list").json().as_array().map(Vec::len), Some(12));
        let updated = site.muster("enrollment import rejects.jsonl --mode update");
        assert!(!updated.err.contains("nonsense"), "{}", updated.err);
        site.server.stop();
    });
}

#[test]
fn import_that_was_stopped_goes_on_where_it_was() {
    run(async {
        let site = Site::start().await;
        site.write("devices.jsonl", &lines(0..40));
        // What a killed import leaves: its own name, two batches that were answered, and one that was being written.
        let size = std::fs::metadata(site.path().join("devices.jsonl")).unwrap().len();
        let host =
            site.server.env["MUSTER_SERVICE_CONNECTION_STRING"].split([';', '=']).nth(1).unwrap().to_owned();
        site.write(
            "devices.jsonl.progress",
            &format!("enrollments create {size} https://{host}\n1 10\n21 30\n11 2"),
        );
        let said = site.muster("enrollment import devices.jsonl");
        assert!(said.err.contains("going on after 20 lines"), "{}", said.err);
        let done: Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!(done, json!({"imported": 20, "failed": 0, "importedBefore": 20}));
        let all = ids(&site.muster("enrollment list -o jsonl").text());
        let wanted: Vec<String> = (10..20).chain(30..40).map(|number| format!("d-{number:04}")).collect();
        assert_eq!(all, wanted);

        site.write("devices.jsonl.progress", "enrollments delete 1 https://elsewhere\n1 10\n");
        let other = site.muster("enrollment import devices.jsonl").failed(2);
        assert!(other.contains("another import") && other.contains("--restart"), "{other}");
        let text = lines(10..20);
        site.write("devices.jsonl", &text);
        let again = site.muster("enrollment import devices.jsonl --restart --mode update").json();
        assert_eq!(again, json!({"imported": 10, "failed": 0, "importedBefore": 0}));
        let etags = site.muster("enrollment import devices.jsonl --mode updateIfMatchETag");
        assert!(etags.err.contains("devices.jsonl:1: d-0010: 400004 etag is required"), "{}", etags.err);
        site.server.stop();
    });
}

#[test]
fn groups_are_imported_and_listed_with_their_registrations() {
    run(async {
        let site = Site::start().await;
        let group = |id: &str| {
            format!("{{\"enrollmentGroupId\":\"{id}\",\"attestation\":{{\"type\":\"symmetricKey\"}}}}\n")
        };
        site.write("groups.jsonl", &[group("robots"), group("meters")].concat());
        site.muster("enrollment-group import groups.jsonl").json();
        let groups = site.muster("enrollment-group list -o table").text();
        assert!(groups.contains("robots") && groups.contains("meters"), "{groups}");
        site.write("key", &site.muster("compute-device-key --eid robots --rid robot-1").text());
        site.muster(
            "device provision --dev-env muster-data/dev.env --registration-id robot-1 --key-file key",
        )
        .text();
        let listed = site.muster("registration list --group robots").json();
        assert_eq!(listed[0]["registrationId"], "robot-1");
        assert_eq!(site.muster("registration list --group meters").json(), json!([]));
        site.server.stop();
    });
}

//! `muster alert` against a running server: rules, groups, built-in rules, and alerts that its store has.

use dps_core::ports::{Clock as _, SystemClock};
use dps_model::Etag;
use dps_monitor::alerts::alert::{Alert, AlertState, MonitorCondition, Signal};
use dps_monitor::{Kept, MonitorState as _, Shelf, StateWrite};
use dps_store::{OpenOptions, SqliteStore, StoreState};
use serde_json::{Value, json};

use crate::fleet::Site;
use crate::harness::run;

const RULE: &str = "alert rule create metric --name refused --metric AttestationAttempts --operator gt";

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect()
}

#[test]
fn metric_rule_tells_its_group_until_it_is_switched_off_and_deleted() {
    run(async {
        let site = Site::start().await;
        site.write("pager", "https://hooks.example/services/s3cr3t\n");
        let missing = site.muster(&format!("{RULE} --threshold 1 --group ops")).failed(1);
        assert!(missing.contains("create it first"), "{missing}");
        let made = site.muster("alert group create --name operations-team --webhook pager=@pager").json();
        assert_eq!(made["properties"]["groupShortName"], "operations-t");
        assert!(!made.to_string().contains("s3cr3t"), "{made}");
        let shown = site.muster("alert group show --name operations-team --show-keys").json();
        assert_eq!(
            shown["properties"]["webhookReceivers"][0]["serviceUri"],
            "https://hooks.example/services/s3cr3t"
        );
        site.muster("alert group create --name am --webhook a=https://am.example --form alertmanager").json();
        assert_eq!(names(&site.muster("alert group list").json()), ["am", "operations-team"]);
        site.muster("alert group create --name am --webhook a=https://am.example").failed(4);
        let wrong = site.muster("alert group create --name x --webhook https://am.example/a").failed(2);
        assert!(wrong.contains("NAME=URL"), "{wrong}");

        let line =
            format!("{RULE} --threshold 10 --dimension Status!=Success --window 15m --group operations-team");
        let rule = site.muster(&line).json();
        let condition = &rule["properties"]["criteria"]["allOf"][0];
        assert_eq!(
            (&condition["threshold"], &rule["properties"]["windowSize"]),
            (&json!(10.0), &json!("PT15M"))
        );
        let expected = json!([{"name": "Status", "operator": "Exclude", "values": ["Success"]}]);
        assert_eq!(condition["dimensions"], expected);
        site.muster(&line).failed(4);
        let unknown = site.muster(&format!("{RULE}x --threshold 1")).failed(2);
        assert!(unknown.contains("invalid value"), "{unknown}");
        let wrong = site.muster("alert rule create metric --name x --metric Heat --threshold 1").failed(1);
        assert!(wrong.contains("AttestationAttempts"), "{wrong}");
        let dynamic = "alert rule create metric --name odd --metric RegistrationAttempts --dynamic high \
            --operator outside --failing 2/3 --description 'not as usual'";
        let odd = site.muster(dynamic).json();
        assert_eq!(
            odd["properties"]["criteria"]["allOf"][0]["failingPeriods"]["minFailingPeriodsToAlert"],
            2
        );
        assert_eq!(names(&site.muster("alert rule list").json()), ["odd", "refused"]);
        assert_eq!(site.muster("alert rule disable --name refused").json()["properties"]["enabled"], false);
        assert_eq!(site.muster("alert rule enable --name refused").json()["properties"]["enabled"], true);
        site.muster("alert rule delete --name refused --kind metric").text();
        site.muster("alert rule show --name refused").failed(3);
        let status = site.muster("alert group delete --name am").text();
        assert_eq!(status, "");
        site.server.stop();
    });
}

#[test]
fn every_built_in_rule_is_switched_on_and_off() {
    run(async {
        let site = Site::start().await;
        let list = site.muster("alert builtin list").json();
        let rules = names(&list).into_iter().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(rules.len(), 6);
        for name in &rules {
            let made = site.muster(&format!("alert builtin enable {name}")).json();
            assert_eq!(made["name"], format!("builtin-{name}"));
        }
        let other = site.muster("alert builtin enable throttling --threshold 100").json();
        assert_eq!(other["properties"]["criteria"]["allOf"][0]["threshold"], 100.0);
        site.muster("alert builtin disable failed-assignments").json();
        let list = site.muster("alert builtin list").json();
        for rule in list.as_array().unwrap() {
            assert_eq!(rule["enabled"], rule["name"] != "failed-assignments", "{rule}");
        }
        assert_eq!(list[4]["threshold"], 100.0);
        let unknown = site.muster("alert builtin enable everything").failed(2);
        assert!(unknown.contains("signing-certificate"), "{unknown}");
        site.server.stop();
    });
}

#[test]
fn alerts_are_listed_acknowledged_and_closed() {
    run(async {
        let site = Site::start().await;
        let service = site.server.env["MUSTER_RESOURCE_ID"].clone();
        let id = uuid::Uuid::from_u128(7);
        let site = site.restarted_after(async |data| keep(data, &alert(id, &service)).await).await;
        let list = site.muster("alert list").json();
        assert_eq!((names(&list), &list[0]["ruleName"]), (vec![id.to_string().as_str()], &json!("refused")));
        assert_eq!(names(&site.muster("alert list --severity 0 --timespan 30d").json()), Vec::<&str>::new());
        assert_eq!(names(&site.muster("alert list --condition Fired --rule refused --all").json()).len(), 1);
        site.muster("alert list --state Fixed").failed(1);
        let said = site.muster(&format!("alert acknowledge {id} --comment 'on it'")).json();
        assert_eq!(said["properties"]["essentials"]["alertState"], "Acknowledged");
        site.muster(&format!("alert close {id}")).json();
        let history = site.muster(&format!("alert history {id}")).json();
        let seen: Vec<_> =
            history.as_array().unwrap().iter().map(|it| (&it["newValue"], &it["comments"])).collect();
        assert_eq!(seen, [(&json!("Closed"), &json!("")), (&json!("Acknowledged"), &json!("on it"))]);
        let shown = site.muster(&format!("alert show {id}")).json();
        assert_eq!(shown["properties"]["essentials"]["alertState"], "Closed");
        site.muster(&format!("alert show {}", uuid::Uuid::nil())).failed(3);
        site.server.stop();
    });
}

fn alert(id: uuid::Uuid, target: &str) -> Alert {
    let fired = SystemClock::new().now().plus_millis(-60_000);
    Alert {
        id,
        rule: "/subscriptions/s/resourceGroups/g/providers/Microsoft.Insights/metricAlerts/refused".into(),
        rule_name: "refused".into(),
        description: String::new(),
        severity: 3,
        signal: Signal::Metric,
        target: target.to_owned(),
        dimensions: Vec::new(),
        condition: MonitorCondition::Fired,
        state: AlertState::New,
        fired,
        resolved: None,
        modified: fired,
        context: Value::Null,
        history: Vec::new(),
    }
}

/// Puts an alert into the store of a server that does not run.
async fn keep(data: &std::path::Path, alert: &Alert) {
    let store = std::sync::Arc::new(SqliteStore::open(OpenOptions::in_directory(data)).await.unwrap());
    let body = serde_json::to_string(alert).unwrap();
    let document = Kept { id: alert.id.simple().to_string(), etag: Etag::fresh(), body, sealed: None };
    let write = StateWrite::Put { shelf: Shelf::Alerts, document, over: None };
    StoreState::new(store).write(vec![write]).await.unwrap();
}

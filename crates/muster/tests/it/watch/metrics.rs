//! `muster metrics` against a running server.

use serde_json::Value;

use crate::fleet::Site;
use crate::harness::run;

/// Metrics of a server on which one device was provisioned, and one was refused.
async fn site() -> Site {
    let site = Site::start().await;
    site.muster("enrollment create --registration-id thermostat-1 --attestation-type symmetricKey").json();
    let key = site.muster("enrollment show --registration-id thermostat-1 --show-keys").json();
    let key = key["attestation"]["symmetricKey"]["primaryKey"].as_str().unwrap().to_owned();
    site.write("key", &key);
    site.write("wrong.key", "d3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmc=");
    let provision =
        "device provision --dev-env muster-data/dev.env --registration-id thermostat-1 --key-file";
    assert_eq!(site.muster(&format!("{provision} key")).status, Some(0));
    assert_ne!(site.muster(&format!("{provision} wrong.key")).status, Some(0));
    site
}

fn sum(csv: &str, column: usize) -> f64 {
    let cells =
        csv.lines().skip(1).filter_map(|line| line.trim().split(',').nth(column)?.parse::<f64>().ok());
    cells.sum()
}

#[test]
fn metrics_are_listed_and_shown_as_they_were_counted() {
    run(async {
        let site = site().await;
        let list = site.muster("metrics list").json();
        let names: Vec<&Value> = list.as_array().unwrap().iter().map(|it| &it["name"]["value"]).collect();
        assert!(names.len() > 3 && *names[0] == "AttestationAttempts", "{names:?}");
        let azure =
            site.muster("metrics list --namespace Microsoft.Devices/provisioningServices -o csv").text();
        assert!(
            azure.starts_with("METRIC,UNIT,AGGREGATIONS,DIMENSIONS,NAMESPACE\r\nAttestationAttempts,Count,")
        );
        assert_eq!(azure.lines().count(), 4, "{azure}");

        let shown = site.muster("metrics show attestationattempts --interval full -o csv").text();
        assert!(shown.starts_with("Time,Total\r\n"), "{shown}");
        assert!((sum(&shown, 1) - 2.0).abs() < 0.1, "{shown}");
        let split =
            site.muster("metrics show AttestationAttempts --split status --timespan 30m -o csv").text();
        assert!(split.starts_with("Time,Status,Total\r\n"), "{split}");
        assert!((sum(&split, 2) - 2.0).abs() < 0.1 && split.contains(",Success,1"), "{split}");
        let line = "metrics show AttestationAttempts --filter \"Status eq 'Success'\" --interval full -a Total,Count";
        let picked = site.muster(&format!("{line} -o jsonl")).text();
        let point: Value = serde_json::from_str(picked.trim()).unwrap();
        assert_eq!((&point["Total"], &point["Count"]), (&1.0.into(), &1.0.into()), "{picked}");

        let own = site.muster("metrics show ServiceCalls").json();
        assert_eq!(own["name"]["value"], "ServiceCalls", "the namespace is found");
        let chart = site.muster("metrics show AttestationAttempts -o chart").text();
        assert!(
            chart.starts_with("Attestation attempts (Count), every PT1M\n") && chart.contains('█'),
            "{chart}"
        );
        let chart = site.muster("metrics show AttestationAttempts --split Status,Protocol -o chart").text();
        assert!(chart.contains("Status=Success Protocol="), "{chart}");
    });
}

#[test]
fn metric_that_is_none_is_told_with_what_there_is() {
    run(async {
        let site = Site::start().await;
        let near = site.muster("metrics show AttestationAttempt").failed(3);
        assert!(near.contains("did you mean AttestationAttempts?"), "{near}");
        let split = site.muster("metrics show DeviceAssignments --split Status").failed(2);
        assert!(split.contains("it has ProvisioningServiceName, IotHubName"), "{split}");
        let sampled = site.muster("metrics show OpenConnections --aggregation Total").failed(2);
        assert!(sampled.contains("does not support"), "{sampled}");
        site.muster("metrics show DeviceAssignments --interval 7m").failed(1);
        site.muster("metrics show DeviceAssignments --top 3").failed(2);
        site.muster("metrics list --namespace Nothing").failed(1);
    });
}

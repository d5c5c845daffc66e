//! The built-in workspace of a running server: what devices and services did can be asked for in KQL, soon, once, and
//! after a crash too.

use serde_json::{Value, json};

use crate::harness::device::{Device, Proof, Protocol};
use crate::harness::logs::Logs;
use crate::harness::run;
use crate::harness::server::{Server, Start};
use dps_attestation::symmetric_key;

const OPERATIONS: &str = "AzureDiagnostics | summarize n = count() by Category, OperationName, ResultType \
                          | order by OperationName asc";

/// Enrolls a device of that name, which then registers.
async fn provisioned(server: &Server, id: &str) {
    let key = symmetric_key::generate().unwrap();
    let mut http = server.endpoint.http().await.unwrap();
    server.endpoint.enroll(&mut http, id, &key).await.unwrap();
    let device = Device::new(id, Protocol::Mqtt, Proof::Key(key), &server.endpoint);
    device.provision(&server.endpoint).await.unwrap();
}

/// The outcome of an assignment is the last row of a registration.
async fn assigned(server: &Server, logs: &Logs, id: &str) {
    let mut http = server.endpoint.http().await.unwrap();
    let query = format!(
        "AzureDiagnostics | where OperationName == 'RegistrationAttempt' and tostring(parse_json(properties_s).id) == '{id}'"
    );
    assert_eq!(logs.rows_soon(&mut http, &query).await.unwrap().len(), 1);
}

#[test]
fn rows_are_answered_once_and_survive_a_killed_process() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let start = Start::on(folder.path());
        let mut server = start.server().await;
        let logs = Logs::of(&server.env);
        for id in ["dev-1", "dev-2", "dev-3"] {
            provisioned(&server, id).await;
            assigned(&server, &logs, id).await;
        }
        let mut http = server.endpoint.http().await.unwrap();
        let before = logs.rows(&mut http, OPERATIONS).await.unwrap();
        let expected = json!([
            ["DeviceOperations", "AttestationAttempt", "Success", 3],
            ["DeviceOperations", "RegistrationAttempt", "Success", 3],
            ["ServiceOperations", "Upsert", "Success", 3],
        ]);
        assert_eq!(Value::Array(before), expected);
        server.process.kill();

        let server = start.server().await;
        let mut http = server.endpoint.http().await.unwrap();
        let after = logs.rows(&mut http, OPERATIONS).await.unwrap();
        assert_eq!(Value::Array(after), expected, "after a crash");
        provisioned(&server, "dev-4").await;
        assigned(&server, &logs, "dev-4").await;
        server.stop();
    });
}

#[test]
fn query_that_is_wrong_is_told_where_and_hurts_nobody() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let server = Start::on(folder.path()).server().await;
        let logs = Logs::of(&server.env);
        let mut http = server.endpoint.http().await.unwrap();
        for (query, told) in [
            ("AzureDiagnostics | where ResultTyp == 'x'", "ResultType"),
            ("AzureDiagnostics | where", "Missing expression"),
            ("AzureDiagnostic", "AzureDiagnostics"),
        ] {
            let answer = logs.ask(&mut http, query).await.unwrap();
            let body = answer.json();
            assert_eq!(answer.status, 400, "{body}");
            assert_eq!(body["error"]["code"], "BadArgumentError", "{body}");
            assert!(body["error"]["innererror"].to_string().contains(told), "{body}");
        }
        assert_eq!(logs.rows(&mut http, "print x = 1").await.unwrap(), [json!([1])]);
        server.stop();
    });
}

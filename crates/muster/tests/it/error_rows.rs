//! Every code of the article about troubleshooting, provoked on a running server: each answer is one row of the log with
//! the four columns that an operator reads, and the server explains its code.

use std::path::{Path, PathBuf};

use dps_model::Secret;
use serde_json::{Value, json};

use crate::harness::device::{Device, Proof, Protocol};
use crate::harness::http::{Answer, Http};
use crate::harness::logs::Logs;
use crate::harness::run;
use crate::harness::server::{Endpoint, Start};
use crate::harness::tls;

/// Far more polls than any machine does in the time that five of them need.
const TOO_MANY: usize = 1_000;
const DEVICE_VERSION: &str = "api-version=2019-03-31";
const SERVICE_VERSION: &str = "api-version=2021-10-01";
const MANAGEMENT_VERSION: &str = "api-version=2022-02-05";

/// The rows of a server that runs.
struct Rows(PathBuf);

impl Rows {
    fn all(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        // The last line may be on its way.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The rows that fit, once there is one.
    async fn that(&self, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
        loop {
            let found: Vec<_> = self.all().into_iter().filter(&fits).collect();
            if !found.is_empty() {
                return found;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Where requests go.
struct Door {
    endpoint: Endpoint,
    http: Http<tls::Stream>,
    rows: Rows,
    logs: Logs,
    bearer: String,
    resource_id: String,
}

impl Door {
    async fn device(&mut self, method: &str, path: &str, key: &Secret, body: Option<&[u8]>) -> Answer {
        let token = self.endpoint.device_token("dev-1", key);
        let target = format!("{path}?{DEVICE_VERSION}");
        self.http.ask(method, &target, &[("Authorization", &token)], body).await.unwrap()
    }

    async fn service(&mut self, method: &str, path: &str, if_match: Option<&str>, body: &Value) -> Answer {
        let token = self.endpoint.service_token();
        let mut headers = vec![("Authorization", token.as_str())];
        headers.extend(if_match.map(|etag| ("If-Match", etag)));
        let target = format!("{path}?{SERVICE_VERSION}");
        let body = (*body != Value::Null).then(|| body.to_string());
        self.http.ask(method, &target, &headers, body.as_ref().map(String::as_bytes)).await.unwrap()
    }

    async fn management(&mut self, method: &str, body: Option<&Value>) -> Value {
        let target = format!("{}?{MANAGEMENT_VERSION}", self.resource_id);
        let body = body.map(Value::to_string);
        let headers = [("Authorization", self.bearer.as_str())];
        let answer =
            self.http.ask(method, &target, &headers, body.as_ref().map(String::as_bytes)).await.unwrap();
        assert!(answer.status < 300, "{} {}", answer.status, answer.json());
        answer.json()
    }

    /// The answer is that failure, of which there is exactly one row, and the server explains its code.
    async fn shows(&mut self, answer: (u16, Value), status: u16, operation: &str, result_type: &str) {
        let (answered, body) = answer;
        assert_eq!(answered, status, "{body}");
        let tracking_id = &body["trackingId"];
        assert!(tracking_id.is_string(), "{body}");
        let rows = self.rows.that(|row| row["correlationId"] == *tracking_id).await;
        assert_eq!(rows.len(), 1, "{rows:?}");
        let code = body["errorCode"].as_u64().unwrap().to_string();
        self.expect(&rows[0], &code, operation, result_type).await;
    }

    async fn expect(&mut self, row: &Value, code: &str, operation: &str, result_type: &str) {
        let columns =
            ["operationName", "resultType", "resultSignature"].map(|name| row[name].as_str().unwrap());
        assert_eq!(columns, [operation, result_type, &code[..3]], "{row}");
        let description = row["resultDescription"].as_str().unwrap();
        assert!(description.starts_with(code) && description.len() > code.len() + 1, "{row}");
        if cfg!(feature = "logs") {
            self.shows_in_table(row).await;
        }
        for question in [code, &code[..3]] {
            let explained = self.http.ask("GET", &format!("/errors/{question}"), &[], None).await.unwrap();
            assert_eq!(explained.status, 200, "{question}");
            let query = explained.json()["value"][0]["query"].as_str().unwrap().to_owned();
            assert!(query.starts_with("AzureDiagnostics"), "{query}");
            if cfg!(feature = "logs") {
                let found = self.logs.rows(&mut self.http, &query).await.unwrap();
                assert!(!found.is_empty(), "the query of {question} finds nothing: {query}");
            }
        }
    }

    /// The table has the row, once, with the same four columns.
    async fn shows_in_table(&mut self, row: &Value) {
        let id = row["correlationId"].as_str().unwrap();
        let query = format!(
            "AzureDiagnostics | where CorrelationId == '{id}' \
             | project OperationName, ResultType, ResultSignature, ResultDescription"
        );
        let found = self.logs.rows_soon(&mut self.http, &query).await.unwrap();
        let names = ["operationName", "resultType", "resultSignature", "resultDescription"];
        assert_eq!(found, [Value::Array(names.map(|name| row[name].clone()).to_vec())]);
    }
}

fn failed(answer: &Answer) -> (u16, Value) {
    (answer.status, answer.json())
}

fn enrollment(id: &str, key: &str, hubs: Option<&str>) -> Value {
    let attestation =
        json!({"type": "symmetricKey", "symmetricKey": {"primaryKey": key, "secondaryKey": key}});
    match hubs {
        None => json!({"registrationId": id, "attestation": attestation}),
        Some(hub) => json!({
            "registrationId": id, "attestation": attestation, "allocationPolicy": "static", "iotHubs": [hub],
        }),
    }
}

async fn open(folder: &Path, start: &Start) -> (crate::harness::server::Server, Door) {
    let server = start.server().await;
    let door = Door {
        endpoint: server.endpoint.clone(),
        http: server.endpoint.http().await.unwrap(),
        rows: Rows(folder.join("logs/attempts-0000000000000000.jsonl")),
        logs: Logs::of(&server.env),
        bearer: format!("Bearer {}", server.env["MUSTER_BEARER_TOKEN"]),
        resource_id: server.env["MUSTER_RESOURCE_ID"].clone(),
    };
    (server, door)
}

/// 32 bytes of seven, in base64.
const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

#[test]
fn each_code_of_the_article_is_one_row_with_its_four_columns() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let (server, mut door) =
            open(folder.path(), &Start::on(folder.path()).with_limits("self-hosted")).await;
        let (key, scope) = (Secret::new(vec![7; 32]), door.endpoint.id_scope.clone());
        let register = format!("/{scope}/registrations/dev-1/register");
        let created = door.service("PUT", "/enrollments/dev-1", None, &enrollment("dev-1", KEY, None)).await;
        assert_eq!(created.status, 200, "{}", created.json());

        let answer = door.device("PUT", &register, &key, Some(b"{\"registrationId\":")).await;
        door.shows(failed(&answer), 400, "AttestationAttempt", "ClientError").await;
        let answer = door.device("PUT", &register, &Secret::new(vec![8; 32]), Some(b"{}")).await;
        door.shows(failed(&answer), 401, "AttestationAttempt", "ClientError").await;
        let foreign = "/0ne00FFFFFF/registrations/dev-1/register";
        let answer = door.device("PUT", foreign, &key, Some(b"{}")).await;
        door.shows(failed(&answer), 404, "AttestationAttempt", "ClientError").await;
        let answer = door.service("GET", "/enrollments/nobody", None, &Value::Null).await;
        door.shows(failed(&answer), 404, "Get", "ClientError").await;
        let answer = door.device("DELETE", &register, &key, None).await;
        door.shows(failed(&answer), 405, "Unrouted", "ClientError").await;
        let wanted = enrollment("dev-1", KEY, None);
        let answer = door.service("PUT", "/enrollments/dev-1", None, &wanted).await;
        door.shows(failed(&answer), 409, "Upsert", "ClientError").await;
        let answer = door.service("PUT", "/enrollments/dev-1", Some("\"stale\""), &wanted).await;
        door.shows(failed(&answer), 412, "Upsert", "ClientError").await;

        let token = door.endpoint.device_token("dev-1", &key);
        let head = format!(
            "PUT {register}?{DEVICE_VERSION} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {token}\r\n\
             Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{{}}"
        );
        door.http.send(head.as_bytes()).await.unwrap();
        let answer = door.http.answer().await.unwrap();
        door.shows(failed(&answer), 415, "Unrouted", "ClientError").await;

        let device = Device::new("dev-1", Protocol::Mqtt, Proof::Key(key), &door.endpoint);
        let mut link = device.connect(&server.endpoint).await.unwrap();
        let operation_id = link.register().await.unwrap().operation_id();
        let mut asked = 0;
        let throttled = loop {
            let reply = link.poll(&operation_id).await.unwrap();
            if reply.status == 429 {
                break reply;
            }
            asked += 1;
            assert!(asked < TOO_MANY, "never throttled");
        };
        let answer = (throttled.status, throttled.body);
        door.shows(answer, 429, "OperationStatusLookup", "ClientError").await;

        // A registration that went well is one row of each kind, under one operation.
        let rows = door.rows.that(|row| row["operationName"] == "RegistrationAttempt").await;
        assert_eq!((rows.len(), &rows[0]["resultType"]), (1, &"Success".into()));
        assert_eq!(rows[0]["properties"]["operationId"], operation_id);
        let admitted = |row: &Value| row["properties"]["operationId"] == operation_id;
        let named = |name: &str| {
            door.rows.all().iter().filter(|row| admitted(row) && row["operationName"] == name).count()
        };
        assert_eq!((named("AttestationAttempt"), named("RegistrationAttempt")), (1, 1));
        server.stop();
    });
}

#[test]
fn hub_that_does_not_answer_is_a_failed_registration_attempt_with_500() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let (server, mut door) = open(folder.path(), &Start::on(folder.path()).with_limits("none")).await;
        // A port that nobody listens at.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let link = json!({
            "connectionString": format!("HostName=127.0.0.1:{port};SharedAccessKeyName=iothubowner;SharedAccessKey={KEY}"),
            "location": "local",
        });
        let mut shown = door.management("GET", None).await;
        let mut hubs = shown["properties"]["iotHubs"].as_array().unwrap().clone();
        hubs.push(link);
        shown["properties"] = json!({ "iotHubs": hubs });
        door.management("PUT", Some(&shown)).await;
        let wanted = enrollment("dev-1", KEY, Some("127.0.0.1"));
        let created = door.service("PUT", "/enrollments/dev-1", None, &wanted).await;
        assert_eq!(created.status, 200, "{}", created.json());

        let key = Secret::new(vec![7; 32]);
        let device = Device::new("dev-1", Protocol::Https, Proof::Key(key), &door.endpoint);
        let operation_id =
            device.connect(&server.endpoint).await.unwrap().register().await.unwrap().operation_id();
        let rows = door.rows.that(|row| row["operationName"] == "RegistrationAttempt").await;
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert_eq!(rows[0]["properties"]["operationId"], operation_id);
        door.expect(&rows[0], "500101", "RegistrationAttempt", "Failure").await;
        server.stop();
    });
}

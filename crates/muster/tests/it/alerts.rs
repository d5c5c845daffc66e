//! Alert rules of a running server: a rule over refused attempts fires, its webhook is told, and a killed process neither
//! loses nor doubles that.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dps_attestation::symmetric_key;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::harness::device::{Device, Proof, Protocol};
use crate::harness::http::Answer;
use crate::harness::run;
use crate::harness::server::{Server, Start};

/// A webhook that answers with these statuses, then with 200, and remembers what it was sent.
struct Webhook {
    port: u16,
    bodies: Arc<Mutex<Vec<Value>>>,
    more: Arc<Notify>,
}

impl Webhook {
    async fn start(statuses: &'static [u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (bodies, more) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
        let (kept, told) = (Arc::clone(&bodies), Arc::clone(&more));
        tokio::spawn(async move {
            let mut statuses = statuses.iter();
            while let Ok((mut stream, _)) = listener.accept().await {
                let body = request(&mut stream).await;
                let status = statuses.next().unwrap_or(&200);
                // Who posted must not be able to go on before the test knows of it.
                kept.lock().unwrap().push(body);
                told.notify_one();
                let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { port, bodies, more }
    }

    fn bodies(&self) -> Vec<Value> {
        self.bodies.lock().unwrap().clone()
    }

    /// Waits until it was sent so many.
    async fn sent(&self, count: usize) -> Vec<Value> {
        while self.bodies().len() < count {
            self.more.notified().await;
        }
        self.bodies()
    }
}

/// The JSON body of a request with a length.
async fn request(stream: &mut tokio::net::TcpStream) -> Value {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await.unwrap();
        assert!(read > 0, "the request ends early");
        bytes.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map(|(_, value)| value.parse::<usize>().unwrap());
        if length.is_some_and(|length| body.len() >= length) {
            return serde_json::from_str(body).unwrap();
        }
    }
}

/// A call of the control plane, which must go well.
async fn call(server: &Server, method: &str, path: &str, api_version: &str, body: Option<&Value>) -> Answer {
    let token = format!("Bearer {}", server.env["MUSTER_BEARER_TOKEN"]);
    let target = format!("{path}?api-version={api_version}");
    let headers = [("Authorization", token.as_str())];
    let body = body.map(|body| body.to_string().into_bytes());
    let mut http = server.endpoint.http().await.unwrap();
    let answer = http.ask(method, &target, &headers, body.as_deref()).await.unwrap();
    assert!(matches!(answer.status, 200..=202), "{} {:?}", answer.status, answer.json());
    answer
}

/// The ARM id of an action group, and its webhooks as they are written.
fn group(server: &Server, webhook: &Webhook) -> (String, Value) {
    let place = server.env["MUSTER_RESOURCE_ID"].split("/providers/").next().unwrap();
    let uri = format!("http://127.0.0.1:{}/hook?code=s3cret", webhook.port);
    let receiver = json!({"name": "pager", "serviceUri": uri, "useCommonAlertSchema": true});
    (format!("{place}/providers/Microsoft.Insights/actionGroups/ops"), json!([receiver]))
}

/// A rule over refused attempts of a minute, which tells the webhook.
async fn watch_refusals(server: &Server, webhook: &Webhook) {
    let service = &server.env["MUSTER_RESOURCE_ID"];
    let (group, receivers) = group(server, webhook);
    let properties = json!({"groupShortName": "ops", "enabled": true, "webhookReceivers": receivers});
    let body = json!({"location": "Global", "properties": properties});
    call(server, "PUT", &group, "2023-01-01", Some(&body)).await;
    let criterion = json!({
        "criterionType": "StaticThresholdCriterion",
        "name": "refused",
        "metricNamespace": "Microsoft.Devices/provisioningServices",
        "metricName": "AttestationAttempts",
        "dimensions": [{"name": "Status", "operator": "Exclude", "values": ["Success"]}],
        "operator": "GreaterThan",
        "threshold": 0,
        "timeAggregation": "Total",
    });
    let rule = json!({"location": "global", "properties": {
        "description": "devices are refused",
        "severity": 1,
        "enabled": true,
        "scopes": [service],
        "evaluationFrequency": "PT1M",
        "windowSize": "PT1M",
        "criteria": {
            "odata.type": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
            "allOf": [criterion],
        },
        "actions": [{"actionGroupId": group, "webHookProperties": {"team": "fleet"}}],
    }});
    let id = group.replace("actionGroups/ops", "metricAlerts/refused");
    call(server, "PUT", &id, "2018-03-01", Some(&rule)).await;
}

/// A device whose key is not the one that it was enrolled with.
async fn refused(server: &Server) {
    let mut http = server.endpoint.http().await.unwrap();
    server.endpoint.enroll(&mut http, "stranger", &symmetric_key::generate().unwrap()).await.unwrap();
    let proof = Proof::Key(symmetric_key::generate().unwrap());
    let device = Device::new("stranger", Protocol::Https, proof, &server.endpoint);
    let reply = device.connect(&server.endpoint).await.unwrap().register().await.unwrap();
    assert_eq!(reply.status, 401, "{reply:?}");
}

/// Longest time until a rule of a minute has looked at this moment, and a little more.
const ONE_EVALUATION: Duration = Duration::from_secs(75);

#[test]
fn refusals_are_told_once_though_the_process_is_killed_before_it_is_accepted() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let start = Start::on(folder.path()).with_metrics();
        let webhook = Webhook::start(&[503]).await;
        let mut server = start.server().await;
        watch_refusals(&server, &webhook).await;
        refused(&server).await;

        let told = tokio::time::timeout(ONE_EVALUATION, webhook.sent(1)).await.unwrap();
        let essentials = &told[0]["data"]["essentials"];
        assert_eq!(told[0]["schemaId"], "azureMonitorCommonAlertSchema");
        assert_eq!(essentials["monitorCondition"], "Fired");
        assert_eq!((&essentials["alertRule"], &essentials["severity"]), (&json!("refused"), &json!("Sev1")));
        let target = server.env["MUSTER_RESOURCE_ID"].to_ascii_lowercase();
        assert_eq!(essentials["alertTargetIDs"], json!([target]));
        let item = &told[0]["data"]["alertContext"]["condition"]["allOf"][0];
        assert_eq!((&item["metricValue"], &item["threshold"]), (&json!(1.0), &json!("0")));
        assert_eq!(told[0]["data"]["customProperties"], json!({"team": "fleet"}));

        // It was answered 503 and is to be tried again: by the next process.
        server.process.kill();
        let server = start.server().await;
        let told = tokio::time::timeout(ONE_EVALUATION, webhook.sent(2)).await.unwrap();
        assert_eq!(told[1]["data"]["essentials"]["alertId"], essentials["alertId"]);

        // Accepted, and done with: a restart finds nothing to send.
        reaches(&server, "muster_notifications_total{outcome=\"delivered\"}", 1).await;
        server.stop();
        let server = start.server().await;
        reaches(&server, "muster_alert_evaluations_total{outcome=\"done\"}", 1).await;
        assert_eq!(server.endpoint.counter("muster_notifications_total").await.unwrap(), 0);
        assert_eq!(webhook.bodies().len(), 2);
        server.stop();
    });
}

/// Waits until a counter of the server is there.
async fn reaches(server: &Server, counter: &str, count: u64) {
    while server.endpoint.counter(counter).await.unwrap() < count {
        tokio::task::yield_now().await;
    }
}

#[test]
fn sample_notification_says_what_became_of_it() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let webhook = Webhook::start(&[200, 404]).await;
        let server = Start::on(folder.path()).server().await;
        let (group, receivers) = group(&server, &webhook);
        let properties = json!({"groupShortName": "ops", "enabled": true, "webhookReceivers": receivers});
        let body = json!({"location": "Global", "properties": properties});
        call(&server, "PUT", &group, "2023-01-01", Some(&body)).await;
        let mut outcomes = Vec::new();
        for _ in 0..2 {
            let sample = json!({"alertType": "servicehealth", "webhookReceivers": receivers});
            let path = format!("{group}/createNotifications");
            let accepted = call(&server, "POST", &path, "2023-01-01", Some(&sample)).await;
            let place = &accepted.headers["location"];
            let path = &place[place.find("/subscriptions").unwrap()..place.find('?').unwrap()];
            let shown = call(&server, "GET", path, "2023-01-01", None).await.json();
            outcomes.push(shown["actionDetails"][0]["Status"].clone());
        }
        assert_eq!(outcomes, ["Completed", "Failed"]);
        let told = webhook.bodies();
        assert_eq!(told.len(), 2, "once each");
        assert_eq!(told[0]["data"]["essentials"]["alertRule"], "test-alert-rule");
        server.stop();
    });
}

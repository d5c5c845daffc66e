use std::io::Read as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dps_destinations::{Otlp, OtlpSettings, SetupError};
use dps_model::Secret;
use dps_monitor::destinations::{DeliveryError, Destination as _};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::fixtures::{log, logs, metrics};
use crate::http;

/// Heads and bodies of requests.
type Taken = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A receiver that keeps what it is sent and answers what the test says.
struct Receiver {
    endpoint: String,
    taken: Taken,
}

impl Receiver {
    async fn start(status: &'static str, body: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/otlp", listener.local_addr().unwrap());
        let taken = Taken::default();
        let its = Arc::clone(&taken);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut bytes = Vec::new();
                let head = loop {
                    let mut piece = [0; 4096];
                    let count = stream.read(&mut piece).await.unwrap();
                    bytes.extend_from_slice(&piece[..count]);
                    if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                        break end + 4;
                    }
                };
                let text = String::from_utf8(bytes[..head].to_vec()).unwrap().to_lowercase();
                let length = text.split_once("content-length: ").unwrap().1;
                let length: usize = length.split_once('\r').unwrap().0.parse().unwrap();
                let mut rest = bytes.split_off(head);
                while rest.len() < length {
                    let mut piece = [0; 4096];
                    let count = stream.read(&mut piece).await.unwrap();
                    rest.extend_from_slice(&piece[..count]);
                }
                its.lock().unwrap().push((text, rest));
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.write_all(&body).await.unwrap();
            }
        });
        Self { endpoint, taken }
    }

    fn destination(&self, gzip: bool) -> Otlp {
        open(&self.endpoint, "Api-Key", "s3cret", gzip).unwrap()
    }

    fn taken(&self) -> Vec<(String, Vec<u8>)> {
        std::mem::take(&mut self.taken.lock().unwrap())
    }
}

fn open(endpoint: &str, header: &str, value: &str, gzip: bool) -> Result<Otlp, SetupError> {
    let headers = vec![(header.to_owned(), Secret::from(value.to_owned()))];
    Otlp::new(&OtlpSettings { endpoint: endpoint.to_owned(), headers, gzip }, http())
}

#[tokio::test]
async fn logs_and_metrics_arrive_as_otlp() {
    let receiver = Receiver::start("200 OK", Vec::new()).await;
    let destination = receiver.destination(false);
    destination.deliver(&logs(&[log("a"), log("b")])).await.unwrap();
    destination.deliver(&metrics()).await.unwrap();
    destination.deliver(&logs(&[])).await.unwrap();
    let taken = receiver.taken();
    assert_eq!(taken.len(), 2);
    assert!(taken[0].0.starts_with("post /otlp/v1/logs "), "{}", taken[0].0);
    assert!(
        taken[0].0.contains("api-key: s3cret") && taken[0].0.contains("content-type: application/x-protobuf")
    );
    let request = ExportLogsServiceRequest::decode(&*taken[0].1).unwrap();
    let records = &request.resource_logs[0].scope_logs[0].log_records;
    assert_eq!(
        (records.len(), records[0].severity_number, records[0].severity_text.as_str()),
        (2, 9, "Information")
    );
    let attribute = |name: &str| {
        let found = records[1].attributes.iter().find(|attribute| attribute.key == name);
        found.and_then(|attribute| attribute.value.clone()).and_then(|value| value.value)
    };
    assert_eq!(attribute("azure.operation.name"), Some(Value::StringValue("AttestationAttempt".into())));
    assert_eq!(attribute("azure.duration"), Some(Value::IntValue(226)));
    assert!(
        matches!(attribute("azure.properties"), Some(Value::KvlistValue(list)) if list.values[0].key == "id")
    );
    assert_eq!(attribute("azure.result.signature"), None);
    assert!(taken[1].0.starts_with("post /otlp/v1/metrics "));
    let request = ExportMetricsServiceRequest::decode(&*taken[1].1).unwrap();
    assert_eq!(request.resource_metrics[0].scope_metrics[0].metrics[0].name, "RegistrationAttempts");
}

#[tokio::test]
async fn message_is_packed_when_asked() {
    let receiver = Receiver::start("200 OK", Vec::new()).await;
    receiver.destination(true).deliver(&logs(&[log("a")])).await.unwrap();
    let (head, body) = receiver.taken().remove(0);
    assert!(head.contains("content-encoding: gzip"));
    let mut message = Vec::new();
    flate2::read::GzDecoder::new(&*body).read_to_end(&mut message).unwrap();
    assert_eq!(ExportLogsServiceRequest::decode(&*message).unwrap().resource_logs.len(), 1);
}

#[tokio::test]
async fn busy_receiver_says_when_to_come_back() {
    let receiver = Receiver::start("503 Busy\r\nretry-after: 7", Vec::new()).await;
    let failed = receiver.destination(false).deliver(&logs(&[log("a")])).await.unwrap_err();
    let DeliveryError::Later { after, why } = failed else { panic!("{failed}") };
    assert_eq!(after, Some(Duration::from_secs(7)));
    assert!(why.contains("v1/logs") && why.contains("503") && !why.contains("s3cret"), "{why}");
}

#[tokio::test]
async fn records_that_are_rejected_are_not_sent_again() {
    let partial = ExportLogsPartialSuccess { rejected_log_records: 1, error_message: "too old".into() };
    let answer = ExportLogsServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    let receiver = Receiver::start("200 OK", answer).await;
    let failed = receiver.destination(false).deliver(&logs(&[log("a"), log("b")])).await.unwrap_err();
    let DeliveryError::Refused(why) = failed else { panic!("{failed}") };
    assert!(why.contains("rejects 1") && why.contains("too old"), "{why}");
    let receiver = Receiver::start("400 Bad", Vec::new()).await;
    let failed = receiver.destination(false).deliver(&metrics()).await.unwrap_err();
    assert!(matches!(failed, DeliveryError::Refused(_)), "{failed}");
}

#[test]
fn endpoint_and_headers_are_checked() {
    for (endpoint, name, value) in [
        ("otel:4318", "a", "b"),
        ("http://otel.example:4318", "a", "s3cret"),
        ("http://user:s3cret@otel/", "a", "b"),
        ("http://otel/?a=b", "a", "b"),
        ("https://otel", "a b", "b"),
        ("https://otel", "a", "s3cret\n"),
    ] {
        let error = open(endpoint, name, value, false).err();
        assert!(error.is_some_and(|error| !error.to_string().contains("s3cret")), "{endpoint} {name}");
    }
}

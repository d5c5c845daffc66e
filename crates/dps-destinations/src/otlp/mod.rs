//! An OpenTelemetry receiver, over OTLP/HTTP with protobuf. Owns the requests and what a partial success means; must not
//! know what a record says.

mod message;

use std::io::Write as _;

use async_trait::async_trait;
use dps_model::Secret;
use dps_monitor::destinations::{Batch, DeliveryError, Destination};
use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message as _;
use reqwest::Url;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use self::message::Export;
use crate::http::{self, Http, SetupError, is_here};
use crate::limits::{MAX_HEADERS, MAX_REASON};

/// Where a receiver is.
#[derive(Clone)]
pub struct OtlpSettings {
    /// The URL below which `v1/logs` and `v1/metrics` are.
    pub endpoint: String,
    /// Headers of every request.
    pub headers: Vec<(String, Secret)>,
    /// Messages are packed.
    pub gzip: bool,
}

/// A receiver.
pub struct Otlp {
    base: Url,
    headers: HeaderMap,
    gzip: bool,
    http: Http,
}

impl Otlp {
    /// That receiver.
    pub fn new(settings: &OtlpSettings, http: Http) -> Result<Self, SetupError> {
        let OtlpSettings { endpoint, headers, gzip } = settings;
        let url = Url::parse(endpoint).ok().filter(|url| {
            let is_bare = url.query().is_none() && url.username().is_empty() && url.password().is_none();
            matches!(url.scheme(), "http" | "https") && url.has_host() && is_bare
        });
        let mut base = url.ok_or_else(|| SetupError("the endpoint is no http or https URL".to_owned()))?;
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(&format!("{path}/"));
        if !headers.is_empty() && base.scheme() == "http" && !is_here(base.host_str().unwrap_or_default()) {
            return Err(SetupError("a credential leaves this machine over https alone".to_owned()));
        }
        if headers.len() > MAX_HEADERS {
            return Err(SetupError(format!("at most {MAX_HEADERS} headers are sent")));
        }
        let mut sent = HeaderMap::new();
        for (name, value) in headers {
            let shown: String = name.chars().take(40).collect();
            let name = HeaderName::try_from(name.as_str());
            let name = name.map_err(|_| SetupError(format!("{shown:?} is no name of a header")))?;
            let mut value = HeaderValue::from_bytes(value.expose())
                .map_err(|_| SetupError(format!("the value of header {shown} cannot be sent")))?;
            value.set_sensitive(true);
            sent.insert(name, value);
        }
        Ok(Self { base, headers: sent, gzip: *gzip, http })
    }

    async fn post(&self, path: &str, message: Vec<u8>) -> Result<Vec<u8>, DeliveryError> {
        let refused = |why: String| DeliveryError::Refused(format!("a request cannot be written: {why}"));
        let url = self.base.join(path).map_err(|error| refused(error.to_string()))?;
        let mut request = self.http.client().post(url).headers(self.headers.clone());
        request = request.header(CONTENT_TYPE, "application/x-protobuf");
        let body = if self.gzip {
            request = request.header(CONTENT_ENCODING, "gzip");
            let mut packed = GzEncoder::new(Vec::new(), Compression::default());
            let packed = packed.write_all(&message).and_then(|()| packed.finish());
            packed.map_err(|error| refused(error.to_string()))?
        } else {
            message
        };
        let answer = http::ask(request.body(body)).await?;
        match answer.status {
            200..=299 => Ok(answer.body),
            _ => Err(answer.failure(&format!("{path} is not taken"), "")),
        }
    }
}

#[async_trait]
impl Destination for Otlp {
    async fn deliver(&self, batch: &Batch) -> Result<(), DeliveryError> {
        // An answer that is no message is as good as an empty one: the status counts.
        let (left, why) = match message::export(batch) {
            None => return Ok(()),
            Some(Export::Logs(message)) => {
                let answer = self.post("v1/logs", message).await?;
                let partial = ExportLogsServiceResponse::decode(&*answer).unwrap_or_default().partial_success;
                partial
                    .map(|partial| (partial.rejected_log_records, partial.error_message))
                    .unwrap_or_default()
            }
            Some(Export::Metrics(message)) => {
                let answer = self.post("v1/metrics", message).await?;
                let partial =
                    ExportMetricsServiceResponse::decode(&*answer).unwrap_or_default().partial_success;
                partial
                    .map(|partial| (partial.rejected_data_points, partial.error_message))
                    .unwrap_or_default()
            }
        };
        if left == 0 {
            return Ok(());
        }
        let why: String = why.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect();
        Err(DeliveryError::Refused(format!("the receiver rejects {left} records of the batch: {why}")))
    }
}

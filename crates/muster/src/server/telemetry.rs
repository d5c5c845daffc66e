//! Telemetry of its own, sent to a collector: the way there over HTTP, and its place among what runs. Must not know what
//! is in a request.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use dps_core::ports::Clock;
use dps_events::recorder::Listener;
use dps_events::{AddressMask, Metrics};
use dps_telemetry::{Exporter, Post, PostFailed, Rendered, Settings, Signal};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, StatusCode};

use super::health::Health;
use super::plain_http;
use crate::config::TelemetrySettings;

/// For one request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The export, once there is something to be told of.
#[derive(Default)]
pub struct Telemetry {
    exporter: Arc<OnceLock<Exporter>>,
}

/// What is exported beside events.
pub struct Watched {
    /// How the server is.
    pub health: Arc<Health>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// How much of callers' addresses is shown.
    pub addresses: AddressMask,
}

impl Telemetry {
    /// A listener of the recorder that exports each event before another one sees it.
    pub fn recording(&self, mut then: Listener) -> Listener {
        let exporter = Arc::clone(&self.exporter);
        Box::new(move |event| {
            if let Some(exporter) = exporter.get() {
                exporter.take(event);
            }
            then(event);
        })
    }

    /// From now on telemetry is sent.
    pub fn begin(
        &self,
        settings: &TelemetrySettings,
        tls: rustls::ClientConfig,
        watched: Watched,
    ) -> anyhow::Result<()> {
        let Watched { health, metrics, clock, addresses } = watched;
        let what = Settings {
            resource: vec![
                ("service.name".to_owned(), settings.service_name.clone()),
                ("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            ],
            traces: settings.traces,
            traces_per_mille: settings.traces_per_mille,
            metrics_every: settings.metrics_every,
            addresses,
        };
        let rendered: Rendered = Arc::new(move || {
            plain_http::sample(&metrics, &health);
            (metrics.render_open_metrics(), clock.now())
        });
        let post = Collector::new(settings, tls)?;
        tracing::info!(endpoint = settings.endpoint, "telemetry is exported");
        let _ = self.exporter.set(Exporter::start(what, Arc::new(post), rendered)); // it is begun once
        Ok(())
    }

    /// Sends what waits, for a short while.
    pub async fn close(&self) {
        if let Some(exporter) = self.exporter.get() {
            exporter.close().await;
        }
    }
}

/// A collector over OTLP/HTTP (OTLP specification, "OTLP/HTTP").
struct Collector {
    client: Client,
    endpoint: String,
}

impl Collector {
    fn new(settings: &TelemetrySettings, tls: rustls::ClientConfig) -> anyhow::Result<Self> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        if let Some((name, credential)) = &settings.header {
            let mut value = HeaderValue::from_bytes(credential.expose()).map_err(|_| {
                anyhow::anyhow!("the credential for telemetry has characters that no header may have")
            })?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .default_headers(headers)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .build()?;
        Ok(Self { client, endpoint: settings.endpoint.clone() })
    }
}

#[async_trait]
impl Post for Collector {
    async fn post(&self, signal: Signal, body: Vec<u8>) -> Result<(), PostFailed> {
        let path = match signal {
            Signal::Traces => "v1/traces",
            Signal::Metrics => "v1/metrics",
        };
        let sent = self.client.post(format!("{}/{path}", self.endpoint)).body(body).send().await;
        let answer = sent.map_err(|error| PostFailed { why: why(&error), again: true, after: None })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let again = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        );
        let after =
            answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        Err(PostFailed { why: format!("it answered {status}"), again, after: after.map(Duration::from_secs) })
    }
}

/// The innermost cause says most; the URL is known.
fn why(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

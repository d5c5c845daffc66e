//! The collector that Muster's own telemetry goes to: the table `[telemetry]`, or OpenTelemetry's environment variables.
//! Must not know what is exported.

use std::time::Duration;

use dps_model::Secret;
use reqwest::header::{HeaderName, HeaderValue};

use super::environment::Variable;
use super::read::trusted_ca;
use super::section::{At, Section};

/// Time between two exports of metrics when nobody said.
const METRICS_EVERY: Duration = Duration::from_mins(1);

/// Where telemetry goes, and how much of it.
#[derive(Clone)]
pub struct TelemetrySettings {
    /// Base URL of the collector, without `/v1/…` and without a slash at the end.
    pub endpoint: String,
    /// A header that lets Muster in: its name and value.
    pub header: Option<(HeaderName, Secret)>,
    /// PEM of CAs trusted besides those of the machine.
    pub trusted: Vec<u8>,
    /// `service.name`
    pub service_name: String,
    /// Are there traces?
    pub traces: bool,
    /// Of a thousand traces without a failure so many.
    pub traces_per_mille: u16,
    /// Time between exports of metrics; none: there are none.
    pub metrics_every: Option<Duration>,
}

/// Reads the table; without an endpoint there is no telemetry.
pub fn read(section: &Section<'_>) -> Option<TelemetrySettings> {
    let endpoint = section.text("endpoint")?;
    let base = base(&endpoint.value).map_err(|why| section.reading.wrong(endpoint.at, why)).ok()?;
    let (header, credential) = (section.text("header"), section.secret("credential"));
    let header = credential.and_then(|credential| {
        let named = At::taken(header);
        let name = HeaderName::try_from(&named);
        let wrong =
            |_| section.reading.wrong(section.at, format!("header is {named:?}, which is no header's name"));
        Some((name.map_err(wrong).ok()?, credential.value))
    });
    let (metrics, traces): (bool, bool) =
        (At::taken(section.switch("metrics")), At::taken(section.switch("traces")));
    let every: Duration = At::taken(section.time("metrics_every"));
    Some(TelemetrySettings {
        endpoint: base,
        header,
        trusted: trusted_ca(section),
        service_name: At::taken(section.text("service_name")),
        traces,
        traces_per_mille: u16::try_from(At::taken(section.integer("traces_per_mille"))).unwrap_or(1_000),
        metrics_every: metrics.then_some(every),
    })
}

/// As OpenTelemetry's SDKs are told (OpenTelemetry Protocol Exporter, "Configuration Options"): `OTEL_EXPORTER_OTLP_ENDPOINT`,
/// `OTEL_EXPORTER_OTLP_HEADERS` with one header, `OTEL_SERVICE_NAME`. The error names the variable.
pub fn of_environment(variable: Variable) -> Result<Option<TelemetrySettings>, String> {
    let Some(endpoint) = variable("OTEL_EXPORTER_OTLP_ENDPOINT") else { return Ok(None) };
    let endpoint = base(&endpoint).map_err(|why| format!("OTEL_EXPORTER_OTLP_ENDPOINT: {why}"))?;
    let header = match variable("OTEL_EXPORTER_OTLP_HEADERS") {
        None => None,
        Some(text) => {
            let parts = text.split_once('=').filter(|(_, value)| !value.contains(','));
            let header = parts.and_then(|(name, value)| {
                HeaderValue::from_str(value.trim()).ok()?;
                Some((HeaderName::try_from(name.trim()).ok()?, Secret::from(value.trim().to_owned())))
            });
            Some(header.ok_or("OTEL_EXPORTER_OTLP_HEADERS is not one header, written name=value")?)
        }
    };
    Ok(Some(TelemetrySettings {
        endpoint,
        header,
        trusted: Vec::new(),
        service_name: variable("OTEL_SERVICE_NAME").unwrap_or_else(|| "muster".to_owned()),
        traces: true,
        traces_per_mille: 1_000,
        metrics_every: Some(METRICS_EVERY),
    }))
}

/// A credential travels over TLS, or stays on this machine.
fn base(text: &str) -> Result<String, String> {
    let url = reqwest::Url::parse(text).map_err(|error| format!("{text} is no URL: {error}"))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|it| it.is_loopback());
    match url.scheme() {
        "https" => {}
        "http" if is_here => {}
        _ => return Err(format!("{text}: telemetry leaves this machine over https alone")),
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(
            "an endpoint has neither user, password nor query; name a header for a credential".to_owned()
        );
    }
    Ok(text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::{base, of_environment};

    #[test]
    fn endpoint_is_over_tls_or_on_this_machine() {
        assert_eq!(base("https://otel.example:4318/").unwrap(), "https://otel.example:4318");
        for here in ["http://localhost:4318", "http://127.0.0.1:4318", "http://[::1]:4318"] {
            assert_eq!(base(here).unwrap(), here);
        }
        for wrong in ["http://otel.example", "ftp://localhost", "otel", "https://u:p@h", "https://h/?key=1"] {
            assert!(base(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn environment_is_that_of_every_sdk() {
        let none = of_environment(|_| None).unwrap();
        assert!(none.is_none());
        let variable = |name: &str| match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => Some("http://localhost:4318".to_owned()),
            "OTEL_EXPORTER_OTLP_HEADERS" => Some("api-key=s3cret".to_owned()),
            _ => None,
        };
        let settings = of_environment(variable).unwrap().unwrap();
        let (name, value) = settings.header.unwrap();
        assert_eq!(
            (name.as_str(), value.expose(), &*settings.service_name),
            ("api-key", &b"s3cret"[..], "muster")
        );
        let several =
            |name: &str| Some(if name.ends_with("HEADERS") { "a=1,b=2" } else { "http://[::1]" }.to_owned());
        assert!(of_environment(several).is_err_and(|why| why.contains("HEADERS")));
    }
}

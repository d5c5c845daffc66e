//! The last step: the device registers, over what was found to work. Must not know how that was found.

use std::path::PathBuf;
use std::sync::Arc;
use tokio::time::Instant;

use anyhow::Context as _;
use muster_device::{Attestation, Error, ProvisioningClient, Transport};

use super::Place;
use super::limits::REGISTRATION;
use super::report::Check;
use super::route::Way;
use super::visit::Reach;
use crate::fleet::value::value_or_file;

/// Who the device says it is. Without any of it nothing is registered.
#[derive(clap::Args)]
#[command(next_help_heading = "Registration")]
pub struct Credential {
    /// ID scope of the provisioning service [default: from --dev-env]
    #[arg(long, value_name = "SCOPE")]
    id_scope: Option<String>,
    /// Who the device says it is
    #[arg(long, value_name = "ID")]
    registration_id: Option<String>,
    /// Symmetric key in base64, or @FILE that holds it. A key on the command line can be read by every other user of
    /// this machine
    #[arg(long, value_name = "KEY", requires = "registration_id", conflicts_with_all = ["group_key", "cert"])]
    key: Option<String>,
    /// Key of an enrollment group in base64, or @FILE, from which the device's key is derived
    #[arg(long, value_name = "KEY", requires = "registration_id", conflicts_with = "cert")]
    group_key: Option<String>,
    /// File with the device's certificate, PEM, followed by those that signed it
    #[arg(long, value_name = "FILE", requires = "cert_key")]
    cert: Option<PathBuf>,
    /// File with the certificate's private key, PEM
    #[arg(long, value_name = "FILE", requires_all = ["cert", "registration_id"])]
    cert_key: Option<PathBuf>,
}

impl Credential {
    /// Registers, or says why not.
    pub async fn register(&self, place: &Place, reach: Reach, way: Way) -> Check {
        let (step, host) = ("registration", place.host.as_str());
        let begun = Instant::now();
        let Some(attestation) = self.attestation().transpose() else {
            let found = "no credential was given: --registration-id with --key, --group-key or --cert";
            return Check::skipped(step, host, found);
        };
        let Some(id_scope) = self.id_scope.as_ref().or(place.id_scope.as_ref()) else {
            return Check::failed(step, host, "the ID scope is missing", "give it with --id-scope");
        };
        let id = self.registration_id.clone().unwrap_or_default();
        let (transport, over) = match reach {
            Reach { mqtt: true, .. } => (Transport::Mqtt, "MQTT"),
            Reach { mqtt_ws: true, .. } => (Transport::MqttWs, "MQTT over a WebSocket"),
            Reach { .. } => (Transport::Https, "HTTPS"),
        };
        let registered = async {
            let mut builder = ProvisioningClient::builder(host, id_scope, &id, attestation?)
                .transport(transport)
                .ports(place.mqtt, place.https)
                .timeout(REGISTRATION);
            if transport != Transport::Mqtt {
                builder = builder.connector(Arc::new(way));
            }
            if let Some(roots) = &place.roots {
                builder = builder.roots(roots.clone());
            }
            anyhow::Ok(builder.build()?.provision().await?)
        };
        let check = match registered.await {
            Ok(assignment) => Check::ok(
                step,
                host,
                format!(
                    "over {over}: {} is assigned to {} as {}",
                    id, assignment.assigned_hub, assignment.device_id
                ),
            ),
            Err(error) => {
                let advice = advice(error.downcast_ref::<Error>());
                Check::failed(step, host, format!("over {over}: {error:#}"), advice)
            }
        };
        check.since(begun)
    }

    fn attestation(&self) -> anyhow::Result<Option<Attestation>> {
        let text = |value: &str| value_or_file(value).map_err(anyhow::Error::from);
        let read = |path: &PathBuf| {
            std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
        };
        let id = self.registration_id.as_deref().unwrap_or_default();
        if let Some(key) = &self.key {
            return Ok(Some(Attestation::symmetric_key(text(key)?.trim())?));
        }
        if let Some(key) = &self.group_key {
            return Ok(Some(Attestation::group_symmetric_key(text(key)?.trim(), id)?));
        }
        if let (Some(cert), Some(key)) = (&self.cert, &self.cert_key) {
            return Ok(Some(Attestation::x509(read(cert)?, read(key)?)));
        }
        Ok(None)
    }
}

fn advice(error: Option<&Error>) -> String {
    match error {
        Some(
            Error::Refused { error_code: Some(code), .. } | Error::Failed { error_code: Some(code), .. },
        ) => {
            format!("the network is well, the service says no: muster explain-code {code}")
        }
        Some(
            Error::ConnectionRefused { .. } | Error::Disabled | Error::Refused { .. } | Error::Failed { .. },
        ) => "the network is well, the service says no: look at the device's enrollment and the ID scope"
            .to_owned(),
        Some(Error::Setting(_)) | None => "check the options".to_owned(),
        Some(_) => "see the steps above: the first that failed is the cause".to_owned(),
    }
}

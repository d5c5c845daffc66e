//! `muster demo`: a provisioning service, a hub and a few devices, played through in one go and told as it happens.
//! Owns the story; everything in it goes over real sockets, as for any client.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use dps_attestation::sas_token::SasToken;
use dps_attestation::symmetric_key;
use dps_devhub::NoHook;
use dps_events::Event;
use dps_model::connection_string::ConnectionString;
use muster_device::{Attestation, Clock as _, Error, HubClient, ProvisioningClient, SystemClock, Transport};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::cli::DevOptions;
use crate::dev::server::Server;
use crate::dev::terminal::{self, bold, say};
use crate::server::process::StopSignals;

/// How long the story waits for a line of the server before it goes on without.
const LINE_WAIT: Duration = Duration::from_secs(5);
/// How long the demo's own service token is good for, in seconds.
const TOKEN_LIFE: i64 = 600;

/// Runs the demonstration in the data directory of the options, or in one that is removed at the end.
pub async fn run(mut options: DevOptions) -> anyhow::Result<()> {
    terminal::log_to_stderr();
    let temporary = if options.data_dir.as_os_str().is_empty() {
        let folder = tempfile::Builder::new().prefix("muster-demo-").tempdir()?;
        folder.path().clone_into(&mut options.data_dir);
        Some(folder)
    } else {
        None
    };
    let (lines, seen) = channel();
    let listener = Box::new(move |event: &Event| {
        // The story may have ended already.
        let _ = terminal::line(event).map(|line| lines.send(line));
    });
    let mut signals = StopSignals::catch()?;
    let server = Server::start(&options, listener, Arc::new(NoHook)).await?;
    let story = Story::new(&server, seen)?;
    let told = tokio::select! {
        told = story.tell() => told,
        () = signals.received() => Err(anyhow::anyhow!("stopped before the end of the story")),
    };
    server.stop().await?;
    drop(temporary);
    told
}

struct Story<'a> {
    server: &'a Server,
    lines: Receiver<String>,
    service: ConnectionString,
    http: reqwest::Client,
    ca: Vec<u8>,
}

impl<'a> Story<'a> {
    fn new(server: &'a Server, lines: Receiver<String>) -> anyhow::Result<Self> {
        let ca = std::fs::read(server.env.get("MUSTER_CA_FILE"))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&ca)?)?;
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let http = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build()?;
        let service = ConnectionString::parse(server.env.get("MUSTER_SERVICE_CONNECTION_STRING"))?;
        Ok(Self { server, lines, service, http, ca })
    }

    async fn tell(&self) -> anyhow::Result<()> {
        say(&format!(
            "{}\n\n  ID scope {}, devices dial {} (https {}, mqtt {})\n",
            bold("A provisioning service and a hub are running on this machine."),
            self.server.env.get("MUSTER_ID_SCOPE"),
            self.server.env.get("MUSTER_DEVICE_HOST"),
            self.server.env.get("MUSTER_HTTPS_PORT"),
            self.server.env.get("MUSTER_MQTT_PORT"),
        ));
        let thermostat = self.symmetric_key_device().await?;
        self.x509_device().await?;
        self.group_device().await?;
        self.hub_connection(&thermostat).await?;
        self.refused_device().await?;
        say(&bold("That is the main job. Next: `cargo run -- dev`, and point your own device at it."));
        Ok(())
    }

    async fn symmetric_key_device(&self) -> anyhow::Result<(ProvisioningClient, Attestation)> {
        chapter("1. A device with a symmetric key, over MQTT");
        let enrolled = self
            .enroll(
                "enrollments/thermostat-1",
                json!({
                    "registrationId": "thermostat-1",
                    "attestation": { "type": "symmetricKey" },
                    "initialTwin": { "tags": { "site": "plant-7" }, "properties": { "desired": { "target": 21 } } },
                }),
            )
            .await?;
        let key =
            enrolled["attestation"]["symmetricKey"]["primaryKey"].as_str().context("no key came back")?;
        let attestation = Attestation::symmetric_key(key)?;
        let client = self.provision("thermostat-1", attestation.clone(), Transport::Mqtt).await?;
        Ok((client, attestation))
    }

    async fn x509_device(&self) -> anyhow::Result<()> {
        chapter("2. A device with a certificate of its own, over HTTPS");
        let key = rcgen::KeyPair::generate()?;
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, "camera-7");
        let certificate = params.self_signed(&key)?.pem();
        let x509 = json!({ "clientCertificates": { "primary": { "certificate": certificate } } });
        let body = json!({ "registrationId": "camera-7", "attestation": { "type": "x509", "x509": x509 } });
        self.enroll("enrollments/camera-7", body).await?;
        let attestation = Attestation::x509(certificate.as_bytes(), key.serialize_pem().as_bytes());
        self.provision("camera-7", attestation, Transport::Https).await.map(drop)
    }

    async fn group_device(&self) -> anyhow::Result<()> {
        chapter("3. A group: any robot with a key derived from the group's");
        let body = json!({ "enrollmentGroupId": "robots", "attestation": { "type": "symmetricKey" } });
        let group = self.enroll("enrollmentGroups/robots", body).await?;
        let key = group["attestation"]["symmetricKey"]["primaryKey"].as_str().context("no key came back")?;
        let derived = symmetric_key::derive_device_key(&symmetric_key::read(key)?, "robot-0042");
        let attestation = Attestation::SymmetricKey(derived);
        self.provision("robot-0042", attestation, Transport::Mqtt).await.map(drop)
    }

    async fn hub_connection(&self, device: &(ProvisioningClient, Attestation)) -> anyhow::Result<()> {
        chapter("4. The thermostat connects to its hub");
        let (client, attestation) = device;
        let assignment = client.provision().await?;
        self.server_says(2);
        let hub = HubClient::connect(&assignment, attestation, client.hub_options()).await?;
        hub.send_telemetry(r#"{"temperature":20.5}"#, &[("$.ct", "application/json")]).await?;
        let twin = hub.twin().await?;
        let target = twin.desired.get("target").context("the twin lacks what the enrollment gave it")?;
        say(&format!("  telemetry sent; its twin wants the target {target}\n"));
        Ok(hub.close().await?)
    }

    async fn refused_device(&self) -> anyhow::Result<()> {
        chapter("5. A device with the wrong key: what it hears, and what you see");
        let wrong = symmetric_key::generate().ok().context("no random numbers")?;
        let client = self.client("thermostat-1", Attestation::SymmetricKey(wrong), Transport::Mqtt)?;
        match client.provision().await {
            Err(error @ Error::Refused { .. }) => say(&format!("  the device hears: {error}")),
            Err(error) => return Err(error.into()),
            Ok(_) => anyhow::bail!("a device with the wrong key was provisioned"),
        }
        self.server_says(1);
        say("");
        Ok(())
    }

    async fn provision(
        &self,
        id: &str,
        attestation: Attestation,
        transport: Transport,
    ) -> anyhow::Result<ProvisioningClient> {
        let client = self.client(id, attestation, transport)?;
        let assignment = client.provision().await?;
        self.server_says(2);
        say(&format!(
            "  the device hears: connect to {} as {}\n",
            assignment.assigned_hub, assignment.device_id
        ));
        Ok(client)
    }

    fn client(
        &self,
        id: &str,
        attestation: Attestation,
        transport: Transport,
    ) -> anyhow::Result<ProvisioningClient> {
        let env = &self.server.env;
        let (host, scope) = (env.get("MUSTER_DEVICE_HOST"), env.get("MUSTER_ID_SCOPE"));
        let builder = ProvisioningClient::builder(host, scope, id, attestation)
            .transport(transport)
            .ports(env.get("MUSTER_MQTT_PORT").parse()?, env.get("MUSTER_HTTPS_PORT").parse()?)
            .roots(self.ca.as_slice())
            .poll_immediately(true);
        Ok(builder.build()?)
    }

    /// Calls the service API as any tool would.
    async fn enroll(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        let (host, _) = self.service.host.split_once(':').unwrap_or((&self.service.host, ""));
        let expiry = SystemClock.now().seconds() + TOKEN_LIFE;
        let token = SasToken::sign(host, &self.service.key, expiry, Some(&self.service.policy));
        let url = format!("https://{}/{path}?api-version=2021-10-01", self.service.host);
        let answer = self.http.put(url).header("Authorization", token).json(&body).send().await?;
        let (status, answer) = (answer.status(), answer.json::<Value>().await?);
        ensure!(status.is_success(), "PUT {path} was answered {status}: {answer}");
        self.server_says(1);
        Ok(answer)
    }

    /// Prints the server's next lines; they come from another thread.
    fn server_says(&self, lines: usize) {
        for _ in 0..lines {
            if let Ok(line) = self.lines.recv_timeout(LINE_WAIT) {
                say(&format!("  server | {line}"));
            }
        }
    }
}

fn chapter(title: &str) {
    say(&bold(title));
}

//! Options of `muster device`, and the device that they describe. Must not connect.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use muster_device::{AssignmentCache, Attestation, Device, ProvisioningClient, Tcti, Tpm2, Transport};

use super::tpm::TpmIdentity;
use crate::dev::env_file;

/// What the device does.
#[derive(clap::Subcommand)]
pub enum DeviceCommand {
    /// Register with a provisioning service and print the assignment, or the refusal
    #[command(after_help = PROVISION_EXAMPLES)]
    Provision(ProvisionOptions),
    /// Connect to the assigned hub, provisioning when that is needed; recovers by Azure's rules
    #[command(after_help = CONNECT_EXAMPLES)]
    Connect(ConnectOptions),
    /// Print a TPM's registration id and endorsement key, as an enrollment asks for them
    #[command(after_help = TPM_EXAMPLES)]
    Tpm(TpmOptions),
}

const PROVISION_EXAMPLES: &str = "Examples:
  muster device provision --dev-env muster-data/dev.env --registration-id thermostat-1 --key-file thermostat.key
  muster device provision --dev-env muster-data/dev.env --tpm device:/dev/tpmrm0";

const CONNECT_EXAMPLES: &str = "Examples:
  muster device connect --dev-env muster-data/dev.env --registration-id thermostat-1 --key-file thermostat.key \\
    --cache thermostat.json --send '{\"temperature\":20.5}'
  muster device connect --dev-env muster-data/dev.env --tpm device:/dev/tpmrm0 --cache tpm.json --twin";

const TPM_EXAMPLES: &str = "Examples:
  muster device tpm
  muster device tpm --tpm swtpm:host=127.0.0.1,port=2321 --json";

/// Options of `muster device tpm`.
#[derive(clap::Args)]
pub struct TpmOptions {
    /// Where the TPM 2.0 is: device:PATH, or swtpm:host=HOST,port=PORT
    #[arg(long, value_name = "TCTI", default_value = "device:/dev/tpmrm0")]
    pub tpm: Tcti,
    /// Print them as JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `muster device provision`.
#[derive(clap::Args)]
pub struct ProvisionOptions {
    #[command(flatten)]
    pub device: DeviceOptions,
    /// Print the assignment as JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `muster device connect`.
#[derive(clap::Args)]
pub struct ConnectOptions {
    #[command(flatten)]
    pub device: DeviceOptions,
    /// Send this as telemetry; repeat for more messages
    #[arg(long, value_name = "TEXT")]
    pub send: Vec<String>,
    /// Print the twin
    #[arg(long)]
    pub twin: bool,
    /// Stay and print changes of the desired properties, until Ctrl-C
    #[arg(long)]
    pub listen: bool,
}

/// Who the device is and where its service is.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("credential").required(true).multiple(false))]
pub struct DeviceOptions {
    /// Host of the provisioning service [default: from --dev-env]
    #[arg(long, value_name = "HOST", required_unless_present = "dev_env")]
    host: Option<String>,
    /// ID scope of the provisioning service [default: from --dev-env]
    #[arg(long, value_name = "SCOPE", required_unless_present = "dev_env")]
    id_scope: Option<String>,
    /// Who the device says it is [default with --tpm: made from the endorsement key, as Azure's SDKs do]
    #[arg(long, value_name = "ID", required_unless_present = "tpm")]
    pub registration_id: Option<String>,
    /// Symmetric key in base64, or @FILE that holds it. A key on the command line can be read by every other user of
    /// this machine, and stays in the shell's history: prefer @FILE or --key-file
    #[arg(long, value_name = "KEY", group = "credential")]
    key: Option<String>,
    /// File with the symmetric key in base64
    #[arg(long, value_name = "FILE", group = "credential")]
    key_file: Option<PathBuf>,
    /// Key of an enrollment group in base64, or @FILE, from which the device's key is derived; visible to others like
    /// --key, and worth more
    #[arg(long, value_name = "KEY", group = "credential")]
    group_key: Option<String>,
    /// File with the key of an enrollment group in base64
    #[arg(long, value_name = "FILE", group = "credential")]
    group_key_file: Option<PathBuf>,
    /// File with the device's certificate, PEM, followed by those that signed it
    #[arg(long, value_name = "FILE", group = "credential", requires = "cert_key")]
    cert: Option<PathBuf>,
    /// File with the certificate's private key, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    cert_key: Option<PathBuf>,
    /// TPM 2.0 that holds the device's keys: device:PATH, or swtpm:host=HOST,port=PORT
    #[arg(long, value_name = "TCTI", group = "credential")]
    pub tpm: Option<Tcti>,
    /// How to speak with the service: mqtt, https or mqtt-ws; the hub is reached through a WebSocket with mqtt-ws
    /// [default: mqtt; https with --tpm, which has no other]
    #[arg(long, value_name = "NAME", value_parser = transport)]
    transport: Option<Transport>,
    /// Trust these certificates (PEM) alone [default: from --dev-env, else the machine's]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// JSON for the custom-allocation webhook, or @FILE
    #[arg(long, value_name = "JSON")]
    payload: Option<String>,
    /// Keep the assignment in this file; it holds no key
    #[arg(long, value_name = "FILE")]
    cache: Option<PathBuf>,
    /// Take host, ports, ID scope and CA from the dev.env of a `muster dev` on this machine
    #[arg(long, value_name = "FILE")]
    dev_env: Option<PathBuf>,
    /// MQTT port of the service and its hubs [default: from --dev-env, else 8883]
    #[arg(long, value_name = "N")]
    mqtt_port: Option<u16>,
    /// HTTPS and WebSocket port of the service and its hubs [default: from --dev-env, else 443]
    #[arg(long, value_name = "N")]
    https_port: Option<u16>,
    /// Seconds that one provisioning may take
    #[arg(long, value_name = "N", default_value_t = 120)]
    timeout: u64,
}

impl DeviceOptions {
    /// The device that the options describe.
    pub async fn open(&self) -> anyhow::Result<Device> {
        let transport = self.transport()?;
        let env = self.dev_env.as_deref().map(DevEnv::read).transpose()?.unwrap_or_default();
        let host = env.or(self.host.as_ref(), "MUSTER_DEVICE_HOST")?.context("--host is missing")?;
        let scope = env.or(self.id_scope.as_ref(), "MUSTER_ID_SCOPE")?.context("--id-scope is missing")?;
        let mqtt = env.or(self.mqtt_port.as_ref(), "MUSTER_MQTT_PORT")?.unwrap_or(8883);
        let https = env.or(self.https_port.as_ref(), "MUSTER_HTTPS_PORT")?.unwrap_or(443);
        let id = self.id().await?;
        let mut builder = ProvisioningClient::builder(&host, &scope, &id, self.credential(&id)?)
            .transport(transport)
            .ports(mqtt, https)
            .timeout(Duration::from_secs(self.timeout));
        if let Some(ca) = env.or(self.ca.as_ref(), "MUSTER_CA_FILE")? {
            builder = builder.roots(read(&ca)?);
        }
        if let Some(payload) = &self.payload {
            let text = text_or_file(payload)?;
            builder = builder.payload(serde_json::from_str(&text).context("--payload is not JSON")?);
        }
        let cache = self.cache.as_ref().map_or_else(AssignmentCache::none, AssignmentCache::file);
        Ok(Device::new(builder.build()?, cache))
    }

    /// Where the credential is a TPM, that one.
    pub fn tpm(&self) -> Option<Tpm2> {
        self.tpm.clone().map(Tpm2::new)
    }

    fn transport(&self) -> anyhow::Result<Transport> {
        match (&self.tpm, self.transport) {
            (Some(_), None | Some(Transport::Https)) => Ok(Transport::Https),
            (Some(_), Some(_)) => bail!(
                "a device with a TPM is provisioned over HTTPS; Azure offers no TPM attestation over MQTT, and neither \
                 does Muster: say --transport https, or leave it away"
            ),
            (None, transport) => Ok(transport.unwrap_or_default()),
        }
    }

    async fn id(&self) -> anyhow::Result<String> {
        match (&self.registration_id, self.tpm()) {
            (Some(id), _) => Ok(id.clone()),
            (None, Some(tpm)) => Ok(TpmIdentity::of(tpm).await?.registration_id),
            (None, None) => bail!("--registration-id is missing"),
        }
    }

    fn credential(&self, registration_id: &str) -> anyhow::Result<Attestation> {
        if let Some(tpm) = self.tpm() {
            return Ok(Attestation::tpm(tpm));
        }
        if let (Some(cert), Some(key)) = (&self.cert, &self.cert_key) {
            return Ok(Attestation::x509(read(cert)?, read(key)?));
        }
        if let Some(key) = key(self.key.as_deref(), self.key_file.as_deref())? {
            return Ok(Attestation::symmetric_key(key.trim())?);
        }
        let key = key(self.group_key.as_deref(), self.group_key_file.as_deref())?
            .context("a credential is missing: --key, --group-key, --cert or --tpm")?;
        Ok(Attestation::group_symmetric_key(key.trim(), registration_id)?)
    }
}

fn transport(name: &str) -> Result<Transport, String> {
    match name {
        "mqtt" => Ok(Transport::Mqtt),
        "https" => Ok(Transport::Https),
        "mqtt-ws" => Ok(Transport::MqttWs),
        _ => Err("use mqtt, https or mqtt-ws".to_owned()),
    }
}

fn key(value: Option<&str>, file: Option<&Path>) -> anyhow::Result<Option<String>> {
    match (value, file) {
        (Some(value), _) => text_or_file(value).map(Some),
        (None, Some(file)) => text(file).map(Some),
        (None, None) => Ok(None),
    }
}

/// `@FILE` is the content of the file.
fn text_or_file(value: &str) -> anyhow::Result<String> {
    value.strip_prefix('@').map_or_else(|| Ok(value.to_owned()), |path| text(Path::new(path)))
}

fn text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// The `dev.env` of a running server.
#[derive(Default)]
struct DevEnv(HashMap<String, String>);

impl DevEnv {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let text = text(path).context("is `muster dev` running? its dev.env is removed when it stops")?;
        let pairs = env_file::pairs(&text)
            .with_context(|| format!("{} is no dev.env: a line has no =", path.display()))?;
        Ok(Self(pairs))
    }

    /// The option if it was given, else the file's value.
    fn or<T>(&self, option: Option<&T>, key: &str) -> anyhow::Result<Option<T>>
    where
        T: Clone + std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
    {
        if let Some(option) = option {
            return Ok(Some(option.clone()));
        }
        let value = self.0.get(key).map(|text| text.parse());
        value.transpose().with_context(|| format!("{key} in dev.env makes no sense"))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(subcommand)]
        command: DeviceCommand,
    }

    fn options(arguments: &str) -> Result<DeviceOptions, String> {
        let line = format!("device provision --registration-id d {arguments}");
        match Line::try_parse_from(line.split_whitespace()).map_err(|error| error.to_string())?.command {
            DeviceCommand::Provision(options) => Ok(options.device),
            DeviceCommand::Connect(_) | DeviceCommand::Tpm(_) => unreachable!("another command"),
        }
    }

    const KEY: &str = "c2VjcmV0IGtleSBvZiAxNisgYnl0ZXM=";

    #[test]
    fn one_credential_is_wanted_and_no_more() {
        let at = "--host localhost --id-scope 0ne1";
        options(&format!("{at} --key {KEY}")).unwrap();
        for bad in
            ["", "--key a --group-key b", "--key a --key-file b", "--cert a", "--key a --cert a --cert-key b"]
        {
            assert!(options(&format!("{at} {bad}")).is_err(), "{bad}");
        }
        assert!(options(&format!("--id-scope 0ne1 --key {KEY}")).is_err(), "no host");
        assert!(options(&format!("{at} --key {KEY} --transport amqp")).is_err());
    }

    #[tokio::test]
    async fn tpm_is_a_credential_over_https_alone() {
        let at = "--host localhost --id-scope 0ne1 --tpm swtpm:port=1";
        for (more, transport) in [("", Transport::Https), ("--transport https", Transport::Https)] {
            assert_eq!(options(&format!("{at} {more}")).unwrap().transport().unwrap(), transport);
        }
        for more in ["--transport mqtt", "--transport mqtt-ws"] {
            let error = options(&format!("{at} {more}")).unwrap().open().await.err().unwrap().to_string();
            assert!(error.contains("no TPM attestation over MQTT"), "{error}");
        }
        assert!(options(&format!("{at} --key {KEY}")).is_err());
        let error = options("--host h --id-scope 0ne1 --tpm tpm0").err().unwrap();
        assert!(error.contains("write device:/dev/tpmrm0"), "{error}");
    }

    #[test]
    fn registration_id_may_be_left_to_a_tpm_alone() {
        let parse = |credential: &str| {
            let line = format!("device provision --host h --id-scope 0ne1 {credential}");
            Line::try_parse_from(line.split_whitespace()).map(drop)
        };
        parse("--tpm device").unwrap();
        assert!(parse(&format!("--key {KEY}")).is_err());
    }

    #[test]
    fn dev_env_gives_what_the_options_leave_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dev.env");
        std::fs::write(
            &path,
            "MUSTER_DEVICE_HOST='it'\\''s'\n\nMUSTER_MQTT_PORT=1883\nMUSTER_HTTPS_PORT=x\n",
        )
        .unwrap();
        let env = DevEnv::read(&path).unwrap();
        assert_eq!(env.or(None::<&String>, "MUSTER_DEVICE_HOST").unwrap().unwrap(), "it's");
        assert_eq!(env.or(Some(&1_u16), "MUSTER_MQTT_PORT").unwrap(), Some(1));
        assert_eq!(env.or(None::<&u16>, "MUSTER_MQTT_PORT").unwrap(), Some(1883));
        assert_eq!(env.or(None::<&u16>, "MUSTER_AMQP_PORT").unwrap(), None);
        assert!(env.or(None::<&u16>, "MUSTER_HTTPS_PORT").is_err());
        std::fs::write(&path, "nonsense").unwrap();
        assert!(DevEnv::read(&path).is_err());
    }

    #[test]
    fn key_is_read_from_a_file_with_its_line_feed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, format!("{KEY}\n")).unwrap();
        for credential in
            [format!("--key @{}", path.display()), format!("--group-key-file {}", path.display())]
        {
            options(&format!("--host h --id-scope 0ne1 {credential}")).unwrap().credential("d").unwrap();
        }
        let absent = options("--host h --id-scope 0ne1 --key-file /no/such/file").unwrap();
        assert!(absent.credential("d").is_err());
    }
}

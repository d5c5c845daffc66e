//! A production server with what an operator gives it: a CA's certificate, `muster.toml`, linked hubs.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use serde_json::Value;

use crate::harness::http::Http;
use crate::harness::server::{BINARY, Endpoint, Process, Server, Start, read_env};
use crate::harness::tls;

/// Host names of the server certificate.
const HOSTS: [&str; 3] = ["localhost", "*.dps.test", "dps.example.com"];

/// An operator's CA.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, "operator");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Chain and key of a server certificate.
    pub fn issue(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(HOSTS.map(str::to_owned).to_vec()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "dps");
        params.not_after = rcgen::date_time_ymd(2040, 1, 1);
        (params.signed_by(&key, &self.issuer).unwrap().pem() + &self.pem, key.serialize_pem())
    }
}

/// What lies in the operator's folder.
pub struct Site {
    pub folder: PathBuf,
    pub authority: Authority,
    _keep: tempfile::TempDir,
}

/// A hub: a development server whose hub is linked over REST.
pub struct Hub {
    pub server: Server,
    _folder: tempfile::TempDir,
    connection: String,
    ca: PathBuf,
}

/// A production server that serves.
pub struct Production {
    pub process: Process,
    pub endpoint: Endpoint,
    pub http: u16,
}

impl Hub {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With these arguments too.
    pub async fn start_with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Start::on(folder.path()).with(arguments).server().await;
        let connection = server.env["MUSTER_HUB_CONNECTION_STRING"].clone();
        let ca = folder.path().join("ca.pem");
        Self { server, connection, ca, _folder: folder }
    }
}

impl Site {
    /// With a certificate and settings that link that hub, on free ports.
    pub fn linked(hub: &Hub) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = Self {
            folder: folder.path().canonicalize().unwrap(),
            authority: Authority::new(),
            _keep: folder,
        };
        site.put_certificate(&site.authority.issue());
        site.put("hub.txt", &hub.connection);
        std::fs::copy(&hub.ca, site.folder.join("hub-ca.pem")).unwrap();
        site.settings("");
        site
    }

    /// Settings with these lines at the end.
    pub fn settings(&self, more: &str) {
        self.write_settings("", more);
    }

    /// Settings with these lines in `[server]`, and those at the end.
    pub fn write_settings(&self, server: &str, more: &str) {
        let text = format!(
            "[server]\ndata_dir = \"data\"\n{server}\n[listeners]\nbind = \"127.0.0.1\"\nhttps_port = 0\n\
             mqtt_port = 0\namqp_port = 0\nhttp_port = 0\n[[certificate]]\nchain = \"chain.pem\"\n\
             key = \"key.pem\"\n[[instance]]\nname = \"factory\"\nhosts = [\"localhost\"]\n[[instance.hub]]\n\
             connection = {{ file = \"hub.txt\" }}\n[hubs]\ntrusted_ca = \"hub-ca.pem\"\nprobe_interval = \"1s\"\n\
             [limits]\nprofile = \"none\"\n[log]\nformat = \"json\"\n{more}\n"
        );
        self.put("muster.toml", &text);
    }

    /// Writes a private file, whole.
    pub fn put(&self, name: &str, text: &str) {
        let (draft, target) = (self.folder.join(format!(".{name}")), self.folder.join(name));
        std::fs::write(&draft, text).unwrap();
        std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::rename(draft, target).unwrap();
    }

    /// The two files, one after the other: for a moment they do not belong together.
    pub fn put_certificate(&self, (chain, key): &(String, String)) {
        self.put("chain.pem", chain);
        self.put("key.pem", key);
    }

    /// The command that serves.
    pub fn command(&self) -> Command {
        let mut command = Command::new(BINARY);
        self.arguments(&mut command);
        command
    }

    pub fn arguments(&self, command: &mut Command) {
        command.arg("serve").arg("--config").arg(self.folder.join("muster.toml"));
    }

    /// Starts it, and waits until it serves.
    pub async fn start(&self) -> Production {
        self.started(self.command(), &self.folder).await
    }

    /// The same by another command, which sees the folder where it is; from here it is seen there.
    pub async fn started(&self, command: Command, seen: &Path) -> Production {
        let process = Process::of(command);
        let line = process.stderr.said("\"message\":\"ready\"").await;
        let ready: Value = serde_json::from_str(&line).unwrap();
        let told = std::fs::read_to_string(seen.join("data/factory.env")).unwrap();
        let mut env: HashMap<String, String> = read_env(&told);
        for (key, field) in [
            ("MUSTER_HTTPS_PORT", "https"),
            ("MUSTER_MQTT_PORT", "mqtt"),
            ("MUSTER_AMQP_PORT", "amqp"),
            ("MUSTER_HTTP_PORT", "http"),
        ] {
            env.insert(key.to_owned(), ready[field].to_string());
        }
        let hub = std::fs::read_to_string(self.folder.join("hub.txt")).unwrap();
        env.insert("MUSTER_HUB_CONNECTION_STRING".to_owned(), hub);
        let endpoint = Endpoint::of(&env, &self.authority.pem);
        Production { process, http: endpoint.http, endpoint }
    }
}

impl Production {
    /// Asks the plain port.
    pub async fn plain(&self, path: &str) -> (u16, Value) {
        let mut http = Http::over(tls::tcp(self.http).await.unwrap());
        let answer = http.ask("GET", path, &[], None).await.unwrap();
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        (answer.status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Asks until the answer is as wanted.
    pub async fn until(&self, path: &str, wanted: impl Fn(u16, &Value) -> bool) -> Value {
        loop {
            let (status, body) = self.plain(path).await;
            if wanted(status, &body) {
                return body;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Asks it to end, and fails unless it ends well and calm.
    pub fn stop(mut self) {
        self.process.terminate();
        assert_eq!(self.process.wait().code(), Some(0), "{}", self.process.stderr.text());
        self.process.assert_calm();
    }
}

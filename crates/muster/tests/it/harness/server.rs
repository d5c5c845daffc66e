//! The server: started, asked, stopped or killed by its process id.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_attestation::sas_token::SasToken;
use dps_core::ports::{Clock as _, SystemClock};
use dps_model::{Secret, Timestamp};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::http::{Answer, Http};
use super::output::Output;
use super::tls::{self, Trust};

pub const BINARY: &str = env!("CARGO_BIN_EXE_muster");
const SERVICE_VERSION: &str = "api-version=2021-10-01";
const HUB_VERSION: &str = "api-version=2021-04-12";
/// How long a test's tokens hold.
const TOKEN_LIFETIME: i64 = 3_600;

/// How a server is started.
#[derive(Clone)]
pub struct Start {
    data_dir: PathBuf,
    arguments: Vec<String>,
    http_port: u16,
    limits: &'static str,
    /// What runs it, and under which path its files are seen from here.
    wrapper: Option<(Vec<String>, PathBuf)>,
}

/// A process; killed when dropped.
pub struct Process {
    child: Child,
    pub stdout: Output,
    pub stderr: Output,
}

/// A process that serves.
pub struct Server {
    pub process: Process,
    pub env: HashMap<String, String>,
    pub endpoint: Endpoint,
}

/// What clients know of a running server.
#[derive(Clone)]
pub struct Endpoint {
    pub https: u16,
    pub mqtt: u16,
    pub amqp: u16,
    pub http: u16,
    pub id_scope: String,
    pub trust: Trust,
    /// When tokens made for it end, in Unix seconds.
    pub expiry: i64,
    service: Owner,
    hub: Owner,
}

/// A connection string's parts.
#[derive(Clone)]
struct Owner {
    host: String,
    policy: String,
    key: Secret,
}

/// Now, as the server's clock on the same machine says it.
pub fn now() -> Timestamp {
    SystemClock::new().now()
}

impl Start {
    /// On free ports, with what it keeps in that folder. Nothing is throttled: devices here poll without a pause.
    pub fn on(data_dir: &Path) -> Self {
        let ports = ["--https-port", "0", "--mqtt-port", "0", "--amqp-port", "0"];
        let arguments = ports.iter().map(ToString::to_string).collect();
        Self { data_dir: data_dir.to_owned(), arguments, http_port: 0, limits: "none", wrapper: None }
    }

    /// With these arguments too.
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(ToString::to_string));
        self
    }

    /// With the limits of that profile.
    pub fn with_limits(mut self, profile: &'static str) -> Self {
        self.limits = profile;
        self
    }

    /// With `/metrics`.
    pub fn with_metrics(mut self) -> Self {
        self.http_port = free_port();
        self
    }

    /// Run by that command, which sees other files than this process: its root is at `root`.
    pub fn under(mut self, wrapper: &[String], root: &Path) -> Self {
        self.wrapper = Some((wrapper.to_vec(), root.to_owned()));
        self
    }

    /// Starts a process, which may fail; does not wait.
    pub fn process(&self) -> Process {
        let mut command = match &self.wrapper {
            None => Command::new(BINARY),
            Some((wrapper, _)) => {
                let mut command = Command::new(&wrapper[0]);
                command.args(&wrapper[1..]).arg(BINARY);
                command
            }
        };
        command.arg("dev").arg("--data-dir").arg(&self.data_dir).args(&self.arguments);
        command.arg("--http-port").arg(self.http_port.to_string()).arg("--limits").arg(self.limits);
        Process::of(command)
    }

    /// Starts it, and waits until it serves.
    pub async fn server(&self) -> Server {
        let process = self.process();
        if process.stdout.heard("Ctrl-C stops").await.is_none() {
            let why = process.stderr.said("").await;
            panic!("the server does not start: {why}");
        }
        let seen = match &self.wrapper {
            None => self.data_dir.clone(),
            Some((_, root)) => root.join(self.data_dir.strip_prefix("/").unwrap()),
        };
        let env = read_env(&std::fs::read_to_string(seen.join("dev.env")).unwrap());
        let ca = std::fs::read_to_string(seen.join("ca.pem")).unwrap();
        Server { endpoint: Endpoint::of(&env, &ca), process, env }
    }
}

impl Process {
    /// Starts a command; does not wait.
    pub fn of(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = Output::of(child.stdout.take().unwrap());
        let stderr = Output::of(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    /// Asks it to read its settings again (SIGHUP).
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end (SIGTERM).
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Ends it in the middle of whatever it does (SIGKILL).
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        tokio::task::block_in_place(|| self.child.wait()).unwrap()
    }

    /// Most memory that it ever had, in bytes.
    pub fn peak_memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_ascii_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
    }

    /// Its sockets and files.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// Fails when a task of it panicked.
    pub fn assert_calm(&self) {
        let said = self.stderr.text();
        assert!(!said.contains("panicked"), "{said}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}

impl Server {
    /// Asks it to end, and fails unless it ends well and calm.
    pub fn stop(mut self) {
        self.process.terminate();
        let status = self.process.wait();
        assert_eq!(status.code(), Some(0), "{}", self.process.stderr.text());
        self.process.assert_calm();
    }
}

impl Endpoint {
    pub fn of(env: &HashMap<String, String>, ca: &str) -> Self {
        let port = |key: &str| env[key].parse().unwrap();
        Self {
            https: port("MUSTER_HTTPS_PORT"),
            mqtt: port("MUSTER_MQTT_PORT"),
            amqp: port("MUSTER_AMQP_PORT"),
            http: port("MUSTER_HTTP_PORT"),
            id_scope: env["MUSTER_ID_SCOPE"].clone(),
            trust: Trust::in_ca(ca),
            expiry: now().seconds() + TOKEN_LIFETIME,
            service: Owner::read(&env["MUSTER_SERVICE_CONNECTION_STRING"]),
            hub: Owner::read(&env["MUSTER_HUB_CONNECTION_STRING"]),
        }
    }

    /// A device's token.
    pub fn device_token(&self, id: &str, key: &Secret) -> String {
        SasToken::sign(
            &format!("{}/registrations/{id}", self.id_scope),
            key,
            self.expiry,
            Some("registration"),
        )
    }

    /// The service API's owner's token.
    pub fn service_token(&self) -> String {
        self.service.token(&self.service.host, self.expiry)
    }

    /// The first hub's owner's token.
    pub fn hub_token(&self) -> String {
        self.hub.token(&self.hub.host, self.expiry)
    }

    /// A connection to the service APIs.
    pub async fn http(&self) -> io::Result<Http<tls::Stream>> {
        Ok(Http::over(tls::connect(self.https, &self.trust.plain).await?))
    }

    /// Asks the service API for success.
    pub async fn service(
        &self,
        http: &mut Http<tls::Stream>,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> io::Result<Value> {
        let token = self.service_token();
        let answer = ask(http, method, path, SERVICE_VERSION, &[("Authorization", &token)], body).await?;
        assert!(answer.status < 300, "{method} {path}: {} {}", answer.status, answer.json());
        Ok(answer.json())
    }

    /// Asks the service REST of a hub.
    pub async fn hub(
        &self,
        http: &mut Http<tls::Stream>,
        hub: &str,
        call: (&str, &str),
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> io::Result<Answer> {
        let token = self.hub.token(hub, self.expiry);
        let headers = [&[("Host", hub), ("Authorization", &token)], headers].concat();
        ask(http, call.0, call.1, HUB_VERSION, &headers, body).await
    }

    /// Enrolls a device with that key, or gives it a new one.
    pub async fn enroll(&self, http: &mut Http<tls::Stream>, id: &str, key: &Secret) -> io::Result<()> {
        let key = STANDARD.encode(key.expose());
        let attestation =
            json!({"type": "symmetricKey", "symmetricKey": {"primaryKey": key, "secondaryKey": key}});
        let body = json!({"registrationId": id, "attestation": attestation});
        self.service(http, "PUT", &format!("/enrollments/{id}"), Some(body)).await.map(drop)
    }

    /// Creates a group whose devices have keys derived from this one.
    pub async fn enroll_group(&self, http: &mut Http<tls::Stream>, id: &str, key: &Secret) -> io::Result<()> {
        let key = STANDARD.encode(key.expose());
        let attestation =
            json!({"type": "symmetricKey", "symmetricKey": {"primaryKey": key, "secondaryKey": key}});
        let body = json!({"enrollmentGroupId": id, "attestation": attestation});
        self.service(http, "PUT", &format!("/enrollmentGroups/{id}"), Some(body)).await.map(drop)
    }

    /// A counter of `/metrics`, all its label sets together.
    pub async fn counter(&self, name: &str) -> io::Result<u64> {
        let answer = Http::over(tls::tcp(self.http).await?).ask("GET", "/metrics", &[], None).await?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let lines = text.lines().filter(|line| line.starts_with(name));
        Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum())
    }
}

async fn ask(
    http: &mut Http<tls::Stream>,
    method: &str,
    path: &str,
    version: &str,
    headers: &[(&str, &str)],
    body: Option<Value>,
) -> io::Result<Answer> {
    let joint = if path.contains('?') { '&' } else { '?' };
    let body = body.map(|body| body.to_string());
    http.ask(method, &format!("{path}{joint}{version}"), headers, body.as_ref().map(String::as_bytes)).await
}

impl Owner {
    fn token(&self, resource: &str, expiry: i64) -> String {
        SasToken::sign(resource, &self.key, expiry, Some(&self.policy))
    }

    fn read(connection_string: &str) -> Self {
        let fields: HashMap<_, _> =
            connection_string.split(';').filter_map(|field| field.split_once('=')).collect();
        Self {
            host: fields["HostName"].split(':').next().unwrap().to_owned(),
            policy: fields["SharedAccessKeyName"].to_owned(),
            key: Secret::new(STANDARD.decode(fields["SharedAccessKey"]).unwrap()),
        }
    }
}

/// The lines of `dev.env`.
pub fn read_env(text: &str) -> HashMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.trim_matches('\'').to_owned())).collect()
}

/// A port that is free, out of the range that the system gives to connections, so that it stays so.
fn free_port() -> u16 {
    let first = u16::try_from(std::process::id() % 10_000).unwrap();
    let mut ports = (0..10_000).map(|step| 20_000 + (first + step) % 10_000);
    ports.find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

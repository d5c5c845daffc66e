//! `docs/guides/device-client.md` as it stands: every command of `muster device` in it is run against the real server
//! and says what the page shows. The two examples of the library run, too.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_model::Secret;
use serde_json::{Value, json};

use crate::harness::output::Output;
use crate::harness::run;
use crate::harness::server::{Server, Start};
use crate::swtpm_process::Swtpm;

const GUIDE: &str = include_str!("../../../../docs/guides/device-client.md");
/// The port of the page's swtpm.
const PORT: &str = "host=127.0.0.1,port=2321";

/// The library's example of a device in the field.
#[allow(dead_code)] // its `main`
#[path = "../../../muster-device/examples/device.rs"]
mod device_example;
/// The library's example of one conversation.
#[allow(dead_code)] // its `main`
#[path = "../../../muster-device/examples/provision.rs"]
mod provision_example;

/// A command of the page, and what it shows behind it.
struct Shown {
    words: Vec<String>,
    said: String,
}

/// The commands of `muster device`, in order.
fn commands() -> Vec<Shown> {
    let mut commands = Vec::new();
    for block in GUIDE.split("```console\n").skip(1) {
        let block = block.split("```").next().unwrap().replace("\\\n", " ");
        for part in format!("\n{block}").split("\n$ ").skip(1) {
            let (line, said) = part.split_once('\n').unwrap_or((part, ""));
            if let Some(arguments) = line.strip_prefix("muster device ") {
                commands.push(Shown { words: words(arguments), said: anonymous(said) });
            }
        }
    }
    commands
}

/// As a shell cuts a line: single quotes hold together.
fn words(line: &str) -> Vec<String> {
    let quoted = |(index, part): (usize, &str)| match index % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    };
    line.split('\'').enumerate().flat_map(quoted).collect()
}

/// Without what is another in every run: operations, tracking ids, keys of TPMs and ids made from them.
fn anonymous(text: &str) -> String {
    let name = |word: &str| {
        let dashes = word.matches('-').count();
        let base32 = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        match word {
            _ if word.starts_with("AToA") => "KEY",
            _ if word.starts_with("5.") && dashes == 4 => "OPERATION",
            _ if word.len() == 36 && dashes == 4 => "TRACKING",
            _ if word.len() == 52 && word.chars().all(base32) => "ID",
            _ => return word.to_owned(),
        }
        .to_owned()
    };
    let inside = |c: char| c.is_ascii_alphanumeric() || "-.+/=".contains(c);
    let mut out = String::new();
    let mut word = String::new();
    for c in text.trim_end().chars().chain(['\n']) {
        if inside(c) {
            word.push(c);
        } else {
            out.push_str(&name(&std::mem::take(&mut word)));
            out.push(c);
        }
    }
    out
}

struct Site {
    server: Server,
    folder: tempfile::TempDir,
    tpm: Option<Swtpm>,
}

impl Site {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("muster-data");
        std::fs::create_dir(&data).unwrap();
        let server = Start::on(&data).server().await;
        Self { server, folder, tpm: Swtpm::start() }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A device with a key in that file.
    async fn enroll(&self, id: &str, file: &str) {
        let key = Secret::new(vec![7; 32]);
        let endpoint = &self.server.endpoint;
        let mut http = endpoint.http().await.unwrap();
        endpoint.enroll(&mut http, id, &key).await.unwrap();
        self.write(file, &key);
    }

    fn write(&self, file: &str, key: &Secret) {
        let mut file = std::fs::File::create(self.path().join(file)).unwrap();
        writeln!(file, "{}", STANDARD.encode(key.expose())).unwrap();
    }

    /// Asks the hub that devices are assigned to.
    async fn hub(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let endpoint = &self.server.endpoint;
        let mut http = endpoint.http().await.unwrap();
        let hub = &self.server.env["MUSTER_HUB_HOST"];
        let headers: &[(&str, &str)] = if body.is_some() { &[("If-Match", "*")] } else { &[] };
        endpoint.hub(&mut http, hub, (method, path), headers, body).await.unwrap().json()
    }

    async fn want(&self, id: &str, target: u32) {
        let body = json!({"properties": {"desired": {"target": target}}});
        self.hub("PATCH", &format!("/twins/{id}"), Some(body)).await;
    }

    fn spawn(&self, shown: &Shown) -> Child {
        let tcti = self.tpm.as_ref().map(Swtpm::tcti).unwrap_or_default();
        let here = tcti.trim_start_matches("swtpm:");
        Command::new(env!("CARGO_BIN_EXE_muster"))
            .arg("device")
            .args(shown.words.iter().map(|word| word.replace(PORT, here)))
            .current_dir(self.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Runs it to its end: standard error, then standard output.
    fn say(&self, shown: &Shown) -> String {
        let child = self.spawn(shown);
        let output = tokio::task::block_in_place(|| child.wait_with_output()).unwrap();
        String::from_utf8([output.stderr, output.stdout].concat()).unwrap()
    }

    /// Enrolls the TPM as `muster device tpm` prints it.
    async fn enroll_tpm(&self, said: &str) {
        let mut values = said.lines().map(|line| line.split_once(": ").unwrap().1);
        let (id, key) = (values.next().unwrap(), values.next().unwrap());
        let body =
            json!({"registrationId": id, "attestation": {"type": "tpm", "tpm": {"endorsementKey": key}}});
        let endpoint = &self.server.endpoint;
        let mut http = endpoint.http().await.unwrap();
        endpoint.service(&mut http, "PUT", &format!("/enrollments/{id}"), Some(body)).await.unwrap();
    }

    /// Runs a command that stays: it prints the change that the page shows.
    async fn listen(&self, shown: &Shown) {
        let mut child = self.spawn(shown);
        let stdout = Output::of(child.stdout.take().unwrap());
        let stderr = Output::of(child.stderr.take().unwrap());
        assert!(stderr.heard("listening for desired properties").await.is_some());
        self.want("thermostat-1", 23).await;
        assert!(stdout.heard("desired, version").await.is_some());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(anonymous(&format!("{}\n{}", stderr.text(), stdout.text())), shown.said);
    }
}

#[test]
fn guide_of_the_device_client_says_what_its_commands_say() {
    run(async {
        let site = Site::start().await;
        site.enroll("thermostat-1", "thermostat.key").await;
        let key = Secret::new(vec![9; 32]);
        let endpoint = &site.server.endpoint;
        endpoint.enroll_group(&mut endpoint.http().await.unwrap(), "robots", &key).await.unwrap();
        site.write("group.key", &key);
        let mut run = 0;
        for shown in commands() {
            let has = |word: &str| shown.words.iter().any(|it| it == word);
            if has("--tpm") && site.tpm.is_none() {
                continue;
            }
            run += 1;
            if has("--listen") {
                site.listen(&shown).await;
                continue;
            }
            if has("--twin") {
                site.want("thermostat-1", 21).await;
            }
            let said = site.say(&shown);
            assert_eq!(anonymous(&said), shown.said, "{:?}", shown.words);
            if has("tpm") {
                site.enroll_tpm(&said).await;
            }
        }
        let skipped = if site.tpm.is_none() { 3 } else { 0 };
        assert_eq!(run + skipped, 8, "commands that the page shows");
        site.server.stop();
    });
}

#[test]
fn examples_of_the_device_client_run_as_they_are() {
    run(async {
        let site = Site::start().await;
        site.enroll("by-steps", "key").await;
        let env = &site.server.env;
        let file = |name: &str| site.path().join(name).display().to_string();
        let (mqtt, https) = (&env["MUSTER_MQTT_PORT"], &env["MUSTER_HTTPS_PORT"]);
        let ca = file("muster-data/ca.pem");
        let key = std::fs::read_to_string(file("key")).unwrap();
        let arguments = |id: &str, key: &str, last: &str| {
            let all = ["localhost", &env["MUSTER_ID_SCOPE"], id, key, &ca, mqtt, https, last];
            all.map(str::to_owned).to_vec()
        };
        for transport in ["mqtt", "https"] {
            provision_example::run(arguments("by-steps", key.trim(), transport)).await.unwrap();
        }
        let twin = site.hub("GET", "/twins/by-steps", None).await;
        assert_eq!(twin["properties"]["reported"]["firmware"], "1.0");

        site.enroll("in-the-field", "key").await;
        let device = device_example::run(arguments("in-the-field", &file("key"), &file("field.json")));
        let reported = async {
            // Asked for again and again: the device may not listen yet.
            loop {
                site.want("in-the-field", 21).await;
                let twin = site.hub("GET", "/twins/in-the-field", None).await;
                if twin["properties"]["reported"]["taken"]["target"] == 21 {
                    return;
                }
            }
        };
        tokio::select! {
            ended = device => panic!("it works until it is stopped: {:?}", ended.err()),
            () = reported => {}
        }
        assert!(Path::new(&file("field.json")).exists());
        site.server.stop();
    });
}

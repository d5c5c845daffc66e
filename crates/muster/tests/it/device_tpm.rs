//! `muster device` with a TPM that is not ours, against the real server: enrolled by what it prints, provisioned,
//! connected to its hub with the key that only the TPM holds, over restarts of the device's machine.

use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::run;
use crate::harness::server::{Server, Start};
use crate::swtpm_process::Swtpm;

/// A server, a TPM, and a folder for the device's files.
struct Site {
    server: Server,
    folder: TempDir,
    tpm: Swtpm,
}

impl Site {
    /// None where there is no swtpm.
    async fn start() -> Option<Self> {
        let tpm = Swtpm::start()?;
        let folder = tempfile::tempdir().unwrap();
        let server = Start::on(folder.path()).server().await;
        Some(Self { server, folder, tpm })
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Runs `muster device`.
    fn muster(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
        command.arg("device").args(arguments).args(["--tpm", &self.tpm.tcti()]);
        let output = tokio::task::block_in_place(|| command.stdin(Stdio::null()).output()).unwrap();
        Said::of(&output)
    }

    /// The same against the server.
    fn device(&self, command: &str, arguments: &[&str]) -> Said {
        self.muster(&[&[command, "--dev-env", &self.path("dev.env")], arguments].concat())
    }

    async fn enroll(&self, identity: &Value, more: Value, etag: &[(&str, &str)]) {
        let id = identity["registrationId"].as_str().unwrap();
        let mut body = more;
        body["registrationId"] = json!(id);
        body["attestation"] = json!({"type": "tpm", "tpm": {"endorsementKey": identity["endorsementKey"]}});
        let endpoint = &self.server.endpoint;
        let token = endpoint.service_token();
        let headers = [&[("Authorization", &*token)], etag].concat();
        let target = format!("/enrollments/{id}?api-version=2021-10-01");
        let mut http = endpoint.http().await.unwrap();
        let answer = http.ask("PUT", &target, &headers, Some(body.to_string().as_bytes())).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.json());
    }

    /// Enrolls the TPM as it prints itself.
    async fn enrolled(&self) -> Value {
        let identity: Value = serde_json::from_str(&self.muster(&["tpm", "--json"]).done().out).unwrap();
        self.enroll(&identity, json!({}), &[]).await;
        identity
    }
}

/// What a command said.
struct Said {
    well: bool,
    out: String,
    error: String,
}

impl Said {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { well: output.status.success(), out: text(&output.stdout), error: text(&output.stderr) }
    }

    fn done(self) -> Self {
        assert!(self.well, "{}", self.error);
        self
    }

    fn refused(self) -> String {
        assert!(!self.well, "{}", self.out);
        self.error
    }
}

#[test]
fn device_with_a_tpm_enrolls_provisions_and_connects_over_a_restart() {
    run(async {
        let Some(mut site) = Site::start().await else { return };
        let identity: Value = serde_json::from_str(&site.muster(&["tpm", "--json"]).done().out).unwrap();
        let (id, key) =
            (identity["registrationId"].as_str().unwrap(), identity["endorsementKey"].as_str().unwrap());
        assert_eq!(id.len(), 52);
        assert!(key.starts_with("AToAAQALAAMAsgAg"), "{key}");
        assert_eq!(
            site.muster(&["tpm"]).done().out,
            format!("Registration id: {id}\nEndorsement key: {key}\n")
        );

        // Not enrolled yet, the refusal says what to enroll.
        let refusal = site.device("provision", &[]).refused();
        assert!(refusal.contains("404201") && refusal.contains(id) && refusal.contains(key), "{refusal}");
        site.enroll(&identity, json!({}), &[]).await;
        let cache = site.path("device.json");
        let assigned = site.device("provision", &["--cache", &cache, "--json"]).done().out;
        let assigned: Value = serde_json::from_str(&assigned).unwrap();
        assert_eq!(assigned["deviceId"], id);
        assert_eq!(assigned["assignedHub"], site.server.env["MUSTER_HUB_HOST"].as_str());
        let kept = std::fs::read_to_string(&cache).unwrap();
        assert!(!kept.to_ascii_lowercase().contains("key"), "{kept}");

        // The machine goes off and on: what is cached and what is in the TPM are enough.
        site.tpm.restart();
        let connected = site.device("connect", &["--cache", &cache, "--send", "21", "--twin"]).done();
        assert!(
            connected.out.starts_with("sent: 21\n") && connected.out.contains("desired"),
            "{}",
            connected.out
        );
        assert!(connected.error.starts_with("connected to "), "without a registration: {}", connected.error);
        site.server.stop();
    });
}

#[test]
fn device_whose_tpm_lost_the_hub_key_registers_for_another() {
    run(async {
        let Some(site) = Site::start().await else { return };
        site.enrolled().await;
        let cache = site.path("device.json");
        site.device("provision", &["--cache", &cache]).done();
        site.tpm.tool("tpm2_evictcontrol", &["-C", "o", "-c", "0x81000100"]);
        let connected = site.device("connect", &["--cache", &cache, "--send", "21"]).done();
        let said = connected.error;
        assert!(said.starts_with("the TPM did not sign: it holds no key of a hub"), "{said}");
        assert!(said.contains("\nAssigned to ") && said.contains("\nconnected to "), "{said}");
        site.server.stop();
    });
}

#[test]
fn registration_that_fails_leaves_the_hub_key_in_the_tpm() {
    run(async {
        let Some(site) = Site::start().await else { return };
        let identity = site.enrolled().await;
        let cache = site.path("device.json");
        site.device("provision", &["--cache", &cache]).done();
        // The next registration is challenged, answered, and finds no hub.
        site.enroll(&identity, json!({"iotHubs": ["nowhere.example"]}), &[("If-Match", "*")]).await;
        let refusal = site.device("provision", &["--cache", &cache]).refused();
        assert!(refusal.contains("the assignment failed"), "{refusal}");
        let connected = site.device("connect", &["--cache", &cache, "--send", "21"]).done();
        assert!(connected.error.starts_with("connected to "), "{}", connected.error);
        site.server.stop();
    });
}

#[test]
fn device_with_a_tpm_elsewhere_or_over_mqtt_says_what_to_do() {
    run(async {
        let Some(mut site) = Site::start().await else { return };
        let error = site.device("provision", &["--transport", "mqtt"]).refused();
        assert!(error.contains("Azure offers no TPM attestation over MQTT"), "{error}");
        site.server.process.terminate();
        site.server.process.wait();
        let nowhere = site.path("no-such-tpm");
        let error = Command::new(env!("CARGO_BIN_EXE_muster"))
            .args(["device", "tpm", "--tpm", &format!("device:{nowhere}")])
            .output()
            .unwrap();
        let error = Said::of(&error).refused();
        assert!(
            error.contains("the TPM does not show its endorsement key: ") && error.contains(&nowhere),
            "{error}"
        );
    });
}

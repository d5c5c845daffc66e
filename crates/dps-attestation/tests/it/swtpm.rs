//! The blob against a TPM that is not ours: `swtpm` driven by tpm2-tools activates, imports, loads and signs (facts:
//! wire-protocol.md §5.5). Where they are not installed the test says so and passes: `MUSTER_REQUIRE_SWTPM=1` makes
//! that a failure.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_attestation::symmetric_key::derive_device_key;
use dps_attestation::tpm::{ChallengeSecret, Challenger, PublicArea, Template};
use dps_attestation::{EnrollmentKind, Evidence, SasToken, Subject, TpmEvidence, Verdict, verify};
use dps_model::attestation::Mechanism;
use dps_model::hub::HubAuthentication;
use dps_model::registration::TpmKeys;
use dps_model::{IdScope, RegistrationId, Secret};

use crate::pki::{NOW, now};
use crate::software_tpm::{parts, sized};

/// What no program here needs; a hang ends there.
const SECONDS: &str = "60";
const STORAGE: &str = "0x81000001";
const ENDORSEMENT: &str = "0x81010001";

/// A process that ends with the test.
struct Swtpm {
    process: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Swtpm {
    /// Starts one on a free pair of ports (tpm2-tools take the control port to be the next one); `None` when the
    /// pair was lost to someone else in between.
    fn start() -> Option<Self> {
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = held.local_addr().unwrap().port();
        let control = port.checked_add(1)?;
        drop((TcpListener::bind((Ipv4Addr::LOCALHOST, control)).ok()?, held));
        let folder = tempfile::tempdir().unwrap();
        // No wrapper: what is killed at the end must be the simulator itself.
        let process = Command::new("swtpm")
            .args(["socket", "--tpm2", "--tpmstate"])
            .arg(format!("dir={}", folder.path().display()))
            .arg("--server")
            .arg(format!("type=tcp,port={port},bindaddr=127.0.0.1"))
            .arg("--ctrl")
            .arg(format!("type=tcp,port={control},bindaddr=127.0.0.1"))
            .args(["--flags", "not-need-init,startup-clear"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let swtpm = Self { process, folder, port };
        swtpm.answers().then_some(swtpm)
    }

    /// Asks until it answers; every try is a process of its own, so tries are bounded by count.
    fn answers(&self) -> bool {
        (0..200).any(|_| self.tool("tpm2_getrandom", &["--hex", "4"]).status.success())
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn tool(&self, name: &str, arguments: &[&str]) -> Output {
        Command::new("timeout")
            .args([SECONDS, name])
            .args(arguments)
            .env("TPM2TOOLS_TCTI", format!("swtpm:host=127.0.0.1,port={}", self.port))
            .current_dir(self.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn run(&self, name: &str, arguments: &[&str]) -> Vec<u8> {
        let output = self.tool(name, arguments);
        assert!(output.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path().join(name), bytes).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path().join(name)).unwrap()
    }

    /// Makes both keys as the SDKs do; what a register body says of them.
    fn keys(&self) -> TpmKeys {
        self.run("tpm2_createek", &["-c", ENDORSEMENT, "-G", "rsa", "-u", "ek.pub"]);
        let attributes = "restricted|decrypt|fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda";
        let create = ["-C", "o", "-G", "rsa2048:aes128cfb", "-a", attributes, "-c", "srk.ctx"];
        self.run("tpm2_createprimary", &create);
        self.flush();
        self.run("tpm2_evictcontrol", &["-C", "o", "-c", "srk.ctx", STORAGE]);
        self.flush();
        let public = |handle: &str, file: &str| {
            self.run("tpm2_readpublic", &["-c", handle, "-f", "tss", "-o", file]);
            STANDARD.encode(self.read(file))
        };
        TpmKeys {
            endorsement_key: public(ENDORSEMENT, "ek.tss"),
            storage_root_key: Some(public(STORAGE, "srk.tss")),
        }
    }

    /// Nothing manages this TPM's few slots for the tools.
    fn flush(&self) {
        self.run("tpm2_flushcontext", &["-t"]);
    }

    /// Takes the blob's key in as a device does; afterwards `sign` uses it.
    fn activate(&self, blob: &[u8]) {
        let [identity, secret, duplicate, seed, area, _] = parts(blob).try_into().unwrap();
        let head = [0xba, 0xdc, 0xc0, 0xde, 0, 0, 0, 1];
        self.write("credential", &[&head[..], &sized(identity), &sized(secret)].concat());
        for (name, part) in [("duplicate", duplicate), ("seed", seed), ("area", area)] {
            self.write(name, &sized(part));
        }
        self.run("tpm2_startauthsession", &["--policy-session", "-S", "session.ctx"]);
        self.run("tpm2_policysecret", &["-S", "session.ctx", "-c", "e"]);
        let keys = ["-c", STORAGE, "-C", ENDORSEMENT, "-i", "credential", "-o", "inner.key"];
        self.run("tpm2_activatecredential", &[&keys[..], &["-P", "session:session.ctx"]].concat());
        self.run("tpm2_flushcontext", &["session.ctx"]);
        assert_eq!(self.read("inner.key").len(), 16);
        let parts = ["-u", "area", "-i", "duplicate", "-s", "seed", "-k", "inner.key", "-r", "id.priv"];
        self.run("tpm2_import", &[&["-C", STORAGE][..], &parts].concat());
        self.flush();
        self.run("tpm2_load", &["-C", STORAGE, "-u", "area", "-r", "id.priv", "-c", "id.ctx"]);
        self.flush();
    }

    fn sign(&self, text: &str) -> Vec<u8> {
        self.write("text", text.as_bytes());
        self.run("tpm2_hmac", &["-c", "id.ctx", "-g", "sha256", "-o", "tag", "text"]);
        self.flush();
        self.read("tag")
    }
}

fn installed() -> bool {
    let there = ["swtpm", "tpm2_activatecredential", "timeout"]
        .iter()
        .all(|name| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success()));
    let required = std::env::var_os("MUSTER_REQUIRE_SWTPM").is_some();
    assert!(there || !required, "swtpm and tpm2-tools are required and not installed");
    there
}

#[test]
fn swtpm_answers_our_challenge_and_takes_the_hub_key_in() {
    if !installed() {
        println!(
            "skipped: swtpm and tpm2-tools are not installed (Debian: apt-get install swtpm tpm2-tools)"
        );
        return;
    }
    let tpm = (0..10).find_map(|_| Swtpm::start()).expect("swtpm starts on one of ten pairs of ports");
    let keys = tpm.keys();
    let key = PublicArea::read(&keys.endorsement_key).unwrap();
    assert_eq!((key.template(), key.bits()), (Template::EndorsementLowRange, 2048));
    let (scope, id) =
        (IdScope::parse("0ne00TEST01").unwrap(), RegistrationId::parse("my.dev_01:a-b").unwrap());
    let secret = ChallengeSecret::new(&Secret::new(vec![8; 32]));
    let subject = Subject {
        id_scope: &scope,
        registration_id: &id,
        scope: EnrollmentKind::Individual,
        authorities: &[],
        challenger: Some(Challenger { secret: &secret, last_admitted: "" }),
    };
    let mechanism = Mechanism::Tpm(keys.clone());
    let verdict = |sas: Option<SasToken>| {
        let evidence = Evidence::Tpm(Box::new(TpmEvidence::read(&keys, sas).unwrap()));
        verify(&mechanism, &evidence, &subject, now())
    };
    let Verdict::Challenge(challenge) = verdict(None) else { panic!("no challenge") };
    tpm.activate(challenge.blob.as_bytes());
    let (sr, se) = ("0ne00TEST01%2fregistrations%2fmy.dev_01%3aa-b", NOW / 1000 + 3600);
    let signature = STANDARD.encode(tpm.sign(&format!("{sr}\n{se}")));
    let signature = signature.replace('+', "%2b").replace('/', "%2f").replace('=', "%3d");
    let token = format!("SharedAccessSignature sr={sr}&sig={signature}&se={se}&skn=registration");
    let attested = verdict(Some(SasToken::parse(&token).unwrap())).into_result().unwrap();
    let HubAuthentication::Sas { primary, .. } = attested.authentication() else { panic!("keys") };
    let evidence = TpmEvidence::read(&keys, None).unwrap();
    tpm.activate(evidence.wrap_hub_key(&subject, primary).unwrap().as_bytes());
    // Deriving is HMAC-SHA256, as the TPM does it.
    assert!(derive_device_key(primary, "to the hub").matches(&tpm.sign("to the hub")));
}

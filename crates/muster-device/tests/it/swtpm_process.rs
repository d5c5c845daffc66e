//! A TPM that is not ours: `swtpm` as a process of its own, and tpm2-tools beside it. Where they are not installed a
//! test says so and passes: `MUSTER_REQUIRE_SWTPM=1` makes that a failure.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

/// What no program here needs; a hang ends there.
const SECONDS: &str = "60";
/// Tries to connect until it listens: a bound for a hang, seconds at the least.
const TRIES: usize = 1_000_000;
/// Ports out of the range that the system gives to connections.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// Processes of this test process so far.
static STARTED: AtomicU16 = AtomicU16::new(0);

/// A TPM; it ends with the test, and its memory with its folder.
pub struct Swtpm {
    process: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Swtpm {
    /// A new TPM, which nobody has sent a startup; none where it is not installed.
    pub fn start() -> Option<Self> {
        if !installed() {
            println!(
                "skipped: swtpm and tpm2-tools are not installed (Debian: apt-get install swtpm tpm2-tools)"
            );
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let (process, port) = (0..100).find_map(|_| spawn(folder.path())).expect("a pair of free ports");
        Some(Self { process, folder, port })
    }

    /// As `muster_device::Tcti` reads it.
    pub fn tcti(&self) -> String {
        format!("swtpm:host=127.0.0.1,port={}", self.port)
    }

    /// Turns the machine off and on: what is not persistent is gone.
    pub fn restart(&mut self) {
        self.kill();
        let (process, port) = (0..100).find_map(|_| spawn(self.folder.path())).expect("a pair of free ports");
        (self.process, self.port) = (process, port);
    }

    /// Runs one of tpm2-tools for success; files are in the TPM's folder.
    pub fn tool(&self, name: &str, arguments: &[&str]) -> Vec<u8> {
        let output = Command::new("timeout")
            .args([SECONDS, name])
            .args(arguments)
            .env("TPM2TOOLS_TCTI", self.tcti())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// A file that a tool wrote.
    pub fn file(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(name)).unwrap()
    }

    fn kill(&mut self) {
        let _ = self.process.kill(); // it may have ended
        let _ = self.process.wait();
    }
}

fn installed() -> bool {
    let there = ["swtpm", "tpm2_createek", "timeout"]
        .iter()
        .all(|name| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success()));
    let required = std::env::var_os("MUSTER_REQUIRE_SWTPM").is_some();
    assert!(there || !required, "swtpm and tpm2-tools are required and not installed");
    there
}

/// On a pair of ports (tpm2-tools take the control port to be the next one); none when the pair is someone else's.
fn spawn(folder: &std::path::Path) -> Option<(Child, u16)> {
    let process = u16::try_from(std::process::id() % 5_000).unwrap();
    let step = process * 2 + STARTED.fetch_add(2, Ordering::Relaxed);
    let port = PORTS.start + step % (PORTS.end - PORTS.start);
    let control = port + 1;
    let free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    if !free(port) || !free(control) {
        return None;
    }
    // No wrapper: what is killed at the end must be the simulator itself.
    let mut process = Command::new("swtpm")
        .args(["socket", "--tpm2", "--flags", "not-need-init", "--tpmstate"])
        .arg(format!("dir={}", folder.display()))
        .arg("--server")
        .arg(format!("type=tcp,port={port},bindaddr=127.0.0.1"))
        .arg("--ctrl")
        .arg(format!("type=tcp,port={control},bindaddr=127.0.0.1"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..TRIES {
        if process.try_wait().unwrap().is_some() {
            return None;
        }
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Some((process, port));
        }
    }
    panic!("swtpm does not listen");
}

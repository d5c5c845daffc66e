//! A full disk: what cannot be written is refused, what was acknowledged is kept, and space brings everything back.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use dps_model::Secret;
use serde_json::Value;

use crate::harness::device::{Device, Protocol};
use crate::harness::run;
use crate::harness::server::{Endpoint, Start};

/// Devices that are assigned while there is space.
const EARLY: usize = 12;
/// Most registrations until something must have been refused, or counted.
const MOST: usize = 2_000;
/// Size of the disk.
const SIZE: &str = "size=32m";

/// A small file system that only processes started through it see; gone when dropped.
pub struct SmallDisk {
    holder: Child,
    folder: PathBuf,
    pub enter: Vec<String>,
}

impl SmallDisk {
    /// Mounts one over that folder, in a mount namespace of its own. The error says why it cannot be had here.
    pub fn over(folder: &Path) -> Result<Self, String> {
        let root = rustix::process::geteuid().is_root();
        let (unshare, enter): (&[&str], &[&str]) = if root {
            (&["--mount"], &["--mount"])
        } else {
            (&["--map-root-user", "--mount"], &["--user", "--preserve-credentials", "--mount"])
        };
        let script = format!("mount -t tmpfs -o {SIZE} tmpfs \"$0\" && echo mounted && exec cat");
        let mut holder = Command::new("unshare")
            .args(unshare)
            .args(["sh", "-c", &script])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("unshare: {error}"))?;
        let mut said = [0; 8];
        if holder.stdout.as_mut().unwrap().read_exact(&mut said).is_err() {
            let mut why = String::new();
            let _ = holder.stderr.take().unwrap().read_to_string(&mut why); // what there is of it
            let _ = holder.wait();
            return Err(why);
        }
        let target = holder.id().to_string();
        let mut command = vec!["nsenter".to_owned(), "--target".to_owned(), target];
        command.extend(enter.iter().map(ToString::to_string));
        Ok(Self { holder, folder: folder.to_owned(), enter: command })
    }

    /// Where this process sees the file system that the namespace has.
    pub fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.holder.id()))
    }

    fn filler(&self) -> PathBuf {
        self.root().join(self.folder.strip_prefix("/").unwrap()).join("filler")
    }

    /// Takes all the space there is.
    pub fn fill(&self) {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(self.filler()).unwrap();
        let mut piece = vec![0; 64 * 1024];
        while !piece.is_empty() {
            if file.write_all(&piece).is_err() {
                piece.truncate(piece.len() / 2);
            }
        }
    }

    /// Gives it back.
    pub fn free(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.holder.stdin.take()); // `cat` ends, and the namespace with it
        let _ = self.holder.wait();
    }
}

#[test]
fn full_disk_refuses_new_devices_and_keeps_every_promise() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    match SmallDisk::over(&folder) {
        Ok(disk) => run(full_and_free_again(disk)),
        Err(why) => println!("skipped: no file system may be mounted here: {why}"),
    }
}

async fn full_and_free_again(disk: SmallDisk) {
    let start = Start::on(&disk.folder).with_metrics().under(&disk.enter, &disk.root());
    let mut server = start.server().await;
    let endpoint = server.endpoint.clone();
    let group_key = Secret::new(vec![5; 64]);
    endpoint.enroll_group(&mut endpoint.http().await.unwrap(), "disk", &group_key).await.unwrap();
    let device = |number: usize| {
        let protocol = if number.is_multiple_of(2) { Protocol::Https } else { Protocol::Mqtt };
        Device::of_group(&format!("disk-{number}"), protocol, &group_key, &endpoint)
    };
    let mut told = Vec::new();
    for number in 0..EARLY {
        let device = device(number);
        device.provision(&endpoint).await.unwrap();
        told.push(device);
    }

    disk.fill();
    let (mut refused, mut tried) = (Vec::new(), EARLY);
    // Both protocols are refused, and the log of attempts fills too.
    while refused.len() < 2 * EARLY || endpoint.counter("muster_events_dropped_total").await.unwrap() == 0 {
        assert!(tried < MOST, "{} refused of {tried}, and no row dropped", refused.len());
        let device = device(tried);
        tried += 1;
        let reply = device.connect(&endpoint).await.unwrap().register().await.unwrap();
        if reply.status == 202 {
            told.push(device);
        } else {
            assert!(reply.status >= 500, "{reply:?}");
            assert!(
                reply.body["errorCode"].as_u64().is_some_and(|code| code / 1000 == u64::from(reply.status))
            );
            assert!(reply.body["trackingId"].is_string(), "{reply:?}");
            refused.push(device);
        }
    }
    // What needs no space is served on.
    assigned(&endpoint, &told[0].id).await;

    disk.free();
    for device in refused.drain(..EARLY) {
        device.provision(&endpoint).await.unwrap();
        told.push(device);
    }
    server.process.assert_calm();

    // Full again, killed, and started where nothing can be written: it says so, and harms nothing.
    disk.fill();
    for device in &refused {
        let reply = device.connect(&endpoint).await.unwrap().register().await.unwrap();
        assert!(reply.status >= 500 || reply.status == 202, "{reply:?}");
    }
    server.process.kill();
    let mut hopeless = start.process();
    let line = hopeless.stderr.said("muster: ").await;
    assert_eq!(hopeless.wait().code(), Some(1), "{line}");
    hopeless.assert_calm();

    disk.free();
    let server = start.server().await;
    for device in &told {
        let before = assigned(&server.endpoint, &device.id).await;
        let state = device.provision(&server.endpoint).await.unwrap();
        for member in ["assignedHub", "createdDateTimeUtc"] {
            assert_eq!(state[member], before[member], "{member} of {}", device.id);
        }
    }
    for device in &refused {
        device.provision(&server.endpoint).await.unwrap();
    }
    server.stop();
}

/// The registration of a device that was told 202, when its operation has ended.
async fn assigned(endpoint: &Endpoint, id: &str) -> Value {
    let mut http = endpoint.http().await.unwrap();
    loop {
        let kept = endpoint.service(&mut http, "GET", &format!("/registrations/{id}"), None).await.unwrap();
        match kept["status"].as_str() {
            Some("assigned") => return kept,
            Some("assigning") => {}
            other => panic!("{id} is {other:?}"),
        }
    }
}

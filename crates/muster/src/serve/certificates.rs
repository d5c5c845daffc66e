//! The server certificates while the server runs: taken anew when their files change, all together or none. Owns when
//! they are read and what is told of them; how one is read is `config`'s.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use dps_core::ports::Clock;
use dps_device_api::{Identity, ServerTls};
use dps_model::{Timestamp, limits};
use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecursiveMode, Watcher as _};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::config::{CertificateFiles, ServerCertificate};

/// The server certificates.
pub struct Certificates {
    files: Vec<CertificateFiles>,
    tls: Arc<ServerTls>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    served: Vec<ServerCertificate>,
    since: Timestamp,
    /// Why the files that lie there now are not the ones that are served.
    trouble: Option<String>,
    /// When somebody was last told which of them end soon.
    warned: Timestamp,
}

impl Certificates {
    /// Reads all of them; the first is the default.
    pub fn load(files: Vec<CertificateFiles>, clock: Arc<dyn Clock>) -> anyhow::Result<Arc<Self>> {
        let served = all(&files).map_err(anyhow::Error::msg)?;
        let default = served.first().context("there is no server certificate")?;
        let tls = Arc::new(ServerTls::new(default.identity.clone())?);
        tls.replace(&default.identity, named(&served))?;
        let now = clock.now();
        let state = State { served, since: now, trouble: None, warned: now };
        Ok(Arc::new(Self { files, tls, clock, state: Mutex::new(state) }))
    }

    /// TLS that serves them.
    pub fn tls(&self) -> &Arc<ServerTls> {
        &self.tls
    }

    /// Reads the files again, and takes them when they changed and all of them can be used. A handshake that is going
    /// on ends with the certificate that it began with.
    pub fn reload(&self) {
        let loaded = all(&self.files).and_then(|loaded| {
            let default = loaded.first().ok_or("there is no server certificate")?;
            if same(&self.state().served, &loaded) {
                return Ok(None);
            }
            self.tls.replace(&default.identity, named(&loaded)).map_err(|error| error.to_string())?;
            Ok(Some(loaded))
        });
        let mut state = self.state();
        match loaded {
            Ok(None) => state.trouble = None,
            Ok(Some(loaded)) => {
                for certificate in &loaded {
                    let ServerCertificate { subject, not_after, .. } = certificate;
                    tracing::info!(%subject, %not_after, "server certificate taken");
                }
                (state.served, state.since, state.trouble) = (loaded, self.clock.now(), None);
            }
            Err(why) => {
                if state.trouble.as_ref() != Some(&why) {
                    tracing::error!("the server certificates stay as they are: {why}");
                }
                state.trouble = Some(why);
            }
        }
    }

    /// Reloads when a file changes, and looks now and then where no change is told (network file systems). Ends when
    /// the task is dropped.
    pub async fn watch(self: Arc<Self>) {
        let changed = Arc::new(Notify::new());
        let watcher = self.watcher(&changed);
        if let Err(error) = &watcher {
            let every = limits::CERTIFICATE_LOOK;
            tracing::warn!(%error, "changes of certificates are not told; they are looked for every {every} s");
        }
        loop {
            tokio::select! {
                () = changed.notified() => {
                    tokio::time::sleep(Duration::from_millis(limits::CERTIFICATE_SETTLE_MS)).await;
                }
                () = tokio::time::sleep(Duration::from_secs(limits::CERTIFICATE_LOOK)) => {}
            }
            let own = Arc::clone(&self);
            // Fails only when reading panicked, which was printed.
            let _ = tokio::task::spawn_blocking(move || own.reload()).await;
            self.warn();
        }
    }

    /// Folders are watched, not files: who replaces a file, or the link to its folder, makes a new one.
    fn watcher(&self, changed: &Arc<Notify>) -> notify::Result<notify::RecommendedWatcher> {
        let changed = Arc::clone(changed);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading is no change, and what reads is this process.
            let only_read = event.is_ok_and(|event| match event.kind {
                EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
                EventKind::Access(_) => true,
                _ => false,
            });
            if !only_read {
                changed.notify_one();
            }
        })?;
        let files = self.files.iter().flat_map(|files| [&files.chain, &files.key]);
        let folders: BTreeSet<PathBuf> = files.filter_map(|file| Some(file.parent()?.to_owned())).collect();
        for folder in folders {
            watcher.watch(&folder, RecursiveMode::NonRecursive)?;
        }
        Ok(watcher)
    }

    /// Says once a day which certificates end soon.
    fn warn(&self) {
        let now = self.clock.now();
        let mut state = self.state();
        if now.seconds() - state.warned.seconds() < limits::CERTIFICATE_WARNING_REPEAT {
            return;
        }
        state.warned = now;
        for doubt in state.served.iter().filter_map(|certificate| certificate.doubt(now)) {
            tracing::warn!("{doubt}");
        }
    }

    /// For `/health`.
    pub fn report(&self) -> Value {
        let (state, now) = (self.state(), self.clock.now());
        let certificate = |certificate: &ServerCertificate| {
            json!({
                "subject": certificate.subject,
                "hosts": certificate.hosts,
                "notAfter": certificate.not_after,
                "warning": certificate.doubt(now),
            })
        };
        let served: Vec<Value> = state.served.iter().map(certificate).collect();
        json!({"served": served, "since": state.since, "notTaken": state.trouble})
    }

    /// When they end, by host name.
    pub fn ends(&self) -> Vec<(String, Timestamp)> {
        let state = self.state();
        let ends = |certificate: &ServerCertificate| {
            let end = certificate.not_after;
            certificate.hosts.iter().map(move |host| (host.clone(), end)).collect::<Vec<_>>()
        };
        state.served.iter().flat_map(ends).collect()
    }

    /// The host names that they are shown for, in the order of the file.
    pub fn hosts(&self) -> Vec<String> {
        self.state().served.iter().flat_map(|certificate| certificate.hosts.clone()).collect()
    }

    /// Would a client that checks names take one of them for that host?
    pub fn cover(&self, host: &str) -> bool {
        self.state().served.iter().any(|certificate| certificate.covers(host))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn all(files: &[CertificateFiles]) -> Result<Vec<ServerCertificate>, String> {
    files.iter().map(CertificateFiles::load).collect()
}

fn same(one: &[ServerCertificate], other: &[ServerCertificate]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.bytes == other.bytes)
}

/// Each host name with its certificate.
fn named(certificates: &[ServerCertificate]) -> Vec<(String, Identity)> {
    let hosts = |certificate: &ServerCertificate| {
        let identity = certificate.identity.clone();
        certificate.hosts.clone().into_iter().map(move |host| (host, identity.clone()))
    };
    certificates.iter().flat_map(hosts).collect()
}

//! What systemd is told (`sd_notify`): ready, reloading, stopping, still alive. Owns the datagrams; without systemd
//! nothing is said.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;

use rustix::time::{ClockId, clock_gettime};

use crate::config::environment;
use crate::server::health::Health;

/// The line to systemd.
pub struct Systemd {
    line: Option<Arc<Line>>,
}

struct Line {
    socket: UnixDatagram,
    address: SocketAddr,
}

/// A task that ends when this is dropped.
pub struct Watchdog(Option<tokio::task::AbortHandle>);

impl Systemd {
    /// As the environment says.
    pub fn found() -> Self {
        let line = environment::notify_socket().and_then(|path| Line::to(&path).ok()).map(Arc::new);
        Self { line }
    }

    /// Everything accepts connections.
    pub fn ready(&self) {
        self.say("READY=1\nSTATUS=Serving");
    }

    /// The settings are read again; `ready` follows.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1_000);
        self.say(&format!(
            "RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=Reading certificates and settings again"
        ));
    }

    /// The end has begun.
    pub fn stopping(&self) {
        self.say("STOPPING=1\nSTATUS=Requests in flight end first");
    }

    /// Says twice in each of systemd's intervals that the server lives, as long as its store answers.
    pub fn watch(&self, health: &Arc<Health>) -> Watchdog {
        let Some((line, interval)) = self.line.clone().zip(environment::watchdog()) else {
            return Watchdog(None);
        };
        let health = Arc::clone(health);
        let task = tokio::spawn(async move {
            loop {
                if health.store_answers().await {
                    line.say("WATCHDOG=1");
                }
                tokio::time::sleep(interval / 2).await;
            }
        });
        Watchdog(Some(task.abort_handle()))
    }

    fn say(&self, text: &str) {
        if let Some(line) = &self.line {
            line.say(text);
        }
    }
}

impl Line {
    /// A path, or a name in the abstract namespace, which begins with `@`.
    fn to(path: &str) -> std::io::Result<Self> {
        let address = match path.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name.as_bytes())?,
            None => SocketAddr::from_pathname(path)?,
        };
        let socket = UnixDatagram::unbound()?;
        // A manager that does not read must not hold up the server.
        socket.set_nonblocking(true)?;
        Ok(Self { socket, address })
    }

    fn say(&self, text: &str) {
        if let Err(error) = self.socket.send_to_addr(text.as_bytes(), &self.address) {
            tracing::debug!(%error, "systemd does not listen");
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Line;

    #[test]
    fn systemd_hears_by_path_and_by_abstract_name() {
        use std::os::linux::net::SocketAddrExt as _;
        use std::os::unix::net::{SocketAddr, UnixDatagram};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("muster-test-{}", uuid::Uuid::new_v4());
        let by_path = UnixDatagram::bind(&path).unwrap();
        let by_name =
            UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name.as_bytes()).unwrap()).unwrap();
        for (told, socket) in [(path.display().to_string(), by_path), (format!("@{name}"), by_name)] {
            Line::to(&told).unwrap().say("READY=1");
            let mut heard = [0; 32];
            let length = socket.recv(&mut heard).unwrap();
            assert_eq!(&heard[..length], b"READY=1", "{told}");
        }
    }
}

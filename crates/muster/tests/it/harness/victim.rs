//! A server under attack, and the honest devices that must not feel it.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};

use dps_model::Secret;
use tempfile::TempDir;

use super::device::{Device, Protocol};
use super::server::{Endpoint, Server, Start};

/// A server with a group of devices.
pub struct Victim {
    pub server: Server,
    pub endpoint: Endpoint,
    key: Secret,
    registered: AtomicUsize,
    _folder: TempDir,
}

impl Victim {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Start::on(folder.path()).server().await;
        let endpoint = server.endpoint.clone();
        let key = Secret::new(vec![1; 64]);
        endpoint.enroll_group(&mut endpoint.http().await.unwrap(), "honest", &key).await.unwrap();
        Self { server, endpoint, key, registered: AtomicUsize::new(0), _folder: folder }
    }

    /// A new device, over HTTPS and MQTT by turns.
    pub fn device(&self) -> Device {
        let number = self.registered.fetch_add(1, Ordering::Relaxed);
        let protocol = if number.is_multiple_of(2) { Protocol::Https } else { Protocol::Mqtt };
        Device::of_group(&format!("honest-{number}"), protocol, &self.key, &self.endpoint)
    }

    /// A device registers, as if nothing had been.
    pub async fn serves(&self) {
        let device = self.device();
        let state = device.provision(&self.endpoint).await;
        let state = state.unwrap_or_else(|error| panic!("{} by {:?}: {error}", device.id, device.protocol));
        assert_eq!(state["deviceId"].as_str(), Some(&*device.id));
    }

    /// One device after the other registers for as long as something lasts; gives how many.
    pub async fn serves_during<T>(&self, something: impl Future<Output = T>) -> (T, usize) {
        let before = self.registered.load(Ordering::Relaxed);
        let mut something = std::pin::pin!(something);
        loop {
            // No registration is cut short: the last one ends after what it went along with.
            let mut device = std::pin::pin!(self.serves());
            tokio::select! {
                biased;
                () = &mut device => {}
                outcome = &mut something => {
                    device.await;
                    self.serves().await;
                    return (outcome, self.registered.load(Ordering::Relaxed) - before);
                }
            }
        }
    }

    /// Serves both ways, panicked nowhere, had no more memory than that, and ends well.
    pub async fn unharmed(self, most_memory: usize) {
        for _ in 0..2 {
            self.serves().await;
        }
        let memory = self.server.process.peak_memory();
        assert!(memory < most_memory, "{memory} bytes of memory were used, {most_memory} are enough");
        self.server.stop();
    }
}

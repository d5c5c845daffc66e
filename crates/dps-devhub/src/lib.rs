//! The development hub: an IoT Hub small enough to live beside a provisioning service.
//!
//! Owns the device registry and twins, their service REST, devices over MQTT and AMQP, and the in-process hub port. Must not
//! know enrollments, registrations or who allocates: provisioning meets it only through `dps_core::ports::Hubs`.
//!
//! ```text
//! registry   identities, keys and twins: documents of the store
//! presence   who is connected, and the queue to each connection
//! guest      a connected device, whatever it speaks: its proof, its place, what it may do
//! rest       IoT Hub's service REST      mqtt, amqp   the device's side      port   provisioning, in process
//! ```

mod access;
mod amqp;
mod end;
mod failure;
mod front;
mod guest;
mod mqtt;
mod port;
mod presence;
mod record;
mod registry;
mod rest;
mod telemetry;

use std::sync::Arc;

use dps_core::ports::{Clock, Store};
use dps_events::EventSink;
use dps_model::{DeviceId, HubName, Secret};
use dps_wire::amqp::connection::Config;

pub use failure::{HubErrorCode, HubFailure};
pub use front::device_of;
pub use telemetry::Telemetry;

use access::host_of;
use presence::Presence;
use registry::Registry;
use telemetry::Ring;

/// Name of the one shared access policy.
pub const POLICY: &str = "iothubowner";

/// Hears of what happens at the development hubs, for a terminal or a demonstration. Called on the connection's own
/// task: return at once.
pub trait Hook: Send + Sync + 'static {
    /// A device sent a message.
    fn on_telemetry(&self, message: &Telemetry) {
        let _ = message;
    }

    /// A device connected, or left.
    fn on_connection(&self, hub: &HubName, device_id: &DeviceId, connected: bool) {
        let _ = (hub, device_id, connected);
    }
}

/// A hook that does nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHook;

impl Hook for NoHook {}

/// One hub.
pub(crate) struct DevHub {
    pub(crate) name: HubName,
    pub(crate) registry: Registry<Arc<Presence>>,
    pub(crate) presence: Arc<Presence>,
    pub(crate) telemetry: Ring,
}

/// All development hubs of a server. They share one policy and its key.
pub struct DevHubs {
    hubs: Vec<Arc<DevHub>>,
    key: Secret,
    clock: Arc<dyn Clock>,
    sink: Arc<dyn EventSink>,
    hook: Arc<dyn Hook>,
    amqp_config: Arc<Config>,
}

impl DevHubs {
    /// Opens the hubs of these names (ports are dropped, repeated names too) on what the store has of them. The first
    /// one answers requests for unknown hosts.
    pub fn new(
        store: &Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        sink: Arc<dyn EventSink>,
        names: Vec<HubName>,
        policy_key: Secret,
        hook: Arc<dyn Hook>,
    ) -> Self {
        let mut hubs: Vec<Arc<DevHub>> = Vec::with_capacity(names.len());
        for name in names {
            let name = HubName::parse(host_of(name.as_str())).unwrap_or(name);
            if hubs.iter().any(|hub| hub.name.key() == name.key()) {
                continue;
            }
            let presence = Arc::new(Presence::new(Arc::clone(&clock)));
            let registry = Registry::new(Arc::clone(store), Arc::clone(&clock), &name, Arc::clone(&presence));
            hubs.push(Arc::new(DevHub { name, registry, presence, telemetry: Ring::default() }));
        }
        Self { hubs, key: policy_key, clock, sink, hook, amqp_config: Arc::new(amqp::config()) }
    }

    /// Is there a hub of this name (a port and the letters' case do not count)?
    pub fn knows(&self, name: &HubName) -> bool {
        self.hub(name.as_str()).is_some()
    }

    /// The names, first one first.
    pub fn names(&self) -> impl Iterator<Item = &HubName> {
        self.hubs.iter().map(|hub| &hub.name)
    }

    /// What devices sent to this hub lately, newest last.
    pub fn telemetry(&self, name: &HubName) -> Vec<Arc<Telemetry>> {
        self.hub(name.as_str()).map(|hub| hub.telemetry.newest_last()).unwrap_or_default()
    }

    /// The devices of all hubs were removed from the store itself: their connections end, and what they sent is forgotten.
    pub fn removed_from_the_store(&self) {
        for hub in &self.hubs {
            hub.presence.clear();
            hub.telemetry.clear();
        }
    }

    /// The hub of that host, with or without a port.
    pub(crate) fn hub(&self, host: &str) -> Option<&Arc<DevHub>> {
        let host = host_of(host);
        self.hubs.iter().find(|hub| hub.name.as_str().eq_ignore_ascii_case(host))
    }

    /// The same; the first hub when no hub has that host.
    pub(crate) fn hub_or_first(&self, host: &str) -> Option<&Arc<DevHub>> {
        self.hub(host).or_else(|| self.hubs.first())
    }
}

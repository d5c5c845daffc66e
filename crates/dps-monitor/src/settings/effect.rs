//! What the settings of a resource come to: what the workspace takes, and an outlet for each destination of each setting.
//! Must not know how an outlet is emptied.

use std::sync::Arc;

use super::rules::Destinations;
use super::setting::{DestinationKind, Setting};
use crate::destinations::Destination;
use crate::logs::Category;

/// What the settings of a resource come to.
#[derive(Default)]
pub struct Effect {
    workspace: Sent,
    /// Where it sends to besides.
    pub outlets: Vec<Arc<Outlet>>,
}

/// What is sent.
#[derive(Clone, Copy, Default)]
struct Sent {
    device_operations: bool,
    service_operations: bool,
    metrics: bool,
}

/// A destination of a setting.
pub struct Outlet {
    /// Which.
    pub key: OutletKey,
    /// Who takes it.
    pub destination: Arc<dyn Destination>,
    sent: Sent,
}

/// Names an outlet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OutletKey {
    /// ARM id of the resource, in upper case.
    pub resource_id: String,
    /// Name of the setting, in lower case.
    pub setting: String,
    /// Which of its destinations.
    pub kind: DestinationKind,
    /// Its id, in lower case: another one is another outlet.
    pub destination: String,
    /// The event hub that the setting names.
    pub event_hub: Option<String>,
}

impl Sent {
    fn of(setting: &Setting) -> Self {
        Self {
            device_operations: setting.sends(Category::DeviceOperations),
            service_operations: setting.sends(Category::ServiceOperations),
            metrics: setting.sends_metrics(),
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            device_operations: self.device_operations || other.device_operations,
            service_operations: self.service_operations || other.service_operations,
            metrics: self.metrics || other.metrics,
        }
    }

    fn has(self, category: Category) -> bool {
        match category {
            Category::DeviceOperations => self.device_operations,
            Category::ServiceOperations => self.service_operations,
        }
    }
}

impl Effect {
    /// Of these settings of a resource. A destination that the server has no more takes nothing, which is said.
    pub(super) fn of(upper: &str, settings: &[Setting], destinations: &Destinations) -> Self {
        let mut effect = Self::default();
        for setting in settings {
            let sent = Sent::of(setting);
            for kind in DestinationKind::ALL {
                let Some(id) = setting.destination(kind) else { continue };
                match (kind, destinations.resolve(kind, id)) {
                    (DestinationKind::Workspace, Some(_)) => effect.workspace = effect.workspace.or(sent),
                    (_, Some(id)) => effect.outlets.extend(outlet(upper, setting, kind, id, destinations)),
                    (_, None) => tracing::warn!(
                        resource = upper,
                        setting = setting.name,
                        destination = id,
                        "a diagnostic setting names a destination that this server has no more; nothing is sent there"
                    ),
                }
            }
        }
        effect
    }

    /// Does the workspace take logs of that category?
    pub fn to_workspace(&self, category: Category) -> bool {
        self.workspace.has(category)
    }

    /// Does it take metrics?
    pub fn metrics_to_workspace(&self) -> bool {
        self.workspace.metrics
    }
}

fn outlet(
    upper: &str,
    setting: &Setting,
    kind: DestinationKind,
    id: String,
    destinations: &Destinations,
) -> Option<Arc<Outlet>> {
    let destination = destinations.external.get(&id)?;
    let event_hub = setting.event_hub_name.clone().filter(|_| kind == DestinationKind::EventHub);
    let destination = match &event_hub {
        Some(name) => destination.event_hub(name)?,
        None => Arc::clone(destination),
    };
    let key = OutletKey {
        resource_id: upper.to_owned(),
        setting: setting.name.to_lowercase(),
        kind,
        destination: id,
        event_hub,
    };
    Some(Arc::new(Outlet { key, destination, sent: Sent::of(setting) }))
}

impl Outlet {
    /// Does it take logs of that category?
    pub fn takes(&self, category: Category) -> bool {
        self.sent.has(category)
    }

    /// Does it take metrics?
    pub fn takes_metrics(&self) -> bool {
        self.sent.metrics
    }
}

//! What of a development server can be told otherwise while it runs, and how that is joined to its rooms: the decorators
//! around the ports, and the routes. Must not know what a rule, a clock or a reset is.

use std::sync::{Arc, OnceLock};

use dps_core::ports::Clock;
use dps_devhub::DevHubs;
use dps_events::EventSink;
use dps_model::Secret;
use dps_model::instance::Instance;
use dps_monitor::settings::SettingsBook;
use tokio::sync::Mutex;

use super::clock::DevClock;
use super::control::Control;
use super::faults::{Faults, FaultyCore, MarkingSink};
use super::reset::{Gate, GatedCore, Reset};
use crate::server::rooms::{Outside, Rooms, Site};

/// All of it.
#[derive(Default)]
pub struct Controls {
    /// The clock.
    pub clock: Arc<DevClock>,
    /// The faults.
    pub faults: Faults,
    gate: Gate,
    reset: Arc<OnceLock<Reset>>,
}

impl Controls {
    /// The clock as the rooms see it.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as _
    }

    /// An event sink that marks events of those whom a fault struck.
    pub fn sink(&self, then: Arc<dyn EventSink>) -> Arc<dyn EventSink> {
        Arc::new(MarkingSink { then, marks: Arc::clone(&self.faults.marks) })
    }

    /// Stands between the device API and the core, and answers its routes. `token` opens them from elsewhere than this
    /// machine.
    pub fn join(&self, site: &mut Site, outside: &Outside, token: Secret, hosts: &[String]) {
        site.http.push(Arc::new(Control {
            faults: self.faults.clone(),
            clock: Arc::clone(&self.clock),
            reset: Arc::clone(&self.reset),
            token,
            hosts: hosts.to_vec(),
        }));
        let (faults, gate) = (self.faults.clone(), self.gate.clone());
        let (instances, sink) = (Arc::clone(&site.instances), Arc::clone(&outside.sink));
        let clock = Arc::clone(&outside.clock);
        // Faults strike first: a delay keeps no reset waiting.
        site.before_core = Box::new(move |then| {
            let then = Arc::new(GatedCore { then, gate });
            Arc::new(FaultyCore { then, faults, instances, sink, clock })
        });
    }

    /// From now on there is something to reset, to that first provisioning service among others.
    pub fn begin(
        &self,
        rooms: &Rooms,
        outside: &Outside,
        hubs: Arc<DevHubs>,
        settings: &Arc<SettingsBook>,
        first: Instance,
    ) {
        let _ = self.reset.set(Reset {
            store: Arc::clone(&outside.store),
            gate: self.gate.clone(),
            instances: Arc::clone(&rooms.instances),
            life: rooms.life.clone(),
            operations: Arc::clone(&rooms.operations),
            enrollments: Arc::clone(&rooms.enrollments),
            hubs,
            rules: Arc::clone(&rooms.rules),
            settings: Arc::clone(settings),
            inbox: Arc::clone(&outside.inbox),
            shown: outside.shown.clone(),
            faults: Arc::clone(&self.faults.book),
            clock: Arc::clone(&self.clock),
            first,
            one: Mutex::default(),
        }); // it is set once
    }
}

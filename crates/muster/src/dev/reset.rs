//! Makes a development server as it was at its first start, within a moment: devices see it as it was before or as it is
//! after. The CA, keys, ports and the id scope stay, and so do logs and metrics, which tell what happened. Owns the order;
//! must not know who asks.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dps_core::ports::{Clock, Collection, Store, Write};
use dps_core::{DeviceRequest, DeviceResponse, Enrollments, Instances, Lifecycle, Operations};
use dps_devhub::DevHubs;
use dps_device_api::Core;
use dps_model::instance::{Instance, Resource};
use dps_model::{Error, ErrorCode, Timestamp};
use dps_monitor::alerts::book::RuleBook;
use dps_monitor::alerts::document::Kind;
use dps_monitor::inbox::{Inbox, InboxError};
use dps_monitor::settings::SettingsBook;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, RwLock};

use super::clock::DevClock;
use super::faults::FaultBook;
use super::limits::{RESET_PAGE, RESET_PATIENCE};
use crate::server::last_shown::LastShownMemory;

/// What may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "camelCase")]
#[value(rename_all = "camelCase")]
pub enum Part {
    /// Enrollments and enrollment groups
    Enrollments,
    /// Registrations
    Registrations,
    /// Identities and twins on the development hubs
    HubDevices,
    /// Other provisioning services, and the settings of the first one
    Services,
    /// Alert rules, action groups and diagnostic settings
    Monitoring,
    /// Fault rules
    Faults,
    /// The clock
    Clock,
}

/// What is asked.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// What stays.
    #[serde(default)]
    pub keep: Vec<Part>,
}

/// What was done.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Done {
    /// From then on everything is new.
    time: Timestamp,
    enrollments: u64,
    enrollment_groups: u64,
    registrations: u64,
    hub_devices: u64,
}

/// Devices' requests pass, except while a reset is under way: then they wait.
#[derive(Clone, Default)]
pub struct Gate(Arc<RwLock<()>>);

/// A core behind the gate.
pub struct GatedCore {
    /// Who answers.
    pub then: Arc<dyn Core>,
    /// What it is behind.
    pub gate: Gate,
}

#[async_trait]
impl Core for GatedCore {
    async fn serve(&self, request: DeviceRequest) -> Result<DeviceResponse, Error> {
        let _open = self.gate.0.read().await;
        self.then.serve(request).await
    }

    fn knows_scope(&self, id_scope: &str) -> bool {
        self.then.knows_scope(id_scope)
    }
}

/// All that is made new.
pub struct Reset {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// What devices wait behind.
    pub gate: Gate,
    /// The provisioning services.
    pub instances: Arc<Instances>,
    /// Their life.
    pub life: Lifecycle,
    /// What goes on behind a 202.
    pub operations: Arc<Operations>,
    /// What is prepared of enrollments.
    pub enrollments: Arc<Enrollments>,
    /// The development hubs.
    pub hubs: Arc<DevHubs>,
    /// Alert rules.
    pub rules: Arc<RuleBook>,
    /// Diagnostic settings.
    pub settings: Arc<SettingsBook>,
    /// Devices that no enrollment knows.
    pub inbox: Arc<Inbox>,
    /// What refused devices showed last.
    pub shown: LastShownMemory,
    /// Fault rules.
    pub faults: Arc<FaultBook>,
    /// The clock.
    pub clock: Arc<DevClock>,
    /// The first provisioning service as the first start makes it.
    pub first: Instance,
    /// One at a time.
    pub one: Mutex<()>,
}

impl Reset {
    /// Does it. After an error some of it may be done; doing it again does no harm.
    pub async fn run(&self, wish: &Wish) -> Result<Done, Error> {
        let _one = self.one.lock().await;
        let goes = |part| !wish.keep.contains(&part);
        // First, for they may be what operations wait for.
        if goes(Part::Faults) {
            self.faults.clear();
        }
        if goes(Part::Clock) {
            self.clock.reset();
        }
        let _closed = self.gate.0.write().await;
        let patience = Duration::from_secs(RESET_PATIENCE);
        tokio::time::timeout(patience, self.operations.ended()).await.map_err(|_| {
            Error::new(ErrorCode::Unavailable)
                .because(format!("operations still wait for a hub or a webhook after {RESET_PATIENCE} s"))
        })?;
        let done = self.clear(&goes).await?;
        if goes(Part::Services) {
            self.renew_services().await?;
        }
        if goes(Part::Monitoring) {
            self.forget_monitoring().await?;
        }
        Ok(done)
    }

    /// All rows in one write.
    async fn clear(&self, goes: &impl Fn(Part) -> bool) -> Result<Done, Error> {
        let rows = self.instances.all().into_iter().map(|instance| instance.rows().to_owned());
        let rows: Vec<String> = rows.collect();
        let hubs: Vec<String> = self.hubs.names().map(dps_model::HubName::key).collect();
        let mut writes = Vec::new();
        let mut counts = [0_u64; 4];
        let [enrollments, groups, registrations, devices] = &mut counts;
        let mut none = 0;
        for (part, collection, whose, count) in [
            (Part::Enrollments, Collection::Enrollments, &rows, enrollments),
            (Part::Enrollments, Collection::EnrollmentGroups, &rows, groups),
            (Part::Enrollments, Collection::CertificateClaims, &rows, &mut none),
            (Part::Registrations, Collection::Registrations, &rows, registrations),
            (Part::HubDevices, Collection::HubDevices, &hubs, devices),
        ] {
            if !goes(part) {
                continue;
            }
            for instance in whose {
                *count += self.store.count(collection, instance).await?;
                writes.push(Write::Clear { collection, instance: instance.clone() });
            }
        }
        let time = self.clock.now();
        self.store.write(writes).await?;
        self.enrollments.changed_in_the_store();
        if goes(Part::HubDevices) {
            self.hubs.removed_from_the_store();
        }
        let [enrollments, enrollment_groups, registrations, hub_devices] = counts;
        Ok(Done { time, enrollments, enrollment_groups, registrations, hub_devices })
    }

    async fn renew_services(&self) -> Result<(), Error> {
        let first = self.instances.default_instance();
        for other in self.instances.all() {
            if other.rows() != first.rows() {
                self.life.delete(&other, None).await?;
            }
        }
        let renew = |kept: &mut Instance| {
            let resource = Resource { state: kept.resource.state, ..self.first.resource.clone() };
            let (rows, etag) = (kept.rows.clone(), kept.etag.clone());
            *kept = Instance { resource, rows, etag, ..self.first.clone() };
            Ok(())
        };
        self.instances.change(&first, None, renew).await?;
        Ok(())
    }

    async fn forget_monitoring(&self) -> Result<(), Error> {
        self.settings.forget(|_| false).await.map_err(Error::internal)?;
        self.shown.clear();
        for group in self.inbox.list(|_| true) {
            match self.inbox.delete(&group.id).await {
                // It made room for another one meanwhile.
                Ok(()) | Err(InboxError::Unknown) => {}
                Err(error) => return Err(Error::internal(error)),
            }
        }
        for kind in Kind::ALL {
            loop {
                let (page, _) = self.rules.list(kind, "", None, RESET_PAGE);
                if page.is_empty() {
                    break;
                }
                for document in page {
                    self.rules.delete(kind, &document.id, None).await?;
                }
            }
        }
        Ok(())
    }
}

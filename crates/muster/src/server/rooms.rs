//! Joins the rooms: the device API with its neighbours on the shared ports, and the operations behind it.

use std::sync::Arc;

use dps_access::AccessControl;
use dps_attestation::tpm::ChallengeSecret;
use dps_core::drift::Drift;
use dps_core::enrollment::find::Finder;
use dps_core::enrollment::group_lane::GroupLane;
use dps_core::enrollment::{Enrollments, KeyRings};
use dps_core::links::Links;
use dps_core::ports::{Clock, Hosting, Hubs, Regions, Store, Webhook};
use dps_core::{Instances, Lifecycle, Operations, Provisioning, Rehearsals, Throttle};
use dps_device_api::foreign::{ForeignFront, HttpFront};
use dps_device_api::{Bounds, Core as DeviceCore, DeviceApi, Fronts, Transport};
use dps_events::{AttemptReader, EventSink, Metrics};
use dps_management_api::diagnosis::Unknown;
use dps_management_api::portal::{About, Gate, PortalApi};
use dps_management_api::{Diagnosis, Insights, ManagementApi};
use dps_model::enrollment::PlainWebhooks;
use dps_model::limits::Profile;
use dps_monitor::alerts::alerting::Alerting;
use dps_monitor::alerts::archive::Archive;
use dps_monitor::alerts::book::RuleBook;
use dps_monitor::inbox::Inbox;
use dps_monitor::metrics::Rollups;
use dps_monitor::settings::SettingsBook;
use dps_monitor::{MonitorState, QueryEngine, WebhookPost};
use dps_service_api::ServiceApi;
use dps_store::StoreState;

use super::alerting;
use super::attempts::AttemptLogFiles;
use super::error_pages::ErrorPages;
use super::explaining::ExplainRehearsals;
use super::fronts::{
    Core, Gated, HealthFront, HealthSlot, ManagementFront, PortalFront, PortalPages, ServiceFront,
};
use super::last_shown::LastShownMemory;
use super::place::WorkspacePlace;
use super::plain_apis::PlainApis;

/// What every room is given of the outside.
#[derive(Clone)]
pub struct Outside {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where closed events go.
    pub sink: Arc<dyn EventSink>,
    /// How much is let in.
    pub throttle: Arc<Throttle>,
    /// Metrics by the minute.
    pub rollups: Arc<Rollups>,
    /// Diagnostic settings.
    pub settings: Arc<SettingsBook>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The attempt log.
    pub attempts: AttemptReader,
    /// Devices that no enrollment knows.
    pub inbox: Arc<Inbox>,
    /// What refused devices showed last.
    pub shown: LastShownMemory,
    /// How linked hubs are.
    pub links: Arc<Links>,
}

/// What differs between the ways to run a server.
pub struct Site {
    /// The provisioning services.
    pub instances: Arc<Instances>,
    /// Who may do what.
    pub access: Arc<AccessControl>,
    /// `dev` or `serve`.
    pub mode: &'static str,
    /// How they get host names.
    pub hosting: Arc<dyn Hosting>,
    /// How linked hubs are reached.
    pub hubs: Arc<dyn Hubs>,
    /// Who asks webhooks of custom allocation.
    pub webhook: Arc<dyn Webhook>,
    /// Who posts to webhooks of action groups.
    pub notifications: Arc<dyn WebhookPost>,
    /// What is known of networks and latencies.
    pub regions: Arc<dyn Regions>,
    /// What TPMs are challenged with.
    pub challenges: ChallengeSecret,
    /// Whose quotas hold.
    pub limits: Profile,
    /// Which webhooks of custom allocation may be without TLS.
    pub plain_webhooks: PlainWebhooks,
    /// How much is accepted at once.
    pub bounds: Bounds,
    /// Who answers queries about log rows, in a build that keeps them.
    pub queries: Option<Arc<dyn QueryEngine>>,
    /// HTTP fronts that are asked before the service API.
    pub http: Vec<Arc<dyn HttpFront>>,
    /// Hubs whose connections are recorded.
    pub telling_hubs: Vec<String>,
    /// MQTT and AMQP fronts besides the device API.
    pub devices: Vec<Arc<dyn ForeignFront>>,
    /// Who stands between connections and fronts.
    pub transport: Arc<dyn Transport>,
    /// What stands between the device API and the core.
    pub before_core: BeforeCore,
}

/// Puts something before the core that devices ask.
pub type BeforeCore = Box<dyn FnOnce(Arc<dyn DeviceCore>) -> Arc<dyn DeviceCore> + Send>;

/// The joined rooms.
pub struct Rooms {
    /// On the ports.
    pub api: Arc<DeviceApi>,
    /// On the plain port, when only this machine reaches it.
    pub plain: PlainApis,
    /// For the portal on the shared port, once the server runs.
    pub health: HealthSlot,
    /// Behind it.
    pub operations: Arc<Operations>,
    /// Of the instances; to be resumed before anybody is served.
    pub life: Lifecycle,
    /// The provisioning services.
    pub instances: Arc<Instances>,
    /// How linked hubs are reached.
    pub hubs: Arc<dyn Hubs>,
    /// Who evaluates alert rules.
    pub alerting: Alerting,
    /// Those rules.
    pub rules: Arc<RuleBook>,
    /// Enrollments and registrations.
    pub enrollments: Arc<Enrollments>,
}

/// Joins the rooms.
pub async fn join(outside: &Outside, site: Site, place: &WorkspacePlace) -> anyhow::Result<Rooms> {
    let store = || Arc::clone(&outside.store);
    let clock = || Arc::clone(&outside.clock);
    let sink = || Arc::clone(&outside.sink);
    let state: Arc<dyn MonitorState> = Arc::new(StoreState::new(store()));
    let (rules, alerting) = alerting::open(&state, outside, &site, place.resource_id()).await?;
    let Site {
        instances,
        access,
        mode,
        hosting,
        hubs,
        webhook,
        notifications: _,
        regions,
        challenges,
        limits,
        plain_webhooks,
        bounds,
        queries,
        mut http,
        telling_hubs,
        devices,
        transport,
        before_core,
    } = site;
    let life = Lifecycle::new(Arc::clone(&instances), hosting);
    let rings = Arc::new(KeyRings::new(store()));
    let lane = Arc::new(GroupLane::start()?);
    let operations = Operations::new(store(), Arc::clone(&hubs), clock(), sink(), Arc::clone(&instances));
    let operations = Arc::new(operations.with_webhook(Arc::clone(&webhook)));
    let finder = Finder::new(store(), Arc::clone(&rings), Arc::clone(&lane));
    let provisioning = Provisioning::new(
        Arc::clone(&instances),
        finder,
        Arc::clone(&operations),
        Arc::clone(&outside.throttle),
        challenges,
        clock(),
        sink(),
    );
    let provisioning = Arc::new(provisioning.with_regions(Arc::clone(&regions)));
    let enrollments = Enrollments::new(store(), clock(), rings, lane).with_quotas(limits.quotas());
    let enrollments = Arc::new(enrollments.with_plain_webhooks(plain_webhooks));
    let drift = Drift::new(store(), Arc::clone(&hubs));
    let diagnosis = Diagnosis {
        drift: Some(Arc::new(drift)),
        ..diagnosis(outside, &instances, &enrollments, regions, webhook, telling_hubs)?
    };
    let insights = insights(outside, queries, Arc::clone(&rules), state, &alerting);
    let allowed = Arc::clone(&access);
    let management =
        ManagementApi::new(Arc::clone(&instances), life.clone(), allowed, insights, sink(), clock());
    let management = management.with_diagnosis(diagnosis).with_hubs(Arc::clone(&hubs));
    http.push(Arc::new(ManagementFront(management)));
    http.push(Arc::new(ServiceFront(ServiceApi::new(
        Arc::clone(&enrollments),
        Arc::clone(&instances),
        Arc::clone(&access),
        Arc::clone(&outside.throttle),
        sink(),
        clock(),
    ))));
    let Portal { http, plain, health } = with_portal(http, outside, place, mode, &instances, &life, access);
    let core = before_core(Arc::new(Core(provisioning)));
    let api = DeviceApi::bounded(core, sink(), clock(), Fronts { http, devices, transport }, bounds);
    Ok(Rooms { api, plain, health, operations, life, instances, hubs, alerting, rules, enrollments })
}

fn diagnosis(
    outside: &Outside,
    instances: &Arc<Instances>,
    enrollments: &Arc<Enrollments>,
    regions: Arc<dyn Regions>,
    webhook: Arc<dyn Webhook>,
    telling_hubs: Vec<String>,
) -> std::io::Result<Diagnosis> {
    let (clock, enrollments) = (Arc::clone(&outside.clock), Arc::clone(enrollments));
    let unknown = Unknown { inbox: Arc::clone(&outside.inbox), enrollments: Arc::clone(&enrollments) };
    let rehearsals = Rehearsals::new(Arc::clone(instances), enrollments, clock, regions, webhook)?;
    let rehearsals = rehearsals.with_links(Arc::clone(&outside.links));
    let attempts = AttemptLogFiles::new(outside.attempts.clone(), telling_hubs);
    Ok(Diagnosis {
        rehearsals: Some(Arc::new(rehearsals)),
        attempts: Some(Arc::new(attempts)),
        unknown: Some(unknown),
        explain: Some(Arc::new(ExplainRehearsals(dps_core::Known::new(Arc::clone(instances))))),
        drift: None,
        shown: Some(Arc::new(outside.shown.clone())),
    })
}

fn insights(
    outside: &Outside,
    queries: Option<Arc<dyn QueryEngine>>,
    rules: Arc<RuleBook>,
    state: Arc<dyn MonitorState>,
    alerting: &Alerting,
) -> Insights {
    Insights {
        rollups: Arc::clone(&outside.rollups),
        settings: Arc::clone(&outside.settings),
        queries,
        rules,
        alerts: Archive::new(state),
        notifier: Some(alerting.notifier()),
    }
}

/// What the ports are given because of the portal.
struct Portal {
    http: Vec<Arc<dyn HttpFront>>,
    plain: PlainApis,
    health: HealthSlot,
}

/// The fronts behind the portal's gate, and the portal beside them.
fn with_portal(
    http: Vec<Arc<dyn HttpFront>>,
    outside: &Outside,
    place: &WorkspacePlace,
    mode: &'static str,
    instances: &Arc<Instances>,
    life: &Lifecycle,
    access: Arc<AccessControl>,
) -> Portal {
    let clock = || Arc::clone(&outside.clock);
    let about = About {
        mode,
        version: env!("CARGO_PKG_VERSION"),
        subscription: place.subscription,
        workspace: place.id,
        workspace_resource: place.resource_id(),
    };
    let gate = Arc::new(Gate::new(Arc::clone(instances), life.clone(), Arc::clone(&access), clock()));
    let sink = Arc::clone(&outside.sink);
    let portal = PortalApi::new(Arc::clone(instances), life.clone(), access, about, sink, clock());
    let gated = |front| Arc::new(Gated { front, gate: Arc::clone(&gate) }) as Arc<dyn HttpFront>;
    let mut http: Vec<_> = http.into_iter().map(gated).collect();
    http.push(Arc::new(PortalFront(portal)));
    http.push(Arc::new(PortalPages));
    http.push(Arc::new(ErrorPages));
    // The plain port shows it to everybody.
    let plain = PlainApis::new(http.clone(), Arc::clone(instances), life.clone());
    let health = HealthSlot::default();
    http.push(Arc::new(HealthFront { health: Arc::clone(&health), gate }));
    Portal { http, plain, health }
}

//! Joins the rooms into one running server by a file of settings, and takes it apart again in the reverse order.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use dps_access::{AccessControl, HttpKeys, KeyFetch};
use dps_attestation::tpm::ChallengeSecret;
use dps_core::Throttle;
use dps_core::allocation::regions::{RegionMap, ReloadableRegions};
use dps_core::ports::{Clock, Hubs as _, Regions, Store, SystemClock};
use dps_core::throttle;
use dps_device_api::Bounds;
use dps_device_api::transport::Direct;
use dps_events::{AttemptLog, Metrics, Segments};
use dps_hub::{HttpWebhook, RestHubs};
use dps_model::enrollment::PlainWebhooks;
use dps_store::{OpenOptions, SqliteStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::task::AbortHandle;

use super::certificates::Certificates;
use super::declared::{self, Ground};
use super::hosting::OwnHosting;
use super::kept::Kept;
use crate::config::{
    AttemptSettings, Config, DeclaredInstance, HubSettings, Listeners, TelemetrySettings, environment,
    telemetry_of_environment,
};
use crate::server::alerting::Webhooks;
use crate::server::data_dir::DataDir;
use crate::server::destinations;
use crate::server::health::Health;
use crate::server::place::WorkspacePlace;
use crate::server::ports::{Ports, listen, port};
use crate::server::rooms::{self, Outside, Site};
use crate::server::running::{Run, Running};
use crate::server::sessions;
use crate::server::watching::{Plan, Watching};

/// A running server.
pub struct Server {
    /// Locked until the end.
    _directory: DataDir,
    certificates: Arc<Certificates>,
    regions: Arc<ReloadableRegions>,
    watch: AbortHandle,
    store: Arc<SqliteStore>,
    watching: Watching,
    running: Running,
}

impl Server {
    /// Starts everything; when it returns, every listener accepts.
    pub async fn start(mut config: Config) -> anyhow::Result<Self> {
        let directory = DataDir::open(&config.data_dir)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let certificates = Certificates::load(config.certificates.clone(), Arc::clone(&clock))?;
        let ports = bind(&config.listeners)?;
        let store = Arc::new(SqliteStore::open(OpenOptions::in_directory(directory.path())).await?);
        let shared: Arc<dyn Store> = Arc::clone(&store) as Arc<dyn Store>;
        let metrics = Arc::new(Metrics::new());
        let kept = Kept::open(shared.as_ref()).await?;
        let plan = Plan {
            store: Arc::clone(&shared),
            clock: Arc::clone(&clock),
            metrics: Arc::clone(&metrics),
            place: place(&config, &kept),
            folder: directory.file("workspace"),
            workspace: &config.workspace,
            destinations: destinations::open(&config.destinations, &clock)?,
            log: attempt_log(&config.attempts, &directory)?,
        };
        let mut watching = Watching::open(plan, Box::new(|_| {})).await?;
        let bounds = throttle::Bounds::default();
        let throttle = Arc::new(Throttle::of(config.limits.throttles, bounds, Arc::clone(&clock)));
        let outside = watching.outside(shared, clock, throttle, Arc::clone(&metrics));
        let hosting = OwnHosting::new(Arc::clone(&certificates), &config.instances);
        tell(&config.regions);
        let regions = Arc::new(ReloadableRegions::new(std::mem::take(&mut config.regions)));
        let mut site = site(&config, &kept, &outside, &directory, &ports, hosting, &regions).await?;
        let instances = Arc::clone(&site.instances);
        watching.begin(&mut site, &outside)?;
        let rooms = rooms::join(&outside, site, watching.place()).await?;
        dps_core::enrollment::mend(outside.store.as_ref(), &rooms.instances).await?;
        rooms.life.resume().await;
        let (https, mqtt, amqp) = (port(&ports.https)?, port(&ports.mqtt)?, port(&ports.amqp)?);
        let http = ports.http.as_ref().map(port).transpose()?;
        let (told, ending) = (Arc::clone(&certificates), Arc::clone(&certificates));
        let running = Running::start(Run {
            rooms,
            outside,
            tls: Arc::clone(certificates.tls()),
            ports,
            metrics,
            probe_interval: config.hubs.probe_interval,
            certificates: Some(Arc::new(move || told.report())),
            certificate_ends: Arc::new(move || ending.ends()),
        });
        let watch = tokio::spawn(Arc::clone(&certificates).watch()).abort_handle();
        if let Some(settings) = telemetry(&config)? {
            watching.export(&settings, client_config(&settings.trusted)?, &running.health)?;
        }
        watching.keep_up(instances);
        tracing::info!(https, mqtt, amqp, http = http.unwrap_or(0), "ready");
        Ok(Self { _directory: directory, certificates, regions, watch, store, watching, running })
    }

    /// How it is.
    pub fn health(&self) -> &Arc<Health> {
        &self.running.health
    }

    /// Its certificates.
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// Allocates by these from now on.
    pub fn change_regions(&self, map: RegionMap) {
        tell(&map);
        self.regions.replace(map);
    }

    /// Is not ready from now on, and serves on for the grace; then takes no new work, lets the work in flight end, and
    /// closes everything.
    pub async fn stop(self, grace: Duration, drain: Duration) -> anyhow::Result<()> {
        self.running.health.drain();
        tokio::time::sleep(grace).await;
        self.watch.abort();
        self.running.stop(drain).await;
        self.watching.close().await;
        self.store.close().await?;
        Ok(())
    }
}

fn place(config: &Config, kept: &Kept) -> WorkspacePlace {
    let subscription = config.subscription.unwrap_or(kept.subscription);
    WorkspacePlace { id: kept.workspace(), subscription, addresses: config.workspace.addresses }
}

/// What the file says of telemetry, else the environment.
fn telemetry(config: &Config) -> anyhow::Result<Option<TelemetrySettings>> {
    match &config.telemetry {
        Some(settings) => Ok(Some(settings.clone())),
        None => telemetry_of_environment(environment::variable).map_err(anyhow::Error::msg),
    }
}

fn tell(map: &RegionMap) {
    let (networks, latencies) = (map.networks(), map.latencies());
    if networks + latencies > 0 {
        tracing::info!(networks, latencies, "regions taken");
    }
}

/// Binds all ports, or names the key of the one that cannot be.
fn bind(listeners: &Listeners) -> anyhow::Result<Ports> {
    let Listeners { bind, https, mqtt, amqp, http } = listeners;
    Ok(Ports {
        https: listen("https_port", *bind, *https)?,
        mqtt: listen("mqtt_port", *bind, *mqtt)?,
        amqp: listen("amqp_port", *bind, *amqp)?,
        http: http.map(|(address, port)| listen("http_port", address, port)).transpose()?,
    })
}

fn attempt_log(settings: &AttemptSettings, directory: &DataDir) -> anyhow::Result<AttemptLog> {
    let folder = settings.folder.clone().unwrap_or_else(|| directory.file("logs"));
    let age = settings.keep_for.as_secs();
    let kept = Segments { size: settings.segment_size, count: settings.segments, age };
    AttemptLog::bounded(&folder, kept)
        .with_context(|| format!("cannot open the folder of logs {}", folder.display()))
}

async fn site(
    config: &Config,
    kept: &Kept,
    outside: &Outside,
    directory: &DataDir,
    ports: &Ports,
    hosting: OwnHosting,
    regions: &Arc<ReloadableRegions>,
) -> anyhow::Result<Site> {
    let https = port(&ports.https)?;
    let host = |instance: &DeclaredInstance| {
        let host = hosting.service(&instance.name);
        if https == 443 { host } else { format!("{host}:{https}") }
    };
    let ground = Ground {
        store: &outside.store,
        directory,
        clock: outside.clock.as_ref(),
        subscription: config.subscription.unwrap_or(kept.subscription),
        host: &host,
    };
    let instances = declared::open(&config.instances, &ground).await?;
    let sessions = sessions::of(&instances);
    let webhook = Arc::new(HttpWebhook::new(client_config(&config.hubs.trusted)?, PlainWebhooks::Refused)?);
    Ok(Site {
        instances,
        access: Arc::new(access(config)?.with_sessions(sessions)),
        mode: "serve",
        hosting: Arc::new(hosting),
        hubs: Arc::new(rest_hubs(&config.hubs, Arc::clone(&outside.clock))?),
        notifications: Arc::new(Webhooks(Arc::clone(&webhook))),
        webhook,
        regions: Arc::clone(regions) as Arc<dyn Regions>,
        challenges: ChallengeSecret::new(&kept.challenges()?),
        limits: config.limits.profile,
        plain_webhooks: PlainWebhooks::Refused,
        bounds: Bounds {
            connections: config.limits.connections,
            handshakes: config.limits.handshakes,
            drain: config.drain,
        },
        queries: None,
        http: Vec::new(),
        telling_hubs: Vec::new(),
        devices: Vec::new(),
        transport: Arc::new(Direct),
        before_core: Box::new(|core| core),
    })
}

/// Who may do what.
fn access(config: &Config) -> anyhow::Result<AccessControl> {
    let access = if config.identity_providers.is_empty() {
        AccessControl::local()
    } else {
        let keys: Arc<dyn KeyFetch> = Arc::new(HttpKeys::new(client_config(&[])?, false)?);
        AccessControl::new(config.identity_providers.clone(), &keys)
    };
    Ok(match &config.bearer_token {
        Some(token) => access.with_management_token(token.clone()),
        None => access,
    })
}

/// TLS to others: what the machine trusts, and these roots.
fn client_config(pem: &[u8]) -> anyhow::Result<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let roots = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>()?;
    Ok(dps_hub::client_config(provider, roots)?)
}

fn rest_hubs(settings: &HubSettings, clock: Arc<dyn Clock>) -> anyhow::Result<RestHubs> {
    Ok(RestHubs::new(clock, client_config(&settings.trusted)?)?)
}

/// Asks every linked hub once; a line for each that cannot be used.
pub async fn probe_hubs(config: &Config) -> anyhow::Result<Vec<String>> {
    let hubs = rest_hubs(&config.hubs, Arc::new(SystemClock::new()))?;
    let mut lines = Vec::new();
    for instance in &config.instances {
        for hub in &instance.hubs {
            if let Err(error) = hubs.probe(hub).await {
                lines.push(format!("{}: the linked hub {}: {error}", instance.name, hub.name));
            }
        }
    }
    Ok(lines)
}

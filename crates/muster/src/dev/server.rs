//! Joins the rooms into one running server, and takes it apart again in the reverse order.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use dps_attestation::tpm::ChallengeSecret;
use dps_core::ports::Store;
use dps_core::{Instances, Throttle};
use dps_devhub::{DevHubs, Hook};
use dps_device_api::{Bounds, Identity, ServerTls};
use dps_events::recorder::Listener;
use dps_events::{AddressMask, AttemptLog, Metrics, Segments};
use dps_hub::{HttpWebhook, RestHubs};
use dps_model::connection_string::ConnectionString;
use dps_model::enrollment::{AllocationPolicy, PlainWebhooks};
use dps_model::hub::LinkedHub;
use dps_model::instance::{AccessPolicy, Instance, Resource, Right};
use dps_model::limits;
use dps_model::network::NetworkAccess;
use dps_model::{Etag, HubName, Secret, Timestamp};
use dps_store::{OpenOptions, SqliteStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::authority::{self, Authority};
use super::controls::Controls;
use super::env_file::DevEnv;
use super::faults::{Faults, FaultyHubFront, FaultyHubs, FaultyNotifications, FaultyWebhook};
use super::hosting::DevHosting;
use super::hubs::LinkedHubs;
use super::identity_providers;
use super::settings::{Settings, decode};
use crate::cli::DevOptions;
use crate::config::{
    DestinationKind, DestinationSettings, WorkspaceSettings, end_of, environment, telemetry_of_environment,
};
use crate::server::alerting::Webhooks;
use crate::server::data_dir::DataDir;
use crate::server::destinations;
use crate::server::place::WorkspacePlace;
use crate::server::ports::{Ports, listen, port};
use crate::server::regions;
use crate::server::rooms::{self, Outside, Site};
use crate::server::running::{Run, Running};
use crate::server::sessions;
use crate::server::watching::{Plan, Watching};

/// Name of the default instance.
const INSTANCE: &str = "muster-dev";
/// Shared access policy of the service API.
const SERVICE_POLICY: &str = "provisioningserviceowner";
/// Region that resource ids and logs name.
const LOCATION: &str = "local";

/// The attempt log of a server that is tried out: 256 MiB.
const ATTEMPTS: Segments =
    Segments { size: 16 * 1024 * 1024, count: limits::MAX_ATTEMPT_SEGMENTS, age: limits::MAX_ATTEMPT_AGE };

/// A running server.
pub struct Server {
    /// What it announces.
    pub env: DevEnv,
    directory: DataDir,
    store: Arc<SqliteStore>,
    watching: Watching,
    running: Running,
}

impl Server {
    /// Starts everything; when it returns, every listener accepts and `dev.env` is written.
    pub async fn start(
        options: &DevOptions,
        listener: Listener,
        hook: Arc<dyn Hook>,
    ) -> anyhow::Result<Self> {
        let directory = DataDir::open(&options.data_dir)?;
        directory.remove("dev.env")?; // of a process that was killed
        let (ports, controls) = (bind(options)?, Controls::default());
        let clock = controls.clock();
        let hubs = hub_names(options)?;
        let authority = Authority::open(&directory, clock.now())?;
        let (tls, certificate_end) = tls(&directory, &authority, options, &hubs, clock.now())?;
        let hosting =
            DevHosting::new(authority, Arc::clone(&tls), Arc::clone(&clock), INSTANCE, &options.hosts, &hubs);
        let store = Arc::new(SqliteStore::open(OpenOptions::in_directory(directory.path())).await?);
        let shared = Arc::clone(&store) as Arc<dyn Store>;
        let settings = Settings::open(shared.as_ref()).await?;
        let metrics = Arc::new(Metrics::new());
        let plan = Plan {
            store: Arc::clone(&shared),
            clock: Arc::clone(&clock),
            metrics: Arc::clone(&metrics),
            place: place(&settings),
            folder: directory.file("workspace"),
            workspace: &WorkspaceSettings::default(),
            destinations: destinations::open(&[export(&directory, settings.subscription_id)], &clock)?,
            log: attempts(&directory)?,
        };
        let mut watching = Watching::open(plan, listener).await?;
        let env = announce(options, &directory, &ports, &settings, &hubs)?;
        let throttle = Arc::new(Throttle::new(options.limits, Arc::clone(&clock)));
        let outside = watching.outside(shared, Arc::clone(&clock), throttle, Arc::clone(&metrics));
        let outside = Outside { sink: controls.sink(watching.sink()), ..outside };
        let own = OwnHubs::open(&outside, &settings, options, hubs, hook)?;
        let faults = &controls.faults;
        let mut site = site(&outside, &directory, &settings, options, &own, faults, hosting).await?;
        controls.join(&mut site, &outside, settings.bearer_token.clone().into(), &options.hosts);
        let instances = Arc::clone(&site.instances);
        watching.begin(&mut site, &outside)?;
        let rooms = rooms::join(&outside, site, watching.place()).await?;
        dps_core::enrollment::mend(outside.store.as_ref(), &rooms.instances).await?;
        rooms.life.resume().await;
        controls.begin(&rooms, &outside, own.hubs, &watching.settings, own.first);
        let host = options.hosts.first().cloned().unwrap_or_default();
        let running = Running::start(Run {
            rooms,
            outside,
            tls,
            ports,
            metrics,
            probe_interval: Duration::from_secs(limits::LINK_PROBE_INTERVAL),
            certificates: None,
            certificate_ends: Arc::new(move || vec![(host.clone(), certificate_end)]),
        });
        if let Some(settings) = telemetry_of_environment(environment::variable).map_err(anyhow::Error::msg)? {
            watching.export(&settings, outbound_tls(&directory)?, &running.health)?;
        }
        watching.keep_up(instances);
        directory.write("dev.env", &env.text())?;
        Ok(Self { env, directory, store, watching, running })
    }

    /// Takes no new work, lets the work in flight end, and closes everything.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.directory.remove("dev.env")?;
        self.running.stop(Duration::from_secs(limits::DRAIN_TIMEOUT)).await;
        self.watching.close().await;
        self.store.close().await?;
        Ok(())
    }
}

fn attempts(directory: &DataDir) -> anyhow::Result<AttemptLog> {
    AttemptLog::bounded(&directory.file("logs"), ATTEMPTS).context("cannot open the folder of logs")
}

/// Where the workspace is.
fn place(settings: &Settings) -> WorkspacePlace {
    let (id, subscription) = (settings.workspace_id, settings.subscription_id);
    WorkspacePlace { id, subscription, addresses: AddressMask::default() }
}

/// A directory that diagnostic settings may send to, under the id of a storage account.
fn export(directory: &DataDir, subscription: uuid::Uuid) -> DestinationSettings {
    let account = "providers/microsoft.storage/storageaccounts/muster";
    DestinationSettings {
        id: format!("/subscriptions/{subscription}/resourcegroups/muster/{account}"),
        kind: DestinationKind::Directory(directory.file("export")),
        trusted: Vec::new(),
    }
}

/// Binds all ports, or names the one that cannot be.
fn bind(options: &DevOptions) -> anyhow::Result<Ports> {
    let https = match options.https_port {
        Some(port) => listen("--https-port", options.bind, port)?,
        None => listen("--https-port", options.bind, 443)
            .or_else(|_| listen("--https-port", options.bind, 8443))?,
    };
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Ok(Ports {
        https,
        mqtt: listen("--mqtt-port", options.bind, options.mqtt_port)?,
        amqp: listen("--amqp-port", options.bind, options.amqp_port)?,
        http: match options.http_port {
            0 => None,
            port => Some(listen("--http-port", loopback, port)?),
        },
    })
}

/// The development hubs of this server.
struct OwnHubs {
    /// The default instance that has them all.
    first: Instance,
    key: Secret,
    hubs: Arc<DevHubs>,
}

impl OwnHubs {
    fn open(
        outside: &Outside,
        settings: &Settings,
        options: &DevOptions,
        names: Vec<HubName>,
        hook: Arc<dyn Hook>,
    ) -> anyhow::Result<Self> {
        let (clock, sink) = (Arc::clone(&outside.clock), Arc::clone(&outside.sink));
        let key = decode(&settings.hub_key)?;
        let first = instance(settings, &names, &options.hub_locations)?;
        let hubs = DevHubs::new(&outside.store, clock, sink, names, key.clone(), hook);
        Ok(Self { first, key, hubs: Arc::new(hubs) })
    }
}

/// The development hubs beside the device API, and the default instance.
async fn site(
    outside: &Outside,
    directory: &DataDir,
    settings: &Settings,
    options: &DevOptions,
    own: &OwnHubs,
    faults: &Faults,
    hosting: DevHosting,
) -> anyhow::Result<Site> {
    let clock = || Arc::clone(&outside.clock);
    let struck = || faults.clone();
    let tls = outbound_tls(directory)?;
    let rest = RestHubs::new(clock(), tls.clone())?;
    let token = settings.bearer_token.clone().into();
    let access = identity_providers::access(token, &options.identity_providers, tls.clone())?;
    let renewed = |kept: &mut Instance, wanted| renew(kept, wanted, &own.key);
    let instances = Instances::open(Arc::clone(&outside.store), own.first.clone(), renewed).await?;
    let instances = Arc::new(instances);
    let access = access.with_sessions(sessions::of(&instances));
    let webhook = Arc::new(HttpWebhook::new(tls, PlainWebhooks::Loopback)?);
    let notifications = Arc::new(Webhooks(Arc::clone(&webhook)));
    let linked = Arc::new(LinkedHubs { own: Arc::clone(&own.hubs), rest });
    let front = FaultyHubFront {
        hubs: Arc::clone(&own.hubs),
        faults: struck(),
        sink: Arc::clone(&outside.sink),
        clock: clock(),
    };
    let front = Arc::new(front);
    Ok(Site {
        instances,
        access: Arc::new(access),
        mode: "dev",
        hosting: Arc::new(hosting),
        hubs: Arc::new(FaultyHubs { then: linked, faults: struck() }),
        notifications: Arc::new(FaultyNotifications { then: notifications, faults: struck() }),
        webhook: Arc::new(FaultyWebhook { then: webhook, faults: struck() }),
        regions: Arc::new(regions::read(options.regions.as_deref(), options.latencies.as_deref())?),
        challenges: ChallengeSecret::new(&decode(&settings.challenge_secret)?),
        limits: options.limits,
        plain_webhooks: PlainWebhooks::Loopback,
        bounds: Bounds::default(),
        queries: None,
        http: vec![Arc::clone(&front) as _],
        telling_hubs: own.hubs.names().map(|name| name.as_str().to_owned()).collect(),
        devices: vec![front as _],
        transport: Arc::clone(&faults.wires) as _,
        before_core: Box::new(|core| core),
    })
}

/// Links to development hubs of this server follow the options, but keep what was set over ARM; links to other hubs,
/// keys, scope and the rest stay. A hub that is no longer named is known by the key that all of them share.
fn renew(kept: &mut Instance, wanted: Instance, own_key: &Secret) {
    let is_own =
        |hub: &LinkedHub| hub.connection.policy == dps_devhub::POLICY && hub.connection.key == *own_key;
    let mut links = wanted.linked_hubs;
    for link in &mut links {
        if let Some(before) = kept.linked_hubs.iter().find(|hub| hub.name.key() == link.name.key()) {
            link.allocation_weight = before.allocation_weight;
            link.apply_allocation_policy = before.apply_allocation_policy;
            if link.location == LOCATION {
                link.location.clone_from(&before.location);
            }
        }
    }
    for hub in kept.linked_hubs.drain(..) {
        if !is_own(&hub) && links.iter().all(|link| link.name.key() != hub.name.key()) {
            links.push(hub);
        }
    }
    kept.linked_hubs = links;
    kept.resource_id = wanted.resource_id;
    kept.location = wanted.location;
}

/// Towards hubs that are not of this server, webhooks and identity providers: the dev CA is trusted besides what the
/// machine trusts.
fn outbound_tls(directory: &DataDir) -> anyhow::Result<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let ca = directory.read("ca.pem")?.unwrap_or_default();
    let roots = CertificateDer::pem_slice_iter(ca.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    Ok(dps_hub::client_config(provider, roots)?)
}

fn hub_names(options: &DevOptions) -> anyhow::Result<Vec<HubName>> {
    let names =
        if options.hubs.is_empty() { options.hosts.get(..1).unwrap_or_default() } else { &options.hubs };
    let mut hubs: Vec<HubName> = Vec::with_capacity(names.len());
    for name in names {
        let hub = HubName::parse(name).with_context(|| format!("--hub {name}"))?;
        // Named twice, a hub would have twice its share of the devices.
        if hubs.iter().all(|other| other.key() != hub.key()) {
            hubs.push(hub);
        }
    }
    Ok(hubs)
}

fn tls(
    directory: &DataDir,
    authority: &Authority,
    options: &DevOptions,
    hubs: &[HubName],
    now: Timestamp,
) -> anyhow::Result<(Arc<ServerTls>, Timestamp)> {
    let mut names = options.hosts.clone();
    names.extend(hubs.iter().map(|hub| hub.as_str().to_owned()));
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.to_ascii_lowercase()));
    let certificate = authority::server_certificate(directory, authority, &names, now)?;
    let end = end_of(certificate.chain.as_bytes())?;
    let tls = ServerTls::new(Identity::from_pem(certificate.chain.as_bytes(), certificate.key.as_bytes())?)?;
    Ok((Arc::new(tls), end))
}

/// The default instance, as the first start makes it.
fn instance(
    settings: &Settings,
    hubs: &[HubName],
    locations: &[(String, String)],
) -> anyhow::Result<Instance> {
    let location = |name: &HubName| {
        let said = locations.iter().rev().find(|(hub, _)| hub.eq_ignore_ascii_case(name.as_str()));
        said.map_or(LOCATION, |(_, region)| region)
    };
    let linked = |name: &HubName| -> anyhow::Result<LinkedHub> {
        Ok(LinkedHub {
            name: name.clone(),
            connection: ConnectionString {
                host: name.as_str().to_owned(),
                policy: dps_devhub::POLICY.to_owned(),
                key: decode(&settings.hub_key)?,
            },
            allocation_weight: 1,
            apply_allocation_policy: true,
            location: location(name).to_owned(),
        })
    };
    Ok(Instance {
        name: INSTANCE.to_owned(),
        id_scope: settings.id_scope.clone(),
        allocation_policy: AllocationPolicy::Hashed,
        linked_hubs: hubs.iter().map(linked).collect::<anyhow::Result<_>>()?,
        access_policies: vec![AccessPolicy {
            name: SERVICE_POLICY.to_owned(),
            primary: decode(&settings.service_key)?,
            secondary: decode(&settings.service_key_secondary)?,
            // What Azure stores for the owner, and treats as everything.
            rights: vec![Right::ServiceConfig, Right::DeviceConnect, Right::EnrollmentWrite],
        }],
        resource_id: resource_id(settings),
        location: LOCATION.to_owned(),
        certificates: Vec::new(),
        network: NetworkAccess::default(),
        disable_local_auth: false,
        resource: Resource::default(),
        rows: None,
        etag: Etag::fresh(),
    })
}

fn resource_id(settings: &Settings) -> String {
    format!(
        "/subscriptions/{}/resourceGroups/muster/providers/Microsoft.Devices/provisioningServices/{INSTANCE}",
        settings.subscription_id
    )
}

fn announce(
    options: &DevOptions,
    directory: &DataDir,
    ports: &Ports,
    settings: &Settings,
    hubs: &[HubName],
) -> anyhow::Result<DevEnv> {
    let host = options.hosts.first().context("--host needs a name")?;
    let https = port(&ports.https)?;
    let address = |host: &str| with_port(host, https);
    let connection = |host: &str, policy: &str, key: &str| {
        format!("HostName={};SharedAccessKeyName={policy};SharedAccessKey={key}", address(host))
    };
    let hub = hubs.first().map_or(host.as_str(), HubName::as_str);
    let url = format!("https://{}", address(host));
    let http = ports.http.as_ref().map(port).transpose()?;
    let portal = http.map_or_else(|| url.clone(), |port| format!("http://127.0.0.1:{port}"));
    let pairs = vec![
        ("MUSTER_ID_SCOPE", settings.id_scope.to_string()),
        ("MUSTER_DEVICE_HOST", host.clone()),
        ("MUSTER_HTTPS_PORT", https.to_string()),
        ("MUSTER_MQTT_PORT", port(&ports.mqtt)?.to_string()),
        ("MUSTER_AMQP_PORT", port(&ports.amqp)?.to_string()),
        ("MUSTER_HTTP_PORT", http.unwrap_or(0).to_string()),
        ("MUSTER_CA_FILE", directory.file("ca.pem").display().to_string()),
        ("MUSTER_SERVICE_CONNECTION_STRING", connection(host, SERVICE_POLICY, &settings.service_key)),
        ("MUSTER_HUB_HOST", hub.to_owned()),
        ("MUSTER_HUB_CONNECTION_STRING", connection(hub, dps_devhub::POLICY, &settings.hub_key)),
        ("MUSTER_RESOURCE_ID", resource_id(settings)),
        ("MUSTER_MANAGEMENT_URL", url.clone()),
        ("MUSTER_LOGS_URL", url),
        ("MUSTER_WORKSPACE_ID", settings.workspace_id.to_string()),
        ("MUSTER_BEARER_TOKEN", settings.bearer_token.clone()),
        ("MUSTER_PORTAL_URL", portal),
    ];
    Ok(DevEnv { pairs })
}

/// Host and port as a URL has them; 443 is left out, an IPv6 address is bracketed.
fn with_port(host: &str, port: u16) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    if port == 443 { host } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use dps_model::{HubName, Secret};

    use super::{Settings, instance, renew};

    fn settings() -> Settings {
        let key = |byte: u8| super::super::settings::base64(&Secret::new(vec![byte; 32]));
        Settings {
            id_scope: dps_model::IdScope::fresh(),
            subscription_id: uuid::Uuid::nil(),
            workspace_id: uuid::Uuid::nil(),
            bearer_token: "token".into(),
            service_key: key(1),
            service_key_secondary: key(2),
            hub_key: key(3),
            challenge_secret: key(4),
        }
    }

    #[test]
    fn restart_keeps_hubs_linked_over_arm_and_follows_the_options_for_its_own() {
        let settings = settings();
        let named = |names: &[&str]| {
            let hubs: Vec<_> = names.iter().map(|name| HubName::parse(name).unwrap()).collect();
            instance(&settings, &hubs, &[]).unwrap()
        };
        let mut kept = named(&["hub-a.test", "hub-b.test"]);
        kept.linked_hubs[0].allocation_weight = 7;
        let mut foreign = named(&["far.example"]).linked_hubs.remove(0);
        foreign.connection.key = Secret::new(vec![9; 32]);
        kept.linked_hubs.push(foreign);

        let hub_key = Secret::new(vec![3; 32]);
        renew(&mut kept, named(&["HUB-A.test", "hub-c.test"]), &hub_key);
        let links: Vec<_> =
            kept.linked_hubs.iter().map(|hub| (hub.name.as_str(), hub.allocation_weight)).collect();
        assert_eq!(links, [("HUB-A.test", 7), ("hub-c.test", 1), ("far.example", 1)]);
    }
}

//! Joins the rooms into one running server, and takes it apart again in the reverse order.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use anyhow::Context as _;
use dps_access::AccessControl;
use dps_attestation::tpm::ChallengeSecret;
use dps_core::ports::{Clock, Store, SystemClock};
use dps_core::{Instances, Throttle};
use dps_devhub::{DevHubs, Hook};
use dps_device_api::{Identity, ServerTls};
use dps_events::recorder::Listener;
use dps_events::{AttemptLog, EventSink, Metrics, Recorder};
use dps_hub::RestHubs;
use dps_model::connection_string::ConnectionString;
use dps_model::enrollment::{AllocationPolicy, PlainWebhooks};
use dps_model::hub::LinkedHub;
use dps_model::instance::{AccessPolicy, Instance, Resource, Right};
use dps_model::limits::Profile;
use dps_model::network::NetworkAccess;
use dps_model::{Etag, HubName, Timestamp};
use dps_store::{OpenOptions, SqliteStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::authority;
use super::env_file::DevEnv;
use super::hubs::LinkedHubs;
use super::settings::{Settings, decode};
use crate::cli::DevOptions;
use crate::server::data_dir::DataDir;
use crate::server::ports::{Ports, listen, port};
use crate::server::rooms::{self, Outside, Site};
use crate::server::running::Running;

/// Name of the default instance.
const INSTANCE: &str = "muster-dev";
/// Shared access policy of the service API.
const SERVICE_POLICY: &str = "provisioningserviceowner";
/// Region that resource ids and logs name.
const LOCATION: &str = "local";

/// A running server.
pub struct Server {
    /// What it announces.
    pub env: DevEnv,
    directory: DataDir,
    store: Arc<SqliteStore>,
    recorder: Arc<Recorder>,
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
        let ports = bind(options)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let hubs = hub_names(options)?;
        let tls = Arc::new(tls(&directory, options, &hubs, clock.now())?);
        let store = Arc::new(SqliteStore::open(OpenOptions::in_directory(directory.path())).await?);
        let shared: Arc<dyn Store> = Arc::clone(&store) as Arc<dyn Store>;
        let settings = Settings::open(shared.as_ref()).await?;
        let metrics = Arc::new(Metrics::new());
        let log = AttemptLog::open(&directory.file("logs")).context("cannot open the folder of logs")?;
        let recorder = Arc::new(Recorder::start(Arc::clone(&metrics), log, listener)?);
        let sink: Arc<dyn EventSink> = Arc::clone(&recorder) as Arc<dyn EventSink>;
        let env = announce(options, &directory, &ports, &settings, &hubs)?;

        let throttle = Arc::new(Throttle::new(options.limits, Arc::clone(&clock)));
        let outside = Outside { store: shared, clock, sink, throttle: Arc::clone(&throttle) };
        let site = site(&outside, &directory, &settings, options.limits, hubs, hook).await?;
        let running = Running::start(rooms::join(&outside, site)?, &tls, ports, metrics, throttle);
        directory.write("dev.env", &env.text())?;
        Ok(Self { env, directory, store, recorder, running })
    }

    /// Takes no new work, lets the work in flight end, and closes everything.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.directory.remove("dev.env")?;
        self.running.stop().await;
        self.store.close().await?;
        tokio::task::block_in_place(|| self.recorder.close());
        Ok(())
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

/// The development hubs beside the device API, and the default instance.
async fn site(
    outside: &Outside,
    directory: &DataDir,
    settings: &Settings,
    limits: Profile,
    hubs: Vec<HubName>,
    hook: Arc<dyn Hook>,
) -> anyhow::Result<Site> {
    let (clock, sink) = (|| Arc::clone(&outside.clock), || Arc::clone(&outside.sink));
    let instance = instance(settings, &hubs)?;
    let key = decode(&settings.hub_key)?;
    let own = Arc::new(DevHubs::new(&outside.store, clock(), sink(), hubs, key, hook));
    let rest = linked_by_rest(directory, clock())?;
    let instances = Instances::open(Arc::clone(&outside.store), instance, renew).await?;
    Ok(Site {
        instances: Arc::new(instances),
        access: Arc::new(access(settings)),
        hubs: Arc::new(LinkedHubs { own: Arc::clone(&own), rest }),
        challenges: ChallengeSecret::new(&decode(&settings.challenge_secret)?),
        limits,
        plain_webhooks: PlainWebhooks::Loopback,
        http: vec![Arc::clone(&own) as _],
        devices: vec![own as _],
    })
}

/// The token of `dev.env` does everything, on the control plane and on the service API.
fn access(settings: &Settings) -> AccessControl {
    AccessControl::local().with_management_token(settings.bearer_token.clone().into())
}

/// Links, resource id and location follow the options; keys, scope and the rest stay.
fn renew(kept: &mut Instance, wanted: Instance) {
    kept.linked_hubs = wanted.linked_hubs;
    kept.resource_id = wanted.resource_id;
    kept.location = wanted.location;
}

/// The client of hubs that are not of this server; the dev CA is trusted besides what the machine trusts.
fn linked_by_rest(directory: &DataDir, clock: Arc<dyn Clock>) -> anyhow::Result<RestHubs> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let ca = directory.read("ca.pem")?.unwrap_or_default();
    let roots = CertificateDer::pem_slice_iter(ca.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    Ok(RestHubs::new(clock, dps_hub::client_config(provider, roots)?)?)
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
    options: &DevOptions,
    hubs: &[HubName],
    now: Timestamp,
) -> anyhow::Result<ServerTls> {
    let mut names = options.hosts.clone();
    names.extend(hubs.iter().map(|hub| hub.as_str().to_owned()));
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.to_ascii_lowercase()));
    let certificate = authority::server_certificate(directory, &names, now)?;
    Ok(ServerTls::new(Identity::from_pem(certificate.chain.as_bytes(), certificate.key.as_bytes())?)?)
}

/// The default instance, as the first start makes it.
fn instance(settings: &Settings, hubs: &[HubName]) -> anyhow::Result<Instance> {
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
            location: LOCATION.to_owned(),
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

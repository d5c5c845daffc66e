//! The file as a whole: its syntax, its tables in order, and what must hold between them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use dps_core::allocation::regions::RegionMap;
use dps_events::AddressMask;
use dps_model::limits::{MAX_IDENTITY_PROVIDERS, Profile, Throttles};
use dps_model::{Secret, Timestamp, limits};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use toml::de::DeTable;

use super::environment::Variable;
use super::instance::Wildcards;
use super::problem::{Problem, Problems, Weight, position};
use super::section::{At, Reading, Section};
use super::{
    AttemptSettings, CertificateFiles, Config, DeclaredInstance, DestinationKind, DestinationSettings,
    HubSettings, LimitSettings, Listeners, LogSettings, LogTarget, Read, ServerCertificate,
    WorkspaceSettings, destination, identity, instance, schema, secret, telemetry,
};
use crate::server::regions;

/// Reads a file.
pub fn file(file: &Path, now: Timestamp, variable: Variable) -> anyhow::Result<Read> {
    let bytes = secret::bounded(file).map_err(anyhow::Error::msg)?;
    let text = String::from_utf8(bytes).with_context(|| format!("{} is no UTF-8", file.display()))?;
    let absolute = std::path::absolute(file)?;
    let folder = absolute.parent().unwrap_or(Path::new("/")).to_owned();
    let (table, mistakes) = DeTable::parse_recoverable(&text);
    if !mistakes.is_empty() {
        let problem = |mistake: &toml::de::Error| {
            let (line, column) = position(&text, mistake.span().map_or(0, |span| span.start));
            let message = mistake.message().replace('\n', ", ");
            Problem { weight: Weight::Error, line, column, message }
        };
        let found = mistakes.iter().map(problem).collect();
        return Ok(Read { config: None, problems: Problems::of(file, found), effective: String::new() });
    }
    let reading = Reading::new(&text, &folder, variable);
    let config = whole(&reading, table.get_ref(), now);
    let (found, effective) = reading.end();
    let problems = Problems::of(file, found);
    let config = (!problems.any_error()).then_some(config);
    Ok(Read { config, problems, effective })
}

fn whole<'a>(reading: &'a Reading<'a>, table: &'a DeTable<'a>, now: Timestamp) -> Config {
    let root = Section::new(reading, &schema::ROOT, Some(table), 0);
    let server = root.table("server");
    let (data_dir, drain) = (server.path("data_dir"), server.time("drain"));
    let drain_grace = server.time("drain_grace");
    let listeners = listeners(&root.table("listeners"));
    let (certificates, served) = certificates(&root, now);
    let instances = instances(&root, &served, now);
    let hubs = hubs(&root.table("hubs"));
    let regions = regions(&root.table("regions"));
    let limits = limits(&root.table("limits"));
    let (bearer_token, subscription) = management(&root.table("management"));
    let providers = root.tables("identity_provider");
    if let Some(first) = providers.get(MAX_IDENTITY_PROVIDERS) {
        let message = format!("a server asks at most {MAX_IDENTITY_PROVIDERS} identity providers");
        reading.wrong(first.at, message);
    }
    let identity_providers = providers.iter().filter_map(identity::read).collect();
    let log = log(&root.table("log"));
    let attempts = root.table("attempts");
    let destinations = destination::read(&root.tables("destination"));
    Config {
        data_dir: At::taken(data_dir),
        drain: At::taken(drain),
        drain_grace: At::taken(drain_grace),
        listeners,
        certificates,
        instances,
        hubs,
        regions,
        limits,
        bearer_token,
        subscription,
        identity_providers,
        log,
        attempts: AttemptSettings {
            folder: attempts.path("folder").map(|path| path.value),
            segment_size: At::taken(attempts.size("segment_size")),
            segments: usize::try_from(At::taken(attempts.integer("segments"))).unwrap_or(1),
            keep_for: At::taken(attempts.time("keep_for")),
        },
        workspace: workspace(&root.table("workspace"), &destinations),
        destinations,
        telemetry: telemetry::read(&root.table("telemetry")),
    }
}

fn listeners(section: &Section<'_>) -> Listeners {
    let bind = section.address("bind").map_or(std::net::Ipv4Addr::UNSPECIFIED.into(), |bind| bind.value);
    let (https, mqtt, amqp) =
        (section.port("https_port"), section.port("mqtt_port"), section.port("amqp_port"));
    let on: bool = At::taken(section.switch("http"));
    let (http_bind, http_port) = (section.address("http_bind"), section.port("http_port"));
    let mut taken = HashSet::new();
    for (name, port) in
        [("https_port", https), ("mqtt_port", mqtt), ("amqp_port", amqp), ("http_port", http_port)]
    {
        if port != 0 && (name != "http_port" || on) && !taken.insert(port) {
            section.reading.wrong(section.at, format!("{name} is {port}, which another listener has"));
        }
    }
    if let Some(bind) = http_bind.as_ref().filter(|bind| on && !bind.value.is_loopback()) {
        let message = "the plain listener is not on loopback: who reaches it reads metrics and health";
        section.reading.doubtful(bind.at, message);
    }
    let http = http_bind.filter(|_| on).map(|bind| (bind.value, http_port));
    Listeners { bind, https, mqtt, amqp, http }
}

fn certificates(root: &Section<'_>, now: Timestamp) -> (Vec<CertificateFiles>, Vec<ServerCertificate>) {
    let reading = root.reading;
    let sections = root.tables("certificate");
    if sections.is_empty() {
        reading.wrong(root.at, "there is no [[certificate]]: a server needs a chain and a key");
    }
    let mut seen = HashSet::new();
    let (mut certificates, mut served) = (Vec::new(), Vec::new());
    for section in &sections {
        let (chain, key) = (section.path("chain"), section.path("key"));
        let hosts = instance::hosts(section, "hosts", Wildcards::Taken);
        let (Some(chain), Some(key)) = (chain, key) else { continue };
        let files = CertificateFiles { chain: chain.value, key: key.value, hosts };
        match files.load() {
            Err(why) => reading.wrong(chain.at, why),
            Ok(certificate) => {
                if let Some(doubt) = certificate.doubt(now) {
                    reading.doubtful(chain.at, doubt);
                }
                if let Some(doubt) = files.doubt() {
                    reading.doubtful(key.at, doubt);
                }
                for host in certificate.hosts.iter().filter(|host| !seen.insert((*host).clone())) {
                    reading.doubtful(section.at, format!("{host} has a certificate already; this one wins"));
                }
                served.push(certificate);
            }
        }
        certificates.push(files);
    }
    if seen.len() > limits::MAX_SERVER_NAMES {
        let most = limits::MAX_SERVER_NAMES;
        reading.wrong(root.at, format!("the certificates have more than {most} host names together"));
    }
    (certificates, served)
}

fn instances(root: &Section<'_>, served: &[ServerCertificate], now: Timestamp) -> Vec<DeclaredInstance> {
    let reading = root.reading;
    let sections = root.tables("instance");
    if sections.is_empty() {
        reading.wrong(root.at, "there is no [[instance]]: a server has at least one provisioning service");
    }
    let (mut names, mut scopes, mut hosts) = (HashSet::new(), HashSet::new(), HashSet::new());
    let mut instances = Vec::new();
    for section in &sections {
        let instance = instance::read(section, now);
        if !names.insert(instance.name.to_ascii_lowercase()) {
            reading.wrong(section.at, format!("the instance \"{}\" is there twice", instance.name));
        }
        if let Some(scope) = instance.id_scope.as_ref().filter(|scope| !scopes.insert(scope.key())) {
            reading.wrong(section.at, format!("the id scope {scope} is another instance's"));
        }
        for host in instance.hosts.iter().filter(|host| !hosts.insert((*host).clone())) {
            reading.wrong(section.at, format!("the host name {host} is another instance's"));
        }
        // Certificates that cannot be read are told already.
        for host in instance.hosts.iter().filter(|_| !served.is_empty()) {
            if !served.iter().any(|certificate| certificate.covers(host)) {
                let message = format!("no certificate names {host}: clients that check names will refuse it");
                reading.doubtful(section.at, message);
            }
        }
        instances.push(instance);
    }
    instances
}

fn hubs(section: &Section<'_>) -> HubSettings {
    HubSettings { trusted: trusted_ca(section), probe_interval: At::taken(section.time("probe_interval")) }
}

/// The CAs of a table's `trusted_ca`.
pub(super) fn trusted_ca(section: &Section<'_>) -> Vec<u8> {
    let Some(path) = section.path("trusted_ca") else { return Vec::new() };
    let read = secret::bounded(&path.value).and_then(|pem| {
        let roots = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
        let some = roots.is_ok_and(|roots| !roots.is_empty());
        some.then_some(pem).ok_or_else(|| format!("{} holds no certificate in PEM", path.value.display()))
    });
    read.map_err(|why| section.reading.wrong(path.at, why)).unwrap_or_default()
}

/// The error names the file, the line and the column in it.
fn regions(section: &Section<'_>) -> RegionMap {
    let path = |name| section.path(name).map(|path| path.value);
    let (networks, latencies) = (path("networks"), path("latencies"));
    let map = regions::read(networks.as_deref(), latencies.as_deref());
    map.map_err(|error| section.reading.wrong(section.at, format!("{error:#}"))).unwrap_or_default()
}

fn limits(section: &Section<'_>) -> LimitSettings {
    let name: String = At::taken(section.text("profile"));
    let profile = Profile::parse(&name).unwrap_or_default();
    let of_profile = profile.throttles();
    let rate = |name, otherwise| section.rate(name).map_or(otherwise, |rate| rate.value);
    let throttles = Throttles {
        registrations: rate("registrations", of_profile.registrations),
        service_operations: rate("service_operations", of_profile.service_operations),
        polls: rate("polls", of_profile.polls),
    };
    let count = |name| usize::try_from(At::taken(section.integer(name))).unwrap_or(1);
    LimitSettings { profile, throttles, connections: count("connections"), handshakes: count("handshakes") }
}

fn management(section: &Section<'_>) -> (Option<Secret>, Option<uuid::Uuid>) {
    let token = section.secret("bearer_token");
    if let Some(token) = token.as_ref().filter(|token| token.value.expose().len() < limits::MIN_BEARER_TOKEN)
    {
        let least = limits::MIN_BEARER_TOKEN;
        section.reading.wrong(token.at, format!("bearer_token must have at least {least} characters"));
    }
    let subscription = section.text("subscription").and_then(|text| {
        let read = uuid::Uuid::parse_str(&text.value);
        read.map_err(|_| section.reading.wrong(text.at, "subscription must be a GUID")).ok()
    });
    (token.map(|token| token.value), subscription)
}

fn log(section: &Section<'_>) -> LogSettings {
    let level: String = At::taken(section.text("level"));
    let json = At::taken(section.text("format")) == "json";
    let to = match At::taken(section.text("to")).as_str() {
        "stderr" | "" => LogTarget::Stderr,
        "stdout" => LogTarget::Stdout,
        path => LogTarget::File(section.reading.folder.join(PathBuf::from(path))),
    };
    LogSettings { level: level.parse().unwrap_or(tracing::Level::INFO), json, to }
}

fn workspace(section: &Section<'_>, destinations: &[DestinationSettings]) -> WorkspaceSettings {
    let files = section.text("files").and_then(|id| {
        let named = destinations.iter().find(|it| it.id.eq_ignore_ascii_case(&id.value));
        let bucket = named.filter(|it| matches!(it.kind, DestinationKind::S3(_)));
        if bucket.is_none() {
            let message =
                format!("files is {:?}, which is the id of no [[destination]] of kind \"s3\"", id.value);
            section.reading.wrong(id.at, message);
        }
        bucket.cloned()
    });
    WorkspaceSettings {
        folder: section.path("folder").map(|path| path.value),
        files,
        keep_for: Some(At::taken(section.time("keep_for"))),
        keep_size: section.size("keep_size").map(|size| size.value),
        addresses: match At::taken(section.text("addresses")).as_str() {
            "full" => AddressMask::Full,
            "none" => AddressMask::None,
            _ => AddressMask::Masked,
        },
    }
}

#[cfg(test)]
mod tests;

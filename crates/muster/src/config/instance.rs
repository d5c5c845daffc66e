//! A provisioning service as the file declares it. Owns the checks of its members; must not know what is stored.

use std::collections::HashSet;

use dps_attestation::symmetric_key;
use dps_attestation::x509::signing_key_lookups;
use dps_model::attestation::Certificate;
use dps_model::connection_string::ConnectionString;
use dps_model::enrollment::AllocationPolicy;
use dps_model::hub::LinkedHub;
use dps_model::instance::Right;
use dps_model::network::{IpFilterAction, IpFilterRule, IpFilterTarget, IpMask};
use dps_model::{HubName, IdScope, Secret, Timestamp, limits};

use super::secret::bounded;
use super::section::{At, Section};

/// A provisioning service.
pub struct DeclaredInstance {
    /// Its name.
    pub name: String,
    /// What devices name it by, when the file says.
    pub id_scope: Option<IdScope>,
    /// Host names that are its own.
    pub hosts: Vec<String>,
    /// For enrollments that name none.
    pub allocation_policy: AllocationPolicy,
    /// Region.
    pub location: String,
    /// Resource group.
    pub resource_group: String,
    /// Refuses shared access signatures, when the file says.
    pub disable_local_auth: Option<bool>,
    /// Admits public networks, when the file says.
    pub public_network_access: Option<bool>,
    /// Linked hubs.
    pub hubs: Vec<LinkedHub>,
    /// Shared access policies.
    pub policies: Vec<DeclaredPolicy>,
    /// CA certificates.
    pub authorities: Vec<DeclaredCa>,
    /// IP filter rules; empty: the control plane's.
    pub ip_filters: Vec<IpFilterRule>,
}

/// A shared access policy.
pub struct DeclaredPolicy {
    /// Its name.
    pub name: String,
    /// What it allows.
    pub rights: Vec<Right>,
    /// First key, when the file says.
    pub primary: Option<Secret>,
    /// Second key, when the file says.
    pub secondary: Option<Secret>,
}

/// A CA certificate.
pub struct DeclaredCa {
    /// Its name.
    pub name: String,
    /// The certificate.
    pub certificate: Certificate,
    /// Under which chains find it.
    pub lookups: Vec<String>,
    /// Does it let devices in?
    pub verified: bool,
}

/// Reads one instance.
pub fn read(section: &Section<'_>, now: Timestamp) -> DeclaredInstance {
    let name = section.text("name");
    if let Some(name) = name.as_ref().filter(|name| !is_name(&name.value)) {
        let rule = "write 3 to 50 of a–z, A–Z, 0–9 and '-', the first and the last no '-'";
        section.reading.wrong(name.at, format!("\"{}\" is no name of an instance: {rule}", name.value));
    }
    let id_scope = section.text("id_scope").and_then(|text| {
        let read = IdScope::parse(&text.value);
        read.map_err(|error| section.reading.wrong(text.at, format!("id_scope: {error}"))).ok()
    });
    let policy = At::taken(section.text("allocation_policy"));
    DeclaredInstance {
        name: At::taken(name),
        id_scope,
        hosts: hosts(section, "hosts", Wildcards::Refused),
        allocation_policy: match policy.as_str() {
            "geoLatency" => AllocationPolicy::GeoLatency,
            "static" => AllocationPolicy::Static,
            _ => AllocationPolicy::Hashed,
        },
        location: At::taken(section.text("location")),
        resource_group: At::taken(section.text("resource_group")),
        disable_local_auth: section.switch("disable_local_auth").map(|read| read.value),
        public_network_access: section.switch("public_network_access").map(|read| read.value),
        hubs: hubs(section),
        policies: policies(section),
        authorities: authorities(section, now),
        ip_filters: ip_filters(section),
    }
}

/// May a host name begin with `*.`?
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wildcards {
    /// A certificate is for every name below.
    Taken,
    /// Callers ask for one name.
    Refused,
}

/// Host names, without ports.
pub fn hosts(section: &Section<'_>, key: &'static str, wildcards: Wildcards) -> Vec<String> {
    let texts = section.texts(key).unwrap_or_default();
    let host = |text: At<String>| {
        let below = text.value.strip_prefix("*.").filter(|_| wildcards == Wildcards::Taken);
        let bare = below.unwrap_or(&text.value);
        if HubName::parse(bare).is_err() || bare.contains(':') {
            let message =
                format!("\"{}\" is no host name; write one like dps.example.com, no port", text.value);
            section.reading.wrong(text.at, message);
        }
        text.value.to_ascii_lowercase()
    };
    texts.into_iter().map(host).collect()
}

/// The rule of ARM's names of provisioning services.
fn is_name(name: &str) -> bool {
    let inside = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    (limits::MIN_INSTANCE_NAME..=limits::MAX_INSTANCE_NAME).contains(&name.len())
        && inside
        && !name.starts_with('-')
        && !name.ends_with('-')
}

fn hubs(section: &Section<'_>) -> Vec<LinkedHub> {
    let sections = section.tables("hub");
    too_many(section, &sections, limits::MAX_LINKED_HUBS, "linked hubs");
    let mut seen = HashSet::new();
    let mut hubs = Vec::new();
    for hub in &sections {
        let reading = hub.reading;
        let connection = hub.secret("connection").and_then(|secret| {
            let parsed = std::str::from_utf8(secret.value.expose()).ok().map(ConnectionString::parse);
            let parsed = match parsed {
                None => Err("it is no text".to_owned()),
                Some(parsed) => parsed.map_err(|error| error.to_string()),
            };
            parsed.map_err(|why| reading.wrong(secret.at, format!("connection: {why}"))).ok()
        });
        let weight = hub.integer("weight").and_then(|read| u32::try_from(read.value).ok());
        let (allocate, location) = (hub.switch("allocate"), hub.text("location"));
        let Some(connection) = connection else { continue };
        let bare = connection.host.rsplit_once(':').map_or(connection.host.as_str(), |(name, _)| name);
        let name = match HubName::parse(bare) {
            Ok(name) => name,
            Err(error) => {
                reading.wrong(hub.at, format!("connection: HostName: {error}"));
                continue;
            }
        };
        if !seen.insert(name.key()) {
            reading.wrong(hub.at, format!("the hub {name} is linked twice"));
        }
        hubs.push(LinkedHub {
            name,
            connection,
            allocation_weight: weight.unwrap_or(1),
            apply_allocation_policy: At::taken(allocate),
            location: At::taken(location),
        });
    }
    hubs
}

fn policies(section: &Section<'_>) -> Vec<DeclaredPolicy> {
    let sections = section.tables("policy");
    too_many(section, &sections, limits::MAX_ACCESS_POLICIES, "shared access policies");
    let mut seen = HashSet::new();
    let mut policies = Vec::new();
    for policy in &sections {
        let name = At::taken(policy.text("name"));
        if !name.is_empty() && !seen.insert(name.to_ascii_lowercase()) {
            policy.reading.wrong(policy.at, format!("the policy \"{name}\" is there twice"));
        }
        let texts = policy.texts("rights").unwrap_or_default();
        let rights = texts.iter().filter_map(|text| right(policy, text)).collect();
        let key = |name| {
            let text = policy.secret(name)?;
            let read = std::str::from_utf8(text.value.expose()).map_err(|_| "it is no text".to_owned());
            let read = read.and_then(|text| symmetric_key::read(text).map_err(|error| error.to_string()));
            read.map_err(|why| policy.reading.wrong(text.at, format!("{name}: {why}"))).ok()
        };
        let (primary, secondary) = (key("primary_key"), key("secondary_key"));
        policies.push(DeclaredPolicy { name, rights, primary, secondary });
    }
    policies
}

fn right(section: &Section<'_>, text: &At<String>) -> Option<Right> {
    const RIGHTS: [(&str, Right); 6] = [
        ("ServiceConfig", Right::ServiceConfig),
        ("EnrollmentRead", Right::EnrollmentRead),
        ("EnrollmentWrite", Right::EnrollmentWrite),
        ("DeviceConnect", Right::DeviceConnect),
        ("RegistrationStatusRead", Right::RegistrationStatusRead),
        ("RegistrationStatusWrite", Right::RegistrationStatusWrite),
    ];
    let found = RIGHTS.iter().find(|(name, _)| *name == text.value).map(|(_, right)| *right);
    if found.is_none() {
        let known = RIGHTS.map(|(name, _)| name).join(", ");
        section.reading.wrong(text.at, format!("\"{}\" is no right; known are {known}", text.value));
    }
    found
}

fn authorities(section: &Section<'_>, now: Timestamp) -> Vec<DeclaredCa> {
    let sections = section.tables("ca");
    too_many(section, &sections, limits::MAX_CA_CERTIFICATES, "CA certificates");
    let mut seen = HashSet::new();
    let mut authorities = Vec::new();
    for ca in &sections {
        let reading = ca.reading;
        let (name, path, verified) =
            (At::taken(ca.text("name")), ca.path("certificate"), ca.switch("verified"));
        if !name.is_empty() && !seen.insert(name.to_ascii_lowercase()) {
            reading.wrong(ca.at, format!("the CA certificate \"{name}\" is there twice"));
        }
        let Some(path) = path else { continue };
        match authority(&path.value) {
            Err(why) => reading.wrong(path.at, why),
            Ok(certificate) => {
                if certificate.info.not_after_utc <= now {
                    let ended = certificate.info.not_after_utc;
                    reading.doubtful(path.at, format!("the CA certificate \"{name}\" expired at {ended}"));
                }
                let lookups = signing_key_lookups(&certificate.der).unwrap_or_default();
                authorities.push(DeclaredCa { name, certificate, lookups, verified: At::taken(verified) });
            }
        }
    }
    authorities
}

fn authority(path: &std::path::Path) -> Result<Certificate, String> {
    let bytes = bounded(path)?;
    let failed = |why: &str| format!("{}: {why}", path.display());
    let text = std::str::from_utf8(&bytes).map_err(|_| failed("it is no PEM"))?;
    let read = dps_attestation::x509::certificate::read_text(text);
    let read = read.map_err(|error| failed(&error.to_string()))?;
    let [parsed] = read.as_slice() else { return Err(failed("it must hold one certificate")) };
    if !parsed.may_be_ca() {
        return Err(failed("it is no CA certificate"));
    }
    Ok(Certificate { der: parsed.der().to_vec(), info: parsed.info().clone() })
}

fn ip_filters(section: &Section<'_>) -> Vec<IpFilterRule> {
    let sections = section.tables("ip_filter");
    too_many(section, &sections, limits::MAX_IP_FILTER_RULES, "IP filter rules");
    let mut rules = Vec::new();
    for rule in &sections {
        let (name, mask) = (At::taken(rule.text("name")), rule.text("mask"));
        let action = match At::taken(rule.text("action")).as_str() {
            "accept" => IpFilterAction::Accept,
            _ => IpFilterAction::Reject,
        };
        let target = match At::taken(rule.text("target")).as_str() {
            "serviceApi" => IpFilterTarget::ServiceApi,
            "deviceApi" => IpFilterTarget::DeviceApi,
            _ => IpFilterTarget::All,
        };
        let Some(mask) = mask else { continue };
        match IpMask::parse(&mask.value) {
            Ok(ip_mask) => rules.push(IpFilterRule { filter_name: name, action, ip_mask, target }),
            Err(error) => rule.reading.wrong(mask.at, error.to_string()),
        }
    }
    rules
}

fn too_many(section: &Section<'_>, tables: &[Section<'_>], most: usize, what: &str) {
    if let Some(first) = tables.get(most) {
        section.reading.wrong(first.at, format!("an instance has at most {most} {what}"));
    }
}

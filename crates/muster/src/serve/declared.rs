//! Makes the provisioning services what the file declares, and leaves what the control plane made beside it. Owns the
//! rule (`docs/reference/configuration.md`, "What the file owns"); must not know how the file is read.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use dps_attestation::symmetric_key;
use dps_core::Instances;
use dps_core::ports::{Clock, Collection, Store};
use dps_model::certificate_authority::CaCertificate;
use dps_model::instance::{AccessPolicy, Instance, Resource, Right};
use dps_model::network::NetworkAccess;
use dps_model::{Error, Etag, IdScope, Secret, Timestamp};

use super::announcement::Announcement;
use super::kept::{self, Declared, Members};
use crate::config::{DeclaredCa, DeclaredInstance, DeclaredPolicy};
use crate::server::data_dir::DataDir;

/// The policy of an instance that has none in the file.
const OWNER: &str = "provisioningserviceowner";

/// What making them needs to know.
pub struct Ground<'a> {
    /// Where they are kept.
    pub store: &'a Arc<dyn Store>,
    /// Where made keys are told.
    pub directory: &'a DataDir,
    /// What time it is.
    pub clock: &'a dyn Clock,
    /// Subscription that resource ids name.
    pub subscription: uuid::Uuid,
    /// Host by which the service API of an instance is called.
    pub host: &'a (dyn Fn(&DeclaredInstance) -> String + Sync),
}

/// Opens the instances, each declared one as the file says; the first is the default.
pub async fn open(declared: &[DeclaredInstance], ground: &Ground<'_>) -> anyhow::Result<Arc<Instances>> {
    let before = kept::declared(ground.store.as_ref()).await?;
    let now: Declared =
        declared.iter().map(|instance| (instance.name.to_ascii_lowercase(), members(instance))).collect();
    // Until all is made, both count as declared: a start that ends half way is no reason to keep what was removed.
    kept::declare(ground.store.as_ref(), &union(&before, &now)).await?;
    let (first, others) = declared.split_first().context("there is no [[instance]]")?;
    let instances = default(first, &before, ground).await?;
    instances.resume_deletions().await?;
    for instance in others {
        ensure(&instances, instance, &before, ground).await?;
    }
    kept::declare(ground.store.as_ref(), &now).await?;
    let hosts = |instance: &DeclaredInstance| {
        let name = instance.name.clone();
        instance.hosts.clone().into_iter().map(move |host| (host, name.clone())).collect::<Vec<_>>()
    };
    instances.name_hosts(declared.iter().flat_map(hosts));
    for instance in instances.all() {
        if !now.contains_key(&instance.name.to_ascii_lowercase()) {
            tracing::info!(instance = instance.name, "not in the file of settings; it stays as it is");
        }
    }
    Ok(Arc::new(instances))
}

/// The default instance. Keys are made, and told, only where none is kept.
async fn default(
    declared: &DeclaredInstance,
    before: &Declared,
    ground: &Ground<'_>,
) -> anyhow::Result<Instances> {
    let mut wanted = fresh(declared, ground);
    let id = declared.name.to_ascii_lowercase();
    if ground.store.get(Collection::Instances, "", &id).await?.is_none() {
        make(&mut wanted, declared, &Members::default(), ground)?;
    }
    let mut refused = None;
    let removed = of(before, declared);
    let renew = |kept: &mut Instance, _: Instance| {
        let mut changed = kept.clone();
        match make(&mut changed, declared, &removed, ground) {
            Ok(()) => *kept = changed,
            Err(error) => refused = Some(error),
        }
    };
    let instances = Instances::open(Arc::clone(ground.store), wanted, renew).await?;
    match refused {
        Some(error) => Err(error),
        None => Ok(instances),
    }
}

async fn ensure(
    instances: &Instances,
    declared: &DeclaredInstance,
    before: &Declared,
    ground: &Ground<'_>,
) -> anyhow::Result<()> {
    let failed = || format!("the instance \"{}\" cannot be made as the file says", declared.name);
    let Some(known) = instances.by_name(&declared.name) else {
        let mut instance = fresh(declared, ground);
        make(&mut instance, declared, &Members::default(), ground)?;
        instances.create(instance).await.with_context(failed)?;
        return Ok(());
    };
    let removed = of(before, declared);
    let change = |kept: &mut Instance| {
        make(kept, declared, &removed, ground).map_err(|error| Error::internal(format!("{error:#}")))
    };
    instances.change(&known, None, change).await.with_context(failed)?;
    Ok(())
}

/// An instance with nothing in it.
fn fresh(declared: &DeclaredInstance, ground: &Ground<'_>) -> Instance {
    Instance {
        name: declared.name.clone(),
        id_scope: declared.id_scope.clone().unwrap_or_else(IdScope::fresh),
        allocation_policy: declared.allocation_policy,
        linked_hubs: Vec::new(),
        access_policies: Vec::new(),
        certificates: Vec::new(),
        network: NetworkAccess::default(),
        disable_local_auth: false,
        resource_id: resource_id(declared, ground.subscription),
        location: declared.location.clone(),
        resource: Resource::default(),
        rows: None,
        etag: Etag::fresh(),
    }
}

fn resource_id(declared: &DeclaredInstance, subscription: uuid::Uuid) -> String {
    let DeclaredInstance { name, resource_group, .. } = declared;
    format!(
        "/subscriptions/{subscription}/resourceGroups/{resource_group}\
         /providers/Microsoft.Devices/provisioningServices/{name}"
    )
}

/// Makes an instance what the file declares; `removed` is what an earlier file declared.
fn make(
    instance: &mut Instance,
    declared: &DeclaredInstance,
    removed: &Members,
    ground: &Ground<'_>,
) -> anyhow::Result<()> {
    if let Some(scope) = declared.id_scope.as_ref().filter(|scope| scope.key() != instance.id_scope.key()) {
        let (name, kept) = (&declared.name, &instance.id_scope);
        bail!("the id scope of \"{name}\" is {kept} and never changes; the file says {scope}");
    }
    instance.allocation_policy = declared.allocation_policy;
    instance.location.clone_from(&declared.location);
    instance.resource_id = resource_id(declared, ground.subscription);
    if let Some(disabled) = declared.disable_local_auth {
        instance.disable_local_auth = disabled;
    }
    if let Some(public) = declared.public_network_access {
        instance.network.public = public;
    }
    if !declared.ip_filters.is_empty() || removed.ip_filters {
        instance.network.rules.clone_from(&declared.ip_filters);
    }
    let stays = |names: &[String], name: &str| !names.contains(&name.to_ascii_lowercase());
    let linked = |name: &str| declared.hubs.iter().any(|hub| hub.name.as_str().eq_ignore_ascii_case(name));
    instance.linked_hubs.retain(|hub| {
        let name = hub.name.as_str();
        stays(&removed.hubs, name) || linked(name)
    });
    for hub in &declared.hubs {
        match instance.linked_hubs.iter_mut().find(|kept| kept.name.key() == hub.name.key()) {
            Some(kept) => *kept = hub.clone(),
            None => instance.linked_hubs.push(hub.clone()),
        }
    }
    policies(instance, declared, removed, ground)?;
    let now = ground.clock.now();
    let gone = |name: &str| declared.authorities.iter().all(|ca| !ca.name.eq_ignore_ascii_case(name));
    instance.certificates.retain(|ca| stays(&removed.authorities, &ca.name) || !gone(&ca.name));
    for ca in &declared.authorities {
        let was_trusted = removed.trusted.contains(&ca.name.to_ascii_lowercase());
        authority(instance, ca, was_trusted, now);
    }
    Ok(())
}

/// Policies with their keys; those that were made are told before they are stored.
fn policies(
    instance: &mut Instance,
    declared: &DeclaredInstance,
    removed: &Members,
    ground: &Ground<'_>,
) -> anyhow::Result<()> {
    let owner = DeclaredPolicy {
        name: OWNER.to_owned(),
        rights: vec![Right::ServiceConfig, Right::DeviceConnect, Right::EnrollmentWrite],
        primary: None,
        secondary: None,
    };
    let needs_owner = declared.policies.is_empty() && instance.access_policies.is_empty();
    let wanted: Vec<&DeclaredPolicy> =
        if needs_owner { vec![&owner] } else { declared.policies.iter().collect() };
    let is_wanted = |name: &str| wanted.iter().any(|policy| policy.name.eq_ignore_ascii_case(name));
    instance
        .access_policies
        .retain(|kept| is_wanted(&kept.name) || !removed.policies.contains(&kept.name.to_ascii_lowercase()));
    let mut made = Vec::new();
    for policy in wanted {
        let found =
            instance.access_policies.iter().position(|kept| kept.name.eq_ignore_ascii_case(&policy.name));
        let kept = found.and_then(|index| instance.access_policies.get(index));
        if kept.is_none() && (policy.primary.is_none() || policy.secondary.is_none()) {
            made.push(policy.name.clone());
        }
        let key = |declared: &Option<Secret>, kept: Option<&Secret>| match declared.as_ref().or(kept) {
            Some(key) => Ok(key.clone()),
            None => symmetric_key::generate().map_err(|_| anyhow::anyhow!("no random numbers")),
        };
        let renewed = AccessPolicy {
            name: policy.name.clone(),
            primary: key(&policy.primary, kept.map(|kept| &kept.primary))?,
            secondary: key(&policy.secondary, kept.map(|kept| &kept.secondary))?,
            rights: policy.rights.clone(),
        };
        match found.and_then(|index| instance.access_policies.get_mut(index)) {
            Some(kept) => *kept = renewed,
            None => instance.access_policies.push(renewed),
        }
    }
    if !made.is_empty() {
        let policies = instance.access_policies.iter().filter(|policy| made.contains(&policy.name));
        Announcement {
            instance: &instance.name,
            id_scope: &instance.id_scope,
            host: &(ground.host)(declared),
            policies: policies.collect(),
        }
        .write(ground.directory)?;
    }
    Ok(())
}

/// A CA certificate; one that is unchanged keeps its version, and a proof of possession that was made. Trust that the
/// file gave goes when the file takes it back.
fn authority(instance: &mut Instance, declared: &DeclaredCa, was_trusted: bool, now: Timestamp) {
    let found = instance.certificates.iter_mut().find(|kept| kept.is_named(&declared.name));
    let fresh = || CaCertificate {
        name: declared.name.clone(),
        certificate: declared.certificate.clone(),
        lookups: declared.lookups.clone(),
        is_verified: declared.verified,
        verification_code: None,
        etag: Etag::fresh(),
        created: now,
        updated: now,
    };
    match found {
        Some(kept) if kept.certificate.der == declared.certificate.der => {
            kept.is_verified = declared.verified || (kept.is_verified && !was_trusted);
        }
        Some(kept) => *kept = CaCertificate { created: kept.created, ..fresh() },
        None => instance.certificates.push(fresh()),
    }
}

/// Lower-case names of what the file declares.
fn members(declared: &DeclaredInstance) -> Members {
    let lower = |names: Vec<&str>| names.into_iter().map(str::to_ascii_lowercase).collect();
    Members {
        hubs: lower(declared.hubs.iter().map(|hub| hub.name.as_str()).collect()),
        policies: lower(declared.policies.iter().map(|policy| policy.name.as_str()).collect()),
        authorities: lower(declared.authorities.iter().map(|ca| ca.name.as_str()).collect()),
        trusted: lower(
            declared.authorities.iter().filter(|ca| ca.verified).map(|ca| ca.name.as_str()).collect(),
        ),
        ip_filters: !declared.ip_filters.is_empty(),
    }
}

fn of(before: &Declared, declared: &DeclaredInstance) -> Members {
    before.get(&declared.name.to_ascii_lowercase()).cloned().unwrap_or_default()
}

fn union(before: &Declared, now: &Declared) -> Declared {
    let mut union = before.clone();
    for (name, members) in now {
        let known = union.entry(name.clone()).or_default();
        known.hubs.extend(members.hubs.iter().cloned());
        known.policies.extend(members.policies.iter().cloned());
        known.authorities.extend(members.authorities.iter().cloned());
        known.trusted.extend(members.trusted.iter().cloned());
        known.ip_filters |= members.ip_filters;
    }
    union
}

#[cfg(test)]
pub(super) mod tests;

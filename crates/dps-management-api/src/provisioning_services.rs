//! Provisioning services as resources: created, changed, read, listed, deleted. Owns what a PUT means and who is meant by
//! a path; how an instance is kept and hosted is dps-core's.

use std::sync::Arc;

use dps_core::ports::Hubs;
use dps_core::{Instances, Lifecycle};
use dps_model::enrollment::AllocationPolicy;
use dps_model::etag::IfMatch;
use dps_model::instance::{Instance, Resource};
use dps_model::network::NetworkAccess;
use dps_model::{Error, ErrorCode, Etag, IdScope, limits};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::api_version::ApiVersion;
use crate::operations::{Kind, Operation, Progress};
use crate::resource_id::Parts;
use crate::wanted::{Wanted, same_location};
use crate::{description, keys, links};

/// Where and how a client called.
pub(crate) struct Caller<'a> {
    pub(crate) host: &'a str,
    pub(crate) version: ApiVersion,
}

/// Who is asked when a service is made or changed.
pub(crate) struct Rooms<'a> {
    pub(crate) instances: &'a Instances,
    pub(crate) life: &'a Lifecycle,
    /// What can be asked whether a link works.
    pub(crate) hubs: Option<&'a Arc<dyn Hubs>>,
}

/// What a PUT may find.
pub(crate) struct Conditions {
    pub(crate) if_match: Option<IfMatch>,
    pub(crate) must_be_new: bool,
}

/// The provisioning service of that id. One of that name under another id is none of the caller's.
pub(crate) fn named(instances: &Instances, parts: Parts<'_>) -> Result<Arc<Instance>, Error> {
    let found = instances.by_name(parts.name).filter(|instance| is_at(instance, parts));
    found.ok_or_else(|| {
        Error::with(
            ErrorCode::InstanceNotFound,
            format!(
                "The Resource 'Microsoft.Devices/provisioningServices/{}' under resource group '{}' was not found.",
                parts.name, parts.resource_group
            ),
        )
    })
}

fn is_at(instance: &Instance, parts: Parts<'_>) -> bool {
    instance.resource_id.eq_ignore_ascii_case(&parts.id())
}

pub(crate) async fn put(
    rooms: &Rooms<'_>,
    parts: Parts<'_>,
    body: &Value,
    conditions: Conditions,
    caller: &Caller<'_>,
) -> Result<Answer, Error> {
    let wanted = Wanted::read(body)?;
    match rooms.instances.by_name(parts.name) {
        Some(instance) if !is_at(&instance, parts) => Err(Error::new(ErrorCode::InstanceExists)
            .because("the provisioning service of that name has another resource id")),
        Some(_) if conditions.must_be_new => Err(Error::new(ErrorCode::EtagMismatch)),
        Some(instance) => update(rooms, &instance, &wanted, conditions, caller).await,
        None if conditions.if_match.is_some() => Err(Error::new(ErrorCode::EtagMismatch)),
        None => create(rooms, parts, &wanted, caller).await,
    }
}

async fn create(
    rooms: &Rooms<'_>,
    parts: Parts<'_>,
    wanted: &Wanted,
    caller: &Caller<'_>,
) -> Result<Answer, Error> {
    parts.check()?;
    let location = wanted.location.clone();
    let location = location.ok_or_else(|| Error::argument("location is required to create a resource."))?;
    let mut instance = Instance {
        name: parts.name.to_owned(),
        id_scope: IdScope::fresh(),
        allocation_policy: AllocationPolicy::Hashed,
        linked_hubs: Vec::new(),
        access_policies: keys::owner()?,
        certificates: Vec::new(),
        network: NetworkAccess::default(),
        disable_local_auth: false,
        resource_id: parts.id(),
        location,
        resource: Resource::default(),
        rows: None,
        etag: Etag::fresh(),
    };
    let changed = wanted.apply(&mut instance)?;
    links::check(rooms.hubs, wanted, &[]).await?;
    let change = rooms.life.create(instance).await?;
    Ok(answered(rooms.life, &change.instance, Kind::Create, caller)
        .versions(None, Some(change.instance.etag.clone()))
        .changed(changed))
}

async fn update(
    rooms: &Rooms<'_>,
    instance: &Instance,
    wanted: &Wanted,
    conditions: Conditions,
    caller: &Caller<'_>,
) -> Result<Answer, Error> {
    if let Some(location) = wanted.location.as_deref()
        && !same_location(location, &instance.location)
    {
        return Err(Error::argument(format!(
            "location cannot change: the provisioning service is in '{}'.",
            instance.location
        )));
    }
    // Clients that read, change and write send the etag in the body; the header comes before it.
    let if_match = conditions.if_match.or_else(|| wanted.etag.as_deref().map(IfMatch::parse));
    let mut changed = Vec::new();
    let apply = |kept: &mut Instance| {
        changed = wanted.apply(kept)?;
        Ok(())
    };
    links::check(rooms.hubs, wanted, &instance.linked_hubs).await?;
    let change = rooms.instances.change(instance, if_match.as_ref(), apply).await?;
    Ok(answered(rooms.life, &change.instance, Kind::Update, caller)
        .versions(change.previous, Some(change.instance.etag.clone()))
        .changed(changed))
}

fn answered(life: &Lifecycle, instance: &Instance, kind: Kind, caller: &Caller<'_>) -> Answer {
    let state = if kind == Kind::Create { "Activating" } else { "Transitioning" };
    let body = description::accepted(instance, &life.hosting().host_names(instance), state);
    let follow = Operation::on(kind, instance).follow(caller.host, &instance.location, caller.version);
    Answer::created(body, follow)
}

pub(crate) async fn patch(
    instances: &Instances,
    life: &Lifecycle,
    instance: &Instance,
    body: &Value,
    if_match: Option<&IfMatch>,
) -> Result<Answer, Error> {
    let wanted = Wanted::read_patch(body)?;
    let mut changed = Vec::new();
    let apply = |kept: &mut Instance| {
        changed = wanted.apply(kept)?;
        Ok(())
    };
    let change = instances.change(instance, if_match, apply).await?;
    Ok(Answer::shown(show(life, &change.instance))
        .versions(change.previous, Some(change.instance.etag.clone()))
        .changed(changed))
}

/// 202 and its rows go; 204 when there is none.
pub(crate) async fn delete(
    instances: &Instances,
    life: &Lifecycle,
    parts: Parts<'_>,
    if_match: Option<&IfMatch>,
    caller: &Caller<'_>,
) -> Result<Answer, Error> {
    let Ok(instance) = named(instances, parts) else { return Ok(Answer::gone()) };
    let change = match life.delete(&instance, if_match).await {
        Err(error) if error.code == ErrorCode::InstanceNotFound => return Ok(Answer::gone()),
        change => change?,
    };
    let instance = &change.instance;
    let follow =
        Operation::on(Kind::Delete, instance).follow(caller.host, &instance.location, caller.version);
    Ok(Answer::accepted(Some(follow)).versions(change.previous, None))
}

pub(crate) fn show(life: &Lifecycle, instance: &Instance) -> Value {
    description::show(instance, &life.hosting().host_names(instance))
}

/// A page of those under a subscription, or one of its resource groups, after that name.
pub(crate) fn list(
    instances: &Instances,
    life: &Lifecycle,
    parts: Parts<'_>,
    after: Option<&str>,
    next: impl Fn(&str) -> String,
) -> Answer {
    let under = |instance: &Arc<Instance>| {
        Parts::of(&instance.resource_id).is_some_and(|of| {
            of.subscription.eq_ignore_ascii_case(parts.subscription)
                && (parts.resource_group.is_empty()
                    || of.resource_group.eq_ignore_ascii_case(parts.resource_group))
        })
    };
    let after = after.map(str::to_ascii_lowercase);
    let later = |instance: &Arc<Instance>| {
        after.as_ref().is_none_or(|after| instance.name.to_ascii_lowercase() > *after)
    };
    let mut found: Vec<_> =
        instances.all().into_iter().filter(|instance| under(instance) && later(instance)).collect();
    let more = found.len() > limits::MAX_MANAGEMENT_PAGE;
    found.truncate(limits::MAX_MANAGEMENT_PAGE);
    let next = found.last().filter(|_| more).map(|last| next(&last.name));
    let shown: Vec<_> = found.iter().map(|instance| show(life, instance)).collect();
    Answer::shown(json!({ "value": shown, "nextLink": next }))
}

/// How far an operation has come: as its own object, or as ARM's older clients ask for it.
pub(crate) async fn operation_result(
    instances: &Instances,
    life: &Lifecycle,
    operation: &Operation,
    asyncinfo: bool,
) -> Result<Answer, Error> {
    let progress = operation.progress(instances).await?;
    if asyncinfo {
        let shown = Answer::shown(progress.show());
        return Ok(if progress == Progress::Running { shown.not_yet() } else { shown });
    }
    match (progress, operation.kind) {
        (Progress::Running, _) => Ok(Answer::accepted(None)),
        (Progress::Succeeded, Kind::Delete) => Ok(Answer::gone()),
        (Progress::Succeeded, _) => {
            let parts = Parts::of(&operation.resource_id);
            let parts = parts.ok_or_else(|| Error::new(ErrorCode::ManagedOperationNotFound))?;
            Ok(Answer::shown(show(life, named(instances, parts)?.as_ref())))
        }
        (Progress::Failed(message), _) => Err(Error::with(ErrorCode::Internal, message)),
    }
}

//! Members that documents of several kinds have.

use std::collections::BTreeMap;

use dps_model::Error;
use dps_model::limits::{
    MAX_LOCATION, MAX_RULE_ACTIONS, MAX_RULE_DESCRIPTION, MAX_RULE_NAME, MAX_RULE_PROPERTIES,
    MAX_RULE_PROPERTY, MAX_RULE_SCOPES,
};
use dps_model::member::Member;

use super::{Kind, Surroundings};
use crate::alerts::rule::Action;
use crate::metrics::{duration, iso_minutes};
use crate::ports::IdParts;

/// ARM's type of a provisioning service.
const SERVICE: [&str; 2] = ["Microsoft.Devices", "provisioningServices"];
/// ARM's type of a workspace.
const WORKSPACE: [&str; 2] = ["Microsoft.OperationalInsights", "workspaces"];
/// Milliseconds of a minute.
const MINUTE: i64 = 60_000;

/// Azure's rule for the name of a rule or a group.
pub(super) fn check_name(kind: Kind, name: &str) -> Result<(), Error> {
    let refused = |c: char| c.is_control() || "#<>%&:\\?/*+".contains(c);
    let length = name.chars().count();
    if length == 0 || length > MAX_RULE_NAME || name.contains(refused) || name.ends_with(['.', ' ']) {
        return Err(Error::argument(format!(
            "The name of the {} in the path must have 1 to {MAX_RULE_NAME} characters, none of them one of \
             #<>%&:\\?/*+, and end neither with a period nor with a space.",
            kind.words()
        )));
    }
    Ok(())
}

/// What stands around `properties`; the properties, which must be there.
pub(super) fn head<'a>(body: &Member<'a>) -> Result<Member<'a>, Error> {
    let location = body.get("location");
    if location.required()?.len() > MAX_LOCATION {
        return Err(location.wrong("is too long"));
    }
    body.get("tags").tags()?;
    let identity = body.get("identity").get("type");
    if identity.text()?.is_some_and(|kind| !kind.eq_ignore_ascii_case("None")) {
        return Err(identity.wrong("must be None: this server has no managed identities"));
    }
    let properties = body.get("properties");
    match properties.object()? {
        Some(_) => Ok(properties),
        None => Err(properties.wrong("is required")),
    }
}

/// A text of at most that many characters, when it is there.
pub(super) fn text<'a>(member: &Member<'a>, most: usize) -> Result<Option<&'a str>, Error> {
    match member.text()? {
        Some(text) if text.chars().count() > most => {
            Err(member.wrong(&format!("has more than {most} characters")))
        }
        text => Ok(text),
    }
}

pub(super) fn description(properties: &Member<'_>) -> Result<String, Error> {
    Ok(text(&properties.get("description"), MAX_RULE_DESCRIPTION)?.unwrap_or_default().to_owned())
}

/// A member that must be there.
pub(super) fn needed<T>(member: &Member<'_>, value: Option<T>) -> Result<T, Error> {
    value.ok_or_else(|| member.wrong("is required"))
}

pub(super) fn severity(properties: &Member<'_>) -> Result<u8, Error> {
    let member = properties.get("severity");
    let given = needed(&member, member.integer()?)?;
    u8::try_from(given).ok().filter(|given| *given <= 4).ok_or_else(|| {
        member.wrong("must be 0 (critical), 1 (error), 2 (warning), 3 (information) or 4 (verbose)")
    })
}

/// A duration of whole minutes; one of a list where there is one.
pub(super) fn minutes(member: &Member<'_>, allowed: &[u32]) -> Result<Option<u32>, Error> {
    let Some(text) = member.text()? else { return Ok(None) };
    let whole = duration(text).filter(|millis| *millis > 0 && millis % MINUTE == 0);
    let found = whole.and_then(|millis| u32::try_from(millis / MINUTE).ok());
    match found {
        Some(found) if allowed.is_empty() || allowed.contains(&found) => Ok(Some(found)),
        _ if allowed.is_empty() => {
            Err(member.wrong("must be a duration of whole minutes in ISO 8601, such as PT5M"))
        }
        _ => {
            let names: Vec<_> = allowed.iter().map(|minutes| iso_minutes((*minutes).into())).collect();
            Err(member.wrong(&format!("must be one of {}", names.join(", "))))
        }
    }
}

/// Texts under names, passed on.
pub(super) fn properties(member: &Member<'_>) -> Result<BTreeMap<String, String>, Error> {
    let mut found = BTreeMap::new();
    for (name, value) in member.entries(MAX_RULE_PROPERTIES)?.unwrap_or_default() {
        if name.chars().count() > MAX_RULE_PROPERTY {
            return Err(member.wrong(&format!("has a name of more than {MAX_RULE_PROPERTY} characters")));
        }
        let text = text(&value, MAX_RULE_PROPERTY)?.unwrap_or_default();
        found.insert(name.to_owned(), text.to_owned());
    }
    Ok(found)
}

/// `actions` as metric alerts have them, and older log alerts: a list of groups, each with properties.
pub(super) fn actions(member: &Member<'_>, around: Option<&Surroundings<'_>>) -> Result<Vec<Action>, Error> {
    let mut actions: Vec<Action> = Vec::new();
    for item in member.list(MAX_RULE_ACTIONS)?.unwrap_or_default() {
        let id = item.get("actionGroupId");
        let group = group(&id, id.required()?, around)?;
        let spelt = item.get("webHookProperties");
        // Azure's own examples spell it in two ways.
        let given = if spelt.holds_something() { spelt } else { item.get("webhookProperties") };
        push(&mut actions, Action { group, properties: properties(&given)? }, &id)?;
    }
    Ok(actions)
}

/// An action group that there is.
pub(super) fn group(
    member: &Member<'_>,
    id: &str,
    around: Option<&Surroundings<'_>>,
) -> Result<String, Error> {
    let parts = IdParts::of(id);
    if !is(parts, ["Microsoft.Insights", "actionGroups"]) || parts.name.is_empty() {
        return Err(member.wrong(
            "must be the id of an action group: \
             /subscriptions/…/resourceGroups/…/providers/Microsoft.Insights/actionGroups/…",
        ));
    }
    // D-602: one that is not there yet would tell nobody, and nobody would know.
    if around.is_some_and(|around| !(around.has_group)(id)) {
        return Err(member.wrong("names an action group that is not there; create it first"));
    }
    Ok(id.to_owned())
}

/// Adds an action; no group twice.
pub(super) fn push(actions: &mut Vec<Action>, action: Action, place: &Member<'_>) -> Result<(), Error> {
    if actions.iter().any(|other| other.group.eq_ignore_ascii_case(&action.group)) {
        return Err(place.wrong("names an action group that stands here already"));
    }
    actions.push(action);
    Ok(())
}

fn is(parts: IdParts<'_>, [provider, kind]: [&str; 2]) -> bool {
    parts.provider.eq_ignore_ascii_case(provider) && parts.kind.eq_ignore_ascii_case(kind)
}

/// What a rule watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watched {
    /// Provisioning services alone.
    Services,
    /// What has log rows: them, what they lie in, and the workspace.
    Rows,
}

/// The ids of `scopes`, as they are spelt where they are known.
pub(super) fn scopes(
    properties: &Member<'_>,
    watched: Watched,
    around: Option<&Surroundings<'_>>,
) -> Result<Vec<String>, Error> {
    let member = properties.get("scopes");
    let given = needed(&member, member.texts(MAX_RULE_SCOPES)?)?;
    let mut scopes: Vec<String> = Vec::with_capacity(given.len());
    for (text, place) in given {
        let id = scope(text, watched, around).map_err(|why| place.wrong(&why))?;
        if scopes.iter().any(|other| other.eq_ignore_ascii_case(&id)) {
            return Err(place.wrong("stands here already"));
        }
        scopes.push(id);
    }
    if scopes.is_empty() {
        return Err(member.wrong("must name at least one resource"));
    }
    Ok(scopes)
}

fn scope(id: &str, watched: Watched, around: Option<&Surroundings<'_>>) -> Result<String, String> {
    let parts = IdParts::of(id);
    let Some(around) = around else { return Ok(id.to_owned()) };
    if is(parts, SERVICE) {
        let found = around.resources.find(Some(parts.name)).filter(|found| found.id.eq_ignore_ascii_case(id));
        return found.map(|found| found.id).ok_or_else(|| "is no provisioning service of this server".into());
    }
    match watched {
        // D-601: ids of groups and subscriptions would take in services that are not there yet.
        Watched::Services => Err("must be the id of a provisioning service: \
             /subscriptions/…/resourceGroups/…/providers/Microsoft.Devices/provisioningServices/…"
            .into()),
        Watched::Rows if is(parts, WORKSPACE) => {
            if id.eq_ignore_ascii_case(around.workspace) {
                Ok(around.workspace.to_owned())
            } else {
                Err(format!("is no workspace of this server; the one there is: {}", around.workspace))
            }
        }
        Watched::Rows if parts.provider.is_empty() && !parts.subscription.is_empty() => {
            Ok(id.trim_end_matches('/').to_owned())
        }
        Watched::Rows => {
            Err("must be the id of a provisioning service, of the workspace, of a resource group or of a subscription"
                .into())
        }
    }
}

//! What Azure asks of a diagnostic setting before it is taken, and which destinations this server has. Must not know how
//! a refusal is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dps_model::limits::{
    MAX_DESTINATION_ID, MAX_DIAGNOSTIC_CHOICES, MAX_DIAGNOSTIC_SETTING_NAME, MAX_DIAGNOSTIC_SETTINGS,
    MAX_EVENT_HUB_NAME, MAX_RETENTION_DAYS,
};

use super::setting::{
    CATEGORY_GROUPS, DestinationKind, LogChoice, METRICS_CATEGORY, MetricChoice, Retention, Setting,
};
use crate::destinations::Destination;
use crate::logs::Category;

/// The built-in workspace, by both its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// `TenantId` of its rows.
    pub id: String,
    /// Its ARM id.
    pub resource_id: String,
}

/// Where settings may send to: what the server's configuration names (D-642).
#[derive(Clone, Default)]
pub struct Destinations {
    /// Where log rows are kept and queried.
    pub workspace: Option<Workspace>,
    /// By the id that a setting names, in lower case.
    pub external: BTreeMap<String, Arc<dyn Destination>>,
}

/// Why a setting is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A member breaks a rule.
    #[error("{member} {rule}.")]
    Member {
        /// Where it stands, from the body's root; `name` for the setting's own.
        member: String,
        /// The rule, as the rest of the sentence.
        rule: String,
    },
    /// Another setting of the resource sends the same to the same destination.
    #[error(
        "Data sink '{destination}' is already used in diagnostic setting '{setting}' for category '{category}'. Data sinks can't be reused in different settings on the same category for the same resource."
    )]
    Conflict {
        /// As the new setting names it.
        destination: String,
        /// The other setting.
        setting: String,
        /// Sent by both.
        category: String,
    },
    /// The resource has as many as it may.
    #[error(
        "A resource has at most {MAX_DIAGNOSTIC_SETTINGS} diagnostic settings; delete one, or send to more destinations by one."
    )]
    TooMany,
}

fn wrong(member: impl Into<String>, rule: impl Into<String>) -> Refusal {
    Refusal::Member { member: member.into(), rule: rule.into() }
}

impl Destinations {
    /// Names a destination of that kind, the same for every spelling of it; none when the server does not have it.
    pub fn resolve(&self, kind: DestinationKind, id: &str) -> Option<String> {
        let id = id.trim().to_lowercase();
        if kind != DestinationKind::Workspace {
            return self.external.contains_key(&id).then_some(id);
        }
        let workspace = self.workspace.as_ref()?;
        let is = id == workspace.id.to_lowercase() || id == workspace.resource_id.to_lowercase();
        is.then(|| workspace.id.clone())
    }

    fn unknown(&self, kind: DestinationKind) -> Refusal {
        let member = format!("properties.{}", kind.member());
        let known: Vec<&str> = match (kind, &self.workspace) {
            (DestinationKind::Workspace, workspace) => {
                workspace.iter().flat_map(|it| [it.resource_id.as_str(), it.id.as_str()]).collect()
            }
            _ => self.external.keys().map(String::as_str).take(NAMED).collect(),
        };
        let rule = if known.is_empty() {
            "names no destination of this server, which has none of its kind".to_owned()
        } else {
            format!("names no destination of this server; it has: {}", known.join(", "))
        };
        wrong(member, rule)
    }
}

/// Destinations that a refusal names.
const NAMED: usize = 10;

/// May a resource have that setting beside its others? What Azure leaves open is D-643.
pub fn check(setting: &Setting, others: &[Setting], destinations: &Destinations) -> Result<(), Refusal> {
    check_name(&setting.name)?;
    check_destinations(setting, destinations)?;
    check_logs(&setting.logs)?;
    check_metrics(&setting.metrics)?;
    if others.len() >= MAX_DIAGNOSTIC_SETTINGS {
        return Err(Refusal::TooMany);
    }
    others.iter().try_for_each(|other| check_overlap(setting, other, destinations))
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let length = name.chars().count();
    if length == 0 || length > MAX_DIAGNOSTIC_SETTING_NAME {
        return Err(wrong(
            "name",
            format!("has {length} characters; 1 to {MAX_DIAGNOSTIC_SETTING_NAME} fit"),
        ));
    }
    let bad = |c: char| c.is_control() || "<>%&:\\?/#*\"".contains(c);
    if name.contains(bad) || name.trim() != name {
        return Err(wrong(
            "name",
            "has a character that the name of a diagnostic setting must not have: < > % & : \\ ? / # * \" \
             or a blank at an end",
        ));
    }
    Ok(())
}

fn check_destinations(setting: &Setting, destinations: &Destinations) -> Result<(), Refusal> {
    let mut some = false;
    for kind in DestinationKind::ALL {
        let Some(id) = setting.destination(kind) else { continue };
        some = true;
        if id.len() > MAX_DESTINATION_ID {
            return Err(wrong(
                format!("properties.{}", kind.member()),
                format!("is longer than {MAX_DESTINATION_ID} bytes"),
            ));
        }
        destinations.resolve(kind, id).ok_or_else(|| destinations.unknown(kind))?;
    }
    if !some {
        let members = DestinationKind::ALL.map(DestinationKind::member).join(", ");
        return Err(wrong("properties", format!("must name at least one data sink: {members}")));
    }
    if let Some(name) = &setting.event_hub_name {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if name.is_empty() || name.len() > MAX_EVENT_HUB_NAME || !name.chars().all(fits) {
            return Err(wrong(
                "properties.eventHubName",
                format!("must be 1 to {MAX_EVENT_HUB_NAME} letters, digits, dots, hyphens or underscores"),
            ));
        }
        let Some(id) = setting.event_hub_authorization_rule_id.as_deref() else {
            return Err(wrong("properties.eventHubName", "needs eventHubAuthorizationRuleId beside it"));
        };
        let destination = destinations.resolve(DestinationKind::EventHub, id);
        let destination = destination.and_then(|id| destinations.external.get(&id));
        if destination.is_some_and(|destination| destination.event_hub(name).is_none()) {
            return Err(wrong(
                "properties.eventHubName",
                "names an event hub, and that destination has none",
            ));
        }
    }
    match setting.log_analytics_destination_type.as_deref() {
        Some(kind) if !["Dedicated", "AzureDiagnostics"].iter().any(|it| it.eq_ignore_ascii_case(kind)) => {
            Err(wrong("properties.logAnalyticsDestinationType", "must be Dedicated or AzureDiagnostics"))
        }
        _ => Ok(()),
    }
}

fn check_logs(choices: &[LogChoice]) -> Result<(), Refusal> {
    check_count("logs", choices.len())?;
    let mut seen = BTreeSet::new();
    let (mut single, mut grouped) = (false, false);
    for (place, choice) in choices.iter().enumerate() {
        let at = |member: &str| format!("properties.logs[{place}]{member}");
        let name = match (&choice.category, &choice.category_group) {
            (Some(name), None) => {
                single = true;
                let known = Category::ALL.map(Category::name);
                known_name(name, &known).ok_or_else(|| {
                    wrong(at(".category"), format!("is no category of logs; there are {}", list(&known)))
                })?
            }
            (None, Some(name)) => {
                grouped = true;
                known_name(name, &CATEGORY_GROUPS).ok_or_else(|| {
                    let known = list(&CATEGORY_GROUPS);
                    wrong(at(".categoryGroup"), format!("is no group of categories; there are {known}"))
                })?
            }
            _ => return Err(wrong(at(""), "must have either a category or a categoryGroup")),
        };
        if !seen.insert(name) {
            return Err(wrong(at(""), format!("names {name} a second time")));
        }
        check_retention(choice.retention_policy, &at(".retentionPolicy.days"))?;
    }
    if single && grouped {
        return Err(wrong("properties.logs", "must have either categories or groups of them, not both"));
    }
    Ok(())
}

fn check_metrics(choices: &[MetricChoice]) -> Result<(), Refusal> {
    check_count("metrics", choices.len())?;
    for (place, choice) in choices.iter().enumerate() {
        let at = |member: &str| format!("properties.metrics[{place}]{member}");
        if place > 0 {
            return Err(wrong(at(""), format!("is one too many: the only category is {METRICS_CATEGORY}")));
        }
        if choice.category.as_deref().is_some_and(|name| !name.eq_ignore_ascii_case(METRICS_CATEGORY)) {
            return Err(wrong(
                at(".category"),
                format!("is no category of metrics; there is {METRICS_CATEGORY}"),
            ));
        }
        if choice.time_grain.as_deref().is_some_and(|grain| !grain.eq_ignore_ascii_case("PT1M")) {
            return Err(wrong(at(".timeGrain"), "must be PT1M"));
        }
        if choice.category.is_none() && choice.time_grain.is_none() {
            return Err(wrong(at(".category"), "is required"));
        }
        check_retention(choice.retention_policy, &at(".retentionPolicy.days"))?;
    }
    Ok(())
}

fn check_count(what: &str, count: usize) -> Result<(), Refusal> {
    if count > MAX_DIAGNOSTIC_CHOICES {
        let rule = format!("has {count} items; at most {MAX_DIAGNOSTIC_CHOICES} are allowed");
        return Err(wrong(format!("properties.{what}"), rule));
    }
    Ok(())
}

fn check_retention(retention: Option<Retention>, member: &str) -> Result<(), Refusal> {
    match retention {
        Some(Retention { days, .. }) if days > MAX_RETENTION_DAYS => {
            Err(wrong(member, format!("must be 0 to {MAX_RETENTION_DAYS}")))
        }
        _ => Ok(()),
    }
}

fn known_name<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    known.iter().find(|it| it.eq_ignore_ascii_case(name)).copied()
}

fn list(known: &[&str]) -> String {
    known.join(", ")
}

/// Azure refuses a setting that sends a category where another one sends it already.
fn check_overlap(setting: &Setting, other: &Setting, destinations: &Destinations) -> Result<(), Refusal> {
    let category = Category::ALL.into_iter().find(|it| setting.sends(*it) && other.sends(*it));
    let both_send_metrics = setting.sends_metrics() && other.sends_metrics();
    let common = category.map(Category::name).or(both_send_metrics.then_some(METRICS_CATEGORY));
    let Some(category) = common else { return Ok(()) };
    for kind in DestinationKind::ALL {
        let (Some(own), Some(others)) = (setting.destination(kind), other.destination(kind)) else {
            continue;
        };
        let same = destinations.resolve(kind, own) == destinations.resolve(kind, others);
        // One namespace may have an event hub for each.
        let apart = kind == DestinationKind::EventHub && setting.event_hub_name != other.event_hub_name;
        if same && !apart {
            return Err(Refusal::Conflict {
                destination: own.to_owned(),
                setting: other.name.clone(),
                category: category.to_owned(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! `actionGroups` (api-version 2023-01-01). Their addresses are secrets: what is said of one repeats nothing of it.

use dps_model::custom_allocation::WebAddress;
use dps_model::limits::{MAX_GROUP_RECEIVERS, MAX_GROUP_SHORT_NAME, MAX_GROUP_WEBHOOKS, MAX_RECEIVER_NAME};
use dps_model::member::Member;
use dps_model::{Error, Secret};
use serde_json::{Map, Value};

use super::Kind;
use super::parts::{check_name, head, needed, text};
use crate::alerts::group::{ActionGroup, PayloadForm, WebhookReceiver};
use crate::ports::IdParts;

/// The list of webhooks.
pub const WEBHOOKS: &str = "webhookReceivers";
/// Every list of receivers.
pub const RECEIVERS: [&str; 11] = [
    "emailReceivers",
    "smsReceivers",
    WEBHOOKS,
    "itsmReceivers",
    "azureAppPushReceivers",
    "automationRunbookReceivers",
    "voiceReceivers",
    "logicAppReceivers",
    "azureFunctionReceivers",
    "armRoleReceivers",
    "eventHubReceivers",
];
/// Members of receivers that hold a key.
const SECRETS: [&str; 4] = ["serviceUri", "callbackUrl", "httpTriggerUrl", "ticketConfiguration"];
/// D-604: the fragment that asks for Alertmanager's form.
const ALERTMANAGER: &str = "alertmanager";

/// Reads a group. `id` is its ARM id.
pub fn read(body: &Value, id: &str) -> Result<ActionGroup, Error> {
    let name = IdParts::of(id).name;
    check_name(Kind::ActionGroup, name)?;
    let properties = head(&Member::body(body)?)?;
    let short = properties.get("groupShortName");
    short.required()?;
    let short = text(&short, MAX_GROUP_SHORT_NAME)?.unwrap_or_default().trim().to_owned();
    let enabled = properties.get("enabled");
    Ok(ActionGroup {
        id: id.to_owned(),
        name: name.to_owned(),
        short_name: short,
        enabled: needed(&enabled, enabled.boolean()?)?,
        webhooks: receivers(&properties)?,
    })
}

/// Reads the receivers of a sample notification, as a group that has nothing but them.
pub fn read_sample(body: &Value, id: &str) -> Result<ActionGroup, Error> {
    let body = Member::body(body)?;
    let kind = body.get("alertType");
    kind.required()?;
    text(&kind, MAX_RECEIVER_NAME)?;
    let name = IdParts::of(id).name.to_owned();
    let webhooks = receivers(&body)?;
    Ok(ActionGroup { id: id.to_owned(), short_name: name.clone(), name, enabled: true, webhooks })
}

/// The webhooks; names are unique among receivers of every kind.
fn receivers(properties: &Member<'_>) -> Result<Vec<WebhookReceiver>, Error> {
    let mut names: Vec<String> = Vec::new();
    let mut webhooks = Vec::new();
    for kind in RECEIVERS {
        let most = if kind == WEBHOOKS { MAX_GROUP_WEBHOOKS } else { MAX_GROUP_RECEIVERS };
        for item in properties.get(kind).list(most)?.unwrap_or_default() {
            let member = item.get("name");
            member.required()?;
            let name = text(&member, MAX_RECEIVER_NAME)?.unwrap_or_default().trim().to_owned();
            if names.iter().any(|other| other.eq_ignore_ascii_case(&name)) {
                return Err(member.wrong("is the name of another receiver too"));
            }
            if kind == WEBHOOKS {
                webhooks.push(webhook(&item, name.clone())?);
            }
            names.push(name);
        }
    }
    Ok(webhooks)
}

fn webhook(item: &Member<'_>, name: String) -> Result<WebhookReceiver, Error> {
    let aad = item.get("useAadAuth");
    if aad.boolean()? == Some(true) {
        return Err(aad.wrong("must be false: this server has no tokens of Microsoft Entra to send"));
    }
    let member = item.get("serviceUri");
    let given = member.required()?;
    let common = item.get("useCommonAlertSchema").boolean()?.unwrap_or(false);
    let (uri, form) = match given.split_once('#') {
        None if common => (given, PayloadForm::Common),
        None => (given, PayloadForm::Legacy),
        Some((uri, fragment)) if fragment.eq_ignore_ascii_case(ALERTMANAGER) => {
            (uri, PayloadForm::Alertmanager)
        }
        Some(_) => {
            return Err(member.wrong(
                "holds a fragment, which is not sent; #alertmanager asks for the form of Prometheus Alertmanager",
            ));
        }
    };
    let said = |why: &str| {
        if why == "is not https" { "is neither https nor http".to_owned() } else { why.to_owned() }
    };
    WebAddress::of(uri).map_err(|why| member.wrong(&said(why)))?;
    Ok(WebhookReceiver { name, uri: Secret::from(uri.to_owned()), form })
}

/// Takes the secrets out of `properties`: what stood where (a JSON pointer within them).
pub fn take_secrets(properties: &mut Value) -> Map<String, Value> {
    let mut taken = Map::new();
    for kind in RECEIVERS {
        let items = properties.get_mut(kind).and_then(Value::as_array_mut);
        for (place, item) in items.into_iter().flatten().enumerate() {
            for name in SECRETS {
                if let Some(value) = item.as_object_mut().and_then(|members| members.remove(name)) {
                    taken.insert(format!("/{kind}/{place}/{name}"), value);
                }
            }
        }
    }
    taken
}

/// Puts them back.
pub fn put_secrets(properties: &mut Value, taken: Map<String, Value>) {
    for (pointer, value) in taken {
        let Some((place, name)) = pointer.rsplit_once('/') else { continue };
        if let Some(members) = properties.pointer_mut(place).and_then(Value::as_object_mut) {
            members.insert(name.to_owned(), value);
        }
    }
}

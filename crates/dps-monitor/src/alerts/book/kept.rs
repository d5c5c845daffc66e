//! A document as it is kept, as it is shown, and what it means.

use std::sync::Arc;

use dps_model::member::Member;
use dps_model::{Error, Etag, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::key;
use crate::alerts::document::{Kind, Surroundings, action_group, metric_alert, query_rule};
use crate::alerts::group::ActionGroup;
use crate::alerts::rule::Rule;
use crate::ports::{IdParts, Kept};

/// Members around `properties` that only the server sets.
const READ_ONLY: [&str; 5] = ["id", "name", "type", "etag", "systemData"];

/// A document and what it means.
pub(super) struct Entry {
    pub(super) document: Document,
    pub(super) meaning: Meaning,
}

/// What a document means.
pub(super) enum Meaning {
    Rule(Arc<Rule>),
    Group(Arc<ActionGroup>),
    /// Nothing that this version can read.
    None,
}

/// A rule or an action group, as its client wrote it.
#[derive(Clone)]
pub struct Document {
    /// Which kind.
    pub kind: Kind,
    /// ARM id, as it was spelt first.
    pub id: String,
    /// Version.
    pub etag: Etag,
    created: Timestamp,
    modified: Timestamp,
    /// Without what is secret.
    resource: Value,
    /// What was taken out of it, as JSON.
    secrets: Option<Secret>,
}

/// The body of a document on disk.
#[derive(Serialize, Deserialize)]
struct Stored {
    id: String,
    created: Timestamp,
    modified: Timestamp,
    resource: Value,
}

impl Entry {
    /// A document that a client wrote, judged.
    pub(super) fn new(
        kind: Kind,
        id: &str,
        mut body: Value,
        before: Option<&Document>,
        now: Timestamp,
        around: &Surroundings<'_>,
    ) -> Result<Self, Error> {
        Member::body(&body)?;
        if body.to_string().len() > kind.largest() {
            return Err(Error::argument(format!(
                "A {} has at most {} bytes of JSON.",
                kind.words(),
                kind.largest()
            )));
        }
        let id = before.map_or(id, |before| before.id.as_str()).to_owned();
        let meaning = meaning(kind, &id, &body, Some(around))?;
        if let Some(members) = body.as_object_mut() {
            members.retain(|name, _| !READ_ONLY.contains(&name.as_str()));
        }
        let mut secrets = None;
        if let Some(properties) = body.get_mut("properties") {
            if let Some(members) = properties.as_object_mut() {
                members.retain(|name, _| !kind.read_only().contains(&name.as_str()));
            }
            if kind == Kind::ActionGroup {
                let taken = action_group::take_secrets(properties);
                secrets = Some(Secret::from(Value::Object(taken).to_string()));
            }
        }
        let created = before.map_or(now, |before| before.created);
        let (etag, resource) = (Etag::fresh(), body);
        let document = Document { kind, id, etag, created, modified: now, resource, secrets };
        Ok(Self { document, meaning })
    }

    /// A document that was judged when it was written.
    pub(super) fn of_kept(kind: Kind, kept: Kept) -> Result<Self, serde_json::Error> {
        let Stored { id, created, modified, resource } = serde_json::from_str(&kept.body)?;
        let secrets = kept.sealed;
        let document = Document { kind, id, etag: kept.etag, created, modified, resource, secrets };
        let meaning = match meaning(kind, &document.id, &document.whole(), None) {
            Ok(meaning) => meaning,
            Err(error) => {
                let id = &document.id;
                tracing::error!(%id, %error, "a {} cannot be read and does nothing; write it anew", kind.words());
                Meaning::None
            }
        };
        Ok(Self { document, meaning })
    }

    pub(super) fn rule(&self) -> Option<&Arc<Rule>> {
        match &self.meaning {
            Meaning::Rule(rule) => Some(rule),
            Meaning::Group(_) | Meaning::None => None,
        }
    }
}

fn meaning(kind: Kind, id: &str, body: &Value, around: Option<&Surroundings<'_>>) -> Result<Meaning, Error> {
    let rule = |rule| Meaning::Rule(Arc::new(rule));
    match kind {
        Kind::MetricAlert => metric_alert::read(body, id, around).map(rule),
        Kind::QueryRule => query_rule::read(body, id, around).map(rule),
        Kind::ActionGroup => action_group::read(body, id).map(|group| Meaning::Group(Arc::new(group))),
    }
}

impl Document {
    /// As it is kept.
    pub(super) fn kept(&self) -> Result<Kept, Error> {
        let Self { id, created, modified, resource, etag, secrets, .. } = self.clone();
        let key = key(&id);
        let body =
            serde_json::to_string(&Stored { id, created, modified, resource }).map_err(Error::internal)?;
        Ok(Kept { id: key, etag, body, sealed: secrets })
    }

    /// As its client wrote it.
    fn whole(&self) -> Value {
        let mut whole = self.resource.clone();
        let taken = self.secrets.as_ref().and_then(|secrets| serde_json::from_slice(secrets.expose()).ok());
        if let (Some(taken), Some(properties)) = (taken, whole.get_mut("properties")) {
            action_group::put_secrets(properties, taken);
        }
        whole
    }

    /// With some members in place of its own.
    pub(super) fn merged(&self, members: &Value) -> Result<Value, Error> {
        let patch = Member::body(members)?;
        patch.get("properties").object()?;
        let mut whole = self.whole();
        if patch.get("tags").tags()?.is_some() {
            whole["tags"] = members["tags"].clone();
        }
        let given = members.get("properties").and_then(Value::as_object).into_iter().flatten();
        // A null counts as absent, as everywhere.
        for (name, value) in given.filter(|(_, value)| !value.is_null()) {
            whole["properties"][name] = value.clone();
        }
        Ok(whole)
    }

    /// As its clients read it. The addresses of receivers are in it: whoever may read a group may have them (D-605).
    pub fn show(&self) -> Value {
        let mut shown = self.whole();
        let name = IdParts::of(&self.id).name;
        let Some(members) = shown.as_object_mut() else { return shown };
        for (member, value) in [
            ("id", self.id.as_str()),
            ("name", name),
            ("type", self.kind.resource_type()),
            ("etag", self.etag.0.as_str()),
        ] {
            members.insert(member.to_owned(), value.into());
        }
        let properties = members.entry("properties").or_insert_with(|| Map::new().into());
        match self.kind {
            Kind::MetricAlert => {
                properties["lastUpdatedTime"] = json!(self.modified);
                properties["isMigrated"] = false.into();
            }
            Kind::QueryRule => {
                properties["isLegacyLogAnalyticsRule"] = false.into();
                properties["isWorkspaceAlertsStorageConfigured"] = false.into();
                members.entry("kind").or_insert_with(|| "LogAlert".into());
                let data = json!({ "createdAt": self.created, "lastModifiedAt": self.modified });
                members.insert("systemData".to_owned(), data);
            }
            Kind::ActionGroup => undelivered(properties),
        }
        shown
    }
}

/// D-606: Azure's word for a mail address or a telephone that gets nothing.
fn undelivered(properties: &mut Value) {
    for kind in ["emailReceivers", "smsReceivers"] {
        for receiver in properties.get_mut(kind).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(members) = receiver.as_object_mut() {
                members.insert("status".to_owned(), "Disabled".into());
            }
        }
    }
}

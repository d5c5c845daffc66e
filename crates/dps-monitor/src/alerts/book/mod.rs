//! The book of rules and action groups: all of them in memory, each change durable before it is acknowledged. Owns
//! preconditions, limits of number and size, and what of a document is secret; must not know what makes a document right
//! (`document` does), nor when a rule fires.

mod kept;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use dps_model::etag::IfMatch;
use dps_model::limits::MAX_PAGE;
use dps_model::{Error, ErrorCode, Etag, Timestamp};
use serde_json::Value;

use super::document::{Kind, Surroundings};
use super::group::ActionGroup;
use super::rule::Rule;
use crate::ports::{MonitorState, Resources, RuleSource, StateError, StateWrite};
pub use kept::Document;
use kept::{Entry, Meaning};

/// Documents by their ids in lower case.
type Entries = BTreeMap<String, Entry>;

/// Rules and action groups as they are now.
pub struct RuleBook {
    state: Arc<dyn MonitorState>,
    resources: Arc<dyn Resources>,
    workspace: String,
    shelves: RwLock<Shelves>,
    /// One change at a time: what a change is judged against stays until it is durable.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Shelves {
    metric_alerts: Entries,
    query_rules: Entries,
    action_groups: Entries,
}

impl Shelves {
    fn of(&self, kind: Kind) -> &Entries {
        match kind {
            Kind::MetricAlert => &self.metric_alerts,
            Kind::QueryRule => &self.query_rules,
            Kind::ActionGroup => &self.action_groups,
        }
    }

    fn of_mut(&mut self, kind: Kind) -> &mut Entries {
        match kind {
            Kind::MetricAlert => &mut self.metric_alerts,
            Kind::QueryRule => &mut self.query_rules,
            Kind::ActionGroup => &mut self.action_groups,
        }
    }
}

/// What a change asks of what is there.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// It must be this version.
    pub if_match: Option<IfMatch>,
    /// Nothing may be there.
    pub must_be_new: bool,
}

/// What a client wants.
#[derive(Clone, Debug)]
pub enum Change {
    /// This document in place of what is there.
    Whole(Value),
    /// These members in place of those that are there: `tags`, and each of `properties`.
    Members(Value),
}

/// A change that was made.
#[derive(Clone)]
pub struct Changed {
    /// What is there now.
    pub document: Document,
    /// The version before; none when there was nothing.
    pub previous: Option<Etag>,
}

impl RuleBook {
    /// Reads what is kept. A document that this version cannot read stays as it is, is shown, and does nothing.
    pub async fn open(
        state: Arc<dyn MonitorState>,
        resources: Arc<dyn Resources>,
        workspace: String,
    ) -> Result<Self, StateError> {
        let mut shelves = Shelves::default();
        for kind in Kind::ALL {
            let mut after: Option<String> = None;
            loop {
                let page = state.list(kind.shelf(), after.as_deref(), MAX_PAGE).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.id.clone());
                for kept in page {
                    let id = kept.id.clone();
                    match Entry::of_kept(kind, kept) {
                        Ok(entry) => drop(shelves.of_mut(kind).insert(id, entry)),
                        Err(error) => {
                            tracing::error!(%id, %error, "a kept document cannot be read; it is left where it is");
                        }
                    }
                }
            }
        }
        Ok(Self {
            state,
            resources,
            workspace,
            shelves: RwLock::new(shelves),
            writing: tokio::sync::Mutex::default(),
        })
    }

    /// The document of that ARM id, in any case of letters.
    pub fn get(&self, kind: Kind, id: &str) -> Option<Document> {
        self.read().of(kind).get(&key(id)).map(|entry| entry.document.clone())
    }

    /// Documents under a subscription or a resource group, in the order of their ids, behind `after`; and whether there
    /// are more than `limit`.
    pub fn list(&self, kind: Kind, under: &str, after: Option<&str>, limit: usize) -> (Vec<Document>, bool) {
        let begin = format!("{}/", key(under));
        let from = after.map(key).filter(|after| *after >= begin);
        let from = from.map_or(Bound::Included(begin.clone()), Bound::Excluded);
        let shelves = self.read();
        let mut found = shelves
            .of(kind)
            .range((from, Bound::Unbounded))
            .take_while(|(id, _)| id.starts_with(&begin))
            .map(|(_, entry)| entry.document.clone());
        let page = found.by_ref().take(limit).collect();
        (page, found.next().is_some())
    }

    /// Creates or changes a document. It is made even if whoever asked for it goes away meanwhile.
    pub async fn put(
        self: &Arc<Self>,
        kind: Kind,
        id: &str,
        change: Change,
        conditions: Conditions,
        now: Timestamp,
    ) -> Result<Changed, Error> {
        let (book, id) = (Arc::clone(self), id.to_owned());
        let made = tokio::spawn(async move { book.put_now(kind, &id, change, &conditions, now).await });
        made.await.map_err(Error::internal)?
    }

    /// Removes a document; the version that was removed.
    pub async fn delete(
        self: &Arc<Self>,
        kind: Kind,
        id: &str,
        if_match: Option<IfMatch>,
    ) -> Result<Option<Etag>, Error> {
        let (book, id) = (Arc::clone(self), id.to_owned());
        let made = tokio::spawn(async move { book.delete_now(kind, &id, if_match.as_ref()).await });
        made.await.map_err(Error::internal)?
    }

    async fn put_now(
        &self,
        kind: Kind,
        id: &str,
        change: Change,
        conditions: &Conditions,
        now: Timestamp,
    ) -> Result<Changed, Error> {
        let _alone = self.writing.lock().await;
        let before = self.get(kind, id);
        check(before.as_ref(), conditions)?;
        if before.is_none() && self.read().of(kind).len() >= kind.most() {
            let message =
                format!("A server has at most {} of these: delete a {} first.", kind.most(), kind.words());
            return Err(Error::with(ErrorCode::QuotaExceeded, message));
        }
        let body = match (change, &before) {
            (Change::Whole(body), _) => body,
            (Change::Members(_), None) => return Err(absent(kind)),
            (Change::Members(members), Some(before)) => before.merged(&members)?,
        };
        let entry = {
            let has_group = |id: &str| self.read().of(Kind::ActionGroup).contains_key(&key(id));
            let resources = self.resources.as_ref();
            let around = Surroundings { resources, workspace: &self.workspace, has_group: &has_group };
            Entry::new(kind, id, body, before.as_ref(), now, &around)?
        };
        let write = StateWrite::Put {
            shelf: kind.shelf(),
            document: entry.document.kept()?,
            over: Some(before.as_ref().map(|before| before.etag.clone())),
        };
        self.written(kind, id, write).await?;
        let document = entry.document.clone();
        self.write().of_mut(kind).insert(key(id), entry);
        Ok(Changed { document, previous: before.map(|before| before.etag) })
    }

    async fn delete_now(
        &self,
        kind: Kind,
        id: &str,
        if_match: Option<&IfMatch>,
    ) -> Result<Option<Etag>, Error> {
        let _alone = self.writing.lock().await;
        let Some(before) = self.get(kind, id) else { return Ok(None) };
        check(Some(&before), &Conditions { if_match: if_match.cloned(), must_be_new: false })?;
        self.written(kind, id, StateWrite::Delete { shelf: kind.shelf(), id: key(id) }).await?;
        self.write().of_mut(kind).remove(&key(id));
        Ok(Some(before.etag))
    }

    /// Makes a change durable. After a failure nobody knows what is on disk: it is looked up.
    async fn written(&self, kind: Kind, id: &str, write: StateWrite) -> Result<(), Error> {
        let Err(error) = self.state.write(vec![write]).await else { return Ok(()) };
        if error != StateError::Busy
            && let Ok(found) = self.state.get(kind.shelf(), &key(id)).await
        {
            let entry = found.and_then(|kept| Entry::of_kept(kind, kept).ok());
            let mut shelves = self.write();
            match entry {
                Some(entry) => drop(shelves.of_mut(kind).insert(key(id), entry)),
                None => drop(shelves.of_mut(kind).remove(&key(id))),
            }
        }
        Err(failed(error))
    }

    fn read(&self) -> RwLockReadGuard<'_, Shelves> {
        self.shelves.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Shelves> {
        self.shelves.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RuleSource for RuleBook {
    fn enabled(&self) -> Vec<Arc<Rule>> {
        let shelves = self.read();
        let rules = shelves.metric_alerts.values().chain(shelves.query_rules.values());
        rules.filter_map(Entry::rule).filter(|rule| rule.enabled).cloned().collect()
    }

    fn rule(&self, id: &str) -> Option<Arc<Rule>> {
        let (shelves, id) = (self.read(), key(id));
        let found = shelves.metric_alerts.get(&id).or_else(|| shelves.query_rules.get(&id));
        found.and_then(Entry::rule).cloned()
    }

    fn group(&self, id: &str) -> Option<Arc<ActionGroup>> {
        match &self.read().action_groups.get(&key(id))?.meaning {
            Meaning::Group(group) => Some(Arc::clone(group)),
            Meaning::Rule(_) | Meaning::None => None,
        }
    }
}

/// How a store failed, as a client hears it.
pub(super) fn failed(error: StateError) -> Error {
    match error {
        StateError::Changed => Error::new(ErrorCode::EtagMismatch),
        StateError::Busy => Error::new(ErrorCode::Unavailable).because(error.to_string()),
        StateError::Failed(_) => Error::internal(error),
    }
}

/// What a client hears of a document that is not there.
pub fn absent(kind: Kind) -> Error {
    Error::with(ErrorCode::InstanceNotFound, format!("There is no {} of that name.", kind.words()))
}

fn check(before: Option<&Document>, conditions: &Conditions) -> Result<(), Error> {
    let holds = match (&conditions.if_match, before) {
        (None, _) | (Some(IfMatch::Any), Some(_)) => true,
        (Some(IfMatch::Tag(tag)), Some(before)) => *tag == before.etag,
        (Some(_), None) => false,
    };
    if holds && !(conditions.must_be_new && before.is_some()) {
        return Ok(());
    }
    Err(Error::new(ErrorCode::EtagMismatch))
}

fn key(id: &str) -> String {
    id.trim_end_matches('/').to_lowercase()
}

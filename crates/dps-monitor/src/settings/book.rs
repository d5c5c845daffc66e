//! The diagnostic settings of all resources: durable in the state, and in memory, from where every row is answered. The
//! settings of a resource are one document, so that its rules hold for all of them at once. Must not know who asks.
//!
//! A resource whose settings nobody ever changed has no document, and sends everything to the built-in workspace by a
//! setting that can be seen and deleted like any other (D-641). The first one that is made takes its place.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use dps_model::Etag;
use dps_model::limits::MAX_PAGE;
use serde::{Deserialize, Serialize};

use super::effect::Effect;
use super::rules::{Destinations, Refusal, Workspace, check};
use super::setting::Setting;
use crate::logs::ResourceLog;
use crate::ports::{Kept, MonitorState, Routes, Shelf, StateError, StateWrite};

/// The settings of all resources.
pub struct SettingsBook {
    state: Arc<dyn MonitorState>,
    destinations: Destinations,
    /// Where no setting was ever made.
    untouched: Arc<Entry>,
    /// By resource id in upper case, as rows have it.
    entries: ArcSwap<HashMap<String, Arc<Entry>>>,
    /// Some setting sends to somewhere else than the workspace.
    leaving: AtomicBool,
    /// One change at a time.
    changing: tokio::sync::Mutex<()>,
}

/// The settings of a resource.
#[derive(Default)]
struct Entry {
    settings: Vec<Setting>,
    etag: Option<Etag>,
    effect: Arc<Effect>,
}

/// Their document.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    resource_id: String,
    settings: Vec<Setting>,
}

/// What a change replaced by what: versions of all settings of the resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// None where no setting was ever made.
    pub previous: Option<Etag>,
    /// From now on.
    pub etag: Etag,
}

/// Why a change was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// The setting breaks a rule.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The state failed; private.
    #[error(transparent)]
    State(#[from] StateError),
}

impl SettingsBook {
    /// Reads what the state has.
    pub async fn open(state: Arc<dyn MonitorState>, destinations: Destinations) -> Result<Self, StateError> {
        let default = destinations.workspace.iter().map(|it| Setting::default_to(&it.resource_id)).collect();
        let untouched = Arc::new(Entry::of("", default, None, &destinations));
        let entries = ArcSwap::from_pointee(HashMap::new());
        let (leaving, changing) = (AtomicBool::new(false), tokio::sync::Mutex::default());
        let book = Self { state, destinations, untouched, entries, leaving, changing };
        let mut after: Option<String> = None;
        loop {
            let page = book.state.list(Shelf::DiagnosticSettings, after.as_deref(), MAX_PAGE).await?;
            let whole = page.len() == MAX_PAGE;
            after = page.last().map(|document| document.id.clone());
            for document in page {
                book.adopt(document);
            }
            if !whole {
                return Ok(book);
            }
        }
    }

    /// The built-in workspace.
    pub fn workspace(&self) -> Option<&Workspace> {
        self.destinations.workspace.as_ref()
    }

    /// The settings of a resource, in the order of their making.
    pub fn list(&self, resource_id: &str) -> Vec<Setting> {
        self.entry(&resource_id.to_uppercase()).settings.clone()
    }

    /// The setting of that name, in any case.
    pub fn get(&self, resource_id: &str, name: &str) -> Option<Setting> {
        let entry = self.entry(&resource_id.to_uppercase());
        entry.settings.iter().find(|setting| is(setting, name)).cloned()
    }

    /// Makes a setting, or replaces the one of its name.
    pub async fn put(&self, resource_id: &str, setting: Setting) -> Result<Change, BookError> {
        let _alone = self.changing.lock().await;
        let entry = self.entry(&resource_id.to_uppercase());
        // What stands in for settings that were never made is none of the others.
        let mut settings = if entry.etag.is_some() { entry.settings.clone() } else { Vec::new() };
        let place = settings.iter().position(|other| is(other, &setting.name));
        let others: Vec<Setting> =
            settings.iter().filter(|other| !is(other, &setting.name)).cloned().collect();
        check(&setting, &others, &self.destinations)?;
        match place.and_then(|place| settings.get_mut(place)) {
            Some(there) => *there = setting,
            None => settings.push(setting),
        }
        Ok(self.write(resource_id, &entry, settings).await?)
    }

    /// Deletes the setting of that name; none when there is none.
    pub async fn delete(&self, resource_id: &str, name: &str) -> Result<Option<Change>, StateError> {
        let _alone = self.changing.lock().await;
        let entry = self.entry(&resource_id.to_uppercase());
        if !entry.settings.iter().any(|setting| is(setting, name)) {
            return Ok(None);
        }
        let settings = entry.settings.iter().filter(|setting| !is(setting, name)).cloned().collect();
        self.write(resource_id, &entry, settings).await.map(Some)
    }

    /// Forgets the settings of resources that are there no more, so that a new one of the same id begins anew (D-644);
    /// answers how many resources that were.
    pub async fn forget(&self, exists: impl Fn(&str) -> bool + Send) -> Result<usize, StateError> {
        let _alone = self.changing.lock().await;
        let gone: Vec<String> = self.entries.load().keys().filter(|id| !exists(id)).cloned().collect();
        for id in &gone {
            let write = StateWrite::Delete { shelf: Shelf::DiagnosticSettings, id: id.to_lowercase() };
            self.state.write(vec![write]).await?;
            self.change(|entries| drop(entries.remove(id)));
        }
        Ok(gone.len())
    }

    /// What the settings of a resource come to; its id in upper case.
    pub fn effect(&self, resource_id: &str) -> Arc<Effect> {
        Arc::clone(&self.entry(resource_id).effect)
    }

    /// Does any setting send anything to somewhere else than the workspace?
    pub fn leaves_the_server(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    fn entry(&self, upper: &str) -> Arc<Entry> {
        Arc::clone(self.entries.load().get(upper).unwrap_or(&self.untouched))
    }

    async fn write(
        &self,
        resource_id: &str,
        entry: &Entry,
        settings: Vec<Setting>,
    ) -> Result<Change, StateError> {
        let document = Document { resource_id: resource_id.to_owned(), settings };
        let body = serde_json::to_string(&document).map_err(|error| StateError::Failed(error.to_string()))?;
        let (id, etag) = (resource_id.to_lowercase(), Etag::fresh());
        let kept = Kept { id: id.clone(), etag: etag.clone(), body, sealed: None };
        let over = Some(entry.etag.clone());
        let put = StateWrite::Put { shelf: Shelf::DiagnosticSettings, document: kept.clone(), over };
        if let Err(error) = self.state.write(vec![put]).await {
            // It may have been done all the same: what the state has now holds.
            if let Ok(Some(there)) = self.state.get(Shelf::DiagnosticSettings, &id).await {
                self.adopt(there);
            }
            return Err(error);
        }
        self.adopt(kept);
        Ok(Change { previous: entry.etag.clone(), etag })
    }

    /// Takes a document of the state into memory.
    fn adopt(&self, kept: Kept) {
        let settings = match serde_json::from_str::<Document>(&kept.body) {
            Ok(document) => document.settings,
            Err(error) => {
                tracing::error!(resource = kept.id, %error, "diagnostic settings cannot be read and count as none");
                Vec::new()
            }
        };
        let upper = kept.id.to_uppercase();
        let entry = Arc::new(Entry::of(&upper, settings, Some(kept.etag), &self.destinations));
        self.change(|entries| drop(entries.insert(upper, entry)));
    }

    fn change(&self, change: impl FnOnce(&mut HashMap<String, Arc<Entry>>)) {
        // Changes are made one at a time, so that none is lost.
        let mut entries = HashMap::clone(&self.entries.load());
        change(&mut entries);
        let leaving = entries.values().any(|entry| !entry.effect.outlets.is_empty());
        self.entries.store(Arc::new(entries));
        self.leaving.store(leaving, Ordering::Release);
    }
}

impl Entry {
    fn of(upper: &str, settings: Vec<Setting>, etag: Option<Etag>, destinations: &Destinations) -> Self {
        let effect = Arc::new(Effect::of(upper, &settings, destinations));
        Self { settings, etag, effect }
    }
}

fn is(setting: &Setting, name: &str) -> bool {
    setting.name.eq_ignore_ascii_case(name)
}

impl Routes for SettingsBook {
    fn to_workspace(&self, log: &ResourceLog) -> bool {
        if log.resource_id.is_empty() {
            // Of a provisioning service that is there no more: no setting can be asked, and it explains what
            // happened (D-648).
            return self.destinations.workspace.is_some();
        }
        self.entry(&log.resource_id).effect.to_workspace(log.category)
    }
}

#[cfg(test)]
mod tests;

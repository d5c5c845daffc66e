//! The inbox itself: groups in memory, within bounds that hold under attack, and in the state. Takes events without ever
//! waiting; a flush writes what has changed. What people decide is durable before it is acknowledged.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dps_events::Event;
use dps_model::Etag;
use dps_model::limits::{
    INBOX_GROUPS_LEFT, MAX_INBOX_BYTES, MAX_INBOX_GROUPS, MAX_INBOX_IGNORED, MAX_INBOX_WRITES,
    MAX_INBOX_WRITES_PER_COMMIT, MAX_PAGE,
};

use super::group::{Group, Kind};
use super::sighting::{Seen, Sighting};
use crate::ports::{Kept, MonitorState, Shelf, StateError, StateWrite};

/// Unknown devices of a server.
pub struct Inbox {
    state: Arc<dyn MonitorState>,
    groups: Mutex<Groups>,
    /// One write at a time keeps the state in the order of what happened.
    writing: tokio::sync::Mutex<()>,
    evicted: AtomicU64,
}

#[derive(Default)]
struct Groups {
    by_id: HashMap<String, Entry>,
    /// In the state, and to be removed there.
    gone: HashSet<String>,
    bytes: usize,
    ignored: usize,
}

struct Entry {
    group: Group,
    changes: u64,
    /// Changes that the state has; none where it has nothing.
    written: Option<u64>,
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InboxError {
    /// No group has that id.
    #[error("no group of unknown devices has that id")]
    Unknown,
    /// As many groups as may be are ignored.
    #[error("{MAX_INBOX_IGNORED} groups are ignored already; show one of them again, or delete it")]
    Full,
    /// The state failed; private.
    #[error(transparent)]
    State(#[from] StateError),
}

impl Inbox {
    /// Reads what the state has. What cannot be read is removed by the next flush.
    pub async fn open(state: Arc<dyn MonitorState>) -> Result<Self, StateError> {
        let mut groups = Groups::default();
        let mut after: Option<String> = None;
        loop {
            let page = state.list(Shelf::Inbox, after.as_deref(), MAX_PAGE).await?;
            let whole = page.len() == MAX_PAGE;
            after = page.last().map(|document| document.id.clone());
            for document in page {
                match serde_json::from_str::<Group>(&document.body) {
                    Ok(group) if group.id == document.id => groups.adopt(group),
                    _ => {
                        groups.gone.insert(document.id);
                    }
                }
            }
            if !whole {
                break;
            }
        }
        Ok(Self {
            state,
            groups: Mutex::new(groups),
            writing: tokio::sync::Mutex::default(),
            evicted: AtomicU64::new(0),
        })
    }

    /// Takes note of an event.
    pub fn observe(&self, event: &Event) {
        match Seen::of(event) {
            Seen::Unknown(sighting) => {
                let evicted = self.groups().note(&sighting);
                self.evicted.fetch_add(evicted, Ordering::Relaxed);
            }
            Seen::Known(sighting, enrollment) => self.groups().known(&sighting, enrollment),
            Seen::Nothing => {}
        }
    }

    /// Groups so far that made room for others.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Groups that are wanted, the latest first.
    pub fn list(&self, wanted: impl Fn(&Group) -> bool) -> Vec<Group> {
        let groups = self.groups();
        let mut found: Vec<Group> =
            groups.by_id.values().map(|entry| &entry.group).filter(|group| wanted(group)).cloned().collect();
        drop(groups);
        found.sort_by(|one, other| (other.last_seen, &one.id).cmp(&(one.last_seen, &other.id)));
        found
    }

    /// The group of that id.
    pub fn get(&self, id: &str) -> Option<Group> {
        self.groups().by_id.get(id).map(|entry| entry.group.clone())
    }

    /// Forgets a group until it is seen again. Errors: `Unknown`.
    pub async fn delete(&self, id: &str) -> Result<(), InboxError> {
        let _alone = self.writing.lock().await;
        if !self.groups().by_id.contains_key(id) {
            return Err(InboxError::Unknown);
        }
        self.state.write(vec![removal(id)]).await?;
        let mut groups = self.groups();
        groups.remove(id);
        groups.gone.remove(id);
        Ok(())
    }

    /// A group is ignored from now on, or shown again; it stays so. Errors: `Unknown`, `Full`.
    pub async fn set_ignored(&self, id: &str, ignored: bool) -> Result<Group, InboxError> {
        let _alone = self.writing.lock().await;
        let (group, changes) = {
            let groups = self.groups();
            let entry = groups.by_id.get(id).ok_or(InboxError::Unknown)?;
            if ignored && !entry.group.ignored && groups.ignored >= MAX_INBOX_IGNORED {
                return Err(InboxError::Full);
            }
            (Group { ignored, ..entry.group.clone() }, entry.changes)
        };
        self.state.write(vec![put(&group)?]).await?;
        let mut groups = self.groups();
        groups.set_ignored(&group, changes);
        Ok(group)
    }

    /// A device of a group was let in, or with none all of them. Errors: `Unknown`.
    pub async fn accepted(&self, id: &str, registration_id: Option<&str>) -> Result<(), InboxError> {
        let left = {
            let mut groups = self.groups();
            if !groups.by_id.contains_key(id) {
                return Err(InboxError::Unknown);
            }
            registration_id.is_some_and(|device| groups.forget_device(id, device))
        };
        if left { Ok(()) } else { self.delete(id).await }
    }

    /// Forgets the groups of provisioning services that are there no more.
    pub fn forget(&self, exists: impl Fn(&str) -> bool) {
        let mut groups = self.groups();
        let gone: Vec<String> = groups
            .by_id
            .values()
            .filter(|entry| entry.group.instance.as_deref().is_some_and(|name| !exists(name)))
            .map(|entry| entry.group.id.clone())
            .collect();
        for id in gone {
            groups.remove(&id);
        }
    }

    /// Writes what has changed since the last flush, as much as one may. What could not be written is written by the
    /// next one.
    pub async fn flush(&self) -> Result<(), StateError> {
        let _alone = self.writing.lock().await;
        let gone: Vec<String> = self.groups().gone.iter().cloned().collect();
        for some in gone.chunks(MAX_INBOX_WRITES_PER_COMMIT) {
            self.state.write(some.iter().map(|id| removal(id)).collect()).await?;
            let mut groups = self.groups();
            for id in some {
                groups.gone.remove(id);
            }
        }
        let changed = self.groups().changed();
        for some in changed.chunks(MAX_INBOX_WRITES_PER_COMMIT) {
            let writes = some.iter().map(|(group, _)| put(group)).collect::<Result<Vec<_>, _>>()?;
            self.state.write(writes).await?;
            let mut groups = self.groups();
            for (group, changes) in some {
                groups.wrote(&group.id, *changes);
            }
        }
        Ok(())
    }

    /// A panic under the lock cannot leave the groups half-changed: nothing in there calls out.
    fn groups(&self) -> MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Groups {
    /// From the state.
    fn adopt(&mut self, group: Group) {
        self.bytes += group.bytes();
        self.ignored += usize::from(group.ignored);
        self.by_id.insert(group.id.clone(), Entry { group, changes: 0, written: Some(0) });
    }

    /// One more attempt; answers how many groups made room for it.
    fn note(&mut self, sighting: &Sighting<'_>) -> u64 {
        let id = sighting.id();
        if let Some(entry) = self.by_id.get_mut(&id) {
            let before = entry.group.bytes();
            entry.group.note(sighting);
            entry.changes += 1;
            self.bytes = (self.bytes + entry.group.bytes()).saturating_sub(before);
        } else {
            let group = Group::of(sighting);
            self.bytes += group.bytes();
            // Of an id that was gone the document is there still, and is replaced.
            let written = self.gone.remove(&id).then_some(0);
            self.by_id.insert(id, Entry { group, changes: 1, written });
        }
        if self.by_id.len() - self.ignored > MAX_INBOX_GROUPS || self.bytes > MAX_INBOX_BYTES {
            return self.evict();
        }
        0
    }

    /// Makes room: first go groups of the network that has most of them, of those the ones that asked least, the oldest
    /// first. Who attacks from one place so takes the places of others last; what is ignored stays ignored.
    fn evict(&mut self) -> u64 {
        let mut by_network: HashMap<&str, usize> = HashMap::new();
        for network in self.by_id.values().filter_map(|entry| entry.group.networks.first()) {
            *by_network.entry(network).or_default() += 1;
        }
        let crowd = |group: &Group| {
            let network = group.networks.first().map(String::as_str).unwrap_or_default();
            by_network.get(network).copied().unwrap_or_default()
        };
        let mut least: Vec<_> = self
            .by_id
            .values()
            .map(|entry| &entry.group)
            .filter(|group| !group.ignored)
            .map(|group| (Reverse(crowd(group)), group.count, group.last_seen, group.id.clone()))
            .collect();
        least.sort();
        let mut evicted = 0;
        for (.., id) in least {
            let few = self.by_id.len() - self.ignored <= INBOX_GROUPS_LEFT;
            if few && self.bytes <= MAX_INBOX_BYTES / 10 * 9 {
                break;
            }
            self.remove(&id);
            evicted += 1;
        }
        evicted
    }

    fn known(&mut self, sighting: &Sighting<'_>, enrollment: &str) {
        if self.by_id.is_empty() {
            return;
        }
        let id = sighting.id();
        if self.by_id.get(&id).is_none_or(|entry| entry.group.ignored) {
            return;
        }
        if enrollment == "IndividualEnrollment" && self.forget_device(&id, sighting.registration_id) {
            return;
        }
        self.remove(&id);
    }

    /// Forgets one device of many; false where the group is of it alone, or no other is left.
    fn forget_device(&mut self, id: &str, registration_id: &str) -> bool {
        let Some(entry) = self.by_id.get_mut(id).filter(|entry| entry.group.kind == Kind::Issuer) else {
            return false;
        };
        entry.changes += 1;
        let before = entry.group.bytes();
        let empty = entry.group.forget(registration_id);
        self.bytes = (self.bytes + entry.group.bytes()).saturating_sub(before);
        !empty
    }

    fn remove(&mut self, id: &str) {
        let Some(entry) = self.by_id.remove(id) else { return };
        self.bytes = self.bytes.saturating_sub(entry.group.bytes());
        self.ignored -= usize::from(entry.group.ignored);
        if entry.written.is_some() {
            self.gone.insert(id.to_owned());
        }
    }

    fn set_ignored(&mut self, written: &Group, changes: u64) {
        // It may have been evicted meanwhile; what is written stays.
        let entry = self.by_id.entry(written.id.clone()).or_insert_with(|| Entry {
            group: Group { ignored: false, ..written.clone() },
            changes,
            written: None,
        });
        match (entry.group.ignored, written.ignored) {
            (false, true) => self.ignored += 1,
            (true, false) => self.ignored -= 1,
            _ => {}
        }
        entry.group.ignored = written.ignored;
        entry.written = Some(changes);
        self.gone.remove(&written.id);
    }

    /// Groups that the state does not have as they are, those first that it does not have at all.
    fn changed(&self) -> Vec<(Group, u64)> {
        let changed = |entry: &&Entry| entry.written != Some(entry.changes);
        let mut changed: Vec<&Entry> = self.by_id.values().filter(changed).collect();
        changed.sort_by_key(|entry| (entry.written.is_some(), Reverse(entry.group.count)));
        changed.iter().take(MAX_INBOX_WRITES).map(|entry| (entry.group.clone(), entry.changes)).collect()
    }

    fn wrote(&mut self, id: &str, changes: u64) {
        match self.by_id.get_mut(id) {
            Some(entry) => entry.written = Some(changes),
            // It went while it was written.
            None => {
                self.gone.insert(id.to_owned());
            }
        }
    }
}

fn put(group: &Group) -> Result<StateWrite, StateError> {
    let body = serde_json::to_string(group).map_err(|error| StateError::Failed(error.to_string()))?;
    let document = Kept { id: group.id.clone(), etag: Etag::fresh(), body, sealed: None };
    Ok(StateWrite::Put { shelf: Shelf::Inbox, document, over: None })
}

fn removal(id: &str) -> StateWrite {
    StateWrite::Delete { shelf: Shelf::Inbox, id: id.to_owned() }
}

#[cfg(test)]
mod tests;

//! The order of posts, in memory. Must not know documents or posts.

use std::collections::{BTreeMap, HashMap};

use dps_model::Timestamp;
use dps_model::limits::{
    MAX_NOTIFICATIONS_IN_FLIGHT, MAX_NOTIFICATIONS_WAITING, MAX_WEBHOOK_NOTIFICATIONS,
    MAX_WEBHOOK_NOTIFICATIONS_IN_FLIGHT,
};

use super::Fate;
use crate::alerts::delivery::{Endpoint, Notification};

/// What waits.
#[derive(Default)]
pub(super) struct Waiting {
    by_id: BTreeMap<String, Entry>,
    endpoints: HashMap<Endpoint, Load>,
    in_flight: usize,
}

struct Entry {
    endpoint: Endpoint,
    /// Must be gone before.
    behind: Option<String>,
    due: Timestamp,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// To be posted.
    Open,
    /// To be removed.
    Settled,
    /// Being posted, or removed where it was settled.
    InHands { settled: bool },
}

#[derive(Default)]
struct Load {
    waiting: usize,
    in_flight: usize,
    muted: Option<Timestamp>,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn admits(&self, endpoint: &Endpoint) -> bool {
        let of_endpoint = self.endpoints.get(endpoint).map_or(0, |load| load.waiting);
        self.by_id.len() < MAX_NOTIFICATIONS_WAITING && of_endpoint < MAX_WEBHOOK_NOTIFICATIONS
    }

    /// Adds it, unless it is there.
    pub(super) fn add(&mut self, notification: &Notification) {
        let id = notification.id();
        if self.by_id.contains_key(&id) {
            return;
        }
        let (endpoint, behind, due) = (notification.endpoint(), notification.behind(), notification.due);
        self.endpoints.entry(endpoint.clone()).or_default().waiting += 1;
        self.by_id.insert(id, Entry { endpoint, behind, due, stage: Stage::Open });
    }

    /// Takes what may be posted now into hands; and when to look again if nothing happens before.
    pub(super) fn start(&mut self, now: Timestamp) -> (Vec<String>, Option<Timestamp>) {
        self.forget_mutes(now);
        let mut ids: Vec<(Timestamp, &String)> = Vec::new();
        let mut next: Option<Timestamp> = None;
        for (id, entry) in &self.by_id {
            let load = self.endpoints.get(&entry.endpoint);
            let is_settled = entry.stage == Stage::Settled;
            // A removal disturbs no webhook.
            let muted = load.and_then(|load| load.muted).filter(|_| !is_settled);
            let ready = muted.map_or(entry.due, |until| until.max(entry.due));
            let is_behind = entry.behind.as_ref().is_some_and(|before| self.by_id.contains_key(before));
            if matches!(entry.stage, Stage::InHands { .. }) || (is_behind && !is_settled) {
                continue; // its end wakes us
            }
            if ready > now {
                next = Some(next.map_or(ready, |next| next.min(ready)));
            } else {
                ids.push((entry.due, id));
            }
        }
        ids.sort();
        let ids: Vec<String> = ids.into_iter().map(|(_, id)| id.clone()).collect();
        (ids.into_iter().filter(|id| self.take(id)).collect(), next)
    }

    /// Takes it into hands, where there is place.
    fn take(&mut self, id: &str) -> bool {
        let Some(entry) = self.by_id.get_mut(id) else { return false };
        let Some(load) = self.endpoints.get_mut(&entry.endpoint) else { return false };
        let is_full = self.in_flight >= MAX_NOTIFICATIONS_IN_FLIGHT
            || load.in_flight >= MAX_WEBHOOK_NOTIFICATIONS_IN_FLIGHT;
        if is_full {
            return false; // the end of one of those wakes us
        }
        self.in_flight += 1;
        load.in_flight += 1;
        entry.stage = Stage::InHands { settled: entry.stage == Stage::Settled };
        true
    }

    /// Is only its document left?
    pub(super) fn is_settled(&self, id: &str) -> bool {
        self.by_id.get(id).is_some_and(|entry| entry.stage == Stage::InHands { settled: true })
    }

    /// What became of one that was in hands.
    pub(super) fn finish(&mut self, id: &str, fate: Fate) {
        let Some(entry) = self.by_id.get_mut(id) else { return };
        let Some(load) = self.endpoints.get_mut(&entry.endpoint) else { return };
        self.in_flight = self.in_flight.saturating_sub(1);
        load.in_flight = load.in_flight.saturating_sub(1);
        if let Fate::Mutes(until) | Fate::SettledAndMutes(_, until) = fate {
            load.muted = Some(until);
        }
        match fate {
            Fate::Again(due) => (entry.due, entry.stage) = (due, Stage::Open),
            Fate::Settled(due) | Fate::SettledAndMutes(due, _) => {
                (entry.due, entry.stage) = (due, Stage::Settled);
            }
            Fate::Gone | Fate::Mutes(_) => {
                load.waiting = load.waiting.saturating_sub(1);
                self.by_id.remove(id);
            }
        }
    }

    /// Whoever had it in hands is gone.
    pub(super) fn let_go(&mut self, id: &str, due: Timestamp) {
        match self.by_id.get(id).map(|entry| entry.stage) {
            Some(Stage::InHands { settled: true }) => self.finish(id, Fate::Settled(due)),
            Some(Stage::InHands { settled: false }) => self.finish(id, Fate::Again(due)),
            _ => {}
        }
    }

    fn forget_mutes(&mut self, now: Timestamp) {
        self.endpoints.retain(|_, load| {
            load.muted = load.muted.filter(|until| *until > now);
            load.waiting > 0 || load.muted.is_some()
        });
    }
}

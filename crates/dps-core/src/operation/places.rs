//! How many operations are worked on at once: in all, and at any one hub or webhook, so that a peer that stalls does not
//! keep the others' devices waiting. Must not know what is done in a place.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use dps_model::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Admitted;

/// The places of a node.
pub(super) struct Places {
    /// At hubs, in all.
    hubs: Arc<Semaphore>,
    /// At webhooks, in all: a slow one must not keep others from their hubs.
    webhooks: Arc<Semaphore>,
    /// Those of each peer at which something is under way.
    by_peer: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// The places among which an operation needs one.
pub(super) struct Wanted {
    /// The hub or the webhook that the operation needs next.
    pub(super) peer: String,
    all: Arc<Semaphore>,
    here: Arc<Semaphore>,
}

/// A place that is taken.
pub(super) struct Place {
    all: OwnedSemaphorePermit,
    here: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new() -> Self {
        Self {
            hubs: Arc::new(Semaphore::new(limits::MAX_RUNNING_OPERATIONS)),
            webhooks: Arc::new(Semaphore::new(limits::MAX_RUNNING_WEBHOOKS)),
            by_peer: Mutex::default(),
        }
    }

    /// Where the operation goes next.
    pub(super) fn of(&self, admitted: &Admitted) -> Wanted {
        let (all, peer) = match (admitted.record.asking(), admitted.record.running()) {
            (Some(ask), _) => (&self.webhooks, ask.shown_url.clone()),
            (None, Some((_, plan))) => (&self.hubs, plan.hub.key()),
            (None, None) => (&self.hubs, String::new()),
        };
        let mut peers = self.by_peer.lock().unwrap_or_else(PoisonError::into_inner);
        if !peers.contains_key(&peer) {
            // Nothing is under way where nobody else holds the semaphore.
            peers.retain(|_, places| Arc::strong_count(places) > 1);
        }
        let fresh = || Arc::new(Semaphore::new(limits::MAX_RUNNING_AT_ONE_PEER));
        let here = Arc::clone(peers.entry(peer.clone()).or_insert_with(fresh));
        Wanted { peer, all: Arc::clone(all), here }
    }

    /// Waits until no place is taken; none may be taken meanwhile.
    pub(super) async fn emptied(&self) {
        // Who has asked a webhook goes on to a hub: the other way round it would wait for ever.
        for (places, all) in
            [(&self.webhooks, limits::MAX_RUNNING_WEBHOOKS), (&self.hubs, limits::MAX_RUNNING_OPERATIONS)]
        {
            // Fails only when the permits are closed, and then nothing runs.
            let _ = places.acquire_many(u32::try_from(all).unwrap_or(u32::MAX)).await;
        }
    }
}

impl Wanted {
    /// A place, if one is free.
    pub(super) fn try_take(&self) -> Option<Place> {
        let here = Arc::clone(&self.here).try_acquire_owned().ok()?;
        Some(Place { all: Arc::clone(&self.all).try_acquire_owned().ok()?, here })
    }

    /// A place, once one is free. None when there will be none any more.
    pub(super) async fn take(&self) -> Option<Place> {
        // That of the peer first: who waits for it takes nothing from the others.
        let here = Arc::clone(&self.here).acquire_owned().await.ok()?;
        Some(Place { all: Arc::clone(&self.all).acquire_owned().await.ok()?, here })
    }
}

impl Place {
    /// Is it one of these?
    pub(super) fn is_among(&self, wanted: &Wanted) -> bool {
        Arc::ptr_eq(self.all.semaphore(), &wanted.all) && Arc::ptr_eq(self.here.semaphore(), &wanted.here)
    }
}

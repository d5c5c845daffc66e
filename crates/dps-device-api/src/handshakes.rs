//! Places for TLS handshakes. Owns how many run at once, which bounds their memory, and who leaves when all places are
//! taken: the oldest, once it is older than any honest one need be, so that peers that stall cannot shut others out.
//! Must not know TLS.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dps_model::limits;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// All places of a server.
pub(crate) struct Handshakes {
    places: Semaphore,
    running: Mutex<Running>,
}

/// Who holds a place, oldest first.
#[derive(Default)]
struct Running {
    next: u64,
    by_age: BTreeMap<u64, (Instant, Arc<Notify>)>,
}

/// One place, given back when dropped.
pub(crate) struct Place<'a> {
    of: &'a Handshakes,
    number: u64,
    give_way: Arc<Notify>,
    _permit: SemaphorePermit<'a>,
}

impl Handshakes {
    pub(crate) fn new(places: usize) -> Self {
        Self { places: Semaphore::new(places), running: Mutex::default() }
    }

    /// Places that nobody has.
    pub(crate) fn free(&self) -> usize {
        self.places.available_permits()
    }

    /// Waits for a place, first come, first served. The caller bounds the time.
    pub(crate) async fn enter(&self) -> Place<'_> {
        let grace = Duration::from_millis(limits::HANDSHAKE_GRACE_MS);
        loop {
            if let Ok(permit) = self.places.try_acquire() {
                return self.place(permit);
            }
            self.press(grace);
            if let Ok(Ok(permit)) = tokio::time::timeout(grace, self.places.acquire()).await {
                return self.place(permit);
            }
        }
    }

    fn place<'a>(&'a self, permit: SemaphorePermit<'a>) -> Place<'a> {
        let give_way = Arc::new(Notify::new());
        let mut running = self.running();
        let number = running.next;
        running.next += 1;
        running.by_age.insert(number, (Instant::now(), Arc::clone(&give_way)));
        drop(running);
        Place { of: self, number, give_way, _permit: permit }
    }

    /// Asks the oldest to leave when it has stayed longer than that. Each newcomer presses another one.
    fn press(&self, grace: Duration) {
        let mut running = self.running();
        if let Some(oldest) = running.by_age.first_entry()
            && oldest.get().0.elapsed() >= grace
        {
            oldest.remove().1.notify_one();
        }
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        // Nothing in here can be left half done by a panic.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// Ends when a newer handshake needs the place.
    pub(crate) async fn gives_way(&self) {
        self.give_way.notified().await;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.of.running().by_age.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Handshakes;

    #[tokio::test(start_paused = true)]
    async fn place_taken_for_long_goes_to_a_newcomer() {
        let handshakes = Handshakes::new(2);
        let (first, second) = (handshakes.enter().await, handshakes.enter().await);
        let stalled = async {
            first.gives_way().await;
            drop(first);
        };
        let (third, ()) = tokio::join!(handshakes.enter(), stalled);
        // The second is as old, but nobody asked for its place.
        assert!(tokio::time::timeout(Duration::from_secs(59), second.gives_way()).await.is_err());
        drop((second, third));
        assert!(handshakes.running().by_age.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn place_given_back_goes_on_without_pressing_anyone() {
        let handshakes = Handshakes::new(1);
        let first = handshakes.enter().await;
        let begun = tokio::time::Instant::now();
        let leave = async { drop(first) };
        let (_second, ()) = tokio::join!(handshakes.enter(), leave);
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}

//! How many requests are handled at once, how many may wait for it, and what the others are told.
//!
//! Who comes when both are full is refused before any work is done for it, and is called back at the pace at which
//! requests were ended lately. Must not know what handling is, nor who asks: nothing is proven yet.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use dps_model::limits;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::bucket::SECOND;
use super::retry::{Chance, Line};

/// Requests handled at once, and those that may wait.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Requests in progress.
    pub handling: usize,
    /// Requests that wait for one of them to end.
    pub waiting: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { handling: limits::MAX_HANDLING, waiting: limits::MAX_HANDLING_WAITING }
    }
}

/// One gate as an operator sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateLoad {
    /// Requests in progress.
    pub in_flight: usize,
    /// Requests that wait.
    pub waiting: usize,
    /// New ones are refused, or were in the last `OVERLOAD_MEMORY` seconds.
    pub overloaded: bool,
}

/// A gate.
pub(super) struct Gate {
    bounds: Bounds,
    permits: Semaphore,
    waiting: AtomicUsize,
    ended: AtomicU64,
    pace: Mutex<Pace>,
}

/// A request in progress; ends when dropped.
pub struct InFlight<'a> {
    gate: &'a Gate,
    _permit: SemaphorePermit<'a>,
}

/// A request that waits; whichever way it stops waiting, the next may.
struct Waiting<'a>(&'a AtomicUsize);

/// How fast requests end while there are too many of them.
struct Pace {
    line: Line,
    chance: Chance,
    per_second: u64,
    /// When the count of ended requests was last looked at, and what it was.
    looked: Option<(u64, u64)>,
    refused: Option<u64>,
}

impl Gate {
    pub(super) fn new(bounds: Bounds, chance: Chance) -> Self {
        let pace = Pace {
            line: Line::default(),
            chance,
            per_second: limits::MIN_HANDLING_PACE,
            looked: None,
            refused: None,
        };
        Self {
            bounds,
            permits: Semaphore::new(bounds.handling),
            waiting: AtomicUsize::new(0),
            ended: AtomicU64::new(0),
            pace: Mutex::new(pace),
        }
    }

    /// In at once, if a request less than the bound is in progress.
    pub(super) fn try_enter(&self) -> Option<InFlight<'_>> {
        self.permits.try_acquire().ok().map(|permit| self.in_flight(permit))
    }

    /// In when it is this request's turn, in the order of arrival; or the `Retry-After` of one too many.
    pub(super) async fn enter(&self, now: u64) -> Result<InFlight<'_>, u32> {
        let Some(_until_in) = Waiting::join(&self.waiting, self.bounds.waiting) else {
            return Err(self.refuse(now));
        };
        // Fails only when the semaphore is closed, which nobody does.
        self.permits.acquire().await.map(|permit| self.in_flight(permit)).map_err(|_| self.refuse(now))
    }

    pub(super) fn load(&self, now: u64) -> GateLoad {
        let in_flight = self.bounds.handling.saturating_sub(self.permits.available_permits());
        let waiting = self.waiting.load(Ordering::Relaxed);
        let full = in_flight >= self.bounds.handling && waiting >= self.bounds.waiting;
        let memory = limits::OVERLOAD_MEMORY * SECOND;
        let refused = self.pace.lock().unwrap_or_else(PoisonError::into_inner).refused;
        let lately = refused.is_some_and(|refused| now.saturating_sub(refused) < memory);
        GateLoad { in_flight, waiting, overloaded: full || lately }
    }

    fn in_flight<'a>(&'a self, permit: SemaphorePermit<'a>) -> InFlight<'a> {
        InFlight { gate: self, _permit: permit }
    }

    fn refuse(&self, now: u64) -> u32 {
        let ended = self.ended.load(Ordering::Relaxed);
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).refuse(ended, now)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.gate.ended.fetch_add(1, Ordering::Relaxed);
    }
}

impl<'a> Waiting<'a> {
    fn join(count: &'a AtomicUsize, most: usize) -> Option<Self> {
        let more = |waiting| (waiting < most).then_some(waiting + 1);
        count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| Self(count))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pace {
    /// The count of ended requests is looked at once a second while requests are refused; an older look says nothing
    /// about what the machine can do, for it may have had nothing to do since.
    fn refuse(&mut self, ended: u64, now: u64) -> u32 {
        match self.looked {
            Some((looked, _)) if now.saturating_sub(looked) < SECOND => {}
            last => {
                if let Some((looked, before)) = last.filter(|(looked, _)| now - looked < 5 * SECOND) {
                    let pace = ended.saturating_sub(before).saturating_mul(SECOND) / (now - looked);
                    self.per_second = pace.max(limits::MIN_HANDLING_PACE);
                }
                self.looked = Some((now, ended));
            }
        }
        self.refused = Some(now);
        let interval = (SECOND / self.per_second.max(1)).max(1);
        self.line.call_back(interval, now, limits::MAX_RETRY_AFTER_BUSY, &mut self.chance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(handling: usize, waiting: usize) -> Gate {
        Gate::new(Bounds { handling, waiting }, Chance::seeded(1))
    }

    #[tokio::test]
    async fn one_too_many_is_refused_and_those_in_progress_and_waiting_end() {
        let gate = gate(2, 1);
        let (first, second) = (gate.try_enter().unwrap(), gate.try_enter().unwrap());
        assert!(gate.try_enter().is_none());
        let mut third = Box::pin(gate.enter(0));
        assert!(polled_once(&mut third).is_none(), "it waits");
        assert_eq!(gate.load(0), GateLoad { in_flight: 2, waiting: 1, overloaded: true });
        assert_eq!(gate.enter(0).await.err(), Some(1));
        drop(first);
        let third = third.await.ok().unwrap();
        assert_eq!(
            gate.load(1),
            GateLoad { in_flight: 2, waiting: 0, overloaded: true },
            "it refused lately"
        );
        drop((second, third));
        let later = limits::OVERLOAD_MEMORY * SECOND;
        assert_eq!(gate.load(later), GateLoad { in_flight: 0, waiting: 0, overloaded: false });
    }

    #[tokio::test]
    async fn who_gives_up_waiting_makes_room_for_another() {
        let gate = gate(1, 1);
        let first = gate.try_enter().unwrap();
        let mut gone = Box::pin(gate.enter(0));
        assert!(polled_once(&mut gone).is_none());
        drop(gone);
        let mut next = Box::pin(gate.enter(0));
        assert!(polled_once(&mut next).is_none(), "it waits, and was not refused");
        drop(first);
        assert!(next.await.is_ok());
        assert!(!gate.load(0).overloaded);
    }

    #[test]
    fn refused_are_called_back_at_the_pace_at_which_requests_end() {
        let mut pace = gate(1, 0).pace.into_inner().unwrap();
        pace.refuse(0, 0);
        // 1,000 requests a second end: 10,000 refused ones are told about ten seconds.
        pace.refuse(1_000, SECOND);
        let told: Vec<u32> = (0..10_000).map(|_| pace.refuse(1_000, SECOND)).collect();
        assert_eq!(told.iter().filter(|told| **told == 1).count(), 999);
        assert!((10..=11).contains(told.last().unwrap()), "{:?}", told.last());
        // After an hour of quiet the last pace is believed, not the quiet.
        pace.refuse(1_000, 3_600 * SECOND);
        assert_eq!(pace.per_second, 1_000);
    }

    fn polled_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::Pin::new(future).poll(&mut context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }
}

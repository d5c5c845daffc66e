//! A store that fails on a seeded schedule, around any other store: for simulations of crashes and full disks.
//!
//! Owns when a call fails and on which side of the inner write. Must not know which store it breaks.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use dps_core::ports::store::{Collection, Document, Page, Store, StoreError, Write};

/// How one call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call is not made: the disk was full.
    Before,
    /// The call is made and its answer lost: the process died after the write, before the answer.
    After,
    /// The queue is full: nothing happened.
    Busy,
}

/// Which calls fail. The same seed fails the same calls of the same run.
#[derive(Clone, Debug)]
pub struct Schedule {
    seed: u64,
    per_mille_reads: u64,
    per_mille_writes: u64,
    crash_at_write: Option<u64>,
    crash: Fault,
}

impl Schedule {
    /// Nothing fails.
    pub fn quiet() -> Self {
        Self { seed: 0, per_mille_reads: 0, per_mille_writes: 0, crash_at_write: None, crash: Fault::Before }
    }

    /// So many of a thousand reads and writes fail, chosen by the seed.
    pub fn seeded(seed: u64, per_mille_reads: u64, per_mille_writes: u64) -> Self {
        Self { seed, per_mille_reads, per_mille_writes, ..Self::quiet() }
    }

    /// The process dies at the n-th write, counted from 0, on the given side of it: that write fails so, and every
    /// later call fails until `FaultyStore::revive`.
    #[must_use]
    pub fn crash_at_write(mut self, nth: u64, side: Fault) -> Self {
        self.crash_at_write = Some(nth);
        self.crash = side;
        self
    }
}

/// A store that fails as its schedule says.
pub struct FaultyStore<S> {
    inner: S,
    schedule: Mutex<Schedule>,
    calls: AtomicU64,
    writes: AtomicU64,
    dead: AtomicBool,
}

impl<S> FaultyStore<S> {
    /// Wraps a store.
    pub fn new(inner: S, schedule: Schedule) -> Self {
        Self {
            inner,
            schedule: Mutex::new(schedule),
            calls: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            dead: AtomicBool::new(false),
        }
    }

    /// The store inside, which never fails on schedule.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// How many writes were asked for so far.
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }

    /// True after a crash, until `revive`.
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// The process starts again, with another schedule; writes are counted from 0.
    pub fn revive(&self, schedule: Schedule) {
        *self.schedule.lock().unwrap_or_else(PoisonError::into_inner) = schedule;
        self.writes.store(0, Ordering::SeqCst);
        self.dead.store(false, Ordering::SeqCst);
    }

    fn alive(&self) -> Result<(), StoreError> {
        if self.is_dead() { Err(StoreError::Failed("the store has crashed".into())) } else { Ok(()) }
    }

    /// A number below 1000 for the next call.
    fn draw(&self, seed: u64) -> u64 {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        split_mix(seed ^ split_mix(call))
    }

    fn before_read(&self) -> Result<(), StoreError> {
        self.alive()?;
        let schedule = self.schedule.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if self.draw(schedule.seed) % 1_000 < schedule.per_mille_reads {
            return Err(StoreError::Failed("a read was made to fail".into()));
        }
        Ok(())
    }

    fn fault_of_write(&self) -> Option<Fault> {
        let nth = self.writes.fetch_add(1, Ordering::SeqCst);
        let schedule = self.schedule.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if schedule.crash_at_write == Some(nth) {
            self.dead.store(true, Ordering::SeqCst);
            return Some(schedule.crash);
        }
        let drawn = self.draw(schedule.seed);
        if drawn % 1_000 >= schedule.per_mille_writes {
            return None;
        }
        match (drawn / 1_000) % 5 {
            0 | 1 => Some(Fault::Before),
            2 | 3 => Some(Fault::After),
            _ => Some(Fault::Busy),
        }
    }
}

/// Mixes a number well (`SplitMix64`, Steele et al. 2014): enough for a schedule, never for a secret.
fn split_mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[async_trait]
impl<S: Store> Store for FaultyStore<S> {
    async fn get(
        &self,
        collection: Collection,
        instance: &str,
        id: &str,
    ) -> Result<Option<Document>, StoreError> {
        self.before_read()?;
        self.inner.get(collection, instance, id).await
    }

    async fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.alive()?;
        match self.fault_of_write() {
            None => self.inner.write(writes).await,
            Some(Fault::Before) => Err(StoreError::Failed("a write was made to fail".into())),
            Some(Fault::Busy) => Err(StoreError::Busy),
            Some(Fault::After) => {
                // A refusal is lost like any other answer.
                let _lost = self.inner.write(writes).await;
                Err(StoreError::Failed("the answer of a write was lost".into()))
            }
        }
    }

    async fn find(
        &self,
        collection: Collection,
        instance: &str,
        lookups: &[String],
    ) -> Result<Vec<Document>, StoreError> {
        self.before_read()?;
        self.inner.find(collection, instance, lookups).await
    }

    async fn page(&self, page: Page<'_>) -> Result<Vec<Document>, StoreError> {
        self.before_read()?;
        self.inner.page(page).await
    }

    async fn due(
        &self,
        collection: Collection,
        at_or_before: i64,
        limit: usize,
    ) -> Result<Vec<(String, Document)>, StoreError> {
        self.before_read()?;
        self.inner.due(collection, at_or_before, limit).await
    }

    async fn count(&self, collection: Collection, instance: &str) -> Result<u64, StoreError> {
        self.before_read()?;
        self.inner.count(collection, instance).await
    }
}

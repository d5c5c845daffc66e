//! How much is taken on: the throttles of a profile, and how many requests are handled at once.
//!
//! `enter` stands before any work, knows nobody, and protects the machine. `registration` and `poll` stand behind the
//! proof, so that only a device itself uses up what is its own (docs/adr/0007-throttling.md). Owns the state of all
//! instances and the refusal; what is decided is in `places`, `windows` and `gate`. Must not know a protocol.

pub mod bucket;
mod device;
mod gate;
pub mod places;
pub mod retry;
pub mod windows;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dps_model::limits::{self, Profile, Rate, Throttles};
use dps_model::{Error, ErrorCode, RegistrationId};

pub use gate::{Bounds, GateLoad, InFlight};

use self::bucket::Bucket;
use self::gate::Gate;
use self::places::Places;
use self::retry::{Chance, Line, retry_after};
use self::windows::Windows;
use crate::event::RegistrationEvent;
use crate::ports::Clock;
use crate::request::DeviceOperation;

/// The throttles of all instances, and the gates of the server.
pub struct Throttle {
    throttles: Throttles,
    clock: Arc<dyn Clock>,
    /// Devices are remembered by a hash that nobody outside can aim at.
    keys: RandomState,
    state: Mutex<State>,
    registering: Gate,
    polling: Gate,
}

struct State {
    chance: Chance,
    polls: Option<Windows>,
    registrations: HashMap<String, Places>,
    service_operations: HashMap<String, (Bucket, Line)>,
}

/// How busy the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Register requests.
    pub registering: GateLoad,
    /// Polls and lookups.
    pub polling: GateLoad,
    /// Devices that were throttled and have a place.
    pub throttled_devices: usize,
}

impl Throttle {
    /// The throttles of that profile, and the default bounds on what is handled at once.
    pub fn new(profile: Profile, clock: Arc<dyn Clock>) -> Self {
        Self::bounded(profile, Bounds::default(), clock)
    }

    /// The same within other bounds, which hold for register requests and for polls separately.
    pub fn bounded(profile: Profile, bounds: Bounds, clock: Arc<dyn Clock>) -> Self {
        Self::of(profile.throttles(), bounds, clock)
    }

    /// These throttles, whatever the profile.
    pub fn of(throttles: Throttles, bounds: Bounds, clock: Arc<dyn Clock>) -> Self {
        let keys = RandomState::new();
        let chance = |of: &str| Chance::seeded(keys.hash_one(of));
        let (registering, polling) =
            (Gate::new(bounds, chance("registering")), Gate::new(bounds, chance("polling")));
        let state = Mutex::new(State {
            chance: chance("throttle"),
            polls: throttles.polls.map(Windows::new),
            registrations: HashMap::new(),
            service_operations: HashMap::new(),
        });
        Self { throttles, clock, keys, state, registering, polling }
    }

    /// Waits until the request may be handled. Errors: `Throttled` at once when too many wait already.
    pub async fn enter(
        &self,
        operation: &DeviceOperation,
        event: &mut RegistrationEvent,
    ) -> Result<InFlight<'_>, Error> {
        let gate = match operation {
            DeviceOperation::Register(_) => &self.registering,
            DeviceOperation::OperationStatus { .. } | DeviceOperation::RegistrationLookup(_) => &self.polling,
        };
        if let Some(in_flight) = gate.try_enter() {
            return Ok(in_flight);
        }
        let entered = gate.enter(self.clock.monotonic_micros()).await;
        event.step("wait");
        entered.map_err(|told| {
            let why = "the server handles as many requests as it may, and as many wait as may";
            refusal("OVERLOADED", why.to_owned(), told, event)
        })
    }

    /// A proven device registers. Errors: `Throttled` when it is not its turn; it has a place then.
    pub fn registration(
        &self,
        instance: &str,
        id: &RegistrationId,
        event: &mut RegistrationEvent,
    ) -> Result<(), Error> {
        let Some(rate) = self.throttles.registrations else { return Ok(()) };
        let (device, now) = (self.device(instance, id), self.clock.monotonic_micros());
        let mut state = self.lock();
        let State { chance, registrations, .. } = &mut *state;
        forget_idle(registrations, instance, |places| places.is_idle(now));
        let places = registrations.entry(instance.to_owned()).or_insert_with(|| Places::new(rate));
        places.ask(device, now, chance).map_err(|told| {
            let why = format!(
                "the instance takes {} registrations in {} seconds; {} devices have a place in its line",
                rate.requests,
                rate.seconds,
                places.waiting()
            );
            refusal("THROTTLED_INSTANCE", why, told, event)
        })
    }

    /// A proven device polls or looks itself up. Errors: `Throttled` when it does so too often.
    pub fn poll(
        &self,
        instance: &str,
        id: &RegistrationId,
        event: &mut RegistrationEvent,
    ) -> Result<(), Error> {
        let Some(Rate { requests, seconds }) = self.throttles.polls else { return Ok(()) };
        let (device, now) = (self.device(instance, id), self.clock.monotonic_micros());
        let mut state = self.lock();
        let State { chance, polls: Some(polls), .. } = &mut *state else { return Ok(()) };
        polls.ask(device, now).map_err(|wait| {
            let told = retry_after(wait, limits::MAX_RETRY_AFTER, chance);
            let why = format!("the device polled {requests} times within {seconds} seconds");
            refusal("THROTTLED_DEVICE", why, told, event)
        })
    }

    /// A caller with rights uses the service API. Errors: `Throttled`, with a `Retry-After` behind those refused before.
    pub fn service_operation(&self, instance: &str) -> Result<(), Error> {
        let Some(rate) = self.throttles.service_operations else { return Ok(()) };
        let now = self.clock.monotonic_micros();
        let mut state = self.lock();
        let State { chance, service_operations, .. } = &mut *state;
        forget_idle(service_operations, instance, |(bucket, _)| bucket.is_full(now));
        let (bucket, line) = service_operations
            .entry(instance.to_owned())
            .or_insert_with(|| (Bucket::new(rate), Line::default()));
        if bucket.take(now, 0) {
            return Ok(());
        }
        let told = line.call_back(bucket.interval(), now, limits::MAX_RETRY_AFTER_BUSY, chance);
        let why =
            format!("the instance takes {} service operations in {} seconds", rate.requests, rate.seconds);
        Err(Error::new(ErrorCode::Throttled).because(why).retry_after(told))
    }

    /// How busy the server is now.
    pub fn load(&self) -> Load {
        let now = self.clock.monotonic_micros();
        let throttled_devices = self.lock().registrations.values().map(Places::waiting).sum();
        Load { registering: self.registering.load(now), polling: self.polling.load(now), throttled_devices }
    }

    fn device(&self, instance: &str, id: &RegistrationId) -> u64 {
        self.keys.hash_one((instance, id.key()))
    }

    /// A panic under the lock cannot leave the state half-changed: nothing in there calls out.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes room for another instance when as many are remembered as may: first those of which nothing is to be
/// remembered, then all.
fn forget_idle<T>(of: &mut HashMap<String, T>, instance: &str, mut is_idle: impl FnMut(&mut T) -> bool) {
    if of.len() >= limits::MAX_INSTANCES_METERED && !of.contains_key(instance) {
        of.retain(|_, state| !is_idle(state));
        if of.len() >= limits::MAX_INSTANCES_METERED {
            of.clear();
        }
    }
}

fn refusal(reason: &'static str, why: String, told: u32, event: &mut RegistrationEvent) -> Error {
    event.fill(|record| record.reason = Some(reason));
    Error::new(ErrorCode::Throttled).because(why).retry_after(told)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use dps_model::Timestamp;

    use super::*;

    #[derive(Default)]
    struct HeldClock(AtomicU64);

    impl Clock for HeldClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(0)
        }

        fn monotonic_micros(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn service_operations_are_throttled_for_each_instance_alone() {
        let clock = Arc::new(HeldClock::default());
        let throttle = Throttle::new(Profile::Azure, Arc::clone(&clock) as _);
        assert_eq!((0..3_000).filter(|_| throttle.service_operation("a").is_ok()).count(), 1_000);
        let refused = throttle.service_operation("a").unwrap_err();
        assert_eq!(refused.code.row().code, 429_001);
        assert!(refused.retry_after.is_some_and(|told| (1..=limits::MAX_RETRY_AFTER_BUSY).contains(&told)));
        assert!(throttle.service_operation("b").is_ok());
        clock.0.store(6 * bucket::SECOND, Ordering::Relaxed);
        assert_eq!((0..3_000).filter(|_| throttle.service_operation("a").is_ok()).count(), 100);
        let none = Throttle::new(Profile::SelfHosted, clock);
        assert!((0..3_000).all(|_| none.service_operation("a").is_ok()));
    }

    #[test]
    fn instances_that_are_remembered_are_bounded() {
        let throttle = Throttle::new(Profile::Azure, Arc::new(HeldClock::default()));
        for n in 0..2 * limits::MAX_INSTANCES_METERED {
            assert!(throttle.service_operation(&format!("instance-{n}")).is_ok());
        }
        assert!(throttle.lock().service_operations.len() <= limits::MAX_INSTANCES_METERED);
    }
}

//! Whose turn it is: the devices of one instance that were told to come back, each with a place of its own.
//!
//! Who is refused takes the next place, one `interval` behind the last; who comes back at its place, or up to
//! `PLACE_HELD` after it, is admitted, whoever else is at the door; who comes early hears the rest of its wait and
//! loses nothing. What no place needs is open to all. Pure: takes the time as an argument. Callers name devices that
//! have proven who they are, so no stranger takes a place.

use std::collections::VecDeque;

use dps_model::limits::{self, Rate};

use super::bucket::{Bucket, SECOND};
use super::device::Devices;
use super::retry::{Chance, retry_after};

/// The places of one instance.
#[derive(Debug)]
pub struct Places {
    bucket: Bucket,
    held_for: u64,
    most: usize,
    /// The place of each device that waits.
    of: Devices<u64>,
    /// How many of them lie ahead of now.
    ahead: usize,
    /// The last place that was handed out.
    last: u64,
    /// Places ahead of now, in their order; some are given up.
    coming: VecDeque<(u64, u64)>,
    /// Places whose time has come, in their order; some are taken.
    held: VecDeque<(u64, u64)>,
}

impl Places {
    /// Nobody waits. A place is held no longer than what it holds fits into the bucket.
    pub fn new(rate: Rate) -> Self {
        Self::bounded(rate, limits::MAX_PLACES)
    }

    /// The same with so many places.
    pub fn bounded(rate: Rate, most: usize) -> Self {
        let bucket = Bucket::new(rate);
        let held_for = (limits::PLACE_HELD * SECOND).min(bucket.capacity() - bucket.interval());
        Self {
            bucket,
            held_for,
            most,
            of: Devices::default(),
            ahead: 0,
            last: 0,
            coming: VecDeque::new(),
            held: VecDeque::new(),
        }
    }

    /// Lets the device in, or says after how many seconds it is welcome.
    pub fn ask(&mut self, device: u64, now: u64, chance: &mut Chance) -> Result<(), u32> {
        self.settle(now);
        let place = self.of.get(&device).copied();
        if place.is_some_and(|place| place <= now) {
            // What is due always fits: `held_for` bounds it by the bucket, and nobody else may touch it.
            if self.bucket.take(now, 0) {
                self.of.remove(&device);
                return Ok(());
            }
            return Err(retry_after(self.bucket.interval(), limits::MAX_RETRY_AFTER, chance));
        }
        let due = self.of.len().saturating_sub(self.ahead);
        if self.bucket.take(now, u64::try_from(due).unwrap_or(u64::MAX)) {
            if self.of.remove(&device).is_some() {
                self.ahead -= 1;
            }
            return Ok(());
        }
        let place = place.unwrap_or_else(|| self.hand_out(device, now));
        Err(retry_after(place - now, limits::MAX_RETRY_AFTER, chance))
    }

    /// Devices that have a place.
    pub fn waiting(&self) -> usize {
        self.of.len()
    }

    /// Has nobody been here for as long as anything here matters?
    pub fn is_idle(&mut self, now: u64) -> bool {
        self.settle(now);
        self.of.is_empty() && self.bucket.is_full(now)
    }

    /// The next place, remembered while there is room; who has none asks again as a newcomer.
    fn hand_out(&mut self, device: u64, now: u64) -> u64 {
        let place = self.last.max(now) + self.bucket.interval();
        if self.coming.len() < self.most {
            self.last = place;
            self.coming.push_back((place, device));
            self.of.insert(device, place);
            self.ahead += 1;
        }
        place
    }

    /// Lets time pass: places come due, and places that were held long enough are given up.
    fn settle(&mut self, now: u64) {
        while let Some(&(place, device)) = self.coming.front().filter(|(place, _)| *place <= now) {
            self.coming.pop_front();
            if self.of.get(&device) == Some(&place) {
                self.ahead -= 1;
                self.held.push_back((place, device));
            }
        }
        while let Some(&(place, device)) = self.held.front().filter(|(place, _)| place + self.held_for <= now)
        {
            self.held.pop_front();
            if self.of.get(&device) == Some(&place) {
                self.of.remove(&device);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Rate = Rate { requests: 1_000, seconds: 60 };

    fn chance() -> Chance {
        Chance::seeded(1)
    }

    fn seconds(told: u32) -> u64 {
        u64::from(told) * SECOND
    }

    #[test]
    fn refused_devices_get_one_place_each_in_their_order() {
        let (mut places, mut chance) = (Places::new(Rate { requests: 1, seconds: 1 }), chance());
        assert_eq!(places.ask(0, 0, &mut chance), Ok(()));
        for device in 1..=5 {
            let told = places.ask(device, 0, &mut chance).unwrap_err();
            assert_eq!(u64::from(told), device);
            assert_eq!(places.ask(device, 0, &mut chance), Err(told), "asking again keeps the place");
        }
        assert_eq!(places.waiting(), 5);
    }

    #[test]
    fn returning_device_is_admitted_before_newcomers_who_arrive_with_it() {
        let (mut places, mut chance) = (Places::new(MINUTE), chance());
        for device in 0..1_000 {
            assert_eq!(places.ask(device, 0, &mut chance), Ok(()));
        }
        let told = places.ask(1_000, 0, &mut chance).unwrap_err();
        let back = seconds(told);
        let newcomers =
            (2_000..4_000).filter(|&device| places.ask(device, back, &mut chance).is_ok()).count();
        assert_eq!(newcomers, usize::try_from(told).unwrap() * 1_000 / 60 - 1);
        assert_eq!(places.ask(1_000, back, &mut chance), Ok(()));
    }

    #[test]
    fn device_that_asks_all_the_time_gets_its_turn_and_no_more() {
        let (mut places, mut chance) = (Places::new(MINUTE), chance());
        (0..1_000).for_each(|device| assert!(places.ask(device, 0, &mut chance).is_ok()));
        let others: Vec<_> =
            (1..=600).map(|device| (device, places.ask(device, 0, &mut chance).unwrap_err())).collect();
        let mut admitted = 0;
        for tick in 1..=30_000_u64 {
            admitted += usize::from(places.ask(9_999, tick * 1_000, &mut chance).is_ok());
        }
        assert_eq!(admitted, 0, "600 places lie before it");
        for (device, told) in others {
            assert!(told <= 36 + 5);
            let back = seconds(told).max(30 * SECOND);
            assert_eq!(places.ask(device, back, &mut chance), Ok(()), "{device} at {told}");
        }
    }

    #[test]
    fn place_that_nobody_takes_is_given_up_and_its_share_is_everybodys() {
        let (mut places, mut chance) = (Places::new(MINUTE), chance());
        for device in 0..1_600 {
            let _ = places.ask(device, 0, &mut chance);
        }
        assert_eq!(places.waiting(), 600);
        // The last place is 36 s ahead and is held for 45 s; nobody comes back.
        let later = 82 * SECOND;
        assert_eq!(
            (5_000..9_000).filter(|&device| places.ask(device, later, &mut chance).is_ok()).count(),
            1_000
        );
        assert!(places.is_idle(later + 3_600 * SECOND));
    }

    #[test]
    fn memory_is_bounded_whoever_asks() {
        let (mut places, mut chance) = (Places::bounded(Rate { requests: 60, seconds: 60 }, 100), chance());
        for device in 0..100_000 {
            if let Err(told) = places.ask(device, device, &mut chance) {
                assert!((1..=limits::MAX_RETRY_AFTER).contains(&told));
            }
        }
        assert!(places.waiting() <= 100 && places.coming.len() <= 100 && places.held.len() <= 100);
    }

    proptest! {
        /// Whatever else happens: never more than the bucket allows, and who comes at its place is let in.
        #[test]
        fn keeping_ones_place_is_enough_to_be_admitted(
            steps in prop::collection::vec((0_u64..200, 0_u64..2_000_000, 0_u64..40), 1..400),
        ) {
            let rate = Rate { requests: 60, seconds: 60 };
            let (mut places, mut chance) = (Places::new(rate), chance());
            let (mut now, mut admitted) = (0_u64, 0_u64);
            for (device, pause, late) in steps {
                now += pause;
                let known = places.of.get(&device).copied();
                match places.ask(device, now, &mut chance) {
                    Ok(()) => admitted += 1,
                    Err(_) => prop_assert!(known.is_none_or(|place| place > now || place + places.held_for <= now)),
                }
                if let Some(&place) = places.of.get(&device).filter(|_| late % 4 == 0) {
                    // It comes back as late as it may, and everybody else keeps away.
                    let back = (place + late * SECOND).max(now);
                    now = back;
                    if back < place + places.held_for {
                        prop_assert_eq!(places.ask(device, back, &mut chance), Ok(()));
                        admitted += 1;
                    }
                }
                prop_assert!(admitted <= 60 + now / SECOND);
                prop_assert!(places.ahead <= places.of.len());
            }
        }
    }
}

//! So many requests of one device in any window of time, exactly. Pure: takes the time as an argument.
//!
//! Two generations of devices, turned once a window: who was silent for a window is forgotten, which changes no answer.
//! A full generation is turned early: then the oldest are forgotten, and a device may ask too often, rather than none
//! at all. Callers name devices that have proven who they are.

use std::collections::VecDeque;

use dps_model::limits::{self, Rate};

use super::bucket::SECOND;
use super::device::Devices;

/// The last requests of many devices.
#[derive(Debug)]
pub struct Windows {
    requests: usize,
    window: u64,
    most: usize,
    turned: u64,
    young: Devices<VecDeque<u64>>,
    old: Devices<VecDeque<u64>>,
}

impl Windows {
    /// Nobody has asked yet.
    pub fn new(rate: Rate) -> Self {
        Self::bounded(rate, limits::MAX_DEVICES_METERED)
    }

    /// The same with so many devices in a generation.
    pub fn bounded(rate: Rate, most: usize) -> Self {
        let requests = usize::try_from(rate.requests.max(1)).unwrap_or(usize::MAX);
        let window = u64::from(rate.seconds.max(1)) * SECOND;
        Self { requests, window, most, turned: 0, young: Devices::default(), old: Devices::default() }
    }

    /// Counts the request, or says in how many microseconds the next one fits. Refused ones do not count.
    pub fn ask(&mut self, device: u64, now: u64) -> Result<(), u64> {
        self.turn(now);
        let moved = self.old.remove(&device).unwrap_or_default();
        let times = self.young.entry(device).or_insert(moved);
        while times.front().is_some_and(|time| time + self.window <= now) {
            times.pop_front();
        }
        match times.front() {
            Some(oldest) if times.len() >= self.requests => Err(oldest + self.window - now),
            _ => {
                times.push_back(now);
                Ok(())
            }
        }
    }

    fn turn(&mut self, now: u64) {
        if now.saturating_sub(self.turned) >= 2 * self.window {
            self.young.clear();
        }
        if now.saturating_sub(self.turned) >= self.window || self.young.len() >= self.most {
            self.old = std::mem::take(&mut self.young);
            self.turned = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const POLLS: Rate = Rate { requests: 5, seconds: 10 };

    #[test]
    fn sixth_poll_within_the_window_waits_for_the_first_to_leave_it() {
        let mut windows = Windows::new(POLLS);
        for second in 0..5 {
            assert_eq!(windows.ask(1, second * SECOND), Ok(()));
        }
        assert_eq!(windows.ask(1, 5 * SECOND), Err(5 * SECOND));
        assert_eq!(windows.ask(1, 9_999_999), Err(1));
        assert_eq!(windows.ask(2, 9_999_999), Ok(()), "another device is not concerned");
        assert_eq!(windows.ask(1, 10 * SECOND), Ok(()));
        assert_eq!(windows.ask(1, 10 * SECOND), Err(SECOND));
    }

    #[test]
    fn memory_is_bounded_whoever_asks() {
        let mut windows = Windows::bounded(POLLS, 100);
        for device in 0..100_000 {
            assert_eq!(windows.ask(device, 5), Ok(()));
        }
        assert!(windows.young.len() <= 100 && windows.old.len() <= 100);
        assert_eq!(windows.ask(1, 25 * SECOND), Ok(()));
        assert_eq!((windows.young.len(), windows.old.len()), (1, 0), "the silent are forgotten");
    }

    proptest! {
        /// The same answers as a list of all that was ever admitted.
        #[test]
        fn any_window_holds_at_most_its_requests(
            steps in prop::collection::vec((0_u64..4, 0_u64..6_000_000), 1..300),
        ) {
            let mut windows = Windows::new(POLLS);
            let mut admitted: HashMap<u64, Vec<u64>> = HashMap::new();
            let mut now = 0;
            for (device, pause) in steps {
                now += pause;
                let times = admitted.entry(device).or_default();
                let recent = times.iter().filter(|time| **time + 10 * SECOND > now).count();
                let answer = windows.ask(device, now);
                prop_assert_eq!(answer.is_ok(), recent < 5);
                match answer {
                    Ok(()) => times.push(now),
                    Err(wait) => prop_assert_eq!(wait, times[times.len() - 5] + 10 * SECOND - now),
                }
            }
        }
    }
}

//! A token bucket counted in time: what has been spent is an instant that lies ahead of now. Pure; whole microseconds,
//! so that nothing is lost to rounding over a year. Must not know what is limited.

use dps_model::limits::Rate;

pub(super) const SECOND: u64 = 1_000_000;

/// So many requests in a period, all at once when the period before was idle, and evenly from then on.
#[derive(Clone, Debug)]
pub struct Bucket {
    interval: u64,
    capacity: u64,
    spent_until: u64,
}

impl Bucket {
    /// A full bucket.
    pub fn new(rate: Rate) -> Self {
        let period = u64::from(rate.seconds.max(1)) * SECOND;
        let interval = period.div_ceil(u64::from(rate.requests.max(1)));
        Self { interval, capacity: period.max(interval), spent_until: 0 }
    }

    /// Microseconds between two requests at the even pace.
    pub fn interval(&self) -> u64 {
        self.interval
    }

    /// The time that a full bucket is worth, in microseconds.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Takes one request's share if `reserved` others are left beside it.
    pub fn take(&mut self, now: u64, reserved: u64) -> bool {
        let credit = self.capacity.saturating_sub(self.spent_until.saturating_sub(now));
        let enough = credit >= self.interval.saturating_mul(reserved.saturating_add(1));
        if enough {
            self.spent_until = self.spent_until.max(now) + self.interval;
        }
        enough
    }

    /// Is nothing spent that time has not given back?
    pub fn is_full(&self, now: u64) -> bool {
        self.spent_until <= now
    }
}

#[cfg(test)]
mod tests {
    use dps_model::limits::Rate;

    use super::{Bucket, SECOND};

    #[test]
    fn idle_bucket_gives_a_period_at_once_and_then_the_even_pace() {
        let mut bucket = Bucket::new(Rate { requests: 1_000, seconds: 60 });
        let start = 7 * SECOND;
        assert_eq!((0..5_000).filter(|_| bucket.take(start, 0)).count(), 1_000);
        let later = start + 30 * SECOND;
        assert_eq!((0..5_000).filter(|_| bucket.take(later, 0)).count(), 500);
        assert!(!bucket.is_full(later) && bucket.is_full(later + 60 * SECOND));
        let much_later = later + 3_600 * SECOND;
        assert_eq!((0..5_000).filter(|_| bucket.take(much_later, 0)).count(), 1_000);
    }

    #[test]
    fn what_is_reserved_is_left() {
        let mut bucket = Bucket::new(Rate { requests: 10, seconds: 1 });
        assert_eq!((0..100).filter(|_| bucket.take(0, 4)).count(), 6);
        assert_eq!((0..100).filter(|_| bucket.take(0, 0)).count(), 4);
    }
}

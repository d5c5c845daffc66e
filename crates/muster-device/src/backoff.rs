//! Exponential backoff with random jitter. Pure; owns how long the next pause is, must not know what failed.

use std::time::Duration;

use crate::random::Jitter;

/// Pauses that double from the first to the longest. Each is drawn from the doubled value up to twice that, and never
/// below what the server asked for.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    times: u32,
}

impl Backoff {
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, times: 0 }
    }

    /// How many pauses there were since the beginning.
    pub(crate) const fn times(&self) -> u32 {
        self.times
    }

    /// The next pause; `retry_after` in seconds, as the server named it.
    pub(crate) fn pause(&mut self, retry_after: Option<u32>, jitter: &mut Jitter) -> Duration {
        let base = self.step();
        asked(retry_after).max(base).saturating_add(jitter.between(Duration::ZERO, base))
    }

    /// The next pause where the server named none, spread over a given time in place of its own.
    pub(crate) fn spread(&mut self, over: Duration, jitter: &mut Jitter) -> Duration {
        let base = self.step();
        base.saturating_add(jitter.between(Duration::ZERO, base.max(over)))
    }

    /// Begins again.
    pub(crate) const fn reset(&mut self) {
        self.times = 0;
    }

    fn step(&mut self) -> Duration {
        let base = self.first.saturating_mul(1_u32.checked_shl(self.times).unwrap_or(u32::MAX));
        self.times = self.times.saturating_add(1);
        base.min(self.longest)
    }
}

/// What a server asked for, in seconds: to the letter, however long.
pub(crate) fn asked(retry_after: Option<u32>) -> Duration {
    Duration::from_secs(retry_after.unwrap_or(0).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_up_to_the_longest_with_jitter_above() {
        let mut jitter = Jitter::seeded(1);
        let mut backoff = Backoff::new(SECOND, 20 * SECOND);
        for base in [1, 2, 4, 8, 16, 20, 20] {
            let pause = backoff.pause(None, &mut jitter);
            assert!((base * SECOND..=2 * base * SECOND).contains(&pause), "{base}: {pause:?}");
            assert_ne!(pause, base * SECOND, "jitter");
        }
        backoff.reset();
        assert!(backoff.pause(None, &mut jitter) <= 2 * SECOND);
    }

    #[test]
    fn pause_is_never_sooner_than_retry_after_and_devices_do_not_come_back_together() {
        let pauses: Vec<Duration> = (0..50)
            .map(|seed| Backoff::new(SECOND, 20 * SECOND).pause(Some(30), &mut Jitter::seeded(seed)))
            .collect();
        assert!(pauses.iter().all(|pause| (30 * SECOND..=31 * SECOND).contains(pause)), "{pauses:?}");
        let distinct: std::collections::BTreeSet<_> = pauses.iter().collect();
        assert!(distinct.len() > 40);
    }

    #[test]
    fn pause_absurd_retry_after_is_kept_to_the_letter() {
        let pause = Backoff::new(SECOND, SECOND).pause(Some(u32::MAX), &mut Jitter::seeded(1));
        let asked = Duration::from_secs(u32::MAX.into());
        assert!((asked..=asked + SECOND).contains(&pause), "{pause:?}");
    }

    #[test]
    fn pause_after_very_many_failures_does_not_overflow() {
        let mut backoff = Backoff::new(SECOND, Duration::MAX);
        for _ in 0..100 {
            backoff.pause(None, &mut Jitter::seeded(1));
        }
        assert_eq!(backoff.times(), 100);
    }
}

//! How long to wait before the next poll. Pure; the waiting itself is `provisioning`'s.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::limits::{DEFAULT_POLL_PAUSE, EAGER_POLL_PAUSE, MAX_POLL_PAUSE, REFUSED_POLL_PAUSE};
use crate::random::Jitter;

/// The rhythm of one provisioning's polls.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    at_once: bool,
    eager: Duration,
    throttled: Backoff,
    troubled: Backoff,
    jitter: Jitter,
}

impl Pace {
    /// `at_once`: the first poll does not wait, and the next ones wait for less than they are asked to, until the
    /// pauses have grown to it.
    pub(crate) fn new(at_once: bool, jitter: Jitter) -> Self {
        let backoff = Backoff::new(REFUSED_POLL_PAUSE, MAX_POLL_PAUSE);
        Self { at_once, eager: Duration::ZERO, throttled: backoff.clone(), troubled: backoff, jitter }
    }

    /// The pause after an answer that said `assigning`.
    pub(crate) fn assigning(&mut self, retry_after: Option<u32>) -> Duration {
        let asked = asked(retry_after);
        if !self.at_once {
            return asked;
        }
        let pause = self.eager.min(asked);
        self.eager = if self.eager.is_zero() { EAGER_POLL_PAUSE } else { self.eager.saturating_mul(4) };
        pause
    }

    /// The pause after a poll that was refused with 429 or 5xx, each with its own backoff; never sooner than asked.
    pub(crate) fn refused(&mut self, status: u16, retry_after: Option<u32>) -> Duration {
        let backoff = if status == 429 { &mut self.throttled } else { &mut self.troubled };
        backoff.pause(retry_after, &mut self.jitter)
    }
}

fn asked(retry_after: Option<u32>) -> Duration {
    retry_after
        .map_or(DEFAULT_POLL_PAUSE, |seconds| Duration::from_secs(seconds.into()))
        .clamp(EAGER_POLL_PAUSE, MAX_POLL_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assigning_waits_as_long_as_asked() {
        let mut pace = Pace::new(false, Jitter::seeded(1));
        assert_eq!(pace.assigning(Some(3)), Duration::from_secs(3));
        assert_eq!(pace.assigning(None), DEFAULT_POLL_PAUSE);
        assert_eq!(pace.assigning(Some(u32::MAX)), MAX_POLL_PAUSE);
        assert_eq!(pace.assigning(Some(0)), EAGER_POLL_PAUSE);
    }

    #[test]
    fn assigning_at_once_grows_to_what_is_asked() {
        let mut pace = Pace::new(true, Jitter::seeded(1));
        let pauses: Vec<u128> = (0..5).map(|_| pace.assigning(Some(3)).as_millis()).collect();
        assert_eq!(pauses, [0, 100, 400, 1_600, 3_000]);
    }

    #[test]
    fn refused_grows_by_status_and_is_never_sooner_than_asked() {
        let mut pace = Pace::new(true, Jitter::seeded(1));
        let mut seconds = |status, asked| pace.refused(status, asked).as_secs_f32();
        assert!((7.0..=8.0).contains(&seconds(429, Some(7))));
        assert!((2.0..=4.0).contains(&seconds(429, None)));
        assert!((1.0..=2.0).contains(&seconds(503, None)), "not grown by the throttling");
        assert!((4.0..=8.0).contains(&seconds(429, None)));
        let beyond = seconds(429, Some(3_600));
        assert!(beyond >= 3_600.0, "{beyond}");
    }
}

//! How long to wait before the next poll. Pure; the waiting itself is `provisioning`'s.

use std::time::Duration;

use crate::limits::{DEFAULT_POLL_PAUSE, EAGER_POLL_PAUSE, MAX_POLL_PAUSE};

/// The rhythm of one provisioning's polls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    at_once: bool,
    eager: Duration,
}

impl Pace {
    /// `at_once`: the first poll does not wait, and the next ones wait for less than they are asked to, until the
    /// pauses have grown to it.
    pub(crate) fn new(at_once: bool) -> Self {
        Self { at_once, eager: Duration::ZERO }
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

    /// The pause after a poll that was refused for a while: never sooner than asked.
    pub(crate) fn refused(retry_after: Option<u32>) -> Duration {
        asked(retry_after)
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
        let mut pace = Pace::new(false);
        assert_eq!(pace.assigning(Some(3)), Duration::from_secs(3));
        assert_eq!(pace.assigning(None), DEFAULT_POLL_PAUSE);
        assert_eq!(pace.assigning(Some(u32::MAX)), MAX_POLL_PAUSE);
        assert_eq!(pace.assigning(Some(0)), EAGER_POLL_PAUSE);
    }

    #[test]
    fn assigning_at_once_grows_to_what_is_asked() {
        let mut pace = Pace::new(true);
        let pauses: Vec<u128> = (0..5).map(|_| pace.assigning(Some(3)).as_millis()).collect();
        assert_eq!(pauses, [0, 100, 400, 1_600, 3_000]);
        assert_eq!(Pace::refused(Some(7)), Duration::from_secs(7));
    }
}

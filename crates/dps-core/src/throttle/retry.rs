//! What a refused request is told: whole seconds until its place, with chance in them. Pure but for its own generator.
//! Must not know who waits, or for what.

use dps_model::limits;

use super::bucket::SECOND;

/// `SplitMix64`: chance that nobody bets on.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The same seed gives the same draws.
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform between both, both included.
    pub fn between(&mut self, low: u32, high: u32) -> u32 {
        let span = u64::from(high.saturating_sub(low)) + 1;
        #[allow(clippy::cast_possible_truncation)]
        // a remainder of at most 2^32, for low <= high: the draw fits
        let offset = (self.draw() % span) as u32;
        low.saturating_add(offset)
    }
}

/// `Retry-After` for a place that lies so many microseconds ahead: never before it, up to an eighth after it (at most
/// `MAX_RETRY_JITTER`). A place beyond `most` is told in stages, each of them a draw from the upper half of `most`, so
/// that those whose places lie far ahead do not come back together either.
pub fn retry_after(wait: u64, most: u32, chance: &mut Chance) -> u32 {
    let seconds = u32::try_from(wait.div_ceil(SECOND)).unwrap_or(u32::MAX).max(1);
    if seconds > most {
        return chance.between(most.div_ceil(2), most);
    }
    let jitter = chance.between(0, (seconds / 8).min(limits::MAX_RETRY_JITTER));
    (seconds + jitter).min(most)
}

/// A line of those who were refused before anybody knew who they are: each is called back behind the last, and
/// nobody's place is remembered.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    last: u64,
}

impl Line {
    /// `Retry-After` for the next in line, at that pace. The line is no longer than `most` seconds, whoever fills it.
    pub(super) fn call_back(&mut self, interval: u64, now: u64, most: u32, chance: &mut Chance) -> u32 {
        // One second more, so that those beyond the end are spread like all whose places lie too far ahead.
        let end = now + (u64::from(most) + 1) * SECOND;
        self.last = (self.last.max(now) + interval).min(end);
        retry_after(self.last - now, most, chance)
    }
}

#[cfg(test)]
mod tests {
    use dps_model::limits::{MAX_RETRY_AFTER, MAX_RETRY_JITTER};

    use super::{Chance, Line, retry_after};
    use crate::throttle::bucket::SECOND;

    #[test]
    fn place_is_never_told_too_early_nor_much_too_late() {
        let mut chance = Chance::seeded(1);
        for wait in (0..400 * SECOND).step_by(333_333) {
            let told = retry_after(wait, MAX_RETRY_AFTER, &mut chance);
            assert!((1..=MAX_RETRY_AFTER).contains(&told));
            if wait <= u64::from(MAX_RETRY_AFTER) * SECOND {
                let told = u64::from(told) * SECOND;
                assert!(told >= wait, "{told} before {wait}");
                assert!(told < wait + u64::from(MAX_RETRY_JITTER + 1) * SECOND + SECOND);
            } else {
                assert!(told >= MAX_RETRY_AFTER / 2);
            }
        }
    }

    #[test]
    fn far_places_are_spread_over_the_upper_half() {
        let mut chance = Chance::seeded(2);
        let mut counts = std::collections::BTreeMap::<u32, u32>::new();
        for _ in 0..15_100 {
            *counts.entry(retry_after(u64::MAX, MAX_RETRY_AFTER, &mut chance)).or_default() += 1;
        }
        assert_eq!(counts.len(), 151);
        assert!(counts.values().all(|count| (50..=160).contains(count)), "{counts:?}");
    }

    #[test]
    fn line_calls_back_at_its_pace_and_ends_where_it_must() {
        let (mut line, mut chance) = (Line::default(), Chance::seeded(5));
        let told: Vec<u32> = (0..1_000).map(|_| line.call_back(SECOND / 100, 0, 60, &mut chance)).collect();
        assert!(told.iter().take(100).all(|told| *told == 1));
        assert!(
            told.iter()
                .zip(1_u32..)
                .all(|(told, place)| (place.div_ceil(100)..=place / 80 + 1).contains(told))
        );
        let flood: Vec<u32> = (0..100_000).map(|_| line.call_back(SECOND, 0, 60, &mut chance)).collect();
        assert!(flood.iter().all(|told| (2..=60).contains(told)));
        assert_eq!(line.call_back(SECOND / 100, 90 * SECOND, 60, &mut chance), 1, "later it is empty");
    }

    #[test]
    fn same_seed_draws_the_same() {
        let draws = |seed| {
            let mut chance = Chance::seeded(seed);
            (0..32).map(|_| chance.between(0, 1_000)).collect::<Vec<_>>()
        };
        assert_eq!(draws(3), draws(3));
        assert_ne!(draws(3), draws(4));
    }
}

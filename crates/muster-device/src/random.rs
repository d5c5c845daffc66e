//! Random delays. Owns the generator, which a test seeds; must not be used for secrets.

use std::time::Duration;

/// Pseudo-random numbers (`SplitMix64`, Steele and others 2014): enough to spread devices in time.
#[derive(Clone, Debug)]
pub struct Jitter(u64);

impl Jitter {
    /// The same seed gives the same delays.
    pub const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// Another seed in every process of every device.
    pub fn from_system() -> Self {
        let mut seed = [0; 8];
        // Without randomness the address of a local still differs between machines that lay memory out at random.
        if aws_lc_rs::rand::fill(&mut seed).is_err() {
            seed = (std::ptr::from_ref(&seed) as u64).to_le_bytes();
        }
        Self(u64::from_le_bytes(seed))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A delay between the two, both included, every millisecond as likely as the next.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = u64::try_from(most.saturating_sub(least).as_millis()).unwrap_or(u64::MAX);
        // The high half of the product is below its second factor.
        let drawn = (u128::from(self.next()) * u128::from(span.saturating_add(1))) >> 64;
        least.saturating_add(Duration::from_millis(u64::try_from(drawn).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_stays_inside_and_reaches_both_ends() {
        let mut jitter = Jitter::seeded(7);
        let (least, most) = (Duration::from_millis(10), Duration::from_millis(13));
        let mut seen = [0; 4];
        for _ in 0..4_000 {
            let drawn = jitter.between(least, most);
            seen[usize::try_from(drawn.as_millis() - 10).unwrap()] += 1;
        }
        assert!(seen.iter().all(|count| (800..1_200).contains(count)), "{seen:?}");
    }

    #[test]
    fn between_same_or_crossed_ends_gives_the_least() {
        let mut jitter = Jitter::seeded(7);
        let second = Duration::from_secs(1);
        assert_eq!(jitter.between(second, second), second);
        assert_eq!(jitter.between(second, Duration::ZERO), second);
        assert!(jitter.between(Duration::ZERO, Duration::MAX) <= Duration::MAX);
    }

    #[test]
    fn seeds_repeat_and_differ() {
        let draw = |seed| Jitter::seeded(seed).between(Duration::ZERO, Duration::from_hours(1));
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_ne!(Jitter::from_system().0, Jitter::from_system().0);
    }
}

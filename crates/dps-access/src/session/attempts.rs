//! Failed attempts to sign in, by address: a guesser is slowed down and fills neither memory nor log. The time is an
//! argument.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use dps_model::limits::{MAX_SIGN_IN_ADDRESSES, SIGN_IN_FAILURES, SIGN_IN_WINDOW};

struct Window {
    began: i64,
    failed: u32,
}

#[derive(Default)]
pub(super) struct Attempts {
    windows: HashMap<IpAddr, Window>,
}

impl Attempts {
    /// Counts one as failed; the seconds to wait when that address failed too often.
    pub(super) fn count(&mut self, peer: IpAddr, now: i64) -> Result<(), u32> {
        let place = network(peer);
        if !self.windows.contains_key(&place) && self.windows.len() >= MAX_SIGN_IN_ADDRESSES {
            self.windows.retain(|_, window| !window.is_over(now));
            let oldest = self.windows.iter().min_by_key(|(_, window)| window.began).map(|(place, _)| *place);
            if let Some(oldest) = oldest.filter(|_| self.windows.len() >= MAX_SIGN_IN_ADDRESSES) {
                self.windows.remove(&oldest);
            }
        }
        let window = self.windows.entry(place).or_insert(Window { began: now, failed: 0 });
        if window.is_over(now) {
            *window = Window { began: now, failed: 0 };
        }
        if window.failed >= SIGN_IN_FAILURES {
            let wait = window.began.saturating_add(SIGN_IN_WINDOW).saturating_sub(now);
            return Err(u32::try_from(wait).unwrap_or(1).max(1));
        }
        window.failed += 1;
        Ok(())
    }

    /// Takes one back.
    pub(super) fn forgive(&mut self, peer: IpAddr, now: i64) {
        let place = network(peer);
        if let Some(window) = self.windows.get_mut(&place) {
            window.failed = window.failed.saturating_sub(1);
            if window.failed == 0 || window.is_over(now) {
                self.windows.remove(&place);
            }
        }
    }
}

impl Window {
    /// A clock that was set back begins another one.
    fn is_over(&self, now: i64) -> bool {
        !(0..SIGN_IN_WINDOW).contains(&now.saturating_sub(self.began))
    }
}

/// An IPv6 host has a whole /64 to call from.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use dps_model::limits::{MAX_SIGN_IN_ADDRESSES, SIGN_IN_FAILURES, SIGN_IN_WINDOW};

    use super::Attempts;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn address_that_failed_too_often_waits_for_the_windows_end() {
        let mut attempts = Attempts::default();
        let peer = ip("192.0.2.1");
        for _ in 0..SIGN_IN_FAILURES {
            attempts.count(peer, 1_000).unwrap();
        }
        assert_eq!(attempts.count(peer, 1_100), Err(u32::try_from(SIGN_IN_WINDOW).unwrap() - 100));
        assert!(attempts.count(ip("::ffff:192.0.2.1"), 1_100).is_err(), "the same address");
        assert_eq!(attempts.count(ip("192.0.2.2"), 1_100), Ok(()));
        assert_eq!(attempts.count(peer, 1_000 + SIGN_IN_WINDOW), Ok(()));
    }

    #[test]
    fn success_is_no_failure_however_often() {
        let mut attempts = Attempts::default();
        for _ in 0..SIGN_IN_FAILURES * 3 {
            attempts.count(ip("192.0.2.1"), 5).unwrap();
            attempts.forgive(ip("192.0.2.1"), 5);
        }
        assert!(attempts.windows.is_empty());
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one() {
        let mut attempts = Attempts::default();
        for host in 0..SIGN_IN_FAILURES {
            attempts.count(ip(&format!("2001:db8:1:2::{host}")), 5).unwrap();
        }
        assert!(attempts.count(ip("2001:db8:1:2:ffff::1"), 5).is_err());
        assert!(attempts.count(ip("2001:db8:1:3::1"), 5).is_ok());
    }

    #[test]
    fn addresses_are_bounded() {
        let mut attempts = Attempts::default();
        for number in 0..u32::try_from(MAX_SIGN_IN_ADDRESSES).unwrap() * 2 {
            attempts.count(IpAddr::V4(Ipv4Addr::from(number)), 5).unwrap();
        }
        assert_eq!(attempts.windows.len(), MAX_SIGN_IN_ADDRESSES);
    }
}

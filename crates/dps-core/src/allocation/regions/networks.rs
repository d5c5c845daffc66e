//! Client networks by longest prefix. Owns CIDR notation and the look-up; must not know what a region is.

use std::collections::HashMap;
use std::net::IpAddr;

/// An IPv4 or IPv6 network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Network {
    is_v6: bool,
    bits: u8,
    /// The first address, in the high bits.
    address: u128,
}

impl Network {
    /// Reads `10.1.0.0/16`, `2001:db8::/32` or one address. Errors say what is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let address: IpAddr =
            address.parse().map_err(|_| format!("{text:?} is no network; write one like 10.1.0.0/16"))?;
        let (is_v6, high) = high_bits(address);
        let widest = if is_v6 { 128 } else { 32 };
        let bits = match bits {
            None => widest,
            Some(bits) => bits
                .parse()
                .ok()
                .filter(|bits| *bits <= widest)
                .ok_or_else(|| format!("the prefix of {text:?} is no number up to {widest}"))?,
        };
        if cut(high, bits) != high {
            return Err(format!("{text:?} has bits behind its prefix; write the network's first address"));
        }
        Ok(Self { is_v6, bits, address: high })
    }
}

/// An IPv4 address in an IPv6 one is that IPv4 address.
fn high_bits(address: IpAddr) -> (bool, u128) {
    match address.to_canonical() {
        IpAddr::V4(v4) => (false, u128::from(v4.to_bits()) << 96),
        IpAddr::V6(v6) => (true, v6.to_bits()),
    }
}

fn cut(address: u128, bits: u8) -> u128 {
    address & u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0)
}

/// Networks, each with a value.
#[derive(Default)]
pub(super) struct Networks {
    values: HashMap<Network, u16>,
    /// Prefix lengths in use, longest first: IPv4, IPv6.
    lengths: [Vec<u8>; 2],
}

impl Networks {
    /// Adds a network; gives back the value that it had.
    pub(super) fn insert(&mut self, network: Network, value: u16) -> Option<u16> {
        let lengths = &mut self.lengths[usize::from(network.is_v6)];
        if let Err(at) = lengths.binary_search_by(|bits| network.bits.cmp(bits)) {
            lengths.insert(at, network.bits);
        }
        self.values.insert(network, value)
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// The value of the smallest network around an address.
    pub(super) fn find(&self, address: IpAddr) -> Option<u16> {
        let (is_v6, high) = high_bits(address);
        let lengths = &self.lengths[usize::from(is_v6)];
        let around = |bits: &u8| Network { is_v6, bits: *bits, address: cut(high, *bits) };
        lengths.iter().find_map(|bits| self.values.get(&around(bits)).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::{Network, Networks};

    fn networks(texts: &[&str]) -> Networks {
        let mut networks = Networks::default();
        for (value, text) in texts.iter().enumerate() {
            networks.insert(Network::parse(text).unwrap(), u16::try_from(value).unwrap());
        }
        networks
    }

    #[test]
    fn longest_prefix_wins_in_both_families() {
        let known =
            networks(&["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "2001:db8::/32", "::/0"]);
        for (address, value) in [
            ("192.0.2.1", 0),
            ("10.9.9.9", 1),
            ("10.1.9.9", 2),
            ("10.1.2.3", 3),
            ("::ffff:10.1.2.3", 3),
            ("2001:db8::1", 4),
            ("2001:db9::1", 5),
        ] {
            assert_eq!(known.find(address.parse().unwrap()), Some(value), "{address}");
        }
    }

    #[test]
    fn address_in_no_network_has_no_value() {
        let known = networks(&["10.0.0.0/8"]);
        assert_eq!(known.find("11.0.0.0".parse().unwrap()), None);
        assert_eq!(known.find("::1".parse().unwrap()), None);
    }

    #[test]
    fn text_that_is_no_network_refused() {
        for text in
            ["", "10", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.1/8", "::1/64", "a/8", "::/129"]
        {
            assert!(Network::parse(text).is_err(), "{text}");
        }
        assert!(Network::parse("0.0.0.0/0").is_ok() && Network::parse("::/0").is_ok());
    }
}

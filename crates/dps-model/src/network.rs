//! From where a provisioning service may be called: IP filter rules and public network access (Azure: "IP connection
//! filtering"). Owns the rules and their evaluation; must not know who calls or what a refusal looks like.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use crate::limits;

/// What a rule does with a caller that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IpFilterAction {
    /// Lets it in.
    Accept,
    /// Keeps it out.
    Reject,
}

/// Which API a rule is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum IpFilterTarget {
    /// Both.
    #[default]
    All,
    /// The service API.
    ServiceApi,
    /// The device API.
    DeviceApi,
}

impl IpFilterTarget {
    fn covers(self, called: Self) -> bool {
        self == Self::All || self == called
    }
}

/// Addresses of one IPv4 network, or one address: `10.1.0.0/16`, `10.1.2.3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpMask {
    network: Ipv4Addr,
    bits: u8,
}

/// Why a text is no mask.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no IPv4 address or network; write one like 10.1.2.3 or 10.1.0.0/16")]
pub struct InvalidMask(String);

impl IpMask {
    /// Reads an address or a network in CIDR notation.
    pub fn parse(text: &str) -> Result<Self, InvalidMask> {
        let invalid = || InvalidMask(text.chars().take(limits::MAX_IP_MASK).collect());
        let (address, bits) = text.trim().split_once('/').unwrap_or((text.trim(), "32"));
        let network: Ipv4Addr = address.parse().map_err(|_| invalid())?;
        let bits = bits.parse().ok().filter(|bits| *bits <= 32).ok_or_else(invalid)?;
        Ok(Self { network, bits })
    }

    /// Is the address in the network?
    pub fn contains(self, address: Ipv4Addr) -> bool {
        let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
        address.to_bits() & mask == self.network.to_bits() & mask
    }
}

impl std::fmt::Display for IpMask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.bits {
            32 => self.network.fmt(f),
            bits => write!(f, "{}/{bits}", self.network),
        }
    }
}

impl Serialize for IpMask {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IpMask {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// One rule. Rules are asked in order; the first that matches decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IpFilterRule {
    /// Its name, for the operator.
    pub filter_name: String,
    /// What it does.
    pub action: IpFilterAction,
    /// Whom it matches.
    pub ip_mask: IpMask,
    /// Which API it is about.
    #[serde(default)]
    pub target: IpFilterTarget,
}

/// From where a provisioning service may be called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkAccess {
    /// False admits callers of private networks alone.
    pub public: bool,
    /// Asked in order.
    pub rules: Vec<IpFilterRule>,
}

impl Default for NetworkAccess {
    fn default() -> Self {
        Self { public: true, rules: Vec::new() }
    }
}

/// Why a caller is kept out; for the operator, never for the caller (Azure does not name the rule).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeptOut {
    /// A rule rejects the address.
    #[error("the IP filter rule {rule:?} ({mask}) rejects {address}")]
    ByRule {
        /// Its name.
        rule: String,
        /// Whom it matches.
        mask: IpMask,
        /// Where the caller is.
        address: IpAddr,
    },
    /// Public network access is disabled.
    #[error("public network access is disabled and {address} is no address of a private network")]
    NotPrivate {
        /// Where the caller is.
        address: IpAddr,
    },
}

impl KeptOut {
    /// Stable name, as logs and explanations use it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ByRule { .. } => "IP_FILTER_REJECTED",
            Self::NotPrivate { .. } => "PUBLIC_NETWORK_ACCESS_DISABLED",
        }
    }
}

impl NetworkAccess {
    /// May this address call that API? An address that no rule matches may. Rules are of IPv4: an IPv4 address inside
    /// an IPv6 one counts as itself, any other IPv6 address matches no rule.
    pub fn admits(&self, target: IpFilterTarget, address: IpAddr) -> Result<(), KeptOut> {
        let address = address.to_canonical();
        if !self.public && !is_private(address) {
            return Err(KeptOut::NotPrivate { address });
        }
        let IpAddr::V4(v4) = address else { return Ok(()) };
        match self.rules.iter().find(|rule| rule.target.covers(target) && rule.ip_mask.contains(v4)) {
            Some(rule) if rule.action == IpFilterAction::Reject => {
                Err(KeptOut::ByRule { rule: rule.filter_name.clone(), mask: rule.ip_mask, address })
            }
            _ => Ok(()),
        }
    }
}

/// Loopback, link-local and private-use addresses (RFC 1918, RFC 4193).
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private() || address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{IpFilterAction, IpFilterRule, IpFilterTarget, IpMask, NetworkAccess};

    fn rule(name: &str, action: IpFilterAction, mask: &str, target: IpFilterTarget) -> IpFilterRule {
        IpFilterRule { filter_name: name.into(), action, ip_mask: IpMask::parse(mask).unwrap(), target }
    }

    fn admitted(access: &NetworkAccess, target: IpFilterTarget, address: &str) -> String {
        match access.admits(target, address.parse().unwrap()) {
            Ok(()) => "in".into(),
            Err(why) => why.to_string(),
        }
    }

    #[test]
    fn first_rule_that_matches_decides() {
        use IpFilterAction::{Accept, Reject};
        use IpFilterTarget::{All, DeviceApi, ServiceApi};
        let rules = vec![
            rule("office", Accept, "10.1.0.0/16", All),
            rule("devices-elsewhere", Reject, "10.0.0.0/8", DeviceApi),
            rule("nobody", Reject, "0.0.0.0/0", ServiceApi),
        ];
        let access = NetworkAccess { public: true, rules };
        assert_eq!(admitted(&access, DeviceApi, "10.1.2.3"), "in");
        assert_eq!(admitted(&access, ServiceApi, "::ffff:10.1.2.3"), "in");
        assert!(admitted(&access, DeviceApi, "10.2.0.1").contains("\"devices-elsewhere\" (10.0.0.0/8)"));
        assert_eq!(admitted(&access, DeviceApi, "192.0.2.1"), "in");
        assert!(admitted(&access, ServiceApi, "192.0.2.1").contains("\"nobody\""));
        assert_eq!(admitted(&access, ServiceApi, "2001:db8::1"), "in", "rules are of IPv4");
    }

    #[test]
    fn disabled_public_access_admits_private_networks_alone() {
        let access = NetworkAccess { public: false, rules: Vec::new() };
        for address in ["127.0.0.1", "192.168.7.7", "10.0.0.1", "169.254.1.1", "::1", "fd00::1", "fe80::1"] {
            assert_eq!(admitted(&access, IpFilterTarget::DeviceApi, address), "in", "{address}");
        }
        for address in ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"] {
            assert!(admitted(&access, IpFilterTarget::DeviceApi, address).contains("disabled"), "{address}");
        }
    }

    #[test]
    fn mask_texts_read_and_shown() {
        for (text, shown) in
            [("10.1.2.3", "10.1.2.3"), ("10.1.0.0/16", "10.1.0.0/16"), ("0.0.0.0/0", "0.0.0.0/0")]
        {
            assert_eq!(IpMask::parse(text).unwrap().to_string(), shown);
        }
        for text in ["", "10.1.2", "10.1.2.3/33", "10.1.2.3/", "::1", "10.1.2.3/-1", "a/8"] {
            assert!(IpMask::parse(text).is_err(), "{text}");
        }
    }
}

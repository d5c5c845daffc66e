//! Weighted rendezvous hashing: every (device, hub) pair has a score, the highest wins. Adding or removing a hub moves
//! only the devices of its own share. The hash is spelt out here because it must never change: a change would move
//! devices.

use dps_model::RegistrationId;
use dps_model::hub::LinkedHub;

/// The hub with the highest score; ties (none in practice) go to the lesser name.
pub(super) fn pick<'a>(hubs: &[&'a LinkedHub], registration_id: &RegistrationId) -> Option<&'a LinkedHub> {
    let device = registration_id.key();
    hubs.iter()
        .map(|hub| (score(&device, &hub.name.key(), hub.allocation_weight), hub))
        .max_by(|(one, a), (other, b)| one.total_cmp(other).then_with(|| b.name.cmp(&a.name)))
        .map(|(_, hub)| *hub)
}

/// `-weight / ln(u)` with `u` uniform in (0, 1) drawn from the pair: the probability to win is the weight's share.
fn score(device: &str, hub: &str, weight: u32) -> f64 {
    let bits = mix(fnv1a(device.bytes().chain([0]).chain(hub.bytes())));
    #[allow(clippy::cast_precision_loss)] // 53 bits fit a double exactly
    let uniform = ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    -f64::from(weight.max(1)) / uniform.ln()
}

/// FNV-1a, 64 bits.
fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The finalizer of `SplitMix64`: FNV alone leaves similar ids with similar high bits.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use dps_model::RegistrationId;
    use dps_model::hub::LinkedHub;

    use super::{fnv1a, mix, pick};
    use crate::fixtures::instance_with_hubs;

    fn shares(hubs: &[&LinkedHub], devices: usize) -> HashMap<String, Vec<usize>> {
        let mut shares: HashMap<String, Vec<usize>> = HashMap::new();
        for n in 0..devices {
            let id = RegistrationId::parse(&format!("device-{n}")).unwrap();
            shares.entry(pick(hubs, &id).unwrap().name.key()).or_default().push(n);
        }
        shares
    }

    #[test]
    fn hash_is_what_it_always_was() {
        assert_eq!(fnv1a([b'a'].into_iter()), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(mix(1), 0x5692_161d_100b_05e5);
    }

    #[test]
    fn weights_three_to_one_share_three_to_one() {
        let mut instance = instance_with_hubs(&["a.example", "b.example"]);
        instance.linked_hubs[0].allocation_weight = 3;
        let hubs: Vec<_> = instance.linked_hubs.iter().collect();
        let first = shares(&hubs, 10_000)["a.example"].len();
        assert!((7_300..7_700).contains(&first), "{first}");
    }

    #[test]
    fn added_hub_moves_only_its_own_share() {
        let instance = instance_with_hubs(&["a.example", "b.example", "c.example"]);
        let hubs: Vec<_> = instance.linked_hubs.iter().collect();
        let (before, after) = (shares(&hubs[..2], 3_000), shares(&hubs, 3_000));
        for name in ["a.example", "b.example"] {
            assert!(after[name].iter().all(|n| before[name].contains(n)));
        }
        assert!((900..1_100).contains(&after["c.example"].len()));
    }
}

//! Properties: hostile input never panics, what is signed verifies, what is changed does not.

use dps_attestation::x509::certificate::{read_text, spki};
use dps_attestation::x509::{chain_lookups, signing_key_lookups};
use dps_attestation::{PresentedChain, SasToken, Slot};
use dps_model::limits::MAX_LOOKUP_KEYS;
use dps_model::{Secret, Timestamp};
use proptest::prelude::*;

use crate::pki::{Ca, group};

proptest! {
    #[test]
    fn token_parse_never_panics(text in ".{0,200}") {
        let _ = SasToken::parse(&text);
        let _ = SasToken::parse(&format!("SharedAccessSignature sr={text}&sig={text}&se={text}"));
    }

    #[test]
    fn token_signed_reads_back_and_verifies(
        resource in "[a-zA-Z0-9/:._%~ ü-]{1,60}",
        key in prop::collection::vec(any::<u8>(), 16..=64),
        other in prop::collection::vec(any::<u8>(), 16..=64),
        expiry in 0_i64..4_000_000_000,
        policy in prop::option::of("[a-z&=%]{1,10}"),
    ) {
        let (key, other) = (Secret::new(key), Secret::new(other));
        let text = SasToken::sign(&resource, &key, expiry, policy.as_deref());
        let token = SasToken::parse(&text).unwrap();
        prop_assert_eq!(token.resource(), resource);
        prop_assert_eq!(token.expiry(), expiry);
        prop_assert_eq!(token.policy(), policy.as_deref());
        let now = Timestamp::from_millis(expiry * 1000);
        prop_assert_eq!(token.check([&key, &other], now).unwrap(), Slot::Primary);
        prop_assert!(token.check([&other, &key], now).is_ok());
        prop_assume!(other != key);
        prop_assert!(token.check([&other, &other], now).is_err());
    }

    #[test]
    fn token_with_a_changed_byte_is_refused(at in 22_usize..150, byte in 0x20_u8..0x7f) {
        let key = Secret::new(vec![5; 32]);
        let now = Timestamp::from_millis(1_000_000_000_000);
        let text = SasToken::sign("0ne/registrations/d", &key, 1_000_000_000, None);
        let mut changed = text.clone().into_bytes();
        prop_assume!(at < changed.len() && changed[at] != byte);
        changed[at] = byte;
        let changed = String::from_utf8(changed).unwrap();
        let original = SasToken::parse(&text).unwrap();
        if let Ok(token) = SasToken::parse(&changed) {
            // Another spelling of the same escape (%2B, %2b) in the signature is the same token.
            let same = token.resource_text() == original.resource_text()
                && token.expiry() == original.expiry()
                && token.signature_hash() == original.signature_hash();
            prop_assert_eq!(token.check([&key, &key], now).is_ok(), same);
        }
    }

    #[test]
    fn certificate_parse_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = spki(&bytes);
        let _ = signing_key_lookups(&bytes);
        let _ = PresentedChain::parse(&[bytes]);
    }

    #[test]
    fn certificate_text_never_panics(text in ".{0,200}") {
        let _ = read_text(&text);
        let _ = read_text(&format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----"));
    }
}

#[test]
fn certificate_with_a_changed_byte_never_attests() {
    let root = Ca::root("Root");
    let leaf = root.issue("device-1");
    assert!(group(&root.der, None, &[&leaf]).is_ok());
    for at in 0..leaf.len() {
        for flip in [0x01, 0x80] {
            let mut changed = leaf.clone();
            changed[at] ^= flip;
            assert!(group(&root.der, None, &[&changed]).is_err(), "byte {at} flipped by {flip:#x}");
        }
    }
}

#[test]
fn lookups_of_any_chain_are_bounded() {
    let mut ca = Ca::root("0");
    let mut chain = Vec::new();
    for n in 1..10 {
        ca = ca.issue_ca(&n.to_string());
        chain.insert(0, ca.der.clone());
    }
    chain.insert(0, ca.issue("device-1"));
    let keys = chain_lookups(&PresentedChain::parse(&chain).unwrap());
    assert!(keys.len() <= MAX_LOOKUP_KEYS && keys.len() >= 20);
}

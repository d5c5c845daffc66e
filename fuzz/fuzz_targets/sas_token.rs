//! SAS tokens as a stranger writes them. Nothing that parses verifies with a key that did not sign it; what we sign
//! for whatever resource a stranger names reads back and verifies.
#![no_main]

use dps_attestation::SasToken;
use dps_attestation::symmetric_key::GroupKeys;
use dps_model::attestation::SymmetricKeys;
use dps_model::{RegistrationId, Secret, Timestamp};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let keys = SymmetricKeys { primary: Secret::new(vec![1; 64]), secondary: Secret::new(vec![2; 16]) };
    let now = Timestamp::from_millis(1_893_456_000_000);
    match SasToken::parse(text) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(token) => {
            assert!(token.check([&keys.primary, &keys.secondary], now).is_err());
            assert!(text.contains(token.resource_text()));
            assert!(token.resource_is(&token.resource().to_ascii_uppercase()));
            let _ = token.resource_covers(text);
            let id = RegistrationId::parse("Device-1").expect("a legal id");
            assert!(GroupKeys::prepare(&keys).matches(&token, &id).is_none());
        }
    }
    // Resource and policy may each grow threefold when they are escaped, and a token is bounded.
    if !text.is_empty() && text.len() < 600 {
        let signed = SasToken::sign(text, &keys.primary, 1_893_456_000, Some(text));
        let token = SasToken::parse(&signed).expect("what we sign is a token");
        assert_eq!((token.resource(), token.policy()), (text, Some(text)));
        assert!(token.check([&keys.secondary, &keys.primary], now).is_ok());
    }
});

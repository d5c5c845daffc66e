//! Bearer tokens and key sets as strangers write them. Nothing that parses is signed with a key that we made; a key set
//! that parses is bounded, and what is kept of a token stays within it.
#![no_main]

use dps_access::{BearerToken, KeySet};
use dps_model::limits::{MAX_BEARER_TOKEN, MAX_PROVIDER_KEYS};
use libfuzzer_sys::fuzz_target;

/// A public key whose private half nobody has kept.
const OURS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"k",
    "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

fuzz_target!(|input: (&str, &[u8], &str, &str)| {
    let (text, document, header, claims) = input;
    let ours = KeySet::parse(OURS.as_bytes()).expect("our own key set");
    let theirs = KeySet::parse(document).ok();
    let made = format!("{}.{}.AAAA", base64(header), base64(claims));
    for text in [text, &made] {
        match BearerToken::parse(text) {
            Err(error) => assert!(!error.to_string().is_empty()),
            Ok(token) => {
                assert!(text.len() <= MAX_BEARER_TOKEN && !token.subject().is_empty());
                assert!(!token.is_signed_with(&ours));
                if let Some(theirs) = &theirs {
                    let signed = token.is_signed_with(theirs);
                    assert!(!signed || token.has_key_in(theirs));
                }
                let _ = token.claims().has("roles", text);
            }
        }
    }
    if let Some(theirs) = theirs {
        assert!(theirs.ids().len() <= MAX_PROVIDER_KEYS);
    }
});

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}

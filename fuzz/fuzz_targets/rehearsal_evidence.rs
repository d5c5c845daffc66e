//! Evidence that an operator pastes to be rehearsed: certificates and keys. What is refused is refused with a sentence.
#![no_main]

use dps_core::rehearsal::Shown;
use dps_model::limits::MAX_CHAIN_CERTIFICATES;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|texts: Vec<&str>| {
    match Shown::certificates(texts.iter().copied()) {
        Ok(Shown::Certificates(chain)) => assert!((1..=MAX_CHAIN_CERTIFICATES).contains(&chain.len())),
        Ok(_) => panic!("certificates were read as something else"),
        Err(error) => assert!(!error.message.is_empty()),
    }
    for text in texts {
        if let Err(error) = Shown::key(text) {
            // Our own words, whatever was given: no key is shown.
            assert!((1..200).contains(&error.message.len()), "{error:?}");
        }
    }
});

//! Queries of logs as a caller writes them. What is refused is refused with places within the text and in few words; what
//! is understood prints to a text that prints the same again.
#![no_main]

use dps_kql::{limits, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match parse(text) {
        Err(refusal) => {
            assert!(!refusal.errors.is_empty() && refusal.errors.len() <= limits::MAX_ERRORS);
            for error in &refusal.errors {
                assert!(text.get(error.start..error.end).is_some(), "{error:?}");
            }
            assert!(refusal.rendered(text).len() < 1000 * refusal.errors.len());
        }
        Ok(block) => {
            let printed = block.to_string();
            match parse(&printed) {
                Ok(again) => assert_eq!(again.to_string(), printed),
                // Brackets around names and queries may carry a text over a limit.
                Err(error) => {
                    let code = error.errors.first().map_or("", |error| error.code);
                    assert!(
                        ["MU001", "KS244", "KS245"].contains(&code),
                        "{printed}\n{}",
                        error.rendered(&printed)
                    );
                }
            }
        }
    }
});

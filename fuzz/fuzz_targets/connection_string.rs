//! Connection strings as an operator pastes them. What is refused is refused with a sentence that names no key; what is
//! taken is written and read back the same.
#![no_main]

use dps_model::connection_string::ConnectionString;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match ConnectionString::parse(text) {
        Err(error) => {
            let told = error.to_string();
            assert!(!told.is_empty() && told.len() < 256);
        }
        Ok(read) => {
            let again = ConnectionString::parse(&read.expose());
            assert!(again.is_ok_and(|again| again == read));
        }
    }
});

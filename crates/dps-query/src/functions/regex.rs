//! Regular expressions, compiled once and bounded in size. Owns the translation of RE2's dialect; must not know who asks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use regex::{Regex, RegexBuilder};

use super::limits::{PATTERN_BYTES, REGEX_BYTES, REGEXES};

/// What a call has compiled. A pattern that does not compile is remembered as well.
#[derive(Debug, Default)]
pub struct Regexes {
    compiled: Mutex<HashMap<Box<str>, Option<Arc<Regex>>>>,
}

impl Regexes {
    /// The compiled pattern; none where it is no pattern, or too large.
    pub fn get(&self, pattern: &str) -> Option<Arc<Regex>> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = compiled.get(pattern) {
            return known.clone();
        }
        let regex = compile(pattern).ok().map(Arc::new);
        if compiled.len() >= REGEXES {
            compiled.clear();
        }
        compiled.insert(pattern.into(), regex.clone());
        regex
    }
}

/// Compiles within bounds; the text says what is wrong with it.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > PATTERN_BYTES {
        return Err(format!("the pattern has more than {PATTERN_BYTES} bytes"));
    }
    RegexBuilder::new(pattern)
        .size_limit(REGEX_BYTES)
        .dfa_size_limit(REGEX_BYTES)
        .build()
        .map_err(|error| error.to_string())
}

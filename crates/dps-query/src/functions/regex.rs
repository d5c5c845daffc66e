//! Regular expressions, compiled once and bounded in size. Owns the translation of RE2's dialect; must not know who asks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use regex::{Regex, RegexBuilder};

use super::limits::{PATTERN_BYTES, REGEX_BYTES, REGEX_COMPILATIONS, REGEXES};

/// What a call has compiled. A pattern that does not compile is remembered as well.
#[derive(Debug, Default)]
pub struct Regexes {
    compiled: Mutex<Compiled>,
}

#[derive(Debug, Default)]
struct Compiled {
    known: HashMap<Box<str>, Option<Arc<Regex>>>,
    count: usize,
}

impl Regexes {
    /// The compiled pattern; none where it is no pattern, or too large, or one too many.
    pub fn get(&self, pattern: &str) -> Option<Arc<Regex>> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = compiled.known.get(pattern) {
            return known.clone();
        }
        if compiled.count >= REGEX_COMPILATIONS {
            return None;
        }
        compiled.count += 1;
        let regex = compile(pattern).ok().map(Arc::new);
        if compiled.known.len() >= REGEXES {
            compiled.known.clear();
        }
        compiled.known.insert(pattern.into(), regex.clone());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_from_rows_are_compiled_so_often_and_no_more() {
        let regexes = Regexes::default();
        assert!((0..REGEX_COMPILATIONS).all(|row| regexes.get(&format!("a{row}")).is_some()));
        assert!(regexes.get("one too many").is_none());
        // What is still known is at hand.
        assert!(regexes.get(&format!("a{}", REGEX_COMPILATIONS - 1)).is_some());
    }

    #[test]
    fn pattern_that_would_be_huge_is_refused() {
        assert!(compile("(a{1000}){1000}").is_err());
        assert!(compile(&"a".repeat(PATTERN_BYTES + 1)).is_err());
        assert!(compile("[a-z]+@[a-z.]+").is_ok());
    }
}

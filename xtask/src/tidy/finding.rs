//! What a rule says when it is broken: where, what, why, and how to mend it.

use std::fmt;

/// One broken rule at one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Path from the root of the repository.
    pub path: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Name of the rule.
    pub rule: &'static str,
    /// What is there.
    pub what: String,
    /// Why it must not be.
    pub why: &'static str,
    /// What to do instead.
    pub mend: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, rule, what, why, mend } = self;
        write!(f, "{path}:{line}: {rule}: {what}; {why}; {mend}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_one_line_with_place_rule_reason_and_mend() {
        let finding = Finding {
            path: "crates/dps-core/src/lib.rs".into(),
            line: 7,
            rule: "unwrap",
            what: "`.unwrap()`".into(),
            why: "it can panic",
            mend: "return an error",
        };
        assert_eq!(
            finding.to_string(),
            "crates/dps-core/src/lib.rs:7: unwrap: `.unwrap()`; it can panic; return an error"
        );
    }
}

//! `dev.env`: what a test or a shell needs to know of a running server. Owns the form, written and read (it is a
//! contract); must not know how the values came to be.

use std::collections::HashMap;

/// Everything announced.
pub struct DevEnv {
    /// Pairs in order.
    pub pairs: Vec<(&'static str, String)>,
}

impl DevEnv {
    /// Lines that a shell can source.
    pub fn text(&self) -> String {
        let lines: Vec<String> =
            self.pairs.iter().map(|(key, value)| format!("{key}={}\n", quoted(value))).collect();
        lines.concat()
    }

    /// The value of a key; empty when there is none.
    pub fn get(&self, key: &str) -> &str {
        self.pairs.iter().find(|(name, _)| *name == key).map_or("", |(_, value)| value)
    }
}

/// Reads such lines; none where one has no `=`.
pub fn pairs(text: &str) -> Option<HashMap<String, String>> {
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once('=').map(|(key, value)| (key.to_owned(), unquoted(value)))).collect()
}

/// A value as a shell would read it: in single quotes where it has special characters.
fn unquoted(value: &str) -> String {
    match value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        Some(inner) => inner.replace(r"'\''", "'"),
        None => value.to_owned(),
    }
}

fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/:".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::DevEnv;

    #[test]
    fn special_characters_are_quoted() {
        let env = DevEnv {
            pairs: vec![("A", "plain-1.x".into()), ("B", "HostName=a;Key=b==".into()), ("C", "it's".into())],
        };
        assert_eq!(env.text(), "A=plain-1.x\nB='HostName=a;Key=b=='\nC='it'\\''s'\n");
        let read = super::pairs(&env.text()).unwrap();
        assert!(env.pairs.iter().all(|(key, value)| read[*key] == *value), "{read:?}");
    }
}

//! `dev.env`: what a test or a shell needs to know of a running server. Owns the keys' names and order (they are a
//! contract); must not know how the values came to be.

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
    }
}

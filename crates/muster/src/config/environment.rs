//! The environment's variables. Must not know what they mean.

/// A variable's text; none when it is unset, empty or no text.
#[allow(clippy::disallowed_methods)] // this is the one place
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.trim().is_empty())
}

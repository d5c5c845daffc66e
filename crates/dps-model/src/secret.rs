//! Bytes that must never be shown. Owns erasure and constant-time comparison; must not know what the bytes are for.

use zeroize::Zeroizing;

/// Secret bytes: no `Debug`, `Display` or `Serialize`; erased when dropped; compared in constant time.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Shows the bytes. Each call is a place to look at in a review.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// True when both hold the same bytes; the time taken depends on the lengths alone.
    pub fn matches(&self, other: &[u8]) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.0, other).is_ok()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text.into_bytes())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.matches(&other.0)
    }
}

impl Eq for Secret {}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn secret_same_and_other_bytes_compared() {
        assert!(Secret::new(vec![1, 2, 3]) == Secret::new(vec![1, 2, 3]));
        assert!(Secret::new(vec![1, 2, 3]) != Secret::new(vec![1, 2, 4]));
        assert!(Secret::new(vec![1, 2, 3]) != Secret::new(vec![1, 2]));
    }
}

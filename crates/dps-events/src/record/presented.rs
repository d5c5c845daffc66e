//! What a device showed, whole. An event has it on its way, so that an unknown device can be let in by what it showed; it
//! is written nowhere with the event.

use std::sync::Arc;

use dps_model::limits::MAX_PRESENTED;

/// What a device showed.
#[derive(Clone, Default)]
pub struct Presented {
    /// Certificates in DER, the device's own first; its own alone, or none, where all would be too large.
    pub chain: Arc<[Vec<u8>]>,
    /// Base64 of the endorsement key's `TPM2B_PUBLIC`.
    pub endorsement_key: Option<String>,
}

impl Presented {
    /// By a connection.
    pub fn by(chain: &Arc<[Vec<u8>]>) -> Self {
        let size: usize = chain.iter().map(Vec::len).sum();
        let chain = match chain.first() {
            _ if size <= MAX_PRESENTED => Arc::clone(chain),
            Some(leaf) if leaf.len() <= MAX_PRESENTED => Arc::from([leaf.clone()]),
            _ => Arc::default(),
        };
        Self { chain, endorsement_key: None }
    }

    /// With a TPM's key, unless that is too long to be one.
    pub fn with_endorsement_key(self, text: &str) -> Self {
        Self {
            endorsement_key: Some(text).filter(|text| text.len() <= MAX_PRESENTED).map(str::to_owned),
            ..self
        }
    }
}

impl std::fmt::Debug for Presented {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Presented")
            .field("certificates", &self.chain.len())
            .field("endorsement_key", &self.endorsement_key)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dps_model::limits::MAX_PRESENTED;

    use super::Presented;

    #[test]
    fn chain_that_is_too_large_is_held_by_its_leaf_or_not_at_all() {
        let kept = |sizes: &[usize]| {
            let chain: Arc<[Vec<u8>]> = sizes.iter().map(|size| vec![0; *size]).collect();
            Presented::by(&chain).chain.iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(kept(&[1_000, 1_000]), [1_000, 1_000]);
        assert_eq!(kept(&[1_000, MAX_PRESENTED]), [1_000]);
        assert!(kept(&[MAX_PRESENTED + 1]).is_empty() && kept(&[]).is_empty());
        let long = "x".repeat(MAX_PRESENTED + 1);
        assert_eq!(Presented::default().with_endorsement_key(&long).endorsement_key, None);
    }
}

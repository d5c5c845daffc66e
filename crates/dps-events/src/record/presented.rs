//! What a device showed, whole. An event has it on its way, so that an unknown device can be let in by what it showed; it
//! is written nowhere with the event.

use std::sync::Arc;

use dps_model::Secret;
use dps_model::limits::MAX_PRESENTED;

/// What a device showed.
#[derive(Clone, Default)]
pub struct Presented {
    /// Certificates in DER, the device's own first; its own alone, or none, where all would be too large.
    pub chain: Arc<[Vec<u8>]>,
    /// Certificates that would have been too large.
    pub left_out: usize,
    /// Base64 of the endorsement key's `TPM2B_PUBLIC`.
    pub endorsement_key: Option<String>,
    /// Base64 of the storage root key's.
    pub storage_root_key: Option<String>,
    /// Its SAS token, as it came.
    pub sas_token: Option<Secret>,
}

impl Presented {
    /// By a connection.
    pub fn by(chain: &Arc<[Vec<u8>]>) -> Self {
        let size: usize = chain.iter().map(Vec::len).sum();
        let kept = match chain.first() {
            _ if size <= MAX_PRESENTED => Arc::clone(chain),
            Some(leaf) if leaf.len() <= MAX_PRESENTED => Arc::from([leaf.clone()]),
            _ => Arc::default(),
        };
        Self { left_out: chain.len() - kept.len(), chain: kept, ..Self::default() }
    }

    /// With a TPM's key, unless that is too long to be one.
    pub fn with_endorsement_key(self, text: &str) -> Self {
        Self { endorsement_key: bounded(text), ..self }
    }

    /// With a TPM's storage root key, unless that is too long to be one.
    pub fn with_storage_root_key(self, text: &str) -> Self {
        Self { storage_root_key: bounded(text), ..self }
    }

    /// With a SAS token, unless that is too long to be one.
    pub fn with_sas_token(self, token: &Secret) -> Self {
        Self { sas_token: Some(token).filter(|token| token.expose().len() <= MAX_PRESENTED).cloned(), ..self }
    }

    /// Bytes of all of it.
    pub fn size(&self) -> usize {
        let texts = [&self.endorsement_key, &self.storage_root_key].into_iter().flatten().map(String::len);
        let certificates = self.chain.iter().map(Vec::len);
        texts.chain(certificates).sum::<usize>()
            + self.sas_token.as_ref().map_or(0, |token| token.expose().len())
    }
}

fn bounded(text: &str) -> Option<String> {
    Some(text).filter(|text| text.len() <= MAX_PRESENTED).map(str::to_owned)
}

impl std::fmt::Debug for Presented {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Presented")
            .field("certificates", &self.chain.len())
            .field("endorsement_key", &self.endorsement_key)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dps_model::Secret;
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
        let chain: Arc<[Vec<u8>]> = [vec![0; 10], vec![0; MAX_PRESENTED]].into();
        assert_eq!((Presented::by(&chain).left_out, Presented::by(&Arc::default()).left_out), (1, 0));
        let long = "x".repeat(MAX_PRESENTED + 1);
        assert_eq!(Presented::default().with_endorsement_key(&long).endorsement_key, None);
        assert!(Presented::default().with_sas_token(&Secret::from(long)).sas_token.is_none());
    }

    #[test]
    fn token_is_counted_and_never_shown() {
        let shown = Presented::default().with_sas_token(&Secret::from("sr=1&sig=secret".to_owned()));
        let shown = shown.with_storage_root_key("AAEC").with_endorsement_key("AAED");
        assert_eq!(shown.size(), 15 + 4 + 4);
        assert!(!format!("{shown:?}").contains("secret"));
    }
}

//! Keys under which certificates are found: what an enrollment's certificate is stored under, and what a presented
//! chain asks for. Owns the spelling of the keys; must not know the store. A key only finds candidates: the path
//! decides.

use std::collections::BTreeSet;

use dps_model::limits::{MAX_CHAIN_CERTIFICATES, MAX_LOOKUPS};

use super::PresentedChain;
use super::certificate::{self, CertificateError, ParsedCertificate};
use super::name::NameKey;

fn by_key(id: &[u8]) -> String {
    // An identifier may have any length; longer ones than a digest's are cut, which only widens the search.
    format!("ski:{}", hex::encode(id.get(..64).unwrap_or(id)))
}

fn by_name(name: &NameKey) -> String {
    format!("dn:{}", hex::encode(name))
}

/// What a signing certificate of an enrollment group is stored under: its key identifier, its public key, its subject.
pub fn signing_key_lookups(der: &[u8]) -> Result<Vec<String>, CertificateError> {
    let certificate = ParsedCertificate::parse(der)?;
    let mut keys: Vec<String> = certificate.extensions.subject_key.iter().map(|id| by_key(id)).collect();
    keys.push(format!("spki:{}", hex::encode(certificate.spki)));
    keys.push(by_name(&certificate.subject));
    debug_assert!(keys.len() <= MAX_LOOKUPS);
    Ok(keys)
}

/// What a presented chain asks for: issuer key and issuer name of each certificate from the leaf up, then key and
/// subject of each presented one above the leaf. Without doubles, nearest first, at most four for each
/// certificate.
pub fn chain_lookups(chain: &PresentedChain) -> Vec<String> {
    let certificates = chain.certificates();
    let issuers = certificates.iter().flat_map(|certificate| {
        let key = certificate.extensions.authority_key.iter().map(|id| by_key(id));
        key.chain([by_name(&certificate.issuer)])
    });
    let presented = certificates.iter().skip(1).flat_map(|certificate| {
        let key = certificate.extensions.subject_key.iter().map(|id| by_key(id));
        key.chain([by_name(&certificate.subject)])
    });
    let mut seen = BTreeSet::new();
    issuers.chain(presented).filter(|key| seen.insert(key.clone())).take(4 * MAX_CHAIN_CERTIFICATES).collect()
}

/// What an enrollment that refers to an uploaded CA certificate by name is stored under.
pub fn ca_reference_lookup(name: &str) -> String {
    format!("ca:{}", name.to_ascii_lowercase())
}

/// What any certificate of an enrollment is stored under, to find that it is used already.
pub fn thumbprint_lookup(der: &[u8]) -> String {
    format!("x5t:{}", certificate::thumbprint(der))
}

//! X.509: the chain a device presents, and what it proves. Owns parsing, path building and the comparison with an
//! enrollment's certificates; must not know TLS: that the device holds the leaf's key is the handshake's to prove.

pub mod certificate;
pub mod lookup;
pub mod possession;

mod constraints;
mod der;
mod name;
pub(crate) mod path;
mod references;
mod signature;

use dps_model::Timestamp;
use dps_model::attestation::{Certificate, Certificates, X509CertificateInfo};
use dps_model::hub::HubAuthentication;
use dps_model::limits::{MAX_CERTIFICATE, MAX_CHAIN_CERTIFICATES};

pub use certificate::{CertificateError, ParsedCertificate};
pub use lookup::{ca_reference_lookup, chain_lookups, signing_key_lookups, thumbprint_lookup};
pub(crate) use references::verify_references;

use crate::denial::{Denial, Reason, Role};
use crate::{Attested, Slot, Subject};

/// The certificates of a TLS handshake, the device's own first. Not empty, bounded, parsed; not yet believed.
#[derive(Clone, Debug)]
pub struct PresentedChain {
    /// The leaf, then every other certificate that could be read.
    certificates: Vec<ParsedCertificate>,
    /// Places and faults of those that could not.
    unreadable: Vec<(usize, CertificateError)>,
}

impl PresentedChain {
    /// Reads the certificates as TLS presented them (DER, leaf first). A leaf that cannot be read refuses the chain;
    /// others that cannot be read are left out, as any other certificate that leads nowhere.
    pub fn parse(presented: &[Vec<u8>]) -> Result<Self, Denial> {
        if presented.is_empty() {
            return Err(Reason::EvidenceMissing { expected: "x509" }.into());
        }
        if presented.len() > MAX_CHAIN_CERTIFICATES {
            return Err(Reason::ChainTooLong { presented: presented.len() }.into());
        }
        if let Some((position, der)) =
            presented.iter().enumerate().find(|(_, der)| der.len() > MAX_CERTIFICATE)
        {
            return Err(Reason::CertificateTooLarge { position, length: der.len() }.into());
        }
        let mut certificates = Vec::with_capacity(presented.len());
        let mut unreadable = Vec::new();
        for (position, der) in presented.iter().enumerate() {
            match ParsedCertificate::parse(der) {
                Ok(certificate) => certificates.push(certificate),
                Err(error) if position == 0 => {
                    return Err(Reason::CertificateMalformed { position, why: error.to_string() }.into());
                }
                Err(error) => unreadable.push((position, error)),
            }
        }
        Ok(Self { certificates, unreadable })
    }

    /// The device's own certificate.
    #[allow(clippy::indexing_slicing)] // `parse` refuses a chain without a readable leaf
    pub fn leaf(&self) -> &ParsedCertificate {
        &self.certificates[0]
    }

    /// Every certificate that could be read, the leaf first.
    pub fn certificates(&self) -> &[ParsedCertificate] {
        &self.certificates
    }

    /// A certificate that seems to be missing may be one that could not be read.
    fn or_unreadable(&self, reason: Reason) -> Reason {
        match (reason, self.unreadable.first()) {
            (Reason::ChainIncomplete { .. }, Some((position, error))) => {
                Reason::CertificateMalformed { position: *position, why: error.to_string() }
            }
            (reason, _) => reason,
        }
    }
}

/// The certificates that proved a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The device's own.
    pub leaf: X509CertificateInfo,
    /// CA certificates that the device presented and the path uses, from the leaf up.
    pub intermediates: Vec<X509CertificateInfo>,
    /// The enrollment group's certificate; none for an individual enrollment.
    pub signer: Option<X509CertificateInfo>,
}

impl Path {
    /// How many certificates stand between the leaf and the enrollment group's: of two groups that a chain leads to,
    /// the nearer one decides (facts: DPS "Selection").
    pub fn depth(&self) -> usize {
        self.intermediates.len()
    }
}

fn attested(slot: Slot, path: Path) -> Attested {
    Attested {
        authentication: HubAuthentication::SelfSigned {
            primary_thumbprint: path.leaf.sha256_thumbprint.clone(),
            secondary_thumbprint: None,
        },
        slot,
        kind: "x509",
        path: Some(Box::new(path)),
        endorsement_key: None,
        lower_case_id: false,
    }
}

/// The leaf is one of the enrollment's certificates, byte for byte.
pub(crate) fn verify_individual(
    pair: &Certificates,
    chain: &PresentedChain,
    subject: &Subject<'_>,
    now: Timestamp,
) -> Result<Attested, Reason> {
    let leaf = chain.leaf();
    let slot = if leaf.der == pair.primary.der {
        Slot::Primary
    } else if pair.secondary.as_ref().is_some_and(|secondary| leaf.der == secondary.der) {
        Slot::Secondary
    } else {
        return Err(not_enrolled(pair, leaf));
    };
    path::valid_at(leaf, Role::Leaf, now.seconds())?;
    common_name_is(leaf, subject)?;
    Ok(attested(slot, Path { leaf: leaf.info.clone(), intermediates: Vec::new(), signer: None }))
}

fn not_enrolled(pair: &Certificates, leaf: &ParsedCertificate) -> Reason {
    let enrolled: Vec<_> =
        pair.iter().filter_map(|certificate| ParsedCertificate::parse(&certificate.der).ok()).collect();
    let thumbprints: Vec<_> =
        pair.iter().map(|certificate| certificate.info.sha256_thumbprint.as_str()).collect();
    Reason::CertificateNotEnrolled {
        subject: leaf.subject_text(),
        thumbprint: leaf.info.sha256_thumbprint.clone().into_boxed_str(),
        enrolled: thumbprints.join(", ").into_boxed_str(),
        same_key: enrolled.iter().any(|certificate| certificate.spki == leaf.spki),
        same_subject: enrolled.iter().any(|certificate| certificate.subject == leaf.subject),
    }
}

/// A path leads from the leaf to one of the group's certificates.
pub(crate) fn verify_group(
    pair: &Certificates,
    chain: &PresentedChain,
    subject: &Subject<'_>,
    now: Timestamp,
) -> Result<Attested, Reason> {
    let signers: Vec<_> = [Slot::Primary, Slot::Secondary].into_iter().zip(pair.iter()).collect();
    verify_signed(&signers, chain, subject, now)
}

/// A path leads from the leaf to one of these certificates.
fn verify_signed(
    certificates: &[(Slot, &Certificate)],
    chain: &PresentedChain,
    subject: &Subject<'_>,
    now: Timestamp,
) -> Result<Attested, Reason> {
    let leaf = chain.leaf();
    if certificates.iter().any(|(_, certificate)| certificate.der == leaf.der) {
        return Err(Reason::LeafIsSigningCertificate {
            subject: leaf.subject_text(),
            thumbprint: leaf.info.sha256_thumbprint.clone().into_boxed_str(),
        });
    }
    path::valid_at(leaf, Role::Leaf, now.seconds())?;
    let signers = certificates
        .iter()
        // What is enrolled was parsed when it was written; a limit lowered since may refuse it now.
        .filter_map(|(slot, certificate)| Some((*slot, ParsedCertificate::parse(&certificate.der).ok()?)));
    let (slots, signers): (Vec<_>, Vec<_>) = signers.unzip();
    let found =
        path::find(chain.certificates(), &signers, now).map_err(|reason| chain.or_unreadable(reason))?;
    common_name_is(leaf, subject)?;
    let info = |place: &usize| chain.certificates().get(*place).map(|certificate| certificate.info.clone());
    let path = Path {
        leaf: leaf.info.clone(),
        intermediates: found.presented.iter().skip(1).filter_map(info).collect(),
        signer: signers.get(found.signer).map(|signer| signer.info.clone()),
    };
    Ok(attested(slots.get(found.signer).copied().unwrap_or(Slot::Primary), path))
}

/// The leaf's one common name is the registration id, whatever the case.
fn common_name_is(leaf: &ParsedCertificate, subject: &Subject<'_>) -> Result<(), Reason> {
    match leaf.common_name() {
        None => {
            Err(Reason::CommonNameMissing { subject: leaf.subject_text(), found: leaf.common_names.len() })
        }
        Some(name) if name.eq_ignore_ascii_case(subject.registration_id.as_str()) => Ok(()),
        Some(name) => Err(Reason::CommonNameMismatch {
            common_name: name.to_owned(),
            registration_id: subject.registration_id.as_str().to_owned(),
        }),
    }
}

//! From a presented leaf to a certificate that an enrollment group names. Owns the search and its policy, one reason
//! per refusal (docs/reference/attestation.md has the table, docs/adr/0003-own-path-builder.md says why it is ours);
//! must not know enrollments, registration ids or who asked.
//!
//! Presented certificates may come in any order, with others between them that do not matter. A path is tried to the
//! group's certificates first and over presented ones next, those with the fitting key identifier before the others.
//! Signatures come before policy: what is said of an issuer is said of one that really signed.

use dps_model::Timestamp;
use dps_model::limits::MAX_SIGNATURE_CHECKS;

use super::certificate::ParsedCertificate;
use super::der;
use super::signature::{self, Checked};
use crate::denial::{Reason, Role};

/// A path that holds: places of the presented certificates it uses, the leaf's first, and the signer it ends at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) presented: Vec<usize>,
    pub(crate) signer: usize,
}

/// Finds a path from the first presented certificate to one of the signers.
pub(crate) fn find(
    chain: &[ParsedCertificate],
    signers: &[ParsedCertificate],
    now: Timestamp,
) -> Result<Found, Reason> {
    let mut search = Search { chain, signers, now: now.seconds(), checked: Vec::new(), worst: None };
    let mut path = vec![0];
    match search.extend(&mut path)? {
        Some(signer) => Ok(Found { presented: path, signer }),
        None => Err(search.reason()),
    }
}

/// A certificate is valid at that time (both ends included, RFC 5280 §4.1.2.5).
pub(crate) fn valid_at(certificate: &ParsedCertificate, role: Role, now: i64) -> Result<(), Reason> {
    let subject = certificate.subject_text();
    if now > certificate.not_after {
        let by_seconds = now.saturating_sub(certificate.not_after);
        return Err(Reason::CertificateExpired {
            role,
            subject,
            not_after: certificate.info.not_after_utc,
            by_seconds,
        });
    }
    if now < certificate.not_before {
        let in_seconds = certificate.not_before.saturating_sub(now);
        let not_before = certificate.info.not_before_utc;
        return Err(Reason::CertificateNotYetValid { role, subject, not_before, in_seconds });
    }
    Ok(())
}

/// How much a failed step tells; the reason of the most telling one is given. Later ones tell more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// No issuer at all.
    DeadEnd,
    /// A presented certificate has the issuer's name and did not sign.
    OtherKey,
    /// A presented certificate signed and may not.
    Intermediate,
    /// A signer of the group has the issuer's name and did not sign.
    SignerOtherKey,
    /// A signer of the group signed and may not.
    Signer,
}

/// An issuer that may stand above the path's end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Issuer {
    Signer(usize),
    Presented(usize),
}

struct Search<'a> {
    chain: &'a [ParsedCertificate],
    signers: &'a [ParsedCertificate],
    now: i64,
    /// Signatures looked at: child, issuer, result. At most [`MAX_SIGNATURE_CHECKS`].
    checked: Vec<(usize, Issuer, Checked)>,
    worst: Option<(Weight, usize, Reason)>,
}

impl<'a> Search<'a> {
    /// Extends the path to a signer. `None`: there is none from here; an error ends the whole search.
    fn extend(&mut self, path: &mut Vec<usize>) -> Result<Option<usize>, Reason> {
        let Some((place, child)) = self.end(path) else { return Ok(None) };
        let issuers = self.issuers(child, path);
        if issuers.is_empty() {
            self.note(Weight::DeadEnd, path, self.dead_end(child));
        }
        for issuer in issuers {
            if !self.step(path, place, child, issuer)? {
                continue;
            }
            match issuer {
                Issuer::Signer(signer) => return Ok(Some(signer)),
                Issuer::Presented(next) => {
                    path.push(next);
                    if let Some(signer) = self.extend(path)? {
                        return Ok(Some(signer));
                    }
                    path.pop();
                }
            }
        }
        Ok(None)
    }

    fn end(&self, path: &[usize]) -> Option<(usize, &'a ParsedCertificate)> {
        let place = *path.last()?;
        Some((place, self.chain.get(place)?))
    }

    fn certificate(&self, issuer: Issuer) -> Option<&'a ParsedCertificate> {
        match issuer {
            Issuer::Signer(place) => self.signers.get(place),
            Issuer::Presented(place) => self.chain.get(place),
        }
    }

    /// Whoever has the issuer's name: signers first, then presented certificates that the path does not hold yet,
    /// neither as such nor as another certificate of the same name and key.
    fn issuers(&self, child: &ParsedCertificate, path: &[usize]) -> Vec<Issuer> {
        let on_path = |candidate: &ParsedCertificate| {
            path.iter()
                .filter_map(|place| self.chain.get(*place))
                .any(|held| held.subject == candidate.subject && held.spki == candidate.spki)
        };
        let signers = self.signers.iter().enumerate().filter(|(_, signer)| signer.subject == child.issuer);
        let presented = self
            .chain
            .iter()
            .enumerate()
            .filter(|(_, candidate)| candidate.subject == child.issuer && !on_path(candidate));
        let mut issuers: Vec<Issuer> = signers.map(|(place, _)| Issuer::Signer(place)).collect();
        issuers.extend(presented.map(|(place, _)| Issuer::Presented(place)));
        issuers.sort_by_key(|issuer| {
            let fits = self.certificate(*issuer).is_some_and(|issuer| key_fits(child, issuer) != Some(false));
            (matches!(issuer, Issuer::Presented(_)), !fits)
        });
        issuers
    }

    /// One edge of the path: the signature, then what the issuer may do.
    fn step(
        &mut self,
        path: &[usize],
        place: usize,
        child: &ParsedCertificate,
        issuer: Issuer,
    ) -> Result<bool, Reason> {
        let Some(certificate) = self.certificate(issuer) else { return Ok(false) };
        let (role, refused, other_key) = match issuer {
            Issuer::Signer(_) => (Role::Signer, Weight::Signer, Weight::SignerOtherKey),
            Issuer::Presented(_) => (Role::Intermediate, Weight::Intermediate, Weight::OtherKey),
        };
        match self.check_signature(place, child, issuer, certificate)? {
            Checked::Valid => {}
            Checked::Refused(algorithm) => {
                let subject = child.subject_text();
                self.note(refused, path, Reason::SignatureAlgorithmRefused { subject, algorithm });
                return Ok(false);
            }
            // A self-signed certificate is the end of its chain; others of its name say nothing about it.
            Checked::Invalid if child.is_self_issued() => {
                self.note(Weight::DeadEnd, path, self.dead_end(child));
                return Ok(false);
            }
            Checked::Invalid => {
                self.note(other_key, path, self.other_key(child, certificate, role));
                return Ok(false);
            }
        }
        let allowed = may_sign(certificate, role, self.now)
            .and_then(|()| path_length(certificate, role, self.cas_on(path)))
            .and_then(|()| self.names_allowed(certificate, path));
        match allowed {
            Ok(()) => Ok(true),
            Err(reason) => {
                self.note(refused, path, reason);
                Ok(false)
            }
        }
    }

    fn check_signature(
        &mut self,
        place: usize,
        child: &ParsedCertificate,
        issuer: Issuer,
        certificate: &ParsedCertificate,
    ) -> Result<Checked, Reason> {
        let known = self.checked.iter().find(|(of, by, _)| (*of, *by) == (place, issuer));
        if let Some((_, _, result)) = known {
            return Ok(result.clone());
        }
        if self.checked.len() >= MAX_SIGNATURE_CHECKS {
            return Err(Reason::TooManySignatureChecks { spent: self.checked.len() });
        }
        let result = match (der::parts(&child.der), der::parts(&certificate.der)) {
            (Some(signed), Some(key)) => signature::check(&signed, key.spki),
            _ => Checked::Invalid,
        };
        self.checked.push((place, issuer, result.clone()));
        Ok(result)
    }

    /// CA certificates on the path so far that count for a path length: all but the leaf and the self-issued.
    fn cas_on(&self, path: &[usize]) -> u32 {
        let cas = path.iter().skip(1).filter_map(|place| self.chain.get(*place));
        u32::try_from(cas.filter(|certificate| !certificate.is_self_issued()).count()).unwrap_or(u32::MAX)
    }

    /// The issuer's name constraints hold for all below it: the leaf, and CAs that are not self-issued.
    fn names_allowed(&self, issuer: &ParsedCertificate, path: &[usize]) -> Result<(), Reason> {
        let Some(constraints) = &issuer.extensions.name_constraints else { return Ok(()) };
        for (depth, place) in path.iter().enumerate() {
            let Some(below) = self.chain.get(*place) else { continue };
            if depth > 0 && below.is_self_issued() {
                continue;
            }
            if let Some(name) = constraints.forbidden(below) {
                let (subject, issuer) = (below.subject_text(), issuer.subject_text());
                return Err(Reason::NameConstraintViolated { subject, issuer, name });
            }
        }
        Ok(())
    }

    /// An issuer's name without its key: a signer of the group that was issued anew, unless the chain means its key.
    fn other_key(&self, child: &ParsedCertificate, issuer: &ParsedCertificate, role: Role) -> Reason {
        let meant = key_fits(child, issuer).unwrap_or_else(|| {
            self.chain.iter().any(|held| held.subject == issuer.subject && held.spki == issuer.spki)
        });
        if role == Role::Signer && !meant {
            return Reason::SignerReissued {
                subject: child.subject_text(),
                signer: issuer.subject_text(),
                enrolled_key: issuer.subject_key_id().map(String::into_boxed_str),
                presented_key: child.authority_key_id().map(String::into_boxed_str),
            };
        }
        Reason::SignatureInvalid { subject: child.subject_text(), issuer: issuer.subject_text() }
    }

    fn dead_end(&self, child: &ParsedCertificate) -> Reason {
        if child.is_self_issued() {
            let enrolled: Vec<_> = self.signers.iter().map(ParsedCertificate::subject_text).collect();
            return Reason::SignerNotInChain { top: child.subject_text(), enrolled: enrolled.join("; ") };
        }
        Reason::ChainIncomplete {
            subject: child.subject_text(),
            issuer: child.info.issuer_name.clone(),
            issuer_key: child.authority_key_id().map(String::into_boxed_str),
            presented: self.chain.len(),
        }
    }

    fn note(&mut self, weight: Weight, path: &[usize], reason: Reason) {
        let better = |(held, length, _): &(Weight, usize, Reason)| (weight, path.len()) > (*held, *length);
        if self.worst.as_ref().is_none_or(better) {
            self.worst = Some((weight, path.len(), reason));
        }
    }

    fn reason(self) -> Reason {
        // Every way out of `extend` without a signer notes a reason; an empty chain cannot be made.
        self.worst.map_or(Reason::EvidenceMissing { expected: "x509" }, |(_, _, reason)| reason)
    }
}

/// Do the child's authority key identifier and the issuer's subject key identifier agree? `None`: one is absent.
fn key_fits(child: &ParsedCertificate, issuer: &ParsedCertificate) -> Option<bool> {
    Some(child.extensions.authority_key.as_ref()? == issuer.extensions.subject_key.as_ref()?)
}

/// What a certificate needs in order to sign another.
fn may_sign(issuer: &ParsedCertificate, role: Role, now: i64) -> Result<(), Reason> {
    valid_at(issuer, role, now)?;
    let not_ca = |why| Err(Reason::IssuerNotCa { role, subject: issuer.subject_text(), why });
    match issuer.extensions.basic_constraints {
        Some((false, _)) => return not_ca("its BasicConstraints say CA:FALSE"),
        None if issuer.info.version >= 3 => return not_ca("it has no BasicConstraints"),
        // Before version 3 a certificate cannot say; the operator said so of a signer, nobody of an intermediate.
        None if role != Role::Signer => {
            return not_ca("its version is before 3, so it has no BasicConstraints");
        }
        Some((true, _)) | None => {}
    }
    if issuer.extensions.key_cert_sign == Some(false) {
        return Err(Reason::IssuerMayNotSign { role, subject: issuer.subject_text() });
    }
    if let Some(oid) = &issuer.extensions.unknown_critical {
        return Err(Reason::CriticalExtension { role, subject: issuer.subject_text(), oid: oid.clone() });
    }
    Ok(())
}

fn path_length(issuer: &ParsedCertificate, role: Role, found: u32) -> Result<(), Reason> {
    match issuer.extensions.basic_constraints {
        Some((_, Some(allowed))) if found > allowed => {
            Err(Reason::PathLengthExceeded { role, subject: issuer.subject_text(), allowed, found })
        }
        _ => Ok(()),
    }
}

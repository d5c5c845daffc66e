//! Enrollments that name their CA certificates: the names become the certificates that were uploaded under them, and
//! only verified ones let a device in. Owns what is said of a name that leads nowhere; must not know who uploaded what.

use dps_model::Timestamp;
use dps_model::attestation::{CaReferences, Certificate};

use super::{PresentedChain, verify_signed};
use crate::denial::Reason;
use crate::{Attested, Slot, Subject};

/// A path leads from the leaf to one of the CA certificates that the enrollment refers to.
pub(crate) fn verify_references(
    names: &CaReferences,
    chain: &PresentedChain,
    subject: &Subject<'_>,
    now: Timestamp,
) -> Result<Attested, Reason> {
    let (mut verified, mut unverified, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    for (slot, name) in [(Slot::Primary, &names.primary), (Slot::Secondary, &names.secondary)] {
        let Some(name) = name else { continue };
        match subject.authorities.iter().find(|authority| authority.is_named(name)) {
            Some(authority) if authority.is_verified => verified.push((slot, &authority.certificate)),
            Some(authority) => unverified.push((slot, authority)),
            None => missing.push(name.as_str()),
        }
    }
    let refusal = match verify_signed(&verified, chain, subject, now) {
        Ok(attested) => return Ok(attested),
        Err(reason) => reason,
    };
    // The one that would have let the device in tells more than all that did not.
    let meant = unverified.iter().find(|(slot, authority)| {
        let alone: [(Slot, &Certificate); 1] = [(*slot, &authority.certificate)];
        verify_signed(&alone, chain, subject, now).is_ok()
    });
    match (meant, unverified.first(), missing.is_empty()) {
        (Some((_, authority)), _, _) => Err(Reason::CaNotVerified { name: authority.name.clone() }),
        _ if !verified.is_empty() => Err(refusal),
        (None, Some((_, authority)), _) => Err(Reason::CaNotVerified { name: authority.name.clone() }),
        (None, None, false) => Err(Reason::CaReferenceUnresolved { names: missing.join(", ") }),
        (None, None, true) => Err(refusal),
    }
}

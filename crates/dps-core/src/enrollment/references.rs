//! Enrollments that refer to uploaded CA certificates by name: which names exist, and which a presented chain leads to.
//! Must not judge a chain.

use dps_attestation::x509;
use dps_model::Error;
use dps_model::attestation::Mechanism;
use dps_model::instance::Instance;

/// Every name must be a certificate's, verified or not: an unverified one lets nobody in, and the refusal names it.
pub fn check(instance: &Instance, mechanism: &Mechanism) -> Result<(), Error> {
    let Mechanism::CaReferences(names) = mechanism else { return Ok(()) };
    for (member, name) in [("primary", &names.primary), ("secondary", &names.secondary)] {
        if let Some(name) = name
            && instance.certificate(name).is_none()
        {
            return Err(Error::argument(format!(
                "attestation.x509.caReferences.{member} is {name:?}; the provisioning service has no CA certificate \
                 of that name. Upload it first."
            )));
        }
    }
    Ok(())
}

/// Beside what a chain asks for, the names of uploaded CA certificates that it leads to, each with the place of what led
/// there: enrollments stand under their names. Reads no store, and nothing at all where no certificate was uploaded.
pub fn of_chain(instance: &Instance, lookups: &[String]) -> Vec<(usize, String)> {
    let named = |certificate: &dps_model::certificate_authority::CaCertificate| {
        let place = lookups.iter().position(|text| certificate.lookups.contains(text))?;
        Some((place, x509::ca_reference_lookup(&certificate.name)))
    };
    instance.certificates.iter().filter_map(named).collect()
}

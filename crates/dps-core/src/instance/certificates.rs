//! CA certificates of an instance: uploaded, verified by proof of possession, replaced, deleted while nobody refers to
//! them. Owns the rules; must not know how a certificate is parsed (dps-attestation) or who asks.

use std::sync::Arc;

use dps_attestation::{symmetric_key, x509};
use dps_model::certificate_authority::CaCertificate;
use dps_model::etag::IfMatch;
use dps_model::instance::Instance;
use dps_model::{Error, ErrorCode, Etag, limits};

use super::Instances;
use crate::enrollment::record;
use crate::ports::{Clock, Collection};

/// The CA certificates of all instances.
pub struct CaCertificates {
    instances: Arc<Instances>,
    clock: Arc<dyn Clock>,
}

/// A changed certificate.
pub struct CertificateChange {
    /// As it is now; as it was, when it was deleted.
    pub certificate: CaCertificate,
    /// The version before; none when it was made.
    pub previous: Option<Etag>,
}

impl CaCertificates {
    /// The CA certificates of those instances.
    pub fn new(instances: Arc<Instances>, clock: Arc<dyn Clock>) -> Self {
        Self { instances, clock }
    }

    /// Uploads a certificate, or replaces the one of that name. Another certificate than the kept one has to be verified
    /// again, unless `is_verified` says that it is trusted.
    /// Errors: `ArgumentInvalid`, `EtagMismatch`, `InstanceNotFound`, `QuotaExceeded`.
    pub async fn put(
        &self,
        instance: &Instance,
        name: &str,
        text: &str,
        is_verified: Option<bool>,
        if_match: Option<&IfMatch>,
    ) -> Result<CertificateChange, Error> {
        check_name(name)?;
        let certificate = x509::possession::read_ca(text)
            .map_err(|why| Error::argument(format!("certificate is not accepted: {why}.")))?;
        let lookups = x509::signing_key_lookups(&certificate.der).map_err(Error::internal)?;
        let now = self.clock.now();
        let new = CaCertificate {
            name: name.to_owned(),
            certificate,
            lookups,
            is_verified: is_verified.unwrap_or(false),
            verification_code: None,
            etag: Etag::fresh(),
            created: now,
            updated: now,
        };
        self.change(instance, |kept| place(kept, new.clone(), is_verified, if_match)).await
    }

    /// Makes a new code to prove possession with; the one before is worth nothing any more.
    /// Errors: `CaCertificateNotFound`, `EtagMismatch`, `InstanceNotFound`.
    pub async fn generate_verification_code(
        &self,
        instance: &Instance,
        name: &str,
        if_match: Option<&IfMatch>,
    ) -> Result<CertificateChange, Error> {
        let random =
            symmetric_key::generate().map_err(|_| Error::internal("the system has no randomness to give"))?;
        let random = random.expose().get(..limits::VERIFICATION_CODE).unwrap_or_default();
        let code = hex::encode_upper(random);
        let generated = |certificate: &mut CaCertificate| {
            certificate.verification_code = Some(code.clone());
            Ok(())
        };
        self.change_one(instance, name, if_match, generated).await
    }

    /// Takes the certificate that the CA's key signed over the code as proof of possession.
    /// Errors: `ArgumentInvalid`, `CaCertificateNotFound`, `EtagMismatch`, `InstanceNotFound`.
    pub async fn verify(
        &self,
        instance: &Instance,
        name: &str,
        proof: &str,
        if_match: Option<&IfMatch>,
    ) -> Result<CertificateChange, Error> {
        let now = self.clock.now();
        let verified = |certificate: &mut CaCertificate| {
            let code = certificate.verification_code.as_deref().ok_or_else(|| {
                Error::argument(
                    "The certificate has no verification code; generate one and have the CA sign it.",
                )
            })?;
            x509::possession::check(&certificate.certificate, code, proof, now)
                .map_err(|why| Error::argument(format!("certificate proves no possession: {why}.")))?;
            (certificate.is_verified, certificate.verification_code) = (true, None);
            Ok(())
        };
        self.change_one(instance, name, if_match, verified).await
    }

    /// Deletes a certificate that no enrollment refers to. Two calls at the same instant, this and one that writes such an
    /// enrollment, may both pass; its devices are then refused with the name.
    /// Errors: `CaCertificateNotFound`, `CaCertificateInUse`, `EtagMismatch`, `InstanceNotFound`.
    pub async fn delete(
        &self,
        instance: &Instance,
        name: &str,
        if_match: Option<&IfMatch>,
    ) -> Result<CertificateChange, Error> {
        let current = instance.certificate(name).ok_or_else(not_found)?;
        allowed(Some(&current.etag), if_match)?;
        let referrers = self.referrers(instance, name).await?;
        if !referrers.is_empty() {
            return Err(Error::with(
                ErrorCode::CaCertificateInUse,
                format!("The certificate is referred to by {}.", referrers.join(", ")),
            ));
        }
        let delete = |kept: &mut Instance| {
            let place =
                kept.certificates.iter().position(|other| other.is_named(name)).ok_or_else(not_found)?;
            let current = kept.certificates.get(place).map(|current| &current.etag);
            allowed(current, if_match)?;
            let certificate = kept.certificates.remove(place);
            let previous = Some(certificate.etag.clone());
            Ok(CertificateChange { certificate, previous })
        };
        self.change(instance, delete).await
    }

    /// The enrollments that refer to the certificate, by name, some of them.
    async fn referrers(&self, instance: &Instance, name: &str) -> Result<Vec<String>, Error> {
        let lookups = [x509::ca_reference_lookup(name)];
        let mut names = Vec::new();
        for collection in [Collection::EnrollmentGroups, Collection::Enrollments] {
            for document in self.instances.store().find(collection, instance.rows(), &lookups).await? {
                names.push(if collection == Collection::EnrollmentGroups {
                    format!(
                        "enrollment group {:?}",
                        record::read_group(&document)?.enrollment_group_id.as_str()
                    )
                } else {
                    format!("enrollment {:?}", record::read_individual(&document)?.registration_id.as_str())
                });
            }
        }
        if names.len() > limits::MAX_REFERRERS_NAMED {
            let more = names.len() - limits::MAX_REFERRERS_NAMED;
            names.truncate(limits::MAX_REFERRERS_NAMED);
            names.push(format!("{more} more"));
        }
        Ok(names)
    }

    async fn change_one(
        &self,
        instance: &Instance,
        name: &str,
        if_match: Option<&IfMatch>,
        change: impl Fn(&mut CaCertificate) -> Result<(), Error> + Send + Sync,
    ) -> Result<CertificateChange, Error> {
        let (tag, now) = (Etag::fresh(), self.clock.now());
        let changed = |kept: &mut Instance| {
            let certificate =
                kept.certificates.iter_mut().find(|other| other.is_named(name)).ok_or_else(not_found)?;
            let previous = certificate.etag.clone();
            allowed(Some(&previous), if_match)?;
            change(certificate)?;
            (certificate.etag, certificate.updated) = (tag.clone(), now);
            Ok(CertificateChange { certificate: certificate.clone(), previous: Some(previous) })
        };
        self.change(instance, changed).await
    }

    async fn change(
        &self,
        instance: &Instance,
        mut change: impl FnMut(&mut Instance) -> Result<CertificateChange, Error> + Send,
    ) -> Result<CertificateChange, Error> {
        let mut changed = None;
        let noted = |kept: &mut Instance| {
            changed = Some(change(kept)?);
            Ok(())
        };
        self.instances.change(instance, None, noted).await?;
        changed.ok_or_else(|| Error::internal("a change of an instance was written without having been made"))
    }
}

/// Puts a certificate in its place: over the one of its name, else behind the others.
fn place(
    kept: &mut Instance,
    mut new: CaCertificate,
    is_verified: Option<bool>,
    if_match: Option<&IfMatch>,
) -> Result<CertificateChange, Error> {
    let room = kept.certificates.len() < limits::MAX_CA_CERTIFICATES;
    let Some(current) = kept.certificates.iter_mut().find(|other| other.is_named(&new.name)) else {
        allowed(None, if_match)?;
        if !room {
            return Err(Error::with(
                ErrorCode::QuotaExceeded,
                format!(
                    "The provisioning service has {} CA certificates, the most it takes; delete one first.",
                    limits::MAX_CA_CERTIFICATES
                ),
            ));
        }
        kept.certificates.push(new.clone());
        return Ok(CertificateChange { certificate: new, previous: None });
    };
    let previous = Some(current.etag.clone());
    allowed(previous.as_ref(), if_match)?;
    (new.name, new.created) = (current.name.clone(), current.created);
    if current.certificate.der == new.certificate.der {
        new.is_verified = is_verified.unwrap_or(current.is_verified);
        new.verification_code.clone_from(&current.verification_code);
    }
    *current = new.clone();
    Ok(CertificateChange { certificate: new, previous })
}

/// A certificate that is there changes only for who has seen it (facts: DPS "Control plane").
fn allowed(current: Option<&Etag>, if_match: Option<&IfMatch>) -> Result<(), Error> {
    match (current, if_match) {
        (None, None) | (Some(_), Some(IfMatch::Any)) => Ok(()),
        (Some(current), Some(IfMatch::Tag(tag))) if tag == current => Ok(()),
        (Some(_), None) => Err(Error::with(
            ErrorCode::EtagMismatch,
            "The certificate exists: send If-Match with its etag, or with * for any version.",
        )),
        (_, Some(_)) => Err(Error::new(ErrorCode::EtagMismatch)),
    }
}

/// Letters, digits and `- . _`, so that it can stand in a path and in an enrollment.
fn check_name(name: &str) -> Result<(), Error> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if name.is_empty() || name.len() > limits::MAX_CA_CERTIFICATE_NAME || !name.chars().all(fits) {
        return Err(Error::argument(format!(
            "The certificate's name is invalid: use 1 to {} letters, digits, '-', '.' and '_'.",
            limits::MAX_CA_CERTIFICATE_NAME
        )));
    }
    Ok(())
}

fn not_found() -> Error {
    Error::new(ErrorCode::CaCertificateNotFound)
}

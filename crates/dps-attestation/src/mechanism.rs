//! From `attestation` as a client of the service API writes it to a `Mechanism`. Owns the rules (facts: DPS §4) and
//! the sentences for who broke them; must not know how an enrollment is stored.

use dps_model::Error;
use dps_model::attestation::{
    AttestationInput, CaReferences, Certificate, CertificateInput, CertificatePairInput, Certificates,
    Mechanism, SymmetricKeyInput, SymmetricKeys, X509Input,
};
use dps_model::registration::TpmKeys;
use dps_model::{Secret, limits};

use crate::tpm::PublicArea;
use crate::x509::ParsedCertificate;
use crate::x509::certificate::read_text;
use crate::{EnrollmentKind, symmetric_key};

/// Reads the attestation of a new enrollment.
pub fn read(input: &AttestationInput, kind: EnrollmentKind) -> Result<Mechanism, Error> {
    read_update(input, kind, None)
}

/// Reads the attestation of an enrollment that exists. What a client leaves out because it cannot read it back is kept
/// from `current`: symmetric keys that are absent, certificates of which only `info` is echoed.
pub fn read_update(
    input: &AttestationInput,
    kind: EnrollmentKind,
    current: Option<&Mechanism>,
) -> Result<Mechanism, Error> {
    match kind_of(input)? {
        Kind::SymmetricKey => symmetric_keys(input.symmetric_key.as_ref(), current),
        Kind::X509 => x509(input.x509.as_ref(), kind, current),
        Kind::Tpm => tpm(input.tpm.as_ref(), kind),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    SymmetricKey,
    X509,
    Tpm,
}

/// `type`, and nothing beside it that belongs to another one.
fn kind_of(input: &AttestationInput) -> Result<Kind, Error> {
    let Some(text) = input.kind.as_deref().filter(|text| !text.is_empty()) else {
        return Err(Error::argument("attestation.type is missing: send symmetricKey, x509 or tpm."));
    };
    let kind = match text.to_ascii_lowercase().as_str() {
        "symmetrickey" => Kind::SymmetricKey,
        "x509" => Kind::X509,
        "tpm" => Kind::Tpm,
        "none" => {
            return Err(Error::argument(
                "attestation.type is none: TPM, X509 or symmetric key attestation is required.",
            ));
        }
        _ => return Err(Error::argument("attestation.type is unknown: send symmetricKey, x509 or tpm.")),
    };
    let beside = [
        (Kind::SymmetricKey, "symmetricKey", input.symmetric_key.as_ref().is_some_and(has_keys)),
        (Kind::X509, "x509", input.x509.as_ref().is_some_and(has_certificates)),
        (Kind::Tpm, "tpm", input.tpm.as_ref().is_some_and(|tpm| !tpm.endorsement_key.is_empty())),
    ];
    match beside.into_iter().find(|(other, _, present)| *present && *other != kind) {
        None => Ok(kind),
        Some((_, name, _)) => Err(Error::argument(format!(
            "attestation.{name} does not belong to attestation.type {text}: remove it, or send attestation.type {name}."
        ))),
    }
}

fn has_keys(keys: &SymmetricKeyInput) -> bool {
    given(keys.primary_key.as_ref()).is_some() || given(keys.secondary_key.as_ref()).is_some()
}

fn has_certificates(x509: &X509Input) -> bool {
    pair_given(x509.client_certificates.as_ref())
        || pair_given(x509.signing_certificates.as_ref())
        || references_given(x509.ca_references.as_ref())
}

fn given(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}

fn pair_given(pair: Option<&CertificatePairInput>) -> bool {
    pair.is_some_and(|pair| {
        certificate_given(pair.primary.as_ref()) || certificate_given(pair.secondary.as_ref())
    })
}

fn certificate_given(certificate: Option<&CertificateInput>) -> bool {
    certificate
        .is_some_and(|certificate| given(certificate.certificate.as_ref()).is_some() || is_echo(certificate))
}

fn is_echo(certificate: &CertificateInput) -> bool {
    given(certificate.certificate.as_ref()).is_none()
        && certificate.info.as_ref().is_some_and(|info| info.as_object().is_some_and(|info| !info.is_empty()))
}

fn references_given(names: Option<&CaReferences>) -> bool {
    names.is_some_and(|names| {
        given(names.primary.as_ref()).is_some() || given(names.secondary.as_ref()).is_some()
    })
}

fn symmetric_keys(
    input: Option<&SymmetricKeyInput>,
    current: Option<&Mechanism>,
) -> Result<Mechanism, Error> {
    let stored = match current {
        Some(Mechanism::SymmetricKey(keys)) => Some(keys),
        _ => None,
    };
    let key = |text: Option<&String>, name: &str, stored: Option<&Secret>| {
        match (given(text), stored) {
        (Some(text), _) => symmetric_key::read(text).map_err(|why| {
            Error::argument(format!(
                "attestation.symmetricKey.{name} is invalid: {why}. Send base64 of {} to {} bytes, or leave it out \
                 to have one generated.",
                limits::MIN_SYMMETRIC_KEY,
                limits::MAX_SYMMETRIC_KEY
            ))
        }),
        (None, Some(stored)) => Ok(stored.clone()),
        (None, None) => {
            symmetric_key::generate().map_err(|_| Error::internal("the system has no randomness to give"))
        }
    }
    };
    let primary = key(
        input.and_then(|input| input.primary_key.as_ref()),
        "primaryKey",
        stored.map(|keys| &keys.primary),
    )?;
    let secondary = key(
        input.and_then(|input| input.secondary_key.as_ref()),
        "secondaryKey",
        stored.map(|keys| &keys.secondary),
    )?;
    Ok(Mechanism::SymmetricKey(SymmetricKeys { primary, secondary }))
}

/// Which of the two members of `x509` with certificates.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Client,
    Signing,
}

impl Use {
    const fn member(self) -> &'static str {
        match self {
            Self::Client => "clientCertificates",
            Self::Signing => "signingCertificates",
        }
    }
}

fn x509(
    input: Option<&X509Input>,
    kind: EnrollmentKind,
    current: Option<&Mechanism>,
) -> Result<Mechanism, Error> {
    let empty = X509Input::default();
    let input = input.unwrap_or(&empty);
    let client = input.client_certificates.as_ref().filter(|pair| pair_given(Some(pair)));
    let signing = input.signing_certificates.as_ref().filter(|pair| pair_given(Some(pair)));
    let references = input.ca_references.as_ref().filter(|names| references_given(Some(names)));
    match (kind, client, signing, references) {
        (EnrollmentKind::Individual, Some(pair), None, None) => {
            let stored = match current {
                Some(Mechanism::ClientCertificates(stored)) => Some(stored),
                _ => None,
            };
            Ok(Mechanism::ClientCertificates(certificates(pair, Use::Client, stored)?))
        }
        (EnrollmentKind::Group, None, Some(pair), None) => {
            let stored = match current {
                Some(Mechanism::SigningCertificates(stored)) => Some(stored),
                _ => None,
            };
            Ok(Mechanism::SigningCertificates(certificates(pair, Use::Signing, stored)?))
        }
        (_, None, None, Some(names)) => ca_references(names),
        (EnrollmentKind::Individual, _, Some(_), _) => Err(Error::argument(
            "attestation.x509.signingCertificates belong to enrollment groups: send clientCertificates for an \
             individual enrollment.",
        )),
        (EnrollmentKind::Group, Some(_), _, _) => Err(Error::argument(
            "attestation.x509.clientCertificates belong to individual enrollments: send signingCertificates or \
             caReferences for an enrollment group.",
        )),
        (EnrollmentKind::Individual, None, None, None) => Err(Error::argument(
            "attestation.x509.clientCertificates.primary is missing: send a certificate.",
        )),
        (EnrollmentKind::Group, None, None, None) => Err(Error::argument(
            "attestation.x509.signingCertificates.primary is missing: send a CA certificate, or caReferences.",
        )),
        _ => Err(Error::argument("attestation.x509 has certificates and caReferences: send one of the two.")),
    }
}

fn ca_references(names: &CaReferences) -> Result<Mechanism, Error> {
    let name = |text: Option<&String>| given(text).map(str::to_owned);
    let names =
        CaReferences { primary: name(names.primary.as_ref()), secondary: name(names.secondary.as_ref()) };
    for (member, name) in [("primary", &names.primary), ("secondary", &names.secondary)] {
        if name.as_ref().is_some_and(|name| name.chars().count() > limits::MAX_CA_CERTIFICATE_NAME) {
            return Err(Error::argument(format!(
                "attestation.x509.caReferences.{member} is longer than {} characters.",
                limits::MAX_CA_CERTIFICATE_NAME
            )));
        }
    }
    if names.primary.is_none() {
        return Err(Error::argument(
            "attestation.x509.caReferences.primary is missing: name the CA certificate in use there.",
        ));
    }
    Ok(Mechanism::CaReferences(names))
}

fn certificates(
    pair: &CertificatePairInput,
    usage: Use,
    stored: Option<&Certificates>,
) -> Result<Certificates, Error> {
    let slots = Slots { usage, stored };
    let primary = slots.read(pair.primary.as_ref(), "primary")?;
    let Some(primary) = primary else {
        return Err(Error::argument(format!(
            "attestation.x509.{}.primary is missing: a secondary certificate needs a primary one.",
            usage.member()
        )));
    };
    let echoed = pair.secondary.as_ref().is_some_and(is_echo);
    let secondary = slots
        .read(pair.secondary.as_ref(), "secondary")?
        // What is shown of an absent secondary is a copy of the primary: an echo of that stays absent.
        .filter(|secondary| !(echoed && secondary.der == primary.der));
    Ok(Certificates { primary, secondary })
}

struct Slots<'a> {
    usage: Use,
    stored: Option<&'a Certificates>,
}

impl Slots<'_> {
    fn read(&self, input: Option<&CertificateInput>, slot: &str) -> Result<Option<Certificate>, Error> {
        let Some(input) = input else { return Ok(None) };
        match given(input.certificate.as_ref()) {
            Some(text) => self.certificate(text, slot).map(Some),
            None if is_echo(input) => self.echoed(input, slot).map(Some),
            None => Ok(None),
        }
    }

    fn path(&self, slot: &str) -> String {
        format!("attestation.x509.{}.{slot}.certificate", self.usage.member())
    }

    fn certificate(&self, text: &str, slot: &str) -> Result<Certificate, Error> {
        let path = self.path(slot);
        let read = read_text(text).map_err(|why| {
            Error::argument(format!("{path} is invalid: {why}. Send PEM or base64 of the DER certificate."))
        })?;
        let Some(chosen) = lowest(read) else {
            return Err(Error::argument(format!(
                "{path} holds no certificate that none of the others issued."
            )));
        };
        if self.usage == Use::Signing {
            signing_certificate(&chosen, &path)?;
        }
        let info = chosen.info().clone();
        Ok(Certificate { der: chosen.der, info })
    }

    /// The stored certificate that `info` shows: found by thumbprint, or else by its slot.
    fn echoed(&self, input: &CertificateInput, slot: &str) -> Result<Certificate, Error> {
        let path = self.path(slot);
        let thumbprint = input
            .info
            .as_ref()
            .and_then(|info| info.get("sha256Thumbprint"))
            .and_then(serde_json::Value::as_str);
        let found = self.stored.and_then(|stored| match thumbprint {
            Some(shown) => stored
                .iter()
                .find(|certificate| certificate.info.sha256_thumbprint.eq_ignore_ascii_case(shown)),
            None if slot == "primary" => Some(&stored.primary),
            None => stored.secondary.as_ref().or(Some(&stored.primary)),
        });
        found.cloned().ok_or_else(|| {
            Error::argument(format!(
                "{path} is missing and info does not show a certificate of the stored enrollment: send the certificate."
            ))
        })
    }
}

/// Of a bundle, the certificate that issued none of the others: the leaf, or the CA nearest to the devices.
fn lowest(certificates: Vec<ParsedCertificate>) -> Option<ParsedCertificate> {
    let issued_another = |place: usize, one: &ParsedCertificate| {
        certificates.iter().enumerate().any(|(other, certificate)| {
            other != place && certificate.issuer == one.subject && certificate.subject != one.subject
        })
    };
    let place = certificates.iter().enumerate().position(|(place, one)| !issued_another(place, one))?;
    certificates.into_iter().nth(place)
}

fn signing_certificate(certificate: &ParsedCertificate, path: &str) -> Result<(), Error> {
    let subject = &certificate.info().subject_name;
    if !certificate.may_be_ca() {
        return Err(Error::argument(format!(
            "{path} ({subject}) is none of a CA: a signing certificate needs BasicConstraints with CA:TRUE."
        )));
    }
    if certificate.extensions.key_cert_sign == Some(false) {
        return Err(Error::argument(format!(
            "{path} ({subject}) may not sign certificates: its key usage lacks keyCertSign."
        )));
    }
    Ok(())
}

fn tpm(input: Option<&TpmKeys>, kind: EnrollmentKind) -> Result<Mechanism, Error> {
    if kind == EnrollmentKind::Group {
        return Err(Error::argument(
            "attestation.tpm belongs to individual enrollments: a TPM is one device's.",
        ));
    }
    let Some(keys) = input.filter(|keys| !keys.endorsement_key.trim().is_empty()) else {
        return Err(Error::argument(
            "attestation.tpm.endorsementKey is missing: send base64 of TPM2B_PUBLIC.",
        ));
    };
    let endorsement_key = tpm_key(&keys.endorsement_key, "endorsementKey")?;
    let storage_root_key = keys
        .storage_root_key
        .as_deref()
        .filter(|text| !text.trim().is_empty())
        .map(|text| tpm_key(text, "storageRootKey"))
        .transpose()?;
    Ok(Mechanism::Tpm(TpmKeys { endorsement_key, storage_root_key }))
}

/// The text as it was written: either byte order is understood whenever it is compared.
fn tpm_key(text: &str, name: &str) -> Result<String, Error> {
    PublicArea::read(text).map(|_| text.trim().to_owned()).map_err(|why| {
        Error::argument(format!("attestation.tpm.{name} is invalid: {why}. Send base64 of TPM2B_PUBLIC."))
    })
}

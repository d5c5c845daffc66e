//! Enrollments as documents: settings in the body, everything that attests and the URL of a webhook, which may hold a
//! key, in the sealed part, and the texts they are found by. Must not know who reads or writes them.

use dps_attestation::{tpm, x509};
use dps_model::attestation::{Certificates, Mechanism};
use dps_model::enrollment::{EnrollmentGroup, EnrollmentSettings, IndividualEnrollment, Stamp};
use dps_model::{DeviceId, EnrollmentGroupId, Error, RegistrationId, Secret};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::ports::{Collection, Document, Precondition, Write};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    /// Registration id or group id, as its creator spelt it.
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device_id: Option<DeviceId>,
    #[serde(default)]
    settings: EnrollmentSettings,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    optional_device_information: Option<Map<String, Value>>,
    stamp: Stamp,
}

/// What is encrypted at rest. In documents of earlier releases it is the mechanism alone.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sealed {
    /// What `Mechanism::to_material` makes.
    attestation: Box<RawValue>,
    /// Whole; the body has it without its query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    webhook_url: Option<String>,
}

/// The write that stores an individual enrollment.
pub fn write_individual(
    instance: &str,
    enrollment: &IndividualEnrollment,
    precondition: Precondition,
) -> Result<Write, Error> {
    let mut body = Body {
        id: enrollment.registration_id.as_str().to_owned(),
        device_id: enrollment.device_id.clone(),
        settings: enrollment.settings.clone(),
        optional_device_information: enrollment.optional_device_information.clone(),
        stamp: enrollment.stamp.clone(),
    };
    put(
        Collection::Enrollments,
        instance,
        enrollment.registration_id.key(),
        &mut body,
        &enrollment.attestation,
        precondition,
    )
}

/// The write that stores a group.
pub fn write_group(
    instance: &str,
    group: &EnrollmentGroup,
    precondition: Precondition,
) -> Result<Write, Error> {
    let mut body = Body {
        id: group.enrollment_group_id.as_str().to_owned(),
        device_id: None,
        settings: group.settings.clone(),
        optional_device_information: None,
        stamp: group.stamp.clone(),
    };
    put(
        Collection::EnrollmentGroups,
        instance,
        group.enrollment_group_id.key(),
        &mut body,
        &group.attestation,
        precondition,
    )
}

/// Reads an individual enrollment.
pub fn read_individual(document: &Document) -> Result<IndividualEnrollment, Error> {
    let (body, attestation) = read(document)?;
    Ok(IndividualEnrollment {
        registration_id: RegistrationId::parse(&body.id).map_err(Error::internal)?,
        device_id: body.device_id,
        attestation,
        settings: body.settings,
        optional_device_information: body.optional_device_information,
        stamp: body.stamp,
    })
}

/// Reads a group.
pub fn read_group(document: &Document) -> Result<EnrollmentGroup, Error> {
    let (body, attestation) = read(document)?;
    Ok(EnrollmentGroup {
        enrollment_group_id: EnrollmentGroupId::parse(&body.id).map_err(Error::internal)?,
        attestation,
        settings: body.settings,
        stamp: body.stamp,
    })
}

/// Owner of all symmetric-key groups: a trial reads these and no other group.
pub const SYMMETRIC_KEY_OWNER: &str = "symmetricKey";

/// The texts a mechanism's certificates stand under: by thumbprint (a certificate may stand in one enrollment only),
/// for signing certificates by the identifiers that a presented chain names, and for references by the names.
pub fn lookups(mechanism: &Mechanism) -> Vec<String> {
    let thumbprints = |pair: &Certificates| {
        pair.iter().map(|certificate| x509::thumbprint_lookup(&certificate.der)).collect::<Vec<_>>()
    };
    match mechanism {
        Mechanism::ClientCertificates(pair) => thumbprints(pair),
        Mechanism::SigningCertificates(pair) => {
            let mut texts = thumbprints(pair);
            // Every certificate of an enrollment was parsed when it was written.
            texts.extend(pair.iter().flat_map(|ca| x509::signing_key_lookups(&ca.der).unwrap_or_default()));
            texts.sort();
            texts.dedup();
            texts
        }
        Mechanism::CaReferences(names) => {
            let names = [&names.primary, &names.secondary].into_iter().flatten();
            names.map(|name| x509::ca_reference_lookup(name)).collect()
        }
        // By it a key that is enrolled under another registration id is told: a swapped board.
        Mechanism::Tpm(keys) => tpm::endorsement_key_lookup(keys).into_iter().collect(),
        Mechanism::SymmetricKey(_) => Vec::new(),
    }
}

fn put(
    collection: Collection,
    instance: &str,
    id: String,
    body: &mut Body,
    attestation: &Mechanism,
    precondition: Precondition,
) -> Result<Write, Error> {
    let sealed = seal(body, attestation)?;
    let document = Document {
        id,
        etag: body.stamp.etag.clone(),
        body: serde_json::to_string(body).map_err(Error::internal)?,
        sealed: Some(sealed),
        owner: matches!(attestation, Mechanism::SymmetricKey(_)).then(|| SYMMETRIC_KEY_OWNER.to_owned()),
        due: None,
        lookups: lookups(attestation),
    };
    Ok(Write::Put { collection, instance: instance.to_owned(), document, precondition })
}

fn read(document: &Document) -> Result<(Body, Mechanism), Error> {
    let damaged =
        |part: &str| Error::internal(format!("the {part} of enrollment {} is damaged", document.id));
    let mut body: Body = serde_json::from_str(&document.body).map_err(|_| damaged("body"))?;
    let kept = document.sealed.as_ref().ok_or_else(|| damaged("sealed part"))?;
    let (material, url) = match serde_json::from_slice::<Sealed>(kept.expose()) {
        Ok(sealed) => (String::from(Box::<str>::from(sealed.attestation)).into(), sealed.webhook_url),
        Err(_) => (kept.clone(), None),
    };
    let attestation = Mechanism::from_material(&material).map_err(|_| damaged("sealed part"))?;
    if let (Some(definition), Some(url)) = (&mut body.settings.custom_allocation_definition, url) {
        definition.webhook_url = url;
    }
    Ok((body, attestation))
}

/// What is to be sealed; takes the query of the webhook's URL out of the body.
fn seal(body: &mut Body, attestation: &Mechanism) -> Result<Secret, Error> {
    let material = attestation.to_material();
    let material = std::str::from_utf8(material.expose()).map_err(Error::internal)?.to_owned();
    let webhook_url = body.settings.custom_allocation_definition.as_mut().map(|definition| {
        let head = definition.webhook_url.split('?').next().unwrap_or_default().to_owned();
        std::mem::replace(&mut definition.webhook_url, head)
    });
    let attestation = RawValue::from_string(material).map_err(Error::internal)?;
    Ok(Secret::new(serde_json::to_vec(&Sealed { attestation, webhook_url }).map_err(Error::internal)?))
}

/// Do the open parts of two documents say the same, found by the same texts?
pub(super) fn same_form(one: &Document, other: &Document) -> bool {
    one.body == other.body && one.owner == other.owner && one.lookups == other.lookups
}

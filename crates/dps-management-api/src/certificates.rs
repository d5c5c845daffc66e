//! CA certificates as resources under a provisioning service. Owns their bodies; what verifies one is dps-core's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_core::CaCertificates;
use dps_model::certificate_authority::CaCertificate;
use dps_model::etag::IfMatch;
use dps_model::instance::Instance;
use dps_model::member::Member;
use dps_model::{Error, ErrorCode, Timestamp};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::resource_id::TYPE;

/// Characters of a line of PEM.
const PEM_LINE: usize = 64;

pub(crate) fn list(instance: &Instance) -> Answer {
    let shown = instance.certificates.iter().map(|certificate| show(instance, certificate));
    Answer::shown(json!({ "value": shown.collect::<Vec<_>>() }))
}

pub(crate) fn get(instance: &Instance, name: &str) -> Result<Answer, Error> {
    let found = instance.certificate(name);
    let found = found.ok_or_else(|| Error::new(ErrorCode::CaCertificateNotFound))?;
    Ok(Answer::shown(show(instance, found)))
}

/// The body is flat until 2021-10-15 and under `properties` since; either is taken with any version.
pub(crate) async fn put(
    core: &CaCertificates,
    instance: &Instance,
    name: &str,
    body: &Value,
    if_match: Option<&IfMatch>,
) -> Result<Answer, Error> {
    let body = Member::body(body)?;
    let properties = body.get("properties");
    let properties = properties.object()?.unwrap_or(&body);
    let text = properties.get("certificate").required()?;
    let is_verified = properties.get("isVerified").boolean()?;
    let change = core.put(instance, name, text, is_verified, if_match).await?;
    let mut changed = vec!["certificate"];
    if change.certificate.is_verified {
        changed.push("isVerified");
    }
    Ok(Answer::shown(show(instance, &change.certificate))
        .versions(change.previous, Some(change.certificate.etag))
        .changed(changed))
}

/// 200 without a body; 204 when there is none of that name.
pub(crate) async fn delete(
    core: &CaCertificates,
    instance: &Instance,
    name: &str,
    if_match: Option<&IfMatch>,
) -> Result<Answer, Error> {
    match core.delete(instance, name, if_match).await {
        Ok(change) => Ok(Answer::done().versions(change.previous, None)),
        Err(error) if error.code == ErrorCode::CaCertificateNotFound => Ok(Answer::gone()),
        Err(error) => Err(error),
    }
}

pub(crate) async fn generate(
    core: &CaCertificates,
    instance: &Instance,
    name: &str,
    if_match: Option<&IfMatch>,
) -> Result<Answer, Error> {
    let change = core.generate_verification_code(instance, name, if_match).await?;
    let mut shown = show(instance, &change.certificate);
    if let Some(properties) = shown.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("verificationCode".into(), json!(change.certificate.verification_code));
        let pem = pem(&change.certificate.certificate.der);
        properties.insert("certificate".into(), json!(STANDARD.encode(pem)));
    }
    Ok(Answer::shown(shown)
        .versions(change.previous, Some(change.certificate.etag))
        .changed(vec!["verificationCode"]))
}

pub(crate) async fn verify(
    core: &CaCertificates,
    instance: &Instance,
    name: &str,
    body: &Value,
    if_match: Option<&IfMatch>,
) -> Result<Answer, Error> {
    let proof = Member::body(body)?.get("certificate");
    let change = core.verify(instance, name, proof.required()?, if_match).await?;
    Ok(Answer::shown(show(instance, &change.certificate))
        .versions(change.previous, Some(change.certificate.etag))
        .changed(vec!["isVerified"]))
}

fn show(instance: &Instance, certificate: &CaCertificate) -> Value {
    let info = &certificate.certificate.info;
    let date = |at: Timestamp| at.http_date();
    json!({
        "id": format!("{}/certificates/{}", instance.resource_id, certificate.name),
        "name": certificate.name,
        "type": format!("{TYPE}/Certificates"),
        "etag": certificate.etag,
        "properties": {
            "subject": info.subject_name,
            "expiry": date(info.not_after_utc),
            "thumbprint": info.sha1_thumbprint,
            "isVerified": certificate.is_verified,
            "created": date(certificate.created),
            "updated": date(certificate.updated),
            "certificate": null,
        },
    })
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(PEM_LINE).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

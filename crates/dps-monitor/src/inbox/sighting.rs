//! Which events are attempts of devices that no enrollment knows, and what those showed. Pure; must not remember any.

use std::net::IpAddr;

use aws_lc_rs::digest;
use dps_events::{AttemptRecord, Cause, CertificateSummary, ConnectionRecord, Event, Operation, Outcome};
use dps_model::{ErrorCode, Protocol, Timestamp};

use super::group::{About, Because, Kind};

/// Reasons of groups that a chain only seems to lead to.
const SIGNER_UNKNOWN: [&str; 2] = ["X509_SIGNER_NOT_IN_CHAIN", "X509_CHAIN_INCOMPLETE"];
/// Between an id scope and a registration id, in addresses of AMQP and user names of MQTT.
const REGISTRATIONS: &str = "/registrations/";
/// Cause of a device whose id is nearly an enrolled one, and the fact that names that.
const NEAR_MISS: &str = "ENROLLMENT_NEAR_MISS";
const NEAREST: &str = "nearest";

/// One attempt.
pub(super) struct Sighting<'a> {
    pub(super) instance: Option<&'a str>,
    pub(super) kind: Kind,
    pub(super) about: About,
    pub(super) registration_id: &'a str,
    pub(super) protocol: Protocol,
    pub(super) peer: IpAddr,
    pub(super) time: Timestamp,
    pub(super) certificate: Option<&'a [u8]>,
    pub(super) issuer_certificate: Option<&'a [u8]>,
    pub(super) endorsement_key: Option<&'a str>,
    pub(super) causes: &'a [Cause],
}

/// What an event says of unknown devices.
pub(super) enum Seen<'a> {
    /// One asked.
    Unknown(Sighting<'a>),
    /// One that showed this was let in: whoever was unknown by it is so no more.
    Known(Sighting<'a>, &'a str),
    /// Nothing.
    Nothing,
}

impl<'a> Seen<'a> {
    pub(super) fn of(event: &'a Event) -> Self {
        match event {
            Event::Attempt(record) => Self::of_attempt(record),
            Event::Connection(record) => of_connection(record).map_or(Self::Nothing, Self::Unknown),
            _ => Self::Nothing,
        }
    }

    fn of_attempt(record: &'a AttemptRecord) -> Self {
        if record.operation == Operation::Unrouted {
            return Self::Nothing;
        }
        match (&record.outcome, &record.enrollment) {
            (Outcome::Failed { code, .. }, None) if *code == ErrorCode::IdScopeNotFound.row().code => {
                Self::Unknown(of_scope(record))
            }
            (Outcome::Failed { .. }, None) if is_unknown(record) => Self::Unknown(of_evidence(record)),
            (Outcome::Success, Some(enrollment)) if record.operation == Operation::Register => {
                Self::Known(of_evidence(record), enrollment.kind)
            }
            _ => Self::Nothing,
        }
    }
}

/// It was looked for, and nothing that was found could be its own.
fn is_unknown(record: &AttemptRecord) -> bool {
    let looked = record.steps.iter().any(|step| step.name == "findEnrollment");
    looked
        && record.candidates.iter().all(|candidate| {
            candidate.enrollment.kind == "EnrollmentGroup" && SIGNER_UNKNOWN.contains(&candidate.reason)
        })
}

impl Sighting<'_> {
    /// What is the same has the same id: 128 bits, hex.
    pub(super) fn id(&self) -> String {
        let About { issuer, authority_key_id, thumbprint, endorsement_key_name, registration_id, id_scope } =
            &self.about;
        let lower = |text: &Option<String>| text.as_ref().map(|text| text.to_ascii_lowercase());
        let parts = [
            self.instance.map(str::to_ascii_lowercase),
            Some(self.kind.name().to_owned()),
            issuer.clone(),
            lower(authority_key_id),
            lower(thumbprint),
            lower(endorsement_key_name),
            lower(registration_id),
            lower(id_scope),
        ];
        let mut context = digest::Context::new(&digest::SHA256);
        for part in parts {
            // A length before each text: no two of them run into one.
            let part = part.unwrap_or_default();
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        hex::encode(context.finish().as_ref()).chars().take(32).collect()
    }

    /// The best explanation of why nobody knows it.
    pub(super) fn cause(&self) -> Option<Because> {
        self.causes.first().map(|cause| Because { code: cause.code.into(), sentence: cause.sentence.clone() })
    }

    /// The individual enrollment whose registration id is nearly the device's.
    pub(super) fn nearest(&self) -> Option<String> {
        let near = self.causes.iter().find(|cause| cause.code == NEAR_MISS)?;
        near.evidence.iter().find(|fact| fact.name == NEAREST).map(|fact| fact.value.clone())
    }
}

fn of_evidence(record: &AttemptRecord) -> Sighting<'_> {
    let mut sighting = bare(record, Kind::NoEvidence);
    let own_id = || About { registration_id: Some(record.registration_id.clone()), ..About::default() };
    if let Some(text) = record.presented.endorsement_key.as_deref() {
        // Of one that cannot be read there is no name.
        let name = record.endorsement_key.clone().unwrap_or_else(|| sha256(text.as_bytes()));
        sighting.kind = Kind::Tpm;
        sighting.about = About { endorsement_key_name: Some(name), ..About::default() };
        sighting.endorsement_key = Some(text);
    } else if record.sas.is_some() {
        (sighting.kind, sighting.about) = (Kind::SymmetricKey, own_id());
    } else if let Some(leaf) = record.chain.first() {
        sighting.certificate = whole(record, leaf);
        if leaf.subject == leaf.issuer {
            sighting.kind = Kind::Certificate;
            sighting.about = About { thumbprint: Some(leaf.sha256_thumbprint.clone()), ..About::default() };
        } else {
            sighting.kind = Kind::Issuer;
            sighting.about = About {
                issuer: Some(leaf.issuer.clone()),
                authority_key_id: leaf.authority_key_id.clone(),
                ..About::default()
            };
            let issuer = record.chain.iter().skip(1).find(|other| issued(other, leaf));
            sighting.issuer_certificate = issuer.and_then(|issuer| whole(record, issuer));
        }
    } else {
        sighting.about = own_id();
    }
    sighting
}

fn issued(issuer: &CertificateSummary, leaf: &CertificateSummary) -> bool {
    let keys_agree = match (&issuer.subject_key_id, &leaf.authority_key_id) {
        (Some(own), Some(named)) => own.eq_ignore_ascii_case(named),
        _ => true,
    };
    issuer.subject == leaf.issuer && keys_agree
}

/// The presented certificate of a summary. Those that could not be read have none, so places do not tell.
fn whole<'a>(record: &'a AttemptRecord, summary: &CertificateSummary) -> Option<&'a [u8]> {
    let is_it = |der: &&Vec<u8>| sha256(der).eq_ignore_ascii_case(&summary.sha256_thumbprint);
    record.presented.chain.iter().find(is_it).map(Vec::as_slice)
}

fn of_scope(record: &AttemptRecord) -> Sighting<'_> {
    let about = About { id_scope: Some(record.id_scope.clone()), ..About::default() };
    Sighting { instance: None, about, ..bare(record, Kind::IdScope) }
}

/// What is common to all.
fn bare(record: &AttemptRecord, kind: Kind) -> Sighting<'_> {
    Sighting {
        instance: record.instance.as_deref(),
        kind,
        about: About::default(),
        registration_id: &record.registration_id,
        protocol: record.protocol,
        peer: record.peer.ip(),
        time: record.time,
        certificate: None,
        issuer_certificate: None,
        endorsement_key: None,
        causes: &record.causes,
    }
}

/// MQTT and AMQP end a connection whose id scope nobody has, before there is a request.
fn of_connection(record: &ConnectionRecord) -> Option<Sighting<'_>> {
    let unknown = ErrorCode::IdScopeNotFound.row().message;
    let (scope, rest) = record.claimed.as_deref()?.split_once(REGISTRATIONS)?;
    if !record.reason.contains(unknown) {
        return None;
    }
    let registration_id = rest.split(['/', '?']).next().unwrap_or_default();
    Some(Sighting {
        instance: None,
        kind: Kind::IdScope,
        about: About { id_scope: Some(scope.to_owned()), ..About::default() },
        registration_id,
        protocol: record.protocol,
        peer: record.peer.ip(),
        time: record.time,
        certificate: None,
        issuer_certificate: None,
        endorsement_key: None,
        causes: &record.causes,
    })
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    hex::encode_upper(digest::digest(&digest::SHA256, bytes))
}

//! What a device shows, and what it proves: evidence against the candidates that were found.
//! Owns the reading of evidence and the order of judgement; must not know what happens to a proven device.

use dps_attestation::sas_token::SasToken;
use dps_attestation::tpm::{Challenge, ChallengeSecret, Challenger};
use dps_attestation::{Attested, Denial, Evidence, Subject, TpmEvidence, Verdict, x509};
use dps_model::hub::HubAuthentication;
use dps_model::{Error, ErrorCode, RegistrationId, Timestamp, limits};

use crate::enrollment::Found;
use crate::enrollment::find::Claim;
use crate::event::RegistrationEvent;
use crate::registration::Proof;
use crate::request::{DeviceOperation, DeviceRequest};

/// A device under an enrollment that it proved to belong to.
pub struct Proven {
    /// Who.
    pub registration_id: RegistrationId,
    /// Under which enrollment.
    pub found: Found,
    /// What the verdict holds.
    pub attested: Attested,
    /// What a poll may show to continue.
    pub proof: Proof,
    /// For a TPM: the hub key, wrapped so that this TPM alone can use it.
    pub hub_key_blob: Option<String>,
}

/// Why a request ends before it is served: a failure, or a challenge that the device must answer first.
pub enum Halt {
    /// A failure.
    Failed(Error),
    /// A challenge.
    Challenged(Box<Challenge>),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What the device shows: a TPM's keys or a token where there is one, else the certificates of the connection.
pub fn shown(request: &DeviceRequest, event: &mut RegistrationEvent) -> Result<Evidence, Error> {
    let token = request.sas_token.as_ref().map(|text| sas_token(text.expose(), event)).transpose()?;
    let tpm = match &request.operation {
        DeviceOperation::Register(body) | DeviceOperation::RegistrationLookup(body) => body.tpm.as_ref(),
        DeviceOperation::OperationStatus { .. } => None,
    };
    let evidence = match (tpm, token) {
        (Some(keys), token) => {
            Evidence::Tpm(Box::new(TpmEvidence::read(keys, token).map_err(|denial| refused(denial, event))?))
        }
        (None, Some(token)) => Evidence::Sas(token),
        (None, None) if request.channel.tls.chain.is_empty() => Evidence::None,
        (None, None) => {
            let chain = x509::PresentedChain::parse(&request.channel.tls.chain);
            Evidence::X509(chain.map_err(|denial| refused(denial, event))?)
        }
    };
    event.evidence(&evidence);
    Ok(evidence)
}

fn sas_token(text: &[u8], event: &mut RegistrationEvent) -> Result<SasToken, Error> {
    SasToken::parse(&String::from_utf8_lossy(text)).map_err(|why| {
        event.fill(|record| record.reason = Some("SAS_MALFORMED"));
        Error::new(ErrorCode::Unauthorized).because(why.to_string())
    })
}

fn refused(denial: Denial, event: &mut RegistrationEvent) -> Error {
    event.fill(|record| record.reason = Some(denial.reason.code()));
    Error::with(denial.code, denial.message).because(denial.reason.to_string())
}

/// The first candidate that the evidence satisfies; else the refusal of the first, which had precedence.
pub fn judge(
    candidates: Vec<Found>,
    claim: &Claim<'_>,
    challenges: &ChallengeSecret,
    now: Timestamp,
    event: &mut RegistrationEvent,
) -> Result<Proven, Halt> {
    let last = claim.previous.and_then(|record| record.operation.as_ref());
    let last_admitted = last.map_or("", |operation| operation.id.as_str());
    let challenger = Some(Challenger { secret: challenges, last_admitted });
    let mut refusal = None;
    for found in candidates {
        let subject = Subject {
            id_scope: &claim.instance.id_scope,
            registration_id: claim.registration_id,
            scope: found.kind(),
            authorities: &claim.instance.certificates,
            challenger,
        };
        let denial = match dps_attestation::verify(found.mechanism(), claim.evidence, &subject, now) {
            Verdict::Attested(attested) => {
                event.enrollment(&found);
                event.fill(|record| {
                    record.slot = Some(attested.slot().as_str());
                    record.reason = None;
                });
                return proven(found, attested, claim, &subject).map_err(Halt::Failed);
            }
            Verdict::Challenge(challenge) => {
                event.enrollment(&found);
                return Err(Halt::Challenged(Box::new(challenge)));
            }
            Verdict::Denied(denial) => denial,
        };
        event.candidate(&found, denial.reason.code(), &denial.reason.to_string());
        refusal.get_or_insert_with(|| {
            Error::with(denial.code, denial.message.clone()).because(denial.reason.to_string())
        });
    }
    Err(Halt::Failed(refusal.unwrap_or_else(|| unknown(claim.evidence))))
}

fn proven(
    found: Found,
    attested: Attested,
    claim: &Claim<'_>,
    subject: &Subject<'_>,
) -> Result<Proven, Error> {
    let proof = proof_of(claim.evidence).ok_or_else(|| Error::internal("attested without evidence"))?;
    let hub_key_blob = match (claim.evidence, attested.authentication()) {
        (Evidence::Tpm(shown), HubAuthentication::Sas { primary, .. }) => {
            let wrapped =
                shown.wrap_hub_key(subject, primary).map_err(|denial| Error::internal(&denial.reason))?;
            Some(wrapped.to_base64())
        }
        _ => None,
    };
    let registration_id = claim.registration_id.clone();
    Ok(Proven { registration_id, found, attested, proof, hub_key_blob })
}

/// The answer to a device that no enrollment knows: devices must not learn more (wire-protocol facts §6).
fn unknown(evidence: &Evidence) -> Error {
    match evidence {
        Evidence::X509(_) => Error::new(ErrorCode::CertificateRejected)
            .because("no individual enrollment has this registration id, and no group's signing certificate is named by the presented chain"),
        Evidence::Sas(_) => Error::new(ErrorCode::Unauthorized)
            .because("no individual enrollment has this registration id, and the token's key derives from no enrollment group"),
        Evidence::Tpm(_) => Error::new(ErrorCode::EnrollmentNotFound)
            .because("no individual enrollment has this registration id; a TPM belongs to no enrollment group"),
        Evidence::None => Error::new(ErrorCode::Unauthorized)
            .because("the device sent neither a SAS token nor a client certificate"),
    }
}

fn proof_of(evidence: &Evidence) -> Option<Proof> {
    match evidence {
        Evidence::X509(chain) => Some(Proof::Certificate(chain.leaf().info().sha256_thumbprint.clone())),
        Evidence::Sas(token) => Some(proof_of_token(token)),
        Evidence::Tpm(shown) => shown.sas.as_ref().map(proof_of_token),
        Evidence::None => None,
    }
}

/// The expiry is part of it: else the holder of an old token could write a later one beside the same signature.
fn proof_of_token(token: &SasToken) -> Proof {
    Proof::SasToken(format!("{}.{}", token.signature_hash(), token.expiry()))
}

/// The proof that a request shows, without judging it but for its expiry. Possession of the leaf's key was proven by
/// the handshake, and a token's signature is as good as its first use: both were attested with the registration.
pub fn proof_shown(request: &DeviceRequest, now: Timestamp) -> Option<Proof> {
    match (&request.sas_token, request.channel.tls.chain.first()) {
        (Some(text), _) => {
            let token = SasToken::parse(std::str::from_utf8(text.expose()).ok()?).ok()?;
            let in_time = now.seconds().saturating_sub(token.expiry()) <= limits::SAS_CLOCK_SKEW;
            in_time.then(|| proof_of_token(&token))
        }
        (None, Some(leaf)) => Some(Proof::Certificate(x509::certificate::thumbprint(leaf))),
        (None, None) => None,
    }
}

//! The one decision: may this call go on? Owns the order of the checks; pure, the time is an argument.

use dps_attestation::Slot;
use dps_attestation::denial::Reason;
use dps_attestation::sas_token::SasToken;
use dps_model::instance::{AccessPolicy, Instance, Right};
use dps_model::{Error, Secret, Timestamp};

use crate::refusal::{Refusal, shown};
use crate::{resource, rights};

const SCHEME: &str = "SharedAccessSignature";
/// Length of the keys that stand in for those of an unknown policy; generated keys have as many bytes.
const DECOY_KEY: usize = 64;

/// What is called, and with which credential.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The `Authorization` header.
    pub authorization: Option<&'a str>,
    /// The host that was called, with or without a port.
    pub host: &'a str,
    /// The path that was called, as it stood in the request.
    pub path: &'a str,
    /// What the call needs.
    pub needed: Right,
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The shared access policy, as the instance spells it.
    pub policy: String,
    /// Which of its keys signed.
    pub slot: Slot,
}

/// Lets a call in whose token was signed with a key of one of the instance's policies, for this host, in time, when
/// the policy has the right that the call needs.
///
/// # Errors
/// 401000 with the same public text for every reason; `cause` names the reason (`Refusal`).
pub fn authorize(instance: &Instance, call: &Call<'_>, now: Timestamp) -> Result<Caller, Error> {
    decide(instance, call, now).map_err(Error::from)
}

fn decide(instance: &Instance, call: &Call<'_>, now: Timestamp) -> Result<Caller, Refusal> {
    let token = read(call.authorization)?;
    let name = token.policy().ok_or(Refusal::SasPolicyMissing)?;
    let policy = policy(instance, name);
    // An unknown policy costs the same signatures as a wrong key, so that names cannot be found out by the clock.
    let decoy = Secret::new(vec![0; DECOY_KEY]);
    let checked =
        token.check(policy.map_or([&decoy, &decoy], |policy| [&policy.primary, &policy.secondary]), now);
    let Some(policy) = policy else {
        return Err(Refusal::SasPolicyUnknown { policy: shown(name), instance: instance.name.clone() });
    };
    let slot = checked.map_err(|reason| match reason {
        Reason::SasExpired { expired_at, by_seconds } => {
            Refusal::SasExpired { policy: policy.name.clone(), expired_at, by_seconds }
        }
        _ => Refusal::SasSignatureMismatch { policy: policy.name.clone() },
    })?;
    if !resource::covers(token.resource(), call.host, call.path) {
        let called = shown(&format!("{}{}", call.host, call.path));
        return Err(Refusal::SasResourceMismatch { presented: shown(token.resource()), called });
    }
    if !rights::allow(&policy.rights, call.needed) {
        return Err(Refusal::RightMissing { policy: policy.name.clone(), needed: call.needed });
    }
    Ok(Caller { policy: policy.name.clone(), slot })
}

fn read(authorization: Option<&str>) -> Result<SasToken, Refusal> {
    let text =
        authorization.map(str::trim).filter(|text| !text.is_empty()).ok_or(Refusal::CredentialMissing)?;
    let scheme = text.split_ascii_whitespace().next().unwrap_or_default();
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return Err(Refusal::CredentialOtherKind);
    }
    SasToken::parse(text).map_err(Refusal::SasMalformed)
}

/// The policy of that name, in any case. One with an empty key, which everybody could sign with, does not count.
fn policy<'a>(instance: &'a Instance, name: &str) -> Option<&'a AccessPolicy> {
    let found = instance.access_policies.iter().find(|policy| policy.name.eq_ignore_ascii_case(name));
    found.filter(|policy| ![&policy.primary, &policy.secondary].iter().any(|key| key.expose().is_empty()))
}

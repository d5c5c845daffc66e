//! Shared access signatures on the service API: whose key signed, for what, until when. Pure; the time is an argument.

use dps_attestation::Slot;
use dps_attestation::denial::Reason;
use dps_attestation::sas_token::SasToken;
use dps_model::instance::{AccessPolicy, Instance};
use dps_model::{Secret, Timestamp};

use crate::access_control::Call;
use crate::refusal::{Refusal, shown};
use crate::{resource, rights};

/// Length of the keys that stand in for those of an unknown policy; generated keys have as many bytes.
const DECOY_KEY: usize = 64;

/// The policy and the slot of a token that was signed with a key of one of the instance's policies, for this host, in
/// time, when the policy has the right that the call needs.
pub(crate) fn decide(
    instance: &Instance,
    call: &Call<'_>,
    text: &str,
    now: Timestamp,
) -> Result<(String, Slot), Refusal> {
    let token = SasToken::parse(text).map_err(Refusal::SasMalformed)?;
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
    Ok((policy.name.clone(), slot))
}

/// The policy of that name, in any case. One with an empty key, which everybody could sign with, does not count.
pub(crate) fn policy<'a>(instance: &'a Instance, name: &str) -> Option<&'a AccessPolicy> {
    let found = instance.access_policies.iter().find(|policy| policy.name.eq_ignore_ascii_case(name));
    found.filter(|policy| ![&policy.primary, &policy.secondary].iter().any(|key| key.expose().is_empty()))
}

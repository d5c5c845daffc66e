//! Shared access policies: `properties.authorizationPolicies` as a client writes them, and the two calls that show keys.
//! Owns their rules; what a right allows is dps-access's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_core::instance::access_key;
use dps_model::instance::{AccessPolicy, Instance, Right};
use dps_model::member::Member;
use dps_model::{Error, ErrorCode, limits};
use serde_json::{Value, json};

/// The policy that a provisioning service begins with, and its rights as Azure stores them.
const OWNER: (&str, [Right; 3]) =
    ("provisioningserviceowner", [Right::ServiceConfig, Right::DeviceConnect, Right::EnrollmentWrite]);

const RIGHTS: [(&str, Right); 6] = [
    ("ServiceConfig", Right::ServiceConfig),
    ("EnrollmentRead", Right::EnrollmentRead),
    ("EnrollmentWrite", Right::EnrollmentWrite),
    ("DeviceConnect", Right::DeviceConnect),
    ("RegistrationStatusRead", Right::RegistrationStatusRead),
    ("RegistrationStatusWrite", Right::RegistrationStatusWrite),
];

/// The policies of a provisioning service that names none.
pub(crate) fn owner() -> Result<Vec<AccessPolicy>, Error> {
    let (name, rights) = OWNER;
    let (primary, secondary) = (access_key(None)?, access_key(None)?);
    Ok(vec![AccessPolicy { name: name.into(), primary, secondary, rights: rights.to_vec() }])
}

/// Reads the list; none when it is absent. A key that is left out is made: so keys are regenerated.
pub(crate) fn read(member: &Member<'_>) -> Result<Option<Vec<AccessPolicy>>, Error> {
    let Some(items) = member.list(limits::MAX_ACCESS_POLICIES)? else { return Ok(None) };
    let mut policies: Vec<AccessPolicy> = Vec::with_capacity(items.len());
    for item in &items {
        let policy = read_one(item)?;
        if policies.iter().any(|other| other.name.eq_ignore_ascii_case(&policy.name)) {
            return Err(item.get("keyName").wrong("is the name of another policy too"));
        }
        policies.push(policy);
    }
    Ok(Some(policies))
}

fn read_one(item: &Member<'_>) -> Result<AccessPolicy, Error> {
    let name = item.get("keyName");
    let text = name.required()?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.len() > limits::MAX_ACCESS_POLICY_NAME || !text.chars().all(fits) {
        let most = limits::MAX_ACCESS_POLICY_NAME;
        return Err(name.wrong(&format!("must be 1 to {most} letters, digits, '-', '_' and '.'")));
    }
    let key = |member: &str| {
        let key = item.get(member);
        let given = key.text()?.filter(|text| !text.trim().is_empty());
        access_key(given).map_err(|why| match why.code {
            ErrorCode::ArgumentInvalid => key.wrong(&why.message),
            _ => why,
        })
    };
    Ok(AccessPolicy {
        name: text.to_owned(),
        primary: key("primaryKey")?,
        secondary: key("secondaryKey")?,
        rights: rights(&item.get("rights"))?,
    })
}

/// `ServiceConfig, EnrollmentRead`: names with commas between them.
fn rights(member: &Member<'_>) -> Result<Vec<Right>, Error> {
    let mut rights = Vec::new();
    for name in member.required()?.split(',').map(str::trim) {
        let found = RIGHTS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let (_, right) = found.ok_or_else(|| {
            let known: Vec<_> = RIGHTS.iter().map(|(known, _)| *known).collect();
            member.wrong(&format!("must be some of {}, with commas between them", known.join(", ")))
        })?;
        if !rights.contains(right) {
            rights.push(*right);
        }
    }
    Ok(rights)
}

/// All policies with their keys.
pub(crate) fn list(instance: &Instance) -> Value {
    json!({ "value": instance.access_policies.iter().map(exposed).collect::<Vec<_>>() })
}

/// One policy with its keys.
pub(crate) fn of(instance: &Instance, name: &str) -> Result<Value, Error> {
    let found = instance.access_policies.iter().find(|policy| policy.name.eq_ignore_ascii_case(name));
    found.map(exposed).ok_or_else(|| Error::new(ErrorCode::AccessPolicyNotFound))
}

fn exposed(policy: &AccessPolicy) -> Value {
    let named = |right: &Right| RIGHTS.iter().find(|(_, known)| known == right).map_or("", |(name, _)| *name);
    let rights: Vec<_> = policy.rights.iter().map(named).collect();
    json!({
        "keyName": policy.name,
        "primaryKey": STANDARD.encode(policy.primary.expose()),
        "secondaryKey": STANDARD.encode(policy.secondary.expose()),
        "rights": rights.join(", "),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{exposed, owner, read};
    use dps_model::member::Member;

    #[test]
    fn absent_keys_are_made_and_given_ones_kept() {
        let key = "AQIDBAUGBwgJCgsMDQ4PEA==";
        let body = json!({"p": [
            {"keyName": "mine", "primaryKey": key, "rights": "enrollmentread,ServiceConfig, EnrollmentRead"},
        ]});
        let policies = read(&Member::body(&body).unwrap().get("p")).unwrap().unwrap();
        let shown = exposed(&policies[0]);
        assert_eq!(shown["primaryKey"], key);
        assert_eq!(shown["secondaryKey"].as_str().unwrap().len(), 88);
        assert_eq!(shown["rights"], "EnrollmentRead, ServiceConfig");
        let rights = &exposed(&owner().unwrap()[0])["rights"];
        assert_eq!(rights, "ServiceConfig, DeviceConnect, EnrollmentWrite");
    }

    #[test]
    fn broken_policy_names_its_member_and_never_its_key() {
        let said = |policy: serde_json::Value| {
            let body = json!({"p": [policy]});
            read(&Member::body(&body).unwrap().get("p")).err().unwrap().message.into_owned()
        };
        assert_eq!(said(json!({"rights": "EnrollmentRead"})), "p[0].keyName is required.");
        assert_eq!(said(json!({"keyName": "a"})), "p[0].rights is required.");
        assert!(
            said(json!({"keyName": "a", "rights": "Everything"})).starts_with("p[0].rights must be some of")
        );
        let key = said(json!({"keyName": "a", "rights": "EnrollmentRead", "primaryKey": "s3cr3t"}));
        assert!(key.starts_with("p[0].primaryKey ") && !key.contains("s3cr3t"), "{key}");
        assert!(
            said(json!({"keyName": "a;b", "rights": "EnrollmentRead"})).starts_with("p[0].keyName must be")
        );
    }
}

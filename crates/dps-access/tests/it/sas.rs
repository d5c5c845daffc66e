//! Shared access signatures as the service clients make them, against the policies of an instance.

use dps_access::{AccessControl, Call, Caller, Slot};
use dps_attestation::sas_token::SasToken;
use dps_model::instance::{Instance, Right};
use dps_model::network::{IpFilterAction, IpFilterRule, IpFilterTarget, IpMask, NetworkAccess};
use dps_model::{Error, Secret, Timestamp};

use crate::site::{NOW, at, call, instance, key, refused};

/// The decision about a shared access signature needs nobody to be asked.
fn authorize(instance: &Instance, call: &Call<'_>, now: Timestamp) -> Result<Caller, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(AccessControl::local().authorize(instance, call, now))
}

fn owner_token(resource: &str) -> String {
    SasToken::sign(resource, &key(1), NOW + 60, Some("provisioningserviceowner"))
}

#[test]
fn token_either_key_lets_the_owner_in() {
    for (byte, slot) in [(1, Slot::Primary), (2, Slot::Secondary)] {
        let token = SasToken::sign("localhost", &key(byte), NOW + 60, Some("ProvisioningServiceOwner"));
        let caller = authorize(&instance(), &call(&token, "localhost:8443"), at(NOW)).unwrap();
        assert_eq!(caller, Caller::Policy { name: "provisioningserviceowner".into(), slot });
    }
}

#[test]
fn token_as_python_and_node_write_it_accepted_in_any_escape_case() {
    let python = owner_token("localhost:443");
    assert!(python.contains("sr=localhost%3A443&"), "{python}");
    for host in ["localhost", "localhost:443", "LOCALHOST:8443"] {
        assert!(authorize(&instance(), &call(&python, host), at(NOW)).is_ok(), "{host}");
        assert!(authorize(&instance(), &call(&owner_token("localhost"), host), at(NOW)).is_ok(), "{host}");
    }
    // `%3a` is another text, so it carries another signature: it is not ours.
    let lower = lower_hex_token();
    assert!(authorize(&instance(), &call(&lower, "localhost"), at(NOW)).is_ok());
}

/// `sr=localhost%3a443`, signed with key 1 until `NOW` + 60; computed with Python's `hmac`.
fn lower_hex_token() -> String {
    format!(
        "SharedAccessSignature sr=localhost%3a443&sig=UwozLMFPNdWGX%2b3Fhmk0Jq6202KuOqsoKEcmyXvuz%2fk%3d&se={}&skn=provisioningserviceowner",
        NOW + 60
    )
}

#[test]
fn token_for_a_prefix_of_the_path_opens_that_path_alone() {
    let token = owner_token("localhost/enrollments");
    assert!(authorize(&instance(), &call(&token, "localhost"), at(NOW)).is_ok());
    let groups = Call { path: "/enrollmentGroups/g", ..call(&token, "localhost") };
    assert_eq!(refused(authorize(&instance(), &groups, at(NOW))), "SAS_RESOURCE_MISMATCH");
}

#[test]
fn token_expiry_forgives_the_clock_difference_and_no_more() {
    let token = owner_token("localhost");
    assert!(authorize(&instance(), &call(&token, "localhost"), at(NOW + 60 + 300)).is_ok());
    let late = authorize(&instance(), &call(&token, "localhost"), at(NOW + 60 + 301));
    assert_eq!(refused(late), "SAS_EXPIRED");
}

#[test]
fn refusal_names_its_reason_to_the_operator_alone() {
    let sign = |policy| SasToken::sign("localhost", &key(1), NOW + 60, policy);
    let nobody = sign(Some("nobody"));
    let unnamed = sign(None);
    let foreign = SasToken::sign("localhost", &key(9), NOW + 60, Some("provisioningserviceowner"));
    let decoy = SasToken::sign("localhost", &Secret::new(vec![0; 64]), NOW + 60, Some("nobody"));
    let empty = SasToken::sign("localhost", &Secret::new(Vec::new()), NOW + 60, Some("keyless"));
    let elsewhere = owner_token("elsewhere");
    let long = format!("SharedAccessSignature sr={}", "a".repeat(5000));
    for (token, code) in [
        ("", "CREDENTIAL_MISSING"),
        ("Basic abc", "CREDENTIAL_OTHER_KIND"),
        ("Bearer abc", "NO_IDENTITY_PROVIDER"),
        ("SharedAccessSignature", "SAS_MALFORMED"),
        ("SharedAccessSignature sr=localhost&sig=AAAA", "SAS_MALFORMED"),
        (&long, "SAS_MALFORMED"),
        (&unnamed, "SAS_POLICY_MISSING"),
        (&nobody, "SAS_POLICY_UNKNOWN"),
        (&decoy, "SAS_POLICY_UNKNOWN"),
        (&empty, "SAS_POLICY_UNKNOWN"),
        (&foreign, "SAS_SIGNATURE_MISMATCH"),
        (&elsewhere, "SAS_RESOURCE_MISMATCH"),
    ] {
        assert_eq!(refused(authorize(&instance(), &call(token, "localhost"), at(NOW))), code, "{token}");
    }
    let none = Call { authorization: None, ..call("", "localhost") };
    assert_eq!(refused(authorize(&instance(), &none, at(NOW))), "CREDENTIAL_MISSING");
}

#[test]
fn caller_without_the_right_refused_and_told_apart_for_the_operator() {
    let token = SasToken::sign("localhost", &key(3), NOW + 60, Some("reader"));
    let write = call(&token, "localhost");
    let error = authorize(&instance(), &write, at(NOW)).unwrap_err();
    assert_eq!(
        error.cause.as_deref(),
        Some("RIGHT_MISSING: the shared access policy \"reader\" lacks the right EnrollmentWrite")
    );
    let read = Call { needed: Right::EnrollmentRead, ..write };
    assert_eq!(authorize(&instance(), &read, at(NOW)).unwrap().name(), "reader");
}

#[test]
fn refusal_repeats_a_bounded_part_of_the_callers_text_and_no_signature() {
    let name = "n".repeat(3000);
    let token = SasToken::sign("localhost", &key(1), NOW + 60, Some(&name));
    let cause = authorize(&instance(), &call(&token, "localhost"), at(NOW)).unwrap_err().cause.unwrap();
    assert!(cause.len() < 1300, "{cause}");
    let signature = token.split("sig=").nth(1).unwrap().split('&').next().unwrap();
    assert!(!cause.contains(signature));
}

#[test]
fn instance_without_local_auth_refuses_a_good_signature() {
    let instance = Instance { disable_local_auth: true, ..instance() };
    let refusal = authorize(&instance, &call(&owner_token("localhost"), "localhost"), at(NOW));
    assert_eq!(refused(refusal), "LOCAL_AUTH_DISABLED");
}

#[test]
fn address_that_is_kept_out_refused_before_its_credential_is_read() {
    let rule = |target| IpFilterRule {
        filter_name: "nobody".into(),
        action: IpFilterAction::Reject,
        ip_mask: IpMask::parse("192.0.2.0/24").unwrap(),
        target,
    };
    let with = |network| Instance { network, ..instance() };
    let rules = |target| with(NetworkAccess { public: true, rules: vec![rule(target)] });
    let token = owner_token("localhost");
    for target in [IpFilterTarget::All, IpFilterTarget::ServiceApi] {
        for text in [token.as_str(), "", "Bearer x"] {
            let refusal = authorize(&rules(target), &call(text, "localhost"), at(NOW));
            assert_eq!(refused(refusal), "IP_FILTER_REJECTED", "{target:?} {text}");
        }
    }
    assert!(authorize(&rules(IpFilterTarget::DeviceApi), &call(&token, "localhost"), at(NOW)).is_ok());
    let private = with(NetworkAccess { public: false, rules: Vec::new() });
    let refusal = authorize(&private, &call(&token, "localhost"), at(NOW));
    assert_eq!(refused(refusal), "PUBLIC_NETWORK_ACCESS_DISABLED");
    let inside = Call { peer: [10, 1, 2, 3].into(), ..call(&token, "localhost") };
    assert!(authorize(&private, &inside, at(NOW)).is_ok());
}

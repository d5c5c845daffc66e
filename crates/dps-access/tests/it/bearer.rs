//! Access tokens of an identity provider: whom they let in, and to what.

use dps_access::{Caller, ControlCall, DataAction, IdentityProvider, Principal, Role};
use dps_model::{ErrorCode, Secret};
use serde_json::{Value, json};

use crate::issuer::{Documents, ISSUER, KEYS_URL, Key, assignment, claims, claims_with, provider};
use crate::site::{NOW, RESOURCE_ID, at, call, instance, refused};

const READ: &str = "Microsoft.Devices/provisioningServices/read";
const LIST_KEYS: &str = "Microsoft.Devices/provisioningServices/listkeys/action";

fn header(algorithm: &str) -> Value {
    json!({"alg": algorithm, "typ": "JWT", "kid": "key-1"})
}

fn control<'a>(token: &'a str, action: &'a str) -> ControlCall<'a> {
    ControlCall { authorization: Some(token), action, resource_id: RESOURCE_ID }
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[tokio::test]
async fn token_of_every_algorithm_lets_its_owner_in() {
    for (key, algorithm) in [
        (Key::rsa(), "RS256"),
        (Key::rsa(), "RS512"),
        (Key::rsa(), "PS256"),
        (Key::p256(), "ES256"),
        (Key::p384(), "ES384"),
        (Key::ed25519(), "EdDSA"),
    ] {
        let access = Documents::of_keys(&[key.jwk("key-1")]).access(vec![provider()]);
        let token = format!("bearer  {} ", key.token(&header(algorithm), &claims()));
        let caller = access.authorize(&instance(), &call(&token, "localhost"), at(NOW)).await.unwrap();
        let principal = Principal {
            subject: "subject-1".into(),
            issuer: ISSUER.into(),
            role: Role::DataContributor,
            token_id: Some("token-1".into()),
            key_id: Some("key-1".into()),
        };
        assert_eq!(caller, Caller::Principal(principal), "{algorithm}");
        assert_eq!((caller.name(), caller.kind()), ("subject-1", "Bearer"));
        let expected =
            format!("iss={ISSUER} role=Device Provisioning Service Data Contributor jti=token-1 kid=key-1");
        assert_eq!(caller.credential(), Some(expected));
    }
}

#[tokio::test]
async fn keys_found_by_the_discovery_document_of_the_issuer() {
    let key = Key::p256();
    let documents = Documents::of_keys(&[key.jwk("key-1")]);
    let url = format!("{ISSUER}/.well-known/openid-configuration");
    documents.put(&url, &json!({"issuer": ISSUER, "jwks_uri": KEYS_URL}));
    let access = documents.access(vec![IdentityProvider { jwks_url: None, ..provider() }]);
    let token = bearer(&key.token(&header("ES256"), &claims()));
    assert!(access.authorize(&instance(), &call(&token, "localhost"), at(NOW)).await.is_ok());
    assert_eq!(documents.asked(), 2);
}

#[tokio::test]
async fn roles_of_a_token_by_its_claims_and_their_scope() {
    use DataAction::{AttestationMechanismDetails, EnrollmentsRead, EnrollmentsWrite};
    let key = Key::p256();
    let documents = Documents::of_keys(&[key.jwk("key-1")]);
    let token = bearer(&key.token(&header("ES256"), &claims()));
    for (assignments, allowed) in [
        (vec![], [false, false, false]),
        (vec![assignment("groups", "operators", Role::DataReader, "/")], [true, false, false]),
        (vec![assignment("groups", "others", Role::DataContributor, "MUSTER")], [true, true, true]),
        (vec![assignment("sub", "subject-1", Role::DataContributor, "other")], [false; 3]),
        (vec![assignment("sub", "Subject-1", Role::DataContributor, "/")], [false; 3]),
        (vec![assignment("oid", "object-1", Role::DataContributor, "/subscriptions/s1")], [true; 3]),
        (vec![assignment("oid", "object-1", Role::DataContributor, "/subscriptions/s")], [false; 3]),
        (vec![assignment("oid", "object-1", Role::Owner, "/")], [false; 3]),
        (
            vec![
                assignment("oid", "object-1", Role::DataReader, "/"),
                assignment("groups", "operators", Role::DataContributor, RESOURCE_ID),
            ],
            [true; 3],
        ),
    ] {
        let described = format!("{assignments:?}");
        let access = documents.access(vec![IdentityProvider { role_assignments: assignments, ..provider() }]);
        let actions = [EnrollmentsRead, EnrollmentsWrite, AttestationMechanismDetails];
        for (data_action, allowed) in actions.into_iter().zip(allowed) {
            let call = dps_access::Call { data_action, ..call(&token, "localhost") };
            match access.authorize(&instance(), &call, at(NOW)).await {
                Ok(_) => assert!(allowed, "{data_action:?} {described}"),
                refusal => {
                    assert!(!allowed, "{data_action:?} {described}");
                    assert_eq!(refused(refusal), "ROLE_MISSING");
                }
            }
        }
    }
}

#[tokio::test]
async fn control_plane_takes_tokens_of_its_own_audience_and_says_what_is_not_allowed() {
    let key = Key::rsa();
    let reader = assignment("groups", "operators", Role::Reader, "/subscriptions/S1/resourcegroups/g1");
    let settings = IdentityProvider { role_assignments: vec![reader], ..provider() };
    let access = Documents::of_keys(&[key.jwk("key-1")]).access(vec![settings]);
    let token =
        bearer(&key.token(&header("RS256"), &claims_with("aud", json!("https://management.azure.com/"))));

    let caller = access.authorize_control(&control(&token, READ), at(NOW)).await.unwrap();
    assert!(matches!(caller, Caller::Principal(Principal { role: Role::Reader, .. })));
    let error = access.authorize_control(&control(&token, LIST_KEYS), at(NOW)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::AuthorizationFailed);
    assert!(error.message.starts_with(&format!(
        "The client 'subject-1' does not have authorization to perform action '{LIST_KEYS}' over scope '{RESOURCE_ID}'"
    )));
    assert!(error.cause.unwrap().starts_with("ROLE_MISSING: "));
    let above = ControlCall { resource_id: "/subscriptions/s1", ..control(&token, READ) };
    let error = access.authorize_control(&above, at(NOW)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::AuthorizationFailed, "a role on a group is none on the subscription");

    let data = bearer(&key.token(&header("RS256"), &claims()));
    assert_eq!(
        refused(access.authorize_control(&control(&data, READ), at(NOW)).await),
        "BEARER_AUDIENCE_MISMATCH"
    );
    let service = access.authorize(&instance(), &call(&token, "localhost"), at(NOW)).await;
    assert_eq!(refused(service), "BEARER_AUDIENCE_MISMATCH");
    for (text, code) in
        [("", "CREDENTIAL_MISSING"), ("SharedAccessSignature sr=a&sig=b&se=1&skn=c", "SAS_ON_CONTROL_PLANE")]
    {
        assert_eq!(refused(access.authorize_control(&control(text, READ), at(NOW)).await), code);
    }
}

#[tokio::test]
async fn token_times_forgive_the_clock_difference_and_no_more() {
    let key = Key::p256();
    let access = Documents::of_keys(&[key.jwk("key-1")]).access(vec![provider()]);
    let token = bearer(&key.token(&header("ES256"), &claims()));
    for (now, outcome) in
        [(NOW - 301, "BEARER_NOT_YET_VALID"), (NOW - 300, ""), (NOW + 360, ""), (NOW + 361, "BEARER_EXPIRED")]
    {
        match access.authorize(&instance(), &call(&token, "localhost"), at(now)).await {
            Ok(_) => assert_eq!(outcome, "", "{now}"),
            refusal => assert_eq!(refused(refusal), outcome, "{now}"),
        }
    }
}

#[tokio::test]
async fn token_for_somebody_else_refused() {
    let key = Key::p256();
    let access = Documents::of_keys(&[key.jwk("key-1")]).access(vec![provider()]);
    for (audience, ours) in [
        (json!("https://azure-devices-provisioning.net"), true),
        (json!("https://azure-devices-provisioning.net/"), true),
        (json!(["x", "https://azure-devices-provisioning.net/"]), true),
        (json!("https://azure-devices-provisioning.net//"), false),
        (json!("HTTPS://azure-devices-provisioning.net"), false),
        (json!(""), false),
        (json!([]), false),
        (json!({"https://azure-devices-provisioning.net": 1}), false),
        (Value::Null, false),
        (json!("https://iothubs.azure.net"), false),
    ] {
        let token = bearer(&key.token(&header("ES256"), &claims_with("aud", audience.clone())));
        match access.authorize(&instance(), &call(&token, "localhost"), at(NOW)).await {
            Ok(_) => assert!(ours, "{audience}"),
            refusal => {
                assert!(!ours, "{audience}");
                assert_eq!(refused(refusal), "BEARER_AUDIENCE_MISMATCH");
            }
        }
    }
}

#[tokio::test]
async fn management_token_does_everything_and_no_part_of_it_anything() {
    let documents = Documents::of_keys(&[]);
    let access = documents.access(Vec::new()).with_management_token(Secret::from("0123456789".to_owned()));
    let good = access.authorize(&instance(), &call("Bearer 0123456789", "any"), at(NOW)).await;
    assert_eq!(good.unwrap(), Caller::ManagementToken);
    let good = access.authorize_control(&control("bearer 0123456789", LIST_KEYS), at(NOW)).await.unwrap();
    assert_eq!((good.name(), good.kind(), good.credential()), ("management-token", "ManagementToken", None));
    for text in ["Bearer 012345678", "Bearer 01234567890", "Bearer", "Bearer 0123456789 x"] {
        let refusal = access.authorize(&instance(), &call(text, "any"), at(NOW)).await;
        assert_eq!(refused(refusal), "NO_IDENTITY_PROVIDER", "{text}");
    }
    let nobodys = documents.access(Vec::new()).with_management_token(Secret::new(Vec::new()));
    assert!(nobodys.authorize_control(&control("Bearer ", READ), at(NOW)).await.is_err());
}

#[tokio::test]
async fn local_auth_disabled_leaves_bearer_tokens() {
    let key = Key::p256();
    let access = Documents::of_keys(&[key.jwk("key-1")]).access(vec![provider()]);
    let instance = dps_model::instance::Instance { disable_local_auth: true, ..instance() };
    let token = bearer(&key.token(&header("ES256"), &claims()));
    assert!(access.authorize(&instance, &call(&token, "localhost"), at(NOW)).await.is_ok());
}

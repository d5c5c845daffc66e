//! Sessions of the portal: who may open one, what it lets its owner do, and what ends it.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use dps_access::{AccessControl, Call, ControlCall, DataAction, Opened, Role, Services, Sessions};
use dps_model::connection_string::ConnectionString;
use dps_model::instance::{Instance, Right};
use dps_model::limits::{BEARER_CLOCK_SKEW, SESSION_IDLE, SESSION_LIFE};
use dps_model::{ErrorCode, Secret};
use serde_json::json;

use crate::issuer::{Documents, Key, assignment, claims, claims_with, provider};
use crate::site::{NOW, RESOURCE_ID, at, call, instance, key, policy, refused};

const READ: &str = "Microsoft.Devices/provisioningServices/read";
const WRITE: &str = "Microsoft.Devices/provisioningServices/write";
const NEW_RULE: &str = "Microsoft.Insights/metricAlerts/write";
const GROUPS: &str = "Microsoft.Insights/actionGroups/read";
const QUERY: &str = "Microsoft.OperationalInsights/workspaces/search/action";

/// The services of a server, as they are now.
struct Site {
    instance: Mutex<Arc<Instance>>,
    others: bool,
}

impl Services for Site {
    fn by_rows(&self, rows: &str) -> Option<Arc<Instance>> {
        Some(Arc::clone(&self.instance.lock().unwrap())).filter(|instance| instance.rows() == rows)
    }

    fn is_only_one(&self) -> bool {
        !self.others
    }
}

impl Site {
    fn of(instance: Instance, others: bool) -> Arc<Self> {
        Arc::new(Self { instance: Mutex::new(Arc::new(instance)), others })
    }

    fn now(&self) -> Arc<Instance> {
        Arc::clone(&self.instance.lock().unwrap())
    }

    fn change(&self, edit: impl FnOnce(&mut Instance)) {
        let mut instance = Instance::clone(&self.now());
        edit(&mut instance);
        *self.instance.lock().unwrap() = Arc::new(instance);
    }

    fn access(self: &Arc<Self>) -> AccessControl {
        AccessControl::local().with_sessions(self.sessions())
    }

    fn sessions(self: &Arc<Self>) -> Arc<Sessions> {
        Arc::new(Sessions::new(Arc::clone(self) as Arc<dyn Services>))
    }
}

fn shown(policy: &str, key: Secret) -> ConnectionString {
    ConnectionString { host: "localhost".into(), policy: policy.into(), key }
}

fn peer() -> IpAddr {
    [192, 0, 2, 7].into()
}

fn credential(opened: &Opened) -> String {
    format!("Bearer muster-session.{}", std::str::from_utf8(opened.id.expose()).unwrap())
}

fn needing(credential: &str, needed: Right, data_action: DataAction) -> Call<'_> {
    Call { needed, data_action, ..call(credential, "any") }
}

async fn controls(
    access: &AccessControl,
    credential: &str,
    action: &str,
    resource_id: &str,
    now: i64,
) -> bool {
    let asked = ControlCall { authorization: Some(credential), action, resource_id };
    access.authorize_control(&asked, at(now)).await.is_ok()
}

#[tokio::test]
async fn session_of_a_policy_has_its_rights_and_tells_who_it_is() {
    let site = Site::of(instance(), true);
    let access = site.access();
    let opened = access.sign_in_with_key(&site.now(), &shown("READER", key(4)), peer(), at(NOW)).unwrap();
    assert_eq!((opened.session.owner().name(), opened.session.owner().kind()), ("reader", "policy"));
    let credential = credential(&opened);
    let read = needing(&credential, Right::EnrollmentRead, DataAction::EnrollmentsRead);
    let caller = access.authorize(&site.now(), &read, at(NOW)).await.unwrap();
    assert_eq!((caller.name(), caller.kind()), ("reader", "PortalSession"));
    assert_eq!(caller.credential().as_deref(), Some("SharedAccessSignature secondary"));
    let write = needing(&credential, Right::EnrollmentWrite, DataAction::EnrollmentsWrite);
    let other = Instance { name: "other".into(), ..instance() };
    for (instance, call, code) in
        [(&*site.now(), &write, "RIGHT_MISSING"), (&other, &read, "SESSION_ELSEWHERE")]
    {
        let error = access.authorize(instance, call, at(NOW)).await.unwrap_err();
        assert_eq!(
            error.code,
            ErrorCode::AuthorizationFailed,
            "a page must not take it for the session's end"
        );
        assert!(error.cause.unwrap().starts_with(code));
    }
}

#[tokio::test]
async fn policy_that_configures_is_contributor_of_its_service_and_another_reader() {
    let certificate = format!("{RESOURCE_ID}/certificates/ca");
    let other = RESOURCE_ID.replace("/muster", "/other");
    for (others, name, key_of, resource_id, allowed) in [
        (true, "provisioningserviceowner", 1, RESOURCE_ID, [true, true, true, true, true]),
        (true, "provisioningserviceowner", 1, &certificate, [true, true, true, true, true]),
        (true, "provisioningserviceowner", 1, &other, [false; 5]),
        (true, "provisioningserviceowner", 1, "/subscriptions/s1", [false; 5]),
        (true, "reader", 3, RESOURCE_ID, [true, false, false, true, true]),
        (true, "reader", 3, "/subscriptions/s1", [false; 5]),
        // The only service of a server has the workspace and the rules to itself; nobody makes another one by a policy.
        (false, "provisioningserviceowner", 1, "/subscriptions/s1", [true, false, true, true, true]),
        (false, "reader", 3, "/subscriptions/s1", [true, false, false, false, true]),
    ] {
        let site = Site::of(instance(), others);
        let access = site.access();
        let opened = access.sign_in_with_key(&site.now(), &shown(name, key(key_of)), peer(), at(NOW));
        let credential = credential(&opened.unwrap());
        for (action, allowed) in [READ, WRITE, NEW_RULE, GROUPS, QUERY].into_iter().zip(allowed) {
            let may = controls(&access, &credential, action, resource_id, NOW).await;
            assert_eq!(may, allowed, "{name} {action} {resource_id} {others}");
        }
    }
}

#[tokio::test]
async fn sign_in_is_refused_alike_whatever_was_wrong() {
    let site = Site::of(instance(), false);
    let access = site.access();
    for (policy, shown_key, code) in [
        ("provisioningserviceowner", key(9), "SESSION_KEY_MISMATCH"),
        ("nobody", key(1), "SESSION_POLICY_UNKNOWN"),
        ("keyless", Secret::new(Vec::new()), "SESSION_POLICY_UNKNOWN"),
        ("provisioningserviceowner", Secret::new(Vec::new()), "SESSION_KEY_MISMATCH"),
        ("reader", key(1), "SESSION_KEY_MISMATCH"),
    ] {
        let refusal = access.sign_in_with_key(&site.now(), &shown(policy, shown_key), peer(), at(NOW));
        let error = refusal.err().unwrap();
        assert_eq!((error.code, &error.message[..]), (ErrorCode::Unauthorized, "Unauthorized"));
        assert!(error.cause.unwrap().starts_with(code), "{policy}");
    }
    site.change(|instance| instance.disable_local_auth = true);
    let refusal = access.sign_in_with_key(&site.now(), &shown("reader", key(3)), peer(), at(NOW));
    assert!(refusal.err().unwrap().cause.unwrap().starts_with("LOCAL_AUTH_DISABLED"));
    assert!(access.sign_in_with_token("nobody's", at(NOW)).await.is_err());
    assert_eq!(access.sessions().unwrap().count(), 0);
}

#[tokio::test]
async fn key_that_was_rolled_and_policy_that_was_removed_end_sessions() {
    let site = Site::of(instance(), false);
    let access = site.access();
    let open = |name, key_of| {
        access.sign_in_with_key(&site.now(), &shown(name, key(key_of)), peer(), at(NOW)).unwrap()
    };
    let (first, second, removed) =
        (open("provisioningserviceowner", 1), open("provisioningserviceowner", 2), open("reader", 3));
    site.change(|instance| {
        instance.access_policies[0].primary = key(7);
        instance.access_policies.remove(1);
    });
    for (opened, holds) in [(&first, false), (&second, true), (&removed, false)] {
        let credential = credential(opened);
        let call = call(&credential, "any");
        assert_eq!(access.authorize(&site.now(), &call, at(NOW)).await.is_ok(), holds);
        assert_eq!(controls(&access, &credential, READ, RESOURCE_ID, NOW).await, holds);
        let id = std::str::from_utf8(opened.id.expose()).unwrap();
        assert_eq!(access.session(id, at(NOW)).await.is_some(), holds);
    }
    site.change(|instance| instance.disable_local_auth = true);
    assert!(!controls(&access, &credential(&second), READ, RESOURCE_ID, NOW).await);
    site.change(|instance| {
        instance.disable_local_auth = false;
        instance.access_policies.push(policy("reader", [key(3), key(4)], &[Right::EnrollmentRead]));
    });
    let id = std::str::from_utf8(removed.id.expose()).unwrap();
    assert!(access.session(id, at(NOW)).await.is_none(), "what has ended stays ended");
}

#[tokio::test]
async fn session_ends_by_time_by_its_owner_and_by_nobody_elses_guess() {
    let site = Site::of(instance(), false);
    let access = site.access();
    let open = || {
        let shown = shown("provisioningserviceowner", key(1));
        access.sign_in_with_key(&site.now(), &shown, peer(), at(NOW)).unwrap()
    };
    let (idle, used, ended) = (open(), open(), open());
    let credential_of = [&idle, &used, &ended].map(credential);
    access.end_session(std::str::from_utf8(ended.id.expose()).unwrap());
    assert!(!controls(&access, &credential_of[2], READ, RESOURCE_ID, NOW).await);
    let mut now = NOW;
    while now < NOW + SESSION_LIFE {
        assert!(controls(&access, &credential_of[1], READ, RESOURCE_ID, now).await, "{now}");
        now += SESSION_IDLE - 1;
    }
    assert!(!controls(&access, &credential_of[1], READ, RESOURCE_ID, NOW + SESSION_LIFE).await);
    assert!(!controls(&access, &credential_of[0], READ, RESOURCE_ID, NOW + SESSION_IDLE).await);
    for guess in ["", "x", "muster-session.", &"A".repeat(43), &"A".repeat(100_000)] {
        let credential = format!("Bearer muster-session.{guess}");
        assert_eq!(
            refused(access.authorize(&site.now(), &call(&credential, "any"), at(NOW)).await),
            "SESSION_UNKNOWN"
        );
    }
}

#[tokio::test]
async fn session_of_a_token_has_its_owners_roles_on_both_planes_until_the_token_ends() {
    let signing = Key::p256();
    let mut provider = provider();
    provider.role_assignments.push(assignment("groups", "operators", Role::Reader, RESOURCE_ID));
    let site = Site::of(instance(), false);
    let access =
        Documents::of_keys(&[signing.jwk("key-1")]).access(vec![provider]).with_sessions(site.sessions());
    let header = json!({"alg": "ES256", "typ": "JWT", "kid": "key-1"});
    let text = signing.token(&header, &claims());
    let opened = access.sign_in_with_token(&text, at(NOW)).await.unwrap();
    assert_eq!((opened.session.owner().name(), opened.session.owner().kind()), ("subject-1", "token"));
    let credential = credential(&opened);
    let caller = access.authorize(&site.now(), &call(&credential, "any"), at(NOW)).await.unwrap();
    assert_eq!((caller.name(), caller.kind()), ("subject-1", "PortalSession"));
    assert!(controls(&access, &credential, READ, RESOURCE_ID, NOW).await, "an audience of either plane does");
    assert!(!controls(&access, &credential, WRITE, RESOURCE_ID, NOW).await);
    let end = NOW + 60 + BEARER_CLOCK_SKEW;
    assert!(controls(&access, &credential, READ, RESOURCE_ID, end - 1).await);
    assert!(!controls(&access, &credential, READ, RESOURCE_ID, end).await);
    for (name, value) in
        [("aud", json!("somebody else")), ("exp", json!(NOW - 400)), ("iss", json!("https://x"))]
    {
        let other = signing.token(&header, &claims_with(name, value));
        assert!(access.sign_in_with_token(&other, at(NOW)).await.is_err(), "{name}");
    }
    let forged = Key::p256().token(&header, &claims());
    assert!(access.sign_in_with_token(&forged, at(NOW)).await.is_err());
}

#[tokio::test]
async fn management_token_opens_a_session_that_may_do_everything() {
    let site = Site::of(instance(), true);
    let access = site.access().with_management_token(Secret::from("0123456789".to_owned()));
    let opened = access.sign_in_with_token("0123456789", at(NOW)).await.unwrap();
    let credential = credential(&opened);
    assert!(access.authorize(&site.now(), &call(&credential, "any"), at(NOW)).await.is_ok());
    assert!(controls(&access, &credential, WRITE, "/subscriptions/any", NOW).await);
    assert!(access.sign_in_with_token("012345678", at(NOW)).await.is_err());
}

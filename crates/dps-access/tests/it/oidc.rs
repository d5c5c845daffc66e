//! Signing in to the portal at an identity provider that answers as it should, and as it should not.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use base64::Engine as _;
use dps_access::{
    AccessControl, Begun, ControlCall, FetchError, IdentityProvider, KeyFetch, Opened, Returned, Role,
    Services, Sessions,
};
use dps_model::instance::Instance;
use dps_model::{Error, ErrorCode};
use serde_json::{Value, json};

use crate::issuer::{ISSUER, KEYS_URL, Key, assignment, base64};
use crate::site::{NOW, RESOURCE_ID, at};

const BACK: &str = "https://dps.test/portal/oidc/callback";
const READ: &str = "Microsoft.Devices/provisioningServices/read";

/// Members, and the `Authorization` beside them.
type Form = (Vec<(String, String)>, Option<String>);

/// A provider; remembers what it was asked.
struct Login {
    key: Key,
    /// What it says in its ID token besides the nonce.
    claims: Mutex<Value>,
    nonce: Mutex<String>,
    forms: Mutex<Vec<Form>>,
    discovery: Mutex<Value>,
}

impl Login {
    fn new() -> Arc<Self> {
        let claims = json!({
            "iss": ISSUER, "aud": "portal", "sub": "person-1", "preferred_username": "ada@login.test",
            "roles": ["operator"], "exp": NOW + 300,
        });
        let discovery = json!({
            "issuer": ISSUER, "jwks_uri": KEYS_URL, "authorization_endpoint": "https://login.test/authorize?tenant=1",
            "token_endpoint": "https://login.test/token",
        });
        Arc::new(Self {
            key: Key::p256(),
            claims: Mutex::new(claims),
            nonce: Mutex::default(),
            forms: Mutex::default(),
            discovery: Mutex::new(discovery),
        })
    }

    fn access(self: &Arc<Self>, change: impl FnOnce(&mut IdentityProvider)) -> AccessControl {
        let mut provider = IdentityProvider {
            portal_client_id: Some("portal".into()),
            role_assignments: vec![assignment("roles", "operator", Role::Reader, "/")],
            ..IdentityProvider::new(ISSUER)
        };
        change(&mut provider);
        assert_eq!(provider.check(false), Ok(()));
        let access = AccessControl::new(vec![provider], &(Arc::clone(self) as Arc<dyn KeyFetch>));
        access.with_sessions(Arc::new(Sessions::new(Arc::new(Nobody))))
    }

    fn says(&self, name: &str, value: Value) {
        self.claims.lock().unwrap()[name] = value;
    }
}

#[async_trait]
impl KeyFetch for Login {
    async fn get(&self, url: &str, _limit: usize) -> Result<Vec<u8>, FetchError> {
        let document = match url {
            KEYS_URL => json!({"keys": [self.key.jwk("key-1")]}),
            _ => self.discovery.lock().unwrap().clone(),
        };
        Ok(document.to_string().into_bytes())
    }

    async fn post(
        &self,
        url: &str,
        form: &[(&str, &str)],
        authorization: Option<&str>,
        _limit: usize,
    ) -> Result<Vec<u8>, FetchError> {
        assert_eq!(url, "https://login.test/token");
        let form: Vec<_> =
            form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let good = form.contains(&("code".to_owned(), "good".to_owned()));
        self.forms.lock().unwrap().push((form, authorization.map(str::to_owned)));
        if !good {
            return Err(FetchError::Status(400));
        }
        let mut claims = self.claims.lock().unwrap().clone();
        if claims.get("nonce").is_none() {
            claims["nonce"] = json!(*self.nonce.lock().unwrap());
        }
        let token = self.key.token(&json!({"alg": "ES256", "typ": "JWT", "kid": "key-1"}), &claims);
        Ok(json!({"access_token": "opaque", "id_token": token}).to_string().into_bytes())
    }
}

struct Nobody;

impl Services for Nobody {
    fn by_rows(&self, _: &str) -> Option<Arc<Instance>> {
        None
    }

    fn is_only_one(&self) -> bool {
        true
    }
}

fn parameter(url: &str, name: &str) -> String {
    let query = url.split_once('?').unwrap().1;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(given, _)| *given == name).map(|(_, value)| value.to_owned()).unwrap()
}

async fn began(login: &Login, access: &AccessControl) -> Begun {
    let begun = access.begin_sign_in(0, BACK, at(NOW)).await.unwrap();
    *login.nonce.lock().unwrap() = parameter(&begun.url, "nonce");
    begun
}

async fn returned(access: &AccessControl, begun: &Begun, code: &str) -> Result<Opened, Error> {
    let kept = std::str::from_utf8(begun.kept.expose()).unwrap();
    let state = parameter(&begun.url, "state");
    let returned = Returned { kept, code, state: &state, redirect_uri: BACK };
    access.finish_sign_in(&returned, at(NOW)).await
}

#[track_caller]
fn refusal(result: Result<Opened, Error>) -> String {
    let error = result.err().unwrap();
    assert_eq!(error.code, ErrorCode::Unauthorized);
    error.cause.unwrap().into_owned()
}

#[tokio::test]
async fn person_signs_in_with_pkce_and_has_their_roles() {
    let login = Login::new();
    let access = login.access(|_| ());
    assert_eq!(access.portal_providers(), [(0, "login.test".to_owned())]);
    let begun = began(&login, &access).await;
    assert!(
        begun.url.starts_with("https://login.test/authorize?tenant=1&response_type=code&client_id=portal&")
    );
    assert_eq!(parameter(&begun.url, "scope"), "openid+profile");
    assert_eq!(parameter(&begun.url, "code_challenge_method"), "S256");
    let opened = returned(&access, &begun, "good").await.unwrap();
    let owner = opened.session.owner();
    assert_eq!((owner.name(), owner.kind()), ("ada@login.test", "oidc"));

    let forms = login.forms.lock().unwrap().clone();
    let [(form, authorization)] = &forms[..] else { panic!("one form") };
    assert_eq!(*authorization, None);
    let of =
        |name: &str| form.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str()).unwrap();
    assert_eq!((of("grant_type"), of("redirect_uri")), ("authorization_code", BACK));
    let challenge =
        base64(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, of("code_verifier").as_bytes()));
    assert_eq!(parameter(&begun.url, "code_challenge"), challenge);

    let id = std::str::from_utf8(opened.id.expose()).unwrap();
    let credential = format!("Bearer muster-session.{id}");
    let call = |action| ControlCall { authorization: Some(&credential), action, resource_id: RESOURCE_ID };
    let caller = access.authorize_control(&call(READ), at(NOW)).await.unwrap();
    assert_eq!((caller.name(), caller.kind()), ("person-1", "PortalSession"));
    let write = "Microsoft.Devices/provisioningServices/write";
    assert_eq!(
        access.authorize_control(&call(write), at(NOW)).await.unwrap_err().code,
        ErrorCode::AuthorizationFailed
    );
}

#[tokio::test]
async fn secret_of_a_file_is_shown_to_the_provider_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "s3cret: +\n").unwrap();
    let login = Login::new();
    let access = login.access(|provider| provider.portal_client_secret_file = Some(file.clone()));
    let begun = began(&login, &access).await;
    returned(&access, &begun, "good").await.unwrap();
    let shown = login.forms.lock().unwrap()[0].1.clone().unwrap();
    let encoded = base64::engine::general_purpose::STANDARD.encode("portal:s3cret%3A%20%2B");
    assert_eq!(shown, format!("Basic {encoded}"));
    std::fs::remove_file(&file).unwrap();
    let error = returned(&access, &begun, "good").await.err().unwrap();
    assert_eq!(error.code, ErrorCode::Internal);
}

#[tokio::test]
async fn answer_to_another_sign_in_refused() {
    let login = Login::new();
    let access = login.access(|_| ());
    let (own, other) = (began(&login, &access).await, began(&login, &access).await);
    let kept = |begun: &Begun| std::str::from_utf8(begun.kept.expose()).unwrap().to_owned();
    let state = parameter(&own.url, "state");
    for (kept, state, code) in [
        (kept(&other), state.clone(), "good"),
        (String::new(), state.clone(), "good"),
        ("0.short".into(), state.clone(), "good"),
        ("x".repeat(100_000), state.clone(), "good"),
        (kept(&own), String::new(), "good"),
        (kept(&own), format!("{state}x"), "good"),
        (kept(&own).replacen('0', "7", 1), state.clone(), "good"),
        (kept(&own), state.clone(), ""),
    ] {
        let returned = Returned { kept: &kept, code, state: &state, redirect_uri: BACK };
        assert!(access.finish_sign_in(&returned, at(NOW)).await.is_err(), "{kept} {state}");
    }
    assert_eq!(login.forms.lock().unwrap().len(), 0, "the provider is asked for none of these");
    // The nonce of the other one is in the token.
    assert!(refusal(returned(&access, &own, "good").await).contains("another sign-in"));
    assert!(returned(&access, &other, "good").await.is_ok());
}

#[tokio::test]
async fn identity_that_is_not_proven_opens_nothing() {
    for (name, value, told) in [
        ("aud", json!("other"), "another client"),
        ("aud", json!(["portal", "other"]), "another client"),
        ("iss", json!("https://other.test"), "BEARER_ISSUER_UNKNOWN"),
        ("exp", json!(NOW - 600), "BEARER_EXPIRED"),
        ("nonce", json!("other"), "another sign-in"),
        ("sub", json!(""), "SIGN_IN_REFUSED"),
        ("roles", json!(["guest"]), "ROLE_MISSING"),
    ] {
        let login = Login::new();
        let access = login.access(|_| ());
        login.says(name, value);
        let begun = began(&login, &access).await;
        let cause = refusal(returned(&access, &begun, "good").await);
        assert!(cause.contains(told), "{name}: {cause}");
        assert_eq!(access.sessions().unwrap().count(), 0);
    }
    let login = Login::new();
    let access = login.access(|_| ());
    let begun = began(&login, &access).await;
    assert!(refusal(returned(&access, &begun, "bad").await).starts_with("SIGN_IN_REFUSED"));
}

#[tokio::test]
async fn provider_that_leads_elsewhere_or_is_no_portals_is_not_used() {
    for (name, value) in [
        ("issuer", json!("https://other.test")),
        ("authorization_endpoint", json!("http://login.test/authorize")),
        ("token_endpoint", json!("file:///etc/passwd")),
        ("token_endpoint", json!(null)),
    ] {
        let login = Login::new();
        login.discovery.lock().unwrap()[name] = value;
        let access = login.access(|_| ());
        let error = access.begin_sign_in(0, BACK, at(NOW)).await.err().unwrap();
        assert_eq!(error.code, ErrorCode::Unavailable, "{name}");
    }
    let login = Login::new();
    let closed = login.access(|provider| provider.portal_client_id = None);
    assert_eq!(closed.portal_providers(), []);
    for number in [0, 1, usize::MAX] {
        assert!(closed.begin_sign_in(number, BACK, at(NOW)).await.is_err());
    }
}

//! Bearer tokens as those make them who have no right to.

use aws_lc_rs::hmac;
use dps_access::{BearerToken, IdentityProvider, KeySet, Role};
use dps_model::limits::{MAX_BEARER_TOKEN, MAX_EVENT_TEXT};
use serde_json::{Value, json};

use crate::issuer::{Documents, ISSUER, Key, assignment, base64, claims, claims_with, provider};
use crate::site::{NOW, at, call, instance, refused};

const OTHER: &str = "https://other.test";
const OTHER_KEYS: &str = "https://other.test/keys";

/// What becomes of a token before a provider with these keys: empty when it is let in.
async fn outcome(keys: &[Value], token: &str) -> String {
    let access = Documents::of_keys(keys).access(vec![provider()]);
    match access.authorize(&instance(), &call(&format!("Bearer {token}"), "localhost"), at(NOW)).await {
        Ok(_) => String::new(),
        refusal => refused(refusal),
    }
}

/// A token with a MAC, as one gets who takes a public text for a secret.
fn mac(header: &Value, secret: &[u8]) -> String {
    let signed = format!("{}.{}", base64(header.to_string()), base64(claims().to_string()));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
    format!("{signed}.{}", base64(tag))
}

#[tokio::test]
async fn algorithm_that_the_caller_chose_refused() {
    let key = Key::rsa();
    let jwk = key.jwk("k");
    let keys = [jwk.clone()];
    let unsigned = |alg: &str| {
        format!("{}.{}.", base64(json!({"alg": alg, "kid": "k"}).to_string()), base64(claims().to_string()))
    };
    for alg in ["none", "None", "NONE", "", "HS256", "rs256", "ES512", "dir"] {
        assert_eq!(outcome(&keys, &unsigned(alg)).await, "BEARER_MALFORMED", "{alg}");
    }
    // The public key as the secret of a MAC, in the forms in which it is public.
    let header = json!({"alg": "HS256", "kid": "k"});
    for secret in [jwk["n"].as_str().unwrap().to_owned(), jwk.to_string()] {
        assert_eq!(outcome(&keys, &mac(&header, secret.as_bytes())).await, "BEARER_MALFORMED");
        let lied = json!({"alg": "RS256", "kid": "k"});
        assert_eq!(outcome(&keys, &mac(&lied, secret.as_bytes())).await, "BEARER_SIGNATURE_MISMATCH");
    }
    // Another algorithm of the same key type than the provider uses the key for.
    let mut for_pss = jwk.clone();
    for_pss["alg"] = json!("PS256");
    let rs256 = key.token(&json!({"alg": "RS256", "kid": "k"}), &claims());
    assert_eq!(outcome(&[for_pss.clone()], &rs256).await, "BEARER_KEY_UNKNOWN");
    let ps256 = key.token(&json!({"alg": "PS256", "kid": "k"}), &claims());
    assert_eq!(outcome(&[for_pss], &ps256).await, "");
    // An algorithm of another key type.
    let ec = Key::p256();
    let es256 = ec.token(&json!({"alg": "ES256", "kid": "k"}), &claims());
    assert_eq!(outcome(&keys, &es256).await, "BEARER_KEY_UNKNOWN");
    assert_eq!(outcome(&[Key::p384().jwk("k")], &es256).await, "BEARER_KEY_UNKNOWN");
}

#[tokio::test]
async fn key_that_the_caller_chose_refused() {
    let (key, own) = (Key::p256(), Key::p256());
    let keys = [key.jwk("k"), Key::p256().jwk("l")];
    let header = |extra: Value| {
        let mut header = json!({"alg": "ES256"});
        header.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        header
    };
    // A key of his own, named or enclosed.
    for extra in [
        json!({"kid": "k", "jwk": own.jwk("k")}),
        json!({"kid": "k", "jku": "https://evil.test/keys"}),
        json!({"kid": "k", "x5u": "https://evil.test/cert", "x5c": ["AAAA"]}),
    ] {
        assert_eq!(outcome(&keys, &own.token(&header(extra), &claims())).await, "BEARER_SIGNATURE_MISMATCH");
    }
    for kid in ["", "K", "k ", "../../dev/null", "' OR 1=1 --", "\u{0}", &"k".repeat(4_000)] {
        let token = key.token(&header(json!({"kid": kid})), &claims());
        assert_eq!(outcome(&keys, &token).await, "BEARER_KEY_UNKNOWN", "{kid}");
    }
    // Without a key id: the only key, or none.
    let unnamed = key.token(&header(json!({})), &claims());
    assert_eq!(outcome(&keys[..1], &unnamed).await, "");
    assert_eq!(outcome(&keys, &unnamed).await, "BEARER_KEY_UNKNOWN");
    assert_eq!(outcome(&keys[1..], &unnamed).await, "BEARER_SIGNATURE_MISMATCH");
    // A key that is for something else.
    let named = key.token(&header(json!({"kid": "k"})), &claims());
    let mut encrypts = key.jwk("k");
    encrypts["use"] = json!("enc");
    assert_eq!(outcome(&[encrypts], &named).await, "BEARER_KEY_UNKNOWN");
    let mut wraps = key.jwk("k");
    wraps["key_ops"] = json!(["wrapKey"]);
    assert_eq!(outcome(&[wraps], &named).await, "BEARER_KEY_UNKNOWN");
    // A provider that has one id twice means either.
    assert_eq!(outcome(&[own.jwk("k"), key.jwk("k")], &named).await, "");
}

#[tokio::test]
async fn signature_that_is_none_refused() {
    let key = Key::p256();
    let keys = [key.jwk("k")];
    let good = key.token(&json!({"alg": "ES256", "kid": "k"}), &claims());
    assert_eq!(outcome(&keys, &good).await, "");
    let (signed, signature) = good.rsplit_once('.').unwrap();
    for made in
        [String::new(), base64([0; 64]), base64([0; 63]), base64([0xff; 64]), format!("{signature}AAAA")]
    {
        let outcome = outcome(&keys, &format!("{signed}.{made}")).await;
        assert_eq!(outcome, "BEARER_SIGNATURE_MISMATCH", "{made}");
    }
    // Claims of another token under this signature.
    let (header, _) = signed.split_once('.').unwrap();
    let other = base64(claims_with("sub", json!("root")).to_string());
    let outcome = outcome(&keys, &format!("{header}.{other}.{signature}")).await;
    assert_eq!(outcome, "BEARER_SIGNATURE_MISMATCH");
}

#[tokio::test]
async fn text_that_is_no_token_refused_before_a_key_is_asked_for() {
    let key = Key::p256();
    let documents = Documents::of_keys(&[key.jwk("k")]);
    let access = documents.access(vec![provider()]);
    let header = r#"{"alg":"ES256","kid":"k"}"#;
    let good = claims().to_string();
    let with = |header: &str, claims: &str| key.token_of(header, claims);
    let claims_of = |members: &str| with(header, &format!("{{\"iss\":\"{ISSUER}\",{members}}}"));
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    for token in [
        String::new(),
        ".".into(),
        "..".into(),
        "a.b.c.d.e".into(),
        "a".repeat(MAX_BEARER_TOKEN),
        format!("{}=", with(header, &good)),
        format!("{} extra", with(header, &good)),
        format!("ü.{}", with(header, &good)),
        with(r#"{"alg":"none","alg":"ES256","kid":"k"}"#, &good),
        with(r#"{"alg":"ES256","kid":"j","kid":"k"}"#, &good),
        with(r#"{"alg":"ES256","kid":7}"#, &good),
        with(r#"{"alg":["ES256"],"kid":"k"}"#, &good),
        with(r#"{"alg":"ES256","kid":"k","crit":["exp"]}"#, &good),
        with(r#"{"alg":"ES256","kid":"k","typ":"logout+jwt"}"#, &good),
        with("[]", &good),
        with(header, "[]"),
        with(header, &deep),
        claims_of(r#""sub":"a""#),
        claims_of(r#""exp":1900000000"#),
        claims_of(r#""sub":"","exp":1900000000"#),
        claims_of(r#""sub":"a","exp":"1900000000""#),
        claims_of(r#""sub":"a","exp":null"#),
        claims_of(r#""sub":"a","exp":1900000000,"nbf":"soon""#),
        claims_of(r#""sub":"a","sub":"b","exp":1900000000"#),
        claims_of(r#""sub":"a","exp":1,"exp":1900000000"#),
        claims_of(r#""sub":"a","exp":1900000000,"aud":"x","aud":"y""#),
        claims_of(r#""sub":"a","exp":1900000000,"roles":["reader"],"roles":["writer"]"#),
    ] {
        let text = format!("Bearer {token}");
        let refusal = access.authorize(&instance(), &call(&text, "localhost"), at(NOW)).await;
        assert_eq!(refused(refusal), "BEARER_MALFORMED", "{}", &token[..token.len().min(200)]);
    }
    assert_eq!(documents.asked(), 0);
    assert!(BearerToken::parse(&with(header, &good)).is_ok());
}

#[tokio::test]
async fn token_of_one_issuer_is_worth_nothing_with_another() {
    let (ours, theirs) = (Key::p256(), Key::p256());
    let documents = Documents::of_keys(&[ours.jwk("k")]);
    documents.put(OTHER_KEYS, &json!({"keys": [theirs.jwk("k"), theirs.jwk("theirs")]}));
    let other = IdentityProvider {
        jwks_url: Some(OTHER_KEYS.into()),
        role_assignments: vec![assignment("roles", "writer", Role::DataReader, "/")],
        ..IdentityProvider::new(OTHER)
    };
    let access = documents.access(vec![provider(), other]);
    let outcome = async |key: &Key, kid: &str, issuer: Value| {
        let token = key.token(&json!({"alg": "ES256", "kid": kid}), &claims_with("iss", issuer));
        match access.authorize(&instance(), &call(&format!("Bearer {token}"), "localhost"), at(NOW)).await {
            Ok(_) => String::new(),
            refusal => refused(refusal),
        }
    };
    assert_eq!(outcome(&ours, "k", json!(ISSUER)).await, "");
    assert_eq!(outcome(&theirs, "k", json!(ISSUER)).await, "BEARER_SIGNATURE_MISMATCH");
    assert_eq!(outcome(&theirs, "theirs", json!(ISSUER)).await, "BEARER_KEY_UNKNOWN");
    // The same claims, the other's assignments: its writers are readers here.
    assert_eq!(outcome(&theirs, "k", json!(OTHER)).await, "ROLE_MISSING");
    for issuer in
        [json!(format!("{ISSUER}/")), json!([ISSUER]), Value::Null, json!(""), json!("https://evil.test")]
    {
        assert_eq!(outcome(&ours, "k", issuer.clone()).await, "BEARER_ISSUER_UNKNOWN", "{issuer}");
    }
}

#[tokio::test]
async fn refusal_repeats_a_bounded_part_of_the_claims_and_no_signature() {
    let key = Key::p256();
    let access = Documents::of_keys(&[key.jwk("k")]).access(vec![provider()]);
    let mut long = claims_with("sub", json!("s".repeat(5_000)));
    long["roles"] = json!([]);
    let token = key.token(&json!({"alg": "ES256", "kid": "k"}), &long);
    let text = format!("Bearer {token}");
    let error = access.authorize(&instance(), &call(&text, "localhost"), at(NOW)).await.unwrap_err();
    let cause = error.cause.unwrap();
    assert!(cause.starts_with("ROLE_MISSING") && cause.len() < 2 * MAX_EVENT_TEXT, "{cause}");
    assert!(!cause.contains(token.rsplit_once('.').unwrap().1));
}

#[test]
fn key_set_of_a_stranger_read_within_bounds() {
    let key = Key::p256().jwk("k");
    let ids = |keys: Value| {
        let set = KeySet::parse(json!({"keys": keys, "more": 1}).to_string().as_bytes()).unwrap();
        set.ids().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let secret = json!({"kty": "oct", "kid": "s", "k": "AAAA", "alg": "HS256"});
    let odd = json!({"kty": "EC", "kid": "o", "crv": "secp256k1", "x": "AAAA", "y": "AAAA"});
    assert_eq!(
        ids(json!([7, null, {}, secret, odd, {"kty": "RSA", "kid": "r", "n": "*", "e": "AQAB"}, key])),
        ["k"]
    );
    let many = (0..1_000).map(|n| {
        let mut key = key.clone();
        key["kid"] = json!(format!("{n:04}"));
        key
    });
    assert_eq!(ids(json!(many.collect::<Vec<_>>())).len(), 64);
    for text in ["", "{}", "[]", r#"{"keys":{}}"#, r#"{"keys":[1,"#] {
        assert!(KeySet::parse(text.as_bytes()).is_err(), "{text}");
    }
    assert!(KeySet::parse(format!("{}{{\"keys\":[]}}", " ".repeat(300_000)).as_bytes()).is_err());
}

//! The keys of a provider over time: rotated, out of reach, asked for by whoever makes up key ids.

use std::pin::pin;
use std::sync::Arc;

use dps_access::{AccessControl, FetchError, HttpKeys, IdentityProvider, KeyFetch};
use dps_model::limits::{KEY_FETCH_INTERVAL, KEYS_FRESH, KEYS_KEPT, MAX_KEY_DOCUMENT};
use dps_model::{ErrorCode, Timestamp};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::issuer::{Documents, KEYS_URL, Key, claims_with, provider};
use crate::site::{NOW, at, call, instance};

/// A token that lives as long as a test.
fn token(key: &Key, kid: &str) -> String {
    let claims = claims_with("exp", json!(NOW + 10 * KEYS_KEPT));
    format!("Bearer {}", key.token(&json!({"alg": "ES256", "kid": kid}), &claims))
}

/// Empty, or the reason.
async fn outcome(access: &AccessControl, token: &str, now: Timestamp) -> String {
    match access.authorize(&instance(), &call(token, "localhost"), now).await {
        Ok(_) => String::new(),
        Err(error) => error.cause.unwrap().split(':').next().unwrap().to_owned(),
    }
}

#[tokio::test]
async fn made_up_key_ids_ask_the_provider_once_an_interval() {
    let key = Key::p256();
    let documents = Documents::of_keys(&[key.jwk("k")]);
    let access = documents.access(vec![provider()]);
    assert_eq!(outcome(&access, &token(&key, "k"), at(NOW)).await, "");
    for n in 0..200 {
        let now = at(NOW + n % KEY_FETCH_INTERVAL);
        assert_eq!(outcome(&access, &token(&key, &format!("made-up-{n}")), now).await, "BEARER_KEY_UNKNOWN");
    }
    assert_eq!(documents.asked(), 1);
    let later = at(NOW + KEY_FETCH_INTERVAL);
    assert_eq!(outcome(&access, &token(&key, "made-up"), later).await, "BEARER_KEY_UNKNOWN");
    assert_eq!(documents.asked(), 2);
}

#[tokio::test]
async fn rotated_key_taken_with_its_first_token_and_the_old_one_dropped() {
    let (old, new) = (Key::p256(), Key::p256());
    let documents = Documents::of_keys(&[old.jwk("old")]);
    let access = documents.access(vec![provider()]);
    assert_eq!(outcome(&access, &token(&old, "old"), at(NOW)).await, "");
    documents.put(KEYS_URL, &json!({"keys": [old.jwk("old"), new.jwk("new")]}));
    let soon = at(NOW + KEY_FETCH_INTERVAL);
    assert_eq!(outcome(&access, &token(&new, "new"), soon).await, "");
    assert_eq!(outcome(&access, &token(&old, "old"), soon).await, "");

    // The old key is withdrawn: nobody asks for a key that is there, but after an hour the set is asked for again.
    documents.put(KEYS_URL, &json!({"keys": [new.jwk("new")]}));
    let stale = at(NOW + KEY_FETCH_INTERVAL + KEYS_FRESH);
    assert_eq!(outcome(&access, &token(&new, "new"), stale).await, "");
    while documents.asked() < 3 {
        tokio::task::yield_now().await;
    }
    let after = at(NOW + 2 * KEY_FETCH_INTERVAL + KEYS_FRESH);
    assert_eq!(outcome(&access, &token(&old, "old"), after).await, "BEARER_KEY_UNKNOWN");
}

#[tokio::test]
async fn provider_out_of_reach_leaves_its_keys_in_use_for_a_day() {
    let key = Key::p256();
    let documents = Documents::of_keys(&[key.jwk("k")]);
    let access = documents.access(vec![provider()]);
    assert_eq!(outcome(&access, &token(&key, "k"), at(NOW)).await, "");
    documents.clear();
    for age in [KEYS_FRESH, 2 * KEYS_FRESH, KEYS_KEPT - 1] {
        assert_eq!(outcome(&access, &token(&key, "k"), at(NOW + age)).await, "", "{age}");
        assert_eq!(outcome(&access, &token(&key, "other"), at(NOW + age)).await, "BEARER_KEY_UNKNOWN");
    }
    let bearer = token(&key, "k");
    let gone = at(NOW + KEYS_KEPT + KEY_FETCH_INTERVAL);
    let error = access.authorize(&instance(), &call(&bearer, "localhost"), gone).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable, "the token may be good: its owner is to come back");
    assert!(error.cause.unwrap().ends_with("the provider cannot be reached: nobody is there"));
    documents.put(KEYS_URL, &json!({"keys": [key.jwk("k")]}));
    let back = at(NOW + KEYS_KEPT + 2 * KEY_FETCH_INTERVAL);
    assert_eq!(outcome(&access, &bearer, back).await, "");
}

#[tokio::test(start_paused = true)]
async fn provider_that_stalls_holds_nobody_whose_key_is_there() {
    let key = Key::p256();
    let documents = Documents::of_keys(&[key.jwk("k")]);
    let access = documents.access(vec![provider()]);
    assert_eq!(outcome(&access, &token(&key, "k"), at(NOW)).await, "");
    let _until = documents.stall();
    let (known, unknown) = (token(&key, "k"), token(&key, "other"));
    let stale = at(NOW + KEYS_FRESH);
    let mut stuck = pin!(outcome(&access, &unknown, stale));
    tokio::select! {
        biased;
        _ = &mut stuck => panic!("the provider does not answer"),
        () = async { while documents.asked() < 2 { tokio::task::yield_now().await } } => {}
    }
    let before = tokio::time::Instant::now();
    assert_eq!(outcome(&access, &known, stale).await, "");
    assert_eq!(before.elapsed(), std::time::Duration::ZERO);
    // The paused clock runs on to the end of the wait.
    assert_eq!(stuck.await, "BEARER_KEY_UNKNOWN");
    assert_eq!(outcome(&access, &unknown, stale).await, "BEARER_KEY_UNKNOWN");
    assert_eq!(documents.asked(), 2);
}

#[tokio::test]
async fn caller_that_goes_away_takes_no_keys_along() {
    let key = Key::p256();
    let documents = Documents::of_keys(&[key.jwk("k")]);
    let access = documents.access(vec![provider()]);
    let until = documents.stall();
    let bearer = token(&key, "k");
    tokio::select! {
        biased;
        _ = outcome(&access, &bearer, at(NOW)) => panic!("the provider does not answer"),
        () = async { while documents.asked() < 1 { tokio::task::yield_now().await } } => {}
    }
    until.notify_one();
    assert_eq!(outcome(&access, &bearer, at(NOW)).await, "");
    assert_eq!(documents.asked(), 1);
}

#[tokio::test]
async fn keys_of_a_file_read_again_when_they_change() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys.json");
    let settings = IdentityProvider { jwks_url: None, jwks_file: Some(file.clone()), ..provider() };
    let documents = Documents::of_keys(&[]);
    let access = documents.access(vec![settings]);
    let (old, new) = (Key::p256(), Key::p256());
    assert_eq!(outcome(&access, &token(&old, "old"), at(NOW)).await, "BEARER_KEYS_UNAVAILABLE");
    std::fs::write(&file, json!({"keys": [old.jwk("old")]}).to_string()).unwrap();
    let second = at(NOW + KEY_FETCH_INTERVAL);
    assert_eq!(outcome(&access, &token(&old, "old"), second).await, "");
    std::fs::write(&file, json!({"keys": [new.jwk("new")]}).to_string()).unwrap();
    let third = at(NOW + 2 * KEY_FETCH_INTERVAL);
    assert_eq!(outcome(&access, &token(&new, "new"), third).await, "");
    assert_eq!(outcome(&access, &token(&old, "old"), third).await, "BEARER_KEY_UNKNOWN");
    assert_eq!(documents.asked(), 0);
}

fn client() -> HttpKeys {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    HttpKeys::new(tls, true).unwrap()
}

/// A server that answers every connection with these bytes over and over, so many times.
async fn server(answer: Vec<u8>, times: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4_096]).await;
            for _ in 0..times {
                if stream.write_all(&answer).await.is_err() {
                    break;
                }
            }
            if times == 0 {
                std::future::pending::<()>().await;
            }
        }
    });
    url
}

fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}connection: close\r\n\r\n{body}")
        .into_bytes()
}

#[tokio::test]
async fn document_fetched_within_its_bound() {
    let url = server(answer("200 OK", "", "{\"keys\":[]}"), 1).await;
    assert_eq!(client().get(&url, 100).await.as_deref(), Ok(b"{\"keys\":[]}".as_slice()));
    assert_eq!(client().get(&url, 10).await, Err(FetchError::TooLarge(10)));
    // 10 MiB that say nothing of their length.
    let mut endless = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
    endless.resize(10 * 1024 * 1024, b' ');
    let url = server(endless, 1).await;
    assert_eq!(client().get(&url, MAX_KEY_DOCUMENT).await, Err(FetchError::TooLarge(MAX_KEY_DOCUMENT)));
}

#[tokio::test]
async fn document_from_elsewhere_not_fetched() {
    let good = server(answer("200 OK", "", "{}"), 1).await;
    let moved = server(answer("302 Found", &format!("location: {good}\r\n"), ""), 1).await;
    assert_eq!(client().get(&moved, 100).await, Err(FetchError::Status(302)));
    let absent = server(answer("404 Not Found", "", ""), 1).await;
    assert_eq!(client().get(&absent, 100).await, Err(FetchError::Status(404)));
    for url in ["http://192.0.2.1/", "file:///etc/passwd", "nonsense", ""] {
        assert_eq!(client().get(url, 100).await, Err(FetchError::Forbidden), "{url}");
    }
    let broken = server(b"no http".to_vec(), 1).await;
    assert!(matches!(client().get(&broken, 100).await, Err(FetchError::Unreachable(_))));
}

#[tokio::test(start_paused = true)]
async fn server_that_accepts_and_stalls_given_up() {
    let url = server(Vec::new(), 0).await;
    let settings = IdentityProvider { jwks_url: Some(url), ..provider() };
    let keys = Arc::new(client()) as Arc<dyn KeyFetch>;
    let access = AccessControl::new(vec![settings], &keys);
    assert_eq!(outcome(&access, &token(&Key::p256(), "k"), at(NOW)).await, "BEARER_KEYS_UNAVAILABLE");
}

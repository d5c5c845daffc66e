//! The keys of one identity provider, kept. Owns when they are asked for again: an hour after they came, and for a key
//! that is not among them, but never twice within an interval, whatever callers make up. While the provider cannot be
//! reached its old keys stay in use for a day. Nobody waits for keys that are there.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use dps_model::Timestamp;
use dps_model::limits::{KEY_FETCH_INTERVAL, KEY_FETCH_TIMEOUT, KEYS_FRESH, KEYS_KEPT, MAX_KEY_DOCUMENT};
use serde::Deserialize;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::fetch::{FetchError, KeyFetch};
use super::keys::KeySet;
use super::token::BearerToken;
use crate::settings::IdentityProvider;

/// An identity provider with what is known of its keys.
pub(crate) struct Provider {
    pub(crate) settings: IdentityProvider,
    fetch: Arc<dyn KeyFetch>,
    known: ArcSwapOption<Known>,
    asked: Arc<Mutex<Asked>>,
    doors: Mutex<Doors>,
}

/// Where a browser signs in, and where its code is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoints {
    pub(crate) authorization: String,
    pub(crate) token: String,
}

/// What is known of them, since when.
#[derive(Default)]
struct Doors {
    known: Option<(Timestamp, Endpoints)>,
    asked: Option<Timestamp>,
    failure: String,
}

/// Keys and when they came.
struct Known {
    keys: Arc<KeySet>,
    at: Timestamp,
}

/// The last question.
#[derive(Default)]
struct Asked {
    at: Option<Timestamp>,
    failure: Option<String>,
}

/// There are no keys to check a token with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeysMissing {
    /// None at all: why the last question had no answer.
    All(String),
    /// The one that the token names.
    This,
}

/// What to do about keys, before a token is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Freshness {
    Fresh,
    /// In use while new ones are asked for.
    Stale,
    /// Not to be used any more.
    Gone,
}

fn freshness(at: Timestamp, now: Timestamp) -> Freshness {
    match now.seconds().saturating_sub(at.seconds()) {
        ..KEYS_FRESH => Freshness::Fresh,
        KEYS_FRESH..KEYS_KEPT => Freshness::Stale,
        _ => Freshness::Gone,
    }
}

/// May the provider be asked? A clock that was set back does not keep it from being asked.
fn may_ask(last: Option<Timestamp>, now: Timestamp) -> bool {
    last.is_none_or(|last| !(0..KEY_FETCH_INTERVAL).contains(&now.seconds().saturating_sub(last.seconds())))
}

impl Provider {
    pub(crate) fn new(settings: IdentityProvider, fetch: Arc<dyn KeyFetch>) -> Self {
        Self {
            settings,
            fetch,
            known: ArcSwapOption::empty(),
            asked: Arc::default(),
            doors: Mutex::default(),
        }
    }

    /// The keys that the token is to be checked with.
    pub(crate) async fn keys(
        self: &Arc<Self>,
        token: &BearerToken<'_>,
        now: Timestamp,
    ) -> Result<Arc<KeySet>, KeysMissing> {
        if let Some((keys, freshness)) = self.usable(now)
            && token.has_key_in(&keys)
        {
            if freshness == Freshness::Stale
                && let Ok(asked) = Arc::clone(&self.asked).try_lock_owned()
            {
                self.ask(asked, now);
            }
            return Ok(keys);
        }
        let asked = Arc::clone(&self.asked).lock_owned().await;
        // A task of its own: a caller that goes away takes no answer from those who wait.
        if let Some(asking) = self.ask(asked, now) {
            let _ = asking.await;
        }
        match self.usable(now) {
            Some((keys, _)) if token.has_key_in(&keys) => Ok(keys),
            Some(_) => Err(KeysMissing::This),
            None => Err(KeysMissing::All(self.asked.lock().await.failure.clone().unwrap_or_default())),
        }
    }

    fn usable(&self, now: Timestamp) -> Option<(Arc<KeySet>, Freshness)> {
        let known = self.known.load();
        let known = known.as_ref()?;
        let freshness = freshness(known.at, now);
        (freshness != Freshness::Gone).then(|| (Arc::clone(&known.keys), freshness))
    }

    /// Asks for the keys, unless that was done a moment ago.
    fn ask(
        self: &Arc<Self>,
        mut asked: OwnedMutexGuard<Asked>,
        now: Timestamp,
    ) -> Option<tokio::task::JoinHandle<()>> {
        if !may_ask(asked.at, now) {
            return None;
        }
        let this = Arc::clone(self);
        Some(tokio::spawn(async move {
            asked.at = Some(now);
            let timeout = Duration::from_secs(KEY_FETCH_TIMEOUT);
            let answer = tokio::time::timeout(timeout, this.fetched()).await;
            asked.failure = match answer.unwrap_or_else(|_| Err("it did not answer in time".to_owned())) {
                Ok(keys) => {
                    this.known.store(Some(Arc::new(Known { keys: Arc::new(keys), at: now })));
                    None
                }
                Err(failure) => Some(failure),
            };
        }))
    }

    async fn fetched(&self) -> Result<KeySet, String> {
        let IdentityProvider { issuer, jwks_url, jwks_file, .. } = &self.settings;
        let document = match (jwks_file, jwks_url) {
            (Some(file), _) => {
                let file = file.clone();
                tokio::task::spawn_blocking(move || read(&file))
                    .await
                    .map_err(|error| error.to_string())??
            }
            (None, Some(url)) => self.get(url).await?,
            (None, None) => self.get(&discovered(&self.get(&self.discovery()).await?, issuer)?).await?,
        };
        KeySet::parse(&document).map_err(|error| format!("the key set cannot be read: {error}"))
    }

    /// Where people sign in. Asked for as seldom as keys are, whoever begins to sign in.
    pub(crate) async fn endpoints(&self, now: Timestamp) -> Result<Endpoints, String> {
        let mut doors = self.doors.lock().await;
        if let Some((at, endpoints)) = &doors.known
            && freshness(*at, now) == Freshness::Fresh
        {
            return Ok(endpoints.clone());
        }
        if may_ask(doors.asked, now) {
            doors.asked = Some(now);
            let timeout = Duration::from_secs(KEY_FETCH_TIMEOUT);
            let found = tokio::time::timeout(timeout, self.found_endpoints()).await;
            match found.unwrap_or_else(|_| Err("it did not answer in time".to_owned())) {
                Ok(endpoints) => doors.known = Some((now, endpoints)),
                Err(failure) => doors.failure = failure,
            }
        }
        match &doors.known {
            Some((at, endpoints)) if freshness(*at, now) != Freshness::Gone => Ok(endpoints.clone()),
            _ => Err(doors.failure.clone()),
        }
    }

    async fn found_endpoints(&self) -> Result<Endpoints, String> {
        #[derive(Deserialize)]
        struct Document {
            issuer: String,
            authorization_endpoint: String,
            token_endpoint: String,
        }
        let document = self.get(&self.discovery()).await?;
        let Document { issuer, authorization_endpoint: authorization, token_endpoint: token } =
            serde_json::from_slice(&document)
                .map_err(|_| "the discovery document has no endpoints to sign in at".to_owned())?;
        if issuer != self.settings.issuer {
            return Err("the discovery document is another issuer's".to_owned());
        }
        if [&authorization, &token].iter().any(|url| !self.fetch.takes(url)) {
            return Err("the discovery document names an endpoint without https".to_owned());
        }
        Ok(Endpoints { authorization, token })
    }

    /// What it answers to a form.
    pub(crate) async fn post(
        &self,
        url: &str,
        form: &[(&str, &str)],
        authorization: Option<&str>,
        limit: usize,
    ) -> Result<Vec<u8>, FetchError> {
        self.fetch.post(url, form, authorization, limit).await
    }

    fn discovery(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.settings.issuer.trim_end_matches('/'))
    }

    async fn get(&self, url: &str) -> Result<Vec<u8>, String> {
        self.fetch.get(url, MAX_KEY_DOCUMENT).await.map_err(|error| error.to_string())
    }
}

/// Where the keys are, as the discovery document says; it must be the issuer's own (OIDC Discovery §4.3).
fn discovered(document: &[u8], issuer: &str) -> Result<String, String> {
    #[derive(Deserialize)]
    struct Document {
        issuer: String,
        jwks_uri: String,
    }
    let document: Document = serde_json::from_slice(document)
        .map_err(|_| "the discovery document has no issuer and jwks_uri".to_owned())?;
    if document.issuer != issuer {
        return Err("the discovery document is another issuer's".to_owned());
    }
    Ok(document.jwks_uri)
}

fn read(file: &std::path::Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let limit = MAX_KEY_DOCUMENT as u64 + 1;
    std::fs::File::open(file)
        .and_then(|opened| opened.take(limit).read_to_end(&mut bytes))
        .map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use dps_model::Timestamp;

    use super::{Freshness, discovered, freshness, may_ask};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn keys_fresh_for_an_hour_and_kept_for_a_day() {
        for (age, expected) in [
            (-5, Freshness::Fresh),
            (3_599, Freshness::Fresh),
            (3_600, Freshness::Stale),
            (86_399, Freshness::Stale),
            (86_400, Freshness::Gone),
        ] {
            assert_eq!(freshness(at(1_000_000), at(1_000_000 + age)), expected, "{age}");
        }
    }

    #[test]
    fn provider_asked_once_an_interval_unless_the_clock_was_set_back() {
        assert!(may_ask(None, at(0)));
        assert!(!may_ask(Some(at(100)), at(100)) && !may_ask(Some(at(100)), at(129)));
        assert!(may_ask(Some(at(100)), at(130)) && may_ask(Some(at(100)), at(99)));
    }

    #[test]
    fn discovery_of_another_issuer_refused() {
        let document = br#"{"issuer":"https://a","jwks_uri":"https://a/keys","x":1}"#;
        assert_eq!(discovered(document, "https://a").as_deref(), Ok("https://a/keys"));
        assert!(discovered(document, "https://b").is_err() && discovered(b"{}", "https://a").is_err());
    }
}

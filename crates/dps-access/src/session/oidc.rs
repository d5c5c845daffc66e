//! Signing in at an identity provider: authorization code with PKCE (RFC 7636), state and nonce, all made of one seed that the
//! browser keeps meanwhile. Owns the conversation; must not know cookies or pages.

use std::io::Read as _;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use dps_model::limits::{MAX_PORTAL_SECRET, MAX_SIGN_IN_CODE, MAX_TOKEN_ANSWER, SESSION_ID};
use dps_model::{Error, Secret, Timestamp};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use serde::Deserialize;

use super::Opened;
use crate::access_control::AccessControl;
use crate::bearer::{BearerToken, Provider};
use crate::refusal::{Refusal, shown};

/// A sign-in that began.
pub struct Begun {
    /// Where the browser goes.
    pub url: String,
    /// What it keeps until it is back.
    pub kept: Secret,
}

/// What a browser comes back with.
pub struct Returned<'a> {
    /// What it kept.
    pub kept: &'a str,
    /// `code`.
    pub code: &'a str,
    /// `state`.
    pub state: &'a str,
    /// Where it was sent back to, as when it left.
    pub redirect_uri: &'a str,
}

/// What everything of one sign-in is made of.
struct Seed([u8; SESSION_ID]);

impl Seed {
    fn fresh() -> Result<Self, Error> {
        let mut bytes = [0; SESSION_ID];
        let filled = aws_lc_rs::rand::fill(&mut bytes);
        filled.map_err(|_| Error::internal("the system has no randomness to give"))?;
        Ok(Self(bytes))
    }

    fn read(text: &str) -> Option<Self> {
        let bytes =
            Some(text).filter(|text| text.len() < 64).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())?;
        bytes.try_into().ok().map(Self)
    }

    /// A value for that use, from which neither the seed nor the others follow.
    fn value(&self, used_as: &str) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, &[used_as.as_bytes(), &self.0].concat()))
    }

    fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, self.value("verifier").as_bytes()))
    }
}

impl AccessControl {
    /// The providers where somebody can sign in to the portal: number and name.
    pub fn portal_providers(&self) -> Vec<(usize, String)> {
        let numbered = self.providers().iter().enumerate();
        let open = numbered.filter(|(_, provider)| provider.settings.portal_client_id.is_some());
        open.map(|(number, provider)| (number, provider.settings.shown_name())).collect()
    }

    /// Begins to sign somebody in at the provider of that number, who will be sent back to `redirect_uri`.
    ///
    /// # Errors
    /// 401000 when there is none of that number, 503001 when it cannot be asked; `cause` names the reason.
    pub async fn begin_sign_in(
        &self,
        number: usize,
        redirect_uri: &str,
        now: Timestamp,
    ) -> Result<Begun, Error> {
        let (provider, client) = self.portal_provider(number)?;
        let endpoints = provider.endpoints(now).await.map_err(|why| unavailable(provider, &why))?;
        let mut url = Url::parse(&endpoints.authorization)
            .map_err(|_| unavailable(provider, "its endpoint is no URL"))?;
        let seed = Seed::fresh()?;
        let scopes = ["openid"].into_iter().chain(provider.settings.portal_scopes.iter().map(String::as_str));
        let scopes = scopes.collect::<Vec<_>>().join(" ");
        url.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", client),
            ("redirect_uri", redirect_uri),
            ("scope", &scopes),
            ("state", &seed.value("state")),
            ("nonce", &seed.value("nonce")),
            ("code_challenge", &seed.challenge()),
            ("code_challenge_method", "S256"),
        ]);
        let kept = Secret::from(format!("{number}.{}", URL_SAFE_NO_PAD.encode(seed.0)));
        Ok(Begun { url: url.into(), kept })
    }

    /// Takes the code that a browser came back with, and opens a session of whom the provider names.
    ///
    /// # Errors
    /// 401000, 503001 when the provider does not answer; `cause` names the reason.
    pub async fn finish_sign_in(&self, returned: &Returned<'_>, now: Timestamp) -> Result<Opened, Error> {
        let kept = returned.kept.split_once('.');
        let kept = kept.and_then(|(number, seed)| Some((number.parse().ok()?, Seed::read(seed)?)));
        let (number, seed): (usize, Seed) = kept.ok_or(Refusal::SignInElsewhere)?;
        if !Secret::from(seed.value("state")).matches(returned.state.as_bytes()) {
            return Err(Refusal::SignInElsewhere.into());
        }
        let (provider, client) = self.portal_provider(number)?;
        let refused =
            |why: &str| Refusal::SignInRefused { issuer: shown(&provider.settings.issuer), why: shown(why) };
        if returned.code.is_empty() || returned.code.len() > MAX_SIGN_IN_CODE {
            return Err(refused("it sent no code, or one that is too long").into());
        }
        let text = self.id_token(provider, client, returned, &seed, now).await?;
        let token =
            BearerToken::parse(&text).map_err(|why| refused(&format!("its ID token is malformed: {why}")))?;
        let signer = self.signed(&token, now).await?;
        if signer.settings.issuer != provider.settings.issuer {
            return Err(refused("its ID token is another issuer's").into());
        }
        let claims = token.claims();
        let mut audiences = claims.texts("aud");
        let several = claims.texts("aud").nth(1).is_some();
        if !audiences.any(|audience| audience == client) || (several && claims.text("azp") != Some(client)) {
            return Err(refused("its ID token is for another client").into());
        }
        if claims.text("nonce") != Some(seed.value("nonce").as_str()) {
            return Err(refused("its ID token is of another sign-in").into());
        }
        if claims.text("sub").is_none_or(str::is_empty) {
            return Err(refused("its ID token names nobody").into());
        }
        self.sign_in_person(&provider.settings, claims.clone(), now)
    }

    fn portal_provider(&self, number: usize) -> Result<(&Provider, &str), Refusal> {
        let provider = self.providers().get(number).ok_or(Refusal::NoIdentityProvider)?;
        let client = provider.settings.portal_client_id.as_deref().ok_or(Refusal::NoIdentityProvider)?;
        Ok((provider, client))
    }

    async fn id_token(
        &self,
        provider: &Provider,
        client: &str,
        returned: &Returned<'_>,
        seed: &Seed,
        now: Timestamp,
    ) -> Result<String, Error> {
        #[derive(Deserialize)]
        struct Answer {
            id_token: String,
        }
        let endpoints = provider.endpoints(now).await.map_err(|why| unavailable(provider, &why))?;
        let verifier = seed.value("verifier");
        let form = [
            ("grant_type", "authorization_code"),
            ("code", returned.code),
            ("redirect_uri", returned.redirect_uri),
            ("client_id", client),
            ("code_verifier", &verifier),
        ];
        let authorization = match provider.settings.portal_client_secret_file.clone() {
            None => None,
            Some(file) => {
                let secret =
                    tokio::task::spawn_blocking(move || secret(&file)).await.map_err(Error::internal)?;
                Some(basic(client, &secret.map_err(Error::internal)?))
            }
        };
        let answer = provider.post(&endpoints.token, &form, authorization.as_deref(), MAX_TOKEN_ANSWER).await;
        let answer = answer.map_err(|error| Refusal::SignInRefused {
            issuer: shown(&provider.settings.issuer),
            why: shown(&error.to_string()),
        })?;
        let read: Result<Answer, _> = serde_json::from_slice(&answer);
        let read = read.map_err(|_| Refusal::SignInRefused {
            issuer: shown(&provider.settings.issuer),
            why: "its answer has no ID token".to_owned(),
        })?;
        Ok(read.id_token)
    }
}

fn unavailable(provider: &Provider, why: &str) -> Error {
    Refusal::BearerKeysUnavailable { issuer: shown(&provider.settings.issuer), why: shown(why) }.into()
}

/// RFC 6749 §2.3.1.
fn basic(client: &str, secret: &Secret) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let secret = String::from_utf8_lossy(secret.expose());
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(client), encoded(secret.trim_end()))))
}

/// The secret of a file; the error says which file, nothing of what is in it.
fn secret(file: &Path) -> Result<Secret, String> {
    let mut bytes = Vec::new();
    let limit = MAX_PORTAL_SECRET as u64 + 1;
    std::fs::File::open(file)
        .and_then(|opened| opened.take(limit).read_to_end(&mut bytes))
        .map_err(|error| format!("portal_client_secret_file {}: {error}", file.display()))?;
    let fits = (1..=MAX_PORTAL_SECRET).contains(&bytes.len());
    fits.then(|| Secret::new(bytes))
        .ok_or_else(|| format!("portal_client_secret_file {} is empty or too long", file.display()))
}

//! How documents of identity providers come here: the port, and its client over HTTPS. Must not know what is in them.

use std::time::Duration;

use async_trait::async_trait;
use dps_model::limits::KEY_FETCH_TIMEOUT;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Client;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::redirect::Policy;

use crate::settings::may_be_asked;

/// Why a document did not come. Holds no part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// It must not be asked for.
    #[error("its URL is not https")]
    Forbidden,
    /// No answer.
    #[error("the provider cannot be reached: {0}")]
    Unreachable(String),
    /// An answer that is none.
    #[error("the provider answered with the status {0}")]
    Status(u16),
    /// Larger than is read.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
}

/// Where documents of identity providers come from.
#[async_trait]
pub trait KeyFetch: Send + Sync {
    /// The document at that URL, if it has no more than `limit` bytes.
    async fn get(&self, url: &str, limit: usize) -> Result<Vec<u8>, FetchError>;

    /// The answer to a form that is posted to that URL, with that `Authorization` if there is one.
    async fn post(
        &self,
        _url: &str,
        _form: &[(&str, &str)],
        _authorization: Option<&str>,
        _limit: usize,
    ) -> Result<Vec<u8>, FetchError> {
        Err(FetchError::Forbidden)
    }

    /// May that URL be asked, by a browser too?
    fn takes(&self, url: &str) -> bool {
        may_be_asked(url, false)
    }
}

/// The client could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the client of identity providers cannot be made: {0}")]
pub struct SetupError(#[from] reqwest::Error);

/// Documents over HTTPS. No redirect is followed: keys come from where the operator says.
pub struct HttpKeys {
    client: Client,
    plain_loopback: bool,
}

impl HttpKeys {
    /// A client with these TLS settings; `plain_loopback` allows `http` on a loopback address.
    pub fn new(tls: rustls::ClientConfig, plain_loopback: bool) -> Result<Self, SetupError> {
        let timeout = Duration::from_secs(KEY_FETCH_TIMEOUT);
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(Policy::none())
            .no_proxy()
            .timeout(timeout)
            .build()?;
        Ok(Self { client, plain_loopback })
    }
}

#[async_trait]
impl KeyFetch for HttpKeys {
    async fn get(&self, url: &str, limit: usize) -> Result<Vec<u8>, FetchError> {
        if !may_be_asked(url, self.plain_loopback) {
            return Err(FetchError::Forbidden);
        }
        read(self.client.get(url), limit).await
    }

    async fn post(
        &self,
        url: &str,
        form: &[(&str, &str)],
        authorization: Option<&str>,
        limit: usize,
    ) -> Result<Vec<u8>, FetchError> {
        if !may_be_asked(url, self.plain_loopback) {
            return Err(FetchError::Forbidden);
        }
        let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let pairs: Vec<String> =
            form.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let mut request = self.client.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        request = request.header(ACCEPT, "application/json").body(pairs.join("&"));
        if let Some(text) = authorization {
            request = request.header(AUTHORIZATION, text);
        }
        read(request, limit).await
    }

    fn takes(&self, url: &str) -> bool {
        may_be_asked(url, self.plain_loopback)
    }
}

async fn read(request: reqwest::RequestBuilder, limit: usize) -> Result<Vec<u8>, FetchError> {
    let unreachable = |error: reqwest::Error| FetchError::Unreachable(error.without_url().to_string());
    let mut answer = request.send().await.map_err(unreachable)?;
    if !answer.status().is_success() {
        return Err(FetchError::Status(answer.status().as_u16()));
    }
    let mut read = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
        if read.len() + chunk.len() > limit {
            return Err(FetchError::TooLarge(limit));
        }
        read.extend_from_slice(&chunk);
    }
    Ok(read)
}

//! The few requests of Blob Storage's REST API that are needed, signed. Owns URLs, headers and the text that
//! is signed ("Authorize with Shared Key"); must not know records.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_monitor::destinations::DeliveryError;
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

use super::account::{Account, Credential};
use crate::Now;
use crate::http::{self, Answer, Http};
use crate::signing;

/// The version of the API that is spoken.
const VERSION: &str = "2021-12-02";

/// An account's containers and blobs.
pub struct Rest {
    pub account: Account,
    pub http: Http,
    pub now: Now,
}

/// How far an append blob is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Its length.
    pub at: u64,
    /// Its blocks.
    pub blocks: u64,
}

/// What became of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is there.
    Yes,
    /// The blob does not end there.
    Elsewhere,
    /// The blob takes no more blocks.
    Full,
    /// There is no such blob.
    Missing,
}

impl Rest {
    /// Creates a container unless there is one.
    pub async fn create_container(&self, container: &str) -> Result<(), DeliveryError> {
        let request = Request::new(Method::PUT, container).query("restype", "container");
        let answer = self.send(request).await?;
        match (answer.status, code(&answer)) {
            (201, _) | (409, "ContainerAlreadyExists") => Ok(()),
            _ => Err(failure(&answer, &format!("cannot create the container {container}"))),
        }
    }

    /// Creates an append blob unless there is one; false when the container is missing.
    pub async fn create(&self, path: &str) -> Result<bool, DeliveryError> {
        let request = Request::new(Method::PUT, path)
            .header("x-ms-blob-type", "AppendBlob")
            .header("x-ms-blob-content-type", "application/json")
            .header("if-none-match", "*");
        let answer = self.send(request).await?;
        match (answer.status, code(&answer)) {
            (201, _) | (409 | 412, "BlobAlreadyExists" | "ConditionNotMet") => Ok(true),
            (404, "ContainerNotFound") => Ok(false),
            _ => Err(failure(&answer, "cannot create a blob")),
        }
    }

    /// How far a blob is; none when there is no such blob.
    pub async fn end(&self, path: &str) -> Result<Option<End>, DeliveryError> {
        let answer = self.send(Request::new(Method::HEAD, path)).await?;
        match (answer.status, answer.header("x-ms-blob-type")) {
            (200, Some("AppendBlob")) => {
                let blocks = answer.number("x-ms-blob-committed-block-count").unwrap_or(0);
                let at = answer.number(CONTENT_LENGTH.as_str());
                let at = at.ok_or_else(|| failure(&answer, "a blob says nothing of its length"))?;
                Ok(Some(End { at, blocks }))
            }
            (200, other) => Err(DeliveryError::Refused(format!(
                "the blob of this hour is a {}, which cannot be appended to; move it away",
                other.unwrap_or("blob of unknown kind")
            ))),
            (404, _) => Ok(None),
            _ => Err(failure(&answer, "cannot look at a blob")),
        }
    }

    /// Appends a block, if the blob ends there.
    pub async fn append(&self, path: &str, at: u64, block: &[u8]) -> Result<Appended, DeliveryError> {
        let mut request = Request::new(Method::PUT, path)
            .query("comp", "appendblock")
            .header("x-ms-blob-condition-appendpos", &at.to_string());
        request.body = block.to_vec();
        let answer = self.send(request).await?;
        Ok(match (answer.status, code(&answer)) {
            (201, _) => Appended::Yes,
            (412, _) => Appended::Elsewhere,
            (404, "BlobNotFound" | "ContainerNotFound") => Appended::Missing,
            (409, "BlockCountExceedsLimit") => Appended::Full,
            _ => return Err(failure(&answer, "cannot append to a blob")),
        })
    }

    /// Does the blob hold these bytes there?
    pub async fn holds(&self, path: &str, at: u64, bytes: &[u8]) -> Result<bool, DeliveryError> {
        let last = at + (bytes.len() as u64).saturating_sub(1);
        let request = Request::new(Method::GET, path).header("x-ms-range", &format!("bytes={at}-{last}"));
        let answer = self.signed(request, bytes.len() + 1).await?;
        match answer.status {
            200 | 206 => Ok(answer.body == bytes),
            404 | 416 => Ok(false),
            _ => Err(failure(&answer, "cannot read a blob")),
        }
    }

    async fn send(&self, request: Request) -> Result<Answer, DeliveryError> {
        self.signed(request, crate::limits::MAX_ANSWER).await
    }

    async fn signed(&self, mut request: Request, most: usize) -> Result<Answer, DeliveryError> {
        let wrong = |why: &str| DeliveryError::Refused(format!("a request cannot be written: {why}"));
        let date = (self.now)().http_date().ok_or_else(|| wrong("the clock is before the year 0"))?;
        request = request.header("x-ms-date", &date).header("x-ms-version", VERSION);
        let mut url = self.url(&request);
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            let value = HeaderValue::from_str(value).map_err(|_| wrong(name))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        match &self.account.credential {
            Credential::Sas(sas) => {
                let sas = std::str::from_utf8(sas.expose()).map_err(|_| wrong("the SAS is no text"))?;
                let query = [url.query().unwrap_or_default(), sas].join("&");
                url.set_query(Some(query.trim_start_matches('&')));
            }
            Credential::SharedKey(key) => {
                let text = self.text_to_sign(&request, &url);
                let signature = STANDARD.encode(signing::hmac_sha256(key.expose(), text.as_bytes()));
                let header = format!("SharedKey {}:{signature}", self.account.name);
                let mut header = HeaderValue::from_str(&header).map_err(|_| wrong("the account's name"))?;
                header.set_sensitive(true);
                headers.insert(reqwest::header::AUTHORIZATION, header);
            }
        }
        let Request { method, body, .. } = request;
        let takes_body = method == Method::PUT;
        let mut builder = self.http.client().request(method, url).headers(headers);
        if takes_body {
            builder = builder.header(CONTENT_LENGTH, body.len()).body(body);
        }
        http::send(builder, most).await
    }

    fn url(&self, request: &Request) -> Url {
        let mut url = self.account.endpoint.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/{}", signing::path(&request.path)));
        if !request.query.is_empty() {
            let query: Vec<String> =
                request.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
            url.set_query(Some(&query.join("&")));
        }
        url
    }

    fn text_to_sign(&self, request: &Request, url: &Url) -> String {
        let header =
            |name: &str| request.headers.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value);
        let length = if request.body.is_empty() { String::new() } else { request.body.len().to_string() };
        // Method, Content-Encoding, -Language, -Length, -MD5, -Type, Date (x-ms-date stands for it), If-Modified-Since,
        // If-Match, If-None-Match, If-Unmodified-Since, Range.
        let if_none_match = header("if-none-match");
        let method = &request.method;
        let mut lines = vec![format!("{method}\n\n\n{length}\n\n\n\n\n\n{if_none_match}\n\n")];
        let mut own: Vec<_> = request.headers.iter().filter(|(name, _)| name.starts_with("x-ms-")).collect();
        own.sort();
        for (name, value) in own {
            lines.push(format!("{name}:{value}"));
        }
        lines.push(format!("/{}{}", self.account.name, url.path()));
        let mut query = request.query.clone();
        query.sort_unstable();
        for (name, value) in query {
            lines.push(format!("{name}:{value}"));
        }
        lines.join("\n")
    }
}

/// A request before it is signed.
struct Request {
    method: Method,
    /// `container/blob`, not encoded.
    path: String,
    query: Vec<(&'static str, &'static str)>,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Request {
    fn new(method: Method, path: &str) -> Self {
        Self { method, path: path.to_owned(), query: Vec::new(), headers: Vec::new(), body: Vec::new() }
    }

    fn query(mut self, name: &'static str, value: &'static str) -> Self {
        self.query.push((name, value));
        self
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

fn code(answer: &Answer) -> &str {
    answer.header("x-ms-error-code").unwrap_or_default()
}

fn failure(answer: &Answer, what: &str) -> DeliveryError {
    answer.failure(what, code(answer))
}

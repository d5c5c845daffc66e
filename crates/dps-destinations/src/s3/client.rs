//! Signed requests to a bucket. Owns where it is and how a request is written; must not know what an object holds.

use dps_model::{Secret, Timestamp};
use dps_monitor::destinations::DeliveryError;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

use super::sigv4::{self, Credentials, Scope, Signed};
use crate::http::{self, Answer, Http, SetupError};
use crate::limits::{MAX_BUCKET, MAX_PREFIX};
use crate::{Now, signing};

/// Where objects go and who may put them there.
#[derive(Clone)]
pub struct Bucket {
    /// Its name.
    pub bucket: String,
    /// `eu-central-1` …
    pub region: String,
    /// Another service than Amazon's.
    pub endpoint: Option<String>,
    /// The bucket is in the path, not in the host name.
    pub path_style: bool,
    /// Before each key; a slash at the end makes it a folder.
    pub prefix: String,
    /// Access key id.
    pub key_id: String,
    /// Secret access key.
    pub key: Secret,
    /// Session token of temporary credentials.
    pub token: Option<Secret>,
}

/// Who asks a bucket.
pub struct Client {
    /// The bucket.
    pub bucket: Bucket,
    base: Url,
    credentials: Credentials,
    http: Http,
    now: Now,
}

/// A request about an object, or without a key about the bucket.
pub struct Ask<'a> {
    pub method: Method,
    pub key: &'a str,
    /// Names and values, sorted by name.
    pub query: &'a [(&'a str, &'a str)],
    /// Further headers; their names are in lower case.
    pub headers: &'a [(&'static str, String)],
    pub body: Vec<u8>,
    /// Bytes that its answer may have.
    pub most: usize,
}

impl Client {
    pub fn new(bucket: Bucket, http: Http, now: Now) -> Result<Self, SetupError> {
        let base = base(&bucket)?;
        if bucket.prefix.len() > MAX_PREFIX || bucket.prefix.starts_with('/') {
            return Err(SetupError(format!(
                "a prefix has at most {MAX_PREFIX} bytes and no slash at its start"
            )));
        }
        let credentials = Credentials {
            key_id: bucket.key_id.clone(),
            key: bucket.key.clone(),
            token: bucket.token.clone(),
        };
        Ok(Self { bucket, base, credentials, http, now })
    }

    /// Where the bucket is, for people.
    #[cfg(any(test, feature = "objects"))]
    pub fn place(&self) -> String {
        format!("{}/{}", self.base.as_str().trim_end_matches('/'), self.bucket.prefix)
    }

    /// Asks, whatever the answer is.
    pub async fn ask(&self, ask: Ask<'_>) -> Result<Answer, DeliveryError> {
        let wrong = |why: &str| DeliveryError::Refused(format!("a request cannot be written: {why}"));
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{}", self.base.path().trim_end_matches('/'), signing::path(ask.key)));
        let query = signing::query(ask.query);
        url.set_query((!query.is_empty()).then_some(&query));
        let host = match (url.host_str().unwrap_or_default(), url.port()) {
            (host, Some(port)) => format!("{host}:{port}"),
            (host, None) => host.to_owned(),
        };
        let payload = hex::encode(signing::sha256(&ask.body));
        let time = basic((self.now)());
        let mut headers =
            vec![("host", host), ("x-amz-content-sha256", payload.clone()), ("x-amz-date", time.clone())];
        headers.extend(ask.headers.iter().cloned());
        if let Some(token) = &self.credentials.token {
            let token = String::from_utf8(token.expose().to_vec()).map_err(|_| wrong("the session token"))?;
            headers.push(("x-amz-security-token", token));
        }
        headers.sort_unstable_by_key(|(name, _)| *name);
        let method = ask.method.as_str();
        let signed = Signed { method, path: url.path(), query: &query, headers: &headers, payload: &payload };
        let scope = Scope { region: &self.bucket.region, service: "s3", time: &time };
        let authorization = sigv4::authorization(&self.credentials, &scope, &signed);
        headers.push(("authorization", authorization));
        let mut sent = HeaderMap::new();
        for (name, value) in headers {
            let mut value = HeaderValue::from_str(&value).map_err(|_| wrong(name))?;
            value.set_sensitive(matches!(name, "authorization" | "x-amz-security-token"));
            sent.insert(HeaderName::from_static(name), value);
        }
        let request = self.http.client().request(ask.method, url).headers(sent).body(ask.body);
        http::send(request, ask.most).await
    }
}

fn base(bucket: &Bucket) -> Result<Url, SetupError> {
    let name = &bucket.bucket;
    let letters =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if !(3..=MAX_BUCKET).contains(&name.len()) || !letters(name) || name.contains("..") {
        return Err(SetupError(format!(
            "a bucket's name has 3 to {MAX_BUCKET} letters, digits, '-' and '.'"
        )));
    }
    if bucket.region.is_empty() || bucket.region.len() > MAX_BUCKET || !letters(&bucket.region) {
        return Err(SetupError("a region is a name like eu-central-1".to_owned()));
    }
    let amazons = format!("https://s3.{}.amazonaws.com", bucket.region);
    let endpoint = bucket.endpoint.as_deref().unwrap_or(&amazons);
    let url = Url::parse(endpoint).ok().filter(|url| {
        let is_bare = url.query().is_none() && url.username().is_empty() && url.password().is_none();
        matches!(url.scheme(), "http" | "https") && url.has_host() && is_bare
    });
    let mut url = url.ok_or_else(|| SetupError("the endpoint is no http or https URL".to_owned()))?;
    if bucket.path_style {
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{path}/{name}"));
    } else {
        let host = format!("{name}.{}", url.host_str().unwrap_or_default());
        let set = url.set_host(Some(&host));
        set.map_err(|_| SetupError("the bucket's name makes no host name; set path_style".to_owned()))?;
    }
    Ok(url)
}

/// An instant as `20130524T000000Z`.
pub fn basic(at: Timestamp) -> String {
    at.0.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use dps_model::{Secret, Timestamp};

    use super::{Bucket, base, basic};

    fn bucket(name: &str, endpoint: Option<&str>, path_style: bool) -> Bucket {
        Bucket {
            bucket: name.into(),
            region: "eu-central-1".into(),
            endpoint: endpoint.map(str::to_owned),
            path_style,
            prefix: String::new(),
            key_id: "id".into(),
            key: Secret::from("key".to_owned()),
            token: None,
        }
    }

    #[test]
    fn bucket_is_in_the_path_or_in_the_host() {
        for (endpoint, path_style, expected) in [
            (None, true, "https://s3.eu-central-1.amazonaws.com/logs"),
            (None, false, "https://logs.s3.eu-central-1.amazonaws.com/"),
            (Some("http://127.0.0.1:9000"), true, "http://127.0.0.1:9000/logs"),
            (Some("https://store.example/s3/"), true, "https://store.example/s3/logs"),
        ] {
            let url = base(&bucket("logs", endpoint, path_style)).unwrap();
            assert_eq!(url.as_str(), expected);
        }
    }

    #[test]
    fn what_makes_no_url_is_refused() {
        for (name, endpoint) in [
            ("ab", None),
            ("a/b", None),
            ("a..b", None),
            (&*"x".repeat(64), None),
            ("logs", Some("ftp://x")),
            ("logs", Some("http://user:password@x")),
            ("logs", Some("x")),
        ] {
            assert!(base(&bucket(name, endpoint, true)).is_err(), "{name} {endpoint:?}");
        }
        assert!(base(&bucket("logs", Some("http://127.0.0.1:9000"), false)).is_err());
    }

    #[test]
    fn instant_is_written_in_the_basic_form() {
        assert_eq!(basic(Timestamp::parse("2013-05-24T00:00:00.7Z").unwrap()), "20130524T000000Z");
    }
}

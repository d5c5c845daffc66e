//! Amazon S3 and what speaks its API: an object a batch in the layout of Azure's export, since S3 appends nothing. Owns
//! that a batch which comes again replaces its own object; must not know what a record says.

mod sigv4;

use async_trait::async_trait;
use dps_model::{Secret, Timestamp};
use dps_monitor::destinations::{Batch, DeliveryError, Destination};
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use self::sigv4::{Credentials, Scope, Signed};
use crate::Now;
use crate::http::{self, Http, SetupError};
use crate::limits::{MAX_BUCKET, MAX_PREFIX};
use crate::{record, signing, storage_path};

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

/// A bucket.
pub struct S3 {
    base: Url,
    bucket: Bucket,
    credentials: Credentials,
    http: Http,
    now: Now,
}

impl S3 {
    /// That bucket.
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
        Ok(Self { base, bucket, credentials, http, now })
    }

    async fn put(&self, key: &str, body: Vec<u8>) -> Result<(), DeliveryError> {
        let wrong = |why: &str| DeliveryError::Refused(format!("a request cannot be written: {why}"));
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{}", self.base.path().trim_end_matches('/'), signing::path(key)));
        let host = match (url.host_str().unwrap_or_default(), url.port()) {
            (host, Some(port)) => format!("{host}:{port}"),
            (host, None) => host.to_owned(),
        };
        let payload = hex::encode(signing::sha256(&body));
        let time = basic((self.now)());
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("host", host),
            ("x-amz-content-sha256", payload.clone()),
            ("x-amz-date", time.clone()),
        ];
        if let Some(token) = &self.credentials.token {
            let token = String::from_utf8(token.expose().to_vec()).map_err(|_| wrong("the session token"))?;
            headers.push(("x-amz-security-token", token));
        }
        let signed = Signed { method: "PUT", path: url.path(), headers: &headers, payload: &payload };
        let scope = Scope { region: &self.bucket.region, service: "s3", time: &time };
        let authorization = sigv4::authorization(&self.credentials, &scope, &signed);
        headers.push(("authorization", authorization));
        let mut sent = HeaderMap::new();
        for (name, value) in headers {
            let mut value = HeaderValue::from_str(&value).map_err(|_| wrong(name))?;
            value.set_sensitive(matches!(name, "authorization" | "x-amz-security-token"));
            sent.insert(HeaderName::from_static(name), value);
        }
        let answer = http::ask(self.http.client().put(url).headers(sent).body(body)).await?;
        if answer.status == 200 {
            return Ok(());
        }
        let code = answer.between("<Code>", "</Code>").unwrap_or_default();
        Err(answer.failure(&format!("cannot put an object into {}", self.bucket.bucket), &code))
    }
}

#[async_trait]
impl Destination for S3 {
    async fn deliver(&self, batch: &Batch) -> Result<(), DeliveryError> {
        let Some(container) = storage_path::container(&batch.records) else { return Ok(()) };
        let folder = storage_path::folder(batch)?;
        let body = record::lines(&record::encode(batch)?, usize::MAX).concat();
        // The name is the batch's own: when it comes again it replaces itself (D-661).
        let digest = hex::encode(signing::sha256(&body).get(..8).unwrap_or_default());
        let received = basic(batch.received);
        let key = format!("{}{container}/{folder}/PT1H-{received}-{digest}.json", self.bucket.prefix);
        self.put(&key, body).await
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
fn basic(at: Timestamp) -> String {
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

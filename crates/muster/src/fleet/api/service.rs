//! The service API: enrollments, enrollment groups and registrations. Owns paths, entity tags, paging and bulk; must not
//! know what an enrollment says.

use std::collections::VecDeque;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use reqwest::header::{HeaderName, IF_MATCH};
use serde_json::{Value, json};

use super::failure::Failure;
use super::sender::{Answer, Ask, Sender};
use super::target::Target;

const API_VERSION: &str = "2021-10-01";
const CONTINUATION: HeaderName = HeaderName::from_static("x-ms-continuation");
const MAX_ITEM_COUNT: HeaderName = HeaderName::from_static("x-ms-max-item-count");
/// Rows of a page when nobody asks for fewer.
const DEFAULT_PAGE: usize = 100;
/// Everything but RFC 3986's unreserved characters is escaped in a path segment.
pub const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What the service API keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collection {
    Enrollments,
    EnrollmentGroups,
    Registrations,
}

impl Collection {
    /// As paths and bulk bodies have it.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Enrollments => "enrollments",
            Self::EnrollmentGroups => "enrollmentGroups",
            Self::Registrations => "registrations",
        }
    }

    /// The member that holds an item's id.
    pub const fn id_member(self) -> &'static str {
        match self {
            Self::Enrollments | Self::Registrations => "registrationId",
            Self::EnrollmentGroups => "enrollmentGroupId",
        }
    }
}

/// A service's client.
pub struct ServiceApi {
    target: Target,
    sender: Sender,
}

impl ServiceApi {
    pub fn new(target: Target) -> Result<Self, Failure> {
        Ok(Self { sender: target.sender()?, target })
    }

    /// The address of the service.
    pub fn base(&self) -> &str {
        &self.target.base
    }

    pub async fn get(&self, collection: Collection, id: &str) -> Result<Value, Failure> {
        Ok(self.ask(Method::GET, &item(collection, id), Vec::new(), None).await?.body)
    }

    /// Creates, or replaces the version of that etag (`*`: any).
    pub async fn put(
        &self,
        collection: Collection,
        id: &str,
        body: Value,
        etag: Option<&str>,
    ) -> Result<Value, Failure> {
        Ok(self.ask(Method::PUT, &item(collection, id), if_match(etag), Some(body)).await?.body)
    }

    /// Deletes that version; without an etag, any.
    pub async fn delete(&self, collection: Collection, id: &str, etag: Option<&str>) -> Result<(), Failure> {
        self.ask(Method::DELETE, &item(collection, id), if_match(etag), None).await.map(drop)
    }

    /// The attestation with its keys.
    pub async fn attestation(&self, collection: Collection, id: &str) -> Result<Value, Failure> {
        let path = format!("{}/attestationmechanism", item(collection, id));
        Ok(self.ask(Method::POST, &path, Vec::new(), None).await?.body)
    }

    /// One bulk request. The answer says which items failed; and whether an earlier attempt may have done some already.
    pub async fn bulk(
        &self,
        collection: Collection,
        mode: &str,
        items: &[Value],
    ) -> Result<(Value, bool), Failure> {
        let body = json!({ "mode": mode, collection.path(): items });
        let answer = self.ask(Method::POST, collection.path(), Vec::new(), Some(body)).await?;
        Ok((answer.body, answer.is_late))
    }

    /// The items that a query finds, page by page, at most `top`.
    pub fn query(&self, collection: Collection, text: &str, top: Option<usize>) -> Pages<'_> {
        let body = Some(json!({ "query": text }));
        self.pages(format!("{}/query", collection.path()), body, top)
    }

    /// The registrations of a group, page by page.
    pub fn registrations(&self, group: &str, text: Option<&str>, top: Option<usize>) -> Pages<'_> {
        let path = format!("{}/query", item(Collection::Registrations, group));
        self.pages(path, text.map(|text| json!({ "query": text })), top)
    }

    fn pages(&self, path: String, body: Option<Value>, top: Option<usize>) -> Pages<'_> {
        Pages { api: self, path, body, continuation: None, left: top.unwrap_or(usize::MAX), ended: false }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: Vec<(HeaderName, String)>,
        body: Option<Value>,
    ) -> Result<Answer, Failure> {
        let url = format!("{}/{path}?api-version={API_VERSION}", self.target.base);
        let ask = Ask { method, url, headers, body };
        self.sender.call(&ask, || self.target.authorization()).await
    }
}

/// What a query finds, page by page.
pub struct Pages<'a> {
    api: &'a ServiceApi,
    path: String,
    body: Option<Value>,
    continuation: Option<String>,
    left: usize,
    ended: bool,
}

impl Pages<'_> {
    /// The next items; none at the end. A page may be empty although others follow.
    pub async fn next(&mut self) -> Result<Option<VecDeque<Value>>, Failure> {
        if self.ended || self.left == 0 {
            return Ok(None);
        }
        let mut headers = Vec::new();
        if self.left < DEFAULT_PAGE {
            headers.push((MAX_ITEM_COUNT, self.left.to_string()));
        }
        if let Some(continuation) = &self.continuation {
            headers.push((CONTINUATION, continuation.clone()));
        }
        let answer = self.api.ask(Method::POST, &self.path, headers, self.body.clone()).await?;
        let Value::Array(mut items) = answer.body else {
            return Err(Failure::Unreachable(
                "the service answered a query with no list: is it a service?".into(),
            ));
        };
        items.truncate(self.left);
        self.left -= items.len();
        let next = answer.headers.get(&CONTINUATION).and_then(|value| value.to_str().ok());
        let next = next.map(str::to_owned).filter(|text| !text.is_empty());
        // A service that sends the same token again would be asked for ever.
        self.ended = next.is_none() || next == self.continuation;
        self.continuation = next;
        Ok(Some(items.into()))
    }
}

fn item(collection: Collection, id: &str) -> String {
    format!("{}/{}", collection.path(), utf8_percent_encode(id, SEGMENT))
}

/// The header of RFC 9110: in quotes, unless it is there already or stands for any version.
fn if_match(etag: Option<&str>) -> Vec<(HeaderName, String)> {
    let quoted = |etag: &str| match etag {
        "*" => etag.to_owned(),
        _ if etag.starts_with('"') || etag.starts_with("W/") => etag.to_owned(),
        _ => format!("\"{etag}\""),
    };
    etag.map(|etag| (IF_MATCH, quoted(etag))).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_one_path_segment() {
        assert_eq!(item(Collection::EnrollmentGroups, "a/b:1?"), "enrollmentGroups/a%2Fb%3A1%3F");
    }

    #[test]
    fn etags_are_sent_in_quotes() {
        for (etag, header) in [("abc=", "\"abc=\""), ("\"abc=\"", "\"abc=\""), ("*", "*")] {
            assert_eq!(if_match(Some(etag))[0].1, header);
        }
        assert!(if_match(None).is_empty());
    }
}

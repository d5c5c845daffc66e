//! A bucket as the object store that files of rows are kept in. Every request runs on the runtime that it was made on, so
//! that threads without one may wait for it. Must not know what a file holds.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use dps_monitor::destinations::DeliveryError;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};
use reqwest::Method;
use tokio::runtime::Handle;

use super::client::{Ask, Bucket, Client};
use crate::Now;
use crate::http::{Answer, Http, SetupError};
use crate::limits::{MAX_ANSWER, MAX_OBJECT, MAX_OBJECT_TRIES, OBJECT_RETRY};

const STORE: &str = "S3";

/// A bucket, below its prefix.
#[derive(Clone)]
pub struct S3Objects {
    client: Arc<Client>,
    runtime: Handle,
}

/// A request that may be sent more than once.
#[derive(Clone)]
struct Wanted {
    method: Method,
    key: String,
    query: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    most: usize,
}

impl S3Objects {
    /// That bucket. To be called on the runtime that is to do the work.
    pub fn new(bucket: Bucket, http: Http, now: Now) -> std::result::Result<Self, SetupError> {
        Ok(Self { client: Arc::new(Client::new(bucket, http, now)?), runtime: Handle::current() })
    }

    fn key(&self, location: &Path) -> String {
        format!("{}{location}", self.client.bucket.prefix)
    }

    fn wanted(&self, method: Method, location: &Path) -> Wanted {
        let (query, headers, body) = (Vec::new(), Vec::new(), Bytes::new());
        Wanted { method, key: self.key(location), query, headers, body, most: MAX_ANSWER }
    }

    /// Asks until there is an answer that no other attempt changes, or too often.
    async fn ask(&self, wanted: Wanted) -> Result<Answer> {
        let client = Arc::clone(&self.client);
        let asked = self.runtime.spawn(async move {
            let mut tried = 1;
            loop {
                let query: Vec<_> =
                    wanted.query.iter().map(|(name, value)| (*name, value.as_str())).collect();
                let ask = Ask {
                    method: wanted.method.clone(),
                    key: &wanted.key,
                    query: &query,
                    headers: &wanted.headers,
                    body: wanted.body.to_vec(),
                    most: wanted.most,
                };
                let answer = client.ask(ask).await;
                let passes = match &answer {
                    Ok(answer) => matches!(answer.status, 408 | 429 | 500..),
                    Err(DeliveryError::Later { .. }) => true,
                    Err(DeliveryError::Refused(_)) => false,
                };
                if !passes || tried == MAX_OBJECT_TRIES {
                    return answer;
                }
                tokio::time::sleep(OBJECT_RETRY * tried).await;
                tried += 1;
            }
        });
        asked.await.map_err(generic)?.map_err(generic)
    }

    async fn get(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let conditions = [&options.if_match, &options.if_none_match, &options.version];
        let times = [&options.if_modified_since, &options.if_unmodified_since];
        if conditions.iter().any(|it| it.is_some()) || times.iter().any(|it| it.is_some()) {
            return Err(not_supported("conditions and versions"));
        }
        let mut wanted = self.wanted(if options.head { Method::HEAD } else { Method::GET }, location);
        wanted.most = MAX_OBJECT;
        if let Some(range) = options.range.as_ref().filter(|_| !options.head) {
            wanted.headers.push(("range", header(range)?));
        }
        let answer = self.ask(wanted).await?;
        if !matches!(answer.status, 200 | 206) {
            return Err(failed(location, &answer));
        }
        let (range, size) =
            extent(&answer, options.head).ok_or_else(|| generic("an answer without its length"))?;
        let whole = range.end - range.start;
        if !options.head && answer.body.len() as u64 != whole {
            return Err(generic(format!("{} bytes came of {whole}", answer.body.len())));
        }
        let meta = ObjectMeta {
            location: location.clone(),
            last_modified: answer.header("last-modified").map_or_else(DateTime::default, modified),
            size,
            e_tag: answer.header("etag").map(str::to_owned),
            version: None,
        };
        let body = Bytes::from(answer.body);
        let payload = GetResultPayload::Stream(stream::once(async { Ok(body) }).boxed());
        Ok(GetResult { payload, meta, range, attributes: object_store::Attributes::new() })
    }

    /// A page of a listing, and where the next one begins.
    async fn page(&self, prefix: String, token: Option<String>) -> Result<(Vec<ObjectMeta>, Option<String>)> {
        let mut wanted = self.wanted(Method::GET, &Path::default());
        wanted.key.clear();
        wanted.most = MAX_OBJECT;
        // Sorted by name, as they are signed.
        wanted.query.extend(token.map(|token| ("continuation-token", token)));
        wanted.query.extend([("list-type", "2".to_owned()), ("prefix", prefix)]);
        let answer = self.ask(wanted).await?;
        if answer.status != 200 {
            return Err(failed(&Path::default(), &answer));
        }
        let text = String::from_utf8(answer.body).map_err(generic)?;
        listed(&text, &self.client.bucket.prefix)
    }

    fn below(&self, prefix: Option<&Path>) -> String {
        match prefix.map(Path::as_ref) {
            None | Some("") => self.client.bucket.prefix.clone(),
            Some(prefix) => format!("{}{prefix}/", self.client.bucket.prefix),
        }
    }
}

#[async_trait]
impl ObjectStore for S3Objects {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let mut wanted = self.wanted(Method::PUT, location);
        match options.mode {
            PutMode::Overwrite => {}
            PutMode::Create => wanted.headers.push(("if-none-match", "*".to_owned())),
            PutMode::Update(_) => return Err(not_supported("an update of one version")),
        }
        wanted.body = Bytes::from(payload);
        let answer = self.ask(wanted).await?;
        if answer.status != 200 {
            return Err(failed(location, &answer));
        }
        Ok(PutResult { e_tag: answer.header("etag").map(str::to_owned), version: None })
    }

    async fn put_multipart_opts(
        &self,
        _location: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(not_supported("an object in parts"))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.get(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let deleted = locations.and_then(move |location| {
            let store = store.clone();
            async move {
                let answer = store.ask(store.wanted(Method::DELETE, &location)).await?;
                match answer.status {
                    200 | 204 => Ok(location),
                    _ => Err(failed(&location, &answer)),
                }
            }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, prefix) = (self.clone(), self.below(prefix));
        let pages = stream::try_unfold(Some(None), move |next: Option<Option<String>>| {
            let (store, prefix) = (store.clone(), prefix.clone());
            async move {
                let Some(token) = next else { return Ok(None) };
                let (found, token) = store.page(prefix, token).await?;
                Ok::<_, Error>(Some((found, token.map(Some))))
            }
        });
        pages.map_ok(|found| stream::iter(found.into_iter().map(Ok))).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let below = prefix.cloned().unwrap_or_default();
        let (mut objects, mut common_prefixes) = (Vec::new(), std::collections::BTreeSet::new());
        let mut all = self.list(prefix);
        while let Some(meta) = all.try_next().await? {
            let folder = {
                let mut parts = meta.location.prefix_match(&below).into_iter().flatten();
                let first = parts.next();
                first.filter(|_| parts.next().is_some()).map(|part| below.clone().join(part))
            };
            match folder {
                Some(folder) => drop(common_prefixes.insert(folder)),
                None => objects.push(meta),
            }
        }
        Ok(ListResult { objects, common_prefixes: common_prefixes.into_iter().collect() })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        if options.mode != CopyMode::Overwrite {
            return Err(not_supported("a copy where nothing is"));
        }
        let mut wanted = self.wanted(Method::PUT, to);
        let source = crate::signing::path(&format!("/{}/{}", self.client.bucket.bucket, self.key(from)));
        wanted.headers.push(("x-amz-copy-source", source));
        let answer = self.ask(wanted).await?;
        // A copy that fails late is answered 200 with an error in the body.
        match answer.status {
            200 if answer.between("<ETag>", "</ETag>").is_some() => Ok(()),
            _ => Err(failed(from, &answer)),
        }
    }
}

impl fmt::Display for S3Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.client.place())
    }
}

impl fmt::Debug for S3Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3Objects({self})")
    }
}

fn header(range: &GetRange) -> Result<String> {
    match range {
        GetRange::Bounded(range) if range.start < range.end => {
            Ok(format!("bytes={}-{}", range.start, range.end - 1))
        }
        GetRange::Bounded(_) => Err(generic("a range without bytes")),
        GetRange::Offset(from) => Ok(format!("bytes={from}-")),
        GetRange::Suffix(last) => Ok(format!("bytes=-{last}")),
    }
}

/// Which bytes an answer holds, and how many the object has.
fn extent(answer: &Answer, is_head: bool) -> Option<(Range<u64>, u64)> {
    if let Some(text) = answer.header("content-range").filter(|_| answer.status == 206) {
        let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last, size): (u64, u64, u64) =
            (first.parse().ok()?, last.parse().ok()?, size.parse().ok()?);
        return (first <= last && last < size).then_some((first..last + 1, size));
    }
    let size = if is_head { answer.number("content-length")? } else { answer.body.len() as u64 };
    Some((0..size, size))
}

/// What a listing holds (S3: `ListObjectsV2`), below a prefix.
fn listed(xml: &str, prefix: &str) -> Result<(Vec<ObjectMeta>, Option<String>)> {
    let document = roxmltree::Document::parse(xml).map_err(generic)?;
    let text = |node: roxmltree::Node<'_, '_>, name: &str| {
        let found = node.children().find(|child| child.has_tag_name(name) || child.tag_name().name() == name);
        found.and_then(|child| child.text()).map(str::to_owned)
    };
    let root = document.root_element();
    let mut found = Vec::new();
    for node in root.children().filter(|node| node.tag_name().name() == "Contents") {
        let key = text(node, "Key").ok_or_else(|| generic("an object without a key"))?;
        let Some(own) = key.strip_prefix(prefix) else { continue };
        let size = text(node, "Size").and_then(|size| size.parse().ok());
        found.push(ObjectMeta {
            location: Path::parse(own).map_err(generic)?,
            last_modified: text(node, "LastModified").map_or_else(DateTime::default, |time| modified(&time)),
            size: size.ok_or_else(|| generic("an object without a size"))?,
            e_tag: text(node, "ETag"),
            version: None,
        });
    }
    let more = text(root, "IsTruncated").is_some_and(|is| is == "true");
    Ok((found, text(root, "NextContinuationToken").filter(|_| more)))
}

fn modified(text: &str) -> DateTime<Utc> {
    let read = DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_rfc2822(text));
    read.map_or_else(|_| DateTime::default(), |time| time.to_utc())
}

fn failed(location: &Path, answer: &Answer) -> Error {
    let code = answer.between("<Code>", "</Code>").unwrap_or_default();
    let source = answer.failure("the bucket refused", &code).to_string().into();
    let path = location.to_string();
    match answer.status {
        404 if code != "NoSuchBucket" => Error::NotFound { path, source },
        412 => Error::AlreadyExists { path, source },
        _ => Error::Generic { store: STORE, source },
    }
}

fn generic(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Generic { store: STORE, source: error.into() }
}

fn not_supported(what: &str) -> Error {
    Error::NotSupported { source: format!("{what} is not asked of a bucket").into() }
}

#[cfg(test)]
mod tests {
    use super::{header, listed};
    use object_store::GetRange;

    #[test]
    fn ranges_are_written_as_http_has_them() {
        assert_eq!(header(&GetRange::Bounded(0..8)).unwrap(), "bytes=0-7");
        assert_eq!(header(&GetRange::Suffix(8)).unwrap(), "bytes=-8");
        assert_eq!(header(&GetRange::Offset(8)).unwrap(), "bytes=8-");
        assert!(header(&GetRange::Bounded(8..8)).is_err());
    }

    #[test]
    fn listing_is_read_below_its_prefix() {
        let xml = "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                   <IsTruncated>true</IsTruncated><NextContinuationToken>t&amp;1</NextContinuationToken>\
                   <Contents><Key>p/a/b.parquet</Key><LastModified>2026-11-29T09:00:00.000Z</LastModified>\
                   <Size>7</Size></Contents><Contents><Key>other</Key><Size>1</Size></Contents></ListBucketResult>";
        let (found, next) = listed(xml, "p/").unwrap();
        assert_eq!((found.len(), found[0].location.as_ref(), found[0].size), (1, "a/b.parquet", 7));
        assert_eq!((found[0].last_modified.timestamp(), next.as_deref()), (1_795_942_800, Some("t&1")));
        for wrong in
            ["", "<a", "<a><Contents/></a>", "<a><Contents><Key>p/x</Key><Size>-1</Size></Contents></a>"]
        {
            assert!(listed(wrong, "p/").is_err(), "{wrong}");
        }
    }
}

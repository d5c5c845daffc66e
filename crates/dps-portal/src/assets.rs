//! The embedded files and the answer to a request for one. Owns versions, caching and compression; a name is looked up to
//! the letter, so a path leads nowhere else.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::LazyLock;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue,
    IF_NONE_MATCH, LOCATION, VARY,
};
use http::{Method, Response, StatusCode};
use rust_embed::Embed;

use crate::{content_type, headers};

/// Where the pages are.
pub const ROOT: &str = "/portal";

#[derive(Embed)]
#[folder = "dist/"]
struct Dist;

struct Asset {
    content_type: &'static str,
    etag: String,
    /// Its name says what is in it, so it never changes.
    immutable: bool,
    bytes: Bytes,
    /// Where that is shorter.
    gzip: Option<Bytes>,
}

static ASSETS: LazyLock<HashMap<String, Asset>> = LazyLock::new(|| {
    let named = Dist::iter().filter_map(|path| Some((path.to_string(), Asset::read(&path)?)));
    named.collect()
});

/// Is the path the portal's?
pub fn claims(path: &str) -> bool {
    path.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The answer to a request for a page or one of its files.
pub fn answer(method: &Method, path: &str, asked: &HeaderMap) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    headers::fence(response.headers_mut());
    if !matches!(*method, Method::GET | Method::HEAD) {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let Some(name) = path.strip_prefix(ROOT).and_then(|rest| rest.strip_prefix('/')) else {
        *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
        response.headers_mut().insert(LOCATION, HeaderValue::from_static("/portal/"));
        return response;
    };
    let name = if name.is_empty() { "index.html" } else { name };
    if let Some(asset) = ASSETS.get(name) {
        asset.render(&mut response, asked);
    } else {
        missing(&mut response);
    }
    if *method == Method::HEAD {
        *response.body_mut() = Bytes::new();
    }
    response
}

fn missing(response: &mut Response<Bytes>) {
    *response.status_mut() = StatusCode::NOT_FOUND;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    *response.body_mut() = Bytes::from_static(b"The portal has no such file; it begins at /portal/.\n");
}

impl Asset {
    fn read(path: &str) -> Option<Self> {
        let (content_type, file) = (content_type::of(path)?, Dist::get(path)?);
        let bytes = Bytes::from(file.data.into_owned());
        let gzip = if content_type::is_text(content_type) { compressed(&bytes) } else { None };
        let hash = file.metadata.sha256_hash();
        let etag = format!("\"{}\"", hex::encode(hash.get(..16).unwrap_or(&hash)));
        Some(Self { content_type, etag, immutable: names_its_content(path), bytes, gzip })
    }

    fn render(&self, response: &mut Response<Bytes>, asked: &HeaderMap) {
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        let caching = if self.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
        headers.insert(VARY, HeaderValue::from_name(ACCEPT_ENCODING));
        if let Ok(etag) = HeaderValue::from_str(&self.etag) {
            headers.insert(ETAG, etag);
        }
        if is_held(asked, &self.etag) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return;
        }
        let gzip = self.gzip.as_ref().filter(|_| takes_gzip(asked));
        if gzip.is_some() {
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        *response.body_mut() = gzip.unwrap_or(&self.bytes).clone();
    }
}

fn compressed(bytes: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).ok()?;
    let packed = encoder.finish().ok()?;
    (packed.len() < bytes.len()).then(|| Bytes::from(packed))
}

/// Does the name end like `index-B7x0aQ2c.js`? The build puts a hash of the content there.
fn names_its_content(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let in_alphabet = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    path.starts_with("assets/")
        && stem.rsplit_once('-').is_some_and(|(_, hash)| hash.len() >= 8 && hash.bytes().all(in_alphabet))
}

/// Does the client hold this version? A weak tag of it is the same for a page.
fn is_held(asked: &HeaderMap, etag: &str) -> bool {
    asked.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|tags| {
        tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
    })
}

/// `gzip` or `*` among the codings, with a weight that is not zero.
fn takes_gzip(asked: &HeaderMap) -> bool {
    let texts = asked.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        let name = name.trim();
        (name.eq_ignore_ascii_case("gzip") || name == "*") && weight.is_ok_and(|weight| weight > 0.0)
    })
}

#[cfg(test)]
mod tests;

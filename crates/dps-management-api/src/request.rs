//! A request's parts, read and bounded: host, api-version, conditions, body. Must not know what they are for.

use std::borrow::Cow;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dps_model::etag::IfMatch;
use dps_model::limits::{BODY_TIMEOUT, MAX_BODY_DISCARDED, MAX_JSON_DEPTH, MAX_MANAGEMENT_BODY};
use dps_model::{Error, ErrorCode};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use http_body_util::BodyExt as _;
use http_body_util::combinators::BoxBody;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use serde_json::error::Category;

use crate::api_version::ApiVersion;

/// Body of a request or an answer; the same type as at the device API's port for other fronts.
pub type Body = BoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// The host that was called, with its port: of the URI (HTTP/2 and absolute URIs), else of `Host`.
pub(crate) fn host(head: &Parts) -> Cow<'_, str> {
    match head.uri.authority() {
        Some(authority) => Cow::Borrowed(authority.as_str()),
        None => header(&head.headers, &HOST).unwrap_or_default(),
    }
}

/// A header as text.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, str>> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()))
}

/// A parameter of the query, in any case; one without `=` is empty.
pub(crate) fn parameter<'a>(head: &'a Parts, name: &str) -> Option<Cow<'a, str>> {
    head.uri.query()?.split('&').find_map(|pair| {
        let (given, value) = pair.split_once('=').unwrap_or((pair, ""));
        let given = percent_decode_str(given).decode_utf8_lossy();
        given.eq_ignore_ascii_case(name).then(|| percent_decode_str(value).decode_utf8_lossy())
    })
}

/// The version that the client asked for.
pub(crate) fn api_version(head: &Parts) -> Result<ApiVersion, Error> {
    let text = parameter(head, "api-version");
    let unknown = |message: String| Error::with(ErrorCode::ApiVersionUnknown, message);
    let text = text.ok_or_else(|| unknown("The api-version query parameter is required.".into()))?;
    ApiVersion::parse(&text).ok_or_else(|| {
        unknown(format!("The api-version is none of this resource type's: {}.", ApiVersion::all()))
    })
}

/// `If-Match`; an empty one counts as absent.
pub(crate) fn if_match(headers: &HeaderMap) -> Result<Option<IfMatch>, Error> {
    let Some(value) = headers.get(IF_MATCH) else { return Ok(None) };
    let text = value.to_str().map_err(|_| Error::argument("The If-Match header is not ASCII text."))?;
    Ok(Some(text).filter(|text| !text.trim().is_empty()).map(IfMatch::parse))
}

/// Does the call ask that nothing of that name is there (`If-None-Match: *`)?
pub(crate) fn must_be_new(headers: &HeaderMap) -> bool {
    header(headers, &IF_NONE_MATCH).is_some_and(|value| IfMatch::parse(&value) == IfMatch::Any)
}

/// Refuses a body by its announced length, before it is read or ignored.
pub(crate) fn check_length(headers: &HeaderMap) -> Result<(), Error> {
    match announced(headers) {
        Some(length) if length > MAX_MANAGEMENT_BODY as u64 => Err(too_large()),
        _ => Ok(()),
    }
}

fn too_large() -> Error {
    Error::with(
        ErrorCode::BodyTooLarge,
        format!("The request body is larger than {MAX_MANAGEMENT_BODY} bytes."),
    )
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    header(headers, &CONTENT_LENGTH)?.trim().parse().ok()
}

/// Reads what nobody asked for and throws it away, so that a refusal finds a client that still listens; a body that is
/// too long or too slow for that is left.
pub(crate) async fn discard(headers: &HeaderMap, body: &mut Body) {
    if announced(headers).is_some_and(|length| length > (MAX_MANAGEMENT_BODY + MAX_BODY_DISCARDED) as u64) {
        return;
    }
    let rest = async {
        let mut left = MAX_MANAGEMENT_BODY + MAX_BODY_DISCARDED;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            let Some(less) = left.checked_sub(length) else { return };
            left = less;
        }
    };
    // Late or not: the answer leaves now.
    let _ = tokio::time::timeout(Duration::from_secs(BODY_TIMEOUT), rest).await;
}

/// The JSON body of a request that must have one.
///
/// # Errors
/// 415 when the media type is not JSON, 413 when it is too large, 400006 when it does not arrive or is no JSON.
pub(crate) async fn json(headers: &HeaderMap, body: &mut Body) -> Result<Value, Error> {
    if !is_json(headers) {
        return Err(Error::new(ErrorCode::MediaTypeUnsupported));
    }
    let read = tokio::time::timeout(Duration::from_secs(BODY_TIMEOUT), whole(body)).await;
    let goes_on = matches!(&read, Ok(Err(error)) if error.code == ErrorCode::BodyTooLarge);
    if !goes_on {
        // It ended, broke off or does not come: there is nothing left to discard.
        *body = crate::answer::text(Bytes::new());
    }
    let bytes = read.map_err(|_| malformed("The request body did not arrive in time.".into()))??;
    parse(&bytes)
}

/// Reads JSON; errors say where, never what stands there.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Error> {
    if bytes.is_empty() {
        return Err(malformed("The request body is empty; JSON is expected.".into()));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        malformed(match error.classify() {
            Category::Eof => format!("The request body ends too early, at {place}."),
            _ => {
                format!("The request body is no JSON at {place}, or is nested deeper than {MAX_JSON_DEPTH}.")
            }
        })
    })
}

fn malformed(message: String) -> Error {
    Error::with(ErrorCode::BodyMalformed, message)
}

async fn whole(body: &mut Body) -> Result<Bytes, Error> {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            malformed("The request body ended early.".into())
                .because(format!("the body could not be read: {error}"))
        })?;
        // Trailers are nothing to us.
        let data = frame.into_data().unwrap_or_default();
        if read.len() + data.len() > MAX_MANAGEMENT_BODY {
            return Err(too_large());
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}

/// `application/json` with any parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let value = header(headers, &CONTENT_TYPE).unwrap_or_default();
    value.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

//! A request's parts, read and bounded: host, api-version, conditions, body. Must not know what they are for.

use std::borrow::Cow;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dps_model::etag::IfMatch;
use dps_model::limits::{BODY_TIMEOUT, MAX_BODY, MAX_BODY_DISCARDED};
use dps_model::{ApiVersion, Error, ErrorCode};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, IF_MATCH};
use http::request::Parts;
use http_body_util::BodyExt as _;
use http_body_util::combinators::BoxBody;
use percent_encoding::percent_decode_str;

/// Body of a request or an answer; the same type as at the device API's port for other fronts.
pub type Body = BoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// The host that was called, as the client wrote it: of the URI (HTTP/2 and absolute URIs), else of `Host`.
pub(crate) fn host(head: &Parts) -> Cow<'_, str> {
    match head.uri.host() {
        Some(host) => Cow::Borrowed(host),
        None => header(&head.headers, &HOST).unwrap_or_default(),
    }
}

/// A header as text.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, str>> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()))
}

/// `api-version` of the query as the client wrote it.
pub(crate) fn api_version_text(head: &Parts) -> Option<Cow<'_, str>> {
    head.uri.query()?.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.eq_ignore_ascii_case("api-version").then(|| percent_decode_str(value).decode_utf8_lossy())
    })
}

/// The version that the client asked for.
pub(crate) fn api_version(text: Option<&str>) -> Result<ApiVersion, Error> {
    let unknown = |cause| Error::new(ErrorCode::ApiVersionUnknown).because(cause);
    let text = text.ok_or_else(|| unknown("the query has no api-version"))?;
    ApiVersion::parse(text).ok_or_else(|| unknown("the api-version was never published"))
}

/// `If-Match`; an empty one counts as absent.
pub(crate) fn if_match(headers: &HeaderMap) -> Result<Option<IfMatch>, Error> {
    let Some(value) = headers.get(IF_MATCH) else { return Ok(None) };
    let text = value.to_str().map_err(|_| Error::argument("The If-Match header is not ASCII text."))?;
    Ok(Some(text).filter(|text| !text.trim().is_empty()).map(IfMatch::parse))
}

/// Refuses a body by its announced length, before it is read or ignored.
pub(crate) fn check_length(headers: &HeaderMap) -> Result<(), Error> {
    match announced(headers) {
        Some(length) if length > MAX_BODY as u64 => Err(Error::new(ErrorCode::BodyTooLarge)),
        _ => Ok(()),
    }
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    header(headers, &CONTENT_LENGTH)?.trim().parse().ok()
}

/// Reads what nobody asked for and throws it away, so that a refusal finds a client that still listens; a body that is
/// too long or too slow for that is left.
pub(crate) async fn discard(headers: &HeaderMap, body: &mut Body) {
    if announced(headers).is_some_and(|length| length > (MAX_BODY + MAX_BODY_DISCARDED) as u64) {
        return;
    }
    let rest = async {
        let mut left = MAX_BODY + MAX_BODY_DISCARDED;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            let Some(less) = left.checked_sub(length) else { return };
            left = less;
        }
    };
    // Late or not: the answer leaves now.
    let _ = tokio::time::timeout(Duration::from_secs(BODY_TIMEOUT), rest).await;
}

/// The whole body of a request that must have a JSON one.
///
/// # Errors
/// 415 when the media type is not JSON, 413 when it is larger than a message may be, 400006 when it does not arrive.
pub(crate) async fn json_body(headers: &HeaderMap, body: &mut Body) -> Result<Bytes, Error> {
    if !is_json(headers) {
        return Err(Error::new(ErrorCode::MediaTypeUnsupported));
    }
    arrived(body).await
}

/// The whole body, within its bounds of size and time.
async fn arrived(body: &mut Body) -> Result<Bytes, Error> {
    let read = tokio::time::timeout(Duration::from_secs(BODY_TIMEOUT), whole(body)).await;
    let goes_on = matches!(&read, Ok(Err(error)) if error.code == ErrorCode::BodyTooLarge);
    if !goes_on {
        // It ended, broke off or does not come: there is nothing left to discard.
        *body = crate::answer::text(Bytes::new());
    }
    match read {
        Ok(read) => read,
        Err(_) => Err(Error::with(ErrorCode::BodyMalformed, "The request body did not arrive in time.")
            .because(format!("the body took longer than {BODY_TIMEOUT} s"))),
    }
}

/// The body of a request that may have a JSON one; an empty one is none.
///
/// # Errors
/// As `json_body`, for a body that is there.
pub(crate) async fn optional_json_body(headers: &HeaderMap, body: &mut Body) -> Result<Option<Bytes>, Error> {
    let read = arrived(body).await?;
    match read.is_empty() {
        true => Ok(None),
        false if is_json(headers) => Ok(Some(read)),
        false => Err(Error::new(ErrorCode::MediaTypeUnsupported)),
    }
}

async fn whole(body: &mut Body) -> Result<Bytes, Error> {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Error::with(ErrorCode::BodyMalformed, "The request body ended early.")
                .because(format!("the body could not be read: {error}"))
        })?;
        // Trailers are nothing to us.
        let data = frame.into_data().unwrap_or_default();
        if read.len() + data.len() > MAX_BODY {
            return Err(Error::new(ErrorCode::BodyTooLarge));
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

//! From HTTP/1.1 to a WebSocket: the opening handshake (RFC 6455 §4.2), on any path. Owns which request asks for one
//! and what it must bring; must not know frames, nor who serves the stream.

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use dps_model::{Channel, Error, ErrorCode, Protocol};
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version, request};
use http_body_util::{BodyExt, Empty};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;

use super::decode::Refusal;
use crate::foreign::{Body, Stream};
use crate::listener::{Accepted, Shutdown};
use crate::refused::Opened;
use crate::websocket::{self, WebSocket};

/// The one version there is (§4.1).
const VERSION: &str = "13";
/// Hashed behind the client's key (§1.3).
const SALT: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A handshake that was agreed to; the stream comes when its answer is written.
pub(super) struct Agreed {
    pub protocol: Protocol,
    pub opened: Opened,
    pub stream: OnUpgrade,
}

impl Agreed {
    /// The WebSocket as a connection of its own. `None` when the client left before it was one.
    pub(super) async fn accepted(self, before: &Channel, shutdown: Shutdown) -> Option<Accepted> {
        let upgraded = self.stream.await.ok()?;
        let parts = downcast::<TokioIo<Box<dyn Stream>>>(upgraded).ok()?;
        // Copied, for a slice would keep the whole of HTTP's buffer.
        let early = Bytes::copy_from_slice(&parts.read_buf);
        let Channel { peer, ref tls, .. } = *before;
        let channel = Arc::new(Channel { protocol: self.protocol, peer, tls: tls.clone() });
        let stream: Box<dyn Stream> = Box::new(WebSocket::new(parts.io.into_inner(), early));
        Some(Accepted { stream, channel, opened: self.opened, shutdown, http2: false })
    }
}

/// Does the request ask for a WebSocket? HTTP/2 has no such upgrade, and its own form is not announced to clients.
pub(super) fn wanted(parts: &request::Parts) -> bool {
    parts.version < Version::HTTP_2
        && tokens(&parts.headers, &UPGRADE).any(|token| token.eq_ignore_ascii_case("websocket"))
        && tokens(&parts.headers, &CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"))
}

/// The answer that agrees, and the protocol agreed on; the body of the request is read by now.
pub(super) fn agree(parts: &request::Parts, body: &[u8]) -> Result<(Response<Body>, Protocol), Refusal> {
    if parts.method != Method::GET {
        return Err(Refusal { error: Error::new(ErrorCode::MethodNotAllowed), allow: Some("GET") });
    }
    if parts.version != Version::HTTP_11 || !body.is_empty() {
        return Err(invalid("A WebSocket begins with a GET of HTTP/1.1 without a body.").into());
    }
    let headers = &parts.headers;
    if single(headers, &SEC_WEBSOCKET_VERSION) != Some(VERSION) {
        return Err(invalid("The version of WebSocket is not 13.").into());
    }
    let accept = single(headers, &SEC_WEBSOCKET_KEY)
        .and_then(accept)
        .ok_or_else(|| invalid("Sec-WebSocket-Key is not 16 bytes in base64."))?;
    let mut offered = tokens(headers, &SEC_WEBSOCKET_PROTOCOL);
    let (subprotocol, protocol) = offered
        .find_map(|name| Some((name, websocket::protocol(name)?)))
        .ok_or_else(|| invalid(&format!("No sub-protocol is offered of: {}.", websocket::spoken())))?;
    let mut response = Response::new(Empty::new().map_err(|never| match never {}).boxed());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    for (name, value) in [
        (UPGRADE, "websocket"),
        (CONNECTION, "Upgrade"),
        (SEC_WEBSOCKET_ACCEPT, &accept),
        (SEC_WEBSOCKET_PROTOCOL, subprotocol),
    ] {
        let value = HeaderValue::from_str(value).map_err(Error::internal)?;
        response.headers_mut().insert(name, value);
    }
    Ok((response, protocol))
}

/// What a refusal tells a client that speaks another version (§4.4).
pub(super) fn announce_version(response: &mut Response<Body>) {
    response.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION));
}

fn invalid(message: &str) -> Error {
    Error::with(ErrorCode::ArgumentInvalid, message.to_owned())
}

/// The proof that this key was read by somebody who knows WebSocket (§4.2.2).
fn accept(key: &str) -> Option<String> {
    STANDARD.decode(key).ok().filter(|nonce| nonce.len() == 16)?;
    let mut hash = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key.as_bytes());
    hash.update(SALT);
    Some(STANDARD.encode(hash.finish()))
}

/// The value of a header that stands there once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then(|| value.trim())
}

/// The members of a list in one header or several.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::accept;

    #[test]
    fn accept_of_the_standards_example_key() {
        // RFC 6455 §1.3.
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ==").as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        for key in ["", "dGhlIHNhbXBsZSBub25jZQ", "c2hvcnQ=", "not base64 at all!!!"] {
            assert_eq!(accept(key), None, "{key}");
        }
    }
}

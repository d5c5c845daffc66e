//! HTTP request -> `DeviceRequest`. Owns paths, methods, headers and the JSON body; must not judge ids, versions or
//! tokens: texts go on as the client wrote them, percent-decoded.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dps_core::{DeviceOperation, DeviceRequest};
use dps_events::Operation;
use dps_model::registration::DeviceRegistration;
use dps_model::{Channel, Error, ErrorCode, Secret, TrackingId, limits};
use http::{HeaderMap, Uri, header, request};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use percent_encoding::percent_decode_str;

use crate::refused::Claims;
use crate::timed::TimedBody;

/// What a path names on the device API. Segments are percent-decoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub id_scope: String,
    pub registration_id: String,
    pub target: Target,
}

/// The last part of a route.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    Register,
    OperationStatus { operation_id: String },
    RegistrationLookup,
}

impl Target {
    /// The method of this target.
    pub(super) fn allow(&self) -> &'static str {
        match self {
            Self::Register => "PUT",
            Self::OperationStatus { .. } => "GET",
            Self::RegistrationLookup => "POST",
        }
    }
}

/// The route of a path of the device API, compared without regard to case; `None` for any other path. An id that is
/// missing from the path is empty.
pub(super) fn route(path: &str) -> Option<Route> {
    let mut segments: Vec<&str> = path.strip_prefix('/')?.splitn(7, '/').collect();
    if segments.len() > 3 && segments.last() == Some(&"") {
        segments.pop();
    }
    let (id_scope, registration_id, target) = match *segments {
        [scope, registrations] if is(registrations, "registrations") => {
            (scope, "", Target::RegistrationLookup)
        }
        [scope, registrations, id] if is(registrations, "registrations") => {
            (scope, id, Target::RegistrationLookup)
        }
        [scope, registrations, id, register]
            if is(registrations, "registrations") && is(register, "register") =>
        {
            (scope, id, Target::Register)
        }
        [scope, registrations, id, operations, ref operation @ ..]
            if is(registrations, "registrations") && is(operations, "operations") && operation.len() < 2 =>
        {
            let operation_id = decoded(operation.first().copied().unwrap_or_default());
            (scope, id, Target::OperationStatus { operation_id })
        }
        _ => return None,
    };
    (!id_scope.is_empty()).then(|| Route {
        id_scope: decoded(id_scope),
        registration_id: decoded(registration_id),
        target,
    })
}

fn is(segment: &str, word: &str) -> bool {
    segment.eq_ignore_ascii_case(word)
}

fn decoded(segment: &str) -> String {
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

/// A request that goes no further, and the methods that its path has.
pub(super) struct Refusal {
    pub error: Error,
    pub allow: Option<&'static str>,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { error, allow: None }
    }
}

/// What a request says of itself before its body is read.
pub(super) fn claims(route: &Route, parts: &request::Parts) -> Claims {
    Claims {
        operation: None,
        id_scope: route.id_scope.clone(),
        registration_id: route.registration_id.clone(),
        api_version: query_value(&parts.uri, "api-version"),
        client: client(&parts.headers),
    }
}

/// Reads what is asked. Notes in the claims which operation it is, once the request is one.
pub(super) async fn operation(
    route: Route,
    parts: &request::Parts,
    body: Incoming,
    claims: &mut Claims,
) -> Result<DeviceOperation, Refusal> {
    // Read before it is judged: a refusal that overtakes its request may find nobody to read it.
    let body = whole(body).await;
    let allow = Some(route.target.allow());
    let id_missing = route.registration_id.is_empty()
        || matches!(&route.target, Target::OperationStatus { operation_id } if operation_id.is_empty());
    if id_missing {
        let message = "Method not allowed: an id is missing from the path.";
        return Err(Refusal { error: Error::with(ErrorCode::MethodNotAllowed, message), allow });
    }
    if Some(parts.method.as_str()) != allow {
        return Err(Refusal { error: Error::new(ErrorCode::MethodNotAllowed), allow });
    }
    match route.target {
        // The Node SDK sends a body with GET; nothing in it matters.
        Target::OperationStatus { operation_id } => {
            claims.operation = Some(Operation::OperationStatus);
            Ok(DeviceOperation::OperationStatus { operation_id })
        }
        Target::Register => {
            let registration = registration(&parts.headers, body, claims, Operation::Register)?;
            Ok(DeviceOperation::Register(registration))
        }
        Target::RegistrationLookup => {
            let registration = registration(&parts.headers, body, claims, Operation::RegistrationLookup)?;
            Ok(DeviceOperation::RegistrationLookup(registration))
        }
    }
}

/// The request for the core.
pub(super) fn decode(
    claims: Claims,
    parts: &request::Parts,
    channel: &Arc<Channel>,
    tracking_id: TrackingId,
    operation: DeviceOperation,
) -> DeviceRequest {
    DeviceRequest {
        tracking_id,
        channel: Arc::clone(channel),
        id_scope: claims.id_scope,
        registration_id: claims.registration_id,
        api_version: claims.api_version,
        client: claims.client,
        sas_token: parts.headers.get(header::AUTHORIZATION).map(|text| Secret::new(text.as_bytes().to_vec())),
        operation,
    }
}

/// Reads a registration; a body of another kind than JSON asks for no operation that the device API knows.
fn registration(
    headers: &HeaderMap,
    body: Result<Bytes, Error>,
    claims: &mut Claims,
    operation: Operation,
) -> Result<DeviceRegistration, Error> {
    claims.operation = Some(operation);
    let body = body?;
    if body.trim_ascii().is_empty() {
        return Ok(DeviceRegistration::default());
    }
    if !is_json(headers) {
        claims.operation = None;
        return Err(Error::new(ErrorCode::MediaTypeUnsupported));
    }
    crate::json::registration(&body)
}

/// The first value of a query parameter whose name is compared without regard to case; `None` when it is missing.
fn query_value(uri: &Uri, name: &str) -> Option<String> {
    uri.query()?.split('&').find_map(|piece| {
        let (key, value) = piece.split_once('=')?;
        decoded(key).eq_ignore_ascii_case(name).then(|| decoded(value))
    })
}

/// SDK and version. The C SDK writes `UserAgent`.
pub(super) fn client(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::USER_AGENT).or_else(|| headers.get("useragent"))?;
    Some(String::from_utf8_lossy(text.as_bytes()).into_owned())
}

/// `application/json`, whatever its parameters.
fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|text| text.to_str().ok())
        .and_then(|text| text.split(';').next())
        .is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"))
}

/// The whole body within its bounds. What is too large is read a while longer and thrown away, so that the refusal
/// finds a reader.
pub(super) async fn whole(body: Incoming) -> Result<Bytes, Error> {
    let patience = Duration::from_secs(limits::BODY_TIMEOUT);
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut body = TimedBody::new(body, patience);
    let read = async {
        let mut kept = Vec::with_capacity(announced.min(limits::MAX_BODY));
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| broken(&error.to_string()))?;
            let Some(data) = frame.data_ref() else { continue };
            length += data.len();
            if length <= limits::MAX_BODY {
                kept.extend_from_slice(data);
            } else {
                kept = Vec::new();
            }
            if length > limits::MAX_BODY + limits::MAX_BODY_DISCARDED {
                break;
            }
        }
        if length > limits::MAX_BODY {
            return Err(Error::new(ErrorCode::BodyTooLarge));
        }
        Ok(Bytes::from(kept))
    };
    if announced > limits::MAX_BODY + limits::MAX_BODY_DISCARDED {
        return Err(Error::new(ErrorCode::BodyTooLarge));
    }
    tokio::time::timeout(patience, read)
        .await
        .unwrap_or_else(|_| Err(broken(&format!("it did not end within {} seconds", limits::BODY_TIMEOUT))))
}

fn broken(why: &str) -> Error {
    Error::with(ErrorCode::BodyMalformed, "The request body is incomplete.").because(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Route, Target, query_value, route};

    fn at(path: &str) -> Option<(String, String, &'static str)> {
        route(path)
            .map(|Route { id_scope, registration_id, target }| (id_scope, registration_id, target.allow()))
    }

    #[allow(clippy::unnecessary_wraps)] // compared with what `at` gives
    fn named(scope: &str, id: &str, allow: &'static str) -> Option<(String, String, &'static str)> {
        Some((scope.to_owned(), id.to_owned(), allow))
    }

    #[test]
    fn route_known_paths_found_in_any_case() {
        assert_eq!(at("/0ne1/registrations/d/register"), named("0ne1", "d", "PUT"));
        assert_eq!(at("/0ne1/Registrations/d/REGISTER/"), named("0ne1", "d", "PUT"));
        assert_eq!(at("/0ne1/registrations/d/operations/5.a.b"), named("0ne1", "d", "GET"));
        assert_eq!(at("/0ne1/registrations/d"), named("0ne1", "d", "POST"));
        assert_eq!(at("/0ne1/registrations/my.dev_01%3aa-b"), named("0ne1", "my.dev_01:a-b", "POST"));
        assert_eq!(at("/0ne1/registrations/a%2Fb"), named("0ne1", "a/b", "POST"));
    }

    #[test]
    fn route_missing_id_is_empty() {
        assert_eq!(at("/0ne1/registrations"), named("0ne1", "", "POST"));
        assert_eq!(at("/0ne1/registrations/"), named("0ne1", "", "POST"));
        assert_eq!(at("/0ne1/registrations//register"), named("0ne1", "", "PUT"));
        let operation_id = String::new();
        for path in ["/s/registrations/d/operations", "/s/registrations/d/operations/"] {
            assert_eq!(
                route(path).map(|route| route.target),
                Some(Target::OperationStatus { operation_id: operation_id.clone() }),
                "{path}"
            );
        }
    }

    #[test]
    fn route_other_paths_not_ours() {
        for path in [
            "",
            "*",
            "/",
            "/registrations/d",
            "//registrations/d",
            "/0ne1/enrollments/d",
            "/0ne1/registrations/d/other",
            "/0ne1/registrations/d/register/more",
            "/0ne1/registrations/d/operations/5/more",
        ] {
            assert_eq!(at(path), None, "{path}");
        }
    }

    #[test]
    fn query_value_found_whatever_its_case() {
        let uri = "/a?x=1&API-Version=2019%2D03-31&y".parse().unwrap();
        assert_eq!(query_value(&uri, "api-version").as_deref(), Some("2019-03-31"));
        assert_eq!(query_value(&uri, "y"), None);
    }
}

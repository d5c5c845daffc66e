//! IoT Hub's service REST, as far as service clients and provisioning call it (facts: wire-protocol.md §8.2).
//! Owns routing, authorization and the form of answers; each resource has its file. Must not know MQTT.

mod bulk;
mod devices;
mod messages;
mod query;
mod twins;

use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use dps_device_api::foreign::{Body, HttpFront};
use dps_model::limits::{BODY_TIMEOUT, MAX_BODY_DISCARDED, MAX_HUB_BODY};
use dps_model::{DeviceId, TrackingId, etag::IfMatch};
use http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, ETAG, HOST, HeaderName, IF_MATCH, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::failure::{HubErrorCode, HubFailure};
use crate::{DevHub, DevHubs, access};

const SERVED: [&str; 4] = ["devices", "twins", "jobs", "statistics"];
const ERROR_CODE: HeaderName = HeaderName::from_static("iothub-errorcode");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");

/// A request that is authorized and read.
struct Call<'a> {
    hub: &'a DevHub,
    query: &'a str,
    headers: &'a HeaderMap,
    body: Bytes,
}

impl Call<'_> {
    /// `If-Match`, in every spelling.
    fn if_match(&self) -> Option<IfMatch> {
        self.header(&IF_MATCH).map(IfMatch::parse)
    }

    fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A query parameter, not decoded: those that are read are numbers.
    fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .split('&')
            .filter_map(|piece| piece.split_once('='))
            .find_map(|(key, value)| (key == name).then_some(value))
    }

    /// The body as a JSON object. An array is none, though it would do for a structure's members in order.
    fn object<T: DeserializeOwned>(&self) -> Result<T, HubFailure> {
        if self.body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{') {
            return self.json();
        }
        Err(HubFailure::argument("The request body is not a JSON object"))
    }

    /// The body as JSON; errors say where it is wrong.
    fn json<T: DeserializeOwned>(&self) -> Result<T, HubFailure> {
        serde_json::from_slice(&self.body)
            .map_err(|error| HubFailure::argument(format!("The request body is not as expected: {error}")))
    }
}

/// An answer that is no failure.
struct Answer {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Option<Value>,
}

impl Answer {
    fn json(body: Value) -> Self {
        Self { status: StatusCode::OK, headers: Vec::new(), body: Some(body) }
    }

    fn empty() -> Self {
        Self { status: StatusCode::NO_CONTENT, headers: Vec::new(), body: None }
    }

    fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    fn with_etag(self, etag: &dps_model::Etag) -> Self {
        self.with(ETAG, &format!("\"{etag}\""))
    }
}

#[async_trait]
impl HttpFront for DevHubs {
    fn claims_http(&self, _host: &str, path: &str) -> bool {
        let first = path.strip_prefix('/').unwrap_or(path).split('/').next().unwrap_or_default();
        !self.hubs.is_empty() && SERVED.iter().any(|served| served.eq_ignore_ascii_case(first))
    }

    async fn http(&self, request: Request<Body>) -> Response<Body> {
        let tracking_id = TrackingId::fresh();
        let outcome = self.answer(request).await;
        let mut response = match outcome {
            Ok(answer) => success(answer),
            Err(Refused { failure, allow }) => {
                tracing::debug!(%tracking_id, %failure, "a hub request was refused");
                let mut response = refusal(&failure, failure.body(tracking_id, self.clock.now()));
                if let Some(allow) = allow {
                    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
                }
                response
            }
        };
        if let Ok(value) = HeaderValue::from_str(&tracking_id.to_string()) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        response
    }
}

/// A failure, with the methods that would be served where another was used.
struct Refused {
    failure: HubFailure,
    allow: Option<&'static str>,
}

impl From<HubFailure> for Refused {
    fn from(failure: HubFailure) -> Self {
        Self { failure, allow: None }
    }
}

impl DevHubs {
    async fn answer(&self, request: Request<Body>) -> Result<Answer, Refused> {
        let (parts, body) = request.into_parts();
        // Read before it is judged: a refusal that overtakes its request may find nobody to read it.
        let body = read(body).await;
        let host = parts
            .uri
            .authority()
            .map(http::uri::Authority::as_str)
            .or_else(|| parts.headers.get(HOST).and_then(|value| value.to_str().ok()))
            .unwrap_or_default();
        let hub = self.hub_or_first(host).ok_or_else(|| not_served(parts.uri.path()))?;
        let authorization = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let segments = segments(parts.uri.path())?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let names = [hub.name.as_str(), host];
        access::service(authorization, names, &segments.join("/"), &self.key, self.clock.now()).map_err(
            |why| {
                tracing::info!(hub = %hub.name, %why, "a hub request was not authorized");
                HubFailure::unauthorized()
            },
        )?;
        let body = body?;
        let query = parts.uri.query().unwrap_or_default();
        let call = Call { hub, query, headers: &parts.headers, body };
        route(&parts.method, &segments, &call).await
    }
}

/// The table of contents.
async fn route(method: &Method, segments: &[&str], call: &Call<'_>) -> Result<Answer, Refused> {
    let answer = match (segments, method.as_str()) {
        (["devices"], "GET") => devices::list(call).await,
        (["devices"], "POST") => bulk::run(call).await,
        (["devices"], _) => return Err(not_allowed("GET, POST")),
        (["devices", "query"], "POST") => query::run(call).await,
        (["devices", id], "GET") => devices::get(call, &device_id(id)?).await,
        (["devices", id], "PUT") => devices::put(call, &device_id(id)?).await,
        (["devices", id], "DELETE") => devices::delete(call, &device_id(id)?).await,
        (["devices", _], _) => return Err(not_allowed("GET, PUT, DELETE")),
        (["devices", id, "messages", "deviceBound" | "devicebound"], "POST") => {
            messages::send(call, &device_id(id)?).await
        }
        (["twins", id], "GET") => twins::get(call, &device_id(id)?).await,
        (["twins", id], "PATCH") => twins::change(call, &device_id(id)?, false).await,
        (["twins", id], "PUT") => twins::change(call, &device_id(id)?, true).await,
        (["twins", _], _) => return Err(not_allowed("GET, PATCH, PUT")),
        (["twins", id, "methods"], "POST") => twins::method(call, &device_id(id)?).await,
        (["twins", _, "methods"], _) => return Err(not_allowed("POST")),
        (["statistics", "devices"], "GET") => devices::statistics(call).await,
        (["statistics", "service"], "GET") => Ok(devices::service_statistics(call)),
        (["statistics", "devices" | "service"], _) => return Err(not_allowed("GET")),
        _ => return Err(not_served(&segments.join("/")).into()),
    };
    answer.map_err(Refused::from)
}

fn device_id(segment: &str) -> Result<DeviceId, HubFailure> {
    DeviceId::parse(segment).map_err(|error| HubFailure::argument(error.to_string()))
}

/// The path's segments, decoded one by one, so that an encoded slash stays in its segment. The first, which names what
/// is served, is written in any case.
fn segments(path: &str) -> Result<Vec<String>, HubFailure> {
    let decoded = path.split('/').filter(|segment| !segment.is_empty()).map(|segment| {
        percent_decode_str(segment)
            .decode_utf8()
            .map(std::borrow::Cow::into_owned)
            .map_err(|_| HubFailure::argument("The path is not percent-encoded UTF-8"))
    });
    let mut segments: Vec<String> = decoded.collect::<Result<_, _>>()?;
    if let Some(first) = segments.first_mut() {
        first.make_ascii_lowercase();
    }
    Ok(segments)
}

/// Reads the whole body, within its bounds; what is too large is read a while longer and thrown away.
async fn read(mut body: Body) -> Result<Bytes, HubFailure> {
    let mut read = BytesMut::new();
    let whole = async {
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| HubFailure::argument("The request body ended early"))?;
            let Ok(data) = frame.into_data() else { continue };
            length += data.len();
            if length <= MAX_HUB_BODY {
                read.extend_from_slice(&data);
            } else if length > MAX_HUB_BODY + MAX_BODY_DISCARDED {
                break;
            }
        }
        if length > MAX_HUB_BODY { Err(too_large(MAX_HUB_BODY)) } else { Ok(()) }
    };
    match tokio::time::timeout(Duration::from_secs(BODY_TIMEOUT), whole).await {
        Ok(outcome) => outcome.map(|()| read.freeze()),
        Err(_) => Err(HubFailure::argument("The request body did not come in time")),
    }
}

fn too_large(most: usize) -> HubFailure {
    HubFailure::new(HubErrorCode::MessageTooLarge, format!("At most {most} bytes are taken"))
}

fn not_served(path: &str) -> HubFailure {
    let shown: String = path.chars().take(128).collect();
    HubFailure::new(HubErrorCode::RouteNotFound, format!("The development hub does not serve {shown}"))
}

fn not_allowed(allow: &'static str) -> Refused {
    let failure = HubFailure::new(HubErrorCode::MethodNotAllowed, format!("Use one of {allow}"));
    Refused { failure, allow: Some(allow) }
}

fn success(answer: Answer) -> Response<Body> {
    let mut response = respond(answer.status, answer.body.map(|body| body.to_string()));
    response.headers_mut().extend(answer.headers);
    response
}

fn refusal(failure: &HubFailure, body: String) -> Response<Body> {
    let status = StatusCode::from_u16(failure.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = respond(status, Some(body));
    let headers = response.headers_mut();
    headers.insert(ERROR_CODE, HeaderValue::from_static(failure.code.name()));
    if failure.code == HubErrorCode::ThrottlingException {
        headers.insert(RETRY_AFTER, HeaderValue::from(dps_model::limits::RETRY_AFTER_BUSY));
    }
    response
}

fn respond(status: StatusCode, text: Option<String>) -> Response<Body> {
    let json = text.is_some();
    let body = Full::new(Bytes::from(text.unwrap_or_default())).map_err(|never| match never {}).boxed();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    if json {
        let value = HeaderValue::from_static("application/json; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, value);
    }
    response
}

//! The routes that only a development server has: `/dev/reset`, `/dev/clock`, `/dev/faults`. Owns their HTTP, and who may
//! ask: this machine, or whoever has the server's bearer token. A page of another site may not: its requests name their
//! origin, or another host. Must not know how anything is done.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use dps_access::without_port;
use dps_device_api::foreign::{Body, HttpFront};
use dps_model::limits::BODY_TIMEOUT;
use dps_model::{Channel, Error, Secret};
use http::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::clock::{DevClock, Setting};
use super::faults::{Faults, Rule};
use super::limits::MAX_BODY;
use super::reset::{Reset, Wish};

/// Answers those routes.
pub struct Control {
    /// The faults.
    pub faults: Faults,
    /// The clock.
    pub clock: Arc<DevClock>,
    /// Once there is something to reset.
    pub reset: Arc<OnceLock<Reset>>,
    /// What opens the routes from elsewhere than this machine.
    pub token: Secret,
    /// The server's host names.
    pub hosts: Vec<String>,
}

/// Why a request is not answered with success.
struct Refusal {
    status: StatusCode,
    message: String,
    allow: Option<&'static str>,
}

impl Refusal {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), allow: None }
    }

    fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let message = match error.cause {
            Some(cause) => format!("{} {cause}", error.message),
            None => error.message.into_owned(),
        };
        Self::new(status, message)
    }
}

#[async_trait]
impl HttpFront for Control {
    fn claims_http(&self, _host: &str, path: &str) -> bool {
        path == "/dev" || path.starts_with("/dev/")
    }

    async fn http(&self, request: Request<Body>) -> Response<Body> {
        match self.answer(request).await {
            Ok((status, body)) => response(status, body.as_ref()),
            Err(refusal) => {
                let code = refusal.status.canonical_reason().unwrap_or_default().replace(' ', "");
                let body = json!({"error": {"code": code, "message": refusal.message}});
                let mut response = response(refusal.status, Some(&body));
                if let Some(allow) = refusal.allow {
                    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
                }
                response
            }
        }
    }
}

type Answer = Result<(StatusCode, Option<Value>), Refusal>;

impl Control {
    async fn answer(&self, request: Request<Body>) -> Answer {
        let (parts, body) = request.into_parts();
        let named = parts.uri.authority().map(http::uri::Authority::as_str);
        let named = named.or_else(|| text(&parts.headers, &HOST)).unwrap_or_default();
        let peer = parts.extensions.get::<Arc<Channel>>().map(|channel| channel.peer.ip());
        self.admit(named, peer, &parts.headers)?;
        let path = parts.uri.path().strip_prefix("/dev").unwrap_or_default().trim_end_matches('/');
        let body = read(body).await?;
        match (path, &parts.method) {
            ("/reset", &Method::POST) => self.reset(&body).await,
            ("/clock", &Method::GET) => ok(&self.clock.standing()),
            ("/clock", &Method::PUT) => {
                let setting: Setting = object(&body, "setting of the clock")?;
                ok(&self.clock.set(setting).map_err(Refusal::bad)?)
            }
            ("/faults", &Method::GET) => ok(&json!({"value": self.faults.book.list()})),
            ("/faults", &Method::POST) => {
                let rule: Rule = object(&body, "rule")?;
                rule.check().map_err(Refusal::bad)?;
                let put = self.faults.book.put(rule);
                ok(&put.map_err(|why| Refusal::new(StatusCode::CONFLICT, why))?)
            }
            ("/faults", &Method::DELETE) => {
                self.faults.book.clear();
                Ok((StatusCode::NO_CONTENT, None))
            }
            (path, method) => self.other(path, method),
        }
    }

    /// One rule, or nothing.
    fn other(&self, path: &str, method: &Method) -> Answer {
        let allow = match path {
            "/reset" => "POST",
            "/clock" => "GET, PUT",
            "/faults" => "GET, POST, DELETE",
            _ => match path.strip_prefix("/faults/").filter(|id| !id.contains('/')) {
                Some(id) if method == Method::DELETE => {
                    let unknown = || Refusal::new(StatusCode::NOT_FOUND, format!("there is no rule {id}"));
                    return if self.faults.book.remove(id) {
                        Ok((StatusCode::NO_CONTENT, None))
                    } else {
                        Err(unknown())
                    };
                }
                Some(_) => "DELETE",
                None => {
                    let known = "the routes are /dev/reset, /dev/clock and /dev/faults";
                    return Err(Refusal::new(StatusCode::NOT_FOUND, known));
                }
            },
        };
        let message = format!("{method} is not among the methods of /dev{path}");
        Err(Refusal { allow: Some(allow), ..Refusal::new(StatusCode::METHOD_NOT_ALLOWED, message) })
    }

    async fn reset(&self, body: &Bytes) -> Answer {
        let wish = if body.is_empty() { Wish::default() } else { object(body, "wish for a reset")? };
        let starting = || Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the server is starting");
        ok(&self.reset.get().ok_or_else(starting)?.run(&wish).await?)
    }

    /// A browser tells where a page's request comes from, and to which name: neither may be a stranger's.
    fn admit(&self, named: &str, peer: Option<IpAddr>, headers: &HeaderMap) -> Result<(), Refusal> {
        let host = without_port(named);
        let bare = host.trim_matches(['[', ']']);
        let known = bare.parse::<IpAddr>().is_ok()
            || bare.eq_ignore_ascii_case("localhost")
            || self.hosts.iter().any(|own| own.eq_ignore_ascii_case(bare));
        let origin = text(headers, &ORIGIN).map(|origin| origin.split_once("://").map_or("", |(_, it)| it));
        if !known || origin.is_some_and(|origin| !origin.eq_ignore_ascii_case(named)) {
            let why = "these routes are for programs and for this server's own pages, not for other sites";
            return Err(Refusal::new(StatusCode::FORBIDDEN, why));
        }
        if peer.is_some_and(|peer| peer.to_canonical().is_loopback()) {
            return Ok(());
        }
        let shown = text(headers, &AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        if shown.is_some_and(|shown| Secret::new(shown.as_bytes().to_vec()) == self.token) {
            return Ok(());
        }
        let why = "from another machine these routes want the bearer token of dev.env (MUSTER_BEARER_TOKEN)";
        Err(Refusal::new(StatusCode::UNAUTHORIZED, why))
    }
}

async fn read(mut body: Body) -> Result<Bytes, Refusal> {
    let whole = async {
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Refusal::bad("the body broke off"))?;
            let Ok(data) = frame.into_data() else { continue };
            if whole.len() + data.len() > MAX_BODY {
                let most = format!("the body has more than {MAX_BODY} bytes");
                return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, most));
            }
            whole.extend_from_slice(&data);
        }
        Ok(whole.freeze())
    };
    let late = || Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time");
    tokio::time::timeout(Duration::from_secs(BODY_TIMEOUT), whole).await.map_err(|_| late())?
}

/// The body as a JSON object. An array is none, though it would do for a structure's members in order.
fn object<T: DeserializeOwned>(body: &Bytes, what: &str) -> Result<T, Refusal> {
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Refusal::bad(format!("the body is no {what}: it is not a JSON object")));
    }
    serde_json::from_slice(body).map_err(|error| Refusal::bad(format!("the body is no {what}: {error}")))
}

fn ok(body: &impl Serialize) -> Answer {
    let body = serde_json::to_value(body).map_err(|error| Refusal::from(Error::internal(error)))?;
    Ok((StatusCode::OK, Some(body)))
}

fn text<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn response(status: StatusCode, body: Option<&Value>) -> Response<Body> {
    let bytes = body.map(Value::to_string).unwrap_or_default();
    let mut response = Response::new(Full::from(bytes).map_err(|never| match never {}).boxed());
    *response.status_mut() = status;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if body.is_some() {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}

//! What the portal's pages ask that no API of Azure answers: who is signed in, signing in and out, and help with a query. Owns
//! these routes and
//! the way from a cookie to a credential (`gate`); what a session may do is dps-access's. Must not know pages.

mod cookie;
mod gate;
mod kql;
mod session;

use std::sync::Arc;

use dps_access::AccessControl;
use dps_core::ports::Clock;
use dps_core::{Instances, Lifecycle};
use dps_events::{EventSink, Outcome};
use dps_model::{Channel, Error, ErrorCode, TrackingId};
use http::header::{CONTENT_TYPE, HeaderValue, SET_COOKIE, USER_AGENT, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use serde_json::Value;

use crate::answer::{self, JSON};
use crate::call::{Call, kept};
use crate::reject::{Shape, reject};
use crate::request::{self, Body};

pub use self::gate::Gate;

/// What the pages are told of the server.
#[derive(Clone, Debug)]
pub struct About {
    /// `dev` or `serve`.
    pub mode: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The subscription that its own resources lie in.
    pub subscription: uuid::Uuid,
    /// The built-in workspace.
    pub workspace: uuid::Uuid,
    /// Its ARM id.
    pub workspace_resource: String,
}

/// Answers what the pages ask of the portal itself.
pub struct PortalApi {
    instances: Arc<Instances>,
    life: Lifecycle,
    access: Arc<AccessControl>,
    about: About,
    assistant: kql::Assistant,
    sink: Arc<dyn EventSink>,
    clock: Arc<dyn Clock>,
}

/// A route.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    Session,
    Kql,
}

/// What a route gives back.
struct Reply {
    status: StatusCode,
    body: Option<Value>,
    cookies: Vec<HeaderValue>,
}

impl Reply {
    fn shown(status: StatusCode, body: Value) -> Self {
        Self { status, body: Some(body), cookies: Vec::new() }
    }

    fn gone(cookie: HeaderValue) -> Self {
        Self { status: StatusCode::NO_CONTENT, body: None, cookies: vec![cookie] }
    }

    fn render(&self, tracking_id: TrackingId) -> Response<Body> {
        let mut response =
            Response::new(answer::text(self.body.as_ref().map(Value::to_string).unwrap_or_default()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if self.body.is_some() {
            headers.insert(CONTENT_TYPE, JSON);
        }
        for cookie in &self.cookies {
            headers.append(SET_COOKIE, cookie.clone());
        }
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        answer::dress(headers, tracking_id);
        response
    }
}

impl Route {
    fn of(path: &str) -> Option<Self> {
        match path {
            "/portal/session" => Some(Self::Session),
            "/portal/kql" => Some(Self::Kql),
            _ => None,
        }
    }

    fn methods(self) -> &'static str {
        match self {
            Self::Session => "GET, POST, DELETE",
            Self::Kql => "POST",
        }
    }
}

/// Is this path the portal's API's? What lies beside it are pages.
pub fn claims(path: &str) -> bool {
    Route::of(path).is_some()
}

impl PortalApi {
    /// The portal's API over those instances.
    pub fn new(
        instances: Arc<Instances>,
        life: Lifecycle,
        access: Arc<AccessControl>,
        about: About,
        sink: Arc<dyn EventSink>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { instances, life, access, about, assistant: kql::Assistant::default(), sink, clock }
    }

    /// Answers one call. Signing in and out are events; a look at one's own session and help while one types are none. The request's extensions hold
    /// `Arc<Channel>`.
    pub async fn serve(&self, request: Request<Body>) -> Response<Body> {
        let (head, mut body) = request.into_parts();
        let route = Route::of(head.uri.path());
        let (reply, tracking_id) = match (route, &head.method) {
            (Some(Route::Session), &Method::GET) => {
                (Ok(self.show(&head, self.clock.now()).await), TrackingId::fresh())
            }
            (Some(Route::Session), &Method::POST | &Method::DELETE) => self.sign(&head, &mut body).await,
            (Some(Route::Kql), &Method::POST) => (self.kql(&head, &mut body).await, TrackingId::fresh()),
            (Some(_), _) => (Err(Error::new(ErrorCode::MethodNotAllowed)), TrackingId::fresh()),
            (None, _) => (Err(Error::new(ErrorCode::RouteNotFound)), TrackingId::fresh()),
        };
        let response = reply.map_or_else(
            |error| {
                let allow = route.filter(|_| error.code == ErrorCode::MethodNotAllowed).map(Route::methods);
                reject(&error, allow, Shape::Arm, tracking_id, self.clock.now())
            },
            |reply| reply.render(tracking_id),
        );
        request::discard(&head.headers, &mut body).await;
        response
    }

    /// Signs in or out, as exactly one event.
    async fn sign(&self, head: &Parts, body: &mut Body) -> (Result<Reply, Error>, TrackingId) {
        let channel = head.extensions.get::<Arc<Channel>>();
        let mut call = Call::open(&self.sink, &self.clock, channel.map(AsRef::as_ref));
        call.record.client = request::header(&head.headers, &USER_AGENT).as_deref().map(kept);
        let reply = if head.method == Method::POST {
            self.sign_in(head, body, &mut call).await
        } else {
            self.sign_out(head, &mut call).await
        };
        let tracking_id = call.tracking_id();
        call.close(Outcome::of(&reply));
        (reply, tracking_id)
    }
}

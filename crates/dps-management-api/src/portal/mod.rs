//! What the portal's pages ask that no API of Azure answers: who is signed in, signing in and out, and help with a query. Owns
//! these routes and
//! the way from a cookie to a credential (`gate`); what a session may do is dps-access's. Must not know pages.

mod cookie;
mod gate;
mod kql;
mod oidc;
mod session;

use std::sync::Arc;

use dps_access::AccessControl;
use dps_core::ports::Clock;
use dps_core::{Instances, Lifecycle};
use dps_events::{EventSink, Outcome};
use dps_model::{Channel, Error, ErrorCode, TrackingId};
use http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, LOCATION, REFERRER_POLICY, SET_COOKIE, USER_AGENT,
    X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use serde_json::Value;

use crate::answer::{self, JSON};
use crate::call::{Call, kept};
use crate::reject::{Shape, reject};
use crate::request::{self, Body};

pub use self::gate::Gate;

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

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
    /// To the identity provider of that number.
    Leave(usize),
    /// Back from one.
    Return,
}

/// What a route gives back.
#[derive(Clone)]
struct Reply {
    status: StatusCode,
    body: Option<Value>,
    cookies: Vec<HeaderValue>,
    /// Where the browser goes on.
    location: Option<HeaderValue>,
    /// A page instead of JSON.
    page: Option<String>,
}

impl Reply {
    fn bare(status: StatusCode) -> Self {
        Self { status, body: None, cookies: Vec::new(), location: None, page: None }
    }

    fn shown(status: StatusCode, body: Value) -> Self {
        Self { body: Some(body), ..Self::bare(status) }
    }

    fn gone(cookie: HeaderValue) -> Self {
        Self { cookies: vec![cookie], ..Self::bare(StatusCode::NO_CONTENT) }
    }

    fn render(&self, tracking_id: TrackingId) -> Response<Body> {
        let text = self.page.clone().or_else(|| self.body.as_ref().map(Value::to_string));
        let mut response = Response::new(answer::text(text.unwrap_or_default()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if self.body.is_some() {
            headers.insert(CONTENT_TYPE, JSON);
        }
        if self.page.is_some() {
            headers.insert(CONTENT_TYPE, HTML);
            headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
        }
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        if let Some(location) = &self.location {
            headers.insert(LOCATION, location.clone());
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
            "/portal/oidc/callback" => Some(Self::Return),
            _ => path.strip_prefix("/portal/oidc/")?.parse().ok().map(Self::Leave),
        }
    }

    fn methods(self) -> &'static str {
        match self {
            Self::Session => "GET, POST, DELETE",
            Self::Kql => "POST",
            Self::Leave(_) | Self::Return => "GET",
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
            (Some(Route::Leave(number)), &Method::GET) => {
                (Ok(self.leave(number, &head).await), TrackingId::fresh())
            }
            (Some(Route::Return), &Method::GET) => self.come_back(&head).await,
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

    /// Somebody is back from an identity provider, as exactly one event.
    async fn come_back(&self, head: &Parts) -> (Result<Reply, Error>, TrackingId) {
        let mut call = self.opened_call(head);
        let opened = self.back(head, &mut call).await;
        let reply = match &opened {
            Ok(reply) => reply.clone(),
            Err(error) => oidc::refused(error),
        };
        let tracking_id = call.tracking_id();
        call.close(Outcome::of(&opened));
        (Ok(reply), tracking_id)
    }

    fn opened_call(&self, head: &Parts) -> Call {
        let channel = head.extensions.get::<Arc<Channel>>();
        let mut call = Call::open(&self.sink, &self.clock, channel.map(AsRef::as_ref));
        call.record.client = request::header(&head.headers, &USER_AGENT).as_deref().map(kept);
        call
    }

    /// Signs in or out, as exactly one event.
    async fn sign(&self, head: &Parts, body: &mut Body) -> (Result<Reply, Error>, TrackingId) {
        let mut call = self.opened_call(head);
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

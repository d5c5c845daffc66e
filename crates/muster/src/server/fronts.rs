//! The neighbours of the device API on the HTTPS port, each behind the device API's port for them.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use dps_core::{DeviceRequest, DeviceResponse, Provisioning};
use dps_device_api::foreign::{Body, HttpFront};
use dps_management_api::ManagementApi;
use dps_management_api::portal::{self, Gate, PortalApi};
use dps_model::Error;
use dps_service_api::ServiceApi;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http_body_util::{BodyExt as _, Full};

use super::health::Health;

/// The core as the device API asks for it.
pub struct Core(pub Arc<Provisioning>);

#[async_trait]
impl dps_device_api::Core for Core {
    async fn serve(&self, request: DeviceRequest) -> Result<DeviceResponse, Error> {
        self.0.serve(request).await
    }

    fn knows_scope(&self, id_scope: &str) -> bool {
        self.0.knows_scope(id_scope)
    }
}

/// The service API on the shared port.
pub struct ServiceFront(pub ServiceApi);

#[async_trait]
impl HttpFront for ServiceFront {
    fn claims_http(&self, _host: &str, path: &str) -> bool {
        dps_service_api::claims(path)
    }

    async fn http(&self, request: http::Request<Body>) -> http::Response<Body> {
        self.0.serve(request).await
    }
}

/// The management API on the shared port.
pub struct ManagementFront(pub ManagementApi);

#[async_trait]
impl HttpFront for ManagementFront {
    fn claims_http(&self, _host: &str, path: &str) -> bool {
        dps_management_api::claims(path)
    }

    async fn http(&self, request: http::Request<Body>) -> http::Response<Body> {
        self.0.serve(request).await
    }
}

/// Who is signed in to the portal.
pub struct PortalFront(pub PortalApi);

#[async_trait]
impl HttpFront for PortalFront {
    fn claims_http(&self, _host: &str, path: &str) -> bool {
        portal::claims(path)
    }

    async fn http(&self, request: http::Request<Body>) -> http::Response<Body> {
        self.0.serve(request).await
    }
}

/// How the server is, once it runs.
pub type HealthSlot = Arc<OnceLock<Arc<Health>>>;

/// How the server is, on the shared port: for the portal's pages alone, since strangers reach it.
pub struct HealthFront {
    /// Once the server runs.
    pub health: HealthSlot,
    /// Who knows who is signed in.
    pub gate: Arc<Gate>,
}

#[async_trait]
impl HttpFront for HealthFront {
    fn claims_http(&self, _host: &str, path: &str) -> bool {
        path == "/health"
    }

    async fn http(&self, request: http::Request<Body>) -> http::Response<Body> {
        let (head, _) = request.into_parts();
        let report = self.health.get().filter(|_| head.method == http::Method::GET);
        let (status, text) = match report {
            Some(health) if self.gate.knows(&head).await => {
                let (status, report) = health.report();
                (status, report.to_string())
            }
            _ => (StatusCode::NOT_FOUND, "{}".to_owned()),
        };
        let mut response = http::Response::new(Full::from(text).map_err(|never| match never {}).boxed());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// A front behind the portal's gate.
pub struct Gated {
    /// Who answers.
    pub front: Arc<dyn HttpFront>,
    /// Who turns the portal's cookie into a credential.
    pub gate: Arc<Gate>,
}

#[async_trait]
impl HttpFront for Gated {
    fn claims_http(&self, host: &str, path: &str) -> bool {
        self.front.claims_http(host, path)
    }

    async fn http(&self, request: http::Request<Body>) -> http::Response<Body> {
        let (mut head, body) = request.into_parts();
        self.gate.pass(&mut head).await;
        self.front.http(http::Request::from_parts(head, body)).await
    }
}

/// The portal's pages.
pub struct PortalPages;

#[async_trait]
impl HttpFront for PortalPages {
    fn claims_http(&self, _host: &str, path: &str) -> bool {
        dps_portal::claims(path)
    }

    async fn http(&self, request: http::Request<Body>) -> http::Response<Body> {
        let answer = dps_portal::answer(request.method(), request.uri().path(), request.headers());
        answer.map(|bytes| Full::new(bytes).map_err(|never| match never {}).boxed())
    }
}

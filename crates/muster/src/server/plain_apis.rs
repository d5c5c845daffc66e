//! The HTTP APIs of the shared port on the plain port as well, so that the portal has them at its own origin there. Owns
//! which host names are answered: a page of somebody else's site whose name was made to lead here (DNS rebinding) names
//! another. Must not know what the APIs do.

use std::sync::Arc;

use dps_access::without_port;
use dps_core::{Instances, Lifecycle};
use dps_device_api::foreign::{Body, HttpFront};
use dps_model::limits::MAX_PLAIN_CONNECTIONS;
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tokio::sync::Semaphore;

const MISDIRECTED: &str = "This port answers by the names localhost and 127.0.0.1, and by the host names of its \
     provisioning services.\n";

/// The APIs.
#[derive(Clone)]
pub struct PlainApis {
    fronts: Vec<Arc<dyn HttpFront>>,
    instances: Arc<Instances>,
    life: Lifecycle,
    /// Requests that are carried to their end, though the client is gone.
    places: Arc<Semaphore>,
}

impl PlainApis {
    /// Those of these fronts, by the names of those instances.
    pub fn new(fronts: Vec<Arc<dyn HttpFront>>, instances: Arc<Instances>, life: Lifecycle) -> Self {
        Self { fronts, instances, life, places: Arc::new(Semaphore::new(MAX_PLAIN_CONNECTIONS)) }
    }

    /// Does one of them take that path?
    pub fn claims(&self, path: &str) -> bool {
        self.fronts.iter().any(|front| front.claims_http("", path))
    }

    /// Answers a request of a path that is claimed. Its extensions hold `Arc<Channel>`.
    pub async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let host = without_port(host(&request)).to_owned();
        let front = self.fronts.iter().find(|front| front.claims_http(&host, request.uri().path()));
        let Some(front) = front.cloned().filter(|_| self.is_ours(&host)) else {
            return text(StatusCode::MISDIRECTED_REQUEST, MISDIRECTED);
        };
        // Fails only when it is closed, which nobody does.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let served = tokio::spawn(async move {
            let response = front.http(request).await;
            drop(place);
            response
        });
        served.await.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => text(StatusCode::SERVICE_UNAVAILABLE, "The server stops.\n"),
        })
    }

    fn is_ours(&self, host: &str) -> bool {
        is_loopback(host)
            || self.instances.all().iter().any(|instance| {
                let names = self.life.hosting().host_names(instance);
                [names.service, names.device, names.portal].iter().any(|name| name.eq_ignore_ascii_case(host))
            })
    }
}

/// Does the name mean this machine, whatever name servers say (RFC 6761 §6.3)?
fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|inside| inside.strip_suffix(']')).unwrap_or(host);
    let name = bare.strip_suffix('.').unwrap_or(bare).to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The host that the request names, as the APIs read it.
fn host(request: &Request<Body>) -> &str {
    let named = request.uri().authority().map(http::uri::Authority::as_str);
    named.or_else(|| request.headers().get(HOST)?.to_str().ok()).unwrap_or_default()
}

fn text(status: StatusCode, text: &'static str) -> Response<Body> {
    let body = Full::from(text).map_err(|never| match never {}).boxed();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn host_of_this_machine_told_from_names_that_only_look_so() {
        for (host, ours) in [
            ("localhost", true),
            ("LocalHost.", true),
            ("dps-two.localhost", true),
            ("127.0.0.1", true),
            ("127.8.8.8", true),
            ("[::1]", true),
            ("localhost.evil.test", false),
            ("127.0.0.1.evil.test", false),
            ("evil-localhost", false),
            ("10.0.0.1", false),
            ("0.0.0.0", false),
            ("[::]", false),
            ("", false),
        ] {
            assert_eq!(is_loopback(host), ours, "{host}");
        }
    }
}

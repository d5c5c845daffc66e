//! The port without TLS: metrics, health and error pages, and for this machine alone the APIs and the portal. Must not
//! know how a metric comes about.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use dps_events::Metrics;
use dps_model::limits::{MAX_HTTP_HEADER, MAX_PLAIN_CONNECTIONS, PLAIN_CONNECTION_LIFE};
use dps_model::{Channel, Protocol};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::error_pages;
use super::health::Health;
use super::link_probes;
use super::plain_apis::PlainApis;

/// What the port shows.
#[derive(Clone)]
pub struct Shown {
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// How the server is.
    pub health: Arc<Health>,
    /// The APIs and the portal, where nobody else hears what is said.
    pub apis: Option<PlainApis>,
}

/// Serves until the shutdown.
pub async fn serve(listener: TcpListener, shown: Shown, shutdown: watch::Receiver<bool>) {
    let apis = shown.apis.clone();
    let start = if apis.is_some() {
        get(async || Redirect::temporary("/portal/"))
    } else {
        get(async || Html(INDEX))
    };
    let pages = Router::new()
        .route("/", start)
        .route("/metrics", get(text))
        .route("/errors", any(explained))
        .route("/errors/{*code}", any(explained))
        .route("/health", get(async |State(shown): State<Shown>| answer(shown.health.report())))
        .route("/health/live", get(async || answer((StatusCode::OK, json!({"status": "ok"})))))
        .route("/health/ready", get(async |State(shown): State<Shown>| answer(shown.health.ready().await)))
        .with_state(shown);
    connections(&listener, &Doors { pages, apis }, shutdown).await;
}

/// Who answers.
#[derive(Clone)]
struct Doors {
    pages: Router,
    apis: Option<PlainApis>,
}

impl Doors {
    async fn answer(&self, mut request: Request<Incoming>, peer: SocketAddr) -> Response {
        if let Some(apis) = self.apis.as_ref().filter(|apis| apis.claims(request.uri().path())) {
            let channel = Channel { protocol: Protocol::Http, peer, tls: dps_model::TlsSession::default() };
            request.extensions_mut().insert(Arc::new(channel));
            let request = request.map(|body| body.map_err(Into::into).boxed());
            return apis.answer(request).await.map(Body::new);
        }
        let pages = TowerToHyperService::new(self.pages.clone());
        pages.call(request).await.unwrap_or_else(|never| match never {})
    }
}

/// Requests of a connection.
#[derive(Default)]
struct Requests {
    begun: AtomicUsize,
    running: AtomicUsize,
}

async fn connections(listener: &TcpListener, doors: &Doors, mut shutdown: watch::Receiver<bool>) {
    // Out of descriptors an accept fails at once, and would fail again at once.
    let pause = Duration::from_millis(50);
    let gate = Arc::new(Semaphore::new(MAX_PLAIN_CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&gate).acquire_owned().await else { return };
        let accepted = tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(pause).await;
            continue;
        };
        let (doors, stop) = (doors.clone(), shutdown.clone());
        tokio::spawn(async move {
            connection(stream, peer, doors, stop).await;
            drop(permit);
        });
    }
}

/// Serves a connection. One that says nothing, or does not read, gives its place back; a request that takes long, like a
/// query, is answered first.
async fn connection(stream: TcpStream, peer: SocketAddr, doors: Doors, mut stop: watch::Receiver<bool>) {
    let requests = Arc::new(Requests::default());
    let counted = Arc::clone(&requests);
    let service = service_fn(move |request| {
        let (doors, requests) = (doors.clone(), Arc::clone(&counted));
        requests.begun.fetch_add(1, Ordering::Relaxed);
        async move {
            requests.running.fetch_add(1, Ordering::Relaxed);
            let response = doors.answer(request, peer).await;
            requests.running.fetch_sub(1, Ordering::Relaxed);
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(hyper_util::rt::TokioTimer::new()).max_buf_size(MAX_HTTP_HEADER);
    // Telling HTTP/2 by its first bytes would wait for them without a limit.
    let builder = builder.http1_only();
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut ends = false;
    loop {
        tokio::select! {
            _ = connection.as_mut() => return, // a broken connection is the peer's affair
            () = tokio::time::sleep(Duration::from_secs(PLAIN_CONNECTION_LIFE)) => {
                let idle = requests.running.load(Ordering::Relaxed) == 0;
                if requests.begun.load(Ordering::Relaxed) == 0 || (ends && idle) {
                    return;
                }
                connection.as_mut().graceful_shutdown();
                ends = true;
            }
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

const INDEX: &str = "<!doctype html><title>Muster</title><p>Muster is running. <a href=\"/metrics\">Metrics</a> \
     <a href=\"/errors\">Error codes</a>";

fn answer((status, body): (StatusCode, Value)) -> impl IntoResponse {
    (status, Json(body))
}

async fn explained(method: Method, uri: Uri, headers: HeaderMap) -> impl IntoResponse {
    error_pages::answer(&method, uri.path(), &headers).map(axum::body::Body::from)
}

/// Notes what no event tells, right before metrics are shown.
pub fn sample(metrics: &Metrics, health: &Health) {
    metrics.sample(&health.sample());
    metrics.sample_links(&link_probes::samples(health.links()));
}

async fn text(State(shown): State<Shown>, headers: HeaderMap) -> impl IntoResponse {
    let metrics = &shown.metrics;
    sample(metrics, &shown.health);
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepted.contains("application/openmetrics-text") {
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        return ([(CONTENT_TYPE, kind)], metrics.render_open_metrics());
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn connections_that_say_nothing_give_their_places_back() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let pages = Router::new().route("/", get(async || "here"));
        let doors = Doors { pages, apis: None };
        let (_stop, stopped) = watch::channel(false);
        tokio::spawn(async move { connections(&listener, &doors, stopped).await });
        let mut silent = Vec::new();
        for number in 0..MAX_PLAIN_CONNECTIONS {
            let mut stream = TcpStream::connect(address).await.unwrap();
            if number % 2 == 0 {
                stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
            }
            silent.push(stream);
        }
        let mut scraper = TcpStream::connect(address).await.unwrap();
        scraper.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        scraper.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("here"), "{answer}");
    }
}

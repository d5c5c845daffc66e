//! The port without TLS: metrics, health and error pages, later the portal. Must not know how a metric comes about.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::{Html, IntoResponse};
use axum::routing::{any, get};
use axum::{Json, Router};
use dps_events::Metrics;
use dps_model::limits::{MAX_PLAIN_CONNECTIONS, PLAIN_CONNECTION_LIFE};
use http::{HeaderMap, Method, StatusCode, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use super::error_pages;
use super::health::Health;
use super::link_probes;

/// Serves until the shutdown.
pub async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    shutdown: watch::Receiver<bool>,
) {
    let routes = Router::new()
        .route("/", get(async || Html(INDEX)))
        .route("/metrics", get(text))
        .route("/errors", any(explained))
        .route("/errors/{*code}", any(explained))
        .route("/health", get(async |State((_, health)): State<Shown>| answer(health.report())))
        .route("/health/live", get(async || answer((StatusCode::OK, json!({"status": "ok"})))))
        .route("/health/ready", get(async |State((_, health)): State<Shown>| answer(health.ready().await)))
        .with_state((metrics, health));
    connections(&listener, &routes, shutdown).await;
}

async fn connections(listener: &TcpListener, routes: &Router, mut shutdown: watch::Receiver<bool>) {
    // Out of descriptors an accept fails at once, and would fail again at once.
    let pause = Duration::from_millis(50);
    let gate = Arc::new(Semaphore::new(MAX_PLAIN_CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&gate).acquire_owned().await else { return };
        let accepted = tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(pause).await;
            continue;
        };
        let service = TowerToHyperService::new(routes.clone());
        let mut stop = shutdown.clone();
        tokio::spawn(async move {
            let _until_done = permit;
            let mut builder = Builder::new(TokioExecutor::new());
            builder.http1().timer(hyper_util::rt::TokioTimer::new());
            // Telling HTTP/2 by its first bytes would wait for them without a limit.
            let builder = builder.http1_only();
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                _ = connection => {} // a broken connection is the scraper's affair
                () = tokio::time::sleep(Duration::from_secs(PLAIN_CONNECTION_LIFE)) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        });
    }
}

const INDEX: &str = "<!doctype html><title>Muster</title><p>Muster is running. <a href=\"/metrics\">Metrics</a> \
     <a href=\"/errors\">Error codes</a>";

type Shown = (Arc<Metrics>, Arc<Health>);

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

async fn text(State((metrics, health)): State<Shown>, headers: HeaderMap) -> impl IntoResponse {
    sample(&metrics, &health);
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
        let routes = Router::new().route("/", get(async || "here"));
        let (_stop, stopped) = watch::channel(false);
        tokio::spawn(async move { connections(&listener, &routes, stopped).await });
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

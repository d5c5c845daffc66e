//! Telemetry of its own at a collector: a registration is one trace, and metrics come at the end at the latest.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use dps_model::Secret;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::sync::Notify;

use crate::harness::device::{Device, Protocol};
use crate::harness::run;
use crate::harness::server::Start;

/// What it was sent; the first request is answered with 503.
#[derive(Clone, Default)]
struct Collector {
    taken: Arc<Mutex<Vec<(String, HeaderMap, Bytes)>>>,
    more: Arc<Notify>,
}

impl Collector {
    /// Starts it; gives its address.
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(take).with_state(self.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = TowerToHyperService::new(router.clone());
                let server = Builder::new(TokioExecutor::new());
                tokio::spawn(
                    async move { server.serve_connection(TokioIo::new(stream), service).await.ok() },
                );
            }
        });
        base
    }

    fn bodies(&self, path: &str) -> Vec<Bytes> {
        let taken = self.taken.lock().unwrap();
        let of_path = taken.iter().skip(1).filter(|(asked, ..)| asked == path);
        of_path.map(|(.., body)| body.clone()).collect()
    }

    fn spans(&self) -> Vec<Span> {
        let requests = self.bodies("/v1/traces");
        let requests = requests.iter().map(|body| ExportTraceServiceRequest::decode(body.clone()).unwrap());
        let scopes = requests.flat_map(|request| request.resource_spans).flat_map(|it| it.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }
}

async fn take(State(kept): State<Collector>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut taken = kept.taken.lock().unwrap();
    let is_first = taken.is_empty();
    taken.push((uri.path().to_owned(), headers, body));
    kept.more.notify_one();
    if is_first { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
}

#[test]
fn registration_is_one_trace_at_the_collector() {
    run(async {
        let collector = Collector::default();
        let base = collector.start().await;
        let folder = tempfile::tempdir().unwrap();
        let environment = [
            "/usr/bin/env".to_owned(),
            format!("OTEL_EXPORTER_OTLP_ENDPOINT={base}"),
            "OTEL_EXPORTER_OTLP_HEADERS=api-key=s3cret".to_owned(),
            "OTEL_SERVICE_NAME=plant-7".to_owned(),
        ];
        let server = Start::on(folder.path()).under(&environment, Path::new("/")).server().await;
        let endpoint = &server.endpoint;
        let key = Secret::new(vec![9; 32]);
        endpoint.enroll_group(&mut endpoint.http().await.unwrap(), "robots", &key).await.unwrap();
        let device = Device::of_group("robot-1", Protocol::Mqtt, &key, endpoint);
        device.provision(endpoint).await.unwrap();

        let spans = loop {
            let spans = collector.spans();
            if spans.iter().any(|span| span.name == "putDevice") {
                break spans;
            }
            collector.more.notified().await;
        };
        let by_name: HashMap<&str, &Span> = spans.iter().map(|span| (&*span.name, span)).collect();
        let (request, assigned) = (by_name["AttestationAttempt"], by_name["RegistrationAttempt"]);
        let (verify, put) = (by_name["verify"], by_name["putDevice"]);
        for span in [assigned, verify, put] {
            assert_eq!(span.trace_id, request.trace_id, "{}", span.name);
        }
        assert_eq!((&assigned.parent_span_id, &put.parent_span_id), (&request.span_id, &assigned.span_id));

        server.stop();
        let metrics = collector.bodies("/v1/metrics").pop().expect("metrics come at the end");
        let metrics = ExportMetricsServiceRequest::decode(metrics).unwrap();
        let scope = &metrics.resource_metrics[0].scope_metrics[0];
        assert!(scope.metrics.iter().any(|metric| metric.name == "dps_attestation_attempts"), "{scope:?}");
        let (_, headers, _) = collector.taken.lock().unwrap()[0].clone();
        assert_eq!(headers["api-key"], "s3cret");
    });
}

//! The development hub's REST behind a real TLS socket on a free port, and the REST client that trusts it.

use std::net::SocketAddr;
use std::sync::Arc;

use dps_core::ports::SystemClock;
use dps_devhub::DevHubs;
use dps_device_api::foreign::{Body, HttpFront};
use dps_hub::{RestHubs, client_config};
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls_pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Serves until the test's runtime ends. The client trusts nothing but this server's certificate and the machine's.
pub async fn serve(hubs: Arc<DevHubs>) -> (SocketAddr, RestHubs) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, hubs) = (acceptor.clone(), Arc::clone(&hubs));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = service_fn(move |request: Request<Incoming>| {
                    let hubs = Arc::clone(&hubs);
                    async move { Ok::<_, std::convert::Infallible>(answer(&hubs, request).await) }
                });
                Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await.ok();
            });
        }
    });
    let tls = client_config(provider, [certificate]).unwrap();
    (address, RestHubs::new(Arc::new(SystemClock::new()), tls).unwrap())
}

async fn answer(hubs: &DevHubs, request: Request<Incoming>) -> Response<Body> {
    hubs.http(request.map(|body| body.map_err(Into::into).boxed())).await
}

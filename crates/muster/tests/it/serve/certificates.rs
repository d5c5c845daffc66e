//! A server certificate that is changed while devices connect: none of them notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::fixture::{Hub, Production, Site};
use crate::harness::run;
use crate::harness::tls;

/// Connections that are made at once, again and again.
const CLIENTS: usize = 8;
/// Certificates, one after the other.
const CHANGES: usize = 4;

/// The leaf that a new connection is shown; the handshake proves that the server has its key.
async fn shown(port: u16, trust: &tls::Trust) -> Vec<u8> {
    let stream = tls::connect(port, &trust.plain).await.expect("a handshake");
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

fn leaf(chain: &str) -> Vec<u8> {
    CertificateDer::from_pem_slice(chain.as_bytes()).unwrap().to_vec()
}

/// Connects until every port shows that leaf. No session is resumed: what is shown is what is served now.
async fn until_shown(server: &Production, wanted: &[u8]) {
    let mut config = ClientConfig::clone(&server.endpoint.trust.plain);
    config.resumption = Resumption::disabled();
    let config = Arc::new(config);
    for port in [server.endpoint.https, server.endpoint.mqtt, server.endpoint.amqp] {
        loop {
            let stream = tls::connect(port, &config).await.expect("a handshake");
            if stream.get_ref().1.peer_certificates().unwrap()[0].as_ref() == wanted {
                break;
            }
        }
    }
}

#[test]
fn certificate_is_changed_under_load_without_a_failed_handshake() {
    run(async {
        let hub = Hub::start().await;
        let site = Site::linked(&hub);
        let server = site.start().await;
        let (ended, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (ended, made) = (Arc::clone(&ended), Arc::clone(&made));
                let endpoint = server.endpoint.clone();
                let port = [endpoint.https, endpoint.mqtt, endpoint.amqp][client % 3];
                tokio::spawn(async move {
                    while !ended.load(Ordering::Relaxed) {
                        shown(port, &endpoint.trust).await;
                        made.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        for _ in 0..CHANGES {
            let certificate = site.authority.issue();
            site.put_certificate(&certificate);
            until_shown(&server, &leaf(&certificate.0)).await;
        }
        ended.store(true, Ordering::Relaxed);
        for client in clients {
            client.await.expect("no handshake failed");
        }
        assert!(made.load(Ordering::Relaxed) > CLIENTS * CHANGES);
        let health = server.until("/health", |_, body| body["certificates"]["notTaken"].is_null()).await;
        assert_eq!(health["certificates"]["served"][0]["hosts"][0], "localhost");
        server.stop();
        hub.server.stop();
    });
}

#[test]
fn files_that_cannot_be_used_leave_the_old_certificate_and_are_told() {
    run(async {
        let hub = Hub::start().await;
        let site = Site::linked(&hub);
        let server = site.start().await;
        let served = shown(server.endpoint.mqtt, &server.endpoint.trust).await;
        let (chain, _) = site.authority.issue();
        site.put("chain.pem", &chain);
        let health = server.until("/health", |_, body| body["certificates"]["notTaken"].is_string()).await;
        let why = health["certificates"]["notTaken"].as_str().unwrap();
        assert!(why.contains("key.pem does not go with"), "{why}");
        server.process.stderr.said("the server certificates stay as they are").await;
        assert_eq!(server.plain("/health").await.0, 200, "it serves as before");
        until_shown(&server, &served).await;

        site.put("chain.pem", "nothing");
        server.process.hang_up();
        let no_pem = |_, body: &serde_json::Value| {
            body["certificates"]["notTaken"].as_str().is_some_and(|why| why.contains("no certificate in PEM"))
        };
        server.until("/health", no_pem).await;
        until_shown(&server, &served).await;

        let certificate = site.authority.issue();
        site.put_certificate(&certificate);
        until_shown(&server, &leaf(&certificate.0)).await;
        server.until("/health", |_, body| body["certificates"]["notTaken"].is_null()).await;
        server.stop();
        hub.server.stop();
    });
}

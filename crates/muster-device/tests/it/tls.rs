use muster_device::{Error, Transport};
use tokio::net::TcpListener;

use crate::pki::Ca;
use crate::{HOST, client, key};

/// The error of a client that trusts `trusted`, against a server certified by `ca` for `name`.
async fn refused(trusted: &Ca, ca: &Ca, name: &str) -> Error {
    let listener = ca.listen(&[name]).await;
    let client = client(trusted, Transport::Https, listener.port, key()).build().unwrap();
    let (result, accepted) = tokio::join!(client.provision(), listener.accept());
    assert!(accepted.is_err(), "nothing was said to a server that is not believed");
    result.unwrap_err()
}

#[tokio::test]
async fn server_of_another_ca_not_believed() {
    let error = refused(&Ca::new(), &Ca::new(), HOST).await;
    assert!(matches!(&error, Error::Tls { .. }), "{error}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn server_of_another_name_not_believed() {
    let ca = Ca::new();
    let error = refused(&ca, &ca, "other.test").await;
    assert!(matches!(&error, Error::Tls { reason, .. } if reason.contains("name")), "{error}");
}

#[tokio::test]
async fn server_absent_is_unreachable() {
    let ca = Ca::new();
    let port = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap().port();
    let error = client(&ca, Transport::Mqtt, port, key()).build().unwrap().provision().await.unwrap_err();
    assert!(
        matches!(&error, Error::Unreachable { address, .. } if *address == format!("{HOST}:{port}")),
        "{error}"
    );
    assert!(error.is_transient());
}

//! The handshake: any certificate, both versions, possession proven.

use dps_events::Event;
use rustls::HandshakeKind;
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt as _};

use crate::fixture::{Server, connect, connect_as};
use crate::https::Http;
use crate::pki::{Device, EC, ED25519, P521, RSA};

const VERSIONS: [(&SupportedProtocolVersion, &str); 2] = [(&TLS12, "TLSv1.2"), (&TLS13, "TLSv1.3")];

#[tokio::test]
async fn handshake_any_certificate_or_none_accepted() {
    let server = Server::start().await;
    let devices = [
        None,
        Some(Device::new("d", EC)),
        Some(Device::new("d", RSA)),
        Some(Device::new("d", P521)),
        Some(Device::new("d", ED25519)),
        Some(Device::with_critical_extension("d")),
        Some(Device::version_1("d")),
    ];
    for (version, name) in VERSIONS {
        for (index, device) in devices.iter().enumerate() {
            let config = server.ca.client(version, device.as_ref());
            let stream = connect(server.https, config).await.unwrap();
            let answer = Http::one(stream).await.register("d").await;
            assert_eq!(answer.status(), 202, "{name}, device {index}");
            let seen = server.seen().pop().unwrap();
            assert_eq!(seen.chain, usize::from(device.is_some()), "{name}, device {index}");
            assert_eq!((&*seen.tls_version, seen.sni.as_deref()), (name, Some("localhost")));
        }
    }
}

#[tokio::test]
async fn handshake_anothers_certificate_with_own_key_refused() {
    let mut server = Server::start().await;
    for (version, name) in VERSIONS {
        for (victim, thief) in [(EC, EC), (RSA, RSA), (ED25519, EC), (P521, EC)] {
            let device = Device::new("victim", victim).posing_with(&Device::new("thief", thief));
            let config = server.ca.client(version, Some(&device));
            // In TLS 1.3 the client is done before the server has judged; its first read tells it.
            let refusal = match connect(server.mqtt, config).await {
                Ok(mut stream) => stream.read_u8().await.unwrap_err(),
                Err(error) => error,
            };
            assert!(refusal.to_string().contains("DecryptError"), "{name}: {refusal}");
            let record = server.connection_event().await;
            assert_eq!(record.stage, "handshake", "{}", record.reason);
        }
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn handshake_too_long_a_chain_refused_with_its_size() {
    let mut server = Server::start().await;
    let mut device = Device::new("d", EC);
    device.chain = vec![device.chain[0].clone(); 11];
    let mut stream = connect(server.mqtt, server.ca.client(&TLS13, Some(&device))).await.unwrap();
    assert!(stream.read_u8().await.is_err());
    let record = server.connection_event().await;
    assert!(record.reason.contains("11 certificates"), "{}", record.reason);
}

#[tokio::test]
async fn resumption_keeps_the_chain() {
    let server = Server::start().await;
    for (version, name) in VERSIONS {
        let config = server.ca.client(version, Some(&Device::new("d", EC)));
        let first = connect(server.https, config.clone()).await.unwrap();
        let mut http = Http::one(first).await;
        assert_eq!(http.register("d").await.status(), 202);
        let second = connect(server.https, config).await.unwrap();
        assert_eq!(second.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed), "{name}");
        assert_eq!(Http::one(second).await.register("d").await.status(), 202);
        assert!(server.seen().iter().all(|seen| seen.chain == 1), "{name}");
    }
}

#[tokio::test]
async fn server_certificate_chosen_by_name_and_replaced_while_running() {
    let server = Server::start().await;
    assert!(connect_as(server.https, server.plain(), "second.localhost").await.is_err());
    server.tls.put("Second.localhost", &server.ca.server(&["second.localhost"])).unwrap();
    assert!(connect_as(server.https, server.plain(), "second.localhost").await.is_ok());
    assert!(connect(server.https, server.plain()).await.is_ok());
    server.tls.replace_default(&server.ca.server(&["other.localhost"]));
    assert!(connect(server.https, server.plain()).await.is_err());
    assert!(connect_as(server.mqtt, server.plain(), "other.localhost").await.is_ok());
    server.tls.remove("second.LOCALHOST");
    assert!(connect_as(server.https, server.plain(), "second.localhost").await.is_err());
}

#[tokio::test]
async fn server_certificates_replaced_together_cover_names_below_a_wildcard() {
    let server = Server::start().await;
    server.tls.put("old.localhost", &server.ca.server(&["old.localhost"])).unwrap();
    let (default, below) = (server.ca.server(&["localhost"]), server.ca.server(&["*.dps.localhost"]));
    server.tls.replace(&default, vec![("*.DPS.localhost".to_owned(), below)]).unwrap();
    for (name, served) in [
        ("localhost", true),
        ("one.dps.localhost", true),
        ("two.dps.localhost", true),
        ("dps.localhost", false),
        ("a.one.dps.localhost", false),
        ("old.localhost", false),
    ] {
        let connected = connect_as(server.https, server.plain(), name).await;
        assert_eq!(connected.is_ok(), served, "{name}");
    }
}

#[tokio::test]
async fn handshake_of_an_old_client_names_what_it_offers() {
    let mut server = Server::start().await;
    // A hello of TLS 1.1 with one suite of its time, and the signal of RFC 5746.
    let mut hello = vec![0x03, 0x02];
    hello.extend([7; 32]);
    hello.extend([0, 0, 4, 0xc0, 0x13, 0x00, 0xff, 1, 0]);
    let length = u8::try_from(hello.len()).unwrap();
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend(hello);
    let mut tcp = tokio::net::TcpStream::connect(server.mqtt).await.unwrap();
    tcp.write_all(&record).await.unwrap();
    let mut answer = Vec::new();
    tcp.read_to_end(&mut answer).await.unwrap();
    let record = server.connection_event().await;
    let seen = record.handshake.unwrap();
    assert_eq!(
        (seen.offered, seen.alert, seen.sni),
        (vec!["before TLSv1.2, or without signature_algorithms"], None, None)
    );
}

#[tokio::test]
async fn handshake_client_that_distrusts_the_server_leaves_one_event() {
    let mut server = Server::start().await;
    let stranger = crate::pki::Ca::new();
    assert!(connect(server.mqtt, stranger.client(&TLS13, None)).await.is_err());
    let record = server.connection_event().await;
    assert_eq!(record.stage, "handshake");
    let seen = record.handshake.unwrap();
    // The stranger has the same name, so to this client the signature is wrong.
    assert_eq!((seen.alert.as_deref(), seen.sni.as_deref()), (Some("decrypt_error"), Some("localhost")));
    assert!(seen.offered.contains(&"TLSv1.3"), "{:?}", seen.offered);
    let served = seen.served.unwrap();
    assert!(served.sha256_thumbprint.len() == 64 && served.not_before < served.not_after, "{served:?}");
    assert!(!server.stop().await.iter().any(|event| matches!(event, Event::Connection(_))));
}

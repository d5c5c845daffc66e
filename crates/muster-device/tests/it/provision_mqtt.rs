use std::time::Duration;

use dps_attestation::{SasToken, symmetric_key};
use dps_wire::mqtt::packet::{Connect, ConnectReturnCode, Packet, SubscribeResult};
use dps_wire::mqtt::topic::dps::{Request, UserName};
use muster_device::{Clock, Error, Substatus, SystemClock, Transport};
use tokio::io::AsyncWriteExt;

use crate::mqtt_peer::Peer;
use crate::pki::{Ca, Listener, leaf};
use crate::{ASSIGNED, ASSIGNING, DEVICE, HOST, KEY, OPERATION, SCOPE, UNAUTHORIZED, client, key};

/// The error of a client against a server that the test plays.
async fn refused(play: impl AsyncFnOnce(&mut Peer)) -> Error {
    refused_within(Duration::from_secs(30), play).await
}

async fn refused_within(timeout: Duration, play: impl AsyncFnOnce(&mut Peer)) -> Error {
    let ca = Ca::new();
    let listener = ca.listen(&[HOST]).await;
    let client = client(&ca, Transport::Mqtt, listener.port, key()).timeout(timeout).build().unwrap();
    let serve = async {
        let mut peer = Peer::accept(&listener).await;
        play(&mut peer).await;
        peer
    };
    let (result, _peer) = tokio::join!(client.provision(), serve);
    result.unwrap_err()
}

fn check_connect(connect: &Connect) {
    let user_name = UserName::parse(connect.user_name.as_deref().unwrap()).unwrap();
    assert_eq!(user_name.id_scope, SCOPE);
    assert_eq!(user_name.registration_id_raw, DEVICE);
    assert_eq!(user_name.api_version.as_deref(), Some("2021-10-01"));
    assert!(user_name.client_version.unwrap().starts_with("muster-device/"));
    assert_eq!(connect.client_id, DEVICE);
}

async fn assign(listener: &Listener) -> (Connect, Option<rustls_pki_types::CertificateDer<'static>>) {
    let mut peer = Peer::accept(listener).await;
    let certificate = leaf(&peer.stream);
    let (connect, filters) = peer.welcome().await;
    assert_eq!(filters, ["$dps/registrations/res/#"]);
    let (request, body) = peer.request().await;
    assert!(matches!(request, Request::Register { .. }));
    assert_eq!(body, r#"{"registrationId":"my.dev_01:a-b","payload":{"model":7}}"#);
    peer.respond(&request, 202, Some(3), ASSIGNING).await;
    let (request, _) = peer.request().await;
    assert!(matches!(&request, Request::OperationStatus { operation_id, .. } if operation_id == OPERATION));
    peer.respond(&request, 200, None, ASSIGNED).await;
    assert!(peer.left_in_good_order().await);
    (connect, certificate)
}

#[tokio::test]
async fn provision_mqtt_symmetric_key_assigned() {
    let ca = Ca::new();
    let listener = ca.listen(&[HOST]).await;
    let client = client(&ca, Transport::Mqtt, listener.port, key())
        .payload(serde_json::json!({"model": 7}))
        .build()
        .unwrap();
    let (assignment, (connect, certificate)) = tokio::join!(client.provision(), assign(&listener));
    let assignment = assignment.unwrap();
    assert_eq!((assignment.assigned_hub.as_str(), assignment.device_id.as_str()), ("hub.test", DEVICE));
    assert_eq!(assignment.operation_id, OPERATION);
    assert_eq!(assignment.substatus, Some(Substatus::InitialAssignment));
    check_connect(&connect);
    assert!(certificate.is_none());
    let token = SasToken::parse(connect.password.unwrap().expose_str().unwrap()).unwrap();
    assert!(token.resource_is(&format!("{SCOPE}/registrations/{DEVICE}")));
    assert_eq!(token.policy(), Some("registration"));
    let key = symmetric_key::read(KEY).unwrap();
    token.check([&key, &key], SystemClock.now()).unwrap();
}

#[tokio::test]
async fn provision_mqtt_certificate_assigned_without_password() {
    let ca = Ca::new();
    let listener = ca.listen(&[HOST]).await;
    let (attestation, leaf) = ca.device(DEVICE);
    let client = client(&ca, Transport::Mqtt, listener.port, attestation)
        .payload(serde_json::json!({"model": 7}))
        .build()
        .unwrap();
    let (assignment, (connect, certificate)) = tokio::join!(client.provision(), assign(&listener));
    assignment.unwrap();
    check_connect(&connect);
    assert_eq!(connect.password, None);
    assert_eq!(certificate, Some(leaf));
}

#[tokio::test]
async fn provision_mqtt_connack_refusal_says_what_it_means() {
    for (code, word) in [
        (ConnectReturnCode::ServerUnavailable, "ID scope"),
        (ConnectReturnCode::NotAuthorized, "not authorized"),
    ] {
        let error = refused(async |peer| {
            peer.connect().await;
            peer.connack(code).await;
        })
        .await;
        assert!(
            matches!(error, Error::ConnectionRefused { return_code, .. } if return_code == code as u8),
            "{error}"
        );
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[tokio::test]
async fn provision_mqtt_401_is_a_refusal_and_the_client_leaves() {
    let error = refused(async |peer| {
        peer.welcome().await;
        let (request, _) = peer.request().await;
        peer.respond(&request, 401, None, UNAUTHORIZED).await;
        assert!(peer.left_in_good_order().await);
    })
    .await;
    assert_eq!(
        error,
        Error::Refused {
            status: 401,
            error_code: Some(401_002),
            message: "Unauthorized".into(),
            tracking_id: Some("2f8ae4b0-6ba1-4d1c-9d4e-6f6a4b1f0a11".into()),
            retry_after: None,
        }
    );
}

#[tokio::test]
async fn provision_mqtt_429_keeps_retry_after() {
    let error = refused(async |peer| {
        peer.welcome().await;
        let (request, _) = peer.request().await;
        peer.respond(&request, 429, Some(17), r#"{"errorCode":429001,"message":"Throttled"}"#).await;
    })
    .await;
    assert_eq!((error.retry_after(), error.is_transient()), (Some(17), true));
}

#[tokio::test]
async fn provision_mqtt_answer_to_another_question_ignored() {
    let error = refused(async |peer| {
        peer.welcome().await;
        let (request, _) = peer.request().await;
        peer.publish("$dps/registrations/res/200/?$rid=nobody", ASSIGNED).await;
        let disabled = r#"{"operationId":"","status":"disabled"}"#;
        peer.respond(&request, 200, None, disabled).await;
    })
    .await;
    assert_eq!(error, Error::Disabled);
}

#[tokio::test]
async fn provision_mqtt_refused_subscription_is_a_protocol_error() {
    let error = refused(async |peer| {
        peer.connect().await;
        peer.connack(ConnectReturnCode::Accepted).await;
        peer.suback(SubscribeResult::Failure).await;
    })
    .await;
    assert!(matches!(&error, Error::Protocol(text) if text.contains("subscription")), "{error}");
}

#[tokio::test]
async fn provision_mqtt_hostile_bytes_are_protocol_errors() {
    // In place of CONNACK: another protocol, a packet of 256 MB, a packet that only clients send.
    for bytes in [&b"HTTP/1.1 400 Bad Request\r\n"[..], b"\x30\xff\xff\xff\x7f", b"\xc0\x00"] {
        let error = refused(async |peer| {
            peer.connect().await;
            peer.raw(bytes).await;
        })
        .await;
        assert!(matches!(error, Error::Protocol(_)), "{error}");
    }
    // In place of an answer: the same, a topic of another service, a message with QoS 2.
    for bytes in
        [&b"\x30\xff\xff\xff\x7f"[..], b"\x00\x00", b"\x30\x03\x00\x01a", b"\x34\x05\x00\x01a\x00\x01"]
    {
        let error = refused(async |peer| {
            peer.welcome().await;
            peer.request().await;
            peer.raw(bytes).await;
        })
        .await;
        assert!(matches!(error, Error::Protocol(_)), "{error}");
    }
}

#[tokio::test]
async fn provision_mqtt_connection_closed_is_a_protocol_error() {
    let error = refused(async |peer| {
        peer.welcome().await;
        peer.request().await;
        peer.stream.shutdown().await.unwrap();
    })
    .await;
    assert!(matches!(&error, Error::Protocol(text) if text.contains("closed the connection")), "{error}");
}

#[tokio::test]
async fn provision_mqtt_silent_service_times_out() {
    let error = refused_within(Duration::from_millis(300), async |peer| {
        // Neither answered nor closed: the client leaves by itself, with or without a word.
        while !matches!(peer.read().await, None | Some(Packet::Disconnect)) {}
    })
    .await;
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
}

use dps_attestation::{SasToken, symmetric_key};
use muster_device::{Assignment, Attestation, Clock, Error, SystemClock, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::http_service::{Asked, Reply, Service, reply};
use crate::pki::Ca;
use crate::{ASSIGNED, ASSIGNING, DEVICE, HOST, KEY, OPERATION, SCOPE, UNAUTHORIZED, client, key};

const JSON: &[(&str, &str)] = &[("content-type", "application/json; charset=utf-8"), ("retry-after", "3")];

async fn provision(
    ca: &Ca,
    attestation: Attestation,
    replies: Vec<Reply>,
) -> (Result<Assignment, Error>, Vec<Asked>) {
    let service = Service::start(ca.listen(&[HOST]).await, replies);
    let client = client(ca, Transport::Https, service.port, attestation).build().unwrap();
    let result = client.provision().await;
    (result, service.asked())
}

#[tokio::test]
async fn provision_https_symmetric_key_assigned() {
    let ca = Ca::new();
    let replies = vec![reply(202, JSON, ASSIGNING), reply(202, JSON, ASSIGNING), reply(200, JSON, ASSIGNED)];
    let (result, asked) = provision(&ca, key(), replies).await;
    let assignment = result.unwrap();
    assert_eq!((assignment.assigned_hub.as_str(), assignment.device_id.as_str()), ("hub.test", DEVICE));
    let base = format!("/{SCOPE}/registrations/my.dev_01%3Aa-b");
    let poll = format!("GET {base}/operations/{OPERATION}?api-version=2021-10-01");
    let lines: Vec<&str> = asked.iter().map(|asked| asked.line.as_str()).collect();
    assert_eq!(lines, [&format!("PUT {base}/register?api-version=2021-10-01"), &poll, &poll]);
    assert_eq!(asked[0].body, r#"{"registrationId":"my.dev_01:a-b"}"#);
    assert_eq!(asked[0].header("content-type"), Some("application/json; charset=utf-8"));
    assert!(asked[0].header("host").unwrap().starts_with("dps.test:"));
    assert!(asked[0].header("user-agent").unwrap().starts_with("muster-device/"));
    let key = symmetric_key::read(KEY).unwrap();
    for asked in &asked {
        let token = SasToken::parse(asked.header("authorization").unwrap()).unwrap();
        assert!(token.resource_is(&format!("{SCOPE}/registrations/{DEVICE}")));
        token.check([&key, &key], SystemClock.now()).unwrap();
        assert_eq!(asked.connection, 1, "one connection for all requests");
    }
}

#[tokio::test]
async fn provision_https_certificate_assigned_without_token() {
    let ca = Ca::new();
    let (attestation, leaf) = ca.device(DEVICE);
    let replies = vec![reply(202, JSON, ASSIGNING), reply(200, JSON, ASSIGNED)];
    let (result, asked) = provision(&ca, attestation, replies).await;
    result.unwrap();
    assert_eq!(asked.len(), 2);
    for asked in &asked {
        assert_eq!(asked.header("authorization"), None);
        assert_eq!(asked.certificate.as_ref(), Some(&leaf));
    }
}

#[tokio::test]
async fn provision_https_connection_closed_between_polls_opened_again() {
    let ca = Ca::new();
    let closing: &[(&str, &str)] = &[("connection", "close")];
    let replies = vec![reply(202, closing, ASSIGNING), reply(200, JSON, ASSIGNED)];
    let (result, asked) = provision(&ca, key(), replies).await;
    result.unwrap();
    assert_eq!(asked.iter().map(|asked| asked.connection).collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test]
async fn provision_https_refusals_are_read() {
    let ca = Ca::new();
    let (result, asked) = provision(&ca, key(), vec![reply(401, JSON, UNAUTHORIZED)]).await;
    let error = result.unwrap_err();
    assert!(matches!(&error, Error::Refused { status: 401, error_code: Some(401_002), .. }), "{error}");
    assert_eq!(asked.len(), 1, "not asked again");

    let later: &[(&str, &str)] = &[("retry-after", "17")];
    let (result, _) = provision(&ca, key(), vec![reply(429, later, "")]).await;
    assert_eq!(
        result.unwrap_err(),
        Error::Refused {
            status: 429,
            error_code: None,
            message: "Too Many Requests".into(),
            tracking_id: None,
            retry_after: Some(17),
        }
    );
}

#[tokio::test]
async fn provision_https_failed_assignment_has_its_reason() {
    let ca = Ca::new();
    let failed = r#"{"operationId":"4.a.b","status":"failed","registrationState":{"registrationId":"r",
        "status":"failed","errorCode":400207,"errorMessage":"Custom allocation failed with status code: 400"}}"#;
    let (result, _) =
        provision(&ca, key(), vec![reply(202, JSON, ASSIGNING), reply(200, JSON, failed)]).await;
    assert_eq!(
        result.unwrap_err().to_string(),
        "the assignment failed (400207): Custom allocation failed with status code: 400"
    );
}

#[tokio::test]
async fn provision_https_hostile_bodies_are_protocol_errors() {
    let ca = Ca::new();
    let huge = format!("{{\"operationId\":\"{}\",\"status\":\"assigning\"}}", "5".repeat(200_000));
    let long = format!("{{\"operationId\":\"{}\",\"status\":\"assigning\"}}", "5".repeat(1_000));
    let deep = "[".repeat(50_000);
    let alien = r#"{"operationId":"5.a","status":"assigned","registrationState":{"registrationId":"r",
        "status":"assigned","assignedHub":"https://hub/","deviceId":"d"}}"#;
    for body in [huge.as_str(), &long, &deep, alien, "", "null", "\u{0}"] {
        let (result, _) = provision(&ca, key(), vec![reply(202, JSON, body)]).await;
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Protocol(_)), "{error}");
    }
}

#[tokio::test]
async fn provision_https_other_protocol_is_a_protocol_error() {
    let ca = Ca::new();
    for bytes in [&b"\x20\x02\x00\x00"[..], b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b""] {
        let listener = ca.listen(&[HOST]).await;
        let client = client(&ca, Transport::Https, listener.port, key()).build().unwrap();
        let serve = async {
            let mut stream = listener.accept().await.unwrap();
            let mut chunk = [0; 4096];
            assert!(stream.read(&mut chunk).await.unwrap() > 0);
            stream.write_all(bytes).await.unwrap();
            stream.shutdown().await.unwrap();
        };
        let (result, ()) = tokio::join!(client.provision(), serve);
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Protocol(_)), "{error}");
    }
}

//! The REST client against a hub that answers what the test wrote. Semantics against a real registry are proven by
//! the development hub's `hub_suite`.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)] // helpers of tests fail like tests

mod scripted;
mod webhook;

use dps_attestation::SasToken;
use dps_core::ports::{Clock, HubError, Hubs, SystemClock, TwinTaken};
use dps_model::enrollment::DeviceCapabilities;
use dps_model::hub::{HubAuthentication, HubDevice, HubTwin};
use dps_model::{DeviceId, Secret};
use scripted::{Scripted, answer};

fn device() -> HubDevice {
    HubDevice {
        device_id: DeviceId::parse("d1").unwrap(),
        authentication: HubAuthentication::Sas {
            primary: Secret::new(vec![1; 32]),
            secondary: Secret::new(vec![2; 32]),
        },
        capabilities: DeviceCapabilities::default(),
    }
}

const OTHER_KEYS: &str = r#"{"deviceId":"d1","etag":"AAA=","status":"disabled","deviceScope":"s","authentication":{"type":"sas","symmetricKey":{"primaryKey":"AAAA","secondaryKey":"AAAA"}},"capabilities":{"iotEdge":false}}"#;

#[tokio::test]
async fn request_carries_token_version_and_etag() {
    let hub = Scripted::start([
        answer("409 Conflict", &[], r#"{"Message":"ErrorCode:DeviceAlreadyExists;x"}"#),
        answer("200 OK", &[], OTHER_KEYS),
        answer("412 Precondition Failed", &[], "{}"),
        answer("409 Conflict", &[], "{}"),
        answer("200 OK", &[], OTHER_KEYS),
        answer("200 OK", &[], OTHER_KEYS),
    ])
    .await;
    hub.client.put_device(&hub.link, &device(), None).await.unwrap();
    let requests = hub.requests();
    let lines: Vec<&str> = requests.iter().map(|request| request.line.as_str()).collect();
    let (put, get) = (
        "PUT /devices/d1?api-version=2021-04-12 HTTP/1.1",
        "GET /devices/d1?api-version=2021-04-12 HTTP/1.1",
    );
    assert_eq!(lines, [put, get, put, put, get, put]);
    let tags: Vec<Option<&str>> = requests.iter().map(|request| request.header("if-match")).collect();
    assert_eq!(tags, [None, None, Some("\"AAA=\""), None, None, Some("\"AAA=\"")]);
    let token = SasToken::parse(requests[0].header("authorization").unwrap()).unwrap();
    let key = &hub.link.connection.key;
    assert!(token.check([key, key], SystemClock::new().now()).is_ok());
    assert_eq!((token.resource(), token.policy()), (hub.link.connection.host.as_str(), Some("iothubowner")));
    assert_eq!(requests[1].header("authorization"), requests[0].header("authorization"));
    let body: serde_json::Value = serde_json::from_slice(&requests[2].body).unwrap();
    assert_eq!((&body["status"], &body["deviceScope"]), (&"disabled".into(), &"s".into()));
    assert_eq!(
        body["authentication"]["symmetricKey"]["secondaryKey"],
        "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="
    );
}

#[tokio::test]
async fn identity_changed_by_others_for_ever_gives_up_and_may_be_retried() {
    let round = [
        answer("409 Conflict", &[], "{}"),
        answer("200 OK", &[], OTHER_KEYS),
        answer("412 Precondition Failed", &[], "{}"),
    ];
    let rounds = dps_model::limits::HUB_WRITE_ATTEMPTS;
    let hub = Scripted::start(round.iter().cycle().take(3 * rounds).cloned()).await;
    let outcome = hub.client.put_device(&hub.link, &device(), None).await;
    assert!(outcome.as_ref().is_err_and(HubError::is_transient), "{outcome:?}");
    assert_eq!(hub.requests().len(), 3 * rounds);
}

#[tokio::test]
async fn identity_equal_already_is_not_written() {
    let same = OTHER_KEYS.replacen("AAAA", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", 1).replacen(
        "AAAA",
        "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=",
        1,
    );
    let hub = Scripted::start([answer("409 Conflict", &[], "{}"), answer("200 OK", &[], &same)]).await;
    hub.client.put_device(&hub.link, &device(), None).await.unwrap();
    assert_eq!(hub.requests().len(), 2);
}

#[tokio::test]
async fn twin_of_a_new_device_is_put_with_any_etag() {
    let hub = Scripted::start([answer("200 OK", &[], "{}"), answer("200 OK", &[], "{}")]).await;
    let twin = HubTwin { tags: [("a".to_owned(), 1.into())].into_iter().collect(), ..HubTwin::default() };
    hub.client.put_device(&hub.link, &device(), Some(&twin)).await.unwrap();
    let requests = hub.requests();
    assert_eq!(requests[1].line, "PUT /twins/d1?api-version=2021-04-12 HTTP/1.1");
    assert_eq!(requests[1].header("if-match"), Some("\"*\""));
    assert_eq!(requests[1].body, br#"{"properties":{"desired":{}},"tags":{"a":1}}"#);
}

fn carried() -> HubTwin {
    HubTwin { reported: [("fw".to_owned(), "1".into())].into_iter().collect(), ..HubTwin::default() }
}

#[tokio::test]
async fn reported_properties_travel_in_a_bulk_request_and_are_read_back() {
    let shown = r#"{"tags":{},"properties":{"desired":{"$version":1},"reported":{"fw":"1","$version":2}}}"#;
    let hub = Scripted::start([
        answer("200 OK", &[], "{}"),
        answer("200 OK", &[], r#"{"isSuccessful":true,"errors":[],"warnings":[]}"#),
        answer("200 OK", &[], shown),
    ])
    .await;
    let taken = hub.client.put_device(&hub.link, &device(), Some(&carried())).await.unwrap();
    assert_eq!(taken, TwinTaken::Whole);
    let requests = hub.requests();
    assert_eq!(requests[1].line, "POST /devices?api-version=2021-04-12 HTTP/1.1");
    assert_eq!(
        requests[1].body,
        br#"[{"id":"d1","importMode":"updateTwin","properties":{"desired":{},"reported":{"fw":"1"}},"tags":{}}]"#
    );
}

#[tokio::test]
async fn hub_that_keeps_reported_properties_to_the_device_says_so() {
    let failed = r#"{"isSuccessful":false,"errors":[{"deviceId":"d1","errorCode":"ArgumentInvalid"}]}"#;
    let ignored = r#"{"tags":{},"properties":{"desired":{},"reported":{"$version":1}}}"#;
    for script in [
        vec![answer("200 OK", &[], "{}"), answer("400 Bad Request", &[], failed)],
        vec![
            answer("200 OK", &[], "{}"),
            answer("200 OK", &[], r#"{"isSuccessful":true}"#),
            answer("200 OK", &[], ignored),
        ],
    ] {
        let hub = Scripted::start(script).await;
        let taken = hub.client.put_device(&hub.link, &device(), Some(&carried())).await;
        assert_eq!(taken, Ok(TwinTaken::WithoutReported));
    }
    let busy =
        [answer("200 OK", &[], "{}"), answer("429 Too Many Requests", &[("Retry-After", "2")], "busy")];
    let hub = Scripted::start(busy).await;
    let taken = hub.client.put_device(&hub.link, &device(), Some(&carried())).await;
    assert_eq!(taken, Err(HubError::Throttled { text: "busy".into(), retry_after: Some(2) }));
}

#[tokio::test]
async fn throttle_keeps_the_hubs_words_and_time() {
    let body = r#"{"Message":"ErrorCode:ThrottlingBacklogTimeout;The request has been throttled."}"#;
    let hub = Scripted::start([answer("429 Too Many Requests", &[("Retry-After", "7")], body)]).await;
    let outcome = hub.client.put_device(&hub.link, &device(), None).await;
    assert_eq!(outcome, Err(HubError::Throttled { text: body.into(), retry_after: Some(7) }));
}

#[tokio::test]
async fn probe_asks_the_statistics_and_gives_the_mapped_failure() {
    let gone = r#"{"Message":"ErrorCode:IotHubNotFound;iothub not found"}"#;
    let hub = Scripted::start([
        answer("200 OK", &[], r#"{"totalDeviceCount":1}"#),
        answer("404 Not Found", &[("iothub-errorcode", "IotHubNotFound")], gone),
        answer("401 Unauthorized", &[], r#"{"Message":"ErrorCode:IotHubUnauthorizedAccess;Unauthorized"}"#),
    ])
    .await;
    assert_eq!(hub.client.probe(&hub.link).await, Ok(()));
    assert_eq!(hub.client.probe(&hub.link).await, Err(HubError::NotFound(gone.into())));
    assert!(matches!(hub.client.probe(&hub.link).await, Err(HubError::Unauthorized(_))));
    assert_eq!(hub.requests()[0].line, "GET /statistics/devices?api-version=2021-04-12 HTTP/1.1");
}

#[tokio::test]
async fn connection_is_kept_from_one_request_to_the_next() {
    let kept =
        |body: &str| answer("200 OK", &[], body).replace("Connection: close", "Connection: keep-alive");
    let hub = Scripted::start([kept("{}"), kept("{}"), kept("{}")]).await;
    for _ in 0..3 {
        hub.client.probe(&hub.link).await.unwrap();
    }
    assert_eq!(hub.requests().len(), 3);
    assert_eq!(hub.connections.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let hub = Scripted::start([answer("307 Temporary Redirect", &[("Location", "/devices/d2")], "")]).await;
    let outcome = hub.client.put_device(&hub.link, &device(), None).await;
    assert!(matches!(outcome, Err(HubError::Refused { status: 307, .. })), "{outcome:?}");
    assert_eq!(hub.requests().len(), 1);
}

#[tokio::test]
async fn answer_too_large_or_broken_is_transient_and_shows_no_secret() {
    let large = "x".repeat(dps_model::limits::MAX_HUB_ANSWER + 1);
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort".to_owned();
    let nonsense = "220 smtp ready\r\n\r\n".to_owned();
    for script in [answer("200 OK", &[], &large), answer("200 OK", &[], "no json"), cut, nonsense] {
        let hub = Scripted::start([script]).await;
        let outcome = hub.client.twin(&hub.link, &device().device_id).await;
        let Err(error) = outcome else { panic!("{outcome:?}") };
        assert!(error.is_transient(), "{error:?}");
        assert!(!format!("{error:?}").contains("sig="), "{error:?}");
    }
}

#[tokio::test]
async fn hub_not_listening_or_not_trusted_is_unreachable() {
    let mut hub = Scripted::start([]).await;
    let stranger = Scripted::start([answer("200 OK", &[], "{}")]).await;
    let outcome = hub.client.twin(&stranger.link, &device().device_id).await;
    assert!(matches!(outcome, Err(HubError::Unreachable(_))), "{outcome:?}");
    assert!(stranger.requests().is_empty());
    hub.stop().await;
    let outcome = hub.client.twin(&hub.link, &device().device_id).await;
    assert!(matches!(outcome, Err(HubError::Unreachable(_))), "{outcome:?}");
}

#[tokio::test]
async fn link_host_that_is_no_host_is_refused_before_any_request() {
    let mut hub = Scripted::start([]).await;
    for host in ["user@host", "host/path", "host?x", "host#x", "ho st", ""] {
        hub.link.connection.host = host.into();
        let outcome = hub.client.twin(&hub.link, &device().device_id).await;
        assert!(matches!(outcome, Err(HubError::NotFound(_))), "{host}: {outcome:?}");
    }
}

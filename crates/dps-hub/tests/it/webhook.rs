//! The webhook client against a server that answers what the test wrote: each row of what an answer means.

use dps_core::ports::{Webhook, WebhookAnswer, WebhookError};
use dps_hub::{HttpWebhook, client_config};
use dps_model::Secret;
use dps_model::custom_allocation::PlainWebhooks;
use dps_model::limits::MAX_WEBHOOK_ANSWER;
use serde_json::json;

use crate::scripted::{Scripted, answer};

fn url(server: &Scripted, place: &str) -> Secret {
    Secret::from(format!("https://{}{place}", server.link.connection.host))
}

async fn ask(script: String) -> Result<WebhookAnswer, WebhookError> {
    let server = Scripted::start([script]).await;
    server.webhook.ask(&url(&server, "/api/allocate?code=s3cret"), "{}").await
}

#[tokio::test]
async fn request_is_a_post_of_the_body_to_the_whole_url() {
    let allocation = r#"{"iotHubHostName":"a.example","initialTwin":{"tags":{"t":1},"properties":{"desired":{"d":2}}},"payload":[1]}"#;
    let server = Scripted::start([answer("200 OK", &[], allocation)]).await;
    let body = r#"{"linkedHubs":["a.example"]}"#;
    let said = server.webhook.ask(&url(&server, "/api/allocate?code=s3cret&x=1"), body).await.unwrap();
    let requests = server.requests();
    assert_eq!(requests[0].line, "POST /api/allocate?code=s3cret&x=1 HTTP/1.1");
    assert_eq!(requests[0].header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(requests[0].header("authorization"), None);
    assert_eq!(requests[0].body, body.as_bytes());
    assert_eq!((said.hub.as_deref(), said.payload), (Some("a.example"), Some(json!([1]))));
    let twin = serde_json::to_value(said.initial_twin).unwrap();
    assert_eq!(twin, json!({"tags": {"t": 1}, "properties": {"desired": {"d": 2}}}));
}

#[tokio::test]
async fn answer_without_a_hub_says_none() {
    for body in ["", " ", "null", "{}", r#"{"iotHubHostName":null,"payload":null,"initialTwin":null}"#] {
        assert_eq!(ask(answer("200 OK", &[], body)).await.unwrap().hub, None, "{body}");
    }
    assert_eq!(
        ask(answer("200 OK", &[], r#"{"iotHubHostName":""}"#)).await.unwrap().hub.as_deref(),
        Some("")
    );
}

#[tokio::test]
async fn status_decides_what_a_failure_means() {
    use WebhookError::{Busy, Refused, Unauthorized};
    assert_eq!(ask(answer("401 Unauthorized", &[], "")).await, Err(Unauthorized));
    for (line, status, header, retry_after) in [
        ("429 Too Many Requests", 429, Some("7"), Some(7)),
        ("500 Internal Server Error", 500, None, None),
        ("503 Service Unavailable", 503, Some("soon"), None),
        ("599 Odd", 599, None, None),
    ] {
        let headers: Vec<_> = header.map(|value| ("Retry-After", value)).into_iter().collect();
        let said = ask(answer(line, &headers, "s3cret")).await;
        assert_eq!(said, Err(Busy { status, retry_after }), "{line}");
    }
    for (line, status) in [
        ("201 Created", 201),
        ("204 No Content", 204),
        ("302 Found", 302),
        ("400 Bad Request", 400),
        ("403 Forbidden", 403),
        ("404 Not Found", 404),
        ("428 Precondition Required", 428),
    ] {
        let said = ask(answer(line, &[("Location", "/elsewhere")], r#"{"iotHubHostName":"a"}"#)).await;
        assert!(matches!(said, Err(Refused { status: told, .. }) if told == status), "{line}: {said:?}");
    }
}

#[tokio::test]
async fn answer_that_is_no_allocation_is_refused_without_being_shown() {
    for body in ["s3cret", "[]", r#"{"iotHubHostName":5}"#, r#"{"initialTwin":"s3cret"}"#, r#"{"a":"#] {
        let said = ask(answer("200 OK", &[], body)).await;
        assert!(matches!(said, Err(WebhookError::Refused { status: 200, .. })), "{body}: {said:?}");
        assert!(!format!("{said:?}").contains("s3cret"));
    }
    let large = format!(r#"{{"payload":"{}"}}"#, "x".repeat(MAX_WEBHOOK_ANSWER));
    let said = ask(answer("200 OK", &[], &large)).await;
    assert!(matches!(said, Err(WebhookError::Refused { status: 200, .. })), "{said:?}");
}

#[tokio::test]
async fn no_answer_is_told_without_the_url() {
    let mut server = Scripted::start([]).await;
    let cut = ask("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\n{".into()).await;
    server.stop().await;
    let silent = server.webhook.ask(&url(&server, "/?code=s3cret"), "{}").await;
    for said in [cut, silent] {
        assert!(matches!(said, Err(WebhookError::Unreachable(_))), "{said:?}");
        assert!(!format!("{said:?}").contains("s3cret"), "{said:?}");
    }
}

#[tokio::test]
async fn this_machine_is_asked_in_development_alone() {
    let server = Scripted::start([answer("200 OK", &[], "{}")]).await;
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let webhook = HttpWebhook::new(client_config(provider, []).unwrap(), PlainWebhooks::Refused).unwrap();
    let port = server.link.connection.host.rsplit_once(':').unwrap().1.to_owned();
    for host in ["127.0.0.1", "localhost", "[::1]"] {
        let url = Secret::from(format!("https://{host}:{port}/?code=s3cret"));
        let said = webhook.ask(&url, "{}").await;
        assert!(matches!(said, Err(WebhookError::Forbidden(_))), "{host}: {said:?}");
    }
    assert!(server.requests().is_empty(), "not even a connection was made");
}

#[tokio::test]
async fn notification_is_posted_once_and_only_its_status_is_read() {
    let patience = std::time::Duration::from_mins(1);
    let large = "x".repeat(4 * MAX_WEBHOOK_ANSWER);
    let moved = answer("307 Temporary Redirect", &[("Location", "/elsewhere")], "");
    let server = Scripted::start([answer("202 Accepted", &[], &large), moved]).await;
    let place = url(&server, "/hook?code=s3cret#alertmanager");
    let post = async || server.webhook.post(&place, b"{\"a\":1}".to_vec(), patience).await;
    assert_eq!((post().await, post().await), (Ok(202), Ok(307)), "a redirect is not followed");
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].line, "POST /hook?code=s3cret HTTP/1.1");
    assert_eq!(requests[0].header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(requests[0].body, b"{\"a\":1}");
    for url in ["http://192.0.2.1/?code=s3cret", "https://169.254.169.254/?code=s3cret", "nonsense s3cret"] {
        let refused =
            server.webhook.post(&Secret::from(url.to_owned()), Vec::new(), patience).await.unwrap_err();
        assert!(!refused.contains("s3cret"), "{refused}");
    }
}

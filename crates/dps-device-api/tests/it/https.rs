//! Exchanges over HTTP/1.1 and HTTP/2.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dps_device_api::Fronts;
use dps_device_api::foreign::{Body, HttpFront};
use dps_events::{Operation, Outcome};
use dps_model::Channel;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::fixture::{PENDING, SCOPE, Server, connect};

enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

/// A client's connection.
pub struct Http(Sender);

impl Http {
    pub async fn one(stream: TlsStream<TcpStream>) -> Self {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(Sender::One(sender))
    }

    pub async fn two(stream: TlsStream<TcpStream>) -> Self {
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(Sender::Two(sender))
    }

    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Response<Bytes> {
        let response = match &mut self.0 {
            Sender::One(sender) => sender.send_request(request).await.unwrap(),
            Sender::Two(sender) => sender.send_request(request).await.unwrap(),
        };
        let (parts, body) = response.into_parts();
        Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
    }

    /// A plain register request.
    pub async fn register(&mut self, id: &str) -> Response<Bytes> {
        let path = format!("/{SCOPE}/registrations/{id}/register?api-version=2019-03-31");
        self.send(request(Method::PUT, &path, "{}")).await
    }
}

fn request(method: Method, path: &str, body: &'static str) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(format!("https://dps.example{path}"))
        .header("host", "dps.example")
        .header("content-type", "application/json; charset=utf-8")
        .header("user-agent", "client/1")
        .body(Full::from(body))
        .unwrap()
}

fn json(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

fn header<'a>(response: &'a Response<Bytes>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

async fn both(server: &Server) -> [Http; 2] {
    let one = connect(server.https, server.plain()).await.unwrap();
    let mut config = server.plain();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    [Http::one(one).await, Http::two(connect(server.https, config).await.unwrap()).await]
}

#[tokio::test]
async fn register_and_poll_answered_as_azure_does() {
    let server = Server::start().await;
    for mut http in both(&server).await {
        let path = format!("/{SCOPE}/registrations/my.dev_01%3aa-b/register");
        let mut register = request(
            Method::PUT,
            &format!("{path}?forceRegistration=true&api-version=2021-06-01"),
            r#"{"registrationId":"my.dev_01:a-b","payload":{"a":1}}"#,
        );
        register.headers_mut().insert("authorization", "SharedAccessSignature sr=x".parse().unwrap());
        register.headers_mut().insert("content-encoding", "utf-8".parse().unwrap());
        let answer = http.send(register).await;
        assert_eq!(answer.status(), 202);
        assert_eq!(header(&answer, "retry-after"), "3");
        assert_eq!(header(&answer, "location"), format!("https://dps.example{path}"));
        assert_eq!(header(&answer, "content-type"), "application/json; charset=utf-8");
        assert_eq!(header(&answer, "strict-transport-security"), "max-age=31536000; includeSubDomains");
        assert_eq!(header(&answer, "x-ms-request-id").len(), 36);
        let body = json(&answer);
        assert_eq!(body["status"], "assigning");
        assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
        let seen = server.seen().pop().unwrap();
        assert_eq!((&*seen.id_scope, &*seen.registration_id), (SCOPE, "my.dev_01:a-b"));
        assert_eq!(seen.api_version.as_deref(), Some("2021-06-01"));
        assert_eq!(seen.sas_token.as_deref(), Some("SharedAccessSignature sr=x"));
        assert_eq!(seen.payload.as_deref(), Some(r#"{"a":1}"#));
        assert_eq!(seen.client.as_deref(), Some("client/1"));

        for (operation, status, retry_after) in [(PENDING, 202, "3"), ("5.x.y", 200, "")] {
            let path = format!("/{SCOPE}/registrations/d/operations/{operation}");
            // The Node SDK sends a body with GET.
            let answer =
                http.send(request(Method::GET, &format!("{path}?api-version=2019-03-31"), "{}")).await;
            assert_eq!((answer.status().as_u16(), header(&answer, "retry-after")), (status, retry_after));
            assert_eq!(header(&answer, "location").is_empty(), retry_after.is_empty());
            assert_eq!(json(&answer)["registrationState"]["registrationId"], "d");
            assert!(!answer.body().windows(4).any(|four| four == b"null"));
        }
        let answer = http
            .send(request(Method::POST, &format!("/{SCOPE}/registrations/d?api-version=2019-03-31"), ""))
            .await;
        assert_eq!((answer.status().as_u16(), &json(&answer)["status"]), (200, &Value::from("unassigned")));
    }
}

#[tokio::test]
async fn failure_of_the_core_rendered_without_its_private_cause() {
    let server = Server::start().await;
    for mut http in both(&server).await {
        let answer = http.register("unauthorized").await;
        assert_eq!(answer.status(), 401);
        assert_eq!(header(&answer, "x-ms-error-code"), "401000");
        let body = json(&answer);
        assert_eq!(body["errorCode"], 401_000);
        assert_eq!(body["trackingId"], header(&answer, "x-ms-request-id"));
        assert!(!String::from_utf8_lossy(answer.body()).contains("private"));
        let answer = http.register("throttled").await;
        assert_eq!((answer.status().as_u16(), header(&answer, "retry-after")), (429, "7"));
    }
    assert!(server.stop().await.is_empty(), "the core records what reaches it");
}

/// Sends, and checks that the refusal and its one event agree.
async fn refused(
    server: &mut Server,
    http: &mut Http,
    request: Request<Full<Bytes>>,
) -> (u32, Operation, Response<Bytes>) {
    let answer = http.send(request).await;
    let record = server.attempt_event().await;
    let body = json(&answer);
    assert_eq!(body["trackingId"], record.tracking_id.to_string());
    let Outcome::Failed { code, .. } = record.outcome else { panic!("not failed: {record:?}") };
    assert_eq!(body["errorCode"], code);
    assert_eq!(u32::from(answer.status().as_u16()), code / 1000);
    (code, record.operation, answer)
}

#[tokio::test]
async fn request_refused_at_the_door_has_one_event() {
    let mut server = Server::start().await;
    for mut http in both(&server).await {
        let register = format!("/{SCOPE}/registrations/d/register?api-version=2019-03-31");
        for (method, path, allow) in [
            (Method::GET, &*register, "PUT"),
            (Method::POST, &register, "PUT"),
            (Method::PUT, "/s/registrations/d/operations/5", "GET"),
            (Method::DELETE, "/s/registrations/d", "POST"),
            (Method::PUT, "/s/registrations//register", "PUT"),
            (Method::PUT, "/s/registrations/register", "POST"),
            (Method::PUT, "/s/registrations/", "POST"),
        ] {
            let (code, operation, answer) = refused(&mut server, &mut http, request(method, path, "")).await;
            assert_eq!(
                (code, operation, header(&answer, "allow")),
                (405_000, Operation::Unrouted, allow),
                "{path}"
            );
        }
        let (code, operation, _) =
            refused(&mut server, &mut http, request(Method::GET, "/nothing", "")).await;
        assert_eq!((code, operation), (404_000, Operation::Unrouted));
        // A body that nobody wants does not cost the sender its refusal, nor its connection.
        for (path, expected) in [("/nothing", 404_000), (&*register, 405_000), (&register, 405_000)] {
            let mut large = request(Method::POST, path, "");
            *large.body_mut() = Full::from(vec![b' '; 90 * 1024]);
            assert_eq!(refused(&mut server, &mut http, large).await.0, expected);
        }
        for media in [None, Some("text/plain"), Some("application/jsonp")] {
            let mut bare = request(Method::PUT, &register, "{}");
            bare.headers_mut().remove("content-type");
            if let Some(media) = media {
                bare.headers_mut().insert("content-type", media.parse().unwrap());
            }
            let (code, operation, _) = refused(&mut server, &mut http, bare).await;
            assert_eq!((code, operation), (415_000, Operation::Unrouted), "{media:?}");
        }
        let (code, operation, answer) = refused(
            &mut server,
            &mut http,
            request(Method::PUT, &register, r#"{"tpm":{"endorsementKey":1}}"#),
        )
        .await;
        assert_eq!((code, operation), (400_006, Operation::Register));
        assert!(json(&answer)["message"].as_str().unwrap().contains("at tpm.endorsementKey"));
        let mut large = request(Method::PUT, &register, "");
        *large.body_mut() = Full::from(vec![b' '; 96 * 1024 + 1]);
        let (code, operation, _) = refused(&mut server, &mut http, large).await;
        assert_eq!((code, operation), (413_000, Operation::Register));
        // The connection has survived all of it, and an empty body of any kind is fine.
        let mut empty = request(Method::PUT, &register, "");
        empty.headers_mut().remove("content-type");
        assert_eq!(http.send(empty).await.status(), 202);
    }
    assert!(server.stop().await.is_empty());
}

struct Neighbour;

#[async_trait]
impl HttpFront for Neighbour {
    fn claims_http(&self, host: &str, path: &str) -> bool {
        host == "dps.example" && (path.starts_with("/devices") || path.starts_with("/registrations"))
    }

    async fn http(&self, request: Request<Body>) -> Response<Body> {
        let channel = request.extensions().get::<Arc<Channel>>().unwrap().clone();
        let path = request.uri().path().to_owned();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let answer = format!("{} {path} {}", channel.tls.version, body.len());
        Response::new(Full::from(answer).map_err(|never| match never {}).boxed())
    }
}

#[tokio::test]
async fn request_of_a_neighbour_handed_on_with_its_channel() {
    let server = Server::with(Fronts { http: vec![Arc::new(Neighbour)], ..Fronts::default() }).await;
    for mut http in both(&server).await {
        // The second would be a device's path, were `registrations` an id scope.
        for path in ["/devices/d1", "/registrations/registrations/query", "/devices/registrations/modules"] {
            let answer = http.send(request(Method::POST, path, "four")).await;
            assert_eq!(answer.body(), &format!("TLSv1.3 {path} 4"));
        }
        assert_eq!(http.register("d").await.status(), 202);
    }
    assert!(server.stop().await.is_empty(), "the neighbour records what it answers");
}

/// Begins to answer, says so, and goes on only when it may.
struct Patient {
    begun: Arc<tokio::sync::Semaphore>,
    may_end: Arc<tokio::sync::Semaphore>,
    ended: Arc<tokio::sync::Semaphore>,
}

#[async_trait]
impl HttpFront for Patient {
    fn claims_http(&self, _host: &str, path: &str) -> bool {
        path.starts_with("/slow")
    }

    async fn http(&self, _request: Request<Body>) -> Response<Body> {
        self.begun.add_permits(1);
        self.may_end.acquire().await.unwrap().forget();
        self.ended.add_permits(1);
        Response::new(Full::from("done").map_err(|never| match never {}).boxed())
    }
}

#[tokio::test]
async fn request_of_a_neighbour_is_carried_out_although_its_client_goes_away() {
    let gate = || Arc::new(tokio::sync::Semaphore::new(0));
    let (begun, may_end, ended) = (gate(), gate(), gate());
    let front =
        Patient { begun: Arc::clone(&begun), may_end: Arc::clone(&may_end), ended: Arc::clone(&ended) };
    let server = Server::with(Fronts { http: vec![Arc::new(front)], ..Fronts::default() }).await;
    for mut http in both(&server).await {
        let mut asked = Box::pin(http.send(request(Method::PUT, "/slow", "")));
        tokio::select! {
            _ = &mut asked => panic!("answered before it was allowed"),
            begun = begun.acquire() => begun.unwrap().forget(),
        }
        drop(asked);
        drop(http);
    }
    // The connections are gone when nothing of theirs is left open.
    server.idle().await;
    may_end.add_permits(2);
    ended.acquire_many(2).await.unwrap().forget();
    assert!(server.stop().await.is_empty());
}

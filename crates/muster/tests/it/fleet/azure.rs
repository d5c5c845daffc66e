//! Azure's control plane as far as recordings show it: slow operations, masked keys, lists in pages, etags. Small, strict
//! about what a client must send, and able to misbehave where a test asks for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};

pub const TOKEN: &str = "fake-token";
const GROUP: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/provisioningServices";

/// What it does besides working.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Mischief {
    #[default]
    None,
    /// Somebody else changes the service after each read.
    Race,
    /// Operations fail.
    Fail,
    /// Lists go on at another host.
    Lure,
}

#[derive(Default)]
struct Kept {
    services: BTreeMap<String, Value>,
    policies: Vec<Value>,
    certificates: BTreeMap<String, Value>,
    version: u32,
    /// Times that the running operation says so.
    running: u32,
    mischief: Mischief,
    /// Secrets of hubs, by name.
    secrets: BTreeMap<String, String>,
}

/// A running control plane.
#[derive(Clone)]
pub struct Azure {
    pub base: String,
    kept: Arc<Mutex<Kept>>,
}

impl Azure {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let azure = Self { base, kept: Arc::default() };
        let router = Router::new().fallback(answer).with_state(azure.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = TowerToHyperService::new(router.clone());
                let server = Builder::new(TokioExecutor::new());
                // A client that goes away is no concern of the test's.
                tokio::spawn(
                    async move { server.serve_connection(TokioIo::new(stream), service).await.ok() },
                );
            }
        });
        azure
    }

    pub fn misbehave(&self, mischief: Mischief) {
        self.kept.lock().unwrap().mischief = mischief;
    }

    /// The key that a linked hub is reached with.
    pub fn secret(&self, hub: &str) -> String {
        self.kept.lock().unwrap().secrets[hub].clone()
    }

    fn operation(&self) -> String {
        format!("{}{GROUP}/n/operationresults/b3NfaWQ=?api-version=2022-02-05&asyncinfo", self.base)
    }
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Response {
    (status, axum::Json(json!({"error": {"code": code, "message": message}}))).into_response()
}

fn json_of(status: StatusCode, value: &Value) -> Response {
    (status, axum::Json(value)).into_response()
}

async fn answer(
    State(azure): State<Azure>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text =
        |name: header::HeaderName| headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default();
    if text(header::AUTHORIZATION) != format!("Bearer {TOKEN}") {
        return refusal(
            StatusCode::UNAUTHORIZED,
            "InvalidAuthenticationToken",
            "The access token is invalid.",
        );
    }
    let query = uri.query().unwrap_or_default();
    if !query.contains("api-version=") {
        return refusal(StatusCode::BAD_REQUEST, "MissingApiVersionParameter", "api-version is missing.");
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let path = uri.path().replace("%2F", "/");
    let mut kept = azure.kept.lock().unwrap();
    let Some(rest) = path.strip_prefix(GROUP) else {
        return match path.as_str() {
            "/subscriptions/s/providers/Microsoft.Devices/provisioningServices" => list(&azure, &kept, query),
            _ => refusal(StatusCode::NOT_FOUND, "ResourceNotFound", "The path is unknown."),
        };
    };
    let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
    match (method.as_str(), parts.as_slice()) {
        ("GET", []) => list(&azure, &kept, query),
        ("GET", [_, "operationresults", _]) => operation(&mut kept),
        (_, [name]) => service(&azure, &mut kept, &method, name, body),
        ("POST", [_, "listkeys"]) => json_of(StatusCode::OK, &json!({"value": kept.policies})),
        ("GET", [_, "certificates"]) => {
            let all: Vec<Value> = kept.certificates.values().cloned().collect();
            json_of(StatusCode::OK, &json!({"value": all}))
        }
        (_, [_, "certificates", name, action @ ..]) => {
            certificate(&mut kept, &method, name, action.first().copied(), text(header::IF_MATCH), &body)
        }
        _ => refusal(StatusCode::NOT_FOUND, "ResourceNotFound", "The path is unknown."),
    }
}

/// One service a page.
fn list(azure: &Azure, kept: &Kept, query: &str) -> Response {
    let page = query.split("page=").nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
    let value: Vec<&Value> = kept.services.values().skip(page).take(1).collect();
    let host = if kept.mischief == Mischief::Lure { "https://elsewhere.example" } else { &azure.base };
    let next = (page + 1 < kept.services.len())
        .then(|| format!("{host}{GROUP}?api-version=2022-02-05&page={}", page + 1));
    json_of(StatusCode::OK, &json!({"value": value, "nextLink": next}))
}

fn operation(kept: &mut Kept) -> Response {
    if kept.running > 0 {
        kept.running -= 1;
        return ([(header::RETRY_AFTER, "0")], axum::Json(json!({"status": "Running"}))).into_response();
    }
    let status = match kept.mischief {
        Mischief::Fail => {
            let error =
                json!({"code": 400_303, "message": "Cannot have duplicate iot hubs", "details": null});
            json!({"status": "Failed", "error": error})
        }
        _ => json!({"status": "Succeeded"}),
    };
    json_of(StatusCode::OK, &status)
}

fn service(azure: &Azure, kept: &mut Kept, method: &Method, name: &str, body: Value) -> Response {
    let operation = [("azure-asyncoperation", azure.operation())];
    match method.as_str() {
        "GET" => match kept.services.get(name).cloned() {
            None => refusal(StatusCode::NOT_FOUND, "ResourceNotFound", "The Resource was not found."),
            Some(found) => {
                if kept.mischief == Mischief::Race {
                    kept.services.get_mut(name).unwrap()["etag"] = "another".into();
                }
                json_of(StatusCode::OK, &found)
            }
        },
        "PUT" => {
            let current = kept.services.get(name);
            if current.is_some_and(|current| body["etag"] != current["etag"]) {
                return refusal(
                    StatusCode::PRECONDITION_FAILED,
                    "PreconditionFailed",
                    "The etag is another.",
                );
            }
            assert!(body["sku"]["name"].is_string() && body["location"].is_string(), "{body}");
            let is_new = current.is_none();
            let written = write(kept, name, body);
            let mut shown = written.clone();
            shown["properties"]["state"] = if is_new { "Activating" } else { "Transitioning" }.into();
            shown["properties"]["idScope"] = Value::Null;
            kept.running = 2;
            (StatusCode::CREATED, operation, axum::Json(shown)).into_response()
        }
        "PATCH" => {
            assert_eq!(body.as_object().map(serde_json::Map::len), Some(1), "tags alone");
            let service = kept.services.get_mut(name).unwrap();
            service["tags"] = body["tags"].clone();
            json_of(StatusCode::OK, service)
        }
        "DELETE" => {
            kept.services.remove(name);
            kept.running = 1;
            (StatusCode::ACCEPTED, operation, axum::Json(Value::Null)).into_response()
        }
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

/// Keeps a whole service as its answers show it: without policies, with masked hubs.
fn write(kept: &mut Kept, name: &str, mut body: Value) -> Value {
    kept.version += 1;
    body["etag"] = format!("AAAA{}=", kept.version).into();
    body["name"] = name.into();
    let properties = body["properties"].as_object_mut().unwrap();
    let policies = properties.remove("authorizationPolicies");
    let first = json!([{"keyName": "provisioningserviceowner", "rights": "ServiceConfig, EnrollmentWrite"}]);
    let policies = policies.or_else(|| kept.policies.is_empty().then_some(first));
    if let Some(Value::Array(mut policies)) = policies {
        for policy in &mut policies {
            for slot in ["primaryKey", "secondaryKey"] {
                if policy[slot].is_null() {
                    policy[slot] = format!("made-{}-{slot}", policy["keyName"].as_str().unwrap()).into();
                }
            }
        }
        kept.policies = policies;
    }
    for hub in properties.entry("iotHubs").or_insert(json!([])).as_array_mut().unwrap() {
        let string = hub["connectionString"].as_str().unwrap().to_owned();
        let (shown, key) = string.split_once("SharedAccessKey=").unwrap();
        let host = shown.split(';').next().unwrap().trim_start_matches("HostName=").to_owned();
        if key != "****" {
            kept.secrets.insert(host.clone(), key.to_owned());
        }
        assert!(kept.secrets.contains_key(&host), "a masked key of a hub that is not linked");
        hub["name"] = host.into();
        hub["connectionString"] = format!("{shown}SharedAccessKey=****").into();
    }
    let host = format!("{name}.azure-devices-provisioning.net");
    for (member, value) in
        [("state", "Active"), ("idScope", "0ne00000001"), ("serviceOperationsHostName", host.as_str())]
    {
        properties.insert(member.into(), value.into());
    }
    kept.services.insert(name.to_owned(), body.clone());
    body
}

fn certificate(
    kept: &mut Kept,
    method: &Method,
    name: &str,
    action: Option<&str>,
    if_match: &str,
    body: &Value,
) -> Response {
    kept.version += 1;
    let etag = format!("cert-{}=", kept.version);
    let current = kept.certificates.get_mut(name);
    let is_current = current.as_ref().is_none_or(|current| current["etag"] == if_match);
    if !is_current && method != Method::GET {
        return refusal(StatusCode::PRECONDITION_FAILED, "PreconditionFailed", "If-Match is another.");
    }
    match (method.as_str(), action, current) {
        ("PUT", None, _) => {
            assert!(body["properties"]["certificate"].is_string(), "{body}");
            let verified = body["properties"]["isVerified"] == true;
            let made =
                json!({"name": name, "etag": etag, "properties": {"subject": name, "isVerified": verified}});
            kept.certificates.insert(name.to_owned(), made.clone());
            json_of(StatusCode::OK, &made)
        }
        (_, _, None) => refusal(StatusCode::NOT_FOUND, "ResourceNotFound", "The certificate was not found."),
        ("GET", None, Some(current)) => json_of(StatusCode::OK, current),
        ("POST", Some("generateVerificationCode"), Some(current)) => {
            current["etag"] = etag.into();
            let mut shown = current.clone();
            shown["properties"]["verificationCode"] = "75A8".repeat(12).into();
            json_of(StatusCode::OK, &shown)
        }
        ("POST", Some("verify"), Some(current)) => {
            assert!(body["certificate"].is_string(), "{body}");
            current["etag"] = etag.into();
            current["properties"]["isVerified"] = true.into();
            json_of(StatusCode::OK, current)
        }
        ("DELETE", None, Some(_)) => {
            kept.certificates.remove(name);
            StatusCode::OK.into_response()
        }
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

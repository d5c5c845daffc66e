//! A query API as Azure's documentation shows it, with one table. It understands the few queries that are asked here, notes
//! what it was asked, and can be away.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};

pub const TOKEN: &str = "fake-token";
const NOW: &str = "2026-11-29T03:00:00Z";

/// What it was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub path: String,
    pub prefer: String,
    pub body: Value,
}

#[derive(Default)]
struct Kept {
    /// Instant and text of each row, in no order.
    rows: Vec<(String, String)>,
    asked: Vec<Asked>,
    /// Answered instead, while it is there.
    instead: Option<(u16, Value)>,
}

/// A running query API.
#[derive(Clone)]
pub struct LogAnalytics {
    pub base: String,
    kept: Arc<Mutex<Kept>>,
}

impl LogAnalytics {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let fake = Self { base, kept: Arc::default() };
        let router = Router::new().fallback(answer).with_state(fake.clone());
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
        fake
    }

    /// A row at that second after the start of the test's time.
    pub fn add(&self, second: u32, text: &str) {
        let time = format!("2026-11-29T03:{:02}:{:02}Z", second / 60, second % 60);
        self.kept.lock().unwrap().rows.push((time, text.to_owned()));
    }

    /// Answers that, to everything, until told otherwise.
    pub fn instead(&self, answer: Option<(u16, Value)>) {
        self.kept.lock().unwrap().instead = answer;
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.kept.lock().unwrap().asked.clone()
    }

    pub fn variables(&self) -> [(&str, &str); 3] {
        [("MUSTER_LOGS_URL", &self.base), ("MUSTER_WORKSPACE_ID", "w"), ("MUSTER_BEARER_TOKEN", TOKEN)]
    }
}

/// An answer with these rows.
pub fn table(columns: &[(&str, &str)], rows: &[Value]) -> Value {
    let columns: Vec<Value> = columns.iter().map(|(name, ty)| json!({"name": name, "type": ty})).collect();
    json!({
        "tables": [{"name": "PrimaryResult", "columns": columns, "rows": rows}],
        "statistics": {"query": {"executionTime": 0.25}},
    })
}

async fn answer(State(fake): State<LogAnalytics>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned();
    let refused = |status: StatusCode, code: &str| {
        (status, axum::Json(json!({"error": {"code": code, "message": "Refused."}}))).into_response()
    };
    if text(header::AUTHORIZATION.as_str()) != format!("Bearer {TOKEN}") {
        return refused(StatusCode::UNAUTHORIZED, "AuthenticationFailed");
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let query = body["query"].as_str().unwrap_or_default().to_owned();
    let mut kept = fake.kept.lock().unwrap();
    kept.asked.push(Asked { path: uri.path().to_owned(), prefer: text("prefer"), body });
    if let Some((status, instead)) = &kept.instead {
        return (StatusCode::from_u16(*status).unwrap(), axum::Json(instead)).into_response();
    }
    if !uri.path().starts_with("/v1/") || !uri.path().ends_with("/query") {
        return refused(StatusCode::NOT_FOUND, "PathNotFoundError");
    }
    let columns = [("TimeGenerated", "datetime"), ("Text", "string")];
    if query.starts_with("print Now") {
        let columns = [("Now", "datetime"), ("Start", "datetime")];
        return axum::Json(table(&columns, &[json!([NOW, NOW])])).into_response();
    }
    let between = |before: &str, after: &str| {
        query
            .split_once(before)
            .and_then(|(_, rest)| rest.split_once(after))
            .map(|(inside, _)| inside.to_owned())
    };
    let from = between("datetime(", ")").unwrap_or_default();
    let most = between("top ", " by").and_then(|most| most.parse().ok()).unwrap_or(usize::MAX);
    // Instants of one form, but for fractions of nothing, are in the order of their letters.
    let from = from.replace(".0000000", "");
    let mut rows: Vec<_> = kept.rows.iter().filter(|(time, _)| *time >= from).cloned().collect();
    rows.sort();
    rows.truncate(most);
    let rows: Vec<Value> = rows.into_iter().map(|(time, text)| json!([time, text])).collect();
    axum::Json(table(&columns, &rows)).into_response()
}

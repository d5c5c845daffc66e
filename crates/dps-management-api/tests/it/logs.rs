//! The query API of Log Analytics before an engine that answers what it is told to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dps_access::AccessControl;
use dps_core::Instances;
use dps_core::ports::{Clock, Store};
use dps_events::{Event, EventSink, Outcome};
use dps_kql::{Column, Diagnostic, Diagnostics, Render, Type, Value as Cell};
use dps_management_api::logs::{LogsApi, Workspace, claims};
use dps_monitor::{Answer, AnswerTable, PartialAnswer, QueryEngine, QueryError, QueryRequest, Scope, Table};
use dps_store::MemoryStore;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use crate::bed::{DEFAULT, StandingClock, TOKEN, default};

const WORKSPACE: &str = "5f3c8a6e-1111-4222-8333-944444444444";
const WORKSPACE_ID: &str =
    "/subscriptions/s-1/resourceGroups/muster/providers/Microsoft.OperationalInsights/workspaces/muster";

/// Answers by the text of the query, and remembers what it was asked.
struct Engine {
    tables: Vec<dps_kql::Table>,
    asked: Mutex<Vec<QueryRequest>>,
}

fn answer(partial: Option<PartialAnswer>) -> Answer {
    let column = |name: &str, ty| Column { name: name.into(), ty };
    Answer {
        table: AnswerTable {
            columns: vec![column("OperationName", Type::String), column("count_", Type::Long)],
            rows: vec![vec![Cell::String("AttestationAttempt".into()), Cell::Long(3)]],
        },
        render: Some(Render {
            visualization: "timechart".into(),
            properties: vec![("title".into(), "Attempts".into()), ("accumulate".into(), "true".into())],
        }),
        partial,
        elapsed: Duration::from_millis(15),
        scanned_rows: 7,
    }
}

fn diagnostics(query: &str, syntax: bool) -> Diagnostics {
    let start = query.find("Oops").unwrap();
    let error = |code| Diagnostic {
        code,
        message: "The name 'Oops' does not refer to any known column.".into(),
        start,
        end: start + 4,
        suggestion: Some("Did you mean 'Ops'?".into()),
    };
    Diagnostics { errors: vec![error("KS142"), error("KS006")], syntax }
}

#[async_trait]
impl QueryEngine for Engine {
    fn tables(&self) -> &[dps_kql::Table] {
        &self.tables
    }

    async fn run(&self, request: QueryRequest) -> Result<Answer, QueryError> {
        let text = request.text.clone();
        let time = request.limits.time;
        self.asked.lock().unwrap().push(request);
        match text.as_str() {
            "cut" => Ok(answer(Some(PartialAnswer::Rows))),
            "busy" => Err(QueryError::Busy),
            "slow" => Err(QueryError::Time(time)),
            "stuck" => std::future::pending().await,
            "memory" => Err(QueryError::Memory),
            "value" => Err(QueryError::Value("the step of range is nought".into())),
            "failed" => Err(QueryError::Failed("the disk is at /secret/place".into())),
            wrong if wrong.contains("Oops") => {
                Err(QueryError::Wrong(diagnostics(wrong, wrong.contains('|'))))
            }
            _ => Ok(answer(None)),
        }
    }
}

#[derive(Default)]
struct Sink(Mutex<Vec<Event>>);

impl EventSink for Sink {
    fn record(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

struct Site {
    api: LogsApi,
    engine: Arc<Engine>,
    sink: Arc<Sink>,
}

impl Site {
    async fn new() -> Self {
        let engine = Arc::new(Engine {
            tables: Table::ALL.iter().map(|table| table.schema()).collect(),
            asked: Mutex::default(),
        });
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let instances = Arc::new(Instances::open(store, default(), |_, _| {}).await.unwrap());
        let clock: Arc<dyn Clock> = Arc::new(StandingClock::default());
        let access = Arc::new(AccessControl::local().with_management_token(TOKEN.to_owned().into()));
        let workspace =
            Workspace { id: uuid::Uuid::parse_str(WORKSPACE).unwrap(), resource_id: WORKSPACE_ID.into() };
        let sink = Arc::new(Sink::default());
        let events: Arc<dyn EventSink> = Arc::<Sink>::clone(&sink);
        let port: Arc<dyn QueryEngine> = Arc::<Engine>::clone(&engine);
        let api = LogsApi::new(port, instances, workspace, access, events, clock);
        Self { api, engine, sink }
    }

    /// Status, headers and body.
    async fn call(&self, request: http::request::Builder, body: &str) -> (u16, http::HeaderMap, Value) {
        let body = Full::new(bytes::Bytes::from(body.to_owned())).map_err(|never| match never {}).boxed();
        let (head, body) = self.api.serve(request.body(body).unwrap()).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (head.status.as_u16(), head.headers, serde_json::from_slice(&bytes).unwrap())
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, http::HeaderMap, Value) {
        self.call(asked("POST", path).header("content-type", "application/json"), &body.to_string()).await
    }

    /// Asks the workspace; status and body.
    async fn query(&self, text: &str) -> (u16, Value) {
        let (status, _, body) = self.post(&query_path(), &json!({"query": text, "timespan": "PT1H"})).await;
        (status, body)
    }

    fn last(&self) -> QueryRequest {
        self.engine.asked.lock().unwrap().pop().unwrap()
    }
}

fn asked(method: &str, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(path).header("authorization", format!("Bearer {TOKEN}"))
}

fn query_path() -> String {
    format!("/v1/workspaces/{WORKSPACE}/query")
}

#[tokio::test]
async fn query_of_the_workspace_is_answered_as_clients_read_it() {
    let site = Site::new().await;
    let (status, body) = site.query("AzureDiagnostics | count").await;
    assert_eq!(status, 200);
    assert_eq!(
        body,
        json!({"tables": [{
            "name": "PrimaryResult",
            "columns": [{"name": "OperationName", "type": "string"}, {"name": "count_", "type": "long"}],
            "rows": [["AttestationAttempt", 3]],
        }]}),
        "nothing that was not preferred"
    );
    let asked = site.last();
    assert_eq!((asked.text.as_str(), &asked.scope), ("AzureDiagnostics | count", &Scope::Workspace));
    let (from, to) = asked.timespan.unwrap();
    assert_eq!((to - from, to - asked.now), (36_000_000_001, 1), "an hour, and the rows of this instant");
    assert_eq!(asked.limits.time.as_secs(), 180);

    let preferring = asked_with_preference("wait=60,include-statistics=true,include-render=true");
    let (_, _, body) = site.call(preferring, r#"{"query":"T","workspaces":null}"#).await;
    assert_eq!(body["statistics"]["query"]["executionTime"], 0.015);
    assert_eq!(body["render"]["visualization"], "timechart");
    assert_eq!((&body["render"]["title"], &body["render"]["accumulate"]), (&json!("Attempts"), &json!(true)));
    let asked = site.last();
    assert_eq!((asked.limits.time.as_secs(), asked.timespan), (60, None));
}

fn asked_with_preference(prefer: &str) -> http::request::Builder {
    asked("POST", &query_path()).header("content-type", "application/json").header("prefer", prefer)
}

#[tokio::test]
async fn query_by_get_and_of_a_resource_sees_that_resource() {
    let site = Site::new().await;
    let (status, _, _) =
        site.call(asked("GET", &format!("{}?query=T%20%7C%20count&timespan=P1D", query_path())), "").await;
    assert_eq!((status, site.last().text.as_str()), (200, "T | count"));
    for path in [
        format!("/v1{DEFAULT}/query"),
        format!("{DEFAULT}/providers/microsoft.insights/logs?api-version=2018-03-01-preview"),
    ] {
        assert!(claims(path.split('?').next().unwrap()));
        let (status, _, body) = site.post(&path, &json!({"query": "T"})).await;
        assert_eq!(status, 200, "{path} {body}");
        assert_eq!(site.last().scope, Scope::Resources(vec![DEFAULT.into()]));
    }
    // The resource group, and the workspace as a resource.
    let group = "/subscriptions/S-1/resourceGroups/MUSTER";
    assert_eq!(site.post(&format!("/v1{group}/query"), &json!({"query": "T"})).await.0, 200);
    assert_eq!(site.last().scope, Scope::Resources(vec![group.into()]));
    assert_eq!(site.post(&format!("/v1{WORKSPACE_ID}/query"), &json!({"query": "T"})).await.0, 200);
    assert_eq!(site.last().scope, Scope::Workspace);
    for (path, code) in [
        (format!("/v1{DEFAULT}-other/query"), "ResourceNotFoundError"),
        ("/v1/subscriptions/s/query".into(), "ResourceNotFoundError"),
        ("/v1/workspaces/other/query".into(), "WorkspaceNotFoundError"),
        ("/v1/nothing".into(), "PathNotFoundError"),
    ] {
        let (status, _, body) = site.post(&path, &json!({"query": "T"})).await;
        assert_eq!((status, &body["error"]["code"]), (404, &json!(code)), "{path}");
    }
    let other = json!({"query": "T", "workspaces": ["other"]});
    assert_eq!(site.post(&query_path(), &other).await.2["error"]["code"], "WorkspaceNotFoundError");
    assert_eq!(site.post(&query_path(), &json!({"query": "T", "workspaces": ["Muster"]})).await.0, 200);
}

#[tokio::test]
async fn wrong_query_is_an_error_within_an_error_down_to_the_place() {
    let site = Site::new().await;
    let (status, body) = site.query("T\n  | where Oops").await;
    assert_eq!(status, 400);
    let error = &body["error"];
    assert_eq!(
        (&error["code"], &error["innererror"]["code"]),
        (&json!("BadArgumentError"), &json!("SyntaxError"))
    );
    let inner = &error["innererror"]["innererror"];
    assert_eq!((&inner["code"], &inner["line"], &inner["pos"]), (&json!("KS142"), &json!(2), &json!(10)));
    assert_eq!(inner["token"], "Oops");
    assert!(inner["message"].as_str().unwrap().ends_with("Did you mean 'Ops'?"));
    assert_eq!(error["innererror"]["details"].as_array().map(Vec::len), Some(2));
    assert_eq!(site.query("Oops").await.1["error"]["innererror"]["code"], "SemanticError");
}

#[tokio::test]
async fn engine_that_refuses_is_told_in_the_apis_words() {
    let site = Site::new().await;
    for (query, status, code) in [
        ("busy", 429, "TooManyRequests"),
        ("slow", 504, "GatewayTimeout"),
        ("memory", 400, "BadArgumentError"),
        ("value", 400, "BadArgumentError"),
        ("failed", 500, "InternalServerError"),
        ("", 400, "BadArgumentError"),
    ] {
        let (told, headers, body) = site.post(&query_path(), &json!({"query": query})).await;
        assert_eq!((told, &body["error"]["code"]), (status, &json!(code)), "{query}");
        assert_eq!(headers.contains_key("retry-after"), status == 429, "{query}");
        assert_eq!(body["error"]["correlationId"], body["trackingId"]);
        assert!(!body.to_string().contains("secret"), "{body}");
    }
    let (status, body) = site.query("cut").await;
    assert_eq!((status, &body["error"]["code"]), (200, &json!("PartialError")));
    assert_eq!(body["tables"][0]["rows"].as_array().map(Vec::len), Some(1));
    let (status, _, body) = site.post(&query_path(), &json!({"query": "T", "timespan": "yesterday"})).await;
    assert_eq!(status, 400);
    assert!(body["error"]["message"].as_str().unwrap().contains("PT12H"), "{body}");
    let (status, headers, _) = site.call(asked("DELETE", &query_path()), "").await;
    assert_eq!((status, headers["allow"].to_str().unwrap()), (405, "GET, POST"));
}

#[tokio::test(start_paused = true)]
async fn engine_that_does_not_come_back_is_left() {
    let site = Site::new().await;
    let (status, _, body) = site.call(asked_with_preference("wait=1"), r#"{"query":"stuck"}"#).await;
    assert_eq!((status, &body["error"]["code"]), (504, &json!("GatewayTimeout")));
}

#[tokio::test]
async fn batch_answers_each_by_itself() {
    let site = Site::new().await;
    let one = |id: &str, query: &str, workspace: &str| {
        json!({"id": id, "workspace": workspace, "path": "/query", "method": "POST",
               "headers": {"Prefer": "include-statistics=true"}, "body": {"query": query, "timespan": null}})
    };
    let requests = json!({"requests": [
        one("a", "T", WORKSPACE), one("b", "Oops", WORKSPACE), one("c", "T", "other"),
        json!({"id": "d", "workspace": WORKSPACE, "path": "/render", "body": {}}), json!({"id": "e"}), json!(1),
    ]});
    let (status, _, body) = site.post("/v1/$batch", &requests).await;
    assert_eq!(status, 200);
    let told: Vec<_> = body["responses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["id"].clone(), one["status"].clone()))
        .collect();
    let wanted = [("a", 200), ("b", 400), ("c", 404), ("d", 404), ("e", 400)];
    let mut wanted: Vec<_> = wanted.iter().map(|(id, status)| (json!(id), json!(status))).collect();
    wanted.push((json!(null), json!(400)));
    assert_eq!(told, wanted);
    assert!(body["responses"][0]["body"]["statistics"].is_object());
    let many = json!({"requests": vec![one("a", "T", WORKSPACE); 101]});
    assert_eq!(site.post("/v1/$batch", &many).await.0, 400);
    assert_eq!(site.post("/v1/$batch", &json!({})).await.0, 400);
}

#[tokio::test]
async fn metadata_names_tables_and_columns() {
    let site = Site::new().await;
    let (status, _, body) =
        site.call(asked("GET", &format!("/v1/workspaces/{WORKSPACE}/metadata")), "").await;
    assert_eq!(status, 200);
    let diagnostics = &body["tables"][0];
    assert_eq!(
        (&diagnostics["name"], &diagnostics["timespanColumn"]),
        (&json!("AzureDiagnostics"), &json!("TimeGenerated"))
    );
    assert_eq!(diagnostics["columns"][0], json!({"name": "TimeGenerated", "type": "datetime"}));
    assert_eq!(body["workspaces"][0]["id"], WORKSPACE);
}

#[tokio::test]
async fn caller_without_a_token_learns_nothing_and_every_call_is_one_event() {
    let site = Site::new().await;
    for path in [query_path(), "/v1/workspaces/other/query".into(), format!("/v1{DEFAULT}/query")] {
        let request = Request::builder().method("POST").uri(&path).header("content-type", "application/json");
        let (status, headers, body) = site.call(request, r#"{"query":"T"}"#).await;
        assert_eq!((status, &body["error"]["code"]), (401, &json!("AuthenticationFailed")), "{path}");
        assert_eq!(headers["www-authenticate"], "Bearer");
    }
    assert!(site.engine.asked.lock().unwrap().is_empty());
    site.query("T").await;
    let events = site.sink.0.lock().unwrap();
    let records: Vec<_> = events
        .iter()
        .map(|event| match event {
            Event::ManagementCall(record) => (record.operation, record.outcome == Outcome::Success),
            other => panic!("{other:?}"),
        })
        .collect();
    let query = "Microsoft.OperationalInsights/workspaces/query/read";
    assert_eq!(records, [(query, false), (query, false), (query, false), (query, true)]);
}

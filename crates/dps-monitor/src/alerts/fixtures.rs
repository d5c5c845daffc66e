//! Rules, a state in memory that fails on demand, and fakes of the ports. For tests alone.

#![allow(clippy::unwrap_used, reason = "these are for tests")]

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dps_events::{AttemptRecord, Event, Operation, Outcome};
use dps_kql::{Column, Type, Value};
use dps_model::limits::MAX_PAGE;
use dps_model::{Channel, Error, ErrorCode, Etag, Protocol, Secret, Timestamp, TlsSession, TrackingId};

use super::Now;
use super::evaluation::instant;
use super::group::{ActionGroup, PayloadForm, WebhookReceiver};
use super::rule::{
    Condition, DimensionFilter, FailingPeriods, Measure, MetricCriterion, Operator, QueryCriterion, Rule,
};
use crate::metrics::{Aggregation, Metric};
use crate::ports::{
    Answer, AnswerTable, Kept, MonitorState, QueryEngine, QueryError, QueryRequest, RuleSource, Shelf,
    StateError, StateWrite, WebhookPost,
};

/// The resource that rules watch.
pub(super) fn target() -> String {
    let group = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/Fleet";
    format!("{group}/providers/Microsoft.Devices/provisioningServices/dps1")
}

/// A metric rule without criteria.
pub(super) fn rule(criteria: Vec<MetricCriterion>) -> Rule {
    let group = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/Fleet";
    Rule {
        id: format!("{group}/providers/Microsoft.Insights/metricAlerts/refused"),
        name: "refused".into(),
        description: "devices are refused".into(),
        severity: 2,
        enabled: true,
        scopes: vec![target()],
        frequency: 1,
        window: 5,
        stateful: true,
        mute: None,
        condition: Condition::Metrics { criteria, multiple: false },
        actions: Vec::new(),
        custom_properties: BTreeMap::new(),
    }
}

/// A log rule.
pub(super) fn query_rule(criterion: QueryCriterion) -> Rule {
    let group = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/Fleet";
    Rule {
        id: format!("{group}/providers/Microsoft.Insights/scheduledQueryRules/errors"),
        name: "errors".into(),
        condition: Condition::Query(criterion),
        ..rule(Vec::new())
    }
}

/// More than so many attestation attempts, by these dimensions.
pub(super) fn attempts(threshold: f64, dimensions: &[(&str, bool, &[&str])]) -> MetricCriterion {
    let dimension = |(name, include, values): &(&str, bool, &[&str])| DimensionFilter {
        name: (*name).into(),
        include: *include,
        values: values.iter().map(|value| (*value).to_owned()).collect(),
    };
    let measure = Measure {
        name: "c1".into(),
        metric: Metric::AttestationAttempts,
        dimensions: dimensions.iter().map(dimension).collect(),
        aggregation: Aggregation::Total,
    };
    MetricCriterion { measure, operator: Operator::GreaterThan, threshold }
}

/// More rows than so many.
pub(super) fn rows_over(threshold: f64) -> QueryCriterion {
    QueryCriterion {
        query: "AzureDiagnostics | where ResultType != 'Success'".into(),
        aggregation: Aggregation::Count,
        measure_column: None,
        resource_column: None,
        dimensions: Vec::new(),
        operator: Operator::GreaterThan,
        threshold,
        failing: FailingPeriods { of: 1, at_least: 1 },
        time_range: None,
        time_to_resolve: None,
    }
}

/// A register request in that minute.
pub(super) fn attempt(protocol: Protocol, good: bool, minute: i64) -> Event {
    let channel = Channel { protocol, peer: "127.0.0.1:1".parse().unwrap(), tls: TlsSession::default() };
    let mut record = AttemptRecord::open(TrackingId::fresh(), instant(minute), &channel, Operation::Register);
    record.instance = Some("dps1".to_owned());
    record.outcome =
        if good { Outcome::Success } else { Outcome::failed(&Error::new(ErrorCode::Unauthorized)) };
    Event::Attempt(Box::new(record))
}

/// What the next write does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Break {
    /// Fails undone.
    Before,
    /// Is done, and says that it failed.
    After,
}

/// A state in memory.
#[derive(Default)]
pub(super) struct MemoryState {
    documents: Mutex<BTreeMap<(&'static str, String), Kept>>,
    breaks: Mutex<VecDeque<Option<Break>>>,
    writes: Mutex<Vec<usize>>,
}

impl MemoryState {
    /// What the next writes do, in order.
    pub(super) fn break_next(&self, breaks: &[Option<Break>]) {
        self.breaks.lock().unwrap().extend(breaks);
    }

    /// How many documents each write so far had.
    pub(super) fn writes(&self) -> Vec<usize> {
        self.writes.lock().unwrap().clone()
    }

    pub(super) fn bodies(&self, shelf: Shelf) -> Vec<serde_json::Value> {
        let documents = self.documents.lock().unwrap();
        let on_shelf = documents.iter().filter(|((name, _), _)| *name == shelf.name());
        on_shelf.map(|(_, kept)| serde_json::from_str(&kept.body).unwrap()).collect()
    }

    /// Somebody else writes the document.
    pub(super) fn touch(&self, shelf: Shelf, id: &str, change: impl FnOnce(&mut serde_json::Value)) {
        let mut documents = self.documents.lock().unwrap();
        let kept = documents.get_mut(&(shelf.name(), id.to_owned())).unwrap();
        let mut body = serde_json::from_str(&kept.body).unwrap();
        change(&mut body);
        (kept.body, kept.etag) = (body.to_string(), Etag::fresh());
    }
}

#[async_trait]
impl MonitorState for MemoryState {
    async fn get(&self, shelf: Shelf, id: &str) -> Result<Option<Kept>, StateError> {
        Ok(self.documents.lock().unwrap().get(&(shelf.name(), id.to_owned())).cloned())
    }

    async fn list(&self, shelf: Shelf, after: Option<&str>, limit: usize) -> Result<Vec<Kept>, StateError> {
        let documents = self.documents.lock().unwrap();
        let behind = documents
            .iter()
            .filter(|((name, id), _)| *name == shelf.name() && after.is_none_or(|after| id.as_str() > after));
        Ok(behind.take(limit.min(MAX_PAGE)).map(|(_, kept)| kept.clone()).collect())
    }

    async fn write(&self, writes: Vec<StateWrite>) -> Result<(), StateError> {
        let broken = self.breaks.lock().unwrap().pop_front().flatten();
        if broken == Some(Break::Before) {
            return Err(StateError::Failed("broken before".into()));
        }
        let mut documents = self.documents.lock().unwrap();
        for write in &writes {
            if let StateWrite::Put { shelf, document, over: Some(over) } = write {
                let there = documents.get(&(shelf.name(), document.id.clone())).map(|kept| kept.etag.clone());
                if there != *over {
                    return Err(StateError::Changed);
                }
            }
        }
        self.writes.lock().unwrap().push(writes.len());
        for write in writes {
            match write {
                StateWrite::Put { shelf, document, over: _ } => {
                    documents.insert((shelf.name(), document.id.clone()), document);
                }
                StateWrite::Delete { shelf, id } => {
                    documents.remove(&(shelf.name(), id));
                }
            }
        }
        match broken {
            None => Ok(()),
            Some(_) => Err(StateError::Failed("broken after".into())),
        }
    }
}

/// A table of an answer.
pub(super) fn table(columns: &[(&str, Type)], rows: Vec<Vec<Value>>) -> AnswerTable {
    let column = |(name, ty): &(&str, Type)| Column { name: (*name).into(), ty: *ty };
    AnswerTable { columns: columns.iter().map(column).collect(), rows }
}

/// An engine that answers by a function of the request, and remembers requests.
pub(super) struct FakeEngine<F> {
    pub(super) answer: F,
    pub(super) asked: Mutex<Vec<QueryRequest>>,
}

impl<F> FakeEngine<F> {
    pub(super) fn new(answer: F) -> Arc<Self> {
        Arc::new(Self { answer, asked: Mutex::default() })
    }
}

/// An answer that is that table.
pub(super) fn whole(table: AnswerTable) -> Answer {
    Answer { table, render: None, partial: None, elapsed: std::time::Duration::ZERO, scanned_rows: 0 }
}

#[async_trait]
impl<F> QueryEngine for FakeEngine<F>
where
    F: Fn(&QueryRequest) -> Result<Answer, QueryError> + Send + Sync + 'static,
{
    fn tables(&self) -> &[dps_kql::Table] {
        &[]
    }

    async fn run(&self, request: QueryRequest) -> Result<Answer, QueryError> {
        let answer = (self.answer)(&request);
        self.asked.lock().unwrap().push(request);
        answer
    }
}

/// An instant in that minute, some seconds later.
pub(super) fn shortly_after(minute: i64) -> Timestamp {
    instant(minute).plus_millis(5_000)
}

/// Rules and groups that change as a test says.
#[derive(Default)]
pub(super) struct FakeRules {
    rules: Mutex<BTreeMap<String, Arc<Rule>>>,
    groups: Mutex<BTreeMap<String, Arc<ActionGroup>>>,
}

impl FakeRules {
    pub(super) fn put(&self, rule: Rule) {
        self.rules.lock().unwrap().insert(rule.id.to_ascii_lowercase(), Arc::new(rule));
    }

    pub(super) fn remove(&self, id: &str) {
        self.rules.lock().unwrap().remove(&id.to_ascii_lowercase());
    }

    pub(super) fn put_group(&self, group: ActionGroup) {
        self.groups.lock().unwrap().insert(group.id.to_ascii_lowercase(), Arc::new(group));
    }
}

impl RuleSource for FakeRules {
    fn enabled(&self) -> Vec<Arc<Rule>> {
        self.rules.lock().unwrap().values().filter(|rule| rule.enabled).cloned().collect()
    }

    fn rule(&self, id: &str) -> Option<Arc<Rule>> {
        self.rules.lock().unwrap().get(&id.to_ascii_lowercase()).cloned()
    }

    fn group(&self, id: &str) -> Option<Arc<ActionGroup>> {
        self.groups.lock().unwrap().get(&id.to_ascii_lowercase()).cloned()
    }
}

/// An action group with webhooks at `https://{name}`.
pub(super) fn group(name: &str, receivers: &[&str]) -> ActionGroup {
    let place = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/Fleet";
    let webhook = |name: &&str| WebhookReceiver {
        name: (*name).into(),
        uri: Secret::from(format!("https://{name}")),
        form: PayloadForm::Common,
    };
    ActionGroup {
        id: format!("{place}/providers/microsoft.insights/actionGroups/{name}"),
        name: name.into(),
        short_name: name.into(),
        enabled: true,
        webhooks: receivers.iter().map(webhook).collect(),
    }
}

/// What a webhook does with a post.
#[derive(Clone, Copy)]
pub(super) enum Reply {
    Status(u16),
    Unreachable,
    Never,
}

/// A post, so many seconds after the first one was waited for.
#[derive(Clone, Debug)]
pub(super) struct Post {
    pub(super) second: u64,
    pub(super) uri: String,
    pub(super) body: serde_json::Value,
}

/// Webhooks that remember posts and reply as a test says, else 200.
pub(super) struct RecordingWebhooks {
    began: tokio::time::Instant,
    posts: Mutex<Vec<Post>>,
    replies: Mutex<BTreeMap<String, VecDeque<Reply>>>,
    always: Mutex<BTreeMap<String, Reply>>,
}

impl Default for RecordingWebhooks {
    fn default() -> Self {
        let (posts, replies, always) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { began: tokio::time::Instant::now(), posts, replies, always }
    }
}

impl RecordingWebhooks {
    /// The next replies of a webhook.
    pub(super) fn reply(&self, name: &str, replies: &[Reply]) {
        let uri = format!("https://{name}");
        self.replies.lock().unwrap().entry(uri).or_default().extend(replies);
    }

    /// All replies of a webhook.
    pub(super) fn always(&self, name: &str, reply: Reply) {
        self.always.lock().unwrap().insert(format!("https://{name}"), reply);
    }

    pub(super) fn posts(&self) -> Vec<Post> {
        self.posts.lock().unwrap().clone()
    }

    /// Seconds of the posts to a webhook.
    pub(super) fn seconds(&self, name: &str) -> Vec<u64> {
        let uri = format!("https://{name}");
        self.posts().iter().filter(|post| post.uri == uri).map(|post| post.second).collect()
    }
}

#[async_trait]
impl WebhookPost for RecordingWebhooks {
    async fn post(&self, uri: &Secret, body: Vec<u8>) -> Result<u16, String> {
        let uri = String::from_utf8(uri.expose().to_vec()).unwrap();
        let body = serde_json::from_slice(&body).unwrap();
        let second = self.began.elapsed().as_secs();
        self.posts.lock().unwrap().push(Post { second, uri: uri.clone(), body });
        let always = self.always.lock().unwrap().get(&uri).copied();
        let next = self.replies.lock().unwrap().get_mut(&uri).and_then(VecDeque::pop_front);
        match next.or(always).unwrap_or(Reply::Status(200)) {
            Reply::Status(status) => Ok(status),
            Reply::Unreachable => Err("nobody answers".into()),
            Reply::Never => std::future::pending().await,
        }
    }
}

/// A clock that runs with tokio's, from that minute on.
pub(super) fn clock(minute: i64) -> Now {
    let began = tokio::time::Instant::now();
    Arc::new(move || {
        let since = i64::try_from(began.elapsed().as_millis()).unwrap();
        instant(minute).plus_millis(since)
    })
}

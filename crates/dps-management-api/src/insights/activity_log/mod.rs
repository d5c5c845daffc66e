//! The activity log over ARM (Azure: "Activity Logs - List"): calls of the control plane, newest first, in pages. Owns the
//! shape of an event; the rows are the workspace's `AzureActivity`, and who finds them is the query engine.

mod filter;

use std::fmt::Write as _;
use std::time::Duration;

use dps_kql::Value as Cell;
use dps_model::limits::{MAX_ACTIVITY_PAGE, MAX_QUERY_BYTES, MAX_QUERY_MEMORY, QUERY_TIME, RETRY_AFTER_BUSY};
use dps_model::{Error, ErrorCode, Timestamp};
use dps_monitor::{Answer as Found, QueryEngine, QueryError, QueryLimits, QueryRequest, Scope};
use http::request::Parts;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::metrics::parameter;
use crate::answer::Answer;
use crate::logs::ticks;
use crate::request;
use crate::route::Route;
use crate::service::ManagementApi;
use filter::{Filter, Place};

impl ManagementApi {
    pub(super) async fn activity_log(
        &self,
        route: &Route,
        head: &Parts,
        now: Timestamp,
    ) -> Result<Answer, Error> {
        let engine = self.insights.queries.as_ref().ok_or_else(|| {
            Error::with(ErrorCode::RouteNotFound, "This build of the server keeps no log rows.")
        })?;
        let text = parameter(head, "$filter").unwrap_or_default();
        let filter = Filter::parse(&text)?;
        let after = parameter(head, "$skiptoken").map(|token| place(&token)).transpose()?;
        let selected = selected(parameter(head, "$select").as_deref());
        let subscription = route.names.resource_id();
        let within = |id: &str| id.to_ascii_lowercase().starts_with(&subscription.to_ascii_lowercase());
        if let Some(resource) = filter.resource.as_ref().filter(|resource| !within(resource)) {
            return Err(Error::argument(format!("resourceUri {resource:?} is not in this subscription.")));
        }
        let resource = filter.resource.clone().unwrap_or_else(|| subscription.clone());
        let request = QueryRequest {
            text: filter.query(MAX_ACTIVITY_PAGE + 1, after.as_ref()),
            timespan: Some((
                filter.from.map_or(0, ticks),
                filter.to.map_or(i64::MAX, |to| ticks(to).saturating_add(1)), // `le`
            )),
            scope: Scope::Resources(vec![resource]),
            now: ticks(now),
            limits: QueryLimits {
                time: Duration::from_secs(QUERY_TIME),
                rows: MAX_ACTIVITY_PAGE + 1,
                bytes: MAX_QUERY_BYTES,
                memory: MAX_QUERY_MEMORY,
            },
        };
        let found = run(engine.as_ref(), request).await?;
        let mut events: Vec<Row<'_>> =
            found.table.rows.iter().map(|cells| Row { found: &found, cells }).collect();
        let more = events.len() > MAX_ACTIVITY_PAGE;
        events.truncate(MAX_ACTIVITY_PAGE);
        let mut shown = json!({ "value": events.iter().map(|row| row.event(&selected)).collect::<Vec<_>>() });
        if let Some(last) = events.last().filter(|_| more) {
            shown["nextLink"] = Value::String(next_link(head, &subscription, last));
        }
        Ok(Answer::shown(shown))
    }
}

async fn run(engine: &dyn QueryEngine, request: QueryRequest) -> Result<Found, Error> {
    engine.run(request).await.map_err(|error| match error {
        QueryError::Busy => {
            Error::new(ErrorCode::Throttled).because(error.to_string()).retry_after(RETRY_AFTER_BUSY)
        }
        QueryError::Time(_) => Error::new(ErrorCode::QueryTooSlow),
        QueryError::Memory | QueryError::Value(_) => Error::argument(error.to_string()),
        QueryError::Wrong(_) | QueryError::Failed(_) => Error::internal(error),
    })
}

/// A row of `AzureActivity`.
struct Row<'a> {
    found: &'a Found,
    cells: &'a [Cell],
}

impl Row<'_> {
    fn cell(&self, name: &str) -> Option<&Cell> {
        let at = self.found.table.columns.iter().position(|column| column.name == name)?;
        self.cells.get(at)
    }

    fn text(&self, name: &str) -> &str {
        match self.cell(name) {
            Some(Cell::String(text)) => text,
            _ => "",
        }
    }

    fn time(&self, name: &str) -> String {
        match self.cell(name) {
            Some(Cell::DateTime(ticks)) => dps_kql::literal::format_datetime(*ticks),
            _ => String::new(),
        }
    }

    /// JSON that a column keeps as text.
    fn json(&self, name: &str) -> Value {
        serde_json::from_str(self.text(name)).unwrap_or_default()
    }

    /// The event, as `EventData` of Azure's reference has it.
    fn event(&self, selected: &[String]) -> Value {
        let named = |value: &str, words: &str| json!({ "value": value, "localizedValue": words });
        let same = |value: &str| named(value, value);
        let (id, resource) = (self.text("EventDataId"), self.text("ResourceId"));
        let time = self.time("TimeGenerated");
        let kind = dps_monitor::IdParts::of(resource);
        let kind =
            if kind.kind.is_empty() { String::new() } else { format!("{}/{}", kind.provider, kind.kind) };
        let operation = self.json("Authorization")["action"].as_str().unwrap_or_default().to_owned();
        let mut event = json!({
            "authorization": self.json("Authorization"),
            "caller": self.text("Caller"),
            "claims": texts(&self.json("Claims")),
            "correlationId": self.text("CorrelationId"),
            "description": "",
            "eventDataId": id,
            "eventName": named("EndRequest", "End request"),
            "category": same("Administrative"),
            "httpRequest": self.json("HTTPRequest"),
            "id": format!("{resource}/events/{id}"),
            "level": if self.text("Level") == "Information" { "Informational" } else { self.text("Level") },
            "resourceGroupName": self.text("ResourceGroup"),
            "resourceProviderName": same(self.text("ResourceProvider")),
            "resourceId": resource,
            "resourceType": same(&kind),
            "operationId": self.text("OperationId"),
            "operationName": named(&operation, self.text("OperationName")),
            "properties": texts(&self.json("Properties")),
            "status": same(self.text("ActivityStatus")),
            "subStatus": same(self.text("ActivitySubstatusValue")),
            "eventTimestamp": time,
            "submissionTimestamp": time,
            "subscriptionId": self.text("SubscriptionId"),
            "tenantId": self.text("TenantId"),
        });
        if let Some(members) = event.as_object_mut().filter(|_| !selected.is_empty()) {
            members.retain(|name, _| selected.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)));
        }
        event
    }
}

/// Members whose values are texts, as clients expect of `claims` and `properties`.
fn texts(value: &Value) -> Value {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let members = value.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    Value::Object(
        members.map(|(name, value)| (name.clone(), Value::String(text(value)))).collect::<Map<_, _>>(),
    )
}

/// Names of members; none for all.
fn selected(text: Option<&str>) -> Vec<String> {
    let names = text.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// What [`next_link`] wrote.
fn place(token: &str) -> Result<Place, Error> {
    let wrong = || Error::argument("The $skiptoken is none that this server gave.");
    let (time, id) = token.split_once('_').ok_or_else(wrong)?;
    dps_kql::literal::read_datetime(time).ok_or_else(wrong)?;
    if time.bytes().any(|byte| !matches!(byte, b'0'..=b'9' | b'-' | b':' | b'.' | b'T' | b'Z'))
        || id.len() > 64
    {
        return Err(wrong());
    }
    Ok(Place { time: time.to_owned(), id: id.to_owned() })
}

fn next_link(head: &Parts, subscription: &str, last: &Row<'_>) -> String {
    let token = format!("{}_{}", last.time("TimeGenerated"), last.text("EventDataId"));
    let mut link = format!(
        "https://{}{subscription}/providers/Microsoft.Insights/eventtypes/management/values?%24skiptoken={}",
        request::host(head),
        utf8_percent_encode(&token, NON_ALPHANUMERIC)
    );
    for name in ["api-version", "$filter", "$select"] {
        if let Some(value) = parameter(head, name) {
            let encoded = utf8_percent_encode(&value, NON_ALPHANUMERIC);
            let _ = write!(link, "&{}={encoded}", name.replace('$', "%24")); // a String takes everything
        }
    }
    link
}

//! The activity log before an engine that has as many rows as it is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dps_kql::{Column, Value as Cell};
use dps_monitor::{Answer, AnswerTable, QueryEngine, QueryError, QueryRequest, Scope, Table};
use serde_json::{Value, json};

use crate::bed::{Bed, DEFAULT, ask};

const PAGE: usize = 200;

/// Answers with so many rows, and remembers what it was asked.
struct Rows {
    count: usize,
    asked: Mutex<Vec<QueryRequest>>,
}

#[async_trait]
impl QueryEngine for Rows {
    fn tables(&self) -> &[dps_kql::Table] {
        &[]
    }

    async fn run(&self, request: QueryRequest) -> Result<Answer, QueryError> {
        let rows = (0..self.count.min(request.limits.rows)).map(row).collect();
        self.asked.lock().unwrap().push(request);
        let columns = Table::AzureActivity.columns().iter();
        let columns = columns.map(|(name, ty)| Column { name: (*name).into(), ty: *ty }).collect();
        let table = AnswerTable { columns, rows };
        Ok(Answer { table, render: None, partial: None, elapsed: Duration::ZERO, scanned_rows: 0 })
    }
}

fn row(number: usize) -> Vec<Cell> {
    let operation = "Microsoft.Devices/provisioningServices/write";
    let cell = |name: &str| match name {
        "TimeGenerated" | "EventSubmissionTimestamp" => Cell::DateTime(639_000_000_000_000_000),
        "EventDataId" => Cell::String(format!("id-{number:04}").into()),
        "ResourceId" => Cell::String(DEFAULT.into()),
        "ResourceProvider" => Cell::String("Microsoft.Devices".into()),
        "OperationName" => Cell::String("Create or update a provisioning service".into()),
        "Authorization" => Cell::String(json!({"action": operation, "scope": DEFAULT}).to_string().into()),
        "Properties" => Cell::String(json!({"durationMs": 3, "entity": DEFAULT}).to_string().into()),
        "Level" => Cell::String("Information".into()),
        "ActivityStatus" => Cell::String("Succeeded".into()),
        _ => Cell::String("".into()),
    };
    Table::AzureActivity.columns().iter().map(|(name, _)| cell(name)).collect()
}

fn path() -> String {
    let subscription = DEFAULT.split('/').nth(2).unwrap();
    format!("/subscriptions/{subscription}/providers/Microsoft.Insights/eventtypes/management/values")
}

async fn bed(count: usize) -> (Bed, Arc<Rows>) {
    let rows = Arc::new(Rows { count, asked: Mutex::default() });
    (Bed::asking(Arc::clone(&rows) as _).await, rows)
}

fn values(shown: &Value) -> &Vec<Value> {
    shown["value"].as_array().unwrap()
}

#[tokio::test]
async fn events_have_azures_shape_and_only_the_members_that_are_asked_for() {
    let (bed, rows) = bed(1).await;
    let filter = format!(
        "%24filter=eventTimestamp%20ge%20'2026-01-01T00:00:00Z'%20and%20resourceUri%20eq%20'{DEFAULT}'"
    );
    let uri = format!("{}?api-version=2015-04-01&{filter}", path());
    let shown = bed.call(ask("GET", "").uri(&uri)).await.ok();
    let event = &values(&shown)[0];
    assert_eq!(event["operationName"]["value"], "Microsoft.Devices/provisioningServices/write");
    assert_eq!(event["resourceType"]["value"], "Microsoft.Devices/provisioningServices");
    assert_eq!((&event["level"], &event["status"]["value"]), (&json!("Informational"), &json!("Succeeded")));
    assert_eq!(event["properties"]["durationMs"], "3", "values of properties are texts");
    assert_eq!(shown.get("nextLink"), None);
    {
        let asked = rows.asked.lock().unwrap();
        assert_eq!(asked[0].scope, Scope::Resources(vec![DEFAULT.to_owned()]));
        assert!(asked[0].timespan.unwrap().0 > 639_000_000_000_000_000);
    }
    let shown = bed.call(ask("GET", "").uri(&format!("{uri}&%24select=caller,level"))).await.ok();
    assert_eq!(values(&shown)[0].as_object().unwrap().len(), 2, "{shown}");
}

#[tokio::test]
async fn more_than_a_page_is_followed_by_its_link() {
    let (bed, rows) = bed(PAGE + 1).await;
    let uri = format!("{}?api-version=2015-04-01&%24filter=level%20eq%20'Error'", path());
    let shown = bed.call(ask("GET", "").uri(&uri)).await.ok();
    assert_eq!(values(&shown).len(), PAGE);
    let link = shown["nextLink"].as_str().unwrap().strip_prefix("https://example:8443").unwrap().to_owned();
    bed.call(ask("GET", "").uri(&link)).await.ok();
    let asked = rows.asked.lock().unwrap();
    let last = format!("id-{:04}", PAGE - 1);
    assert!(asked[1].text.contains(&format!("strcmp(EventDataId, '{last}') > 0")), "{}", asked[1].text);
    assert!(asked[1].text.contains("Level in~ ('Error')"), "{}", asked[1].text);
}

#[tokio::test]
async fn what_is_wrong_is_told() {
    let (bed, _) = bed(0).await;
    for (query, status) in [
        ("api-version=2015-04-01&%24filter=colour%20eq%20'x'", 400),
        ("api-version=2015-04-01&%24skiptoken=0001)%20or%20true_x", 400),
        ("api-version=2015-04-01&%24filter=resourceUri%20eq%20'/subscriptions/other/resourceGroups/g'", 400),
        ("api-version=2019-03-31", 400),
    ] {
        let reply = bed.call(ask("GET", "").uri(&format!("{}?{query}", path()))).await;
        assert_eq!(reply.status, status, "{query}: {}", reply.text);
    }
    let without = Bed::new().await;
    let reply = without.call(ask("GET", "").uri(&format!("{}?api-version=2015-04-01", path()))).await;
    assert_eq!(reply.status, 404, "{}", reply.text);
}

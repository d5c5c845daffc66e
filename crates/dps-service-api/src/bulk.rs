//! Bulk operations: up to ten enrollments created, updated or deleted by one call, each by itself. Its items are done
//! at the same time, so that the store writes them together; what one is refused for is told beside it, and the others
//! are done.

use std::collections::HashSet;
use std::sync::Arc;

use dps_core::Enrollments;
use dps_core::enrollment::{BulkDone, BulkMode, Enrolled};
use dps_events::{BulkItemRecord, Outcome};
use dps_model::enrollment::EnrollmentInput;
use dps_model::instance::Instance;
use dps_model::limits::MAX_BULK_ENROLLMENTS;
use dps_model::{Error, Etag};
use http::request::Parts;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use crate::answer::{Answer, Bulk};
use crate::call::kept;
use crate::request::{self, Body};
use dps_model::json;

/// `BulkEnrollmentOperation` and `BulkEnrollmentGroupOperation`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Operation {
    mode: Option<String>,
    enrollments: Option<Vec<Value>>,
    enrollment_groups: Option<Vec<Value>>,
}

/// How one item ended.
struct Done {
    place: usize,
    /// As the client wrote it; empty where it wrote none.
    id: String,
    outcome: Result<BulkDone, Error>,
}

/// Does all items of the body's member `member`.
pub(crate) async fn run<E: Enrolled>(
    core: &Arc<Enrollments>,
    instance: &Arc<Instance>,
    member: &'static str,
    head: &Parts,
    body: &mut Body,
) -> Result<Answer, Error> {
    let operation: Operation = json::read(&request::json_body(&head.headers, body).await?)?;
    let mode = mode(operation.mode.as_deref())?;
    let items = if member == "enrollments" { operation.enrollments } else { operation.enrollment_groups };
    let items = items.unwrap_or_default();
    match items.len() {
        1..=MAX_BULK_ENROLLMENTS => {}
        0 => {
            return Err(Error::argument(format!(
                "{member} is empty; send 1 to {MAX_BULK_ENROLLMENTS} items"
            )));
        }
        count => {
            return Err(Error::argument(format!(
                "{member} has {count} items; at most {MAX_BULK_ENROLLMENTS} are allowed"
            )));
        }
    }
    let mut done = all::<E>(core, instance, mode, member, items).await;
    done.sort_by_key(|done| done.place);
    Ok(answer::<E>(&done))
}

fn mode(name: Option<&str>) -> Result<BulkMode, Error> {
    name.and_then(BulkMode::parse)
        .ok_or_else(|| Error::argument("mode is unknown: send create, update, updateIfMatchETag or delete."))
}

/// Starts what can be done and waits for it; the rest is refused at once.
async fn all<E: Enrolled>(
    core: &Arc<Enrollments>,
    instance: &Arc<Instance>,
    mode: BulkMode,
    member: &str,
    items: Vec<Value>,
) -> Vec<Done> {
    let mut ids = HashSet::new();
    let mut done = Vec::with_capacity(items.len());
    let mut running = JoinSet::new();
    for (place, item) in items.into_iter().enumerate() {
        let id = item.get(E::ID).and_then(Value::as_str).unwrap_or_default().to_owned();
        match read::<E>(item, &format!("{member}[{place}]"), &id, &mut ids) {
            Err(error) => done.push(Done { place, id, outcome: Err(error) }),
            Ok(input) => {
                let (core, instance) = (Arc::clone(core), Arc::clone(instance));
                running.spawn(async move {
                    let outcome = core.bulk_item::<E>(&instance, mode, input).await;
                    Done { place, id, outcome }
                });
            }
        }
    }
    while let Some(ended) = running.join_next().await {
        match ended {
            Ok(one) => done.push(one),
            // A defect of ours in one item must not be told as a success of the whole.
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
    done
}

/// One item, whose id no item before it has.
fn read<E: Enrolled>(
    item: Value,
    path: &str,
    id: &str,
    ids: &mut HashSet<String>,
) -> Result<EnrollmentInput, Error> {
    let input = json::read_value(item, path)?;
    if !id.is_empty() && !ids.insert(id.to_ascii_lowercase()) {
        return Err(Error::argument(format!(
            "{} stands twice in this operation; only its first item is done",
            E::ID
        )));
    }
    Ok(input)
}

fn answer<E: Enrolled>(done: &[Done]) -> Answer {
    let errors: Vec<Value> = done
        .iter()
        .filter_map(|done| {
            let error = done.outcome.as_ref().err()?;
            let mut shown = Map::new();
            shown.insert(E::ID.to_owned(), done.id.clone().into());
            shown.insert("errorCode".to_owned(), error.code.row().code.into());
            shown.insert("errorStatus".to_owned(), error.message.as_ref().into());
            Some(Value::Object(shown))
        })
        .collect();
    let text = |etag: Option<&Etag>| etag.map(ToString::to_string);
    let items = done.iter().map(|done| BulkItemRecord {
        id: kept(&done.id),
        previous_etag: text(done.outcome.as_ref().ok().and_then(|done| done.previous.as_ref())),
        etag: text(done.outcome.as_ref().ok().and_then(|done| done.etag.as_ref())),
        outcome: done.outcome.as_ref().map_or_else(Outcome::failed, |_| Outcome::Success),
    });
    let items = items.collect();
    let is_successful = errors.is_empty();
    Answer::Bulk(Bulk { body: json!({ "errors": errors, "isSuccessful": is_successful }), items })
}

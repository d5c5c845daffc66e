//! Sample notifications (`createNotifications`): each webhook of the body is told once, at once; what became of it is
//! remembered for a while, in memory.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use dps_model::limits::MAX_SAMPLE_NOTIFICATIONS;
use dps_model::{Error, ErrorCode, Timestamp};
use dps_monitor::TryOut;
use dps_monitor::alerts::book::Document;
use dps_monitor::alerts::document::action_group;
use http::request::Parts;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::answer::{Answer, Follow};
use crate::request;
use crate::service::ManagementApi;

/// What became of sample notifications, the newest last.
#[derive(Default)]
pub(crate) struct Samples(Mutex<VecDeque<Sample>>);

struct Sample {
    id: Uuid,
    /// ARM id of its action group.
    group: String,
    shown: Value,
}

impl Samples {
    fn keep(&self, sample: Sample) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(sample);
        if kept.len() > MAX_SAMPLE_NOTIFICATIONS {
            kept.pop_front();
        }
    }

    /// What became of one.
    pub(super) fn show(&self, group: &str, id: &str) -> Result<Answer, Error> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = Uuid::parse_str(id).ok();
        let found =
            kept.iter().find(|kept| Some(kept.id) == wanted && kept.group.eq_ignore_ascii_case(group));
        let gone = || {
            let message = "No sample notification of that id is remembered: send another one.";
            Error::with(ErrorCode::InstanceNotFound, message)
        };
        found.map(|kept| Answer::shown(kept.shown.clone())).ok_or_else(gone)
    }
}

impl ManagementApi {
    pub(super) async fn sample(
        &self,
        document: &Document,
        head: &Parts,
        body: &Value,
        now: Timestamp,
    ) -> Result<Answer, Error> {
        let group = action_group::read_sample(body, &document.id)?;
        let notifier = self.insights.notifier.as_ref().ok_or_else(|| {
            Error::with(ErrorCode::Unavailable, "This server is not set up to tell anybody of alerts.")
        })?;
        let told = notifier.try_out(&group).await;
        let id = Uuid::new_v4();
        let shown = outcome(body, &told, now);
        self.samples.keep(Sample { id, group: document.id.clone(), shown });
        let version = request::parameter(head, "api-version").unwrap_or_default();
        let host = request::host(head);
        let location = format!("https://{host}{}/notificationStatus/{id}?api-version={version}", document.id);
        Ok(Answer::accepted(Some(Follow { operation: None, location })))
    }
}

/// `TestNotificationDetailsResponse`.
fn outcome(body: &Value, told: &[TryOut], now: Timestamp) -> Value {
    let mut details: Vec<Value> = told
        .iter()
        .map(|told| {
            let (status, detail) = match &told.failure {
                None => ("Completed", ""),
                Some(why) => ("Failed", why.as_str()),
            };
            detail_of("Webhook", &told.receiver, status, detail, now)
        })
        .collect();
    for (kind, name) in others(body) {
        details.push(detail_of(&kind, name, "Failed", "This server tells webhooks alone.", now));
    }
    json!({
        "context": {
            "notificationSource": "Microsoft.Insights/TestNotification",
            "contextType": format!("Microsoft.Insights/{}", body["alertType"].as_str().unwrap_or_default()),
        },
        "state": "Complete",
        "createdTime": now,
        "completedTime": now,
        "actionDetails": details,
    })
}

fn detail_of(kind: &str, name: &str, status: &str, detail: &str, now: Timestamp) -> Value {
    json!({
        "MechanismType": kind, "Name": name, "Status": status, "SubState": "Default", "SendTime": now,
        "Detail": detail,
    })
}

/// The receivers that are no webhooks: `Email`, `Sms` …, each with its name.
fn others(body: &Value) -> Vec<(String, &str)> {
    let mut found = Vec::new();
    for kind in action_group::RECEIVERS.into_iter().filter(|kind| *kind != action_group::WEBHOOKS) {
        for receiver in body.get(kind).and_then(Value::as_array).into_iter().flatten() {
            let name = receiver.get("name").and_then(Value::as_str).unwrap_or_default();
            let mut mechanism = kind.trim_end_matches("Receivers").to_owned();
            if let Some(first) = mechanism.get_mut(..1) {
                first.make_ascii_uppercase();
            }
            found.push((mechanism, name));
        }
    }
    found
}

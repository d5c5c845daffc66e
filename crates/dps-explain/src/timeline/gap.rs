//! What did not happen, though it should have: each gap has a name, the time since when, and is open while nothing made up
//! for it. Owns how long is waited for each.

use dps_model::Timestamp;
use dps_model::limits::{GAP_PATIENCE_MS, POLL_TALLY_MS};
use serde::Serialize;
use serde_json::{Value, json};

use super::Sources;
use super::entry::{Entry, Verdict};
use super::line::{Assignment, Attempt, Line, Record};
use crate::rules;

/// Something that is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Gap {
    /// `neverPolled`, `operationNotEnded`, `challengeNotAnswered`, `neverOnHub`, `refusedByHub`, `notRetried`.
    pub kind: &'static str,
    /// In a few words.
    pub title: String,
    /// Since when.
    pub since: Timestamp,
    /// What to do about it.
    pub detail: String,
    /// Its code in the catalogue of causes, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<&'static str>,
    /// Nothing has made up for it.
    #[serde(skip)]
    pub open: bool,
    #[serde(skip)]
    whose: String,
    #[serde(skip)]
    tracking_id: String,
    #[serde(skip)]
    operation_id: Option<String>,
}

impl Gap {
    /// Its place in the story.
    pub(super) fn entry(&self) -> Entry {
        Entry {
            time: self.since,
            duration_ms: 0.0,
            kind: self.kind,
            title: self.title.clone(),
            detail: self.detail.clone(),
            result: Verdict::Gap,
            tracking_id: self.tracking_id.clone(),
            operation_id: self.operation_id.clone(),
            causes: self.causes(),
            data: json!({ "open": self.open }),
        }
    }

    fn causes(&self) -> Vec<Value> {
        let Some(code) = self.cause else { return Vec::new() };
        let sentence = format!("{}: {}", self.whose, lower(&self.title));
        rules::of_gap(code, sentence)
            .into_iter()
            .filter_map(|cause| serde_json::to_value(cause).ok())
            .collect()
    }
}

/// The title as it goes on in a sentence.
fn lower(title: &str) -> String {
    let mut letters = title.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// The gaps of lines, which are in order.
pub(super) fn of(lines: &[&Line], sources: &Sources<'_>) -> Vec<Gap> {
    let Some(now) = sources.now else { return Vec::new() };
    let story = Story { lines, now };
    let mut gaps = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        match &line.properties {
            Record::Attempt(attempt) if attempt.operation == "Register" => {
                gaps.extend(story.after_request(at, line, attempt));
            }
            Record::Assignment(assignment) if line.result_type == "Success" => {
                gaps.extend(story.after_assignment(at, line, assignment, sources.telling_hubs));
            }
            _ => {}
        }
    }
    gaps.extend(story.not_retried());
    for gap in &mut gaps {
        sources.registration_id.clone_into(&mut gap.whose);
    }
    gaps
}

struct Story<'a> {
    lines: &'a [&'a Line],
    now: Timestamp,
}

impl Story<'_> {
    fn later(&self, at: usize) -> &[&Line] {
        self.lines.get(at + 1..).unwrap_or_default()
    }

    /// Has there been time enough for what was to come?
    fn waited(&self, since: Timestamp, patience: i64) -> bool {
        since.plus_millis(patience) <= self.now
    }

    fn after_request(&self, at: usize, line: &Line, attempt: &Attempt) -> Option<Gap> {
        let later = self.later(at);
        let registers = |line: &&Line| is_register(line);
        let again = later.iter().copied().find(|line| registers(line));
        if attempt.outcome.result == "challenged" {
            let missed = match again {
                Some(again) => line.ended().plus_millis(GAP_PATIENCE_MS) < again.time,
                None => self.waited(line.ended(), GAP_PATIENCE_MS),
            };
            let detail = "The device's TPM did not open the nonce, or the device went away. A device that lost its key \
                          on the way keeps no old identity: see that it tries again.";
            return missed.then(|| {
                gap(
                    line,
                    None,
                    "challengeNotAnswered",
                    "Challenge issued, never answered",
                    detail,
                    again.is_none(),
                )
            });
        }
        // Whose enrollment is disabled is told so, and its operation does nothing.
        let goes_on = line.result_type == "Success" && attempt.status.as_deref() != Some("disabled");
        let operation = attempt.operation_id.as_deref().filter(|_| goes_on)?;
        let ended = later.iter().any(|line| ends(line, operation));
        if !ended && self.waited(line.ended(), GAP_PATIENCE_MS) {
            let detail = "The operation goes on, waits for a hub or a webhook, or its end is not in the log.";
            let open = again.is_none();
            let title = "Registered, the operation has not ended";
            return Some(gap(line, Some(operation), "operationNotEnded", title, detail, open));
        }
        // Polls are told after a minute at the latest, and may be read in that moment.
        let polled = later.iter().any(|line| polls(line, operation));
        let seen = later.iter().any(|line| matches!(line.properties, Record::HubConnection(_)));
        (!polled && !seen && self.waited(line.ended(), GAP_PATIENCE_MS + POLL_TALLY_MS / 4)).then(|| {
            let detail = "The answer had an operation id; a client must ask with it until the status is no longer \
                          assigning.";
            gap(line, Some(operation), "neverPolled", "Registered, never polled", detail, again.is_none())
        })
    }

    fn after_assignment(
        &self,
        at: usize,
        line: &Line,
        assignment: &Assignment,
        telling_hubs: &[String],
    ) -> Option<Gap> {
        let (hub, device_id) = assignment.hub.as_deref().zip(assignment.device_id.as_deref())?;
        if !telling_hubs.iter().any(|telling| same_host(telling, hub)) {
            return None;
        }
        let later = self.later(at);
        let mut refused = None;
        for line in later {
            match &line.properties {
                Record::HubConnection(it) if same_host(&it.device.hub, hub) => return None,
                Record::Connection(it) if it.hub_device.is_some() => refused = Some((line, &it.reason)),
                Record::Assignment(_) if line.result_type == "Success" => return None,
                _ => {}
            }
        }
        if let Some((refusal, why)) = refused {
            let title = format!("Assigned, refused by {hub}");
            let detail = format!("The last refusal: {why}.");
            return Some(gap(refusal, Some(&assignment.operation_id), "refusedByHub", &title, &detail, true));
        }
        self.waited(line.ended(), GAP_PATIENCE_MS).then(|| {
            let title = format!("Assigned, never seen on {hub}");
            let detail = format!(
                "The device must connect to {hub} as {device_id}, with the key or the certificate of its registration."
            );
            gap(line, Some(&assignment.operation_id), "neverOnHub", &title, &detail, true)
        })
    }

    /// Refused, then what lets it in was changed, and nothing since.
    fn not_retried(&self) -> Option<Gap> {
        let last = self.lines.iter().rposition(|line| is_register(line))?;
        let refused = self.lines.get(last).filter(|line| line.result_type == "ClientError")?;
        let changed = self.later(last).iter().find(|line| is_change(line))?;
        self.waited(changed.ended(), GAP_PATIENCE_MS).then(|| {
            let detail = format!(
                "It was refused at {}; its enrollment was changed since. Some clients keep the refusal until they are \
                 restarted.",
                refused.time
            );
            let title = "Refused, then its enrollment was changed; it has not tried since";
            gap(changed, None, "notRetried", title, &detail, true)
        })
    }
}

fn gap(
    line: &Line,
    operation_id: Option<&str>,
    kind: &'static str,
    title: &str,
    detail: &str,
    open: bool,
) -> Gap {
    Gap {
        kind,
        title: title.to_owned(),
        since: line.ended(),
        detail: detail.to_owned(),
        cause: cause_of(kind, line),
        open,
        whose: String::new(),
        tracking_id: line.correlation_id.clone(),
        operation_id: operation_id.map(str::to_owned),
    }
}

/// The catalogue's code of a gap; of a refusal by a hub, that of the line that tells it.
fn cause_of(kind: &str, line: &Line) -> Option<&'static str> {
    match (kind, &line.properties) {
        ("neverPolled", _) => Some("NEVER_POLLED"),
        ("challengeNotAnswered", _) => Some("CHALLENGE_NEVER_ANSWERED"),
        ("neverOnHub", _) => Some("NEVER_SEEN_ON_HUB"),
        ("notRetried", _) => Some("NOT_RETRIED_SINCE"),
        ("refusedByHub", Record::Connection(it)) => {
            let as_module = it.hub_device.as_ref().is_some_and(|device| device.module_id.is_some());
            Some(if as_module { "HUB_REFUSED_MODULE" } else { "HUB_REFUSED_DEVICE" })
        }
        _ => None,
    }
}

fn is_register(line: &Line) -> bool {
    matches!(&line.properties, Record::Attempt(attempt) if attempt.operation == "Register")
}

fn is_change(line: &Line) -> bool {
    line.result_type == "Success"
        && matches!(&line.properties, Record::ServiceCall(call)
            if matches!(call.operation.as_str(), "Upsert" | "BulkOperation"))
}

fn ends(line: &Line, operation: &str) -> bool {
    matches!(&line.properties, Record::Assignment(it) if it.operation_id == operation)
}

/// Was it asked for, in vain or not?
fn polls(line: &Line, operation: &str) -> bool {
    match &line.properties {
        Record::Polls(polls) => polls.operation_id == operation,
        Record::Attempt(attempt) => {
            attempt.operation == "OperationStatus"
                && attempt.operation_id.as_deref().is_none_or(|id| id == operation)
        }
        _ => false,
    }
}

/// Host names, their ports and the letters' case left out.
fn same_host(one: &str, other: &str) -> bool {
    let host = |text: &str| {
        let bare = text.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
        bare.map_or(text, |(host, _)| host).to_ascii_lowercase()
    };
    host(one) == host(other)
}

/// A value that says that nothing is open, for data.
#[cfg(test)]
pub(super) fn is_open(entry: &Entry) -> bool {
    entry.data["open"] == true
}

//! An operation as entries: the webhook that was asked, what was written at hubs, and how it ended.

use dps_model::Timestamp;
use serde_json::json;

use super::entry::{Entry, Verdict, fault, millis};
use super::line::{Assignment, Line, after};

/// The entries of an operation.
pub(super) fn entries(line: &Line, assignment: &Assignment) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut begun = 0_u64;
    for step in &assignment.steps {
        let time = after(line.time, begun);
        begun = begun.saturating_add(step.micros);
        entries.extend(of_step(line, assignment, &step.name, time, step.micros));
    }
    // A step that failed is not among them.
    entries.extend(failed_step(line, assignment, after(line.time, begun)));
    entries.push(end(line, assignment));
    for entry in &mut entries {
        entry.operation_id = Some(assignment.operation_id.clone());
    }
    entries
}

fn of_step(line: &Line, assignment: &Assignment, step: &str, time: Timestamp, micros: u64) -> Option<Entry> {
    let hub = assignment.hub.as_deref().unwrap_or("its hub");
    let device = assignment.device_id.as_deref().unwrap_or_default();
    let (kind, title) = match step {
        "askWebhook" => return webhook(line, assignment, time, micros, Verdict::Ok),
        "readTwin" => ("hubWrite", format!("Twin of {device} read at its former hub")),
        "putDevice" => ("hubWrite", format!("Identity {device} written at {hub}")),
        "deleteFormerDevice" => ("hubWrite", "Former identity removed".to_owned()),
        // The commit is the end, which has an entry.
        _ => return None,
    };
    let detail = match (step, assignment.twin.as_deref()) {
        ("putDevice", Some(twin)) => format!("Twin: {twin}; attempts: {}.", assignment.attempts),
        ("deleteFormerDevice", _) => {
            assignment.moved_from.as_deref().map(|it| format!("At {it}.")).unwrap_or_default()
        }
        _ => String::new(),
    };
    Some(Entry {
        time,
        duration_ms: millis(micros),
        detail,
        result: Verdict::Ok,
        data: json!({ "step": step, "hub": assignment.hub, "deviceId": assignment.device_id, "twin": assignment.twin }),
        ..Entry::of(line, kind, title)
    })
}

fn webhook(
    line: &Line,
    assignment: &Assignment,
    time: Timestamp,
    micros: u64,
    result: Verdict,
) -> Option<Entry> {
    let webhook = assignment.webhook.as_ref()?;
    let calls = if webhook.calls > 1 { format!(" ({} calls)", webhook.calls) } else { String::new() };
    Some(Entry {
        time,
        duration_ms: millis(micros),
        detail: format!("{}: {}", webhook.url, webhook.answer),
        result,
        data: json!({ "url": webhook.url, "calls": webhook.calls, "last": webhook.last }),
        ..Entry::of(line, "webhook", format!("Webhook asked{calls}"))
    })
}

/// What an operation failed at.
fn failed_step(line: &Line, assignment: &Assignment, time: Timestamp) -> Option<Entry> {
    if line.result_type == "Success" {
        return None;
    }
    let told = |name: &str| assignment.steps.iter().any(|step| step.name == name);
    if assignment.webhook.is_some() && !told("askWebhook") {
        return webhook(line, assignment, time, 0, Verdict::Failed);
    }
    let answer = assignment.hub_answer.as_ref()?;
    let hub = assignment.hub.as_deref().unwrap_or("its hub");
    let title = match (answer.status, answer.stage.as_deref()) {
        (Some(status), _) => format!("{hub} answered {status}"),
        (None, Some(stage)) => format!("{hub} not reached: {stage}"),
        (None, None) => format!("{hub} not reached"),
    };
    Some(Entry {
        time,
        duration_ms: 0.0,
        detail: answer.body.clone(),
        result: Verdict::Failed,
        data: json!({ "hub": assignment.hub, "status": answer.status, "stage": answer.stage, "attempts": assignment.attempts }),
        ..Entry::of(line, "hubWrite", title)
    })
}

fn end(line: &Line, assignment: &Assignment) -> Entry {
    let hub = assignment.hub.as_deref().unwrap_or("a hub");
    let device = assignment.device_id.as_deref().unwrap_or_default();
    let is_first = assignment.substatus.as_deref() == Some("initialAssignment");
    let (kind, title) = if line.result_type != "Success" {
        ("assignmentFailed", "Assignment failed".to_owned())
    } else if is_first || assignment.substatus.is_none() {
        ("assigned", format!("Assigned to {hub} as {device}"))
    } else {
        match &assignment.moved_from {
            Some(from) => ("reprovisioned", format!("Moved from {from} to {hub} as {device}")),
            None => ("reprovisioned", format!("Assigned again to {hub} as {device}")),
        }
    };
    let mut parts = vec![format!("By {}.", assignment.enrollment.words())];
    parts.extend(assignment.substatus.as_deref().map(|it| format!("Substatus {it}.")));
    if assignment.resumed {
        parts.push("Taken over after a restart.".to_owned());
    }
    if !line.result_description.is_empty() {
        parts.push(line.result_description.clone());
    }
    parts.extend(fault(assignment.fault.as_ref()));
    Entry {
        time: line.ended(),
        detail: parts.join(" "),
        causes: assignment.causes.clone(),
        data: json!({
            "hub": assignment.hub, "deviceId": assignment.device_id, "substatus": assignment.substatus,
            "movedFrom": assignment.moved_from, "twin": assignment.twin, "attempts": assignment.attempts,
            "code": assignment.outcome.code,
        }),
        ..Entry::of(line, kind, title)
    }
}

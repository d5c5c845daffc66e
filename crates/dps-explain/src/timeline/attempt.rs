//! A device's request as entries: the connection it came by, the enrollment it met, its proof, the hub that was chosen, the
//! answer. Steps follow on each other, so each entry begins where the steps before it ended.

use std::fmt::Write as _;

use dps_model::Timestamp;
use serde_json::{Value, json};

use super::entry::{Entry, Verdict, fault, millis};
use super::line::{Attempt, Line, after};

/// The entries of an attempt.
pub(super) fn entries(line: &Line, attempt: &Attempt) -> Vec<Entry> {
    if attempt.operation != "Register" {
        return vec![lookup(line, attempt)];
    }
    let mut entries = vec![connection(line, attempt)];
    entries.extend(matched(line, attempt));
    entries.extend(attestation(line, attempt));
    entries.extend(allocation(line, attempt));
    entries.push(answer(line, attempt));
    // A step that was not measured has no time of its own: it does not begin before the one that it follows.
    let mut last = line.time;
    for entry in &mut entries {
        last = last.max(entry.time);
        entry.time = last;
    }
    entries
}

/// When the steps of those names began, and how long they took together; the beginning of the request without them.
fn span(line: &Line, attempt: &Attempt, names: &[&str]) -> (Timestamp, f64) {
    let before = attempt.steps.iter().take_while(|step| !names.contains(&step.name.as_str()));
    let before = before.fold(0_u64, |sum, step| sum.saturating_add(step.micros));
    let taken = attempt.steps.iter().filter(|step| names.contains(&step.name.as_str()));
    let taken = taken.fold(0_u64, |sum, step| sum.saturating_add(step.micros));
    if taken == 0 { (line.time, 0.0) } else { (after(line.time, before), millis(taken)) }
}

fn connection(line: &Line, attempt: &Attempt) -> Entry {
    let mut detail = format!("From {}", attempt.peer);
    for part in [&attempt.tls_version, &attempt.tls_cipher].into_iter().filter(|part| !part.is_empty()) {
        let _ = write!(detail, ", {part}"); // a String takes everything
    }
    if let Some(sni) = &attempt.sni {
        let _ = write!(detail, ", asked for {sni}");
    }
    let _ = match attempt.chain.len() {
        0 => write!(detail, ", no certificate."),
        1 => write!(detail, ", one certificate."),
        count => write!(detail, ", {count} certificates."),
    };
    let chain: Vec<Value> = attempt
        .chain
        .iter()
        .map(|certificate| json!({ "subject": certificate.subject, "issuer": certificate.issuer }))
        .collect();
    Entry {
        duration_ms: 0.0,
        detail,
        result: Verdict::Info,
        data: json!({
            "protocol": attempt.protocol, "peer": attempt.peer, "client": attempt.client, "sni": attempt.sni,
            "tlsVersion": attempt.tls_version, "tlsCipher": attempt.tls_cipher, "chain": chain,
        }),
        ..Entry::of(line, "connection", format!("Connected over {}", attempt.protocol))
    }
}

fn matched(line: &Line, attempt: &Attempt) -> Option<Entry> {
    let considered: Vec<String> = attempt
        .candidates
        .iter()
        .map(|candidate| {
            format!(
                "Not {} ({}): {}.",
                candidate.enrollment.words(),
                candidate.reason,
                plain(&candidate.detail)
            )
        })
        .collect();
    let (title, result) = match &attempt.enrollment {
        Some(enrollment) => (format!("Matched {}", enrollment.words()), Verdict::Ok),
        None if considered.is_empty() && attempt.groups_tried == 0 => return None,
        None => {
            let title = match attempt.candidates.as_slice() {
                [one] => format!("Not let in by {}", one.enrollment.words()),
                _ => "No enrollment let it in".to_owned(),
            };
            (title, Verdict::Refused)
        }
    };
    let mut detail = considered.join(" ");
    if attempt.groups_tried > 0 {
        let _ = write!(
            detail,
            " {} groups with symmetric keys were tried without a match.",
            attempt.groups_tried
        );
    }
    let (time, duration_ms) = span(line, attempt, &["findEnrollment"]);
    Some(Entry {
        time,
        duration_ms,
        detail: detail.trim().to_owned(),
        result,
        data: json!({ "enrollment": attempt.enrollment.as_ref().map(|it| json!({ "kind": it.kind, "id": it.id })) }),
        ..Entry::of(line, "match", title)
    })
}

fn attestation(line: &Line, attempt: &Attempt) -> Option<Entry> {
    let mechanism = attempt.mechanism.as_deref()?;
    let (time, duration_ms) = span(line, attempt, &["verify"]);
    let slot = attempt.slot.as_deref().map(|slot| format!(" ({slot})")).unwrap_or_default();
    let refused = attempt.reason.as_deref().filter(|_| line.result_type != "Success");
    let (title, detail, result) = match (attempt.outcome.result.as_str(), refused) {
        ("challenged", _) => {
            let detail = "The nonce is for its TPM alone to open.".to_owned();
            ("Challenge issued".to_owned(), detail, Verdict::Ok)
        }
        (_, Some(reason)) => {
            let detail = attempt.candidates.last().map(|it| format!("{}.", plain(&it.detail)));
            (format!("Not attested: {reason}"), detail.unwrap_or_default(), Verdict::Refused)
        }
        _ => (format!("Attested by {mechanism}{slot}"), String::new(), Verdict::Ok),
    };
    Some(Entry {
        time,
        duration_ms,
        detail,
        result,
        data: json!({ "mechanism": mechanism, "slot": attempt.slot, "sas": attempt.sas }),
        ..Entry::of(line, "attestation", title)
    })
}

fn allocation(line: &Line, attempt: &Attempt) -> Option<Entry> {
    let allocation = attempt.allocation.as_ref()?;
    let (time, duration_ms) = span(line, attempt, &["allocate"]);
    let title = match (&attempt.hub, allocation.policy.as_str()) {
        (Some(hub), "kept") => format!("Stays with {hub}"),
        (Some(hub), policy) => format!("Allocated to {hub} by {policy}"),
        (None, policy) => format!("To be allocated by {policy}"),
    };
    let scores: Vec<String> = allocation
        .scores
        .iter()
        .map(|score| match score.latency_ms {
            Some(latency) => format!("{} {latency} ms", score.hub),
            None => format!("{} unknown", score.hub),
        })
        .collect();
    let mut detail = allocation.region.as_deref().map(|it| format!("Calls from {it}. ")).unwrap_or_default();
    if !scores.is_empty() {
        let _ = write!(detail, "Expected round trips: {}.", scores.join(", "));
    }
    let scores: Vec<Value> = allocation
        .scores
        .iter()
        .map(|score| json!({ "hub": score.hub, "latencyMs": score.latency_ms }))
        .collect();
    Some(Entry {
        time,
        duration_ms,
        detail: detail.trim_end().to_owned(),
        result: Verdict::Ok,
        data: json!({ "policy": allocation.policy, "region": allocation.region, "scores": scores, "hub": attempt.hub }),
        ..Entry::of(line, "allocation", title)
    })
}

fn answer(line: &Line, attempt: &Attempt) -> Entry {
    let disabled = attempt.status.as_deref() == Some("disabled");
    let (title, detail) = match attempt.outcome.result.as_str() {
        "challenged" => ("Answered with the challenge".to_owned(), String::new()),
        "abandoned" => ("Gave up before it was answered".to_owned(), line.result_description.clone()),
        "failed" => {
            let code = attempt.outcome.code.map(|code| code.to_string()).unwrap_or_default();
            (format!("Refused with {code} {}", attempt.outcome.message), line.result_description.clone())
        }
        _ if disabled => {
            let detail = "It proved who it is, and was told status disabled.".to_owned();
            ("Refused: its enrollment is disabled".to_owned(), detail)
        }
        _ => ("Registration accepted".to_owned(), "It polls for the outcome.".to_owned()),
    };
    let usual = Entry::of(line, "registration", title);
    let detail = [Some(detail), fault(attempt.fault.as_ref())].into_iter().flatten().collect::<Vec<_>>();
    Entry {
        time: line.ended(),
        detail: detail.join(" ").trim().to_owned(),
        operation_id: attempt.operation_id.clone(),
        causes: attempt.causes.clone(),
        data: json!({ "code": attempt.outcome.code, "reason": attempt.reason, "fault": attempt.fault.as_ref().map(|it| &it.kind) }),
        result: if disabled { Verdict::Refused } else { usual.result },
        ..usual
    }
}

/// A poll or a lookup; those that were answered are told together elsewhere.
fn lookup(line: &Line, attempt: &Attempt) -> Entry {
    let what = if attempt.operation == "OperationStatus" { "Poll" } else { "Request" };
    Entry {
        detail: line.result_description.clone(),
        operation_id: attempt.operation_id.clone(),
        causes: attempt.causes.clone(),
        data: json!({ "operation": attempt.operation, "protocol": attempt.protocol, "status": attempt.status }),
        ..Entry::of(line, "poll", format!("{what} refused"))
    }
}

fn plain(text: &str) -> &str {
    text.trim_end_matches('.')
}

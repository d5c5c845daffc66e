//! The rules: which causes an event has, best first. Owns the ranking; each room of rules owns the sentences of its kind
//! of evidence.

mod assignment;
mod attempt;
mod call;
mod connection;
mod sas;
mod tpm;
mod unknown;
mod x509;

use dps_events::{Cause, Event, Fact, Fix, InjectedFault};
use dps_model::limits::{MAX_CAUSES, MAX_EVENT_TEXT};

use crate::catalogue;
use crate::known::Known;

/// Why the event ended as it did, best first. What went well is explained where something about it is worth knowing.
pub fn explain(event: &Event, known: &Known) -> Vec<Cause> {
    let mut findings = Findings::default();
    if let Some(fault) = injected(event) {
        findings
            .add("FAULT_INJECTED", format!("the fault {} was injected by rule {}", fault.kind, fault.rule))
            .fact("rule", fault.rule.clone())
            .fact("fault", fault.kind);
        return findings.ranked();
    }
    match event {
        Event::Attempt(attempt) => attempt::explain(attempt, known, &mut findings),
        Event::Assignment(assignment) => assignment::explain(assignment, &mut findings),
        Event::ServiceCall(service_call) => call::of_service(service_call, &mut findings),
        Event::ManagementCall(management_call) => call::of_management(management_call, &mut findings),
        Event::Connection(ended) => connection::explain(ended, &mut findings),
        Event::LinkProbe(probe) => assignment::of_probe(probe, &mut findings),
        Event::Polls(_) | Event::HubConnection(_) => {}
    }
    findings.ranked()
}

/// A fault that a test asked for explains everything.
fn injected(event: &Event) -> Option<&InjectedFault> {
    match event {
        Event::Attempt(attempt) => attempt.fault.as_ref(),
        Event::Assignment(assignment) => assignment.fault.as_ref(),
        _ => None,
    }
}

/// The cause of a registration that says assigned while its hub has no such device.
pub fn missing_on_hub(registration_id: &str, hub: &str, device_id: &str) -> Vec<Cause> {
    let mut findings = Findings::default();
    findings
        .add(
            "ASSIGNED_BUT_HUB_MISSING",
            format!("{registration_id} is assigned to {hub} as {device_id}, and {hub} has no such device"),
        )
        .fact("hub", hub)
        .fact("device id", device_id)
        .command(
            "let the device register again, from the beginning",
            format!("muster registration delete --registration-id {}", word(registration_id)),
        );
    findings.ranked()
}

/// The cause of a gap in a device's story.
pub(crate) fn of_gap(code: &str, sentence: String) -> Vec<Cause> {
    let mut findings = Findings::default();
    findings.add(code, sentence);
    findings.ranked()
}

/// What was found, in the order of its worth.
#[derive(Default)]
struct Findings(Vec<Cause>);

impl Findings {
    /// A cause, with its sentence. A code outside the catalogue is a defect that tests find; it is left out.
    fn add(&mut self, code: &str, sentence: impl Into<String>) -> Option<&mut Cause> {
        let (_, entry) = catalogue::find(code)?;
        self.0.push(Cause {
            code: entry.code,
            title: entry.title,
            sentence: cut(sentence.into()),
            inferred: entry.inferred,
            evidence: Vec::new(),
            fix: Vec::new(),
            docs: entry.docs(),
        });
        self.0.last_mut()
    }

    /// The one that was found last.
    fn last(&mut self) -> Option<&mut Cause> {
        self.0.last_mut()
    }

    /// Each code once; those without a fix of their own get the catalogue's.
    fn ranked(self) -> Vec<Cause> {
        let mut causes: Vec<Cause> = Vec::with_capacity(MAX_CAUSES);
        for mut cause in self.0 {
            if causes.iter().any(|earlier| earlier.code == cause.code) {
                continue;
            }
            if cause.fix.is_empty()
                && let Some((_, entry)) = catalogue::find(cause.code)
            {
                cause.fix.push(Fix::words(entry.fix));
            }
            causes.push(cause);
            if causes.len() == MAX_CAUSES {
                break;
            }
        }
        causes
    }
}

/// Adds to a cause that was found.
trait Told: Sized {
    /// What it was seen by.
    fn fact(self, name: &'static str, value: impl Into<String>) -> Self;
    /// What mends it.
    fn fix(self, text: impl Into<String>) -> Self;
    /// What mends it, ready to paste.
    fn command(self, text: impl Into<String>, command: impl Into<String>) -> Self;
    /// It rests on signs.
    fn inferred(self) -> Self;
}

impl Told for Option<&mut Cause> {
    fn fact(mut self, name: &'static str, value: impl Into<String>) -> Self {
        if let Some(cause) = &mut self {
            cause.evidence.push(Fact { name, value: cut(value.into()) });
        }
        self
    }

    fn fix(mut self, text: impl Into<String>) -> Self {
        if let Some(cause) = &mut self {
            cause.fix.push(Fix::words(cut(text.into())));
        }
        self
    }

    fn command(mut self, text: impl Into<String>, command: impl Into<String>) -> Self {
        if let Some(cause) = &mut self {
            cause.fix.push(Fix::command(cut(text.into()), cut(command.into())));
        }
        self
    }

    fn inferred(mut self) -> Self {
        if let Some(cause) = &mut self {
            cause.inferred = true;
        }
        self
    }
}

fn cut(mut text: String) -> String {
    if text.len() > MAX_EVENT_TEXT {
        let end = (0..=MAX_EVENT_TEXT).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// A text as one word of a shell's command line.
fn word(text: &str) -> String {
    let plain =
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:/=@%+,".contains(&b));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Seconds as a person says them: `3 d 4 h`, `12 min`, `40 s`.
fn duration(seconds: i64) -> String {
    let seconds = seconds.unsigned_abs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, 0) => format!("{hours} h"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, 0, _) => format!("{days} d"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests;

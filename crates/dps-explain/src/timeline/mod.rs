//! Everything that happened to one device, in order, and what did not happen that should have: lines of the attempt log,
//! read back, to entries and gaps. Pure: lines, names and the time come in. Must not know where lines are kept, nor routes.

mod assignment;
mod attempt;
mod entry;
mod gap;
mod line;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use dps_model::Timestamp;
use serde::Serialize;

pub use entry::{Entry, Verdict};
pub use gap::Gap;
pub use line::{Line, Record};

/// A device's timeline.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeline {
    /// Whose.
    pub registration_id: String,
    /// What happened, oldest first.
    pub entries: Vec<Entry>,
    /// What has not happened until now, though it should have.
    pub gaps: Vec<Gap>,
}

/// What a timeline is made of.
pub struct Sources<'a> {
    /// Whose.
    pub registration_id: &'a str,
    /// What is kept of it, in any order.
    pub lines: &'a [Line],
    /// Hubs that tell who connects: of the others it is not known whether a device was ever there.
    pub telling_hubs: &'a [String],
    /// The time; none for a timeline that ends in the past, which has no gaps.
    pub now: Option<Timestamp>,
}

/// Makes the timeline.
pub fn of(sources: &Sources<'_>) -> Timeline {
    let mut lines: Vec<&Line> = sources.lines.iter().collect();
    lines.sort_by_key(|line| (line.time, line.place()));
    let mut entries: Vec<Entry> = lines.iter().flat_map(|line| entries_of(line)).collect();
    let mut gaps = Vec::new();
    for gap in gap::of(&lines, sources) {
        entries.push(gap.entry());
        // What went on after it is over, though it stays in the story.
        if gap.open {
            gaps.push(gap);
        }
    }
    mark_first_connections(&mut entries);
    entries.sort_by_key(|entry| entry.time);
    Timeline { registration_id: sources.registration_id.to_owned(), entries, gaps }
}

/// Groups that the lines name, and devices of hubs: what else there is to know of the device.
pub fn related(lines: &[Line]) -> Related {
    let mut related = Related::default();
    for line in lines {
        match &line.properties {
            Record::Attempt(attempt) => related.groups.extend(attempt.enrollment.iter().filter_map(group)),
            Record::Assignment(assignment) => {
                related.groups.extend(group(&assignment.enrollment));
                let placed = assignment.hub.clone().zip(assignment.device_id.clone());
                related.hub_devices.extend(placed);
            }
            _ => {}
        }
    }
    related
}

/// What [`related`] finds.
#[derive(Clone, Debug, Default)]
pub struct Related {
    /// Ids of enrollment groups.
    pub groups: BTreeSet<String>,
    /// Hub and id on it.
    pub hub_devices: BTreeSet<(String, String)>,
}

fn group(enrollment: &line::Enrollment) -> Option<String> {
    (enrollment.kind == "EnrollmentGroup").then(|| enrollment.id.clone())
}

fn entries_of(line: &Line) -> Vec<Entry> {
    match &line.properties {
        Record::Attempt(attempt) => attempt::entries(line, attempt),
        Record::Assignment(assignment) => assignment::entries(line, assignment),
        Record::ServiceCall(call) => entry::of_call(line, call).into_iter().collect(),
        Record::Polls(polls) => vec![entry::of_polls(line, polls)],
        Record::HubConnection(connection) => vec![entry::of_hub_connection(line, connection)],
        Record::Connection(connection) => vec![entry::of_connection(line, connection)],
        Record::Other => Vec::new(),
    }
}

/// The first connection to a hub after each assignment is what an operator looks for.
fn mark_first_connections(entries: &mut [Entry]) {
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|at| entries.get(*at).map(|entry| entry.time));
    let mut waiting = false;
    for at in order {
        let Some(entry) = entries.get_mut(at) else { continue };
        match entry.kind {
            "assigned" | "reprovisioned" => waiting = true,
            "hubConnection" if std::mem::take(&mut waiting) => entry.title.push_str(", for the first time"),
            _ => {}
        }
    }
}

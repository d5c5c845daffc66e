//! All scenarios, every cell compared: with what is written down by hand, and with the other protocols.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::device::{Attesting, Medium};
use crate::expected::{self, Expected};
use crate::outcome::Outcome;
use crate::page;
use crate::run::Run;
use crate::scenario::{self, Chips, Scenario};

/// The outcomes of one scenario.
pub type Cells = BTreeMap<(Attesting, Medium), Outcome>;

async fn outcomes(scenario: Scenario, chips: Chips) -> Cells {
    let (site, devices) = scenario::open(scenario, chips).await;
    let (mut offered, mut others) = (Vec::new(), Vec::new());
    for (attesting, medium, device) in devices {
        let run = Run::new(&site, medium, attesting, device);
        if medium.offers(attesting) { &mut offered } else { &mut others }.push(run);
    }
    scenario::play(scenario, &site, &mut offered).await;
    scenario::play_not_offered(&mut others).await;
    offered.append(&mut others);
    offered.iter_mut().for_each(Run::drop_connection);
    site.stop().await;
    let mut cells = Cells::new();
    for run in &offered {
        cells.insert((run.attesting, run.medium), Outcome::of(run).await);
    }
    let documents = cells.values().filter(|cell| has_document(cell)).count();
    let busy = u64::from(scenario == Scenario::ThrottledRegistering);
    assert_eq!(
        site.registrations().await,
        documents as u64 + busy,
        "{scenario:?}: one registration a device"
    );
    cells
}

fn has_document(cell: &Outcome) -> bool {
    cell.lines.iter().any(|line| line.starts_with("document: "))
}

/// What differs, line by line; nothing when nothing does.
fn diff(cell: &str, one: (&str, &[String]), other: (&str, &[String])) -> Option<String> {
    if one.1 == other.1 {
        return None;
    }
    let mut text = format!("{cell}\n");
    for index in 0..one.1.len().max(other.1.len()) {
        let (one_line, other_line) = (one.1.get(index), other.1.get(index));
        let show = |line: Option<&String>| line.map_or("(nothing)", String::as_str).to_owned();
        if one_line == other_line {
            let _ = writeln!(text, "      {}", show(one_line));
        } else {
            let _ =
                writeln!(text, "  {:>9}: {}\n  {:>9}: {}", one.0, show(one_line), other.0, show(other_line));
        }
    }
    Some(text)
}

fn differences(scenario: Scenario, cells: &Cells) -> Vec<String> {
    let mut found = Vec::new();
    for ((attesting, medium), cell) in cells {
        let name = format!("{scenario:?}, {} over {}", attesting.name(), medium.name());
        let Expected { lines, lookups, how } = expected::of(scenario, *attesting, *medium);
        for (wanted, got) in [(&lines, &cell.lines), (&lookups, &cell.lookups), (&how, &cell.how)] {
            found.extend(diff(&name, ("expected", wanted), ("got", got)));
        }
        // Not by way of the table alone: the protocols among each other.
        let alike =
            |of: Medium| of.offers(*attesting) == medium.offers(*attesting) && scenario.agree(of, *medium);
        let twin = cells.iter().find(|((other, of), _)| other == attesting && alike(*of));
        if let Some(((_, of), twin)) = twin {
            found.extend(diff(&name, (of.name(), &twin.lines), (medium.name(), &cell.lines)));
        }
    }
    found
}

#[tokio::test]
async fn protocols_page_is_what_every_cell_does() {
    let chips = Chips::new();
    let (mut found, mut all) = (Vec::new(), Vec::new());
    for scenario in Scenario::ALL {
        let cells = outcomes(scenario, chips.clone()).await;
        found.extend(differences(scenario, &cells));
        all.push((scenario, cells));
    }
    assert!(found.is_empty(), "{} differences:\n\n{}", found.len(), found.join("\n"));
    page::compare(&all);
}

//! What each step found, and what to do about it; printed as it comes for a person, at the end for a program. Must not know
//! how a step is done.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use tokio::time::Instant;

use serde::Serialize;
use serde_json::json;

use super::identity::Link;
use super::limits::MAX_TEXT;
use crate::fleet::Failure;
use crate::fleet::output::Form;

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Grade {
    /// As it should.
    Ok,
    /// Well enough for now.
    Warning,
    /// Devices are kept from their service.
    Failed,
    /// Not done.
    Skipped,
}

impl Grade {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "FAILED",
            Self::Skipped => "skipped",
        }
    }
}

/// One step.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What was looked at: `dns`, `tcp`, `tls`, `certificate` …
    pub step: &'static str,
    /// Where.
    pub target: String,
    /// How it ended.
    pub result: Grade,
    /// One sentence.
    pub found: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// The certificates that were shown, the server's own first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<Link>,
    /// How long it took.
    pub milliseconds: u64,
}

impl Check {
    /// All is well.
    pub fn ok(step: &'static str, target: impl Into<String>, found: impl Into<String>) -> Self {
        let (target, found) = (target.into(), plain(&found.into()));
        Self { step, target, result: Grade::Ok, found, advice: None, chain: Vec::new(), milliseconds: 0 }
    }

    /// It failed.
    pub fn failed(
        step: &'static str,
        target: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { result: Grade::Failed, advice: Some(advice.into()), ..Self::ok(step, target, found) }
    }

    /// Not done.
    pub fn skipped(step: &'static str, target: impl Into<String>, found: impl Into<String>) -> Self {
        Self { result: Grade::Skipped, ..Self::ok(step, target, found) }
    }

    /// Worth a word, but no failure.
    pub fn but_a_warning(self) -> Self {
        Self { result: Grade::Warning, ..self }
    }

    /// It took from then until now.
    pub fn since(self, begun: Instant) -> Self {
        Self { milliseconds: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX), ..self }
    }
}

/// All steps so far.
pub struct Report {
    form: Form,
    host: String,
    checks: Vec<Check>,
}

impl Report {
    /// Nothing is found yet.
    pub fn new(form: Option<Form>, host: &str) -> Self {
        let usual = if std::io::stdout().is_terminal() { Form::Table } else { Form::Json };
        Self { form: form.unwrap_or(usual), host: host.to_owned(), checks: Vec::new() }
    }

    /// Adds a step. Did it end well enough to go on?
    pub fn add(&mut self, check: Check) -> Result<bool, Failure> {
        let goes_on = matches!(check.result, Grade::Ok | Grade::Warning);
        match self.form {
            Form::Table => line(&lines(&check))?,
            Form::Jsonl => line(&json!(check).to_string())?,
            Form::Json => {}
        }
        self.checks.push(check);
        Ok(goes_on)
    }

    /// Did that step end well there?
    pub fn is_well(&self, step: &str, target: &str) -> bool {
        let well = |check: &&Check| check.step == step && check.target == target;
        self.checks.iter().filter(well).any(|check| check.result == Grade::Ok)
    }

    /// The end; a failure when there was one.
    pub fn end(self) -> Result<(), Failure> {
        let failed = self.checks.iter().filter(|check| check.result == Grade::Failed).count();
        let done = self.checks.iter().filter(|check| check.result != Grade::Skipped).count();
        if self.form == Form::Json {
            let document = json!({"host": self.host, "failed": failed, "checks": self.checks});
            line(&format!("{document:#}"))?;
        }
        if failed == 0 {
            return Ok(());
        }
        Err(Failure::Incomplete(format!("{failed} of {done} checks of {} failed", self.host)))
    }
}

fn lines(check: &Check) -> String {
    let head = format!("{:<8}{:<13}{}", check.result.word(), check.step, check.target);
    let mut text = format!("{head}\n{:21}{}", "", check.found);
    for (number, link) in check.chain.iter().enumerate() {
        // A String takes everything.
        let _ = write!(text, "\n{:21}{number}: {}\n{:24}by {}", "", link.subject, "", link.issuer);
    }
    if let Some(advice) = &check.advice {
        let _ = write!(text, "\n{:18}-> {advice}", "");
    }
    text
}

fn line(text: &str) -> Result<(), Failure> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(Failure::OutputClosed),
        written => Ok(written.map_err(anyhow::Error::from)?),
    }
}

/// Somebody else's text, without what a terminal would obey, and cut.
pub fn plain(text: &str) -> String {
    let visible = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let cut: String = visible.take(4 * MAX_TEXT).collect();
    cut.trim().to_owned()
}

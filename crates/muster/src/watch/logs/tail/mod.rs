//! `muster logs tail`: the rows of a table as they come. Owns the query that is asked again and again, and what happens
//! while nobody answers; which rows are new is `follow`'s.

mod condition;
mod follow;
mod lines;

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use self::follow::{Follower, Page, Source};
use self::lines::Lines;
use super::answer::Answer;
use super::workspace::{Asking, Patience, WorkspaceOptions};
use crate::fleet::Failure;
use crate::fleet::limits::MAX_ATTEMPTS;
use crate::watch::duration::length;
use crate::watch::limits::{MAX_TAIL_BACKOFF, TAIL_BACKOFF, TAIL_WAIT};
use crate::watch::output::{Form, OutputOptions, Sheet};

/// The column that orders rows.
const TIME: &str = "TimeGenerated";

/// Options of `muster logs tail`.
#[derive(clap::Args)]
pub struct TailOptions {
    /// Only rows for which this condition in KQL holds
    #[arg(long = "where", value_name = "CONDITION", value_parser = condition::checked)]
    condition: Option<String>,
    /// Table whose rows are shown
    #[arg(long, value_name = "NAME", default_value = "AzureDiagnostics", value_parser = condition::name)]
    table: String,
    /// Columns to show, in this order [default: in a table the telling ones, else all]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = condition::name)]
    columns: Vec<String>,
    /// Begin this long ago
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = length)]
    since: Duration,
    /// Pause between two looks
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = length)]
    interval: Duration,
    /// How much later than newer rows a row may come and still be shown; minutes, where the service is Azure
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = length)]
    late: Duration,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    workspace: WorkspaceOptions,
}

/// Shows rows until somebody stops it.
pub async fn run(options: &TailOptions) -> Result<(), Failure> {
    let workspace = options.workspace.open()?;
    let (now, start) = {
        let asking = workspace.asking(Patience { wait: TAIL_WAIT, attempts: MAX_ATTEMPTS })?;
        instants(&asking, options.since).await?
    };
    let asking = workspace.asking(Patience { wait: TAIL_WAIT, attempts: 1 })?;
    let begun = Instant::now();
    let form = options.output.output.unwrap_or(match Form::usual() {
        Form::Table => Form::Table,
        _ => Form::Jsonl,
    });
    let source = Table { asking, question: Question::of(options, form) };
    let mut follower = Follower::new(start, ticks(options.late));
    let mut printer = Printer::new(form);
    let mut away = None;
    loop {
        let server_now = now.saturating_add(ticks(begun.elapsed()));
        let polled = follower.poll(&source, server_now, &mut |page| printer.print(page)).await;
        let pause = match polled {
            Ok(forgotten) => {
                if away.take().is_some() {
                    eprintln!("muster: {} answers again", workspace.service());
                }
                if let Some(forgotten) = forgotten {
                    eprintln!("muster: {forgotten}");
                }
                options.interval.max(Duration::from_millis(100))
            }
            Err(failure) if is_passing(&failure) => {
                let pause = away.map_or(TAIL_BACKOFF, |last: u64| (last * 2).min(MAX_TAIL_BACKOFF));
                away = Some(pause);
                let pause = pause.max(asked_pause(&failure));
                eprintln!("muster: {failure}; trying again in {pause} s");
                Duration::from_secs(pause)
            }
            Err(failure) => return Err(failure),
        };
        tokio::time::sleep(pause).await;
    }
}

/// Now and the beginning, by the service's clock.
async fn instants(asking: &Asking<'_>, since: Duration) -> Result<(i64, i64), Failure> {
    let query = format!("print Now = now(), Start = now() - {}ms", since.as_millis());
    let answer = asking.query(&query, None).await?;
    let instant = |at: usize| instant(answer.rows.first()?.get(at)?);
    instant(0).zip(instant(1)).ok_or_else(|| {
        Failure::Unreachable("the service does not tell its time: is it a query API?".to_owned())
    })
}

/// A cell in ticks.
fn instant(cell: &Value) -> Option<i64> {
    dps_kql::literal::read_datetime(cell.as_str()?)
}

fn ticks(length: Duration) -> i64 {
    i64::try_from(length.as_nanos() / 100).unwrap_or(i64::MAX)
}

/// May the same question be answered later?
fn is_passing(failure: &Failure) -> bool {
    match failure {
        Failure::Unreachable(_) => true,
        Failure::Refused(refusal) => matches!(refusal.status, 408 | 429 | 500..),
        _ => false,
    }
}

/// Seconds that the service wants to be left alone, within reason.
fn asked_pause(failure: &Failure) -> u64 {
    match failure {
        Failure::Refused(refusal) => {
            refusal.retry_after.unwrap_or_default().min(crate::fleet::limits::MAX_RETRY_AFTER)
        }
        _ => 0,
    }
}

/// What is asked, but for the time.
struct Question {
    table: String,
    condition: Option<String>,
    /// What follows `project`.
    columns: Option<String>,
}

impl Question {
    fn of(options: &TailOptions, form: Form) -> Self {
        let columns = match (options.columns.as_slice(), form) {
            ([], Form::Table) => telling(&options.table).map(str::to_owned),
            ([], _) => None,
            (named, _) => {
                let others = named.iter().filter(|name| *name != TIME);
                Some(std::iter::once(TIME).chain(others.map(String::as_str)).collect::<Vec<_>>().join(", "))
            }
        };
        Self { table: options.table.clone(), condition: options.condition.clone(), columns }
    }

    /// The first rows from an instant on.
    fn text(&self, from: i64, most: usize) -> String {
        let from = dps_kql::literal::format_datetime(from);
        let mut text = format!("{}\n| where {TIME} >= datetime({from})\n", self.table);
        if let Some(condition) = &self.condition {
            // On a line of its own: it may end with a comment.
            let _ = writeln!(text, "| where {condition}"); // to a String: it does not fail
        }
        if let Some(columns) = &self.columns {
            let _ = writeln!(text, "| project {columns}");
        }
        text + &format!("| top {most} by {TIME} asc")
    }
}

/// What a person wants to see of a row first.
fn telling(table: &str) -> Option<&'static str> {
    match table {
        "AzureDiagnostics" => Some(
            "TimeGenerated, OperationName, ResultType, ResultSignature, Id = tostring(parse_json(properties_s).id), \
             ResultDescription",
        ),
        "AzureActivity" => Some("TimeGenerated, OperationNameValue, ActivityStatusValue, Caller, Resource"),
        "AzureMetrics" => {
            Some("TimeGenerated, MetricName, Total, Count, Average, Minimum, Maximum, Resource")
        }
        _ => None,
    }
}

/// A table of a workspace.
struct Table<'a> {
    asking: Asking<'a>,
    question: Question,
}

impl Source for Table<'_> {
    async fn rows(&self, from: i64, most: usize) -> Result<Page, Failure> {
        page(self.asking.query(&self.question.text(from, most), None).await?, most)
    }
}

/// An answer as rows with their instants.
fn page(answer: Answer, most: usize) -> Result<Page, Failure> {
    let at = answer.column(TIME);
    let mut rows = Vec::with_capacity(answer.rows.len());
    for row in answer.rows {
        let time = at.and_then(|at| instant(row.get(at)?));
        let time = time.ok_or_else(|| Failure::Usage(format!("the table has no column {TIME} to follow")))?;
        rows.push((time, row));
    }
    Ok(Page { is_last: rows.len() < most && answer.partial.is_none(), columns: answer.columns, rows })
}

/// Where rows go.
struct Printer {
    form: Form,
    lines: Lines,
    sheet: Option<Sheet>,
}

impl Printer {
    fn new(form: Form) -> Self {
        Self { form, lines: Lines::default(), sheet: None }
    }

    fn print(&mut self, page: &Page) -> Result<(), Failure> {
        let rows: Vec<Vec<Value>> = page.rows.iter().map(|(_, row)| row.clone()).collect();
        match self.form {
            Form::Table => self.lines.print(page),
            // A document that never ends is none: objects, one a line.
            Form::Json | Form::Jsonl => {
                let columns = || Sheet::new(Form::Jsonl, page.columns.clone());
                self.sheet.get_or_insert_with(columns).rows(&rows)
            }
            Form::Csv => {
                let columns = || Sheet::new(Form::Csv, page.columns.clone());
                self.sheet.get_or_insert_with(columns).rows(&rows)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn question_has_the_condition_on_a_line_of_its_own() {
        let question = Question {
            table: "T".into(),
            condition: Some("a == 1 // so".into()),
            columns: Some("TimeGenerated, a".into()),
        };
        let text = "T\n| where TimeGenerated >= datetime(0001-01-01T00:00:00.0000001Z)\n| where a == 1 // so\n\
                    | project TimeGenerated, a\n| top 7 by TimeGenerated asc";
        assert_eq!(question.text(1, 7), text);
        assert!(dps_kql::parse(text).is_ok());
        for table in ["AzureDiagnostics", "AzureActivity", "AzureMetrics"] {
            let columns = telling(table).map(str::to_owned);
            let text = Question { table: table.into(), condition: None, columns }.text(0, 1);
            assert!(dps_kql::parse(&text).is_ok(), "{text}");
        }
    }

    #[test]
    fn page_that_was_cut_is_not_the_last() {
        let rows = |count: usize, partial: Option<&str>| {
            let row = vec![json!("2026-11-29T03:00:01.5Z")];
            let partial = partial.map(str::to_owned);
            Answer { columns: vec![TIME.into()], rows: vec![row; count], partial, ..Answer::default() }
        };
        assert!(page(rows(1, None), 2).ok().unwrap().is_last);
        assert!(!page(rows(2, None), 2).ok().unwrap().is_last);
        assert!(!page(rows(1, Some("too large")), 2).ok().unwrap().is_last);
        let without = Answer { columns: vec!["a".into()], rows: vec![vec![json!(1)]], ..Answer::default() };
        assert_eq!(page(without, 2).err().unwrap().exit_status(), 2);
    }
}

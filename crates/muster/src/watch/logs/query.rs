//! `muster logs query`: one query, its rows, how many there are and how long it took.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use super::answer::Answer;
use super::workspace::{Patience, WorkspaceOptions};
use crate::fleet::Failure;
use crate::fleet::limits::MAX_ATTEMPTS;
use crate::fleet::value::{bytes, value_or_file};
use crate::watch::duration::timespan;
use crate::watch::limits::{MAX_QUERY_WAIT, QUERY_WAIT};
use crate::watch::output::{OutputOptions, Sheet};

/// Options of `muster logs query`.
#[derive(clap::Args)]
pub struct QueryOptions {
    /// The query; @FILE reads a file, and - standard input
    #[arg(value_name = "KQL", required_unless_present = "file", conflicts_with = "file")]
    query: Option<String>,
    /// Read the query from a file
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Only rows of this time: 30m, 12h, 7d, PT12H, or START/END [default: all that is kept]
    #[arg(long, short, value_name = "TIME", value_parser = timespan)]
    timespan: Option<String>,
    /// Seconds that the query may run
    #[arg(long, value_name = "SECONDS", default_value_t = QUERY_WAIT,
        value_parser = clap::value_parser!(u64).range(1..=MAX_QUERY_WAIT))]
    wait: u64,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    workspace: WorkspaceOptions,
}

impl QueryOptions {
    fn text(&self) -> Result<String, Failure> {
        match (&self.query, &self.file) {
            (Some(text), _) => value_or_file(text),
            (None, Some(file)) => String::from_utf8(bytes(file)?)
                .map_err(|_| Failure::Usage(format!("{} is no text", file.display()))),
            (None, None) => Err(Failure::Usage("say a query".to_owned())),
        }
    }
}

/// Runs the query.
pub async fn run(options: &QueryOptions) -> Result<(), Failure> {
    let text = options.text()?;
    let workspace = options.workspace.open()?;
    let patience = Patience { wait: options.wait, attempts: MAX_ATTEMPTS };
    let begun = Instant::now();
    let answer = {
        let _progress = Progress::begin(begun);
        workspace.asking(patience)?.query(&text, options.timespan.as_deref()).await?
    };
    let took = begun.elapsed();
    let mut sheet = Sheet::new(options.output.form(), answer.columns.clone());
    sheet.rows(&answer.rows)?;
    sheet.end()?;
    if std::io::stderr().is_terminal() {
        eprintln!("{}", summary(&answer, took));
    }
    match answer.partial {
        Some(why) => Err(Failure::Incomplete(format!("these are not all rows: {why}"))),
        None => Ok(()),
    }
}

/// `3 rows in 0.12 s (0.01 s of it running)`.
fn summary(answer: &Answer, took: Duration) -> String {
    let count = answer.rows.len();
    let rows = if count == 1 { "row" } else { "rows" };
    let running = answer.execution_time.map(|seconds| format!(" ({seconds:.2} s of it running)"));
    format!("{count} {rows} in {:.2} s{}", took.as_secs_f64(), running.unwrap_or_default())
}

/// Says on a terminal that there is still something to wait for; wiped when dropped.
struct Progress(Option<tokio::task::JoinHandle<()>>);

impl Progress {
    fn begin(begun: Instant) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(None);
        }
        Self(Some(tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                // A terminal that is gone is told by standard output.
                let _ = write!(std::io::stderr(), "\rrunning, {} s ", begun.elapsed().as_secs());
            }
        })))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
            let _ = write!(std::io::stderr(), "\r\u{1b}[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn summary_counts_rows() {
        let mut answer = Answer { rows: vec![vec![json!(1)]], ..Answer::default() };
        assert_eq!(summary(&answer, Duration::from_millis(1_234)), "1 row in 1.23 s");
        answer.rows.clear();
        answer.execution_time = Some(0.5);
        assert_eq!(summary(&answer, Duration::ZERO), "0 rows in 0.00 s (0.50 s of it running)");
    }
}

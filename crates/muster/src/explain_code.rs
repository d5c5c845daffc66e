//! `muster explain-code`: what a code, a status or a client's message means. It asks no server.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};

use anyhow::bail;
use dps_model::explanation::{self, Explanation};
use serde_json::json;

/// Options of `muster explain-code`.
#[derive(clap::Args, Clone)]
pub struct ExplainCodeOptions {
    /// Six digits, an HTTP status, a name of the catalogue, or a message as a client printed it
    #[arg(required = true, value_name = "CODE")]
    pub question: Vec<String>,
    /// Form of the output [default: text on a terminal, else json]
    #[arg(long, short, value_name = "FORM")]
    pub output: Option<ExplanationForm>,
}

/// How an explanation is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ExplanationForm {
    /// One document, indented
    Json,
    /// Lines for a person
    Table,
}

/// Prints it; an error that names the nearest codes when nothing is known.
pub fn run(options: &ExplainCodeOptions) -> anyhow::Result<()> {
    let question = options.question.join(" ");
    let found = match explanation::explain(&question) {
        Ok(found) => found,
        Err(unexplained) if unexplained.suggestions.is_empty() => {
            bail!(
                "nothing is known about '{}'; `muster explain-code 401` explains a status",
                plain(&question)
            )
        }
        Err(unexplained) => {
            let nearest = unexplained.suggestions.join(", ");
            bail!("nothing is known about '{}'; the nearest are {nearest}", plain(&question))
        }
    };
    let usual = if std::io::stdout().is_terminal() { ExplanationForm::Table } else { ExplanationForm::Json };
    let text = match options.output.unwrap_or(usual) {
        ExplanationForm::Json => format!("{:#}\n", json!({ "value": found })),
        ExplanationForm::Table => found.iter().map(lines).collect::<Vec<_>>().join("\n"),
    };
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

fn lines(one: &Explanation) -> String {
    let mut text = format!("{} {}\n", one.code, one.name).trim_start().to_owned();
    if !one.message.is_empty() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  message  {}", one.message);
    }
    if let Some(status) = one.http_status {
        let _ = writeln!(text, "  HTTP     {status}");
    }
    let _ = writeln!(text, "  whose    {}", one.whose);
    let _ = writeln!(text, "  retry    {}", if one.retryable { "yes" } else { "no" });
    let _ = writeln!(text, "\n  {}\n\n  Likely causes", one.meaning);
    for cause in one.likely_causes {
        let _ = writeln!(text, "  - {cause}");
    }
    let _ = writeln!(text, "\n  What to do\n  {}\n\n  In the logs\n  {}", one.suggested_action, one.query);
    if !one.codes.is_empty() {
        let codes: Vec<String> = one.codes.iter().map(u32::to_string).collect();
        let _ = writeln!(text, "\n  Codes    {}", codes.join(", "));
    }
    text
}

/// What a terminal may see, not too long.
fn plain(text: &str) -> String {
    text.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

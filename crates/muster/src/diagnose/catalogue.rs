//! `muster causes`: the catalogue of causes. It asks no server.

use std::io::IsTerminal as _;

use dps_explain::catalogue;
use serde_json::{Value, json};

use crate::fleet::Failure;
use crate::fleet::output::{Form, line, plain, table, terminal_width};

/// Options of `muster causes`.
#[derive(clap::Args)]
pub struct CausesOptions {
    /// Code of one cause
    #[arg(value_name = "CODE")]
    code: Option<String>,
    /// Print the KQL alone that finds what the cause befell
    #[arg(long, requires = "code")]
    query: bool,
    /// Form of the output [default: table on a terminal, else json]
    #[arg(long, short, value_name = "FORM", help_heading = "Output")]
    output: Option<Form>,
}

/// Shows all, or one.
pub fn run(options: &CausesOptions) -> Result<(), Failure> {
    let usual = if std::io::stdout().is_terminal() { Form::Table } else { Form::Json };
    let form = options.output.unwrap_or(usual);
    let Some(code) = &options.code else { return all(form) };
    let (family, entry) = catalogue::find(code).ok_or_else(|| {
        Failure::Missing(format!("there is no cause {}; `muster causes` lists them", plain(code)))
    })?;
    if options.query {
        return line(&entry.query());
    }
    match form {
        Form::Json => line(&format!("{:#}", value(family, entry))),
        Form::Jsonl => line(&value(family, entry).to_string()),
        Form::Table => {
            let mark = if entry.inferred { " (inferred)" } else { "" };
            line(&format!(
                "{}{mark}: {}\n\n{}\n\nWhat to do: {}\n\nIn the logs:\n{}",
                entry.code,
                entry.title,
                entry.meaning,
                entry.fix,
                entry.query()
            ))
        }
    }
}

fn all(form: Form) -> Result<(), Failure> {
    match form {
        Form::Json => {
            let entries: Vec<Value> = catalogue::all().map(|(family, entry)| value(family, entry)).collect();
            line(&format!("{:#}", Value::from(entries)))
        }
        Form::Jsonl => {
            catalogue::all().try_for_each(|(family, entry)| line(&value(family, entry).to_string()))
        }
        Form::Table => {
            let rows = catalogue::all().map(|(_, entry)| vec![entry.code.to_owned(), entry.title.to_owned()]);
            line(&table(Some(vec!["Code", "Cause"]), rows.collect(), terminal_width()))
        }
    }
}

fn value(family: dps_explain::Family, entry: &dps_explain::Entry) -> Value {
    json!({
        "code": entry.code, "family": family, "title": entry.title, "inferred": entry.inferred, "meaning": entry.meaning,
        "fix": entry.fix, "query": entry.query(), "docs": entry.docs(),
    })
}

//! Rows on their way out: a table for a person, JSON or CSV for a program. Owns the forms; must not know what a row says.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::Value;

use super::limits::{MIN_COLUMN_WIDTH, ROWS_AT_ONCE};
use crate::fleet::Failure;
use crate::fleet::output::{cell, line, plain, table, terminal_width, write};

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// Columns for a person; blocks of lines where the terminal is too narrow
    Table,
    /// One document, indented: a list of objects
    Json,
    /// One object a line
    Jsonl,
    /// Comma-separated values with a header (RFC 4180)
    Csv,
}

impl Form {
    /// A table on a terminal, else JSON.
    pub fn usual() -> Self {
        if std::io::stdout().is_terminal() { Self::Table } else { Self::Json }
    }
}

/// Options of what is printed.
#[derive(clap::Args, Clone, Copy, Default)]
#[command(next_help_heading = "Output")]
pub struct OutputOptions {
    /// Form of the output [default: table on a terminal, else json]
    #[arg(long, short, value_name = "FORM")]
    pub output: Option<Form>,
}

impl OutputOptions {
    pub fn form(self) -> Form {
        self.output.unwrap_or_else(Form::usual)
    }
}

/// Rows with names for their cells, written as they come.
pub struct Sheet {
    form: Form,
    columns: Vec<String>,
    written: usize,
}

impl Sheet {
    pub fn new(form: Form, columns: Vec<String>) -> Self {
        Self { form, columns, written: 0 }
    }

    /// Writes rows.
    pub fn rows(&mut self, rows: &[Vec<Value>]) -> Result<(), Failure> {
        for some in rows.chunks(ROWS_AT_ONCE) {
            write(&self.text(some, terminal_width())?)?;
            self.written += some.len();
        }
        Ok(())
    }

    /// Writes what belongs behind the last row.
    pub fn end(self) -> Result<(), Failure> {
        match self.form {
            Form::Json if self.written == 0 => line("[]"),
            Form::Json => line("\n]"),
            Form::Csv if self.written == 0 => write(&self.head()),
            _ => Ok(()),
        }
    }

    fn text(&self, rows: &[Vec<Value>], width: u16) -> Result<String, Failure> {
        let mut text = String::new();
        for (at, row) in rows.iter().enumerate() {
            let is_first = self.written + at == 0;
            let record = Record { columns: &self.columns, row };
            match self.form {
                Form::Table => return Ok(self.table(rows, width)),
                Form::Json => {
                    let object = serde_json::to_string_pretty(&record).map_err(anyhow::Error::from)?;
                    text.push_str(if is_first { "[\n  " } else { ",\n  " });
                    text.push_str(&object.replace('\n', "\n  "));
                }
                Form::Jsonl => {
                    text.push_str(&serde_json::to_string(&record).map_err(anyhow::Error::from)?);
                    text.push('\n');
                }
                Form::Csv => {
                    if is_first {
                        text.push_str(&self.head());
                    }
                    text.push_str(&csv(row.iter().map(|value| match value {
                        Value::Null => String::new(),
                        Value::String(text) => text.clone(),
                        other => other.to_string(),
                    })));
                }
            }
        }
        Ok(text)
    }

    /// The first line of CSV.
    fn head(&self) -> String {
        csv(self.columns.iter().cloned())
    }

    /// Columns, where they fit the terminal; else each row by itself.
    fn table(&self, rows: &[Vec<Value>], width: u16) -> String {
        let shown: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|value| cell(Some(value))).collect()).collect();
        let names: Vec<String> = self.columns.iter().map(|name| plain(name)).collect();
        let widest = |column: usize| {
            let cells = shown.iter().filter_map(|row| row.get(column));
            cells.chain(names.get(column)).map(|text| text.chars().count()).max().unwrap_or_default() + 2
        };
        let natural: usize = (0..names.len()).map(widest).sum();
        let room = usize::from(width);
        if natural <= room || names.len() * MIN_COLUMN_WIDTH <= room {
            return table(Some(names.iter().map(String::as_str).collect()), shown, width) + "\n";
        }
        let mut text = String::new();
        for (at, row) in shown.into_iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "-- row {} --", self.written + at + 1);
            let pairs = names.iter().cloned().zip(row).map(|(name, value)| vec![name, value]);
            let _ = writeln!(text, "{}", table(None, pairs.collect(), width));
        }
        text
    }
}

/// A row as an object, its members in the order of the columns.
struct Record<'a> {
    columns: &'a [String],
    row: &'a [Value],
}

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.columns.len()))?;
        for (name, value) in self.columns.iter().zip(self.row) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// A line of CSV.
fn csv(cells: impl Iterator<Item = String>) -> String {
    let quoted = |text: String| {
        let is_plain = !text.contains([',', '"', '\n', '\r']) && text.trim() == text;
        if is_plain { text } else { format!("\"{}\"", text.replace('"', "\"\"")) }
    };
    cells.map(quoted).collect::<Vec<_>>().join(",") + "\r\n"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sheet(form: Form) -> Sheet {
        Sheet::new(form, vec!["b".into(), "a".into()])
    }

    fn rows() -> Vec<Vec<Value>> {
        vec![vec![json!("x,\"y\"\n"), json!(1)], vec![json!(null), json!("\u{1b}[2J")]]
    }

    #[test]
    fn forms_keep_the_order_of_columns_and_quote_what_needs_it() {
        let text = |form| sheet(form).text(&rows(), 80).ok().unwrap();
        assert_eq!(text(Form::Csv), "b,a\r\n\"x,\"\"y\"\"\n\",1\r\n,\u{1b}[2J\r\n");
        assert_eq!(
            text(Form::Jsonl),
            "{\"b\":\"x,\\\"y\\\"\\n\",\"a\":1}\n{\"b\":null,\"a\":\"\\u001b[2J\"}\n"
        );
        let document: Value = serde_json::from_str(&(text(Form::Json) + "\n]")).unwrap();
        assert_eq!(document, json!([{"a": 1, "b": "x,\"y\"\n"}, {"a": "\u{1b}[2J", "b": null}]));
        assert_eq!(text(Form::Table), "b       a\nx,\"y\"\u{fffd}  1\n-       \u{fffd}[2J\n");
    }

    #[test]
    fn document_goes_on_over_several_writes() {
        let mut sheet = sheet(Form::Json);
        let first = sheet.text(&rows()[..1], 80).ok().unwrap();
        sheet.written = 1;
        let second = sheet.text(&rows()[1..], 80).ok().unwrap();
        let document: Value = serde_json::from_str(&format!("{first}{second}\n]")).unwrap();
        assert_eq!(document.as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn rows_that_are_too_wide_become_blocks_no_wider_than_the_terminal() {
        let columns: Vec<String> = (0..26).map(|at| format!("Column{at}")).collect();
        let row: Vec<Value> = (0..26).map(|at| json!("word ".repeat(at))).collect();
        let text = Sheet::new(Form::Table, columns).text(&[row.clone(), row], 80).ok().unwrap();
        assert!(text.starts_with("-- row 1 --\nColumn0") && text.contains("\n-- row 2 --\n"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        let few: Vec<String> = (0..4).map(|at| format!("Column{at}")).collect();
        let row: Vec<Value> = (0..4).map(|at| json!("word ".repeat(at * 9))).collect();
        let text = Sheet::new(Form::Table, few).text(&[row], 80).ok().unwrap();
        assert!(text.starts_with("Column0") && text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
}

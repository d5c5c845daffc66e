//! What a command prints: a table for a person, JSON for a program, one line an item for a stream. Owns the forms and
//! what is hidden in them; must not know where an item comes from.

use std::io::{IsTerminal as _, Write as _};

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Map, Value};

use super::api::Failure;
use super::limits::{MAX_TABLE_ROWS, MIN_TABLE_WIDTH, TABLE_WIDTH};

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// One document, indented
    Json,
    /// One line of JSON for each item, printed as it arrives
    Jsonl,
    /// Columns for a person
    Table,
}

/// Options of what is printed.
#[derive(clap::Args, Clone, Copy, Default)]
#[command(next_help_heading = "Output")]
pub struct OutputOptions {
    /// Form of the output [default: table on a terminal, else json]
    #[arg(long, short, value_name = "FORM")]
    pub output: Option<Form>,
    /// Show keys, and the keys in webhook URLs
    #[arg(long)]
    pub show_keys: bool,
}

/// A column: its title, and where its value is in an item (a JSON pointer).
pub type Column = (&'static str, &'static str);

impl OutputOptions {
    fn form(self) -> Form {
        let usual = if std::io::stdout().is_terminal() { Form::Table } else { Form::Json };
        self.output.unwrap_or(usual)
    }

    /// Prints one item.
    pub fn item(self, mut item: Value) -> Result<(), Failure> {
        if !self.show_keys {
            hide(&mut item);
        }
        match self.form() {
            Form::Json => line(&format!("{item:#}")),
            Form::Jsonl => line(&item.to_string()),
            Form::Table => {
                let mut rows = Vec::new();
                flatten("", &item, &mut rows);
                print_table(None, rows.into_iter().map(Vec::from).collect())
            }
        }
    }

    /// Prints one text as it is, unless another form was asked for: it is what a script wants.
    pub fn text(self, text: &str, item: &Value) -> Result<(), Failure> {
        match self.output {
            Some(Form::Json) => line(&format!("{item:#}")),
            Some(Form::Jsonl) => line(&item.to_string()),
            Some(Form::Table) | None => line(text),
        }
    }

    /// A list that is printed as it arrives.
    pub fn list(self, columns: &'static [Column]) -> List {
        List { form: self.form(), show_keys: self.show_keys, columns, rows: Vec::new(), printed: 0 }
    }

    /// Prints a whole list.
    pub fn items(self, columns: &'static [Column], items: Vec<Value>) -> Result<(), Failure> {
        let mut list = self.list(columns);
        for item in items {
            list.push(item)?;
        }
        list.end()
    }
}

/// A list on its way out.
pub struct List {
    form: Form,
    show_keys: bool,
    columns: &'static [Column],
    rows: Vec<Vec<String>>,
    printed: usize,
}

impl List {
    pub fn push(&mut self, mut item: Value) -> Result<(), Failure> {
        if !self.show_keys {
            hide(&mut item);
        }
        let first = self.printed == 0;
        self.printed += 1;
        match self.form {
            Form::Jsonl => line(&item.to_string()),
            Form::Json => {
                let text = format!("{item:#}").replace('\n', "\n  ");
                let start = if first { "[\n  " } else { ",\n  " };
                write(&format!("{start}{text}"))
            }
            Form::Table => {
                self.rows.push(self.columns.iter().map(|(_, pointer)| cell(item.pointer(pointer))).collect());
                if self.rows.len() < MAX_TABLE_ROWS { Ok(()) } else { self.print_rows() }
            }
        }
    }

    pub fn end(mut self) -> Result<(), Failure> {
        match self.form {
            Form::Jsonl => Ok(()),
            Form::Json => line(if self.printed == 0 { "[]" } else { "\n]" }),
            Form::Table if self.rows.is_empty() => Ok(()),
            Form::Table => self.print_rows(),
        }
    }

    fn print_rows(&mut self) -> Result<(), Failure> {
        print_table(
            Some(self.columns.iter().map(|(title, _)| *title).collect()),
            std::mem::take(&mut self.rows),
        )
    }
}

/// What stands for a key that is not shown, as Azure writes it.
pub const MASK: &str = "****";
/// Members that hold a key, wherever the service's own members stand.
const KEYS: [&str; 3] = ["primaryKey", "secondaryKey", "authenticationKey"];
/// Members that hold the address of a receiver of alerts; many have their key in the path.
const ADDRESSES: [&str; 3] = ["serviceUri", "callbackUrl", "httpTriggerUrl"];
/// Members that are the user's own.
const FREE: [&str; 4] = ["initialTwin", "optionalDeviceInformation", "tags", "payload"];

/// Takes keys out, and masks those in URLs.
fn hide(item: &mut Value) {
    match item {
        Value::Array(items) => items.iter_mut().for_each(hide),
        Value::Object(members) => hide_members(members),
        _ => {}
    }
}

fn hide_members(members: &mut Map<String, Value>) {
    members.retain(|name, _| !KEYS.contains(&name.as_str()));
    for (name, value) in members.iter_mut().filter(|(name, _)| !FREE.contains(&name.as_str())) {
        match value {
            Value::String(text) if name == "webhookUrl" => cut(text, "?"),
            Value::String(text) if name == "connectionString" => cut(text, "SharedAccessKey="),
            Value::String(text) if ADDRESSES.contains(&name.as_str()) => *text = masked(text),
            value => hide(value),
        }
    }
    // What held nothing but keys.
    members.retain(|name, value| {
        name != "symmetricKey" || value.as_object().is_none_or(|keys| !keys.is_empty())
    });
}

/// Masks what follows the mark.
fn cut(text: &mut String, mark: &str) {
    if let Some((shown, _)) = text.split_once(mark) {
        *text = format!("{shown}{mark}{MASK}");
    }
}

/// An address with its host alone, and the fragment, which is never sent.
fn masked(address: &str) -> String {
    let (address, fragment) = address.split_once('#').map_or((address, ""), |(head, tail)| (head, tail));
    let fragment = if fragment.is_empty() { String::new() } else { format!("#{fragment}") };
    let Some((scheme, rest)) = address.split_once("://") else { return MASK.to_owned() };
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    if host.len() == rest.len() {
        format!("{scheme}://{host}{fragment}")
    } else {
        format!("{scheme}://{host}/{MASK}{fragment}")
    }
}

/// Paths and values, in order.
fn flatten(path: &str, value: &Value, rows: &mut Vec<[String; 2]>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                let joint = if path.is_empty() { "" } else { "." };
                flatten(&format!("{path}{joint}{name}"), value, rows);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (index, value) in items.iter().enumerate() {
                flatten(&format!("{path}[{index}]"), value, rows);
            }
        }
        value => rows.push([plain(path), cell(Some(value))]),
    }
}

/// A value as a cell of a table.
pub fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => plain(text),
        Some(Value::Array(items)) => items.iter().map(|item| cell(Some(item))).collect::<Vec<_>>().join(", "),
        Some(other) => plain(&other.to_string()),
    }
}

/// What a terminal may see.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn print_table(header: Option<Vec<&str>>, rows: Vec<Vec<String>>) -> Result<(), Failure> {
    let width = terminal_width();
    line(&table(header, rows, width))
}

/// Columns under each other, wrapped to that width.
pub fn table(header: Option<Vec<&str>>, rows: Vec<Vec<String>>, width: u16) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    if let Some(header) = header {
        table.set_header(header);
    }
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let text = table.to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Columns of the terminal, or of tables elsewhere.
pub fn terminal_width() -> u16 {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    size.map(|size| size.ws_col)
        .filter(|columns| *columns > 0)
        .map_or(TABLE_WIDTH, |it| it.max(MIN_TABLE_WIDTH))
}

/// Writes a line to standard output.
pub fn line(text: &str) -> Result<(), Failure> {
    write(&format!("{text}\n"))
}

/// Writes to standard output.
pub fn write(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_hidden_and_the_users_own_members_are_not() {
        let mut item = json!({
            "attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": "a", "secondaryKey": "b"}},
            "customAllocationDefinition": {"webhookUrl": "https://f.example/api?code=secret", "apiVersion": "x"},
            "initialTwin": {"tags": {"primaryKey": "not ours"}},
            "registrationState": {"tpm": {"authenticationKey": "blob"}},
            "connectionString": "HostName=h;SharedAccessKeyName=n;SharedAccessKey=secret",
            "webhookReceivers": [
                {"serviceUri": "https://hooks.example:8443/services/secret?code=secret#alertmanager"},
                {"serviceUri": "https://hooks.example"}, {"serviceUri": "secret"},
            ],
        });
        hide(&mut item);
        assert_eq!(
            item,
            json!({
                "attestation": {"type": "symmetricKey"},
                "customAllocationDefinition": {"webhookUrl": "https://f.example/api?****", "apiVersion": "x"},
                "initialTwin": {"tags": {"primaryKey": "not ours"}},
                "registrationState": {"tpm": {}},
                "connectionString": "HostName=h;SharedAccessKeyName=n;SharedAccessKey=****",
                "webhookReceivers": [
                    {"serviceUri": "https://hooks.example:8443/****#alertmanager"},
                    {"serviceUri": "https://hooks.example"}, {"serviceUri": "****"},
                ],
            })
        );
        let mut policies =
            json!([{"keyName": "owner", "primaryKey": "a", "secondaryKey": "b", "rights": "r"}]);
        hide(&mut policies);
        assert_eq!(policies, json!([{"keyName": "owner", "rights": "r"}]));
    }

    #[test]
    fn item_is_flattened_to_paths() {
        let mut rows = Vec::new();
        flatten("", &json!({"a": {"b": [1, 2], "c": null}, "d": [{"e": "x\u{1b}[2J"}], "f": {}}), &mut rows);
        let rows: Vec<String> = rows.iter().map(|row| row.join("=")).collect();
        assert_eq!(rows, ["a.b=1, 2", "a.c=-", "d[0].e=x\u{fffd}[2J", "f={}"]);
    }

    #[test]
    fn table_has_its_columns_under_each_other() {
        let rows = vec![vec!["thermostat-1".into(), "enabled".into()], vec!["t".into(), "-".into()]];
        let text = table(Some(vec!["ID", "STATUS"]), rows, 80);
        assert_eq!(text, "ID            STATUS\nthermostat-1  enabled\nt             -");
    }
}

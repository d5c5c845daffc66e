//! The words with which the shape of a file of settings is written down. One description serves the reader, the
//! nearest-name advice and the page `docs/reference/configuration.md`, so that they cannot disagree.

use std::fmt::Write as _;

/// One table of the file.
pub struct Shape {
    /// As it is written: `[server]`, `[[instance]]`.
    pub header: &'static str,
    /// What it is about, for the page.
    pub about: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

/// One key.
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// What happens without it.
    pub need: Need,
    /// What it does, for the page.
    pub help: &'static str,
}

/// What a value is.
#[derive(Clone, Copy)]
pub enum Kind {
    /// A text.
    Text,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A number within these bounds.
    Integer(i64, i64),
    /// `true` or `false`.
    Switch,
    /// A text like `30s`, `5m`, `2h`, within these bounds in seconds.
    Time(u64, u64),
    /// A text like `64MiB`, within these bounds in bytes.
    Size(u64, u64),
    /// A text like `1000/60s`, or `none`.
    Rate,
    /// A path; a relative one is below the file's folder.
    Path,
    /// An IP address.
    Address,
    /// `{ file = … }` and its like.
    Secret,
    /// A list of texts.
    Texts,
    /// A table.
    Table(&'static Shape),
    /// A list of tables.
    Tables(&'static Shape),
}

/// What happens without a key.
#[derive(Clone, Copy)]
pub enum Need {
    /// The file is refused.
    Required,
    /// Nothing.
    Optional,
    /// It is as if this stood there.
    Default(&'static str),
}

impl Shape {
    /// The key of that name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

impl Kind {
    /// What must stand there, for errors and for the page.
    pub fn words(self) -> String {
        match self {
            Self::Text => "a text".to_owned(),
            Self::OneOf(words) => {
                let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                format!("one of {}", quoted.join(", "))
            }
            Self::Integer(low, high) => format!("a number from {low} to {high}"),
            Self::Switch => "true or false".to_owned(),
            Self::Time(low, high) => {
                format!("a time from {} to {}, like \"30s\", \"5m\" or \"2h\"", time(low), time(high))
            }
            Self::Size(low, high) => {
                format!("a size from {} to {}, like \"64MiB\"", size(low), size(high))
            }
            Self::Rate => "a rate like \"1000/60s\", or \"none\"".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Address => "an IP address".to_owned(),
            Self::Secret => "a secret: { file = \"…\" }, { credential = \"…\" }, { env = \"…\" } \
                             or { value = \"…\" }"
                .to_owned(),
            Self::Texts => "a list of texts".to_owned(),
            Self::Table(_) => "a table".to_owned(),
            Self::Tables(_) => "a list of tables".to_owned(),
        }
    }
}

/// Seconds in the greatest unit that leaves no rest.
pub fn time(seconds: u64) -> String {
    match seconds {
        0 => "0s".to_owned(),
        s if s.is_multiple_of(86_400) => format!("{}d", s / 86_400),
        s if s.is_multiple_of(3_600) => format!("{}h", s / 3_600),
        s if s.is_multiple_of(60) => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = UNITS.iter().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{bytes}B"), |(name, unit)| format!("{}{name}", bytes / unit))
}

/// All tables below a shape, itself included, in the order of the page.
pub fn below(shape: &'static Shape) -> Vec<&'static Shape> {
    let mut all = if shape.header.is_empty() { Vec::new() } else { vec![shape] };
    for key in shape.keys {
        if let Kind::Table(child) | Kind::Tables(child) = key.kind {
            all.extend(below(child));
        }
    }
    all
}

/// The tables and keys as a page.
pub fn page(root: &'static Shape) -> String {
    let mut page = String::new();
    for shape in below(root) {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "\n## `{}`\n\n{}", shape.header, shape.about);
        let keys: Vec<&Key> = shape.keys.iter().filter(|key| !is_table(key)).collect();
        if keys.is_empty() {
            continue;
        }
        page.push_str("\n| key | value | without it | what it does |\n| --- | --- | --- | --- |\n");
        for key in keys {
            let need = match key.need {
                Need::Required => "refused".to_owned(),
                Need::Optional => "–".to_owned(),
                Need::Default(text) => format!("`{text}`"),
            };
            let Key { name, kind, help, .. } = key;
            let _ = writeln!(page, "| `{name}` | {} | {need} | {help} |", kind.words());
        }
    }
    page
}

fn is_table(key: &Key) -> bool {
    matches!(key.kind, Kind::Table(_) | Kind::Tables(_))
}

//! Reads one table of a file of settings by its shape. Owns types, bounds, unknown keys and where they stand; must
//! not know what a setting is for.
//!
//! Nothing is refused at the first mistake: whoever reads gets none for a value that cannot be used, and goes on, so
//! that one run names all of them.

use std::cell::RefCell;
use std::net::IpAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dps_model::limits::Rate;
use dps_model::{Secret, limits};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::environment::Variable;
use super::problem::{Problem, Weight, position};
use super::secret;
use super::shape::{Kind, Need, Shape};
use super::value::{rate, seconds, size};

/// What is known while a file is read.
pub struct Reading<'t> {
    text: &'t str,
    /// Relative paths are below it.
    pub folder: PathBuf,
    /// Where secrets of the environment come from.
    pub variable: Variable,
    found: RefCell<Vec<Problem>>,
    effective: RefCell<Vec<Effective>>,
}

/// A table as it is in effect.
struct Effective {
    header: &'static str,
    lines: Vec<(&'static str, String)>,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Its offset.
    pub at: usize,
}

impl<T: Default> At<T> {
    /// The value; where it cannot be used, anything: the file is refused.
    pub fn taken(read: Option<Self>) -> T {
        read.map(|read| read.value).unwrap_or_default()
    }
}

impl<'t> Reading<'t> {
    /// Of that text, which stands in that folder.
    pub fn new(text: &'t str, folder: &Path, variable: Variable) -> Self {
        let folder = folder.to_owned();
        Self { text, folder, variable, found: RefCell::default(), effective: RefCell::default() }
    }

    /// Something is wrong there.
    pub fn wrong(&self, at: usize, message: impl Into<String>) {
        self.remark(Weight::Error, at, message.into());
    }

    /// Something is doubtful there.
    pub fn doubtful(&self, at: usize, message: impl Into<String>) {
        self.remark(Weight::Warning, at, message.into());
    }

    fn remark(&self, weight: Weight, at: usize, message: String) {
        let (line, column) = position(self.text, at);
        self.found.borrow_mut().push(Problem { weight, line, column, message });
    }

    /// What was found, and the settings in effect as a text, secrets masked.
    pub fn end(self) -> (Vec<Problem>, String) {
        let tables = self.effective.into_inner();
        let shown = tables.iter().filter(|table| !table.header.is_empty() && !table.lines.is_empty());
        let text: Vec<String> = shown.map(Effective::text).collect();
        (self.found.into_inner(), text.join("\n"))
    }

    /// Keys that somebody asked for, with their tables.
    #[cfg(test)]
    pub fn asked(&self) -> Vec<(&'static str, &'static str)> {
        let tables = self.effective.borrow();
        let keys = tables.iter().flat_map(|table| table.lines.iter().map(|line| (table.header, line.0)));
        keys.collect()
    }
}

impl Effective {
    fn text(&self) -> String {
        let lines = self.lines.iter().map(|(name, value)| {
            if value.is_empty() { format!("# {name} is not set\n") } else { format!("{name} = {value}\n") }
        });
        format!("{}\n{}", self.header, lines.collect::<String>())
    }
}

/// One table.
pub struct Section<'a> {
    /// Where problems go.
    pub reading: &'a Reading<'a>,
    shape: &'static Shape,
    table: Option<&'a DeTable<'a>>,
    /// Where it stands.
    pub at: usize,
    index: usize,
}

impl<'a> Section<'a> {
    /// The table, or none where the file has none; keys that it may not have are told at once.
    pub fn new(
        reading: &'a Reading<'a>,
        shape: &'static Shape,
        table: Option<&'a DeTable<'a>>,
        at: usize,
    ) -> Self {
        let mut effective = reading.effective.borrow_mut();
        let index = effective.len();
        effective.push(Effective { header: shape.header, lines: Vec::new() });
        let section = Self { reading, shape, table, at, index };
        for key in table.into_iter().flat_map(|table| table.keys()) {
            let name = key.get_ref();
            if shape.key(name).is_none() {
                reading.wrong(key.span().start, section.unknown(name));
            }
        }
        section
    }

    fn unknown(&self, name: &str) -> String {
        let names = self.shape.keys.iter().map(|key| key.name);
        let shown: String = name.chars().take(limits::MAX_CONFIG_NAME_SHOWN).collect();
        let place = match self.shape.header {
            "" => "as a table".to_owned(),
            header => format!("in {header}"),
        };
        if let Some(near) = secret::nearest(name, names.clone()) {
            return format!("unknown key \"{shown}\" {place}; did you mean \"{near}\"?");
        }
        let known: Vec<&str> = names.collect();
        format!("unknown key \"{shown}\" {place}; known are {}", known.join(", "))
    }

    /// Reads a key by `take`, which says none when the value is no such thing.
    fn read<T>(
        &self,
        name: &'static str,
        take: impl FnOnce(&DeValue<'_>, Kind) -> Option<T>,
    ) -> Option<At<T>> {
        let key = self.shape.key(name)?;
        let given = self.table.and_then(|table| table.get(name));
        let (taken, text, span) = match (given, key.need) {
            (Some(value), _) => (take(value.get_ref(), key.kind), self.source(value, key.kind), value.span()),
            (None, Need::Default(text)) => {
                let value = DeValue::parse(text).ok()?;
                (take(value.get_ref(), key.kind), text.to_owned(), self.at..self.at)
            }
            (None, Need::Required) => {
                let header = self.shape.header;
                self.reading.wrong(self.at, format!("{header} lacks {name}: {}", key.kind.words()));
                self.note(name, String::new());
                return None;
            }
            (None, Need::Optional) => {
                self.note(name, String::new());
                return None;
            }
        };
        if taken.is_none() {
            self.reading.wrong(span.start, format!("{name} must be {}", key.kind.words()));
        }
        self.note(name, text);
        taken.map(|value| At { value, at: span.start })
    }

    fn note(&self, name: &'static str, text: String) {
        if let Some(table) = self.reading.effective.borrow_mut().get_mut(self.index) {
            table.lines.push((name, text));
        }
    }

    /// As it stands in the file; a secret that stands there is not shown.
    fn source(&self, value: &Spanned<DeValue<'_>>, kind: Kind) -> String {
        if matches!(kind, Kind::Secret) && !secret::is_elsewhere(value.get_ref()) {
            return "{ value = \"****\" }".to_owned();
        }
        let Range { start, end } = value.span();
        self.reading.text.get(start..end).unwrap_or_default().to_owned()
    }

    /// A text, which is not empty; one of those that may stand there, where they are listed.
    pub fn text(&self, name: &'static str) -> Option<At<String>> {
        self.read(name, |value, kind| {
            let text = value.as_str().filter(|text| !text.is_empty())?;
            let known = !matches!(kind, Kind::OneOf(words) if !words.contains(&text));
            known.then(|| text.to_owned())
        })
    }

    /// Where a key stands in the file; none when it is not there.
    pub fn given(&self, name: &str) -> Option<usize> {
        self.table?.get_key_value(name).map(|(key, _)| key.span().start)
    }

    /// A list of texts.
    pub fn texts(&self, name: &'static str) -> Option<Vec<At<String>>> {
        let read = self.read(name, |value, _| {
            let items = value.as_array()?.iter();
            let item = |item: &Spanned<DeValue<'_>>| {
                let value = item.get_ref().as_str().filter(|text| !text.is_empty())?.to_owned();
                Some(At { value, at: item.span().start })
            };
            items.map(item).collect::<Option<Vec<_>>>()
        });
        read.map(|read| read.value)
    }

    /// A number within its bounds.
    pub fn integer(&self, name: &'static str) -> Option<At<i64>> {
        self.read(name, |value, kind| {
            let integer = value.as_integer()?;
            let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok()?;
            matches!(kind, Kind::Integer(low, high) if (low..=high).contains(&number)).then_some(number)
        })
    }

    /// A port; 0 is one too.
    pub fn port(&self, name: &'static str) -> u16 {
        self.integer(name).and_then(|port| u16::try_from(port.value).ok()).unwrap_or_default()
    }

    /// True or false.
    pub fn switch(&self, name: &'static str) -> Option<At<bool>> {
        self.read(name, |value, _| value.as_bool())
    }

    /// A time within its bounds.
    pub fn time(&self, name: &'static str) -> Option<At<Duration>> {
        self.read(name, |value, kind| {
            let seconds = seconds(value.as_str()?)?;
            let inside = matches!(kind, Kind::Time(low, high) if (low..=high).contains(&seconds));
            inside.then(|| Duration::from_secs(seconds))
        })
    }

    /// A size within its bounds.
    pub fn size(&self, name: &'static str) -> Option<At<u64>> {
        self.read(name, |value, kind| {
            let bytes = size(value.as_str()?)?;
            matches!(kind, Kind::Size(low, high) if (low..=high).contains(&bytes)).then_some(bytes)
        })
    }

    /// A rate; the inner none is no limit.
    pub fn rate(&self, name: &'static str) -> Option<At<Option<Rate>>> {
        self.read(name, |value, _| rate(value.as_str()?))
    }

    /// A path, made absolute.
    pub fn path(&self, name: &'static str) -> Option<At<PathBuf>> {
        let folder = &self.reading.folder;
        self.read(name, |value, _| {
            value.as_str().filter(|text| !text.is_empty()).map(|text| folder.join(text))
        })
    }

    /// An address.
    pub fn address(&self, name: &'static str) -> Option<At<IpAddr>> {
        self.read(name, |value, _| value.as_str()?.parse().ok())
    }

    /// A secret, read from where it is.
    pub fn secret(&self, name: &'static str) -> Option<At<Secret>> {
        let source = self.read(name, |value, _| secret::Source::read(value))?;
        match source.value.take(self.reading, source.at) {
            Ok(secret) => Some(At { value: secret, at: source.at }),
            Err(why) => {
                self.reading.wrong(source.at, format!("{name}: {why}"));
                None
            }
        }
    }

    /// A table; an empty one where the file has none.
    pub fn table(&self, name: &'static str) -> Section<'a> {
        let shape = self.child(name);
        let given = self.table.and_then(|table| table.get_key_value(name));
        let Some((key, value)) = given else { return Section::new(self.reading, shape, None, self.at) };
        let at = key.span().start;
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.reading.wrong(value.span().start, format!("{name} must be a table: write {}", shape.header));
        }
        Section::new(self.reading, shape, table, at)
    }

    /// A list of tables, in order.
    pub fn tables(&self, name: &'static str) -> Vec<Section<'a>> {
        let shape = self.child(name);
        let Some(value) = self.table.and_then(|table| table.get(name)) else { return Vec::new() };
        let items = value.get_ref().as_array();
        let all: Option<Vec<_>> = items.map(|items| items.iter()).and_then(|items| {
            items.map(|item| Some((item.get_ref().as_table()?, item.span().start))).collect()
        });
        let Some(all) = all else {
            self.reading.wrong(value.span().start, format!("{name} must be written {}", shape.header));
            return Vec::new();
        };
        all.into_iter().map(|(table, at)| Section::new(self.reading, shape, Some(table), at)).collect()
    }

    fn child(&self, name: &str) -> &'static Shape {
        static NOTHING: Shape = Shape { header: "", about: "", keys: &[] };
        match self.shape.key(name).map(|key| key.kind) {
            Some(Kind::Table(shape) | Kind::Tables(shape)) => shape,
            _ => &NOTHING,
        }
    }
}

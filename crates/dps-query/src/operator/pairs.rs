//! `parse-kv`: values taken out of a text of pairs, by their keys.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringBuilder};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::Result;

use super::{Run, Start, Transform};

/// The operator.
#[derive(Clone, Debug)]
pub struct Pairs {
    /// The text's column.
    pub source: String,
    /// Keys looked for and the columns of their values; empty where there is none.
    pub keys: Vec<(String, String)>,
    /// How the text is read.
    pub syntax: PairSyntax,
}

/// How a text of pairs is written.
#[derive(Clone, Debug)]
pub struct PairSyntax {
    /// Between pairs; white space when empty.
    pub pair: String,
    /// Between key and value; white space when empty.
    pub value: String,
    /// Opens and closes a quoted key or value.
    pub quotes: Vec<(char, char)>,
    /// Escapes a character within quotes.
    pub escape: Option<char>,
    /// A value goes on over pair delimiters until the next key.
    pub greedy: bool,
}

impl Transform for Pairs {
    fn name(&self) -> &'static str {
        "ParseKv"
    }

    fn operands(&self) -> Vec<&str> {
        vec![&self.source]
    }

    fn made(&self) -> Vec<(String, DataType)> {
        self.keys.iter().map(|(_, name)| (name.clone(), DataType::Utf8)).collect()
    }

    fn start(&self, start: Start) -> Result<Box<dyn Run>> {
        let places = self.keys.iter().enumerate().map(|(at, (key, _))| (key.clone(), at)).collect();
        Ok(Box::new(Reading {
            place: start.input.index_of(&self.source)?,
            places,
            count: self.keys.len(),
            syntax: self.syntax.clone(),
            output: start.output,
            read: None,
        }))
    }
}

struct Reading {
    place: usize,
    places: HashMap<String, usize>,
    count: usize,
    syntax: PairSyntax,
    output: SchemaRef,
    read: Option<RecordBatch>,
}

impl Run for Reading {
    fn push(&mut self, batch: RecordBatch) -> Result<()> {
        let texts = batch.column(self.place).as_string::<i32>();
        let mut columns: Vec<_> = (0..self.count).map(|_| StringBuilder::new()).collect();
        let mut values = vec![String::new(); self.count];
        for row in 0..batch.num_rows() {
            values.iter_mut().for_each(String::clear);
            if texts.is_valid(row) {
                self.syntax.read(texts.value(row), |key, value| {
                    if let Some(slot) = self.places.get(key).and_then(|at| values.get_mut(*at)) {
                        value.clone_into(slot);
                    }
                });
            }
            for (column, value) in columns.iter_mut().zip(&values) {
                column.append_value(value);
            }
        }
        let mut arrays = batch.columns().to_vec();
        arrays.extend(columns.iter_mut().map(|texts| Arc::new(texts.finish()) as ArrayRef));
        self.read = Some(super::batch(&self.output, arrays, batch.num_rows())?);
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<RecordBatch>> {
        Ok(self.read.take())
    }
}

impl PairSyntax {
    /// Calls `found` with each key and its value. The last of equal keys wins, as it is found last.
    fn read(&self, text: &str, mut found: impl FnMut(&str, &str)) {
        let mut rest = text;
        let mut last: Option<(String, String)> = None;
        while !rest.is_empty() {
            let (key, closed, after) = self.word(rest, true);
            let pair = delimiter(&self.value, after).map(|value| self.word(value, false));
            if let Some((value, _, after)) = pair {
                if let Some((key, value)) = last.replace((key, value)) {
                    found(&key, &value);
                }
                rest = after;
            } else {
                // No pair: a greedy value goes on.
                let goes_on = self.greedy && !closed && !key.is_empty();
                if let Some((_, value)) = last.as_mut().filter(|_| goes_on) {
                    value.push_str(if self.pair.is_empty() { " " } else { &self.pair });
                    value.push_str(&key);
                }
                rest = after;
            }
            rest = match delimiter(&self.pair, rest) {
                Some(next) => next,
                None => skip_char(rest),
            };
        }
        if let Some((key, value)) = last {
            found(&key, &value);
        }
    }

    /// A key or a value, whether it was quoted, and what follows it.
    fn word<'a>(&self, text: &'a str, key: bool) -> (String, bool, &'a str) {
        let text = if self.pair.is_empty() || key { text.trim_start() } else { text };
        let first = text.chars().next();
        if let Some((open, close)) = self.quotes.iter().find(|(open, _)| Some(*open) == first) {
            return self.quoted(text.get(open.len_utf8()..).unwrap_or(""), *close);
        }
        let ends = |(at, _): &(usize, char)| {
            let here = text.get(*at..).unwrap_or("");
            delimiter(&self.pair, here).is_some() || (key && delimiter(&self.value, here).is_some())
        };
        let end = text.char_indices().find(ends).map_or(text.len(), |(at, _)| at);
        let (word, after) = text.split_at(end);
        (word.trim().to_owned(), false, after)
    }

    fn quoted<'a>(&self, text: &'a str, close: char) -> (String, bool, &'a str) {
        let mut word = String::new();
        let mut chars = text.char_indices();
        while let Some((at, char)) = chars.next() {
            if Some(char) == self.escape {
                word.extend(chars.next().map(|(_, escaped)| escaped));
            } else if char == close {
                return (word, true, text.get(at + char.len_utf8()..).unwrap_or(""));
            } else {
                word.push(char);
            }
        }
        (word, true, "")
    }
}

/// What follows a delimiter, where one is.
fn delimiter<'a>(delimiter: &str, text: &'a str) -> Option<&'a str> {
    if !delimiter.is_empty() {
        return text.strip_prefix(delimiter);
    }
    let after = text.trim_start();
    (after.len() < text.len()).then_some(after)
}

fn skip_char(text: &str) -> &str {
    let mut chars = text.chars();
    chars.next();
    chars.as_str()
}

#[cfg(test)]
mod tests {
    use super::PairSyntax;

    fn read(text: &str, pair: &str, value: &str, greedy: bool) -> Vec<(String, String)> {
        let quotes = vec![('"', '"')];
        let syntax =
            PairSyntax { pair: pair.into(), value: value.into(), quotes, escape: Some('\\'), greedy };
        let mut pairs = Vec::new();
        syntax.read(text, |key, value| pairs.push((key.to_owned(), value.to_owned())));
        pairs
    }

    #[test]
    fn pairs_of_each_syntax_are_read() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(read("a=1, b=two, c", ",", "=", false), [pair("a", "1"), pair("b", "two")]);
        assert_eq!(
            read("a=1 b=\"x y\" c=3", "", "=", false),
            [pair("a", "1"), pair("b", "x y"), pair("c", "3")]
        );
        assert_eq!(
            read(r#"a:"say \"hi\"";b:2"#, ";", ":", false),
            [pair("a", r#"say "hi""#), pair("b", "2")]
        );
        assert_eq!(
            read("name: Ada L phone: 5", " ", ": ", true),
            [pair("name", "Ada L"), pair("phone", "5")]
        );
        assert_eq!(read("a=\"open", ",", "=", false), [pair("a", "open")]);
        assert!(read("", ",", "=", false).is_empty());
    }
}

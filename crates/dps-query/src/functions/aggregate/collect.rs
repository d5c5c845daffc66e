//! `make_list`, `make_set`, `make_bag`: dynamic values of what rows hold. Beyond their bounds nothing more is taken.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use datafusion::scalar::ScalarValue;

use super::udaf::Packed;
use crate::functions::datum::Reader;
use crate::functions::json;
use crate::functions::limits::COLLECTED_BYTES;

/// What an entry of a map costs beside its text.
const ENTRY: usize = 48;

#[derive(Debug)]
pub(super) struct Lists {
    nulls: bool,
    limit: usize,
    count: usize,
    /// Elements with commas between them.
    text: String,
}

impl Lists {
    pub(super) fn new(nulls: bool, limit: usize) -> Self {
        Self { nulls, limit, count: 0, text: String::new() }
    }

    fn push(&mut self, element: &str) {
        if self.count >= self.limit || self.text.len() + element.len() > COLLECTED_BYTES {
            return;
        }
        if self.count > 0 {
            self.text.push(',');
        }
        self.text.push_str(element);
        self.count += 1;
    }
}

impl Packed for Lists {
    fn take(&mut self, columns: &[Reader<'_>], row: usize) {
        let Some(value) = columns.first().map(|column| column.get(row)) else { return };
        if self.nulls || !value.is_null() {
            self.push(&json::of_datum(&value));
        }
    }

    fn value(&mut self) -> ScalarValue {
        ScalarValue::Utf8(Some(format!("[{}]", self.text)))
    }

    fn held(&self) -> usize {
        self.text.capacity()
    }

    fn pack(&mut self) -> Vec<u8> {
        format!("[{}]", self.text).into_bytes()
    }

    fn unpack(&mut self, bytes: &[u8]) -> bool {
        let elements = std::str::from_utf8(bytes).ok().and_then(json::elements);
        elements.map(|elements| elements.into_iter().for_each(|element| self.push(element))).is_some()
    }
}

#[derive(Debug)]
pub(super) struct Sets {
    limit: usize,
    bytes: usize,
    /// And the place of each.
    elements: HashMap<Box<str>, usize>,
}

impl Sets {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, bytes: 0, elements: HashMap::new() }
    }

    fn push(&mut self, element: String) {
        let place = self.elements.len();
        if place >= self.limit || self.bytes + element.len() > COLLECTED_BYTES {
            return;
        }
        let length = element.len();
        if let Entry::Vacant(entry) = self.elements.entry(element.into()) {
            entry.insert(place);
            self.bytes += length;
        }
    }

    fn text(&self) -> String {
        let mut sorted: Vec<(&str, usize)> =
            self.elements.iter().map(|(element, at)| (&**element, *at)).collect();
        sorted.sort_unstable_by_key(|(_, place)| *place);
        let elements: Vec<&str> = sorted.into_iter().map(|(element, _)| element).collect();
        format!("[{}]", elements.join(","))
    }
}

impl Packed for Sets {
    fn take(&mut self, columns: &[Reader<'_>], row: usize) {
        let value = columns.first().map(|column| column.get(row)).filter(|value| !value.is_null());
        if let Some(value) = value {
            self.push(json::of_datum(&value));
        }
    }

    fn value(&mut self) -> ScalarValue {
        ScalarValue::Utf8(Some(self.text()))
    }

    fn held(&self) -> usize {
        self.bytes + self.elements.capacity() * ENTRY
    }

    fn pack(&mut self) -> Vec<u8> {
        self.text().into_bytes()
    }

    fn unpack(&mut self, bytes: &[u8]) -> bool {
        let elements = std::str::from_utf8(bytes).ok().and_then(json::elements);
        elements
            .map(|elements| elements.into_iter().for_each(|element| self.push(element.to_owned())))
            .is_some()
    }
}

#[derive(Debug)]
pub(super) struct Bags {
    limit: usize,
    bytes: usize,
    /// The value of each name, and its place.
    members: HashMap<Box<str>, (Box<str>, usize)>,
}

impl Bags {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, bytes: 0, members: HashMap::new() }
    }

    fn add(&mut self, bag: &str) -> bool {
        let Some(members) = json::members(bag) else { return false };
        for (name, value) in members {
            let (place, size) = (self.members.len(), name.len() + value.len());
            if place >= self.limit || self.bytes + size > COLLECTED_BYTES {
                break;
            }
            if let Entry::Vacant(entry) = self.members.entry(name.into()) {
                entry.insert((value.into(), place));
                self.bytes += size;
            }
        }
        true
    }

    fn text(&self) -> String {
        let mut sorted: Vec<_> = self.members.iter().collect();
        sorted.sort_unstable_by_key(|(_, (_, place))| *place);
        let members: Vec<String> =
            sorted.into_iter().map(|(name, (value, _))| format!("{}:{value}", json::quote(name))).collect();
        format!("{{{}}}", members.join(","))
    }
}

impl Packed for Bags {
    fn take(&mut self, columns: &[Reader<'_>], row: usize) {
        if let Some(bag) = columns.first().map(|column| column.get(row)) {
            // What is no bag is passed over.
            self.add(bag.chars());
        }
    }

    fn value(&mut self) -> ScalarValue {
        ScalarValue::Utf8(Some(self.text()))
    }

    fn held(&self) -> usize {
        self.bytes + self.members.capacity() * (ENTRY + 16)
    }

    fn pack(&mut self) -> Vec<u8> {
        self.text().into_bytes()
    }

    fn unpack(&mut self, bytes: &[u8]) -> bool {
        std::str::from_utf8(bytes).is_ok_and(|text| self.add(text))
    }
}

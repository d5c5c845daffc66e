//! Values in, bytes out: always the shortest constructor, but for lists, whose length is known too late.

use bytes::{BufMut, BytesMut};

use super::{Array, Fields, Symbol, Value};

/// Writes any value.
pub(crate) fn put_value(value: &Value, out: &mut BytesMut) {
    match value {
        Value::Null => out.put_u8(0x40),
        Value::Bool(value) => out.put_u8(if *value { 0x41 } else { 0x42 }),
        Value::Uint(value) => put_uint(*value, out),
        Value::Ulong(value) => put_ulong(*value, out),
        Value::Int(value) => match i8::try_from(*value) {
            Ok(small) => out.put_slice(&[0x54, small.to_be_bytes()[0]]),
            Err(_) => put_widest(&Value::Int(*value), out),
        },
        Value::Long(value) => match i8::try_from(*value) {
            Ok(small) => out.put_slice(&[0x55, small.to_be_bytes()[0]]),
            Err(_) => put_widest(&Value::Long(*value), out),
        },
        Value::Binary(bytes) => put_variable(0xa0, bytes, out),
        Value::String(text) => put_variable(0xa1, text.as_bytes(), out),
        Value::Symbol(symbol) => put_variable(0xa3, symbol.as_str().as_bytes(), out),
        Value::List(items) if items.is_empty() => out.put_u8(0x45),
        Value::List(items) => put_compound(0xc0, items.len(), out, |out| put_items(items, out)),
        Value::Map(items) => put_compound(0xc1, items.len() * 2, out, |out| put_pairs(items, out)),
        Value::Array(array) => put_array(array, out),
        Value::Described(described) => {
            out.put_u8(0);
            put_value(&described.0, out);
            put_value(&described.1, out);
        }
        _ => put_widest(value, out),
    }
}

fn put_widest(value: &Value, out: &mut BytesMut) {
    put_code(value, out);
    put_body(value, out);
}

fn put_uint(value: u32, out: &mut BytesMut) {
    match u8::try_from(value) {
        Ok(0) => out.put_u8(0x43),
        Ok(small) => out.put_slice(&[0x52, small]),
        Err(_) => {
            out.put_u8(0x70);
            out.put_u32(value);
        }
    }
}

fn put_ulong(value: u64, out: &mut BytesMut) {
    match u8::try_from(value) {
        Ok(0) => out.put_u8(0x44),
        Ok(small) => out.put_slice(&[0x53, small]),
        Err(_) => {
            out.put_u8(0x80);
            out.put_u64(value);
        }
    }
}

/// A length in one byte under `code`, in four under the code of the same type that has 1 in its fifth bit.
fn put_variable(code: u8, bytes: &[u8], out: &mut BytesMut) {
    if let Ok(length) = u8::try_from(bytes.len()) {
        out.put_slice(&[code, length]);
    } else {
        out.put_u8(code | 0x10);
        out.put_u32(length_of(bytes.len()));
    }
    out.put_slice(bytes);
}

/// No value of ours comes near four bytes of length; one that did would be cut by the bound on messages.
fn length_of(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// The widest constructor of a value's type: what stands in front of an array.
fn code_of(value: &Value) -> u8 {
    match value {
        Value::Null => 0x40,
        Value::Bool(_) => 0x56,
        Value::Ubyte(_) => 0x50,
        Value::Ushort(_) => 0x60,
        Value::Uint(_) => 0x70,
        Value::Ulong(_) => 0x80,
        Value::Byte(_) => 0x51,
        Value::Short(_) => 0x61,
        Value::Int(_) => 0x71,
        Value::Long(_) => 0x81,
        Value::Float(_) => 0x72,
        Value::Double(_) => 0x82,
        Value::Decimal32(_) => 0x74,
        Value::Decimal64(_) => 0x84,
        Value::Decimal128(_) => 0x94,
        Value::Char(_) => 0x73,
        Value::Timestamp(_) => 0x83,
        Value::Uuid(_) => 0x98,
        Value::Binary(_) => 0xb0,
        Value::String(_) => 0xb1,
        Value::Symbol(_) => 0xb3,
        Value::List(_) => 0xd0,
        Value::Map(_) => 0xd1,
        Value::Array(_) => 0xf0,
        Value::Described(_) => 0,
    }
}

fn put_code(value: &Value, out: &mut BytesMut) {
    out.put_u8(code_of(value));
    if let Value::Described(described) = value {
        put_value(&described.0, out);
        put_code(&described.1, out);
    }
}

/// Whether two values could stand in one array.
pub(super) fn same_constructor(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Described(one), Value::Described(other)) => {
            one.0 == other.0 && same_constructor(&one.1, &other.1)
        }
        _ => code_of(one) == code_of(other),
    }
}

/// What follows the widest constructor.
fn put_body(value: &Value, out: &mut BytesMut) {
    match value {
        Value::Null => {}
        Value::Bool(value) => out.put_u8(u8::from(*value)),
        Value::Ubyte(value) => out.put_u8(*value),
        Value::Ushort(value) => out.put_u16(*value),
        Value::Uint(value) | Value::Float(value) => out.put_u32(*value),
        Value::Ulong(value) | Value::Double(value) => out.put_u64(*value),
        Value::Byte(value) => out.put_i8(*value),
        Value::Short(value) => out.put_i16(*value),
        Value::Int(value) => out.put_i32(*value),
        Value::Long(value) | Value::Timestamp(value) => out.put_i64(*value),
        Value::Decimal32(bytes) => out.put_slice(bytes),
        Value::Decimal64(bytes) => out.put_slice(bytes),
        Value::Decimal128(bytes) | Value::Uuid(bytes) => out.put_slice(bytes),
        Value::Char(value) => out.put_u32(u32::from(*value)),
        Value::Binary(bytes) => put_sized(bytes, out),
        Value::String(text) => put_sized(text.as_bytes(), out),
        Value::Symbol(symbol) => put_sized(symbol.as_str().as_bytes(), out),
        Value::List(items) => compound(items.len(), out, |out| put_items(items, out)),
        Value::Map(items) => compound(items.len() * 2, out, |out| put_pairs(items, out)),
        Value::Array(array) => compound(array.items().len(), out, |out| {
            put_code(array.items().first().unwrap_or(&Value::Null), out);
            for item in array.items() {
                put_body(item, out);
            }
        }),
        Value::Described(described) => put_body(&described.1, out),
    }
}

fn put_sized(bytes: &[u8], out: &mut BytesMut) {
    out.put_u32(length_of(bytes.len()));
    out.put_slice(bytes);
}

fn put_items(items: &[Value], out: &mut BytesMut) {
    for item in items {
        put_value(item, out);
    }
}

fn put_pairs(items: &[(Value, Value)], out: &mut BytesMut) {
    for (key, value) in items {
        put_value(key, out);
        put_value(value, out);
    }
}

/// An array with one-byte lengths where all of it is symbols that allow them, as mechanisms are.
fn put_array(array: &Array, out: &mut BytesMut) {
    let symbols: Option<Vec<_>> = array.items().iter().map(short_symbol).collect();
    match symbols {
        Some(symbols) if !symbols.is_empty() => put_compound(0xe0, symbols.len(), out, |out| {
            out.put_u8(0xa3);
            for (length, symbol) in symbols {
                out.put_u8(length);
                out.put_slice(symbol.as_str().as_bytes());
            }
        }),
        _ => put_widest(&Value::Array(array.clone()), out),
    }
}

fn short_symbol(item: &Value) -> Option<(u8, &Symbol)> {
    match item {
        Value::Symbol(symbol) => u8::try_from(symbol.as_str().len()).ok().map(|length| (length, symbol)),
        _ => None,
    }
}

/// Size, count and inside, four bytes each for the first two.
fn compound(count: usize, out: &mut BytesMut, inside: impl FnOnce(&mut BytesMut)) {
    let begin = out.len();
    out.put_u32(0);
    out.put_u32(length_of(count));
    inside(out);
    patch_length(begin, out);
}

/// Writes into the four bytes at `begin` how many follow them.
fn patch_length(begin: usize, out: &mut BytesMut) {
    let length = length_of(out.len() - begin - 4);
    if let Some(place) = out.get_mut(begin..begin + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

/// Writes a described list: a performative, a state, an error. Nulls at its end are left out.
pub(crate) fn put_described_list(code: u64, out: &mut BytesMut, fields: impl FnOnce(&mut ListWriter<'_>)) {
    out.put_u8(0);
    put_ulong(code, out);
    let begin = out.len();
    out.put_slice(&LONG);
    let mut list = ListWriter { out, count: 0, nulls: 0 };
    fields(&mut list);
    let count = list.count;
    if count == 0 {
        out.truncate(begin);
        out.put_u8(0x45);
    } else {
        finish(begin, 0xc0, count, out);
    }
}

/// Constructor, size and count in their long form, before they are known.
const LONG: [u8; 9] = [0; 9];

/// Writes a list or map in the form that fits; `code` is the short form's.
fn put_compound(code: u8, count: usize, out: &mut BytesMut, inside: impl FnOnce(&mut BytesMut)) {
    let begin = out.len();
    out.put_slice(&LONG);
    inside(out);
    finish(begin, code, length_of(count), out);
}

/// Fills the place of [`LONG`] at `begin`. What turned out short is moved to the front.
fn finish(begin: usize, code: u8, count: u32, out: &mut BytesMut) {
    let body = out.len() - begin - LONG.len();
    if let (Ok(size), Ok(count)) = (u8::try_from(body + 1), u8::try_from(count)) {
        out.copy_within(begin + LONG.len().., begin + 3);
        out.truncate(begin + 3 + body);
        if let Some(head) = out.get_mut(begin..begin + 3) {
            head.copy_from_slice(&[code, size, count]);
        }
    } else if let Some(head) = out.get_mut(begin..begin + LONG.len()) {
        let mut head = head;
        head.put_u8(code | 0x10);
        head.put_u32(length_of(body + 4));
        head.put_u32(count);
    }
}

/// Writes the descriptor of a message section; its value follows.
pub(crate) fn put_section(code: u64, out: &mut BytesMut) {
    out.put_u8(0);
    put_ulong(code, out);
}

/// The fields of a list, one after the other.
#[derive(Debug)]
pub(crate) struct ListWriter<'a> {
    out: &'a mut BytesMut,
    count: u32,
    nulls: u32,
}

impl ListWriter<'_> {
    /// A null, written only if something follows.
    pub(crate) fn null(&mut self) {
        self.nulls += 1;
    }

    /// The place of the next field.
    fn next(&mut self) -> &mut BytesMut {
        for _ in 0..self.nulls {
            self.out.put_u8(0x40);
        }
        self.count += self.nulls + 1;
        self.nulls = 0;
        self.out
    }

    fn some<T>(&mut self, value: Option<T>, put: impl FnOnce(T, &mut BytesMut)) {
        match value {
            None => self.null(),
            Some(value) => put(value, self.next()),
        }
    }

    /// A boolean; `default` is left out.
    pub(crate) fn flag(&mut self, value: bool, default: bool) {
        self.some((value != default).then_some(value), |value, out| put_value(&Value::Bool(value), out));
    }

    pub(crate) fn boolean(&mut self, value: Option<bool>) {
        self.some(value, |value, out| put_value(&Value::Bool(value), out));
    }

    pub(crate) fn ubyte(&mut self, value: Option<u8>) {
        self.some(value, |value, out| out.put_slice(&[0x50, value]));
    }

    pub(crate) fn ushort(&mut self, value: Option<u16>) {
        self.some(value, |value, out| {
            out.put_u8(0x60);
            out.put_u16(value);
        });
    }

    pub(crate) fn uint(&mut self, value: Option<u32>) {
        self.some(value, put_uint);
    }

    pub(crate) fn ulong(&mut self, value: Option<u64>) {
        self.some(value, put_ulong);
    }

    pub(crate) fn timestamp(&mut self, value: Option<i64>) {
        self.some(value, |value, out| put_value(&Value::Timestamp(value), out));
    }

    pub(crate) fn string(&mut self, value: Option<&str>) {
        self.some(value, |value, out| put_variable(0xa1, value.as_bytes(), out));
    }

    pub(crate) fn symbol(&mut self, value: Option<&Symbol>) {
        self.some(value, |value, out| put_variable(0xa3, value.as_str().as_bytes(), out));
    }

    pub(crate) fn binary(&mut self, value: Option<&[u8]>) {
        self.some(value, |value, out| put_variable(0xa0, value, out));
    }

    pub(crate) fn value(&mut self, value: Option<&Value>) {
        self.some(value, put_value);
    }

    /// A map with symbols as keys; an empty one is left out.
    pub(crate) fn fields(&mut self, fields: &Fields) {
        self.some((!fields.is_empty()).then_some(fields), |fields, out| {
            put_compound(0xc1, fields.len() * 2, out, |out| {
                for (key, value) in fields {
                    put_variable(0xa3, key.as_str().as_bytes(), out);
                    put_value(value, out);
                }
            });
        });
    }

    /// A described list inside a field.
    pub(crate) fn described(&mut self, code: u64, fields: impl FnOnce(&mut ListWriter<'_>)) {
        put_described_list(code, self.next(), fields);
    }
}

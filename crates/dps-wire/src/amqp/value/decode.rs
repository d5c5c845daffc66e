//! Bytes in, values out. Nothing is allocated before the bytes that fill it are there, the depth is counted,
//! and every value kept costs one of a frame's budget.

use bytes::Bytes;

use super::error::DecodeError;
use super::{Array, Fields, Secret, Symbol, Value};
use crate::amqp::limits::{MAX_DEPTH, MAX_STRING, MAX_SYMBOL, MAX_VALUES};

/// Reads values off a slice; `at` counts from the slice's first byte, so that errors can name it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    budget: usize,
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from `at` on.
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, budget: MAX_VALUES }
    }

    /// Where the next byte is.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// What is left.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.at.checked_add(length).ok_or(DecodeError::Truncated { at: self.at })?;
        let taken = self.bytes.get(self.at..end).ok_or(DecodeError::Truncated { at: self.at })?;
        self.at = end;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let at = self.at;
        self.take(N)?.try_into().map_err(|_| DecodeError::Truncated { at })
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        Ok(self.fixed::<1>()?[0])
    }

    /// A length of one byte, or of four.
    fn length(&mut self, wide: bool) -> Result<usize, DecodeError> {
        Ok(if wide { u32::from_be_bytes(self.fixed()?) as usize } else { usize::from(self.byte()?) })
    }

    fn spend(&mut self) -> Result<(), DecodeError> {
        let left = self.budget.checked_sub(1);
        self.budget = left.ok_or(DecodeError::TooManyValues { limit: MAX_VALUES, at: self.at })?;
        Ok(())
    }

    /// The next value.
    pub(crate) fn value(&mut self) -> Result<Value, DecodeError> {
        self.nested(0)
    }

    fn nested(&mut self, depth: usize) -> Result<Value, DecodeError> {
        if depth >= MAX_DEPTH {
            return Err(DecodeError::TooDeep { limit: MAX_DEPTH, at: self.at });
        }
        let at = self.at;
        let code = self.byte()?;
        if code == 0 {
            self.spend()?;
            let descriptor = self.nested(depth + 1)?;
            let value = self.nested(depth + 1)?;
            return Ok(Value::Described(Box::new((descriptor, value))));
        }
        self.of(code, at, depth)
    }

    /// The value of a constructor that stood at `at`.
    fn of(&mut self, code: u8, at: usize, depth: usize) -> Result<Value, DecodeError> {
        self.spend()?;
        Ok(match code {
            0x40 => Value::Null,
            0x41 => Value::Bool(true),
            0x42 => Value::Bool(false),
            0x56 => Value::Bool(self.boolean()?),
            0x50 => Value::Ubyte(self.byte()?),
            0x60 => Value::Ushort(u16::from_be_bytes(self.fixed()?)),
            0x70 => Value::Uint(u32::from_be_bytes(self.fixed()?)),
            0x52 => Value::Uint(self.byte()?.into()),
            0x43 => Value::Uint(0),
            0x80 => Value::Ulong(u64::from_be_bytes(self.fixed()?)),
            0x53 => Value::Ulong(self.byte()?.into()),
            0x44 => Value::Ulong(0),
            0x51 => Value::Byte(i8::from_be_bytes(self.fixed()?)),
            0x61 => Value::Short(i16::from_be_bytes(self.fixed()?)),
            0x71 => Value::Int(i32::from_be_bytes(self.fixed()?)),
            0x54 => Value::Int(i8::from_be_bytes(self.fixed()?).into()),
            0x81 => Value::Long(i64::from_be_bytes(self.fixed()?)),
            0x55 => Value::Long(i8::from_be_bytes(self.fixed()?).into()),
            0x72 => Value::Float(u32::from_be_bytes(self.fixed()?)),
            0x82 => Value::Double(u64::from_be_bytes(self.fixed()?)),
            0x74 => Value::Decimal32(self.fixed()?),
            0x84 => Value::Decimal64(self.fixed()?),
            0x94 => Value::Decimal128(self.fixed()?),
            0x73 => Value::Char(self.character()?),
            0x83 => Value::Timestamp(i64::from_be_bytes(self.fixed()?)),
            0x98 => Value::Uuid(self.fixed()?),
            0xa0 | 0xb0 => Value::Binary(Bytes::copy_from_slice(self.variable(code == 0xb0)?)),
            0xa1 | 0xb1 => Value::String(self.string(code == 0xb1)?),
            0xa3 | 0xb3 => Value::Symbol(self.symbol(code == 0xb3)?),
            0x45 => Value::List(Vec::new()),
            0xc0 | 0xd0 => Value::List(self.list_items(code == 0xd0, depth)?),
            0xc1 | 0xd1 => Value::Map(self.map_items(code == 0xd1, depth)?),
            0xe0 | 0xf0 => Value::Array(self.array(code == 0xf0, depth)?),
            _ => return Err(DecodeError::Constructor { code, at }),
        })
    }

    fn boolean(&mut self) -> Result<bool, DecodeError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::NotABoolean { at: self.at - 1 }),
        }
    }

    fn character(&mut self) -> Result<char, DecodeError> {
        let at = self.at;
        char::from_u32(u32::from_be_bytes(self.fixed()?)).ok_or(DecodeError::NotAChar { at })
    }

    fn variable(&mut self, wide: bool) -> Result<&'a [u8], DecodeError> {
        let length = self.length(wide)?;
        self.take(length)
    }

    fn string(&mut self, wide: bool) -> Result<String, DecodeError> {
        let bytes = self.variable(wide)?;
        let (length, at) = (bytes.len(), self.at - bytes.len());
        if length > MAX_STRING {
            return Err(DecodeError::TooLong { kind: "string", length, limit: MAX_STRING, at });
        }
        let text = std::str::from_utf8(bytes);
        text.map(str::to_owned).map_err(|error| DecodeError::NotUtf8 { at: at + error.valid_up_to() })
    }

    fn symbol(&mut self, wide: bool) -> Result<Symbol, DecodeError> {
        let bytes = self.variable(wide)?;
        let (length, at) = (bytes.len(), self.at - bytes.len());
        if length > MAX_SYMBOL {
            return Err(DecodeError::TooLong { kind: "symbol", length, limit: MAX_SYMBOL, at });
        }
        match bytes.iter().position(|byte| !byte.is_ascii()) {
            Some(bad) => Err(DecodeError::NotAscii { at: at + bad }),
            None => Ok(Symbol(bytes.iter().map(|byte| char::from(*byte)).collect())),
        }
    }

    /// Size and count of a compound value: a reader of its inside alone, and how many values that has.
    fn compound(&mut self, wide: bool) -> Result<(Self, usize), DecodeError> {
        let size = self.length(wide)?;
        let begin = self.at;
        self.take(size)?;
        let inside = self.bytes.get(..self.at).unwrap_or_default();
        let mut inside = Self { bytes: inside, at: begin, budget: self.budget };
        let count = inside.length(wide).map_err(|_| DecodeError::CompoundSize { at: begin })?;
        Ok((inside, count))
    }

    /// Back from the inside: all of it must be used up.
    fn leave(&mut self, inside: Self, begin: usize) -> Result<(), DecodeError> {
        if !inside.is_empty() {
            return Err(DecodeError::CompoundSize { at: begin });
        }
        self.budget = inside.budget;
        Ok(())
    }

    fn list_items(&mut self, wide: bool, depth: usize) -> Result<Vec<Value>, DecodeError> {
        let (mut inside, count) = self.compound(wide)?;
        let begin = inside.at;
        // Every value has at least one byte: the count cannot make us allocate for what is not there.
        if count > inside.rest().len() {
            return Err(DecodeError::CompoundSize { at: begin });
        }
        let mut items = Vec::with_capacity(count.min(inside.budget));
        for _ in 0..count {
            items.push(inside.nested(depth + 1)?);
        }
        self.leave(inside, begin)?;
        Ok(items)
    }

    fn map_items(&mut self, wide: bool, depth: usize) -> Result<Vec<(Value, Value)>, DecodeError> {
        let (mut inside, count) = self.compound(wide)?;
        let begin = inside.at;
        if count % 2 != 0 {
            return Err(DecodeError::OddMap { at: begin });
        }
        if count > inside.rest().len() {
            return Err(DecodeError::CompoundSize { at: begin });
        }
        let mut items = Vec::with_capacity((count / 2).min(inside.budget));
        for _ in 0..count / 2 {
            items.push((inside.nested(depth + 1)?, inside.nested(depth + 1)?));
        }
        self.leave(inside, begin)?;
        Ok(items)
    }

    /// The constructor stands once, in front of all; a described one may have several descriptors.
    fn array(&mut self, wide: bool, depth: usize) -> Result<Array, DecodeError> {
        let (mut inside, count) = self.compound(wide)?;
        let begin = inside.at;
        let mut descriptors = Vec::new();
        let (code, at) = loop {
            let at = inside.at;
            match inside.byte()? {
                0 => {
                    if depth + descriptors.len() + 1 >= MAX_DEPTH {
                        return Err(DecodeError::TooDeep { limit: MAX_DEPTH, at });
                    }
                    descriptors.push(inside.nested(depth + 1)?);
                }
                code => break (code, at),
            }
        };
        let inner = depth + descriptors.len() + 1;
        if inner >= MAX_DEPTH {
            return Err(DecodeError::TooDeep { limit: MAX_DEPTH, at });
        }
        let mut items = Vec::new();
        for _ in 0..count {
            let mut item = inside.of(code, at, inner)?;
            for descriptor in descriptors.iter().rev() {
                inside.spend()?;
                item = Value::Described(Box::new((descriptor.clone(), item)));
            }
            items.push(item);
        }
        self.leave(inside, begin)?;
        Ok(Array(items))
    }

    /// Steps over one value without looking inside it.
    pub(crate) fn skip(&mut self) -> Result<(), DecodeError> {
        let mut due = 1usize;
        while due > 0 {
            let at = self.at;
            let code = self.byte()?;
            due -= 1;
            let length = match code >> 4 {
                0x0 if code == 0 => {
                    due += 2;
                    0
                }
                0x4 => 0,
                0x5 => 1,
                0x6 => 2,
                0x7 => 4,
                0x8 => 8,
                0x9 => 16,
                0xa | 0xc | 0xe => self.length(false)?,
                0xb | 0xd | 0xf => self.length(true)?,
                _ => return Err(DecodeError::Constructor { code, at }),
            };
            self.take(length)?;
        }
        Ok(())
    }

    /// The descriptor of a described value: its code, known by number or by `names`; `None` for a stranger.
    pub(crate) fn descriptor(&mut self, names: &[(&str, u64)]) -> Result<Option<u64>, DecodeError> {
        let at = self.at;
        if self.byte()? != 0 {
            return Err(DecodeError::Descriptor { at });
        }
        Ok(match self.value()? {
            Value::Ulong(code) => Some(code),
            Value::Symbol(name) => names.iter().find(|(known, _)| name == **known).map(|(_, code)| *code),
            _ => None,
        })
    }

    /// The list that a descriptor stood in front of.
    pub(crate) fn list(&mut self) -> Result<List<'a>, DecodeError> {
        let at = self.at;
        let code = self.byte()?;
        if code == 0x45 {
            return Ok(List {
                inside: Self { bytes: self.bytes.get(..self.at).unwrap_or_default(), ..*self },
                left: 0,
            });
        }
        if code != 0xc0 && code != 0xd0 {
            return Err(DecodeError::WrongType { field: "list of fields", at });
        }
        let (inside, left) = self.compound(code == 0xd0)?;
        if left > inside.rest().len() {
            return Err(DecodeError::CompoundSize { at: inside.at });
        }
        Ok(List { inside, left })
    }

    /// The bytes of a binary value, not copied.
    pub(crate) fn binary(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let at = self.at;
        match self.byte()? {
            code @ (0xa0 | 0xb0) => self.variable(code == 0xb0),
            _ => Err(DecodeError::WrongType { field, at }),
        }
    }
}

/// The fields of a performative, one after the other. A field that is null or beyond the list's end is `None`;
/// fields behind the known ones are left alone.
#[derive(Debug)]
pub(crate) struct List<'a> {
    inside: Reader<'a>,
    left: usize,
}

macro_rules! field {
    ($($(#[$doc:meta])* $name:ident: $variant:ident -> $type:ty;)*) => {
        $($(#[$doc])* pub(crate) fn $name(&mut self, field: &'static str) -> Result<Option<$type>, DecodeError> {
            let at = self.inside.at;
            match self.value()? {
                None => Ok(None),
                Some(Value::$variant(value)) => Ok(Some(value)),
                Some(_) => Err(DecodeError::WrongType { field, at }),
            }
        })*
    };
}

impl<'a> List<'a> {
    field! {
        /// A boolean field.
        boolean: Bool -> bool;
        /// A ubyte field.
        ubyte: Ubyte -> u8;
        /// A ushort field.
        ushort: Ushort -> u16;
        /// A uint field.
        uint: Uint -> u32;
        /// A ulong field.
        ulong: Ulong -> u64;
        /// A binary field.
        bytes: Binary -> Bytes;
        /// A timestamp field.
        timestamp: Timestamp -> i64;
        /// A symbol field.
        symbol: Symbol -> Symbol;
    }

    /// Where the next field begins.
    pub(crate) fn at(&self) -> usize {
        self.inside.at
    }

    /// Any field.
    pub(crate) fn value(&mut self) -> Result<Option<Value>, DecodeError> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        Ok(match self.inside.value()? {
            Value::Null => None,
            value => Some(value),
        })
    }

    /// Steps over a field that nobody reads.
    pub(crate) fn skip(&mut self) -> Result<(), DecodeError> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(()) };
        self.left = left;
        self.inside.skip()
    }

    /// Text, as a string or (some clients confuse them) as a symbol.
    pub(crate) fn text(&mut self, field: &'static str, limit: usize) -> Result<Option<String>, DecodeError> {
        let at = self.inside.at;
        let text = match self.value()? {
            None => return Ok(None),
            Some(Value::String(text)) => text,
            Some(Value::Symbol(symbol)) => symbol.0,
            Some(_) => return Err(DecodeError::WrongType { field, at }),
        };
        if text.len() > limit {
            return Err(DecodeError::TooLong { kind: field, length: text.len(), limit, at });
        }
        Ok(Some(text))
    }

    /// A secret, never copied into an ordinary value.
    pub(crate) fn secret(&mut self, field: &'static str) -> Result<Option<Secret>, DecodeError> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        if self.inside.rest().first() == Some(&0x40) {
            self.inside.byte()?;
            return Ok(None);
        }
        Ok(Some(Secret::new(self.inside.binary(field)?.to_vec())))
    }

    /// A map with symbols (or, tolerated, strings) as keys.
    pub(crate) fn fields(&mut self, field: &'static str) -> Result<Fields, DecodeError> {
        let at = self.inside.at;
        match self.value()? {
            None => Ok(Vec::new()),
            Some(Value::Map(items)) => symbol_keys(items).ok_or(DecodeError::WrongType { field, at }),
            Some(_) => Err(DecodeError::WrongType { field, at }),
        }
    }

    /// A described value inside a field: its descriptor and a reader of what follows it.
    pub(crate) fn described(
        &mut self,
        names: &[(&str, u64)],
    ) -> Result<Option<(Option<u64>, Reader<'a>)>, DecodeError> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        if self.inside.rest().first() == Some(&0x40) {
            self.inside.byte()?;
            return Ok(None);
        }
        let mut whole = self.inside;
        self.inside.skip()?;
        let code = whole.descriptor(names)?;
        Ok(Some((code, whole)))
    }

    /// The error of a mandatory field that is not there.
    pub(crate) fn missing(&self, field: &'static str) -> DecodeError {
        DecodeError::Missing { field, at: self.inside.bytes.len() }
    }
}

/// The pairs of a map whose keys are symbols (or ASCII strings).
pub(crate) fn symbol_keys(items: Vec<(Value, Value)>) -> Option<Fields> {
    let pair = |(key, value)| match key {
        Value::Symbol(key) => Some((key, value)),
        Value::String(key) => Symbol::new(key).map(|key| (key, value)),
        _ => None,
    };
    items.into_iter().map(pair).collect()
}

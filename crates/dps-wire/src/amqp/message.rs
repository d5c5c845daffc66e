//! Messages (AMQP 1.0 part 3) <-> bytes: header, annotations, properties, application properties and a body.
//! Delivery annotations and footers are read over.
//!
//! Must not know links or what an operation means. A body may hold a token (`$cbs`) and is never printed.

use std::fmt;

use bytes::{Bytes, BytesMut};

use super::limits::MAX_STRING;
use super::value::{
    DecodeError, Fields, List, Reader, Symbol, Value, put_described_list, put_section, put_value, symbol_keys,
};

const HEADER: u64 = 0x70;
const DELIVERY_ANNOTATIONS: u64 = 0x71;
const MESSAGE_ANNOTATIONS: u64 = 0x72;
const PROPERTIES: u64 = 0x73;
const APPLICATION_PROPERTIES: u64 = 0x74;
const DATA: u64 = 0x75;
const SEQUENCE: u64 = 0x76;
const VALUE: u64 = 0x77;
const FOOTER: u64 = 0x78;

const SECTIONS: &[(&str, u64)] = &[
    ("amqp:header:list", HEADER),
    ("amqp:delivery-annotations:map", DELIVERY_ANNOTATIONS),
    ("amqp:message-annotations:map", MESSAGE_ANNOTATIONS),
    ("amqp:properties:list", PROPERTIES),
    ("amqp:application-properties:map", APPLICATION_PROPERTIES),
    ("amqp:data:binary", DATA),
    ("amqp:amqp-sequence:list", SEQUENCE),
    ("amqp:amqp-value:*", VALUE),
    ("amqp:footer:map", FOOTER),
];

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// Delivery hints.
    pub header: Option<Header>,
    /// What the infrastructure says about the message.
    pub message_annotations: Fields,
    /// The standard's own properties.
    pub properties: Option<Box<Properties>>,
    /// The application's properties, in the order of arrival.
    pub application_properties: Vec<(String, Value)>,
    /// What it is about.
    pub body: Body,
}

/// Delivery hints (§3.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// Must survive a crash.
    pub durable: bool,
    /// 4 unless said.
    pub priority: Option<u8>,
    /// Milliseconds to live.
    pub ttl: Option<u32>,
}

/// The standard's properties (§3.2.4). Ids keep the type they came with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Properties {
    /// The message's own id: ulong, uuid, binary or string.
    pub message_id: Option<Value>,
    /// Who sent it.
    pub user_id: Option<Bytes>,
    /// Where it goes.
    pub to: Option<String>,
    /// What it is about.
    pub subject: Option<String>,
    /// Where the answer goes.
    pub reply_to: Option<String>,
    /// The id that an answer carries back, of the same types.
    pub correlation_id: Option<Value>,
    /// MIME type.
    pub content_type: Option<String>,
    /// MIME encoding.
    pub content_encoding: Option<String>,
    /// Milliseconds since 1970.
    pub absolute_expiry_time: Option<i64>,
    /// Milliseconds since 1970.
    pub creation_time: Option<i64>,
}

/// What a message is about. Not printed: it may hold a token.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Body {
    /// No section at all.
    #[default]
    Empty,
    /// Bytes; several data sections are one.
    Data(Bytes),
    /// A value.
    Value(Value),
    /// Lists, one of each section.
    Sequence(Vec<Value>),
}

impl Body {
    /// The bytes, or the text, of a body that has some.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Data(bytes) | Self::Value(Value::Binary(bytes)) => Some(bytes),
            Self::Value(Value::String(text)) => Some(text.as_bytes()),
            _ => None,
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Data(bytes) => write!(f, "Data({} bytes)", bytes.len()),
            Self::Value(_) => f.write_str("Value(..)"),
            Self::Sequence(lists) => write!(f, "Sequence({} lists)", lists.len()),
        }
    }
}

impl Message {
    /// A message of one data section.
    pub fn data(bytes: impl Into<Bytes>) -> Self {
        Self { body: Body::Data(bytes.into()), ..Self::default() }
    }

    /// The application property of this name.
    pub fn application_property(&self, name: &str) -> Option<&Value> {
        self.application_properties.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The correlation id.
    pub fn correlation_id(&self) -> Option<&Value> {
        self.properties.as_ref()?.correlation_id.as_ref()
    }

    /// Reads a whole message.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes, 0);
        let mut message = Self::default();
        let mut last = 0;
        while !reader.is_empty() {
            let at = reader.at();
            let Some(section @ HEADER..=FOOTER) = reader.descriptor(SECTIONS)? else {
                return Err(DecodeError::Descriptor { at });
            };
            let repeats = section == last && (section == DATA || section == SEQUENCE);
            let second_body = section <= VALUE && last >= DATA;
            if !repeats && (section <= last || second_body) {
                return Err(DecodeError::SectionOrder { at });
            }
            last = section;
            message.section(section, &mut reader)?;
        }
        Ok(message)
    }

    fn section(&mut self, section: u64, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        let at = reader.at();
        match section {
            HEADER => self.header = Some(header(&mut reader.list()?)?),
            MESSAGE_ANNOTATIONS => {
                let field = "message annotations";
                let Value::Map(items) = reader.value()? else {
                    return Err(DecodeError::WrongType { field, at });
                };
                self.message_annotations = symbol_keys(items).ok_or(DecodeError::WrongType { field, at })?;
            }
            PROPERTIES => self.properties = Some(Box::new(properties(&mut reader.list()?)?)),
            APPLICATION_PROPERTIES => {
                let field = "application properties";
                let Value::Map(items) = reader.value()? else {
                    return Err(DecodeError::WrongType { field, at });
                };
                let text = |(key, value)| match key {
                    Value::String(key) => Ok((key, value)),
                    Value::Symbol(key) => Ok((key.as_str().to_owned(), value)),
                    _ => Err(DecodeError::WrongType { field, at }),
                };
                self.application_properties = items.into_iter().map(text).collect::<Result<_, _>>()?;
            }
            DATA => {
                let bytes = reader.binary("data section")?;
                self.body = Body::Data(match std::mem::take(&mut self.body) {
                    // Grows in place: nobody else holds it yet.
                    Body::Data(before) => {
                        let mut whole =
                            before.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
                        whole.extend_from_slice(bytes);
                        whole.freeze()
                    }
                    _ => Bytes::copy_from_slice(bytes),
                });
            }
            SEQUENCE => {
                let list = reader.value()?;
                match &mut self.body {
                    Body::Sequence(lists) => lists.push(list),
                    _ => self.body = Body::Sequence(vec![list]),
                }
            }
            VALUE => self.body = Body::Value(reader.value()?),
            _ => reader.skip()?,
        }
        Ok(())
    }

    /// Writes the message.
    pub fn encode(&self, out: &mut BytesMut) {
        if let Some(header) = &self.header {
            put_described_list(HEADER, out, |list| {
                list.flag(header.durable, false);
                list.ubyte(header.priority);
                list.uint(header.ttl);
            });
        }
        if !self.message_annotations.is_empty() {
            put_section(MESSAGE_ANNOTATIONS, out);
            let pairs = self.message_annotations.iter();
            put_value(&Value::Map(pairs.map(|(k, v)| (Value::Symbol(k.clone()), v.clone())).collect()), out);
        }
        if let Some(properties) = &self.properties {
            put_properties(properties, out);
        }
        if !self.application_properties.is_empty() {
            put_section(APPLICATION_PROPERTIES, out);
            let pairs = self.application_properties.iter();
            put_value(&Value::Map(pairs.map(|(k, v)| (Value::String(k.clone()), v.clone())).collect()), out);
        }
        match &self.body {
            Body::Empty => {}
            Body::Data(bytes) => {
                put_section(DATA, out);
                put_value(&Value::Binary(bytes.clone()), out);
            }
            Body::Value(value) => {
                put_section(VALUE, out);
                put_value(value, out);
            }
            Body::Sequence(lists) => {
                for list in lists {
                    put_section(SEQUENCE, out);
                    put_value(list, out);
                }
            }
        }
    }
}

fn header(list: &mut List<'_>) -> Result<Header, DecodeError> {
    Ok(Header {
        durable: list.boolean("header.durable")?.unwrap_or_default(),
        priority: list.ubyte("header.priority")?,
        ttl: list.uint("header.ttl")?,
    })
}

fn properties(list: &mut List<'_>) -> Result<Properties, DecodeError> {
    Ok(Properties {
        message_id: id(list, "properties.message-id")?,
        user_id: list.bytes("properties.user-id")?,
        to: list.text("properties.to", MAX_STRING)?,
        subject: list.text("properties.subject", MAX_STRING)?,
        reply_to: list.text("properties.reply-to", MAX_STRING)?,
        correlation_id: id(list, "properties.correlation-id")?,
        content_type: list.text("properties.content-type", MAX_STRING)?,
        content_encoding: list.text("properties.content-encoding", MAX_STRING)?,
        absolute_expiry_time: list.timestamp("properties.absolute-expiry-time")?,
        creation_time: list.timestamp("properties.creation-time")?,
    })
}

/// One of the four types that an id may have.
fn id(list: &mut List<'_>, field: &'static str) -> Result<Option<Value>, DecodeError> {
    let at = list.at();
    match list.value()? {
        id @ (Some(Value::Ulong(_) | Value::Uuid(_) | Value::Binary(_) | Value::String(_)) | None) => Ok(id),
        Some(_) => Err(DecodeError::WrongType { field, at }),
    }
}

fn put_properties(properties: &Properties, out: &mut BytesMut) {
    let symbol = |text: &Option<String>| text.clone().and_then(Symbol::new);
    put_described_list(PROPERTIES, out, |list| {
        list.value(properties.message_id.as_ref());
        list.binary(properties.user_id.as_deref());
        list.string(properties.to.as_deref());
        list.string(properties.subject.as_deref());
        list.string(properties.reply_to.as_deref());
        list.value(properties.correlation_id.as_ref());
        list.symbol(symbol(&properties.content_type).as_ref());
        list.symbol(symbol(&properties.content_encoding).as_ref());
        list.timestamp(properties.absolute_expiry_time);
        list.timestamp(properties.creation_time);
    });
}

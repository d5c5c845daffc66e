//! Values, frames and messages: golden bytes from the standard, round trips of anything, hostile shapes.

use bytes::{BufMut, Bytes, BytesMut};
use dps_wire::amqp::frame::Frame;
use dps_wire::amqp::limits::{MAX_DEPTH, MAX_STRING, MAX_VALUES};
use dps_wire::amqp::message::{Body, Header, Message, Properties};
use dps_wire::amqp::performative::{
    AmqpError, Attach, DeliveryState, Detach, Disposition, Flow, Open, Performative, Role, Transfer, source,
    target,
};
use dps_wire::amqp::value::{Array, DecodeError, Symbol, Value};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::peer::{begin, bytes_of, sender};

/// The descriptor of an `amqp-value` section, in front of a value.
const VALUE: &[u8] = &[0, 0x53, 0x77];

fn decode_value(bytes: &[u8]) -> Result<Value, DecodeError> {
    let message = Message::decode(&[VALUE, bytes].concat())?;
    let Body::Value(value) = message.body else { panic!("a value section has a value") };
    Ok(value)
}

fn encode_value(value: Value) -> Vec<u8> {
    let bytes = bytes_of(&Message { body: Body::Value(value), ..Message::default() });
    bytes[VALUE.len()..].to_vec()
}

fn symbol(text: &'static str) -> Value {
    Value::Symbol(Symbol::from_static(text))
}

fn array(items: Vec<Value>) -> Value {
    Value::Array(Array::new(items).expect("of one type"))
}

#[test]
fn every_type_has_its_golden_bytes() {
    let golden: Vec<(Value, &[u8])> = vec![
        (Value::Null, b"\x40"),
        (Value::Bool(true), b"\x41"),
        (Value::Bool(false), b"\x42"),
        (Value::Ubyte(1), b"\x50\x01"),
        (Value::Ushort(1), b"\x60\0\x01"),
        (Value::Uint(0), b"\x43"),
        (Value::Uint(255), b"\x52\xff"),
        (Value::Uint(256), b"\x70\0\0\x01\0"),
        (Value::Ulong(0), b"\x44"),
        (Value::Ulong(1), b"\x53\x01"),
        (Value::Ulong(256), b"\x80\0\0\0\0\0\0\x01\0"),
        (Value::Byte(-1), b"\x51\xff"),
        (Value::Short(-2), b"\x61\xff\xfe"),
        (Value::Int(-128), b"\x54\x80"),
        (Value::Int(128), b"\x71\0\0\0\x80"),
        (Value::Long(-1), b"\x55\xff"),
        (Value::Long(-129), b"\x81\xff\xff\xff\xff\xff\xff\xff\x7f"),
        (Value::Float(1.5f32.to_bits()), b"\x72\x3f\xc0\0\0"),
        (Value::Double(1.5f64.to_bits()), b"\x82\x3f\xf8\0\0\0\0\0\0"),
        (Value::Char('é'), b"\x73\0\0\0\xe9"),
        (Value::Timestamp(1), b"\x83\0\0\0\0\0\0\0\x01"),
        (Value::Uuid([7; 16]), b"\x98\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07"),
        (Value::Binary(Bytes::from_static(b"ab")), b"\xa0\x02ab"),
        (Value::String("ab".to_owned()), b"\xa1\x02ab"),
        (symbol("ab"), b"\xa3\x02ab"),
        (Value::List(Vec::new()), b"\x45"),
        (Value::List(vec![Value::Null, Value::Uint(0)]), b"\xc0\x03\x02\x40\x43"),
        (Value::Map(vec![(symbol("k"), Value::Uint(0))]), b"\xc1\x05\x02\xa3\x01k\x43"),
        (array(vec![symbol("a"), symbol("bc")]), b"\xe0\x07\x02\xa3\x01a\x02bc"),
        (array(vec![Value::Byte(1), Value::Byte(2)]), b"\xf0\0\0\0\x07\0\0\0\x02\x51\x01\x02"),
        (Value::described(0x24, Value::List(Vec::new())), b"\0\x53\x24\x45"),
    ];
    for (value, bytes) in golden {
        assert_eq!(decode_value(bytes).as_ref(), Ok(&value));
        assert_eq!(encode_value(value.clone()), bytes, "{value:?}");
    }
}

#[test]
fn wide_forms_of_small_values_are_read() {
    for (bytes, value) in [
        (&b"\x56\x01"[..], Value::Bool(true)),
        (b"\x70\0\0\0\x01", Value::Uint(1)),
        (b"\xb1\0\0\0\x01a", Value::String("a".to_owned())),
        (b"\xb3\0\0\0\x01a", symbol("a")),
        (b"\xd0\0\0\0\x05\0\0\0\x01\x40", Value::List(vec![Value::Null])),
        (b"\xd1\0\0\0\x06\0\0\0\x02\x40\x40", Value::Map(vec![(Value::Null, Value::Null)])),
        (b"\xe0\x02\0\x40", array(Vec::new())),
        (b"\xe0\x05\x02\0\x53\x01\x40", {
            let item = Value::described(1, Value::Null);
            array(vec![item.clone(), item])
        }),
    ] {
        assert_eq!(decode_value(bytes), Ok(value));
    }
}

#[test]
fn malformed_value_is_named_with_its_place() {
    for (bytes, error) in [
        (&b""[..], DecodeError::Truncated { at: 3 }),
        (b"\x70\0\0", DecodeError::Truncated { at: 4 }),
        (b"\xb0\xff\xff\xff\xff", DecodeError::Truncated { at: 8 }),
        (b"\x3f", DecodeError::Constructor { code: 0x3f, at: 3 }),
        (b"\x56\x02", DecodeError::NotABoolean { at: 4 }),
        (b"\xa1\x02a\xff", DecodeError::NotUtf8 { at: 6 }),
        (b"\xa3\x02a\xc3", DecodeError::NotAscii { at: 6 }),
        (b"\x73\0\0\xd8\0", DecodeError::NotAChar { at: 4 }),
        (b"\xc1\x02\x01\x40", DecodeError::OddMap { at: 6 }),
        (b"\xc0\x03\x01\x40\x40", DecodeError::CompoundSize { at: 6 }),
        (b"\xc0\x02\x09\x40", DecodeError::CompoundSize { at: 6 }),
        (b"\xd0\0\0\0\x02\0\0", DecodeError::CompoundSize { at: 8 }),
        (b"\xd0\xff\xff\xff\xff\xff\xff\xff\xff", DecodeError::Truncated { at: 8 }),
    ] {
        assert_eq!(decode_value(bytes), Err(error), "{bytes:02x?}");
    }
}

#[test]
fn nesting_has_a_floor() {
    let nested = |depth| [&b"\0\x53\x01".repeat(depth)[..], b"\x40"].concat();
    assert!(decode_value(&nested(MAX_DEPTH - 1)).is_ok());
    assert!(matches!(decode_value(&nested(MAX_DEPTH)), Err(DecodeError::TooDeep { .. })));
    assert!(matches!(decode_value(&vec![0; 60_000]), Err(DecodeError::TooDeep { .. })));
    // An array of arrays of arrays.
    let mut array = vec![0x40];
    for _ in 0..40 {
        let inner = array;
        array = vec![0xf0];
        array.put_u32(u32::try_from(inner.len() + 4).expect("small"));
        array.put_u32(1);
        array.extend(inner);
    }
    assert!(matches!(decode_value(&array), Err(DecodeError::TooDeep { .. })));
    // Described constructors of an array.
    let mut array = vec![0xf0];
    array.put_u32(4 + 3 * 40 + 1);
    array.put_u32(1);
    array.extend(b"\0\x53\x01".repeat(40));
    array.push(0x40);
    assert!(matches!(decode_value(&array), Err(DecodeError::TooDeep { .. })));
}

#[test]
fn values_that_cost_no_bytes_are_counted() {
    let nulls = b"\xf0\0\0\0\x05\xff\xff\xff\xff\x40";
    assert!(matches!(decode_value(nulls), Err(DecodeError::TooManyValues { limit: MAX_VALUES, .. })));
    let mut list = vec![0xd0];
    list.put_u32(4 + 3_000);
    list.put_u32(3_000);
    list.extend([0x40; 3_000]);
    assert!(matches!(decode_value(&list), Err(DecodeError::TooManyValues { .. })));
}

#[test]
fn string_beyond_its_bound_is_refused() {
    let mut string = vec![0xb1];
    string.put_u32(u32::try_from(MAX_STRING + 1).expect("small"));
    string.extend(vec![b'a'; MAX_STRING + 1]);
    assert!(matches!(decode_value(&string), Err(DecodeError::TooLong { kind: "string", .. })));
}

#[test]
fn array_of_several_types_cannot_be_made() {
    assert_eq!(Array::new(vec![Value::Uint(1), Value::Int(1)]), None);
    assert_eq!(Array::new(vec![Value::described(1, Value::Null), Value::described(2, Value::Null)]), None);
}

#[test]
fn frame_is_judged_from_its_header() {
    let decode = |bytes: &[u8]| Frame::decode(&mut BytesMut::from(bytes), 4096);
    for (bytes, error) in [
        (&b"\0\0\0\x07"[..], DecodeError::FrameTooSmall { size: 7 }),
        (b"\0\0\x10\x01", DecodeError::FrameTooLarge { size: 4097, limit: 4096 }),
        (b"\0\0\0\x08\x01", DecodeError::DataOffset { offset: 1 }),
        (b"\0\0\0\x08\x03", DecodeError::DataOffset { offset: 3 }),
        (b"\0\0\0\x08\x02\x01", DecodeError::FrameType { actual: 1, expected: 0 }),
        (b"\0\0\0\x0c\x02\0\0\0\0\x53\x11", DecodeError::Truncated { at: 0 }),
        (b"\0\0\0\x0d\x02\0\0\0\0\x53\x17\x45\x40", DecodeError::TrailingBytes { at: 12, extra: 1 }),
        (b"\0\0\0\x0c\x02\0\0\0\0\x53\x70\x45", DecodeError::Descriptor { at: 8 }),
        (b"\0\0\0\x09\x02\0\0\0\x45", DecodeError::Descriptor { at: 8 }),
        (b"\0\0\0\x0c\x02\0\0\0\0\x53\x10\x45", DecodeError::Missing { field: "open.container-id", at: 12 }),
        (
            b"\0\0\0\x0f\x02\0\0\0\0\x53\x10\xc0\x02\x01\x43",
            DecodeError::WrongType { field: "open.container-id", at: 14 },
        ),
    ] {
        // One that is not whole yet is no error.
        let due = if matches!(error, DecodeError::Truncated { at: 0 }) { Ok(None) } else { Err(error) };
        assert_eq!(decode(bytes), due, "{bytes:02x?}");
    }
}

#[test]
fn frame_skips_its_extended_header_and_fields_of_the_future() {
    // END with an extended header of four bytes; CLOSE with two fields more than the standard has.
    let mut input = BytesMut::from(
        &b"\0\0\0\x10\x03\0\0\x05\xde\xad\xbe\xef\0\x53\x17\x45\0\0\0\x11\x02\0\0\0\0\x53\x18\xc0\x04\x03\x40\x41\x43"[..],
    );
    assert_eq!(Frame::decode(&mut input, 512), Ok(Some(Frame::new(5, Performative::End(None)))));
    assert_eq!(Frame::decode(&mut input, 512), Ok(Some(Frame::new(0, Performative::Close(None)))));
}

#[test]
fn performative_is_known_by_its_symbol_too() {
    let mut bytes = BytesMut::new();
    bytes.put_slice(b"\0\0\0\x1a\x02\0\0\0\0\xa3\x0eamqp:end:list\x45");
    let size = u8::try_from(bytes.len()).expect("small");
    bytes[3] = size;
    bytes[10] = 13;
    assert_eq!(Frame::decode(&mut bytes, 512), Ok(Some(Frame::new(0, Performative::End(None)))));
}

#[test]
fn section_out_of_order_or_twice_is_refused() {
    for bytes in [
        &b"\0\x53\x75\xa0\0\0\x53\x73\x45"[..],
        b"\0\x53\x73\x45\0\x53\x73\x45",
        b"\0\x53\x75\xa0\0\0\x53\x77\x40",
        b"\0\x53\x77\x40\0\x53\x77\x40",
    ] {
        assert!(matches!(Message::decode(bytes), Err(DecodeError::SectionOrder { .. })), "{bytes:02x?}");
    }
    let two = Message::decode(b"\0\x53\x75\xa0\x01a\0\x53\x75\xa0\x01b").expect("data may repeat");
    assert_eq!(two.body, Body::Data(Bytes::from_static(b"ab")));
}

#[test]
fn correlation_id_keeps_its_type_and_has_one_of_four() {
    for id in [
        Value::Ulong(7),
        Value::Uuid([1; 16]),
        Value::Binary(Bytes::from_static(b"x")),
        Value::String("x".to_owned()),
    ] {
        let properties = Properties { correlation_id: Some(id.clone()), ..Properties::default() };
        let message = Message { properties: Some(Box::new(properties)), ..Message::data("{}") };
        assert_eq!(Message::decode(&bytes_of(&message)).expect("legal").correlation_id(), Some(&id));
    }
    assert!(matches!(
        Message::decode(b"\0\x53\x73\xc0\x08\x06\x40\x40\x40\x40\x40\x54\x01"),
        Err(DecodeError::WrongType { field: "properties.correlation-id", .. })
    ));
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<u8>().prop_map(Value::Ubyte),
        any::<u16>().prop_map(Value::Ushort),
        any::<u32>().prop_map(Value::Uint),
        any::<u64>().prop_map(Value::Ulong),
        any::<i8>().prop_map(Value::Byte),
        any::<i16>().prop_map(Value::Short),
        any::<i32>().prop_map(Value::Int),
        any::<i64>().prop_map(Value::Long),
        any::<u32>().prop_map(Value::Float),
        any::<u64>().prop_map(Value::Double),
        any::<[u8; 4]>().prop_map(Value::Decimal32),
        any::<[u8; 8]>().prop_map(Value::Decimal64),
        any::<[u8; 16]>().prop_map(Value::Decimal128),
        any::<char>().prop_map(Value::Char),
        any::<i64>().prop_map(Value::Timestamp),
        any::<[u8; 16]>().prop_map(Value::Uuid),
        vec(any::<u8>(), 0..300).prop_map(|bytes| Value::Binary(bytes.into())),
        ".{0,90}".prop_map(Value::String),
        "[ -~]{0,300}".prop_map(|text| Value::Symbol(Symbol::new(text).expect("ASCII"))),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(4, 48, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::List),
            vec((inner.clone(), inner.clone()), 0..4).prop_map(Value::Map),
            (any::<u64>(), inner.clone()).prop_map(|(code, value)| Value::described(code, value)),
            (inner, 0..4usize).prop_map(|(item, count)| array(vec![item; count])),
        ]
    })
}

fn fields() -> impl Strategy<Value = Vec<(Symbol, Value)>> {
    vec(("[a-z:-]{1,30}".prop_map(|text| Symbol::new(text).expect("ASCII")), value()), 0..4)
}

fn error() -> impl Strategy<Value = AmqpError> {
    (option::of(".{0,300}"), fields()).prop_map(|(description, info)| AmqpError {
        condition: Symbol::from_static("amqp:not-found"),
        description,
        info,
    })
}

fn performative() -> impl Strategy<Value = Performative> {
    let open = (
        (".{0,40}", option::of(".{0,40}"), any::<u32>()),
        (any::<u16>(), option::of(any::<u32>()), fields()),
    );
    let open = open.prop_map(
        |((container_id, hostname, max_frame_size), (channel_max, idle_time_out, properties))| {
            let open =
                Open { container_id, hostname, max_frame_size, channel_max, idle_time_out, properties };
            Performative::Open(Box::new(open))
        },
    );
    let attach = (".{0,40}", any::<u32>(), ".{0,40}", fields(), option::of(any::<u64>()));
    let attach = attach.prop_map(|(name, handle, address, properties, max_message_size)| {
        let (source, target) = (Some(source(&address)), Some(target(&address)));
        let attach = Attach { name, handle, source, target, properties, max_message_size, ..sender(0) };
        Performative::Attach(Box::new(attach))
    });
    let flow = (any::<[u32; 4]>(), option::of(any::<[u32; 4]>()), any::<bool>(), any::<bool>());
    let flow = flow.prop_map(|(session, link, drain, echo)| {
        Performative::Flow(Flow {
            next_incoming_id: Some(session[0]),
            incoming_window: session[1],
            next_outgoing_id: session[2],
            outgoing_window: session[3],
            handle: link.map(|link| link[0]),
            delivery_count: link.map(|link| link[1]),
            link_credit: link.map(|link| link[2]),
            available: link.map(|link| link[3]),
            drain,
            echo,
        })
    });
    let transfer =
        (any::<u32>(), option::of(any::<u32>()), option::of(vec(any::<u8>(), 0..33)), any::<[bool; 3]>());
    let transfer = transfer.prop_map(|(handle, delivery_id, tag, [settled, more, aborted])| {
        Performative::Transfer(Transfer {
            handle,
            delivery_id,
            delivery_tag: tag.map(Bytes::from),
            message_format: delivery_id,
            settled: Some(settled),
            more,
            aborted,
        })
    });
    let state = prop_oneof![
        Just(DeliveryState::Accepted),
        Just(DeliveryState::Released),
        option::of(error()).prop_map(DeliveryState::Rejected),
        any::<(bool, bool)>().prop_map(|(delivery_failed, undeliverable_here)| DeliveryState::Modified {
            delivery_failed,
            undeliverable_here
        }),
    ];
    let disposition =
        (any::<bool>(), any::<u32>(), option::of(any::<u32>()), any::<bool>(), option::of(state));
    let disposition = disposition.prop_map(|(receiver, first, last, settled, state)| {
        let role = if receiver { Role::Receiver } else { Role::Sender };
        Performative::Disposition(Disposition { role, first, last, settled, state })
    });
    let detach = (any::<u32>(), any::<bool>(), option::of(error()));
    let detach =
        detach.prop_map(|(handle, closed, error)| Performative::Detach(Detach { handle, closed, error }));
    prop_oneof![
        open,
        Just(Performative::Begin(begin())),
        attach,
        flow,
        transfer,
        disposition,
        detach,
        option::of(error()).prop_map(Performative::End),
        option::of(error()).prop_map(Performative::Close),
    ]
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        Just(Body::Empty),
        vec(any::<u8>(), 0..600).prop_map(|bytes| Body::Data(bytes.into())),
        value().prop_map(Body::Value),
        vec(vec(leaf(), 0..3).prop_map(Value::List), 1..3).prop_map(Body::Sequence),
    ]
}

proptest! {
    #[test]
    fn any_value_survives(value in value()) {
        prop_assert_eq!(decode_value(&encode_value(value.clone())), Ok(value));
    }

    #[test]
    fn any_frame_survives_wherever_it_is_cut(
        channel: u16,
        performative in performative(),
        payload in vec(any::<u8>(), 0..100),
        cut in any::<prop::sample::Index>(),
    ) {
        let payload = match performative {
            Performative::Transfer(_) => Bytes::from(payload),
            _ => Bytes::new(),
        };
        let frame = Frame { channel, performative: Some(performative), payload };
        let mut bytes = BytesMut::new();
        frame.encode(&mut bytes);
        let mut input = BytesMut::from(&bytes[..cut.index(bytes.len())]);
        let cut = input.len();
        prop_assert_eq!(Frame::decode(&mut input, 65_536), Ok(None));
        input.extend_from_slice(&bytes[cut..]);
        prop_assert_eq!(Frame::decode(&mut input, 65_536), Ok(Some(frame)));
        prop_assert!(input.is_empty());
    }

    #[test]
    fn any_message_survives(
        (durable, priority, ttl) in any::<(bool, Option<u8>, Option<u32>)>(),
        annotations in fields(),
        properties in vec((".{0,20}", leaf()), 0..4),
        id in option::of(".{0,40}"),
        body in body(),
    ) {
        let standard = Properties { message_id: id.map(Value::String), creation_time: Some(1), ..Properties::default() };
        let message = Message {
            header: Some(Header { durable, priority, ttl }),
            message_annotations: annotations,
            properties: Some(Box::new(standard)),
            application_properties: properties,
            body,
        };
        prop_assert_eq!(Message::decode(&bytes_of(&message)), Ok(message));
    }

    #[test]
    fn any_bytes_are_a_message_or_a_sentence(bytes in vec(any::<u8>(), 0..200)) {
        if let Err(error) = Message::decode(&bytes) {
            prop_assert!(error.to_string().contains(' '));
        }
    }
}

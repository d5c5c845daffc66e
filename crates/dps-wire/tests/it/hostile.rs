//! Malformed packets, each refused with its own error, and the sentences that the operator reads.

use bytes::BytesMut;
use dps_wire::mqtt::codec::{DecodeError, Decoder, EncodeError, Field, Limits, Role, encode};
use dps_wire::mqtt::packet::{
    ConnAck, Connect, ConnectReturnCode, Delivery, Packet, PacketType, Protocol, Subscribe,
};

use crate::samples::{bytes_of, connect, decode, greeted, id, publish};

const CONNECT: PacketType = PacketType::Connect;
const PUBLISH: PacketType = PacketType::Publish;
const SUBSCRIBE: PacketType = PacketType::Subscribe;

/// CONNECT with these flags and the client id `a`, and whatever follows.
fn connect_bytes(flags: u8, tail: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x10, 0, 0, 4, b'M', b'Q', b'T', b'T', 4, flags, 0, 0, 0, 1, b'a'];
    bytes.extend_from_slice(tail);
    bytes[1] = u8::try_from(bytes.len() - 2).expect("a short packet");
    bytes
}

#[test]
fn malformed_connects_are_refused_with_their_place() {
    let name = |bytes: &[u8]| {
        let mut all = vec![0x10, 0];
        all.extend_from_slice(bytes);
        all[1] = u8::try_from(bytes.len()).expect("a short packet");
        all
    };
    let at = 9;
    for (bytes, error) in [
        (connect_bytes(0x03, b""), DecodeError::ConnectReservedFlag { at }),
        (connect_bytes(0x1e, b""), DecodeError::WillFlags { at }),
        (connect_bytes(0x0a, b""), DecodeError::WillFlags { at }),
        (connect_bytes(0x22, b""), DecodeError::WillFlags { at }),
        (connect_bytes(0x42, b"\0\x01p"), DecodeError::PasswordWithoutUserName { at }),
        (connect_bytes(0x02, b"zz"), DecodeError::TrailingBytes { packet: CONNECT, at: 15, extra: 2 }),
        (
            connect_bytes(0x82, b"\0\x05ab"),
            DecodeError::Truncated { packet: CONNECT, field: Field::UserName, at: 15 },
        ),
        (
            connect_bytes(0xc2, b"\0\x01u"),
            DecodeError::Truncated { packet: CONNECT, field: Field::Password, at: 18 },
        ),
        (connect_bytes(0x82, b"\0\x02a\0"), DecodeError::NullCharacter { field: Field::UserName, at: 18 }),
        (connect_bytes(0x82, b"\0\x02a\xff"), DecodeError::NotUtf8 { field: Field::UserName, at: 18 }),
        (connect_bytes(0x06, b"\0\x01#\0\0"), DecodeError::Wildcard { field: Field::WillTopic, at: 17 }),
        (name(b"\0\x04HTTP\x04\x02\0\0\0\0"), DecodeError::ProtocolName { at: 2 }),
        (name(b"\0\x04MQTT"), DecodeError::Truncated { packet: CONNECT, field: Field::ProtocolLevel, at: 8 }),
        (name(b""), DecodeError::Truncated { packet: CONNECT, field: Field::ProtocolName, at: 2 }),
    ] {
        assert_eq!(decode(Role::Server, &bytes), Err(error), "{bytes:02x?}");
    }
}

#[test]
fn malformed_packets_of_a_client_are_refused_with_their_place() {
    use DecodeError as E;
    let cases: &[(&[u8], DecodeError)] = &[
        (&[0x00, 0], E::UnknownType { bits: 0 }),
        (&[0xf0, 0], E::UnknownType { bits: 15 }),
        (&[0x36, 0], E::ReservedQos { packet: PUBLISH, at: 0 }),
        (&[0x38, 0], E::DuplicateQos0),
        (&[0x42, 2, 0, 1], E::ReservedFlags { packet: PacketType::PubAck, flags: 2 }),
        (&[0x60, 2, 0, 1], E::ReservedFlags { packet: PacketType::PubRel, flags: 0 }),
        (&[0x80, 6], E::ReservedFlags { packet: SUBSCRIBE, flags: 0 }),
        (&[0xa0, 6], E::ReservedFlags { packet: PacketType::Unsubscribe, flags: 0 }),
        (&[0xc1, 0], E::ReservedFlags { packet: PacketType::PingReq, flags: 1 }),
        (&[0xe8, 0], E::ReservedFlags { packet: PacketType::Disconnect, flags: 8 }),
        (&[0xc0, 1], E::BodyLength { packet: PacketType::PingReq, expected: 0, actual: 1 }),
        (&[0x40, 3], E::BodyLength { packet: PacketType::PubAck, expected: 2, actual: 3 }),
        (&[0x40, 0], E::BodyLength { packet: PacketType::PubAck, expected: 2, actual: 0 }),
        (&[0x40, 2, 0, 0], E::PacketIdZero { packet: PacketType::PubAck, at: 2 }),
        (&[0x30, 0xff, 0xff, 0xff, 0xff], E::RemainingLength { packet: PUBLISH, at: 4 }),
        (&[0x30, 0x80, 0x80, 0x80, 0x80, 1], E::RemainingLength { packet: PUBLISH, at: 4 }),
        (&[0x30, 2, 0, 0], E::EmptyTopic { field: Field::TopicName, at: 4 }),
        (&[0x30, 5, 0, 3, b'a', b'/', b'#'], E::Wildcard { field: Field::TopicName, at: 6 }),
        (&[0x30, 5, 0, 3, b'a', b'+', b'b'], E::Wildcard { field: Field::TopicName, at: 5 }),
        (&[0x30, 3, 0, 1, 0], E::NullCharacter { field: Field::TopicName, at: 4 }),
        (&[0x30, 5, 0, 3, 0xed, 0xa0, 0x80], E::NotUtf8 { field: Field::TopicName, at: 4 }),
        (&[0x30, 3, 0, 2, b'a'], E::Truncated { packet: PUBLISH, field: Field::TopicName, at: 2 }),
        (&[0x30, 1, 0], E::Truncated { packet: PUBLISH, field: Field::TopicName, at: 2 }),
        (&[0x32, 3, 0, 1, b'a'], E::Truncated { packet: PUBLISH, field: Field::PacketId, at: 5 }),
        (&[0x32, 5, 0, 1, b'a', 0, 0], E::PacketIdZero { packet: PUBLISH, at: 5 }),
        (&[0x82, 2, 0, 1], E::NoFilters { packet: SUBSCRIBE }),
        (&[0x82, 6, 0, 0, 0, 1, b'a', 0], E::PacketIdZero { packet: SUBSCRIBE, at: 2 }),
        (&[0x82, 5, 0, 1, 0, 0, 0], E::EmptyTopic { field: Field::TopicFilter, at: 6 }),
        (&[0x82, 7, 0, 1, 0, 2, b'a', b'#', 0], E::FilterWildcard { at: 7 }),
        (&[0x82, 8, 0, 1, 0, 3, b'#', b'/', b'a', 0], E::FilterWildcard { at: 6 }),
        (&[0x82, 7, 0, 1, 0, 2, b'+', b'a', 0], E::FilterWildcard { at: 6 }),
        (&[0x82, 6, 0, 1, 0, 1, b'a', 3], E::ReservedQos { packet: SUBSCRIBE, at: 7 }),
        (&[0x82, 6, 0, 1, 0, 1, b'a', 4], E::RequestedQosBits { at: 7 }),
        (&[0x82, 5, 0, 1, 0, 1, b'a'], E::Truncated { packet: SUBSCRIBE, field: Field::RequestedQos, at: 7 }),
        (&[0xa2, 2, 0, 1], E::NoFilters { packet: PacketType::Unsubscribe }),
        (&[0x90, 3], E::WrongDirection { packet: PacketType::SubAck }),
        (&[0xd0, 0], E::WrongDirection { packet: PacketType::PingResp }),
        (&[0xb0, 2], E::WrongDirection { packet: PacketType::UnsubAck }),
    ];
    for (bytes, error) in cases {
        assert_eq!(greeted(Role::Server).decode(&mut BytesMut::from(*bytes)), Err(*error), "{bytes:02x?}");
    }
}

#[test]
fn malformed_packets_of_a_server_are_refused_with_their_place() {
    let (connack, suback) = (PacketType::ConnAck, PacketType::SubAck);
    for (bytes, error) in [
        (&[0x20, 2, 2, 0][..], DecodeError::ConnAckFlags { at: 2 }),
        (&[0x20, 2, 1, 5], DecodeError::ConnAckFlags { at: 2 }),
        (&[0x20, 2, 0, 6], DecodeError::ReturnCode { packet: connack, code: 6, at: 3 }),
        (&[0x90, 3, 0, 1, 3], DecodeError::ReturnCode { packet: suback, code: 3, at: 4 }),
        (&[0x90, 2, 0, 1], DecodeError::NoFilters { packet: suback }),
        (&[0xc0, 0], DecodeError::WrongDirection { packet: PacketType::PingReq }),
        (&[0xe0, 0], DecodeError::WrongDirection { packet: PacketType::Disconnect }),
        (&[0x82, 9], DecodeError::WrongDirection { packet: SUBSCRIBE }),
    ] {
        assert_eq!(decode(Role::Client, bytes), Err(error), "{bytes:02x?}");
    }
}

#[test]
fn first_packet_other_than_connect_is_refused_from_its_first_byte() {
    let mut decoder = Decoder::new(Role::Server, Limits::default());
    let error = DecodeError::FirstPacket { packet: PacketType::PingReq, expected: CONNECT };
    assert_eq!(decoder.decode(&mut BytesMut::from(&[0xc0][..])), Err(error));
}

#[test]
fn tls_record_and_http_request_are_refused_from_their_first_byte() {
    for first in [0x16u8, b'G'] {
        let mut decoder = Decoder::new(Role::Server, Limits::default());
        assert!(decoder.decode(&mut BytesMut::from(&[first][..])).is_err(), "{first:#x}");
    }
}

#[test]
fn connect_with_flags_or_a_null_in_its_client_id_is_refused() {
    let error = DecodeError::ReservedFlags { packet: CONNECT, flags: 1 };
    assert_eq!(decode(Role::Server, &[0x11]), Err(error));
    let mut null = connect_bytes(0x02, b"");
    null[14] = 0;
    let error = DecodeError::NullCharacter { field: Field::ClientId, at: 14 };
    assert_eq!(decode(Role::Server, &null), Err(error));
}

#[test]
fn second_connect_is_refused_from_its_first_byte() {
    let mut decoder = greeted(Role::Server);
    let error = Err(DecodeError::Repeated { packet: CONNECT });
    assert_eq!(decoder.decode(&mut BytesMut::from(&[0x10][..])), error);
}

#[test]
fn error_is_returned_for_ever() {
    let mut decoder = greeted(Role::Server);
    let error = Err(DecodeError::UnknownType { bits: 0 });
    assert_eq!(decoder.decode(&mut BytesMut::from(&[0][..])), error);
    assert_eq!(decoder.decode(&mut BytesMut::from(&[0xc0, 0][..])), error);
}

#[test]
fn oversize_is_refused_from_the_fixed_header_and_the_limit_itself_is_not() {
    let limits = Limits { max_packet: 100, max_connect: 80, max_filters: 2 };
    let refuse = |bytes: &[u8], greeted: bool| {
        let mut decoder = Decoder::new(Role::Server, limits);
        if greeted {
            let mut input = BytesMut::from(bytes_of(&Packet::Connect(Box::new(connect()))).as_slice());
            assert!(decoder.decode(&mut input).expect("below the limit").is_some());
        }
        decoder.decode(&mut BytesMut::from(bytes))
    };
    let error = |packet, length, limit| Err(DecodeError::TooLarge { packet, length, limit });
    assert_eq!(refuse(&[0x10, 79], false), error(CONNECT, 81, 80));
    assert_eq!(refuse(&[0x10, 78], false), Ok(None));
    assert_eq!(refuse(&[0x30, 99], true), error(PUBLISH, 101, 100));
    assert_eq!(refuse(&[0x30, 98], true), Ok(None));
    assert_eq!(refuse(&[0x30, 0xff, 0xff, 0xff, 0x7f], true), error(PUBLISH, 268_435_460, 100));
    let three = [0x82, 14, 0, 1, 0, 1, b'a', 0, 0, 1, b'b', 0, 0, 1, b'c', 0];
    let packet = SUBSCRIBE;
    assert_eq!(refuse(&three, true), Err(DecodeError::TooManyFilters { packet, limit: 2, at: 12 }));
}

#[test]
fn other_versions_are_recognised_with_an_unreadable_tail() {
    for (bytes, protocol) in [
        (&b"\x10\x0d\0\x04MQTT\x05\x02\0\x3c\0\0\0"[..], Protocol::Other(5)),
        (b"\x10\x07\0\x04MQTT\x06", Protocol::Other(6)),
        (b"\x10\x07\0\x04MQTT\x84", Protocol::Other(0x84)),
        (b"\x10\x09\0\x06MQIsdp\x04", Protocol::Other(4)),
        (b"\x10\x10\0\x06MQIsdp\x03\x02\0\x3c\0\x02d1", Protocol::V31),
    ] {
        match decode(Role::Server, bytes) {
            Ok(Some(Packet::Connect(connect))) => assert_eq!(connect.protocol, protocol),
            other => panic!("{protocol}: {other:?}"),
        }
    }
}

#[test]
fn encode_refuses_what_would_not_decode_and_leaves_the_output_alone() {
    let field = Field::TopicName;
    let long = Packet::Connect(Box::new(Connect { client_id: "x".repeat(65536), ..connect() }));
    let nameless = Packet::Connect(Box::new(Connect { user_name: None, ..connect() }));
    let newer = Packet::Connect(Box::new(Connect { protocol: Protocol::Other(5), ..connect() }));
    let null = Packet::Connect(Box::new(Connect { client_id: "a\0".to_owned(), ..connect() }));
    let nothing = Packet::Subscribe(Subscribe { packet_id: id(1), filters: vec![] });
    let present = Packet::ConnAck(ConnAck { session_present: true, code: ConnectReturnCode::NotAuthorized });
    for (packet, error) in [
        (long, EncodeError::FieldTooLong { field: Field::ClientId, length: 65536 }),
        (nameless, EncodeError::PasswordWithoutUserName),
        (newer, EncodeError::UnknownProtocol(Protocol::Other(5))),
        (null, EncodeError::NullCharacter { field: Field::ClientId }),
        (nothing, EncodeError::NoFilters { packet: SUBSCRIBE }),
        (present, EncodeError::SessionPresentInRefusal),
        (publish("a/+", Delivery::AtMostOnce, b""), EncodeError::BadTopic { field }),
        (publish("", Delivery::AtMostOnce, b""), EncodeError::BadTopic { field }),
        (publish("a\0", Delivery::AtMostOnce, b""), EncodeError::NullCharacter { field }),
    ] {
        let mut output = BytesMut::from(&b"before"[..]);
        assert_eq!(encode(&packet, &mut output), Err(error));
        assert_eq!(&output[..], b"before");
    }
}

#[test]
fn sentences_say_what_and_where() {
    for (error, sentence) in [
        (
            DecodeError::TooLarge { packet: CONNECT, length: 9000, limit: 8192 },
            "CONNECT announces 9000 bytes, and at most 8192 are accepted",
        ),
        (
            DecodeError::NotUtf8 { field: Field::UserName, at: 18 },
            "the user name is not valid UTF-8 at byte 18",
        ),
        (
            DecodeError::FirstPacket { packet: PUBLISH, expected: CONNECT },
            "the first packet is PUBLISH, and it must be CONNECT",
        ),
        (
            DecodeError::ReservedFlags { packet: SUBSCRIBE, flags: 0 },
            "SUBSCRIBE has the flags 0b0000 in byte 0, which MQTT 3.1.1 reserves",
        ),
    ] {
        assert_eq!(error.to_string(), sentence);
    }
}

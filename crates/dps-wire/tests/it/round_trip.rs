//! Any legal packet survives encode and decode, wherever the stream is cut; any bytes at all do no harm.

use bytes::{Bytes, BytesMut};
use dps_wire::mqtt::codec::{DecodeError, Decoder, Limits, Role};
use dps_wire::mqtt::packet::{
    ConnAck, Connect, ConnectReturnCode, Delivery, Packet, PacketId, Password, Protocol, Publish, QoS,
    SubAck, Subscribe, SubscribeFilter, SubscribeResult, Unsubscribe, Will,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::samples::{all, bytes_of, connect, greeted};

fn packet_id() -> impl Strategy<Value = PacketId> {
    (1..=u16::MAX).prop_map(|id| PacketId::new(id).expect("above 0"))
}

fn qos() -> impl Strategy<Value = QoS> {
    prop_oneof![Just(QoS::AtMostOnce), Just(QoS::AtLeastOnce), Just(QoS::ExactlyOnce)]
}

fn text() -> impl Strategy<Value = String> {
    "[^\\x00]{0,40}"
}

fn topic() -> impl Strategy<Value = String> {
    "[^\\x00+#]{1,40}"
}

fn filter() -> impl Strategy<Value = String> {
    ("([+]|[^\\x00+#/]{0,8})(/([+]|[^\\x00+#/]{0,8})){0,4}", any::<bool>()).prop_map(|(levels, rest)| match (
        levels.as_str(),
        rest,
    ) {
        ("", _) => "#".to_owned(),
        (_, true) => levels + "/#",
        (_, false) => levels,
    })
}

fn payload() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..400).prop_map(Bytes::from)
}

fn delivery() -> impl Strategy<Value = Delivery> {
    (qos(), packet_id(), any::<bool>()).prop_map(|(qos, packet_id, dup)| match qos {
        QoS::AtMostOnce => Delivery::AtMostOnce,
        QoS::AtLeastOnce => Delivery::AtLeastOnce { packet_id, dup },
        QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_id, dup },
    })
}

fn will() -> impl Strategy<Value = Will> {
    (topic(), payload(), qos(), any::<bool>()).prop_map(|(topic, message, qos, retain)| Will {
        topic,
        message,
        qos,
        retain,
    })
}

prop_compose! {
    fn any_connect()(
        old in any::<bool>(), clean_session in any::<bool>(), keep_alive in any::<u16>(), client_id in text(),
        will in option::of(will()), user_name in option::of(text()), secret in vec(any::<u8>(), 0..200),
    ) -> Connect {
        let password = user_name.as_ref().map(|_| Password::new(secret));
        let protocol = if old { Protocol::V31 } else { Protocol::V311 };
        Connect { protocol, clean_session, keep_alive, client_id, will, user_name, password }
    }
}

fn any_publish() -> impl Strategy<Value = Packet> {
    (topic(), delivery(), any::<bool>(), payload()).prop_map(|(topic, delivery, retain, payload)| {
        Packet::Publish(Publish { topic, delivery, retain, payload })
    })
}

/// What a client may send behind CONNECT.
fn from_client() -> impl Strategy<Value = Packet> {
    let entry = (filter(), qos()).prop_map(|(filter, qos)| SubscribeFilter { filter, qos });
    prop_oneof![
        any_publish(),
        (packet_id(), vec(entry, 1..9))
            .prop_map(|(packet_id, filters)| Packet::Subscribe(Subscribe { packet_id, filters })),
        (packet_id(), vec(filter(), 1..9))
            .prop_map(|(packet_id, filters)| Packet::Unsubscribe(Unsubscribe { packet_id, filters })),
        packet_id().prop_map(Packet::PubAck),
        packet_id().prop_map(Packet::PubRec),
        packet_id().prop_map(Packet::PubRel),
        packet_id().prop_map(Packet::PubComp),
        Just(Packet::PingReq),
        Just(Packet::Disconnect),
    ]
}

/// What a server may send behind CONNACK.
fn from_server() -> impl Strategy<Value = Packet> {
    let result = prop_oneof![Just(SubscribeResult::Failure), qos().prop_map(SubscribeResult::Granted)];
    prop_oneof![
        any_publish(),
        (packet_id(), vec(result, 1..9))
            .prop_map(|(packet_id, results)| Packet::SubAck(SubAck { packet_id, results })),
        packet_id().prop_map(Packet::PubAck),
        packet_id().prop_map(Packet::UnsubAck),
        Just(Packet::PingResp),
    ]
}

/// Feeds `bytes` in pieces of these sizes (the last one for ever) and takes out all packets.
fn decode_in_pieces(
    decoder: &mut Decoder,
    bytes: &[u8],
    sizes: &[usize],
) -> Result<Vec<Packet>, DecodeError> {
    let (mut input, mut packets, mut rest) = (BytesMut::new(), Vec::new(), bytes);
    let mut sizes = sizes.iter().copied();
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(sizes.next().unwrap_or(1).clamp(1, rest.len()));
        input.extend_from_slice(piece);
        rest = behind;
        while let Some(packet) = decoder.decode(&mut input)? {
            packets.push(packet);
        }
    }
    Ok(packets)
}

fn stream_of(packets: &[Packet]) -> Vec<u8> {
    packets.iter().flat_map(bytes_of).collect()
}

#[test]
fn every_sample_split_at_every_byte_decodes_to_itself() {
    for (name, packet, role) in all() {
        let bytes = bytes_of(&packet);
        for at in 0..=bytes.len() {
            let greeting = matches!(packet, Packet::Connect(_) | Packet::ConnAck(_));
            let mut decoder = if greeting { Decoder::new(role, Limits::default()) } else { greeted(role) };
            let (head, tail) = bytes.split_at(at);
            let mut input = BytesMut::from(head);
            let first = decoder.decode(&mut input).unwrap_or_else(|error| panic!("{name} at {at}: {error}"));
            input.extend_from_slice(tail);
            let decoded = match first {
                Some(packet) => Some(packet),
                None => decoder.decode(&mut input).unwrap_or_else(|error| panic!("{name} at {at}: {error}")),
            };
            assert_eq!(decoded.as_ref(), Some(&packet), "{name} at {at}");
            assert!(input.is_empty(), "{name} at {at}");
        }
    }
}

proptest! {
    #[test]
    fn connect_round_trips(connect in any_connect(), sizes in vec(1..40usize, 0..20)) {
        let packet = Packet::Connect(Box::new(connect));
        let mut decoder = Decoder::new(Role::Server, Limits::default());
        let decoded = decode_in_pieces(&mut decoder, &bytes_of(&packet), &sizes);
        prop_assert_eq!(decoded, Ok(vec![packet]));
    }

    #[test]
    fn client_packets_round_trip_in_one_stream(
        packets in vec(from_client(), 1..12), sizes in vec(1..200usize, 0..30),
    ) {
        let decoded = decode_in_pieces(&mut greeted(Role::Server), &stream_of(&packets), &sizes);
        prop_assert_eq!(decoded, Ok(packets));
    }

    #[test]
    fn server_packets_round_trip_in_one_stream(
        code in 0..=5u8, packets in vec(from_server(), 0..12), sizes in vec(1..200usize, 0..30),
    ) {
        let code = ConnectReturnCode::from_byte(code).expect("0 to 5");
        let mut expected = vec![Packet::ConnAck(ConnAck { session_present: false, code })];
        expected.extend(packets);
        let mut decoder = Decoder::new(Role::Client, Limits::default());
        prop_assert_eq!(decode_in_pieces(&mut decoder, &stream_of(&expected), &sizes), Ok(expected));
    }

    /// One flipped byte anywhere: the same outcome, however the stream is cut.
    #[test]
    fn damaged_streams_fail_alike_however_they_are_cut(
        packets in vec(from_client(), 1..4), at in any::<prop::sample::Index>(), byte in any::<u8>(),
        sizes in vec(1..50usize, 0..30),
    ) {
        let mut bytes = bytes_of(&Packet::Connect(Box::new(connect())));
        bytes.extend(stream_of(&packets));
        let place = at.index(bytes.len());
        bytes[place] = byte;
        let new = || Decoder::new(Role::Server, Limits::default());
        let whole = decode_in_pieces(&mut new(), &bytes, &[bytes.len()]);
        let cut = decode_in_pieces(&mut new(), &bytes, &sizes);
        let single = decode_in_pieces(&mut new(), &bytes, &[]);
        prop_assert_eq!(&whole, &cut);
        prop_assert_eq!(&whole, &single);
    }
}

//! One packet of every kind and shape that the tests and the fuzz seeds share.

use bytes::{Bytes, BytesMut};
use dps_wire::mqtt::codec::{DecodeError, Decoder, Limits, Role, encode};
use dps_wire::mqtt::packet::{
    ConnAck, Connect, ConnectReturnCode, Delivery, Packet, PacketId, Password, Protocol, Publish, QoS,
    SubAck, Subscribe, SubscribeFilter, SubscribeResult, Unsubscribe, Will,
};

pub fn id(number: u16) -> PacketId {
    PacketId::new(number).expect("a packet id above 0")
}

/// A CONNECT as the Python SDK writes it, with a short token.
pub fn connect() -> Connect {
    Connect {
        protocol: Protocol::V311,
        clean_session: false,
        keep_alive: 60,
        client_id: "d1".to_owned(),
        will: None,
        user_name: Some("0ne1/registrations/d1/api-version=2019-03-31".to_owned()),
        password: Some(Password::new(b"sas".to_vec())),
    }
}

pub fn publish(topic: &str, delivery: Delivery, payload: &'static [u8]) -> Packet {
    let payload = Bytes::from_static(payload);
    Packet::Publish(Publish { topic: topic.to_owned(), delivery, retain: false, payload })
}

pub fn qos1(number: u16) -> Delivery {
    Delivery::AtLeastOnce { packet_id: id(number), dup: false }
}

pub fn subscribe(number: u16, filters: &[(&str, QoS)]) -> Packet {
    let filters = filters
        .iter()
        .map(|(filter, qos)| SubscribeFilter { filter: (*filter).to_owned(), qos: *qos })
        .collect();
    Packet::Subscribe(Subscribe { packet_id: id(number), filters })
}

/// Name, packet and who sends it.
pub fn all() -> Vec<(&'static str, Packet, Role)> {
    let with_will = Connect {
        clean_session: true,
        keep_alive: 0,
        user_name: None,
        password: None,
        will: Some(Will {
            topic: "w".to_owned(),
            message: Bytes::from_static(b"bye"),
            qos: QoS::AtLeastOnce,
            retain: true,
        }),
        ..connect()
    };
    let old = Connect { protocol: Protocol::V31, user_name: None, password: None, ..connect() };
    let connack = |session_present, code| Packet::ConnAck(ConnAck { session_present, code });
    let retained = Packet::Publish(Publish {
        topic: "a/b".to_owned(),
        delivery: Delivery::AtMostOnce,
        retain: true,
        payload: Bytes::new(),
    });
    let results = vec![SubscribeResult::Granted(QoS::AtLeastOnce), SubscribeResult::Failure];
    // Who reads it: the server what clients send, and the other way round.
    let (server, client) = (Role::Server, Role::Client);
    vec![
        ("connect", Packet::Connect(Box::new(connect())), server),
        ("connect_will", Packet::Connect(Box::new(with_will)), server),
        ("connect_31", Packet::Connect(Box::new(old)), server),
        ("connack_accepted", connack(false, ConnectReturnCode::Accepted), client),
        ("connack_present", connack(true, ConnectReturnCode::Accepted), client),
        ("connack_scope_unknown", connack(false, ConnectReturnCode::ServerUnavailable), client),
        ("publish_qos0_retained", retained, server),
        (
            "publish_register",
            publish("$dps/registrations/PUT/iotdps-register/?$rid=1", qos1(2), b"{}"),
            server,
        ),
        (
            "publish_qos2_dup",
            publish("t", Delivery::ExactlyOnce { packet_id: id(65535), dup: true }, b"x"),
            server,
        ),
        (
            "publish_response",
            publish("$dps/registrations/res/202/?$rid=1&retry-after=3", qos1(1), b"{}"),
            client,
        ),
        ("puback", Packet::PubAck(id(258)), server),
        ("pubrec", Packet::PubRec(id(1)), server),
        ("pubrel", Packet::PubRel(id(1)), server),
        ("pubcomp", Packet::PubComp(id(1)), server),
        (
            "subscribe",
            subscribe(1, &[("$dps/registrations/res/#", QoS::AtLeastOnce), ("+/x", QoS::AtMostOnce)]),
            server,
        ),
        ("suback", Packet::SubAck(SubAck { packet_id: id(1), results }), client),
        (
            "unsubscribe",
            Packet::Unsubscribe(Unsubscribe {
                packet_id: id(3),
                filters: vec!["$dps/registrations/res/#".to_owned()],
            }),
            server,
        ),
        ("unsuback", Packet::UnsubAck(id(3)), client),
        ("pingreq", Packet::PingReq, server),
        ("pingresp", Packet::PingResp, client),
        ("disconnect", Packet::Disconnect, server),
    ]
}

pub fn bytes_of(packet: &Packet) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    encode(packet, &mut bytes).expect("the sample is legal");
    bytes.to_vec()
}

/// A decoder that has read its greeting.
pub fn greeted(role: Role) -> Decoder {
    let mut decoder = Decoder::new(role, Limits::default());
    let greeting = match role {
        Role::Server => Packet::Connect(Box::new(connect())),
        Role::Client => {
            Packet::ConnAck(ConnAck { session_present: false, code: ConnectReturnCode::Accepted })
        }
    };
    let mut input = BytesMut::from(bytes_of(&greeting).as_slice());
    assert_eq!(decoder.decode(&mut input), Ok(Some(greeting)));
    decoder
}

/// Decodes bytes that follow the greeting, or are it.
pub fn decode(role: Role, bytes: &[u8]) -> Result<Option<Packet>, DecodeError> {
    let greeting = match role {
        Role::Server => 1,
        Role::Client => 2,
    };
    let mut decoder = if bytes.first().is_some_and(|first| first >> 4 == greeting) {
        Decoder::new(role, Limits::default())
    } else {
        greeted(role)
    };
    decoder.decode(&mut BytesMut::from(bytes))
}

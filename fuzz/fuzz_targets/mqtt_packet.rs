//! MQTT bytes as a stranger sends them. However the stream is cut, the outcome is the same; whatever decodes,
//! encodes and decodes to itself; and the server's session survives the stream with its bounds kept.
//!
//! The first byte chooses: bit 0 the reading role (0 server, 1 client), bit 1 a greeting put in front, the rest
//! the size of the pieces. Seeds: the golden bytes.
#![no_main]

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use dps_wire::mqtt::codec::{DecodeError, Decoder, Limits, Role, encode};
use dps_wire::mqtt::packet::{ConnAck, Connect, ConnectReturnCode, Packet, Protocol};
use dps_wire::mqtt::session::{Event, Session, SessionLimits};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits { max_packet: 4096, max_connect: 1024, max_filters: 8 };

fuzz_target!(|data: &[u8]| {
    let Some((choice, bytes)) = data.split_first() else { return };
    let role = if choice & 1 == 0 { Role::Server } else { Role::Client };
    let mut stream = if choice & 2 == 0 { greeting(role) } else { BytesMut::new() };
    if bytes.first().is_some_and(|first| first >> 4 == if role == Role::Server { 1 } else { 2 }) {
        stream.clear();
    }
    stream.extend_from_slice(bytes);
    let piece = usize::from(choice >> 2) + 1;
    let whole = decode(role, &stream, stream.len().max(1));
    assert_eq!(whole, decode(role, &stream, piece));
    whole.0.iter().for_each(|packet| round_trip(role, packet));
    if role == Role::Server {
        converse(&stream, piece);
    }
});

fn greeting(role: Role) -> BytesMut {
    let packet = match role {
        Role::Server => Packet::Connect(Box::new(Connect {
            protocol: Protocol::V311,
            clean_session: true,
            keep_alive: 60,
            client_id: "d".to_owned(),
            will: None,
            user_name: None,
            password: None,
        })),
        Role::Client => {
            Packet::ConnAck(ConnAck { session_present: false, code: ConnectReturnCode::Accepted })
        }
    };
    let mut bytes = BytesMut::new();
    encode(&packet, &mut bytes).expect("legal");
    bytes
}

fn decode(role: Role, stream: &[u8], piece: usize) -> (Vec<Packet>, Option<DecodeError>) {
    let mut decoder = Decoder::new(role, LIMITS);
    let (mut input, mut packets) = (BytesMut::new(), Vec::new());
    for piece in stream.chunks(piece) {
        input.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(packet)) => packets.push(packet),
                Ok(None) => break,
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    return (packets, Some(error));
                }
            }
        }
        assert!(input.len() <= LIMITS.max_packet, "half a packet is below the limit");
    }
    (packets, None)
}

fn round_trip(role: Role, packet: &Packet) {
    let mut bytes = BytesMut::new();
    match packet {
        Packet::Connect(connect) if matches!(connect.protocol, Protocol::Other(_)) => {
            encode(packet, &mut bytes).expect_err("its tail is unknown");
            return;
        }
        _ => encode(packet, &mut bytes).expect("what decodes is legal"),
    }
    let is_greeting = matches!(packet, Packet::Connect(_) | Packet::ConnAck(_));
    let mut stream = if is_greeting { BytesMut::new() } else { greeting(role) };
    stream.extend_from_slice(&bytes);
    let (packets, error) = decode(role, &stream, stream.len());
    assert_eq!((packets.last(), error), (Some(packet), None));
}

fn converse(stream: &[u8], piece: usize) {
    let limits = SessionLimits {
        codec: LIMITS,
        max_subscriptions: 2,
        max_in_flight: 2,
        max_unacknowledged: 2,
        max_output: 256,
        connect_timeout_ms: 10,
    };
    let mut session = Session::new(Arc::new(limits), 0);
    for (now, piece) in stream.chunks(piece).enumerate() {
        session.receive(piece);
        loop {
            match session.poll(now as u64) {
                Ok(Some(event)) => answer(&mut session, event, now as u64),
                Ok(None) => break,
                Err(error) => {
                    assert!(session.is_closed() && !error.to_string().is_empty());
                    return;
                }
            }
        }
        assert!(session.in_flight() <= 2);
        // One answer may begin below the bound and end above it: the largest is a response of ours.
        assert!(session.take_output().len() <= 512 + piece.len() * 2);
    }
}

fn answer(session: &mut Session, event: Event, now: u64) {
    // Refusals of the session are legal answers here; panics are not.
    match event {
        Event::Connect(_) => session.accept(now).expect("CONNECT waits"),
        Event::Subscribe(wanted) => {
            let _ = session.grant(&wanted, |entry| entry.filter.len() % 2 == 0);
        }
        Event::Publish(publish) => {
            let response = Bytes::from_static(b"{}");
            if publish.payload.len() % 2 == 0 {
                let _ = session.respond(publish.delivery, publish.topic, response);
            } else if let Some(id) = publish.delivery.packet_id() {
                let _ = session.acknowledge(id);
            }
        }
        Event::UnsupportedProtocol(_)
        | Event::Unsubscribed(_)
        | Event::Delivered(_)
        | Event::Disconnected => {}
    }
}

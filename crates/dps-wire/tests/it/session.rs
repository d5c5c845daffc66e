//! Whole conversations with the server's engine, byte by byte where it matters.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use dps_wire::mqtt::codec::{DecodeError, Decoder, Limits, Role};
use dps_wire::mqtt::packet::{
    ConnAck, Connect, ConnectReturnCode, Delivery, Packet, PacketType, Protocol, QoS, SubAck,
    SubscribeResult, Unsubscribe,
};
use dps_wire::mqtt::session::{Event, SendError, Session, SessionError, SessionLimits};

use crate::samples::{bytes_of, connect, id, publish, qos1, subscribe};

const RESPONSES: &str = "$dps/registrations/res/#";
const RESPONSE: &str = "$dps/registrations/res/202/?$rid=1&retry-after=3";

/// A session at time 0 with its peer's reader.
struct Peer {
    session: Session,
    reader: Decoder,
}

impl Peer {
    fn new(limits: SessionLimits) -> Self {
        let reader = Decoder::new(Role::Client, Limits::default());
        Self { session: Session::new(Arc::new(limits), 0), reader }
    }

    fn open(limits: SessionLimits, keep_alive: u16) -> Self {
        let mut peer = Self::new(limits);
        let connect = Connect { keep_alive, ..connect() };
        assert_eq!(peer.say(&Packet::Connect(Box::new(connect.clone()))), Event::Connect(Box::new(connect)));
        peer.session.accept(0).expect("CONNECT waits");
        let code = ConnectReturnCode::Accepted;
        assert_eq!(peer.heard(), [Packet::ConnAck(ConnAck { session_present: false, code })]);
        peer
    }

    fn subscribed(limits: SessionLimits) -> Self {
        let mut peer = Self::open(limits, 60);
        let Event::Subscribe(wanted) = peer.say(&subscribe(1, &[(RESPONSES, QoS::AtLeastOnce)])) else {
            panic!("SUBSCRIBE is an event")
        };
        assert_eq!(peer.session.grant(&wanted, |_| true), Ok(1));
        let results = vec![SubscribeResult::Granted(QoS::AtLeastOnce)];
        assert_eq!(peer.heard(), [Packet::SubAck(SubAck { packet_id: id(1), results })]);
        peer
    }

    /// Sends a packet and takes the one event that it makes.
    fn say(&mut self, packet: &Packet) -> Event {
        self.session.receive(&bytes_of(packet));
        self.session.poll(0).expect("a legal packet").expect("an event")
    }

    /// What the session sent since the last time.
    fn heard(&mut self) -> Vec<Packet> {
        let mut output = BytesMut::from(&self.session.take_output()[..]);
        let mut packets = Vec::new();
        while let Some(packet) = self.reader.decode(&mut output).expect("legal output") {
            packets.push(packet);
        }
        assert!(output.is_empty());
        packets
    }

    fn deliver(&mut self) -> Result<Option<u16>, SendError> {
        let sent = self.session.deliver(RESPONSE.to_owned(), Bytes::from_static(b"{}"))?;
        Ok(sent.map(std::num::NonZeroU16::get))
    }
}

#[test]
fn puback_leaves_before_the_response() {
    let mut peer = Peer::subscribed(SessionLimits::default());
    let request = publish("$dps/registrations/PUT/iotdps-register/?$rid=1", qos1(7), b"{}");
    let Event::Publish(request) = peer.say(&request) else { panic!("PUBLISH is an event") };
    assert!(!peer.session.has_output(), "nothing is acknowledged before the caller says so");
    let sent = peer.session.respond(request.delivery, RESPONSE.to_owned(), Bytes::from_static(b"{}"));
    assert_eq!(sent, Ok(Some(id(1))));
    assert_eq!(peer.heard(), [Packet::PubAck(id(7)), publish(RESPONSE, qos1(1), b"{}")]);
    assert_eq!(peer.say(&Packet::PubAck(id(1))), Event::Delivered(id(1)));
    assert_eq!(peer.session.in_flight(), 0);
}

#[test]
fn response_to_a_qos0_request_needs_no_puback() {
    let mut peer = Peer::subscribed(SessionLimits::default());
    let Event::Publish(request) = peer.say(&publish("t", Delivery::AtMostOnce, b"")) else { panic!() };
    peer.session.respond(request.delivery, RESPONSE.to_owned(), Bytes::new()).expect("subscribed");
    assert_eq!(peer.heard(), [publish(RESPONSE, qos1(1), b"")]);
}

#[test]
fn granted_qos_decides_how_a_message_is_sent() {
    for (asked, granted) in [
        (QoS::AtMostOnce, QoS::AtMostOnce),
        (QoS::AtLeastOnce, QoS::AtLeastOnce),
        (QoS::ExactlyOnce, QoS::AtLeastOnce),
    ] {
        let mut peer = Peer::open(SessionLimits::default(), 0);
        let filters = [(RESPONSES, asked), ("devices/#", QoS::AtLeastOnce)];
        let Event::Subscribe(wanted) = peer.say(&subscribe(9, &filters)) else { panic!() };
        assert_eq!(peer.session.grant(&wanted, |entry| entry.filter == RESPONSES), Ok(1));
        let results = vec![SubscribeResult::Granted(granted), SubscribeResult::Failure];
        assert_eq!(peer.heard(), [Packet::SubAck(SubAck { packet_id: id(9), results })]);
        let expected = if granted == QoS::AtMostOnce { None } else { Some(1) };
        assert_eq!(peer.deliver(), Ok(expected));
        let refused = peer.session.deliver("devices/d/messages/devicebound/".to_owned(), Bytes::new());
        assert_eq!(refused, Err(SendError::NotSubscribed));
    }
}

#[test]
fn unsubscribe_is_answered_and_ends_deliveries() {
    let mut peer = Peer::subscribed(SessionLimits::default());
    let filters = vec![RESPONSES.to_owned()];
    let gone = Packet::Unsubscribe(Unsubscribe { packet_id: id(5), filters: filters.clone() });
    assert_eq!(peer.say(&gone), Event::Unsubscribed(filters));
    assert_eq!(peer.heard(), [Packet::UnsubAck(id(5))]);
    assert_eq!(peer.deliver(), Err(SendError::NotSubscribed));
}

#[test]
fn ping_is_answered_without_an_event() {
    let mut peer = Peer::open(SessionLimits::default(), 60);
    peer.session.receive(&[0xc0, 0, 0xc0, 0]);
    assert_eq!(peer.session.poll(0), Ok(None));
    assert_eq!(peer.heard(), [Packet::PingResp, Packet::PingResp]);
}

#[test]
fn other_versions_get_connack_1() {
    let old = Packet::Connect(Box::new(Connect { protocol: Protocol::V31, ..connect() }));
    for (bytes, protocol) in [
        (bytes_of(&old), Protocol::V31),
        (b"\x10\x0d\0\x04MQTT\x05\x02\0\x3c\0\0\0".to_vec(), Protocol::Other(5)),
    ] {
        let mut peer = Peer::new(SessionLimits::default());
        peer.session.receive(&bytes);
        assert_eq!(peer.session.poll(0), Ok(Some(Event::UnsupportedProtocol(protocol))));
        assert_eq!(&peer.session.take_output()[..], [0x20, 2, 0, 1]);
        assert!(peer.session.is_closed());
    }
}

#[test]
fn refusal_is_written_and_closes() {
    let mut peer = Peer::new(SessionLimits::default());
    peer.say(&Packet::Connect(Box::new(connect())));
    peer.session.refuse(ConnectReturnCode::ServerUnavailable).expect("CONNECT waits");
    let code = ConnectReturnCode::ServerUnavailable;
    assert_eq!(peer.heard(), [Packet::ConnAck(ConnAck { session_present: false, code })]);
    assert!(peer.session.is_closed());
    assert_eq!(peer.session.accept(0), Err(SendError::Closed));
    peer.session.receive(&[0xc0, 0]);
    assert_eq!(peer.session.poll(0), Ok(None));
}

#[test]
fn packets_behind_connect_wait_for_the_verdict() {
    let mut peer = Peer::new(SessionLimits::default());
    let mut bytes = bytes_of(&Packet::Connect(Box::new(connect())));
    bytes.extend(bytes_of(&Packet::PingReq));
    peer.session.receive(&bytes);
    assert!(matches!(peer.session.poll(0), Ok(Some(Event::Connect(_)))));
    assert!(!peer.session.wants_input());
    assert_eq!(peer.session.poll(0), Ok(None));
    peer.session.accept(0).expect("CONNECT waits");
    assert_eq!(peer.session.poll(0), Ok(None));
    let code = ConnectReturnCode::Accepted;
    assert_eq!(peer.heard(), [Packet::ConnAck(ConnAck { session_present: false, code }), Packet::PingResp]);
}

#[test]
fn answers_at_the_wrong_moment_are_refused() {
    let mut peer = Peer::new(SessionLimits::default());
    assert_eq!(peer.session.accept(0), Err(SendError::WrongMoment));
    assert_eq!(peer.deliver(), Err(SendError::WrongMoment));
    let mut peer = Peer::open(SessionLimits::default(), 0);
    assert_eq!(peer.session.refuse(ConnectReturnCode::NotAuthorized), Err(SendError::WrongMoment));
}

#[test]
fn deadline_is_one_and_a_half_keep_alives_after_the_last_whole_packet() {
    let mut peer = Peer::open(SessionLimits::default(), 60);
    assert_eq!(peer.session.deadline(), Some(90_000));
    peer.session.receive(&[0xc0]);
    assert_eq!(peer.session.poll(50_000), Ok(None));
    assert_eq!(peer.session.deadline(), Some(90_000), "half a packet is silence");
    peer.session.receive(&[0]);
    assert_eq!(peer.session.poll(60_000), Ok(None));
    assert_eq!(peer.session.deadline(), Some(150_000));
    assert!(!peer.session.is_overdue(149_999));
    assert!(peer.session.is_overdue(150_000));
}

#[test]
fn keep_alive_zero_is_never_overdue() {
    let peer = Peer::open(SessionLimits::default(), 0);
    assert_eq!(peer.session.deadline(), None);
    assert!(!peer.session.is_overdue(u64::MAX));
}

#[test]
fn connect_that_never_comes_is_overdue() {
    let limits = SessionLimits { connect_timeout_ms: 10, ..SessionLimits::default() };
    let mut session = Session::new(Arc::new(limits), 100);
    session.receive(&[0x10, 40, 0]);
    assert_eq!(session.poll(109), Ok(None));
    assert!(!session.is_overdue(109));
    assert!(session.is_overdue(110));
}

#[test]
fn qos2_publish_ends_the_connection() {
    let mut peer = Peer::open(SessionLimits::default(), 0);
    let twice = publish("t", Delivery::ExactlyOnce { packet_id: id(1), dup: false }, b"");
    peer.session.receive(&bytes_of(&twice));
    assert_eq!(peer.session.poll(0), Err(SessionError::ExactlyOnce));
    assert!(peer.session.is_closed());
    assert_eq!(peer.session.poll(0), Ok(None));
}

#[test]
fn pubrel_of_nothing_ends_the_connection() {
    let mut peer = Peer::open(SessionLimits::default(), 0);
    peer.session.receive(&bytes_of(&Packet::PubRel(id(1))));
    let packet = PacketType::PubRel;
    assert_eq!(peer.session.poll(0), Err(SessionError::Unexpected { packet }));
}

#[test]
fn garbage_ends_the_connection() {
    let mut session = Session::new(Arc::new(SessionLimits::default()), 0);
    session.receive(b"GET / HTTP/1.1\r\n");
    let error = DecodeError::ReservedFlags { packet: PacketType::PubAck, flags: 7 };
    assert_eq!(session.poll(0), Err(SessionError::Decode(error)));
    assert!(session.is_closed());
}

#[test]
fn disconnect_is_an_event_and_nothing_is_read_behind_it() {
    let mut peer = Peer::open(SessionLimits::default(), 0);
    peer.session.receive(&[0xe0, 0, 0, 0]);
    assert_eq!(peer.session.poll(0), Ok(Some(Event::Disconnected)));
    assert_eq!(peer.session.poll(0), Ok(None));
    assert_eq!(peer.session.deadline(), None);
}

#[test]
fn messages_in_flight_are_bounded_and_their_ids_are_not_reused() {
    let limits = SessionLimits { max_in_flight: 2, ..SessionLimits::default() };
    let mut peer = Peer::subscribed(limits);
    assert_eq!(peer.deliver(), Ok(Some(1)));
    assert_eq!(peer.deliver(), Ok(Some(2)));
    assert_eq!(peer.deliver(), Err(SendError::TooManyInFlight { limit: 2 }));
    assert_eq!(peer.say(&Packet::PubAck(id(2))), Event::Delivered(id(2)));
    // Number 1 stays in flight while the ids go round once, past 0.
    for number in 3..=u16::MAX {
        assert_eq!(peer.deliver(), Ok(Some(number)));
        assert_eq!(peer.say(&Packet::PubAck(id(number))), Event::Delivered(id(number)));
        peer.session.take_output();
    }
    assert_eq!(peer.deliver(), Ok(Some(2)));
}

#[test]
fn puback_of_nothing_is_ignored() {
    let mut peer = Peer::open(SessionLimits::default(), 0);
    peer.session.receive(&bytes_of(&Packet::PubAck(id(9))));
    assert_eq!(peer.session.poll(0), Ok(None));
    assert!(peer.session.is_open());
}

#[test]
fn reading_pauses_while_too_much_is_unacknowledged() {
    let limits = SessionLimits { max_unacknowledged: 2, ..SessionLimits::default() };
    let mut peer = Peer::open(limits, 0);
    for number in 1..=3 {
        peer.session.receive(&bytes_of(&publish("t", qos1(number), b"")));
    }
    assert!(matches!(peer.session.poll(0), Ok(Some(Event::Publish(_)))));
    assert!(matches!(peer.session.poll(0), Ok(Some(Event::Publish(_)))));
    assert_eq!(peer.session.poll(0), Ok(None));
    assert!(!peer.session.wants_input());
    assert_eq!(peer.session.acknowledge(id(2)), Err(SendError::OutOfOrder { packet_id: id(2) }));
    assert_eq!(peer.session.acknowledge(id(1)), Ok(()));
    assert!(matches!(peer.session.poll(0), Ok(Some(Event::Publish(_)))));
    assert_eq!(peer.session.acknowledge(id(2)), Ok(()));
    assert_eq!(peer.session.acknowledge(id(3)), Ok(()));
    assert_eq!(peer.heard(), [Packet::PubAck(id(1)), Packet::PubAck(id(2)), Packet::PubAck(id(3))]);
    assert_eq!(peer.session.acknowledge(id(3)), Err(SendError::OutOfOrder { packet_id: id(3) }));
}

#[test]
fn subscriptions_are_bounded_and_the_same_filter_counts_once() {
    let limits = SessionLimits { max_subscriptions: 2, ..SessionLimits::default() };
    let mut peer = Peer::open(limits, 0);
    let filters =
        [("a", QoS::AtMostOnce), ("b", QoS::AtMostOnce), ("a", QoS::AtLeastOnce), ("c", QoS::AtMostOnce)];
    let Event::Subscribe(wanted) = peer.say(&subscribe(1, &filters)) else { panic!() };
    assert_eq!(peer.session.grant(&wanted, |_| true), Ok(3));
    let zero = SubscribeResult::Granted(QoS::AtMostOnce);
    let results = vec![zero, zero, SubscribeResult::Granted(QoS::AtLeastOnce), SubscribeResult::Failure];
    assert_eq!(peer.heard(), [Packet::SubAck(SubAck { packet_id: id(1), results })]);
    assert_eq!(peer.session.granted("a"), Some(QoS::AtLeastOnce));
    assert_eq!(peer.session.granted("c"), None);
}

#[test]
fn peer_that_asks_and_does_not_read_is_cut_off() {
    let limits = SessionLimits { max_output: 8, ..SessionLimits::default() };
    let mut peer = Peer::open(limits, 0);
    peer.session.receive(&[0xc0, 0].repeat(5));
    let source = SendError::OutputFull { limit: 8 };
    assert_eq!(peer.session.poll(0), Err(SessionError::Answer { packet: PacketType::PingResp, source }));
    assert_eq!(&peer.session.take_output()[..], [0xd0, 0].repeat(4));
}

#[test]
fn idle_session_is_small() {
    assert!(size_of::<Session>() <= 256, "{} bytes", size_of::<Session>());
}

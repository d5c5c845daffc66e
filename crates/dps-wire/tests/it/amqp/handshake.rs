//! Before OPEN: headers, SASL, refusals, time.

use bytes::BytesMut;
use dps_wire::amqp::connection::{Config, ConnectionError, Event, OPEN_ERROR, SendError};
use dps_wire::amqp::frame::{ProtocolHeader, decode_sasl, encode_sasl};
use dps_wire::amqp::performative::{AmqpError, Open, Performative, Sasl, SaslCode, SaslInit};
use dps_wire::amqp::sasl::Mechanism;
use dps_wire::amqp::value::{DecodeError, Secret, Symbol};

use super::peer::{Peer, begin, config, mechanisms};

fn sasl(peer: &mut Peer, said: &Sasl) -> Result<Option<Event>, ConnectionError> {
    let mut bytes = BytesMut::new();
    encode_sasl(said, &mut bytes);
    peer.connection.receive(&bytes);
    peer.connection.poll(0)
}

fn init(mechanism: Symbol) -> SaslInit {
    SaslInit { mechanism, initial_response: Some(Secret::new(b"\0user\0token".to_vec())), hostname: None }
}

/// After the SASL header and the mechanisms.
fn greeted() -> Peer {
    let mut peer = Peer::new(config());
    peer.connection.receive(&ProtocolHeader::Sasl.bytes());
    assert_eq!(peer.connection.poll(0), Ok(None));
    let mut output = peer.connection.take_output();
    assert_eq!(ProtocolHeader::decode(&mut output), Some(ProtocolHeader::Sasl));
    assert_eq!(decode_sasl(&mut output), Ok(Some(Sasl::Mechanisms(mechanisms()))));
    peer
}

fn header(config: Config, bytes: &[u8]) -> (Result<Option<Event>, ConnectionError>, Vec<u8>) {
    let mut peer = Peer::new(config);
    peer.connection.receive(bytes);
    let outcome = peer.connection.poll(0);
    (outcome, peer.connection.take_output().to_vec())
}

#[test]
fn header_of_another_protocol_is_answered_by_ours_from_its_first_wrong_byte() {
    let refused = (Err(ConnectionError::ProtocolHeader), ProtocolHeader::Sasl.bytes().to_vec());
    for bytes in [&b"G"[..], b"GET / HTTP/1.1\r\n", b"AMQP\x02", b"AMQP\x00\x00\x09\x01", b"AMQP\x03\x01\x01"]
    {
        assert_eq!(header(config(), bytes), refused);
    }
    assert_eq!(header(config(), b"AMQP\x03\x01"), (Ok(None), Vec::new()));
}

#[test]
fn header_that_is_not_offered_is_answered_by_the_one_that_is() {
    let with_sasl = Config { without_sasl: false, ..config() };
    let refused = |ours: ProtocolHeader| (Err(ConnectionError::ProtocolHeader), ours.bytes().to_vec());
    assert_eq!(header(with_sasl, &ProtocolHeader::Amqp.bytes()), refused(ProtocolHeader::Sasl));
    let without = Config { mechanisms: Vec::new(), ..config() };
    assert_eq!(header(without, &ProtocolHeader::Sasl.bytes()), refused(ProtocolHeader::Amqp));
}

#[test]
fn sasl_that_goes_well_waits_for_the_second_header() {
    let mut peer = greeted();
    let chosen = init(Mechanism::Plain.symbol());
    assert_eq!(sasl(&mut peer, &Sasl::Init(chosen.clone())), Ok(Some(Event::SaslInit(chosen))));
    assert!(!peer.connection.wants_input());
    peer.connection.sasl_outcome(SaslCode::Ok).expect("it waits");
    assert_eq!(decode_sasl(&mut peer.connection.take_output()), Ok(Some(Sasl::Outcome(SaslCode::Ok))));
    peer.connection.receive(&ProtocolHeader::Sasl.bytes());
    assert_eq!(peer.connection.poll(0), Err(ConnectionError::ProtocolHeader));
}

#[test]
fn bytes_behind_sasl_init_wait_for_the_verdict() {
    let mut peer = greeted();
    let mut bytes = BytesMut::new();
    encode_sasl(&Sasl::Init(init(Mechanism::Plain.symbol())), &mut bytes);
    bytes.extend_from_slice(&ProtocolHeader::Amqp.bytes());
    peer.connection.receive(&bytes);
    assert!(matches!(peer.connection.poll(0), Ok(Some(Event::SaslInit(_)))));
    assert_eq!(peer.connection.poll(0), Ok(None));
    peer.connection.sasl_outcome(SaslCode::Ok).expect("it waits");
    assert_eq!(peer.connection.poll(0), Ok(None));
    let output = peer.connection.take_output();
    assert_eq!(output[output.len() - 8..], ProtocolHeader::Amqp.bytes());
}

#[test]
fn sasl_that_fails_ends_the_connection() {
    let mut peer = greeted();
    sasl(&mut peer, &Sasl::Init(init(Mechanism::Plain.symbol()))).expect("legal");
    peer.connection.sasl_outcome(SaslCode::Auth).expect("it waits");
    assert!(peer.connection.is_closed());
    assert_eq!(decode_sasl(&mut peer.connection.take_output()), Ok(Some(Sasl::Outcome(SaslCode::Auth))));
    assert_eq!(peer.connection.sasl_outcome(SaslCode::Ok), Err(SendError::Closed));
}

#[test]
fn mechanism_that_is_not_offered_is_refused() {
    let mut peer = greeted();
    let outcome = sasl(&mut peer, &Sasl::Init(init(Mechanism::Anonymous.symbol())));
    assert_eq!(outcome, Err(ConnectionError::Mechanism));
    assert_eq!(decode_sasl(&mut peer.connection.take_output()), Ok(Some(Sasl::Outcome(SaslCode::Auth))));
}

#[test]
fn sasl_frame_out_of_turn_ends_the_connection() {
    for said in [
        Sasl::Response(Secret::new(vec![0])),
        Sasl::Outcome(SaslCode::Ok),
        Sasl::Mechanisms(mechanisms()),
        Sasl::Challenge(Secret::new(vec![0])),
    ] {
        assert!(matches!(sasl(&mut greeted(), &said), Err(ConnectionError::Unexpected { .. })), "{said:?}");
    }
}

#[test]
fn sasl_frame_of_more_than_512_bytes_is_refused_from_its_size() {
    let mut peer = greeted();
    peer.connection.receive(&513u32.to_be_bytes());
    let error = DecodeError::FrameTooLarge { size: 513, limit: 512 };
    assert_eq!(peer.connection.poll(0), Err(ConnectionError::Decode(error)));
}

#[test]
fn challenge_that_no_frame_holds_is_not_sent() {
    let mut peer = greeted();
    sasl(&mut peer, &Sasl::Init(init(Mechanism::Tpm.symbol()))).expect("legal");
    let challenge = |length| Secret::new(vec![1; length]);
    assert_eq!(peer.connection.sasl_challenge(challenge(600)), Err(SendError::ChallengeTooLarge));
    assert!(!peer.connection.has_output());
    assert_eq!(peer.connection.sasl_challenge(challenge(471)), Ok(()));
}

#[test]
fn secrets_are_in_no_debug_output() {
    let mut peer = greeted();
    let event = sasl(&mut peer, &Sasl::Init(init(Mechanism::Plain.symbol())));
    let shown = format!("{event:?} {:?}", peer.connection);
    assert!(!shown.contains("token") && shown.contains("Secret(11 bytes)"), "{shown}");
}

#[test]
fn open_is_refused_with_the_error_in_its_properties_and_in_close() {
    let mut peer = Peer::new(config());
    peer.connection.receive(&ProtocolHeader::Amqp.bytes());
    peer.say(Performative::Open(Box::new(Open::new("c")))).expect("legal");
    peer.connection.take_output();
    let error = AmqpError::new("amqp:unauthorized-access", "{}");
    peer.connection.refuse_open(error.clone(), 0).expect("it waits");
    let heard = peer.heard();
    let [Performative::Open(open), Performative::Close(closed)] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!(open.properties, [(Symbol::from_static(OPEN_ERROR), error.to_value())]);
    assert_eq!(*closed, Some(error));
    // What was under way is read over until the peer has closed too.
    assert_eq!(peer.say(Performative::Begin(begin())), Ok(None));
    assert!(!peer.connection.is_closed());
    assert_eq!(peer.say(Performative::Close(None)), Ok(None));
    assert!(peer.connection.is_closed() && !peer.connection.has_output());
}

#[test]
fn open_with_a_frame_size_below_512_is_told_why() {
    let mut peer = Peer::new(config());
    peer.connection.receive(&ProtocolHeader::Amqp.bytes());
    assert_eq!(peer.connection.poll(0), Ok(None));
    peer.connection.take_output();
    let outcome = peer.say(Performative::Open(Box::new(Open { max_frame_size: 511, ..Open::new("c") })));
    assert_eq!(outcome, Err(ConnectionError::PeerFrameSize { max_frame_size: 511 }));
    assert_eq!(peer.closed_for(), "amqp:invalid-field");
}

#[test]
fn handshake_ends_in_time_and_a_challenge_gives_more() {
    let mut peer = greeted();
    assert_eq!(peer.connection.deadline(), Some(30_000));
    assert_eq!(peer.connection.tick(29_999), Ok(()));
    sasl(&mut peer, &Sasl::Init(init(Mechanism::Tpm.symbol()))).expect("legal");
    peer.connection.sasl_challenge(Secret::new(vec![0])).expect("it waits");
    assert_eq!(peer.connection.deadline(), Some(90_000));
    assert_eq!(peer.connection.tick(30_000), Ok(()));
    assert_eq!(peer.connection.tick(90_000), Err(ConnectionError::Handshake));
    assert!(peer.connection.is_closed());
}

#[test]
fn peer_that_goes_silent_is_told_and_cut_at_twice_the_time_out() {
    let mut peer = Peer::open(config(), Open::new("c"));
    assert_eq!(peer.connection.deadline(), Some(480_000));
    assert_eq!(peer.connection.tick(479_999), Ok(()));
    assert!(!peer.connection.has_output());
    assert_eq!(peer.connection.tick(480_000), Err(ConnectionError::Idle));
    assert_eq!(peer.closed_for(), "amqp:resource-limit-exceeded");
}

#[test]
fn heartbeats_are_sent_at_half_of_the_peers_time_out_and_heard() {
    let open = Open { idle_time_out: Some(10_000), ..Open::new("c") };
    let mut peer = Peer::open(config(), open);
    let mut connection = peer.connection;
    assert_eq!(connection.deadline(), Some(5_000));
    assert_eq!(connection.tick(5_000), Ok(()));
    assert_eq!(connection.take_output()[..], *b"\0\0\0\x08\x02\0\0\0");
    assert_eq!(connection.deadline(), Some(10_000));
    connection.receive(b"\0\0\0\x08\x02\0\0\0");
    assert_eq!(connection.poll(100_000), Ok(None));
    connection.tick(100_000).expect("a heartbeat");
    connection.tick(500_000).expect("silence is counted from the heartbeat that came");
    peer.connection = connection;
    assert_eq!(peer.connection.tick(580_000), Err(ConnectionError::Idle));
}

#[test]
fn heartbeat_of_a_hasty_peer_keeps_a_least_distance() {
    let open = Open { idle_time_out: Some(1), ..Open::new("c") };
    assert_eq!(Peer::open(config(), open).connection.deadline(), Some(500));
}

#[test]
fn close_waits_for_the_peers_but_not_for_ever() {
    let mut peer = Peer::open(config(), Open::new("c"));
    peer.connection.close(None, 1_000);
    assert_eq!(peer.heard(), [Performative::Close(None)]);
    assert_eq!(peer.connection.deadline(), Some(6_000));
    assert_eq!(peer.connection.tick(6_000), Ok(()));
    assert!(peer.connection.is_closed());
}

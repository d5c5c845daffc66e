//! AMQP bytes as a stranger sends them. However the stream is cut, the connection asks and answers the same; it keeps
//! its bounds whatever comes; and every frame that decodes, encodes and decodes to itself.
//!
//! The first byte chooses: bit 0 whether these are frames alone (else a server's connection), bits 1 to 3 how its
//! caller answers, the rest the size of the pieces. Seeds: the golden conversations.
#![no_main]

use std::sync::Arc;

use bytes::BytesMut;
use dps_wire::amqp::connection::{Config, Connection, Event, LinkId};
use dps_wire::amqp::frame::{Frame, ProtocolHeader};
use dps_wire::amqp::message::Message;
use dps_wire::amqp::performative::{AmqpError, DeliveryState, Performative, Role, SaslCode};
use dps_wire::amqp::sasl::Mechanism;
use dps_wire::amqp::value::Secret;
use libfuzzer_sys::fuzz_target;

const MAX_FRAME: u32 = 4096;

fuzz_target!(|data: &[u8]| {
    let Some((choice, bytes)) = data.split_first() else { return };
    if choice & 1 == 1 {
        return frames(bytes);
    }
    let piece = usize::from(choice >> 4) + 1;
    let whole = converse(*choice, bytes, bytes.len().max(1));
    assert_eq!(whole, converse(*choice, bytes, piece));
});

fn frames(bytes: &[u8]) {
    let mut input = BytesMut::from(bytes);
    while ProtocolHeader::decode(&mut input).is_some_and(|header| header != ProtocolHeader::Other) {}
    while let Ok(Some(frame)) = Frame::decode(&mut input, MAX_FRAME as usize) {
        if let Ok(message) = Message::decode(&frame.payload) {
            let mut again = BytesMut::new();
            message.encode(&mut again);
            assert_eq!(Message::decode(&again), Ok(message));
        }
        let mut again = BytesMut::new();
        frame.encode(&mut again);
        let size = again.len();
        let decoded = Frame::decode(&mut again, size).expect("what we write, we read").expect("all of it");
        // What is of another specification is not written.
        let unsaid = matches!(&frame.performative, Some(Performative::Disposition(disposition))
            if matches!(disposition.state, Some(DeliveryState::Received | DeliveryState::Other)));
        if !unsaid {
            assert_eq!(decoded, frame);
        }
    }
}

fn config(choice: u8) -> Config {
    let mechanisms = vec![Mechanism::Plain.symbol(), Mechanism::Tpm.symbol()];
    Config {
        without_sasl: choice & 2 == 2,
        max_frame_size: MAX_FRAME,
        max_sessions: 2,
        max_links: 4,
        link_credit: 4,
        max_message_size: 8192,
        max_partial: 12_000,
        max_queued: 2,
        max_queued_bytes: 8192,
        max_unsettled: 3,
        max_output: 16_384,
        ..Config::new("fuzz", mechanisms)
    }
}

/// What was asked, and what was written.
fn converse(choice: u8, bytes: &[u8], piece: usize) -> (Vec<String>, Vec<u8>) {
    let mut connection = Connection::new(Arc::new(config(choice)), 0);
    let (mut asked, mut written) = (Vec::new(), Vec::new());
    let mut answers = None;
    for piece in bytes.chunks(piece) {
        if !connection.wants_input() {
            break;
        }
        connection.receive(piece);
        loop {
            match connection.poll(0) {
                Ok(None) => break,
                Ok(Some(event)) => {
                    asked.push(format!("{event:?}"));
                    answer(&mut connection, choice, event, &mut answers);
                }
                Err(error) => {
                    assert!(connection.is_closed());
                    asked.push(error.to_string());
                }
            }
            written.extend_from_slice(&connection.take_output());
        }
        written.extend_from_slice(&connection.take_output());
        assert!(connection.links() <= 4);
    }
    (asked, written)
}

/// Answers that may fail do no harm: the link may be gone, the queue full.
fn answer(connection: &mut Connection, choice: u8, event: Event, answers: &mut Option<LinkId>) {
    let (reject, twice) = (choice & 4 == 4, choice & 8 == 8);
    match event {
        Event::SaslInit(_) if twice => connection.sasl_challenge(Secret::new(vec![0])).expect("it is due"),
        Event::SaslInit(_) | Event::SaslResponse(_) => {
            connection.sasl_outcome(SaslCode::Ok).expect("it is due");
        }
        Event::Open(_) => connection.accept_open(0).expect("it is due"),
        Event::Attach { link, attach } => {
            if attach.address().is_none() {
                return connection
                    .refuse_link(link, AmqpError::new("amqp:not-found", "no"))
                    .expect("it is due");
            }
            if attach.role == Role::Receiver {
                *answers = Some(link);
            }
            connection.accept_link(link).expect("it is due");
        }
        Event::Delivery { id, settled, message } => {
            let done = if reject {
                connection.reject(id, AmqpError::new("amqp:not-found", "no"))
            } else if twice && message.as_ref().is_ok_and(|message| message.body.as_bytes().is_none()) {
                connection.detach_link(id.link(), None)
            } else {
                connection.accept(id)
            };
            assert!(settled || done.is_ok(), "{done:?}");
            if let (Some(link), Ok(message)) = (answers, message) {
                let _ = connection.send(*link, &message, twice);
            }
        }
        Event::Verdict { .. } | Event::Detached { .. } | Event::Closed(_) => {}
    }
}

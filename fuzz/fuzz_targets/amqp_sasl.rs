//! What a stranger says before it is anyone: a SASL frame, PLAIN, the TPM exchange message by message, link addresses.
//! Messages are framed by two bytes of length. Whatever comes ends in a step or a sentence, and the exchange never
//! gives keys or a token out of turn.
#![no_main]

use bytes::BytesMut;
use dps_wire::amqp::address::{DpsAddress, HubAddress};
use dps_wire::amqp::frame::{decode_sasl, encode_sasl};
use dps_wire::amqp::limits::{MAX_SASL_FRAME, MAX_TPM_KEY_BYTES};
use dps_wire::amqp::performative::Sasl;
use dps_wire::amqp::sasl::{Plain, TpmExchange, TpmStep};
use dps_wire::amqp::value::Secret;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut input = BytesMut::from(data);
    while let Ok(Some(said)) = decode_sasl(&mut input) {
        let mut again = BytesMut::new();
        encode_sasl(&said, &mut again);
        if again.len() <= MAX_SASL_FRAME {
            assert_eq!(decode_sasl(&mut again), Ok(Some(said)));
        }
    }
    let messages = split(data);
    for message in &messages {
        if let Ok(plain) = Plain::parse(&Secret::new(message.clone())) {
            assert_eq!(plain.response().expose(), message);
        }
        if let Ok(text) = std::str::from_utf8(message) {
            if let Ok(address) = DpsAddress::parse(text) {
                assert!(!address.id_scope.is_empty() && !address.registration_id.is_empty());
            }
            let _ = HubAddress::parse(text);
        }
    }
    exchange(messages);
});

fn exchange(messages: Vec<Vec<u8>>) {
    let mut exchange = TpmExchange::new();
    let (mut activated, mut done) = (false, false);
    for message in messages {
        match exchange.receive(&Secret::new(message)) {
            Ok(TpmStep::Challenge(challenge)) => {
                let mut frame = BytesMut::new();
                encode_sasl(&Sasl::Challenge(challenge), &mut frame);
                assert!(frame.len() <= MAX_SASL_FRAME && !done);
            }
            Ok(TpmStep::Activate(keys)) => {
                assert!(!activated && !done);
                assert!(keys.endorsement_key.len() + keys.storage_root_key.len() <= 2 * MAX_TPM_KEY_BYTES);
                activated = true;
                let blob = vec![7; 2 + keys.endorsement_key.len() % 939];
                assert!(matches!(exchange.activate(&blob), Ok(TpmStep::Challenge(_))));
            }
            Ok(TpmStep::Token(_)) => {
                assert!(activated && !done);
                done = true;
            }
            Err(error) => {
                assert!(error.to_string().contains(' '));
                break;
            }
        }
    }
}

fn split(mut data: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while let Some((length, rest)) = data.split_first_chunk::<2>() {
        let (message, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
        messages.push(message.to_vec());
        data = rest;
    }
    messages
}

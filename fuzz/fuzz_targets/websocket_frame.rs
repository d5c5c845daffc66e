//! WebSocket frames as a stranger sends them. However the stream is cut, payload and end are the same; what comes out
//! is never more than what went in; and the payload, framed again, comes out as it was.
//!
//! The first byte chooses: bit 0 the reading role (0 server, 1 client), the rest the size of the pieces. Seeds: the
//! examples of RFC 6455 §5.7 and the frames that the SDKs send.
#![no_main]

use bytes::BytesMut;
use dps_wire::websocket::limits::MAX_CONTROL_DATA;
use dps_wire::websocket::{Decoder, End, Opcode, Role, encode};
use libfuzzer_sys::fuzz_target;

const MAX_MESSAGE: u64 = 4096;

fuzz_target!(|data: &[u8]| {
    let Some((choice, stream)) = data.split_first() else { return };
    let role = if choice & 1 == 0 { Role::Server } else { Role::Client };
    let piece = usize::from(choice >> 1) + 1;
    let whole = decode(role, stream, stream.len().max(1));
    assert_eq!(whole, decode(role, stream, piece));
    let (payload, end) = whole;
    if let Some(End::Failed(error)) = &end {
        assert!(!error.to_string().is_empty());
        assert!(matches!(error.close_code(), 1002 | 1003 | 1007 | 1009));
    }
    round_trip(role, &payload, piece);
});

fn decode(role: Role, stream: &[u8], piece: usize) -> (Vec<u8>, Option<End>) {
    let mut decoder = Decoder::new(role, MAX_MESSAGE);
    let (mut payload, mut end) = (Vec::new(), None);
    for piece in stream.chunks(piece) {
        let mut piece = piece.to_vec();
        let decoded = decoder.decode(&mut piece);
        assert!(end.is_none() || (decoded.payload == 0 && decoded.ping.is_none() && decoded.end.is_none()));
        assert!(decoded.ping.is_none_or(|ping| ping.len() <= MAX_CONTROL_DATA));
        payload.extend_from_slice(&piece[..decoded.payload]);
        end = end.or(decoded.end);
    }
    (payload, end)
}

fn round_trip(role: Role, payload: &[u8], piece: usize) {
    let mask = (role == Role::Server).then_some([0x5a, 0, 0xff, 0x13]);
    let mut stream = BytesMut::new();
    for message in payload.chunks(4096) {
        encode(Opcode::Binary, message, mask, &mut stream);
        encode(Opcode::Ping, message, mask, &mut stream);
    }
    encode(Opcode::Close, &1000_u16.to_be_bytes(), mask, &mut stream);
    assert_eq!(decode(role, &stream, piece), (payload.to_vec(), Some(End::Closed(Some(1000)))));
}

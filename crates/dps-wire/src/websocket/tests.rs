use bytes::BytesMut;
use proptest::prelude::*;

use super::{Decoder, End, FrameError, Opcode, Role, encode};

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Everything that a stream holds, cut into pieces of that size: payload, pings, end.
fn decode(role: Role, stream: &[u8], piece: usize) -> (Vec<u8>, Vec<Vec<u8>>, Option<End>) {
    let mut decoder = Decoder::new(role, 1 << 17);
    let (mut payload, mut pings, mut end) = (Vec::new(), Vec::new(), None);
    for piece in stream.chunks(piece) {
        let mut piece = piece.to_vec();
        let decoded = decoder.decode(&mut piece);
        payload.extend_from_slice(&piece[..decoded.payload]);
        pings.extend(decoded.ping.map(|ping| ping.to_vec()));
        end = end.or(decoded.end);
    }
    (payload, pings, end)
}

fn frame(first: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    encode(Opcode::Binary, data, Some(MASK), &mut bytes);
    bytes[0] = first;
    bytes.to_vec()
}

#[test]
fn frames_of_rfc_6455_decode_as_it_says() {
    // §5.7, with binary for text: masked "Hello", unmasked fragments, ping and its pong.
    let hello = b"\x82\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    assert_eq!(decode(Role::Server, hello, 1).0, b"Hello");
    assert_eq!(decode(Role::Client, b"\x02\x03\x48\x65\x6c\x80\x02\x6c\x6f", 99).0, b"Hello");
    let (payload, pings, end) = decode(Role::Client, b"\x89\x05\x48\x65\x6c\x6c\x6f\x8a\x05Hello", 99);
    assert_eq!((payload, pings, end), (vec![], vec![b"Hello".to_vec()], None));
    for (length, head) in [(256, &b"\x82\x7e\x01\x00"[..]), (65_536, b"\x82\x7f\0\0\0\0\0\x01\0\0")] {
        let mut bytes = BytesMut::new();
        encode(Opcode::Binary, &vec![7; length], None, &mut bytes);
        assert_eq!(&bytes[..head.len()], head);
        assert_eq!(decode(Role::Client, &bytes, 1000).0, vec![7; length]);
    }
}

#[test]
fn control_frames_stand_between_fragments() {
    let mut stream = frame(0x02, b"one ");
    stream.extend(frame(0x89, b"are you there"));
    stream.extend(frame(0x00, b""));
    stream.extend(frame(0x80, b"two"));
    stream.extend(frame(0x88, b"\x03\xe8bye"));
    stream.extend(frame(0x82, b"ignored"));
    for piece in 1..=stream.len() {
        let (payload, pings, end) = decode(Role::Server, &stream, piece);
        assert_eq!(payload, b"one two", "{piece}");
        assert_eq!(pings, [b"are you there"]);
        assert_eq!(end, Some(End::Closed(Some(1000))));
    }
}

#[test]
fn last_ping_of_a_piece_alone_is_answered() {
    let mut stream = frame(0x89, b"1");
    stream.extend(frame(0x89, b"2"));
    assert_eq!(decode(Role::Server, &stream, 99).1, [b"2"]);
}

#[test]
fn broken_frames_end_the_stream_with_their_close_code() {
    let too_large = FrameError::TooLarge { limit: 1 << 17 };
    let twice = [frame(0x02, &vec![0; 1 << 16]), frame(0x00, &vec![0; (1 << 16) + 1])].concat();
    for (stream, error, code) in [
        (&b"\x82\x05Hello"[..], FrameError::Unmasked, 1002),
        (b"\x81\x80", FrameError::Text, 1003),
        (b"\xc2\x80", FrameError::ReservedBit, 1002),
        (b"\xa2\x80", FrameError::ReservedBit, 1002),
        (b"\x92\x80", FrameError::ReservedBit, 1002),
        (b"\x83\x80", FrameError::UnknownOpcode(3), 1002),
        (b"\x8b\x80", FrameError::UnknownOpcode(11), 1002),
        (b"\x09\x80", FrameError::ControlFragmented, 1002),
        (b"\x89\xfe\x00\x7e", FrameError::ControlTooLong, 1002),
        (b"\x88\xff", FrameError::ControlTooLong, 1002),
        (b"\x80\x80\0\0\0\0", FrameError::ContinuesNothing, 1002),
        (b"\x02\x80\0\0\0\0\x82\x80\0\0\0\0", FrameError::Interleaved, 1002),
        (b"\x82\xfe\x00\x7d\0\0\0\0", FrameError::LengthNotMinimal, 1002),
        (b"\x82\xff\0\0\0\0\0\0\xff\xff\0\0\0\0", FrameError::LengthNotMinimal, 1002),
        (b"\x82\xff\x80\0\0\0\0\x01\0\0\0\0\0\0", FrameError::LengthNotMinimal, 1002),
        (b"\x82\xff\0\0\0\0\0\x02\0\x01\0\0\0\0", too_large.clone(), 1009),
        (&twice, too_large, 1009),
        (&frame(0x88, b"\x03"), FrameError::CloseCode, 1002),
        (&frame(0x88, b"\x03\xed"), FrameError::CloseCode, 1002),
        (&frame(0x88, b"\x03\xe8\xff"), FrameError::CloseReason, 1007),
    ] {
        assert_eq!(error.close_code(), code, "{error}");
        for piece in [1, 7, stream.len()] {
            assert_eq!(decode(Role::Server, stream, piece).2, Some(End::Failed(error.clone())));
        }
    }
    assert_eq!(decode(Role::Client, b"\x82\x80", 1).2, Some(End::Failed(FrameError::Masked)));
    assert_eq!(decode(Role::Server, &frame(0x88, b""), 1).2, Some(End::Closed(None)));
}

#[test]
fn payload_before_a_broken_frame_is_delivered() {
    let stream = [&frame(0x82, b"good")[..], b"\x81\x80"].concat();
    for piece in 1..=stream.len() {
        let (payload, _, end) = decode(Role::Server, &stream, piece);
        assert_eq!((&payload[..], end), (&b"good"[..], Some(End::Failed(FrameError::Text))));
    }
}

proptest! {
    #[test]
    fn written_frames_decode_to_themselves(
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..700), 0..6),
        mask in any::<Option<[u8; 4]>>(),
        piece in 1_usize..900,
    ) {
        let mut stream = BytesMut::new();
        for message in &messages {
            encode(Opcode::Binary, message, mask, &mut stream);
        }
        let role = if mask.is_some() { Role::Server } else { Role::Client };
        prop_assert_eq!(decode(role, &stream, piece), (messages.concat(), vec![], None));
    }

    #[test]
    fn any_bytes_decode_alike_however_they_are_cut(
        stream in prop::collection::vec(any::<u8>(), 0..300),
        piece in 1_usize..300,
    ) {
        for role in [Role::Server, Role::Client] {
            let (payload, _, end) = decode(role, &stream, stream.len().max(1));
            let (cut, _, cut_end) = decode(role, &stream, piece);
            prop_assert_eq!((&payload, &end), (&cut, &cut_end));
        }
    }
}

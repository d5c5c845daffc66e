//! HTTP/2 frame by frame, for what no library would send.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;

use super::server::Endpoint;
use super::tls;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// What a client says first.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame (RFC 9113 §4.1).
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [head.as_slice(), payload].concat()
}

/// A header field as it is, never indexed (RFC 7541 §6.2.3).
pub fn field(name: &str, value: &str) -> Vec<u8> {
    let mut encoded = vec![0x10];
    for text in [name, value] {
        integer(&mut encoded, text.len());
        encoded.extend_from_slice(text.as_bytes());
    }
    encoded
}

/// An integer with a prefix of seven bits (RFC 7541 §5.1).
fn integer(encoded: &mut Vec<u8>, number: usize) {
    if number < 127 {
        encoded.push(u8::try_from(number).unwrap());
        return;
    }
    encoded.push(127);
    let mut rest = number - 127;
    while rest >= 128 {
        encoded.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    encoded.push(u8::try_from(rest).unwrap());
}

/// The fields of a request.
pub fn request(method: &str, path: &str) -> Vec<u8> {
    let authority = field(":authority", "localhost");
    [field(":method", method), field(":scheme", "https"), field(":path", path), authority].concat()
}

/// A connection that has agreed on HTTP/2.
pub async fn connect(endpoint: &Endpoint) -> io::Result<tls::Stream> {
    let stream = tls::connect(endpoint.https, &endpoint.trust.speaking(&[b"h2"])).await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    Ok(stream)
}

/// What was read, and how it ended.
pub struct Heard {
    pub frames: Vec<(u8, Vec<u8>)>,
    /// The server has ended the connection by itself.
    pub cut: bool,
}

impl Heard {
    pub fn count(&self, kind: u8) -> usize {
        self.frames.iter().filter(|(known, _)| *known == kind).count()
    }
}

/// The last frame of an attack: it is answered when everything before it has been heard.
const LAST: &[u8] = b"the last";

/// Sends all of it while it reads whatever comes, until the server has heard the last of it and has answered so many
/// requests, or has ended the connection.
pub async fn say(endpoint: &Endpoint, bytes: &[u8], answers: usize) -> io::Result<Heard> {
    let (mut reader, mut writer) = tokio::io::split(connect(endpoint).await?);
    let enough = Notify::new();
    let write = async {
        let last = frame(PING, 0, 0, LAST);
        // The server may well have ended it before.
        let _ = writer.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[]), bytes, &last].concat()).await;
        let _ = writer.flush().await;
        enough.notified().await;
        let _ = writer.shutdown().await;
    };
    let read = async {
        let mut heard = Heard { frames: Vec::new(), cut: true };
        let (mut input, mut answered, mut told) = (BytesMut::new(), 0, false);
        while let Ok(1..) = reader.read_buf(&mut input).await {
            while let Some((kind, payload)) = next(&mut input) {
                answered += usize::from(kind == HEADERS);
                told |= kind == PING && payload == LAST;
                heard.frames.push((kind, payload));
            }
            if told && answered >= answers {
                heard.cut = false;
                enough.notify_one();
            }
        }
        enough.notify_one();
        heard
    };
    Ok(tokio::join!(write, read).1)
}

fn next(input: &mut BytesMut) -> Option<(u8, Vec<u8>)> {
    let head = input.get(..9)?;
    let (kind, length) = (head[3], u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize);
    if input.len() < 9 + length {
        return None;
    }
    let whole = input.split_to(9 + length);
    Some((kind, whole[9..].to_vec()))
}

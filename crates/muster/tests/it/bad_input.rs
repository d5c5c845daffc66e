//! Hostile bytes in every layer: the server answers or closes, an honest device registers meanwhile and right after,
//! nothing panics and memory stays bounded. Everything random is the same in every run.

use std::io;

use dps_wire::mqtt::packet::{Packet, PacketId, QoS, Subscribe, SubscribeFilter};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::harness::http::{Answer, Http};
use crate::harness::http2::{
    self, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE,
    field, frame, request,
};
use crate::harness::random::Random;
use crate::harness::server::Endpoint;
use crate::harness::victim::Victim;
use crate::harness::{mqtt, run, tls};

const SEED: u64 = 0x0BAD_1DEA;
/// Attempts of each random attack on each port.
const ROUNDS: usize = 60;
/// Longest piece of random bytes.
const LONGEST: usize = 20_000;
/// Memory of the server under any of these, in bytes.
const MEMORY: usize = 256 * 1024 * 1024;
/// What an HTTP/2 client may do as often as it likes: it costs the server little.
const BORNE: [&str; 4] = ["settings", "pings", "no path", "frames of no kind"];
/// What it may do until the server, as busy as it is, falls behind.
const BORNE_FOR_A_WHILE: [&str; 5] = [
    "rapid reset",
    "requests at once",
    "requests whose answers have no window",
    "empty data",
    // What comes on a stream that was answered meanwhile is thrown away, and its window given back.
    "data beyond the window",
];
/// A head of this size is read in one go.
const HEAD_IN_ONE: usize = 8 * 1024;
/// Most of a body that is taken (Azure: 96 KB).
const MAX_BODY: usize = 96 * 1024;

/// Runs an attack while honest devices register, and looks at the server afterwards.
fn attack<F: Future<Output = ()>>(attack: impl FnOnce(Endpoint) -> F) {
    run(async {
        let victim = Victim::start().await;
        let ((), registered) = victim.serves_during(attack(victim.endpoint.clone())).await;
        assert!(registered > 0);
        victim.unharmed(MEMORY).await;
    });
}

/// Sends all of it, says that there is no more, and reads to the end, which may be a reset.
async fn sent_and_closed(stream: impl AsyncRead + AsyncWrite, bytes: &[u8]) -> Vec<u8> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let write = async {
        // The server may have closed before it has heard everything.
        let _ = writer.write_all(bytes).await;
        let _ = writer.shutdown().await;
    };
    let read = async {
        let mut heard = Vec::new();
        while let Ok(1..) = reader.read_buf(&mut heard).await {}
        heard
    };
    tokio::join!(write, read).1
}

fn ports(endpoint: &Endpoint) -> [u16; 3] {
    [endpoint.https, endpoint.mqtt, endpoint.amqp]
}

async fn secure(port: u16, endpoint: &Endpoint) -> tls::Stream {
    tls::connect(port, &endpoint.trust.plain).await.unwrap()
}

/// The first flight of a client, to be broken.
fn client_hello() -> Vec<u8> {
    let mut extensions = vec![0, 43, 0, 3, 2, 3, 4, 0, 10, 0, 4, 0, 2, 0, 23, 0, 13, 0, 4, 0, 2, 4, 3];
    extensions.extend([0, 0, 0, 14, 0, 12, 0, 0, 9]);
    extensions.extend(b"localhost");
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 4, 0x13, 0x01, 0xc0, 0x2b, 1, 0]);
    body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend(extensions);
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    record(22, &[&[1, 0, length[0], length[1]][..], &body].concat())
}

fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[kind, 3, 1, length[0], length[1]][..], payload].concat()
}

/// One byte or a few of it changed, and perhaps cut short.
fn damaged(random: &mut Random, whole: &[u8]) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        bytes[at] = random.next().to_le_bytes()[0];
    }
    if random.below(3) == 0 {
        bytes.truncate(random.below(bytes.len() + 1));
    }
    bytes
}

#[test]
fn garbage_tls_records_are_refused_on_each_port() {
    attack(async |endpoint| {
        let hello = client_hello();
        let handshake = hello[5..].to_vec();
        let fixed = [
            // A record for each byte; a record for nothing, again and again; a length beyond the limit.
            handshake.iter().flat_map(|byte| record(22, &[*byte])).collect::<Vec<_>>(),
            record(22, &[]).repeat(5_000),
            [&[22, 3, 3, 255, 255][..], &vec![0; 70_000]].concat(),
            // A handshake message of 16 MB, which begins.
            record(22, &[&[1, 255, 255, 255][..], &[0; 10_000]].concat()).repeat(20),
            // Alerts, data and a changed cipher before any hello.
            record(21, &[1, 0]).repeat(1_000),
            record(23, &[0; 1_000]),
            record(20, &[1]).repeat(1_000),
            // A hello twice, and one that goes on as plain text.
            [hello.clone(), hello.clone()].concat(),
            [&hello[..], b"GET / HTTP/1.1\r\n\r\n"].concat(),
            // As SSL 2 said it.
            vec![0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10],
        ];
        let mut random = Random::new(SEED);
        for port in ports(&endpoint) {
            for bytes in &fixed {
                sent_and_closed(tls::tcp(port).await.unwrap(), bytes).await;
            }
            for _ in 0..ROUNDS {
                let length = random.below(LONGEST);
                let bytes = random.bytes(length);
                sent_and_closed(tls::tcp(port).await.unwrap(), &bytes).await;
                let bytes = damaged(&mut random, &hello);
                sent_and_closed(tls::tcp(port).await.unwrap(), &bytes).await;
            }
        }
    });
}

#[test]
fn random_bytes_inside_tls_are_refused_on_each_port() {
    attack(async |endpoint| {
        let connect =
            mqtt::bytes(&mqtt::hello(&endpoint.id_scope, "garbage", Some("SharedAccessSignature x")));
        let put = format!(
            "PUT /{}/registrations/g/register?api-version=2019-03-31 HTTP/1.1\r\nHost: localhost\r\n\
             Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}",
            endpoint.id_scope
        );
        let honest = [put.as_bytes(), &connect, b"AMQP\x03\x01\x00\x00"];
        let mut random = Random::new(SEED + 1);
        for (port, honest) in ports(&endpoint).into_iter().zip(honest) {
            for _ in 0..ROUNDS {
                let length = random.below(LONGEST);
                let bytes = random.bytes(length);
                sent_and_closed(secure(port, &endpoint).await, &bytes).await;
                let bytes = damaged(&mut random, honest);
                sent_and_closed(secure(port, &endpoint).await, &bytes).await;
            }
        }
        // TLS that is broken after the handshake: the record is no one's.
        for port in ports(&endpoint) {
            let (mut tcp, _) = secure(port, &endpoint).await.into_inner();
            tcp.write_all(&record(23, &random.bytes(500))).await.unwrap();
            let mut heard = Vec::new();
            while let Ok(1..) = tcp.read_buf(&mut heard).await {}
        }
    });
}

/// The status of the answer to a head; none when the connection was closed without one.
async fn status(endpoint: &Endpoint, head: &[u8]) -> Option<u16> {
    let mut http = Http::over(secure(endpoint.https, endpoint).await);
    // The server may have closed before it has heard everything.
    let _ = http.send(head).await;
    Some(http.answer().await.ok()?.status)
}

#[test]
fn hostile_heads_are_refused() {
    attack(async |endpoint| {
        let get = "GET / HTTP/1.1\r\nHost: localhost\r\n";
        let post = "POST / HTTP/1.1\r\nHost: localhost\r\n";
        let heads: Vec<(&str, String, &[u16])> = vec![
            ("a header of 1 MB", format!("{get}X: {}\r\n\r\n", "x".repeat(1 << 20)), &[431]),
            ("10,000 headers", format!("{get}{}\r\n", "X: y\r\n".repeat(10_000)), &[431]),
            ("200 headers", format!("{get}{}\r\n", "X: y\r\n".repeat(200)), &[431]),
            ("a path of 1 MB", format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(1 << 20)), &[414, 431]),
            ("a method of 1 MB", format!("{} / HTTP/1.1\r\n\r\n", "X".repeat(1 << 20)), &[400, 431]),
            ("a NUL in a value", format!("{get}X: a\0b\r\n\r\n"), &[400]),
            ("a space before the colon", format!("{get}X : y\r\n\r\n"), &[400]),
            ("a folded header", format!("{get}X: a\r\n b\r\n\r\n"), &[400, 404]),
            ("two lengths", format!("{post}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), &[400]),
            ("a negative length", format!("{post}Content-Length: -1\r\n\r\n"), &[400]),
            (
                "a length beyond numbers",
                format!("{post}Content-Length: 99999999999999999999\r\n\r\n"),
                &[400],
            ),
            (
                "a length and chunks",
                format!("{post}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
                &[400, 404],
            ),
            ("chunks that are not last", format!("{post}Transfer-Encoding: chunked, gzip\r\n\r\n"), &[400]),
            ("HTTP/3 in words", "GET / HTTP/3.0\r\n\r\n".to_owned(), &[400, 505]),
            ("no version", "GET /\r\n\r\n".to_owned(), &[400]),
            ("another host", "GET http://[::1/ HTTP/1.1\r\n\r\n".to_owned(), &[400]),
        ];
        for (what, head, expected) in heads {
            let status = status(&endpoint, head.as_bytes()).await;
            // An answer to what is still being sent may be lost with the connection.
            let lost = status.is_none() && head.len() > HEAD_IN_ONE;
            assert!(lost || status.is_some_and(|status| expected.contains(&status)), "{what}: {status:?}");
        }
    });
}

/// A register request of a device that nobody knows, with that body.
async fn register(endpoint: &Endpoint, headers: &str, body: &[u8]) -> io::Result<Answer> {
    let head = format!(
        "PUT /{}/registrations/unknown/register?api-version=2019-03-31 HTTP/1.1\r\nHost: localhost\r\n\
         Content-Type: application/json\r\n{headers}\r\n\r\n",
        endpoint.id_scope
    );
    let mut http = Http::over(secure(endpoint.https, endpoint).await);
    http.send(&[head.as_bytes(), body].concat()).await?;
    http.answer().await
}

/// The same, with the length that it has.
async fn register_whole(endpoint: &Endpoint, body: &[u8]) -> Answer {
    register(endpoint, &format!("Content-Length: {}", body.len()), body).await.unwrap()
}

fn chunked(body: &[u8], chunk: usize) -> Vec<u8> {
    let mut encoded = Vec::new();
    for piece in body.chunks(chunk) {
        encoded.extend(format!("{:x}\r\n", piece.len()).as_bytes());
        encoded.extend(piece);
        encoded.extend(b"\r\n");
    }
    encoded.extend(b"0\r\n\r\n");
    encoded
}

#[test]
fn hostile_bodies_are_answered() {
    attack(async |endpoint| {
        let nested = |open: &str, depth: usize| format!(r#"{{"payload":{}"#, open.repeat(depth)).into_bytes();
        let closed = |depth: usize| {
            format!(r#"{{"payload":{}1{}}}"#, "[".repeat(depth), "]".repeat(depth)).into_bytes()
        };
        let malformed = [
            nested("[", MAX_BODY - 100),
            nested(r#"{"a":"#, (MAX_BODY - 100) / 5),
            closed(40_000),
            closed(128),
            br#"{"payload":1e999999999999}"#.to_vec(),
            br#"{"registrationId":"\ud800"}"#.to_vec(),
            b"\xef\xbb\xbf{}".to_vec(),
        ];
        for body in malformed {
            let answer = register_whole(&endpoint, &body).await;
            let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
            // A number beyond what a double holds is still JSON; then the device is simply unknown.
            let expected: &[u16] = if shown.contains("1e9") { &[400, 401] } else { &[400] };
            assert!(expected.contains(&answer.status), "{shown}: {answer:?}");
            assert!(answer.json()["trackingId"].is_string(), "{shown}: {answer:?}");
        }
        // What is refused for its size is refused in words, and not by a reset that takes the words away.
        let large = vec![b' '; MAX_BODY + 1];
        assert_eq!(register_whole(&endpoint, &large).await.status, 413);
        assert_eq!(register_whole(&endpoint, &vec![b' '; 10 * MAX_BODY]).await.status, 413);
        for chunk in [1, 100, 64 * 1024] {
            let answer = register(&endpoint, "Transfer-Encoding: chunked", &chunked(&large, chunk)).await;
            assert_eq!(answer.unwrap().status, 413, "in chunks of {chunk}");
        }
        let chunks: [&[u8]; 6] = [
            b"fffffffffffffffff\r\n",
            b"-1\r\n\r\n",
            b"zz\r\n{}\r\n0\r\n\r\n",
            b"2\r\n{}ab0\r\n\r\n",
            &[b"2;".as_slice(), &vec![b'x'; 1 << 20], b"\r\n{}\r\n0\r\n\r\n"].concat(),
            &[b"0\r\n".as_slice(), &b"X: y\r\n".repeat(100_000), b"\r\n"].concat(),
        ];
        for body in chunks {
            if let Ok(answer) = register(&endpoint, "Transfer-Encoding: chunked", body).await {
                assert!((400..500).contains(&answer.status), "{answer:?}");
            }
        }
        // More than anyone would read to its end: an answer, or the end.
        let endless = vec![b' '; 40 * MAX_BODY];
        if let Ok(answer) = register(&endpoint, "Content-Length: 999999999999", &endless).await {
            assert_eq!(answer.status, 413);
        }
    });
}

#[test]
fn http2_abuse_ends_the_connection_and_harms_nobody() {
    attack(async |endpoint| {
        let path = format!("/{}/registrations/x/register?api-version=2019-03-31", endpoint.id_scope);
        let put = request("PUT", &path);
        let odd = |number: u32| 2 * number + 1;
        let open = |number: u32| frame(HEADERS, END_HEADERS, odd(number), &put);
        let whole = |number: u32| frame(HEADERS, END_HEADERS | END_STREAM, odd(number), &put);
        let reset = |number: u32| frame(RST_STREAM, 0, odd(number), &8_u32.to_be_bytes());
        let many = |count: u32, one: &dyn Fn(u32) -> Vec<u8>| (0..count).flat_map(one).collect::<Vec<_>>();
        let long = field("x", &"y".repeat(10_000));
        let indexed = [vec![0x40, 1, b'x', 0x7f, 0xf1, 0x1e], vec![b'y'; 4_080], vec![0xbe; 12_000]].concat();
        let no_window = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
        let attacks: Vec<(&str, Vec<u8>)> = vec![
            ("rapid reset", many(20_000, &|number| [whole(number), reset(number)].concat())),
            ("streams that stay open", many(2_000, &open)),
            ("requests at once", many(2_000, &whole)),
            ("requests whose answers have no window", [no_window, many(500, &whole)].concat()),
            (
                "continuations without an end",
                [frame(HEADERS, 0, 1, &put), frame(CONTINUATION, 0, 1, &long).repeat(400)].concat(),
            ),
            (
                "empty continuations",
                [frame(HEADERS, 0, 1, &put), frame(CONTINUATION, 0, 1, &[]).repeat(100_000)].concat(),
            ),
            (
                "a table entry named again and again",
                many(50, &|number| {
                    frame(HEADERS, END_HEADERS, odd(number), &[&put[..], &indexed[..16_000]].concat())
                }),
            ),
            ("settings", frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 1]).repeat(50_000)),
            ("pings", frame(PING, 0, 0, &[0; 8]).repeat(100_000)),
            ("empty data", [open(0), frame(DATA, 0, 1, &[]).repeat(100_000)].concat()),
            ("a window beyond numbers", frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes()).repeat(2)),
            ("data on no stream", frame(DATA, 0, 0, b"x")),
            ("data beyond the window", [open(0), frame(DATA, 0, 1, &[0; 16_000]).repeat(200)].concat()),
            ("a frame beyond the limit", frame(DATA, 0, 1, &vec![0; 1 << 20])),
            ("an even stream", frame(HEADERS, END_HEADERS, 2, &put)),
            ("no path", frame(HEADERS, END_HEADERS | END_STREAM, 1, &field(":method", "GET"))),
            (
                "an index of nothing",
                frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
            ),
            ("frames of no kind", frame(0xee, 0xff, 77, &[0; 100]).repeat(10_000)),
        ];
        for (what, bytes) in &attacks {
            let heard = http2::say(&endpoint, bytes, 0).await.unwrap();
            assert_eq!(heard.frames.first().map(|(kind, _)| *kind), Some(SETTINGS), "{what}");
            if !BORNE_FOR_A_WHILE.contains(what) {
                assert_eq!(heard.cut, !BORNE.contains(what), "{what}");
            }
        }
        let mut random = Random::new(SEED + 2);
        for _ in 0..ROUNDS {
            let opening = [http2::PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
            let bytes = [opening, damaged(&mut random, &many(20, &whole))].concat();
            sent_and_closed(http2::connect(&endpoint).await.unwrap(), &bytes).await;
        }
        // And the same requests, as they should be.
        let heard = http2::say(&endpoint, &many(20, &whole), 20).await.unwrap();
        assert_eq!((heard.count(HEADERS), heard.cut), (20, false));
    });
}

#[test]
fn mqtt_in_pieces_is_served_and_cut_off_anywhere_is_forgotten() {
    attack(async |endpoint| {
        let filter = SubscribeFilter { filter: "$dps/registrations/res/#".to_owned(), qos: QoS::AtLeastOnce };
        let packet_id = PacketId::new(1).unwrap();
        let subscribe = Packet::Subscribe(Subscribe { packet_id, filters: vec![filter] });
        let hello = mqtt::bytes(&mqtt::hello(&endpoint.id_scope, "pieces", Some("SharedAccessSignature x")));
        let whole = [hello, mqtt::bytes(&subscribe), vec![0xc0, 0], vec![0xe0, 0]].concat();
        // A TLS record for each byte.
        let mut stream = secure(endpoint.mqtt, &endpoint).await;
        for byte in &whole {
            stream.write_all(&[*byte]).await.unwrap();
            stream.flush().await.unwrap();
        }
        let mut heard = Vec::new();
        while let Ok(1..) = stream.read_buf(&mut heard).await {}
        assert_eq!(heard, [0x20, 2, 0, 0, 0x90, 3, 0, 1, 1, 0xd0, 0], "CONNACK, SUBACK, PINGRESP");
        for end in 0..whole.len() {
            sent_and_closed(secure(endpoint.mqtt, &endpoint).await, &whole[..end]).await;
        }
        let mut random = Random::new(SEED + 3);
        for _ in 0..4 * ROUNDS {
            let bytes = damaged(&mut random, &whole);
            sent_and_closed(secure(endpoint.mqtt, &endpoint).await, &bytes).await;
        }
    });
}

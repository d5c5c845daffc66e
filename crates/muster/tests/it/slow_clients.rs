//! Clients that are slow on purpose, each in its own way: every one is sent away by a timeout of the server, and no
//! honest device notices any of them. Nothing is measured: each attacker goes on until its connection has ended.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use dps_wire::mqtt::packet::{Delivery, Packet, PacketId, Publish, QoS, Subscribe, SubscribeFilter};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;

use crate::harness::http::Http;
use crate::harness::mqtt::{self, Mqtt};
use crate::harness::run;
use crate::harness::server::Endpoint;
use crate::harness::tls;
use crate::harness::victim::Victim;

/// Each kind of attacker comes so many times at once.
const OF_EACH_KIND: usize = 8;
/// The pace of those who dribble.
const A_BYTE_EVERY: Duration = Duration::from_millis(500);
/// Memory of the server with all of them, in bytes.
const MEMORY: usize = 256 * 1024 * 1024;

#[test]
fn slow_clients_are_sent_away_and_cost_no_device_its_registration() {
    run(async {
        let victim = Victim::start().await;
        let endpoint = Arc::new(victim.endpoint.clone());
        let mut attackers = JoinSet::new();
        for _ in 0..OF_EACH_KIND {
            for port in [endpoint.https, endpoint.mqtt, endpoint.amqp] {
                attackers.spawn(dribbled_hello(port));
            }
            attackers.spawn(dribbled_head(Arc::clone(&endpoint)));
            attackers.spawn(dribbled_second_head(Arc::clone(&endpoint)));
            for target in ["/0ne/registrations/slow/register", "/enrollments/slow", "/devices/slow"] {
                attackers.spawn(dribbled_body(Arc::clone(&endpoint), target));
            }
            attackers.spawn(dribbled_connect(Arc::clone(&endpoint)));
            attackers.spawn(dribbled_publish(Arc::clone(&endpoint)));
            attackers.spawn(dribbled_amqp(Arc::clone(&endpoint)));
            attackers.spawn(unread_answers_of_http(Arc::clone(&endpoint)));
            attackers.spawn(unread_answers_of_mqtt(Arc::clone(&endpoint)));
        }
        let ended = async {
            while let Some(attacker) = attackers.join_next().await {
                attacker.unwrap();
            }
        };
        let ((), registered) = victim.serves_during(ended).await;
        println!("{registered} devices registered meanwhile");
        victim.unharmed(MEMORY).await;
    });
}

/// Sends byte after byte, at its pace, until the other side has ended the connection. Never comes to an end itself.
async fn dribble(stream: impl AsyncRead + AsyncWrite, bytes: impl Iterator<Item = u8>) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let write = async {
        let mut pace = tokio::time::interval(A_BYTE_EVERY);
        for byte in bytes {
            pace.tick().await;
            if writer.write_all(&[byte]).await.is_err() || writer.flush().await.is_err() {
                return;
            }
        }
        panic!("the attacker had all the time it wanted");
    };
    let read = async {
        let mut answer = [0; 1024];
        while let Ok(1..) = reader.read(&mut answer).await {}
    };
    tokio::select! {
        () = write => {}
        () = read => {}
    }
}

/// Enough of the same byte for longer than any timeout.
fn long(byte: u8) -> impl Iterator<Item = u8> {
    std::iter::repeat_n(byte, 2_000)
}

async fn tls_to(port: u16, endpoint: &Endpoint) -> tls::Stream {
    tls::connect(port, &endpoint.trust.plain).await.unwrap()
}

async fn dribbled_hello(port: u16) {
    let record = [22, 3, 1, 16, 0, 1, 0, 15, 252, 3, 3];
    dribble(tls::tcp(port).await.unwrap(), record.into_iter().chain(long(1))).await;
}

async fn dribbled_head(endpoint: Arc<Endpoint>) {
    let head = b"GET / HTTP/1.1\r\nX: ".iter().copied();
    dribble(tls_to(endpoint.https, &endpoint).await, head.chain(long(b'x'))).await;
}

/// The first request is a good one.
async fn dribbled_second_head(endpoint: Arc<Endpoint>) {
    let mut http = Http::over(tls_to(endpoint.https, &endpoint).await);
    http.ask("GET", "/", &[], None).await.unwrap();
    let head = b"GET / HTTP/1.1\r\nX: ".iter().copied();
    dribble(http.into_inner(), head.chain(long(b'x'))).await;
}

async fn dribbled_body(endpoint: Arc<Endpoint>, target: &str) {
    let mut stream = tls_to(endpoint.https, &endpoint).await;
    // The path of a device has its scope; the owner of the others has shown a right token, or nothing would be read.
    let target = target.replace("0ne", &endpoint.id_scope);
    let token = if target.starts_with("/devices") { endpoint.hub_token() } else { endpoint.service_token() };
    let head = format!(
        "PUT {target}?api-version=2021-04-12 HTTP/1.1\r\nHost: localhost\r\nAuthorization: {token}\r\n\
         Content-Type: application/json\r\nContent-Length: 2000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    dribble(stream, long(b' ')).await;
}

async fn dribbled_connect(endpoint: Arc<Endpoint>) {
    let connect = [0x10, 0xff, 0x0f, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 0, 7, 0];
    dribble(tls_to(endpoint.mqtt, &endpoint).await, connect.into_iter().chain(long(b'x'))).await;
}

/// Half a packet is silence, and this client promised to speak every second.
async fn dribbled_publish(endpoint: Arc<Endpoint>) {
    let mut stream = tls_to(endpoint.mqtt, &endpoint).await;
    let Packet::Connect(mut connect) = mqtt::hello(&endpoint.id_scope, "dribbler", None) else { return };
    connect.keep_alive = 1;
    stream.write_all(&mqtt::bytes(&Packet::Connect(connect))).await.unwrap();
    stream.flush().await.unwrap();
    dribble(stream, [0x30, 0xff, 0x7f, 0, 100].into_iter().chain(long(b'x'))).await;
}

async fn dribbled_amqp(endpoint: Arc<Endpoint>) {
    dribble(tls_to(endpoint.amqp, &endpoint).await, b"AMQP\x03".iter().copied().chain(long(1))).await;
}

/// A connection that takes in little.
async fn narrow(port: u16, endpoint: &Endpoint) -> tls::Stream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    let tcp = socket.connect(([127, 0, 0, 1], port).into()).await.unwrap();
    SockRef::from(&tcp).set_send_buffer_size(4 * 1024).unwrap();
    tls::over(tcp, &endpoint.trust.plain).await.unwrap()
}

/// Asks and asks and never reads an answer, until the connection breaks.
async fn only_write(mut stream: tls::Stream, question: &[u8]) {
    let written = async {
        loop {
            stream.write_all(question).await?;
            stream.flush().await?;
        }
    };
    let ended: io::Result<()> = written.await;
    assert!(ended.is_err());
}

async fn unread_answers_of_http(endpoint: Arc<Endpoint>) {
    let stream = narrow(endpoint.https, &endpoint).await;
    only_write(stream, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
}

/// Each request has an answer of some size.
async fn unread_answers_of_mqtt(endpoint: Arc<Endpoint>) {
    let stream = narrow(endpoint.mqtt, &endpoint).await;
    let mut mqtt = Mqtt::connect(stream, &endpoint.id_scope, "deaf", None).await.unwrap();
    let filter = SubscribeFilter { filter: "$dps/registrations/res/#".to_owned(), qos: QoS::AtMostOnce };
    let packet_id = PacketId::new(1).unwrap();
    mqtt.send(&Packet::Subscribe(Subscribe { packet_id, filters: vec![filter] })).await.unwrap();
    let topic = "$dps/registrations/PUT/iotdps-register/?$rid=1".to_owned();
    let publish = Publish { topic, delivery: Delivery::AtMostOnce, retain: false, payload: "{}".into() };
    only_write(mqtt.stream, &mqtt::bytes(&Packet::Publish(publish))).await;
}

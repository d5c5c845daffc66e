//! A network in memory: every connection to a host is played by the next prepared behaviour, over real TLS and real
//! protocols, on a clock that a test holds.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use dps_wire::mqtt::packet::{ConnectReturnCode, Packet};
use dps_wire::mqtt::topic::hub::{DeviceTopic, HubTopic};
use http::Response;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use muster_device::{BoxStream, Connecting, Connector};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::mqtt_peer::Peer;
use crate::pki::Ca;
use crate::{ASSIGNING, HOST, OPERATION};

/// The date of every HTTP answer.
const NOW: &str = "Mon, 01 Jan 2024 00:00:00 GMT";

/// What one connection meets.
#[derive(Clone, Debug)]
pub enum Does {
    /// Nobody is there.
    Down,
    /// CONNACK with this code.
    Refuse(ConnectReturnCode),
    /// A service that assigns the device to this hub.
    Assign(&'static str),
    /// A service that answers register so.
    Register(u16, Option<u32>),
    /// A service that admits register and answers the poll so.
    Poll(u16, Option<u32>),
    /// A service, over HTTPS, that answers a lookup so.
    LookUp(u16, String),
    /// A service, over HTTPS, that answers the requests of one connection so in turn: status, `Retry-After`, body.
    Https(Vec<(u16, &'static str, String)>),
    /// Somebody who takes connections and says nothing.
    Silent,
    /// A hub; twin requests are answered with these statuses in turn, then with 200.
    Hub(Vec<u16>),
    /// A hub that closes the connection when it is told to.
    Closes(Arc<Notify>),
}

/// One connection: when, host, port.
#[derive(Clone, Debug, PartialEq)]
pub struct Dialled {
    pub at: std::time::Duration,
    pub host: String,
    pub port: u16,
}

pub struct Network {
    tls: TlsAcceptor,
    begun: Instant,
    prepared: Mutex<HashMap<(String, u16), VecDeque<Does>>>,
    dialled: Mutex<Vec<Dialled>>,
}

impl Network {
    pub fn new(ca: &Ca) -> Arc<Self> {
        let tls = ca.acceptor(&[HOST, "hub-1.test", "hub-2.test"]);
        let (prepared, dialled) = (Mutex::default(), Mutex::default());
        Arc::new(Self { tls, begun: Instant::now(), prepared, dialled })
    }

    /// Prepares what connections to a host meet, in order; the last one is met by all that follow.
    pub fn prepare(&self, host: &str, port: u16, does: impl IntoIterator<Item = Does>) {
        self.prepared.lock().unwrap().insert((host.to_owned(), port), does.into_iter().collect());
    }

    pub fn dialled(&self) -> Vec<Dialled> {
        self.dialled.lock().unwrap().clone()
    }

    /// Times of connections to a host and port, in seconds since the beginning.
    pub fn seconds(&self, host: &str, port: u16) -> Vec<f32> {
        let dialled = self.dialled();
        let of = dialled.iter().filter(|dialled| dialled.host == host && dialled.port == port);
        of.map(|dialled| dialled.at.as_secs_f32()).collect()
    }

    fn next(&self, host: &str, port: u16) -> Does {
        let at = self.begun.elapsed();
        self.dialled.lock().unwrap().push(Dialled { at, host: host.to_owned(), port });
        let mut prepared = self.prepared.lock().unwrap();
        let queue = prepared.get_mut(&(host.to_owned(), port)).expect("a connection that was foreseen");
        if queue.len() > 1 { queue.pop_front().unwrap() } else { queue[0].clone() }
    }
}

/// The network as the client takes it.
pub struct Line(pub Arc<Network>);

impl Connector for Line {
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a> {
        let does = self.0.next(host, port);
        let tls = self.0.tls.clone();
        Box::pin(async move {
            if matches!(does, Does::Down) {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            if matches!(does, Does::Silent) {
                tokio::spawn(async move {
                    let _held = theirs;
                    std::future::pending::<()>().await;
                });
                return Ok(Box::new(ours) as BoxStream);
            }
            tokio::spawn(async move {
                let theirs: BoxStream = Box::new(theirs);
                // A client that left by then has its reasons.
                if let Ok(stream) = tls.accept(theirs).await {
                    serve(stream, does).await;
                }
            });
            Ok(Box::new(ours) as BoxStream)
        })
    }
}

async fn serve(stream: tokio_rustls::server::TlsStream<BoxStream>, does: Does) {
    if let Does::Https(answers) = does {
        return https(stream, answers).await;
    }
    if let Does::LookUp(status, body) = does {
        let answer = service_fn(move |request: http::Request<hyper::body::Incoming>| {
            assert_eq!(request.method(), http::Method::POST, "a lookup");
            assert!(request.headers().contains_key("authorization"));
            let body = Full::new(Bytes::from(body.clone()));
            async move { Response::builder().status(status).body(body) }
        });
        http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await.ok();
        return;
    }
    let mut peer = Peer::on(stream);
    if let Does::Refuse(code) = does {
        peer.connect().await;
        return peer.connack(code).await;
    }
    peer.welcome().await;
    match does {
        Does::Assign(hub) => {
            let (request, _) = peer.request().await;
            peer.respond(&request, 202, Some(3), ASSIGNING).await;
            let (request, _) = peer.request().await;
            peer.respond(&request, 200, None, &assigned(hub)).await;
        }
        Does::Register(status, retry_after) => {
            let (request, _) = peer.request().await;
            peer.respond(&request, status, retry_after, "{}").await;
        }
        Does::Poll(status, retry_after) => {
            let (request, _) = peer.request().await;
            peer.respond(&request, 202, Some(3), ASSIGNING).await;
            let (request, _) = peer.request().await;
            peer.respond(&request, status, retry_after, "{}").await;
        }
        Does::Hub(statuses) => return twins(&mut peer, statuses).await,
        Does::Closes(when) => return when.notified().await,
        Does::Down | Does::Silent | Does::Refuse(_) | Does::LookUp(..) | Does::Https(_) => {
            unreachable!("played above")
        }
    }
    peer.left_in_good_order().await;
}

async fn https(
    stream: tokio_rustls::server::TlsStream<BoxStream>,
    answers: Vec<(u16, &'static str, String)>,
) {
    let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
    let answer = service_fn(move |_request: http::Request<hyper::body::Incoming>| {
        let (status, retry_after, body) =
            answers.lock().unwrap().pop_front().expect("a request that was foreseen");
        let answer = Response::builder().status(status).header("date", NOW);
        let answer = if retry_after.is_empty() { answer } else { answer.header("retry-after", retry_after) };
        async move { answer.body(Full::new(Bytes::from(body))) }
    });
    http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await.ok();
}

async fn twins(peer: &mut Peer, statuses: Vec<u16>) {
    let mut statuses = statuses.into_iter();
    while let Some(packet) = peer.read().await {
        match packet {
            Packet::Publish(publish) => {
                peer.write(Packet::PubAck(publish.delivery.packet_id().unwrap())).await;
                let DeviceTopic::TwinGet { rid } = DeviceTopic::parse(&publish.topic).unwrap() else {
                    continue;
                };
                let status = statuses.next().unwrap_or(200);
                let topic = HubTopic::TwinResponse { status, rid, version: None }.topic().unwrap();
                peer.publish(&topic, "{}").await;
            }
            Packet::PingReq => peer.write(Packet::PingResp).await,
            _ => {}
        }
    }
}

/// The answer that assigns a device to a hub.
pub fn assigned(hub: &str) -> String {
    format!(
        r#"{{"operationId":"{OPERATION}","status":"assigned","registrationState":{}}}"#,
        registration(hub)
    )
}

/// The state of a registration on a hub.
pub fn registration(hub: &str) -> String {
    format!(
        r#"{{"registrationId":"my.dev_01:a-b","assignedHub":"{hub}","deviceId":"my.dev_01:a-b","status":"assigned",
            "substatus":"initialAssignment"}}"#
    )
}

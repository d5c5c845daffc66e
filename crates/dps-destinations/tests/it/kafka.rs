//! A Kafka-compatible broker in memory (Tansu), read by the reference client. It knows neither TLS nor SASL PLAIN, so a
//! front of the test's own does both, as Event Hubs has it, and hands the rest on.

use std::process::Stdio;
use std::sync::{Arc, Mutex};

use bytes::{Buf as _, BytesMut};
use dps_destinations::{Kafka, KafkaSettings};
use dps_model::Secret;
use dps_monitor::destinations::{Batch, DeliveryError, Destination};
use kafka_protocol::messages::{
    RequestHeader, ResponseHeader, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest,
    SaslHandshakeResponse,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio_rustls::TlsAcceptor;

use crate::fixtures::{log, logs, metrics};
use crate::peers::script;

const CONNECTION_STRING: &str =
    "Endpoint=sb://muster.example/;SharedAccessKeyName=send;SharedAccessKey=s3cret";

struct Broker {
    child: Child,
    port: u16,
}

impl Broker {
    /// A broker that clients are told to find at that address, by default its own.
    async fn start(advertised: Option<String>) -> Self {
        let program = script("kafka.py", &["broker"]).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let address = format!("tcp://127.0.0.1:{port}");
        let child = Command::new(program.as_str().unwrap())
            .args(["broker", "--silent", "--storage-engine", "memory://tansu/", "--listener-url", &address])
            .args([
                "--advertised-listener-url",
                &advertised.map_or(address.clone(), |it| format!("tcp://{it}")),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::task::yield_now().await;
        }
        Self { child, port }
    }

    fn destination(&self) -> Kafka {
        plain(&["127.0.0.1:1".to_owned(), format!("127.0.0.1:{}", self.port)])
    }

    /// Messages of a topic and their times.
    async fn read(&self, topic: &str, count: usize) -> Vec<(serde_json::Value, i64)> {
        read(&format!("127.0.0.1:{}", self.port), topic, count).await
    }
}

/// A cluster without TLS and passwords.
fn plain(bootstrap: &[String]) -> Kafka {
    let settings = KafkaSettings { bootstrap: bootstrap.to_vec(), tls: false, sasl: None, topic: None };
    Kafka::new(&settings, trusting([])).unwrap()
}

fn trusting<const N: usize>(roots: [rustls_pki_types::CertificateDer<'static>; N]) -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    dps_destinations::tls(provider, roots).unwrap()
}

async fn read(address: &str, topic: &str, count: usize) -> Vec<(serde_json::Value, i64)> {
    let read = script("kafka.py", &["read", address, topic, &count.to_string()]).await;
    let messages = read.as_array().unwrap().iter().map(|message| {
        let value = serde_json::from_str(message["value"].as_str().unwrap()).unwrap();
        (value, message["time"].as_i64().unwrap())
    });
    messages.collect()
}

/// Delivers, again while the broker is making the topic.
async fn deliver(destination: &dyn Destination, batch: &Batch) {
    loop {
        match destination.deliver(batch).await {
            Ok(()) => return,
            Err(DeliveryError::Later { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn batches_are_messages_in_the_topic_of_their_category() {
    let broker = Broker::start(None).await;
    let kafka = broker.destination();
    deliver(&kafka, &logs(&[log("a"), log("b")])).await;
    deliver(&kafka, &metrics()).await;
    let named = kafka.event_hub("muster-logs").unwrap();
    deliver(&*named, &logs(&[log("c")])).await;
    kafka.deliver(&logs(&[])).await.unwrap();
    let messages = broker.read("insights-logs-deviceoperations", 1).await;
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].0["records"].as_array().map(Vec::len), Some(2));
    assert_eq!(messages[0].0["records"][1]["properties"], "{\"id\":\"b\"}");
    assert_eq!(messages[0].1, logs(&[]).received.millis());
    assert_eq!(broker.read("insights-metrics-pt1m", 1).await[0].0["records"][0]["total"], 12.0);
    assert_eq!(broker.read("muster-logs", 1).await[0].0["records"][0]["properties"], "{\"id\":\"c\"}");
}

#[tokio::test]
async fn large_batch_is_several_messages() {
    let broker = Broker::start(None).await;
    let long = "x".repeat(400_000);
    let records: Vec<_> = (0..5).map(|number| log(&format!("{number}{long}"))).collect();
    deliver(&broker.destination(), &logs(&records)).await;
    let messages = broker.read("insights-logs-deviceoperations", 3).await;
    let counts: Vec<usize> =
        messages.iter().map(|(message, _)| message["records"].as_array().map_or(0, Vec::len)).collect();
    assert_eq!(counts, [2, 2, 1]);
}

#[tokio::test]
async fn broker_that_is_gone_is_named() {
    let mut broker = Broker::start(None).await;
    let kafka = broker.destination();
    deliver(&kafka, &logs(&[log("a")])).await;
    let port = broker.port;
    broker.child.kill().await.unwrap();
    // The connection breaks, then there is none.
    for _ in 0..2 {
        let failed = kafka.deliver(&logs(&[log("b")])).await.unwrap_err();
        let DeliveryError::Later { why, .. } = failed else { panic!("{failed}") };
        assert!(why.contains(&port.to_string()), "{why}");
    }
}

#[tokio::test]
async fn event_hubs_way_in_is_spoken() {
    let front = Front::start().await;
    let kafka = front.destination(CONNECTION_STRING);
    deliver(&kafka, &logs(&[log("a")])).await;
    assert_eq!(front.signed_in.lock().unwrap().first().map(String::as_str), Some("$ConnectionString"));
    let kafka = front.destination("Endpoint=sb://x/;SharedAccessKey=wr0ng");
    let failed = kafka.deliver(&logs(&[log("b")])).await.unwrap_err();
    let DeliveryError::Later { why, .. } = failed else { panic!("{failed}") };
    assert!(why.contains("is refused") && why.contains("no such key") && !why.contains("wr0ng"), "{why}");
}

#[tokio::test]
async fn what_is_no_broker_is_told_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            let _ = stream.read(&mut [0; 1024]).await;
        }
    });
    let kafka = plain(&[address]);
    let failed = kafka.deliver(&logs(&[log("a")])).await.unwrap_err();
    assert!(failed.to_string().contains("not answer as a Kafka broker"), "{failed}");
}

/// TLS and SASL PLAIN before a broker.
struct Front {
    _broker: Arc<Broker>,
    address: String,
    authority: rustls_pki_types::CertificateDer<'static>,
    signed_in: Arc<Mutex<Vec<String>>>,
}

impl Front {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("localhost:{}", listener.local_addr().unwrap().port());
        let broker = Arc::new(Broker::start(Some(address.clone())).await);
        let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        let authority = own.cert.der().clone();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![authority.clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let signed_in = Arc::<Mutex<Vec<String>>>::default();
        let (its, port) = (Arc::clone(&signed_in), broker.port);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let its = Arc::clone(&its);
                tokio::spawn(async move {
                    if let Some(user) = sign_in(&mut stream).await {
                        its.lock().unwrap().push(user);
                        let mut broker = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                        let _ = tokio::io::copy_bidirectional(&mut stream, &mut broker).await;
                    }
                });
            }
        });
        Self { _broker: broker, address, authority, signed_in }
    }

    fn destination(&self, password: &str) -> Kafka {
        let sasl = Some(("$ConnectionString".to_owned(), Secret::from(password.to_owned())));
        let settings = KafkaSettings { bootstrap: vec![self.address.clone()], tls: true, sasl, topic: None };
        Kafka::new(&settings, trusting([self.authority.clone()])).unwrap()
    }
}

/// The user, when handshake and password are right.
async fn sign_in(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Option<String> {
    let (id, handshake): (i32, SaslHandshakeRequest) = request(stream).await;
    assert_eq!(handshake.mechanism.as_str(), "PLAIN");
    let plain = vec![StrBytes::from_static_str("PLAIN")];
    respond(stream, id, &SaslHandshakeResponse::default().with_mechanisms(plain)).await;
    let (id, authenticate): (i32, SaslAuthenticateRequest) = request(stream).await;
    let parts: Vec<&[u8]> = authenticate.auth_bytes.split(|byte| *byte == 0).collect();
    assert_eq!((parts.len(), parts[0]), (3, &b""[..]));
    let is_right = parts[2] == CONNECTION_STRING.as_bytes();
    let answer = SaslAuthenticateResponse::default();
    let answer = if is_right {
        answer
    } else {
        answer.with_error_code(58).with_error_message(Some(StrBytes::from_static_str("no such key")))
    };
    respond(stream, id, &answer).await;
    is_right.then(|| String::from_utf8(parts[1].to_vec()).unwrap())
}

async fn request<R: Decodable>(stream: &mut (impl AsyncRead + Unpin)) -> (i32, R) {
    let length = stream.read_u32().await.unwrap() as usize;
    let mut bytes = BytesMut::zeroed(length);
    stream.read_exact(&mut bytes).await.unwrap();
    let mut bytes = bytes.freeze();
    let header = RequestHeader::decode(&mut bytes, 1).unwrap();
    let request = R::decode(&mut bytes, header.request_api_version).unwrap();
    assert!(!bytes.has_remaining());
    (header.correlation_id, request)
}

async fn respond(stream: &mut (impl AsyncWrite + Unpin), id: i32, answer: &impl Encodable) {
    let mut bytes = BytesMut::new();
    ResponseHeader::default().with_correlation_id(id).encode(&mut bytes, 0).unwrap();
    answer.encode(&mut bytes, 1).unwrap();
    stream.write_u32(u32::try_from(bytes.len()).unwrap()).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
}

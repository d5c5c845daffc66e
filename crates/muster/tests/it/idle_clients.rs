//! The clients of the test of idle connections, in a process of their own. They follow their orders and say how far
//! they are; what that means is judged by who gave the orders.

use std::io;
use std::sync::Arc;

use dps_wire::mqtt::packet::Packet;
use rustix::process::{Resource, getrlimit, setrlimit};
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::harness::http::Http;
use crate::harness::mqtt::Mqtt;
use crate::harness::tls::{self, Trust};

/// The name under which the process is started.
pub const PROGRAM: &str = "muster-idle-clients";
/// Connections that are opened at once.
const AT_ONCE: usize = 64;
/// The first bytes of a handshake that says it has 512.
const HALF_HELLO: &[u8] = &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];

struct Orders {
    https: u16,
    mqtt: u16,
    amqp: u16,
    id_scope: String,
    lasting: usize,
    fleeting: usize,
    config: Arc<ClientConfig>,
}

/// A connection that may stay.
enum Lasting {
    Mqtt(Box<Mqtt>),
    Https(Box<Http<tls::Stream>>),
}

/// A connection that has not said what it should.
enum Fleeting {
    Tcp(TcpStream),
    Tls(Box<tls::Stream>),
}

/// Opens all connections, waits until the silent ones are closed, and asks for something on each of the others.
pub async fn hold(orders: &str) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let orders = Arc::new(Orders::read(orders));

    let lasting = at_once(orders.lasting, |number| Lasting::open(Arc::clone(&orders), number)).await;
    let fleeting = at_once(orders.fleeting, |number| Fleeting::open(Arc::clone(&orders), number)).await;
    println!("idle: all are here");
    let mut leaving = JoinSet::new();
    for connection in fleeting {
        leaving.spawn(connection.closed());
    }
    leaving.join_all().await;
    println!("idle: the silent were sent away");
    let mut asking = JoinSet::new();
    for connection in lasting {
        asking.spawn(connection.ask());
    }
    // They end all together: until the last has asked, the first stays open.
    for answered in asking.join_all().await {
        answered.unwrap();
    }
    println!("idle: the others are still served");
}

/// Makes so many, some at once.
async fn at_once<T, F>(count: usize, make: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = io::Result<T>> + Send + 'static,
{
    let (mut made, mut making) = (Vec::with_capacity(count), JoinSet::<io::Result<T>>::new());
    for number in 0..count {
        if making.len() == AT_ONCE {
            made.push(making.join_next().await.unwrap().unwrap().unwrap());
        }
        making.spawn(make(number));
    }
    made.extend(making.join_all().await.into_iter().map(Result::unwrap));
    made
}

impl Orders {
    fn read(text: &str) -> Self {
        let mut words = text.trim_end().splitn(7, ' ');
        let mut word = || words.next().unwrap();
        let (https, mqtt, amqp) = (word().parse().unwrap(), word().parse().unwrap(), word().parse().unwrap());
        let id_scope = word().to_owned();
        let (lasting, fleeting) = (word().parse().unwrap(), word().parse().unwrap());
        let config = Trust::in_ca(&std::fs::read_to_string(word()).unwrap()).plain;
        Self { https, mqtt, amqp, id_scope, lasting, fleeting, config }
    }
}

impl Lasting {
    /// Three of four speak MQTT.
    async fn open(orders: Arc<Orders>, number: usize) -> io::Result<Self> {
        if number.is_multiple_of(4) {
            let mut http = Http::over(tls::connect(orders.https, &orders.config).await?);
            http.ask("GET", "/idle", &[], None).await?;
            return Ok(Self::Https(Box::new(http)));
        }
        let stream = tls::connect(orders.mqtt, &orders.config).await?;
        let mqtt = Mqtt::connect(stream, &orders.id_scope, &format!("idle-{number}"), None).await?;
        Ok(Self::Mqtt(Box::new(mqtt)))
    }

    /// Is it still there? Gives it back, so that it stays.
    async fn ask(mut self) -> io::Result<Self> {
        match &mut self {
            Self::Https(http) => drop(http.ask("GET", "/idle", &[], None).await?),
            Self::Mqtt(mqtt) => {
                mqtt.send(&Packet::PingReq).await?;
                assert_eq!(mqtt.receive().await?, Packet::PingResp);
            }
        }
        Ok(self)
    }
}

impl Fleeting {
    /// By turns: TCP without a byte, half a handshake, TLS without a byte, half a CONNECT.
    async fn open(orders: Arc<Orders>, number: usize) -> io::Result<Self> {
        let port = [orders.https, orders.mqtt, orders.amqp][number % 3];
        Ok(match number % 4 {
            0 => Self::Tcp(tls::tcp(port).await?),
            1 => {
                let mut tcp = tls::tcp(port).await?;
                tcp.write_all(HALF_HELLO).await?;
                Self::Tcp(tcp)
            }
            2 => Self::Tls(Box::new(tls::connect(port, &orders.config).await?)),
            _ => {
                let mut stream = tls::connect(orders.mqtt, &orders.config).await?;
                stream.write_all(&[0x10, 0x40, 0, 4]).await?;
                stream.flush().await?;
                Self::Tls(Box::new(stream))
            }
        })
    }

    /// Waits for its end.
    async fn closed(self) {
        match self {
            Self::Tcp(mut stream) => until_closed(&mut stream).await,
            Self::Tls(mut stream) => until_closed(&mut *stream).await,
        }
    }
}

/// Reads to the end, which may be a reset.
async fn until_closed(stream: &mut (impl AsyncRead + Unpin)) {
    let mut heard = [0; 256];
    while let Ok(1..) = stream.read(&mut heard).await {}
}

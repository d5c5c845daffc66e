//! Accepting: one loop for each port, one task for each connection, TLS, and the hand-over to the port's front.
//! Owns the limits on connections and handshakes, and the drain at shutdown; must not know what is said inside TLS.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dps_model::{Channel, Protocol, TlsSession, limits};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_rustls::server::TlsStream;

use crate::api::DeviceApi;
use crate::foreign::Stream;
use crate::greeting::Greeted;
use crate::refused::{Ended, Opened};
use crate::timed::TimedWrites;
use crate::tls::PortTls;
use crate::{amqp, https, mqtt};

/// The signal to stop: `true`, or the sender dropped.
pub type Shutdown = watch::Receiver<bool>;

/// Waits for the signal to stop.
pub(crate) async fn requested(shutdown: &mut Shutdown) {
    // An error means that the sender is gone, which is the signal too.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

/// What is served on a port.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Port {
    Https,
    Mqtt,
    Amqp,
}

impl Port {
    fn protocol(self) -> Protocol {
        match self {
            Self::Https => Protocol::Http,
            Self::Mqtt => Protocol::Mqtt,
            Self::Amqp => Protocol::Amqp,
        }
    }
}

/// A connection after TLS, or after a WebSocket's handshake, on its way to its front.
pub(crate) struct Accepted {
    pub stream: Box<dyn Stream>,
    pub channel: Arc<Channel>,
    pub opened: Opened,
    pub shutdown: Shutdown,
    /// HTTP/2 was agreed on.
    pub http2: bool,
}

/// Accepts until the shutdown, then waits for the connections to end, at most the time of the drain.
pub(crate) async fn run(
    api: Arc<DeviceApi>,
    listener: TcpListener,
    tls: Arc<PortTls>,
    port: Port,
    mut shutdown: Shutdown,
) {
    let (alive, mut ended) = mpsc::channel::<Infallible>(1);
    let mut pause = Duration::ZERO;
    loop {
        let accepted = tokio::select! {
            biased;
            () = requested(&mut shutdown) => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((tcp, peer)) => {
                pause = Duration::ZERO;
                let newcomer = Newcomer { tcp, peer, port, opened: api.refused.open() };
                admit(&api, newcomer, &tls, &shutdown, &alive);
            }
            Err(error) if ends_one_connection(&error) => {}
            Err(error) => {
                pause = longer(pause);
                tracing::warn!(%error, ?port, ?pause, "cannot accept connections; trying again");
                tokio::select! {
                    biased;
                    () = requested(&mut shutdown) => break,
                    () = tokio::time::sleep(pause) => {}
                }
            }
        }
    }
    drop(listener);
    drop(alive);
    // Nothing is ever sent: this ends when the last connection has dropped its end, or when patience does.
    let _ = tokio::time::timeout(api.bounds.drain, ended.recv()).await;
}

/// Did accepting fail for the connection alone? All else (no descriptors, no memory) is a reason to pause.
fn ends_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).clamp(Duration::from_millis(10), Duration::from_millis(limits::MAX_ACCEPT_PAUSE_MS))
}

struct Newcomer {
    tcp: TcpStream,
    peer: SocketAddr,
    port: Port,
    opened: Opened,
}

/// Gives a connection its task, or closes it when there are too many. A panic ends that task alone.
fn admit(
    api: &Arc<DeviceApi>,
    newcomer: Newcomer,
    tls: &Arc<PortTls>,
    shutdown: &Shutdown,
    alive: &mpsc::Sender<Infallible>,
) {
    let Ok(permit) = Arc::clone(&api.connections).try_acquire_owned() else {
        let reason = "too many connections are open already";
        let Newcomer { port, opened, peer, .. } = newcomer;
        api.refused.connection(opened, port.protocol(), peer, Ended::at("accept", reason));
        return;
    };
    let (api, tls, shutdown, alive) = (Arc::clone(api), Arc::clone(tls), shutdown.clone(), alive.clone());
    tokio::spawn(async move {
        connection(api, newcomer, tls, shutdown).await;
        drop((permit, alive));
    });
}

async fn connection(api: Arc<DeviceApi>, newcomer: Newcomer, tls: Arc<PortTls>, mut shutdown: Shutdown) {
    let Newcomer { tcp, peer, port, opened } = newcomer;
    // Each stage is boxed, so that a waiting connection pays for its present stage alone.
    let established = tokio::select! {
        biased;
        () = requested(&mut shutdown) => return,
        established = Box::pin(handshake(&api, tcp, &tls)) => established,
    };
    let tls = match established {
        Ok(Some(tls)) => tls,
        Ok(None) => return,
        Err(ended) => return api.refused.connection(opened, port.protocol(), peer, ended),
    };
    let http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
    let channel = Arc::new(Channel { protocol: port.protocol(), peer, tls: session_facts(&tls) });
    let stream: Box<dyn Stream> = Box::new(TimedWrites::new(tls, Duration::from_secs(limits::WRITE_TIMEOUT)));
    let stream = api.fronts.transport.carry(&channel, stream);
    let accepted = Accepted { stream, channel, opened, shutdown, http2 };
    let accepted = match port {
        Port::Https => match Box::pin(https::serve(&api, accepted)).await {
            Some(websocket) => websocket,
            None => return,
        },
        Port::Mqtt | Port::Amqp => accepted,
    };
    match accepted.channel.protocol {
        Protocol::Http => {}
        Protocol::Mqtt | Protocol::MqttWs => Box::pin(mqtt::serve(api, accepted)).await,
        Protocol::Amqp | Protocol::AmqpWs => Box::pin(amqp::serve(api, accepted)).await,
    }
}

/// TLS within its time. `None` is a peer that left without a word, such as a port probe.
async fn handshake(
    api: &DeviceApi,
    tcp: TcpStream,
    tls: &PortTls,
) -> Result<Option<TlsStream<TcpStream>>, Ended> {
    tune(&tcp);
    let mut seen = Greeted::default();
    let attempt = async {
        // Only a peer that speaks takes one of the places.
        if !matches!(tcp.peek(&mut [0]).await, Ok(1..)) {
            return Ok(None);
        }
        let place = api.handshakes.enter().await;
        tokio::select! {
            tls = tls.accept(tcp, &mut seen) => tls.map(Some).map_err(Broken::Tls),
            () = place.gives_way() => Err(Broken::GaveWay),
        }
    };
    let patience = Duration::from_secs(limits::HANDSHAKE_TIMEOUT);
    let ended = tokio::time::timeout(patience, attempt).await.unwrap_or(Err(Broken::Late));
    ended.map_err(|broken| {
        let handshake = Some(Box::new(seen.told(broken.error())));
        Ended { handshake, ..Ended::at("handshake", broken.to_string()) }
    })
}

/// Why a handshake did not end well.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the TLS handshake failed: {0}")]
    Tls(io::Error),
    #[error("the TLS handshake stalled, and gave way to a newer one")]
    GaveWay,
    #[error("the TLS handshake did not end within {} seconds", limits::HANDSHAKE_TIMEOUT)]
    Late,
}

impl Broken {
    fn error(&self) -> Option<&io::Error> {
        match self {
            Self::Tls(error) => Some(error),
            Self::GaveWay | Self::Late => None,
        }
    }
}

/// Answers leave at once; a peer that vanished is noticed although MQTT's keep alive may be 0, which is no limit.
fn tune(tcp: &TcpStream) {
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(limits::TCP_KEEPALIVE))
        .with_interval(Duration::from_secs(limits::TCP_KEEPALIVE_INTERVAL));
    // Failing to tune costs latency or a late notice, never correctness.
    let _ = tcp.set_nodelay(true);
    let _ = socket2::SockRef::from(tcp).set_tcp_keepalive(&keepalive);
}

fn session_facts(tls: &TlsStream<TcpStream>) -> TlsSession {
    let session = tls.get_ref().1;
    let version = match session.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "",
    };
    let cipher =
        session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or_default();
    TlsSession {
        version: version.to_owned(),
        // IANA's name of a TLS 1.3 suite has no version in it.
        cipher: cipher.replacen("TLS13_", "TLS_", 1),
        sni: session.server_name().map(ToOwned::to_owned),
        chain: session.peer_certificates().unwrap_or_default().iter().map(|der| der.to_vec()).collect(),
    }
}

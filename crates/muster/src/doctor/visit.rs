//! The steps at each port: TCP, TLS, the certificate, and on the HTTPS port who answers, what time it is there, and WebSockets.
//! Owns what a failure of each means; must not know how it is printed.

use std::io;
use tokio::time::Instant;

use dps_model::Timestamp;
use muster_device::{Clock as _, SystemClock};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::handshake::{NoTls, Trust};
use super::http::{self, Head};
use super::identity::{self, Shown};
use super::limits::{CLOCK_LIMIT, CLOCK_TOLERANCE, STEP};
use super::report::{Check, Report};
use super::route::{self, Way};
use crate::fleet::Failure;

/// A port of a provisioning service.
#[derive(Clone, Copy, Debug)]
pub enum Port {
    /// HTTPS and WebSockets.
    Https(u16),
    /// MQTT over TLS.
    Mqtt(u16),
    /// AMQP over TLS.
    Amqp(u16),
}

impl Port {
    fn number(self) -> u16 {
        match self {
            Self::Https(port) | Self::Mqtt(port) | Self::Amqp(port) => port,
        }
    }

    /// What a device can do without it.
    fn without(self) -> &'static str {
        match self {
            Self::Https(_) => "without it there are neither HTTPS nor WebSockets",
            Self::Mqtt(_) => "or let devices speak MQTT over WebSockets, which needs the HTTPS port alone",
            Self::Amqp(_) => "or let devices speak AMQP over WebSockets, which needs the HTTPS port alone",
        }
    }
}

/// What a device can use.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reach {
    /// MQTT on its own port.
    pub mqtt: bool,
    /// MQTT over a WebSocket.
    pub mqtt_ws: bool,
}

/// A visit of one host.
pub struct Visit {
    host: String,
    name: ServerName<'static>,
    trust: Trust,
    /// How the HTTPS port is reached.
    way: Way,
    /// Which port was shown which certificate.
    leaves: Vec<(u16, identity::Link)>,
}

impl Visit {
    /// Nothing is looked at yet.
    pub fn new(host: String, name: ServerName<'static>, trust: Trust, way: Way) -> Self {
        Self { host, name, trust, way, leaves: Vec::new() }
    }

    /// Asks for the host's addresses.
    pub async fn name_server(&self, report: &mut Report) -> Result<(), Failure> {
        let begun = Instant::now();
        let advice = "check the spelling of the host and the name server of this network (DHCP, resolv.conf)";
        let check = match route::resolve(&self.host).await {
            Ok(addresses) if addresses.is_empty() => {
                Check::failed("dns", &self.host, "the name has no address", advice)
            }
            Ok(addresses) => {
                let shown: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
                Check::ok("dns", &self.host, shown.join(", "))
            }
            Err(error) => {
                let failed = Check::failed("dns", &self.host, error.to_string(), advice);
                // A proxy asks its own name server.
                if matches!(self.way, Way::Proxy(_)) { failed.but_a_warning() } else { failed }
            }
        };
        report.add(check.since(begun)).map(drop)
    }

    /// Looks at a port.
    pub async fn port(&mut self, port: Port, report: &mut Report) -> Result<(), Failure> {
        let target = self.target(port);
        let begun = Instant::now();
        let tcp = match self.open(port).await {
            Ok(tcp) => tcp,
            Err(error) => {
                let advice = format!("{}; {}", unreachable(&error, port.number()), port.without());
                let check = Check::failed("tcp", &target, error.to_string(), advice);
                return report.add(check.since(begun)).map(drop);
            }
        };
        let through = match (&self.way, port) {
            (Way::Proxy(proxy), Port::Https(_)) => format!("connected through the proxy {}", proxy.shown()),
            _ => "connected".to_owned(),
        };
        report.add(Check::ok("tcp", &target, through).since(begun))?;
        let begun = Instant::now();
        let (mut stream, shown) = match self.trust.shake_hands(tcp, self.name.clone()).await {
            Ok(done) => done,
            Err(why) => {
                let check = self.no_tls(why, port, &target).await;
                return report.add(check.since(begun)).map(drop);
            }
        };
        report.add(Check::ok("tls", &target, session(&stream)).since(begun))?;
        let now = SystemClock.now();
        report.add(identity::judge(&shown, &self.host, &target, self.trust.own_roots, now))?;
        self.remember(port.number(), &shown);
        if let Port::Https(_) = port {
            self.answer(&mut stream, &target, report).await?;
            for (step, protocol) in [("websocket", "mqtt"), ("websocket", "AMQPWSB10")] {
                let begun = Instant::now();
                let check = self.websocket(port, step, protocol).await;
                report.add(check.since(begun))?;
            }
        }
        Ok(())
    }

    /// A proxy that opens TLS does so on the ports that it knows.
    pub fn compare(&self, report: &mut Report) -> Result<(), Failure> {
        let Some((first, rest)) = self.leaves.split_first() else { return Ok(()) };
        let Some(other) = rest.iter().find(|(_, leaf)| leaf.issuer != first.1.issuer) else { return Ok(()) };
        let found = format!(
            "port {} shows a certificate by {}, port {} one by {}",
            first.0, first.1.issuer, other.0, other.1.issuer
        );
        let advice = "on one of the two somebody else answers: a proxy or a firewall that opens TLS. Have this host exempted";
        report.add(Check::failed("inspection", &self.host, found, advice)).map(drop)
    }

    /// What a device can use, by what was found.
    pub fn reach(&self, https: u16, mqtt: u16, report: &Report) -> Reach {
        let at = |port: Port| self.target(port);
        Reach {
            mqtt: report.is_well("certificate", &at(Port::Mqtt(mqtt))),
            mqtt_ws: report.is_well("certificate", &at(Port::Https(https)))
                && report.is_well("websocket", &format!("{} mqtt", at(Port::Https(https)))),
        }
    }

    fn target(&self, port: Port) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("{host}:{}", port.number())
    }

    async fn open(&self, port: Port) -> io::Result<TcpStream> {
        let way = if let Port::Https(_) = port { &self.way } else { &Way::Direct };
        route::open(way, &self.host, port.number()).await
    }

    fn remember(&mut self, port: u16, shown: &Shown) {
        if let Some(leaf) = shown.chain.first() {
            self.leaves.push((port, leaf.clone()));
        }
    }

    /// Why there was no TLS. Who answers in clear text is asked who he is.
    async fn no_tls(&self, why: NoTls, port: Port, target: &str) -> Check {
        let failed = |found: String, advice: &str| Check::failed("tls", target, found, advice);
        match why {
            NoTls::Silent => failed(
                format!("connected, and then nothing came within {} s", STEP.as_secs()),
                "a firewall that looks into connections may hold this one, or the server is overloaded: try from another \
                 network",
            ),
            NoTls::Closed(error) => failed(
                format!("the connection was closed during the handshake: {error}"),
                "a firewall may forbid TLS on this port, or what listens there speaks none: try from another network",
            ),
            NoTls::Refused(why) => failed(
                format!("the handshake failed: {why}"),
                "the two agree on no version or cipher, or the server does not know this host name (SNI)",
            ),
            NoTls::NotTls => match self.in_clear_text(port).await {
                Some(head) => failed(
                    format!("plain HTTP answers here: {}{}", head.line, moved(&head)),
                    "a captive portal or a web proxy answers in place of the service: sign in to the network with a \
                     browser, or have this host exempted",
                ),
                None => failed(
                    "what listens here does not speak TLS".to_owned(),
                    "check host and port: the service speaks TLS on each of its ports",
                ),
            },
        }
    }

    async fn in_clear_text(&self, port: Port) -> Option<Head> {
        let mut tcp = self.open(port).await.ok()?;
        http::ask(&mut tcp, &self.host, "/", "Connection: close\r\n").await.ok()
    }

    /// Asks who is there, and what time it is there.
    async fn answer(
        &self,
        stream: &mut TlsStream<TcpStream>,
        target: &str,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let begun = Instant::now();
        let head = match http::ask(stream, &self.host, "/", "").await {
            Ok(head) => head,
            Err(error) => {
                let advice = "whoever answers TLS here speaks no HTTP: check the port, or a proxy on the way";
                let check = Check::failed("http", target, error.to_string(), advice);
                return report.add(check.since(begun)).map(drop);
            }
        };
        let server = head.header("server").map(|server| format!(", {server}")).unwrap_or_default();
        let found = format!("{}{server}{}", head.line, moved(&head));
        let check = match head.status {
            407 | 511 => Check::failed(
                "http",
                target,
                found,
                "the network wants a sign-in: open a page in a browser, or give the proxy its user",
            ),
            _ => Check::ok("http", target, found),
        };
        report.add(check.since(begun))?;
        let date = head.header("date").and_then(Timestamp::of_http_date);
        report.add(clock(target, date, SystemClock.now())).map(drop)
    }

    /// Asks for a WebSocket, on a connection of its own.
    async fn websocket(&self, port: Port, step: &'static str, protocol: &str) -> Check {
        let target = format!("{} {}", self.target(port), if protocol == "mqtt" { "mqtt" } else { "amqp" });
        let advice = "a proxy on the way does not let WebSockets pass: have it forward the Upgrade header, or use the ports \
                      of MQTT and AMQP";
        let tcp = match self.open(port).await {
            Ok(tcp) => tcp,
            Err(error) => return Check::failed(step, target, error.to_string(), advice),
        };
        let Ok((mut stream, _)) = self.trust.shake_hands(tcp, self.name.clone()).await else {
            return Check::failed(step, target, "a second TLS handshake failed", advice);
        };
        let headers = format!(
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \
             {}\r\nSec-WebSocket-Protocol: {protocol}\r\n",
            key()
        );
        match http::ask(&mut stream, &self.host, "/$iothub/websocket", &headers).await {
            Ok(head) if head.status == 101 => Check::ok(step, target, "the server agrees"),
            Ok(head) => {
                Check::failed(step, target, format!("{}: no WebSocket{}", head.line, moved(&head)), advice)
            }
            Err(error) => Check::failed(step, target, error.to_string(), advice),
        }
    }
}

/// A key of 16 random bytes (RFC 6455 §4.1).
fn key() -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(uuid::Uuid::new_v4().as_bytes())
}

fn moved(head: &Head) -> String {
    head.header("location").map(|place| format!(", to {place}")).unwrap_or_default()
}

fn session(stream: &TlsStream<TcpStream>) -> String {
    let session = stream.get_ref().1;
    let version = session.protocol_version().and_then(|version| version.as_str()).unwrap_or("TLS");
    let suite = session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
    format!("{}, {}", version.replace('_', "."), suite.unwrap_or("an unknown cipher"))
}

fn unreachable(error: &io::Error, port: u16) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => format!(
            "nothing listens on {port}, or a firewall says no: check the port, and allow outbound TCP to it"
        ),
        io::ErrorKind::TimedOut => {
            format!("a firewall drops the packets, or the host is off: allow outbound TCP to {port}")
        }
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            "this machine has no route there: check its gateway".to_owned()
        }
        _ => format!("allow outbound TCP to {port}, and check the proxy if there is one"),
    }
}

/// Compares the clocks.
fn clock(target: &str, there: Option<Timestamp>, here: Timestamp) -> Check {
    let Some(there) = there else {
        return Check::skipped(
            "clock",
            target,
            "the answer has no Date to compare this machine's clock with",
        );
    };
    let behind = there.seconds().saturating_sub(here.seconds());
    let word = if behind > 0 { "behind" } else { "ahead of" };
    let found = format!("this machine's clock is {} s {word} the server's", behind.abs());
    let advice = "set the clock (NTP): SAS tokens that are made by it end too early or are refused, and certificates are \
                  judged by it";
    match behind.abs() {
        0..=CLOCK_TOLERANCE => Check::ok("clock", target, found),
        off if off <= CLOCK_LIMIT => Check::failed("clock", target, found, advice).but_a_warning(),
        _ => Check::failed("clock", target, found, advice),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Grade;
    use super::*;

    #[test]
    fn clock_is_judged_by_how_far_it_is_off() {
        let here = Timestamp::from_millis(1_700_000_000_000);
        for (seconds, grade, said) in [
            (0, Grade::Ok, "0 s"),
            (-60, Grade::Ok, "60 s ahead of"),
            (61, Grade::Warning, "61 s behind"),
            (-301, Grade::Failed, "301 s ahead of"),
            (86_400, Grade::Failed, "86400 s behind"),
        ] {
            let check = clock("h:443", Some(here.plus_millis(seconds * 1_000)), here);
            assert_eq!(check.result, grade, "{seconds}");
            assert!(check.found.contains(said), "{}", check.found);
        }
        assert_eq!(clock("h:443", None, here).result, Grade::Skipped);
        let read = Timestamp::of_http_date("Tue, 14 Nov 2023 22:13:20 GMT").unwrap();
        assert_eq!(read.seconds(), 1_700_000_000);
        assert!(Timestamp::of_http_date("yesterday").is_none());
    }
}

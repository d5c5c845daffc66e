//! Binds the listeners before anything is said. Must not know what is served on them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context as _, anyhow};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use crate::cli::DevOptions;

/// Pending connections the kernel keeps while we are busy.
const BACKLOG: i32 = 4_096;

/// The bound listeners.
pub struct Ports {
    /// HTTPS.
    pub https: TcpListener,
    /// MQTT over TLS.
    pub mqtt: TcpListener,
    /// AMQP over TLS.
    pub amqp: TcpListener,
    /// Plain HTTP on loopback; none when turned off.
    pub http: Option<TcpListener>,
}

impl Ports {
    /// Binds all of them, or names the one that cannot be.
    pub fn bind(options: &DevOptions) -> anyhow::Result<Self> {
        let https = match options.https_port {
            Some(port) => listen("--https-port", options.bind, port)?,
            None => listen("--https-port", options.bind, 443)
                .or_else(|_| listen("--https-port", options.bind, 8443))?,
        };
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Ok(Self {
            https,
            mqtt: listen("--mqtt-port", options.bind, options.mqtt_port)?,
            amqp: listen("--amqp-port", options.bind, options.amqp_port)?,
            http: match options.http_port {
                0 => None,
                port => Some(listen("--http-port", loopback, port)?),
            },
        })
    }
}

/// The port of a listener.
pub fn port(listener: &TcpListener) -> anyhow::Result<u16> {
    Ok(listener.local_addr()?.port())
}

fn listen(option: &str, address: IpAddr, port: u16) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::new(address, port);
    let bound = || -> std::io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    bound()
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                anyhow!("{address} is taken; free it, or choose another {option} (0 takes a free one)")
            }
            std::io::ErrorKind::PermissionDenied => {
                anyhow!(
                    "{address} may not be bound by this user; choose another {option} (0 takes a free one)"
                )
            }
            _ => anyhow::Error::new(error).context(format!("cannot listen on {address} ({option})")),
        })
        .context("cannot start")
}

//! Binds the listeners before anything is said. Must not know what is served on them.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, anyhow};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

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

/// The port of a listener.
pub fn port(listener: &TcpListener) -> anyhow::Result<u16> {
    Ok(listener.local_addr()?.port())
}

/// Listens on an address; `option` is what chose the port, for the error.
pub fn listen(option: &str, address: IpAddr, port: u16) -> anyhow::Result<TcpListener> {
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

//! The measures: nginx, Mosquitto and Qpid Proton from Debian, with configurations of our own in a folder of our own.
//! Owns how they are set up; must not know what is asked of them.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use crate::process::{Process, free_port, is_program};

/// Same size as the 202 to a register request.
const ADMITTED: &str =
    r#"{"operationId":"5.0123456789abcdef.00000000-0000-4000-8000-000000000000","status":"assigning"}"#;
/// Same size as the answer that a device is assigned.
const ASSIGNED: &str = r#"{"operationId":"5.0123456789abcdef.00000000-0000-4000-8000-000000000000","status":"assigned","registrationState":{"x509":{"enrollmentGroupId":"bench-group"},"registrationId":"device-0-00000000","createdDateTimeUtc":"2026-01-01T00:00:00.0000000Z","assignedHub":"localhost","deviceId":"device-0-00000000","status":"assigned","substatus":"initialAssignment","lastUpdatedDateTimeUtc":"2026-01-01T00:00:00.0000000Z","etag":"IjAwMDAwMDAwLTAwMDAtNDAwMC04MDAwLTAwMDAwMDAwMDAwMCI="}}"#;

/// A server to compare with.
pub struct Peer {
    /// The process.
    pub process: Process,
    /// Where it accepts TLS.
    pub address: SocketAddr,
}

/// The server certificate: Muster's own, so that every handshake costs the same.
pub struct Certificate {
    /// PEM, leaf first.
    pub chain: PathBuf,
    /// PEM.
    pub key: PathBuf,
}

impl Certificate {
    /// That of a data directory.
    pub fn of(data_dir: &Path) -> Self {
        Self { chain: data_dir.join("server.pem"), key: data_dir.join("server.key.pem") }
    }
}

/// nginx: one worker for each core, TLS 1.3, no resumption, client certificates asked for and any accepted.
pub async fn nginx(folder: &Path, certificate: &Certificate) -> Result<Peer> {
    let program = program("nginx", "nginx-light").await?;
    let (folder, port) = (folder.join("nginx"), free_port()?);
    let root = folder.join("root");
    fs::create_dir_all(&root)?;
    fs::write(root.join("register"), ADMITTED)?;
    fs::write(root.join("status"), ASSIGNED)?;
    let at = folder.display();
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let config = format!(
        "{user} daemon off; worker_processes auto; pid {at}/pid; error_log {at}/error.log warn;\n\
         worker_rlimit_nofile 8192; events {{ worker_connections 4096; }}\n\
         http {{\n\
           access_log off; server_tokens off; tcp_nodelay on; sendfile on;\n\
           client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;\n\
           uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;\n\
           default_type application/json; keepalive_requests 100000000; open_file_cache max=100;\n\
           server {{\n\
             listen 127.0.0.1:{port} ssl backlog=4096; root {at}/root;\n\
             ssl_certificate {chain}; ssl_certificate_key {key};\n\
             ssl_protocols TLSv1.3; ssl_session_tickets off; ssl_session_cache off;\n\
             ssl_verify_client optional_no_ca;\n\
           }}\n\
         }}\n",
        chain = certificate.chain.display(),
        key = certificate.key.display(),
    );
    fs::write(folder.join("nginx.conf"), config)?;
    let mut command = Command::new(program);
    command
        .arg("-p")
        .arg(&folder)
        .arg("-c")
        .arg(folder.join("nginx.conf"))
        .arg("-e")
        .arg(folder.join("error.log"));
    accepting("nginx", &mut command, port).await
}

/// Mosquitto: TLS 1.3, nobody is asked who they are, nothing is kept.
pub async fn mosquitto(folder: &Path, certificate: &Certificate) -> Result<Peer> {
    let program = program("mosquitto", "mosquitto").await?;
    let (folder, port) = (folder.join("mosquitto"), free_port()?);
    fs::create_dir_all(&folder)?;
    let user = if rustix::process::geteuid().is_root() { "user root\n" } else { "" };
    let config = format!(
        "{user}per_listener_settings false\nallow_anonymous true\npersistence false\nlog_dest none\n\
         connection_messages false\nset_tcp_nodelay true\nlistener {port} 127.0.0.1\n\
         certfile {chain}\nkeyfile {key}\ntls_version tlsv1.3\n",
        chain = certificate.chain.display(),
        key = certificate.key.display(),
    );
    fs::write(folder.join("mosquitto.conf"), config)?;
    let mut command = Command::new(program);
    command.arg("-c").arg(folder.join("mosquitto.conf"));
    accepting("Mosquitto", &mut command, port).await
}

/// Qpid Proton: the broker that its authors ship as an example, compiled here. Nobody is asked who they are, nothing is
/// kept on disk. Its backlog of 16 connections would measure lost connection attempts, so that one number is another.
pub async fn proton(folder: &Path, certificate: &Certificate) -> Result<Peer> {
    installed(Path::new("/usr/include/proton/proactor.h"), "libqpid-proton11-dev").await?;
    let examples = Path::new("/usr/share/proton/examples/c");
    let source = installed(&examples.join("broker.c"), "libqpid-proton11-dev-examples").await?;
    let (folder, port) = (folder.join("proton"), free_port()?);
    let certificates = folder.join("ssl-certs");
    fs::create_dir_all(&certificates)?;
    fs::copy(&certificate.chain, certificates.join("tserver-certificate.pem"))?;
    fs::copy(&certificate.key, certificates.join("tserver-private-key.pem"))?;
    let text = fs::read_to_string(source)?;
    let backlog = "pn_listener(), addr, 16)";
    if !text.contains(backlog) {
        bail!("Proton's broker is not the one that is known here");
    }
    let (source, program) = (folder.join("broker.c"), folder.join("broker"));
    fs::write(&source, text.replace(backlog, "pn_listener(), addr, 4096)"))?;
    let compiled = Command::new("cc")
        .args(["-O2", "-w", "-I"])
        .arg(examples)
        .arg(&source)
        .arg("-o")
        .arg(&program)
        .args(["-lqpid-proton", "-lpthread"])
        .status()
        .await
        .context("cannot run cc")?;
    if !compiled.success() {
        bail!("Proton's broker cannot be compiled");
    }
    let mut command = Command::new(program);
    command.arg("127.0.0.1").arg(port.to_string()).current_dir(&folder);
    accepting("Qpid Proton", &mut command, port).await
}

async fn accepting(name: &'static str, command: &mut Command, port: u16) -> Result<Peer> {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut process = Process::start(name, quiet)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    process.accepts(address).await?;
    Ok(Peer { process, address })
}

/// A Debian package's program.
async fn program(name: &'static str, package: &'static str) -> Result<PathBuf> {
    let path = installed(&Path::new("/usr/sbin").join(name), package).await?;
    if is_program(&path) { Ok(path) } else { bail!("{} is no program", path.display()) }
}

/// A Debian package's file; installs the package, aloud, when that is missing and allowed.
async fn installed(path: &Path, package: &'static str) -> Result<PathBuf> {
    if path.exists() {
        return Ok(path.to_owned());
    }
    let name = path.display();
    if !rustix::process::geteuid().is_root() {
        bail!("{name} is missing: apt-get install {package}");
    }
    eprintln!("{name} is missing; installing it: apt-get install -y {package}");
    // With this run level Debian's packages do not start their services.
    let installed = Command::new("apt-get")
        .args(["install", "-y", package])
        .env("RUNLEVEL", "1")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(Stdio::null())
        .status()
        .await
        .context("cannot run apt-get")?;
    if !installed.success() || !path.exists() {
        bail!("{name} could not be installed; try apt-get update, then apt-get install {package}");
    }
    Ok(path.to_owned())
}

/// Version lines of the peers, as they print them.
pub async fn versions() -> Vec<String> {
    let mut lines = Vec::new();
    let proton = ["-W", "-f", "Qpid Proton version: ${Version}", "libqpid-proton11"];
    let asked: [(&str, &[&str]); 4] = [
        ("/usr/sbin/nginx", &["-v"]),
        ("/usr/sbin/mosquitto", &["-h"]),
        ("/usr/bin/dpkg-query", &proton),
        ("/usr/bin/openssl", &["version"]),
    ];
    for (program, arguments) in asked {
        if let Ok(output) = Command::new(program).args(arguments).output().await {
            let text = [output.stdout, output.stderr].concat();
            lines.extend(String::from_utf8_lossy(&text).lines().next().map(str::to_owned));
        }
    }
    lines
}

//! The clients, in a process of their own: a plan on standard input, an outcome on standard output.
//!
//! Owns the crowd: how many at once, what is timed, when it ends. Cheap by design (hand-written HTTP/1.1, the wire
//! crate's MQTT packets and AMQP frames), and the same for Muster and for what it is compared with.

mod amqp;
pub mod http;
mod mqtt;
pub mod tls;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::devices::{Device, Devices};
use tls::Tls;

/// Longest time that one device may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the clients do, and to whom.
#[derive(Clone, Serialize, Deserialize)]
pub struct Plan {
    /// The server.
    pub address: SocketAddr,
    /// Its certificate (PEM), the only one that is trusted.
    pub certificate: PathBuf,
    /// The id scope that devices name.
    pub id_scope: String,
    /// Who.
    pub devices: Devices,
    /// What each of them does.
    pub work: Work,
    /// How many at once.
    pub clients: usize,
}

/// What a device does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    /// New connection; register, poll until assigned.
    HttpRegistration,
    /// New connection; two static answers.
    HttpStaticTwice,
    /// Kept-alive connection; one register request each.
    HttpRegister,
    /// Kept-alive connection; one register request and, once assigned, one poll each.
    HttpRegisterAndPoll,
    /// Kept-alive connection; one register request that is refused each.
    HttpRefused,
    /// Kept-alive connection; one register request that is answered by a TPM challenge each.
    HttpChallenge,
    /// Kept-alive connection; one registration status lookup each: proven, read, recorded, nothing written.
    HttpLookup,
    /// Kept-alive connection; one static answer each.
    HttpStatic,
    /// New connection; connect, subscribe, register, poll until assigned.
    MqttRegistration,
    /// New connection; connect, subscribe, two messages echoed.
    MqttEcho,
    /// New connection; connect, subscribe, stay until standard input ends.
    MqttHold,
    /// New connection; SASL, open, session, two links, register, poll until assigned, close.
    AmqpRegistration,
    /// New connection; SASL, open, session, two links, two messages echoed, close.
    AmqpEcho,
    /// New connection; SASL, open, session, two links, stay until standard input ends.
    AmqpHold,
}

/// What came of it.
#[derive(Serialize, Deserialize)]
pub struct Outcome {
    /// Devices served.
    pub done: usize,
    /// Seconds from the first connection to the last answer.
    pub seconds: f64,
    /// Polls that found the device not yet assigned.
    pub early_polls: usize,
    /// Latencies by name, in microseconds.
    pub latencies: BTreeMap<String, Latency>,
}

/// A distribution, in microseconds.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Latency {
    /// Half are below.
    pub median: f64,
    /// 99 of 100 are below.
    pub p99: f64,
}

/// What one client has seen.
#[derive(Default)]
struct Seen {
    done: usize,
    early_polls: usize,
    times: BTreeMap<&'static str, Vec<u32>>,
}

impl Seen {
    fn time(&mut self, name: &'static str, since: Instant) {
        let micros = u32::try_from(since.elapsed().as_micros()).unwrap_or(u32::MAX);
        self.times.entry(name).or_default().push(micros);
    }
}

/// All that the clients share.
struct Crowd {
    plan: Plan,
    tls: Tls,
    devices: Vec<Device>,
    next: AtomicUsize,
}

impl Crowd {
    fn next(&self) -> Option<(usize, &Device)> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        self.devices.get(index).map(|device| (index, device))
    }
}

/// Runs the plan of standard input.
pub fn run() -> Result<()> {
    let mut line = Vec::new();
    let mut input = std::io::stdin();
    // One line, read byte by byte so that nothing behind it is taken.
    let mut byte = [0];
    while input.read(&mut byte)? == 1 && byte != *b"\n" {
        line.extend(byte);
    }
    let plan: Plan = serde_json::from_slice(&line).context("the plan on standard input")?;
    crate::process::raise_file_limit()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(play(plan))
}

async fn play(plan: Plan) -> Result<()> {
    let (tls, devices) = (Tls::pinned(&plan.certificate)?, plan.devices.make(&plan.id_scope)?);
    let crowd = Arc::new(Crowd { plan, tls, devices, next: AtomicUsize::new(0) });
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for number in 0..crowd.plan.clients {
        clients.spawn(client(Arc::clone(&crowd), number));
    }
    let (mut all, mut held) = (Seen::default(), Vec::new());
    while let Some(done) = clients.join_next().await {
        let (seen, streams) = done??;
        all.done += seen.done;
        all.early_polls += seen.early_polls;
        for (name, mut times) in seen.times {
            all.times.entry(name).or_default().append(&mut times);
        }
        held.extend(streams);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let latencies = all.times.into_iter().map(|(name, times)| (name.to_owned(), latency(times))).collect();
    let outcome = Outcome { done: all.done, seconds, early_polls: all.early_polls, latencies };
    println!("{}", serde_json::to_string(&outcome)?);
    if matches!(crowd.plan.work, Work::MqttHold | Work::AmqpHold) {
        // Until the measuring process has seen enough, or is gone.
        tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    }
    drop(held);
    Ok(())
}

/// One client: takes devices until there is none left.
async fn client(crowd: Arc<Crowd>, number: usize) -> Result<(Seen, Vec<tls::Stream>)> {
    let (mut seen, mut held) = (Seen::default(), Vec::new());
    let mut kept = None;
    while let Some((index, device)) = crowd.next() {
        let one = one(&crowd, number, index, device, &mut kept, &mut seen);
        let stays = timeout(PATIENCE, one)
            .await
            .with_context(|| format!("{} was not served in time", device.id))?
            .with_context(|| device.id.clone())?;
        held.extend(stays);
        seen.done += 1;
    }
    Ok((seen, held))
}

async fn one(
    crowd: &Crowd,
    number: usize,
    index: usize,
    device: &Device,
    kept: &mut Option<http::Connection>,
    seen: &mut Seen,
) -> Result<Option<tls::Stream>> {
    let plan = &crowd.plan;
    let begun = Instant::now();
    match plan.work {
        Work::HttpRegistration | Work::HttpStaticTwice => {
            let mut connection = http::Connection::open(crowd, device).await?;
            if plan.work == Work::HttpRegistration {
                connection.register_until_assigned(plan, device, seen).await?;
            } else {
                connection.fetch("register", device).await?;
                connection.fetch("status", device).await?;
            }
            seen.time("all", begun);
        }
        Work::HttpRegister
        | Work::HttpRegisterAndPoll
        | Work::HttpRefused
        | Work::HttpChallenge
        | Work::HttpLookup
        | Work::HttpStatic => {
            if kept.is_none() {
                *kept = Some(http::Connection::open(crowd, device).await?);
            }
            let connection = kept.as_mut().context("no connection")?;
            connection.again(plan, device, seen).await?;
        }
        Work::MqttRegistration | Work::MqttEcho | Work::MqttHold => {
            let mut connection = mqtt::Connection::open(crowd, index, device).await?;
            match plan.work {
                Work::MqttRegistration => connection.register_until_assigned(device, seen).await?,
                Work::MqttEcho => connection.echo_twice(device).await?,
                _ => return Ok(Some(connection.wait_for_messages(device).await?)),
            }
            seen.time("all", begun);
        }
        Work::AmqpRegistration | Work::AmqpEcho | Work::AmqpHold => {
            let mut connection = amqp::Connection::open(crowd, number, index, device).await?;
            match plan.work {
                Work::AmqpRegistration => connection.register_until_assigned(device, seen).await?,
                Work::AmqpEcho => connection.echo_twice().await?,
                _ => return Ok(Some(connection.wait_for_messages())),
            }
            seen.time("all", begun);
        }
    }
    Ok(None)
}

fn latency(mut times: Vec<u32>) -> Latency {
    times.sort_unstable();
    let at = |part: usize| {
        f64::from(times.get((times.len() * part / 100).min(times.len() - 1)).copied().unwrap_or(0))
    };
    Latency { median: at(50), p99: at(99) }
}

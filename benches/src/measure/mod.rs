//! The measurements, one after another. Owns what they share: the data folder, the load process, the machine's facts.

mod amqp;
mod amqp_memory;
mod enrollments;
mod lookup;
mod mqtt;
mod mqtt_memory;
mod register_cpu;
mod registration;
mod tpm;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use crate::load::{Outcome, Plan};
use crate::peers;
use crate::process::is_program;
use crate::{Cli, Measurement};

/// Longest time of one load; every plan is made to take a small part of it.
const LOAD: Duration = Duration::from_mins(10);

/// What every measurement is given.
pub struct Bench {
    /// The server's program.
    pub muster: PathBuf,
    /// Rounds.
    pub rounds: usize,
    /// Clients at once.
    pub clients: usize,
    scale: f64,
    folder: TempDir,
}

impl Bench {
    /// An empty folder of that name.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        std::fs::create_dir(&path)?;
        Ok(path)
    }

    /// That many, scaled; at least one for each client.
    pub fn count(&self, count: u32) -> usize {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within the bounds of the options
        let scaled = (f64::from(count) * self.scale) as usize;
        scaled.max(self.clients)
    }

    /// Plays a plan in a process of its own.
    pub async fn load(&self, plan: &Plan) -> Result<Outcome> {
        let (outcome, held) = self.hold(plan).await?;
        held.release().await?;
        Ok(outcome)
    }

    /// Plays a plan whose connections stay until `release`.
    pub async fn hold(&self, plan: &Plan) -> Result<(Outcome, Held)> {
        let program = std::env::current_exe().context("where is this program?")?;
        let mut child = Command::new(program)
            .arg("load")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the load")?;
        let mut input = child.stdin.take().context("no standard input")?;
        let output = child.stdout.take().context("no standard output")?;
        input.write_all(&serde_json::to_vec(plan)?).await?;
        input.write_all(b"\n").await?;
        input.flush().await?;
        let mut line = String::new();
        timeout(LOAD, BufReader::new(output).read_line(&mut line))
            .await
            .context("the load does not end")??;
        if line.is_empty() {
            bail!("the load failed: {}", child.wait().await?);
        }
        Ok((serde_json::from_str(&line)?, Held { child, input }))
    }
}

/// A load that may still hold connections.
pub struct Held {
    child: Child,
    input: ChildStdin,
}

impl Held {
    /// Lets it end.
    pub async fn release(mut self) -> Result<()> {
        drop(self.input);
        let status = timeout(LOAD, self.child.wait()).await.context("the load does not end")??;
        if status.success() { Ok(()) } else { bail!("the load failed: {status}") }
    }
}

/// Runs one measurement, or all.
pub async fn run(cli: &Cli) -> Result<()> {
    if !is_program(&cli.muster) {
        bail!("{} is no program; build it with cargo build --release -p muster", cli.muster.display());
    }
    let folder = match &cli.data {
        Some(parent) => tempfile::Builder::new().prefix("muster-bench-").tempdir_in(parent),
        None => tempfile::Builder::new().prefix("muster-bench-").tempdir(),
    };
    let bench = Bench {
        muster: cli.muster.clone(),
        rounds: usize::try_from(cli.rounds)?,
        clients: usize::try_from(cli.clients)?,
        scale: cli.scale,
        folder: folder.context("cannot make a folder for the servers' data")?,
    };
    describe(&bench).await;
    let wanted = |one| cli.measurement.as_ref().is_none_or(|measurement| *measurement == one);
    if wanted(Measurement::Registration) {
        registration::run(&bench).await?;
    }
    if wanted(Measurement::RegisterCpu) {
        register_cpu::run(&bench).await?;
    }
    if wanted(Measurement::Mqtt) {
        mqtt::run(&bench).await?;
    }
    if wanted(Measurement::MqttMemory) {
        mqtt_memory::run(&bench).await?;
    }
    if wanted(Measurement::Amqp) {
        amqp::run(&bench).await?;
    }
    if wanted(Measurement::AmqpMemory) {
        amqp_memory::run(&bench).await?;
    }
    if wanted(Measurement::Tpm) {
        tpm::run(&bench).await?;
    }
    if wanted(Measurement::Lookup) {
        lookup::run(&bench).await?;
    }
    if wanted(Measurement::Enrollments) {
        enrollments::run(&bench).await?;
    }
    Ok(())
}

/// The machine and the run, in a few lines.
async fn describe(bench: &Bench) {
    let first = |path: &str, key: &str| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_once(':').map_or(line, |(_, value)| value).trim().to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("{cores} × {}", first("/proc/cpuinfo", "model name"));
    println!("memory {}, {}", first("/proc/meminfo", "MemTotal"), first("/proc/version", "Linux"));
    for version in peers::versions().await {
        println!("{version}");
    }
    println!("{} rounds, {} clients at once, scale {}", bench.rounds, bench.clients, bench.scale);
    match durable_write(bench.folder.path()) {
        Ok(micros) => println!("one durable write of 4 KiB takes {micros} µs in the servers' data folder"),
        Err(error) => println!("durable writes could not be timed: {error}"),
    }
}

/// Median time of an append that is synced to disk.
fn durable_write(folder: &Path) -> Result<u128> {
    use std::io::Write as _;
    let mut file = tempfile::tempfile_in(folder)?;
    let mut times = Vec::new();
    for _ in 0..64 {
        let begun = std::time::Instant::now();
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        times.push(begun.elapsed().as_micros());
    }
    times.sort_unstable();
    times.get(times.len() / 2).copied().context("no time was taken")
}

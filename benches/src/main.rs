//! Muster measured over real sockets, beside nginx, Mosquitto and Qpid Proton, in one run on one machine.
//!
//! Owns what is measured and how it is told (`docs/reference/performance.md`); must not judge: no number here decides
//! whether anything passes. Starts its own servers on loopback, ends those alone, and leaves nothing behind.

mod devices;
mod fill;
mod load;
mod measure;
mod muster;
mod peers;
mod process;
mod report;
mod seed;
mod tpm;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

/// Measures Muster against nginx, Mosquitto and Qpid Proton on this machine.
#[derive(Parser)]
#[command(name = "muster-bench", bin_name = "cargo xtask bench")]
struct Cli {
    /// The server's program.
    #[arg(long, env = "MUSTER_BIN", default_value = "target/release/muster", global = true)]
    muster: PathBuf,
    /// Rounds of each comparison; both sides take turns within a round.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100), global = true)]
    rounds: u32,
    /// Multiplies the work of each round; 0.1 is a quick look.
    #[arg(long, default_value_t = 1.0, value_parser = scale, global = true)]
    scale: f64,
    /// Clients at once, where clients come at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1024), global = true)]
    clients: u32,
    /// Folder for the servers' data [default: a temporary one, removed at the end].
    #[arg(long, global = true)]
    data: Option<PathBuf>,
    #[command(subcommand)]
    measurement: Option<Measurement>,
}

#[derive(Subcommand, Clone, PartialEq, Eq)]
enum Measurement {
    /// Full registration over a new mutual-TLS connection, against two static answers of nginx.
    Registration,
    /// Register requests per second of server CPU on kept-alive connections, against static answers of nginx.
    RegisterCpu,
    /// Full registration over MQTT, against two echoed messages of Mosquitto.
    Mqtt,
    /// Memory of a waiting MQTT connection.
    MqttMemory,
    /// Full registration over AMQP, against MQTT and HTTPS, and against two echoed messages of Qpid Proton.
    Amqp,
    /// Memory of a waiting AMQP connection.
    AmqpMemory,
    /// TPM challenges per second of server CPU, against the RSA that they are made of.
    Tpm,
    /// Latency with many enrollments and groups, against few.
    Lookup,
    /// A million enrollments imported by bulk operations and queried to the end: rates, and the server's memory.
    Enrollments,
    /// Clients in a process of their own; reads its plan on standard input.
    #[command(hide = true)]
    Load,
    /// Fills the data directory of a server that does not run, for tests.
    #[command(hide = true)]
    Fill(seed::Options),
}

fn scale(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(scale) if (0.001..=100.0).contains(&scale) => Ok(scale),
        _ => Err("give a number between 0.001 and 100".to_owned()),
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.measurement {
        Some(Measurement::Load) => load::run(),
        Some(Measurement::Fill(options)) => seed::run(options),
        _ => run(&cli),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("muster-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures until done or asked to stop; either way every server is ended and every file removed.
fn run(cli: &Cli) -> Result<()> {
    process::raise_file_limit()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::select! {
            done = measure::run(cli) => done,
            _ = interrupt.recv() => anyhow::bail!("interrupted"),
            _ = terminate.recv() => anyhow::bail!("asked to stop"),
        }
    })
}

//! Full registration over a new mutual-TLS connection, against nginx answering two static requests over one.

use anyhow::Result;

use super::Bench;
use crate::devices::{Credential, Devices, KeyKind, X509_GROUP, authority};
use crate::fill::{Enroll, fill};
use crate::load::{Plan, Work};
use crate::muster::Muster;
use crate::peers::{self, Certificate};
use crate::process::Process;
use crate::report::{self, Goal, Row, Series};

/// Devices of a round.
const DEVICES: u32 = 4_000;

/// Figures of one side.
#[derive(Default)]
pub struct Side {
    /// Devices a second.
    pub rate: Series,
    /// Devices per second of server CPU.
    pub per_cpu: Series,
}

impl Side {
    /// Plays the plan against that process and keeps its figures; answers polls that came early.
    pub async fn play(&mut self, bench: &Bench, plan: &Plan, server: &Process) -> Result<usize> {
        let before = server.cpu()?;
        let outcome = bench.load(plan).await?;
        let cpu = server.cpu()? - before;
        #[allow(clippy::cast_precision_loss)] // far below 2^52
        let done = outcome.done as f64;
        self.rate.push(done / outcome.seconds);
        self.per_cpu.push(done / cpu);
        Ok(outcome.early_polls)
    }
}

/// Prints the table.
pub async fn run(bench: &Bench) -> Result<()> {
    let folder = bench.folder("registration")?;
    let data_dir = folder.join("muster");
    let (id_scope, instance) = Muster::prepare(&bench.muster, &data_dir).await?;
    let mut rows = Vec::new();
    let kinds =
        [(KeyKind::EcP256, "EC P-256", Some(Goal::AtLeast(0.8))), (KeyKind::Rsa2048, "RSA-2048", None)];
    let mut authorities = Vec::new();
    let mut groups = Vec::new();
    for (kind, _, _) in kinds {
        let (ca, ca_key) = authority(kind)?;
        groups.push(Enroll::X509Group {
            name: format!("{X509_GROUP}-{kind:?}").to_lowercase(),
            ca: ca.clone(),
        });
        authorities.push((ca, ca_key));
    }
    fill(&data_dir, &instance, &groups).await?;
    let server = Muster::start(&bench.muster, &data_dir).await?;
    let nginx = peers::nginx(&folder, &Certificate::of(&data_dir)).await?;
    for ((kind, title, goal), (ca, ca_key)) in kinds.into_iter().zip(authorities) {
        let count = bench.count(DEVICES);
        let plan = |round: usize, address, work| Plan {
            address,
            certificate: data_dir.join("server.pem"),
            id_scope: id_scope.to_string(),
            devices: Devices {
                family: format!("reg-{kind:?}").to_lowercase(),
                first: round * count,
                count,
                stride: 1,
                credential: Credential::Certificate { ca: ca.clone(), ca_key: ca_key.clone(), kind },
            },
            work,
            clients: bench.clients,
        };
        let (mut ours, mut theirs, mut early) = (Side::default(), Side::default(), 0);
        for round in 0..bench.rounds {
            let us = plan(round, server.https()?, Work::HttpRegistration);
            let them = plan(round, nginx.address, Work::HttpStaticTwice);
            if round % 2 == 0 {
                early += ours.play(bench, &us, &server.process).await?;
                theirs.play(bench, &them, &nginx.process).await?;
            } else {
                theirs.play(bench, &them, &nginx.process).await?;
                early += ours.play(bench, &us, &server.process).await?;
            }
        }
        eprintln!("registration, {title}: {early} polls came before the device was assigned");
        rows.push(Row::compared(format!("{title}: devices/s"), ours.rate, theirs.rate, goal));
        let per_cpu = format!("{title}: devices per second of server CPU");
        rows.push(Row::compared(per_cpu, ours.per_cpu, theirs.per_cpu, None));
    }
    report::print(
        "registration: new mutual-TLS connection, register, poll until assigned",
        "Muster",
        "nginx",
        &rows,
    );
    nginx.process.stop().await?;
    server.stop().await
}

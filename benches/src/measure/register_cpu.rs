//! Durable register requests per second of server CPU on kept-alive connections, against static answers of nginx.

use anyhow::Result;

use super::Bench;
use super::registration::Side;
use crate::devices::{Credential, Devices};
use crate::fill::{Enroll, fill};
use crate::load::{Plan, Work};
use crate::muster::Muster;
use crate::peers::{self, Certificate};
use crate::report::{self, Goal, Row};

/// Devices of a round.
const DEVICES: u32 = 10_000;
/// Static answers of a round: as many seconds of work.
const ANSWERS: u32 = 60_000;
/// Devices with an enrollment of their own.
const INDIVIDUAL: &str = "own";
/// Devices of the group.
const OF_GROUP: &str = "grouped";

/// Prints the table.
pub async fn run(bench: &Bench) -> Result<()> {
    let folder = bench.folder("register-cpu")?;
    let data_dir = folder.join("muster");
    let (id_scope, instance) = Muster::prepare(&bench.muster, &data_dir).await?;
    let count = bench.count(DEVICES);
    let individuals = Enroll::Individuals { family: INDIVIDUAL, count: count * bench.rounds };
    fill(&data_dir, &instance, &[individuals, Enroll::OneKeyGroup]).await?;
    let server = Muster::start(&bench.muster, &data_dir).await?;
    let nginx = peers::nginx(&folder, &Certificate::of(&data_dir)).await?;
    let plan = |address, family: &str, round: usize, count: usize, work| Plan {
        address,
        certificate: data_dir.join("server.pem"),
        id_scope: id_scope.to_string(),
        devices: Devices {
            family: family.to_owned(),
            first: round * count,
            count,
            stride: 1,
            credential: Credential::Key,
        },
        work,
        clients: bench.clients,
    };
    let mut theirs = Side::default();
    let (register, lookup) = (Work::HttpRegister, Work::HttpLookup);
    let mut ours = [
        (INDIVIDUAL, register, "first registration, individual", Side::default()),
        (INDIVIDUAL, register, "registration again, individual", Side::default()),
        (OF_GROUP, register, "first registration, group", Side::default()),
        (OF_GROUP, register, "registration again, group", Side::default()),
        (OF_GROUP, lookup, "status lookup, nothing written", Side::default()),
    ];
    for round in 0..bench.rounds {
        let static_plan = plan(nginx.address, INDIVIDUAL, round, bench.count(ANSWERS), Work::HttpStatic);
        theirs.play(bench, &static_plan, &nginx.process).await?;
        for (family, work, _, side) in &mut ours {
            let plan = plan(server.https()?, family, round, count, *work);
            side.play(bench, &plan, &server.process).await?;
        }
    }
    let mut rows = Vec::new();
    for (_, work, title, side) in ours {
        let per_cpu = format!("{title}: requests per second of server CPU");
        let goal = (work == register).then_some(Goal::AtLeast(0.25));
        rows.push(Row::compared(per_cpu, side.per_cpu, theirs.per_cpu.clone(), goal));
        rows.push(Row::compared(format!("{title}: requests/s"), side.rate, theirs.rate.clone(), None));
    }
    report::print("register-cpu: register requests on kept-alive connections", "Muster", "nginx", &rows);
    nginx.process.stop().await?;
    server.stop().await
}

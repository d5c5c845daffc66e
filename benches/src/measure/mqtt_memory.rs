//! Memory of an MQTT connection that was authenticated, has subscribed and waits.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::sleep;

use super::Bench;
use crate::devices::{Credential, Devices};
use crate::fill::{Enroll, fill};
use crate::load::{Plan, Work};
use crate::muster::Muster;
use crate::peers::{self, Certificate};
use crate::process::Process;
use crate::report::{self, Goal, Row, Series};

/// Connections held at once.
pub const CONNECTIONS: u32 = 10_000;
/// Time after which memory is read: what handshakes needed has been given back by then, if ever.
const SETTLE: Duration = Duration::from_secs(3);

/// Prints the table.
pub async fn run(bench: &Bench) -> Result<()> {
    let folder = bench.folder("mqtt-memory")?;
    let data_dir = folder.join("muster");
    let (id_scope, instance) = Muster::prepare(&bench.muster, &data_dir).await?;
    fill(&data_dir, &instance, &[Enroll::OneKeyGroup]).await?;
    let count = bench.count(CONNECTIONS);
    let plan = |address| Plan {
        address,
        certificate: data_dir.join("server.pem"),
        id_scope: id_scope.to_string(),
        devices: Devices {
            family: "held".to_owned(),
            first: 0,
            count,
            stride: 1,
            credential: Credential::Key,
        },
        work: Work::MqttHold,
        clients: bench.clients,
    };
    let (mut ours, mut theirs) = (Series::default(), Series::default());
    // A fresh process each time: what an earlier round left to the allocator would hide what this one takes.
    for _ in 0..bench.rounds.min(3) {
        let server = Muster::start(&bench.muster, &data_dir).await?;
        ours.push(per_connection(bench, &plan(server.mqtt()?), &server.process).await?);
        server.stop().await?;
        let mosquitto = peers::mosquitto(&folder, &Certificate::of(&data_dir)).await?;
        theirs.push(per_connection(bench, &plan(mosquitto.address), &mosquitto.process).await?);
        mosquitto.process.stop().await?;
    }
    let row = Row {
        what: format!("KiB of resident memory per connection, {count} held"),
        ours,
        theirs,
        ratio: None,
        goal: Some(Goal::AtMost(20.0)),
    };
    report::print("mqtt-memory: authenticated, subscribed, waiting", "Muster", "Mosquitto", &[row]);
    Ok(())
}

/// KiB per connection.
pub async fn per_connection(bench: &Bench, plan: &Plan, server: &Process) -> Result<f64> {
    let before = server.resident()?;
    let (outcome, held) = bench.hold(plan).await?;
    if outcome.done != plan.devices.count {
        bail!("only {} connections are held", outcome.done);
    }
    sleep(SETTLE).await;
    let after = server.resident()?;
    held.release().await?;
    #[allow(clippy::cast_precision_loss)] // far below 2^52
    Ok((after - before) / outcome.done as f64 / 1024.0)
}

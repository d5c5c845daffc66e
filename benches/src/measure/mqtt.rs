//! MQTT: connect, subscribe, register, assigned; against Mosquitto's connect, subscribe, two echoed messages.

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
const DEVICES: u32 = 4_000;
const FAMILY: &str = "mqtt";

/// Prints the table.
pub async fn run(bench: &Bench) -> Result<()> {
    let folder = bench.folder("mqtt")?;
    let data_dir = folder.join("muster");
    let (id_scope, instance) = Muster::prepare(&bench.muster, &data_dir).await?;
    let count = bench.count(DEVICES);
    fill(&data_dir, &instance, &[Enroll::Individuals { family: FAMILY, count: count * bench.rounds }])
        .await?;
    let server = Muster::start(&bench.muster, &data_dir).await?;
    let mosquitto = peers::mosquitto(&folder, &Certificate::of(&data_dir)).await?;
    let plan = |address, round: usize, work| Plan {
        address,
        certificate: data_dir.join("server.pem"),
        id_scope: id_scope.to_string(),
        devices: Devices {
            family: FAMILY.to_owned(),
            first: round * count,
            count,
            stride: 1,
            credential: Credential::Key,
        },
        work,
        clients: bench.clients,
    };
    let (mut ours, mut theirs, mut early) = (Side::default(), Side::default(), 0);
    for round in 0..bench.rounds {
        let us = plan(server.mqtt()?, round, Work::MqttRegistration);
        let them = plan(mosquitto.address, round, Work::MqttEcho);
        if round % 2 == 0 {
            early += ours.play(bench, &us, &server.process).await?;
            theirs.play(bench, &them, &mosquitto.process).await?;
        } else {
            theirs.play(bench, &them, &mosquitto.process).await?;
            early += ours.play(bench, &us, &server.process).await?;
        }
    }
    eprintln!("mqtt: {early} polls came before the device was assigned");
    let rows = [
        Row::compared("devices/s", ours.rate, theirs.rate, Some(Goal::AtLeast(1.5))),
        Row::compared("devices per second of server CPU", ours.per_cpu, theirs.per_cpu, None),
    ];
    report::print(
        "mqtt: new TLS connection, connect, subscribe, register, assigned",
        "Muster",
        "Mosquitto",
        &rows,
    );
    mosquitto.process.stop().await?;
    server.stop().await
}

//! AMQP: SASL, open, session, two links, register, assigned; against the same over MQTT and HTTPS on the same server,
//! and against two messages that Qpid Proton's broker echoes.

use anyhow::Result;

use super::Bench;
use super::registration::Side;
use crate::devices::{Credential, Devices};
use crate::fill::{Enroll, fill};
use crate::load::{Plan, Work};
use crate::muster::Muster;
use crate::peers::{self, Certificate};
use crate::report::{self, Row};

/// Devices of a round, over each protocol.
const DEVICES: u32 = 3_000;
const AMQP: &str = "amqp";
const MQTT: &str = "amqp-mqtt";
const HTTPS: &str = "amqp-https";

/// Prints both tables.
pub async fn run(bench: &Bench) -> Result<()> {
    let folder = bench.folder("amqp")?;
    let data_dir = folder.join("muster");
    let (id_scope, instance) = Muster::prepare(&bench.muster, &data_dir).await?;
    let count = bench.count(DEVICES);
    let enrolled =
        [AMQP, MQTT, HTTPS].map(|family| Enroll::Individuals { family, count: count * bench.rounds });
    fill(&data_dir, &instance, &enrolled).await?;
    let server = Muster::start(&bench.muster, &data_dir).await?;
    let proton = peers::proton(&folder, &Certificate::of(&data_dir)).await?;
    let plan = |address, family: &str, round: usize, work| Plan {
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
    let sides = [
        (server.amqp()?, &server.process, AMQP, Work::AmqpRegistration),
        (server.mqtt()?, &server.process, MQTT, Work::MqttRegistration),
        (server.https()?, &server.process, HTTPS, Work::HttpRegistration),
        (proton.address, &proton.process, AMQP, Work::AmqpEcho),
    ];
    let mut figures: [Side; 4] = Default::default();
    let mut early = [0; 4];
    for round in 0..bench.rounds {
        for turn in 0..sides.len() {
            // Another one begins each time.
            let index = (round + turn) % sides.len();
            let (address, process, family, work) = sides[index];
            early[index] += figures[index].play(bench, &plan(address, family, round, work), process).await?;
        }
    }
    eprintln!(
        "amqp: polls that came before the device was assigned: {} over AMQP, {} over MQTT, {} over HTTPS",
        early[0], early[1], early[2]
    );
    let [amqp, mqtt, https, echo] = figures;
    let compared = |what: &str, other: Side| {
        let per_cpu = format!("{what}, devices per second of server CPU");
        [
            Row::compared(format!("{what}, devices/s"), amqp.rate.clone(), other.rate, None),
            Row::compared(per_cpu, amqp.per_cpu.clone(), other.per_cpu, None),
        ]
    };
    let rows = [
        compared("beside MQTT", mqtt),
        compared("beside HTTPS", https),
        compared("beside Qpid Proton", echo),
    ];
    report::print(
        "amqp: new TLS connection, SASL, open, session, two links, register, assigned",
        "Muster over AMQP",
        "the other",
        rows.as_flattened(),
    );
    proton.process.stop().await?;
    server.stop().await
}

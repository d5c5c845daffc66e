//! Memory of an AMQP connection that was authenticated, has both links attached and waits; beside an MQTT connection of
//! the same server, and beside Qpid Proton's broker.

use std::net::SocketAddr;

use anyhow::Result;

use super::Bench;
use super::mqtt_memory::{CONNECTIONS, per_connection};
use crate::devices::{Credential, Devices};
use crate::fill::{Enroll, fill};
use crate::load::{Plan, Work};
use crate::muster::Muster;
use crate::peers::{self, Certificate};
use crate::report::{self, Row, Series};

/// Prints the table.
pub async fn run(bench: &Bench) -> Result<()> {
    let folder = bench.folder("amqp-memory")?;
    let data_dir = folder.join("muster");
    let (id_scope, instance) = Muster::prepare(&bench.muster, &data_dir).await?;
    fill(&data_dir, &instance, &[Enroll::OneKeyGroup]).await?;
    let count = bench.count(CONNECTIONS);
    let plan = |address: SocketAddr, work| Plan {
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
        work,
        clients: bench.clients,
    };
    let (mut amqp, mut mqtt, mut proton) = (Series::default(), Series::default(), Series::default());
    // A fresh process each time, as in mqtt-memory.
    for _ in 0..bench.rounds.min(3) {
        let server = Muster::start(&bench.muster, &data_dir).await?;
        amqp.push(per_connection(bench, &plan(server.amqp()?, Work::AmqpHold), &server.process).await?);
        server.stop().await?;
        let server = Muster::start(&bench.muster, &data_dir).await?;
        mqtt.push(per_connection(bench, &plan(server.mqtt()?, Work::MqttHold), &server.process).await?);
        server.stop().await?;
        let peer = peers::proton(&folder, &Certificate::of(&data_dir)).await?;
        proton.push(per_connection(bench, &plan(peer.address, Work::AmqpHold), &peer.process).await?);
        peer.process.stop().await?;
    }
    let what = |other: &str| format!("KiB of resident memory per connection, {count} held, beside {other}");
    let rows = [
        Row::compared(what("MQTT"), amqp.clone(), mqtt, None),
        Row::compared(what("Qpid Proton"), amqp, proton, None),
    ];
    report::print(
        "amqp-memory: authenticated, links attached, waiting",
        "Muster over AMQP",
        "the other",
        &rows,
    );
    Ok(())
}

//! A device as it runs in the field: provisions once, keeps its assignment in a file, connects, sends a reading a minute
//! and follows its desired properties, whatever the network, its hub and the service do.
//!
//! `cargo run -p muster-device --example device -- HOST ID_SCOPE REGISTRATION_ID KEY_FILE CA_FILE MQTT_PORT HTTPS_PORT
//! CACHE_FILE`
#![allow(clippy::print_stdout)] // an example speaks

use std::time::Duration;

use muster_device::{
    AssignmentCache, Attestation, Desired, Device, Fleet, HubClient, ProvisioningClient, Transport,
};
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    run(std::env::args().skip(1).collect()).await
}

/// The device, with the arguments of the command line; works until something ends it.
pub async fn run(arguments: Vec<String>) -> Result<(), Box<dyn std::error::Error>> {
    let [host, id_scope, registration_id, key_file, ca_file, mqtt_port, https_port, cache_file] =
        arguments.as_slice()
    else {
        return Err(
            "write: HOST ID_SCOPE REGISTRATION_ID KEY_FILE CA_FILE MQTT_PORT HTTPS_PORT CACHE_FILE".into()
        );
    };
    let key = Attestation::symmetric_key(std::fs::read_to_string(key_file)?.trim())?;
    let client = ProvisioningClient::builder(host, id_scope, registration_id, key)
        .transport(Transport::MqttWs)
        .ports(mqtt_port.parse()?, https_port.parse()?)
        .roots(std::fs::read(ca_file)?)
        .build()?;
    // Ten devices like this one begin together, and the service takes five calls a second: the first delay is drawn from
    // one to two seconds.
    let fleet = Fleet { devices: 10, calls_per_second: 5.0, load: 1.0 };
    let mut device = Device::new(client, AssignmentCache::file(cache_file))
        .fleet(fleet)
        .observe(|notice| println!("{notice:?}"));
    device.run(async |hub| work(hub).await).await?;
    Ok(())
}

/// What the device does on each connection, from the beginning.
async fn work(hub: &HubClient) -> Result<(), muster_device::Error> {
    let mut desired = hub.desired_properties();
    println!("desired: {:?}", hub.twin().await?.desired);
    let mut minutes = tokio::time::interval(Duration::from_mins(1));
    loop {
        tokio::select! {
            _ = minutes.tick() => {
                hub.send_telemetry(r#"{"temperature":21.5}"#, &[("$.ct", "application/json")]).await?;
            }
            change = desired.next() => match change {
                Some(Desired::Changed { mut patch, .. }) => {
                    // The hub's own members are not the device's to report.
                    patch.retain(|name, _| !name.starts_with('$'));
                    let version = hub.report(&json!({ "taken": patch })).await?;
                    println!("reported, version {version}");
                }
                Some(Desired::Missed(_)) => println!("desired: {:?}", hub.twin().await?.desired),
                None => return Err(hub.ended().await),
            },
        }
    }
}

//! Provisions one device with a symmetric key, then connects it to its hub, sends a message, reads its twin and reports
//! a property.
//!
//! `cargo run -p muster-device --example provision -- HOST ID_SCOPE REGISTRATION_ID KEY CA_FILE MQTT_PORT HTTPS_PORT
//! mqtt|https`
#![allow(clippy::print_stdout)] // an example speaks

use muster_device::{Attestation, HubClient, ProvisioningClient, Transport};
use serde_json::json;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    match run(std::env::args().skip(1).collect()).await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            println!("not provisioned: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

/// The conversation, with the arguments of the command line.
pub async fn run(arguments: Vec<String>) -> Result<(), Box<dyn std::error::Error>> {
    let [host, id_scope, registration_id, key, ca_file, mqtt_port, https_port, transport] =
        arguments.as_slice()
    else {
        return Err("write: HOST ID_SCOPE REGISTRATION_ID KEY CA_FILE MQTT_PORT HTTPS_PORT mqtt|https".into());
    };
    let attestation = Attestation::symmetric_key(key)?;
    let transport = if transport == "https" { Transport::Https } else { Transport::Mqtt };
    let client = ProvisioningClient::builder(host, id_scope, registration_id, attestation.clone())
        .transport(transport)
        .ports(mqtt_port.parse()?, https_port.parse()?)
        .roots(std::fs::read(ca_file)?)
        .build()?;

    let assignment = client.provision().await?;
    println!("{} belongs to {}", assignment.device_id, assignment.assigned_hub);

    let hub = HubClient::connect(&assignment, &attestation, client.hub_options()).await?;
    hub.send_telemetry(r#"{"temperature":21.5}"#, &[("$.ct", "application/json")]).await?;
    println!("the hub has the message");
    println!("the twin's desired properties: {:?}", hub.twin().await?.desired);
    println!("reported properties, version {}", hub.report(&json!({"firmware": "1.0"})).await?);
    hub.close().await?;
    Ok(())
}

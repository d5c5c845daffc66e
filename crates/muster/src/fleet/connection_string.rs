//! `muster connection-string`: what a service client is given. Must not know how a call is sent.

use serde_json::{Value, json};

use super::api::{ControlPlane, Failure};
use super::connection::InstanceOptions;
use super::device_key::KeySlot;
use super::output::{Form, OutputOptions};

/// Connection strings.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Print the connection string of a shared access policy, its key included
    #[command(after_help = "Examples:
  muster connection-string show
  muster connection-string show --policy-name line-7 --key-type secondary
  muster connection-string show --all -o json")]
    Show(ShowOptions),
}

#[derive(clap::Args)]
pub struct ShowOptions {
    /// Name of the policy
    #[arg(long, visible_alias = "pn", value_name = "NAME", default_value = "provisioningserviceowner")]
    policy_name: String,
    /// Which of the policy's keys
    #[arg(long, visible_alias = "kt", value_name = "SLOT", default_value = "primary", ignore_case = true)]
    key_type: KeySlot,
    /// Those of all policies
    #[arg(long, conflicts_with = "policy_name")]
    all: bool,
    /// Form of the output [default: the text alone]
    #[arg(long, short, value_name = "FORM")]
    output: Option<Form>,
    #[command(flatten)]
    instance: InstanceOptions,
}

/// Runs the command.
pub async fn run(command: Command) -> Result<(), Failure> {
    let Command::Show(options) = command;
    let control = options.instance.open()?;
    let host = host(&control).await?;
    let output = OutputOptions { output: options.output, show_keys: true };
    let mut found = false;
    for policy in control.keys().await? {
        let name = policy["keyName"].as_str().unwrap_or_default();
        if !options.all && !name.eq_ignore_ascii_case(&options.policy_name) {
            continue;
        }
        found = true;
        let text = string(&host, name, &policy, options.key_type);
        output.text(&text, &json!({ "policyName": name, "connectionString": text }))?;
    }
    if found {
        return Ok(());
    }
    let name = &options.policy_name;
    Err(Failure::Missing(format!("no policy is called {name}; `muster policy list` shows them")))
}

/// The host of the service API, with the port where a self-hosted service has another than 443.
async fn host(control: &ControlPlane) -> Result<String, Failure> {
    let service = control.service().await?;
    let Some(host) = service["properties"]["serviceOperationsHostName"].as_str() else {
        return Err(Failure::Missing(format!(
            "{} has no host name yet: show it to see its state",
            control.name()
        )));
    };
    Ok(match control.port() {
        Some(port) if dps_access::without_port(host) == host => format!("{host}:{port}"),
        _ => host.to_owned(),
    })
}

fn string(host: &str, name: &str, policy: &Value, slot: KeySlot) -> String {
    let key = policy[slot.member()].as_str().unwrap_or_default();
    format!("HostName={host};SharedAccessKeyName={name};SharedAccessKey={key}")
}

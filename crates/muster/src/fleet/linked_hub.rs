//! `muster linked-hub`: the hubs that devices are assigned to. Owns their place in a provisioning service's JSON; must not
//! know how a call is sent.

use dps_model::connection_string::ConnectionString;
use serde_json::{Value, json};

use super::api::Failure;
use super::api::control_plane::{API_VERSION, ControlPlane};
use super::connection::InstanceOptions;
use super::output::{Column, OutputOptions};
use super::value;

const COLUMNS: &[Column] = &[
    ("HUB", "/name"),
    ("LOCATION", "/location"),
    ("WEIGHT", "/allocationWeight"),
    ("IN ALLOCATION", "/applyAllocationPolicy"),
];

/// Linked hubs.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Link a hub
    #[command(after_help = "Example:
  muster linked-hub create --connection-string @hub.txt --location local --allocation-weight 10")]
    Create(CreateOptions),
    /// Change a linked hub: its share of the devices, or its key
    #[command(after_help = "Examples:
  muster linked-hub update --linked-hub hub-1.example --allocation-weight 20
  muster linked-hub update --linked-hub hub-1.example --apply-allocation-policy false
  muster linked-hub update --linked-hub hub-1.example --connection-string @new-key.txt")]
    Update(UpdateOptions),
    /// Show a linked hub
    #[command(after_help = "Example:
  muster linked-hub show --linked-hub hub-1.example")]
    Show(ItemOptions),
    /// List linked hubs
    #[command(after_help = "Example:
  muster linked-hub list")]
    List(ListOptions),
    /// Unlink a hub; its devices stay on it
    #[command(after_help = "Example:
  muster linked-hub delete --linked-hub hub-1.example")]
    Delete(ItemOptions),
}

/// How devices come to a hub.
#[derive(clap::Args, Clone, Copy, Default)]
struct ShareOptions {
    /// Share of the devices, beside other hubs' (1 to 1000)
    #[arg(long, value_name = "N")]
    allocation_weight: Option<u32>,
    /// Is the hub chosen by allocation policies?
    #[arg(long, value_name = "BOOL")]
    apply_allocation_policy: Option<bool>,
}

impl ShareOptions {
    fn apply(self, hub: &mut Value) {
        if let Some(weight) = self.allocation_weight {
            hub["allocationWeight"] = weight.into();
        }
        if let Some(apply) = self.apply_allocation_policy {
            hub["applyAllocationPolicy"] = apply.into();
        }
    }
}

#[derive(clap::Args)]
pub struct CreateOptions {
    /// Connection string of the hub, or @FILE that holds it. One on the command line can be read by every other user of
    /// this machine
    #[arg(long, value_name = "STRING")]
    connection_string: String,
    /// Location of the hub [default: the provisioning service's]
    #[arg(long, short, value_name = "NAME")]
    location: Option<String>,
    #[command(flatten)]
    share: ShareOptions,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    instance: InstanceOptions,
}

#[derive(clap::Args)]
pub struct UpdateOptions {
    /// Host name of the hub
    #[arg(long, value_name = "HOST")]
    linked_hub: String,
    #[command(flatten)]
    share: ShareOptions,
    /// New connection string of the hub, or @FILE that holds it
    #[arg(long, value_name = "STRING")]
    connection_string: Option<String>,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    instance: InstanceOptions,
}

#[derive(clap::Args)]
pub struct ItemOptions {
    /// Host name of the hub
    #[arg(long, value_name = "HOST")]
    linked_hub: String,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    instance: InstanceOptions,
}

#[derive(clap::Args)]
pub struct ListOptions {
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    instance: InstanceOptions,
}

/// Runs one of the commands.
pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Create(options) => create(&options).await,
        Command::Update(options) => update(&options).await,
        Command::Show(options) => {
            let mut service = options.instance.open()?.service().await?;
            let at = find(hubs(&mut service), &options.linked_hub)?;
            options.output.item(hubs(&mut service).swap_remove(at))
        }
        Command::List(options) => {
            let mut service = options.instance.open()?.service().await?;
            options.output.items(COLUMNS, std::mem::take(hubs(&mut service)))
        }
        Command::Delete(options) => {
            let control = options.instance.open()?;
            let mut service = control.service().await?;
            let at = find(hubs(&mut service), &options.linked_hub)?;
            hubs(&mut service).remove(at);
            control.put_service(service, API_VERSION, true).await.map(drop)
        }
    }
}

async fn create(options: &CreateOptions) -> Result<(), Failure> {
    let (text, name) = hub_string(&options.connection_string)?;
    let control = options.instance.open()?;
    let mut service = control.service().await?;
    if find(hubs(&mut service), &name).is_ok() {
        return Err(Failure::Exists(format!(
            "{name} is linked already; `muster linked-hub update` changes it"
        )));
    }
    let location = options.location.clone().map_or_else(|| service["location"].clone(), Value::String);
    let mut hub = json!({ "connectionString": text, "location": location });
    options.share.apply(&mut hub);
    hubs(&mut service).push(hub);
    write(&control, service, &name, options.output).await
}

async fn update(options: &UpdateOptions) -> Result<(), Failure> {
    let string = options.connection_string.as_deref().map(hub_string).transpose()?;
    let control = options.instance.open()?;
    let mut service = control.service().await?;
    let at = find(hubs(&mut service), &options.linked_hub)?;
    let hub = &mut hubs(&mut service)[at];
    options.share.apply(hub);
    if let Some((text, name)) = string {
        if !name.eq_ignore_ascii_case(&options.linked_hub) {
            return Err(Failure::Usage(format!(
                "the connection string is of {name}, not of {}",
                options.linked_hub
            )));
        }
        hub["connectionString"] = text.into();
    }
    write(&control, service, &options.linked_hub, options.output).await
}

/// Writes the service, and shows what became of the hub.
async fn write(
    control: &ControlPlane,
    service: Value,
    name: &str,
    output: OutputOptions,
) -> Result<(), Failure> {
    let mut written = control.put_service(service, API_VERSION, true).await?;
    let at = find(hubs(&mut written), name)?;
    output.item(hubs(&mut written).swap_remove(at))
}

/// The connection string, and the hub's name in it.
fn hub_string(text: &str) -> Result<(String, String), Failure> {
    let text = value::secret(text)?;
    let read = ConnectionString::parse(&text)
        .map_err(|why| Failure::Usage(format!("--connection-string: {why}")))?;
    let name = dps_access::without_port(&read.host).to_owned();
    Ok((text, name))
}

/// The hubs of a service's JSON; an empty list where there is none.
fn hubs(service: &mut Value) -> &mut Vec<Value> {
    let hubs = &mut service["properties"]["iotHubs"];
    if !hubs.is_array() {
        *hubs = Value::Array(Vec::new());
    }
    match hubs {
        Value::Array(hubs) => hubs,
        _ => unreachable!("invariant: made a list just above"),
    }
}

fn find(hubs: &[Value], name: &str) -> Result<usize, Failure> {
    let bare = dps_access::without_port(name);
    let is = |hub: &Value| {
        let own = hub["name"].as_str().map(dps_access::without_port);
        own.is_some_and(|own| own.eq_ignore_ascii_case(bare))
    };
    let at = hubs.iter().position(is);
    at.ok_or_else(|| {
        Failure::Missing(format!("no linked hub is called {bare}; `muster linked-hub list` shows them"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hub_is_found_without_case_and_port() {
        let hubs = [json!({"name": "a.example"}), json!({"name": "B.example"})];
        assert_eq!(find(&hubs, "b.EXAMPLE:8443").ok(), Some(1));
        assert_eq!(find(&hubs, "c.example").err().unwrap().exit_status(), 3);
    }

    #[test]
    fn connection_string_names_its_hub() {
        let text = "HostName=hub.example:8443;SharedAccessKeyName=iothubowner;SharedAccessKey=YWJjZA==";
        assert_eq!(hub_string(text).ok().unwrap(), (text.to_owned(), "hub.example".to_owned()));
        let failure = hub_string("HostName=hub.example;SharedAccessKey=YWJj").err().unwrap();
        assert!(
            failure.to_string().starts_with("--connection-string: the connection string lacks"),
            "{failure}"
        );
    }
}

//! `muster policy`: shared access policies, their rights and keys. Owns their place in a provisioning service's JSON; must
//! not know how a call is sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_attestation::symmetric_key;
use serde_json::{Value, json};

use super::api::Failure;
use super::api::control_plane::{API_VERSION, ControlPlane};
use super::connection::InstanceOptions;
use super::output::{Column, OutputOptions};
use super::value;

const COLUMNS: &[Column] = &[
    ("POLICY", "/keyName"),
    ("RIGHTS", "/rights"),
    ("PRIMARY KEY", "/primaryKey"),
    ("SECONDARY KEY", "/secondaryKey"),
];

/// Shared access policies.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Create a policy; its keys are made by the service unless they are given
    #[command(after_help = "Example:
  muster policy create --policy-name line-7 --rights EnrollmentRead RegistrationStatusRead --show-keys")]
    Create(CreateOptions),
    /// Change a policy's rights or keys; what is not said stays
    #[command(after_help = "Example:
  muster policy update --policy-name line-7 --rights EnrollmentWrite")]
    Update(UpdateOptions),
    /// Show a policy
    #[command(after_help = "Example:
  muster policy show --policy-name provisioningserviceowner --show-keys")]
    Show(ItemOptions),
    /// List policies
    #[command(after_help = "Example:
  muster policy list")]
    List(ListOptions),
    /// Delete a policy: its tokens stop working
    #[command(after_help = "Example:
  muster policy delete --policy-name line-7")]
    Delete(ItemOptions),
    /// Make a new key: tokens of the old one stop working
    #[command(after_help = "Example:
  muster policy renew-key --policy-name line-7 --renew-key secondary --show-keys")]
    RenewKey(RenewOptions),
}

/// What a policy may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Right {
    #[value(name = "ServiceConfig")]
    ServiceConfig,
    #[value(name = "EnrollmentRead")]
    EnrollmentRead,
    #[value(name = "EnrollmentWrite")]
    EnrollmentWrite,
    #[value(name = "DeviceConnect")]
    DeviceConnect,
    #[value(name = "RegistrationStatusRead")]
    RegistrationStatusRead,
    #[value(name = "RegistrationStatusWrite")]
    RegistrationStatusWrite,
}

/// Which key is made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Renewal {
    Primary,
    Secondary,
    /// No new key: the two change places
    Swap,
}

/// Which policy.
#[derive(clap::Args, Clone)]
struct Name {
    /// Name of the policy
    #[arg(long, short = 'n', visible_aliases = ["pn", "name", "access-policy-name"], value_name = "NAME")]
    policy_name: String,
}

/// Keys of a policy.
#[derive(clap::Args, Clone, Default)]
struct KeyOptions {
    /// Primary key in base64, or @FILE that holds it
    #[arg(long, visible_alias = "pk", value_name = "KEY")]
    primary_key: Option<String>,
    /// Secondary key in base64, or @FILE that holds it
    #[arg(long, visible_alias = "sk", value_name = "KEY")]
    secondary_key: Option<String>,
}

impl KeyOptions {
    fn apply(&self, policy: &mut Value) -> Result<(), Failure> {
        for (name, key) in [("primaryKey", &self.primary_key), ("secondaryKey", &self.secondary_key)] {
            if let Some(key) = key {
                policy[name] = value::secret(key)?.into();
            }
        }
        Ok(())
    }
}

#[derive(clap::Args)]
pub struct CreateOptions {
    #[command(flatten)]
    name: Name,
    /// What the policy may do, one or more
    #[arg(long, short, value_name = "RIGHT", num_args = 1.., required = true, ignore_case = true)]
    rights: Vec<Right>,
    #[command(flatten)]
    keys: KeyOptions,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    instance: InstanceOptions,
}

#[derive(clap::Args)]
pub struct UpdateOptions {
    #[command(flatten)]
    name: Name,
    /// What the policy may do, one or more
    #[arg(long, short, value_name = "RIGHT", num_args = 1.., ignore_case = true)]
    rights: Option<Vec<Right>>,
    #[command(flatten)]
    keys: KeyOptions,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    instance: InstanceOptions,
}

#[derive(clap::Args)]
pub struct RenewOptions {
    #[command(flatten)]
    name: Name,
    /// Which key
    #[arg(long, visible_alias = "rk", value_name = "SLOT", ignore_case = true)]
    renew_key: Renewal,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    instance: InstanceOptions,
}

#[derive(clap::Args)]
pub struct ItemOptions {
    #[command(flatten)]
    name: Name,
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
        Command::Update(options) => {
            change(&options.instance, &options.name, options.output, |policy| {
                if let Some(rights) = &options.rights {
                    policy["rights"] = words(rights).into();
                }
                options.keys.apply(policy)
            })
            .await
        }
        Command::RenewKey(options) => {
            change(&options.instance, &options.name, options.output, |policy| {
                renew(policy, options.renew_key)
            })
            .await
        }
        Command::Show(options) => {
            let mut policies = options.instance.open()?.keys().await?;
            let at = find(&policies, &options.name)?;
            options.output.item(policies.swap_remove(at))
        }
        Command::List(options) => options.output.items(COLUMNS, options.instance.open()?.keys().await?),
        Command::Delete(options) => {
            let control = options.instance.open()?;
            let (service, mut policies) = read(&control).await?;
            policies.remove(find(&policies, &options.name)?);
            write(&control, service, policies).await
        }
    }
}

async fn create(options: &CreateOptions) -> Result<(), Failure> {
    let control = options.instance.open()?;
    let (service, mut policies) = read(&control).await?;
    if find(&policies, &options.name).is_ok() {
        let name = &options.name.policy_name;
        return Err(Failure::Exists(format!(
            "the policy {name} exists already; `muster policy update` changes it"
        )));
    }
    let mut policy = json!({ "keyName": options.name.policy_name, "rights": words(&options.rights) });
    options.keys.apply(&mut policy)?;
    policies.push(policy);
    write(&control, service, policies).await?;
    show(&control, &options.name, options.output).await
}

/// Reads the policies, changes one, and writes them if nobody else changed the service meanwhile.
async fn change(
    instance: &InstanceOptions,
    name: &Name,
    output: OutputOptions,
    change: impl FnOnce(&mut Value) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let control = instance.open()?;
    let (service, mut policies) = read(&control).await?;
    let at = find(&policies, name)?;
    change(&mut policies[at])?;
    write(&control, service, policies).await?;
    show(&control, name, output).await
}

/// The service, whose etag guards what is written, and then its policies.
async fn read(control: &ControlPlane) -> Result<(Value, Vec<Value>), Failure> {
    Ok((control.service().await?, control.keys().await?))
}

async fn write(control: &ControlPlane, mut service: Value, policies: Vec<Value>) -> Result<(), Failure> {
    service["properties"]["authorizationPolicies"] = policies.into();
    control.put_service(service, API_VERSION, true).await.map(drop)
}

async fn show(control: &ControlPlane, name: &Name, output: OutputOptions) -> Result<(), Failure> {
    let mut policies = control.keys().await?;
    let at = find(&policies, name)?;
    output.item(policies.swap_remove(at))
}

fn renew(policy: &mut Value, which: Renewal) -> Result<(), Failure> {
    let fresh = || {
        let key = symmetric_key::generate();
        let key = key.map_err(|_| anyhow::anyhow!("the machine has no randomness to give"))?;
        Ok::<Value, Failure>(STANDARD.encode(key.expose()).into())
    };
    match which {
        Renewal::Primary => policy["primaryKey"] = fresh()?,
        Renewal::Secondary => policy["secondaryKey"] = fresh()?,
        Renewal::Swap => {
            let primary = policy["primaryKey"].take();
            policy["primaryKey"] = policy["secondaryKey"].take();
            policy["secondaryKey"] = primary;
        }
    }
    Ok(())
}

fn words(rights: &[Right]) -> String {
    let word =
        |right: &Right| clap::ValueEnum::to_possible_value(right).map(|value| value.get_name().to_owned());
    rights.iter().filter_map(word).collect::<Vec<_>>().join(", ")
}

fn find(policies: &[Value], name: &Name) -> Result<usize, Failure> {
    let name = &name.policy_name;
    let is = |policy: &Value| policy["keyName"].as_str().is_some_and(|own| own.eq_ignore_ascii_case(name));
    let at = policies.iter().position(is);
    at.ok_or_else(|| Failure::Missing(format!("no policy is called {name}; `muster policy list` shows them")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renewal_changes_the_key_that_is_named_alone() {
        let policy = json!({"primaryKey": "a", "secondaryKey": "b"});
        let renewed = |which| {
            let mut policy = policy.clone();
            renew(&mut policy, which).ok().unwrap();
            policy
        };
        let primary = renewed(Renewal::Primary);
        assert_eq!(primary["secondaryKey"], "b");
        assert!(symmetric_key::read(primary["primaryKey"].as_str().unwrap()).is_ok());
        assert_eq!(renewed(Renewal::Secondary)["primaryKey"], "a");
        assert_eq!(renewed(Renewal::Swap), json!({"primaryKey": "b", "secondaryKey": "a"}));
    }

    #[test]
    fn rights_are_azures_words() {
        assert_eq!(words(&[Right::EnrollmentRead, Right::ServiceConfig]), "EnrollmentRead, ServiceConfig");
    }
}

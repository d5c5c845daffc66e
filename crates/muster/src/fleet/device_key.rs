//! `muster compute-device-key`: the key of one device of a group, from the group's key, offline or asked of the service.
//! Must not know how keys are derived (dps-attestation).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_attestation::symmetric_key;
use serde_json::json;

use super::api::{Collection, Failure};
use super::connection::ServiceOptions;
use super::output::OutputOptions;
use super::value;

/// Which of two keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum KeySlot {
    Primary,
    Secondary,
}

impl KeySlot {
    /// The member that holds it.
    pub fn member(self) -> &'static str {
        match self {
            Self::Primary => "primaryKey",
            Self::Secondary => "secondaryKey",
        }
    }
}

/// Options of `muster compute-device-key`.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("from").required(true).multiple(false))]
pub struct DeviceKeyOptions {
    /// Key of the enrollment group in base64, @FILE that holds it, or - for standard input; nothing is asked of a service.
    /// One on the command line can be read by every other user of this machine
    #[arg(long, visible_aliases = ["group-key", "symmetric-key"], value_name = "KEY", group = "from")]
    key: Option<String>,
    /// Id of the enrollment group whose key the service is asked for
    #[arg(long, visible_aliases = ["eid", "enrollment-group-id", "group-id", "gid"], value_name = "ID", group = "from")]
    enrollment_id: Option<String>,
    /// Which of the group's keys is asked for
    #[arg(long, visible_alias = "kt", value_name = "SLOT", default_value = "primary", ignore_case = true)]
    key_type: KeySlot,
    /// Registration id of the device, spelt as the device spells it
    #[arg(long, visible_alias = "rid", value_name = "ID")]
    registration_id: String,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    service: ServiceOptions,
}

/// Prints the device's key.
pub async fn run(options: DeviceKeyOptions) -> Result<(), Failure> {
    let key = match (&options.key, &options.enrollment_id) {
        (Some(text), _) => value::secret(text)?,
        (None, Some(group)) => group_key(&options.service, group, options.key_type).await?,
        (None, None) => return Err(Failure::Usage("say --key or --enrollment-id".to_owned())),
    };
    print(&key, &options.registration_id, options.output)
}

/// A key of that group, in base64.
pub async fn group_key(service: &ServiceOptions, group: &str, slot: KeySlot) -> Result<String, Failure> {
    let attestation = service.open()?.attestation(Collection::EnrollmentGroups, group).await?;
    let key = attestation["symmetricKey"][slot.member()].as_str();
    key.map(ToOwned::to_owned).ok_or_else(|| {
        let kind = attestation["type"].as_str().unwrap_or("of another type");
        Failure::Usage(format!("the group's attestation is {kind}: device keys derive from symmetricKey"))
    })
}

/// Derives and prints.
pub fn print(key: &str, registration_id: &str, output: OutputOptions) -> Result<(), Failure> {
    let key = derive(key, registration_id)?;
    output.text(&key, &json!(key))
}

fn derive(key: &str, registration_id: &str) -> Result<String, Failure> {
    let group = symmetric_key::read(key)
        .map_err(|why| Failure::Usage(format!("the group's key is no key: {why}")))?;
    Ok(STANDARD.encode(symmetric_key::derive_device_key(&group, registration_id).expose()))
}

#[cfg(test)]
mod tests {
    use super::derive;

    /// The vectors that Azure's documentation prints.
    #[test]
    fn device_key_is_azures() {
        let key = "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==";
        let device = derive(key, "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6").ok().unwrap();
        assert_eq!(device, "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=");
        let failure = derive("c2hvcnQ=", "a").err().unwrap();
        assert_eq!(failure.exit_status(), 2);
        assert!(!failure.to_string().contains("c2hvcnQ"), "{failure}");
    }
}

//! `muster device`: one device from the command line, to try an enrollment or a hub. Owns what is printed; provisioning,
//! cache and recovery are `muster-device`'s. Must not know protocols.

mod arguments;
mod tpm;

use std::time::Duration;

use anyhow::Context as _;
use muster_device::{Assignment, Desired, DesiredProperties, Error, HubClient, Notice, Tpm2};
use serde_json::{Value, json};

pub use self::arguments::DeviceCommand;
use self::arguments::{ConnectOptions, DeviceOptions, ProvisionOptions, TpmOptions};
use self::tpm::TpmIdentity;
use crate::dev::terminal::say;

/// How long Ctrl-C waits for the goodbye to the hub.
const GOODBYE: Duration = Duration::from_secs(3);

/// Runs one of the commands.
pub async fn run(command: DeviceCommand) -> anyhow::Result<()> {
    match command {
        DeviceCommand::Provision(options) => told(provision(&options).await, &options.device).await,
        DeviceCommand::Connect(options) => told(connect(&options).await, &options.device).await,
        DeviceCommand::Tpm(options) => tpm(options).await,
    }
}

/// The error of a device that its service does not know, with what to enroll where that is a TPM.
async fn told(result: anyhow::Result<()>, device: &DeviceOptions) -> anyhow::Result<()> {
    match (result, device.tpm()) {
        (Err(error), Some(tpm)) => Err(tpm::told(error, tpm, device.registration_id.as_deref()).await),
        (result, _) => result,
    }
}

async fn tpm(options: TpmOptions) -> anyhow::Result<()> {
    let identity = TpmIdentity::of(Tpm2::new(options.tpm)).await?;
    if options.json {
        say(&serde_json::to_string_pretty(&identity)?);
    } else {
        say(&identity.sentences());
    }
    Ok(())
}

async fn provision(options: &ProvisionOptions) -> anyhow::Result<()> {
    let mut device = options.device.open().await?.observe(warn);
    let assignment = device.provision().await?;
    if options.json {
        say(&serde_json::to_string_pretty(&assignment)?);
    } else {
        say(&sentence(&assignment));
    }
    Ok(())
}

fn sentence(assignment: &Assignment) -> String {
    let substatus = assignment.substatus.and_then(|substatus| serde_json::to_value(substatus).ok());
    let substatus = substatus.as_ref().and_then(Value::as_str).map(|text| format!(" ({text})"));
    let group = assignment.enrollment_group_id.as_ref();
    let group = group.map(|group| format!(", through the enrollment group {group}"));
    let payload = assignment.payload.as_ref();
    let payload = payload.map(|payload| format!("\nThe custom allocation's payload: {payload}"));
    format!(
        "Assigned to {} as {}{}{}{}",
        assignment.assigned_hub,
        assignment.device_id,
        substatus.unwrap_or_default(),
        group.unwrap_or_default(),
        payload.unwrap_or_default()
    )
}

async fn connect(options: &ConnectOptions) -> anyhow::Result<()> {
    // A person is watching: what does not pass by itself is told, not tried for ever.
    let mut device = options.device.open().await?.give_up_after(1).observe(narrate);
    let mut session = Session { options, sent: 0, twin_shown: false };
    let ended = tokio::select! {
        worked = device.run(async |hub: &HubClient| session.work(hub).await) => worked.map_err(Into::into),
        interrupted = tokio::signal::ctrl_c() => interrupted.context("Ctrl-C cannot be heard"),
    };
    // Left in good order or not: it changes nothing for whoever asked to leave.
    let _ = tokio::time::timeout(GOODBYE, device.close()).await;
    ended
}

/// What is asked of the hub, and how much of it is done: a new connection goes on where the last one was lost.
struct Session<'a> {
    options: &'a ConnectOptions,
    sent: usize,
    twin_shown: bool,
}

impl Session<'_> {
    async fn work(&mut self, hub: &HubClient) -> Result<(), Error> {
        // From before the twin is read, so that no change falls between.
        let mut desired = hub.desired_properties();
        while let Some(text) = self.options.send.get(self.sent) {
            hub.send_telemetry(text.clone(), &[]).await?;
            self.sent += 1;
            say(&format!("sent: {text}"));
        }
        if self.options.twin && !self.twin_shown {
            let twin = hub.twin().await?;
            say(&format!("{:#}", json!({ "desired": twin.desired, "reported": twin.reported })));
            self.twin_shown = true;
        }
        if self.options.listen {
            eprintln!("listening for desired properties; Ctrl-C ends");
            listen(hub, &mut desired).await?;
        }
        Ok(())
    }
}

async fn listen(hub: &HubClient, desired: &mut DesiredProperties) -> Result<(), Error> {
    while let Some(change) = desired.next().await {
        match change {
            Desired::Changed { version, patch } => {
                say(&format!("desired, version {version}: {}", Value::Object(patch)));
            }
            Desired::Missed(count) => {
                let twin = hub.twin().await?;
                say(&format!("{count} changes missed; desired: {}", Value::Object(twin.desired)));
            }
        }
    }
    Err(hub.ended().await)
}

/// What a person should know of a provisioning beside its result.
fn warn(notice: Notice<'_>) {
    if let Notice::CacheIgnored(reason) = notice {
        eprintln!("muster: the cache is not used: {reason}");
    } else if let Notice::CacheNotWritten(reason) = notice {
        eprintln!("muster: the assignment is not cached: {reason}");
    }
}

/// The same and all that happens, on standard error: standard output is for what was asked.
fn narrate(notice: Notice<'_>) {
    match notice {
        Notice::Provisioned(assignment) => eprintln!("{}", sentence(assignment)),
        Notice::Connected(assignment) => eprintln!("connected to {}", assignment.assigned_hub),
        Notice::Recovering { error, next, delay } => {
            eprintln!("{error}; {next:?} in {:.1} s", delay.as_secs_f32());
        }
        other => warn(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentence_names_hub_device_and_group() {
        let mut assignment = Assignment::new("hub.example", "device-1").unwrap();
        assert_eq!(sentence(&assignment), "Assigned to hub.example as device-1");
        assignment.enrollment_group_id = Some("robots".into());
        assignment.payload = Some(json!({"a": 1}));
        assert_eq!(
            sentence(&assignment),
            "Assigned to hub.example as device-1, through the enrollment group robots\n\
             The custom allocation's payload: {\"a\":1}"
        );
    }
}

//! The members that both kinds of enrollment share, from a client's input. Owns their rules (facts: DPS §5.6) and the
//! sentences for who broke them; must not know what a policy does.

use dps_model::enrollment::{
    AllocationPolicy, EnrollmentInput, EnrollmentSettings, InitialTwin, PlainWebhooks,
};
use dps_model::{Error, HubName, limits, twin};

/// Reads and checks them.
pub(super) fn read(input: &EnrollmentInput, plain: PlainWebhooks) -> Result<EnrollmentSettings, Error> {
    // Azure's clients send an empty text for what is not set.
    let single = input.iot_hub_host_name.as_deref().filter(|name| !name.is_empty());
    let iot_hub_host_name = single.map(hub_name).transpose()?;
    let iot_hubs = input
        .iot_hubs
        .as_deref()
        .map(|names| names.iter().map(|name| hub_name(name)).collect::<Result<Vec<_>, _>>())
        .transpose()?;
    hubs_fit(input.allocation_policy, iot_hub_host_name.as_ref(), iot_hubs.as_deref().unwrap_or_default())?;
    match &input.custom_allocation_definition {
        Some(definition) => definition.check(plain)?,
        None if input.allocation_policy == Some(AllocationPolicy::Custom) => {
            // Azure's own words.
            return Err(Error::argument(
                "A CustomAllocationDefinition is required when the allocation policy is set to 'Custom'",
            )
            .because(
                "allocationPolicy is custom and customAllocationDefinition is missing: it needs webhookUrl and apiVersion",
            ));
        }
        None => {}
    }
    twin_fits(input.initial_twin.as_ref())?;
    Ok(EnrollmentSettings {
        capabilities: input.capabilities,
        iot_hub_host_name,
        initial_twin: input.initial_twin.clone(),
        provisioning_status: input.provisioning_status,
        reprovision_policy: input.reprovision_policy,
        allocation_policy: input.allocation_policy,
        iot_hubs,
        custom_allocation_definition: input.custom_allocation_definition.clone(),
        credential_policy_name: input.credential_policy_name.clone(),
    })
}

/// As many hubs as the policy takes. `iotHubHostName` is the older spelling of static allocation; beside `iotHubs` it
/// may only say the same.
fn hubs_fit(
    policy: Option<AllocationPolicy>,
    single: Option<&HubName>,
    hubs: &[HubName],
) -> Result<(), Error> {
    if hubs.len() > limits::MAX_LINKED_HUBS {
        return Err(Error::argument(format!(
            "iotHubs names {} hubs; at most {} are allowed",
            hubs.len(),
            limits::MAX_LINKED_HUBS
        )));
    }
    if policy == Some(AllocationPolicy::Static) && hubs.len() > 1 {
        return Err(Error::argument("allocationPolicy static takes one hub; leave one in iotHubs"));
    }
    let Some(single) = single else { return Ok(()) };
    if !hubs.is_empty() && hubs.iter().any(|hub| hub.key() != single.key()) {
        return Err(Error::argument(
            "iotHubHostName and iotHubs name different hubs; leave iotHubHostName out",
        ));
    }
    match policy {
        None | Some(AllocationPolicy::Static) => Ok(()),
        Some(_) => Err(Error::argument(
            "iotHubHostName is for static allocation alone; name the hubs of other policies in iotHubs",
        )),
    }
}

/// A hub as it is linked: its host name. A port is no part of it.
fn hub_name(text: &str) -> Result<HubName, Error> {
    if text.contains(':') {
        return Err(Error::argument("a hub is named by its host name; leave out the port"));
    }
    Ok(HubName::parse(text)?)
}

fn twin_fits(twin: Option<&InitialTwin>) -> Result<(), Error> {
    let Some(twin) = twin else { return Ok(()) };
    let desired = twin.properties.as_ref().and_then(|properties| properties.desired.as_ref());
    for (name, section) in
        [("initialTwin.tags", twin.tags.as_ref()), ("initialTwin.properties.desired", desired)]
    {
        let size =
            section.and_then(|section| serde_json::to_string(section).ok()).map_or(0, |text| text.len());
        if size > limits::MAX_TWIN_SECTION {
            return Err(Error::argument(format!(
                "{name} has {size} bytes; at most {} are allowed",
                limits::MAX_TWIN_SECTION
            )));
        }
        // Every hub would refuse it, of each device.
        if let Some(section) = section {
            twin::check(name, section).map_err(Error::argument)?;
        }
    }
    Ok(())
}

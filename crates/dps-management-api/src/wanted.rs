//! The body of a PUT on a provisioning service: what a client wants, read and checked, and its application to what is
//! there. What a body leaves out stays as it is (keys too); members that only the server sets are ignored.

use std::collections::BTreeMap;

use dps_model::enrollment::AllocationPolicy;
use dps_model::hub::LinkedHub;
use dps_model::instance::{AccessPolicy, Instance};
use dps_model::network::IpFilterRule;
use dps_model::{Error, limits};
use serde_json::Value;

use crate::hubs::{self, WantedHub};
use crate::network;
use crate::{description, keys};
use dps_model::member::Member;

/// What a client wants.
#[derive(Default)]
pub struct Wanted {
    pub(crate) etag: Option<String>,
    pub(crate) location: Option<String>,
    tags: Option<BTreeMap<String, String>>,
    capacity: Option<i64>,
    allocation_policy: Option<AllocationPolicy>,
    public: Option<bool>,
    rules: Option<Vec<IpFilterRule>>,
    disable_local_auth: Option<bool>,
    enable_data_residency: Option<bool>,
    hubs: Option<Vec<WantedHub>>,
    policies: Option<Vec<AccessPolicy>>,
}

impl Wanted {
    /// Reads a body. Errors name the member.
    pub fn read(body: &Value) -> Result<Self, Error> {
        let body = Member::body(body)?;
        let properties = body.get("properties");
        properties.object()?;
        unavailable(&body, &properties)?;
        Ok(Self {
            etag: body.get("etag").text()?.filter(|tag| !tag.is_empty()).map(str::to_owned),
            location: location(&body.get("location"))?,
            tags: body.get("tags").tags()?,
            capacity: capacity(&body.get("sku"))?,
            allocation_policy: properties.get("allocationPolicy").one_of(&description::POLICIES)?,
            public: network::public(&properties.get("publicNetworkAccess"))?,
            rules: network::rules(&properties.get("ipFilterRules"))?,
            disable_local_auth: properties.get("disableLocalAuth").boolean()?,
            enable_data_residency: properties.get("enableDataResidency").boolean()?,
            hubs: hubs::read(&properties.get("iotHubs"))?,
            policies: keys::read(&properties.get("authorizationPolicies"))?,
        })
    }

    /// Reads the body of a PATCH, which changes tags alone.
    pub fn read_patch(body: &Value) -> Result<Self, Error> {
        let body = Member::body(body)?;
        for name in ["properties", "sku", "location", "identity"] {
            if body.get(name).holds_something() {
                return Err(body
                    .get(name)
                    .wrong("is not changed by PATCH, which changes tags alone; use PUT"));
            }
        }
        Ok(Self { tags: body.get("tags").tags()?, ..Self::default() })
    }

    /// The links among the wanted that nobody has asked yet, each with its place in the list.
    pub(crate) fn new_links(&self, kept: &[LinkedHub]) -> Result<Vec<(usize, LinkedHub)>, Error> {
        let links = hubs::resolve(self.hubs.as_deref().unwrap_or_default(), kept)?;
        let is_new = |link: &LinkedHub| !kept.iter().any(|other| other.connection == link.connection);
        Ok(links.into_iter().enumerate().filter(|(_, link)| is_new(link)).collect())
    }

    /// Changes the instance; the members that are other than before.
    pub fn apply(&self, instance: &mut Instance) -> Result<Vec<&'static str>, Error> {
        let mut changed = Vec::new();
        let resource = &mut instance.resource;
        set(&mut changed, "tags", &mut resource.tags, self.tags.as_ref());
        set(&mut changed, "sku.capacity", &mut resource.capacity, self.capacity.as_ref());
        let residency = self.enable_data_residency.as_ref();
        set(&mut changed, "properties.enableDataResidency", &mut resource.enable_data_residency, residency);
        let policy = self.allocation_policy.as_ref();
        set(&mut changed, "properties.allocationPolicy", &mut instance.allocation_policy, policy);
        let network = &mut instance.network;
        set(&mut changed, "properties.publicNetworkAccess", &mut network.public, self.public.as_ref());
        set(&mut changed, "properties.ipFilterRules", &mut network.rules, self.rules.as_ref());
        let local = self.disable_local_auth.as_ref();
        set(&mut changed, "properties.disableLocalAuth", &mut instance.disable_local_auth, local);
        if let Some(wanted) = &self.hubs {
            let links = hubs::resolve(wanted, &instance.linked_hubs)?;
            if !hubs::same(&links, &instance.linked_hubs) {
                instance.linked_hubs = links;
                changed.push("properties.iotHubs");
            }
        }
        if let Some(policies) = &self.policies {
            instance.access_policies.clone_from(policies);
            changed.push("properties.authorizationPolicies");
        }
        Ok(changed)
    }
}

fn set<T: Clone + PartialEq>(
    changed: &mut Vec<&'static str>,
    name: &'static str,
    kept: &mut T,
    wanted: Option<&T>,
) {
    if let Some(wanted) = wanted
        && wanted != kept
    {
        kept.clone_from(wanted);
        changed.push(name);
    }
}

/// What Azure has around a provisioning service and this server has not is refused, never dropped in silence.
fn unavailable(body: &Member<'_>, properties: &Member<'_>) -> Result<(), Error> {
    let identity = body.get("identity").get("type");
    if identity.text()?.is_some_and(|kind| !kind.eq_ignore_ascii_case("None")) {
        return Err(identity.wrong("must be None: this server has no managed identities"));
    }
    for name in ["deviceRegistryNamespace", "deviceRegistryNamespaces", "privateEndpointConnections"] {
        let member = properties.get(name);
        if member.holds_something() {
            return Err(member.wrong("must be left out: this server has nothing of that kind"));
        }
    }
    for (name, only) in [("connectionProfile", "Classic"), ("minTlsVersion", "1.2")] {
        let member = properties.get(name);
        if member.text()?.is_some_and(|text| !text.eq_ignore_ascii_case(only)) {
            return Err(member.wrong(&format!("must be {only}")));
        }
    }
    Ok(())
}

fn location(member: &Member<'_>) -> Result<Option<String>, Error> {
    let text = member.text()?.map(str::trim).filter(|text| !text.is_empty());
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_');
    match text {
        Some(text) if text.len() > limits::MAX_LOCATION || !text.chars().all(fits) => {
            Err(member.wrong("must be a region: letters, digits, spaces and hyphens"))
        }
        text => Ok(text.map(str::to_owned)),
    }
}

/// Are these one region? `West US` and `westus` are.
pub(crate) fn same_location(one: &str, other: &str) -> bool {
    let plain = |text: &str| text.replace(' ', "").to_ascii_lowercase();
    plain(one) == plain(other)
}

fn capacity(sku: &Member<'_>) -> Result<Option<i64>, Error> {
    if sku.object()?.is_none() {
        return Ok(None);
    }
    let (name, capacity) = (sku.get("name"), sku.get("capacity"));
    if name.text()?.is_some_and(|name| !name.eq_ignore_ascii_case("S1")) {
        return Err(name.wrong("must be S1"));
    }
    match capacity.integer()? {
        Some(units) if !(1..=limits::MAX_SKU_CAPACITY).contains(&units) => {
            Err(capacity.wrong(&format!("must be 1 to {}", limits::MAX_SKU_CAPACITY)))
        }
        units => Ok(units),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Wanted, same_location};

    #[test]
    fn body_that_asks_for_what_is_not_here_is_refused_by_its_member() {
        for (body, member) in [
            (json!([]), "The request body"),
            (json!({"properties": 1}), "properties"),
            (json!({"identity": {"type": "SystemAssigned"}}), "identity.type"),
            (
                json!({"properties": {"deviceRegistryNamespaces": [{}]}}),
                "properties.deviceRegistryNamespaces",
            ),
            (json!({"properties": {"connectionProfile": "MqttV5"}}), "properties.connectionProfile"),
            (json!({"properties": {"allocationPolicy": "Custom"}}), "properties.allocationPolicy"),
            (json!({"properties": {"publicNetworkAccess": "No"}}), "properties.publicNetworkAccess"),
            (json!({"properties": {"disableLocalAuth": "yes"}}), "properties.disableLocalAuth"),
            (json!({"sku": {"name": "S2"}}), "sku.name"),
            (json!({"sku": {"name": "S1", "capacity": 0}}), "sku.capacity"),
            (json!({"tags": {"a": 1}}), "tags.a"),
            (json!({"location": "somewhere/else"}), "location"),
        ] {
            let error = Wanted::read(&body).err().unwrap();
            assert!(error.message.starts_with(&format!("{member} ")), "{body}: {}", error.message);
        }
        let empty = json!({"identity": {"type": "None"}, "properties": {"deviceRegistryNamespace": null,
            "privateEndpointConnections": [], "idScope": "mine", "state": "Active", "connectionProfile": "Classic"}});
        assert!(Wanted::read(&empty).is_ok());
        assert!(Wanted::read_patch(&json!({"tags": {"a": "b"}})).is_ok());
        assert!(Wanted::read_patch(&json!({"properties": {"allocationPolicy": "Static"}})).is_err());
    }

    #[test]
    fn locations_compare_as_azure_spells_them() {
        assert!(same_location("West US", "westus") && !same_location("West US 2", "westus"));
    }
}

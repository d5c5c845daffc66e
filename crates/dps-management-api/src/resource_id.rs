//! Ids of resources: `/subscriptions/{s}/resourceGroups/{rg}/providers/Microsoft.Devices/provisioningServices/{name}`.
//! Owns their parts and the rules for names. A server has one tenant: subscriptions and resource groups are labels that
//! come into being with the first resource under them.

use dps_model::{Error, limits};

/// `type` of a provisioning service.
pub const TYPE: &str = "Microsoft.Devices/provisioningServices";

/// The parts of a provisioning service's id, as they were spelt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// Subscription.
    pub subscription: &'a str,
    /// Resource group.
    pub resource_group: &'a str,
    /// Name of the provisioning service.
    pub name: &'a str,
}

impl<'a> Parts<'a> {
    /// Takes an id apart.
    pub fn of(id: &'a str) -> Option<Self> {
        let mut segments = id.strip_prefix('/')?.split('/');
        let mut named = |name: &str| {
            let is = segments.next()?.eq_ignore_ascii_case(name);
            is.then(|| segments.next()).flatten()
        };
        let (subscription, resource_group) = (named("subscriptions")?, named("resourceGroups")?);
        let provider = named("providers")?;
        let name = named("provisioningServices")?;
        let whole = segments.next().is_none() && provider.eq_ignore_ascii_case("Microsoft.Devices");
        whole.then_some(Self { subscription, resource_group, name })
    }

    /// The id.
    pub fn id(&self) -> String {
        let Self { subscription, resource_group, name } = self;
        format!("/subscriptions/{subscription}/resourceGroups/{resource_group}/providers/{TYPE}/{name}")
    }

    /// May a new resource have this id?
    pub fn check(&self) -> Result<(), Error> {
        check_labels(self.subscription, self.resource_group)?;
        check_name(self.name).map_err(Error::argument)
    }
}

/// May a new resource lie there?
pub(crate) fn check_labels(subscription: &str, resource_group: &str) -> Result<(), Error> {
    check_label("subscription", subscription, |c| c.is_ascii_alphanumeric() || c == '-')?;
    check_label("resource group", resource_group, |c| {
        c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '(' | ')')
    })
}

fn check_label(what: &str, text: &str, fits: impl Fn(char) -> bool) -> Result<(), Error> {
    let length = text.chars().count();
    if length == 0 || length > limits::MAX_RESOURCE_GROUP || !text.chars().all(fits) {
        return Err(Error::argument(format!("The name of the {what} in the path is invalid.")));
    }
    Ok(())
}

/// ARM's rule for the name of a provisioning service; it becomes the first label of a host name.
pub fn check_name(name: &str) -> Result<(), String> {
    let length = name.len();
    if !(limits::MIN_INSTANCE_NAME..=limits::MAX_INSTANCE_NAME).contains(&length) {
        return Err(format!(
            "The name of a provisioning service has {} to {} characters; this one has {length}.",
            limits::MIN_INSTANCE_NAME,
            limits::MAX_INSTANCE_NAME
        ));
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err("The name of a provisioning service consists of letters, digits and hyphens.".into());
    }
    if name.starts_with('-') || name.ends_with('-') || name.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(
            "The name of a provisioning service neither begins nor ends with a hyphen, and is no number."
                .into(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Parts, check_name};

    #[test]
    fn id_parts_read_in_any_case_and_written() {
        let id = "/Subscriptions/s-1/resourcegroups/rg/Providers/microsoft.devices/ProvisioningServices/dps";
        let parts = Parts::of(id).unwrap();
        assert_eq!((parts.subscription, parts.resource_group, parts.name), ("s-1", "rg", "dps"));
        let written = parts.id();
        assert_eq!(Parts::of(&written), Some(parts));
        for text in ["", "/", "/subscriptions/s", &format!("{id}/certificates"), &id[1..]] {
            assert_eq!(Parts::of(text), None, "{text}");
        }
    }

    #[test]
    fn names_by_arms_rule() {
        for name in ["abc", "a-1", "1-2", "A2c", &"x".repeat(50)] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", "ab", "123", "-ab", "ab-", "a_b", "a.b", "äbc", &"x".repeat(51)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}

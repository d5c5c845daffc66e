//! The resources port: what Azure Resource Manager knows of a provisioning service.

/// Finds provisioning services. Asked for every row: it must answer from memory.
pub trait Resources: Send + Sync + 'static {
    /// The provisioning service of that name; without one, the server's default, to which what names none belongs. None
    /// when it is there no more.
    fn find(&self, instance: Option<&str>) -> Option<Resource>;
}

/// A resource, as its id is spelt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its id.
    pub id: String,
    /// Its region.
    pub location: String,
}

/// The parts of a resource's id, or of the beginning of one; what it does not have is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdParts<'a> {
    /// Subscription.
    pub subscription: &'a str,
    /// Resource group.
    pub resource_group: &'a str,
    /// Namespace of the provider: `Microsoft.Devices`.
    pub provider: &'a str,
    /// Type within it: `provisioningServices`.
    pub kind: &'a str,
    /// Name.
    pub name: &'a str,
}

impl<'a> IdParts<'a> {
    /// Takes an id apart; names of segments are compared without regard to case.
    pub fn of(id: &'a str) -> Self {
        let mut parts = Self::default();
        let mut segments = id.trim_matches('/').split('/');
        while let (Some(key), value) = (segments.next(), segments.next().unwrap_or_default()) {
            if key.eq_ignore_ascii_case("subscriptions") {
                parts.subscription = value;
            } else if key.eq_ignore_ascii_case("resourceGroups") {
                parts.resource_group = value;
            } else if key.eq_ignore_ascii_case("providers") {
                parts.provider = value;
            } else if !parts.provider.is_empty() {
                (parts.kind, parts.name) = (key, value);
                break; // what comes then is within the resource
            }
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::IdParts;

    #[test]
    fn id_is_taken_apart_in_any_case_and_as_far_as_it_goes() {
        let whole = IdParts {
            subscription: "S",
            resource_group: "g",
            provider: "Microsoft.Devices",
            kind: "provisioningServices",
            name: "Dps",
        };
        let id = "/subscriptions/S/resourcegroups/g/providers/Microsoft.Devices/provisioningServices/Dps";
        assert_eq!(IdParts::of(id), whole);
        assert_eq!(IdParts::of(&format!("{id}/certificates/c")), whole);
        assert_eq!(IdParts::of("/subscriptions/S"), IdParts { subscription: "S", ..IdParts::default() });
        assert_eq!(IdParts::of("/"), IdParts::default());
    }
}

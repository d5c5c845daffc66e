//! Role assignments: which claim of a token gives which role, and where. Owns scopes; must not know what a role allows.

use serde::Deserialize;

use crate::bearer::Claims;
use crate::role::Role;

/// Gives a role to whoever has a claim of that value.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleAssignment {
    /// The claim, e.g. `roles`, `groups`, `oid`, `sub`, `appid`.
    pub claim: String,
    /// What it must be, or, where it is a list, hold. Compared to the letter.
    pub value: String,
    /// The role.
    pub role: Role,
    /// Where it holds.
    #[serde(default)]
    pub scope: Scope,
}

impl RoleAssignment {
    /// Does the token's owner have the role on that resource?
    pub(crate) fn applies(&self, claims: &Claims, resource_id: &str) -> bool {
        self.scope.covers(resource_id) && claims.has(&self.claim, &self.value)
    }
}

/// Where a role holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Scope {
    /// On every resource of this server (`/`).
    #[default]
    Everything,
    /// On the resource of that ARM id and on all below it: a subscription, a resource group, a provisioning service.
    Resource(String),
    /// On the provisioning service of that name, whatever subscription its id names.
    Instance(String),
}

/// What stands before an instance's name in an ARM id.
const INSTANCES: [&str; 3] = ["providers", "Microsoft.Devices", "provisioningServices"];

impl Scope {
    /// Reads `/`, an ARM id or the name of a provisioning service.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text == "/" {
            return Some(Self::Everything);
        }
        if text.starts_with('/') {
            let bare = text.trim_end_matches('/');
            let whole = bare.split('/').skip(1).all(|segment| !segment.is_empty());
            return (!bare.is_empty() && whole).then(|| Self::Resource(bare.to_owned()));
        }
        (!text.is_empty() && !text.contains('/')).then(|| Self::Instance(text.to_owned()))
    }

    /// Is the resource this one, or below it? Ids are compared by whole segments and have no case.
    pub fn covers(&self, resource_id: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Resource(scope) => {
                let mut called = resource_id.split('/');
                scope
                    .split('/')
                    .all(|wanted| called.next().is_some_and(|segment| segment.eq_ignore_ascii_case(wanted)))
            }
            Self::Instance(name) => {
                let segments: Vec<&str> = resource_id.split('/').collect();
                // A resource group may be called like a word of the path: all three of them stand in a row.
                segments.windows(INSTANCES.len() + 1).any(|part| {
                    let (of, named) = part.split_at(INSTANCES.len());
                    of.iter().zip(INSTANCES).all(|(one, other)| one.eq_ignore_ascii_case(other))
                        && named.iter().all(|part| part.eq_ignore_ascii_case(name))
                })
            }
        }
    }
}

impl TryFrom<String> for Scope {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
            .ok_or("a scope is \"/\", an id like /subscriptions/…/resourceGroups/…, or an instance's name")
    }
}

#[cfg(test)]
mod tests {
    use super::Scope;

    const ID: &str =
        "/subscriptions/s1/resourceGroups/g1/providers/Microsoft.Devices/provisioningServices/dps";

    #[test]
    fn scope_covers_what_is_below_it_by_whole_segments() {
        for (scope, covered) in [
            ("/", true),
            ("/subscriptions/S1", true),
            ("/subscriptions/s1/", true),
            ("/subscriptions/s1/resourcegroups/G1", true),
            (ID, true),
            ("dps", true),
            ("DPS", true),
            ("/subscriptions/s", false),
            ("/subscriptions/s1/resourceGroups/g", false),
            ("other", false),
            ("g1", false),
        ] {
            assert_eq!(Scope::parse(scope).unwrap().covers(ID), covered, "{scope}");
        }
        for group in ["provisioningServices", "providers"] {
            let id = ID.replace("g1", group);
            assert!(Scope::parse("dps").unwrap().covers(&id), "{id}");
            assert!(!Scope::parse("providers").unwrap().covers(&id), "{id}");
        }
        let certificate = format!("{ID}/certificates/ca");
        assert!(Scope::parse("dps").unwrap().covers(&certificate));
        assert!(!Scope::parse(&certificate).unwrap().covers(ID));
        assert!(!Scope::parse("dps").unwrap().covers("/subscriptions/s1"));
    }

    #[test]
    fn scope_that_would_cover_by_accident_refused() {
        for text in ["", " ", "//", "/subscriptions//x", "a/b", "dps/"] {
            assert_eq!(Scope::parse(text), None, "{text:?}");
        }
    }
}

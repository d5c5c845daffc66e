//! Identity providers and who may do what with their tokens, as the file has them. Owns the reading; what a token must
//! hold is dps-access's.

use dps_access::{
    IdentityProvider, Role, RoleAssignment, Scope, management_audiences, portal_scopes, service_audiences,
};

use super::section::{At, Section};

/// Reads one provider.
pub fn read(section: &Section<'_>) -> Option<IdentityProvider> {
    let reading = section.reading;
    let texts = |name, otherwise: fn() -> Vec<String>| {
        let given = section.texts(name);
        given.map_or_else(otherwise, |texts| texts.into_iter().map(|text| text.value).collect())
    };
    let issuer = section.text("issuer");
    let mut provider = IdentityProvider::new(At::taken(issuer.clone()));
    provider.audiences = texts("audiences", service_audiences);
    provider.management_audiences = texts("management_audiences", management_audiences);
    provider.jwks_url = section.text("jwks_url").map(|url| url.value);
    provider.jwks_file = section.path("jwks_file").map(|path| path.value);
    provider.role_assignments = section.tables("role").iter().filter_map(role).collect();
    provider.portal_client_id = section.text("portal_client_id").map(|text| text.value);
    provider.portal_client_secret_file = section.path("portal_client_secret_file").map(|path| path.value);
    provider.portal_scopes = texts("portal_scopes", portal_scopes);
    provider.portal_name = section.text("portal_name").map(|text| text.value);
    issuer?;
    if let Err(error) = provider.check(false) {
        reading.wrong(section.at, error.to_string());
    }
    Some(provider)
}

fn role(section: &Section<'_>) -> Option<RoleAssignment> {
    let (claim, value) = (section.text("claim"), section.text("value"));
    let (role, scope) = (section.text("role"), section.text("scope"));
    let role = role.and_then(|text| {
        let role = Role::parse(&text.value);
        if role.is_none() {
            let known = Role::ALL.map(Role::name).join("\", \"");
            section.reading.wrong(text.at, format!("\"{}\" is no role; known are \"{known}\"", text.value));
        }
        role
    });
    let scope = scope.and_then(|text| {
        let scope = Scope::parse(&text.value);
        if scope.is_none() {
            let rule = "write \"/\", a resource id, a resource group's id, or the name of an instance";
            section.reading.wrong(text.at, format!("\"{}\" is no scope: {rule}", text.value));
        }
        scope
    });
    Some(RoleAssignment { claim: claim?.value, value: value?.value, role: role?, scope: scope? })
}

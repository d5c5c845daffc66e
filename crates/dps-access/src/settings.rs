//! What an operator says about an identity provider. Owns the members and what they may be; must not know where they
//! are read from.

use std::path::PathBuf;

use dps_model::limits::{MAX_PORTAL_CLIENT_TEXT, MAX_PORTAL_SCOPES, MAX_PROVIDER_URL, MAX_ROLE_ASSIGNMENTS};
use reqwest::Url;
use serde::Deserialize;

use crate::assignment::RoleAssignment;

/// An OIDC provider whose access tokens are believed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityProvider {
    /// `iss` of its tokens, to the letter; its discovery document is below it.
    pub issuer: String,
    /// `aud` of tokens for the service API.
    #[serde(default = "service_audiences")]
    pub audiences: Vec<String>,
    /// `aud` of tokens for the control plane.
    #[serde(default = "management_audiences")]
    pub management_audiences: Vec<String>,
    /// Where its keys are, instead of what the discovery document says.
    pub jwks_url: Option<String>,
    /// A file with its keys, read again when they are asked for again; then nothing is fetched.
    pub jwks_file: Option<PathBuf>,
    /// Who may do what.
    #[serde(default)]
    pub role_assignments: Vec<RoleAssignment>,
    /// The portal as the provider knows it (`client_id`); without it nobody signs in to the portal there.
    pub portal_client_id: Option<String>,
    /// A file with its secret, read at each sign-in; clients without one prove themselves by PKCE alone.
    pub portal_client_secret_file: Option<PathBuf>,
    /// What the portal asks for, besides `openid`.
    #[serde(default = "portal_scopes")]
    pub portal_scopes: Vec<String>,
    /// How the sign-in page calls it; its host without.
    pub portal_name: Option<String>,
}

/// What names somebody.
pub fn portal_scopes() -> Vec<String> {
    vec!["profile".to_owned()]
}

/// What Azure's service clients ask tokens for.
pub fn service_audiences() -> Vec<String> {
    vec!["https://azure-devices-provisioning.net".to_owned()]
}

/// What Azure's management clients ask tokens for.
pub fn management_audiences() -> Vec<String> {
    vec!["https://management.azure.com".to_owned(), "https://management.core.windows.net".to_owned()]
}

/// A setting that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{member}: {problem}")]
pub struct InvalidSetting {
    /// Which member.
    pub member: String,
    /// What is wrong, and what to write instead.
    pub problem: &'static str,
}

fn invalid<T>(member: impl Into<String>, problem: &'static str) -> Result<T, InvalidSetting> {
    Err(InvalidSetting { member: member.into(), problem })
}

impl IdentityProvider {
    /// A provider with Azure's audiences, found by discovery, that gives nobody a role yet.
    pub fn new(issuer: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            audiences: service_audiences(),
            management_audiences: management_audiences(),
            jwks_url: None,
            jwks_file: None,
            role_assignments: Vec::new(),
            portal_client_id: None,
            portal_client_secret_file: None,
            portal_scopes: portal_scopes(),
            portal_name: None,
        }
    }

    /// How the sign-in page calls it.
    pub fn shown_name(&self) -> String {
        let host = || Url::parse(&self.issuer).ok().and_then(|url| url.host_str().map(str::to_owned));
        self.portal_name.clone().or_else(host).unwrap_or_else(|| self.issuer.clone())
    }

    /// Finds the first member that cannot be. `plain_loopback` allows `http` on a loopback address.
    pub fn check(&self, plain_loopback: bool) -> Result<(), InvalidSetting> {
        const NO_URL: &str = "write an https:// URL";
        if self.issuer.is_empty() || self.issuer.len() > MAX_PROVIDER_URL {
            return invalid("issuer", "write what the tokens have in \"iss\"");
        }
        match (&self.jwks_url, &self.jwks_file) {
            (Some(_), Some(_)) => return invalid("jwks_file", "name a file or a jwks_url, not both"),
            (Some(url), None) if !may_be_asked(url, plain_loopback) => return invalid("jwks_url", NO_URL),
            (None, None) if !may_be_asked(&self.issuer, plain_loopback) => return invalid("issuer", NO_URL),
            _ => {}
        }
        for (member, audiences) in
            [("audiences", &self.audiences), ("management_audiences", &self.management_audiences)]
        {
            if audiences.iter().any(|audience| same_audience(audience, "")) {
                return invalid(member, "an empty audience would be everybody's; leave it out");
            }
        }
        self.check_portal(plain_loopback)?;
        if self.role_assignments.len() > MAX_ROLE_ASSIGNMENTS {
            return invalid("role_assignments", "there are more than a server takes; assign roles to groups");
        }
        for (index, assignment) in self.role_assignments.iter().enumerate() {
            if assignment.claim.is_empty() || assignment.value.is_empty() {
                return invalid(format!("role_assignments[{index}]"), "claim and value must not be empty");
            }
        }
        Ok(())
    }
}

impl IdentityProvider {
    fn check_portal(&self, plain_loopback: bool) -> Result<(), InvalidSetting> {
        let Some(client) = &self.portal_client_id else {
            return match (&self.portal_client_secret_file, &self.portal_name) {
                (None, None) => Ok(()),
                _ => invalid("portal_client_id", "name the client, or leave the other portal_ keys out"),
            };
        };
        let short = |text: &str| !text.trim().is_empty() && text.len() <= MAX_PORTAL_CLIENT_TEXT;
        if !short(client) {
            return invalid("portal_client_id", "write the id that the provider gave the portal");
        }
        if !self.portal_name.as_deref().is_none_or(short) {
            return invalid("portal_name", "write a short name, or leave it out");
        }
        if !may_be_asked(&self.issuer, plain_loopback) {
            return invalid("issuer", "signing in needs an https:// URL with a discovery document below it");
        }
        let word = |scope: &String| short(scope) && !scope.contains(|c: char| c.is_whitespace() || c == '"');
        if self.portal_scopes.len() > MAX_PORTAL_SCOPES || !self.portal_scopes.iter().all(word) {
            return invalid("portal_scopes", "write a short list of single words");
        }
        Ok(())
    }
}

/// Is it `https`, or `http` on a loopback address where that is allowed?
pub(crate) fn may_be_asked(url: &str, plain_loopback: bool) -> bool {
    let Some(url) =
        Some(url).filter(|url| url.len() <= MAX_PROVIDER_URL).and_then(|url| Url::parse(url).ok())
    else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    let bare = host.strip_prefix('[').and_then(|inside| inside.strip_suffix(']')).unwrap_or(host);
    let loopback = bare.parse::<std::net::IpAddr>().map_or(bare == "localhost", |ip| ip.is_loopback());
    match url.scheme() {
        "https" => !host.is_empty(),
        "http" => plain_loopback && loopback,
        _ => false,
    }
}

/// Audiences are compared to the letter but for a slash at the end, which clients add and leave out.
pub(crate) fn same_audience(one: &str, other: &str) -> bool {
    let bare = |text: &str| text.strip_suffix('/').unwrap_or(text).to_owned();
    bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    use super::{IdentityProvider, may_be_asked};
    use crate::{Role, Scope};

    fn read(text: &str) -> Result<IdentityProvider, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn provider_with_an_issuer_alone_has_azures_audiences() {
        let provider = read("issuer = 'https://login.test/t/v2.0'").unwrap();
        assert_eq!(provider, IdentityProvider::new("https://login.test/t/v2.0"));
        assert_eq!(provider.audiences, ["https://azure-devices-provisioning.net"]);
        assert_eq!(provider.check(false), Ok(()));
    }

    #[test]
    fn provider_assignments_read_by_azures_names() {
        let provider = read(
            "issuer = 'https://login.test'
             [[role_assignments]]
             claim = 'groups'
             value = 'operators'
             role = 'device provisioning service data contributor'
             [[role_assignments]]
             claim = 'sub'
             value = 'ci'
             role = 'Contributor'
             scope = '/subscriptions/s/resourceGroups/g'",
        )
        .unwrap();
        let [first, second] = &provider.role_assignments[..] else { panic!("two assignments") };
        assert_eq!((first.role, &first.scope), (Role::DataContributor, &Scope::Everything));
        assert_eq!(second.scope, Scope::Resource("/subscriptions/s/resourceGroups/g".into()));
    }

    #[test]
    fn provider_with_what_it_cannot_be_refused_by_member() {
        let unknown = read("issuer = 'https://a'\nissuers = 1").unwrap_err();
        assert!(unknown.contains("issuers"), "{unknown}");
        let assignment = "issuer = 'https://a'\n[[role_assignments]]\nclaim = 'c'\nvalue = 'v'\n";
        assert!(read(&format!("{assignment}role = 'King'")).unwrap_err().contains("Data Reader"));
        assert!(read(&format!("{assignment}role = 'Owner'\nscope = ''")).unwrap_err().contains("scope"));
        let issuer = IdentityProvider::new;
        let client = |provider, id: &str| IdentityProvider { portal_client_id: Some(id.into()), ..provider };
        let url = |url: &str| IdentityProvider { jwks_url: Some(url.into()), ..issuer("any") };
        for (provider, member) in [
            (issuer(""), "issuer"),
            (issuer("http://login.test"), "issuer"),
            (issuer("login"), "issuer"),
            (url("ftp://x"), "jwks_url"),
            (IdentityProvider { jwks_file: Some("f".into()), ..url("https://x") }, "jwks_file"),
            (IdentityProvider { audiences: vec!["/".into()], ..issuer("https://x") }, "audiences"),
            (IdentityProvider { portal_name: Some("Us".into()), ..issuer("https://x") }, "portal_client_id"),
            (client(issuer("https://x"), " "), "portal_client_id"),
            (client(IdentityProvider { jwks_file: Some("f".into()), ..issuer("joe") }, "c"), "issuer"),
            (
                IdentityProvider { portal_scopes: vec!["a b".into()], ..client(issuer("https://x"), "c") },
                "portal_scopes",
            ),
        ] {
            assert_eq!(provider.check(true).unwrap_err().member, member, "{provider:?}");
        }
        let file = IdentityProvider { jwks_file: Some("keys.json".into()), ..issuer("joe") };
        assert_eq!(file.check(false), Ok(()), "a file needs no URL");
    }

    #[test]
    fn url_without_tls_asked_on_loopback_alone_and_where_allowed() {
        for (url, dev, production) in [
            ("https://login.test/keys", true, true),
            ("http://127.0.0.1:8080/keys", true, false),
            ("http://[::1]:8080", true, false),
            ("http://localhost/", true, false),
            ("http://localhost.evil.test/", false, false),
            ("http://10.0.0.1/", false, false),
            ("file:///etc/passwd", false, false),
            ("https://", false, false),
            ("", false, false),
        ] {
            assert_eq!((may_be_asked(url, true), may_be_asked(url, false)), (dev, production), "{url}");
        }
    }
}

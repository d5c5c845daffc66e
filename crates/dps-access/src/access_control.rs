//! The one decision: may this call go on? Owns the order of the checks on the service API and on the control plane.
//! Keys of identity providers are `bearer`'s to keep; the time is an argument.

use std::net::IpAddr;
use std::sync::Arc;

use dps_model::instance::{Instance, Right};
use dps_model::limits::{BEARER_CLOCK_SKEW, MAX_IDENTITY_PROVIDERS};
use dps_model::network::IpFilterTarget;
use dps_model::{Error, ErrorCode, Secret, Timestamp};

use crate::bearer::{BearerToken, Claims, KeyFetch, Provider};
use crate::caller::{Caller, Principal};
use crate::refusal::{Refusal, shown};
use crate::role::{Action, DataAction};
use crate::sas;
use crate::session::{SESSION_PREFIX, Sessions};
use crate::settings::{IdentityProvider, same_audience};

const SAS: &str = "SharedAccessSignature";
const BEARER: &str = "Bearer";

/// What a 401 of the service API asks for (RFC 9110 §11.6.1).
pub const CHALLENGES: [&str; 2] = [SAS, BEARER];

/// A call of the service API, and the credential that came with it.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The `Authorization` header.
    pub authorization: Option<&'a str>,
    /// The host that was called, with or without a port.
    pub host: &'a str,
    /// The path that was called, as it stood in the request.
    pub path: &'a str,
    /// Where the caller is.
    pub peer: IpAddr,
    /// What the call needs of a shared access policy.
    pub needed: Right,
    /// What the call needs of a role.
    pub data_action: DataAction,
}

/// A call of the control plane, and the credential that came with it.
#[derive(Clone, Copy)]
pub struct ControlCall<'a> {
    /// The `Authorization` header.
    pub authorization: Option<&'a str>,
    /// What the call does, e.g. `Microsoft.Devices/provisioningServices/write`.
    pub action: &'a str,
    /// The ARM id of what is called: a resource, a resource group, a subscription, `/`.
    pub resource_id: &'a str,
}

/// Decides who may do what on this server.
pub struct AccessControl {
    providers: Vec<Arc<Provider>>,
    management_token: Option<Secret>,
    /// Of the portal, on servers that have one.
    pub(crate) sessions: Option<Arc<Sessions>>,
}

/// A credential by its kind.
enum Credential<'a> {
    /// The whole header.
    Sas(&'a str),
    /// What follows the scheme.
    Bearer(&'a str),
    /// The id of a session of the portal.
    Session(&'a str),
}

/// Which API a token is for.
#[derive(Clone, Copy)]
pub(crate) enum Plane {
    Control,
    Data,
    /// The portal's sessions, which see both.
    Either,
}

impl AccessControl {
    /// Believes the tokens of these providers; without any, shared access signatures alone. Further than
    /// `MAX_IDENTITY_PROVIDERS` are not asked.
    pub fn new(providers: Vec<IdentityProvider>, keys: &Arc<dyn KeyFetch>) -> Self {
        let provider = |settings| Arc::new(Provider::new(settings, Arc::clone(keys)));
        let providers = providers.into_iter().take(MAX_IDENTITY_PROVIDERS).map(provider).collect();
        Self { providers, management_token: None, sessions: None }
    }

    /// Shared access signatures alone.
    pub fn local() -> Self {
        Self { providers: Vec::new(), management_token: None, sessions: None }
    }

    /// Lets whoever shows this bearer token do everything; an empty one nobody.
    pub fn with_management_token(self, token: Secret) -> Self {
        Self { management_token: Some(token).filter(|token| !token.expose().is_empty()), ..self }
    }

    /// Lets whoever signed in to the portal call what they may.
    pub fn with_sessions(self, sessions: Arc<Sessions>) -> Self {
        Self { sessions: Some(sessions), ..self }
    }

    /// Lets a call of the service API in: from an address that may call, with a token signed by a policy that has the
    /// right, or with a bearer token whose owner has a role that allows the action on this instance.
    ///
    /// # Errors
    /// 401000 with the same public text for every reason; `cause` names the reason (`Refusal`). 503001 when a token
    /// cannot be judged because its provider hands out no keys. Who is signed in to the portal reads 403002 for what they
    /// may not do, so that the page does not take them for a stranger.
    pub async fn authorize(
        &self,
        instance: &Instance,
        call: &Call<'_>,
        now: Timestamp,
    ) -> Result<Caller, Error> {
        self.decide(instance, call, now).await.map_err(|refusal| {
            let signed_in = matches!(read(call.authorization), Ok(Credential::Session(_)));
            if signed_in && refusal.is_of_somebody_known() {
                let message = "The session does not have the right to do this.";
                return Error::with(ErrorCode::AuthorizationFailed, message)
                    .because(format!("{}: {refusal}", refusal.code()));
            }
            Error::from(refusal)
        })
    }

    async fn decide(&self, instance: &Instance, call: &Call<'_>, now: Timestamp) -> Result<Caller, Refusal> {
        instance.network.admits(IpFilterTarget::ServiceApi, call.peer)?;
        match read(call.authorization)? {
            Credential::Sas(_) if instance.disable_local_auth => {
                Err(Refusal::LocalAuthDisabled { instance: instance.name.clone() })
            }
            Credential::Sas(text) => {
                let (name, slot) = sas::decide(instance, call, text, now)?;
                Ok(Caller::Policy { name, slot })
            }
            Credential::Session(id) => {
                self.by_session_on_data(id, instance, (call.needed, call.data_action), now).await
            }
            Credential::Bearer(text) => {
                self.bearer(text, Plane::Data, Action::Data(call.data_action), &instance.resource_id, now)
                    .await
            }
        }
    }

    /// Lets a call of the control plane in, with a bearer token whose owner has a role that allows the action there.
    ///
    /// # Errors
    /// 401000 when it is not proven who calls, 403002 with Azure's text when it is and no role allows it, 503001 when a
    /// token cannot be judged because its provider hands out no keys. `cause` names the reason (`Refusal`).
    pub async fn authorize_control(&self, call: &ControlCall<'_>, now: Timestamp) -> Result<Caller, Error> {
        let decided = match read(call.authorization) {
            Ok(Credential::Bearer(text)) => {
                self.bearer(text, Plane::Control, Action::Control(call.action), call.resource_id, now).await
            }
            Ok(Credential::Session(id)) => {
                self.by_session_on_control(id, call.action, call.resource_id, now).await
            }
            Ok(Credential::Sas(_)) => Err(Refusal::SasOnControlPlane),
            Err(refusal) => Err(refusal),
        };
        decided.map_err(|refusal| match &refusal {
            Refusal::RoleMissing { principal, action, scope } => {
                let message = format!(
                    "The client '{principal}' does not have authorization to perform action '{action}' over scope \
                     '{scope}' or the scope is invalid. If access was recently granted, please refresh your credentials."
                );
                Error::with(ErrorCode::AuthorizationFailed, message).because(format!("{}: {refusal}", refusal.code()))
            }
            _ => Error::from(refusal),
        })
    }

    pub(crate) async fn bearer(
        &self,
        text: &str,
        plane: Plane,
        action: Action<'_>,
        resource_id: &str,
        now: Timestamp,
    ) -> Result<Caller, Refusal> {
        if self.is_management_token(text) {
            return Ok(Caller::ManagementToken);
        }
        let (provider, token) = self.proven(text, plane, now).await?;
        let about = (token.subject(), token.claims(), token.key_id());
        principal(about, &provider.settings, action, resource_id).map(Caller::Principal)
    }

    pub(crate) fn is_management_token(&self, text: &str) -> bool {
        self.management_token.as_ref().is_some_and(|token| token.matches(text.as_bytes()))
    }

    /// A token that its issuer has signed, for us, and that holds now.
    pub(crate) async fn proven<'t>(
        &self,
        text: &'t str,
        plane: Plane,
        now: Timestamp,
    ) -> Result<(&Arc<Provider>, BearerToken<'t>), Refusal> {
        if self.providers.is_empty() {
            return Err(Refusal::NoIdentityProvider);
        }
        let token = BearerToken::parse(text).map_err(Refusal::BearerMalformed)?;
        let provider = self.signed(&token, now).await?;
        for_us(&token, &provider.settings, plane)?;
        Ok((provider, token))
    }

    /// The provider that signed the token, which holds now, whomever it is for.
    pub(crate) async fn signed(
        &self,
        token: &BearerToken<'_>,
        now: Timestamp,
    ) -> Result<&Arc<Provider>, Refusal> {
        let issuer = token.claims().text("iss").unwrap_or_default();
        let provider = self.provider(issuer);
        let provider = provider.ok_or_else(|| Refusal::BearerIssuerUnknown { issuer: shown(issuer) })?;
        let keys = provider
            .keys(token, now)
            .await
            .map_err(|missing| Refusal::missing_keys(missing, issuer, token.key_id().map(shown)))?;
        if !token.is_signed_with(&keys) {
            return Err(Refusal::BearerSignatureMismatch { issuer: shown(issuer) });
        }
        in_time(token, now)?;
        Ok(provider)
    }

    pub(crate) fn providers(&self) -> &[Arc<Provider>] {
        &self.providers
    }

    pub(crate) fn provider(&self, issuer: &str) -> Option<&Arc<Provider>> {
        self.providers.iter().find(|provider| provider.settings.issuer == issuer)
    }
}

fn read(authorization: Option<&str>) -> Result<Credential<'_>, Refusal> {
    let text =
        authorization.map(str::trim).filter(|text| !text.is_empty()).ok_or(Refusal::CredentialMissing)?;
    let (scheme, rest) = text.split_once(|end: char| end.is_ascii_whitespace()).unwrap_or((text, ""));
    if scheme.eq_ignore_ascii_case(SAS) {
        Ok(Credential::Sas(text))
    } else if scheme.eq_ignore_ascii_case(BEARER) {
        let token = rest.trim();
        Ok(token.strip_prefix(SESSION_PREFIX).map_or(Credential::Bearer(token), Credential::Session))
    } else {
        Err(Refusal::CredentialOtherKind)
    }
}

/// Is now between `nbf` and `exp`, a clock difference forgiven?
fn in_time(token: &BearerToken<'_>, now: Timestamp) -> Result<(), Refusal> {
    let (subject, now) = (|| shown(token.subject()), now.seconds());
    let late = now.saturating_sub(token.expires());
    if late > BEARER_CLOCK_SKEW {
        return Err(Refusal::BearerExpired {
            subject: subject(),
            expired_at: token.expires(),
            by_seconds: late,
        });
    }
    match token.not_before() {
        Some(start) if start.saturating_sub(now) > BEARER_CLOCK_SKEW => {
            Err(Refusal::BearerNotYetValid { subject: subject(), valid_from: start })
        }
        _ => Ok(()),
    }
}

fn for_us(token: &BearerToken<'_>, provider: &IdentityProvider, plane: Plane) -> Result<(), Refusal> {
    let (data, control) = (&provider.audiences, &provider.management_audiences);
    let wanted: Vec<&str> = match plane {
        Plane::Data => data.iter().map(String::as_str).collect(),
        Plane::Control => control.iter().map(String::as_str).collect(),
        Plane::Either => data.iter().chain(control).map(String::as_str).collect(),
    };
    let ours = |audience: &str| wanted.iter().any(|own| same_audience(own, audience));
    if token.claims().texts("aud").any(ours) {
        return Ok(());
    }
    let presented = token.claims().texts("aud").next().unwrap_or("nobody");
    Err(Refusal::BearerAudienceMismatch { presented: shown(presented), wanted: shown(&wanted.join(", ")) })
}

/// The owner of claims, by the first assignment whose role allows the action there.
pub(crate) fn principal(
    (subject, claims, key_id): (&str, &Claims, Option<&str>),
    provider: &IdentityProvider,
    action: Action<'_>,
    resource_id: &str,
) -> Result<Principal, Refusal> {
    let mut allowing = provider.role_assignments.iter().filter(|assignment| assignment.role.allows(action));
    let Some(assignment) = allowing.find(|assignment| assignment.applies(claims, resource_id)) else {
        return Err(Refusal::RoleMissing {
            principal: shown(subject),
            action: shown(action.name()),
            scope: shown(resource_id),
        });
    };
    Ok(Principal {
        subject: shown(subject),
        issuer: shown(&provider.issuer),
        role: assignment.role,
        token_id: claims.first_text(&["jti", "uti"]).map(shown),
        key_id: key_id.map(shown),
    })
}

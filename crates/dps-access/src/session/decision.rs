//! Signing in, and what a session may do: judged anew with every call, so that a key that was rolled, a policy that was
//! removed and a token whose time is over end what was begun with them. Must not know how ids travel.

use std::net::IpAddr;
use std::sync::Arc;

use dps_attestation::Slot;
use dps_model::connection_string::ConnectionString;
use dps_model::instance::{AccessPolicy, Instance, Right};
use dps_model::limits::{BEARER_CLOCK_SKEW, SESSION_LIFE};
use dps_model::network::IpFilterTarget;
use dps_model::{Error, Secret, Timestamp};

use super::{Opened, Owner, Session, Sessions};
use crate::access_control::{AccessControl, Plane, principal};
use crate::assignment::Scope;
use crate::bearer::Claims;
use crate::caller::Caller;
use crate::refusal::{Refusal, shown};
use crate::role::{Action, DataAction, Role};
use crate::settings::IdentityProvider;
use crate::{rights, sas};

/// What only a policy that configures the service is shown of what lies beside it: addresses of webhooks are secrets.
const SECRET_BESIDE: &str = "Microsoft.Insights/actionGroups/";

impl AccessControl {
    /// Opens a session with a key of one of the service's policies. The answer is the same whatever was wrong.
    ///
    /// # Errors
    /// 401000; `cause` names the reason.
    pub fn sign_in_with_key(
        &self,
        instance: &Instance,
        shown: &ConnectionString,
        peer: IpAddr,
        now: Timestamp,
    ) -> Result<Opened, Error> {
        instance.network.admits(IpFilterTarget::ServiceApi, peer).map_err(Refusal::from)?;
        let (policy, _) = owned(instance, &shown.policy, &shown.key)?;
        let (rows, name) = (instance.rows().to_owned(), policy.name.clone());
        let owner = Owner::Policy { rows, name, key: shown.key.clone() };
        self.sessions()?.open(owner, life_from(now), now)
    }

    /// Opens a session with the server's own token, or with a bearer token of an identity provider for either plane.
    ///
    /// # Errors
    /// 401000, 503001 when the provider hands out no keys; `cause` names the reason.
    pub async fn sign_in_with_token(&self, text: &str, now: Timestamp) -> Result<Opened, Error> {
        let sessions = self.sessions()?;
        if self.is_management_token(text) {
            return sessions.open(Owner::ManagementToken, life_from(now), now);
        }
        let (provider, token) = self.proven(text, Plane::Either, now).await?;
        has_some_role(token.subject(), token.claims(), &provider.settings)?;
        let owner = Owner::Token {
            subject: shown(token.subject()),
            issuer: shown(&provider.settings.issuer),
            text: Secret::from(text.to_owned()),
        };
        let ends = token.expires().saturating_add(BEARER_CLOCK_SKEW).min(life_from(now));
        sessions.open(owner, ends, now)
    }

    /// Opens a session of somebody whom that provider has signed in, with what it said of them.
    pub(super) fn sign_in_person(
        &self,
        provider: &IdentityProvider,
        claims: Claims,
        now: Timestamp,
    ) -> Result<Opened, Error> {
        has_some_role(claims.text("sub").unwrap_or_default(), &claims, provider)?;
        let subject = shown(claims.text("sub").unwrap_or_default());
        let name = claims.first_text(&["preferred_username", "email", "name"]).map_or(subject.clone(), shown);
        let owner = Owner::Person { name, subject, issuer: shown(&provider.issuer), claims };
        self.sessions()?.open(owner, life_from(now), now)
    }

    /// The session of that id, unless it is over or what it was opened with holds no more.
    pub async fn session(&self, id: &str, now: Timestamp) -> Option<Session> {
        let session = self.sessions.as_ref()?.find(id, now)?;
        if self.still_holds(&session, now).await {
            return Some(session);
        }
        self.end_session(id);
        None
    }

    /// Ends the session of that id, if there is one.
    pub fn end_session(&self, id: &str) {
        if let Some(sessions) = &self.sessions {
            sessions.end(id);
        }
    }

    /// May the session's owner do that on the service API?
    pub async fn session_may(
        &self,
        session: &Session,
        instance: &Instance,
        needs: (Right, DataAction),
        now: Timestamp,
    ) -> bool {
        self.of_session_on_data(session, instance, needs, now).await.is_ok()
    }

    /// May the session's owner do that on the control plane?
    pub async fn session_may_control(
        &self,
        session: &Session,
        action: &str,
        resource_id: &str,
        now: Timestamp,
    ) -> bool {
        self.of_session_on_control(session, action, resource_id, now).await.is_ok()
    }

    /// Who attempts to sign in, and how often.
    ///
    /// # Errors
    /// 401000 on a server without sessions.
    pub fn sessions(&self) -> Result<&Sessions, Error> {
        self.sessions.as_deref().ok_or_else(|| Refusal::SessionUnknown.into())
    }

    pub(crate) async fn by_session_on_data(
        &self,
        id: &str,
        instance: &Instance,
        needs: (Right, DataAction),
        now: Timestamp,
    ) -> Result<Caller, Refusal> {
        let session = self.opened(id, now)?;
        self.of_session_on_data(&session, instance, needs, now).await
    }

    pub(crate) async fn by_session_on_control(
        &self,
        id: &str,
        action: &str,
        resource_id: &str,
        now: Timestamp,
    ) -> Result<Caller, Refusal> {
        let session = self.opened(id, now)?;
        self.of_session_on_control(&session, action, resource_id, now).await
    }

    fn opened(&self, id: &str, now: Timestamp) -> Result<Session, Refusal> {
        self.sessions.as_ref().and_then(|sessions| sessions.find(id, now)).ok_or(Refusal::SessionUnknown)
    }

    async fn still_holds(&self, session: &Session, now: Timestamp) -> bool {
        match session.owner() {
            Owner::Policy { rows, name, key } => self.of_policy(rows, name, key).is_ok(),
            Owner::ManagementToken => true,
            Owner::Token { text, .. } => {
                let text = std::str::from_utf8(text.expose()).unwrap_or_default();
                // A provider that is out of reach for the moment ends nothing.
                let proven = self.proven(text, Plane::Either, now).await;
                matches!(proven, Ok(_) | Err(Refusal::BearerKeysUnavailable { .. }))
            }
            Owner::Person { issuer, .. } => self.provider(issuer).is_some(),
        }
    }

    async fn of_session_on_data(
        &self,
        session: &Session,
        instance: &Instance,
        (needed, action): (Right, DataAction),
        now: Timestamp,
    ) -> Result<Caller, Refusal> {
        let caller = match session.owner() {
            Owner::Policy { rows, name, key } => {
                if rows != instance.rows() {
                    return Err(Refusal::SessionElsewhere { called: instance.name.clone() });
                }
                let (policy, slot) = owned(instance, name, key)?;
                if !rights::allow(&policy.rights, needed) {
                    return Err(Refusal::RightMissing { policy: policy.name.clone(), needed });
                }
                Caller::Policy { name: policy.name.clone(), slot }
            }
            other => self.of_person(other, Action::Data(action), &instance.resource_id, now).await?,
        };
        Ok(Caller::Session(Box::new(caller)))
    }

    async fn of_session_on_control(
        &self,
        session: &Session,
        action: &str,
        resource_id: &str,
        now: Timestamp,
    ) -> Result<Caller, Refusal> {
        let caller = match session.owner() {
            Owner::Policy { rows, name, key } => {
                let (instance, caller, rights) = self.of_policy(rows, name, key)?;
                let alone = self.sessions.as_ref().is_some_and(|sessions| sessions.services.is_only_one());
                if !policy_may(&rights, &instance.resource_id, alone, action, resource_id) {
                    let (action, scope) = (shown(action), shown(resource_id));
                    return Err(Refusal::RoleMissing { principal: shown(name), action, scope });
                }
                caller
            }
            other => self.of_person(other, Action::Control(action), resource_id, now).await?,
        };
        Ok(Caller::Session(Box::new(caller)))
    }

    async fn of_person(
        &self,
        owner: &Owner,
        action: Action<'_>,
        resource_id: &str,
        now: Timestamp,
    ) -> Result<Caller, Refusal> {
        match owner {
            Owner::Token { text, .. } => {
                let text = std::str::from_utf8(text.expose()).unwrap_or_default();
                self.bearer(text, Plane::Either, action, resource_id, now).await
            }
            Owner::Person { subject, issuer, claims, .. } => {
                let provider = self.provider(issuer);
                let provider =
                    provider.ok_or_else(|| Refusal::BearerIssuerUnknown { issuer: issuer.clone() })?;
                principal((subject, claims, None), &provider.settings, action, resource_id)
                    .map(Caller::Principal)
            }
            Owner::ManagementToken => Ok(Caller::ManagementToken),
            // Judged by its service's rights before.
            Owner::Policy { .. } => Err(Refusal::SessionUnknown),
        }
    }

    /// The policy as its service has it now.
    fn of_policy(
        &self,
        rows: &str,
        name: &str,
        key: &Secret,
    ) -> Result<(Arc<Instance>, Caller, Vec<Right>), Refusal> {
        let services = self.sessions.as_ref().map(|sessions| &sessions.services);
        let instance = services.and_then(|services| services.by_rows(rows)).ok_or(Refusal::SessionUnknown)?;
        let (policy, slot) = owned(&instance, name, key)?;
        let (caller, rights) = (Caller::Policy { name: policy.name.clone(), slot }, policy.rights.clone());
        Ok((instance, caller, rights))
    }
}

/// The policy of that name, and which of its keys that is.
fn owned<'a>(instance: &'a Instance, name: &str, key: &Secret) -> Result<(&'a AccessPolicy, Slot), Refusal> {
    if instance.disable_local_auth {
        return Err(Refusal::LocalAuthDisabled { instance: instance.name.clone() });
    }
    let policy = sas::policy(instance, name);
    let decoy = Secret::new(vec![0; key.expose().len()]);
    let (primary, secondary) = policy.map_or((&decoy, &decoy), |policy| (&policy.primary, &policy.secondary));
    // Both, and for an unknown policy too: the time taken tells nothing.
    let slots = (primary.matches(key.expose()), secondary.matches(key.expose()));
    let Some(policy) = policy else {
        return Err(Refusal::SessionPolicyUnknown { policy: shown(name), instance: instance.name.clone() });
    };
    match slots {
        (true, _) => Ok((policy, Slot::Primary)),
        (_, true) => Ok((policy, Slot::Secondary)),
        _ => Err(Refusal::SessionKeyMismatch { policy: policy.name.clone() }),
    }
}

/// What a shared access policy may do on the control plane, where Azure knows none (D-730).
fn policy_may(rights: &[Right], own: &str, alone: bool, action: &str, resource_id: &str) -> bool {
    let configures = rights::allow(rights, Right::ServiceConfig);
    let (role, watching) = if configures {
        (Role::Contributor, Role::MonitoringContributor)
    } else {
        (Role::Reader, Role::MonitoringReader)
    };
    let asked = Action::Control(action);
    if Scope::Resource(own.to_owned()).covers(resource_id) {
        return role.allows(asked) || watching.allows(asked);
    }
    let secret =
        action.get(..SECRET_BESIDE.len()).is_some_and(|start| start.eq_ignore_ascii_case(SECRET_BESIDE));
    alone && watching.allows(asked) && (configures || !secret)
}

/// Who has no role anywhere is no user of this server, though their provider knows them.
fn has_some_role(subject: &str, claims: &Claims, provider: &IdentityProvider) -> Result<(), Refusal> {
    let mut assignments = provider.role_assignments.iter();
    if assignments.any(|assignment| claims.has(&assignment.claim, &assignment.value)) {
        return Ok(());
    }
    Err(Refusal::RoleMissing {
        principal: shown(subject),
        action: "Muster.Portal/sessions/write".to_owned(),
        scope: "/".to_owned(),
    })
}

fn life_from(now: Timestamp) -> i64 {
    now.seconds().saturating_add(SESSION_LIFE)
}

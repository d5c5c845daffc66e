//! Who is signed in, signing in and signing out. Owns the shapes; whether somebody may is dps-access's.

use std::net::IpAddr;
use std::sync::Arc;

use dps_access::{DataAction, Opened, Session, without_port};
use dps_model::connection_string::ConnectionString;
use dps_model::instance::{Instance, Right};
use dps_model::limits::{MAX_BEARER_TOKEN, MAX_CONNECTION_STRING};
use dps_model::{Channel, Error, ErrorCode, Timestamp};
use http::StatusCode;
use http::header::HeaderValue;
use http::request::Parts;
use serde_json::{Value, json};

use super::{PortalApi, Reply, cookie};
use crate::call::{Call, kept};
use crate::request::{self, Body};

pub(super) const SIGN_IN: &str = "Muster.Portal/sessions/write";
const SIGN_OUT: &str = "Muster.Portal/sessions/delete";
const WRITE_SERVICE: &str = "Microsoft.Devices/provisioningServices/write";
const READ_SERVICE: &str = "Microsoft.Devices/provisioningServices/read";
const WRITE_RULES: &str = "Microsoft.Insights/metricAlerts/write";
const QUERY: &str = "Microsoft.OperationalInsights/workspaces/search/action";

/// What somebody shows to sign in.
enum Shown {
    Key(ConnectionString),
    Token(String),
}

impl PortalApi {
    /// Who is signed in, or how one could.
    pub(super) async fn show(&self, head: &Parts, now: Timestamp) -> Reply {
        let session = match cookie::session(&head.headers) {
            Some(id) if !cookie::is_of_another_site(head) => self.access.session(id, now).await,
            _ => None,
        };
        if let Some(session) = session {
            return Reply::shown(StatusCode::OK, self.described(head, &session, now).await);
        }
        let providers = self.access.portal_providers().into_iter();
        let named = |(number, name)| json!({ "name": name, "url": format!("/portal/oidc/{number}") });
        let providers: Vec<Value> = providers.map(named).collect();
        Reply::shown(StatusCode::UNAUTHORIZED, json!({ "providers": providers }))
    }

    pub(super) async fn sign_in(
        &self,
        head: &Parts,
        body: &mut Body,
        call: &mut Call,
    ) -> Result<Reply, Error> {
        call.record.operation = SIGN_IN;
        if cookie::is_of_another_site(head) {
            return Err(Error::new(ErrorCode::Unauthorized).because("another site asked to sign in"));
        }
        request::check_length(&head.headers)?;
        let shown = read(&request::json(&head.headers, body).await?)?;
        let (peer, now) = (call.record.peer.ip(), call.time());
        let sessions = self.access.sessions()?;
        sessions.attempt(peer, now)?;
        let opened = self.opened(head, shown, peer, call).await;
        let unjudged = opened.as_ref().is_err_and(|error| error.code == ErrorCode::Unavailable);
        if opened.is_ok() || unjudged {
            sessions.forgive(peer, now);
        }
        Ok(Reply::gone(given(head, &opened?, call)?))
    }

    async fn opened(
        &self,
        head: &Parts,
        shown: Shown,
        peer: IpAddr,
        call: &mut Call,
    ) -> Result<Opened, Error> {
        match shown {
            Shown::Key(connection) => {
                let instance = self.instances.by_host(without_port(&connection.host));
                call.record.instance = Some(kept(&instance.name));
                call.record.resource_id = Some(kept(&instance.resource_id));
                self.access.sign_in_with_key(&instance, &connection, peer, call.time())
            }
            Shown::Token(text) => {
                let instance = self.instances.by_host(without_port(&request::host(head)));
                call.record.resource_id = Some(kept(&instance.resource_id));
                self.access.sign_in_with_token(&text, call.time()).await
            }
        }
    }

    pub(super) async fn sign_out(&self, head: &Parts, call: &mut Call) -> Result<Reply, Error> {
        call.record.operation = SIGN_OUT;
        if cookie::is_of_another_site(head) {
            return Err(Error::new(ErrorCode::Unauthorized).because("another site asked to sign out"));
        }
        if let Some(id) = cookie::session(&head.headers) {
            if let Some(session) = self.access.session(id, call.time()).await {
                call.record.caller = Some(kept(session.owner().name()));
                call.record.auth = Some("PortalSession");
            }
            self.access.end_session(id);
        }
        Ok(Reply::gone(cookie::taken(is_secure(head))))
    }

    async fn described(&self, head: &Parts, session: &Session, now: Timestamp) -> Value {
        let mut shown = Vec::new();
        for instance in self.instances.all() {
            if self.is_shown(session, &instance, now).await {
                shown.push(instance);
            }
        }
        let called = self.instances.by_host(without_port(&request::host(head)));
        let current = shown.iter().find(|instance| instance.rows() == called.rows()).or(shown.first());
        let current = current.map_or(&called, |current| current);
        let may = self.rights(session, current, now).await;
        let instances: Vec<Value> = shown
            .iter()
            .map(|instance| {
                json!({
                    "name": instance.name,
                    "resourceId": instance.resource_id,
                    "idScope": instance.id_scope.as_str(),
                    "host": self.life.hosting().host_names(instance).service,
                })
            })
            .collect();
        json!({
            "name": session.owner().name(),
            "kind": session.owner().kind(),
            "expires": session.expires(now),
            "resourceId": current.resource_id,
            "subscriptionId": self.about.subscription,
            "workspaceId": self.about.workspace,
            "instances": instances,
            "may": may,
            "version": self.about.version,
            "mode": self.about.mode,
        })
    }

    /// May the session's owner see anything of it?
    async fn is_shown(&self, session: &Session, instance: &Instance, now: Timestamp) -> bool {
        let data = (Right::EnrollmentRead, DataAction::EnrollmentsRead);
        session.owner().may_be_of(instance)
            && (self.access.session_may_control(session, READ_SERVICE, &instance.resource_id, now).await
                || self.access.session_may(session, instance, data, now).await)
    }

    /// What the session's owner may do there: asked of who decides, so that pages offer what will be allowed.
    async fn rights(&self, session: &Session, instance: &Arc<Instance>, now: Timestamp) -> Value {
        let mut may = serde_json::Map::new();
        for (name, needed, action) in [
            ("readEnrollments", Right::EnrollmentRead, DataAction::EnrollmentsRead),
            ("writeEnrollments", Right::EnrollmentWrite, DataAction::EnrollmentsWrite),
            ("readRegistrations", Right::RegistrationStatusRead, DataAction::RegistrationStatesRead),
            ("writeRegistrations", Right::RegistrationStatusWrite, DataAction::RegistrationStatesDelete),
        ] {
            let allowed = self.access.session_may(session, instance, (needed, action), now).await;
            may.insert(name.to_owned(), allowed.into());
        }
        let group = instance.resource_id.split("/providers/").next().unwrap_or_default();
        for (name, action, on) in [
            ("configure", WRITE_SERVICE, instance.resource_id.as_str()),
            ("writeRules", WRITE_RULES, group),
            ("queryWorkspace", QUERY, self.about.workspace_resource.as_str()),
        ] {
            let allowed = self.access.session_may_control(session, action, on, now).await;
            may.insert(name.to_owned(), allowed.into());
        }
        Value::Object(may)
    }
}

/// The cookie of a session that was opened, of which the event is told.
pub(super) fn given(head: &Parts, opened: &Opened, call: &mut Call) -> Result<HeaderValue, Error> {
    let Opened { id, session } = opened;
    call.record.caller = Some(kept(session.owner().name()));
    call.record.auth = Some("PortalSession");
    call.record.credential = Some(session.owner().kind().to_owned());
    let id = std::str::from_utf8(id.expose()).map_err(Error::internal)?;
    cookie::given(id, is_secure(head)).ok_or_else(|| Error::internal("a session's id is no cookie"))
}

/// Came the request over TLS?
pub(super) fn is_secure(head: &Parts) -> bool {
    head.extensions.get::<Arc<Channel>>().is_some_and(|channel| !channel.tls.version.is_empty())
}

fn read(body: &Value) -> Result<Shown, Error> {
    const EITHER: &str = "write {\"connectionString\": …} of a shared access policy, or {\"token\": …}";
    let text = |name: &str| match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
        Some(_) => Err(Error::argument(format!("{name} must be a text; {EITHER}."))),
    };
    match (text("connectionString")?, text("token")?) {
        (Some(text), None) if text.len() > MAX_CONNECTION_STRING => {
            let message = format!("The connection string is longer than {MAX_CONNECTION_STRING} bytes.");
            Err(Error::argument(message))
        }
        (Some(text), None) => {
            let read = ConnectionString::parse(text);
            read.map(Shown::Key)
                .map_err(|why| Error::argument(format!("The connection string is not accepted: {why}.")))
        }
        (None, Some(text)) if text.len() > MAX_BEARER_TOKEN => {
            Err(Error::argument(format!("The token is longer than {MAX_BEARER_TOKEN} bytes.")))
        }
        (None, Some(text)) => {
            Ok(Shown::Token(text.strip_prefix("Bearer ").unwrap_or(text).trim().to_owned()))
        }
        _ => Err(Error::argument(format!("Nothing was shown to sign in with, or two things; {EITHER}."))),
    }
}

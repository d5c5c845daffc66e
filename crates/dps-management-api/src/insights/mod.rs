//! The provider `Microsoft.Insights` at provisioning services, and `Microsoft.AlertsManagement`: what is watched, over ARM. Owns its api-versions and whose
//! permission a call needs; each subject has a folder. Must not know how anything is counted or kept.

mod activity_log;
pub(crate) mod alerts;
mod api_version;
pub(crate) mod diagnostic_settings;
pub(crate) mod metrics;
pub(crate) mod rules;

use std::sync::Arc;

use dps_access::ControlCall;
use dps_model::{Error, ErrorCode};
use dps_monitor::alerts::archive::Archive;
use dps_monitor::alerts::book::RuleBook;
use dps_monitor::metrics::Rollups;
use dps_monitor::settings::SettingsBook;
use dps_monitor::{Notifier, QueryEngine, StateError};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use serde_json::Value;

use crate::answer::Answer;
use crate::call::Call;
use crate::request::{self, Body};
use crate::route::Route;
use crate::service::ManagementApi;

/// What a call of the provider does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Metrics(metrics::Action),
    ActivityLog,
    DiagnosticSettings(diagnostic_settings::Action),
    Rules(rules::Action),
    Alerts(alerts::Action),
}

impl Action {
    /// Does the body name the resources that the call is about?
    fn names_resources_in_body(self) -> bool {
        self == Self::Metrics(metrics::Action::Batch)
    }

    fn has_body(self, head: &Parts) -> bool {
        match self {
            Self::Metrics(action) => {
                matches!(action, metrics::Action::Batch | metrics::Action::PostToSubscription)
            }
            Self::ActivityLog => false,
            Self::DiagnosticSettings(action) => action == diagnostic_settings::Action::Put,
            Self::Rules(action) => action.has_body(),
            // A comment is optional.
            Self::Alerts(action) => {
                action == alerts::Action::ChangeState && head.headers.contains_key(CONTENT_TYPE)
            }
        }
    }
}

/// What is watched.
#[derive(Clone)]
pub struct Insights {
    /// Metrics.
    pub rollups: Arc<Rollups>,
    /// Diagnostic settings.
    pub settings: Arc<SettingsBook>,
    /// Who answers queries about log rows, in a build that keeps them.
    pub queries: Option<Arc<dyn QueryEngine>>,
    /// Alert rules and action groups.
    pub rules: Arc<RuleBook>,
    /// Alerts.
    pub alerts: Archive,
    /// Who tells action groups.
    pub notifier: Option<Arc<dyn Notifier>>,
}

impl ManagementApi {
    /// Authorizes and answers a call of the provider.
    pub(crate) async fn insight(
        &self,
        action: Action,
        route: &Route,
        head: &Parts,
        body: &mut Body,
        call: &mut Call,
    ) -> Result<Answer, Error> {
        let scope = route.names.resource_id();
        // Who may read one resource alone is refused nothing because the path names the subscription; so the body is
        // read before anybody is let in, within its bounds. What is wrong with it is told to those who are.
        let early = if action.names_resources_in_body() { Some(read(head, body).await) } else { None };
        let scopes = match &early {
            Some(Ok(value)) => metrics::batch::resources(value).unwrap_or_default(),
            _ => Vec::new(),
        };
        let scopes = if scopes.is_empty() { vec![scope] } else { scopes };
        for scope in &scopes {
            self.let_in(route, head, scope, call).await?;
        }
        api_version::check(head, action)?;
        request::check_length(&head.headers)?;
        let value = match early {
            Some(value) => Some(value?),
            None if action.has_body(head) => Some(read(head, body).await?),
            None => None,
        };
        match action {
            Action::Metrics(action) => self.metrics(action, route, head, value.as_ref(), call.time()).await,
            Action::ActivityLog => self.activity_log(route, head, call.time()).await,
            Action::DiagnosticSettings(action) => {
                self.diagnostic_settings(action, route, value.as_ref()).await
            }
            Action::Rules(action) => self.rules(action, route, head, value, call.time()).await,
            Action::Alerts(action) => {
                let caller = call.record.caller.clone().unwrap_or_default();
                self.alerts(action, &route.names, head, value, &caller, call.time()).await
            }
        }
    }

    async fn let_in(&self, route: &Route, head: &Parts, scope: &str, call: &mut Call) -> Result<(), Error> {
        let authorization = request::header(&head.headers, &AUTHORIZATION);
        let asked = ControlCall {
            authorization: authorization.as_deref(),
            action: route.row.operation,
            resource_id: scope,
        };
        let caller = self.access.authorize_control(&asked, call.time()).await?;
        call.caller(&caller);
        Ok(())
    }
}

async fn read(head: &Parts, body: &mut Body) -> Result<Value, Error> {
    request::check_length(&head.headers)?;
    request::json(&head.headers, body).await
}

/// How the state of monitoring failed, as a client hears it.
fn failed(error: StateError) -> Error {
    match error {
        StateError::Busy => Error::new(ErrorCode::Unavailable).because(error.to_string()),
        StateError::Changed | StateError::Failed(_) => Error::internal(error),
    }
}

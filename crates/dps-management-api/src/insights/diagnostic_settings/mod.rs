//! Diagnostic settings over ARM (`Microsoft.Insights/diagnosticSettings` and its categories, 2021-05-01-preview). Owns
//! routes, request and answer bodies; what a setting may say and what it does is `dps-monitor`'s.

mod categories;
mod wanted;

use dps_model::instance::Instance;
use dps_model::member::TARGET;
use dps_model::{Error, ErrorCode};
use dps_monitor::StateError;
use dps_monitor::settings::{BookError, Change, LogChoice, MetricChoice, Refusal, Retention, Setting};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::provisioning_services::named;
use crate::route::Route;
use crate::service::ManagementApi;

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    List,
    Get,
    Put,
    Delete,
    Categories,
    Category,
}

impl ManagementApi {
    pub(super) async fn diagnostic_settings(
        &self,
        action: Action,
        route: &Route,
        body: Option<&Value>,
    ) -> Result<Answer, Error> {
        let instance = named(&self.instances, route.names.service())?;
        let (book, id) = (self.insights.settings.as_ref(), instance.resource_id.as_str());
        let name = route.names.setting.as_str();
        match action {
            Action::List => {
                let all: Vec<Value> = book.list(id).iter().map(|setting| shown(&instance, setting)).collect();
                Ok(Answer::shown(json!({ "value": all })))
            }
            Action::Get => {
                let found = book.get(id, name).ok_or_else(|| missing(name))?;
                Ok(Answer::shown(shown(&instance, &found)))
            }
            Action::Put => {
                let setting = wanted::read(name, body.unwrap_or(&Value::Null))?;
                let change = book.put(id, setting.clone()).await.map_err(refused)?;
                Ok(versions(Answer::shown(shown(&instance, &setting)), change))
            }
            Action::Delete => match book.delete(id, name).await.map_err(failed)? {
                Some(change) => Ok(versions(Answer::done(), change)),
                None => Ok(Answer::gone()),
            },
            Action::Categories => Ok(Answer::shown(categories::list(id))),
            Action::Category => categories::one(id, &route.names.category)
                .map(Answer::shown)
                .ok_or_else(|| no_category(&route.names.category)),
        }
    }
}

fn versions(answer: Answer, change: Change) -> Answer {
    answer.versions(change.previous, Some(change.etag))
}

fn missing(name: &str) -> Error {
    let message = format!("The diagnostic setting '{name}' doesn't exist.");
    Error::with(ErrorCode::DiagnosticSettingNotFound, message)
}

fn no_category(name: &str) -> Error {
    let message = format!("The category '{name}' is not supported; list diagnosticSettingsCategories.");
    Error::with(ErrorCode::DiagnosticSettingNotFound, message)
}

fn refused(error: BookError) -> Error {
    match error {
        BookError::State(error) => failed(error),
        BookError::Refused(refusal @ Refusal::Conflict { .. }) => {
            Error::with(ErrorCode::DiagnosticSettingConflict, refusal.to_string())
        }
        BookError::Refused(refusal) => {
            let mut error = Error::argument(refusal.to_string());
            if let Refusal::Member { member, .. } = refusal {
                error.info.insert(TARGET.to_owned(), member);
            }
            error
        }
    }
}

fn failed(error: StateError) -> Error {
    match error {
        StateError::Failed(_) => Error::internal(error),
        StateError::Busy | StateError::Changed => {
            Error::new(ErrorCode::Unavailable).because(error.to_string())
        }
    }
}

/// As Azure shows it: what is not said is there as `null`.
fn shown(instance: &Instance, setting: &Setting) -> Value {
    json!({
        "id": format!("{}/providers/microsoft.insights/diagnosticSettings/{}", instance.resource_id, setting.name),
        "type": "Microsoft.Insights/diagnosticSettings",
        "name": setting.name,
        "location": null,
        "kind": null,
        "tags": null,
        "properties": {
            "workspaceId": setting.workspace_id,
            "storageAccountId": setting.storage_account_id,
            "serviceBusRuleId": null,
            "eventHubAuthorizationRuleId": setting.event_hub_authorization_rule_id,
            "eventHubName": setting.event_hub_name,
            "marketplacePartnerId": setting.marketplace_partner_id,
            "logAnalyticsDestinationType": setting.log_analytics_destination_type,
            "logs": setting.logs.iter().map(log).collect::<Vec<_>>(),
            "metrics": setting.metrics.iter().map(metric).collect::<Vec<_>>(),
        },
        "identity": null,
    })
}

fn log(choice: &LogChoice) -> Value {
    json!({
        "category": choice.category,
        "categoryGroup": choice.category_group,
        "enabled": choice.enabled,
        "retentionPolicy": retention(choice.retention_policy),
    })
}

fn metric(choice: &MetricChoice) -> Value {
    json!({
        "category": choice.category,
        "timeGrain": choice.time_grain,
        "enabled": choice.enabled,
        "retentionPolicy": retention(choice.retention_policy),
    })
}

fn retention(policy: Option<Retention>) -> Value {
    let Retention { enabled, days } = policy.unwrap_or_default();
    json!({ "enabled": enabled, "days": days })
}

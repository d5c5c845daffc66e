//! `Microsoft.AlertsManagement`: alerts, what people say of them, their history and their number. Owns parameters and
//! answers; what an alert is and how one is found is `dps-monitor`'s.

mod encode;
mod parameters;

use std::collections::BTreeMap;

use dps_model::limits::MAX_ALERT_COMMENT;
use dps_model::{Error, ErrorCode, Timestamp};
use dps_monitor::alerts::alert::{Alert, AlertState};
use dps_monitor::alerts::archive::Saying;
use http::request::Parts;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::answer::Answer;
use crate::insights::failed;
use crate::insights::metrics::parameter;
use crate::route::Names;
use crate::service::ManagementApi;
use parameters::{Asked, GroupBy, choice};

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    List,
    Get,
    ChangeState,
    History,
    Summary,
}

impl ManagementApi {
    pub(super) async fn alerts(
        &self,
        action: Action,
        names: &Names,
        head: &Parts,
        body: Option<Value>,
        caller: &str,
        now: Timestamp,
    ) -> Result<Answer, Error> {
        match action {
            Action::List => self.found(names, head, now).await,
            Action::Get => Ok(Answer::shown(encode::alert(&self.alert(names).await?, true, &[]))),
            Action::History => Ok(Answer::shown(encode::history(&self.alert(names).await?))),
            Action::ChangeState => self.said(names, head, body, caller, now).await,
            Action::Summary => self.summary(names, head, now).await,
        }
    }

    /// The alert that the path names.
    async fn alert(&self, names: &Names) -> Result<Alert, Error> {
        let id = Uuid::parse_str(&names.item).map_err(|_| absent())?;
        let found = self.insights.alerts.get(id).await.map_err(failed)?;
        found
            .filter(|alert| encode::subscription(alert).eq_ignore_ascii_case(&names.subscription))
            .ok_or_else(absent)
    }

    async fn found(&self, names: &Names, head: &Parts, now: Timestamp) -> Result<Answer, Error> {
        let asked = Asked::of(head, &names.subscription, now)?;
        let Some(filter) = &asked.filter else { return Ok(Answer::shown(json!({ "value": [] }))) };
        let page =
            self.insights.alerts.find(filter, asked.order, asked.skip, asked.limit).await.map_err(failed)?;
        let alert = |alert: &Alert| encode::alert(alert, asked.context, &asked.selected);
        let mut shown = json!({ "value": page.alerts.iter().map(alert).collect::<Vec<_>>() });
        if page.more {
            shown["nextLink"] = asked.next(head).into();
        }
        Ok(Answer::shown(shown))
    }

    async fn said(
        &self,
        names: &Names,
        head: &Parts,
        body: Option<Value>,
        caller: &str,
        now: Timestamp,
    ) -> Result<Answer, Error> {
        let states = AlertState::ALL.map(|state| (state.name(), state));
        let state = choice(head, "newState", &states)?
            .ok_or_else(|| Error::argument("The newState query parameter is required."))?;
        let body = body.unwrap_or_default();
        // Versions differ: a text, or an object around it.
        let comment = body.as_str().or_else(|| body["comments"].as_str()).unwrap_or_default();
        if comment.chars().count() > MAX_ALERT_COMMENT {
            return Err(Error::argument(format!("comments has more than {MAX_ALERT_COMMENT} characters.")));
        }
        let alert = self.alert(names).await?;
        let saying = Saying { state, by: caller, comment };
        let said = self.insights.alerts.say(alert.id, saying, now).await.map_err(failed)?;
        said.map(|alert| Answer::shown(encode::alert(&alert, true, &[]))).ok_or_else(absent)
    }

    async fn summary(&self, names: &Names, head: &Parts, now: Timestamp) -> Result<Answer, Error> {
        let by = GroupBy::all(&parameter(head, "groupby").unwrap_or_default())?;
        let asked = Asked::of(head, &names.subscription, now)?;
        let mut counted: BTreeMap<Vec<String>, u64> = BTreeMap::new();
        if let Some(filter) = &asked.filter {
            let count = |alert: Alert| {
                if filter.passes(&alert) {
                    *counted.entry(by.iter().map(|by| by.of(&alert)).collect()).or_default() += 1;
                }
            };
            self.insights.alerts.each(count).await.map_err(failed)?;
        }
        Ok(Answer::shown(encode::summary(&names.subscription, &by, &counted)))
    }
}

fn absent() -> Error {
    Error::with(ErrorCode::InstanceNotFound, "There is no alert of that id; alerts are kept for 30 days.")
}

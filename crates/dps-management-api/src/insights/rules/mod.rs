//! Alert rules and action groups over ARM: one set of verbs for the three kinds, what a metric rule's series are like,
//! and sample notifications. Owns routes and answers; what a document may say is `dps-monitor`'s.

mod sample;
mod status;

use dps_model::limits::ALERT_DOCUMENT_PAGE;
use dps_model::{Error, ErrorCode, Timestamp};
use dps_monitor::alerts::book::{Change, Conditions, Document, absent};
use dps_monitor::alerts::document::Kind;
use http::request::Parts;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::request;
use crate::resource_id::check_labels;
use crate::route::Route;
use crate::service::ManagementApi;
pub(crate) use sample::Samples;

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Those of a subscription or of a resource group.
    List(Kind),
    Get(Kind),
    Put(Kind),
    Patch(Kind),
    Delete(Kind),
    /// Of a metric alert rule.
    Status,
    /// Sends sample notifications to receivers.
    Sample,
    /// What became of them.
    SampleOutcome,
}

impl Action {
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::List(kind) | Self::Get(kind) | Self::Put(kind) | Self::Patch(kind) | Self::Delete(kind) => {
                kind
            }
            Self::Status => Kind::MetricAlert,
            Self::Sample | Self::SampleOutcome => Kind::ActionGroup,
        }
    }

    pub(super) fn has_body(self) -> bool {
        matches!(self, Self::Put(_) | Self::Patch(_) | Self::Sample)
    }
}

impl ManagementApi {
    pub(super) async fn rules(
        &self,
        action: Action,
        route: &Route,
        head: &Parts,
        body: Option<Value>,
        now: Timestamp,
    ) -> Result<Answer, Error> {
        let id = route.names.resource_id();
        let body = body.unwrap_or_default();
        match action {
            Action::List(kind) => Ok(self.listed(kind, &id, head)),
            Action::Get(kind) => self.document(kind, &id).map(|document| Answer::shown(document.show())),
            Action::Put(kind) => self.changed(kind, route, head, Change::Whole(body), now).await,
            Action::Patch(kind) => self.changed(kind, route, head, Change::Members(body), now).await,
            Action::Delete(kind) => {
                let if_match = request::if_match(&head.headers)?;
                let removed = self.insights.rules.delete(kind, &id, if_match).await?;
                let answer = if removed.is_some() { Answer::done() } else { Answer::gone() };
                Ok(answer.versions(removed, None))
            }
            Action::Status => {
                let document = self.document(Kind::MetricAlert, &id)?;
                status::show(&self.insights, &document, &route.names.other, now).await
            }
            Action::Sample => self.sample(&self.document(Kind::ActionGroup, &id)?, head, &body, now).await,
            Action::SampleOutcome => self.samples.show(&id, &route.names.other),
        }
    }

    fn document(&self, kind: Kind, id: &str) -> Result<Document, Error> {
        self.insights.rules.get(kind, id).ok_or_else(|| absent(kind))
    }

    async fn changed(
        &self,
        kind: Kind,
        route: &Route,
        head: &Parts,
        change: Change,
        now: Timestamp,
    ) -> Result<Answer, Error> {
        check_labels(&route.names.subscription, &route.names.resource_group)?;
        if kind == Kind::QueryRule && self.insights.queries.is_none() {
            let message = "This build of the server keeps no log rows, so that no rule can ask them.";
            return Err(Error::with(ErrorCode::RouteNotFound, message));
        }
        let conditions = Conditions {
            if_match: request::if_match(&head.headers)?,
            must_be_new: request::must_be_new(&head.headers),
        };
        let made = self.insights.rules.put(kind, &route.names.resource_id(), change, conditions, now).await?;
        let etag = Some(made.document.etag.clone());
        Ok(Answer::shown(made.document.show()).versions(made.previous, etag))
    }

    /// Metric alert rules come all at once: their list has no pages in Azure's API.
    fn listed(&self, kind: Kind, under: &str, head: &Parts) -> Answer {
        let limit = if kind == Kind::MetricAlert { kind.most() } else { ALERT_DOCUMENT_PAGE };
        let after = request::parameter(head, "$skiptoken");
        let (found, more) = self.insights.rules.list(kind, under, after.as_deref(), limit);
        let mut shown = json!({ "value": found.iter().map(Document::show).collect::<Vec<_>>() });
        if let Some(last) = found.last().filter(|_| more) {
            let token = utf8_percent_encode(&last.id, NON_ALPHANUMERIC);
            let version = request::parameter(head, "api-version").unwrap_or_default();
            let (host, path) = (request::host(head), head.uri.path());
            shown["nextLink"] =
                format!("https://{host}{path}?api-version={version}&$skiptoken={token}").into();
        }
        Answer::shown(shown)
    }
}

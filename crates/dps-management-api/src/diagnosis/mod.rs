//! The provider `Muster.Diagnosis` at provisioning services: what operators ask about devices that Azure's APIs have no
//! words for. Owns its api-version; each subject has a file. Must not know how anything is found out or kept.

mod attempts;
mod causes;
mod drift;
mod hub_events;
mod inbox;
mod rehearsals;
mod shown;
mod timeline;

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use dps_core::Rehearsals;
use dps_core::drift::Drift;
use dps_events::AttemptRecord;
use dps_events::attempt_log::{Found, Lookup};
use dps_model::{Error, ErrorCode};
use http::header::CONTENT_TYPE;
use http::request::Parts;

pub(crate) use self::hub_events::TellingHubs;
pub use self::inbox::Unknown;
pub use self::shown::{LastShown, Remembering};
use crate::answer::Answer;
use crate::call::Call;
use crate::provisioning_services::named;
use crate::request::{self, Body};
use crate::route::Route;
use crate::service::ManagementApi;

/// The one api-version.
const VERSION: &str = "2026-11-01";

/// What a call of the provider does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Rehearse,
    Attempts,
    Timeline,
    Causes,
    Cause,
    Inbox,
    Unknown,
    DeleteUnknown,
    AcceptUnknown,
    IgnoreUnknown,
    Drift,
    HubEvents,
    Shown,
}

/// What operators may ask about devices.
#[derive(Clone, Default)]
pub struct Diagnosis {
    /// Who tells what would happen to a device.
    pub rehearsals: Option<Arc<Rehearsals>>,
    /// Who names causes.
    pub explain: Option<Arc<dyn Explain>>,
    /// Who compares registrations with hubs.
    pub drift: Option<Arc<Drift>>,
    /// The attempt log.
    pub attempts: Option<Arc<dyn Attempts>>,
    /// Devices that no enrollment knows.
    pub unknown: Option<Unknown>,
    /// What refused devices showed last.
    pub shown: Option<Arc<dyn Remembering>>,
}

/// The attempt log, as it can be asked.
#[async_trait]
pub trait Attempts: Send + Sync + 'static {
    /// Finds lines, newest first.
    async fn find(&self, lookup: Lookup) -> io::Result<Found>;

    /// Hubs whose connections are in the log.
    fn telling_hubs(&self) -> Vec<String>;
}

/// Names the causes of how an attempt ended.
#[async_trait]
pub trait Explain: Send + Sync + 'static {
    /// Notes them in the record.
    async fn explain(&self, record: &mut AttemptRecord);
}

impl ManagementApi {
    /// Answers a call of the provider by who was let in.
    pub(crate) async fn diagnose(
        &self,
        action: Action,
        route: &Route,
        head: &Parts,
        body: &mut Body,
        call: &Call,
    ) -> Result<Answer, Error> {
        check_version(head)?;
        request::check_length(&head.headers)?;
        let instance = named(&self.instances, route.names.service())?;
        match action {
            Action::Rehearse => {
                let body = request::json(&head.headers, body).await?;
                self.rehearse(&instance, &body, call.record.peer).await
            }
            Action::HubEvents => {
                let body = request::json(&head.headers, body).await?;
                self.hub_events(&instance, &body, call.time())
            }
            Action::Attempts => self.attempts(&instance, head).await,
            Action::Timeline => {
                self.timeline(&instance, &route.names.registration_id, head, call.time()).await
            }
            Action::Shown => self.show_last(&instance, &route.names.registration_id),
            Action::Drift => self.drift(&instance, &route.names.registration_id).await,
            Action::Causes => Ok(causes::list()),
            Action::Cause => causes::get(&route.names.item),
            Action::Inbox
            | Action::Unknown
            | Action::DeleteUnknown
            | Action::AcceptUnknown
            | Action::IgnoreUnknown => {
                let takes_body = matches!(action, Action::AcceptUnknown | Action::IgnoreUnknown);
                let body = if takes_body && head.headers.contains_key(CONTENT_TYPE) {
                    Some(request::json(&head.headers, body).await?)
                } else {
                    None
                };
                self.inbox(action, &instance, &route.names.item, body.as_ref()).await
            }
        }
    }
}

fn check_version(head: &Parts) -> Result<(), Error> {
    match request::parameter(head, "api-version") {
        Some(version) if version.eq_ignore_ascii_case(VERSION) => Ok(()),
        _ => Err(Error::with(
            ErrorCode::ApiVersionUnknown,
            format!("The api-version of Muster.Diagnosis is {VERSION}; send it as ?api-version={VERSION}."),
        )),
    }
}

//! The straight line of a call: open its event, route, authorize, handle, render, close.
//! Must not know what a handler does.

use std::sync::Arc;

use dps_access::{AccessControl, without_port};
use dps_core::ports::Clock;
use dps_core::{Enrollments, Instances, Throttle};
use dps_events::{EventSink, Outcome};
use dps_model::instance::Instance;
use dps_model::{Channel, Error, ErrorCode};
use http::header::{AUTHORIZATION, HeaderName, USER_AGENT};
use http::request::Parts;
use http::{Request, Response};

use crate::answer::Answer;
use crate::call::{Call, kept};
use crate::reject::reject;
use crate::request::{self, Body};
use crate::route::{self, Action, Misrouted, Noun, Route};
use crate::{enrollment_groups, enrollments, registrations};

/// The C client spells `User-Agent` so.
const USER_AGENT_OF_C: HeaderName = HeaderName::from_static("useragent");

/// Answers the calls of the service API.
pub struct ServiceApi {
    enrollments: Arc<Enrollments>,
    instances: Arc<Instances>,
    access: Arc<AccessControl>,
    throttle: Arc<Throttle>,
    sink: Arc<dyn EventSink>,
    clock: Arc<dyn Clock>,
}

impl ServiceApi {
    /// The service API of these instances.
    pub fn new(
        enrollments: Arc<Enrollments>,
        instances: Arc<Instances>,
        access: Arc<AccessControl>,
        throttle: Arc<Throttle>,
        sink: Arc<dyn EventSink>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { enrollments, instances, access, throttle, sink, clock }
    }

    /// Answers one call, and records it as exactly one event. The request's extensions hold `Arc<Channel>`.
    pub async fn serve(&self, request: Request<Body>) -> Response<Body> {
        let (head, mut body) = request.into_parts();
        let channel = head.extensions.get::<Arc<Channel>>();
        let mut call = Call::open(&self.sink, &self.clock, channel.map(AsRef::as_ref));
        let result = self.answer(&head, &mut body, &mut call).await;
        let (response, outcome) = match &result {
            Ok(answer) => (answer.render(call.tracking_id()), Outcome::Success),
            Err(Misrouted { error, allow }) => {
                let response = reject(error, *allow, call.tracking_id(), self.clock.now());
                (response, Outcome::failed(error))
            }
        };
        call.close(outcome);
        request::discard(&head.headers, &mut body).await;
        response
    }

    async fn answer(&self, head: &Parts, body: &mut Body, call: &mut Call) -> Result<Answer, Misrouted> {
        let host = request::host(head);
        let instance = self.instances.by_host(without_port(&host));
        describe(call, head, &instance);
        let route = Route::find(&head.method, head.uri.path())?;
        call.record.operation = route.action.name();
        call.record.id = Some(kept(&route.id)).filter(|id| !id.is_empty());
        let version = request::api_version_text(head);
        request::api_version(version.as_deref())?;
        let authorization = request::header(&head.headers, &AUTHORIZATION);
        let needs = dps_access::Call {
            authorization: authorization.as_deref(),
            host: &host,
            path: head.uri.path(),
            peer: call.record.peer.ip(),
            needed: route.needed(),
            data_action: route.data_action(),
        };
        call.caller(&self.access.authorize(&instance, &needs, call.time()).await?);
        // Only callers with rights use up what an instance takes.
        self.throttle.service_operation(&instance.name)?;
        request::check_length(&head.headers)?;
        let answer = self.handle(&instance, &route, head, body).await?;
        call.record.previous_etag = answer.previous().map(ToString::to_string);
        Ok(answer)
    }

    async fn handle(
        &self,
        instance: &Instance,
        route: &Route,
        head: &Parts,
        body: &mut Body,
    ) -> Result<Answer, Error> {
        let (core, id) = (self.enrollments.as_ref(), route.id.as_str());
        match (route.noun, route.action) {
            (_, Action::Query) => Err(not_yet("Queries")),
            (_, Action::BulkOperation) => Err(not_yet("Bulk operations")),
            (Noun::IndividualEnrollment, Action::Upsert) => {
                enrollments::put(core, instance, id, head, body).await
            }
            (Noun::IndividualEnrollment, Action::Get) => enrollments::get(core, instance, id).await,
            (Noun::IndividualEnrollment, Action::Delete) => {
                enrollments::delete(core, instance, id, head).await
            }
            (Noun::IndividualEnrollment, Action::GetAttestationMechanism) => {
                enrollments::attestation_mechanism(core, instance, id).await
            }
            (Noun::EnrollmentGroup, Action::Upsert) => {
                enrollment_groups::put(core, instance, id, head, body).await
            }
            (Noun::EnrollmentGroup, Action::Get) => enrollment_groups::get(core, instance, id).await,
            (Noun::EnrollmentGroup, Action::Delete) => {
                enrollment_groups::delete(core, instance, id, head).await
            }
            (Noun::EnrollmentGroup, Action::GetAttestationMechanism) => {
                enrollment_groups::attestation_mechanism(core, instance, id).await
            }
            (Noun::Registration, Action::Get) => registrations::get(core, instance, id).await,
            (Noun::Registration, Action::Delete) => registrations::delete(core, instance, id, head).await,
            (Noun::Registration, Action::Upsert | Action::GetAttestationMechanism) => {
                Err(Error::new(ErrorCode::RouteNotFound))
            }
        }
    }
}

/// What every event tells, whatever becomes of the call.
fn describe(call: &mut Call, head: &Parts, instance: &Instance) {
    let agent = request::header(&head.headers, &USER_AGENT);
    let agent = agent.or_else(|| request::header(&head.headers, &USER_AGENT_OF_C));
    call.record.client = agent.as_deref().map(kept);
    call.record.api_version = request::api_version_text(head).as_deref().map(kept);
    call.record.instance = Some(instance.name.clone());
    if let Some(noun) = route::noun(head.uri.path()) {
        call.record.kind = noun.kind();
    }
}

fn not_yet(what: &str) -> Error {
    Error::with(ErrorCode::RouteNotFound, format!("{what} are not available on this server yet."))
}

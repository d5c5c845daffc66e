//! The straight line of a call: open its event, route, authorize, handle, render, close.
//! Must not know what a handler does.

use std::sync::Arc;

use dps_access::{AccessControl, without_port};
use dps_core::enrollment::Enrolled;
use dps_core::ports::Clock;
use dps_core::{Enrollments, Instances, Throttle};
use dps_events::{EventSink, Outcome};
use dps_model::enrollment::{EnrollmentGroup, IndividualEnrollment};
use dps_model::instance::Instance;
use dps_model::{Channel, Error, ErrorCode};
use http::header::{AUTHORIZATION, HeaderName, USER_AGENT};
use http::request::Parts;
use http::{Request, Response};

use crate::answer::Answer;
use crate::call::{Call, kept};
use crate::query::Rows;
use crate::reject::reject;
use crate::request::{self, Body};
use crate::route::{self, Action, Misrouted, Noun, Route};
use crate::{bulk, enrollments, queries, registrations};

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
        let (response, outcome) = match result {
            Ok(answer) => (answer.render(call.tracking_id()), Outcome::Success),
            Err(Misrouted { error, allow }) => {
                let response = reject(&error, allow, call.tracking_id(), self.clock.now());
                (response, Outcome::failed(&error))
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
        self.throttle.service_operation(instance.rows())?;
        request::check_length(&head.headers)?;
        let mut answer = self.handle(&instance, &route, head, body).await?;
        call.record.previous_etag = answer.previous().map(ToString::to_string);
        call.record.etag = answer.etag().map(ToString::to_string);
        call.record.items = answer.take_items();
        Ok(answer)
    }

    async fn handle(
        &self,
        instance: &Arc<Instance>,
        route: &Route,
        head: &Parts,
        body: &mut Body,
    ) -> Result<Answer, Error> {
        let (core, id) = (&self.enrollments, route.id.as_str());
        match (route.noun, route.action) {
            (Noun::IndividualEnrollment, Action::Get) => {
                enrollments::get_individual(core, instance, id).await
            }
            (Noun::EnrollmentGroup, Action::Get) => enrollments::get_group(core, instance, id).await,
            (Noun::IndividualEnrollment, Action::Query) => {
                let rows = Rows::Enrollments;
                queries::enrollments::<IndividualEnrollment>(core, instance, rows, head, body).await
            }
            (Noun::EnrollmentGroup, Action::Query) => {
                let rows = Rows::EnrollmentGroups;
                queries::enrollments::<EnrollmentGroup>(core, instance, rows, head, body).await
            }
            (Noun::IndividualEnrollment, Action::BulkOperation) => {
                bulk::run::<IndividualEnrollment>(core, instance, "enrollments", head, body).await
            }
            (Noun::EnrollmentGroup, Action::BulkOperation) => {
                bulk::run::<EnrollmentGroup>(core, instance, "enrollmentGroups", head, body).await
            }
            (
                Noun::IndividualEnrollment,
                Action::Upsert | Action::Delete | Action::GetAttestationMechanism,
            ) => one::<IndividualEnrollment>(core, instance, route, head, body).await,
            (Noun::EnrollmentGroup, Action::Upsert | Action::Delete | Action::GetAttestationMechanism) => {
                one::<EnrollmentGroup>(core, instance, route, head, body).await
            }
            (Noun::Registration, Action::Get) => registrations::get(core, instance, id).await,
            (Noun::Registration, Action::Delete) => registrations::delete(core, instance, id, head).await,
            (Noun::Registration, Action::Query) => {
                queries::registrations(core, instance, id, head, body).await
            }
            (
                Noun::Registration,
                Action::Upsert | Action::GetAttestationMechanism | Action::BulkOperation,
            ) => Err(Error::new(ErrorCode::RouteNotFound)),
        }
    }
}

/// What is done alike to one enrollment of either kind.
async fn one<E: Enrolled>(
    core: &Enrollments,
    instance: &Instance,
    route: &Route,
    head: &Parts,
    body: &mut Body,
) -> Result<Answer, Error> {
    let id = route.id.as_str();
    match route.action {
        Action::Upsert => enrollments::put::<E>(core, instance, id, head, body).await,
        Action::Delete => enrollments::delete::<E>(core, instance, id, head).await,
        _ => enrollments::attestation_mechanism::<E>(core, instance, id).await,
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

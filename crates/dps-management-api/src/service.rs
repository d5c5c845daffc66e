//! The straight line of a call: open its event, route, authorize, handle, render, close.
//! Must not know what a handler does.

use std::sync::Arc;

use dps_access::{AccessControl, ControlCall};
use dps_core::ports::{Clock, Hubs};
use dps_core::{CaCertificates, Instances, Lifecycle};
use dps_events::{EventSink, Outcome};
use dps_model::{Channel, Error, ErrorCode};
use http::header::{AUTHORIZATION, USER_AGENT};
use http::request::Parts;
use http::{Request, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::answer::Answer;
use crate::api_version::ApiVersion;
use crate::call::{Call, kept};
use crate::diagnosis::{Diagnosis, TellingHubs};
use crate::insights::Insights;
use crate::insights::rules::Samples;
use crate::operations::Operation;
use crate::provisioning_services::{self as services, Caller, Conditions, Rooms, named};
use crate::reject::{Shape, reject};
use crate::request::{self, Body};
use crate::route::{Action, Misrouted, Route};
use crate::{certificates, keys, private_link, provider};

/// Answers the calls of the management API.
pub struct ManagementApi {
    pub(crate) instances: Arc<Instances>,
    life: Lifecycle,
    certificates: CaCertificates,
    pub(crate) access: Arc<AccessControl>,
    pub(crate) insights: Insights,
    pub(crate) samples: Samples,
    pub(crate) diagnosis: Diagnosis,
    pub(crate) telling: TellingHubs,
    hubs: Option<Arc<dyn Hubs>>,
    pub(crate) sink: Arc<dyn EventSink>,
    clock: Arc<dyn Clock>,
}

impl ManagementApi {
    /// The management API of these instances.
    pub fn new(
        instances: Arc<Instances>,
        life: Lifecycle,
        access: Arc<AccessControl>,
        insights: Insights,
        sink: Arc<dyn EventSink>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let certificates = CaCertificates::new(Arc::clone(&instances), Arc::clone(&clock));
        Self {
            instances,
            life,
            certificates,
            access,
            insights,
            samples: Samples::default(),
            diagnosis: Diagnosis::default(),
            telling: TellingHubs::default(),
            hubs: None,
            sink,
            clock,
        }
    }

    /// With what operators may ask about devices.
    pub fn with_diagnosis(self, diagnosis: Diagnosis) -> Self {
        Self { diagnosis, ..self }
    }

    /// With hubs that are asked, when they are linked, whether the link works.
    pub fn with_hubs(self, hubs: Arc<dyn Hubs>) -> Self {
        Self { hubs: Some(hubs), ..self }
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
                let shape = Shape::of(call.record.operation);
                let response = reject(error, allow.as_deref(), shape, call.tracking_id(), self.clock.now());
                (response, Outcome::failed(error))
            }
        };
        call.close(outcome);
        request::discard(&head.headers, &mut body).await;
        response
    }

    async fn answer(&self, head: &Parts, body: &mut Body, call: &mut Call) -> Result<Answer, Misrouted> {
        call.record.client = request::header(&head.headers, &USER_AGENT).as_deref().map(kept);
        call.record.api_version = request::parameter(head, "api-version").as_deref().map(kept);
        let route = Route::find(&head.method, head.uri.path())?;
        let operation = match route.row.action {
            Action::OperationResult => Some(Operation::read(&route.names.operation)),
            _ => None,
        };
        // The result of an operation may stand under its location, but belongs to its resource.
        let resource_id = match &operation {
            Some(Ok(operation)) => operation.resource_id.clone(),
            // An id that cannot be read names none; strangers hear what they hear everywhere.
            _ => route.names.resource_id(),
        };
        call.record.operation = route.row.operation;
        call.record.resource_id = Some(kept(&resource_id));
        call.record.instance = Some(kept(&route.names.name)).filter(|name| !name.is_empty());
        if let Action::Insights(action) = route.row.action {
            let answer = self.insight(action, &route, head, body, call).await?;
            return Ok(noted(answer, call));
        }
        let authorization = request::header(&head.headers, &AUTHORIZATION);
        let asked = ControlCall {
            authorization: authorization.as_deref(),
            action: route.row.operation,
            resource_id: &resource_id,
        };
        call.caller(&self.access.authorize_control(&asked, call.time()).await?);
        if let Action::Diagnosis(action) = route.row.action {
            return Ok(noted(self.diagnose(action, &route, head, body, call).await?, call));
        }
        let operation = operation.transpose()?;
        let version = request::api_version(head)?;
        request::check_length(&head.headers)?;
        let answer = match operation {
            Some(operation) => self.operation_result(&route, &operation, head).await?,
            None => self.handle(&route, version, head, body).await?,
        };
        Ok(noted(answer, call))
    }

    async fn handle(
        &self,
        route: &Route,
        version: ApiVersion,
        head: &Parts,
        body: &mut Body,
    ) -> Result<Answer, Error> {
        let (instances, life, parts) = (self.instances.as_ref(), &self.life, route.names.service());
        let host = request::host(head);
        let caller = Caller { host: &host, version };
        match route.row.action {
            Action::Operations => Ok(provider::operations()),
            Action::CheckName => provider::check(life, &request::json(&head.headers, body).await?).await,
            Action::ListBySubscription | Action::ListByGroup => Ok(self.list(route, head, &caller)),
            Action::Put => {
                let wanted = request::json(&head.headers, body).await?;
                let if_match = request::if_match(&head.headers)?;
                let conditions = Conditions { if_match, must_be_new: request::must_be_new(&head.headers) };
                let rooms = Rooms { instances, life, hubs: self.hubs.as_ref() };
                services::put(&rooms, parts, &wanted, conditions, &caller).await
            }
            Action::Get => Ok(Answer::shown(services::show(life, named(instances, parts)?.as_ref()))),
            Action::Patch => {
                let instance = named(instances, parts)?;
                let wanted = request::json(&head.headers, body).await?;
                let if_match = request::if_match(&head.headers)?;
                services::patch(instances, life, &instance, &wanted, if_match.as_ref()).await
            }
            Action::Delete => {
                let if_match = request::if_match(&head.headers)?;
                services::delete(instances, life, parts, if_match.as_ref(), &caller).await
            }
            Action::Skus => named(instances, parts).map(|_| provider::skus()),
            Action::ListKeys => Ok(Answer::shown(keys::list(named(instances, parts)?.as_ref()))),
            Action::KeysOf => {
                let instance = named(instances, parts)?;
                keys::of(&instance, &route.names.key).map(Answer::shown)
            }
            Action::Certificates
            | Action::GetCertificate
            | Action::PutCertificate
            | Action::DeleteCertificate
            | Action::GenerateVerificationCode
            | Action::VerifyCertificate => self.certificate(route, head, body).await,
            // Answered before: its resource may be gone.
            Action::OperationResult => Err(Error::new(ErrorCode::ManagedOperationNotFound)),
            action => {
                named(instances, parts)?;
                private_link::answer(action)
            }
        }
    }

    async fn certificate(&self, route: &Route, head: &Parts, body: &mut Body) -> Result<Answer, Error> {
        let instance = named(&self.instances, route.names.service())?;
        let (core, name) = (&self.certificates, route.names.certificate.as_str());
        let if_match = request::if_match(&head.headers)?;
        let if_match = if_match.as_ref();
        match route.row.action {
            Action::Certificates => Ok(certificates::list(&instance)),
            Action::PutCertificate => {
                if request::must_be_new(&head.headers) && instance.certificate(name).is_some() {
                    return Err(Error::new(ErrorCode::EtagMismatch));
                }
                let wanted = request::json(&head.headers, body).await?;
                certificates::put(core, &instance, name, &wanted, if_match).await
            }
            Action::DeleteCertificate => certificates::delete(core, &instance, name, if_match).await,
            Action::GenerateVerificationCode => certificates::generate(core, &instance, name, if_match).await,
            Action::VerifyCertificate => {
                let proof = request::json(&head.headers, body).await?;
                certificates::verify(core, &instance, name, &proof, if_match).await
            }
            _ => certificates::get(&instance, name),
        }
    }

    fn list(&self, route: &Route, head: &Parts, caller: &Caller<'_>) -> Answer {
        let after = request::parameter(head, "$skiptoken");
        let next = |name: &str| {
            let token = utf8_percent_encode(name, NON_ALPHANUMERIC);
            let (path, version) = (head.uri.path(), caller.version.as_str());
            format!("https://{}{path}?api-version={version}&$skiptoken={token}", caller.host)
        };
        services::list(&self.instances, &self.life, route.names.service(), after.as_deref(), next)
    }

    async fn operation_result(
        &self,
        route: &Route,
        operation: &Operation,
        head: &Parts,
    ) -> Result<Answer, Error> {
        let names = &route.names;
        let under_it =
            names.name.is_empty() || names.resource_id().eq_ignore_ascii_case(&operation.resource_id);
        if !under_it {
            return Err(Error::new(ErrorCode::ManagedOperationNotFound));
        }
        let asyncinfo = request::parameter(head, "asyncinfo").is_some();
        services::operation_result(&self.instances, &self.life, operation, asyncinfo).await
    }
}

/// Tells the event what the call changed.
fn noted(answer: Answer, call: &mut Call) -> Answer {
    call.record.previous_etag = answer.previous.as_ref().map(ToString::to_string);
    call.record.etag = answer.etag.as_ref().map(ToString::to_string);
    call.record.changed.clone_from(&answer.changed);
    answer
}

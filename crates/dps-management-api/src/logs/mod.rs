//! The query API of Log Analytics (`/v1/…`): KQL over the built-in workspace, in the shapes of Azure's API. Owns routes,
//! bodies, timespans, preferences and errors; must not know KQL or what runs it (`dps_monitor::QueryEngine` does).

mod ask;
mod batch;
mod encode;
mod failure;
mod metadata;
mod place;
mod prefer;
mod timespan;

use std::sync::Arc;
use std::time::Duration;

use dps_access::{AccessControl, ControlCall};
use dps_core::Instances;
use dps_core::ports::Clock;
use dps_events::{EventSink, Outcome};
use dps_model::{Channel, Error, limits};
use dps_monitor::{QueryEngine, QueryLimits, QueryRequest, Scope};
use http::header::{AUTHORIZATION, USER_AGENT};
use http::request::Parts;
use http::{Method, Request, Response};
use serde_json::Value;

use self::ask::Ask;
use self::failure::Failure;
use self::place::{Place, What};
use self::prefer::Prefer;
use crate::call::{Call, kept};
use crate::request::{self, Body};

pub use self::place::claims;
pub use self::timespan::ticks;

/// The workspace that this server's rows are in.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// Its id, as `TenantId` of every row says it.
    pub id: uuid::Uuid,
    /// Its ARM id: where somebody needs a role to ask all of it.
    pub resource_id: String,
}

/// Answers queries.
pub struct LogsApi {
    engine: Arc<dyn QueryEngine>,
    instances: Arc<Instances>,
    workspace: Workspace,
    access: Arc<AccessControl>,
    sink: Arc<dyn EventSink>,
    clock: Arc<dyn Clock>,
}

impl LogsApi {
    /// Queries of that workspace, run by that engine.
    pub fn new(
        engine: Arc<dyn QueryEngine>,
        instances: Arc<Instances>,
        workspace: Workspace,
        access: Arc<AccessControl>,
        sink: Arc<dyn EventSink>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { engine, instances, workspace, access, sink, clock }
    }

    /// Answers one call, and records it as exactly one event. The request's extensions hold `Arc<Channel>`.
    pub async fn serve(&self, request: Request<Body>) -> Response<Body> {
        let (head, mut body) = request.into_parts();
        let channel = head.extensions.get::<Arc<Channel>>();
        let mut call = Call::open(&self.sink, &self.clock, channel.map(AsRef::as_ref));
        let answered = self.answer(&head, &mut body, &mut call).await;
        let (response, outcome) = match answered {
            Ok(answer) => (encode::response(&answer, call.tracking_id()), Outcome::Success),
            Err(failure) => (failure.response(call.tracking_id()), Outcome::failed(&failure.error)),
        };
        call.close(outcome);
        request::discard(&head.headers, &mut body).await;
        response
    }

    async fn answer(&self, head: &Parts, body: &mut Body, call: &mut Call) -> Result<Value, Failure> {
        call.record.client = request::header(&head.headers, &USER_AGENT).as_deref().map(kept);
        call.record.api_version = request::parameter(head, "api-version").as_deref().map(kept);
        let place = Place::of(head.uri.path())?;
        call.record.operation = place.what.operation();
        let resource_id = place.resource.clone().unwrap_or_else(|| self.workspace.resource_id.clone());
        call.record.resource_id = Some(kept(&resource_id));
        let authorization = request::header(&head.headers, &AUTHORIZATION);
        let asked = ControlCall {
            authorization: authorization.as_deref(),
            action: place.what.operation(),
            resource_id: &resource_id,
        };
        call.caller(&self.access.authorize_control(&asked, call.time()).await?);
        request::check_length(&head.headers)?;
        let prefer = Prefer::read(&head.headers);
        match (place.what, &head.method) {
            (What::Query, &Method::GET) => {
                let ask = Ask::of_parameters(head)?;
                self.query(self.scope(&place, &ask)?, ask, prefer).await
            }
            (What::Query, &Method::POST) => {
                let ask = Ask::of_body(&request::json(&head.headers, body).await?)?;
                self.query(self.scope(&place, &ask)?, ask, prefer).await
            }
            (What::Metadata, &Method::GET | &Method::POST) => {
                self.scope(&place, &Ask::default())?;
                Ok(metadata::of(self.engine.tables(), &self.workspace))
            }
            (What::Batch, &Method::POST) => self.batch(&request::json(&head.headers, body).await?).await,
            (what, _) => Err(Failure::method_not_allowed(what.methods())),
        }
    }

    /// Whose rows the call asks for.
    fn scope(&self, place: &Place, ask: &Ask) -> Result<Scope, Failure> {
        for named in place.workspace.iter().chain(&ask.workspaces) {
            if !self.is_ours(named) {
                return Err(Failure::workspace_not_found(named));
            }
        }
        let Some(resource) = &place.resource else { return Ok(Scope::Workspace) };
        let beneath = |id: &str| {
            let mut called = id.split('/');
            let whole = |segment: &str| called.next().is_some_and(|part| part.eq_ignore_ascii_case(segment));
            resource.split('/').all(whole)
        };
        if self.instances.all().iter().any(|instance| beneath(&instance.resource_id)) {
            return Ok(Scope::Resources(vec![resource.clone()]));
        }
        if resource.eq_ignore_ascii_case(&self.workspace.resource_id) {
            return Ok(Scope::Workspace);
        }
        Err(Failure::resource_not_found(resource))
    }

    /// A workspace is named by its id, its name or its ARM id.
    fn is_ours(&self, named: &str) -> bool {
        let Workspace { id, resource_id } = &self.workspace;
        let name = resource_id.rsplit('/').next().unwrap_or_default();
        uuid::Uuid::parse_str(named).is_ok_and(|named| named == *id)
            || named.eq_ignore_ascii_case(name)
            || named.eq_ignore_ascii_case(resource_id)
    }

    async fn query(&self, scope: Scope, ask: Ask, prefer: Prefer) -> Result<Value, Failure> {
        let now = timespan::ticks(self.clock.now());
        let timespan = ask.timespan.as_deref().map(|text| timespan::read(text, now)).transpose()?;
        let request = QueryRequest {
            text: ask.query.clone(),
            timespan,
            scope,
            now,
            limits: QueryLimits {
                time: prefer.wait,
                rows: limits::MAX_QUERY_ROWS,
                bytes: limits::MAX_QUERY_BYTES,
                memory: limits::MAX_QUERY_MEMORY,
            },
        };
        // The engine keeps to the time; this holds though one of its operators did not.
        let patience = prefer.wait + Duration::from_secs(limits::QUERY_GRACE);
        match tokio::time::timeout(patience, self.engine.run(request)).await {
            Ok(Ok(answer)) => Ok(encode::answer(&answer, &prefer)),
            Ok(Err(error)) => Err(Failure::of(error, &ask.query)),
            Err(_) => Err(Failure::too_slow(prefer.wait)),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::plain(error)
    }
}

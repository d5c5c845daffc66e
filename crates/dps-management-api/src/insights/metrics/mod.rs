//! Metrics over ARM: definitions, namespaces, values of a resource or of a subscription's resources, and batches. Owns
//! routes and answers; what a value is, is `dps-monitor`'s.

pub(crate) mod batch;
mod definitions;
mod parameters;
mod values;

use std::sync::Arc;

use dps_model::instance::Instance;
use dps_model::{Error, Timestamp};
use dps_monitor::metrics::{Namespace, ReadError, Resource};
use http::request::Parts;
use serde_json::Value;

use crate::answer::Answer;
use crate::provisioning_services::named;
use crate::resource_id;
use crate::route::Route;
use crate::service::ManagementApi;
use crate::wanted::same_location;
use parameters::Parameters;
pub(super) use parameters::parameter;

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Definitions,
    SubscriptionDefinitions,
    Namespaces,
    Get,
    GetOfSubscription,
    PostToSubscription,
    Batch,
}

impl ManagementApi {
    pub(super) async fn metrics(
        &self,
        action: Action,
        route: &Route,
        head: &Parts,
        body: Option<&Value>,
        now: Timestamp,
    ) -> Result<Answer, Error> {
        let rollups = self.insights.rollups.as_ref();
        let shown = match action {
            Action::Definitions => {
                let instance = named(&self.instances, route.names.service())?;
                definitions::show(&instance.resource_id, parameter(head, "metricnamespace").as_deref())?
            }
            Action::SubscriptionDefinitions => {
                region(head, None)?;
                let id = route.names.resource_id();
                definitions::show(&id, parameter(head, "metricnamespace").as_deref())?
            }
            Action::Namespaces => {
                let instance = named(&self.instances, route.names.service())?;
                definitions::namespaces(&instance.resource_id)
            }
            Action::Get => {
                let instance = named(&self.instances, route.names.service())?;
                let asked = Parameters::of(head, None)?;
                let place = values::Place { id: &instance.resource_id, region: &instance.location };
                values::show(rollups, &asked, vec![resource(&instance)?], place, now).await?
            }
            Action::GetOfSubscription | Action::PostToSubscription => {
                let region = region(head, body)?;
                let asked = Parameters::of(head, body)?;
                let resources = self.of_subscription(&route.names.subscription, &region)?;
                let id = route.names.resource_id();
                let place = values::Place { id: &id, region: &region };
                values::show(rollups, &asked, resources, place, now).await?
            }
            Action::Batch => {
                let ids = batch::resources(body.unwrap_or(&Value::Null))?;
                let asked = batch::Asked::of(head, now)?;
                let instances = ids
                    .iter()
                    .map(|id| self.by_id(id, &route.names.subscription))
                    .collect::<Result<Vec<_>, _>>()?;
                batch::show(rollups, &asked, &instances, now).await?
            }
        };
        Ok(Answer::shown(shown))
    }

    fn by_id(&self, id: &str, subscription: &str) -> Result<Arc<Instance>, Error> {
        let parts = resource_id::Parts::of(id)
            .filter(|parts| parts.subscription.eq_ignore_ascii_case(subscription))
            .ok_or_else(|| {
                Error::argument(
                    "resourceids holds an id that is no provisioning service of this subscription.",
                )
            })?;
        named(&self.instances, parts)
    }

    /// The provisioning services of a subscription in a region.
    fn of_subscription(&self, subscription: &str, region: &str) -> Result<Vec<Resource>, Error> {
        let instances = self.instances.all();
        let wanted = |instance: &&Arc<Instance>| {
            let parts = resource_id::Parts::of(&instance.resource_id);
            parts.is_some_and(|parts| parts.subscription.eq_ignore_ascii_case(subscription))
                && same_location(region, &instance.location)
        };
        instances.iter().filter(wanted).map(|instance| resource(instance)).collect()
    }
}

fn region(head: &Parts, body: Option<&Value>) -> Result<String, Error> {
    let region = parameter(head, "region")
        .or_else(|| body.and_then(|body| body.get("region")).and_then(Value::as_str).map(str::to_owned));
    region
        .filter(|region| !region.trim().is_empty())
        .ok_or_else(|| Error::argument("The region query parameter is required."))
}

fn resource(instance: &Instance) -> Result<Resource, Error> {
    let parts = resource_id::Parts::of(&instance.resource_id)
        .ok_or_else(|| Error::internal("the id of a provisioning service has another form"))?;
    let group = parts.resource_group.to_owned();
    Ok(Resource { service: instance.name.clone(), id: instance.resource_id.clone(), group })
}

/// The namespace of that name, or Azure's.
fn namespace(text: Option<&str>) -> Result<Namespace, Error> {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(Namespace::Azure) };
    Namespace::parse(text).ok_or_else(|| {
        let known = Namespace::ALL.map(Namespace::name).join(", ");
        Error::argument(format!("The metric namespace is none of this resource type's: {known}."))
    })
}

fn failed(error: ReadError) -> Error {
    match error {
        ReadError::TooManyPoints | ReadError::TooMuchRead => Error::argument(error.to_string()),
        ReadError::State(error) => super::failed(error),
    }
}

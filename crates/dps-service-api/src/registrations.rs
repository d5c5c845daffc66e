//! Registration records: get and delete. What of a record is the device's own and not shown is the core's to know.

use dps_core::Enrollments;
use dps_model::Error;
use dps_model::instance::Instance;
use http::request::Parts;

use crate::answer::Answer;
use crate::request;

/// Where the registration stands.
pub(crate) async fn get(core: &Enrollments, instance: &Instance, id: &str) -> Result<Answer, Error> {
    let state = core.registration(instance, id).await?;
    serde_json::to_value(state).map(Answer::Shown).map_err(Error::internal)
}

/// The next registration is a first assignment; the hub's identity stays.
pub(crate) async fn delete(
    core: &Enrollments,
    instance: &Instance,
    id: &str,
    head: &Parts,
) -> Result<Answer, Error> {
    let if_match = request::if_match(&head.headers)?;
    core.delete_registration(instance, id, if_match).await.map(Answer::Deleted)
}

//! Individual enrollments: put, get, delete, attestation mechanism. Keys leave in the answer to a PUT and to
//! `attestationmechanism` alone.

use dps_core::Enrollments;
use dps_model::Error;
use dps_model::enrollment::Keys;
use dps_model::instance::Instance;
use http::request::Parts;

use crate::answer::Answer;
use crate::json;
use crate::request::{self, Body};

/// Creates (without `If-Match`) or replaces.
pub(crate) async fn put(
    core: &Enrollments,
    instance: &Instance,
    id: &str,
    head: &Parts,
    body: &mut Body,
) -> Result<Answer, Error> {
    let if_match = request::if_match(&head.headers)?;
    let input = json::read(&request::json_body(&head.headers, body).await?)?;
    let changed = core.put_individual(instance, id, input, if_match).await?;
    Ok(Answer::Written(changed.value.to_json(Keys::Shown, None), changed.previous))
}

/// With the state of its registration.
pub(crate) async fn get(core: &Enrollments, instance: &Instance, id: &str) -> Result<Answer, Error> {
    let (enrollment, state) = core.individual(instance, id).await?;
    Ok(Answer::Shown(enrollment.to_json(Keys::Hidden, Some(&state))))
}

/// The registration and the hub's identity stay.
pub(crate) async fn delete(
    core: &Enrollments,
    instance: &Instance,
    id: &str,
    head: &Parts,
) -> Result<Answer, Error> {
    let if_match = request::if_match(&head.headers)?;
    core.delete_individual(instance, id, if_match).await.map(Answer::Deleted)
}

/// With its keys.
pub(crate) async fn attestation_mechanism(
    core: &Enrollments,
    instance: &Instance,
    id: &str,
) -> Result<Answer, Error> {
    let (enrollment, _) = core.individual(instance, id).await?;
    Ok(Answer::Shown(enrollment.attestation.exposed_json()))
}

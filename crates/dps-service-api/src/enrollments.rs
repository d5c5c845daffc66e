//! Individual enrollments and enrollment groups: put, get, delete, attestation mechanism. Keys leave in the answer to a
//! PUT and to `attestationmechanism` alone.

use dps_core::Enrollments;
use dps_core::enrollment::Enrolled;
use dps_model::Error;
use dps_model::enrollment::{EnrollmentGroup, Keys};
use dps_model::instance::Instance;
use http::request::Parts;

use crate::answer::Answer;
use crate::request::{self, Body};
use dps_model::json;

/// Creates (without `If-Match`) or replaces.
pub(crate) async fn put<E: Enrolled>(
    core: &Enrollments,
    instance: &Instance,
    id: &str,
    head: &Parts,
    body: &mut Body,
) -> Result<Answer, Error> {
    let if_match = request::if_match(&head.headers)?;
    let input = json::read(&request::json_body(&head.headers, body).await?)?;
    let changed = core.put::<E>(instance, id, input, if_match).await?;
    let etag = changed.value.stamp().etag.clone();
    Ok(Answer::Written { shown: changed.value.shown(Keys::Shown), etag, previous: changed.previous })
}

/// With the state of its registration.
pub(crate) async fn get_individual(
    core: &Enrollments,
    instance: &Instance,
    id: &str,
) -> Result<Answer, Error> {
    let (enrollment, state) = core.individual(instance, id).await?;
    Ok(Answer::Shown(enrollment.to_json(Keys::Hidden, Some(&state))))
}

/// As it is.
pub(crate) async fn get_group(core: &Enrollments, instance: &Instance, id: &str) -> Result<Answer, Error> {
    Ok(Answer::Shown(core.get::<EnrollmentGroup>(instance, id).await?.shown(Keys::Hidden)))
}

/// The registrations of its devices and their identities on hubs stay.
pub(crate) async fn delete<E: Enrolled>(
    core: &Enrollments,
    instance: &Instance,
    id: &str,
    head: &Parts,
) -> Result<Answer, Error> {
    let if_match = request::if_match(&head.headers)?;
    core.delete::<E>(instance, id, if_match).await.map(Answer::Deleted)
}

/// With its keys.
pub(crate) async fn attestation_mechanism<E: Enrolled>(
    core: &Enrollments,
    instance: &Instance,
    id: &str,
) -> Result<Answer, Error> {
    Ok(Answer::Shown(core.get::<E>(instance, id).await?.attestation().exposed_json()))
}

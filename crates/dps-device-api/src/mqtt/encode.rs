//! `DeviceResponse` -> response topic and payload. Owns topics and status numbers of success; failures are `reject`'s.

use bytes::Bytes;
use dps_core::DeviceResponse;
use dps_model::registration::RegistrationOperationStatus;
use dps_model::{Error, ErrorCode};
use dps_wire::mqtt::topic::dps::Response;
use serde::Serialize;

use crate::reject::MqttRefusal;

/// A message on a response topic.
pub(super) struct Answer {
    pub topic: String,
    pub payload: Bytes,
}

/// Writes an answer to the request of that mark.
pub(super) fn encode(response: &DeviceResponse, rid: &str) -> Result<Answer, Error> {
    match response {
        DeviceResponse::Admitted { operation_id, retry_after } => {
            let body = json(&RegistrationOperationStatus::assigning(operation_id))?;
            answer(202, rid, Some(*retry_after), body)
        }
        DeviceResponse::Status { status, retry_after: Some(seconds) } => {
            answer(202, rid, Some(*seconds), json(status)?)
        }
        DeviceResponse::Status { status, retry_after: None } => answer(200, rid, None, json(status)?),
        DeviceResponse::Registration(registration) => answer(200, rid, None, json(registration)?),
        // `decode` hands no TPM keys on, so there is nothing to challenge.
        DeviceResponse::Challenge { .. } => Err(Error::new(ErrorCode::Unauthorized)),
    }
}

/// Writes a refusal of the request of that mark.
pub(super) fn refusal(refusal: MqttRefusal, rid: &str) -> Result<Answer, Error> {
    answer(refusal.status, rid, refusal.retry_after, refusal.body)
}

fn answer(status: u16, rid: &str, retry_after: Option<u32>, payload: Bytes) -> Result<Answer, Error> {
    let topic = Response { status, rid: rid.to_owned(), retry_after }.topic().map_err(Error::internal)?;
    Ok(Answer { topic, payload })
}

fn json<T: Serialize>(value: &T) -> Result<Bytes, Error> {
    serde_json::to_vec(value).map(Bytes::from).map_err(Error::internal)
}

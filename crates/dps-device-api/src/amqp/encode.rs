//! `DeviceResponse` -> message, or SASL's challenge. Owns the properties and the body of success; failures are
//! `reject`'s.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use dps_core::DeviceResponse;
use dps_model::registration::RegistrationOperationStatus;
use dps_model::{Error, ErrorCode};
use dps_wire::amqp::message::{Message, Properties};
use dps_wire::amqp::performative::AmqpError;
use dps_wire::amqp::value::{Symbol, Value};
use serde::Serialize;

use crate::reject::AmqpRefusal;

/// Seconds until a poll is welcome: the .NET SDK looks for the second name, all others for the first.
const RETRY_AFTER: [&str; 2] = ["retry-after", "Retry-After"];

/// Writes an answer to the request of that mark, which some SDKs do not set.
pub(super) fn encode(response: &DeviceResponse, correlation_id: Option<&Value>) -> Result<Message, Error> {
    match response {
        DeviceResponse::Admitted { operation_id, retry_after } => {
            let body = json(&RegistrationOperationStatus::assigning(operation_id))?;
            Ok(answer(correlation_id, Some(*retry_after), body))
        }
        DeviceResponse::Status { status, retry_after } => {
            Ok(answer(correlation_id, *retry_after, json(status)?))
        }
        DeviceResponse::Registration(registration) => Ok(answer(correlation_id, None, json(registration)?)),
        // SASL has challenged already: the token that answers was not for this challenge.
        DeviceResponse::Challenge { .. } => Err(Error::new(ErrorCode::Unauthorized)),
    }
}

/// The activation blob that SASL hands to a TPM; `None` when the core did not challenge.
pub(super) fn challenge(response: &DeviceResponse) -> Option<Vec<u8>> {
    match response {
        DeviceResponse::Challenge { authentication_key, .. } => STANDARD.decode(authentication_key).ok(),
        DeviceResponse::Admitted { .. } | DeviceResponse::Status { .. } | DeviceResponse::Registration(_) => {
            None
        }
    }
}

/// Writes a refusal: of a message, a link, or the connection.
pub(super) fn refusal(refusal: AmqpRefusal) -> AmqpError {
    let mut error = AmqpError::new(refusal.condition, refusal.description);
    if let Some(seconds) = refusal.retry_after {
        error.info = RETRY_AFTER.map(|name| (Symbol::from_static(name), int(seconds))).into();
    }
    error
}

fn answer(correlation_id: Option<&Value>, retry_after: Option<u32>, body: Bytes) -> Message {
    let mut message = Message::data(body);
    message.properties = correlation_id
        .map(|id| Box::new(Properties { correlation_id: Some(id.clone()), ..Properties::default() }));
    if let Some(seconds) = retry_after {
        message.application_properties = RETRY_AFTER.map(|name| (name.to_owned(), int(seconds))).into();
    }
    message
}

/// The C SDK takes an `int` and nothing else.
fn int(seconds: u32) -> Value {
    Value::Int(i32::try_from(seconds).unwrap_or(i32::MAX))
}

fn json<T: Serialize>(value: &T) -> Result<Bytes, Error> {
    serde_json::to_vec(value).map(Bytes::from).map_err(Error::internal)
}

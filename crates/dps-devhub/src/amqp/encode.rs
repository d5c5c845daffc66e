//! What the hub says -> messages and errors. Owns properties, annotations and bodies; must not know links.

use bytes::Bytes;
use dps_model::{Timestamp, TrackingId};
use dps_wire::amqp::message::{Message, Properties};
use dps_wire::amqp::performative::AmqpError;
use dps_wire::amqp::value::{Symbol, Value};

use crate::failure::{HubErrorCode, HubFailure};
use crate::guest::TwinAnswer;

/// What a uuid of version 4 has of its own.
const UUID: [u8; 16] = [0, 0, 0, 0, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 0];

/// Why a link or a connection is refused.
pub(super) fn failure(failure: &HubFailure, tracking_id: TrackingId, now: Timestamp) -> AmqpError {
    let condition = match failure.code {
        HubErrorCode::IotHubUnauthorizedAccess => "amqp:unauthorized-access",
        HubErrorCode::DeviceNotFound | HubErrorCode::DeviceNotOnline | HubErrorCode::RouteNotFound => {
            "amqp:not-found"
        }
        HubErrorCode::ArgumentInvalid => "com.microsoft:argument-error",
        HubErrorCode::GatewayTimeout => "com.microsoft:timeout",
        HubErrorCode::ThrottlingException => "com.microsoft:device-container-throttled",
        _ => "amqp:internal-error",
    };
    AmqpError::new(condition, failure.body(tracking_id, now))
}

/// Why a message is rejected.
pub(super) fn rejection(why: &'static str) -> AmqpError {
    AmqpError::new("com.microsoft:argument-error", why)
}

fn correlated(correlation_id: Option<Value>) -> Box<Properties> {
    Box::new(Properties { correlation_id, ..Properties::default() })
}

/// The answer to `put-token`.
pub(super) fn token_answer(request: &Message, status: u16, description: String) -> Message {
    let asked = request.properties.as_ref().and_then(|properties| properties.message_id.clone());
    Message {
        properties: Some(correlated(asked)),
        application_properties: vec![
            ("status-code".to_owned(), Value::Int(status.into())),
            ("status-description".to_owned(), Value::String(description)),
        ],
        ..Message::default()
    }
}

/// The answer to a twin request.
pub(super) fn twin_answer(correlation_id: &Value, answer: TwinAnswer) -> Message {
    let mut annotations = vec![(Symbol::from_static("status"), Value::Int(answer.status.into()))];
    annotations.extend(answer.version.map(|version| (Symbol::from_static("version"), long(version))));
    Message {
        message_annotations: annotations,
        properties: Some(correlated(Some(correlation_id.clone()))),
        ..Message::data(answer.body)
    }
}

/// Desired properties that changed.
pub(super) fn desired(version: u64, told: &serde_json::Value) -> Message {
    let resource = Value::String("/notifications/twin/properties/desired".to_owned());
    Message {
        message_annotations: vec![
            (Symbol::from_static("resource"), resource),
            (Symbol::from_static("version"), long(version)),
        ],
        ..Message::data(told.to_string())
    }
}

/// A direct method. The Node SDK takes its correlation id for a uuid.
pub(super) fn method(name: String, number: u64, payload: Bytes) -> Message {
    let mut id = UUID;
    let [_, _, tail @ ..] = number.to_be_bytes();
    if let Some(place) = id.last_chunk_mut() {
        *place = tail;
    }
    Message {
        properties: Some(correlated(Some(Value::Uuid(id)))),
        application_properties: vec![("IoThub-methodname".to_owned(), Value::String(name))],
        ..Message::data(payload)
    }
}

/// The call that a correlation id of [`method`] is of, in whatever type it comes back.
pub(super) fn call_number(id: &Value) -> Option<u64> {
    let bytes: [u8; 16] = match id {
        Value::Uuid(bytes) => *bytes,
        Value::Binary(bytes) => bytes.as_ref().try_into().ok()?,
        Value::String(text) if text.len() == 36 => {
            hex::decode(text.replace('-', "")).ok()?.try_into().ok()?
        }
        _ => return None,
    };
    let mut number = [0; 8];
    let (head, tail) = bytes.split_at(10);
    number.get_mut(2..)?.copy_from_slice(tail);
    (head == UUID.split_at(10).0).then(|| u64::from_be_bytes(number))
}

/// A message from the cloud: system properties (`$.mid`) go where the standard has them.
pub(super) fn device_bound(properties: Vec<(String, String)>, payload: Bytes) -> Message {
    let mut standard = Properties::default();
    let mut own = Vec::new();
    for (name, value) in properties {
        match name.as_str() {
            "$.to" => standard.to = Some(value),
            "$.mid" => standard.message_id = Some(Value::String(value)),
            "$.cid" => standard.correlation_id = Some(Value::String(value)),
            "$.ct" => standard.content_type = Some(value),
            "$.ce" => standard.content_encoding = Some(value),
            "$.uid" => standard.user_id = Some(Bytes::from(value)),
            "$.exp" => match value.parse().map(|at| Timestamp(at).millis()) {
                Ok(at) => standard.absolute_expiry_time = Some(at),
                Err(_) => own.push((name, Value::String(value))),
            },
            _ => own.push((name, Value::String(value))),
        }
    }
    Message { properties: Some(Box::new(standard)), application_properties: own, ..Message::data(payload) }
}

fn long(number: u64) -> Value {
    Value::Long(i64::try_from(number).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_number_comes_back_in_any_type() {
        for number in [1, 0x0102_0304_0506, (1 << 48) - 1] {
            let message = method("m".to_owned(), number, Bytes::new());
            let id = message.correlation_id().cloned().unwrap();
            let Value::Uuid(bytes) = id else { panic!("{id:?}") };
            let text = format!("00000000-0000-4000-8000-{}", hex::encode(&bytes[10..]));
            for id in [id, Value::Binary(Bytes::copy_from_slice(&bytes)), Value::String(text)] {
                assert_eq!(call_number(&id), Some(number));
            }
        }
        for id in [Value::Ulong(1), Value::Uuid([7; 16]), Value::String("é".repeat(18)), Value::Null] {
            assert_eq!(call_number(&id), None, "{id:?}");
        }
    }
}

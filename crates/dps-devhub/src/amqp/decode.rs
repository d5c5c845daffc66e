//! A device's message -> what it asks for. Owns properties, annotations and bodies; must not know links or verdicts.

use bytes::Bytes;
use dps_model::Timestamp;
use dps_wire::amqp::address::{HubAddress, HubEndpoint};
use dps_wire::amqp::message::{Body, Message, Properties};
use dps_wire::amqp::value::Value;
use percent_encoding::percent_decode_str;

use crate::presence::MethodAnswer;

/// The one kind of token that a hub takes.
const SAS_TOKEN: &str = "servicebus.windows.net:sastoken";
const REPORTED: &str = "/properties/reported";
const DESIRED: &str = "/notifications/twin/properties/desired";

/// `put-token` of `$cbs`.
pub(super) struct PutToken<'a> {
    /// Whom it is for, as it was written.
    pub audience: String,
    /// The same read: the hub's host, and the device unless it is a service's.
    pub host: String,
    pub device_id: Option<String>,
    pub token: &'a str,
}

/// Reads a token's message; an error is a sentence for the device.
pub(super) fn put_token(message: &Message) -> Result<PutToken<'_>, &'static str> {
    let property = |name: &str| message.application_property(name).and_then(Value::as_text);
    if property("operation") != Some("put-token") {
        return Err("The one operation of $cbs is put-token.");
    }
    if property("type") != Some(SAS_TOKEN) {
        return Err("A token's type is servicebus.windows.net:sastoken.");
    }
    let audience = property("name").ok_or("The application property name says whom a token is for.")?;
    let token = message.body.as_bytes().and_then(|bytes| std::str::from_utf8(bytes).ok());
    let token = token.filter(|token| !token.is_empty()).ok_or("The body is the token's text.")?;
    let (host, device_id) = read(audience).ok_or("A token is for {hub} or for {hub}/devices/{deviceId}.")?;
    Ok(PutToken { audience: audience.to_owned(), host, device_id, token })
}

/// `{host}` or `{host}/devices/{deviceId}`, encoded or not, with a scheme or not.
fn read(audience: &str) -> Option<(String, Option<String>)> {
    let text = percent_decode_str(audience).decode_utf8().ok()?;
    let text = text.strip_prefix("amqps://").unwrap_or(&text);
    let Some((host, path)) = text.trim_end_matches('/').split_once('/') else {
        let host = text.trim_end_matches('/');
        return (!host.is_empty()).then(|| (host.to_owned(), None));
    };
    let device_id = path.strip_prefix("devices/")?;
    (!device_id.is_empty() && !device_id.contains('/')).then(|| (host.to_owned(), Some(device_id.to_owned())))
}

/// The device that a service's message is for.
pub(super) fn recipient(message: &Message) -> Result<String, &'static str> {
    let to = message.properties.as_ref().and_then(|properties| properties.to.as_deref());
    match to.map(HubAddress::parse) {
        Some(Ok(HubAddress::Device { device_id, module_id: None, endpoint: HubEndpoint::DeviceBound })) => {
            Ok(device_id)
        }
        _ => Err("The property to is /devices/{deviceId}/messages/devicebound."),
    }
}

/// An operation on the twin.
pub(super) enum TwinRequest {
    Get,
    Report(Bytes),
    Observe(bool),
    /// Why it is none.
    Unknown(&'static str),
}

/// Reads a twin request.
pub(super) fn twin(message: &Message) -> TwinRequest {
    let annotation = |name: &str| {
        let found = message.message_annotations.iter().find(|(key, _)| key == name);
        found.and_then(|(_, value)| value.as_text())
    };
    match (annotation("operation"), annotation("resource").unwrap_or_default()) {
        (Some("GET"), "" | "/") => TwinRequest::Get,
        (Some("PATCH"), REPORTED) => match bytes(&message.body) {
            Some(patch) => TwinRequest::Report(patch),
            None => TwinRequest::Unknown("Reported properties are a data section."),
        },
        (Some("PUT"), DESIRED) => TwinRequest::Observe(true),
        (Some("DELETE"), DESIRED) => TwinRequest::Observe(false),
        _ => TwinRequest::Unknown("The annotations operation and resource name no operation on a twin."),
    }
}

/// The number of a call, and what the device says to it.
pub(super) fn method_answer(message: &Message) -> Result<(u64, MethodAnswer), &'static str> {
    let number = message
        .correlation_id()
        .and_then(super::encode::call_number)
        .ok_or("The answer to a direct method has the correlation-id of its call.")?;
    let status = message.application_property("IoThub-status").and_then(|status| match status {
        Value::String(text) => text.parse().ok(),
        number => number.as_i64().and_then(|number| i32::try_from(number).ok()),
    });
    let status = status.ok_or("The application property IoThub-status is the answer's status.")?;
    let payload = bytes(&message.body).ok_or("The answer to a direct method is a data section.")?;
    Ok((number, MethodAnswer { status, payload }))
}

/// What a message between a device and the cloud holds.
pub(super) struct Content {
    /// System (`$.ct`) and application properties.
    pub properties: Vec<(String, String)>,
    pub payload: Bytes,
}

impl Content {
    /// Its bytes, those of its properties too.
    pub fn size(&self) -> usize {
        let properties: usize = self.properties.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.payload.len() + properties
    }
}

/// Reads telemetry, or a message to a device.
pub(super) fn content(message: &Message) -> Result<Content, &'static str> {
    let payload = bytes(&message.body).ok_or("A message is a data section or a text.")?;
    let mut properties = message.properties.as_deref().map(system).unwrap_or_default();
    let mut keep = |name: &str, value: &Value| {
        let value = text(value).ok_or("A property is a text, a number, a boolean, a time or a uuid.")?;
        properties.push((name.to_owned(), value));
        Ok(())
    };
    for (name, value) in &message.message_annotations {
        match name.as_str() {
            "iothub-interface-id" => keep("$.ifid", value)?,
            "dt-subject" => keep("$.sub", value)?,
            _ => {}
        }
    }
    for (name, value) in &message.application_properties {
        keep(name, value)?;
    }
    Ok(Content { properties, payload })
}

/// The standard's properties under the names that they have over MQTT.
fn system(properties: &Properties) -> Vec<(String, String)> {
    let time = |millis: i64| Timestamp::from_millis(millis).to_string();
    let named = [
        ("$.mid", properties.message_id.as_ref().and_then(text)),
        ("$.cid", properties.correlation_id.as_ref().and_then(text)),
        ("$.uid", properties.user_id.as_ref().map(|id| String::from_utf8_lossy(id).into_owned())),
        ("$.to", properties.to.clone()),
        ("$.ct", properties.content_type.clone()),
        ("$.ce", properties.content_encoding.clone()),
        ("$.exp", properties.absolute_expiry_time.map(time)),
    ];
    let named = named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    named.collect()
}

fn bytes(body: &Body) -> Option<Bytes> {
    match body {
        Body::Empty => Some(Bytes::new()),
        Body::Data(bytes) => Some(bytes.clone()),
        body => body.as_bytes().map(Bytes::copy_from_slice),
    }
}

/// A property's value as a text; `None` when it is none that a property may have.
fn text(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => String::new(),
        Value::Bool(flag) => flag.to_string(),
        Value::Ulong(number) => number.to_string(),
        Value::Float(bits) => f32::from_bits(*bits).to_string(),
        Value::Double(bits) => f64::from_bits(*bits).to_string(),
        Value::Char(char) => char.to_string(),
        Value::Timestamp(millis) => Timestamp::from_millis(*millis).to_string(),
        Value::Uuid(bytes) => hyphenated(bytes),
        Value::Binary(bytes) => String::from_utf8(bytes.to_vec()).ok()?,
        other => match other.as_text() {
            Some(text) => text.to_owned(),
            None => other.as_i64()?.to_string(),
        },
    })
}

/// A uuid as people write it.
fn hyphenated(bytes: &[u8; 16]) -> String {
    let mut text = hex::encode(bytes);
    for at in [20, 16, 12, 8] {
        text.insert(at, '-');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audience_of_a_token_has_the_forms_of_the_sdks() {
        for audience in ["h.local/devices/d1", "h.local%2Fdevices%2Fd1", "amqps://h.local/devices/d1/"] {
            assert_eq!(read(audience), Some(("h.local".into(), Some("d1".into()))), "{audience}");
        }
        for audience in ["h.local", "amqps://h.local/"] {
            assert_eq!(read(audience), Some(("h.local".into(), None)), "{audience}");
        }
        for audience in ["", "/", "h.local/devices/d1/modules/m", "h/x/d", "%ff/devices/d"] {
            assert_eq!(read(audience), None, "{audience}");
        }
    }

    #[test]
    fn property_of_any_scalar_type_is_a_text() {
        let uuid = *b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef";
        for (value, expected) in [
            (Value::Null, Some("")),
            (Value::Bool(true), Some("true")),
            (Value::Int(-5), Some("-5")),
            (Value::Ulong(u64::MAX), Some("18446744073709551615")),
            (Value::Double(1.5_f64.to_bits()), Some("1.5")),
            (Value::Timestamp(0), Some("1970-01-01T00:00:00.0000000Z")),
            (Value::Uuid(uuid), Some("01234567-89ab-cdef-0123-456789abcdef")),
            (Value::Binary(Bytes::from_static(b"b")), Some("b")),
            (Value::Binary(Bytes::from_static(b"\xff")), None),
            (Value::List(Vec::new()), None),
        ] {
            assert_eq!(text(&value).as_deref(), expected, "{value:?}");
        }
    }
}

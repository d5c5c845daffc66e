//! `POST /devices/{id}/messages/deviceBound`: a message to a connected device. Azure sends these over AMQP alone; this
//! door is the development hub's own. Nothing is queued for a device that is away.

use dps_model::DeviceId;
use dps_model::limits::{MAX_DEVICEBOUND, MAX_HTTP_HEADER};

use super::{Answer, Call, too_large};
use crate::failure::HubFailure;

/// Prefix of headers that become application properties.
const APPLICATION: &str = "iothub-app-";

pub(super) async fn send(call: &Call<'_>, id: &DeviceId) -> Result<Answer, HubFailure> {
    if call.body.len() > MAX_DEVICEBOUND {
        return Err(too_large(MAX_DEVICEBOUND));
    }
    call.hub.registry.device(id).await?;
    let mut properties = vec![("$.to".to_owned(), format!("/devices/{id}/messages/deviceBound"))];
    let mut room = MAX_HTTP_HEADER;
    for (name, value) in call.headers {
        let Ok(value) = value.to_str() else { continue };
        let key = match name.as_str() {
            "iothub-messageid" => "$.mid",
            "iothub-correlationid" => "$.cid",
            "content-type" => "$.ct",
            other => match other.strip_prefix(APPLICATION) {
                Some(key) if !key.is_empty() => key,
                _ => continue,
            },
        };
        // The header section is bounded by the listener; this holds for any other caller.
        room = room
            .checked_sub(key.len() + value.len())
            .ok_or_else(|| HubFailure::argument("The message's properties are too large"))?;
        properties.push((key.to_owned(), value.to_owned()));
    }
    call.hub.presence.device_bound(id, properties, call.body.clone()).await?;
    Ok(Answer::empty())
}

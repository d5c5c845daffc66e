//! `/twins`: twins and direct methods. Owns the JSON of both; must not know how a device is reached.

use std::time::Duration;

use bytes::Bytes;
use dps_model::DeviceId;
use dps_model::limits::{
    DEFAULT_METHOD_TIMEOUT, MAX_METHOD_NAME, MAX_METHOD_PAYLOAD, MAX_METHOD_TIMEOUT, MIN_METHOD_TIMEOUT,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Answer, Call, too_large};
use crate::failure::HubFailure;
use crate::registry::{Device, TwinChange};

#[derive(Debug, Default, Deserialize)]
pub(super) struct TwinBody {
    #[serde(default)]
    tags: Option<Map<String, Value>>,
    #[serde(default)]
    properties: Option<PropertiesBody>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct PropertiesBody {
    #[serde(default)]
    desired: Option<Map<String, Value>>,
    #[serde(default)]
    reported: Option<Map<String, Value>>,
}

impl TwinBody {
    /// What a service may say of a twin.
    pub(super) fn change(self) -> TwinChange {
        TwinChange { reported: None, ..self.import() }
    }

    /// The same with what the device reported: a twin that comes from another hub.
    pub(super) fn import(self) -> TwinChange {
        let properties = self.properties.unwrap_or_default();
        TwinChange { tags: self.tags, desired: properties.desired, reported: properties.reported }
    }
}

fn shown(call: &Call<'_>, device: &Device) -> Answer {
    let activity = call.hub.presence.activity(&device.id);
    Answer::json(device.twin_json(activity)).with_etag(device.twin_etag())
}

pub(super) async fn get(call: &Call<'_>, id: &DeviceId) -> Result<Answer, HubFailure> {
    Ok(shown(call, &call.hub.registry.device(id).await?))
}

/// PATCH merges, PUT puts in place. Reported properties are the device's own: what a service says of them is ignored.
pub(super) async fn change(call: &Call<'_>, id: &DeviceId, replace: bool) -> Result<Answer, HubFailure> {
    let change = call.object::<TwinBody>()?.change();
    let device = call.hub.registry.change_twin(id, &change, replace, call.if_match().as_ref()).await?;
    Ok(shown(call, &device))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MethodBody {
    method_name: String,
    #[serde(default)]
    payload: Value,
    #[serde(default)]
    response_timeout_in_seconds: Option<u64>,
    #[serde(default)]
    connect_timeout_in_seconds: Option<u64>,
}

pub(super) async fn method(call: &Call<'_>, id: &DeviceId) -> Result<Answer, HubFailure> {
    let body: MethodBody = call.object()?;
    let legal = |c: char| c.is_ascii_alphanumeric() || "-.%_*?!(),:=@$'".contains(c);
    let name = body.method_name.as_str();
    if name.is_empty() || name.len() > MAX_METHOD_NAME || !name.chars().all(legal) {
        return Err(HubFailure::argument(format!(
            "methodName has 1 to {MAX_METHOD_NAME} letters, digits and - . % _ * ? ! ( ) , : = @ $ '"
        )));
    }
    let response = body.response_timeout_in_seconds.unwrap_or(DEFAULT_METHOD_TIMEOUT);
    if !(MIN_METHOD_TIMEOUT..=MAX_METHOD_TIMEOUT).contains(&response) {
        return Err(HubFailure::argument(format!(
            "responseTimeoutInSeconds is {MIN_METHOD_TIMEOUT} to {MAX_METHOD_TIMEOUT}"
        )));
    }
    let connect = body.connect_timeout_in_seconds.unwrap_or(0);
    if connect > MAX_METHOD_TIMEOUT {
        return Err(HubFailure::argument(format!("connectTimeoutInSeconds is 0 to {MAX_METHOD_TIMEOUT}")));
    }
    let payload = Bytes::from(body.payload.to_string());
    if payload.len() > MAX_METHOD_PAYLOAD {
        return Err(too_large(MAX_METHOD_PAYLOAD));
    }
    call.hub.registry.device(id).await?;
    let (connect, response) = (Duration::from_secs(connect), Duration::from_secs(response));
    let answer = call.hub.presence.method(id, name, &payload, connect, response).await?;
    // A device may answer nothing, or text that is no JSON; the caller gets null, or that text.
    let payload =
        serde_json::from_slice(&answer.payload).unwrap_or_else(|_| {
            match String::from_utf8_lossy(&answer.payload).as_ref() {
                "" => Value::Null,
                text => Value::String(text.to_owned()),
            }
        });
    Ok(Answer::json(json!({ "status": answer.status, "payload": payload })))
}

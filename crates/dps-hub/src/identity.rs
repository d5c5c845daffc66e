//! A device's identity and twin in IoT Hub's JSON (facts: wire-protocol.md §8.2). Pure; must not know requests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_model::hub::{HubAuthentication, HubDevice, HubTwin};
use dps_model::{DeviceId, Secret};
use serde_json::{Map, Value, json};

/// The identity as it is created.
pub(crate) fn created(device: &HubDevice) -> Value {
    json!({
        "deviceId": device.device_id,
        "status": "enabled",
        "authentication": authentication(&device.authentication),
        "capabilities": device.capabilities,
    })
}

/// The identity that is there, with provisioning's part in place; the rest (status, scope) stays as it is.
pub(crate) fn updated(mut existing: Value, device: &HubDevice) -> Value {
    if let Value::Object(map) = &mut existing {
        map.insert("authentication".into(), authentication(&device.authentication));
        map.insert("capabilities".into(), json!(device.capabilities));
    }
    existing
}

/// Is provisioning's part of the identity as wanted already?
pub(crate) fn matches(existing: &Value, device: &HubDevice) -> bool {
    let edge = existing["capabilities"]["iotEdge"].as_bool().unwrap_or(false);
    let shown = &existing["authentication"];
    let text = |part: &str, name: &str| shown[part][name].as_str().unwrap_or_default().to_owned();
    let same = match &device.authentication {
        HubAuthentication::Sas { primary, secondary } => {
            let is = |name: &str, key: &Secret| {
                STANDARD.decode(text("symmetricKey", name)).is_ok_and(|bytes| key.matches(&bytes))
            };
            shown["type"] == "sas" && is("primaryKey", primary) && is("secondaryKey", secondary)
        }
        HubAuthentication::SelfSigned { primary_thumbprint, secondary_thumbprint } => {
            let is = |name: &str, wanted: &str| text("x509Thumbprint", name).eq_ignore_ascii_case(wanted);
            shown["type"] == "selfSigned"
                && is("primaryThumbprint", primary_thumbprint)
                && is("secondaryThumbprint", secondary_thumbprint.as_deref().unwrap_or_default())
        }
    };
    same && edge == device.capabilities.iot_edge
}

fn authentication(authentication: &HubAuthentication) -> Value {
    match authentication {
        HubAuthentication::Sas { primary, secondary } => json!({
            "type": "sas",
            "symmetricKey": {
                "primaryKey": STANDARD.encode(primary.expose()),
                "secondaryKey": STANDARD.encode(secondary.expose()),
            },
        }),
        HubAuthentication::SelfSigned { primary_thumbprint, secondary_thumbprint } => json!({
            "type": "selfSigned",
            "x509Thumbprint": {
                "primaryThumbprint": primary_thumbprint,
                "secondaryThumbprint": secondary_thumbprint,
            },
        }),
    }
}

/// Tags and desired properties as a twin's replacement.
pub(crate) fn twin_body(twin: &HubTwin) -> Value {
    json!({ "tags": twin.tags, "properties": { "desired": twin.desired } })
}

/// A twin in a bulk request, the one door of IoT Hub's REST that has a place for reported properties.
pub(crate) fn twin_import(id: &DeviceId, twin: &HubTwin) -> Value {
    json!([{
        "id": id,
        "importMode": "updateTwin",
        "tags": twin.tags,
        "properties": { "desired": twin.desired, "reported": twin.reported },
    }])
}

/// The sections of a twin, without what the hub adds.
pub(crate) fn twin_sections(twin: &Value) -> HubTwin {
    HubTwin {
        tags: section(&twin["tags"]),
        desired: section(&twin["properties"]["desired"]),
        reported: section(&twin["properties"]["reported"]),
    }
}

fn section(value: &Value) -> Map<String, Value> {
    let own = |key: &str| !matches!(key, "$metadata" | "$version");
    value
        .as_object()
        .map(|map| map.iter().filter(|(key, _)| own(key)).map(|(k, v)| (k.clone(), v.clone())).collect())
        .unwrap_or_default()
}

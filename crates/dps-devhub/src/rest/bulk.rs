//! `POST /devices`: up to a hundred identities at once, each for itself. Owns the import modes; must not know HTTP.

use dps_model::etag::IfMatch;
use dps_model::limits::MAX_BULK_DEVICES;
use dps_model::{DeviceId, Etag};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::devices::IdentityBody;
use super::twins::TwinBody;
use super::{Answer, Call};
use crate::failure::{HubErrorCode, HubFailure};

/// What to do with one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ImportMode {
    Create,
    Update,
    UpdateIfMatchETag,
    CreateOrUpdate,
    CreateOrUpdateIfMatchETag,
    Delete,
    DeleteIfMatchETag,
    UpdateTwin,
    UpdateTwinIfMatchETag,
}

impl ImportMode {
    /// Azure reads enumerations without regard to case, and its clients write `create` but `Delete`.
    fn read(text: Option<&str>) -> Result<Self, HubFailure> {
        let known = [
            ("create", Self::Create),
            ("update", Self::Update),
            ("updateIfMatchETag", Self::UpdateIfMatchETag),
            ("createOrUpdate", Self::CreateOrUpdate),
            ("createOrUpdateIfMatchETag", Self::CreateOrUpdateIfMatchETag),
            ("delete", Self::Delete),
            ("deleteIfMatchETag", Self::DeleteIfMatchETag),
            ("updateTwin", Self::UpdateTwin),
            ("updateTwinIfMatchETag", Self::UpdateTwinIfMatchETag),
        ];
        let Some(text) = text else { return Ok(Self::Create) };
        known.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, mode)| *mode).ok_or_else(
            || {
                let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                HubFailure::argument(format!("importMode is one of {}", names.join(", ")))
            },
        )
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    id: String,
    #[serde(default)]
    module_id: Option<String>,
    #[serde(default, rename = "eTag")]
    etag: Option<String>,
    #[serde(default, rename = "twinETag")]
    twin_etag: Option<String>,
    #[serde(default)]
    import_mode: Option<String>,
    #[serde(flatten)]
    identity: IdentityBody,
    #[serde(flatten)]
    twin: TwinBody,
}

/// 200 when every device succeeded, else 400 with the list of those that did not, as Azure does.
pub(super) async fn run(call: &Call<'_>) -> Result<Answer, HubFailure> {
    let items: Vec<Value> = call.json()?;
    if items.is_empty() || items.len() > MAX_BULK_DEVICES {
        return Err(HubFailure::argument(format!("A bulk request has 1 to {MAX_BULK_DEVICES} devices")));
    }
    let mut errors = Vec::new();
    for item in items {
        let id = item.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Err(failure) = one(call, item).await {
            errors.push(json!({
                "deviceId": id,
                "errorCode": failure.code.name(),
                "errorStatus": failure.message,
            }));
        }
    }
    let successful = errors.is_empty();
    let mut answer = Answer::json(json!({ "isSuccessful": successful, "errors": errors, "warnings": [] }));
    if !successful {
        answer.status = StatusCode::BAD_REQUEST;
    }
    Ok(answer)
}

async fn one(call: &Call<'_>, item: Value) -> Result<(), HubFailure> {
    let item: Item = serde_json::from_value(item)
        .map_err(|error| HubFailure::argument(format!("The device is not as expected: {error}")))?;
    if item.module_id.is_some_and(|module| !module.is_empty()) {
        return Err(HubFailure::argument("Modules are not served by the development hub"));
    }
    let id = DeviceId::parse(&item.id).map_err(|error| HubFailure::argument(error.to_string()))?;
    let registry = &call.hub.registry;
    let change = item.twin.import();
    let (tag, twin_tag) = (tag(item.etag), tag(item.twin_etag));
    match ImportMode::read(item.import_mode.as_deref())? {
        ImportMode::Create => registry.create(&id, item.identity.input()?).await.map(drop)?,
        ImportMode::Update => {
            registry.update(&id, &item.identity.input()?, &IfMatch::Any).await.map(drop)?;
        }
        ImportMode::UpdateIfMatchETag => {
            registry.update(&id, &item.identity.input()?, &tag).await.map(drop)?;
        }
        ImportMode::CreateOrUpdate => create_or_update(call, &id, item.identity, &IfMatch::Any).await?,
        ImportMode::CreateOrUpdateIfMatchETag => create_or_update(call, &id, item.identity, &tag).await?,
        ImportMode::Delete => return registry.delete(&id, &IfMatch::Any).await,
        ImportMode::DeleteIfMatchETag => return registry.delete(&id, &tag).await,
        ImportMode::UpdateTwin => {
            return registry.change_twin(&id, &change, false, None).await.map(drop);
        }
        ImportMode::UpdateTwinIfMatchETag => {
            return registry.change_twin(&id, &change, false, Some(&twin_tag)).await.map(drop);
        }
    }
    if change.tags.is_some() || change.desired.is_some() || change.reported.is_some() {
        registry.change_twin(&id, &change, false, None).await?;
    }
    Ok(())
}

async fn create_or_update(
    call: &Call<'_>,
    id: &DeviceId,
    identity: IdentityBody,
    if_match: &IfMatch,
) -> Result<(), HubFailure> {
    let input = identity.input()?;
    match call.hub.registry.create(id, input.clone()).await {
        Err(failure) if failure.code == HubErrorCode::DeviceAlreadyExists => {
            call.hub.registry.update(id, &input, if_match).await.map(drop)
        }
        created => created.map(drop),
    }
}

/// An absent tag matches nothing: the mode asked for a comparison.
fn tag(text: Option<String>) -> IfMatch {
    text.map_or_else(|| IfMatch::Tag(Etag(String::new())), |text| IfMatch::parse(&text))
}

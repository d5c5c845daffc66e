//! Enrollments and enrollment groups: what their commands have in common. Owns reading, listing, changing with the
//! version that was read, and deleting; must not know options of one kind.

mod attestation;
pub mod group;
mod import;
pub mod individual;
mod settings;

use futures_util::stream::{self, StreamExt as _};
use serde_json::{Map, Value};

use super::api::{Collection, Failure, ServiceApi};
use super::connection::ServiceOptions;
use super::limits::MAX_CALLS_AT_ONCE;
use super::output::{Column, OutputOptions};

/// Members that the service fills in.
const READ_ONLY: [&str; 3] = ["registrationState", "createdDateTimeUtc", "lastUpdatedDateTimeUtc"];

/// Which version is meant.
#[derive(clap::Args, Clone, Default)]
pub struct VersionOptions {
    /// Only if this is the current version
    #[arg(long, short, value_name = "ETAG")]
    pub etag: Option<String>,
}

/// What a list holds.
#[derive(clap::Args, Clone, Default)]
pub struct ListOptions {
    /// Query that the service answers; Azure's own ignores its WHERE clause
    #[arg(long, value_name = "TEXT", default_value = "SELECT *")]
    query: String,
    /// Most items to list
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    service: ServiceOptions,
}

async fn show(
    service: &ServiceOptions,
    collection: Collection,
    id: &str,
    output: OutputOptions,
) -> Result<(), Failure> {
    let api = service.open()?;
    let mut item = api.get(collection, id).await?;
    if output.show_keys {
        item = with_keys(&api, collection, item).await?;
    }
    output.item(item)
}

async fn list(
    options: &ListOptions,
    collection: Collection,
    columns: &'static [Column],
) -> Result<(), Failure> {
    let api = options.service.open()?;
    let mut pages = api.query(collection, &options.query, options.top);
    let mut list = options.output.list(columns);
    while let Some(page) = pages.next().await? {
        if !options.output.show_keys {
            for item in page {
                list.push(item)?;
            }
            continue;
        }
        let filled = stream::iter(page).map(|item| with_keys(&api, collection, item));
        let mut filled = filled.buffered(MAX_CALLS_AT_ONCE);
        while let Some(item) = filled.next().await {
            list.push(item?)?;
        }
    }
    list.end()
}

/// The enrollment with its symmetric keys, which the service shows on request alone.
async fn with_keys(api: &ServiceApi, collection: Collection, mut item: Value) -> Result<Value, Failure> {
    if item["attestation"]["type"] == "symmetricKey" {
        let id = item[collection.id_member()].as_str().unwrap_or_default();
        let attestation = api.attestation(collection, id).await?;
        item["attestation"] = attestation;
    }
    Ok(item)
}

async fn create(
    service: &ServiceOptions,
    collection: Collection,
    id: &str,
    mut item: Map<String, Value>,
    output: OutputOptions,
) -> Result<(), Failure> {
    item.insert(collection.id_member().into(), id.into());
    output.item(service.open()?.put(collection, id, Value::Object(item), None).await?)
}

/// Reads the enrollment, changes it, and writes it if nobody else did meanwhile.
async fn update(
    service: &ServiceOptions,
    collection: Collection,
    id: &str,
    version: &VersionOptions,
    output: OutputOptions,
    change: impl FnOnce(&mut Map<String, Value>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let api = service.open()?;
    let item = api.get(collection, id).await?;
    // A service may take a PUT without keys for one that wants new ones.
    let Value::Object(mut members) = with_keys(&api, collection, item).await? else {
        return Err(Failure::Unreachable("the service showed no enrollment: is it a service?".to_owned()));
    };
    let read = members.get("etag").and_then(Value::as_str).map(ToOwned::to_owned);
    members.retain(|name, _| !READ_ONLY.contains(&name.as_str()));
    change(&mut members)?;
    let etag = version.etag.clone().or(read).unwrap_or_else(|| "*".to_owned());
    output.item(api.put(collection, id, Value::Object(members), Some(&etag)).await?)
}

async fn delete(
    service: &ServiceOptions,
    collection: Collection,
    id: &str,
    version: &VersionOptions,
) -> Result<(), Failure> {
    service.open()?.delete(collection, id, version.etag.as_deref()).await
}

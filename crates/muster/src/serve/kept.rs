//! What `muster serve` makes up once and keeps, sealed in the store, and what the file of settings declared last.
//! Must not know who uses it.

use std::collections::BTreeMap;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_attestation::symmetric_key;
use dps_core::ports::{Collection, Document, Precondition, Store, Write};
use dps_model::{Etag, Secret};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Made at the first start.
#[derive(Serialize, Deserialize)]
pub struct Kept {
    /// Subscription that resource ids name where the file names none.
    pub subscription: uuid::Uuid,
    /// Id of the built-in workspace; a store of an older server has none yet.
    #[serde(default)]
    workspace: Option<uuid::Uuid>,
    /// What TPMs are challenged with, base64.
    challenges: String,
}

/// Names of members that the file declared, by name of the instance.
pub type Declared = BTreeMap<String, Members>;

/// What of an instance the file declared, by lower-case names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    /// Linked hubs.
    pub hubs: Vec<String>,
    /// Shared access policies.
    pub policies: Vec<String>,
    /// CA certificates.
    pub authorities: Vec<String>,
    /// Those of them that it trusts without a proof of possession.
    #[serde(default)]
    pub trusted: Vec<String>,
    /// Were there IP filter rules?
    pub ip_filters: bool,
}

const KEPT: &str = "serve";
const DECLARED: &str = "declared";

impl Kept {
    /// Reads it, or makes it.
    pub async fn open(store: &dyn Store) -> anyhow::Result<Self> {
        let mut kept = match read::<Self>(store, KEPT).await? {
            Some(kept) if kept.workspace.is_some() => return Ok(kept),
            Some(kept) => kept,
            None => Self::fresh()?,
        };
        kept.workspace = Some(uuid::Uuid::new_v4());
        write(store, KEPT, &kept).await?;
        Ok(kept)
    }

    fn fresh() -> anyhow::Result<Self> {
        let secret = symmetric_key::generate().map_err(|_| anyhow::anyhow!("no random numbers"))?;
        let challenges = STANDARD.encode(secret.expose());
        Ok(Self { subscription: uuid::Uuid::new_v4(), workspace: None, challenges })
    }

    /// Id of the built-in workspace.
    pub fn workspace(&self) -> uuid::Uuid {
        self.workspace.unwrap_or_default() // `open` gave it one
    }

    /// What TPMs are challenged with.
    pub fn challenges(&self) -> anyhow::Result<Secret> {
        symmetric_key::read(&self.challenges).context("the settings in the store are damaged")
    }
}

/// What the file declared at the last start.
pub async fn declared(store: &dyn Store) -> anyhow::Result<Declared> {
    Ok(read(store, DECLARED).await?.unwrap_or_default())
}

/// Remembers what the file declares now.
pub async fn declare(store: &dyn Store, declared: &Declared) -> anyhow::Result<()> {
    write(store, DECLARED, declared).await
}

async fn read<T: DeserializeOwned>(store: &dyn Store, id: &str) -> anyhow::Result<Option<T>> {
    let Some(document) = store.get(Collection::Settings, "", id).await? else { return Ok(None) };
    let damaged = "the settings in the store are damaged";
    let sealed = document.sealed.context(damaged)?;
    serde_json::from_slice(sealed.expose()).context(damaged).map(Some)
}

async fn write<T: Serialize + Sync>(store: &dyn Store, id: &str, value: &T) -> anyhow::Result<()> {
    let document = Document {
        id: id.to_owned(),
        etag: Etag::fresh(),
        body: "{}".to_owned(),
        sealed: Some(Secret::new(serde_json::to_vec(value)?)),
        owner: None,
        due: None,
        lookups: Vec::new(),
    };
    let (collection, instance) = (Collection::Settings, String::new());
    store
        .write(vec![Write::Put { collection, instance, document, precondition: Precondition::None }])
        .await?;
    Ok(())
}

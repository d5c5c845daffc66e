//! What `muster dev` makes up once and keeps: names, keys, tokens. Sealed in the store. Must not know who uses them.

use anyhow::Context as _;
use dps_attestation::symmetric_key;
use dps_core::ports::{Collection, Document, Precondition, Store, Write};
use dps_model::{Etag, IdScope, Secret};
use serde::{Deserialize, Serialize};

const ID: &str = "dev";

/// Made at the first start.
#[derive(Serialize, Deserialize)]
pub struct Settings {
    /// The default instance's id scope.
    pub id_scope: IdScope,
    /// Subscription that resource ids name.
    pub subscription_id: uuid::Uuid,
    /// The built-in workspace.
    pub workspace_id: uuid::Uuid,
    /// What the management and logs APIs accept.
    pub bearer_token: String,
    /// Key of the service API's policy, base64.
    pub service_key: String,
    /// Its second key.
    pub service_key_secondary: String,
    /// Key of the development hubs' policy, base64.
    pub hub_key: String,
    /// What TPMs are challenged with, base64.
    pub challenge_secret: String,
}

impl Settings {
    /// Reads the settings, or makes them.
    pub async fn open(store: &dyn Store) -> anyhow::Result<Self> {
        if let Some(kept) = store.get(Collection::Settings, "", ID).await? {
            let sealed = kept.sealed.context("the settings in the store are damaged")?;
            return serde_json::from_slice(sealed.expose()).context("the settings in the store are damaged");
        }
        let key = || -> anyhow::Result<String> {
            let key = symmetric_key::generate().map_err(|_| anyhow::anyhow!("no random numbers"))?;
            Ok(base64(&key))
        };
        let settings = Self {
            id_scope: IdScope::fresh(),
            subscription_id: uuid::Uuid::new_v4(),
            workspace_id: uuid::Uuid::new_v4(),
            bearer_token: uuid::Uuid::new_v4().simple().to_string()
                + &uuid::Uuid::new_v4().simple().to_string(),
            service_key: key()?,
            service_key_secondary: key()?,
            hub_key: key()?,
            challenge_secret: key()?,
        };
        let document = Document {
            id: ID.to_owned(),
            etag: Etag::fresh(),
            body: "{}".to_owned(),
            sealed: Some(Secret::new(serde_json::to_vec(&settings)?)),
            owner: None,
            due: None,
            lookups: Vec::new(),
        };
        let put = Write::Put {
            collection: Collection::Settings,
            instance: String::new(),
            document,
            precondition: Precondition::Absent,
        };
        store.write(vec![put]).await?;
        Ok(settings)
    }
}

/// A key as connection strings have it.
pub fn base64(key: &Secret) -> String {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD.encode(key.expose())
}

/// A key from its text.
pub fn decode(text: &str) -> anyhow::Result<Secret> {
    symmetric_key::read(text).context("a key in the store is damaged")
}

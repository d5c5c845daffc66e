//! Amazon S3 and what speaks its API: an object a batch in the layout of Azure's export, since S3 appends nothing. Owns
//! that a batch which comes again replaces its own object; must not know what a record says.

mod client;
#[cfg(feature = "objects")]
mod objects;
mod sigv4;

use async_trait::async_trait;
use dps_monitor::destinations::{Batch, DeliveryError, Destination};
use reqwest::Method;

pub use self::client::Bucket;
use self::client::{Ask, Client, basic};
#[cfg(feature = "objects")]
pub use self::objects::S3Objects;
use crate::Now;
use crate::http::{Http, SetupError};
use crate::limits::MAX_ANSWER;
use crate::{record, signing, storage_path};

/// A bucket.
pub struct S3(Client);

impl S3 {
    /// That bucket.
    pub fn new(bucket: Bucket, http: Http, now: Now) -> Result<Self, SetupError> {
        Client::new(bucket, http, now).map(Self)
    }

    async fn put(&self, key: &str, body: Vec<u8>) -> Result<(), DeliveryError> {
        let headers = [("content-type", "application/json".to_owned())];
        let ask = Ask { method: Method::PUT, key, query: &[], headers: &headers, body, most: MAX_ANSWER };
        let answer = self.0.ask(ask).await?;
        if answer.status == 200 {
            return Ok(());
        }
        let code = answer.between("<Code>", "</Code>").unwrap_or_default();
        Err(answer.failure(&format!("cannot put an object into {}", self.0.bucket.bucket), &code))
    }
}

#[async_trait]
impl Destination for S3 {
    async fn deliver(&self, batch: &Batch) -> Result<(), DeliveryError> {
        let Some(container) = storage_path::container(&batch.records) else { return Ok(()) };
        let folder = storage_path::folder(batch)?;
        let body = record::lines(&record::encode(batch)?, usize::MAX).concat();
        // The name is the batch's own: when it comes again it replaces itself (D-661).
        let digest = hex::encode(signing::sha256(&body).get(..8).unwrap_or_default());
        let received = basic(batch.received);
        let key = format!("{}{container}/{folder}/PT1H-{received}-{digest}.json", self.0.bucket.prefix);
        self.put(&key, body).await
    }
}

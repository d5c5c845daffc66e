//! Azure Blob Storage, and what speaks its REST API: append blobs in the layout of Azure's export. Owns that a block whose
//! answer was lost is not appended twice; must not know what a record says.

mod account;
mod rest;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use dps_model::Secret;
use dps_monitor::destinations::{Batch, DeliveryError, Destination};
use tokio::sync::Mutex;

use self::account::Account;
use self::rest::{Appended, Rest};
use crate::Now;
use crate::http::{Http, SetupError};
use crate::limits::{MAX_BLOBS_KNOWN, MAX_BLOBS_OF_HOUR, MAX_BLOCK, MAX_BLOCK_TRIES, MAX_BLOCKS};
use crate::{record, signing, storage_path};

/// A storage account.
pub struct AzureBlob {
    rest: Rest,
    /// Blocks that a blob takes.
    blocks: u64,
    hours: std::sync::Mutex<HashMap<String, Arc<Mutex<Hour>>>>,
}

/// What is known of the blobs of one hour.
#[derive(Default)]
struct Hour {
    /// Blobs before this one are full.
    number: u32,
    unfinished: Option<Unfinished>,
}

/// A batch of which a part, or the last answer, is missing.
struct Unfinished {
    /// Which batch it is.
    digest: Vec<u8>,
    /// Its blocks that are there.
    blocks: usize,
    /// Blob and position at which the next one was tried.
    tried: Option<(u32, u64)>,
}

impl AzureBlob {
    /// The account of a connection string.
    pub fn new(connection_string: &Secret, http: Http, now: Now) -> Result<Self, SetupError> {
        let rest = Rest { account: Account::parse(connection_string)?, http, now };
        Ok(Self { rest, blocks: MAX_BLOCKS, hours: std::sync::Mutex::default() })
    }

    /// With blobs that take fewer blocks than Azure's.
    #[must_use]
    pub fn with_blocks(mut self, blocks: u64) -> Self {
        self.blocks = blocks.clamp(1, MAX_BLOCKS);
        self
    }

    fn hour(&self, folder: &str) -> Arc<Mutex<Hour>> {
        let mut hours = self.hours.lock().unwrap_or_else(PoisonError::into_inner);
        if hours.len() >= MAX_BLOBS_KNOWN && !hours.contains_key(folder) {
            // What is in use stays; what is forgotten is looked up again.
            hours.retain(|_, hour| Arc::strong_count(hour) > 1);
        }
        Arc::clone(hours.entry(folder.to_owned()).or_default())
    }

    async fn append(
        &self,
        container: &str,
        folder: &str,
        hour: &mut Hour,
        block: &[u8],
    ) -> Result<(), DeliveryError> {
        for _ in 0..MAX_BLOCK_TRIES {
            if self.was_appended(folder, hour, block).await? {
                return Ok(());
            }
            let (path, at) = self.place(container, folder, hour).await?;
            if let Some(unfinished) = &mut hour.unfinished {
                unfinished.tried = Some((hour.number, at));
            }
            match self.rest.append(&path, at, block).await? {
                Appended::Yes => return Ok(()),
                Appended::Full => hour.number += 1,
                Appended::Elsewhere | Appended::Missing => {}
            }
        }
        let why = "somebody else appends to the blob of this hour all the time".to_owned();
        Err(DeliveryError::Later { why, after: None })
    }

    /// Was the block appended by a try whose answer was lost?
    async fn was_appended(&self, folder: &str, hour: &Hour, block: &[u8]) -> Result<bool, DeliveryError> {
        match hour.unfinished.as_ref().and_then(|unfinished| unfinished.tried) {
            Some((number, at)) => self.rest.holds(&blob(folder, number), at, block).await,
            None => Ok(false),
        }
    }

    /// The first blob with room, created where it is missing, and where it ends.
    async fn place(
        &self,
        container: &str,
        folder: &str,
        hour: &mut Hour,
    ) -> Result<(String, u64), DeliveryError> {
        while hour.number < MAX_BLOBS_OF_HOUR {
            let path = blob(folder, hour.number);
            match self.rest.end(&path).await? {
                Some(end) if end.blocks < self.blocks => return Ok((path, end.at)),
                Some(_) => hour.number += 1,
                None => {
                    if !self.rest.create(&path).await? {
                        self.rest.create_container(container).await?;
                        self.rest.create(&path).await?;
                    }
                    return Ok((path, 0));
                }
            }
        }
        Err(DeliveryError::Refused(format!("all {MAX_BLOBS_OF_HOUR} blobs of this hour are full")))
    }
}

#[async_trait]
impl Destination for AzureBlob {
    async fn deliver(&self, batch: &Batch) -> Result<(), DeliveryError> {
        let Some(container) = storage_path::container(&batch.records) else { return Ok(()) };
        let folder = format!("{container}/{}", storage_path::folder(batch)?);
        let blocks = record::lines(&record::encode(batch)?, MAX_BLOCK);
        let digest = signing::sha256(&blocks.concat());
        let hour = self.hour(&folder);
        let mut hour = hour.lock().await;
        let known = hour.unfinished.take().filter(|unfinished| unfinished.digest == digest);
        let done = known.as_ref().map_or(0, |unfinished| unfinished.blocks);
        hour.unfinished = Some(known.unwrap_or(Unfinished { digest, blocks: 0, tried: None }));
        for block in blocks.iter().skip(done) {
            self.append(&container, &folder, &mut hour, block).await?;
            if let Some(unfinished) = &mut hour.unfinished {
                unfinished.blocks += 1;
                unfinished.tried = None;
            }
        }
        hour.unfinished = None;
        Ok(())
    }
}

fn blob(folder: &str, number: u32) -> String {
    format!("{folder}/{}", storage_path::blob(number))
}

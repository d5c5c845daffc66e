//! The prepared keys of each instance's symmetric-key groups, loaded when first needed and again after a change.
//! Must not know who tries them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use dps_attestation::symmetric_key::GroupKeys;
use dps_model::attestation::Mechanism;
use dps_model::{Error, limits};

use super::group_lane::KeyRing;
use super::record;
use crate::ports::{Collection, Page, Store};

/// Key rings by instance. A change of any group makes all of them stale.
pub struct KeyRings {
    store: Arc<dyn Store>,
    changes: AtomicU64,
    /// Ring and the count of changes it was loaded at.
    rings: Mutex<HashMap<String, (u64, KeyRing)>>,
    loading: tokio::sync::Mutex<()>,
}

impl KeyRings {
    /// No ring is loaded yet.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            changes: AtomicU64::new(0),
            rings: Mutex::default(),
            loading: tokio::sync::Mutex::default(),
        }
    }

    /// A group was written or deleted.
    pub fn changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// The ring of an instance, as of its last change.
    pub async fn of(&self, instance: &str) -> Result<KeyRing, Error> {
        if let Some(ring) = self.current(instance) {
            return Ok(ring);
        }
        let _one_loads = self.loading.lock().await;
        if let Some(ring) = self.current(instance) {
            return Ok(ring);
        }
        let seen = self.changes.load(Ordering::Acquire);
        let ring = Arc::new(self.load(instance).await?);
        let mut rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        // Keys that were replaced, or whose instance is gone, are kept no longer.
        rings.retain(|_, (at, _)| *at == seen);
        rings.insert(instance.to_owned(), (seen, Arc::clone(&ring)));
        Ok(ring)
    }

    fn current(&self, instance: &str) -> Option<KeyRing> {
        let rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        let (seen, ring) = rings.get(instance)?;
        (*seen == self.changes.load(Ordering::Acquire)).then(|| Arc::clone(ring))
    }

    async fn load(&self, instance: &str) -> Result<Vec<(String, GroupKeys)>, Error> {
        let mut ring = Vec::new();
        let mut after: Option<String> = None;
        while ring.len() < limits::MAX_GROUPS_TRIED {
            let page = Page {
                collection: Collection::EnrollmentGroups,
                instance,
                owner: Some(record::SYMMETRIC_KEY_OWNER),
                after: after.as_deref(),
                limit: limits::MAX_PAGE,
            };
            let documents = self.store.page(page).await?;
            let Some(last) = documents.last() else { break };
            let next = last.id.clone();
            for document in &documents {
                if let Mechanism::SymmetricKey(keys) = record::read_group(document)?.attestation {
                    ring.push((document.id.clone(), GroupKeys::prepare(&keys)));
                }
            }
            after = Some(next);
        }
        Ok(ring)
    }
}

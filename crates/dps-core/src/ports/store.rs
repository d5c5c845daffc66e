//! The store port: versioned documents under (collection, instance, id), written atomically and durably.
//!
//! Document-shaped on purpose: an embedded and a cluster store implement these few methods and know nothing of
//! enrollments. Correctness lives in the preconditions, never in a cache. What must not be readable at rest goes into
//! `sealed`; the store encrypts it, bound to the document's key.

use async_trait::async_trait;
use dps_model::{Error, Etag, Secret};

/// A kind of document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Collection {
    /// Provisioning services.
    Instances,
    /// Individual enrollments, by registration id key.
    Enrollments,
    /// Enrollment groups, by group id key.
    EnrollmentGroups,
    /// Which enrollment a certificate stands in, by thumbprint.
    CertificateClaims,
    /// Registrations with their current operation, by registration id key.
    Registrations,
    /// Devices of the development hubs; the instance is the hub's name.
    HubDevices,
    /// The server's own settings.
    Settings,
    /// Alert rules, diagnostic settings, alerts and what else watching keeps; the instance is the kind of document.
    Monitoring,
    /// Minute rollups of metrics; apart, since they are many.
    Rollups,
}

impl Collection {
    /// Every collection.
    pub const ALL: [Self; 9] = [
        Self::Instances,
        Self::Enrollments,
        Self::EnrollmentGroups,
        Self::CertificateClaims,
        Self::Registrations,
        Self::HubDevices,
        Self::Settings,
        Self::Monitoring,
        Self::Rollups,
    ];

    /// Stable name; tables are called so.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Instances => "instances",
            Self::Enrollments => "enrollments",
            Self::EnrollmentGroups => "enrollment_groups",
            Self::CertificateClaims => "certificate_claims",
            Self::Registrations => "registrations",
            Self::HubDevices => "hub_devices",
            Self::Settings => "settings",
            Self::Monitoring => "monitoring",
            Self::Rollups => "rollups",
        }
    }
}

/// One stored document.
#[derive(Clone)]
pub struct Document {
    /// Id within collection and instance.
    pub id: String,
    /// Version; the writer makes a fresh one for each write.
    pub etag: Etag,
    /// JSON text; holds nothing secret.
    pub body: String,
    /// Encrypted at rest.
    pub sealed: Option<Secret>,
    /// Indexed: what the document belongs to (the group of a registration).
    pub owner: Option<String>,
    /// Indexed: when somebody must look at the document again, in Unix milliseconds (the lease of an operation).
    pub due: Option<i64>,
    /// Indexed: further texts under which `find` finds the document; at most `limits::MAX_LOOKUPS`.
    pub lookups: Vec<String>,
}

/// What must hold for a write to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing.
    None,
    /// No document has this id.
    Absent,
    /// A document has this id.
    Present,
    /// The document has this version.
    Matches(Etag),
}

/// One write. Writes given together happen together or not at all.
#[derive(Clone)]
pub enum Write {
    /// Create or replace.
    Put {
        /// Where.
        collection: Collection,
        /// Whose.
        instance: String,
        /// What.
        document: Document,
        /// Only if.
        precondition: Precondition,
    },
    /// Remove; removing what is absent succeeds under `Precondition::None`.
    Delete {
        /// Where.
        collection: Collection,
        /// Whose.
        instance: String,
        /// Which.
        id: String,
        /// Only if.
        precondition: Precondition,
    },
    /// Remove every document of an instance.
    Clear {
        /// Where.
        collection: Collection,
        /// Whose.
        instance: String,
    },
}

/// Why a precondition did not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `Absent` was asked, and a document is there.
    Exists,
    /// `Present` or `Matches` was asked, and none is there.
    Missing,
    /// `Matches` was asked, and the version is another.
    Mismatch,
}

/// Why a store call did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The write at that index was refused; none of the writes happened.
    #[error("write {index} was refused: {why:?}")]
    Refused {
        /// Index into the writes.
        index: usize,
        /// Why.
        why: Refusal,
    },
    /// Too many writes wait; nothing happened.
    #[error("the store's queue is full")]
    Busy,
    /// The store failed (disk full, damaged, closed); nothing was acknowledged.
    #[error("the store failed: {0}")]
    Failed(String),
}

impl StoreError {
    /// Why the precondition did not hold, when that is the reason.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Refused { why, .. } => Some(*why),
            Self::Busy | Self::Failed(_) => None,
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Busy => Error::new(dps_model::ErrorCode::Throttled)
                .because(error.to_string())
                .retry_after(dps_model::limits::RETRY_AFTER_BUSY),
            _ => Error::internal(error),
        }
    }
}

/// A page of a collection, in the order of ids.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// Which collection.
    pub collection: Collection,
    /// Whose documents.
    pub instance: &'a str,
    /// Only those with this owner.
    pub owner: Option<&'a str>,
    /// Only those with greater ids.
    pub after: Option<&'a str>,
    /// At most so many (and never more than `limits::MAX_PAGE`).
    pub limit: usize,
}

/// A place that keeps documents. Every method may be called from many tasks at once.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The document of that id.
    async fn get(
        &self,
        collection: Collection,
        instance: &str,
        id: &str,
    ) -> Result<Option<Document>, StoreError>;

    /// Does all writes, or none. When it returns `Ok` they survive a crash of the machine.
    async fn write(&self, writes: Vec<Write>) -> Result<(), StoreError>;

    /// Documents that have at least one of the lookup texts, each once, in the order of ids.
    async fn find(
        &self,
        collection: Collection,
        instance: &str,
        lookups: &[String],
    ) -> Result<Vec<Document>, StoreError>;

    /// One page.
    async fn page(&self, page: Page<'_>) -> Result<Vec<Document>, StoreError>;

    /// Documents of all instances whose `due` is at or before that instant, earliest first, with their instance.
    async fn due(
        &self,
        collection: Collection,
        at_or_before: i64,
        limit: usize,
    ) -> Result<Vec<(String, Document)>, StoreError>;

    /// How many documents an instance has.
    async fn count(&self, collection: Collection, instance: &str) -> Result<u64, StoreError>;
}

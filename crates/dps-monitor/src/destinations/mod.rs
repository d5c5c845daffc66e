//! Destinations of diagnostic settings other than the built-in workspace. Owns the port that each kind of destination
//! implements and what is delivered; must not know settings, buffers or retries.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dps_model::Timestamp;

use crate::logs::ResourceLog;

/// Where records are delivered to.
#[async_trait]
pub trait Destination: Send + Sync + 'static {
    /// Delivers all of them or says why not; the same batch may come again after a failure.
    async fn deliver(&self, batch: &Batch) -> Result<(), DeliveryError>;

    /// The event hub of that name there (`eventHubName` of a setting); none where event hubs mean nothing. Without a
    /// name the category decides.
    fn event_hub(&self, _name: &str) -> Option<Arc<dyn Destination>> {
        None
    }
}

/// Records of one provisioning service, delivered together.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// When the first of them was received: the hour that storage files them under.
    pub received: Timestamp,
    /// ARM id of the provisioning service, in upper case.
    pub resource_id: String,
    /// Of which category.
    pub records: Records,
}

/// Records of one kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Records {
    /// Resource logs of one category.
    Logs(Vec<ResourceLog>),
    /// Totals of metrics' minutes.
    Metrics(Vec<MetricMinute>),
}

/// What a metric came to in a minute, dimensions dropped.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricMinute {
    /// When the minute began.
    pub time: Timestamp,
    /// Name of the metric.
    pub name: &'static str,
    /// `Count`, `MilliSeconds` …
    pub unit: &'static str,
    /// Sum of the points.
    pub total: f64,
    /// Number of them.
    pub count: u64,
    /// The least.
    pub minimum: f64,
    /// The greatest.
    pub maximum: f64,
}

/// Why a batch was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// It may succeed later.
    #[error("{why}")]
    Later {
        /// What happened; holds no secret.
        why: String,
        /// Not before.
        after: Option<Duration>,
    },
    /// It never will: the destination refuses it.
    #[error("{0}")]
    Refused(String),
}

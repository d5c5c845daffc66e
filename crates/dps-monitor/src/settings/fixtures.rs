//! Settings, destinations that remember or fail on demand, and a state in memory. For tests alone.

#![allow(clippy::unwrap_used, reason = "these are for tests")]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dps_model::{Timestamp, TrackingId};
use tokio::sync::Notify;

use super::rules::{Destinations, Workspace};
use super::setting::{LogChoice, Setting};
use crate::destinations::{Batch, DeliveryError, Destination, MetricMinute};
use crate::logs::{Category, ResourceLog};

pub(super) const WORKSPACE: &str = "11111111-2222-3333-4444-555555555555";
pub(super) const STORAGE: &str = "/subscriptions/s/providers/Microsoft.Storage/storageAccounts/files";
pub(super) const STREAM: &str = "/subscriptions/s/providers/Microsoft.EventHub/namespaces/n/rules/r";
pub(super) const RESOURCE: &str =
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/provisioningServices/dps";

/// Keeps batches, after the answers that it was told to give first.
#[derive(Default)]
pub(super) struct Remembers {
    batches: Mutex<Vec<Batch>>,
    answers: Mutex<Vec<Answer>>,
    pub(super) called: Notify,
    /// The event hub of whatever name.
    pub(super) hub: Option<Arc<Self>>,
}

/// What a destination does.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Fails(DeliveryError),
    Hangs,
    Panics,
}

impl Remembers {
    /// The first answers, in this order.
    pub(super) fn after(answers: impl IntoIterator<Item = Answer>) -> Arc<Self> {
        let mut answers: Vec<Answer> = answers.into_iter().collect();
        answers.reverse();
        Arc::new(Self { answers: Mutex::new(answers), ..Self::default() })
    }

    /// One of an event stream.
    pub(super) fn with_hub() -> Arc<Self> {
        Arc::new(Self { hub: Some(Arc::default()), ..Self::default() })
    }

    pub(super) fn batches(&self) -> Vec<Batch> {
        self.batches.lock().unwrap().clone()
    }
}

#[async_trait]
impl Destination for Remembers {
    async fn deliver(&self, batch: &Batch) -> Result<(), DeliveryError> {
        self.called.notify_one();
        let answer = self.answers.lock().unwrap().pop();
        match answer {
            Some(Answer::Fails(error)) => return Err(error),
            Some(Answer::Hangs) => std::future::pending().await,
            #[allow(clippy::panic, reason = "that is what it is for")]
            Some(Answer::Panics) => panic!("a destination's bug"),
            None => self.batches.lock().unwrap().push(batch.clone()),
        }
        Ok(())
    }

    fn event_hub(&self, _name: &str) -> Option<Arc<dyn Destination>> {
        self.hub.clone().map(|hub| hub as _)
    }
}

/// A workspace, storage and a stream.
pub(super) fn destinations(storage: Arc<dyn Destination>, stream: Arc<dyn Destination>) -> Destinations {
    Destinations {
        workspace: Some(Workspace {
            id: WORKSPACE.to_owned(),
            resource_id: "/subscriptions/s/providers/Microsoft.OperationalInsights/workspaces/w".to_owned(),
        }),
        external: [(STORAGE.to_lowercase(), storage), (STREAM.to_lowercase(), stream)].into(),
    }
}

/// The same with nobody behind them.
pub(super) fn silent() -> Destinations {
    destinations(Arc::new(Remembers::default()), Remembers::with_hub())
}

/// A setting of that name that sends a category to storage.
pub(super) fn to_storage(name: &str, category: &str) -> Setting {
    Setting {
        name: name.to_owned(),
        storage_account_id: Some(STORAGE.to_owned()),
        logs: vec![LogChoice { category: Some(category.to_owned()), enabled: true, ..LogChoice::default() }],
        ..Setting::default()
    }
}

/// A log of the resource; the number can be found in it again.
pub(super) fn log(category: Category, number: u64) -> ResourceLog {
    ResourceLog {
        time: Timestamp::from_millis(0),
        resource_id: RESOURCE.to_uppercase(),
        operation_name: "AttestationAttempt",
        operation_version: "March2019",
        category,
        level: "Information",
        result_type: "Success",
        result_signature: String::new(),
        result_description: String::new(),
        duration_ms: number,
        caller_ip_address: "192.0.2.XXX".into(),
        correlation_id: TrackingId::fresh(),
        location: "local".into(),
        properties: "{}".into(),
        cause: "",
    }
}

/// A minute of a metric with that count.
pub(super) fn minute(count: u64) -> MetricMinute {
    let (name, unit) = ("AttestationAttempts", "Count");
    MetricMinute {
        time: Timestamp::from_millis(0),
        name,
        unit,
        total: 1.0,
        count,
        minimum: 1.0,
        maximum: 1.0,
    }
}

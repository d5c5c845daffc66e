//! The way to one destination of one setting: a buffer, and a task that empties it in batches, tries again, and gives up
//! at last. Must not know other destinations, which is why none can hold another one up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dps_events::{DeliveryLabels, Metrics};
use dps_model::Timestamp;
use dps_model::limits::{
    DELIVERY_DRAIN, DELIVERY_GATHER, DELIVERY_RETRY, DELIVERY_TIMEOUT, MAX_DELIVERIES_BYTES_WAITING,
    MAX_DELIVERY_AFTER, MAX_DELIVERY_ATTEMPTS, MAX_DELIVERY_RETRY,
};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::buffer::{Buffer, Item, Taken};
use crate::destinations::{Batch, DeliveryError};
use crate::ports::IdParts;
use crate::settings::effect::Outlet;

/// The way to one destination.
pub(super) struct Channel {
    outlet: Arc<Outlet>,
    labels: DeliveryLabels,
    metrics: Arc<Metrics>,
    /// Bytes that wait for all destinations.
    waiting: Arc<AtomicUsize>,
    inner: Mutex<Inner>,
    /// Something waits.
    more: Notify,
    /// A whole batch waits.
    full: Notify,
    closing: watch::Sender<bool>,
}

#[derive(Default)]
struct Inner {
    buffer: Buffer,
    closed: bool,
    /// Records are being dropped because there is no room: said already.
    overflowing: bool,
    /// The destination does not take what it is sent: said already.
    failing: bool,
}

/// What is to be done next.
enum Look {
    Closed,
    Empty,
    /// A part of a batch waits.
    Gather,
    Take(Option<Taken>),
}

impl Channel {
    pub(super) fn new(outlet: Arc<Outlet>, metrics: Arc<Metrics>, waiting: Arc<AtomicUsize>) -> Arc<Self> {
        let labels = DeliveryLabels {
            instance: IdParts::of(&outlet.key.resource_id).name.to_lowercase(),
            setting: outlet.key.setting.clone(),
            destination: outlet.key.kind.name(),
        };
        let (more, full, closing) = (Notify::new(), Notify::new(), watch::Sender::new(false));
        Arc::new(Self { outlet, labels, metrics, waiting, inner: Mutex::default(), more, full, closing })
    }

    /// Takes a record, or drops it, at once.
    pub(super) fn push(&self, item: Item, now: Timestamp) {
        let size = item.size();
        let total = self.waiting.fetch_add(size, Ordering::AcqRel) + size;
        let mut inner = self.inner();
        let closed = inner.closed;
        let fits = total <= MAX_DELIVERIES_BYTES_WAITING && !closed;
        if fits && inner.buffer.push(item, size, now) {
            let full = inner.buffer.has_a_batch();
            drop(inner);
            self.more.notify_one();
            if full {
                self.full.notify_one();
            }
            return;
        }
        let said = std::mem::replace(&mut inner.overflowing, true) || closed;
        drop(inner);
        self.waiting.fetch_sub(size, Ordering::AcqRel);
        self.metrics.delivery_dropped(&self.labels, if closed { "closed" } else { "queue" }, 1);
        if !said {
            let DeliveryLabels { instance, setting, destination } = &self.labels;
            tracing::error!(
                instance,
                setting,
                destination,
                "records come faster than the destination takes them; they are counted as dropped"
            );
        }
    }

    /// Takes nothing more, delivers what waits in the time that is left for it, and ends `run`.
    pub(super) fn close(&self) {
        self.inner().closed = true;
        self.closing.send_replace(true);
        self.more.notify_one();
        self.full.notify_one();
    }

    /// Empties the buffer until the channel is closed.
    pub(super) async fn run(self: Arc<Self>) {
        let mut closing = self.closing.subscribe();
        let overtime = async {
            // Fails only when the sender is gone, which this channel holds.
            let _ = closing.wait_for(|closing| *closing).await;
            tokio::time::sleep(Duration::from_secs(DELIVERY_DRAIN)).await;
        };
        tokio::select! {
            () = self.work() => {}
            () = overtime => {
                let (records, bytes) = self.inner().buffer.held();
                self.waiting.fetch_sub(bytes, Ordering::AcqRel);
                self.metrics.delivery_dropped(&self.labels, "closed", records as u64);
                let DeliveryLabels { instance, setting, destination } = &self.labels;
                tracing::warn!(
                    instance, setting, destination, records,
                    "records could not be delivered in the time before the end; they are counted as dropped"
                );
            }
        }
    }

    async fn work(&self) {
        while let Some(taken) = self.next().await {
            let (count, bytes) = (taken.count, taken.bytes);
            self.deliver(taken).await;
            let mut inner = self.inner();
            inner.buffer.done(count, bytes);
            inner.overflowing = false;
            drop(inner);
            self.waiting.fetch_sub(bytes, Ordering::AcqRel);
        }
    }

    /// The next batch: when it is as large as may be, or its first record has waited for its gathering.
    async fn next(&self) -> Option<Taken> {
        loop {
            match self.look() {
                Look::Closed => return None,
                Look::Take(taken) => return taken,
                Look::Empty => self.more.notified().await,
                Look::Gather => {
                    let gather = Duration::from_millis(DELIVERY_GATHER);
                    // Early or not: what waits goes now.
                    let _ = tokio::time::timeout(gather, self.full.notified()).await;
                    return self.inner().buffer.take();
                }
            }
        }
    }

    fn look(&self) -> Look {
        let mut inner = self.inner();
        match (inner.buffer.is_empty(), inner.closed) {
            (true, true) => Look::Closed,
            (true, false) => Look::Empty,
            (false, closed) if closed || inner.buffer.has_a_batch() => Look::Take(inner.buffer.take()),
            (false, _) => Look::Gather,
        }
    }

    async fn deliver(&self, taken: Taken) {
        let batch = Arc::new(Batch {
            received: taken.received,
            resource_id: self.outlet.key.resource_id.clone(),
            records: taken.records,
        });
        let records = taken.count as u64;
        let mut wait = Duration::from_secs(DELIVERY_RETRY);
        for attempt in 1..=MAX_DELIVERY_ATTEMPTS {
            let (why, after) = match self.attempt(&batch).await {
                Ok(()) => {
                    self.metrics.delivered(&self.labels, records);
                    self.recovered();
                    return;
                }
                Err(DeliveryError::Refused(why)) => {
                    self.metrics.delivery_dead(&self.labels, "refused", records);
                    self.failed(&why);
                    return;
                }
                Err(DeliveryError::Later { why, after }) => (why, after),
            };
            self.failed(&why);
            if attempt < MAX_DELIVERY_ATTEMPTS {
                self.metrics.delivery_retried(&self.labels);
                let asked = after.unwrap_or_default().min(Duration::from_secs(MAX_DELIVERY_AFTER));
                tokio::time::sleep(wait.max(asked)).await;
                wait = (wait * 2).min(Duration::from_secs(MAX_DELIVERY_RETRY));
            }
        }
        self.metrics.delivery_dead(&self.labels, "exhausted", records);
    }

    /// On a task of its own: a bug of a destination ends that alone.
    async fn attempt(&self, batch: &Arc<Batch>) -> Result<(), DeliveryError> {
        let (destination, batch) = (Arc::clone(&self.outlet.destination), Arc::clone(batch));
        let later = |why: String| Err(DeliveryError::Later { why, after: None });
        let mut task = JoinSet::new();
        task.spawn(async move { destination.deliver(&batch).await });
        match tokio::time::timeout(Duration::from_secs(DELIVERY_TIMEOUT), task.join_next()).await {
            Ok(Some(Ok(result))) => result,
            Ok(Some(Err(error))) => later(format!("the delivery broke off: {error}")),
            Ok(None) => later("the delivery was never begun".to_owned()),
            Err(_) => later(format!("the destination did not answer within {DELIVERY_TIMEOUT} s")),
        }
    }

    /// An outage must not flood the log: its beginning is said, and its end.
    fn failed(&self, why: &str) {
        if !std::mem::replace(&mut self.inner().failing, true) {
            let DeliveryLabels { instance, setting, destination } = &self.labels;
            tracing::error!(instance, setting, destination, why, "a diagnostic setting cannot be delivered");
        }
    }

    fn recovered(&self) {
        if std::mem::replace(&mut self.inner().failing, false) {
            let DeliveryLabels { instance, setting, destination } = &self.labels;
            tracing::info!(instance, setting, destination, "a diagnostic setting is delivered again");
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

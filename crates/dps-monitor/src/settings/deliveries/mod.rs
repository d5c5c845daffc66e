//! Deliveries: records on their way to destinations outside the server. Each destination of each setting has a channel
//! of its own. Who brings a record never waits; what is not delivered is counted, by its cause. What waits is in memory
//! and lost with the process.

mod buffer;
mod channel;

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dps_events::{Event, Metrics};
use dps_model::Timestamp;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use self::buffer::Item;
use self::channel::Channel;
use super::book::SettingsBook;
use super::effect::{Outlet, OutletKey};
use crate::destinations::MetricMinute;
use crate::logs::{LogRecord, Projection, ResourceLog};

/// Records on their way.
pub struct Deliveries {
    book: Arc<SettingsBook>,
    metrics: Arc<Metrics>,
    runtime: Handle,
    waiting: Arc<AtomicUsize>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    channels: HashMap<OutletKey, Arc<Channel>>,
    tasks: Vec<JoinHandle<()>>,
    closed: bool,
}

impl Deliveries {
    /// Of that book's settings; what is delivered runs on that runtime.
    pub fn new(book: Arc<SettingsBook>, metrics: Arc<Metrics>, runtime: Handle) -> Self {
        Self { book, metrics, runtime, waiting: Arc::default(), open: Mutex::default() }
    }

    /// Takes an event: the recorder's listener calls it.
    pub fn observe(&self, event: &Event, projection: &Projection, now: Timestamp) {
        if !self.book.leaves_the_server() {
            return;
        }
        if let Some(LogRecord::Resource(log)) = projection.project(event) {
            self.take(&log, now);
        }
    }

    /// Takes a log, received now.
    pub fn take(&self, log: &ResourceLog, now: Timestamp) {
        let effect = self.book.effect(&log.resource_id);
        for outlet in effect.outlets.iter().filter(|outlet| outlet.takes(log.category)) {
            if let Some(channel) = self.channel(outlet) {
                channel.push(Item::Log(log.clone()), now);
            }
        }
    }

    /// Takes metrics for an outlet.
    pub fn take_metrics(&self, outlet: &Arc<Outlet>, minutes: &[MetricMinute], now: Timestamp) {
        if let Some(channel) = self.channel(outlet) {
            for minute in minutes {
                channel.push(Item::Metric(minute.clone()), now);
            }
        }
    }

    /// Closes the channels of settings that are there no more, or send elsewhere.
    pub fn settle(&self) {
        let mut open = self.open();
        open.channels.retain(|key, channel| {
            let effect = self.book.effect(&key.resource_id);
            let wanted = effect.outlets.iter().any(|outlet| outlet.key == *key);
            if !wanted {
                channel.close();
            }
            wanted
        });
        open.tasks.retain(|task| !task.is_finished());
    }

    /// Delivers what waits, each destination within its bound, and takes nothing more.
    pub async fn close(&self) {
        let tasks = {
            let mut open = self.open();
            open.closed = true;
            open.channels.drain().for_each(|(_, channel)| channel.close());
            std::mem::take(&mut open.tasks)
        };
        for task in tasks {
            let _ = task.await; // a panic in there was printed by its hook
        }
    }

    /// The channel of an outlet; none once all are closed.
    fn channel(&self, outlet: &Arc<Outlet>) -> Option<Arc<Channel>> {
        let mut open = self.open();
        if open.closed {
            return None;
        }
        if let Some(channel) = open.channels.get(&outlet.key) {
            return Some(Arc::clone(channel));
        }
        let (metrics, waiting) = (Arc::clone(&self.metrics), Arc::clone(&self.waiting));
        let channel = Channel::new(Arc::clone(outlet), metrics, waiting);
        open.tasks.push(self.runtime.spawn(Arc::clone(&channel).run()));
        open.channels.insert(outlet.key.clone(), Arc::clone(&channel));
        Some(channel)
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;

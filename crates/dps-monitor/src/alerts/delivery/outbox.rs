//! The outbox: which notifications wait, which may be posted now, and what becomes of a post. Must not know how a post is
//! made.
//!
//! Documents are the truth; memory holds for each only what the order of posts needs. A webhook that hangs or fails holds up
//! no other: posts at once and notifications that wait are bounded for each as well as for all.

mod waiting;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dps_events::Metrics;
use dps_model::limits::{
    MAX_NOTIFICATION_AGE, MAX_PAGE, NOTIFICATION_STATE_RETRY, NOTIFICATION_WAITS, WEBHOOK_MUTE,
};
use dps_model::{Secret, Timestamp};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::{Notification, payload, sample::sample};
use crate::alerts::Now;
use crate::alerts::group::{ActionGroup, WebhookReceiver};
use crate::ports::{
    Kept, MonitorState, Notifier, RuleSource, Shelf, StateError, StateWrite, TryOut, WebhookPost,
};
use waiting::Waiting;

/// Notifications on their way.
pub struct Outbox {
    state: Arc<dyn MonitorState>,
    rules: Arc<dyn RuleSource>,
    webhooks: Arc<dyn WebhookPost>,
    now: Now,
    waiting: Mutex<Waiting>,
    /// There may be documents that memory does not know.
    unseen: AtomicBool,
    wake: Notify,
    metrics: Arc<Metrics>,
}

/// What became of posts so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Accepted.
    pub delivered: u64,
    /// To be tried again.
    pub retried: u64,
    /// Answered with a status that says that trying again is no use.
    pub refused: u64,
    /// Tried for the last time, or too old.
    pub given_up: u64,
    /// That wait.
    pub waiting: usize,
}

/// What became of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is gone: delivered, refused, given up, or for nobody.
    Gone,
    /// It is to be posted at that time.
    Again(Timestamp),
    /// It is settled, and its document is to be removed at that time.
    Settled(Timestamp),
    /// It is gone, and its webhook is left alone until then.
    Mutes(Timestamp),
    /// The same, and its document is still to be removed.
    SettledAndMutes(Timestamp, Timestamp),
}

/// What a post came to.
enum Posted {
    Accepted,
    /// Trying again may help.
    Failed(String),
    Refused(u16),
}

impl Outbox {
    /// Over that state; nothing is posted before it runs.
    pub fn new(
        state: Arc<dyn MonitorState>,
        rules: Arc<dyn RuleSource>,
        webhooks: Arc<dyn WebhookPost>,
        metrics: Arc<Metrics>,
        now: Now,
    ) -> Self {
        Self {
            state,
            rules,
            webhooks,
            now,
            waiting: Mutex::default(),
            unseen: AtomicBool::new(true),
            wake: Notify::new(),
            metrics,
        }
    }

    /// Is there a place for it?
    pub fn admits(&self, notification: &Notification) -> bool {
        self.waiting().admits(&notification.endpoint())
    }

    /// Takes notifications that are written.
    pub fn add<'a>(&self, notifications: impl Iterator<Item = &'a Notification>) {
        let mut waiting = self.waiting();
        notifications.for_each(|notification| waiting.add(notification));
        drop(waiting);
        self.wake.notify_one();
    }

    /// There may be notifications that it was not told of.
    pub fn look_again(&self) {
        self.unseen.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// What became of posts so far.
    pub fn counts(&self) -> Counts {
        Counts {
            delivered: self.metrics.notifications_posted("delivered"),
            retried: self.metrics.notifications_posted("retried"),
            refused: self.metrics.notifications_posted("refused"),
            given_up: self.metrics.notifications_posted("given_up"),
            waiting: self.waiting().len(),
        }
    }

    /// Posts what is due until it is told to stop; then lets posts end that are made.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut posts: JoinSet<()> = JoinSet::new();
        while !*stop.borrow_and_update() {
            let look = self.look().await;
            let now = (self.now)();
            // Without all documents the order is not known.
            let (ids, next) = if look.is_none() { self.waiting().start(now) } else { Default::default() };
            self.metrics.notifications_wait(self.waiting().len());
            for id in ids {
                let outbox = Arc::clone(&self);
                posts.spawn(async move { outbox.deliver(&id).await });
            }
            let next = [look, next.map(|at| until(now, at))].into_iter().flatten().min();
            tokio::select! {
                told = stop.changed() => if told.is_err() { break }, // nobody is there to tell
                () = self.wake.notified() => {}
                Some(_) = posts.join_next() => {}
                () = tokio::time::sleep(next.unwrap_or(Duration::MAX)) => {}
            }
        }
        while posts.join_next().await.is_some() {}
    }

    /// Takes in documents that memory does not know; how long until that is tried again, where it failed.
    async fn look(&self) -> Option<Duration> {
        if !self.unseen.swap(false, Ordering::Relaxed) {
            return None;
        }
        let Err(error) = self.load().await else { return None };
        tracing::warn!(%error, "notifications that wait cannot be read; this is tried again");
        self.unseen.store(true, Ordering::Relaxed);
        Some(Duration::from_secs(NOTIFICATION_STATE_RETRY))
    }

    async fn load(&self) -> Result<(), StateError> {
        let mut after: Option<String> = None;
        loop {
            let page = self.state.list(Shelf::Notifications, after.as_deref(), MAX_PAGE).await?;
            let is_last = page.len() < MAX_PAGE;
            for kept in &page {
                match read(kept) {
                    Some(notification) => self.waiting().add(&notification),
                    None => self.remove(&kept.id).await?,
                }
            }
            after = page.last().map(|kept| kept.id.clone());
            if is_last {
                return Ok(());
            }
        }
    }

    async fn remove(&self, id: &str) -> Result<(), StateError> {
        self.state.write(vec![StateWrite::Delete { shelf: Shelf::Notifications, id: id.to_owned() }]).await
    }

    /// Takes a notification one step further.
    async fn deliver(&self, id: &str) {
        // Whatever becomes of this task, the notification does not stay in its hands.
        let _hands = Hands { outbox: self, id };
        let is_settled = self.waiting().is_settled(id);
        let fate = if is_settled { self.settle(id).await } else { self.attempt(id).await };
        self.waiting().finish(id, fate);
    }

    /// Removes the document of a notification that is done with.
    async fn settle(&self, id: &str) -> Fate {
        match self.remove(id).await {
            Ok(()) => Fate::Gone,
            Err(error) => {
                tracing::warn!(id, %error, "a notification that is done with cannot be removed yet");
                Fate::Settled(self.later(NOTIFICATION_STATE_RETRY))
            }
        }
    }

    async fn attempt(&self, id: &str) -> Fate {
        let notification = match self.state.get(Shelf::Notifications, id).await {
            Ok(Some(kept)) => read(&kept),
            Ok(None) => return Fate::Gone,
            Err(error) => {
                tracing::warn!(id, %error, "a notification cannot be read yet");
                return Fate::Again(self.later(NOTIFICATION_STATE_RETRY));
            }
        };
        let Some(notification) = notification else { return self.settle(id).await };
        let Some((group, receiver)) = self.receiver(&notification) else {
            tracing::info!(
                group = notification.group,
                receiver = notification.receiver,
                "the webhook of a notification is there no more, or its group is disabled"
            );
            return self.settle(id).await;
        };
        let body = payload(&notification, receiver.form);
        let posted = post(self.webhooks.as_ref(), &receiver.uri, body).await;
        self.judge(id, notification, &group, posted).await
    }

    fn receiver(&self, notification: &Notification) -> Option<(Arc<ActionGroup>, WebhookReceiver)> {
        let group = self.rules.group(&notification.group).filter(|group| group.enabled)?;
        let named = |receiver: &&WebhookReceiver| receiver.name.eq_ignore_ascii_case(&notification.receiver);
        let receiver = group.webhooks.iter().find(named)?.clone();
        Some((group, receiver))
    }

    async fn judge(
        &self,
        id: &str,
        mut notification: Notification,
        group: &ActionGroup,
        posted: Posted,
    ) -> Fate {
        let (rule, receiver) = (notification.alert.rule.clone(), notification.receiver.clone());
        let group = group.name.as_str();
        match posted {
            Posted::Accepted => {
                self.metrics.notification_posted("delivered");
                self.settle(id).await
            }
            Posted::Refused(status) => {
                self.metrics.notification_posted("refused");
                tracing::error!(rule, group, receiver, status, "a webhook refused a notification");
                self.settle(id).await
            }
            Posted::Failed(why) => {
                let tried = usize::try_from(notification.attempts).unwrap_or(usize::MAX);
                let age = (self.now)().millis().saturating_sub(notification.created.millis());
                let wait = NOTIFICATION_WAITS.get(tried).filter(|_| age < MAX_NOTIFICATION_AGE * 3_600_000);
                let Some(wait) = wait else {
                    self.metrics.notification_posted("given_up");
                    tracing::error!(
                        rule,
                        group,
                        receiver,
                        why,
                        "a webhook did not accept a notification, which is given up; it is left alone for a while"
                    );
                    let until = self.later(WEBHOOK_MUTE);
                    return match self.settle(id).await {
                        Fate::Settled(at) => Fate::SettledAndMutes(at, until),
                        _ => Fate::Mutes(until),
                    };
                };
                self.metrics.notification_posted("retried");
                tracing::warn!(rule, group, receiver, why, wait, "a webhook did not accept a notification");
                notification.attempts = notification.attempts.saturating_add(1);
                notification.due = self.later(*wait);
                if let Err(error) = self.state.write(vec![notification.put()]).await {
                    tracing::warn!(id, %error, "that a notification was tried could not be written");
                }
                Fate::Again(notification.due)
            }
        }
    }

    fn later(&self, seconds: u64) -> Timestamp {
        (self.now)().plus_millis(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A notification in the hands of a task.
struct Hands<'a> {
    outbox: &'a Outbox,
    id: &'a str,
}

impl Drop for Hands<'_> {
    fn drop(&mut self) {
        // Nothing, where it is finished.
        let at = self.outbox.later(NOTIFICATION_STATE_RETRY);
        self.outbox.waiting().let_go(self.id, at);
    }
}

#[async_trait]
impl Notifier for Outbox {
    async fn try_out(&self, group: &ActionGroup) -> Vec<TryOut> {
        let mut tries = JoinSet::new();
        for (place, receiver) in group.webhooks.iter().enumerate() {
            let body = payload(&sample(group, receiver, (self.now)()), receiver.form);
            let (webhooks, uri) = (Arc::clone(&self.webhooks), receiver.uri.clone());
            let name = receiver.name.clone();
            tries.spawn(async move {
                let failure = match post(webhooks.as_ref(), &uri, body).await {
                    Posted::Accepted => None,
                    Posted::Failed(why) => Some(why),
                    Posted::Refused(status) => Some(format!("it answered {status}")),
                };
                (place, TryOut { receiver: name, failure })
            });
        }
        let mut outcomes = tries.join_all().await;
        outcomes.sort_by_key(|(place, _)| *place);
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }
}

/// Posts once.
async fn post(webhooks: &dyn WebhookPost, uri: &Secret, body: Vec<u8>) -> Posted {
    match webhooks.post(uri, body).await {
        Ok(200..=299) => Posted::Accepted,
        Ok(status @ (408 | 429 | 503 | 504)) => Posted::Failed(format!("it answered {status}")),
        Ok(status) => Posted::Refused(status),
        Err(why) => Posted::Failed(why),
    }
}

/// Reads a document; damage is said.
fn read(kept: &Kept) -> Option<Notification> {
    serde_json::from_str(&kept.body)
        .inspect_err(
            |error| tracing::error!(id = kept.id, %error, "a notification cannot be read and is dropped"),
        )
        .ok()
}

fn until(now: Timestamp, at: Timestamp) -> Duration {
    // At least a moment: a clock that stands still must not make this spin.
    Duration::from_millis(u64::try_from(at.millis().saturating_sub(now.millis())).unwrap_or(0).max(10))
}

#[cfg(test)]
mod tests;

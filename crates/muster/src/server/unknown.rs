//! Keeps the inbox of unknown devices: feeds it events, writes what changed, and forgets what is of nobody any more. Must
//! not know what a group is.

use std::sync::Arc;
use std::time::Duration;

use dps_core::Instances;
use dps_events::recorder::Listener;
use dps_model::limits::INBOX_FLUSH_INTERVAL;
use dps_monitor::inbox::Inbox;
use tokio::task::AbortHandle;

/// A listener of the recorder that shows each event to the inbox before another one sees it.
pub fn noting(inbox: &Arc<Inbox>, mut then: Listener) -> Listener {
    let inbox = Arc::clone(inbox);
    Box::new(move |event| {
        inbox.observe(event);
        then(event);
    })
}

/// Writes what has changed, until the task is ended.
pub fn keep_up(inbox: Arc<Inbox>, instances: Arc<Instances>) -> AbortHandle {
    let keeper = async move {
        let mut tick = tokio::time::interval(Duration::from_secs(INBOX_FLUSH_INTERVAL));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            tick.tick().await;
            inbox.forget(|name| instances.by_name(name).is_some());
            let result = inbox.flush().await;
            // A full disk must not flood the log: the first failure is said.
            let failed = result.is_err();
            if let Err(error) = result
                && !failing
            {
                tracing::error!(%error, "unknown devices cannot be written; they stay in memory and are tried again");
            }
            failing = failed;
        }
    };
    tokio::spawn(keeper).abort_handle()
}

/// Writes what has changed, for the last time.
pub async fn close(inbox: &Inbox) {
    if let Err(error) = inbox.flush().await {
        tracing::error!(%error, "the last unknown devices could not be written");
    }
}

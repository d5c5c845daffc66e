//! Alerts that were: finding them, counting them, and what people say of them. Owns filters, order and changes of state;
//! must not know how an alert comes about or resolves.

mod filter;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::sync::Arc;

use dps_model::limits::{ALERT_CHANGE_TRIES, MAX_ALERT_HISTORY, MAX_PAGE};
use dps_model::{Etag, Timestamp};
use uuid::Uuid;

use super::alert::{Alert, AlertState, Change, ChangeEvent};
use crate::ports::{Kept, MonitorState, Shelf, StateError, StateWrite};
pub use filter::{AlertFilter, TimeSpan};

/// The alerts that are kept.
#[derive(Clone)]
pub struct Archive(Arc<dyn MonitorState>);

/// What alerts are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortBy {
    /// Id.
    Name,
    /// Severity: the most severe one is the least.
    Severity,
    /// What people did.
    State,
    /// Fired or resolved.
    Condition,
    /// What it is about.
    Target,
    /// When it fired.
    Fired,
    /// When it changed last.
    Modified,
}

/// An order of alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// By what; equal ones by their ids.
    pub by: SortBy,
    /// The greatest first?
    pub descending: bool,
}

impl Order {
    fn compare(self, one: &Alert, other: &Alert) -> Ordering {
        let by = match self.by {
            SortBy::Name => one.id.cmp(&other.id),
            SortBy::Severity => one.severity.cmp(&other.severity),
            SortBy::State => one.state.name().cmp(other.state.name()),
            SortBy::Condition => one.condition.name().cmp(other.condition.name()),
            SortBy::Target => one.target.to_lowercase().cmp(&other.target.to_lowercase()),
            SortBy::Fired => one.fired.cmp(&other.fired),
            SortBy::Modified => one.modified.cmp(&other.modified),
        };
        let by = if self.descending { by.reverse() } else { by };
        by.then(one.id.cmp(&other.id))
    }
}

/// Some of the alerts.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The alerts.
    pub alerts: Vec<Alert>,
    /// Are there more behind them?
    pub more: bool,
}

/// What somebody says of an alert.
#[derive(Clone, Copy, Debug)]
pub struct Saying<'a> {
    /// Its new state.
    pub state: AlertState,
    /// Who says it.
    pub by: &'a str,
    /// Why.
    pub comment: &'a str,
}

impl Archive {
    /// The alerts of that state.
    pub fn new(state: Arc<dyn MonitorState>) -> Self {
        Self(state)
    }

    /// The alert of that id.
    pub async fn get(&self, id: Uuid) -> Result<Option<Alert>, StateError> {
        self.kept(id).await.map(|found| found.map(|(_, alert)| alert))
    }

    /// Alerts that pass, in order: those from the `skip`th on, at most `limit`.
    pub async fn find(
        &self,
        filter: &AlertFilter,
        order: Order,
        skip: usize,
        limit: usize,
    ) -> Result<Page, StateError> {
        let wanted = skip.saturating_add(limit).saturating_add(1);
        let mut found: Vec<Alert> = Vec::new();
        let shorten = |found: &mut Vec<Alert>| {
            found.sort_by(|one, other| order.compare(one, other));
            found.truncate(wanted);
        };
        self.each(|alert| {
            if filter.passes(&alert) {
                found.push(alert);
                // Only what the page needs is held, however many there are.
                if found.len() > wanted.saturating_mul(2) {
                    shorten(&mut found);
                }
            }
        })
        .await?;
        shorten(&mut found);
        let more = found.len() == wanted;
        let alerts = found.into_iter().skip(skip).take(limit).collect();
        Ok(Page { alerts, more })
    }

    /// Shows every alert to somebody.
    pub async fn each(&self, mut see: impl FnMut(Alert)) -> Result<(), StateError> {
        let mut after: Option<String> = None;
        loop {
            let page = self.0.list(Shelf::Alerts, after.as_deref(), MAX_PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id.clone());
            page.iter().filter_map(read).for_each(&mut see);
        }
    }

    /// Sets the state that people give to an alert. None when it is not there.
    pub async fn say(
        &self,
        id: Uuid,
        saying: Saying<'_>,
        now: Timestamp,
    ) -> Result<Option<Alert>, StateError> {
        for _ in 0..ALERT_CHANGE_TRIES {
            let Some((etag, mut alert)) = self.kept(id).await? else { return Ok(None) };
            if alert.state == saying.state && saying.comment.is_empty() {
                return Ok(Some(alert));
            }
            alert.history.push(Change {
                at: now,
                event: ChangeEvent::StateChange,
                old: alert.state.name().to_owned(),
                new: saying.state.name().to_owned(),
                by: saying.by.to_owned(),
                comment: saying.comment.to_owned(),
            });
            if alert.history.len() > MAX_ALERT_HISTORY {
                alert.history.remove(1); // the first says when it began
            }
            (alert.state, alert.modified) = (saying.state, now);
            let body =
                serde_json::to_string(&alert).map_err(|error| StateError::Failed(error.to_string()))?;
            let document = Kept { id: key(id), etag: Etag::fresh(), body, sealed: None };
            let write = StateWrite::Put { shelf: Shelf::Alerts, document, over: Some(Some(etag)) };
            match self.0.write(vec![write]).await {
                // Its rule was quicker.
                Err(StateError::Changed) => {}
                written => return written.map(|()| Some(alert)),
            }
        }
        Err(StateError::Busy)
    }

    async fn kept(&self, id: Uuid) -> Result<Option<(Etag, Alert)>, StateError> {
        let found = self.0.get(Shelf::Alerts, &key(id)).await?;
        Ok(found.and_then(|kept| read(&kept).map(|alert| (kept.etag, alert))))
    }
}

fn key(id: Uuid) -> String {
    id.simple().to_string()
}

fn read(kept: &Kept) -> Option<Alert> {
    match serde_json::from_str(&kept.body) {
        Ok(alert) => Some(alert),
        Err(error) => {
            tracing::error!(id = %kept.id, %error, "a kept alert cannot be read; it is left where it is");
            None
        }
    }
}

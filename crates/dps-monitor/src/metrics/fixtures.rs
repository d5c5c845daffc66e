//! A state in memory that fails on demand, and events to count. For tests alone.

#![allow(clippy::unwrap_used, reason = "these are for tests")]

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use dps_events::{AttemptRecord, Event, Operation, Outcome};
use dps_model::limits::MAX_PAGE;
use dps_model::{Channel, Error, ErrorCode, Protocol, Timestamp, TlsSession, TrackingId};

use super::Resource;
use crate::ports::{Kept, MonitorState, Shelf, StateError, StateWrite};

/// What the next write does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Break {
    /// Fails undone.
    Before,
    /// Is done, and says that it failed.
    After,
    /// Neither is done nor ends.
    Hang,
}

#[derive(Default)]
pub(crate) struct MemoryState {
    documents: Mutex<BTreeMap<(&'static str, String), Kept>>,
    breaks: Mutex<Option<Break>>,
}

impl MemoryState {
    pub(crate) fn break_next(&self, side: Break) {
        *self.breaks.lock().unwrap() = Some(side);
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.documents.lock().unwrap().keys().map(|(_, id)| id.clone()).collect()
    }

    pub(crate) fn bodies(&self) -> Vec<String> {
        self.documents.lock().unwrap().values().map(|kept| kept.body.clone()).collect()
    }

    pub(crate) fn edit(&self, edit: impl Fn(&mut String)) {
        self.documents.lock().unwrap().values_mut().for_each(|kept| edit(&mut kept.body));
    }

    pub(crate) fn damage(&self) {
        self.documents.lock().unwrap().values_mut().for_each(|kept| kept.body.truncate(10));
    }
}

#[async_trait]
impl MonitorState for MemoryState {
    async fn get(&self, shelf: Shelf, id: &str) -> Result<Option<Kept>, StateError> {
        Ok(self.documents.lock().unwrap().get(&(shelf.name(), id.to_owned())).cloned())
    }

    async fn list(&self, shelf: Shelf, after: Option<&str>, limit: usize) -> Result<Vec<Kept>, StateError> {
        let documents = self.documents.lock().unwrap();
        let behind = documents
            .iter()
            .filter(|((name, id), _)| *name == shelf.name() && after.is_none_or(|after| id.as_str() > after));
        Ok(behind.take(limit.min(MAX_PAGE)).map(|(_, kept)| kept.clone()).collect())
    }

    async fn write(&self, writes: Vec<StateWrite>) -> Result<(), StateError> {
        let broken = self.breaks.lock().unwrap().take();
        if broken == Some(Break::Hang) {
            std::future::pending::<()>().await;
        }
        if broken == Some(Break::Before) {
            return Err(StateError::Failed("broken before".into()));
        }
        let mut documents = self.documents.lock().unwrap();
        for write in writes {
            match write {
                StateWrite::Put { shelf, document, over } => {
                    let there = documents.get(&(shelf.name(), document.id.clone()));
                    if over.is_some_and(|over| over != there.map(|there| there.etag.clone())) {
                        return Err(StateError::Changed);
                    }
                    documents.insert((shelf.name(), document.id.clone()), document);
                }
                StateWrite::Delete { shelf, id } => {
                    documents.remove(&(shelf.name(), id));
                }
            }
        }
        match broken {
            None => Ok(()),
            Some(_) => Err(StateError::Failed("broken after".into())),
        }
    }
}

/// A register request of a device at that second.
pub(crate) fn attempt(service: &str, protocol: Protocol, good: bool, second: i64) -> Event {
    let channel = Channel { protocol, peer: "127.0.0.1:1".parse().unwrap(), tls: TlsSession::default() };
    let time = Timestamp::from_millis(second * 1_000);
    let mut record = AttemptRecord::open(TrackingId::fresh(), time, &channel, Operation::Register);
    record.instance = Some(service.to_owned());
    record.outcome =
        if good { Outcome::Success } else { Outcome::failed(&Error::new(ErrorCode::Unauthorized)) };
    Event::Attempt(Box::new(record))
}

pub(crate) fn resource(service: &str) -> Resource {
    let id = format!("/subscriptions/s/resourceGroups/g/providers/p/t/{service}");
    Resource { service: service.to_owned(), id, group: "g".to_owned() }
}

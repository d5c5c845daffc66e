//! Remembers what refused devices showed last, in memory alone: who mends a cause enrolls it, or asks what would happen
//! to it now. Owns which attempts are worth it, and the bounds; must not judge anything.

use std::sync::Arc;
use std::time::Duration;

use dps_events::recorder::Listener;
use dps_events::{AttemptRecord, Event, Operation, Outcome};
use dps_management_api::diagnosis::{LastShown, Remembering};
use dps_model::limits;
use dps_model::registration::Status;
use moka::sync::Cache;

/// By provisioning service and registration id, both without regard to case.
type Key = (String, String);

/// What is remembered.
#[derive(Clone)]
pub struct LastShownMemory(Cache<Key, Arc<LastShown>>);

impl Default for LastShownMemory {
    fn default() -> Self {
        let weigh = |key: &Key, shown: &Arc<LastShown>| {
            let size = limits::SHOWN_OVERHEAD + key.0.len() + key.1.len() + shown.presented.size();
            u32::try_from(size).unwrap_or(u32::MAX)
        };
        let cache = Cache::builder()
            .weigher(weigh)
            .max_capacity(limits::MAX_SHOWN_BYTES)
            .time_to_live(Duration::from_secs(limits::SHOWN_REMEMBERED));
        Self(cache.build())
    }
}

impl LastShownMemory {
    /// A listener of the recorder that shows each event to this memory before another one sees it.
    pub fn noting(&self, mut then: Listener) -> Listener {
        let memory = self.clone();
        Box::new(move |event| {
            memory.observe(event);
            then(event);
        })
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.0.invalidate_all();
    }

    fn observe(&self, event: &Event) {
        let Event::Attempt(record) = event else { return };
        let (Some(instance), true) = (&record.instance, is_refused(record)) else { return };
        let shown = LastShown {
            tracking_id: record.tracking_id,
            time: record.time,
            protocol: record.protocol,
            peer: record.peer,
            api_version: record.api_version.clone(),
            presented: record.presented.clone(),
        };
        self.0.insert(key(instance, &record.registration_id), Arc::new(shown));
    }
}

impl Remembering for LastShownMemory {
    fn last(&self, instance: &str, registration_id: &str) -> Option<Arc<LastShown>> {
        self.0.get(&key(instance, registration_id))
    }
}

fn is_refused(record: &AttemptRecord) -> bool {
    let refused = matches!(record.outcome, Outcome::Failed { .. }) || record.status == Some(Status::Disabled);
    record.operation == Operation::Register && refused
}

fn key(instance: &str, registration_id: &str) -> Key {
    (instance.to_ascii_lowercase(), registration_id.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use dps_events::{AttemptRecord, Event, Operation, Outcome};
    use dps_management_api::diagnosis::Remembering as _;
    use dps_model::registration::Status;
    use dps_model::{Channel, Error, ErrorCode, Protocol, Secret, Timestamp, TlsSession, TrackingId};

    use super::LastShownMemory;

    fn attempt(id: &str, token: &str, outcome: Outcome) -> AttemptRecord {
        let peer = "192.0.2.1:7".parse().unwrap();
        let channel = Channel { protocol: Protocol::Amqp, peer, tls: TlsSession::default() };
        let time = Timestamp::from_millis(0);
        let mut record = AttemptRecord::open(TrackingId::fresh(), time, &channel, Operation::Register);
        record.instance = Some("dps".into());
        record.registration_id = id.into();
        record.presented = record.presented.with_sas_token(&Secret::from(token.to_owned()));
        record.outcome = outcome;
        record
    }

    #[test]
    fn what_a_refused_device_showed_last_is_remembered_and_of_others_nothing() {
        let memory = LastShownMemory::default();
        let refused = || Outcome::failed(&Error::new(ErrorCode::Unauthorized));
        let mut disabled = attempt("dev-3", "c", Outcome::Success);
        disabled.status = Some(Status::Disabled);
        let mut poll = attempt("dev-4", "d", refused());
        poll.operation = Operation::OperationStatus;
        for record in [
            attempt("Dev-1", "a", refused()),
            attempt("dev-1", "b", refused()),
            attempt("dev-2", "x", Outcome::Success),
            disabled,
            poll,
        ] {
            memory.observe(&Event::Attempt(Box::new(record)));
        }
        let token = |id: &str| memory.last("DPS", id)?.presented.sas_token.clone();
        assert!(token("DEV-1").is_some_and(|token| token.matches(b"b")), "the later one");
        assert!(token("dev-3").is_some());
        assert!(token("dev-2").is_none() && token("dev-4").is_none());
        assert!(memory.last("other", "dev-1").is_none());
        memory.clear();
        assert!(token("dev-1").is_none());
    }
}

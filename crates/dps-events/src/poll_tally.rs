//! Polls that were answered, counted by operation until there is something to tell: the operation's end, a minute that is
//! over, or no more room. Owns what waits, within a bound; must not know where it goes.

use std::collections::{HashMap, HashSet, VecDeque};

use dps_model::Timestamp;
use dps_model::limits::{MAX_POLL_TALLIES, POLL_TALLY_MS};
use dps_model::registration::Status;

use crate::record::{AttemptRecord, Event, Operation, Outcome, PollsRecord};

/// Tallies by operation. One whose end was told stays for its minute, with a count of zero: a device that goes on polling
/// is told together, too.
#[derive(Default)]
pub(crate) struct PollTally {
    waiting: HashMap<String, PollsRecord>,
    /// Those of them whose end was told.
    ended: HashSet<String>,
    /// The same operations, by when their first poll came.
    order: VecDeque<(Timestamp, String)>,
}

impl PollTally {
    /// Takes an event; gives what is to be told now.
    pub(crate) fn take(&mut self, event: &Event) -> Vec<PollsRecord> {
        let Event::Attempt(attempt) = event else { return Vec::new() };
        if attempt.operation != Operation::OperationStatus || attempt.outcome != Outcome::Success {
            return Vec::new();
        }
        let Some(operation_id) = attempt.operation_id.as_deref() else { return Vec::new() };
        let mut told = Vec::new();
        if !self.waiting.contains_key(operation_id) {
            if self.order.len() >= MAX_POLL_TALLIES {
                told.extend(self.oldest());
            }
            self.order.push_back((attempt.time, operation_id.to_owned()));
            self.waiting.insert(operation_id.to_owned(), begun(attempt, operation_id));
        }
        if let Some(tally) = self.waiting.get_mut(operation_id) {
            if tally.count == 0 {
                *tally = begun(attempt, operation_id);
            }
            tally.count = tally.count.saturating_add(1);
            tally.last = attempt.time;
            tally.status = attempt.status;
            let waited = attempt.time.millis().saturating_sub(tally.time.millis());
            let waited = u64::try_from(waited).unwrap_or(0).saturating_mul(1_000);
            tally.micros = waited.saturating_add(attempt.micros);
            if attempt.status.is_some_and(is_end) && !self.ended.contains(operation_id) {
                told.push(tally.clone());
                tally.count = 0;
                self.ended.insert(operation_id.to_owned());
            }
        }
        told
    }

    /// Gives up what has waited for its time.
    pub(crate) fn due(&mut self, now: Timestamp) -> Vec<PollsRecord> {
        let mut told = Vec::new();
        while self.order.front().is_some_and(|(first, _)| first.plus_millis(POLL_TALLY_MS) <= now) {
            told.extend(self.oldest());
        }
        told
    }

    /// Gives up everything.
    pub(crate) fn drain(&mut self) -> Vec<PollsRecord> {
        let mut told = Vec::new();
        while !self.order.is_empty() {
            told.extend(self.oldest());
        }
        told
    }

    /// Gives up the oldest; none where its end was told already.
    fn oldest(&mut self) -> Option<PollsRecord> {
        let (_, operation_id) = self.order.pop_front()?;
        self.ended.remove(&operation_id);
        self.waiting.remove(&operation_id).filter(|tally| tally.count > 0)
    }
}

fn is_end(status: Status) -> bool {
    matches!(status, Status::Assigned | Status::Failed | Status::Disabled)
}

fn begun(attempt: &AttemptRecord, operation_id: &str) -> PollsRecord {
    PollsRecord {
        tracking_id: attempt.tracking_id,
        time: attempt.time,
        micros: 0,
        instance: attempt.instance.clone(),
        registration_id: attempt.registration_id.clone(),
        operation_id: operation_id.to_owned(),
        protocol: attempt.protocol,
        count: 0,
        last: attempt.time,
        status: None,
    }
}

#[cfg(test)]
mod tests {
    use dps_model::limits::MAX_POLL_TALLIES;
    use dps_model::registration::Status;
    use dps_model::{Channel, Error, ErrorCode, Protocol, Timestamp, TlsSession, TrackingId};

    use super::PollTally;
    use crate::record::{AttemptRecord, Event, Operation, Outcome};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn poll(operation: &str, seconds: i64, status: Status) -> Event {
        let peer = "10.0.0.1:1".parse().unwrap();
        let channel = Channel { protocol: Protocol::Mqtt, peer, tls: TlsSession::default() };
        let mut record =
            AttemptRecord::open(TrackingId::fresh(), at(seconds), &channel, Operation::OperationStatus);
        record.registration_id = "x".into();
        record.operation_id = Some(operation.into());
        record.status = Some(status);
        record.micros = 7;
        record.outcome = Outcome::Success;
        Event::Attempt(Box::new(record))
    }

    #[test]
    fn polls_are_told_together_at_the_operations_end() {
        let mut tally = PollTally::default();
        assert!(tally.take(&poll("a", 1, Status::Assigning)).is_empty());
        assert!(tally.take(&poll("b", 2, Status::Assigning)).is_empty());
        assert!(tally.take(&poll("a", 3, Status::Assigning)).is_empty());
        let told = tally.take(&poll("a", 5, Status::Assigned));
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].count, told[0].time, told[0].last, told[0].micros), (3, at(1), at(5), 4_000_007));
        assert_eq!((told[0].status, told[0].operation_id.as_str()), (Some(Status::Assigned), "a"));
        // What is polled after the end is told when the minute is over.
        assert!(tally.take(&poll("a", 6, Status::Assigned)).is_empty());
        assert!(tally.take(&poll("a", 7, Status::Assigned)).is_empty());
        let counts: Vec<_> = tally.drain().into_iter().map(|told| (told.operation_id, told.count)).collect();
        assert_eq!(counts, [("a".to_owned(), 2), ("b".to_owned(), 1)]);
    }

    #[test]
    fn polls_without_an_end_are_told_after_a_minute() {
        let mut tally = PollTally::default();
        tally.take(&poll("a", 0, Status::Assigning));
        tally.take(&poll("b", 30, Status::Assigning));
        tally.take(&poll("a", 59, Status::Assigning));
        assert!(tally.due(at(59)).is_empty());
        let told = tally.due(at(60));
        assert_eq!((told.len(), told[0].count), (1, 2));
        assert_eq!(tally.due(at(90)).len(), 1);
        assert!(tally.drain().is_empty() && tally.waiting.is_empty());
    }

    #[test]
    fn tallies_beyond_the_bound_push_the_oldest_out() {
        let mut tally = PollTally::default();
        for number in 0..MAX_POLL_TALLIES {
            assert!(tally.take(&poll(&number.to_string(), 0, Status::Assigning)).is_empty());
        }
        let told = tally.take(&poll("more", 1, Status::Assigning));
        assert_eq!((told.len(), told[0].operation_id.as_str()), (1, "0"));
        assert_eq!((tally.waiting.len(), tally.order.len()), (MAX_POLL_TALLIES, MAX_POLL_TALLIES));
    }

    #[test]
    fn refused_polls_and_other_requests_are_not_counted() {
        let mut tally = PollTally::default();
        let Event::Attempt(mut record) = poll("a", 0, Status::Assigning) else { unreachable!() };
        record.outcome = Outcome::failed(&Error::new(ErrorCode::Unauthorized));
        tally.take(&Event::Attempt(record.clone()));
        (record.outcome, record.operation) = (Outcome::Success, Operation::Register);
        tally.take(&Event::Attempt(record));
        assert!(tally.drain().is_empty());
    }
}

//! Takes closed events without ever holding up who closed them: metrics at once, the rest on a thread behind a bounded
//! queue. What does not fit, or cannot be written, is counted, and said when it begins. Must not know who emits.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use dps_model::Timestamp;
use dps_model::limits::MAX_EVENTS_WAITING;

use crate::EventSink;
use crate::attempt_log::{AttemptLog, Lost};
use crate::metrics::Metrics;
use crate::poll_tally::PollTally;
use crate::record::{Event, PollsRecord};

/// What else wants to see each event, on the recorder's thread: the terminal's line, a test.
pub type Listener = Box<dyn FnMut(&Event) + Send>;

/// Notes in an event what it came from, on the recorder's thread, before anybody else sees it.
pub type Explainer = Box<dyn FnMut(&mut Event) + Send>;

/// Explains nothing.
pub fn unexplained() -> Explainer {
    Box::new(|_| {})
}

/// The recorder.
pub struct Recorder {
    metrics: Arc<Metrics>,
    sender: SyncSender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Message {
    Event(Event),
    Close,
}

/// Time given to further events to join the first: waking this thread for each of them would cost who emits it more
/// than all the rest of recording.
const GATHER: Duration = Duration::from_millis(5);
/// How long a quiet thread sleeps; polls that were counted are told so much later at most.
const QUIET: Duration = Duration::from_millis(QUIET_MS.unsigned_abs());
const QUIET_MS: i64 = 10_000;

impl Recorder {
    /// Starts the recorder's thread.
    pub fn start(
        metrics: Arc<Metrics>,
        log: AttemptLog,
        explainer: Explainer,
        listener: Listener,
    ) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(MAX_EVENTS_WAITING);
        let keeper = Keeper {
            log,
            explainer,
            listener,
            polls: PollTally::default(),
            metrics: Arc::clone(&metrics),
            failing: false,
        };
        let thread =
            std::thread::Builder::new().name("recorder".into()).spawn(move || keeper.keep(&receiver))?;
        Ok(Self { metrics, sender, thread: Mutex::new(Some(thread)) })
    }

    /// Writes what waits and ends the thread; later events are counted only.
    pub fn close(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = self.sender.send(Message::Close); // fails only when the thread has ended
            let _ = thread.join(); // a panic in there was printed by its hook
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.close();
    }
}

impl EventSink for Recorder {
    fn record(&self, event: Event) {
        self.metrics.observe(&event);
        if self.sender.try_send(Message::Event(event)).is_err() {
            self.metrics.drop_one();
        }
    }
}

struct Keeper {
    log: AttemptLog,
    explainer: Explainer,
    listener: Listener,
    polls: PollTally,
    metrics: Arc<Metrics>,
    failing: bool,
}

impl Keeper {
    fn keep(mut self, receiver: &Receiver<Message>) {
        let mut now = Timestamp::from_millis(0);
        let mut waited = 0;
        'open: loop {
            let first = match receiver.recv_timeout(QUIET) {
                Ok(first) => first,
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    waited += QUIET_MS;
                    self.tell_polls(now.plus_millis(waited));
                    continue;
                }
            };
            waited = 0;
            // Nobody unparks this thread, and waking early does no harm.
            std::thread::park_timeout(GATHER);
            for message in std::iter::once(first).chain(receiver.try_iter()) {
                let Message::Event(mut event) = message else { break 'open };
                now = now.max(event.time());
                (self.explainer)(&mut event);
                if let Some(cause) = event.cause() {
                    self.metrics.caused(cause.code);
                }
                (self.listener)(&event);
                self.append(&event);
                let told = self.polls.take(&event);
                self.append_polls(told);
            }
            self.tell_polls(now);
        }
        let told = self.polls.drain();
        self.append_polls(told);
        self.flush();
    }

    /// The time is that of the latest event, and what was waited for another one: a tally needs no clock of its own.
    fn tell_polls(&mut self, now: Timestamp) {
        let told = self.polls.due(now);
        self.append_polls(told);
        self.flush();
    }

    fn append_polls(&mut self, told: Vec<PollsRecord>) {
        for polls in told {
            self.append(&Event::Polls(Box::new(polls)));
        }
    }

    fn append(&mut self, event: &Event) {
        let written = self.log.append(event);
        self.note(written);
    }

    fn flush(&mut self) {
        let flushed = self.log.flush();
        self.note(flushed);
    }

    /// A full disk must not flood the terminal: the first failure is said, the others are counted.
    fn note(&mut self, result: Result<(), Lost>) {
        let Err(Lost { lines, error }) = result else {
            self.failing = false;
            return;
        };
        for _ in 0..lines {
            self.metrics.drop_one();
        }
        if !std::mem::replace(&mut self.failing, true) {
            tracing::error!(%error, "the log of attempts cannot be written; events are counted as dropped");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use dps_model::{Protocol, Timestamp, TrackingId};

    use super::{Recorder, unexplained};
    use crate::record::{ConnectionRecord, Event};
    use crate::{AttemptLog, EventSink as _, Metrics};

    #[test]
    fn closed_recorder_has_written_every_event_it_took() {
        let folder = tempfile::tempdir().unwrap();
        let (metrics, seen) = (Arc::new(Metrics::new()), Arc::new(Mutex::new(0)));
        let counter = Arc::clone(&seen);
        let listener = Box::new(move |_: &Event| *counter.lock().unwrap() += 1);
        let log = AttemptLog::open(folder.path()).unwrap();
        let recorder = Recorder::start(Arc::clone(&metrics), log, unexplained(), listener).unwrap();
        let connection = ConnectionRecord {
            tracking_id: TrackingId::fresh(),
            time: Timestamp::from_millis(0),
            micros: 1,
            protocol: Protocol::Http,
            peer: "127.0.0.1:9".parse().unwrap(),
            stage: "handshake",
            reason: "no TLS record".into(),
            causes: Vec::new(),
            claimed: None,
            hub_device: None,
            handshake: None,
        };
        for _ in 0..100 {
            recorder.record(Event::Connection(Box::new(connection.clone())));
        }
        recorder.close();
        recorder.record(Event::Connection(Box::new(connection)));
        let text = std::fs::read_to_string(folder.path().join("attempts-0000000000000000.jsonl")).unwrap();
        assert_eq!((text.lines().count(), *seen.lock().unwrap(), metrics.dropped()), (100, 100, 1));
    }
}

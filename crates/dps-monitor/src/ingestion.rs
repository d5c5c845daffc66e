//! Log ingestion: records into the log store, in batches, on a thread of its own behind a bounded queue. Who brings a
//! record never waits. What does not fit, or cannot be kept, is counted by its cause, and said when it begins. Must not
//! know what a store is made of.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use dps_events::{Event, Metrics};
use dps_kql::Value;
use dps_model::limits::{LOG_GATHER, MAX_LOG_BATCH, MAX_LOG_BYTES_WAITING, MAX_LOG_ROWS_WAITING};

use crate::logs::{LogRecord, Projection};
use crate::ports::{LogStore, Routes};
use crate::{Row, Table};

/// The way of records into the log store.
pub struct Ingestion {
    projection: Projection,
    routes: Arc<dyn Routes>,
    waiting: Arc<Waiting>,
    sender: SyncSender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Message {
    Row(Row),
    Close,
}

/// What is on its way.
struct Waiting {
    rows: AtomicUsize,
    bytes: AtomicUsize,
    /// Rows are being dropped because there is no place for them: said already.
    overflowing: AtomicBool,
    metrics: Arc<Metrics>,
}

impl Ingestion {
    /// Starts the thread.
    pub fn start(
        store: Arc<dyn LogStore>,
        projection: Projection,
        routes: Arc<dyn Routes>,
        metrics: Arc<Metrics>,
    ) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(MAX_LOG_ROWS_WAITING);
        let waiting = Arc::new(Waiting {
            rows: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            overflowing: AtomicBool::new(false),
            metrics,
        });
        let appender = Appender { store, waiting: Arc::clone(&waiting), failing: false };
        let thread = std::thread::Builder::new()
            .name("log-ingestion".into())
            .spawn(move || appender.run(&receiver))?;
        Ok(Self { projection, routes, waiting, sender, thread: Mutex::new(Some(thread)) })
    }

    /// Takes an event: the recorder's listener calls it.
    pub fn take(&self, event: &Event) {
        let Some(record) = self.projection.project(event) else { return };
        let wanted = match &record {
            LogRecord::Resource(log) => self.routes.to_workspace(log),
            LogRecord::Activity(_) => true,
        };
        if wanted {
            self.append(record.row(&self.projection.workspace));
        }
    }

    /// Takes a row that is no event's, as those of metrics are.
    pub fn append(&self, row: Row) {
        let (waiting, size) = (&self.waiting, bytes_of(&row));
        let fits = waiting.bytes.fetch_add(size, Ordering::AcqRel) + size <= MAX_LOG_BYTES_WAITING;
        waiting.rows.fetch_add(1, Ordering::AcqRel);
        if fits && self.sender.try_send(Message::Row(row)).is_ok() {
            return;
        }
        waiting.left(1, size);
        waiting.metrics.log_rows_dropped("queue", 1);
        if !waiting.overflowing.swap(true, Ordering::AcqRel) {
            tracing::error!("log rows come faster than they can be kept; they are counted as dropped");
        }
    }

    /// Rows that are not in the store yet.
    pub fn waiting(&self) -> usize {
        self.waiting.rows.load(Ordering::Acquire)
    }

    /// Appends what waits and ends the thread; later rows are counted as dropped.
    pub fn close(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = self.sender.send(Message::Close); // fails only when the thread has ended
            let _ = thread.join(); // a panic in there was printed by its hook
        }
    }
}

impl Drop for Ingestion {
    fn drop(&mut self) {
        self.close();
    }
}

impl Waiting {
    fn left(&self, rows: usize, bytes: usize) {
        self.rows.fetch_sub(rows, Ordering::AcqRel);
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
    }
}

struct Appender {
    store: Arc<dyn LogStore>,
    waiting: Arc<Waiting>,
    failing: bool,
}

impl Appender {
    fn run(mut self, receiver: &Receiver<Message>) {
        let mut open = true;
        while open {
            let Ok(first) = receiver.recv() else { return };
            // Nobody unparks this thread, and waking early does no harm.
            std::thread::park_timeout(Duration::from_millis(LOG_GATHER));
            let mut rows = Vec::new();
            for message in std::iter::once(first).chain(receiver.try_iter()) {
                let Message::Row(row) = message else {
                    open = false;
                    break;
                };
                rows.push(row);
                if rows.len() == MAX_LOG_BATCH {
                    self.append(std::mem::take(&mut rows));
                }
            }
            self.append(rows);
            self.waiting.overflowing.store(false, Ordering::Release);
        }
    }

    fn append(&mut self, rows: Vec<Row>) {
        if rows.is_empty() {
            return;
        }
        let (count, bytes) = (rows.len(), rows.iter().map(bytes_of).sum());
        let mut by_table = [0_u64; Table::ALL.len()];
        for row in &rows {
            for (sum, table) in by_table.iter_mut().zip(Table::ALL) {
                *sum += u64::from(row.table == table);
            }
        }
        let kept = self.store.append(rows);
        self.waiting.left(count, bytes);
        let metrics = &self.waiting.metrics;
        match kept {
            Ok(()) => {
                for (rows, table) in by_table.into_iter().zip(Table::ALL) {
                    metrics.log_rows_kept(table.name(), rows);
                }
                if std::mem::replace(&mut self.failing, false) {
                    tracing::info!("the log store keeps rows again");
                }
            }
            Err(error) => {
                metrics.log_rows_dropped("store", count as u64);
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(%error, "log rows cannot be kept; they are counted as dropped");
                }
            }
        }
    }
}

/// Bytes that a row takes, about: its cells and their texts.
fn bytes_of(row: &Row) -> usize {
    let beyond = |value: &Value| match value {
        Value::String(text) | Value::Decimal(text) => text.len(),
        // Parsed JSON takes several times its text; what is dynamic here is short.
        Value::Dynamic(json) => json.to_string().len() * 4,
        _ => 0,
    };
    row.cells.iter().map(|value| size_of::<Value>() + beyond(value)).sum()
}

#[cfg(test)]
mod tests;

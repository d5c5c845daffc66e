//! A process that is killed while it writes: what it acknowledged is there, and batches are whole.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dps_core::ports::store::Collection::{Enrollments, Registrations};
use dps_core::ports::store::{Page, Precondition, Store};
use dps_model::limits::MAX_PAGE;
use dps_store::suite::{full_document, put_if};
use dps_store::{OpenOptions, SqliteStore};

const ROUNDS: u64 = 6;
const TASKS: usize = 8;
/// So many batches end a writer that nobody kills.
const BATCHES: u64 = 200_000;

/// Not a test: the process that is killed. It reads a directory and a first number from its input, and writes the
/// number of each batch to its output when the store has acknowledged it.
#[test]
#[ignore = "run by the crash test, in a process of its own"]
fn writer_process() {
    let mut lines = std::io::stdin().lines();
    let (Some(Ok(directory)), Some(Ok(first))) = (lines.next(), lines.next()) else { return };
    let next = Arc::new(AtomicU64::new(first.parse().unwrap()));
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let options = OpenOptions::in_directory(Path::new(&directory));
        let store = Arc::new(SqliteStore::open(options).await.unwrap());
        let tasks = (0..TASKS).map(|_| {
            let (store, next) = (Arc::clone(&store), Arc::clone(&next));
            tokio::spawn(async move {
                for _ in 0..BATCHES {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    let id = format!("{number:08}");
                    let insert =
                        |collection| put_if(collection, "i", full_document(&id), Precondition::Absent);
                    store.write(vec![insert(Enrollments), insert(Registrations)]).await.unwrap();
                    writeln!(std::io::stdout(), "acknowledged {number}").unwrap();
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    });
}

/// Starts a writer, kills it after so many acknowledgements, and returns all that it had time to write.
fn kill_a_writer(directory: &Path, first: u64, after: usize) -> BTreeSet<u64> {
    let mut writer = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::writer_process", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = writer.stdin.take().unwrap();
    writeln!(input, "{}\n{first}", directory.display()).unwrap();
    let mut acknowledged = BTreeSet::new();
    for line in BufReader::new(writer.stdout.take().unwrap()).lines() {
        // A line goes into the pipe whole, so the last one is not cut short.
        let line = line.unwrap();
        let Some(number) = line.split_once("acknowledged ").map(|(_, number)| number) else { continue };
        acknowledged.insert(number.parse().unwrap());
        if acknowledged.len() == after {
            writer.kill().unwrap();
        }
    }
    assert!(!writer.wait().unwrap().success(), "the writer ended by itself");
    acknowledged
}

#[tokio::test]
async fn killed_writer_everything_acknowledged_is_there_and_batches_are_whole() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for round in 0..ROUNDS {
        // Seeded: how long each writer lives.
        let after = usize::try_from(1 + round.wrapping_mul(0x9E37_79B9_7F4A_7C15) % 400).unwrap();
        let told = kill_a_writer(directory.path(), round * 1_000_000, after);
        assert!(told.len() >= after);
        acknowledged.extend(told);

        let store = SqliteStore::open(OpenOptions::in_directory(directory.path())).await.unwrap();
        let enrollments = ids(&store, Enrollments).await;
        assert_eq!(enrollments, ids(&store, Registrations).await, "a batch is not whole");
        let missing: Vec<_> = acknowledged.difference(&enrollments).collect();
        assert!(missing.is_empty(), "acknowledged and lost: {missing:?}");
        assert_eq!(store.count(Enrollments, "i").await.unwrap(), enrollments.len() as u64);
        // What was not acknowledged may be there: at most what each task had asked for.
        assert!(enrollments.len() <= acknowledged.len() + usize::try_from(round + 1).unwrap() * TASKS * 2);
        acknowledged = enrollments;
        store.close().await.unwrap();
    }
}

/// The ids of a collection; each document must be readable, its sealed part too.
async fn ids(store: &SqliteStore, collection: dps_core::ports::store::Collection) -> BTreeSet<u64> {
    let mut ids = BTreeSet::new();
    let mut after: Option<String> = None;
    loop {
        let page = Page { collection, instance: "i", owner: None, after: after.as_deref(), limit: MAX_PAGE };
        let documents = store.page(page).await.unwrap();
        let Some(last) = documents.last() else { return ids };
        after = Some(last.id.clone());
        for document in &documents {
            assert!(document.sealed == full_document(&document.id).sealed);
            ids.insert(document.id.parse().unwrap());
        }
    }
}

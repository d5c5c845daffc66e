//! Prints how fast the embedded store is on this machine; bounded, asserts nothing about time.
//!
//! `cargo run --release -p dps-store --example store_speed -- [documents] [directory]`: durable writes a second with
//! 1 to 256 writers, and CPU for a write and for a read, with so many documents (1,000 when not said).

#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a program for figures, not a part of the server"
)]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dps_core::ports::store::Collection::Registrations;
use dps_core::ports::store::{Document, Precondition, Store, Write};
use dps_model::{Etag, Secret};
use dps_store::{OpenOptions, SqliteStore};

const SPAN: Duration = Duration::from_secs(4);
const READS: u64 = 200_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let documents: u64 = arguments.next().map_or(1_000, |text| text.parse().unwrap());
    let directory = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = tempfile::tempdir_in(directory).unwrap();
    let options = OpenOptions::in_directory(directory.path());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async move {
        let store = Arc::new(SqliteStore::open(options.clone()).await.unwrap());
        fill(&*store, documents).await;
        store.close().await.unwrap();
        drop(store);
        println!(
            "{documents} documents, {} bytes on disk",
            std::fs::metadata(&options.database).unwrap().len()
        );
        let store = Arc::new(SqliteStore::open(options).await.unwrap());
        reads(&store, documents).await;
        for writers in [1, 16, 64, 256] {
            updates(&store, documents, writers).await;
        }
        for writers in [1, 64] {
            inserts(&store, documents, writers).await;
        }
        reads(&store, documents).await;
    });
}

/// A registration as it is stored: about a kilobyte of JSON, an owner, a lease, one text.
fn document(number: u64, due: Option<i64>) -> Document {
    Document {
        id: format!("device-{number:09}"),
        etag: Etag::fresh(),
        body: format!("{{\"registrationId\":\"device-{number:09}\",\"filler\":\"{}\"}}", "x".repeat(900)),
        sealed: number.is_multiple_of(4).then(|| Secret::new(vec![7; 64])),
        owner: Some(format!("group-{}", number % 100)),
        due,
        lookups: vec![format!("thumbprint:{number:064}")],
    }
}

fn put(document: Document, precondition: Precondition) -> Write {
    Write::Put { collection: Registrations, instance: "service-1".into(), document, precondition }
}

async fn fill(store: &dyn Store, documents: u64) {
    let started = Instant::now();
    // In the order of a hash: devices do not come in the order of their ids.
    let order = |number: u64| number.wrapping_mul(7_368_787) % documents;
    for first in (0..documents).step_by(1_000) {
        let batch = (first..documents.min(first + 1_000))
            .map(|number| put(document(order(number), None), Precondition::None));
        store.write(batch.collect()).await.unwrap();
    }
    println!("filled in {:.1} s", started.elapsed().as_secs_f64());
}

/// CPU time of this process so far, all threads.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    ticks as f64 / 100.0
}

fn report(what: &str, count: u64, started: Instant, cpu_before: f64) {
    let seconds = started.elapsed().as_secs_f64();
    let cpu = cpu() - cpu_before;
    println!("{what:<28} {:>9.0} /s   {:>7.1} us CPU each", count as f64 / seconds, cpu * 1e6 / count as f64);
}

/// Each writer takes a document through a lease and back: compare and set, one text, one owner that stay.
async fn updates(store: &Arc<SqliteStore>, documents: u64, writers: u64) {
    let done = Arc::new(AtomicU64::new(0));
    let (commits, started, cpu_before) = (store.commits(), Instant::now(), cpu());
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let (store, done) = (Arc::clone(store), Arc::clone(&done));
            tokio::spawn(async move {
                let mut number = writer;
                while started.elapsed() < SPAN {
                    number = (number + writers * 7) % (documents / writers * writers).max(writers);
                    let id = format!("device-{number:09}");
                    let there = store.get(Registrations, "service-1", &id).await.unwrap().unwrap();
                    let leased = document(number, Some(1));
                    let freed = document(number, None);
                    let (first, second) = (there.etag, leased.etag.clone());
                    store.write(vec![put(leased, Precondition::Matches(first))]).await.unwrap();
                    store.write(vec![put(freed, Precondition::Matches(second))]).await.unwrap();
                    done.fetch_add(2, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let done = done.load(Ordering::Relaxed);
    report(&format!("updates, {writers} writers"), done, started, cpu_before);
    println!("    {:.1} writes in a commit", done as f64 / (store.commits() - commits) as f64);
}

async fn inserts(store: &Arc<SqliteStore>, documents: u64, writers: u64) {
    let next = Arc::new(AtomicU64::new(documents + writers * 100_000_000));
    let first = next.load(Ordering::Relaxed);
    let (started, cpu_before) = (Instant::now(), cpu());
    let tasks: Vec<_> = (0..writers)
        .map(|_| {
            let (store, next) = (Arc::clone(store), Arc::clone(&next));
            tokio::spawn(async move {
                while started.elapsed() < SPAN {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    // Spread over the range of ids.
                    let mut document = document(number, Some(1));
                    document.id =
                        format!("device-{:09}x{number}", number.wrapping_mul(7_368_787) % documents);
                    store.write(vec![put(document, Precondition::Absent)]).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let done = next.load(Ordering::Relaxed) - first;
    report(&format!("inserts, {writers} writers"), done, started, cpu_before);
}

async fn reads(store: &Arc<SqliteStore>, documents: u64) {
    let number = move |index: u64| index.wrapping_mul(2_654_435_761) % documents;
    for readers in [1, 2, 64] {
        let (started, cpu_before) = (Instant::now(), cpu());
        let tasks: Vec<_> = (0..readers)
            .map(|reader| {
                let store = Arc::clone(store);
                tokio::spawn(async move {
                    for index in (reader..READS).step_by(usize::try_from(readers).unwrap()) {
                        let id = format!("device-{:09}", number(index));
                        store.get(Registrations, "service-1", &id).await.unwrap().unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        report(&format!("get, {readers} readers"), READS, started, cpu_before);
    }
    let (started, cpu_before) = (Instant::now(), cpu());
    for index in 0..READS {
        let text = format!("thumbprint:{:064}", number(index));
        let found = store.find(Registrations, "service-1", &[text]).await.unwrap();
        assert_eq!(found.len(), 1);
    }
    report("find by one text", READS, started, cpu_before);
    // What it would cost to hand each read to another thread.
    let (started, cpu_before) = (Instant::now(), cpu());
    for index in 0..READS / 4 {
        let store = Arc::clone(store);
        let id = format!("device-{:09}", number(index));
        let read = move || {
            tokio::runtime::Handle::current().block_on(store.get(Registrations, "service-1", &id)).unwrap()
        };
        tokio::task::spawn_blocking(read).await.unwrap().unwrap();
    }
    report("get on another thread", READS / 4, started, cpu_before);
    let (started, cpu_before) = (Instant::now(), cpu());
    let store = Arc::clone(store);
    tokio::spawn(async move {
        for index in 0..READS / 4 {
            let id = format!("device-{:09}", number(index));
            let read = || {
                tokio::runtime::Handle::current()
                    .block_on(store.get(Registrations, "service-1", &id))
                    .unwrap()
            };
            tokio::task::block_in_place(read).unwrap();
        }
    })
    .await
    .unwrap();
    report("get with block_in_place", READS / 4, started, cpu_before);
}

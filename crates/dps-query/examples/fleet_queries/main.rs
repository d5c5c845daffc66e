//! The engine's side of `cargo xtask bench kql`: fills a log store with a fleet's three months, and answers queries.
//!
//! `fleet_queries fill FOLDER ROWS` says what it took; `fleet_queries serve FOLDER` reads a query of each line, a JSON
//! text, and writes a line with its time and its rows. Must not judge: `benches/kql` compares.

mod rows;

use std::error::Error;
use std::io::{BufRead, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dps_kql::{TICKS_PER_SECOND, Value};
use dps_monitor::LogStore;
use dps_monitor::ports::{QueryEngine, QueryLimits, QueryRequest, Scope};
use dps_query::store::{ParquetStore, StoreOptions};
use dps_query::{DataFusionEngine, EngineOptions};
use serde_json::json;

/// Rows of one append: what a recorder hands over on a busy day.
const BATCH: u64 = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["fill", folder, rows] => fill(PathBuf::from(folder), rows.parse()?),
        ["serve", folder] => serve(PathBuf::from(folder)),
        _ => Err("give `fill FOLDER ROWS` or `serve FOLDER`".into()),
    }
}

fn open(folder: PathBuf) -> Result<ParquetStore, Box<dyn Error>> {
    Ok(ParquetStore::open(StoreOptions { keep_for: None, ..StoreOptions::new(folder) })?)
}

fn fill(folder: PathBuf, count: u64) -> Result<(), Box<dyn Error>> {
    let store = open(folder)?;
    let (mut spent, mut hour) = (Duration::ZERO, 0);
    let mut next = 0;
    while next < count {
        let until = count.min(next + BATCH);
        let batch: Vec<_> = (next..until).map(|number| rows::row(number, count)).collect();
        next = until;
        let begun = Instant::now();
        store.append(batch)?;
        // As the server does it: when an hour is over it is rolled, and its files are merged.
        let now = i64::try_from(u128::from(next) * 24 * u128::from(rows::DAYS) / u128::from(count.max(1)))?;
        if now > hour {
            hour = now;
            store.maintain(rows::START + hour * 3600 * TICKS_PER_SECOND + 180 * TICKS_PER_SECOND)?;
        }
        spent += begun.elapsed();
    }
    let begun = Instant::now();
    store.roll_all()?;
    store.maintain(rows::NOW + 3600 * TICKS_PER_SECOND)?;
    spent += begun.elapsed();
    let facts = store.facts();
    println!(
        "{}",
        json!({ "rows": count, "seconds": spent.as_secs_f64(), "files": facts.files, "bytes": facts.file_bytes })
    );
    Ok(())
}

fn serve(folder: PathBuf) -> Result<(), Box<dyn Error>> {
    let threads = std::thread::available_parallelism()?;
    let options = EngineOptions { threads, running: NonZeroUsize::MIN, waiting: 1 };
    let engine = DataFusionEngine::open(Arc::new(open(folder)?), options)?;
    let limits =
        QueryLimits { time: Duration::from_mins(5), rows: 500_000, bytes: 64 << 20, memory: 1 << 30 };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let text: String = serde_json::from_str(&line?)?;
        let request = QueryRequest { text, timespan: None, scope: Scope::Workspace, now: rows::NOW, limits };
        let begun = Instant::now();
        let answer = runtime.block_on(engine.run(request));
        let seconds = begun.elapsed().as_secs_f64();
        let told = match answer {
            Ok(answer) => {
                let rows = answer.table.rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>());
                json!({ "seconds": seconds, "rows": rows.collect::<Vec<_>>() })
            }
            Err(error) => json!({ "error": error.to_string() }),
        };
        writeln!(out, "{told}")?;
        out.flush()?;
    }
    Ok(())
}

/// As JSON has it; an instant in microseconds since 1970.
fn cell(value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!(value),
        Value::Long(value) | Value::TimeSpan(value) => json!(value),
        Value::Real(value) => json!(value),
        Value::String(text) => json!(text),
        Value::DateTime(ticks) => json!((ticks - 621_355_968_000_000_000) / 10),
        Value::Dynamic(value) => value.clone(),
        _ => serde_json::Value::Null,
    }
}

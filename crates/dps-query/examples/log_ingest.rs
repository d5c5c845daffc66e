//! What the log store ingests: rows a second, each durable before the next batch is handed in, and bytes a row on disk;
//! against the same rows as JSON lines in one file with a sync for each batch, in turns in one run.
//!
//! `cargo run --release -p dps-query --example log_ingest -- FOLDER [ROWS]`, with a folder on the disk in question.
//! It is no part of `cargo xtask bench`, whose program must not link the query engine.

#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use dps_kql::{TICKS_PER_SECOND, Type, Value};
use dps_monitor::{LogStore, Row, Table};
use dps_query::store::{ParquetStore, StoreOptions};

/// 2026-11-29T00:00:00Z.
const START: i64 = 621_355_968_000_000_000 + 1_795_910_400 * TICKS_PER_SECOND;
/// Batches of one row are few: each costs a sync.
const MAX_BATCHES: u64 = 2_000;
const ROUNDS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("give a folder on the disk to be measured")?;
    let rows: u64 = arguments.next().map_or(Ok(200_000), |text| text.parse())?;
    let work = Path::new(&folder).join("log-ingest");
    fs::create_dir(&work)?;
    let measured = measure(&work, rows);
    fs::remove_dir_all(&work)?;
    measured
}

fn measure(work: &Path, most: u64) -> Result<(), Box<dyn Error>> {
    println!(
        "| rows of a batch | log store, rows/s | JSON lines, rows/s | ratio | store, bytes/row | JSON, bytes/row |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: |");
    for batch in [1, 100, 1000] {
        let batches = (most / batch).clamp(1, MAX_BATCHES);
        let rows = batches * batch;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            ours.push(store(&work.join(format!("store-{batch}-{round}")), batches, batch)?);
            theirs.push(lines(&work.join(format!("lines-{batch}-{round}")), batches, batch)?);
        }
        let (our, their) = (median(&mut ours), median(&mut theirs));
        let rate = |time: Duration| rows as f64 / time.as_secs_f64();
        println!(
            "| {batch} | {:.0} | {:.0} | {:.2} | {:.1} | {:.1} |",
            rate(our.0),
            rate(their.0),
            rate(our.0) / rate(their.0),
            our.1 as f64 / rows as f64,
            their.1 as f64 / rows as f64
        );
    }
    Ok(())
}

/// Time of appending, and bytes of the files in the end.
fn store(dir: &Path, batches: u64, batch: u64) -> Result<(Duration, u64), Box<dyn Error>> {
    let store = ParquetStore::open(StoreOptions { keep_for: None, ..StoreOptions::new(dir.to_owned()) })?;
    let mut spent = Duration::ZERO;
    for at in 0..batches {
        let rows = (0..batch).map(|n| row(at * batch + n)).collect();
        let begin = Instant::now();
        store.append(rows)?;
        spent += begin.elapsed();
    }
    // What happens once an hour belongs to the cost of a row.
    let begin = Instant::now();
    store.roll_all()?;
    spent += begin.elapsed();
    Ok((spent, store.facts().file_bytes))
}

fn lines(path: &Path, batches: u64, batch: u64) -> Result<(Duration, u64), Box<dyn Error>> {
    let mut file = OpenOptions::new().append(true).create_new(true).open(path)?;
    let mut spent = Duration::ZERO;
    for at in 0..batches {
        let rows: Vec<Row> = (0..batch).map(|n| row(at * batch + n)).collect();
        let begin = Instant::now();
        let mut text = Vec::new();
        for row in &rows {
            let columns = row.table.columns().iter().zip(&row.cells);
            let object: serde_json::Map<String, serde_json::Value> =
                columns.map(|((name, _), cell)| ((*name).to_owned(), json(cell))).collect();
            serde_json::to_writer(&mut text, &object)?;
            text.push(b'\n');
        }
        file.write_all(&text)?;
        file.sync_data()?;
        spent += begin.elapsed();
        black_box(text);
    }
    Ok((spent, file.metadata()?.len()))
}

fn json(cell: &Value) -> serde_json::Value {
    match cell {
        Value::String(text) => (&**text).into(),
        Value::DateTime(ticks) | Value::Long(ticks) => (*ticks).into(),
        _ => serde_json::Value::Null,
    }
}

fn median(rounds: &mut [(Duration, u64)]) -> (Duration, u64) {
    rounds.sort();
    rounds.get(rounds.len() / 2).copied().unwrap_or_default()
}

/// A row of a fleet: twelve a second, one in fifty refused, each device of 10,000 again and again.
fn row(number: u64) -> Row {
    let at = START + i64::try_from(number).unwrap_or(0) * (TICKS_PER_SECOND / 12);
    let device = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    let refused = number % 50 == 49;
    let text = |name: &str| {
        match name {
        "Category" => "DeviceOperations".to_owned(),
        "OperationName" => ["AttestationAttempt", "RegistrationAttempt"][usize::from(number % 2 == 1)].to_owned(),
        "ResultType" => if refused { "Failure" } else { "Success" }.to_owned(),
        "ResultSignature" => if refused { "401002" } else { "" }.to_owned(),
        "ResultDescription" => if refused { "Unauthorized" } else { "" }.to_owned(),
        "Level" => if refused { "Error" } else { "Information" }.to_owned(),
        "CorrelationId" => format!("{:032x}", u128::from(device) << 64 | u128::from(number)),
        "CallerIpAddress" | "CallerIPAddress" => format!("10.{}.{}.XXX", device % 200, device % 7),
        "Resource" => "FLEET-DPS".to_owned(),
        "_ResourceId" | "ResourceId" => {
            "/subscriptions/0000/resourcegroups/fleet/providers/microsoft.devices/provisioningservices/fleet-dps".to_owned()
        }
        "Type" => "AzureDiagnostics".to_owned(),
        "SourceSystem" => "Azure".to_owned(),
        "properties_s" => format!(
            r#"{{"id":"device-{:05}","type":"SymmetricKey","protocol":"mqtt","enrollmentGroup":"plant-{}"}}"#,
            device % 10_000,
            device % 9
        ),
        _ => String::new(),
    }
    };
    let cell = |(name, ty): &(&str, Type)| match ty {
        Type::DateTime => Value::DateTime(at),
        Type::String => Value::String(text(name).into()),
        Type::Long => Value::Long(i64::try_from(device % 400).unwrap_or(0)),
        ty => Value::Null(*ty),
    };
    Row {
        table: Table::AzureDiagnostics,
        cells: Table::AzureDiagnostics.columns().iter().map(cell).collect(),
    }
}

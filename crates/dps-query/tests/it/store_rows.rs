//! Rows for tests, and what a store holds of them.

use std::collections::BTreeMap;
use std::path::Path;

use datafusion::arrow::array::{Array, Float64Array, RecordBatch, StringArray};
use datafusion::object_store::ObjectStoreExt;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use dps_kql::{TICKS_PER_SECOND, Type, Value};
use dps_monitor::{Row, Table};
use dps_query::store::{DataFile, ParquetStore, Snapshot, Snapshots, StoreOptions};

pub const HOUR: i64 = 3600 * TICKS_PER_SECOND;
/// 2026-11-29T00:00:00Z.
pub const START: i64 = 621_355_968_000_000_000 + 1_795_910_400 * TICKS_PER_SECOND;

/// A row that is known by its number.
pub fn row(table: Table, number: u64, ticks: i64) -> Row {
    let cells = table.columns().iter().map(|(name, ty)| match (*name, ty) {
        ("TimeGenerated", _) => Value::DateTime(ticks),
        ("TenantId", _) => Value::String(number.to_string().into()),
        ("Type", _) => Value::String(table.name().into()),
        ("_ResourceId", _) => Value::String("/subscriptions/s/resourcegroups/g/providers/p/t/dps".into()),
        (_, Type::String) => Value::String("".into()),
        (_, Type::Long) => Value::Long(i64::try_from(number).unwrap()),
        (_, Type::Dynamic) => Value::Dynamic(serde_json::json!({ "n": number })),
        (_, ty) => Value::Null(*ty),
    });
    Row { table, cells: cells.collect() }
}

pub fn options(dir: &Path) -> StoreOptions {
    StoreOptions { keep_for: None, ..StoreOptions::new(dir.to_owned()) }
}

/// How often each row is there, by its number, over all tables.
pub fn numbers(store: &ParquetStore) -> BTreeMap<u64, usize> {
    let mut found = BTreeMap::new();
    for table in Table::ALL {
        for batch in read(&store.snapshot(table)) {
            for text in texts(&batch, "TenantId") {
                *found.entry(text.parse().unwrap()).or_default() += 1;
            }
        }
    }
    found
}

/// Asserts that each number up to `count` is there once.
pub fn assert_each_once(store: &ParquetStore, count: u64) {
    let found = numbers(store);
    let expected: BTreeMap<u64, usize> = (0..count).map(|n| (n, 1)).collect();
    assert_eq!(found, expected);
}

/// Everything in a snapshot.
pub fn read(snapshot: &Snapshot) -> Vec<RecordBatch> {
    let mut batches: Vec<RecordBatch> = snapshot.hot.iter().map(|b| b.rows.clone()).collect();
    for file in &snapshot.files {
        let of_file = read_file(snapshot, file).unwrap();
        assert_eq!(of_file.iter().map(|b| b.num_rows() as u64).sum::<u64>(), file.rows);
        batches.extend(of_file);
    }
    batches
}

pub fn read_file(snapshot: &Snapshot, file: &DataFile) -> Result<Vec<RecordBatch>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let got = runtime.block_on(async { snapshot.objects.get(&file.location).await?.bytes().await });
    let bytes = got.map_err(|e| e.to_string())?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|e| e.to_string())?;
    Ok(reader.build().unwrap().map(Result::unwrap).collect())
}

pub fn texts(batch: &RecordBatch, column: &str) -> Vec<String> {
    let column = batch.column_by_name(column).unwrap().as_any().downcast_ref::<StringArray>().unwrap();
    assert_eq!(column.null_count(), 0);
    column.iter().map(|text| text.unwrap().to_owned()).collect()
}

pub fn nulls(batch: &RecordBatch, column: &str) -> usize {
    let column = batch.column_by_name(column).unwrap();
    assert!(column.as_any().is::<Float64Array>());
    column.null_count()
}

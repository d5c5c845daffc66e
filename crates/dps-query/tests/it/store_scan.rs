//! What snapshots see: at once, in one place, as long as they live.

use std::sync::Arc;

use datafusion::arrow::array::{Array, TimestampMicrosecondArray};
use datafusion::object_store::memory::InMemory;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::parquet::basic::Compression;
use dps_kql::Value;
use dps_monitor::{LogStore, Table};
use dps_query::store::{ParquetStore, Place, Snapshots, StoreOptions, limits, schema};

use crate::store_rows::{HOUR, START, assert_each_once, nulls, options, read, read_file, row, texts};

const LOGS: Table = Table::AzureDiagnostics;

#[test]
fn rows_are_seen_as_soon_as_append_returns() {
    let dir = tempfile::tempdir().unwrap();
    let store = ParquetStore::open(options(dir.path())).unwrap();
    for number in 0..300 {
        store.append(vec![row(LOGS, number, START)]).unwrap();
        assert_eq!(store.snapshot(LOGS).rows(), number + 1);
    }
    let snapshot = store.snapshot(LOGS);
    assert!(snapshot.hot.len() < 20, "batches grow together: {}", snapshot.hot.len());
    let order: Vec<String> = read(&snapshot).iter().flat_map(|b| texts(b, "TenantId")).collect();
    assert_eq!(order, (0..300).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(store.snapshot(Table::AzureMetrics).rows(), 0);
}

#[test]
fn rolled_hour_is_one_sorted_file_in_its_folder() {
    let dir = tempfile::tempdir().unwrap();
    let store = ParquetStore::open(options(dir.path())).unwrap();
    let rows = (0..50).map(|n| row(LOGS, n, START + HOUR - 1000 - 10 * i64::try_from(n).unwrap()));
    store.append(rows.collect()).unwrap();
    store.append(vec![row(LOGS, 50, START + HOUR)]).unwrap();
    assert_eq!(store.roll_all().unwrap(), 51);
    let snapshot = store.snapshot(LOGS);
    assert!(snapshot.hot.is_empty());
    let [first, second] = &snapshot.files[..] else { panic!("{:?}", snapshot.files) };
    let place = first.location.as_ref();
    assert!(place.starts_with("AzureDiagnostics/y=2026/m=11/d=29/h=00/"), "{place}");
    assert!(second.location.as_ref().starts_with("AzureDiagnostics/y=2026/m=11/d=29/h=01/"));
    assert_eq!((first.rows, first.earliest, first.latest), (50, START + HOUR - 1490, START + HOUR - 1000));
    let batches = read_file(&snapshot, first).unwrap();
    assert_eq!(batches[0].schema().fields(), schema::physical(LOGS).fields());
    let times = batches[0].column(0).as_any().downcast_ref::<TimestampMicrosecondArray>().unwrap();
    assert!(times.values().is_sorted());
    assert!(!dir.path().join("segments").read_dir().unwrap().any(|_| true), "segments are gone");

    let bytes = std::fs::read(dir.path().join("tables").join(place)).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap();
    let group = reader.metadata().row_group(0);
    assert!(matches!(group.column(0).compression(), Compression::ZSTD(_)));
    assert!(group.column(0).statistics().is_some() && group.column(0).column_index_offset().is_some());
    assert_eq!(group.sorting_columns().unwrap()[0].column_idx, 0);
}

#[test]
fn cells_of_every_type_come_back_from_segment_and_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut metric = row(Table::AzureMetrics, 1, START);
    let total = Table::AzureMetrics.columns().iter().position(|(n, _)| *n == "Total").unwrap();
    metric.cells[total] = Value::Real(2.5);
    ParquetStore::open(options(dir.path()))
        .unwrap()
        .append(vec![metric, row(Table::AzureActivity, 2, START)])
        .unwrap();
    let store = ParquetStore::open(options(dir.path())).unwrap();
    for _ in 0..2 {
        let metrics = read(&store.snapshot(Table::AzureMetrics));
        assert_eq!((nulls(&metrics[0], "Total"), nulls(&metrics[0], "Count")), (0, 1));
        assert_eq!(texts(&read(&store.snapshot(Table::AzureActivity))[0], "Properties_d"), [r#"{"n":2}"#]);
        store.roll_all().unwrap();
    }
}

#[test]
fn row_that_does_not_fit_its_table_is_refused_with_all_of_its_append() {
    let dir = tempfile::tempdir().unwrap();
    let store = ParquetStore::open(options(dir.path())).unwrap();
    let refused = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut bad = row(LOGS, 1, START);
        change(&mut bad.cells);
        store.append(vec![row(LOGS, 0, START), bad]).unwrap_err().0
    };
    assert!(refused(&|cells| drop(cells.pop())).contains("26 cells instead of 27"));
    assert!(refused(&|cells| cells[0] = Value::Long(1)).contains("no datetime in TimeGenerated"));
    assert!(refused(&|cells| cells[0] = Value::DateTime(-1)).contains("TimeGenerated"));
    assert!(refused(&|cells| cells[0] = Value::Null(dps_kql::Type::DateTime)).contains("TimeGenerated"));
    assert!(
        refused(&|cells| cells[1] = Value::String("x".repeat(33 << 20).into())).contains("of one append")
    );
    assert_eq!(store.facts().hot_rows, 0);
    store.append(vec![row(LOGS, 0, START), row(LOGS, 1, 0), row(LOGS, 2, limits::MAX_TICKS)]).unwrap();
    store.roll_all().unwrap();
    assert_each_once(&store, 3);
}

#[test]
fn snapshot_reads_on_while_its_files_are_merged_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let store = ParquetStore::open(options(dir.path())).unwrap();
    for number in 0..5 {
        store.append(vec![row(LOGS, number, START)]).unwrap();
        store.roll_all().unwrap();
    }
    let before = store.snapshot(LOGS);
    assert_eq!(before.files.len(), 5);
    assert_eq!(store.maintain(START + 3 * HOUR).unwrap().merged_files, 5);
    let after = store.snapshot(LOGS);
    assert_eq!((after.files.len(), after.rows()), (1, 5));
    assert_eq!(read(&before).iter().map(datafusion::arrow::array::RecordBatch::num_rows).sum::<usize>(), 5);
    let held = before.files[0].clone();
    drop(before);
    store.maintain(START + 3 * HOUR).unwrap();
    let path = |file: &dps_query::store::DataFile| dir.path().join("tables").join(file.location.as_ref());
    assert!(path(&held).exists(), "held still");
    let place = path(&held);
    let folder = place.parent().unwrap();
    drop(held);
    store.maintain(START + 3 * HOUR).unwrap();
    assert_eq!(folder.read_dir().unwrap().count(), 1);
    assert_each_once(&store, 5);
}

#[test]
fn snapshots_while_rows_come_and_roll_hold_each_row_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = ParquetStore::open(options(dir.path())).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..60 {
                store.append(vec![row(LOGS, number, START)]).unwrap();
                if number % 9 == 8 {
                    store.maintain(START + i64::try_from(number).unwrap() * HOUR).unwrap();
                }
            }
        });
        while !writer.is_finished() {
            let snapshot = store.snapshot(LOGS);
            let mut found: Vec<u64> = Vec::new();
            for batch in read(&snapshot) {
                found.extend(texts(&batch, "TenantId").iter().map(|t| t.parse::<u64>().unwrap()));
            }
            found.sort_unstable();
            assert_eq!(found, (0..found.len() as u64).collect::<Vec<_>>());
        }
    });
    assert_each_once(&store, 60);
}

#[test]
fn object_store_holds_the_files_of_a_store() {
    let dir = tempfile::tempdir().unwrap();
    let objects = Arc::new(InMemory::new());
    let options = StoreOptions { files: Place::Objects(objects), ..options(dir.path()) };
    let store = ParquetStore::open(options.clone()).unwrap();
    for number in 0..4 {
        store.append(vec![row(LOGS, number, START)]).unwrap();
        store.roll_all().unwrap();
    }
    drop(store);
    std::fs::remove_file(dir.path().join("manifest")).unwrap();
    let store = ParquetStore::open(options).unwrap();
    assert_each_once(&store, 4);
    assert_eq!(store.maintain(START + 3 * HOUR).unwrap().merged_files, 4);
    assert_each_once(&store, 4);
    assert_eq!(store.facts().files, 1);
}

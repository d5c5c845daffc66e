//! What is kept and what is not: retention, late rows, a full disk, damage, a bound on memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dps_monitor::{LogStore, Table};
use dps_query::store::disk::Disk;
use dps_query::store::{Damage, ParquetStore, Snapshots, StoreOptions};

use crate::store_disk::FaultDisk;
use crate::store_rows::{HOUR, START, assert_each_once, numbers, options, row};

const LOGS: Table = Table::AzureDiagnostics;

/// A store of that many hours, one row and one file each.
fn of_hours(options: StoreOptions, hours: i64) -> ParquetStore {
    let store = ParquetStore::open(options).unwrap();
    let rows = (0..hours).map(|hour| row(LOGS, u64::try_from(hour).unwrap(), START + hour * HOUR));
    store.append(rows.collect()).unwrap();
    store.roll_all().unwrap();
    store
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

#[test]
fn late_rows_become_a_file_of_their_hour_and_are_merged_into_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = ParquetStore::open(options(dir.path())).unwrap();
    store.append(vec![row(LOGS, 0, START)]).unwrap();
    assert_eq!(store.maintain(START + HOUR + HOUR / 2).unwrap().rolled_rows, 1);
    store.append(vec![row(LOGS, 1, START + 1), row(LOGS, 2, START + 2 * HOUR)]).unwrap();
    assert_eq!(store.maintain(START + HOUR + HOUR / 2).unwrap().rolled_rows, 0, "once an hour");
    let done = store.maintain(START + 2 * HOUR + HOUR / 2).unwrap();
    assert_eq!((done.rolled_rows, done.merged_files), (2, 2));
    let snapshot = store.snapshot(LOGS);
    assert_eq!(snapshot.files.iter().map(|f| f.rows).collect::<Vec<_>>(), [2, 1]);
    assert_each_once(&store, 3);
}

#[test]
fn rows_older_than_they_are_kept_are_removed_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let keep_for = Some(Duration::from_hours(10));
    let store = of_hours(StoreOptions { keep_for, ..options(dir.path()) }, 24);
    let done = store.maintain(START + 24 * HOUR).unwrap();
    assert_eq!((done.removed_rows, store.facts().removed_rows), (14, 14));
    assert_eq!(numbers(&store).into_keys().collect::<Vec<_>>(), (14..24).collect::<Vec<_>>());
    assert_eq!(files(&dir.path().join("tables")).len(), 10);
    drop(store);
    let store = ParquetStore::open(options(dir.path())).unwrap();
    assert_eq!(store.facts().file_rows, 10);
}

#[test]
fn rows_beyond_the_size_kept_go_oldest_first() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = of_hours(options(dir.path()), 10).facts().file_bytes;
    let store =
        ParquetStore::open(StoreOptions { keep_bytes: Some(bytes / 2), ..options(dir.path()) }).unwrap();
    store.maintain(START + 24 * HOUR).unwrap();
    let facts = store.facts();
    assert!(facts.file_bytes <= bytes / 2 && facts.files >= 4, "{facts:?}");
    assert_eq!(numbers(&store).into_keys().collect::<Vec<_>>(), (facts.removed_rows..10).collect::<Vec<_>>());
}

#[test]
fn full_disk_refuses_rows_whole_and_takes_them_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultDisk::default());
    let store = ParquetStore::open_on(options(dir.path()), Arc::clone(&disk) as Arc<dyn Disk>).unwrap();
    store.append(vec![row(LOGS, 0, START)]).unwrap();
    disk.set_full(true);
    for _ in 0..3 {
        let error = store.append(vec![row(LOGS, 1, START), row(LOGS, 2, START)]).unwrap_err();
        assert!(error.0.contains("segment"), "{error}");
        assert_each_once(&store, 1);
    }
    store.maintain(START + 2 * HOUR).unwrap_err();
    store.append(vec![row(LOGS, 1, START)]).unwrap_err();
    assert_each_once(&store, 1);
    disk.set_full(false);
    store.append(vec![row(LOGS, 1, START), row(LOGS, 2, START)]).unwrap();
    assert_each_once(&store, 3);
    drop(store);
    let store = ParquetStore::open(options(dir.path())).unwrap();
    assert_each_once(&store, 3);
    assert_eq!(store.maintain(START + 2 * HOUR).unwrap().rolled_rows, 3);
    assert_each_once(&store, 3);
    assert_eq!(files(&dir.path().join("tables")).len(), 1, "what the failed attempt left is gone");
}

#[test]
fn segment_torn_at_each_byte_keeps_the_appends_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = ParquetStore::open(options(dir.path())).unwrap();
    let segment = |dir: &Path| files(&dir.join("segments")).remove(0);
    let mut ends = Vec::new();
    for number in 0..3 {
        store.append(vec![row(LOGS, number, START)]).unwrap();
        ends.push(fs::read(segment(dir.path())).unwrap().len());
    }
    drop(store);
    let bytes = fs::read(segment(dir.path())).unwrap();
    for length in 0..=bytes.len() {
        let torn = tempfile::tempdir().unwrap();
        fs::create_dir(torn.path().join("segments")).unwrap();
        let name = segment(dir.path()).file_name().unwrap().to_owned();
        fs::write(torn.path().join("segments").join(name), &bytes[..length]).unwrap();
        let store = ParquetStore::open(options(torn.path())).unwrap();
        assert_each_once(&store, ends.iter().filter(|end| **end <= length).count() as u64);
        assert_eq!(store.damage(), Damage::default());
    }
}

#[test]
fn damaged_segment_loses_one_append_and_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let store = ParquetStore::open(options(dir.path())).unwrap();
    (0..3).for_each(|number| store.append(vec![row(LOGS, number, START)]).unwrap());
    drop(store);
    let segment = files(&dir.path().join("segments")).remove(0);
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() - 300;
    bytes[middle] ^= 0xFF;
    fs::write(&segment, bytes).unwrap();
    let store = ParquetStore::open(options(dir.path())).unwrap();
    assert_eq!(store.damage(), Damage { frames: 1, ..Damage::default() });
    assert_eq!(numbers(&store).into_keys().collect::<Vec<_>>(), [0, 2]);
    store.roll_all().unwrap();
    let left = files(&dir.path().join("segments"));
    assert!(left.len() == 1 && left[0].to_str().unwrap().ends_with(".wal.damaged"), "{left:?}");
    drop(store);
    let store = ParquetStore::open(options(dir.path())).unwrap();
    assert_eq!((numbers(&store).len(), store.damage()), (2, Damage::default()));
}

#[test]
fn damaged_or_lost_manifest_is_made_anew_from_the_files() {
    for lost in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let store = of_hours(options(dir.path()), 4);
        store.append(vec![row(LOGS, 4, START)]).unwrap();
        store.roll_all().unwrap();
        store.maintain(START + 9 * HOUR).unwrap();
        store.append(vec![row(LOGS, 5, START)]).unwrap();
        drop(store);
        let manifest = dir.path().join("manifest");
        if lost {
            fs::remove_file(&manifest).unwrap();
        } else {
            fs::write(&manifest, "log-store man").unwrap();
        }
        let store = ParquetStore::open(options(dir.path())).unwrap();
        assert_eq!(store.damage().manifests, u64::from(!lost));
        assert_eq!(dir.path().join("manifest.damaged").exists(), !lost);
        assert_each_once(&store, 6);
        assert_eq!(store.facts().hot_rows, 1);
        store.roll_all().unwrap();
        drop(store);
        assert_each_once(&ParquetStore::open(options(dir.path())).unwrap(), 6);
    }
}

#[test]
fn damaged_and_missing_files_are_set_aside_and_the_rest_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    drop(of_hours(options(dir.path()), 4));
    let found = files(&dir.path().join("tables"));
    fs::remove_file(&found[0]).unwrap();
    fs::write(&found[1], "PAR1").unwrap();
    let store = ParquetStore::open(options(dir.path())).unwrap();
    assert_eq!(store.damage(), Damage { files: 2, ..Damage::default() });
    assert_eq!(numbers(&store).into_keys().collect::<Vec<_>>(), [2, 3]);
    assert!(found[1].with_extension("parquet.damaged").exists());
    drop(store);
    assert_eq!(ParquetStore::open(options(dir.path())).unwrap().damage(), Damage::default());

    // Of the right length, and nonsense: found when it is merged.
    let store = ParquetStore::open(options(dir.path())).unwrap();
    (0..2).for_each(|number| {
        store.append(vec![row(LOGS, number, START + 2 * HOUR)]).unwrap();
        store.roll_all().unwrap();
    });
    let length = fs::read(&found[2]).unwrap().len();
    fs::write(&found[2], vec![0; length]).unwrap();
    store.maintain(START + 9 * HOUR).unwrap();
    store.maintain(START + 9 * HOUR).unwrap();
    assert_eq!(store.damage().files, 1);
    assert_eq!(numbers(&store).into_keys().collect::<Vec<_>>(), [0, 1, 3]);
    assert_eq!(store.facts().files, 2);
}

#[test]
fn file_that_the_store_does_not_know_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(of_hours(options(dir.path()), 1));
    let known = files(&dir.path().join("tables")).remove(0);
    let unknown = known.with_file_name("00000000000000000900.parquet");
    fs::copy(&known, &unknown).unwrap();
    let store = ParquetStore::open(options(dir.path())).unwrap();
    assert_each_once(&store, 1);
    assert!(unknown.exists());
    store.append(vec![row(LOGS, 1, START)]).unwrap();
    store.roll_all().unwrap();
    assert!(files(&dir.path().join("tables")).iter().any(|f| f.ends_with("00000000000000000901.parquet")));
}

#[test]
fn memory_stays_below_its_bound_however_many_rows_come() {
    let dir = tempfile::tempdir().unwrap();
    let bound = 2 << 20;
    let store = ParquetStore::open(StoreOptions { hot_bytes: bound, ..options(dir.path()) }).unwrap();
    let (appends, rows) = (60, 1000);
    let mut most = 0;
    for append in 0..appends {
        let batch = (0..rows).map(|n| row(Table::AzureMetrics, append * rows + n, START));
        store.append(batch.collect()).unwrap();
        most = store.facts().hot_bytes.max(most);
    }
    assert!(most <= bound + bound / 2, "{most}");
    let facts = store.facts();
    assert!(facts.files > 2, "rolled early: {facts:?}");
    assert_eq!(facts.hot_rows + facts.file_rows, appends * rows);
}

#[test]
fn store_that_cannot_roll_refuses_rows_before_memory_is_exhausted() {
    let dir = tempfile::tempdir().unwrap();
    let bound = 256 << 10;
    let store = ParquetStore::open(StoreOptions { hot_bytes: bound, ..options(dir.path()) }).unwrap();
    // A file where a folder should be.
    fs::write(dir.path().join("tables/AzureMetrics"), "").unwrap();
    let mut kept = 0;
    let refused = (0..100).find_map(|append| {
        let batch = (0..200).map(|n| row(Table::AzureMetrics, append * 200 + n, START));
        let appended = store.append(batch.collect());
        kept += if appended.is_ok() { 200 } else { 0 };
        appended.err()
    });
    assert!(refused.unwrap().0.contains("the part in memory is full and cannot be rolled"));
    assert!(store.facts().hot_bytes < 3 * bound);
    fs::remove_file(dir.path().join("tables/AzureMetrics")).unwrap();
    store.append(vec![row(Table::AzureMetrics, kept, START)]).unwrap();
    assert_each_once(&store, kept + 1);
}

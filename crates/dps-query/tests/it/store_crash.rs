//! A crash at every operation of the disk, with and without loss of what was not synced: each acknowledged row is there
//! once.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use dps_monitor::{LogError, LogStore, Table};
use dps_query::store::ParquetStore;
use dps_query::store::disk::Disk;
use proptest::prelude::*;

use crate::store_disk::FaultDisk;
use crate::store_rows::{HOUR, START, numbers, options, row};

/// Of an append's rows. Few and narrow: each crash writes some files.
const TABLES: [Table; 3] = [Table::AzureMetrics, Table::AzureMetrics, Table::AzureDiagnostics];

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Rows in this hour, and one in the hour before.
    Append(i64),
    /// At the beginning of this hour.
    Maintain(i64),
    Reopen,
}

/// What a history has told and was told.
#[derive(Default)]
struct Told {
    next: u64,
    kept: BTreeSet<u64>,
}

impl Told {
    fn run(&mut self, dir: &Path, disk: &Arc<FaultDisk>, steps: &[Step]) -> Result<(), LogError> {
        let open = || ParquetStore::open_on(options(dir), Arc::clone(disk) as Arc<dyn Disk>);
        let mut store = open()?;
        for step in steps {
            match *step {
                Step::Append(hour) => {
                    let numbers: Vec<u64> = (self.next..self.next + 3).collect();
                    self.next += 3;
                    let rows = numbers.iter().zip(TABLES).map(|(number, table)| {
                        let late = i64::from(*number % 3 == 2);
                        row(table, *number, START + (hour - late) * HOUR + i64::try_from(*number).unwrap())
                    });
                    store.append(rows.collect())?;
                    self.kept.extend(numbers);
                }
                Step::Maintain(hour) => drop(store.maintain(START + hour * HOUR + HOUR / 2)?),
                Step::Reopen => {
                    drop(store);
                    store = open()?;
                }
            }
        }
        Ok(())
    }

    fn check(&self, store: &ParquetStore) {
        let found = numbers(store);
        assert!(found.values().all(|times| *times == 1), "{found:?}");
        let found: BTreeSet<u64> = found.into_keys().collect();
        let lost: Vec<&u64> = self.kept.difference(&found).collect();
        assert!(lost.is_empty(), "lost {lost:?} of {:?}", self.kept);
        assert!(found.iter().all(|number| *number < self.next));
        assert_eq!(store.damage(), dps_query::store::Damage::default());
    }
}

const LIFE: [Step; 12] = [
    Step::Append(1),
    Step::Append(1),
    Step::Maintain(2),
    Step::Append(2),
    Step::Append(1),
    Step::Reopen,
    Step::Append(2),
    Step::Maintain(3),
    Step::Append(3),
    Step::Maintain(4),
    Step::Append(1),
    Step::Maintain(5),
];

#[test]
fn life_without_a_crash_keeps_each_row_once_and_merges() {
    let dir = tempfile::tempdir().unwrap();
    let mut told = Told::default();
    told.run(dir.path(), &Arc::default(), &LIFE).unwrap();
    assert_eq!(told.kept.len(), 21);
    let store = ParquetStore::open(options(dir.path())).unwrap();
    told.check(&store);
    assert_eq!(store.facts().hot_rows, 0);
    // Hours 0 to 3 of which one was merged for each table that had more than one file in it.
    let folders = store.facts().files;
    assert!(folders <= 12, "{folders}");
}

#[test]
fn crash_at_each_operation_keeps_each_acknowledged_row_once() {
    let whole = Arc::new(FaultDisk::default());
    let dir = tempfile::tempdir().unwrap();
    Told::default().run(dir.path(), &whole, &LIFE).unwrap();
    let operations = whole.operations();
    assert!(operations > 60, "{operations}");
    for stop in 0..operations {
        // Power and process fail in turn; both at every operation would take twice as long.
        crash(&LIFE, &[stop], stop % 2 == 0);
    }
}

/// Runs the steps into a crash, and opens again, crashing as often as there are numbers.
fn crash(steps: &[Step], stops: &[u64], power: bool) {
    let dir = tempfile::tempdir().unwrap();
    let mut told = Told::default();
    let mut steps = steps;
    for stop in stops {
        let disk = Arc::new(FaultDisk::stopping_after(*stop));
        // Removing a file is told in a log alone, so a stop can go unnoticed.
        let _ = told.run(dir.path(), &disk, steps);
        if power {
            disk.lose_power();
        }
        steps = &LIFE[6..9];
    }
    let open = || ParquetStore::open_on(options(dir.path()), Arc::new(FaultDisk::default())).unwrap();
    told.check(&open());
    told.run(dir.path(), &Arc::default(), &[Step::Maintain(5), Step::Append(5), Step::Maintain(6)]).unwrap();
    told.check(&open());
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_i64..5).prop_map(Step::Append),
        3 => (1_i64..6).prop_map(Step::Maintain),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn crash_after_crash_in_any_life_keeps_each_acknowledged_row_once(
        steps in proptest::collection::vec(step(), 1..14),
        stops in proptest::collection::vec(0_u64..160, 1..4),
        power in any::<bool>(),
    ) {
        crash(&steps, &stops, power);
    }
}

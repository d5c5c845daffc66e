//! A process that is killed while it ingests: each row that it was told is kept is there once.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use dps_monitor::{LogStore, Table};
use dps_query::store::ParquetStore;

use crate::store_rows::{HOUR, START, numbers, options, row};

const FOLDER: &str = "LOG_STORE_TEST_FOLDER";
const ROWS: u64 = 7;

/// Not a test of its own: the process that is killed.
#[test]
fn child_ingests_when_a_folder_is_given() {
    let Some(dir) = std::env::var_os(FOLDER) else { return };
    let store = ParquetStore::open(options(Path::new(&dir))).unwrap();
    let first = numbers(&store).keys().next_back().map_or(0, |last| last + 1);
    let mut out = std::io::stdout();
    for batch in 0_i64.. {
        let at = START + batch * HOUR / 9;
        let from = first + u64::try_from(batch).unwrap() * ROWS;
        let rows = (from..from + ROWS).map(|n| row(Table::ALL[usize::try_from(n % 3).unwrap()], n, at));
        store.append(rows.collect()).unwrap();
        writeln!(out, "kept {}", from + ROWS).unwrap();
        out.flush().unwrap();
        store.maintain(at + HOUR / 20).unwrap();
    }
}

#[test]
fn process_killed_while_it_ingests_keeps_each_acknowledged_row_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut kept = 0;
    for life in 1..=4_usize {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store_kill::child_ingests_when_a_folder_is_given", "--nocapture"])
            .env(FOLDER, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let told = |line: String| line.split_once("kept ").and_then(|(_, n)| n.parse::<u64>().ok());
        let wanted = 13 * life;
        let seen = lines.by_ref().filter_map(told).take(wanted).collect::<Vec<_>>();
        assert_eq!(seen.len(), wanted, "the child ended by itself");
        child.kill().unwrap();
        child.wait().unwrap();
        // What it was still told before the signal came.
        kept = lines.filter_map(told).chain(seen).max().unwrap().max(kept);
        let store = ParquetStore::open(options(dir.path())).unwrap();
        let found = numbers(&store);
        assert!(found.values().all(|times| *times == 1));
        assert!((0..kept).all(|number| found.contains_key(&number)), "{kept}: {:?}", found.keys());
    }
}

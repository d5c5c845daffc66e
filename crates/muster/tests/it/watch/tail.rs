//! `muster logs tail` as a process: what it shows, what it says while nobody answers, and how it ends.

use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::fake::LogAnalytics;
use crate::fleet::{muster, words};
use crate::harness::run;
use crate::harness::server::{BINARY, Process};

/// Follows quickly, so that the test need not wait.
fn tail(logs: &LogAnalytics, line: &str) -> Process {
    let mut command = Command::new(BINARY);
    command.args(words(&format!("logs tail --interval 100ms {line}")));
    command.env_clear().envs(logs.variables()).current_dir(std::env::temp_dir());
    Process::of(command)
}

/// Ctrl-C.
fn interrupt(mut process: Process) -> Option<i32> {
    let pid = Pid::from_raw(i32::try_from(process.pid()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    process.wait().code()
}

fn texts(process: &Process) -> Vec<String> {
    let lines = process.stdout.text();
    let object = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    lines.lines().map(|line| object(line)["Text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn tail_shows_each_row_once_and_ends_well_by_ctrl_c() {
    run(async {
        let logs = LogAnalytics::start().await;
        logs.add(1, "first");
        let process = tail(&logs, "--table Events --where 'Text != \"x\" // y'");
        process.stdout.said("first").await;
        logs.add(9, "third");
        logs.add(9, "third");
        process.stdout.said("third").await;
        logs.add(5, "second, late");
        process.stdout.said("second").await;
        logs.add(10, "end");
        process.stdout.said("end").await;
        assert_eq!(texts(&process), ["first", "third", "third", "second, late", "end"]);
        assert_eq!(process.stderr.text(), "");
        let query = logs.asked().pop().unwrap().body["query"].as_str().unwrap().to_owned();
        let lines: Vec<&str> = query.lines().collect();
        assert_eq!((lines[0], lines[2]), ("Events", "| where Text != \"x\" // y"));
        assert_eq!(interrupt(process), Some(0));
    });
}

#[test]
fn tail_goes_on_when_the_service_was_away() {
    run(async {
        let logs = LogAnalytics::start().await;
        logs.add(1, "before");
        let process = tail(&logs, "-o json");
        process.stdout.said("before").await;
        let busy = json!({"error": {"code": "ServiceUnavailable", "message": "Busy."}});
        logs.instead(Some((503, busy)));
        let said = process.stderr.said("503").await;
        assert!(said.contains("trying again in 1 s"), "{said}");
        logs.add(2, "meanwhile");
        logs.instead(None);
        process.stderr.said("answers again").await;
        process.stdout.said("meanwhile").await;
        assert_eq!(texts(&process), ["before", "meanwhile"]);
        assert_eq!(interrupt(process), Some(0));
    });
}

#[test]
fn tail_prints_columns_for_a_person_and_csv_for_a_program() {
    run(async {
        let logs = LogAnalytics::start().await;
        logs.add(1, "a,b");
        let table = tail(&logs, "-o table --columns Text");
        table.stdout.said("a,b").await;
        assert_eq!(table.stdout.text(), "TimeGenerated             Text\n2026-11-29T03:00:01.000Z  a,b");
        let query = logs.asked().pop().unwrap().body["query"].as_str().unwrap().to_owned();
        assert!(query.contains("| project TimeGenerated, Text\n"), "{query}");
        let csv = tail(&logs, "-o csv");
        csv.stdout.said("a,b").await;
        assert_eq!(csv.stdout.text(), "TimeGenerated,Text\r\n2026-11-29T03:00:01Z,\"a,b\"\r");
        interrupt(table);
        interrupt(csv);
    });
}

#[test]
fn tail_that_makes_no_sense_ends_at_once() {
    run(async {
        let logs = LogAnalytics::start().await;
        let folder = std::env::temp_dir();
        let tail = |line: &str| muster(&folder, &words(&format!("logs tail {line}")), &logs.variables());
        let more = tail("--where 'true | take 1'").failed(2);
        assert!(more.contains("more than one condition"), "{more}");
        let broken = tail("--where 'a =='").failed(2);
        assert!(broken.contains("1 | a ==") && broken.contains('^'), "{broken}");
        tail("--table 'T | take 1'").failed(2);
        assert!(logs.asked().is_empty());
        tail("--token other").failed(5);
    });
}

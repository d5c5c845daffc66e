use std::path::{Path, PathBuf};

use dps_monitor::destinations::{Batch, DeliveryError, Destination as _};
use tempfile::TempDir;

use super::Directory;
use crate::fixtures::{RESOURCE, log, logs, metrics};
use crate::limits::MAX_TORN_LINE;

fn file(root: &Path, container: &str) -> PathBuf {
    root.join(container).join(format!("resourceId={RESOURCE}/y=2026/m=11/d=29/h=09/m=00/PT1H.json"))
}

/// The ids in the file of device logs; every line must be whole.
fn ids(root: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file(root, "insights-logs-deviceoperations")).unwrap();
    assert!(text.ends_with('\n'));
    let id = |line: &str| {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let properties: serde_json::Value =
            serde_json::from_str(record["properties"].as_str().unwrap()).unwrap();
        properties["id"].as_str().unwrap().to_owned()
    };
    text.lines().map(id).collect()
}

fn batch(ids: &[&str]) -> Batch {
    logs(&ids.iter().map(|id| log(id)).collect::<Vec<_>>())
}

#[tokio::test]
async fn batches_are_appended_to_the_file_of_their_hour() {
    let root = TempDir::new().unwrap();
    let directory = Directory::new(root.path().join("made/when/needed"));
    directory.deliver(&batch(&["a", "b"])).await.unwrap();
    directory.deliver(&batch(&["c"])).await.unwrap();
    directory.deliver(&metrics()).await.unwrap();
    directory.deliver(&batch(&[])).await.unwrap();
    let root = root.path().join("made/when/needed");
    assert_eq!(ids(&root), ["a", "b", "c"]);
    assert_eq!(std::fs::read_to_string(file(&root, "insights-metrics-pt1m")).unwrap().lines().count(), 1);
    assert_eq!(std::fs::read_dir(&root).unwrap().count(), 2);
}

#[tokio::test]
async fn line_torn_by_a_crash_is_removed_before_the_next() {
    let root = TempDir::new().unwrap();
    let directory = Directory::new(root.path().to_owned());
    let path = file(root.path(), "insights-logs-deviceoperations");
    // Torn as the first line, after whole ones, and longer than one step of the search.
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "{\"time\":\"2026").unwrap();
    directory.deliver(&batch(&["a"])).await.unwrap();
    for torn in ["{".to_owned(), format!("{{\"x\":\"{}", "x".repeat(200_000))] {
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str(&torn);
        std::fs::write(&path, text).unwrap();
        directory.deliver(&batch(&["b"])).await.unwrap();
    }
    assert_eq!(ids(root.path()), ["a", "b", "b"]);
}

#[tokio::test]
async fn file_that_holds_no_lines_of_ours_keeps_what_it_holds() {
    let root = TempDir::new().unwrap();
    let path = file(root.path(), "insights-logs-deviceoperations");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let length = usize::try_from(MAX_TORN_LINE).unwrap() * 2;
    std::fs::write(&path, "x".repeat(length)).unwrap();
    Directory::new(root.path().to_owned()).deliver(&batch(&["a"])).await.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), lines[0].len()), (2, length));
}

#[tokio::test]
async fn two_at_once_do_not_mix_their_lines() {
    let root = TempDir::new().unwrap();
    let one = Directory::new(root.path().to_owned());
    let other = Directory::new(root.path().to_owned());
    for _ in 0..10 {
        let (a, b) = (batch(&["a", "a", "a"]), batch(&["b", "b", "b"]));
        let (left, right) = tokio::join!(one.deliver(&a), other.deliver(&b));
        left.unwrap();
        right.unwrap();
    }
    let ids = ids(root.path());
    assert_eq!(ids.len(), 60);
    assert!(ids.chunks(3).all(|three| three.iter().all(|id| *id == three[0])));
}

#[tokio::test]
async fn place_that_cannot_be_written_is_for_later_and_named() {
    let root = TempDir::new().unwrap();
    let taken = root.path().join("taken");
    std::fs::write(&taken, "a file").unwrap();
    let failed = Directory::new(taken).deliver(&batch(&["a"])).await.unwrap_err();
    let DeliveryError::Later { why, after: None } = failed else { panic!("{failed}") };
    assert!(why.contains("taken/insights-logs-deviceoperations"), "{why}");
}

#[tokio::test]
async fn full_disk_is_for_later() {
    let failed = super::append(Path::new("/dev"), Path::new("/dev/full"), b"x\n").unwrap_err();
    assert!(failed.contains("No space left"), "{failed}");
}

//! docs/reference/query.md: its rows, its queries and its refusals are what the code says.

use dps_service_api::query::{Query, Rows};
use serde_json::Value;

const PAGE: &str = include_str!("../../../../docs/reference/query.md");

fn table(heading: &str) -> Vec<Vec<String>> {
    table_of(PAGE, heading)
}

/// Lines of the first table below a heading of a page, cells apart, code marks taken off.
pub fn table_of(page: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, below) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = below.split("\n## ").next().unwrap();
    let cells = |line: &str| {
        line.trim_matches('|').split(" | ").map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
    };
    let lines = section.lines().skip_while(|line| !line.starts_with('|'));
    lines.take_while(|line| line.starts_with('|')).skip(2).map(cells).collect()
}

fn rows() -> Vec<Value> {
    let (_, below) = PAGE.split_once("```json\n").unwrap();
    serde_json::from_str(below.split("```").next().unwrap()).unwrap()
}

#[test]
fn query_page_examples_find_what_the_page_says() {
    let (rows, examples) = (rows(), table("Examples"));
    assert!(examples.len() >= 20, "{examples:?}");
    for example in examples {
        let [condition, expected, _] = example.as_slice() else { panic!("three cells: {example:?}") };
        let query = Query::parse(&format!("SELECT * WHERE {condition}"), Rows::Enrollments)
            .unwrap_or_else(|error| panic!("{condition}: {error}"));
        let found: Vec<&str> = rows
            .iter()
            .filter(|row| query.matches(row))
            .map(|row| row["registrationId"].as_str().unwrap())
            .collect();
        assert_eq!(found.join(", "), *expected, "{condition}");
    }
}

#[test]
fn query_page_refusals_are_those_of_the_code() {
    let refusals = table("What is refused");
    assert!(refusals.len() >= 8, "{refusals:?}");
    let mut page = PAGE.to_owned();
    for refusal in refusals {
        let [text, written] = refusal.as_slice() else { panic!("two cells: {refusal:?}") };
        let error = Query::parse(text, Rows::Enrollments).expect_err(text);
        page = page.replace(&format!("| `{text}` | {written} |"), &format!("| `{text}` | {error} |"));
    }
    if std::env::var_os("MUSTER_UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/query.md");
        std::fs::write(path, &page).unwrap();
    } else {
        assert!(page == PAGE, "docs/reference/query.md is stale: run `cargo xtask docs`");
    }
}

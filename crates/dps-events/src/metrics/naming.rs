//! Prometheus' rules for names, asked of everything that is exposed: what `promtool check metrics` finds fault with.

use std::collections::{BTreeMap, BTreeSet};

use dps_model::Timestamp;

use super::{LinkSample, Metrics};

/// Words of units that are not the base unit, or are short for one.
const NOT_BASE: [&str; 14] = [
    "milliseconds",
    "microseconds",
    "nanoseconds",
    "minutes",
    "hours",
    "days",
    "weeks",
    "kilobytes",
    "megabytes",
    "ms",
    "sec",
    "kb",
    "mb",
    "percent",
];
const KINDS: [&str; 4] = ["counter", "gauge", "histogram", "summary"];

fn snake(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Names of the labels of a sample.
fn labels(sample: &str) -> BTreeSet<&str> {
    let Some((_, rest)) = sample.split_once('{') else { return BTreeSet::new() };
    let inside = rest.rsplit_once('}').unwrap().0;
    inside.split("\",").map(|pair| pair.split_once('=').unwrap().0).collect()
}

#[test]
fn exposed_names_follow_the_rules_of_prometheus() {
    let metrics = Metrics::new();
    let link = LinkSample { instance: "i".into(), hub: "h".into(), reason: Some("r"), since: 1 };
    metrics.sample_links(&[link]);
    metrics.sample_certificates(&[("h".into(), Timestamp::from_millis(0))], Timestamp::from_millis(0));
    super::tests::observe_everything(&metrics);
    let text = metrics.render();
    let (mut kinds, mut helped) = (BTreeMap::new(), BTreeSet::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, sentence) = rest.split_once(' ').unwrap();
            assert!(!sentence.trim().is_empty(), "{name}");
            helped.insert(name);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(kinds.insert(name, kind).is_none(), "{name} twice");
        } else {
            let name = line.split(['{', ' ']).next().unwrap();
            let family = ["_bucket", "_sum", "_count"]
                .into_iter()
                .filter_map(|end| name.strip_suffix(end))
                .find(|name| kinds.get(name) == Some(&"histogram"))
                .unwrap_or(name);
            assert!(kinds.contains_key(family), "{line} belongs to nothing");
            assert!(labels(line).into_iter().all(snake), "{line}");
        }
    }
    assert!(kinds.len() >= 12, "{text}");
    for (name, kind) in kinds {
        assert!(helped.contains(name) && snake(name), "{name}");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
        let words: Vec<&str> = name.split('_').collect();
        assert!(NOT_BASE.iter().chain(&KINDS).all(|word| !words.contains(word)), "{name}");
        assert!(!["_count", "_sum", "_bucket"].iter().any(|end| name.ends_with(end)), "{name}");
    }
}

#[test]
fn names_of_azures_three_metrics_are_the_expected_ones() {
    let metrics = Metrics::new();
    super::tests::observe_everything(&metrics);
    let text = metrics.render();
    for sample in [
        r#"dps_attestation_attempts_total{instance="dps",status="ClientError",protocol="Http"} 1"#,
        r#"dps_registration_attempts_total{instance="dps",iothub="hub",status="Success"} 1"#,
        r#"dps_device_assignments_total{instance="dps",iothub="hub"} 1"#,
        r#"dps_operation_duration_seconds_count{operation="Assignment"} 1"#,
    ] {
        assert!(text.contains(sample), "{sample}\n{text}");
    }
    assert!(metrics.render_open_metrics().ends_with("# EOF\n"));
}

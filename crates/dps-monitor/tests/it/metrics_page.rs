//! docs/reference/metrics.md is the catalogue of metrics. `MUSTER_UPDATE_GOLDEN=1` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use dps_monitor::metrics::{Aggregation, Metric, Namespace};

fn page() -> String {
    let mut page = include_str!("metrics_page.txt").to_owned();
    for namespace in Namespace::ALL {
        let _ = writeln!(page, "### `{}`\n", namespace.name());
        page.push_str(
            "| name | unit | aggregations | dimensions | what it counts |\n| --- | --- | --- | --- | --- |\n",
        );
        for metric in namespace.metrics() {
            let definition = metric.definition();
            let mut aggregations = vec![definition.primary.name()];
            let further = definition.supported.iter().filter(|it| **it != definition.primary);
            aggregations.extend(further.map(|it| Aggregation::name(*it)));
            let dimensions = definition.dimensions.iter().map(|name| format!("`{name}`"));
            let _ = writeln!(
                page,
                "| `{}` | {} | {} | {} | {} |",
                definition.name,
                definition.unit.name(),
                aggregations.join(", "),
                dimensions.collect::<Vec<_>>().join(", "),
                definition.description
            );
        }
        if namespace != Namespace::Muster {
            page.push('\n');
        }
    }
    page.push_str(include_str!("metrics_page_tail.txt"));
    page
}

#[test]
fn metrics_page_is_the_catalogue() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/metrics.md");
    let page = page();
    if std::env::var_os("MUSTER_UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        std::fs::write(&path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == page, "docs/reference/metrics.md differs: run `cargo xtask docs` and look at the change");
}

#[test]
fn every_metric_stands_in_a_namespace_once() {
    let listed: usize = Namespace::ALL.map(|namespace| namespace.metrics().count()).iter().sum();
    assert_eq!(listed, Metric::ALL.len());
}

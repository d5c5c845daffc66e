//! The functions in docs/reference/kql.md are those of the code. `MUSTER_UPDATE_GOLDEN=1` writes them anew.

use std::path::Path;

const BEGIN: &str = "<!-- functions:begin -->\n";
const END: &str = "<!-- functions:end -->";

/// Names in alphabetical order, old ones behind the one that replaced them.
fn list(functions: impl Iterator<Item = &'static [&'static str]>) -> String {
    let mut names: Vec<String> = functions
        .filter_map(|names| names.split_first())
        .map(|(name, old)| {
            let old: Vec<_> = old.iter().map(|old| format!("`{old}`")).collect();
            if old.is_empty() { format!("`{name}`") } else { format!("`{name}` ({})", old.join(", ")) }
        })
        .collect();
    names.sort();
    names.join(", ")
}

#[test]
fn kql_page_lists_the_functions_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/kql.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(BEGIN).unwrap();
    let (_, tail) = rest.split_once(END).unwrap();
    let scalars = list(dps_kql::scalar_functions());
    let aggregates = list(dps_kql::aggregate_functions());
    let special = "`now`, `ago`, `toscalar`, `column_ifexists`, `iscolumnexists`, `row_number`, `row_cumsum`, `prev`, `next`";
    let wanted = format!(
        "{head}{BEGIN}Of one row: {scalars}; and {special}.\n\nAggregates: {aggregates}, `percentiles`, `percentilesw`.\n{END}{tail}"
    );
    if std::env::var_os("MUSTER_UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        std::fs::write(&path, &wanted).unwrap();
        return;
    }
    assert!(
        page == wanted,
        "docs/reference/kql.md differs: run with MUSTER_UPDATE_GOLDEN=1 and look at the change"
    );
}

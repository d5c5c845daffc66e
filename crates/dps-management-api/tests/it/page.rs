//! docs/reference/control-plane.md lists every route, no more and no less.

use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../../../docs/reference/control-plane.md");

/// A path as the page has it.
pub fn short(path: &str) -> String {
    path.replace(
        "/subscriptions/{subscription}/resourceGroups/{resourceGroup}/providers/Microsoft.Devices",
        "{group}",
    )
    .replace("/subscriptions/{subscription}/providers/Microsoft.Devices", "{subscription}")
    .replace("{group}/provisioningServices/{name}", "{service}")
    .replace("/providers/Microsoft.Insights", "{insights}")
    .replace("/providers/Muster.Diagnosis", "{diagnosis}")
    .replace("/subscriptions/{subscription}/resourceGroups/{resourceGroup}{insights}", "{labels}{insights}")
}

#[test]
fn page_lists_every_route_with_its_operation() {
    let table = PAGE.split("<!-- routes -->").nth(1).expect("the page marks its table of routes");
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let listed: BTreeSet<Vec<String>> =
        rows.map(|line| line.split('`').skip(1).step_by(2).take(3).map(str::to_owned).collect()).collect();
    let routes = dps_management_api::ROUTES.iter().map(|row| {
        let operation = row.operation.strip_prefix("Microsoft.Devices/").unwrap_or(row.operation);
        vec![row.method.to_owned(), short(row.path), operation.to_owned()]
    });
    assert_eq!(listed, routes.collect());
}

//! The queries that explanations of error codes give are legal over the workspace's tables.

use dps_kql::{Analysis, Environment};
use dps_model::ErrorCode;
use dps_model::explanation::{client_messages, statuses};
use dps_monitor::Table;

#[test]
fn query_of_every_explanation_is_legal() {
    let tables = Table::ALL.map(Table::schema);
    let environment = Environment { tables: &tables, now: 0, opened: &[] };
    let codes = ErrorCode::ALL.iter().map(|code| code.explain());
    let mut checked = 0;
    for explained in codes.chain(statuses()).chain(client_messages()) {
        match dps_kql::analyse(&explained.query, &environment) {
            Ok(Analysis::Ready(_)) => checked += 1,
            other => panic!("{}: {other:?}", explained.query),
        }
    }
    assert!(checked > 40, "{checked} queries");
}

//! Query texts as a client writes them, and a row to judge. What is refused is refused in one bounded line that names a
//! character of the text; what is understood prints to a text that means the same.
#![no_main]

use dps_model::limits::MAX_QUERY_TEXT;
use dps_service_api::query::{Query, Rows};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let (text, row) = input.split_once('\n').unwrap_or((input, "{}"));
    let row = serde_json::from_str(row).unwrap_or(serde_json::Value::Null);
    for rows in [Rows::Enrollments, Rows::EnrollmentGroups, Rows::Registrations] {
        match Query::parse(text, rows) {
            Err(error) => {
                assert!((1..=text.chars().count() + 1).contains(&error.at));
                let told = error.to_string();
                assert!(told.len() < 1024 && !told.contains('\n'), "{told}");
            }
            Ok(query) => {
                let printed = query.to_string();
                // Quotes, spaces and digits may lengthen a text past its bound.
                if printed.len() > MAX_QUERY_TEXT {
                    return;
                }
                let again = Query::parse(&printed, rows).unwrap_or_else(|error| panic!("{printed}: {error}"));
                assert_eq!(again, query, "{printed}");
                assert_eq!(again.matches(&row), query.matches(&row));
                assert!(!query.takes_all() || query.matches(&row));
            }
        }
    }
});

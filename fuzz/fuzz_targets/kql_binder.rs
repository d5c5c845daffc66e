//! Queries of logs against tables: what is refused is refused with places within the text, what is legal has a plan whose
//! columns have each a name of its own.
#![no_main]

use dps_kql::{Analysis, Column, Environment, Table, Type, analyse};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static TABLES: LazyLock<Vec<Table>> = LazyLock::new(|| {
    let types = [
        ("a", Type::Long),
        ("b", Type::String),
        ("c", Type::Real),
        ("d", Type::Dynamic),
        ("e", Type::DateTime),
        ("f", Type::TimeSpan),
        ("g", Type::Bool),
        ("h", Type::Int),
        ("i", Type::Guid),
        ("j", Type::Decimal),
    ];
    let schema: Vec<_> = types.into_iter().map(|(name, ty)| Column { name: name.to_owned(), ty }).collect();
    ["T", "Fleet"].map(|name| Table { name: name.to_owned(), schema: schema.clone() }).to_vec()
});

fuzz_target!(|text: &str| {
    let environment = Environment { tables: &TABLES, now: 639_028_224_000_000_000, opened: &[] };
    match analyse(text, &environment) {
        Err(refusal) => {
            assert!(!refusal.errors.is_empty());
            for error in &refusal.errors {
                assert!(text.get(error.start..error.end).is_some(), "{error:?}");
            }
        }
        Ok(Analysis::Ready(query)) => {
            let mut names: Vec<_> = query.plan.schema.iter().map(|column| &column.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), query.plan.schema.len());
        }
        Ok(Analysis::Open { .. }) => {}
    }
});

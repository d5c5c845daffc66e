//! Queries that are being written: whatever stands there, every place lies within the text, and what is offered can be put in.
#![no_main]

use dps_kql::{Column, Environment, Table, Type, assist};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static TABLES: LazyLock<Vec<Table>> = LazyLock::new(|| {
    let types = [("a", Type::Long), ("b", Type::String), ("by", Type::Dynamic), ("e", Type::DateTime)];
    let schema: Vec<_> = types.into_iter().map(|(name, ty)| Column { name: name.to_owned(), ty }).collect();
    ["T", "Fleet"].map(|name| Table { name: name.to_owned(), schema: schema.clone() }).to_vec()
});

fuzz_target!(|input: (u16, &str)| {
    let (cursor, text) = input;
    let environment = Environment { tables: &TABLES, now: 639_028_224_000_000_000, opened: &[] };
    let help = assist(text, Some(usize::from(cursor)), &environment);
    let mut end = 0;
    for mark in &help.marks {
        assert!(mark.start >= end && text.get(mark.start..mark.end).is_some(), "{mark:?}");
        end = mark.end;
    }
    for error in &help.errors {
        assert!(text.get(error.start..error.end).is_some(), "{error:?}");
    }
    for found in &help.completions {
        let (head, tail) = (text.get(..found.start), text.get(found.end..));
        assert!(head.is_some() && tail.is_some() && found.start <= found.end, "{found:?}");
    }
});

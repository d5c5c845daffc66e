//! Our binder against the official one: which queries are legal, with which error first, and what columns come out.

use std::collections::BTreeMap;
use std::path::Path;

use dps_kql::{Analysis, Column, Environment, Schema, Table, Type, analyse};

use crate::corpus::{Verdict, verdicts};

/// Where we differ on purpose: what a query holds, and why.
const DIFFERENT: &[(&str, &str)] = &[
    // Taken there, refused here.
    ("| partition ", "partition is not there"),
    ("| reduce ", "reduce is not there"),
    ("| top-hitters ", "top-hitters is not there"),
    ("find ", "find is not there"),
    ("autocluster", "plugins are pivot and bag_unpack"),
    ("buildschema", "buildschema is not there"),
    ("array_sort_desc(d,d)", "one array is sorted at a time"),
    ("(x,y)=array_sort_asc", "one array is sorted at a time"),
    ("top 5 by d.x", "a dynamic has no order; sort refuses it there too"),
    ("join Fleet on d", "a dynamic is no key; $left.d == $right.d is refused there too"),
    ("step 1h by d", "a dynamic is no key; summarize refuses it there too"),
    ("take a", "a count is the same for all rows"),
    ("take toint(b)", "a count is the same for all rows"),
    ("sample a", "a count is the same for all rows"),
    ("prev(b, a)", "an offset is the same for all rows"),
    ("percentile(a,c)", "a percentage is the same for all rows"),
    ("percentile(a, -1)", "a percentage lies between 0 and 100"),
    ("project e+e", "two datetimes have no sum"),
    ("tostring(arg_max(", "an aggregate of several columns is no argument"),
    ("max(prev(a))", "neighbours are looked at before rows are grouped"),
    ("others=\"x\"", "the rest of numbers has no text for a key"),
    ("make-series sum(a)+1", "a series is one aggregate"),
    ("make-series x=sum(a)/count()", "a series is one aggregate"),
    ("make-series arg_max(", "a series is one aggregate of one column"),
    ("bag_unpack(b)", "only a dynamic can be unpacked"),
    ("round(avg_x=c,1)", "arguments of built-in functions have no names"),
    ("project-rename a=b, g=b", "a column has one new name"),
    ("d.foo()", "a dynamic has no methods"),
    ("typeof(", "a type is no value"),
    ("5 | take 5", "a value is no table"),
    ("\"x\" | take 5", "a value is no table"),
    ("totable(", "totable is not there"),
    ("cluster(", "nothing outside of this server is there"),
    ("T | extend a = 1; T | take 1", "a query has one result"),
    ("T; T", "a query has one result"),
    ("with_itemindex=i ", "columns of one name are kept apart"),
    ("flags=h", "flags that mean nothing"),
    // Refused there, taken here.
    ("title=x", "the old form of render takes a word as a text"),
    ("search * and", "a star alone is all rows, in a chain as well"),
    ("search \"a\" \"b\"", "texts side by side are one, here as everywhere"),
    ("(t:())", "a table without columns that are asked for"),
    ("ignoredProperties", "the documentation has it"),
    ("workspace(", "the official parser's catalog has no such functions"),
    ("resource(", "the official parser's catalog has no such functions"),
    ("bag_unpack(d, \"x_\", \"keep_source\")", "the documentation has four arguments"),
    // Other columns.
    ("union kind=inner", "the documentation keeps the columns that all tables have"),
    ("union withsource=b T", "columns of one name are kept apart"),
    ("withsource=src (T | project src=1)", "columns of one name are kept apart"),
    ("parse b with \"a\" * \"b\" b", "columns of one name are kept apart"),
    ("parse-kv", "a key whose column is there takes its place, as with parse"),
    ("make-series percentile(", "a series is an array, also of percentiles"),
    ("(percentile(a,5)) on e", "parentheses leave no trace"),
    ("+a, 'a', 1d", "+x is x"),
];

/// Queries whose first error has another code here, most often since ours says more.
const OTHER_CODES: usize = 60;

fn schema(columns: Vec<(String, String)>) -> Schema {
    let types = [
        Type::Bool,
        Type::Int,
        Type::Long,
        Type::Real,
        Type::Decimal,
        Type::String,
        Type::DateTime,
        Type::TimeSpan,
        Type::Guid,
        Type::Dynamic,
    ];
    let ty = |name: &str| types.into_iter().find(|ty| ty.name() == name).unwrap();
    columns.into_iter().map(|(name, kind)| Column { ty: ty(&kind), name }).collect()
}

pub fn tables() -> Vec<Table> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/queries/schema.json");
    let text = std::fs::read_to_string(path).unwrap();
    let tables: BTreeMap<String, Vec<(String, String)>> = serde_json::from_str(&text).unwrap();
    let mut tables: Vec<_> =
        tables.into_iter().map(|(name, columns)| Table { name, schema: schema(columns) }).collect();
    // In the order of the file, in which the official parser has them.
    tables.sort_by_key(|table| text.find(&format!("\"{}\":", table.name)));
    tables
}

fn reason(query: &str) -> Option<&'static str> {
    DIFFERENT.iter().find(|(part, _)| query.contains(part)).map(|(_, reason)| *reason)
}

/// What does not agree, in words.
fn disagreement(verdict: &Verdict, tables: &[Table], other_codes: &mut Vec<String>) -> Option<String> {
    let environment = Environment { tables, now: 0, opened: &[] };
    match (analyse(&verdict.query, &environment), verdict.codes.is_empty()) {
        (Err(refusal), true) => Some(format!("refused here: {refusal}")),
        (Ok(_), false) => Some(format!("refused there: {:?}", verdict.codes)),
        (Err(refusal), false) => {
            let first = refusal.errors.first().unwrap();
            assert!(first.start <= first.end && first.end <= verdict.query.len(), "{}", verdict.query);
            if !verdict.codes.iter().any(|code| code == first.code) {
                other_codes.push(format!("{} for {:?}: {}", first.code, verdict.codes, verdict.query));
            }
            None
        }
        (Ok(Analysis::Open { .. }), true) => None,
        (Ok(Analysis::Ready(query)), true) => {
            let theirs = schema(verdict.columns.clone()?);
            (query.plan.schema != theirs).then(|| format!("ours {:?}", query.plan.schema))
        }
    }
}

#[test]
fn binder_and_the_official_one_agree() {
    let tables = tables();
    let (mut legal, mut wrong) = (0, 0);
    let mut other_codes = Vec::new();
    let mut disagreements = Vec::new();
    for verdict in verdicts().into_values().flatten() {
        // Of syntax the parser's tests speak; scalar results and silence are no queries of this service.
        if !verdict.syntax.is_empty() || (verdict.codes.is_empty() && verdict.columns.is_none()) {
            continue;
        }
        if reason(&verdict.query).is_some() || dps_kql::parse(&verdict.query).is_err() {
            continue;
        }
        match disagreement(&verdict, &tables, &mut other_codes) {
            Some(how) => disagreements.push(format!("{}\n    {how}", verdict.query)),
            None if verdict.codes.is_empty() => legal += 1,
            None => wrong += 1,
        }
    }
    assert!(disagreements.is_empty(), "{}:\n{}", disagreements.len(), disagreements.join("\n"));
    assert!(other_codes.len() <= OTHER_CODES, "{}:\n{}", other_codes.len(), other_codes.join("\n"));
    assert!(legal >= 350 && wrong >= 120, "{legal} legal, {wrong} wrong");
}

#[test]
fn reason_for_a_difference_is_needed() {
    let mut known: BTreeMap<&str, usize> = DIFFERENT.iter().map(|(part, _)| (*part, 0)).collect();
    for verdict in verdicts().into_values().flatten() {
        for (part, count) in &mut known {
            *count += usize::from(verdict.query.contains(*part));
        }
    }
    let idle: Vec<_> = known.iter().filter(|(_, count)| **count == 0).map(|(part, _)| part).collect();
    assert!(idle.is_empty(), "{idle:?}");
}

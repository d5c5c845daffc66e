//! Our parser against the official one: what is legal, and which error comes first.

use crate::corpus::{queries, verdicts};

/// What the official parser takes and we refuse, by the code we refuse it with.
const REFUSED: &[(&str, &str)] = &[
    // A literal that cannot be read would be null without a word; Kusto's service does not say what it makes of it.
    ("KS004", "a literal without a value"),
    // A text without a query yields nothing that could be answered.
    ("KS006", "nothing to answer: no query, no columns, no result of a function"),
    ("MU002", "what this service does not have"),
];

/// Our first error has another code than all errors of the official parser, most often since ours says more.
const OTHER_CODES: usize = 25;

#[test]
fn verdicts_are_of_the_queries_that_are_kept() {
    let kept = queries();
    let judged: std::collections::BTreeMap<String, Vec<String>> = verdicts()
        .into_iter()
        .map(|(file, verdicts)| (file, verdicts.into_iter().map(|verdict| verdict.query).collect()))
        .collect();
    assert_eq!(judged, kept, "run: node tests/kql-oracle/oracle.mjs --write");
    assert!(judged.values().map(Vec::len).sum::<usize>() >= 600);
}

#[test]
fn what_is_wrong_there_is_wrong_here() {
    let mut other = Vec::new();
    let mut wrong = 0;
    for verdict in verdicts().into_values().flatten().filter(|verdict| !verdict.syntax.is_empty()) {
        wrong += 1;
        let Err(refusal) = dps_kql::parse(&verdict.query) else { panic!("legal here: {}", verdict.query) };
        let first = &refusal.errors[0];
        assert!(
            refusal.syntax && first.start <= first.end && first.end <= verdict.query.len(),
            "{}",
            verdict.query
        );
        if !verdict.codes.iter().any(|code| code == first.code) {
            other.push(format!("{} {:?} {}", first.code, verdict.codes, verdict.query));
        }
    }
    assert!(wrong >= 250, "{wrong}");
    assert!(other.len() <= OTHER_CODES, "{}: {}", other.len(), other.join("\n"));
}

#[test]
fn what_is_legal_there_is_legal_here() {
    let mut legal = 0;
    let mut refused = 0;
    for verdict in verdicts().into_values().flatten().filter(|verdict| verdict.codes.is_empty()) {
        legal += 1;
        if let Err(refusal) = dps_kql::parse(&verdict.query) {
            refused += 1;
            let code = refusal.errors[0].code;
            assert!(REFUSED.iter().any(|(known, _)| *known == code), "{}\n{refusal}", verdict.query);
        }
    }
    assert!(legal >= 200, "{legal}");
    assert!(refused <= 23, "{refused}");
}

#[test]
fn what_has_wrong_names_there_has_a_tree_here() {
    // Codes that the official parser gives when names are looked up, and we already in the grammar.
    const EARLIER: [&str; 8] = ["KS005", "KS006", "KS101", "KS102", "KS160", "KS174", "KS213", "KS226"];
    for verdict in verdicts().into_values().flatten().filter(|verdict| verdict.syntax.is_empty()) {
        let earlier = verdict.codes.iter().any(|code| EARLIER.contains(&code.as_str()));
        // `[1]` is a name to the official parser, whose quotes it misses later.
        if verdict.codes.is_empty() || earlier || verdict.query.ends_with("= [1]") {
            continue;
        }
        if let Err(refusal) = dps_kql::parse(&verdict.query) {
            panic!("{}\n{refusal}", verdict.query);
        }
    }
}

//! What holds for any text: no panic, errors within the text, and a printed tree that reads back to itself.

use crate::corpus::queries;
use dps_kql::ast::QueryBlock;
use dps_kql::{limits, parse};
use proptest::prelude::*;
use std::sync::LazyLock;

static CORPUS: LazyLock<Vec<String>> = LazyLock::new(|| queries().into_values().flatten().collect());

/// The tree without places.
fn shape(block: &QueryBlock) -> String {
    let whole = format!("{block:?}");
    let mut parts = whole.split("Span { start: ");
    let mut shape = parts.next().unwrap().to_owned();
    for part in parts {
        shape.push_str(part.split_once('}').unwrap().1);
    }
    shape
}

/// Whether a text is legal; all that holds of texts is asserted.
fn judged(text: &str) -> bool {
    match parse(text) {
        Ok(block) => {
            let printed = block.to_string();
            match parse(&printed) {
                Ok(again) => {
                    assert_eq!(shape(&again), shape(&block), "{text}\n{printed}");
                    assert_eq!(again.to_string(), printed);
                }
                // Brackets around names and queries may carry a text over a limit.
                Err(error) => {
                    let limit = ["MU001", "KS244", "KS245"].contains(&error.errors[0].code);
                    assert!(limit, "{text}\n{printed}\n{}", error.rendered(&printed));
                }
            }
            true
        }
        Err(refusal) => {
            assert!(
                refusal.syntax && !refusal.errors.is_empty() && refusal.errors.len() <= limits::MAX_ERRORS
            );
            assert!(refusal.errors.is_sorted_by_key(|error| error.start));
            for error in &refusal.errors {
                assert!(text.get(error.start..error.end).is_some(), "{text}: {error:?}");
            }
            let told = refusal.rendered(text);
            assert!(told.contains('^') && told.len() < 1000 * refusal.errors.len(), "{told}");
            false
        }
    }
}

/// Words, numbers, strings and single marks of a text.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = |next: char| next.is_alphanumeric() || next == '_';
        let length =
            if word(first) { rest.find(|next| !word(next)).unwrap_or(rest.len()) } else { first.len_utf8() };
        let (piece, after) = rest.split_at(length);
        pieces.push(piece);
        rest = after;
    }
    pieces
}

#[test]
fn corpus_prints_and_reads_back() {
    assert!(CORPUS.iter().filter(|query| judged(query)).count() > 300);
}

#[test]
fn corpus_cut_anywhere_is_borne() {
    for query in CORPUS.iter() {
        for (at, _) in query.char_indices() {
            judged(&query[..at]);
        }
    }
}

#[test]
fn corpus_without_one_piece_is_borne() {
    for query in CORPUS.iter() {
        let pieces = pieces(query);
        for left_out in 0..pieces.len() {
            let text: String =
                pieces.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, p)| *p).collect();
            judged(&text);
        }
    }
}

/// Expressions of the language, legal by how they are made.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[a-z_][a-z0-9_]{3,6}_",
        "[0-9]{1,9}",
        "[0-9]{1,4}\\.[0-9]{1,4}",
        "[1-9][0-9]?(d|h|m|s|ms|tick)",
        "\"[ -!#-\\[\\]-~]{0,9}\"",
        "'\\\\(n|t|x41|u00e9|\\\\)'",
        "@\"[ -!#-~]{0,9}\"",
        Just("datetime(2026-11-29 10:00)".to_owned()),
        Just("dynamic({\"a\": [1, -2.5, null, \"x\"]})".to_owned()),
        Just("long(null)".to_owned()),
        Just("['two words']".to_owned()),
        Just("real(-inf)".to_owned()),
        Just("guid(74be27de-1e4e-49d9-b579-fe0b331d3642)".to_owned()),
        Just("true".to_owned()),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let binary = prop::sample::select(vec![
            "+",
            "-",
            "*",
            "/",
            "%",
            "==",
            "<",
            ">=",
            "!=",
            "has",
            "!contains_cs",
            "=~",
        ]);
        prop_oneof![
            (inner.clone(), binary, inner.clone())
                .prop_map(|(left, word, right)| format!("({left}) {word} ({right})")),
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|all| format!("({})", all.join(" + ").replace(" == ", " - "))),
            prop::collection::vec(inner.clone(), 0..4).prop_map(|all| format!("func({})", all.join(", "))),
            prop::collection::vec(inner.clone().prop_map(|one| format!("({one})")), 2..5)
                .prop_map(|all| all.join(" and ")),
            prop::collection::vec(inner.clone().prop_map(|one| format!("({one})")), 2..5)
                .prop_map(|all| all.join(" or ")),
            (inner.clone(), prop::collection::vec(inner.clone(), 1..4))
                .prop_map(|(value, list)| format!("({value}) !in~ ({})", list.join(", "))),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(value, low, high)| format!("({value}) between (({low}) .. ({high}))")),
            inner.clone().prop_map(|one| format!("-({one})")),
            (inner.clone(), inner.clone())
                .prop_map(|(base, index)| format!("({base}).name[{index}].['a b'].call(1)")),
            inner.clone().prop_map(|one| format!("toscalar(T | where x == ({one}) | count)")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_borne(text in "\\PC{0,60}") {
        judged(&text);
    }

    #[test]
    fn soup_of_tokens_is_borne(picks in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..40)) {
        let mut text = String::from("T ");
        for (query, piece) in picks {
            let pieces = pieces(&CORPUS[query.index(CORPUS.len())]);
            text.push_str(pieces[piece.index(pieces.len())]);
            text.push(' ');
        }
        judged(&text);
    }

    #[test]
    fn query_with_pieces_of_another_is_borne(
        query in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..3), 1..4),
    ) {
        let mut text = pieces(&CORPUS[query.index(CORPUS.len())]);
        let other = pieces(&CORPUS[other.index(CORPUS.len())]);
        for (at, from, what) in edits {
            if text.is_empty() {
                break;
            }
            let at = at.index(text.len());
            match what {
                0 => text.insert(at, other[from.index(other.len())]),
                1 => text[at] = other[from.index(other.len())],
                _ => { text.remove(at); }
            }
        }
        judged(&text.concat());
    }

    #[test]
    fn expression_prints_and_reads_back(text in expression()) {
        let query = format!("T | extend y = {text}");
        // Operators of one level may stand side by side in what is made here; that alone makes it wrong.
        judged(&query);
        let wrapped = format!("print f({text}), ({text})");
        prop_assert_eq!(judged(&query), judged(&wrapped));
    }
}

//! What holds for any text that is bound: no panic, errors within the text, and plans whose columns are there.

use std::sync::LazyLock;

use dps_kql::{Analysis, Environment, Expr, ExprKind, Node, Plan, Schema, Table, analyse};
use proptest::prelude::*;

use crate::corpus::queries;
use crate::names::tables;

static CORPUS: LazyLock<Vec<String>> = LazyLock::new(|| queries().into_values().flatten().collect());
static TABLES: LazyLock<Vec<Table>> = LazyLock::new(tables);

/// Whether a text is legal; all that holds of analyses is asserted.
fn judged(text: &str) -> bool {
    let environment = Environment { tables: &TABLES, now: 0, opened: &[] };
    match analyse(text, &environment) {
        Ok(Analysis::Ready(query)) => sound(&query.plan),
        Ok(Analysis::Open { input, .. }) => sound(&input),
        Err(refusal) => {
            assert!(!refusal.errors.is_empty());
            assert!(refusal.errors.is_sorted_by_key(|error| error.start), "{text}: {refusal}");
            for error in &refusal.errors {
                assert!(text.get(error.start..error.end).is_some(), "{text}: {error:?}");
            }
            return false;
        }
    }
    true
}

/// Names are unique, columns exist and have the type they are said to have.
fn sound(plan: &Plan) {
    let mut names: Vec<_> = plan.schema.iter().map(|column| &column.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), plan.schema.len(), "{plan:?}");
    match &plan.node {
        Node::Filter { input, predicate } => {
            sound(input);
            assert_eq!(input.schema, plan.schema);
            over(predicate, &input.schema);
        }
        Node::Project { input, columns } => {
            sound(input);
            assert_eq!(columns.len(), plan.schema.len());
            for (expr, column) in columns.iter().zip(&plan.schema) {
                over(expr, &input.schema);
                assert_eq!(expr.ty, column.ty);
            }
        }
        Node::Aggregate { input, keys, aggregations } => {
            sound(input);
            let outputs = aggregations.iter().flat_map(|aggregation| &aggregation.outputs);
            assert!(plan.schema.iter().skip(keys.len()).eq(outputs));
            let args = aggregations.iter().flat_map(|aggregation| &aggregation.args);
            keys.iter().chain(args).for_each(|expr| over(expr, &input.schema));
        }
        Node::Sort { input, keys } => {
            sound(input);
            for key in keys {
                over(&key.expr, &input.schema);
            }
        }
        Node::Take { input, .. } => {
            sound(input);
            assert_eq!(input.schema, plan.schema);
        }
        Node::Join { left, right, on, .. } => {
            sound(left);
            sound(right);
            for (a, b) in on {
                over(a, &left.schema);
                over(b, &right.schema);
                assert_eq!(a.ty, b.ty);
            }
        }
        Node::Union { inputs } => {
            assert!(!inputs.is_empty());
            for input in inputs {
                sound(input);
                assert_eq!(input.schema, plan.schema);
            }
        }
        Node::Values { rows } => {
            for row in rows {
                assert_eq!(row.len(), plan.schema.len());
                assert!(row.iter().zip(&plan.schema).all(|(value, column)| value.ty() == column.ty));
            }
        }
        Node::Window { input, functions } => {
            sound(input);
            assert_eq!(plan.schema.len(), input.schema.len() + functions.len());
        }
        Node::MvApply { input, sources, subquery, .. } => {
            sound(input);
            sound(subquery);
            assert_eq!(sources.len(), plan.schema.len());
            for (source, column) in sources.iter().zip(&plan.schema) {
                assert_eq!(
                    *column,
                    match source {
                        Ok(index) => subquery.schema[*index].clone(),
                        Err(index) => input.schema[*index].clone(),
                    }
                );
            }
        }
        Node::MvExpand { input, columns, .. } => {
            sound(input);
            for expanded in columns {
                over(&expanded.source, &input.schema);
                assert_eq!(plan.schema[expanded.target].ty, expanded.ty);
            }
        }
        Node::Parse { input, source, .. } | Node::ParseKv { input, source, .. } => {
            sound(input);
            over(source, &input.schema);
        }
        Node::MakeSeries { input, axis, keys, series, .. } => {
            sound(input);
            over(axis, &input.schema);
            assert_eq!(plan.schema.len(), keys.len() + series.len() + 1);
        }
        Node::TopNested { input, levels } => {
            sound(input);
            assert_eq!(plan.schema.len(), 2 * levels.len());
        }
        Node::Table { .. } | Node::Range { .. } | Node::Opened(_) | Node::Applied => {}
    }
}

fn over(expr: &Expr, schema: &Schema) {
    match &expr.kind {
        ExprKind::Column(index) => assert_eq!(schema[*index].ty, expr.ty),
        ExprKind::Literal(value) => assert_eq!(value.ty(), expr.ty),
        ExprKind::Call { args, .. } => args.iter().for_each(|arg| over(arg, schema)),
        ExprKind::Path { base, steps } => {
            over(base, schema);
            assert!(!steps.is_empty());
        }
        ExprKind::InQuery { value, query, .. } => {
            over(value, schema);
            sound(query);
            assert_eq!((query.schema.len(), query.schema[0].ty), (1, value.ty));
        }
        ExprKind::ScalarQuery(query) => sound(query),
    }
}

#[test]
fn query_of_the_corpus_has_a_sound_plan() {
    let legal = CORPUS.iter().filter(|text| judged(text)).count();
    assert!(legal >= 400, "{legal}");
}

fn pieces(text: &str) -> Vec<&str> {
    text.split_inclusive([' ', ',', '(', ')', '|', '=']).collect()
}

proptest! {
    #[test]
    fn soup_of_corpus_tokens_does_no_harm(picks in prop::collection::vec((0usize..10_000, 0usize..1000), 1..40)) {
        let mut text = String::from("T | ");
        for (query, piece) in picks {
            let pieces = pieces(&CORPUS[query % CORPUS.len()]);
            text.push_str(pieces[piece % pieces.len()]);
        }
        judged(&text);
    }

    #[test]
    fn query_with_a_piece_of_another_does_no_harm(
        one in 0usize..10_000, other in 0usize..10_000, at in 0usize..1000, from in 0usize..1000,
    ) {
        let mut mixed = pieces(&CORPUS[one % CORPUS.len()]);
        let others = pieces(&CORPUS[other % CORPUS.len()]);
        let at = at % mixed.len();
        mixed[at] = others[from % others.len()];
        judged(&mixed.concat());
    }

    #[test]
    fn operators_of_two_queries_in_a_row_do_no_harm(one in 0usize..10_000, other in 0usize..10_000) {
        let (head, tail) = (&CORPUS[one % CORPUS.len()], &CORPUS[other % CORPUS.len()]);
        if let Some((_, tail)) = tail.split_once('|') {
            judged(&format!("{head} | {tail}"));
        }
    }
}

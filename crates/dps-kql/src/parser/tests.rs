use super::*;
use crate::ast::{ExprKind, LetValue, OperatorKind, Statement, TableSource};

fn errors(text: &str) -> Vec<Diagnostic> {
    parse(text).unwrap_err().errors
}

fn codes(text: &str) -> Vec<&'static str> {
    errors(text).iter().map(|error| error.code).collect()
}

/// The operators of a query that is one pipe.
fn operators(text: &str) -> Vec<OperatorKind> {
    let block = parse(text).unwrap_or_else(|error| panic!("{}", error.rendered(text)));
    match block.statements.into_iter().next_back() {
        Some(Statement::Query(crate::ast::Expr { kind: ExprKind::Pipe { operators, .. }, .. })) => {
            operators.into_iter().map(|operator| operator.kind).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn deep_nesting_is_refused_without_a_deep_stack() {
    for text in [
        "(",
        "f(",
        "[",
        "{",
        "-",
        "not(",
        "dynamic([",
        "T|where a in(",
        "a[",
        "toscalar(",
        "let f=(){",
        "T|union (",
    ] {
        let error = parse(&text.repeat(30_000)).unwrap_err();
        assert!(!error.errors.is_empty(), "{text}");
    }
    assert_eq!(codes(&"(".repeat(limits::MAX_TOKENS - 1)), [code::TOO_DEEP]);
}

#[test]
fn chain_counts_as_height_where_it_is_one() {
    let sum = |terms: usize| format!("print {}", vec!["1"; terms].join(" + "));
    assert!(parse(&sum(limits::MAX_DEPTH - 5)).is_ok());
    assert_eq!(codes(&sum(limits::MAX_DEPTH + 1)), [code::TOO_DEEP]);
    // These are wide, not high.
    assert!(parse(&format!("T | where {}", vec!["a == 1"; limits::MAX_LIST].join(" or "))).is_ok());
    assert!(parse(&format!("print x{}", ".a".repeat(limits::MAX_LIST))).is_ok());
    assert!(parse(&format!("print {}", vec!["1 + 2 * 3"; limits::MAX_LIST].join(", "))).is_ok());
}

#[test]
fn limit_of_each_kind_is_told() {
    assert_eq!(codes(&" ".repeat(limits::MAX_QUERY_TEXT + 1)), [code::TOO_LONG]);
    assert_eq!(codes(&"T;".repeat(limits::MAX_STATEMENTS + 1)), [code::LIMIT]);
    assert_eq!(codes(&format!("T{}", "|count".repeat(limits::MAX_OPERATORS + 1))), [code::LIMIT]);
    assert_eq!(codes(&format!("print {}", vec!["1"; limits::MAX_LIST + 1].join(","))), [code::LIMIT]);
    assert_eq!(codes(&format!("print a {}", "and b ".repeat(limits::MAX_LIST))), [code::LIMIT]);
    let ids = format!("T | where x in ({})", vec!["'device'"; 20_000].join(","));
    assert!(parse(&ids).is_ok());
}

#[test]
fn errors_of_several_operators_are_told_at_once() {
    let text = "T | wher a == 1 | project b c | take | summarize count( by b | count";
    let told: Vec<(&str, usize)> = errors(text).iter().map(|error| (error.code, error.start)).collect();
    assert_eq!(told, [("KS176", 4), ("KS005", 28), ("KS006", 36), ("KS005", 56)]);
    assert_eq!(codes("let x = ; let y 5; T | sort a; print 1 +"), ["KS006", "KS005", "KS005", "KS006"]);
}

#[test]
fn error_within_a_subquery_hides_no_other_operator() {
    assert_eq!(codes("T | join (U | whre x | take 5) on a | tak 5"), ["KS176", "KS176"]);
    assert_eq!(codes("T | where a in (U | project b | tak 5) | take 5"), ["KS176"]);
}

#[test]
fn suggestion_says_what_is_meant() {
    for (text, suggestion) in [
        ("T | wher a", "Did you mean where?"),
        ("T | summarise count()", "Did you mean summarize?"),
        ("T where a == 1", "Write | before where."),
        ("T | where not a", "Write not(…)."),
        ("T | where a is null", "Write isnull(…) or isempty(…)."),
        ("T | summarize count() as n", "A name stands in front: name = expression."),
        ("T | where a && b", "Write `and`."),
        ("T | where a || b", "Write or."),
        ("T | where a =< 1", "Comparisons are ==, !=, <, <=, > and >=."),
        ("T | where (a = 1)", "Write == to compare."),
        ("print f(T | take 1)", "Put the query in parentheses."),
        ("print \"C:\\dir\"", "A backslash is \\\\ in a string; in @\"…\" it stands for itself."),
        ("print dynamic({a: 1})", "Write \"a\" in quotes."),
        ("where a == 1", "Begin with a table: T | …"),
        ("T | extend x = where", "If the keyword 'where' is meant as a name, write ['where']."),
    ] {
        assert_eq!(errors(text)[0].suggestion.as_deref(), Some(suggestion), "{text}: {:?}", errors(text));
    }
}

#[test]
fn comparison_by_one_equals_sign_keeps_its_name() {
    let found = operators("T | where Category = 'x'");
    let [OperatorKind::Where(named)] = found.as_slice() else { panic!() };
    assert_eq!(named.names[0].text, "Category");
}

#[test]
fn list_of_union_knows_patterns_behind_a_workspace() {
    let found = operators("T | union App*, workspace('x').A*b, (U), V");
    let [OperatorKind::Union(sources)] = found.as_slice() else { panic!() };
    let kinds: Vec<String> = sources
        .iter()
        .map(|source| match source {
            TableSource::Pattern { within, pattern } => format!("{}{}", within.is_some(), pattern.name.text),
            TableSource::Expr(expr) => format!("{:?}", expr.kind),
        })
        .collect();
    assert_eq!(kinds, ["falseApp*", "trueA*b", "Name(\"U\")", "Name(\"V\")"]);
}

#[test]
fn chain_of_one_operator_is_flat() {
    let block = parse("a and b and (c and d) or e").unwrap();
    let [Statement::Query(expr)] = block.statements.as_slice() else { panic!() };
    let ExprKind::Logical { operands, .. } = &expr.kind else { panic!() };
    let ExprKind::Logical { operands: inner, .. } = &operands[0].kind else { panic!() };
    assert_eq!((operands.len(), inner.len()), (2, 3));
}

#[test]
fn span_holds_what_was_written() {
    let text = "let n = 5; T | where (a + 1) > n | take n";
    let block = parse(text).unwrap();
    let [Statement::Let(let_), Statement::Query(query)] = block.statements.as_slice() else { panic!() };
    assert_eq!(&text[let_.span.start..let_.span.end], "let n = 5");
    assert!(matches!(&let_.value, LetValue::Expr(expr) if &text[expr.span.start..expr.span.end] == "5"));
    let ExprKind::Pipe { operators, .. } = &query.kind else { panic!() };
    let shown: Vec<&str> =
        operators.iter().map(|operator| &text[operator.span.start..operator.span.end]).collect();
    assert_eq!(shown, ["where (a + 1) > n", "take n"]);
    let OperatorKind::Where(named) = &operators[0].kind else { panic!() };
    let ExprKind::Binary { at, left, .. } = &named.expr.kind else { panic!() };
    assert_eq!((&text[left.span.start..left.span.end], &text[at.start..at.end]), ("(a + 1)", ">"));
}

use std::sync::LazyLock;

use super::{MarkKind, assist};
use crate::{Column, Environment, Table, Type, limits};

static TABLES: LazyLock<Vec<Table>> = LazyLock::new(|| {
    let table = |name: &str, columns: &[(&str, Type)]| {
        let column = |(name, ty): &(&str, Type)| Column { name: (*name).to_owned(), ty: *ty };
        Table { name: name.to_owned(), schema: columns.iter().map(column).collect() }
    };
    vec![
        table(
            "Fleet",
            &[
                ("Time", Type::DateTime),
                ("Category", Type::String),
                ("Count", Type::Long),
                ("by", Type::String),
            ],
        ),
        table("Hubs", &[("Hub", Type::String), ("Tags", Type::Dynamic)]),
    ]
});

fn environment() -> Environment<'static> {
    Environment { tables: &TABLES, now: 0, opened: &[] }
}

/// Labels of what could stand at `¦`, with their kinds.
fn offered(text: &str) -> Vec<(MarkKind, String)> {
    let cursor = text.find('¦').unwrap();
    let help = assist(&text.replace('¦', ""), Some(cursor), &environment());
    help.completions.into_iter().map(|found| (found.kind, found.label)).collect()
}

/// Of that kind alone.
fn labels(text: &str, kind: MarkKind) -> Vec<String> {
    let found = offered(text).into_iter().filter(|(of, _)| *of == kind);
    found.map(|(_, label)| label).collect()
}

/// The text with the completion of that label in its place.
fn completed(text: &str, label: &str) -> String {
    let cursor = text.find('¦').unwrap();
    let text = text.replace('¦', "");
    let help = assist(&text, Some(cursor), &environment());
    let found = help.completions.into_iter().find(|found| found.label == label).unwrap();
    format!("{}{}{}", &text[..found.start], found.insert, &text[found.end..])
}

#[test]
fn query_begins_with_a_table_or_what_needs_none() {
    for text in [
        "¦",
        "  ¦",
        "// all\n¦",
        "let x = 5;\n¦",
        "Fle¦",
        "union (¦",
        "Fleet | join kind=inner (¦",
        "let y = ¦",
    ] {
        let found = offered(text);
        assert!(found.contains(&(MarkKind::Table, "Fleet".into())), "{text}: {found:?}");
        assert!(!found.contains(&(MarkKind::Column, "Category".into())), "{text}");
    }
    assert_eq!(labels("Fle¦", MarkKind::Table), ["Fleet"]);
    assert!(offered("let x = 5; ¦").contains(&(MarkKind::Variable, "x".into())));
    assert!(offered("let y = ¦").contains(&(MarkKind::Function, "ago".into())));
}

#[test]
fn operators_stand_behind_a_pipe_alone() {
    for text in ["Fleet | ¦", "Fleet\n| where Count > 1\n| ¦", "Fleet | join (Hubs | ¦", "Fleet | ¦ | count"]
    {
        let found = labels(text, MarkKind::Keyword);
        assert!(
            found.contains(&"where".to_owned()) && found.contains(&"summarize".to_owned()),
            "{text}: {found:?}"
        );
    }
    assert_eq!(labels("Fleet | project-a¦", MarkKind::Keyword), ["project-away"]);
    assert_eq!(completed("Fleet | project-a¦", "project-away"), "Fleet | project-away ");
    assert_eq!(completed("Fleet | wh¦ere Count > 1", "where"), "Fleet | where  Count > 1");
    assert_eq!(labels("Fleet | where Count -¦", MarkKind::Keyword), [] as [&str; 0]);
    assert_eq!(offered("Fleet ¦"), [(MarkKind::Operator, "|".into())]);
}

#[test]
fn columns_are_those_of_the_stage() {
    for (text, columns) in [
        ("Fleet | where ¦", &["Time", "Category", "Count", "by"][..]),
        ("Fleet | project Category, Double = Count * 2 | where ¦", &["Category", "Double"]),
        ("Fleet | summarize n = count() by Category | where ¦", &["Category", "n"]),
        ("Fleet | where Count > 1 and ¦", &["Time", "Category", "Count", "by"]),
        ("Fleet | where isempty(¦", &["Time", "Category", "Count", "by"]),
        ("Fleet | extend a = iff(Count > 1, ¦, 2) | project a", &["Time", "Category", "Count", "by"]),
        ("Fleet | join kind=inner (Hubs | where ¦", &["Hub", "Tags"]),
        ("Fleet | join kind=inner (Hubs) on ¦", &["Time", "Category", "Count", "by"]),
        ("let recent = Fleet | project Time; recent | where ¦", &["Time"]),
        ("let n = 5; let f = (x:long) { x + n }; Hubs | extend y = f(n) | project ¦", &["Hub", "Tags", "y"]),
        ("Fleet | project-away ¦", &["Time", "Category", "Count", "by"]),
        ("Fleet | where Coun¦", &["Count"]),
        ("Fleet | summarize count() by ¦", &["Time", "Category", "Count", "by"]),
        ("let x = Fleet | project Count | where ¦", &["Count"]),
        // What lies before is wrong: the columns are those that were there before it.
        ("Fleet | project Category | where nonsense == | extend ¦", &["Category"]),
        ("let broken = ; Fleet | project Time | where ¦", &["Time"]),
        ("print ¦", &[]),
        ("let x = ¦", &[]),
    ] {
        assert_eq!(labels(text, MarkKind::Column), columns, "{text}");
    }
    assert_eq!(completed("Fleet | project ¦", "by"), "Fleet | project ['by']");
}

#[test]
fn aggregates_stand_within_summarize_before_by() {
    for (text, some) in [
        ("Fleet | summarize ¦", true),
        ("Fleet | summarize n = ¦", true),
        ("Fleet | summarize count(), ¦", true),
        ("Fleet | summarize round(¦", true),
        ("Fleet | make-series ¦", true),
        ("Fleet | summarize max(¦", false),
        ("Fleet | summarize count() by ¦", false),
        ("Fleet | where ¦", false),
        ("Fleet | extend x = ¦", false),
    ] {
        let found = labels(text, MarkKind::Aggregate);
        assert_eq!(found.contains(&"dcount".to_owned()), some, "{text}");
        assert!(labels(text, MarkKind::Function).contains(&"bin".to_owned()), "{text}");
    }
    assert_eq!(completed("Fleet | summarize cou¦", "count"), "Fleet | summarize count()");
}

#[test]
fn behind_a_value_stands_what_joins_values() {
    for text in ["Fleet | where Category ¦", "Fleet | where Count > 1 ¦", "Fleet | where isempty(Category) ¦"]
    {
        let found = labels(text, MarkKind::Operator);
        for word in ["has", "and", "==", "in", "between", "!contains"] {
            assert!(found.contains(&word.to_owned()), "{text} {word}: {found:?}");
        }
        assert!(labels(text, MarkKind::Column).is_empty(), "{text}");
    }
    assert_eq!(labels("Fleet | where Category !ha¦", MarkKind::Operator)[0], "!has");
    assert_eq!(labels("Fleet | summarize count() ¦", MarkKind::Keyword), ["by"]);
    assert_eq!(labels("Fleet | sort ¦", MarkKind::Keyword), ["by"]);
    assert!(labels("Fleet | sort by Time ¦", MarkKind::Keyword).contains(&"desc".to_owned()));
    assert_eq!(labels("Fleet | top 5 ¦", MarkKind::Keyword), ["by"]);
    assert_eq!(labels("Fleet | join (Hubs) ¦", MarkKind::Keyword), ["on"]);
    assert!(labels("Fleet | join kind=¦", MarkKind::Keyword).contains(&"leftanti".to_owned()));
    assert!(labels("Fleet | render ¦", MarkKind::Keyword).contains(&"timechart".to_owned()));
    assert_eq!(labels("Fleet | evaluate ¦", MarkKind::Function), ["bag_unpack", "pivot"]);
}

#[test]
fn nothing_stands_in_text_comments_and_counts() {
    for text in [
        "Fleet | where Category == 'ha¦",
        "Fleet | where Category == \"ha¦\" and Count > 1",
        "Fleet // wh¦",
        "Fleet | take ¦",
        "Fleet | count ¦",
        "let na¦",
        "Fleet | where Tags.¦",
    ] {
        assert_eq!(offered(text), [], "{text}");
    }
    // Behind a text that has ended there is more.
    assert!(!offered("Fleet | where Category == 'x' ¦").is_empty());
    assert!(!offered("Fleet // all\n| ¦").is_empty());
}

#[test]
fn pieces_are_marked_by_what_they_are() {
    let text = "let top5 = 5; // five\nFleet | where Category has 'x' and Count >= 2.5 | summarize dcount(Category) by bin(Time, 1h) | take top5";
    let help = assist(text, None, &environment());
    let marked: Vec<(MarkKind, &str)> =
        help.marks.iter().map(|mark| (mark.kind, &text[mark.start..mark.end])).collect();
    for expected in [
        (MarkKind::Keyword, "let"),
        (MarkKind::Variable, "top5"),
        (MarkKind::Number, "5"),
        (MarkKind::Comment, "// five"),
        (MarkKind::Table, "Fleet"),
        (MarkKind::Keyword, "where"),
        (MarkKind::Column, "Category"),
        (MarkKind::Operator, "has"),
        (MarkKind::String, "'x'"),
        (MarkKind::Operator, "and"),
        (MarkKind::Number, "2.5"),
        (MarkKind::Aggregate, "dcount"),
        (MarkKind::Keyword, "by"),
        (MarkKind::Function, "bin"),
        (MarkKind::Literal, "1h"),
        (MarkKind::Punctuation, ","),
    ] {
        assert!(marked.contains(&expected), "{expected:?} in {marked:?}");
    }
    assert!(help.marks.is_sorted_by_key(|mark| mark.start));
    assert_eq!(help.errors, []);
}

#[test]
fn errors_have_kustos_codes_and_a_blank_text_has_none() {
    let errors = |text: &str| assist(text, None, &environment()).errors;
    assert_eq!(errors(""), []);
    assert_eq!(errors(" \n// nothing yet"), []);
    let [wrong] = &errors("Fleet | where Categoy == 'x'")[..] else { panic!("one error") };
    assert_eq!((wrong.code, wrong.start, wrong.end), ("KS142", 14, 21));
    assert_eq!(errors("Fleet | where")[0].code, "KS006");
    let long = "x".repeat(limits::MAX_ASSISTED_TEXT + 1);
    let help = assist(&long, Some(5), &environment());
    assert!(help.marks.is_empty() && help.completions.is_empty());
    assert_eq!(help.errors[0].code, "KS244");
}

#[test]
fn every_cursor_of_a_query_is_borne() {
    let text = "let f = (x:long) { x + 1 };\nFleet | where Category in ('a', \"ü€\") // ß\n| mv-apply t = dynamic([1]) on (where t > 0) \
                | join kind=leftouter (Hubs | extend y = Tags.a[0]) on $left.Category == $right.Hub | render timechart with (title='x')";
    for cursor in 0..=text.len() + 2 {
        for end in [cursor, text.len()] {
            let Some(head) = text.get(..end.min(text.len())) else { continue };
            let help = assist(head, Some(cursor), &environment());
            for found in &help.completions {
                assert!(head.get(found.start..found.end).is_some(), "{cursor} {found:?}");
            }
            assert!(help.completions.len() <= limits::MAX_COMPLETIONS);
        }
    }
}

//! Properties of the query language: what a condition means against an oracle that knows neither text nor JSON, what is
//! printed reads back, and no text breaks it.

use std::cmp::Ordering;

use dps_service_api::query::{Query, Rows};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// A value of a tag.
#[derive(Clone, Debug, PartialEq)]
enum Tag {
    Null,
    Flag(bool),
    Number(i64),
    Text(String),
}

/// A row as the oracle sees it: its id and three tags, each of which may be absent.
#[derive(Clone, Debug)]
struct Row {
    id: String,
    tags: [Option<Tag>; 3],
}

/// A condition as the oracle sees it.
#[derive(Clone, Debug)]
enum Expression {
    Compare(usize, &'static str, Tag),
    Swapped(Tag, &'static str, usize),
    Id(&'static str, String),
    Among(usize, bool, Vec<Tag>),
    Defined(usize),
    Flagged(usize),
    Text(&'static str, usize, String, bool),
    Not(Box<Expression>),
    And(Vec<Expression>),
    Or(Vec<Expression>),
}

const OPERATORS: [&str; 7] = ["=", "<>", "!=", "<", "<=", ">", ">="];

impl Row {
    fn json(&self) -> Value {
        let tags: Map<String, Value> = self
            .tags
            .iter()
            .enumerate()
            .filter_map(|(index, tag)| {
                let value = match tag.as_ref()? {
                    Tag::Null => Value::Null,
                    Tag::Flag(value) => json!(value),
                    Tag::Number(value) => json!(value),
                    Tag::Text(value) => json!(value),
                };
                Some((format!("t {index}"), value))
            })
            .collect();
        json!({ "registrationId": self.id, "initialTwin": { "tags": tags } })
    }

    fn tag(&self, index: usize) -> Tag {
        self.tags[index].clone().unwrap_or(Tag::Null)
    }
}

fn equal(left: &Tag, right: &Tag) -> bool {
    left == right
}

fn order(left: &Tag, right: &Tag) -> Option<Ordering> {
    match (left, right) {
        (Tag::Number(left), Tag::Number(right)) => Some(left.cmp(right)),
        (Tag::Text(left), Tag::Text(right)) => Some(left.as_bytes().cmp(right.as_bytes())),
        _ => None,
    }
}

fn compared(left: &Tag, operator: &str, right: &Tag) -> bool {
    match operator {
        "=" => equal(left, right),
        "<>" | "!=" => !equal(left, right),
        "<" => order(left, right) == Some(Ordering::Less),
        "<=" => matches!(order(left, right), Some(Ordering::Less | Ordering::Equal)),
        ">" => order(left, right) == Some(Ordering::Greater),
        ">=" => matches!(order(left, right), Some(Ordering::Greater | Ordering::Equal)),
        other => unreachable!("{other}"),
    }
}

impl Expression {
    fn holds(&self, row: &Row) -> bool {
        match self {
            Self::Compare(tag, operator, value) => compared(&row.tag(*tag), operator, value),
            Self::Swapped(value, operator, tag) => compared(value, operator, &row.tag(*tag)),
            Self::Id(operator, value) => {
                let lower = |text: &str| Tag::Text(text.to_ascii_lowercase());
                compared(&lower(&row.id), operator, &lower(value))
            }
            Self::Among(tag, negated, list) => {
                list.iter().any(|value| equal(&row.tag(*tag), value)) != *negated
            }
            Self::Defined(tag) => row.tags[*tag].is_some(),
            Self::Flagged(tag) => row.tag(*tag) == Tag::Flag(true),
            Self::Text(function, tag, part, ignore_case) => {
                let Tag::Text(text) = row.tag(*tag) else { return false };
                let case =
                    |text: &str| if *ignore_case { text.to_ascii_lowercase() } else { text.to_owned() };
                let (text, part) = (case(&text), case(part));
                match *function {
                    "STARTSWITH" => text.get(..part.len()) == Some(part.as_str()),
                    "ENDSWITH" => {
                        text.len() >= part.len() && text.get(text.len() - part.len()..) == Some(part.as_str())
                    }
                    _ => text.contains(&part),
                }
            }
            Self::Not(inner) => !inner.holds(row),
            Self::And(parts) => parts.iter().all(|part| part.holds(row)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(row)),
        }
    }

    /// As a user may write it: both quotes, keywords in any case, every condition in parentheses.
    fn text(&self) -> String {
        let path = |tag: &usize| match tag % 2 {
            0 => format!("initialTwin.tags['t {tag}']"),
            _ => format!("e.initialTwin['tags'][\"t {tag}\"]"),
        };
        match self {
            Self::Compare(tag, operator, value) => format!("{}{operator}{}", path(tag), literal(value)),
            Self::Swapped(value, operator, tag) => format!("{} {operator} {}", literal(value), path(tag)),
            Self::Id(operator, value) => format!("registrationId {operator} {}", quoted(value, '"')),
            Self::Among(tag, negated, list) => {
                let list: Vec<String> = list.iter().map(literal).collect();
                format!("{} {}In ({})", path(tag), if *negated { "nOt " } else { "" }, list.join(","))
            }
            Self::Defined(tag) => format!("is_defined({})", path(tag)),
            Self::Flagged(tag) => path(tag),
            Self::Text(function, tag, part, ignore_case) => {
                format!("{function}({}, {}, {ignore_case})", path(tag), quoted(part, '\''))
            }
            Self::Not(inner) => format!("not ({})", inner.text()),
            Self::And(parts) => joined(parts, " AND "),
            Self::Or(parts) => joined(parts, " or "),
        }
    }
}

fn joined(parts: &[Expression], by: &str) -> String {
    parts.iter().map(|part| format!("({})", part.text())).collect::<Vec<_>>().join(by)
}

fn quoted(text: &str, quote: char) -> String {
    format!("{quote}{}{quote}", text.replace(quote, &format!("{quote}{quote}")))
}

fn literal(tag: &Tag) -> String {
    match tag {
        Tag::Null => "NULL".into(),
        Tag::Flag(value) => value.to_string(),
        Tag::Number(value) => value.to_string(),
        Tag::Text(value) => quoted(value, '\''),
    }
}

/// Few values, so that equal ones meet.
fn tag() -> impl Strategy<Value = Tag> {
    prop_oneof![
        Just(Tag::Null),
        any::<bool>().prop_map(Tag::Flag),
        (-2_i64..3).prop_map(Tag::Number),
        any::<i64>().prop_map(Tag::Number),
        "[aAb'\"é]{0,3}".prop_map(Tag::Text),
    ]
}

fn row() -> impl Strategy<Value = Row> {
    let tags = prop::array::uniform3(prop::option::of(tag()));
    ("[aAbB]{1,2}", tags).prop_map(|(id, tags)| Row { id, tags })
}

fn expression() -> impl Strategy<Value = Expression> {
    let at = || 0_usize..3;
    let operator = || prop::sample::select(OPERATORS.as_slice());
    let function = prop::sample::select(["STARTSWITH", "endswith", "Contains"].as_slice());
    let leaf = prop_oneof![
        4 => (at(), operator(), tag()).prop_map(|(at, operator, tag)| Expression::Compare(at, operator, tag)),
        1 => (tag(), operator(), at()).prop_map(|(tag, operator, at)| Expression::Swapped(tag, operator, at)),
        1 => (operator(), "[aAbB]{1,2}").prop_map(|(operator, id)| Expression::Id(operator, id)),
        2 => (at(), any::<bool>(), prop::collection::vec(tag(), 1..4))
            .prop_map(|(at, negated, list)| Expression::Among(at, negated, list)),
        1 => at().prop_map(Expression::Defined),
        1 => at().prop_map(Expression::Flagged),
        2 => (function, at(), "[aAb']{0,2}", any::<bool>()).prop_map(|(name, at, part, ignore)| {
            let name = ["STARTSWITH", "ENDSWITH", "CONTAINS"].into_iter().find(|known| known.eq_ignore_ascii_case(name));
            Expression::Text(name.unwrap_or("CONTAINS"), at, part, ignore)
        }),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Expression::Not(Box::new(inner))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expression::And),
            prop::collection::vec(inner, 2..4).prop_map(Expression::Or),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn condition_means_what_the_oracle_says(expression in expression(), rows in prop::collection::vec(row(), 1..6)) {
        let text = format!("SELECT * FROM enrollments e WHERE {}", expression.text());
        let query = Query::parse(&text, Rows::Enrollments)
            .map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        for row in rows {
            prop_assert_eq!(query.matches(&row.json()), expression.holds(&row), "{} on {:?}", text, row);
        }
    }

    #[test]
    fn query_printed_reads_back_the_same(expression in expression()) {
        let text = format!("SELECT * FROM c AS e WHERE {}", expression.text());
        let query = Query::parse(&text, Rows::Enrollments)
            .map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        let printed = query.to_string();
        prop_assert_eq!(Query::parse(&printed, Rows::Enrollments), Ok(query), "{}", printed);
    }

    #[test]
    fn query_of_any_text_understood_or_refused_in_one_bounded_line(text in ".{0,200}") {
        told(&text)?;
    }

    #[test]
    fn query_of_any_words_understood_or_refused_in_one_bounded_line(
        words in prop::collection::vec(prop::sample::select(WORDS.as_slice()), 0..24),
    ) {
        told(&words.join(" "))?;
    }
}

const WORDS: [&str; 34] = [
    "SELECT",
    "*",
    "FROM",
    "WHERE",
    "AND",
    "OR",
    "NOT",
    "IN",
    "(",
    ")",
    "[",
    "]",
    ",",
    ".",
    "=",
    "<>",
    "<=",
    "null",
    "true",
    "1",
    "-",
    "'a'",
    "\"b\"",
    "registrationId",
    "iotHubs",
    "initialTwin.tags",
    "createdDateTimeUtc",
    "c",
    "IS_DEFINED(",
    "STARTSWITH(",
    "ORDER BY",
    ";",
    "'",
    "é",
];

fn told(text: &str) -> Result<(), TestCaseError> {
    for rows in [Rows::Enrollments, Rows::EnrollmentGroups, Rows::Registrations] {
        match Query::parse(text, rows) {
            Ok(query) => {
                query.matches(&json!({ "registrationId": "a", "iotHubs": ["b"] }));
                prop_assert_eq!(Query::parse(&query.to_string(), rows), Ok(query));
            }
            Err(error) => {
                let told = error.to_string();
                prop_assert!(told.len() < 700 && !told.contains('\n'), "{}", told);
                prop_assert!((1..=text.chars().count() + 1).contains(&error.at));
            }
        }
    }
    Ok(())
}

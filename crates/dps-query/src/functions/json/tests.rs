#![allow(clippy::cast_possible_wrap, reason = "small numbers of a test")]

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no NaN", |value| value.is_finite()).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[ab\"\\\\é ]{0,3}", inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn walked<'a>(value: &'a Value, way: &[Step]) -> Option<&'a Value> {
    way.iter().try_fold(value, |value, step| match step {
        Step::Member(name) => value.as_object()?.get(name),
        Step::Index(index) => {
            let array = value.as_array()?;
            let index = if *index < 0 { array.len() as i64 + index } else { *index };
            array.get(usize::try_from(index).ok()?)
        }
    })
}

fn any_way() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof!["[ab\"\\\\é ]{0,3}".prop_map(Step::Member), (-4_i64..4).prop_map(Step::Index),];
    prop::collection::vec(step, 1..4)
}

#[test]
fn value_in_a_bag_is_found_past_others() {
    let text = r#"{ "a" : [1, {"b": "x,]}\"" }] , "b\u0061" : -2.5e3 }"#;
    let way = |steps: &[Step]| find(text, steps).map(str::to_owned);
    let (a, b) = (Step::Member("a".into()), Step::Member("b".into()));
    assert_eq!(way(&[a.clone(), Step::Index(1), b]).as_deref(), Some(r#""x,]}\"""#));
    assert_eq!(way(&[a.clone(), Step::Index(-2)]).as_deref(), Some("1"));
    assert_eq!(way(&[a, Step::Index(2)]), None);
    assert_eq!(way(&[Step::Member("ba".into())]).as_deref(), Some("-2.5e3"));
}

#[test]
fn text_that_is_no_json_is_not_compacted() {
    for text in [
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\"}",
        "01",
        "1.",
        "1e",
        "tru",
        "\"\\x\"",
        "\"\\ud800\"",
        "[1] 2",
        "nulls",
        "'a'",
    ] {
        assert_eq!(compact(text), None, "{text}");
    }
    let deep = "[".repeat(1000) + &"]".repeat(1000);
    assert_eq!(compact(&deep), None);
}

proptest! {
    #[test]
    fn find_agrees_with_a_tree(value in any_json(), way in any_way(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        let found = find(&text, &way).and_then(|found| compacted(found).map(std::borrow::Cow::into_owned));
        let expected = walked(&value, &way).filter(|value| !value.is_null()).map(Value::to_string);
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn compact_agrees_with_a_tree(value in any_json()) {
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        prop_assert_eq!(compact(&pretty).map(std::borrow::Cow::into_owned), Some(value.to_string()));
    }

    #[test]
    fn grammar_is_that_of_serde(text in r#"[\[\]{}",:0-9.eE+\-ntrufalse\\ ]{0,12}"#) {
        prop_assert_eq!(compact(&text).is_some(), serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok(), "{}", text);
    }

    #[test]
    fn any_text_is_read_without_panic(text in ".{0,40}", way in any_way()) {
        let _ = (find(&text, &way), elements(&text), members(&text), scalar(&text), kind(&text), unquote(&text));
    }

    #[test]
    fn quoted_text_unquotes_to_itself(text in ".{0,20}") {
        let quoted = quote(&text);
        prop_assert_eq!(unquote(&quoted).map(std::borrow::Cow::into_owned), Some(text));
    }
}

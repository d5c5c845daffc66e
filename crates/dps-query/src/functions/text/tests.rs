use dps_kql::{Scalar, Type};
use proptest::prelude::*;

use super::*;
use crate::functions::datum::Datum;
use crate::functions::decimal;
use crate::functions::tests::{json, run, text};

/// The terms of a text, one by one.
fn terms(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|term| !term.is_empty()).map(str::to_owned).collect()
}

fn matches(function: Scalar, text: &str, needle: &str) -> bool {
    Matcher::new(function, needle).unwrap().matches(text)
}

proptest! {
    #[test]
    fn has_finds_the_terms_that_splitting_finds(text in "[aAbB1_. é]{0,12}", needle in "[aAbB1é]{1,3}") {
        let folded = fold(&needle).into_owned();
        let naive = terms(&text).iter().any(|term| fold(term) == folded);
        prop_assert_eq!(matches(Scalar::Has, &text, &needle), naive);
        prop_assert_eq!(matches(Scalar::NotHas, &text, &needle), !naive);
        let exact = terms(&text).contains(&needle);
        prop_assert_eq!(matches(Scalar::HasCs, &text, &needle), exact);
        let prefix = terms(&text).iter().any(|term| fold(term).starts_with(&folded));
        prop_assert_eq!(matches(Scalar::HasPrefix, &text, &needle), prefix);
        let suffix = terms(&text).iter().any(|term| term.ends_with(&needle));
        prop_assert_eq!(matches(Scalar::HasSuffixCs, &text, &needle), suffix);
    }

    #[test]
    fn contains_agrees_with_a_search_in_folded_text(text in "[aAbB1_. éÉ]{0,12}", needle in "[aAbB_ éÉ]{0,3}") {
        let (folded, wanted) = (fold(&text).into_owned(), fold(&needle).into_owned());
        prop_assert_eq!(matches(Scalar::Contains, &text, &needle), folded.contains(&wanted));
        prop_assert_eq!(matches(Scalar::StartsWith, &text, &needle), folded.starts_with(&wanted));
        prop_assert_eq!(matches(Scalar::EndsWith, &text, &needle), folded.ends_with(&wanted));
        prop_assert_eq!(matches(Scalar::ContainsCs, &text, &needle), text.contains(&needle));
    }

    #[test]
    fn encoded_text_decodes_to_itself(value in ".{0,20}") {
        let there = run(Scalar::UrlEncode, &[text(&value)], Type::String);
        prop_assert_eq!(run(Scalar::UrlDecode, &[there], Type::String), text(&value));
        let there = run(Scalar::Base64Encode, &[text(&value)], Type::String);
        prop_assert_eq!(run(Scalar::Base64Decode, &[there], Type::String), text(&value));
    }
}

#[test]
fn term_ends_at_what_is_neither_letter_nor_digit() {
    assert!(matches(Scalar::Has, "a_b", "a"));
    assert!(matches(Scalar::Has, "ERROR:timeout", "Timeout"));
    assert!(!matches(Scalar::Has, "timeouts", "timeout"));
    assert!(matches(Scalar::Has, "unable to reach hub-7.example", "hub-7"));
    assert!(!matches(Scalar::Has, "unable to reach hub-77", "hub-7"));
    assert!(matches(Scalar::Has, "Größe überschritten", "ÜBERSCHRITTEN"));
    // The Kelvin sign is no k.
    assert!(!matches(Scalar::Contains, "\u{212a}", "k"));
}

#[test]
fn membership_counts_case_or_not_and_opens_arrays() {
    let value = text("Success");
    let list = [value.clone(), text("failure"), text("success")];
    assert_eq!(run(Scalar::In, &list, Type::Bool), Datum::Bool(false));
    assert_eq!(run(Scalar::InIgnoreCase, &list, Type::Bool), Datum::Bool(true));
    assert_eq!(run(Scalar::In, &[value, json("[1,\"Success\"]")], Type::Bool), Datum::Bool(true));
    assert_eq!(run(Scalar::NotIn, &[Datum::Null, Datum::Long(1)], Type::Bool), Datum::Bool(true));
    assert_eq!(run(Scalar::HasAll, &[text("a b c"), json("[\"a\",\"c\"]")], Type::Bool), Datum::Bool(true));
    assert_eq!(run(Scalar::HasAny, &[text("a b c"), text("x"), text("B")], Type::Bool), Datum::Bool(true));
}

#[test]
fn positions_count_characters() {
    let s = |function: Scalar, args: &[Datum<'static>]| run(function, args, Type::String);
    assert_eq!(s(Scalar::Substring, &[text("größe"), Datum::Long(2), Datum::Long(2)]), text("öß"));
    assert_eq!(s(Scalar::Substring, &[text("größe"), Datum::Long(-2)]), text("ße"));
    assert_eq!(s(Scalar::Substring, &[text("a"), Datum::Long(9)]), text(""));
    let at = |args: &[Datum<'static>]| run(Scalar::IndexOf, args, Type::Long);
    assert_eq!(at(&[text("größe"), text("ß")]), Datum::Long(3));
    assert_eq!(at(&[text("ababab"), text("ab"), Datum::Long(1)]), Datum::Long(2));
    assert_eq!(at(&[text("ababab"), text("ab"), Datum::Long(-3)]), Datum::Long(4));
    assert_eq!(at(&[text("ababab"), text("ab"), Datum::Long(0), Datum::Long(1)]), Datum::Long(-1));
    assert_eq!(
        at(&[text("ababab"), text("ab"), Datum::Long(0), Datum::Long(-1), Datum::Long(3)]),
        Datum::Long(4)
    );
    assert_eq!(at(&[text("ababab"), text("ab"), Datum::Long(0), Datum::Long(-2)]), Datum::Null);
    assert_eq!(run(Scalar::Strlen, &[text("größe")], Type::Long), Datum::Long(5));
    assert_eq!(run(Scalar::StringSize, &[text("größe")], Type::Long), Datum::Long(7));
}

#[test]
fn text_is_cut_and_replaced_as_documented() {
    let s = |function: Scalar, args: &[Datum<'static>]| run(function, args, Type::String);
    let d = |function: Scalar, args: &[Datum<'static>]| run(function, args, Type::Dynamic);
    assert_eq!(d(Scalar::Split, &[text("a--b-"), text("-")]), json("[\"a\",\"\",\"b\",\"\"]"));
    assert_eq!(d(Scalar::Split, &[text("a-b"), text("-"), Datum::Long(1)]), json("[\"b\"]"));
    assert_eq!(s(Scalar::Strrep, &[text("ab"), Datum::Long(3), text("-")]), text("ab-ab-ab"));
    assert_eq!(
        s(Scalar::StrcatDelim, &[text("/"), Datum::Long(1), text("x"), Datum::Bool(true)]),
        text("1/x/True")
    );
    assert_eq!(s(Scalar::Translate, &[text("abc"), text("x"), text("cabd")]), text("xxxd"));
    assert_eq!(s(Scalar::ReplaceString, &[text("aaa"), text("aa"), text("b")]), text("ba"));
    let replaced =
        s(Scalar::ReplaceStrings, &[text("one two"), json("[\"one\",\"two\"]"), json("[\"two\",\"three\"]")]);
    assert_eq!(replaced, text("two three"));
    assert_eq!(
        s(Scalar::ReplaceRegex, &[text("hub-7"), text("([a-z]+)-(\\d)"), text("\\2:\\1")]),
        text("7:hub")
    );
    assert_eq!(s(Scalar::Extract, &[text("id=(\\d+)"), Datum::Long(1), text("x id=42;")]), text("42"));
    let typed = run(
        Scalar::Extract,
        &[text("id=(\\d+)"), Datum::Long(1), text("x id=42;"), text("long")],
        Type::Long,
    );
    assert_eq!(typed, Datum::Long(42));
    assert_eq!(s(Scalar::Extract, &[text("id=(\\d+)"), Datum::Long(1), text("none")]), text(""));
    assert_eq!(
        d(Scalar::ExtractAll, &[text("(\\w)=(\\d)"), text("a=1,b=2")]),
        json("[[\"a\",\"1\"],[\"b\",\"2\"]]")
    );
    assert_eq!(
        d(Scalar::ExtractAll, &[text("(\\w)=(\\d)"), json("[2]"), text("a=1,b=2")]),
        json("[\"1\",\"2\"]")
    );
    assert_eq!(run(Scalar::CountOf, &[text("aaaa"), text("aa")], Type::Long), Datum::Long(3));
    assert_eq!(run(Scalar::CountOf, &[text("aaaa"), text("aa"), text("regex")], Type::Long), Datum::Long(2));
    assert_eq!(s(Scalar::Trim, &[text("[-_]"), text("--a-b__")]), text("a-b"));
    assert_eq!(s(Scalar::TrimEnd, &[text("-"), text("-a--")]), text("-a"));
    assert_eq!(
        s(Scalar::ExtractJson, &[text("$.a[1]['b c']"), text("{\"a\":[0,{\"b c\":\"x\"}]}")]),
        text("x")
    );
    assert_eq!(d(Scalar::ParseCsv, &[text("a,\"b,\"\"c\",\nnext")]), json("[\"a\",\"b,\\\"c\",\"\"]"));
    assert_eq!(d(Scalar::ToUtf8, &[text("aß")]), json("[97,223]"));
    assert_eq!(s(Scalar::MakeString, &[json("[97,223]"), Datum::Long(98)]), text("aßb"));
}

#[test]
fn text_that_would_grow_without_bound_stops_at_the_size_of_a_value() {
    let Datum::Text(found) = run(Scalar::Strrep, &[text("ab"), Datum::Long(i64::MAX)], Type::String) else {
        panic!("no text")
    };
    assert_eq!(found.len(), 1 << 20);
    let long = "a".repeat(1 << 16);
    let args = [Datum::text(long.clone()), text("a"), Datum::text(long)];
    let Datum::Text(found) = run(Scalar::ReplaceString, &args, Type::String) else { panic!("no text") };
    assert_eq!(found.len(), 1 << 20);
}

#[test]
fn addresses_are_compared_by_their_prefixes() {
    let compare = |left: &'static str, right: &'static str| {
        run(Scalar::Ipv4Compare, &[text(left), text(right)], Type::Long)
    };
    assert_eq!(compare("10.1.2.3/24", "10.1.2.99"), Datum::Long(0));
    assert_eq!(compare("10.1.2.3", "10.1.2.99"), Datum::Long(-1));
    assert_eq!(compare("10.1.2", "10.1.2.99"), Datum::Null);
    let bool = |function: Scalar, args: &[Datum<'static>]| run(function, args, Type::Bool);
    assert_eq!(bool(Scalar::Ipv4IsInRange, &[text("10.1.2.3"), text("10.1.0.0/16")]), Datum::Bool(true));
    assert_eq!(bool(Scalar::Ipv4IsPrivate, &[text("172.32.0.1")]), Datum::Bool(false));
    assert_eq!(bool(Scalar::HasIpv4, &[text("from 10.1.2.3:80"), text("10.1.2.3")]), Datum::Bool(true));
    assert_eq!(bool(Scalar::HasIpv4, &[text("from 10.1.2.31"), text("10.1.2.3")]), Datum::Bool(false));
    assert_eq!(run(Scalar::ParseIpv4, &[text("10.0.0.1/24")], Type::Long), Datum::Long(0x0a00_0000));
    assert_eq!(run(Scalar::FormatIpv4, &[text("10.1.2.3"), Datum::Long(16)], Type::String), text("10.1.0.0"));
    assert_eq!(run(Scalar::FormatIpv4, &[text("10.1.2.3"), Datum::Long(-1)], Type::String), text(""));
    let version = |text_: &'static str| run(Scalar::ParseVersion, &[text(text_)], Type::Decimal);
    assert_eq!(version("0.0.7"), Datum::Decimal(decimal::from_long(700_000_000)));
    assert_eq!(version("1.2.3.4.5"), Datum::Null);
    let (Datum::Decimal(old), Datum::Decimal(new)) = (version("2024.9"), version("2024.10.1")) else {
        panic!("no versions")
    };
    assert!(old < new);
}

#[test]
fn url_and_path_come_apart() {
    let url =
        run(Scalar::ParseUrl, &[text("amqps://dev:p%2f@hub.example:5671/a/b?x=1%2b1&y#top")], Type::Dynamic);
    assert_eq!(
        url,
        json(
            "{\"Scheme\":\"amqps\",\"Host\":\"hub.example\",\"Port\":\"5671\",\"Path\":\"/a/b\",\"Username\":\"dev\",\
             \"Password\":\"p%2f\",\"Query Parameters\":{\"x\":\"1+1\",\"y\":\"\"},\"Fragment\":\"top\"}"
        )
    );
    let path = run(Scalar::ParsePath, &[text("file://C:/logs/muster.log:old")], Type::Dynamic);
    assert_eq!(
        path,
        json(
            "{\"Scheme\":\"file\",\"RootPath\":\"C:\",\"DirectoryPath\":\"C:/logs\",\"DirectoryName\":\"logs\",\
             \"Filename\":\"muster.log\",\"Extension\":\"log\",\"AlternateDataStreamName\":\"old\"}"
        )
    );
}

#[test]
fn digests_are_those_of_the_standards() {
    let digest = |function: Scalar| run(function, &[text("abc")], Type::String);
    assert_eq!(digest(Scalar::HashMd5), text("900150983cd24fb0d6963f7d28e17f72"));
    assert_eq!(digest(Scalar::HashSha1), text("a9993e364706816aba3e25717850c26c9cd0d89d"));
    assert_eq!(
        digest(Scalar::HashSha256),
        text("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    );
    // Kusto's reference says these numbers.
    assert_eq!(run(Scalar::Hash, &[text("World")], Type::Long), Datum::Long(1_846_988_464_401_551_951));
    let day = Datum::DateTime(crate::functions::time::datetime("2015-01-01").unwrap());
    assert_eq!(run(Scalar::Hash, &[day], Type::Long), Datum::Long(1_380_966_698_541_616_202));
}

use super::*;

fn kinds(text: &str) -> Vec<String> {
    let lexed = lex(text);
    let name = |token: &Token| {
        let written = &text[token.span.start..token.span.end];
        match &token.kind {
            TokenKind::Word => format!("w:{written}"),
            TokenKind::Mark => written.to_owned(),
            TokenKind::Text(value) => format!("s:{value}"),
            TokenKind::Literal(value) => format!("{}:{written}", value.ty().name()),
            TokenKind::Unknown => "?".to_owned(),
            TokenKind::End => "end".to_owned(),
        }
    };
    lexed.tokens.iter().map(name).collect()
}

fn literal(text: &str) -> Value {
    let lexed = lex(text);
    match lexed.tokens.first().map(|token| &token.kind) {
        Some(TokenKind::Literal(value)) => value.clone(),
        other => panic!("{text}: {other:?}, {:?}", lexed.errors),
    }
}

fn string(text: &str) -> String {
    match lex(text).tokens.first().map(|token| &token.kind) {
        Some(TokenKind::Text(value)) => value.clone(),
        other => panic!("{text}: {other:?}"),
    }
}

fn codes(text: &str) -> Vec<&'static str> {
    lex(text).errors.iter().map(|error| error.code).collect()
}

#[test]
fn words_begin_with_letters_digits_and_signs() {
    assert_eq!(kinds("a _b $left 4xxrate 5x"), ["w:a", "w:_b", "w:$left", "w:4xxrate", "w:5x", "end"]);
}

#[test]
fn operator_word_is_one_token() {
    let text = "a !has_cs b in~ c !in~ d mv-expand e-f";
    let expected =
        ["w:a", "w:!has_cs", "w:b", "w:in~", "w:c", "w:!in~", "w:d", "w:mv-expand", "w:e", "-", "w:f", "end"];
    assert_eq!(kinds(text), expected);
}

#[test]
fn comment_ends_with_its_line() {
    assert_eq!(kinds("// all\r\nT // rest | x\n| count"), ["w:T", "|", "w:count", "end"]);
    assert_eq!(kinds("\u{feff}// only"), ["end"]);
}

#[test]
fn number_ends_where_a_range_begins() {
    assert_eq!(kinds("1..2"), ["long:1", "..", "long:2", "end"]);
    assert_eq!(kinds("1.0..2.0"), ["real:1.0", "..", "real:2.0", "end"]);
    assert_eq!(kinds("1. 1.5.5"), ["real:1.", "real:1.5", ".", "long:5", "end"]);
}

#[test]
fn number_has_the_value_that_is_written() {
    assert_eq!(literal("0x1F"), Value::Long(31));
    assert_eq!(literal("1e5"), Value::Real(1e5));
    assert_eq!(literal("1e-5"), Value::Real(1e-5));
    assert_eq!(literal("1.5E+2"), Value::Real(150.0));
    assert_eq!(literal("9223372036854775807"), Value::Long(i64::MAX));
    assert_eq!(codes("9223372036854775808"), [code::BAD_LITERAL]);
}

#[test]
fn duration_has_any_of_its_suffixes() {
    for (text, ticks) in [
        ("1d", 864_000_000_000_i64),
        ("24hr", 864_000_000_000),
        ("60min", 36_000_000_000),
        ("7days", 6_048_000_000_000),
        ("1.5h", 54_000_000_000),
        ("10ms", 100_000),
        ("1microsecond", 10),
        ("1tick", 1),
        ("2nano", 0),
        ("1minutes", 600_000_000),
    ] {
        assert_eq!(literal(text), Value::TimeSpan(ticks), "{text}");
    }
    assert_eq!(kinds("3secs"), ["w:3secs", "end"]);
}

#[test]
fn literal_in_parentheses_has_its_type() {
    assert_eq!(literal("long( 5 )"), Value::Long(5));
    assert_eq!(literal("int(null)"), Value::Null(crate::Type::Int));
    assert_eq!(literal("bool(1)"), Value::Bool(true));
    assert_eq!(literal("decimal(12.50)"), Value::Decimal("12.50".into()));
    assert_eq!(literal("real(-inf)"), Value::Real(f64::NEG_INFINITY));
    assert!(matches!(literal("real(nan)"), Value::Real(value) if value.is_nan()));
    assert_eq!(kinds("Long(5) long (5)")[..2], ["w:Long".to_owned(), "(".to_owned()]);
}

#[test]
fn literal_that_cannot_be_read_is_an_error() {
    assert_eq!(codes("long(abc) int(99999999999) datetime(foo) guid(x)"), [code::BAD_LITERAL; 4]);
    assert_eq!(codes("datetime(2024-01-01"), [code::UNCLOSED]);
    assert_eq!(codes("74be27de-1e4e-49d9-b579-fe0b331d3642"), [code::RAW_GUID]);
}

#[test]
fn string_is_unescaped() {
    assert_eq!(string(r#""\x41\u0042\U00000043\104\0\t\\\"\'""#), "ABCD\0\t\\\"'");
    assert_eq!(string(r#""\ud83d\ude00 \ud83d!""#), "\u{1f600} \u{fffd}!");
    assert_eq!(string("'a\\'b'"), "a'b");
    assert_eq!(string(r#"@"a\""b""#), r#"a\"b"#);
    assert_eq!(string("h@'a''b'"), "a'b");
    assert_eq!(string("H\"x\""), "x");
    assert_eq!(string("```a\n\"b\"```"), "a\n\"b\"");
    assert_eq!(string("h~~~a`~~~"), "a`");
}

#[test]
fn string_without_an_end_is_told_at_the_lines_end() {
    for (text, at) in [("\"abc", 4), ("'ab\ncd", 3), ("@\"x", 3), ("```x", 4)] {
        let error = &lex(text).errors[0];
        assert_eq!((error.code, error.start), (code::UNCLOSED, at), "{text}");
    }
}

#[test]
fn unknown_escape_is_told_where_it_stands() {
    let error = &lex(r#""a\qb""#).errors[0];
    assert_eq!((error.code, error.start, error.end), (code::UNEXPECTED, 2, 3));
    assert_eq!(codes(r#""\x4" "\u12""#), [code::UNEXPECTED; 2]);
}

#[test]
fn characters_of_no_token_are_told() {
    assert_eq!(codes("a && b"), [code::UNEXPECTED; 2]);
    assert_eq!(codes("é"), [code::UNEXPECTED]);
}

#[test]
fn token_limit_ends_the_text() {
    let text = "a ".repeat(limits::MAX_TOKENS + 1);
    let lexed = lex(&text);
    assert_eq!(lexed.tokens.len(), limits::MAX_TOKENS + 1);
    assert_eq!(lexed.errors[0].code, code::LIMIT);
}

use crate::parse;

fn printed(text: &str) -> String {
    parse(text).unwrap_or_else(|error| panic!("{}", error.rendered(text))).to_string()
}

#[test]
fn parentheses_stand_where_the_tree_needs_them() {
    for (text, canonical) in [
        ("print ((1+2))*3", "print (1 + 2) * 3"),
        ("print 1-(2-3)-4", "print 1 - (2 - 3) - 4"),
        ("print (a and b) and (c or d)", "print (a and b) and (c or d)"),
        ("print a or b and c", "print a or b and c"),
        ("print (a == 1) == true", "print (a == 1) == true"),
        ("print -(-a)", "print -(-a)"),
        ("print (5).x, (a + b).x, ((T | count))", "print (5).x, (a + b).x, (T\n| count)"),
        ("print x in (T | project y)", "print x in ((T\n| project y))"),
        ("print x between (1..2+3)", "print x between (1 .. 2 + 3)"),
        ("search b:'x'", "search b has \"x\""),
    ] {
        assert_eq!(printed(text), canonical);
    }
}

#[test]
fn names_are_bracketed_where_they_are_no_plain_words() {
    let text = "T | project ['a'], ['a b'], ['where'], ['1d'], [\"it's\"], ['é'], ['5x'], [' a']";
    assert_eq!(
        printed(text),
        "T\n| project a, [\"a b\"], [\"where\"], [\"1d\"], [\"it's\"], [\"é\"], 5x, [\" a\"]"
    );
}

#[test]
fn literals_have_one_spelling_each() {
    let text = "print 0x1F, 24hr, 1., -5, long(-5), int(7), 'it''s', @'C:\\', real(nan), double(null), bool(0), date(2026-01-02), \
                decimal(1.50), dynamic({'b':[1.5,true,timespan(1h)],\"a\":null})";
    let canonical = "print 31, timespan(1.00:00:00), 1.0, -5, long(-5), int(7), \"its\", \"C:\\\\\", real(NaN), real(null), false, \
                     datetime(2026-01-02T00:00:00.0000000Z), decimal(1.50), \
                     dynamic({\"a\":null,\"b\":[1.5,true,\"01:00:00\"]})";
    assert_eq!(printed(text), canonical);
}

#[test]
fn aliases_become_the_word_that_documentation_prefers() {
    let text = "T | filter a <> 1 | order by a | limit 5 | mvexpand d | where b notcontains 'x'";
    let canonical = "T\n| where a != 1\n| sort by a\n| take 5\n| mv-expand d\n| where b !contains \"x\"";
    assert_eq!(printed(text), canonical);
}

#[test]
fn statements_keep_their_order() {
    let text = "set x=1;let f=(t:(*),n:long=5){let m=n;t|take m;};let c=view(){T};f(T,n=3)|as R";
    let canonical = "set x = 1;\nlet f = (t:(*), n:long = 5) { let m = n; t\n| take m };\nlet c = view () { T };\n\
                     f(T, n = 3)\n| as R";
    assert_eq!(printed(text), canonical);
}

/// Found by fuzzing: `let ;` is a query of that name, and printed it began a statement without one.
#[test]
fn names_that_begin_statements_are_bracketed() {
    assert_eq!(printed("let ;"), "[\"let\"]");
    assert_eq!(printed("[\"let\"]"), "[\"let\"]");
}

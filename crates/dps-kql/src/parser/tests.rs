use super::*;

#[test]
fn deep_nesting_is_refused_without_a_deep_stack() {
    for text in
        ["(", "f(", "[", "{", "-", "not(", "dynamic([", "T|where a in(", "a[", "toscalar(", "let f=(){"]
    {
        let error = parse(&text.repeat(30_000)).unwrap_err();
        assert!(!error.errors.is_empty(), "{text}");
    }
    let error = parse(&"(".repeat(100_000 - 1)).unwrap_err();
    assert_eq!(error.errors[0].code, code::TOO_DEEP);
}

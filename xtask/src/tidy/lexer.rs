//! A scanner that tells Rust's code from its comments and its literals.
//!
//! Enough of the lexical grammar to never mistake one for another: nested block comments, raw and byte
//! strings, character literals and lifetimes. It knows no syntax above the token; the rules that need
//! more (the end of an item) count brackets in what is left.

/// One source text, seen three ways. Each view has the length and the line breaks of the original;
/// what does not belong to it is blank.
#[derive(Debug)]
pub struct Views {
    /// Code alone: comments and the content of literals are blank.
    pub code: String,
    /// The content of string and character literals, quotes included.
    pub literals: String,
    /// Comments alone, documentation included.
    pub comments: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Literal,
    Comment,
}

/// Splits a source text into its views.
pub fn views(source: &str) -> Views {
    let kinds = classify(source);
    let view = |wanted: Kind| {
        let mut bytes = source.as_bytes().to_vec();
        for (byte, kind) in bytes.iter_mut().zip(&kinds) {
            if *byte != b'\n' && *kind != wanted {
                *byte = b' ';
            }
        }
        // Kinds change only at ASCII bytes, so a multi-byte character is kept or blanked as a whole.
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Views { code: view(Kind::Code), literals: view(Kind::Literal), comments: view(Kind::Comment) }
}

fn classify(source: &str) -> Vec<Kind> {
    let bytes = source.as_bytes();
    let mut kinds = vec![Kind::Code; bytes.len()];
    let mut at = 0;
    while at < bytes.len() {
        let (kind, end) = token_at(source, at);
        let end = end.clamp(at + 1, bytes.len());
        kinds[at..end].fill(kind);
        at = end;
    }
    kinds
}

/// Kind and end of what begins at `at`.
fn token_at(source: &str, at: usize) -> (Kind, usize) {
    let bytes = source.as_bytes();
    let rest = &bytes[at..];
    if rest.starts_with(b"//") {
        let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        return (Kind::Comment, at + length);
    }
    if rest.starts_with(b"/*") {
        return (Kind::Comment, at + block_comment(rest));
    }
    if rest[0] == b'"' {
        return (Kind::Literal, at + quoted(rest, b'"'));
    }
    if rest[0] == b'\'' {
        return match character(source, at) {
            Some(end) => (Kind::Literal, end),
            None => (Kind::Code, at + 1),
        };
    }
    let starts_word = at == 0 || !is_word(bytes[at - 1]);
    if starts_word && is_word(rest[0]) {
        if let Some(length) = raw_string(rest) {
            return (Kind::Literal, at + length);
        }
        let length = rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len());
        return (Kind::Code, at + length);
    }
    (Kind::Code, at + 1)
}

/// Length of a block comment, with the comments nested in it.
fn block_comment(bytes: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

/// Length of a literal that begins with `quote` and knows escapes.
fn quoted(bytes: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// End of a character literal at `at`; `None` when it is a lifetime.
fn character(source: &str, at: usize) -> Option<usize> {
    let mut rest = source[at + 1..].chars();
    let first = rest.next()?;
    if first == '\\' {
        return Some(at + quoted(&source.as_bytes()[at..], b'\''));
    }
    (rest.next()? == '\'').then(|| at + 1 + first.len_utf8() + 1)
}

/// Length of `r"…"`, `r#"…"#`, `br"…"`, `cr"…"`; `None` for anything else that begins with these letters.
fn raw_string(bytes: &[u8]) -> Option<usize> {
    let prefix = match bytes {
        [b'b' | b'c', b'r', ..] => 2,
        [b'r', ..] => 1,
        _ => return None,
    };
    let hashes = bytes[prefix..].iter().take_while(|byte| **byte == b'#').count();
    let open = prefix + hashes;
    if bytes.get(open) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.resize(1 + hashes, b'#');
    let body = &bytes[open + 1..];
    let length = body.windows(close.len()).position(|window| window == close);
    Some(length.map_or(bytes.len(), |length| open + 1 + length + close.len()))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Every place where `needle` stands in `text` as words of their own.
///
/// `Timestamp::now` is not found in `MyTimestamp::now` or `Timestamp::nowhere`, and is in `jiff::Timestamp::now()`.
pub fn find<'a>(text: &'a str, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = text.as_bytes();
    text.match_indices(needle).map(|(at, _)| at).filter(move |at| {
        let end = at + needle.len();
        let joined_left = *at > 0 && is_word(bytes[at - 1]) && is_word(bytes[*at]);
        let joined_right = end < bytes.len() && is_word(bytes[end]) && is_word(bytes[end - 1]);
        !joined_left && !joined_right
    })
}

/// Where the item that begins at `start` ends: behind its block, or behind its semicolon.
///
/// `code` is a code view. Brackets of every form are counted, so that `fn f(a: [u8; 3]) {` is not cut short.
pub fn item_end(code: &str, start: usize) -> usize {
    let mut depth = 0_i32;
    let mut in_block = false;
    for (at, byte) in code.bytes().enumerate().skip(start) {
        match byte {
            b'(' | b'[' => depth += 1,
            b'{' => {
                in_block |= depth == 0;
                depth += 1;
            }
            b')' | b']' => depth -= 1,
            b'}' => {
                depth -= 1;
                if depth <= 0 && in_block {
                    return at + 1;
                }
            }
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
        if depth < 0 {
            return at;
        }
    }
    code.len()
}

/// Line of a byte offset, counted from 1.
pub fn line_of(text: &str, at: usize) -> usize {
    1 + text.get(..at).unwrap_or(text).matches('\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_split_comment_literal_and_code() {
        let views = views("let a = \"// no\"; // \"yes\"\n");
        assert_eq!(views.code.trim_end(), "let a =        ;");
        assert_eq!(views.literals.trim(), "\"// no\"");
        assert_eq!(views.comments.trim(), "// \"yes\"");
    }

    #[test]
    fn views_keep_length_and_lines() {
        let source = "/* a\n /* b */ é */ fn f() { \"x\ny\" }\n";
        let views = views(source);
        for view in [&views.code, &views.literals, &views.comments] {
            assert_eq!((view.len(), view.lines().count()), (source.len(), source.lines().count()));
        }
        assert!(views.code.contains("fn f() {"));
    }

    #[test]
    fn raw_string_with_quotes_and_hashes_is_one_literal() {
        let views = views("f(r#\"a \"quoted\" {\"#, br\"\\\", cr##\"}\"#\"##, r#type) }");
        assert!(!views.code.contains("quoted") && !views.code.contains('{'));
        assert!(views.code.contains("r#type) }"), "{}", views.code);
    }

    #[test]
    fn lifetime_is_code_and_character_is_a_literal() {
        let views = views("fn f<'a>(x: &'a str) { g('{', '\\'', '\"', 'é', b'}', '\\u{7b}') }");
        assert!(views.code.starts_with("fn f<'a>(x: &'a str) { g("));
        assert_eq!(views.code.matches(['{', '}', '"']).count(), 2, "{}", views.code);
    }

    #[test]
    fn escaped_quote_does_not_end_a_string() {
        let views = views(r#"a("\"", "\\"); b()"#);
        assert!(views.code.ends_with("b()"), "{}", views.code);
    }

    #[test]
    fn unterminated_forms_end_with_the_text() {
        for source in ["\"abc", "/* abc", "r#\"abc\"", "'", "b'", "\"\\", "//"] {
            assert_eq!(views(source).code.len(), source.len());
        }
    }

    #[test]
    fn find_wants_whole_words() {
        let text = "MyTimestamp::now() Timestamp::nowhere() jiff::Timestamp::now()";
        assert_eq!(find(text, "Timestamp::now").collect::<Vec<_>>(), [46]);
    }

    #[test]
    fn item_end_of_a_function_with_an_array_is_its_closing_brace() {
        let code = "fn f(a: [u8; 3]) -> [u8; { N }] { if a { b } } fn g() {}";
        assert_eq!(&code[..item_end(code, 0)], "fn f(a: [u8; 3]) -> [u8; { N }] { if a { b } }");
    }

    #[test]
    fn item_end_without_a_body_is_its_semicolon() {
        assert_eq!(item_end("mod a; mod b;", 0), 6);
    }

    #[test]
    fn line_of_counts_from_one() {
        assert_eq!([line_of("a\nb", 0), line_of("a\nb", 2), line_of("a\nb", 99)], [1, 2, 2]);
    }
}

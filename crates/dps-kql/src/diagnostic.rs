//! What is wrong with a query: Kusto's code, a sentence, the place, and how to mend it.

use std::fmt::{self, Write as _};

/// Kusto's codes of syntax; those of names and types stand with the binder.
pub(crate) mod code {
    /// A string or a parenthesis has no end.
    pub(crate) const UNCLOSED: &str = "KS001";
    /// A character that no token has.
    pub(crate) const UNEXPECTED: &str = "KS002";
    /// A literal whose text has no value of its type.
    pub(crate) const BAD_LITERAL: &str = "KS004";
    /// A word or mark that must stand here.
    pub(crate) const EXPECTED: &str = "KS005";
    /// An expression, a name or the like must stand here.
    pub(crate) const MISSING: &str = "KS006";
    /// A name of a type must stand here.
    pub(crate) const NO_TYPE: &str = "KS160";
    /// An operator that needs an input.
    pub(crate) const NEEDS_INPUT: &str = "KS174";
    /// What follows a pipe is no operator.
    pub(crate) const NO_OPERATOR: &str = "KS176";
    /// What stands here belongs to nothing.
    pub(crate) const FRAGMENT: &str = "KS198";
    /// Digits of a guid without `guid(…)`.
    pub(crate) const RAW_GUID: &str = "KS214";
    /// A decimal in a dynamic literal.
    pub(crate) const DECIMAL_IN_DYNAMIC: &str = "KS215";
    /// A tabular parameter behind a scalar one.
    pub(crate) const PARAMETER_ORDER: &str = "KS226";
    /// A reserved word as a name.
    pub(crate) const RESERVED: &str = "KS228";
    /// The text is too long.
    pub(crate) const TOO_LONG: &str = "KS244";
    /// The text is nested too deeply.
    pub(crate) const TOO_DEEP: &str = "KS245";
    /// Too many of something; ours.
    pub(crate) const LIMIT: &str = "MU001";
    /// Legal in Kusto, not understood here; ours.
    pub(crate) const UNSUPPORTED: &str = "MU002";
}

/// One error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Kusto's code, e.g. `KS142`.
    pub code: &'static str,
    /// One sentence.
    pub message: String,
    /// Byte offset of the first character that is wrong.
    pub start: usize,
    /// Byte offset after the last.
    pub end: usize,
    /// What the author may have meant.
    pub suggestion: Option<String>,
}

/// Every error found, in the order of the text; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics {
    /// The errors.
    pub errors: Vec<Diagnostic>,
    /// They lie in the grammar, not in names or types.
    pub syntax: bool,
}

/// Columns of a line that are shown around an error.
const SHOWN: usize = 100;
/// Columns from one stop of a tab to the next.
const TAB: usize = 4;

impl Diagnostic {
    /// Line and column of the first character that is wrong, both from 1, the column in characters.
    pub fn position(&self, text: &str) -> (usize, usize) {
        let before = text.get(..floor(text, self.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }

    /// The error, its line, and carets under what is wrong.
    pub fn rendered(&self, text: &str) -> String {
        let (line, column) = self.position(text);
        let start = floor(text, self.start);
        let end = floor(text, self.end.max(start));
        let begin = text.get(..start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
        let rest = text.get(begin..).unwrap_or_default();
        let whole = rest.split(['\n', '\r']).next().unwrap_or_default();
        let marked = end.min(begin + whole.len()).max(start) - start;
        let (shown, before, width) = excerpt(whole, start - begin, marked);
        let mut out = format!("{} {}\n", self.code, self.message);
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        let carets = "^".repeat(width.max(1));
        let place = format!("{margin}--> {line}:{column}\n{margin} |\n{number} | {shown}\n");
        let _ = writeln!(out, "{place}{margin} | {}{carets}", " ".repeat(before));
        if let Some(suggestion) = &self.suggestion {
            let _ = writeln!(out, "{margin} = {suggestion}");
        }
        out
    }
}

impl Diagnostics {
    /// All errors, each under its line of the text.
    pub fn rendered(&self, text: &str) -> String {
        let each: Vec<String> = self.errors.iter().map(|error| error.rendered(text)).collect();
        each.join("\n")
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                to.write_str("; ")?;
            }
            write!(to, "{} {}", error.code, error.message)?;
            if let Some(suggestion) = &error.suggestion {
                write!(to, " {suggestion}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// The nearest boundary of a character that is not behind `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The part of a line around `start..start + length`, with the columns before it and its width as shown: tabs become
/// spaces, control characters become `·`.
fn excerpt(line: &str, start: usize, length: usize) -> (String, usize, usize) {
    let (mut shown, mut before, mut width) = (String::new(), 0, 0);
    let mut columns = 0;
    let ahead = line.get(..start.min(line.len())).unwrap_or_default().chars().count();
    let skipped = ahead.saturating_sub(SHOWN / 2);
    if skipped > 0 {
        shown.push('…');
        columns += 1;
        before += 1;
    }
    for (at, next) in line.char_indices().skip(skipped) {
        if columns >= SHOWN {
            shown.push('…');
            break;
        }
        let taken = if next == '\t' { TAB - columns % TAB } else { 1 };
        match next {
            '\t' => shown.push_str(&" ".repeat(taken)),
            control if control.is_control() => shown.push('·'),
            _ => shown.push(next),
        }
        columns += taken;
        if at < start {
            before += taken;
        } else if at < start + length {
            width += taken;
        }
    }
    (shown, before, width)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(start: usize, end: usize, suggestion: Option<&str>) -> Diagnostic {
        let suggestion = suggestion.map(str::to_owned);
        Diagnostic { code: "KS006", message: "Missing expression.".to_owned(), start, end, suggestion }
    }

    #[test]
    fn caret_stands_under_the_character() {
        let shown = error(20, 23, Some("Name one.")).rendered("T\n| where a == \"ü\" nor b\n| count");
        let expected = "KS006 Missing expression.\n --> 2:18\n  |\n2 | | where a == \"ü\" nor b\n  |                  ^^^\n  = Name one.\n";
        assert_eq!(shown, expected);
    }

    #[test]
    fn tab_widens_the_caret_line_alike() {
        let shown = error(3, 4, None).rendered("\ta\tb c\r\n");
        assert!(shown.ends_with("1 |     a   b c\n  |         ^\n"), "{shown}");
    }

    #[test]
    fn end_of_text_has_a_caret_of_its_own() {
        assert!(error(9, 9, None).rendered("T | where").ends_with("1 | T | where\n  |          ^\n"));
        assert!(error(0, 0, None).rendered("").ends_with("1 | \n  | ^\n"));
    }

    #[test]
    fn long_line_is_cut_on_both_sides() {
        let text = format!("{}x{}", "a".repeat(500), "b".repeat(500));
        let shown = error(500, 501, None).rendered(&text);
        assert!(shown.lines().all(|line| line.chars().count() < 120), "{shown}");
        let lines: Vec<&str> = shown.lines().collect();
        let caret = lines[4].chars().position(|next| next == '^').unwrap();
        assert_eq!(lines[3].chars().nth(caret), Some('x'));
    }

    #[test]
    fn place_within_a_character_is_borne() {
        for start in 0..12 {
            for end in 0..12 {
                assert!(error(start, end, None).rendered("ü€\n\tß").contains('^'));
            }
        }
    }
}

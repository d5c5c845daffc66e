//! Finding a needle in text, with or without case, at terms or anywhere. Owns what a term is: a maximal run of Unicode
//! letters and digits.

use std::borrow::Cow;

use dps_kql::Scalar;
use memchr::memmem::Finder;

/// Where a needle has to lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Anywhere,
    Start,
    End,
    /// At the beginning of a term where `.0`, at the end of one where `.1`.
    Term(bool, bool),
}

/// A predicate on text with its needle prepared.
#[derive(Debug)]
pub struct Matcher {
    place: Place,
    negated: bool,
    needle: Needle,
}

#[derive(Debug)]
enum Needle {
    Empty,
    /// Case counts.
    Exact(Box<Finder<'static>>),
    /// ASCII in lower case, and the byte that is looked for: the one that text has least often.
    Ascii {
        folded: Box<[u8]>,
        anchor: usize,
    },
    /// Folded.
    Folded(Box<str>),
}

impl Matcher {
    /// Of a function of the families `has`, `contains`, `startswith`, `endswith`; none of another.
    pub fn new(function: Scalar, needle: &str) -> Option<Self> {
        use Scalar as S;
        let (place, minds_case, negated) = match function {
            S::Has => (Place::Term(true, true), false, false),
            S::NotHas => (Place::Term(true, true), false, true),
            S::HasCs => (Place::Term(true, true), true, false),
            S::NotHasCs => (Place::Term(true, true), true, true),
            S::HasPrefix => (Place::Term(true, false), false, false),
            S::NotHasPrefix => (Place::Term(true, false), false, true),
            S::HasPrefixCs => (Place::Term(true, false), true, false),
            S::NotHasPrefixCs => (Place::Term(true, false), true, true),
            S::HasSuffix => (Place::Term(false, true), false, false),
            S::NotHasSuffix => (Place::Term(false, true), false, true),
            S::HasSuffixCs => (Place::Term(false, true), true, false),
            S::NotHasSuffixCs => (Place::Term(false, true), true, true),
            S::Contains => (Place::Anywhere, false, false),
            S::NotContains => (Place::Anywhere, false, true),
            S::ContainsCs => (Place::Anywhere, true, false),
            S::NotContainsCs => (Place::Anywhere, true, true),
            S::StartsWith => (Place::Start, false, false),
            S::NotStartsWith => (Place::Start, false, true),
            S::StartsWithCs => (Place::Start, true, false),
            S::NotStartsWithCs => (Place::Start, true, true),
            S::EndsWith => (Place::End, false, false),
            S::NotEndsWith => (Place::End, false, true),
            S::EndsWithCs => (Place::End, true, false),
            S::NotEndsWithCs => (Place::End, true, true),
            _ => return None,
        };
        let needle = if needle.is_empty() {
            Needle::Empty
        } else if minds_case {
            Needle::Exact(Box::new(Finder::new(needle.as_bytes()).into_owned()))
        } else if needle.is_ascii() {
            let folded: Box<[u8]> = needle.to_ascii_lowercase().into_bytes().into();
            let anchor = (0..folded.len()).max_by_key(|at| folded.get(*at).map_or(0, |byte| rarity(*byte)));
            Needle::Ascii { folded, anchor: anchor.unwrap_or(0) }
        } else {
            Needle::Folded(fold(needle).into())
        };
        Some(Self { place, negated, needle })
    }

    /// Whether the text satisfies the predicate.
    pub fn matches(&self, text: &str) -> bool {
        self.is_found(text) != self.negated
    }

    fn is_found(&self, text: &str) -> bool {
        match &self.needle {
            Needle::Empty => true,
            Needle::Exact(finder) => self.found_exactly(text, finder),
            Needle::Ascii { folded, anchor } => self.found_ascii(text, folded, *anchor),
            // Folding keeps letters letters and everything else what it is.
            Needle::Folded(needle) => self.found_folded(&fold(text), needle),
        }
    }

    fn found_exactly(&self, text: &str, finder: &Finder<'_>) -> bool {
        let needle = finder.needle();
        let bytes = text.as_bytes();
        match self.place {
            Place::Start => bytes.starts_with(needle),
            Place::End => bytes.ends_with(needle),
            Place::Anywhere => finder.find(bytes).is_some(),
            Place::Term(..) => {
                let mut from = 0;
                while let Some(at) = bytes.get(from..).and_then(|rest| finder.find(rest)) {
                    let start = from + at;
                    if self.is_at_term(text, start, start + needle.len()) {
                        return true;
                    }
                    from = start + 1;
                }
                false
            }
        }
    }

    fn found_ascii(&self, text: &str, folded: &[u8], anchor: usize) -> bool {
        let bytes = text.as_bytes();
        let same = |at: usize| {
            bytes.get(at..at + folded.len()).is_some_and(|found| found.eq_ignore_ascii_case(folded))
        };
        match self.place {
            Place::Start => same(0),
            Place::End => bytes.len().checked_sub(folded.len()).is_some_and(same),
            Place::Anywhere | Place::Term(..) => {
                let byte = folded.get(anchor).copied().unwrap_or_default();
                let found = |at: usize| {
                    let Some(start) = at.checked_sub(anchor) else { return false };
                    same(start)
                        && (self.place == Place::Anywhere
                            || self.is_at_term(text, start, start + folded.len()))
                };
                if byte.is_ascii_alphabetic() {
                    memchr::memchr2_iter(byte, byte.to_ascii_uppercase(), bytes).any(found)
                } else {
                    memchr::memchr_iter(byte, bytes).any(found)
                }
            }
        }
    }

    fn found_folded(&self, text: &str, needle: &str) -> bool {
        match self.place {
            Place::Start => text.starts_with(needle),
            Place::End => text.ends_with(needle),
            Place::Anywhere => text.contains(needle),
            Place::Term(..) => {
                let mut from = 0;
                while let Some(at) = text.get(from..).and_then(|rest| rest.find(needle)) {
                    let start = from + at;
                    if self.is_at_term(text, start, start + needle.len()) {
                        return true;
                    }
                    from = text.ceil_char_boundary(start + 1);
                }
                false
            }
        }
    }

    /// Whether what lies between is not continued by its term. Needles that begin or end with what belongs to no term
    /// end there anyway.
    fn is_at_term(&self, text: &str, start: usize, end: usize) -> bool {
        let Place::Term(at_start, at_end) = self.place else { return true };
        let (before, rest) = (text.get(..start), text.get(start..end));
        let (Some(before), Some(found), Some(after)) = (before, rest, text.get(end..)) else { return false };
        let in_term = |character: Option<char>| character.is_some_and(char::is_alphanumeric);
        let begins = !at_start || !in_term(found.chars().next()) || !in_term(before.chars().next_back());
        let ends = !at_end || !in_term(found.chars().next_back()) || !in_term(after.chars().next());
        begins && ends
    }
}

/// How seldom a byte is in logs, roughly.
fn rarity(byte: u8) -> u8 {
    match byte {
        b'q' | b'z' | b'x' | b'j' => 9,
        b'k' | b'w' | b'v' | b'y' => 8,
        b'm' | b'u' | b'h' => 6,
        b'd' | b'l' | b'c' => 5,
        b's' | b'r' | b'n' | b'o' => 4,
        b'a' | b'i' | b't' => 3,
        b'e' | b'-' | b'.' | b'/' | b':' | b'"' => 2,
        b' ' | b'0'..=b'9' => 1,
        // b, f, g, p, and what is no letter.
        _ => 7,
    }
}

/// The text in one case, character by character: what two texts have in common that differ in case alone.
pub fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(text.to_ascii_lowercase())
        } else {
            Cow::Borrowed(text)
        };
    }
    Cow::Owned(text.chars().map(fold_char).collect())
}

fn fold_char(character: char) -> char {
    if character.is_ascii() {
        return character.to_ascii_lowercase();
    }
    // Characters beyond ASCII stay there: ordinal comparison does not take the Kelvin sign for a k.
    let upper = single(character, character.to_uppercase());
    let lower = single(upper, upper.to_lowercase());
    if lower.is_ascii() { character } else { lower }
}

fn single(character: char, mut mapped: impl Iterator<Item = char>) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => character,
    }
}

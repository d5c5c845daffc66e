//! The name that an author may have meant.

use super::limits::MAX_MEASURED_NAME as MAX_LENGTH;

/// The nearest of the names, when it is near: a third of the letters may differ, case aside.
pub(super) fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let wanted: Vec<char> = name.chars().take(MAX_LENGTH + 1).flat_map(char::to_lowercase).collect();
    if wanted.len() > MAX_LENGTH {
        return None;
    }
    let limit = wanted.len() / 3;
    names
        .filter(|other| other.len() <= MAX_LENGTH && *other != name)
        .map(|other| (distance(&wanted, other), other))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other)
}

/// As a sentence.
pub(super) fn suggestion<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<String> {
    nearest(name, names).map(|near| format!("Did you mean '{near}'?"))
}

/// Insertions, deletions and replacements between them.
fn distance(wanted: &[char], other: &str) -> usize {
    let mut row: Vec<usize> = (0..=wanted.len()).collect();
    for (index, letter) in other.chars().flat_map(char::to_lowercase).enumerate() {
        let mut corner = index;
        let mut left = index + 1;
        let mut next = Vec::with_capacity(row.len());
        next.push(left);
        for (above, wanted) in row.iter().skip(1).zip(wanted) {
            let replaced = corner + usize::from(*wanted != letter);
            left = replaced.min(above + 1).min(left + 1);
            corner = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_with_a_slip_is_found() {
        let names = ["ResultType", "ResultSignature", "OperationName"];
        assert_eq!(nearest("ResultTyp", names.into_iter()), Some("ResultType"));
        assert_eq!(nearest("resulttype", names.into_iter()), Some("ResultType"));
        assert_eq!(nearest("OperatoinName", names.into_iter()), Some("OperationName"));
    }

    #[test]
    fn name_that_is_far_from_all_finds_none() {
        assert_eq!(nearest("xyz", ["ResultType"].into_iter()), None);
        assert_eq!(nearest("", ["a"].into_iter()), None);
        assert_eq!(nearest(&"a".repeat(10_000), ["a"].into_iter()), None);
    }

    #[test]
    fn distance_of_known_words_is_known() {
        let kitten: Vec<char> = "kitten".chars().collect();
        assert_eq!(distance(&kitten, "sitting"), 3);
        assert_eq!(distance(&kitten, ""), 6);
        assert_eq!(distance(&[], "abc"), 3);
    }
}

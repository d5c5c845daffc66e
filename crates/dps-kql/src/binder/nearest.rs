//! The name that an author may have meant.

use super::limits::MAX_MEASURED_NAME as MAX_LENGTH;

/// The nearest of the names, when it is near: a third of the letters may differ, case aside.
pub(super) fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    if name.len() > MAX_LENGTH {
        return None;
    }
    let wanted = name.to_lowercase();
    let limit = wanted.chars().count() / 3;
    names
        .filter(|other| other.len() <= MAX_LENGTH && *other != name)
        .map(|other| (strsim::levenshtein(&wanted, &other.to_lowercase()), other))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other)
}

/// As a sentence.
pub(super) fn suggestion<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<String> {
    nearest(name, names).map(|near| format!("Did you mean '{near}'?"))
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
}

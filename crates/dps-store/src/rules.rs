//! What every store decides alike: whether a precondition holds and whether a call is within the limits.
//! Must not know how documents are kept.

use dps_core::ports::store::{Precondition, Refusal, StoreError, Write};
use dps_model::Etag;
use dps_model::limits::{MAX_LOOKUP_KEYS, MAX_LOOKUPS, MAX_PAGE, MAX_WRITES_PER_COMMIT};

/// Judges a precondition against the version that is there now.
pub(crate) fn judge(precondition: &Precondition, current: Option<&str>) -> Result<(), Refusal> {
    match (precondition, current) {
        (Precondition::None, _) | (Precondition::Absent, None) | (Precondition::Present, Some(_)) => Ok(()),
        (Precondition::Absent, Some(_)) => Err(Refusal::Exists),
        (Precondition::Present | Precondition::Matches(_), None) => Err(Refusal::Missing),
        (Precondition::Matches(Etag(asked)), Some(there)) if asked == there => Ok(()),
        (Precondition::Matches(_), Some(_)) => Err(Refusal::Mismatch),
    }
}

/// Refuses writes that no store takes.
pub(crate) fn check_writes(writes: &[Write]) -> Result<(), StoreError> {
    if writes.len() > MAX_WRITES_PER_COMMIT {
        return Err(StoreError::Failed(format!(
            "{} writes were given together; at most {MAX_WRITES_PER_COMMIT} can be",
            writes.len()
        )));
    }
    for write in writes {
        if let Write::Put { collection, document, .. } = write
            && document.lookups.len() > MAX_LOOKUPS
        {
            return Err(StoreError::Failed(format!(
                "{} of {} has {} lookup texts; at most {MAX_LOOKUPS} are kept",
                document.id,
                collection.name(),
                document.lookups.len()
            )));
        }
    }
    Ok(())
}

/// Refuses lookups that no store answers.
pub(crate) fn check_lookups(lookups: &[String]) -> Result<(), StoreError> {
    if lookups.len() > MAX_LOOKUP_KEYS {
        return Err(StoreError::Failed(format!(
            "{} lookup texts were asked for; at most {MAX_LOOKUP_KEYS} are looked up together",
            lookups.len()
        )));
    }
    Ok(())
}

/// The number of documents that one read may return.
pub(crate) fn page_limit(asked: usize) -> usize {
    asked.min(MAX_PAGE)
}

#[cfg(test)]
mod tests {
    use dps_core::ports::store::{Precondition, Refusal};
    use dps_model::Etag;

    use super::judge;

    #[test]
    fn judge_every_precondition_absent_and_present() {
        let matches = Precondition::Matches(Etag("a".into()));
        assert_eq!(judge(&Precondition::None, None), Ok(()));
        assert_eq!(judge(&Precondition::None, Some("a")), Ok(()));
        assert_eq!(judge(&Precondition::Absent, None), Ok(()));
        assert_eq!(judge(&Precondition::Absent, Some("a")), Err(Refusal::Exists));
        assert_eq!(judge(&Precondition::Present, None), Err(Refusal::Missing));
        assert_eq!(judge(&Precondition::Present, Some("a")), Ok(()));
        assert_eq!(judge(&matches, None), Err(Refusal::Missing));
        assert_eq!(judge(&matches, Some("a")), Ok(()));
        assert_eq!(judge(&matches, Some("b")), Err(Refusal::Mismatch));
    }
}

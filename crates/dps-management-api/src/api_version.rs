//! The `api-version`s of `Microsoft.Devices/provisioningServices`. Owns the list and what changed between them; they
//! differ little: a member that a version does not know is shown nevertheless, and ignored by its clients.

/// A published version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ApiVersion(&'static str);

/// Oldest first.
const KNOWN: [&str; 16] = [
    "2017-08-21-preview",
    "2017-11-15",
    "2018-01-22",
    "2020-01-01",
    "2020-03-01",
    "2020-09-01-preview",
    "2021-10-15",
    "2022-02-05",
    "2022-12-12",
    "2023-03-01-preview",
    "2025-02-01-preview",
    "2026-03-01-preview",
    "2026-06-01-preview",
    "2026-08-31",
    "2026-11-01",
    "2026-11-02-preview",
];

/// From here on the results of operations stand under their location.
const RESULTS_BY_LOCATION: &str = "2023-03-01-preview";

impl ApiVersion {
    /// The version of that text, in any case.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        KNOWN.iter().find(|known| known.eq_ignore_ascii_case(text)).map(|known| Self(known))
    }

    pub(crate) fn as_str(self) -> &'static str {
        self.0
    }

    /// Do results of operations stand under their location, not under their resource?
    pub(crate) fn results_by_location(self) -> bool {
        self.0 >= RESULTS_BY_LOCATION
    }

    /// All of them, for the sentence that refuses another.
    pub(crate) fn all() -> String {
        KNOWN.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::{ApiVersion, KNOWN};

    #[test]
    fn api_version_known_in_any_case_and_where_results_stand() {
        assert!(KNOWN.is_sorted());
        assert_eq!(
            ApiVersion::parse("2023-03-01-PREVIEW").map(ApiVersion::as_str),
            Some("2023-03-01-preview")
        );
        assert_eq!(ApiVersion::parse("2021-10-16"), None);
        let by_location = |text| ApiVersion::parse(text).unwrap().results_by_location();
        assert!(by_location("2023-03-01-preview") && by_location("2026-11-01") && !by_location("2022-12-12"));
    }
}

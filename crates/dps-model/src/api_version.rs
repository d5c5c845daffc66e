//! The data plane's `api-version`s (facts: DPS REST reference). Owns the list; must not know what changed between them.

/// A version of the device or service API that Azure has published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ApiVersion(&'static str);

const KNOWN: [(&str, &str); 13] = [
    ("2017-08-31-preview", "August2017Preview"),
    ("2017-11-15", "November2017"),
    ("2018-04-01", "April2018"),
    ("2018-09-01-preview", "September2018Preview"),
    ("2019-03-31", "March2019"),
    ("2021-06-01", "June2021"),
    ("2021-10-01", "October2021"),
    ("2021-11-01-preview", "November2021Preview"),
    ("2025-07-01-preview", "July2025Preview"),
    ("2026-04-01", "April2026"),
    // Drafts of the public specification; to a device they are as the release before them.
    ("2026-11-01", "November2026"),
    ("2026-11-02-preview", "November2026Preview"),
    ("2026-11-15-preview", "November2026Preview"),
];

impl ApiVersion {
    /// The first with custom allocation and symmetric keys.
    pub const V2018_09_01_PREVIEW: Self = Self("2018-09-01-preview");
    /// What the SDKs in the field send, and what a request without a version means where one may be missing.
    pub const V2019_03_31: Self = Self("2019-03-31");
    /// The current general release.
    pub const V2021_10_01: Self = Self("2021-10-01");

    /// The published version of that text, compared without regard to case.
    pub fn parse(text: &str) -> Option<Self> {
        KNOWN.iter().find(|(known, _)| known.eq_ignore_ascii_case(text)).map(|(known, _)| Self(known))
    }

    /// As it stands in a URL.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// Was it published with `other` or after it?
    pub fn at_least(self, other: Self) -> bool {
        let place = |version: Self| KNOWN.iter().position(|(known, _)| *known == version.0);
        place(self) >= place(other)
    }

    /// As resource logs name it in `OperationVersion`, e.g. `March2019`.
    pub fn month_year(self) -> &'static str {
        KNOWN.iter().find(|(known, _)| *known == self.0).map_or("", |(_, name)| name)
    }

    /// All published versions, oldest first.
    pub fn known() -> impl Iterator<Item = Self> {
        KNOWN.iter().map(|(known, _)| Self(known))
    }
}

#[cfg(test)]
mod tests {
    use super::ApiVersion;

    #[test]
    fn api_version_known_and_unknown() {
        assert_eq!(ApiVersion::parse("2019-03-31"), Some(ApiVersion::V2019_03_31));
        assert_eq!(
            ApiVersion::parse("2017-08-31-PREVIEW").map(ApiVersion::as_str),
            Some("2017-08-31-preview")
        );
        for draft in ["2026-11-01", "2026-11-02-preview", "2026-11-15-preview"] {
            assert_eq!(ApiVersion::parse(draft).map(ApiVersion::as_str), Some(draft));
        }
        assert_eq!(ApiVersion::parse("2019-03-32"), None);
        assert!(ApiVersion::V2019_03_31.at_least(ApiVersion::V2018_09_01_PREVIEW));
        assert!(!ApiVersion::V2018_09_01_PREVIEW.at_least(ApiVersion::V2019_03_31));
        assert_eq!(ApiVersion::V2021_10_01.month_year(), "October2021");
    }
}

//! The closed catalogue of causes: a stable code each, what it means and what mends it. Owns the words that hold for
//! every device; what holds for one is a rule's sentence.

mod connection;
mod hub;
mod identity;
mod lifecycle;
mod management;
mod service;
mod symmetric_key;
mod tpm;
mod x509;

use serde::Serialize;

/// Where a cause belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Family {
    /// Registration ids, id scopes, enrollments.
    Identity,
    /// Keys, tokens, clocks.
    SymmetricKey,
    /// Certificates and their chains.
    X509,
    /// Endorsement keys and challenges.
    Tpm,
    /// Linked hubs, webhooks, allocation.
    Hub,
    /// Networks, TLS and protocols.
    Connection,
    /// Requests that the service turns away whoever asks.
    Service,
    /// What became of a device after it was let in.
    Lifecycle,
    /// What an operator's own call met.
    Management,
}

impl Family {
    /// Every family, in the order of the page.
    pub const ALL: [Self; 9] = [
        Self::Identity,
        Self::SymmetricKey,
        Self::X509,
        Self::Tpm,
        Self::Hub,
        Self::Connection,
        Self::Service,
        Self::Lifecycle,
        Self::Management,
    ];

    /// Its heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Identity => "Registration ids, id scopes and enrollments",
            Self::SymmetricKey => "Symmetric keys, SAS tokens and clocks",
            Self::X509 => "Certificates",
            Self::Tpm => "TPM",
            Self::Hub => "Linked hubs, webhooks and allocation",
            Self::Connection => "Networks, TLS and protocols",
            Self::Service => "Requests and limits of the service",
            Self::Lifecycle => "After the device was let in",
            Self::Management => "Calls of operators",
        }
    }

    /// Its entries.
    pub const fn entries(self) -> &'static [Entry] {
        match self {
            Self::Identity => identity::ENTRIES,
            Self::SymmetricKey => symmetric_key::ENTRIES,
            Self::X509 => x509::ENTRIES,
            Self::Tpm => tpm::ENTRIES,
            Self::Hub => hub::ENTRIES,
            Self::Connection => connection::ENTRIES,
            Self::Service => service::ENTRIES,
            Self::Lifecycle => lifecycle::ENTRIES,
            Self::Management => management::ENTRIES,
        }
    }
}

/// One cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Stable code.
    pub code: &'static str,
    /// It in a few words.
    pub title: &'static str,
    /// Concluded from signs rather than proven, always.
    pub inferred: bool,
    /// What happened, and how it is told from others.
    pub meaning: &'static str,
    /// What mends it, whoever the device is.
    pub fix: &'static str,
}

impl Entry {
    /// The page about it, beneath docs/reference.
    pub fn docs(&self) -> String {
        format!("causes.md#{}", self.code.to_ascii_lowercase())
    }

    /// The query that finds what it befell.
    pub fn query(&self) -> String {
        format!(
            "AzureDiagnostics | where cause_s == \"{}\" | extend device = tostring(parse_json(properties_s).id) | project \
             TimeGenerated, device, OperationName, ResultSignature, ResultDescription, CorrelationId | order by \
             TimeGenerated desc",
            self.code
        )
    }
}

const fn proven(code: &'static str, title: &'static str, meaning: &'static str, fix: &'static str) -> Entry {
    Entry { code, title, inferred: false, meaning, fix }
}

const fn inferred(
    code: &'static str,
    title: &'static str,
    meaning: &'static str,
    fix: &'static str,
) -> Entry {
    Entry { code, title, inferred: true, meaning, fix }
}

/// Every entry with its family, in the order of the page.
pub fn all() -> impl Iterator<Item = (Family, &'static Entry)> {
    Family::ALL.into_iter().flat_map(|family| family.entries().iter().map(move |entry| (family, entry)))
}

/// The entry of that code, in any case.
pub fn find(code: &str) -> Option<(Family, &'static Entry)> {
    all().find(|(_, entry)| entry.code.eq_ignore_ascii_case(code))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{all, find};

    #[test]
    fn codes_are_stable_names_and_stand_once() {
        let mut seen = HashSet::new();
        for (_, entry) in all() {
            assert!(seen.insert(entry.code), "{} twice", entry.code);
            assert!(
                entry.code.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'),
                "{}",
                entry.code
            );
            for text in [entry.title, entry.meaning, entry.fix] {
                assert!(!text.is_empty() && !text.contains("  "), "{}: {text}", entry.code);
            }
            assert!(!entry.title.ends_with('.') && entry.meaning.ends_with('.') && entry.fix.ends_with('.'));
        }
        assert!(seen.len() > 100, "{}", seen.len());
    }

    /// Codes that other rooms write are read from their sources: a new reason without an entry fails here.
    #[test]
    fn every_reason_of_attestation_has_an_entry() {
        let sources = [
            include_str!("../../../dps-attestation/src/denial.rs"),
            include_str!("../../../dps-attestation/src/mistake.rs"),
            include_str!("../../../dps-attestation/src/tpm/reason.rs"),
        ];
        let mut codes = 0;
        for text in sources.iter().flat_map(|source| source.split('"').skip(1).step_by(2)) {
            let is_code = text.len() > 5
                && text.contains('_')
                && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
            if is_code {
                codes += 1;
                assert!(find(text).is_some(), "{text} has no entry");
            }
        }
        assert!(codes > 45, "{codes}");
    }
}

//! What the service knows beside the record, as plain facts; whoever asks for an explanation gathers them. Owns what is
//! worth knowing for which event; must not know how it is found.

use dps_attestation::SasMistake;
use dps_events::{AttemptRecord, Event, Operation, Outcome};

/// What is known. Everything may be missing: then fewer causes are found.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Id scopes of this server, with their distance to the one asked for.
    pub scopes: Vec<Near>,
    /// Enrollments with nearly the registration id, nearest first.
    pub near: Vec<Near>,
    /// Provisioning services of this server that have an enrollment of exactly this registration id.
    pub elsewhere: Vec<String>,
    /// Enrollments whose keys, used wrongly, make the token's signature.
    pub sas: Vec<SasMatch>,
    /// X.509 enrollment groups of the provisioning service.
    pub signers: Vec<Signer>,
    /// CA certificates uploaded to it.
    pub authorities: Vec<Authority>,
    /// Registration ids that the presented endorsement key is enrolled under.
    pub key_holders: Vec<String>,
}

/// Something of nearly the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Near {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: NearKind,
    /// How many letters differ.
    pub distance: usize,
}

/// What has nearly the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NearKind {
    /// An id scope.
    Scope,
    /// An individual enrollment.
    Enrollment,
}

/// A mistake with an enrollment's key that makes exactly the refused signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SasMatch {
    /// Group id; none for the device's individual enrollment.
    pub group: Option<String>,
    /// The mistake.
    pub mistake: SasMistake,
}

/// The signing certificate of an enrollment group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// Group id.
    pub group: String,
    /// Subject.
    pub subject: String,
    /// Issuer.
    pub issuer: String,
    /// Subject key identifier, hex.
    pub key: Option<String>,
}

/// A CA certificate uploaded to the provisioning service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Its name.
    pub name: String,
    /// Subject.
    pub subject: String,
    /// Issuer.
    pub issuer: String,
    /// Subject key identifier, hex.
    pub key: Option<String>,
    /// Possession of its key is proven.
    pub verified: bool,
}

/// What is worth gathering for an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a lookup of its own")]
pub struct Wanted {
    /// `Known::scopes`.
    pub scopes: bool,
    /// `Known::near` and `Known::elsewhere`.
    pub near: bool,
    /// `Known::sas`.
    pub sas: bool,
    /// `Known::signers` and `Known::authorities`.
    pub chain: bool,
    /// `Known::key_holders`.
    pub key_holders: bool,
}

impl Wanted {
    /// What an explanation of the event would use. Nothing for most: their record says enough.
    pub fn of(event: &Event) -> Self {
        match event {
            Event::Attempt(attempt) => Self::of_attempt(attempt),
            _ => Self::default(),
        }
    }

    /// Is it nothing at all?
    pub fn nothing(self) -> bool {
        self == Self::default()
    }

    fn of_attempt(attempt: &AttemptRecord) -> Self {
        let Outcome::Failed { name, .. } = &attempt.outcome else { return Self::default() };
        if *name == "IdScopeNotFound" {
            return Self { scopes: true, ..Self::default() };
        }
        if attempt.instance.is_none() || attempt.operation == Operation::Unrouted {
            return Self::default();
        }
        let unknown = attempt.candidates.is_empty()
            && attempt.reason.is_none()
            && matches!(*name, "Unauthorized" | "CertificateRejected" | "EnrollmentNotFound");
        let reason = attempt.reason.unwrap_or_default();
        Self {
            scopes: false,
            near: unknown,
            sas: attempt.sas.is_some()
                && attempt.endorsement_key.is_none()
                && (unknown || reason == "SAS_SIGNATURE_MISMATCH"),
            chain: !attempt.chain.is_empty() && (unknown || reason.starts_with("X509_")),
            key_holders: attempt.endorsement_key.is_some() && (unknown || reason.starts_with("EK_")),
        }
    }
}

/// How many letters have to be changed, added, taken away or swapped with a neighbour to make one text of the other,
/// case ignored; counted up to `most`, and `most + 1` when it is more.
pub fn distance(one: &str, other: &str, most: usize) -> usize {
    let (one, other): (Vec<u8>, Vec<u8>) = (
        one.bytes().map(|b| b.to_ascii_lowercase()).collect(),
        other.bytes().map(|b| b.to_ascii_lowercase()).collect(),
    );
    if one.len().abs_diff(other.len()) > most {
        return most + 1;
    }
    // Rows of the table: the one before the last, the last, and the one being written.
    let mut before: Vec<usize> = vec![0; other.len() + 1];
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = Vec::with_capacity(other.len() + 1);
        row.push(i + 1);
        let mut least = i + 1;
        for (j, b) in other.iter().enumerate() {
            let changed = last.get(j).copied().unwrap_or(0) + usize::from(a != b);
            let removed = last.get(j + 1).copied().unwrap_or(0) + 1;
            let added = row.last().copied().unwrap_or(0) + 1;
            let mut cost = changed.min(removed).min(added);
            let swapped = i > 0 && j > 0 && one.get(i - 1) == Some(b) && other.get(j - 1) == Some(a);
            if swapped {
                cost = cost.min(before.get(j - 1).copied().unwrap_or(0) + 1);
            }
            least = least.min(cost);
            row.push(cost);
        }
        if least > most {
            return most + 1;
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0).min(most + 1)
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distance_counts_changes_and_swaps_up_to_its_bound() {
        for (one, other, expected) in [
            ("thermostat-1", "Thermostat-1", 0),
            ("thermostat-1", "thermostat-7", 1),
            ("thermostat-1", "termostat-1", 1),
            ("thermostat-1", "thermostat-11", 1),
            ("thermostat-1", "htermostat-1", 1),
            ("thermostat-1", "htermosat-1", 2),
            ("thermostat-1", "press-7", 3),
            ("", "ab", 2),
        ] {
            assert_eq!(distance(one, other, 2), expected, "{one} {other}");
            assert_eq!(distance(other, one, 2), expected, "{other} {one}");
        }
    }
}

//! The members that a query may name, per kind of row: what the API shows, and what is below it. Owns which texts
//! compare without regard to case and which as times; keys are not among them. Must not know a row.

use super::error::QueryError;

/// The rows of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Individual enrollments.
    Enrollments,
    /// Enrollment groups.
    EnrollmentGroups,
    /// Registrations of a group.
    Registrations,
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As what it is.
    Plain,
    /// An id or a host name: without regard to the case of ASCII letters.
    Name,
    /// A time.
    Time,
}

/// A member of a row.
#[derive(Clone, Copy)]
pub(super) enum Member {
    /// A value without members.
    Value(Kind),
    /// A list of names.
    Names,
    /// Anything: what a user wrote.
    Free,
    /// These members.
    Object(Members),
    /// Not to be asked about, and why.
    Refused(&'static str),
}

type Members = &'static [(&'static str, Member)];

const PLAIN: Member = Member::Value(Kind::Plain);
const NAME: Member = Member::Value(Kind::Name);
const TIME: Member = Member::Value(Kind::Time);

const CERTIFICATE: Member = Member::Object(&[(
    "info",
    Member::Object(&[
        ("subjectName", PLAIN),
        ("sha1Thumbprint", NAME),
        ("sha256Thumbprint", NAME),
        ("issuerName", PLAIN),
        ("notBeforeUtc", TIME),
        ("notAfterUtc", TIME),
        ("serialNumber", NAME),
        ("version", PLAIN),
    ]),
)]);

const PAIR: Member = Member::Object(&[("primary", CERTIFICATE), ("secondary", CERTIFICATE)]);

const ATTESTATION: Member = Member::Object(&[
    ("type", PLAIN),
    ("tpm", Member::Object(&[("endorsementKey", PLAIN), ("storageRootKey", PLAIN)])),
    (
        "x509",
        Member::Object(&[
            ("clientCertificates", PAIR),
            ("signingCertificates", PAIR),
            ("caReferences", Member::Object(&[("primary", NAME), ("secondary", NAME)])),
        ]),
    ),
    ("symmetricKey", Member::Refused("symmetric keys are not shown and cannot be asked about")),
]);

/// The members of both kinds of enrollment.
const SHARED: Members = &[
    ("attestation", ATTESTATION),
    ("capabilities", Member::Object(&[("iotEdge", PLAIN)])),
    ("iotHubHostName", NAME),
    (
        "initialTwin",
        Member::Object(&[
            ("tags", Member::Free),
            ("properties", Member::Object(&[("desired", Member::Free)])),
        ]),
    ),
    ("provisioningStatus", PLAIN),
    ("reprovisionPolicy", Member::Object(&[("updateHubAssignment", PLAIN), ("migrateDeviceData", PLAIN)])),
    ("allocationPolicy", PLAIN),
    ("iotHubs", Member::Names),
    ("customAllocationDefinition", Member::Object(&[("webhookUrl", PLAIN), ("apiVersion", PLAIN)])),
    ("credentialPolicyName", PLAIN),
    ("etag", PLAIN),
    ("createdDateTimeUtc", TIME),
    ("lastUpdatedDateTimeUtc", TIME),
];

const OF_ENROLLMENT: Members = &[
    ("registrationId", NAME),
    ("deviceId", PLAIN),
    ("optionalDeviceInformation", Member::Free),
    (
        "registrationState",
        Member::Refused("the rows of this query have no registrationState; GET /registrations/{id} has it"),
    ),
];

const OF_GROUP: Members = &[("enrollmentGroupId", NAME)];

const REGISTRATION: Members = &[
    ("registrationId", NAME),
    ("createdDateTimeUtc", TIME),
    ("assignedHub", NAME),
    ("deviceId", PLAIN),
    ("status", PLAIN),
    ("substatus", PLAIN),
    ("errorCode", PLAIN),
    ("errorMessage", PLAIN),
    ("lastUpdatedDateTimeUtc", TIME),
    ("etag", PLAIN),
    ("payload", Member::Free),
];

impl Rows {
    /// The two lists of members that its rows have.
    const fn members(self) -> [Members; 2] {
        match self {
            Self::Enrollments => [OF_ENROLLMENT, SHARED],
            Self::EnrollmentGroups => [OF_GROUP, SHARED],
            Self::Registrations => [REGISTRATION, &[]],
        }
    }

    /// Is this a member of the rows?
    pub(super) fn knows(self, name: &str) -> bool {
        self.members().into_iter().flatten().any(|(known, _)| *known == name)
    }

    /// The member of that name; `at` is where it stands.
    pub(super) fn member(self, name: &str, at: usize) -> Result<Member, QueryError> {
        find(&self.members().into_iter().flatten(), name, at, "these rows have")
    }
}

impl Member {
    /// The member below it, of that name.
    pub(super) fn named(self, of: &str, name: &str, at: usize) -> Result<Self, QueryError> {
        match self {
            Self::Object(members) => find(&members.iter(), name, at, &format!("{of} has")),
            Self::Free => Ok(Self::Free),
            Self::Names => Err(QueryError::new(
                at,
                name,
                format!("{of} is a list"),
                format!("Write {of}[0], or ARRAY_CONTAINS({of}, 'name')"),
            )),
            Self::Value(_) | Self::Refused(_) => {
                Err(QueryError::new(at, name, format!("{of} has no members"), format!("Compare {of} itself")))
            }
        }
    }

    /// The part of the list that it is.
    pub(super) fn indexed(self, of: &str, index: &str, at: usize) -> Result<Self, QueryError> {
        match self {
            Self::Names => Ok(NAME),
            Self::Free => Ok(Self::Free),
            _ => Err(QueryError::new(at, index, format!("{of} is no list"), format!("Leave [{index}] out"))),
        }
    }

    /// How a value of it is compared.
    pub(super) const fn kind(self) -> Kind {
        match self {
            Self::Value(kind) => kind,
            Self::Names => Kind::Name,
            Self::Free | Self::Object(_) | Self::Refused(_) => Kind::Plain,
        }
    }
}

fn find<'a>(
    members: &(impl Iterator<Item = &'a (&'static str, Member)> + Clone),
    name: &str,
    at: usize,
    who_has: &str,
) -> Result<Member, QueryError> {
    if let Some((_, member)) = members.clone().find(|(known, _)| *known == name) {
        return match member {
            Member::Refused(why) => Err(QueryError::new(at, name, *why, "Leave it out")),
            member => Ok(*member),
        };
    }
    let names = || members.clone().map(|(known, _)| *known);
    let instead = match nearest(name, names()) {
        Some(near) => format!("Write {near}"),
        None => format!("Write one of {}", names().collect::<Vec<_>>().join(", ")),
    };
    Err(QueryError::new(at, name, format!("{who_has} no member of this name"), instead))
}

/// The name that a misspelt one most likely means.
pub(super) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 64;
    if name.len() > LONGEST {
        return None;
    }
    let lower = name.to_ascii_lowercase();
    let (distance, near) = names
        .map(|known| (strsim::levenshtein(&lower, &known.to_ascii_lowercase()), known))
        .min_by_key(|(d, _)| *d)?;
    (distance <= 1 + lower.len() / 4).then_some(near)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn nearest_only_when_near() {
        let names = || ["deviceId", "registrationId", "etag"].into_iter();
        assert_eq!(nearest("RegistrationID", names()), Some("registrationId"));
        assert_eq!(nearest("colour", names()), None);
        assert_eq!(nearest("devicId", names()), Some("deviceId"));
        assert_eq!(nearest(&"x".repeat(5000), names()), None);
    }
}

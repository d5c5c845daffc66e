//! Enrollments: kept (`record`, and `mend` for earlier forms), changed (`edit` and `bulk`, under `settings`, `claims` and `quota`), listed (`pages`)
//! and found for a device (`find`).

pub mod bulk;
mod claims;
pub mod edit;
pub mod find;
pub mod group_lane;
mod key_ring;
pub mod kind;
mod mend;
pub mod pages;
mod quota;
pub mod record;
mod references;
mod settings;

pub use bulk::{BulkDone, BulkMode};
pub use edit::{Changed, Enrollments};
pub use key_ring::KeyRings;
pub use kind::Enrolled;
pub use mend::mend;
pub use pages::Reach;

use dps_attestation::EnrollmentKind;
use dps_model::attestation::Mechanism;
use dps_model::enrollment::{EnrollmentGroup, EnrollmentSettings, IndividualEnrollment};
use dps_model::{DeviceId, RegistrationId};

use crate::registration::EnrollmentName;

/// An enrollment that may let a device in.
pub enum Found {
    /// The device's own.
    Individual(Box<IndividualEnrollment>),
    /// One it shares.
    Group(Box<EnrollmentGroup>),
}

impl Found {
    /// How a device proves itself under it.
    pub fn mechanism(&self) -> &Mechanism {
        match self {
            Self::Individual(enrollment) => &enrollment.attestation,
            Self::Group(group) => &group.attestation,
        }
    }

    /// What the two kinds share.
    pub fn settings(&self) -> &EnrollmentSettings {
        match self {
            Self::Individual(enrollment) => &enrollment.settings,
            Self::Group(group) => &group.settings,
        }
    }

    /// Its kind.
    pub fn kind(&self) -> EnrollmentKind {
        match self {
            Self::Individual(_) => EnrollmentKind::Individual,
            Self::Group(_) => EnrollmentKind::Group,
        }
    }

    /// As a registration remembers it.
    pub fn name(&self) -> EnrollmentName {
        match self {
            Self::Individual(_) => EnrollmentName::Individual,
            Self::Group(group) => EnrollmentName::Group(group.enrollment_group_id.as_str().to_owned()),
        }
    }

    /// The device's id on its hub: an individual enrollment may name another than the registration id. A device that
    /// spells its registration id in another case keeps the id it has, because device ids differ by case.
    pub fn device_id(&self, registration_id: &RegistrationId, present: Option<&DeviceId>) -> DeviceId {
        let named = match self {
            Self::Individual(enrollment) => enrollment.device_id.clone(),
            Self::Group(_) => None,
        };
        let same = present.filter(|id| id.as_str().eq_ignore_ascii_case(registration_id.as_str()));
        named.or_else(|| same.cloned()).unwrap_or_else(|| registration_id.clone().into())
    }
}

//! What is the same for individual enrollments and groups, so that one code writes, reads, lists and deletes both.
//! Owns what differs between the two kinds; must not know what is done with them.

use dps_attestation::EnrollmentKind;
use dps_model::attestation::Mechanism;
use dps_model::enrollment::{
    EnrollmentGroup, EnrollmentInput, EnrollmentSettings, IndividualEnrollment, Keys, Stamp,
};
use dps_model::{DeviceId, EnrollmentGroupId, Error, RegistrationId};
use serde_json::Value;

use super::record;
use crate::ports::{Collection, Document, Precondition, Write};

/// One of the two kinds of enrollment.
pub trait Enrolled: Sized + Send + Sync + 'static {
    /// Where its documents are.
    const COLLECTION: Collection;
    /// Which it is.
    const KIND: EnrollmentKind;
    /// As sentences name it.
    const NAME: &'static str;
    /// The member that has its id.
    const ID: &'static str;

    /// The stored form of an id. Errors: `ArgumentInvalid`.
    fn key(id: &str) -> Result<String, Error>;

    /// The id of an input, where it has one.
    fn id_of(input: &EnrollmentInput) -> Option<&str>;

    /// Refuses members that belong to the other kind, and an id in the body that differs from the path's.
    fn check(id: &str, input: &EnrollmentInput) -> Result<(), Error>;

    /// Made of an input that was checked, and of what was read from it.
    fn make(
        id: &str,
        input: &EnrollmentInput,
        attestation: Mechanism,
        settings: EnrollmentSettings,
        stamp: Stamp,
    ) -> Result<Self, Error>;

    /// Read from its document.
    fn read(document: &Document) -> Result<Self, Error>;

    /// The write that stores it.
    fn write(&self, instance: &str, precondition: Precondition) -> Result<Write, Error>;

    /// How devices prove themselves under it.
    fn attestation(&self) -> &Mechanism;

    /// Version and times.
    fn stamp(&self) -> &Stamp;

    /// As the service API shows it, without the state of a registration.
    fn shown(&self, keys: Keys) -> Value;
}

impl Enrolled for IndividualEnrollment {
    const COLLECTION: Collection = Collection::Enrollments;
    const KIND: EnrollmentKind = EnrollmentKind::Individual;
    const NAME: &'static str = "enrollment";
    const ID: &'static str = "registrationId";

    fn key(id: &str) -> Result<String, Error> {
        Ok(RegistrationId::parse(id)?.key())
    }

    fn id_of(input: &EnrollmentInput) -> Option<&str> {
        input.registration_id.as_deref()
    }

    fn check(id: &str, input: &EnrollmentInput) -> Result<(), Error> {
        agree(Self::ID, id, input.registration_id.as_deref())?;
        absent("enrollmentGroupId", input.enrollment_group_id.is_some(), "an individual enrollment")
    }

    fn make(
        id: &str,
        input: &EnrollmentInput,
        attestation: Mechanism,
        settings: EnrollmentSettings,
        stamp: Stamp,
    ) -> Result<Self, Error> {
        // Azure's clients send an empty text for what is not set.
        let device_id = input.device_id.as_deref().filter(|id| !id.is_empty());
        Ok(Self {
            registration_id: RegistrationId::parse(id)?,
            device_id: device_id.map(DeviceId::parse).transpose()?,
            attestation,
            settings,
            optional_device_information: input.optional_device_information.clone(),
            stamp,
        })
    }

    fn read(document: &Document) -> Result<Self, Error> {
        record::read_individual(document)
    }

    fn write(&self, instance: &str, precondition: Precondition) -> Result<Write, Error> {
        record::write_individual(instance, self, precondition)
    }

    fn attestation(&self) -> &Mechanism {
        &self.attestation
    }

    fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    fn shown(&self, keys: Keys) -> Value {
        self.to_json(keys, None)
    }
}

impl Enrolled for EnrollmentGroup {
    const COLLECTION: Collection = Collection::EnrollmentGroups;
    const KIND: EnrollmentKind = EnrollmentKind::Group;
    const NAME: &'static str = "enrollment group";
    const ID: &'static str = "enrollmentGroupId";

    fn key(id: &str) -> Result<String, Error> {
        Ok(EnrollmentGroupId::parse(id)?.key())
    }

    fn id_of(input: &EnrollmentInput) -> Option<&str> {
        input.enrollment_group_id.as_deref()
    }

    fn check(id: &str, input: &EnrollmentInput) -> Result<(), Error> {
        agree(Self::ID, id, input.enrollment_group_id.as_deref())?;
        absent("registrationId", input.registration_id.is_some(), "an enrollment group")?;
        let device_id = input.device_id.as_deref().is_some_and(|id| !id.is_empty());
        absent("deviceId", device_id, "an enrollment group")
    }

    fn make(
        id: &str,
        _input: &EnrollmentInput,
        attestation: Mechanism,
        settings: EnrollmentSettings,
        stamp: Stamp,
    ) -> Result<Self, Error> {
        Ok(Self { enrollment_group_id: EnrollmentGroupId::parse(id)?, attestation, settings, stamp })
    }

    fn read(document: &Document) -> Result<Self, Error> {
        record::read_group(document)
    }

    fn write(&self, instance: &str, precondition: Precondition) -> Result<Write, Error> {
        record::write_group(instance, self, precondition)
    }

    fn attestation(&self) -> &Mechanism {
        &self.attestation
    }

    fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    fn shown(&self, keys: Keys) -> Value {
        self.to_json(keys)
    }
}

fn agree(member: &str, path: &str, body: Option<&str>) -> Result<(), Error> {
    match body {
        Some(body) if !body.eq_ignore_ascii_case(path) => Err(Error::argument(format!(
            "{member} of the body differs from the id in the path; make them equal"
        ))),
        _ => Ok(()),
    }
}

fn absent(member: &str, present: bool, kind: &str) -> Result<(), Error> {
    if present { Err(Error::argument(format!("{member} has no place in {kind}; remove it"))) } else { Ok(()) }
}

//! Creates, reads, changes and deletes enrollments: validation, etags, generated keys, one enrollment a certificate.
//! Must not know how a caller was authorized or how a body looked on the wire.

use std::sync::Arc;

use dps_attestation::{EnrollmentKind, mechanism, x509};
use dps_model::attestation::Mechanism;
use dps_model::enrollment::{
    AllocationPolicy, EnrollmentGroup, EnrollmentInput, EnrollmentSettings, IndividualEnrollment, Stamp,
};
use dps_model::etag::IfMatch;
use dps_model::instance::Instance;
use dps_model::registration::{DeviceRegistrationResult, Status};
use dps_model::{
    DeviceId, EnrollmentGroupId, Error, ErrorCode, Etag, HubName, RegistrationId, Timestamp, limits,
};

use super::group_lane::GroupLane;
use super::{KeyRings, record};
use crate::ports::{Clock, Collection, Document, Precondition, Refusal, Store, StoreError, Write};
use crate::registration::Versioned;

/// The enrollments of all instances.
pub struct Enrollments {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    rings: Arc<KeyRings>,
    lane: Arc<GroupLane>,
}

/// A written thing, and the version it replaced.
pub struct Changed<T> {
    /// As it is now.
    pub value: T,
    /// The version before, where there was one.
    pub previous: Option<Etag>,
}

impl Enrollments {
    /// Enrollments kept in that store. `rings` and `lane` are told of changed group keys.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        rings: Arc<KeyRings>,
        lane: Arc<GroupLane>,
    ) -> Self {
        Self { store, clock, rings, lane }
    }

    /// Creates (without `if_match`) or replaces an individual enrollment. Keys and certificates that the input leaves
    /// out are kept on a replacement, generated on a creation.
    /// Errors: `ArgumentInvalid`, `EnrollmentExists`, `EtagMismatch`, `EnrollmentNotFound`, `CertificateInUse`.
    pub async fn put_individual(
        &self,
        instance: &Instance,
        id: &str,
        input: EnrollmentInput,
        if_match: Option<IfMatch>,
    ) -> Result<Changed<IndividualEnrollment>, Error> {
        let registration_id = RegistrationId::parse(id)?;
        agree("registrationId", id, input.registration_id.as_deref())?;
        absent("enrollmentGroupId", input.enrollment_group_id.is_some(), "an individual enrollment")?;
        let current = self.document(instance, Collection::Enrollments, &registration_id.key()).await?;
        let precondition = precondition(current.as_ref(), if_match)?;
        let current = current.as_ref().map(record::read_individual).transpose()?;
        let attestation =
            attestation(&input, EnrollmentKind::Individual, current.as_ref().map(|e| &e.attestation))?;
        let device_id =
            input.device_id.as_deref().filter(|id| !id.is_empty()).map(DeviceId::parse).transpose()?;
        let optional_device_information = input.optional_device_information.clone();
        let settings = settings(input)?;
        self.certificates_free(instance, &attestation, &registration_id.key(), EnrollmentKind::Individual)
            .await?;
        let enrollment = IndividualEnrollment {
            registration_id,
            device_id,
            attestation,
            settings,
            optional_device_information,
            stamp: stamp(current.as_ref().map(|e| &e.stamp), self.clock.now()),
        };
        self.store
            .write(vec![record::write_individual(&instance.name, &enrollment, precondition)?])
            .await
            .map_err(refused)?;
        Ok(Changed { value: enrollment, previous: current.map(|e| e.stamp.etag) })
    }

    /// Creates or replaces a group; otherwise as `put_individual`.
    pub async fn put_group(
        &self,
        instance: &Instance,
        id: &str,
        input: EnrollmentInput,
        if_match: Option<IfMatch>,
    ) -> Result<Changed<EnrollmentGroup>, Error> {
        let enrollment_group_id = EnrollmentGroupId::parse(id)?;
        agree("enrollmentGroupId", id, input.enrollment_group_id.as_deref())?;
        absent("registrationId", input.registration_id.is_some(), "an enrollment group")?;
        absent(
            "deviceId",
            input.device_id.as_deref().is_some_and(|id| !id.is_empty()),
            "an enrollment group",
        )?;
        let current =
            self.document(instance, Collection::EnrollmentGroups, &enrollment_group_id.key()).await?;
        let precondition = precondition(current.as_ref(), if_match)?;
        let current = current.as_ref().map(record::read_group).transpose()?;
        let attestation =
            attestation(&input, EnrollmentKind::Group, current.as_ref().map(|g| &g.attestation))?;
        let settings = settings(input)?;
        self.certificates_free(instance, &attestation, &enrollment_group_id.key(), EnrollmentKind::Group)
            .await?;
        let group = EnrollmentGroup {
            enrollment_group_id,
            attestation,
            settings,
            stamp: stamp(current.as_ref().map(|g| &g.stamp), self.clock.now()),
        };
        let written =
            self.store.write(vec![record::write_group(&instance.name, &group, precondition)?]).await;
        // Whatever the answer: that of a write that happened may be lost.
        self.group_changed();
        written.map_err(refused)?;
        Ok(Changed { value: group, previous: current.map(|g| g.stamp.etag) })
    }

    /// An individual enrollment and its registration's state (`unassigned` before the first registration).
    pub async fn individual(
        &self,
        instance: &Instance,
        id: &str,
    ) -> Result<(IndividualEnrollment, DeviceRegistrationResult), Error> {
        let registration_id = RegistrationId::parse(id)?;
        let document = self.document(instance, Collection::Enrollments, &registration_id.key()).await?;
        let enrollment = record::read_individual(&document.ok_or_else(not_found)?)?;
        let state = match self.state(instance, &registration_id).await? {
            Some(state) => state,
            None => DeviceRegistrationResult::bare(enrollment.registration_id.clone(), Status::Unassigned),
        };
        Ok((enrollment, state))
    }

    /// A group.
    pub async fn group(&self, instance: &Instance, id: &str) -> Result<EnrollmentGroup, Error> {
        let key = EnrollmentGroupId::parse(id)?.key();
        let document = self.document(instance, Collection::EnrollmentGroups, &key).await?;
        record::read_group(&document.ok_or_else(not_found)?)
    }

    /// Deletes an individual enrollment; its registration and hub identity stay. Answers the version deleted.
    pub async fn delete_individual(
        &self,
        instance: &Instance,
        id: &str,
        if_match: Option<IfMatch>,
    ) -> Result<Option<Etag>, Error> {
        let key = RegistrationId::parse(id)?.key();
        self.delete(instance, Collection::Enrollments, key, if_match, ErrorCode::EnrollmentNotFound).await
    }

    /// Deletes a group; its devices' registrations and hub identities stay. Answers the version deleted.
    pub async fn delete_group(
        &self,
        instance: &Instance,
        id: &str,
        if_match: Option<IfMatch>,
    ) -> Result<Option<Etag>, Error> {
        let key = EnrollmentGroupId::parse(id)?.key();
        let missing = ErrorCode::EnrollmentNotFound;
        let deleted = self.delete(instance, Collection::EnrollmentGroups, key, if_match, missing).await;
        self.group_changed();
        deleted
    }

    /// The state of a registration. Errors: `RegistrationNotFound`.
    pub async fn registration(
        &self,
        instance: &Instance,
        id: &str,
    ) -> Result<DeviceRegistrationResult, Error> {
        let registration_id = RegistrationId::parse(id)?;
        self.state(instance, &registration_id)
            .await?
            .ok_or_else(|| Error::new(ErrorCode::RegistrationNotFound))
    }

    /// Deletes a registration record; the hub identity stays, and the next registration is an initial assignment.
    pub async fn delete_registration(
        &self,
        instance: &Instance,
        id: &str,
        if_match: Option<IfMatch>,
    ) -> Result<Option<Etag>, Error> {
        let key = RegistrationId::parse(id)?.key();
        self.delete(instance, Collection::Registrations, key, if_match, ErrorCode::RegistrationNotFound).await
    }

    async fn delete(
        &self,
        instance: &Instance,
        collection: Collection,
        id: String,
        if_match: Option<IfMatch>,
        missing: ErrorCode,
    ) -> Result<Option<Etag>, Error> {
        let current = self.document(instance, collection, &id).await?.ok_or_else(|| Error::new(missing))?;
        let precondition = match if_match {
            Some(IfMatch::Tag(tag)) => Precondition::Matches(tag),
            Some(IfMatch::Any) | None => Precondition::Present,
        };
        let delete = Write::Delete { collection, instance: instance.name.clone(), id, precondition };
        match self.store.write(vec![delete]).await {
            Ok(()) => Ok(Some(current.etag)),
            Err(error) if error.refusal() == Some(Refusal::Missing) => Err(Error::new(missing)),
            Err(error) => Err(refused(error)),
        }
    }

    async fn document(
        &self,
        instance: &Instance,
        collection: Collection,
        id: &str,
    ) -> Result<Option<Document>, Error> {
        Ok(self.store.get(collection, &instance.name, id).await?)
    }

    async fn state(
        &self,
        instance: &Instance,
        id: &RegistrationId,
    ) -> Result<Option<DeviceRegistrationResult>, Error> {
        let document = self.document(instance, Collection::Registrations, &id.key()).await?;
        let Some(document) = document else { return Ok(None) };
        let kept = Versioned::read(&document)?;
        let mut state = kept.record.shown(&kept.etag);
        // Records read over the service API leave the attestation members out (DPS facts §1.3).
        (state.x509, state.symmetric_key, state.tpm) = (None, None, None);
        Ok(Some(state))
    }

    /// A certificate may stand in one enrollment only. Two writes at the same instant may both pass; the next write
    /// of either is refused.
    async fn certificates_free(
        &self,
        instance: &Instance,
        attestation: &Mechanism,
        own_id: &str,
        own_kind: EnrollmentKind,
    ) -> Result<(), Error> {
        let (Mechanism::ClientCertificates(pair) | Mechanism::SigningCertificates(pair)) = attestation else {
            return Ok(());
        };
        let texts: Vec<String> =
            pair.iter().map(|certificate| x509::thumbprint_lookup(&certificate.der)).collect();
        let kinds = [
            (Collection::Enrollments, EnrollmentKind::Individual, "enrollment"),
            (Collection::EnrollmentGroups, EnrollmentKind::Group, "enrollment group"),
        ];
        for (collection, kind, name) in kinds {
            let users = self.store.find(collection, &instance.name, &texts).await?;
            if let Some(other) = users.iter().find(|user| kind != own_kind || user.id != own_id) {
                let message = format!("The certificate is used by {name} {} already.", other.id);
                return Err(Error::with(ErrorCode::CertificateInUse, message));
            }
        }
        Ok(())
    }

    fn group_changed(&self) {
        self.rings.changed();
        self.lane.forgive();
    }
}

fn not_found() -> Error {
    Error::new(ErrorCode::EnrollmentNotFound)
}

fn refused(error: StoreError) -> Error {
    match error.refusal() {
        Some(Refusal::Exists) => Error::new(ErrorCode::EnrollmentExists),
        Some(Refusal::Missing | Refusal::Mismatch) => Error::new(ErrorCode::EtagMismatch),
        None => error.into(),
    }
}

/// What `If-Match` asks, against what is there: absent creates, present replaces.
fn precondition(current: Option<&Document>, if_match: Option<IfMatch>) -> Result<Precondition, Error> {
    match (current, if_match) {
        (None, None) => Ok(Precondition::Absent),
        (Some(_), None) => Err(Error::new(ErrorCode::EnrollmentExists)),
        (None, Some(IfMatch::Any)) => Err(not_found()),
        // Replacing reads the kept secrets first, so it must be that very version.
        (Some(document), Some(IfMatch::Any)) => Ok(Precondition::Matches(document.etag.clone())),
        (Some(document), Some(IfMatch::Tag(tag))) if tag == document.etag => Ok(Precondition::Matches(tag)),
        (_, Some(IfMatch::Tag(_))) => Err(Error::new(ErrorCode::EtagMismatch)),
    }
}

fn stamp(current: Option<&Stamp>, now: Timestamp) -> Stamp {
    current.map_or_else(|| Stamp::fresh(now), |stamp| stamp.changed(now))
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

fn attestation(
    input: &EnrollmentInput,
    kind: EnrollmentKind,
    current: Option<&Mechanism>,
) -> Result<Mechanism, Error> {
    let attestation = input
        .attestation
        .as_ref()
        .ok_or_else(|| Error::argument("attestation is required; add it with its type"))?;
    mechanism::read_update(attestation, kind, current)
}

fn settings(input: EnrollmentInput) -> Result<EnrollmentSettings, Error> {
    let iot_hub_host_name =
        input.iot_hub_host_name.as_deref().filter(|name| !name.is_empty()).map(hub_name).transpose()?;
    let iot_hubs = input
        .iot_hubs
        .map(|names| names.iter().map(|name| hub_name(name)).collect::<Result<Vec<_>, _>>())
        .transpose()?;
    let hubs = iot_hubs.as_ref().map_or(0, Vec::len);
    if hubs > limits::MAX_LINKED_HUBS {
        return Err(Error::argument(format!(
            "iotHubs names {hubs} hubs; at most {} are allowed",
            limits::MAX_LINKED_HUBS
        )));
    }
    match input.allocation_policy {
        Some(AllocationPolicy::Static) if hubs > 1 => {
            return Err(Error::argument("allocationPolicy static takes one hub; leave one in iotHubs"));
        }
        Some(AllocationPolicy::Custom) if input.custom_allocation_definition.is_none() => {
            // Azure's own words.
            let message =
                "A CustomAllocationDefinition is required when the allocation policy is set to 'Custom'";
            return Err(Error::argument(message));
        }
        Some(AllocationPolicy::Custom) => {
            return Err(Error::argument(
                "allocationPolicy custom is not available yet; use hashed, static or geoLatency",
            ));
        }
        _ => {}
    }
    twin_fits(input.initial_twin.as_ref())?;
    Ok(EnrollmentSettings {
        capabilities: input.capabilities,
        iot_hub_host_name,
        initial_twin: input.initial_twin,
        provisioning_status: input.provisioning_status,
        reprovision_policy: input.reprovision_policy,
        allocation_policy: input.allocation_policy,
        iot_hubs,
        custom_allocation_definition: input.custom_allocation_definition,
        credential_policy_name: input.credential_policy_name,
    })
}

/// A hub as it is linked: its host name. A port is no part of it.
fn hub_name(text: &str) -> Result<HubName, Error> {
    if text.contains(':') {
        return Err(Error::argument("a hub is named by its host name; leave out the port"));
    }
    Ok(HubName::parse(text)?)
}

fn twin_fits(twin: Option<&dps_model::enrollment::InitialTwin>) -> Result<(), Error> {
    let Some(twin) = twin else { return Ok(()) };
    let desired = twin.properties.as_ref().and_then(|properties| properties.desired.as_ref());
    for (name, section) in
        [("initialTwin.tags", twin.tags.as_ref()), ("initialTwin.properties.desired", desired)]
    {
        let size =
            section.and_then(|section| serde_json::to_string(section).ok()).map_or(0, |text| text.len());
        if size > limits::MAX_TWIN_SECTION {
            return Err(Error::argument(format!(
                "{name} has {size} bytes; at most {} are allowed",
                limits::MAX_TWIN_SECTION
            )));
        }
    }
    Ok(())
}

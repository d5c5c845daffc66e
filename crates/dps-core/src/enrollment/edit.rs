//! Creates, reads, changes and deletes enrollments and registration records: etags, generated keys, one enrollment a
//! certificate. Must not know how a caller was authorized or how a body looked on the wire.

use std::sync::Arc;

use dps_attestation::{EnrollmentKind, mechanism};
use dps_model::attestation::Mechanism;
use dps_model::enrollment::{EnrollmentGroup, EnrollmentInput, IndividualEnrollment, PlainWebhooks, Stamp};
use dps_model::etag::IfMatch;
use dps_model::instance::Instance;
use dps_model::limits::{ENROLLMENT_WRITE_ATTEMPTS, Quotas};
use dps_model::registration::{DeviceRegistrationResult, Status};
use dps_model::{Error, ErrorCode, Etag, RegistrationId, Timestamp};

use super::group_lane::GroupLane;
use super::kind::Enrolled;
use super::{KeyRings, claims, quota, references, settings};
use crate::ports::{Clock, Collection, Document, Precondition, Refusal, Store, StoreError, Write};
use crate::registration::Versioned;
use crate::rehearsal::Laid;

/// The enrollments of all instances.
pub struct Enrollments {
    pub(super) store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    rings: Arc<KeyRings>,
    lane: Arc<GroupLane>,
    quotas: Quotas,
    plain_webhooks: PlainWebhooks,
}

/// A written thing, and the version it replaced.
pub struct Changed<T> {
    /// As it is now.
    pub value: T,
    /// The version before, where there was one.
    pub previous: Option<Etag>,
}

impl Enrollments {
    /// Enrollments kept in that store, without quotas. `rings` and `lane` are told of changed group keys.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        rings: Arc<KeyRings>,
        lane: Arc<GroupLane>,
    ) -> Self {
        let (quotas, plain_webhooks) = (Quotas::default(), PlainWebhooks::default());
        Self { store, clock, rings, lane, quotas, plain_webhooks }
    }

    /// The same under these quotas.
    pub fn with_quotas(self, quotas: Quotas) -> Self {
        Self { quotas, ..self }
    }

    /// The same where these webhooks of custom allocation may be without TLS.
    pub fn with_plain_webhooks(self, plain_webhooks: PlainWebhooks) -> Self {
        Self { plain_webhooks, ..self }
    }

    /// Creates (without `if_match`) or replaces an enrollment of either kind. Keys and certificates that the input
    /// leaves out are kept on a replacement, generated on a creation.
    /// Errors: `ArgumentInvalid`, `EnrollmentExists`, `EtagMismatch`, `EnrollmentNotFound`, `CertificateInUse`,
    /// `QuotaExceeded`.
    pub async fn put<E: Enrolled>(
        &self,
        instance: &Instance,
        id: &str,
        input: EnrollmentInput,
        if_match: Option<IfMatch>,
    ) -> Result<Changed<E>, Error> {
        E::key(id)?;
        E::check(id, &input)?;
        let any = if_match == Some(IfMatch::Any);
        let mut attempts = ENROLLMENT_WRITE_ATTEMPTS;
        loop {
            match self.put_once(instance, id, &input, if_match.clone()).await {
                // Somebody else wrote in between, and any version is to be replaced.
                Err(error) if any && error.code == ErrorCode::EtagMismatch && attempts > 1 => attempts -= 1,
                done => return done,
            }
        }
    }

    async fn put_once<E: Enrolled>(
        &self,
        instance: &Instance,
        id: &str,
        input: &EnrollmentInput,
        if_match: Option<IfMatch>,
    ) -> Result<Changed<E>, Error> {
        let key = E::key(id)?;
        let current = self.document(instance, E::COLLECTION, &key).await?;
        let precondition = precondition(current.as_ref(), if_match)?;
        let current = current.as_ref().map(E::read).transpose()?;
        let before = current.as_ref().map(E::attestation);
        let enrollment: E = self.made(instance, id, input, current.as_ref())?;
        let attestation = enrollment.attestation();
        let moves =
            |before: &Mechanism| E::KIND == EnrollmentKind::Group && before.kind() != attestation.kind();
        if before.is_none_or(moves) {
            quota::room_for::<E>(self.store.as_ref(), &self.quotas, instance.rows(), attestation).await?;
        }
        let (old, new) = (before.map(claims::texts).unwrap_or_default(), claims::texts(attestation));
        let mut writes = vec![enrollment.write(instance.rows(), precondition)?];
        let store = self.store.as_ref();
        writes.extend(claims::move_over::<E>(store, instance.rows(), &key, &old, &new).await?);
        let written = store.write(writes).await;
        // Whatever the answer: that of a write that happened may be lost.
        self.changed::<E>();
        match written {
            Ok(()) => {
                Ok(Changed { value: enrollment, previous: current.map(|before| before.stamp().etag.clone()) })
            }
            // The first write is the enrollment's, the others are its claims': another was faster.
            Err(StoreError::Refused { index: 1.., .. }) => {
                claims::unused_elsewhere::<E>(store, instance.rows(), &key, &new).await?;
                Err(Error::new(ErrorCode::CertificateInUse))
            }
            Err(error) => Err(refused(error)),
        }
    }

    /// The enrollment that an input makes, over the one that is there.
    fn made<E: Enrolled>(
        &self,
        instance: &Instance,
        id: &str,
        input: &EnrollmentInput,
        current: Option<&E>,
    ) -> Result<E, Error> {
        let attestation = attestation(input, E::KIND, current.map(E::attestation))?;
        references::check(instance, &attestation)?;
        let settings = settings::read(input, self.plain_webhooks)?;
        let stamp = stamp(current.map(E::stamp), self.clock.now());
        E::make(id, input, attestation, settings, stamp)
    }

    /// The document that an input would make, in place of the one of its id where there is one. Nothing is written.
    /// Errors: those of `put`, but for quotas.
    pub(crate) async fn proposed<E: Enrolled>(
        &self,
        instance: &Instance,
        input: &EnrollmentInput,
    ) -> Result<Laid, Error> {
        let id = E::id_of(input)
            .ok_or_else(|| Error::argument(format!("{} of the proposed {} is required", E::ID, E::NAME)))?;
        E::check(id, input)?;
        let key = E::key(id)?;
        let current = self.document(instance, E::COLLECTION, &key).await?;
        let current = current.as_ref().map(E::read).transpose()?;
        let enrollment: E = self.made(instance, id, input, current.as_ref())?;
        let texts = claims::texts(enrollment.attestation());
        claims::unused_elsewhere::<E>(self.store.as_ref(), instance.rows(), &key, &texts).await?;
        let write = enrollment.write(instance.rows(), Precondition::None)?;
        Laid::of(write).ok_or_else(|| Error::internal("an enrollment that is no document"))
    }

    /// The keys of symmetric-key groups, as they are tried.
    pub(crate) fn rings(&self) -> Arc<KeyRings> {
        Arc::clone(&self.rings)
    }

    /// An enrollment of either kind. Errors: `EnrollmentNotFound`.
    pub async fn get<E: Enrolled>(&self, instance: &Instance, id: &str) -> Result<E, Error> {
        let document = self.document(instance, E::COLLECTION, &E::key(id)?).await?;
        E::read(&document.ok_or_else(not_found)?)
    }

    /// Deletes an enrollment of either kind; the registrations of its devices and their hub identities stay. Answers
    /// the version deleted.
    pub async fn delete<E: Enrolled>(
        &self,
        instance: &Instance,
        id: &str,
        if_match: Option<IfMatch>,
    ) -> Result<Option<Etag>, Error> {
        let key = E::key(id)?;
        let mut attempts = ENROLLMENT_WRITE_ATTEMPTS;
        loop {
            let current = self.document(instance, E::COLLECTION, &key).await?.ok_or_else(not_found)?;
            let asked = match &if_match {
                Some(IfMatch::Tag(tag)) => tag,
                Some(IfMatch::Any) | None => &current.etag,
            };
            let mut writes =
                vec![deletion(instance, E::COLLECTION, &key, Precondition::Matches(asked.clone()))];
            // Claims go with the very version that has them.
            let held = claims::texts(E::read(&current)?.attestation());
            writes.extend(held.iter().map(|text| claims::release(instance.rows(), text)));
            let unconditional = *asked == current.etag && !matches!(if_match, Some(IfMatch::Tag(_)));
            let deleted = self.store.write(writes).await;
            self.changed::<E>();
            match deleted {
                Ok(()) => return Ok(Some(current.etag)),
                Err(error) if error.refusal() == Some(Refusal::Missing) => return Err(not_found()),
                Err(error) if error.refusal() == Some(Refusal::Mismatch) && unconditional && attempts > 1 => {
                    attempts -= 1;
                }
                Err(error) => return Err(refused(error)),
            }
        }
    }

    /// Creates or replaces an individual enrollment.
    pub async fn put_individual(
        &self,
        instance: &Instance,
        id: &str,
        input: EnrollmentInput,
        if_match: Option<IfMatch>,
    ) -> Result<Changed<IndividualEnrollment>, Error> {
        self.put(instance, id, input, if_match).await
    }

    /// Creates or replaces a group.
    pub async fn put_group(
        &self,
        instance: &Instance,
        id: &str,
        input: EnrollmentInput,
        if_match: Option<IfMatch>,
    ) -> Result<Changed<EnrollmentGroup>, Error> {
        self.put(instance, id, input, if_match).await
    }

    /// An individual enrollment and its registration's state (`unassigned` before the first registration).
    pub async fn individual(
        &self,
        instance: &Instance,
        id: &str,
    ) -> Result<(IndividualEnrollment, DeviceRegistrationResult), Error> {
        let enrollment: IndividualEnrollment = self.get(instance, id).await?;
        let state = match self.state(instance, &enrollment.registration_id).await? {
            Some(state) => state,
            None => DeviceRegistrationResult::bare(enrollment.registration_id.clone(), Status::Unassigned),
        };
        Ok((enrollment, state))
    }

    /// A group.
    pub async fn group(&self, instance: &Instance, id: &str) -> Result<EnrollmentGroup, Error> {
        self.get(instance, id).await
    }

    /// Deletes an individual enrollment.
    pub async fn delete_individual(
        &self,
        instance: &Instance,
        id: &str,
        if_match: Option<IfMatch>,
    ) -> Result<Option<Etag>, Error> {
        self.delete::<IndividualEnrollment>(instance, id, if_match).await
    }

    /// Deletes a group.
    pub async fn delete_group(
        &self,
        instance: &Instance,
        id: &str,
        if_match: Option<IfMatch>,
    ) -> Result<Option<Etag>, Error> {
        self.delete::<EnrollmentGroup>(instance, id, if_match).await
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
        let missing = || Error::new(ErrorCode::RegistrationNotFound);
        let current = self.document(instance, Collection::Registrations, &key).await?.ok_or_else(missing)?;
        let precondition = match if_match {
            Some(IfMatch::Tag(tag)) => Precondition::Matches(tag),
            Some(IfMatch::Any) | None => Precondition::Present,
        };
        let delete = deletion(instance, Collection::Registrations, &key, precondition);
        match self.store.write(vec![delete]).await {
            Ok(()) => Ok(Some(current.etag)),
            Err(error) if error.refusal() == Some(Refusal::Missing) => Err(missing()),
            Err(error) => Err(refused(error)),
        }
    }

    async fn document(
        &self,
        instance: &Instance,
        collection: Collection,
        id: &str,
    ) -> Result<Option<Document>, Error> {
        Ok(self.store.get(collection, instance.rows(), id).await?)
    }

    async fn state(
        &self,
        instance: &Instance,
        id: &RegistrationId,
    ) -> Result<Option<DeviceRegistrationResult>, Error> {
        let document = self.document(instance, Collection::Registrations, &id.key()).await?;
        document.as_ref().map(registration_state).transpose()
    }

    fn changed<E: Enrolled>(&self) {
        if E::KIND == EnrollmentKind::Group {
            self.changed_in_the_store();
        }
    }

    /// Groups were changed in the store itself: what was prepared of their keys is stale.
    pub fn changed_in_the_store(&self) {
        self.rings.changed();
        self.lane.forgive();
    }
}

/// A registration record as the service API shows it: without the attestation members (DPS facts §1.3).
pub(super) fn registration_state(document: &Document) -> Result<DeviceRegistrationResult, Error> {
    let kept = Versioned::read(document)?;
    let mut state = kept.record.shown(&kept.etag);
    (state.x509, state.symmetric_key, state.tpm) = (None, None, None);
    Ok(state)
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

fn deletion(instance: &Instance, collection: Collection, id: &str, precondition: Precondition) -> Write {
    Write::Delete { collection, instance: instance.rows().to_owned(), id: id.to_owned(), precondition }
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

//! The straight line of a request as far as it only looks: where it is addressed to, what it proves, what is to be
//! done. Owns the order of these steps; must not write anything (`provisioning` does, and `rehearsal` does not).

use std::sync::Arc;

use dps_attestation::Attested;
use dps_attestation::tpm::ChallengeSecret;
use dps_events::Allocation;
use dps_model::instance::Instance;
use dps_model::network::IpFilterTarget;
use dps_model::registration::{DeviceRegistration, Status};
use dps_model::{ApiVersion, Error, ErrorCode, OperationId, RegistrationId, Timestamp, limits};

use crate::allocation::Client;
use crate::enrollment::find::{Claim, Finder};
use crate::event::RegistrationEvent;
use crate::evidence::{self, Halt, Proven};
use crate::instance::Instances;
use crate::plan::{self, Applicant, Work};
use crate::ports::{Clock, Collection, Regions, Store};
use crate::registration::{RegistrationRecord, Versioned};
use crate::request::{DeviceOperation, DeviceRequest};
use crate::throttle::Throttle;

/// What is looked at on the way.
pub(crate) struct Line {
    pub(crate) instances: Arc<Instances>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) finder: Finder,
    pub(crate) throttle: Arc<Throttle>,
    /// What TPMs are challenged with.
    pub(crate) challenges: ChallengeSecret,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) regions: Arc<dyn Regions>,
}

/// What a register request comes to.
pub(crate) enum Course {
    /// Its operation is there already.
    UnderWay(OperationId),
    /// The enrollment is disabled.
    Disabled(Box<Proven>),
    /// An operation is to be admitted, with its work or with the reason why there is none.
    Planned(Box<Proven>, Result<Work, Error>),
}

impl Line {
    /// The instance and the registration id that a request names, if its address may call that instance.
    pub(crate) fn addressed(
        &self,
        request: &DeviceRequest,
        event: &mut RegistrationEvent,
    ) -> Result<(Arc<Instance>, RegistrationId), Error> {
        api_version(request.api_version.as_deref())?;
        let instance = self
            .instances
            .by_scope(&request.id_scope)
            .ok_or_else(|| Error::new(ErrorCode::IdScopeNotFound))?;
        event.fill(|record| record.instance = Some(instance.name.clone()));
        admitted(&instance, request, event)?;
        let id = RegistrationId::parse(&request.registration_id).map_err(Error::from)?;
        Ok((instance, id))
    }

    /// What a register request comes to, for a device whose last registration is `previous`.
    pub(crate) async fn course(
        &self,
        request: &DeviceRequest,
        instance: &Instance,
        id: &RegistrationId,
        previous: Option<&Versioned>,
        event: &mut RegistrationEvent,
    ) -> Result<Course, Halt> {
        let last = previous.map(|kept| &kept.record);
        if let Some(operation_id) = answered_before(request, last, self.clock.now()) {
            return Ok(Course::UnderWay(operation_id));
        }
        let proven = Box::new(self.prove(request, instance, id, last, event).await?);
        if proven.found.settings().is_disabled() {
            return Ok(Course::Disabled(proven));
        }
        if let Some(operation_id) = running(previous, &proven.attested, self.clock.now()) {
            // The device lost our answer and asks again: it gets the operation that is under way.
            return Ok(Course::UnderWay(operation_id));
        }
        self.throttle.registration(instance.rows(), id, event)?;
        let planned = self.plan(request, instance, &proven, last);
        if let Ok((work, allocation)) = &planned {
            event.fill(|record| {
                record.allocation = Some(allocation.clone());
                record.hub = match work {
                    Work::Plan(plan) => Some(plan.hub.as_str().to_owned()),
                    Work::Ask(_) => None,
                };
            });
        }
        event.step("allocate");
        Ok(Course::Planned(proven, planned.map(|(work, _)| work)))
    }

    /// What the operation will do.
    fn plan(
        &self,
        request: &DeviceRequest,
        instance: &Instance,
        proven: &Proven,
        last: Option<&RegistrationRecord>,
    ) -> Result<(Work, Allocation), Error> {
        let nothing = DeviceRegistration::default();
        let registration = match &request.operation {
            DeviceOperation::Register(body) | DeviceOperation::RegistrationLookup(body) => body,
            DeviceOperation::OperationStatus { .. } => &nothing,
        };
        let client = Client { address: request.channel.peer.ip(), regions: self.regions.as_ref() };
        let applicant = Applicant {
            found: &proven.found,
            attested: &proven.attested,
            registration_id: &proven.registration_id,
            last,
            registration,
            api_version: api_version(request.api_version.as_deref())?,
            client,
        };
        plan::make(&applicant, instance)
    }

    /// Finds the enrollment that the evidence satisfies.
    pub(crate) async fn prove(
        &self,
        request: &DeviceRequest,
        instance: &Instance,
        id: &RegistrationId,
        previous: Option<&RegistrationRecord>,
        event: &mut RegistrationEvent,
    ) -> Result<Proven, Halt> {
        let evidence = evidence::shown(request, event)?;
        let claim =
            Claim { instance, registration_id: id, evidence: &evidence, channel: &request.channel, previous };
        let candidates = self.finder.candidates(&claim, event).await?;
        event.step("findEnrollment");
        let proven = evidence::judge(candidates, &claim, &self.challenges, self.clock.now(), event);
        event.step("verify");
        proven
    }

    /// What is kept of a device.
    pub(crate) async fn registration(
        &self,
        instance: &Instance,
        id: &RegistrationId,
    ) -> Result<Option<Versioned>, Error> {
        let document = self.store.get(Collection::Registrations, instance.rows(), &id.key()).await?;
        document.as_ref().map(Versioned::read).transpose()
    }
}

fn api_version(text: Option<&str>) -> Result<ApiVersion, Error> {
    let text = text.ok_or_else(|| Error::new(ErrorCode::ApiVersionUnknown).because("no api-version"))?;
    ApiVersion::parse(text).ok_or_else(|| Error::new(ErrorCode::ApiVersionUnknown))
}

/// May the device's address call the instance? Asked with every request, since rules change under open connections;
/// who is kept out is told what a wrong key is told, and nothing of it is looked at.
fn admitted(
    instance: &Instance,
    request: &DeviceRequest,
    event: &mut RegistrationEvent,
) -> Result<(), Error> {
    let address = request.channel.peer.ip();
    instance.network.admits(IpFilterTarget::DeviceApi, address).map_err(|kept_out| {
        event.fill(|record| record.reason = Some(kept_out.code()));
        Error::new(ErrorCode::Unauthorized).because(kept_out.to_string())
    })
}

/// A body may leave the registration id out, but not name another.
pub(crate) fn names_itself(body: &DeviceRegistration, id: &RegistrationId) -> Result<(), Error> {
    match &body.registration_id {
        Some(other) if !other.eq_ignore_ascii_case(id.as_str()) => Err(Error::argument(
            "registrationId of the body differs from the one the request is addressed to; make them equal",
        )),
        _ => Ok(()),
    }
}

/// A TPM's answer to a challenge is good for one admission. A device that lost the 202 sends it again: it gets the
/// operation that the answer was admitted with. One that was answered `disabled` admitted nothing: the operation that
/// such a record may have is an earlier answer's.
fn answered_before(
    request: &DeviceRequest,
    last: Option<&RegistrationRecord>,
    now: Timestamp,
) -> Option<OperationId> {
    let DeviceOperation::Register(DeviceRegistration { tpm: Some(_), .. }) = &request.operation else {
        return None;
    };
    let last = last
        .filter(|last| last.state.status != Status::Disabled)
        .filter(|last| evidence::proof_shown(request, now).as_ref() == Some(&last.proof))?;
    last.operation.as_ref().map(|operation| operation.id.clone())
}

/// The operation under way, unless its lease ended long ago and a sweep is due to take it up, it was admitted by a clock
/// that was set back since (and waits for that time to come), or it gives the hub another credential than the one the
/// device holds now.
fn running(last: Option<&Versioned>, attested: &Attested, now: Timestamp) -> Option<OperationId> {
    let last = last.filter(|last| last.credential.as_ref() == Some(attested.authentication()))?;
    let operation = last.record.operation.as_ref().filter(|_| last.record.runs())?;
    let age = now.seconds() - operation.admitted.seconds();
    let fresh = (-limits::OPERATION_LEASE..limits::MAX_OPERATION_AGE).contains(&age);
    fresh.then(|| operation.id.clone())
}

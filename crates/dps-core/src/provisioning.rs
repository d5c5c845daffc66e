//! The straight line of a registration. `handle` is read from top to bottom; each step consumes the type of the last.
//! Owns control flow alone: what is decided is in `enrollment`, `dps_attestation` and `plan`.

use std::sync::Arc;
use std::time::Duration;

use dps_attestation::Attested;
use dps_attestation::tpm::ChallengeSecret;
use dps_events::{Allocation, EventSink};
use dps_model::hub::HubAuthentication;
use dps_model::instance::Instance;
use dps_model::network::IpFilterTarget;
use dps_model::registration::{
    DeviceRegistration, DeviceRegistrationResult, RegistrationOperationStatus, Status,
};
use dps_model::{ApiVersion, Error, ErrorCode, Etag, OperationId, RegistrationId, Timestamp, limits};
use tokio::task::JoinHandle;

use crate::allocation::Client;
use crate::enrollment::find::{Claim, Finder};
use crate::event::RegistrationEvent;
use crate::evidence::{self, Halt, Proven};
use crate::instance::Instances;
use crate::operation::{Admitted, Operations};
use crate::plan::{self, Applicant, Work};
use crate::ports::{Clock, Collection, NoRegions, Refusal, Regions, Store, StoreError, Write};
use crate::registration::{self, RegistrationRecord, Versioned};
use crate::request::{DeviceOperation, DeviceRequest, DeviceResponse};
use crate::throttle::Throttle;

/// Answers devices.
pub struct Provisioning {
    instances: Arc<Instances>,
    store: Arc<dyn Store>,
    finder: Finder,
    operations: Arc<Operations>,
    throttle: Arc<Throttle>,
    /// What TPMs are challenged with.
    challenges: ChallengeSecret,
    clock: Arc<dyn Clock>,
    sink: Arc<dyn EventSink>,
    regions: Arc<dyn Regions>,
}

impl Provisioning {
    /// Joins the rooms.
    pub fn new(
        instances: Arc<Instances>,
        finder: Finder,
        operations: Arc<Operations>,
        throttle: Arc<Throttle>,
        challenges: ChallengeSecret,
        clock: Arc<dyn Clock>,
        sink: Arc<dyn EventSink>,
    ) -> Self {
        let store = Arc::clone(instances.store());
        let regions = Arc::new(NoRegions);
        Self { instances, store, finder, operations, throttle, challenges, clock, sink, regions }
    }

    /// With what is known of networks and latencies.
    pub fn with_regions(self, regions: Arc<dyn Regions>) -> Self {
        Self { regions, ..self }
    }

    /// Does an instance have this id scope?
    pub fn knows_scope(&self, id_scope: &str) -> bool {
        self.instances.by_scope(id_scope).is_some()
    }

    /// Answers one request and records it once. The attempt ends with its admission; the operation's end is an event of
    /// its own.
    pub async fn serve(self: &Arc<Self>, request: DeviceRequest) -> Result<DeviceResponse, Error> {
        let mut event = RegistrationEvent::open(&request, &self.sink, &self.clock);
        let mut begun = None;
        let answer = match self.handle(&request, &mut event, &mut begun).await {
            Err(Halt::Challenged(challenge)) => Ok(DeviceResponse::challenge(&challenge)),
            Err(Halt::Failed(error)) => Err(error),
            Ok(response) => Ok(response),
        };
        event.close(&answer);
        if let Some(operation) = begun {
            // So that the device's first poll finds it done. Whatever becomes of it, the 202 leaves: the operation's
            // own event and status tell.
            let _ = tokio::time::timeout(Duration::from_millis(limits::ADMIT_WAIT_MS), operation).await;
        }
        answer
    }

    async fn handle(
        &self,
        request: &DeviceRequest,
        event: &mut RegistrationEvent,
        begun: &mut Option<JoinHandle<()>>,
    ) -> Result<DeviceResponse, Halt> {
        api_version(request.api_version.as_deref())?;
        let instance = self
            .instances
            .by_scope(&request.id_scope)
            .ok_or_else(|| Error::new(ErrorCode::IdScopeNotFound))?;
        event.fill(|record| record.instance = Some(instance.name.clone()));
        admitted(&instance, request, event)?;
        let id = RegistrationId::parse(&request.registration_id).map_err(Error::from)?;
        let _in_flight = self.throttle.enter(&request.operation, event).await?;
        match &request.operation {
            DeviceOperation::Register(body) => {
                names_itself(body, &id)?;
                self.register(request, &instance, &id, event, begun).await
            }
            DeviceOperation::OperationStatus { operation_id } => {
                let kept = self.returning(request, &instance, &id, event).await?;
                Ok(operation_status(kept.as_ref(), operation_id)?)
            }
            DeviceOperation::RegistrationLookup(body) => {
                names_itself(body, &id)?;
                let kept = self.returning(request, &instance, &id, event).await?;
                let kept = kept.ok_or_else(|| Error::new(ErrorCode::RegistrationNotFound))?;
                Ok(DeviceResponse::Registration(Box::new(kept.record.shown(&kept.etag))))
            }
        }
    }

    async fn register(
        &self,
        request: &DeviceRequest,
        instance: &Arc<Instance>,
        id: &RegistrationId,
        event: &mut RegistrationEvent,
        begun: &mut Option<JoinHandle<()>>,
    ) -> Result<DeviceResponse, Halt> {
        let previous = self.registration(instance, id).await?;
        let last = previous.as_ref().map(|kept| &kept.record);
        if let Some(operation_id) = answered_before(request, last, self.clock.now()) {
            return Ok(DeviceResponse::Admitted { operation_id, retry_after: limits::RETRY_AFTER });
        }
        let proven = self.prove(request, instance, id, last, event).await?;
        if proven.found.settings().is_disabled() {
            return Ok(self.disabled(instance, id, proven, previous).await?);
        }
        if let Some(operation_id) = running(previous.as_ref(), &proven.attested, self.clock.now()) {
            // The device lost our answer and asks again: it gets the operation that is under way.
            return Ok(DeviceResponse::Admitted { operation_id, retry_after: limits::RETRY_AFTER });
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
        let allocated = planned.map(|(work, _)| work);
        let admission = self.admission(request, instance, proven, allocated, previous, event)?;
        // A task of its own: a device that goes away now takes neither the commit nor what follows it along.
        let (answer, operation) = tokio::spawn(admission.run()).await.map_err(Error::internal)?;
        *begun = operation;
        Ok(answer?)
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
    async fn prove(
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

    /// A request that continues a registration: the same proof as at its register request, or a full one.
    async fn returning(
        &self,
        request: &DeviceRequest,
        instance: &Instance,
        id: &RegistrationId,
        event: &mut RegistrationEvent,
    ) -> Result<Option<Versioned>, Halt> {
        let kept = self.registration(instance, id).await?;
        let now = self.clock.now();
        if let Some(kept) = kept
            .as_ref()
            .filter(|kept| evidence::proof_shown(request, now).as_ref() == Some(&kept.record.proof))
        {
            event
                .fill(|record| record.hub = kept.record.state.assigned_hub.as_ref().map(ToString::to_string));
            event.step("verify");
        } else {
            self.prove(request, instance, id, kept.as_ref().map(|kept| &kept.record), event).await?;
        }
        self.throttle.poll(instance.rows(), id, event)?;
        Ok(kept)
    }

    async fn registration(
        &self,
        instance: &Instance,
        id: &RegistrationId,
    ) -> Result<Option<Versioned>, Error> {
        let document = self.store.get(Collection::Registrations, instance.rows(), &id.key()).await?;
        document.as_ref().map(Versioned::read).transpose()
    }

    /// What makes the request durable: its registration with the plan in it, or with the reason why there is none.
    fn admission(
        &self,
        request: &DeviceRequest,
        instance: &Arc<Instance>,
        proven: Proven,
        allocated: Result<Work, Error>,
        previous: Option<Versioned>,
        event: &mut RegistrationEvent,
    ) -> Result<Admission, Error> {
        let now = self.clock.now();
        let id = &proven.registration_id;
        let (last, expected) = previous.map(|kept| (kept.record, kept.etag)).unzip();
        let last_operation = last.as_ref().and_then(|record| record.operation.as_ref());
        let identities = last.as_ref().map(|record| record.identities.clone()).unwrap_or_default();
        let carried = last.as_ref().and_then(|record| record.carried.clone());
        let operation = registration::next_operation(id, last_operation, now, request.channel.protocol);
        let enrollment = proven.found.name();
        // Until the operation ends, the record keeps what is true on the hub.
        let mut state = last.map_or_else(
            || DeviceRegistrationResult::bare(id.clone(), Status::Assigning),
            |record| record.state,
        );
        state.status = Status::Assigning;
        state.created_date_time_utc.get_or_insert(now);
        state.last_updated_date_time_utc = Some(now);
        registration::name_mechanism(&mut state, &proven.proof, &enrollment, proven.hub_key_blob.clone());
        let credential = proven.attested.authentication().clone();
        let operation_id = operation.id.clone();
        let (proof, operation) = (proven.proof, Some(operation));
        let record = RegistrationRecord { state, enrollment, proof, operation, identities, carried };
        let record = match &allocated {
            Ok(work) => record.planned(work.clone()),
            Err(error) => record.ended(Err(error), now),
        };
        let (write, etag) = self.write(instance, &record, expected.as_ref(), Some(&credential))?;
        let refused = allocated.err();
        let instance = Arc::clone(instance);
        Ok(Admission {
            store: Arc::clone(&self.store),
            operations: Arc::clone(&self.operations),
            write,
            operation_id,
            admitted: Admitted { instance, record, etag, credential, resumed: false, refused },
            event: event.hand_over(),
        })
    }

    /// The answer under a disabled enrollment. A device that is on a hub, or was promised one, keeps its record.
    async fn disabled(
        &self,
        instance: &Instance,
        id: &RegistrationId,
        proven: Proven,
        previous: Option<Versioned>,
    ) -> Result<DeviceResponse, Error> {
        let keeps = |record: &RegistrationRecord| record.state.assigned_hub.is_some() || record.runs();
        if !previous.as_ref().is_some_and(|kept| keeps(&kept.record)) {
            let now = self.clock.now();
            let mut state = DeviceRegistrationResult::bare(id.clone(), Status::Disabled);
            state.last_updated_date_time_utc = Some(now);
            let (last, expected) = previous.map(|kept| (kept.record, kept.etag)).unzip();
            let (created, operation, identities, carried) = last
                .map(|record| {
                    let created = record.state.created_date_time_utc;
                    (created, record.operation, record.identities, record.carried)
                })
                .unwrap_or_default();
            state.created_date_time_utc = created.or(Some(now));
            let (enrollment, proof) = (proven.found.name(), proven.proof);
            let record = RegistrationRecord { state, enrollment, proof, operation, identities, carried };
            let (write, _) = self.write(instance, &record, expected.as_ref(), None)?;
            self.store.write(vec![write]).await.map_err(conflict)?;
        }
        let status = RegistrationOperationStatus {
            operation_id: String::new(),
            status: Status::Disabled,
            registration_state: Some(DeviceRegistrationResult::bare(id.clone(), Status::Disabled)),
        };
        Ok(DeviceResponse::Status { status: Box::new(status), retry_after: None })
    }

    /// The conditional write of a record; one with a plan has a lease and keeps its credential.
    fn write(
        &self,
        instance: &Instance,
        record: &RegistrationRecord,
        expected: Option<&Etag>,
        credential: Option<&HubAuthentication>,
    ) -> Result<(Write, Etag), Error> {
        let running = record.runs();
        let due = running.then(|| self.operations.lease());
        record.write(instance.rows(), expected, credential.filter(|_| running), due)
    }
}

/// A request on its way to be durable, with the event that says so. From the write on nobody waits for it: a store
/// carries out what was handed to it, and an operation that is durable must be started.
struct Admission {
    store: Arc<dyn Store>,
    operations: Arc<Operations>,
    write: Write,
    operation_id: OperationId,
    admitted: Admitted,
    event: RegistrationEvent,
}

impl Admission {
    /// The commit, the event, then the operation. Gives the answer, and the operation while it runs.
    async fn run(mut self) -> (Result<DeviceResponse, Error>, Option<JoinHandle<()>>) {
        let written = self.store.write(vec![self.write]).await.map_err(conflict);
        self.event.step("admit");
        let retry_after = limits::RETRY_AFTER;
        let answer =
            written.map(|()| DeviceResponse::Admitted { operation_id: self.operation_id, retry_after });
        self.event.close(&answer);
        let running = answer.is_ok().then(|| self.operations.start(self.admitted)).flatten();
        (answer, running)
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
fn names_itself(body: &DeviceRegistration, id: &RegistrationId) -> Result<(), Error> {
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

fn operation_status(kept: Option<&Versioned>, operation_id: &str) -> Result<DeviceResponse, Error> {
    let unknown = || Error::new(ErrorCode::OperationNotFound);
    let operation_id = OperationId::parse(operation_id)?;
    let kept = kept.filter(|kept| kept.record.answers_for(&operation_id)).ok_or_else(unknown)?;
    let status = kept.record.status(&operation_id, &kept.etag);
    let retry_after = (status.status == Status::Assigning).then_some(limits::RETRY_AFTER);
    Ok(DeviceResponse::Status { status: Box::new(status), retry_after })
}

fn conflict(error: StoreError) -> Error {
    match error.refusal() {
        Some(Refusal::Exists | Refusal::Missing | Refusal::Mismatch) => {
            Error::new(ErrorCode::RegistrationConflict)
                .because("another request changed this registration at the same time")
        }
        None => error.into(),
    }
}

//! The straight line of a registration. `handle` is read from top to bottom; each step consumes the type of the last.
//! Owns the answers and what is written; what is looked at on the way is in `line`, what is decided in `enrollment`,
//! `dps_attestation` and `plan`.

use std::sync::Arc;
use std::time::Duration;

use dps_attestation::tpm::ChallengeSecret;
use dps_events::EventSink;
use dps_model::hub::HubAuthentication;
use dps_model::instance::Instance;
use dps_model::registration::{DeviceRegistrationResult, RegistrationOperationStatus, Status};
use dps_model::{Error, ErrorCode, Etag, OperationId, RegistrationId, limits};
use tokio::task::JoinHandle;

use crate::enrollment::find::Finder;
use crate::event::RegistrationEvent;
use crate::evidence::{self, Halt, Proven};
use crate::instance::Instances;
use crate::line::{Course, Line, names_itself};
use crate::operation::{Admitted, Operations};
use crate::plan::Work;
use crate::ports::{Clock, NoRegions, Refusal, Regions, Store, StoreError, Write};
use crate::registration::{self, RegistrationRecord, Versioned};
use crate::request::{DeviceOperation, DeviceRequest, DeviceResponse};
use crate::throttle::Throttle;

/// Answers devices.
pub struct Provisioning {
    line: Line,
    operations: Arc<Operations>,
    sink: Arc<dyn EventSink>,
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
        let line = Line { instances, store, finder, throttle, challenges, clock, regions };
        Self { line, operations, sink }
    }

    /// With what is known of networks and latencies.
    pub fn with_regions(self, regions: Arc<dyn Regions>) -> Self {
        Self { line: Line { regions, ..self.line }, ..self }
    }

    /// Does an instance have this id scope?
    pub fn knows_scope(&self, id_scope: &str) -> bool {
        self.line.instances.by_scope(id_scope).is_some()
    }

    /// Answers one request and records it once. The attempt ends with its admission; the operation's end is an event of
    /// its own.
    pub async fn serve(self: &Arc<Self>, request: DeviceRequest) -> Result<DeviceResponse, Error> {
        let mut event = RegistrationEvent::open(&request, &self.sink, &self.line.clock);
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
        let (instance, id) = self.line.addressed(request, event)?;
        let _in_flight = self.line.throttle.enter(&request.operation, event).await?;
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
        let previous = self.line.registration(instance, id).await?;
        let (proven, planned) =
            match self.line.course(request, instance, id, previous.as_ref(), event).await? {
                Course::UnderWay(operation_id) => {
                    return Ok(DeviceResponse::Admitted { operation_id, retry_after: limits::RETRY_AFTER });
                }
                Course::Disabled(proven) => {
                    return Ok(self.disabled(instance, id, *proven, previous).await?);
                }
                Course::Planned(proven, planned) => (*proven, planned),
            };
        let admission = self.admission(request, instance, proven, planned, previous, event)?;
        // A task of its own: a device that goes away now takes neither the commit nor what follows it along.
        let (answer, operation) = tokio::spawn(admission.run()).await.map_err(Error::internal)?;
        *begun = operation;
        Ok(answer?)
    }

    /// A request that continues a registration: the same proof as at its register request, or a full one.
    async fn returning(
        &self,
        request: &DeviceRequest,
        instance: &Instance,
        id: &RegistrationId,
        event: &mut RegistrationEvent,
    ) -> Result<Option<Versioned>, Halt> {
        let kept = self.line.registration(instance, id).await?;
        let now = self.line.clock.now();
        if let Some(kept) = kept
            .as_ref()
            .filter(|kept| evidence::proof_shown(request, now).as_ref() == Some(&kept.record.proof))
        {
            event
                .fill(|record| record.hub = kept.record.state.assigned_hub.as_ref().map(ToString::to_string));
            event.step("verify");
        } else {
            self.line.prove(request, instance, id, kept.as_ref().map(|kept| &kept.record), event).await?;
        }
        self.line.throttle.poll(instance.rows(), id, event)?;
        Ok(kept)
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
        let now = self.line.clock.now();
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
            store: Arc::clone(&self.line.store),
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
            let now = self.line.clock.now();
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
            self.line.store.write(vec![write]).await.map_err(conflict)?;
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

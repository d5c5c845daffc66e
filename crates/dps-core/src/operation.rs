//! Operations: what happens after a 202. Durable, idempotent, retried; a crash between any two steps resumes here.
//!
//! Owns the one bend of the straight line. The plan (hub, credential, twin) was decided and stored before the operation
//! began, so a resumed operation writes the same hub. Must not know who asked or how a device is told.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dps_events::{AssignmentRecord, Enrollment, Event, EventSink, Outcome, Step};
use dps_model::hub::HubAuthentication;
use dps_model::instance::Instance;
use dps_model::{Error, ErrorCode, Etag, OperationId, Timestamp, TrackingId, limits};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use crate::instance::Instances;
use crate::ports::{Clock, Collection, Document, HubError, Hubs, Precondition, Store, Write};
use crate::registration::{EnrollmentName, Identity, RegistrationRecord, Versioned, hub_device};

/// Instance and registration id.
type Key = (String, String);

/// Runs operations.
pub struct Operations {
    store: Arc<dyn Store>,
    hubs: Arc<dyn Hubs>,
    clock: Arc<dyn Clock>,
    sink: Arc<dyn EventSink>,
    instances: Arc<Instances>,
    permits: Arc<Semaphore>,
    /// What this node works on, so that its own sweep does not take it up again, and what replaced it meanwhile.
    held: Mutex<HashMap<Key, Option<Box<Admitted>>>>,
}

/// A registration whose operation runs, at the version it was written at.
pub struct Admitted {
    /// Whose.
    pub instance: Arc<Instance>,
    /// The registration.
    pub record: RegistrationRecord,
    /// Its version.
    pub etag: Etag,
    /// What the device proves itself with at the hub.
    pub credential: HubAuthentication,
    /// True when it was taken over.
    pub resumed: bool,
    /// Why there is nothing to run: no hub could be chosen, and the record says so already.
    pub refused: Option<Error>,
}

impl Operations {
    /// Nothing runs yet.
    pub fn new(
        store: Arc<dyn Store>,
        hubs: Arc<dyn Hubs>,
        clock: Arc<dyn Clock>,
        sink: Arc<dyn EventSink>,
        instances: Arc<Instances>,
    ) -> Self {
        let permits = Arc::new(Semaphore::new(limits::MAX_RUNNING_OPERATIONS));
        Self { store, hubs, clock, sink, instances, permits, held: Mutex::default() }
    }

    /// When an operation admitted now may be taken over by another node.
    pub fn lease(&self) -> Timestamp {
        self.clock.now().plus_millis(limits::OPERATION_LEASE * 1_000)
    }

    /// Runs the operation on a task of its own. None when this node runs as many as it may (the operation is durable,
    /// and a sweep takes it up when its lease ends), or when it follows one of the same device that still runs.
    pub fn start(self: &Arc<Self>, admitted: Admitted) -> Option<JoinHandle<()>> {
        if let Some(error) = &admitted.refused {
            let event = OperationEvent::open(&admitted, &self.sink, &self.clock);
            event.close(&admitted, &Err(error.clone()));
            return None;
        }
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        self.spawn(admitted, permit)
    }

    /// Waits until no operation runs here; none may be started meanwhile.
    pub async fn ended(&self) {
        let all = u32::try_from(limits::MAX_RUNNING_OPERATIONS).unwrap_or(u32::MAX);
        // Fails only when the permits are closed, and then nothing runs.
        let _ = self.permits.acquire_many(all).await;
    }

    fn spawn(self: &Arc<Self>, admitted: Admitted, permit: OwnedSemaphorePermit) -> Option<JoinHandle<()>> {
        let (mut held, admitted) = self.hold(admitted)?;
        let operations = Arc::clone(self);
        Some(tokio::spawn(async move {
            let _until_done: OwnedSemaphorePermit = permit;
            let mut next = Some(admitted);
            while let Some(admitted) = next {
                operations.run(admitted).await;
                next = held.next();
            }
        }))
    }

    /// Takes up operations whose lease ended at or before `due`, one page of them; answers whether another page is
    /// worth a look: this one was full, and not of operations that this node works on anyway.
    pub async fn sweep(self: &Arc<Self>, due: Timestamp) -> Result<bool, Error> {
        let page = limits::OPERATIONS_PER_SWEEP;
        let documents = self.store.due(Collection::Registrations, due.millis(), page).await?;
        let full = documents.len() == page;
        let mut moved = false;
        for (instance, document) in documents {
            if !self.is_held(&instance, &document.id) {
                self.take_over(&instance, document).await?;
                moved = true;
            }
        }
        Ok(full && moved)
    }

    /// Sweeps for ever; ends when the task is dropped. The first sweep takes up everything that was admitted before:
    /// this node alone has the store, so whatever is unfinished was left by one that died.
    pub async fn sweep_on(self: Arc<Self>) {
        let mut due = self.lease().plus_millis(-1);
        loop {
            match self.sweep(due).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => tracing::error!(%error, "sweep for unfinished operations failed"),
            }
            tokio::time::sleep(Duration::from_secs(limits::OPERATION_SWEEP)).await;
            due = self.clock.now();
        }
    }

    async fn take_over(self: &Arc<Self>, instance: &str, document: Document) -> Result<(), Error> {
        let found = self.instances.by_name(instance).zip(Versioned::read(&document).ok());
        let Some((instance, Versioned { record, etag, credential: Some(credential) })) = found else {
            tracing::error!(
                instance,
                registration = document.id,
                "an unfinished operation cannot be read; set aside"
            );
            return self.set_aside(instance, document).await;
        };
        let mut admitted = Admitted { instance, record, etag, credential, resumed: true, refused: None };
        let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else { return Ok(()) };
        // The claim is a conditional write: of two nodes that sweep, one wins.
        if self.renew(&mut admitted).await.is_ok() {
            self.spawn(admitted, permit);
        }
        Ok(())
    }

    /// What nobody can run must not hide what is behind it.
    async fn set_aside(&self, instance: &str, document: Document) -> Result<(), Error> {
        let precondition = Precondition::Matches(document.etag.clone());
        let document = Document { due: None, ..document };
        let (collection, instance) = (Collection::Registrations, instance.to_owned());
        Ok(self.store.write(vec![Write::Put { collection, instance, document, precondition }]).await?)
    }

    /// Hub, then commit. Every exit records the operation's event once.
    async fn run(&self, mut admitted: Admitted) {
        let mut event = OperationEvent::open(&admitted, &self.sink, &self.clock);
        let written = self.write_hub(&mut admitted, &mut event).await;
        event.step("putDevice");
        let ended = match written {
            Ok(()) => self.commit(&admitted, Ok(())).await,
            Err(Stopped::Refused(error)) => self.commit(&admitted, Err(&error)).await.and(Err(error)),
            Err(Stopped::Lost(error)) => Err(error),
        };
        event.step("commitRegistration");
        event.close(&admitted, &ended);
    }

    /// Writes the identity, again and again while the hub's failure may pass.
    async fn write_hub(&self, admitted: &mut Admitted, event: &mut OperationEvent) -> Result<(), Stopped> {
        loop {
            event.attempts(admitted);
            let error = match self.try_hub(admitted).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let attempts = admitted.plan_mut().map_or(u32::MAX, |plan| plan.attempts + 1);
            if !error.is_transient() || attempts >= limits::HUB_ATTEMPTS {
                return Err(Stopped::Refused(error.into()));
            }
            tokio::time::sleep(pause(attempts, &error)).await;
            if let Some(plan) = admitted.plan_mut() {
                plan.attempts = attempts;
            }
            self.renew(admitted).await.map_err(Stopped::Lost)?;
        }
    }

    async fn try_hub(&self, admitted: &Admitted) -> Result<(), HubError> {
        let Some((_, plan)) = admitted.record.running() else { return Ok(()) };
        let unlinked = || HubError::NotFound(format!("hub {} is not linked any more", plan.hub));
        let hub = admitted.instance.hub(&plan.hub).ok_or_else(unlinked)?;
        self.hubs.put_device(hub, &hub_device(plan, &admitted.credential), plan.twin.as_ref()).await?;
        self.remove_others(admitted, &plan.identity()).await
    }

    /// Removes what earlier operations left elsewhere, so that the device has one identity. A hub that is not linked
    /// any more is out of reach, and one that will never do it must not keep the device from its new place.
    async fn remove_others(&self, admitted: &Admitted, target: &Identity) -> Result<(), HubError> {
        for other in admitted.record.identities.others(target) {
            let Some(hub) = admitted.instance.hub(&other.hub) else { continue };
            match self.hubs.delete_device(hub, &other.device_id).await {
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => {
                    let (hub, device) = (other.hub.as_str(), other.device_id.as_str());
                    tracing::error!(%error, hub, device, "the identity on the former hub was not removed");
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Keeps the lease; fails when somebody else has written the registration since.
    async fn renew(&self, admitted: &mut Admitted) -> Result<(), Error> {
        let due = Some(self.lease());
        let (write, etag) = admitted.record.write(
            &admitted.instance.name,
            Some(&admitted.etag),
            Some(&admitted.credential),
            due,
        )?;
        self.store.write(vec![write]).await.map_err(lost)?;
        admitted.etag = etag;
        Ok(())
    }

    /// Stores the end of the operation, if the registration is still the one that was admitted.
    async fn commit(&self, admitted: &Admitted, ended: Result<(), &Error>) -> Result<(), Error> {
        let record = admitted.record.clone().ended(ended, self.clock.now());
        let (write, _) = record.write(&admitted.instance.name, Some(&admitted.etag), None, None)?;
        self.store.write(vec![write]).await.map_err(lost)
    }

    fn is_held(&self, instance: &str, id: &str) -> bool {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.contains_key(&(instance.to_owned(), id.to_owned()))
    }

    /// One operation of a device at a time: none when this node works on an earlier one, behind which it is put.
    fn hold(self: &Arc<Self>, admitted: Admitted) -> Option<(Held, Admitted)> {
        let key = (admitted.instance.name.clone(), admitted.record.state.registration_id.key());
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match held.entry(key.clone()) {
            Entry::Occupied(mut behind) => {
                behind.insert(Some(Box::new(admitted)));
                None
            }
            Entry::Vacant(free) => {
                free.insert(None);
                Some((Held { operations: Arc::clone(self), key, released: false }, admitted))
            }
        }
    }
}

impl Admitted {
    /// The operation's id.
    pub fn operation_id(&self) -> Option<&OperationId> {
        self.record.operation.as_ref().map(|operation| &operation.id)
    }

    fn plan_mut(&mut self) -> Option<&mut crate::registration::Plan> {
        self.record.operation.as_mut()?.plan.as_mut()
    }
}

/// Why the hub was not written.
enum Stopped {
    /// The hub said no, or could not be reached often enough: the registration failed.
    Refused(Error),
    /// The registration is no longer this operation's.
    Lost(Error),
}

/// A registration that this node works on; released when dropped.
struct Held {
    operations: Arc<Operations>,
    key: Key,
    released: bool,
}

impl Held {
    /// What was put behind; with nothing there the registration is released in the same instant.
    fn next(&mut self) -> Option<Admitted> {
        let mut held = self.operations.held.lock().unwrap_or_else(PoisonError::into_inner);
        let next = held.get_mut(&self.key).and_then(Option::take);
        if next.is_none() {
            held.remove(&self.key);
            self.released = true;
        }
        next.map(|admitted| *admitted)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.released {
            self.operations.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
        }
    }
}

fn lost(error: crate::ports::StoreError) -> Error {
    match error.refusal() {
        Some(_) => Error::new(ErrorCode::RegistrationConflict)
            .because("the registration was deleted or changed while its operation ran"),
        None => error.into(),
    }
}

/// Doubles from a quarter of a second, never sooner than the hub asks.
fn pause(attempts: u32, error: &HubError) -> Duration {
    let doubled = Duration::from_millis(250).saturating_mul(1 << attempts.min(8));
    let asked = match error {
        HubError::Throttled { retry_after: Some(seconds), .. } => Duration::from_secs(u64::from(*seconds)),
        _ => Duration::ZERO,
    };
    doubled.max(asked).min(Duration::from_secs(limits::OPERATION_BACKOFF))
}

/// The open wide event of an operation.
struct OperationEvent {
    record: Option<Box<AssignmentRecord>>,
    sink: Arc<dyn EventSink>,
    clock: Arc<dyn Clock>,
    begun: u64,
    last_step: u64,
}

impl OperationEvent {
    fn open(admitted: &Admitted, sink: &Arc<dyn EventSink>, clock: &Arc<dyn Clock>) -> Self {
        let registration_id = admitted.record.state.registration_id.as_str().to_owned();
        let running = admitted.record.running();
        let enrollment = match &admitted.record.enrollment {
            EnrollmentName::Individual => {
                Enrollment { kind: "IndividualEnrollment", id: registration_id.clone() }
            }
            EnrollmentName::Group(id) => Enrollment { kind: "EnrollmentGroup", id: id.clone() },
        };
        let record = AssignmentRecord {
            tracking_id: TrackingId::fresh(),
            time: clock.now(),
            micros: 0,
            instance: admitted.instance.name.clone(),
            registration_id,
            operation_id: admitted.operation_id().map(ToString::to_string).unwrap_or_default(),
            protocol: admitted.record.operation.as_ref().map(|operation| operation.protocol),
            enrollment,
            hub: running.map(|(_, plan)| plan.hub.as_str().to_owned()),
            device_id: running.map(|(_, plan)| plan.device_id.as_str().to_owned()),
            substatus: None,
            attempts: 0,
            resumed: admitted.resumed,
            steps: Vec::new(),
            outcome: Outcome::Abandoned,
        };
        let begun = clock.monotonic_micros();
        let (sink, clock) = (Arc::clone(sink), Arc::clone(clock));
        Self { record: Some(Box::new(record)), sink, clock, begun, last_step: begun }
    }

    fn attempts(&mut self, admitted: &Admitted) {
        if let Some(record) = &mut self.record {
            record.attempts = admitted.record.running().map_or(0, |(_, plan)| plan.attempts + 1);
        }
    }

    fn step(&mut self, name: &'static str) {
        let now = self.clock.monotonic_micros();
        let micros = now.saturating_sub(self.last_step);
        self.last_step = now;
        if let Some(record) = &mut self.record {
            record.steps.push(Step { name, micros });
        }
    }

    fn close(mut self, admitted: &Admitted, ended: &Result<(), Error>) {
        if let Some(record) = &mut self.record {
            record.outcome = Outcome::of(ended);
            if ended.is_ok() {
                record.substatus = admitted.record.running().map(|(_, plan)| plan.substatus);
            }
        }
    }
}

impl Drop for OperationEvent {
    fn drop(&mut self) {
        if let Some(mut record) = self.record.take() {
            record.micros = self.clock.monotonic_micros().saturating_sub(self.begun);
            self.sink.record(Event::Assignment(record));
        }
    }
}

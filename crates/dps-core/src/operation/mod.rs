//! Operations: what happens after a 202. Durable, idempotent, retried; a crash between any two steps resumes here.
//!
//! Owns the one bend of the straight line: who works on which registration, and who takes up what was left. The plan
//! (hub, credential, twin) is decided and stored before a hub is written, so a resumed operation writes the same hub;
//! `run` carries it out. Must not know who asked or how a device is told.

mod event;
mod places;
mod run;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dps_events::EventSink;
use dps_model::hub::HubAuthentication;
use dps_model::instance::Instance;
use dps_model::{Error, ErrorCode, Etag, OperationId, Timestamp, limits};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;

use self::event::OperationEvent;
use self::places::{Place, Places};
use self::run::Run;
use crate::instance::Instances;
use crate::plan::{Ask, Plan};
use crate::ports::{Clock, Collection, Document, Hubs, NoWebhook, Precondition, Store, Webhook, Write};
use crate::registration::{RegistrationRecord, Versioned};

/// Instance and registration id.
type Key = (String, String);

/// Runs operations.
pub struct Operations {
    store: Arc<dyn Store>,
    hubs: Arc<dyn Hubs>,
    clock: Arc<dyn Clock>,
    sink: Arc<dyn EventSink>,
    instances: Arc<Instances>,
    webhook: Arc<dyn Webhook>,
    /// Places of operations that are at a hub or a webhook.
    places: Places,
    /// Places of operations that wait in memory for their next attempt.
    parked: Arc<Semaphore>,
    /// What this node works on, so that its own sweep does not take it up again.
    held: Mutex<HashMap<Key, Behind>>,
}

/// What has replaced an operation since this node began to work on it, and who wakes that one if it waits.
#[derive(Default)]
struct Behind {
    next: Option<Box<Admitted>>,
    wake: Arc<Notify>,
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
        Self {
            store,
            hubs,
            clock,
            sink,
            instances,
            webhook: Arc::new(NoWebhook),
            places: Places::new(),
            parked: Arc::new(Semaphore::new(limits::MAX_PARKED_OPERATIONS)),
            held: Mutex::default(),
        }
    }

    /// With someone who asks webhooks.
    pub fn with_webhook(self, webhook: Arc<dyn Webhook>) -> Self {
        Self { webhook, ..self }
    }

    /// When an operation admitted now may be taken over by another node.
    pub fn lease(&self) -> Timestamp {
        self.clock.now().plus_millis(limits::OPERATION_LEASE * 1_000)
    }

    /// Runs the operation on a task of its own. None when this node runs as many as it may, in all or at that hub (the
    /// operation is durable, and a sweep takes it up when its lease ends), or when it follows one of the same device
    /// that still runs.
    pub fn start(self: &Arc<Self>, admitted: Admitted) -> Option<JoinHandle<()>> {
        if let Some(error) = &admitted.refused {
            let event = OperationEvent::open(&admitted, &self.sink, &self.clock);
            event.close(&admitted, &Err(error.clone()));
            return None;
        }
        let place = self.places.of(&admitted).try_take()?;
        self.spawn(admitted, place)
    }

    /// Waits until no operation runs here; none may be started meanwhile. Those that wait for their next attempt do so in
    /// the store as well.
    pub async fn ended(&self) {
        self.places.emptied().await;
    }

    fn spawn(self: &Arc<Self>, admitted: Admitted, place: Place) -> Option<JoinHandle<()>> {
        let (held, admitted) = self.hold(admitted)?;
        let mut run = Run::new(Arc::clone(self), held, place);
        Some(tokio::spawn(async move {
            let mut next = Some(admitted);
            while let Some(admitted) = next {
                run.operation(admitted).await;
                next = run.next();
            }
        }))
    }

    /// Takes up operations whose lease ended at or before `due`, one page of them; answers whether another page is
    /// worth a look: this one was full, and not of operations that this node works on anyway.
    pub async fn sweep(self: &Arc<Self>, due: Timestamp) -> Result<bool, Error> {
        let page = limits::OPERATIONS_PER_SWEEP;
        let documents = self.store.due(Collection::Registrations, due.millis(), page).await?;
        let full = documents.len() == page;
        let (mut moved, mut stalled) = (false, HashSet::new());
        for (instance, document) in documents {
            if !self.is_held(&instance, &document.id) {
                moved |= self.take_over(&instance, document, &mut stalled).await?;
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

    /// Runs an operation that was left, or puts it off while everything that may run at its peer does: one that stalls
    /// is waited for once a sweep, and keeps nobody from the others. Answers whether the store was told.
    async fn take_over(
        self: &Arc<Self>,
        instance: &str,
        document: Document,
        stalled: &mut HashSet<String>,
    ) -> Result<bool, Error> {
        let found = self.instances.by_rows(instance).zip(Versioned::read(&document).ok());
        let Some((instance, Versioned { record, etag, credential: Some(credential) })) = found else {
            tracing::error!(
                instance,
                registration = document.id,
                "an unfinished operation cannot be read; set aside"
            );
            return self.set_aside(instance, document).await.map(|()| true);
        };
        let mut admitted = Admitted { instance, record, etag, credential, resumed: true, refused: None };
        let wanted = self.places.of(&admitted);
        let mut place = wanted.try_take();
        if place.is_none() && !stalled.contains(&wanted.peer) {
            let patience = Duration::from_millis(limits::SWEEP_PATIENCE_MS);
            place = tokio::time::timeout(patience, wanted.take()).await.ok().flatten();
            if place.is_none() {
                stalled.insert(wanted.peer);
            }
        }
        // The claim is a conditional write: of two nodes that sweep, one wins.
        let claimed = self.renew(&mut admitted, self.lease()).await.is_ok();
        if let (true, Some(place)) = (claimed, place) {
            self.spawn(admitted, place);
        }
        Ok(claimed)
    }

    /// What nobody can run must not hide what is behind it.
    async fn set_aside(&self, instance: &str, document: Document) -> Result<(), Error> {
        let precondition = Precondition::Matches(document.etag.clone());
        let document = Document { due: None, ..document };
        let (collection, instance) = (Collection::Registrations, instance.to_owned());
        Ok(self.store.write(vec![Write::Put { collection, instance, document, precondition }]).await?)
    }

    /// Writes the registration as the operation has it now, to be looked at again at `due`; fails when somebody else
    /// has written it since.
    async fn renew(&self, admitted: &mut Admitted, due: Timestamp) -> Result<(), Error> {
        let due = Some(due);
        let (write, etag) = admitted.record.write(
            admitted.instance.rows(),
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
        let (write, _) = record.write(admitted.instance.rows(), Some(&admitted.etag), None, None)?;
        self.store.write(vec![write]).await.map_err(lost)
    }

    fn is_held(&self, instance: &str, id: &str) -> bool {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.contains_key(&(instance.to_owned(), id.to_owned()))
    }

    /// One operation of a device at a time: none when this node works on an earlier one, behind which it is put. One
    /// that waits for its next attempt need not wait any longer: it is replaced.
    fn hold(self: &Arc<Self>, admitted: Admitted) -> Option<(Held, Admitted)> {
        let key = (admitted.instance.rows().to_owned(), admitted.record.state.registration_id.key());
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match held.entry(key.clone()) {
            Entry::Occupied(mut entry) => {
                let behind = entry.get_mut();
                behind.next = Some(Box::new(admitted));
                behind.wake.notify_one();
                None
            }
            Entry::Vacant(free) => {
                let wake = Arc::clone(&free.insert(Behind::default()).wake);
                Some((Held { operations: Arc::clone(self), key, wake, released: false }, admitted))
            }
        }
    }
}

impl Admitted {
    /// The operation's id.
    pub fn operation_id(&self) -> Option<&OperationId> {
        self.record.operation.as_ref().map(|operation| &operation.id)
    }

    fn ask_mut(&mut self) -> Option<&mut Ask> {
        self.record.operation.as_mut()?.ask.as_mut()
    }

    fn resume_at(&mut self, at: Option<Timestamp>) {
        if let Some(operation) = &mut self.record.operation {
            operation.resume_at = at;
        }
    }

    fn plan_mut(&mut self) -> Option<&mut Plan> {
        self.record.operation.as_mut()?.plan.as_mut()
    }
}

/// A registration that this node works on; released when dropped.
struct Held {
    operations: Arc<Operations>,
    key: Key,
    wake: Arc<Notify>,
    released: bool,
}

impl Held {
    /// Was another put behind?
    fn is_replaced(&self) -> bool {
        let held = self.operations.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(&self.key).is_some_and(|behind| behind.next.is_some())
    }

    /// What was put behind; with nothing there the registration is released in the same instant.
    fn next(&mut self) -> Option<Admitted> {
        let mut held = self.operations.held.lock().unwrap_or_else(PoisonError::into_inner);
        let next = held.get_mut(&self.key).and_then(|behind| behind.next.take());
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

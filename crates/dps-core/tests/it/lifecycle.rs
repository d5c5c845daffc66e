//! Instances that are made and unmade: hosted before they are active, and both taken up again after a crash.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use dps_core::ports::{Collection, HostNames, Hosting, Store};
use dps_core::{Instances, Lifecycle};
use dps_model::instance::{Instance, InstanceState};
use dps_model::{Error, ErrorCode, IdScope};
use dps_store::MemoryStore;
use tokio::sync::Semaphore;

use crate::bed::{fill, instance};

/// Hosts whoever is let through; fails so many times first.
struct Gate {
    open: Semaphore,
    failures: AtomicUsize,
    unhosted: AtomicUsize,
}

impl Gate {
    fn with(permits: usize, failures: usize) -> Arc<Self> {
        let (open, failures) = (Semaphore::new(permits), AtomicUsize::new(failures));
        Arc::new(Self { open, failures, unhosted: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl Hosting for Gate {
    async fn host(&self, _instance: &Instance) -> Result<(), Error> {
        self.open.acquire().await.unwrap().forget();
        let failing = |left: usize| left.checked_sub(1);
        match self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, failing) {
            Ok(_) => Err(Error::internal("no certificate today")),
            Err(_) => Ok(()),
        }
    }

    async fn unhost(&self, _instance: &Instance) {
        self.unhosted.fetch_add(1, Ordering::SeqCst);
    }

    fn host_names(&self, instance: &Instance) -> HostNames {
        HostNames { service: instance.name.clone(), device: String::new(), portal: String::new() }
    }

    fn is_reserved(&self, name: &str) -> bool {
        name == "localhost"
    }
}

async fn opened(store: &Arc<dyn Store>) -> Arc<Instances> {
    Arc::new(Instances::open(Arc::clone(store), instance(Vec::new()), |_, _| {}).await.unwrap())
}

fn named(name: &str) -> Instance {
    Instance { name: name.into(), id_scope: IdScope::fresh(), ..instance(Vec::new()) }
}

/// Lets the tasks go on until the instance is in that state; none stands for gone.
async fn becomes(instances: &Instances, name: &str, state: Option<InstanceState>) {
    while instances.by_name(name).map(|instance| instance.resource.state) != state {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await; // the clock is paused: time passes at once
    }
}

#[tokio::test(start_paused = true)]
async fn created_instance_is_active_once_it_is_hosted_and_failures_are_tried_again() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let instances = opened(&store).await;
    let gate = Gate::with(0, 2);
    let life = Lifecycle::new(Arc::clone(&instances), Arc::clone(&gate) as _);
    let made = life.create(named("second")).await.unwrap();
    assert_eq!(made.instance.resource.state, InstanceState::Activating);
    gate.open.add_permits(1);
    becomes(&instances, "second", Some(InstanceState::ActivationFailed)).await;
    gate.open.add_permits(2);
    becomes(&instances, "second", Some(InstanceState::Active)).await;

    for (name, free) in [("second", false), ("SECOND", false), ("localhost", false), ("third", true)] {
        assert_eq!(life.is_free(name).await.unwrap(), free, "{name}");
    }
    for name in ["second", "localhost"] {
        assert_eq!(life.create(named(name)).await.err().unwrap().code, ErrorCode::InstanceExists, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn activation_and_deletion_that_a_crash_cut_off_are_ended_by_the_next_process() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let instances = opened(&store).await;
    let life = Lifecycle::new(Arc::clone(&instances), Gate::with(0, 0) as _);
    life.create(named("made")).await.unwrap();
    let doomed = instances.create(named("doomed")).await.unwrap().instance;
    fill(&store, Collection::Enrollments, doomed.rows(), 10).await;
    instances.begin_deletion(&instances.by_name("doomed").unwrap(), None).await.unwrap();
    drop((life, instances)); // the process dies; its tasks wait at the gate for ever

    let instances = opened(&store).await;
    let life = Lifecycle::new(Arc::clone(&instances), Gate::with(9, 0) as _);
    life.resume().await;
    let active = instances.by_name("made").unwrap();
    assert_eq!(active.resource.state, InstanceState::Active, "active before anybody is served");
    while instances.is_stored("doomed").await.unwrap() {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.count(Collection::Enrollments, doomed.rows()).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn deleted_instance_is_unhosted_at_once_and_its_name_is_free_after_its_rows() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let instances = opened(&store).await;
    let gate = Gate::with(9, 0);
    let life = Lifecycle::new(Arc::clone(&instances), Arc::clone(&gate) as _);
    life.create(named("second")).await.unwrap();
    becomes(&instances, "second", Some(InstanceState::Active)).await;
    let second = instances.by_name("second").unwrap();
    fill(&store, Collection::Registrations, second.rows(), 2_100).await;
    life.delete(&instances.by_name("second").unwrap(), None).await.unwrap();
    assert!(instances.by_name("second").is_none());
    assert_eq!(gate.unhosted.load(Ordering::SeqCst), 1);
    while !life.is_free("second").await.unwrap() {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.count(Collection::Registrations, second.rows()).await.unwrap(), 0);
    assert_eq!(
        life.delete(&instances.default_instance(), None).await.err().unwrap().code,
        ErrorCode::InstanceIsDefault
    );
}

//! Many devices, a store and hubs that fail, a process that dies between any two steps and starts again, all from one
//! seed. What design.md promises is checked whenever a device is told something, and once more when all is quiet.
//!
//! Time is the runtime's own, held (`start_paused`): a life of minutes passes in milliseconds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dps_core::ports::{Clock as _, Collection, HubError, Page, Store, WebhookAnswer, WebhookError};
use dps_core::registration::Versioned;
use dps_core::{DeviceOperation, DeviceResponse};
use dps_events::Outcome;
use dps_model::hub::{HubAuthentication, LinkedHub};
use dps_model::registration::{DeviceRegistrationResult, Status, Substatus};
use dps_model::{Error, TrackingId, limits};
use dps_store::{Fault, FaultyStore, MemoryStore, Schedule};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::bed::{Bed, Credential, Device, NOW, linked, primary, register, symmetric, with};
use crate::hubs::{Behaviour, Call, FakeHubs, unauthorized, unreachable};
use crate::pki::{Ca, clients, self_signed, signers};
use crate::rng::Rng;

const DEVICES: usize = 9;
const LIVES: usize = 4;
const STEPS: usize = 14;
const HUBS: [&str; 4] = ["hub-a.example", "hub-b.example", "hub-c.example", "hub-d.example"];

/// One device and what it knows; survives the server.
struct Sim {
    /// The same device with each of its credentials.
    devices: Vec<Device>,
    using: usize,
    /// Operations it was told of, with the credential it used and how often it has asked to register since.
    told: Vec<(String, usize, usize)>,
    /// A register request went out whose answer never came: the server may know more than the device.
    unsure: bool,
    /// Where the device last was and what it reported there; nothing while it has never been anywhere.
    lived: Option<(String, String, u64)>,
}

/// What an enrollment does to a device that registers again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Policy {
    Migrate,
    Reset,
    Never,
}

/// What outlives a crash.
struct World {
    rng: Rng,
    store: Arc<FaultyStore<MemoryStore>>,
    hubs: Arc<FakeHubs>,
    events: Arc<crate::bed::Events>,
    sims: Vec<Arc<Mutex<Sim>>>,
    /// Enrollment bodies without what administrators change.
    bodies: Vec<(bool, String, Value)>,
    asked: Arc<Mutex<Vec<TrackingId>>>,
    broken: Arc<Mutex<Vec<String>>>,
    now: i64,
}

/// One life of the server.
#[derive(Clone)]
struct Life {
    bed: Arc<Bed>,
    store: Arc<FaultyStore<MemoryStore>>,
    asked: Arc<Mutex<Vec<TrackingId>>>,
    broken: Arc<Mutex<Vec<String>>>,
    crash: Arc<Notify>,
}

/// What a run met, so that a quiet simulation is noticed.
#[derive(Default)]
struct Met {
    resumed: usize,
    abandoned: usize,
    failed: usize,
    conflicts: usize,
    moved: usize,
}

/// Certificates are made once: they are the slow part.
struct Pki {
    ca: Ca,
    own: Vec<[Vec<u8>; 2]>,
    issued: Vec<[Vec<u8>; 2]>,
}

fn pki() -> &'static Pki {
    static PKI: std::sync::OnceLock<Pki> = std::sync::OnceLock::new();
    PKI.get_or_init(|| {
        let ca = Ca::root("Line");
        let own = (0..3).map(|n| [self_signed(&name(3 + n)), self_signed(&name(3 + n))]).collect();
        let issued = (0..3).map(|n| [ca.issue(&name(6 + n)), ca.issue(&name(6 + n))]).collect();
        Pki { ca, own, issued }
    })
}

fn name(n: usize) -> String {
    format!("dev-{n}")
}

impl World {
    /// Three devices with keys, three with certificates of their own, three of a group.
    fn new(seed: u64) -> Self {
        let certified = |id: usize, pair: &[Vec<u8>; 2]| {
            pair.iter().map(|der| Device::certified(&name(id), &[der])).collect::<Vec<_>>()
        };
        let mut devices: Vec<Vec<Device>> =
            (0..3).map(|n| vec![Device::new(&name(n), Credential::Nothing)]).collect();
        devices.extend(pki().own.iter().enumerate().map(|(n, pair)| certified(3 + n, pair)));
        devices.extend(pki().issued.iter().enumerate().map(|(n, pair)| certified(6 + n, pair)));
        let sim = |devices| {
            Arc::new(Mutex::new(Sim { devices, using: 0, told: Vec::new(), unsure: false, lived: None }))
        };
        let mut bodies: Vec<_> = (0..3).map(|n| (false, name(n), symmetric())).collect();
        bodies[0].2["reprovisionPolicy"] = json!({"updateHubAssignment": true, "migrateDeviceData": false});
        bodies[1].2["reprovisionPolicy"] = json!({"updateHubAssignment": false, "migrateDeviceData": true});
        bodies[2].2["allocationPolicy"] = json!("custom");
        bodies[2].2["customAllocationDefinition"] =
            json!({"webhookUrl": "https://hook.example/?code=x", "apiVersion": "2021-10-01"});
        bodies.extend(
            pki()
                .own
                .iter()
                .enumerate()
                .map(|(n, [one, two])| (false, name(3 + n), json!({"attestation": clients(one, Some(two))}))),
        );
        bodies.push((true, "line".to_owned(), json!({"attestation": signers(&pki().ca.der)})));
        for (_, _, body) in &mut bodies {
            body["initialTwin"] = json!({"tags": {"of": "enrollment"}, "properties": {"desired": {"n": 1}}});
        }
        Self {
            rng: Rng(seed),
            store: Arc::new(FaultyStore::new(MemoryStore::new(), Schedule::quiet())),
            hubs: Arc::default(),
            events: Arc::default(),
            sims: devices.into_iter().map(sim).collect(),
            bodies,
            asked: Arc::default(),
            broken: Arc::default(),
            now: NOW,
        }
    }

    /// Starts the server in a runtime of its own, lets it live, and drops everything it had in memory.
    fn live(&mut self, number: usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.unwrap();
        self.now = runtime.block_on(async {
            let life = self.start(number).await;
            let mut tasks = JoinSet::new();
            for sim in &self.sims {
                tasks.spawn(client(life.clone(), Arc::clone(sim), self.rng.fork()));
            }
            tokio::spawn(life.bed.operations.clone().sweep_on());
            tokio::spawn(administrator(life.clone(), self.bodies.clone(), self.rng.fork()));
            let crash = Arc::clone(&life.crash);
            self.hubs.behave(hubs_that_fail(self.rng.fork(), Arc::clone(&crash)));
            self.hubs.answer(webhook_that_fails(self.rng.fork()));
            let seed = self.rng.next();
            let mut schedule = Schedule::seeded(seed, 15, 40);
            if self.rng.chance(70) {
                let side = *self.rng.pick(&[Fault::Before, Fault::After]);
                schedule = schedule.crash_at_write(self.rng.below(50), side);
            }
            self.store.revive(schedule);
            let deadline = self.rng.millis(90_000);
            tokio::select! {
                biased;
                () = crash.notified() => {}
                () = sleep(deadline) => {}
                () = async { while tasks.join_next().await.is_some() {} } => {}
            }
            life.bed.clock.now().millis()
        });
    }

    /// A start on a healthy machine: it is afterwards that things break.
    async fn start(&mut self, number: usize) -> Life {
        self.store.revive(Schedule::quiet());
        self.hubs.heal();
        self.hubs.answer(|request| offered(request, 0));
        let hubs = self.links(number);
        let store: Arc<dyn Store> = Arc::clone(&self.store) as _;
        let bed = Bed::over(store, Arc::clone(&self.hubs), Arc::clone(&self.events), hubs, self.now).await;
        if number == 0 {
            for (at, (is_group, id, body)) in self.bodies.iter().enumerate() {
                if *is_group {
                    bed.enroll_group(id, body.clone()).await;
                } else {
                    let mechanism = bed.enroll(id, body.clone()).await;
                    if at < 3 {
                        self.sims[at].lock().unwrap().devices = vec![Device::keyed(id, primary(&mechanism))];
                    }
                }
            }
        }
        Life {
            bed: Arc::new(bed),
            store: Arc::clone(&self.store),
            asked: Arc::clone(&self.asked),
            broken: Arc::clone(&self.broken),
            crash: Arc::default(),
        }
    }

    /// Later lives link more hubs, and weigh them anew: what would be chosen changes all the time.
    fn links(&mut self, number: usize) -> Vec<LinkedHub> {
        let weight = |rng: &mut Rng| u32::try_from(1 + rng.below(9)).unwrap();
        HUBS[..(number + 2).min(HUBS.len())].iter().map(|name| linked(name, weight(&mut self.rng))).collect()
    }

    /// The last life: nothing fails any more, and every device gets where it was promised.
    fn settle(&mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let life = self.start(LIVES).await;
            tokio::spawn(life.bed.operations.clone().sweep_on());
            for sim in &self.sims {
                life.finish(sim).await;
            }
            let broken = self.broken.lock().unwrap().clone();
            assert!(broken.is_empty(), "{broken:#?}");
            self.check_rest().await;
        });
        self.check_events();
    }

    /// One registration and one identity for each device, and nothing else anywhere.
    async fn check_rest(&self) {
        let page = Page {
            collection: Collection::Registrations,
            instance: "dps",
            owner: None,
            after: None,
            limit: 100,
        };
        let documents = self.store.page(page).await.unwrap();
        assert_eq!(documents.len(), DEVICES, "one registration for each device");
        let mut expected = Vec::new();
        for document in &documents {
            let kept = Versioned::read(document).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(kept.record.state.status, Status::Assigned);
            assert!(document.due.is_none() && document.sealed.is_none() && !kept.record.runs());
            assert!(kept.record.identities.strays.is_empty() && kept.record.carried.is_none());
            let state = kept.record.state;
            expected.push((state.assigned_hub.unwrap().key(), state.device_id.unwrap().as_str().to_owned()));
        }
        expected.sort();
        assert_eq!(self.hubs.names(), expected, "the hubs hold what the registrations say");
    }

    fn check_events(&self) {
        let mut attempts: Vec<_> =
            self.events.attempts().iter().map(|record| record.tracking_id.to_string()).collect();
        let mut asked: Vec<_> = self.asked.lock().unwrap().iter().map(ToString::to_string).collect();
        attempts.sort();
        asked.sort();
        assert_eq!(attempts, asked, "one event for each request");
        let mut seen = BTreeSet::new();
        let mut successes: BTreeMap<String, usize> = BTreeMap::new();
        for record in self.events.assignments() {
            assert!(seen.insert(record.tracking_id.to_string()), "an assignment was recorded twice");
            if record.outcome == Outcome::Success {
                *successes.entry(record.operation_id).or_default() += 1;
            }
        }
        assert!(successes.values().all(|count| *count == 1), "an operation assigned twice");
    }

    fn met(&self, met: &mut Met) {
        for record in self.events.assignments() {
            met.resumed += usize::from(record.resumed && record.outcome == Outcome::Success);
            met.abandoned += usize::from(record.outcome == Outcome::Abandoned);
            met.failed += usize::from(record.outcome.status() == Some(500));
            met.conflicts += usize::from(record.outcome.code() == Some(409_203));
        }
        let mut places: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
        for (hub, device) in self.hubs.puts() {
            let id = device.trim_end_matches("-alias").to_owned();
            places.entry(id).or_default().insert((hub, device));
        }
        met.moved += places.values().filter(|places| places.len() > 1).count();
    }
}

/// Hubs that are slow, fail on either side of what they do, and see the server die there.
fn hubs_that_fail(mut rng: Rng, crash: Arc<Notify>) -> impl FnMut(&str, Call) -> Behaviour + Send {
    const NEVER: Duration = Duration::from_hours(1);
    move |_, call| {
        let delay = if rng.chance(2) { rng.millis(45_000) } else { rng.millis(400) };
        let behaviour = Behaviour { delay, ..Behaviour::default() };
        let throttled = HubError::Throttled { text: "slow down".into(), retry_after: Some(3) };
        match rng.below(100) {
            0..8 => Behaviour { before: Some(unreachable()), ..behaviour },
            8..10 => Behaviour { before: Some(throttled), ..behaviour },
            10..16 => Behaviour { after: Some(unreachable()), ..behaviour },
            16..19 if matches!(call, Call::Put | Call::Twin) => {
                Behaviour { before: Some(unauthorized()), ..behaviour }
            }
            19..22 if call == Call::Put => Behaviour { after: Some(unauthorized()), ..behaviour },
            22 => {
                crash.notify_one();
                Behaviour { delay: NEVER, ..behaviour }
            }
            23 => {
                crash.notify_one();
                Behaviour { linger: NEVER, ..Behaviour::default() }
            }
            _ => behaviour,
        }
    }
}

/// A webhook that does not know what it wants.
fn webhook_that_fails(mut rng: Rng) -> impl FnMut(&Value) -> Result<WebhookAnswer, WebhookError> + Send {
    move |request| match rng.below(100) {
        0..20 => Err(WebhookError::Busy { status: 503, retry_after: None }),
        20..24 => Err(WebhookError::Unauthorized),
        pick => offered(request, usize::try_from(pick).unwrap()),
    }
}

/// One of the hubs that were offered.
#[allow(clippy::unnecessary_wraps)] // what the port answers
fn offered(request: &Value, pick: usize) -> Result<WebhookAnswer, WebhookError> {
    let hubs = request["linkedHubs"].as_array().unwrap();
    let hub = hubs[pick % hubs.len()].as_str().map(ToOwned::to_owned);
    Ok(WebhookAnswer { hub, ..WebhookAnswer::default() })
}

/// Changes which hubs and which device ids enrollments allow.
async fn administrator(life: Life, bodies: Vec<(bool, String, Value)>, mut rng: Rng) {
    loop {
        sleep(rng.millis(8_000)).await;
        let (is_group, id, body) = rng.pick(&bodies).clone();
        let linked = &life.bed.instance.linked_hubs;
        let hubs: Vec<_> = linked.iter().filter(|_| rng.chance(50)).map(|hub| hub.name.as_str()).collect();
        let mut body = with(body, "iotHubs", json!(hubs));
        // A device that is never moved keeps its id here: another one begins anew, and that is another story.
        if !is_group && id != name(1) && rng.chance(30) {
            body = with(body, "deviceId", json!(format!("{id}-alias")));
        }
        let input = crate::bed::input(&body);
        let (enrollments, any) = (&life.bed.enrollments, Some(dps_model::etag::IfMatch::Any));
        // Some of these fail, as the store does.
        let _ = if is_group {
            enrollments.put_group(&life.bed.instance, &id, input, any).await.map(|_| ())
        } else {
            enrollments.put_individual(&life.bed.instance, &id, input, any).await.map(|_| ())
        };
    }
}

/// A device that registers, polls, registers twice at once, gives up in the middle, and rolls its certificate.
async fn client(life: Life, sim: Arc<Mutex<Sim>>, mut rng: Rng) {
    for _ in 0..STEPS {
        sleep(rng.millis(4_000)).await;
        let told = sim.lock().unwrap().told.len() as u64;
        match rng.below(10) {
            0 => {
                let (one, two) = (life.register(&sim), life.register(&sim));
                tokio::join!(one, two);
            }
            1 => {
                let patience = rng.millis(40);
                let _ = timeout(patience, life.register(&sim)).await;
            }
            2..5 => life.register(&sim).await,
            _ if told == 0 => life.register(&sim).await,
            _ => {
                let back = if rng.chance(80) { 0 } else { rng.below(told.min(3)) };
                life.poll(&sim, usize::try_from(back).unwrap()).await;
            }
        }
        if rng.chance(10) {
            let mut sim = sim.lock().unwrap();
            sim.using = (sim.using + 1) % sim.devices.len();
        }
    }
}

impl Life {
    fn require(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.broken.lock().unwrap().push(what());
        }
    }

    async fn ask(&self, device: &Device, operation: DeviceOperation) -> Result<DeviceResponse, Error> {
        let request = self.bed.request(device, operation);
        self.asked.lock().unwrap().push(request.tracking_id);
        let answer = self.bed.ask(request).await;
        if self.store.is_dead() {
            self.crash.notify_one();
        }
        answer
    }

    async fn register(&self, sim: &Mutex<Sim>) {
        let (device, using) = {
            let mut sim = sim.lock().unwrap();
            sim.unsure = true;
            sim.told.iter_mut().for_each(|told| told.2 += 1);
            (sim.devices[sim.using].clone(), sim.using)
        };
        match self.ask(&device, register()).await {
            Ok(DeviceResponse::Admitted { operation_id, .. }) => {
                let mut sim = sim.lock().unwrap();
                sim.unsure = false;
                let operation_id = operation_id.as_str().to_owned();
                sim.told.retain(|told| told.0 != operation_id);
                sim.told.push((operation_id, using, 0));
            }
            Ok(other) => self.require(false, || format!("{}: registered with {other:?}", device.id)),
            // A failing store, a full queue, two requests at once: nothing else is a reason.
            Err(error) => self.require(matches!(error.code.row().code, 500_000 | 429_001 | 409_203), || {
                format!("{}: register refused with {error}", device.id)
            }),
        }
    }

    /// Polls the operation so many before the last one. The status, when the server could tell it.
    async fn poll(&self, sim: &Mutex<Sim>, back: usize) -> Option<Status> {
        let (device, (id, _, since)) = {
            let sim = sim.lock().unwrap();
            (sim.devices[sim.using].clone(), sim.told[sim.told.len() - 1 - back].clone())
        };
        let answer = self.ask(&device, DeviceOperation::OperationStatus { operation_id: id.clone() }).await;
        match answer {
            Ok(DeviceResponse::Status { status, .. }) => {
                let state = status.registration_state.unwrap();
                self.require(status.operation_id == id, || format!("{}: another operation", device.id));
                match status.status {
                    Status::Assigned => {
                        let mut sim = sim.lock().unwrap();
                        self.check_assigned(&sim, &state, back == 0);
                        self.check_twin(&mut sim, &state);
                    }
                    Status::Assigning => {}
                    Status::Failed => self.require(
                        matches!(state.error_code, Some(500_101 | 429_003 | 401_002 | 400_207 | 400_209)),
                        || format!("{}: failed with {:?}", device.id, state.error_code),
                    ),
                    other => self.require(false, || format!("{}: became {other:?}", device.id)),
                }
                return Some(status.status);
            }
            Ok(other) => self.require(false, || format!("{}: polled {other:?}", device.id)),
            Err(error) => match error.code.row().code {
                500_000 | 429_001 => {}
                404_203 => self.require(since > limits::MAX_SUPERSEDED_OPERATIONS, || {
                    format!("{}: was told {id}, which nobody knows now", device.id)
                }),
                _ => self.require(false, || format!("{}: poll refused with {error}", device.id)),
            },
        }
        None
    }

    /// Right when a device reads `assigned`: one identity over all hubs, the one it was told, with its credential.
    fn check_assigned(&self, sim: &Sim, state: &DeviceRegistrationResult, last: bool) {
        let id = &sim.devices[0].id;
        let alias = format!("{id}-alias");
        let told = (state.assigned_hub.as_ref().unwrap().key(), state.device_id.as_ref().unwrap().as_str());
        let mut identities = self.bed.hubs.identities();
        identities.retain(|(_, device, _)| device == id || *device == alias);
        let names: Vec<_> =
            identities.iter().map(|(hub, device, _)| (hub.clone(), device.as_str())).collect();
        self.require(names == [told.clone()], || format!("{id}: told {told:?}, but there is {names:?}"));
        let Some((_, _, HubAuthentication::SelfSigned { primary_thumbprint, .. })) = identities.first()
        else {
            return; // keys: both are there, whichever it used
        };
        let thumbprint = |device: &Device| match &device.credential {
            Credential::Chain(chain) => dps_attestation::x509::certificate::thumbprint(&chain[0]),
            _ => String::new(),
        };
        let (_, using, _) = sim.told.last().unwrap();
        let fits = if last && !sim.unsure {
            *primary_thumbprint == thumbprint(&sim.devices[*using])
        } else {
            sim.devices.iter().any(|device| *primary_thumbprint == thumbprint(device))
        };
        self.require(fits, || format!("{id}: the hub knows another certificate"));
    }

    /// The twin went where the device went, or began anew, as its enrollment says; and so says the substatus.
    fn check_twin(&self, sim: &mut Sim, state: &DeviceRegistrationResult) {
        let id = sim.devices[0].id.clone();
        let policy = match id.as_str() {
            "dev-0" => Policy::Reset,
            "dev-1" => Policy::Never,
            _ => Policy::Migrate,
        };
        let hub = state.assigned_hub.as_ref().unwrap().key();
        let device = state.device_id.as_ref().unwrap().as_str().to_owned();
        let Some((_, twin)) = self.bed.hubs.device(&hub, &device) else { return };
        let begun = json!([twin.tags, twin.desired]) == json!([{"of": "enrollment"}, {"n": 1}]);
        self.require(begun, || format!("{id}: its twin is {:?}, {:?}", twin.tags, twin.desired));
        let now = twin.reported.get("lived").and_then(Value::as_u64);
        let last = sim.lived.as_ref().map(|(_, _, lived)| *lived);
        let stayed = sim.lived.as_ref().is_none_or(|(at, name, _)| (at, name) == (&hub, &device));
        let kept = match policy {
            Policy::Migrate => now == last,
            Policy::Never => now == last && stayed,
            Policy::Reset => now.is_none() || (stayed && now == last),
        };
        self.require(kept, || format!("{id}: reported {last:?}, now {now:?} on {hub}; stayed: {stayed}"));
        let told = state.substatus.unwrap();
        let fits = match policy {
            Policy::Migrate => matches!(told, Substatus::InitialAssignment | Substatus::DeviceDataMigrated),
            Policy::Reset => matches!(told, Substatus::InitialAssignment | Substatus::DeviceDataReset),
            Policy::Never => {
                matches!(told, Substatus::InitialAssignment | Substatus::ReprovisionedToInitialAssignment)
            }
        };
        self.require(fits, || format!("{id}: substatus {told:?}"));
        // While a request of its own may be under way, it does not know whether this hub is still listening.
        if !sim.unsure {
            let lived = last.unwrap_or(0) + 1;
            self.bed.hubs.report(&hub, &device, "lived", json!(lived));
            sim.lived = Some((hub, device, lived));
        }
    }

    /// What was promised comes true; who was promised nothing, or failed for good, registers again.
    async fn finish(&self, sim: &Mutex<Sim>) {
        for _ in 0..400 {
            if sim.lock().unwrap().told.is_empty() {
                self.register(sim).await;
            }
            match self.poll(sim, 0).await {
                Some(Status::Assigned) => return,
                Some(Status::Assigning) => sleep(Duration::from_secs(1)).await,
                _ => self.register(sim).await,
            }
        }
        self.require(false, || format!("{} was never assigned", sim.lock().unwrap().devices[0].id));
    }
}

fn run(seed: u64) -> Met {
    let mut world = World::new(seed);
    for number in 0..LIVES {
        world.live(number);
    }
    world.settle();
    let mut met = Met::default();
    world.met(&mut met);
    met
}

/// Runs seeds one after another and names the one that breaks a promise.
fn run_all(seeds: std::ops::Range<u64>) {
    let mut all = Met::default();
    for seed in seeds {
        let met = std::panic::catch_unwind(|| run(seed)).unwrap_or_else(|why| {
            eprintln!("the simulation failed with seed {seed}");
            std::panic::resume_unwind(why)
        });
        all.resumed += met.resumed;
        all.abandoned += met.abandoned;
        all.failed += met.failed;
        all.conflicts += met.conflicts;
        all.moved += met.moved;
    }
    let met = [all.resumed, all.abandoned, all.failed, all.conflicts, all.moved];
    assert!(met.iter().all(|count| *count > 0), "the simulation was too quiet: {met:?}");
}

#[test]
fn promises_hold_over_crashes_and_faults() {
    run_all(0..100);
}

#[test]
fn promises_hold_over_more_crashes_and_faults() {
    run_all(100..200);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn promises_hold_for_any_seed(seed in any::<u64>()) {
        run(seed);
    }
}

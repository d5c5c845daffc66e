use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use dps_core::ports::{HubError, TwinTaken};
use dps_model::connection_string::ConnectionString;
use dps_model::enrollment::AllocationPolicy;
use dps_model::hub::{HubDevice, HubTwin};
use dps_model::instance::{Instance, Resource};
use dps_model::network::NetworkAccess;
use dps_model::{DeviceId, Etag, HubName, IdScope, Secret, Timestamp};
use dps_store::MemoryStore;
use tokio::sync::mpsc;

use super::*;

/// Time as tokio's paused clock has it.
struct PausedClock(tokio::time::Instant);

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(i64::try_from(self.0.elapsed().as_millis()).unwrap())
    }

    fn monotonic_micros(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap()
    }
}

/// A hub that answers as told, and says when it was asked; it is silent for ever at the end.
struct Scripted {
    answers: Mutex<VecDeque<Result<(), HubError>>>,
    asked: mpsc::Sender<Duration>,
    begun: tokio::time::Instant,
}

#[async_trait]
impl Hubs for Scripted {
    async fn put_device(
        &self,
        _: &LinkedHub,
        _: &HubDevice,
        _: Option<&HubTwin>,
    ) -> Result<TwinTaken, HubError> {
        panic!("a probe changes nothing")
    }

    async fn twin(&self, _: &LinkedHub, _: &DeviceId) -> Result<Option<HubTwin>, HubError> {
        panic!("a probe reads no twin")
    }

    async fn delete_device(&self, _: &LinkedHub, _: &DeviceId) -> Result<(), HubError> {
        panic!("a probe removes nothing")
    }

    async fn probe(&self, _: &LinkedHub) -> Result<(), HubError> {
        self.asked.send(self.begun.elapsed()).await.unwrap();
        let answer = self.answers.lock().unwrap().pop_front();
        match answer {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

struct Told(mpsc::Sender<Event>);

impl EventSink for Told {
    fn record(&self, event: Event) {
        self.0.try_send(event).unwrap();
    }
}

fn instance() -> Instance {
    let hub = LinkedHub {
        name: HubName::parse("hub.test").unwrap(),
        connection: ConnectionString {
            host: "hub.test".into(),
            policy: "iothubowner".into(),
            key: Secret::new(vec![1; 32]),
        },
        allocation_weight: 1,
        apply_allocation_policy: true,
        location: String::new(),
    };
    Instance {
        name: "dps".into(),
        id_scope: IdScope::fresh(),
        allocation_policy: AllocationPolicy::Hashed,
        linked_hubs: vec![hub],
        access_policies: Vec::new(),
        certificates: Vec::new(),
        network: NetworkAccess::default(),
        disable_local_auth: false,
        resource_id: String::new(),
        location: String::new(),
        resource: Resource::default(),
        rows: None,
        etag: Etag::fresh(),
    }
}

#[tokio::test(start_paused = true)]
async fn stale_key_is_told_once_and_its_end_too() {
    let stale = || Err(HubError::Unauthorized("401001".into()));
    let answers = Mutex::new(VecDeque::from([Ok(()), stale(), stale(), stale(), Ok(())]));
    let (asked, mut when) = mpsc::channel(16);
    let (told, mut heard) = mpsc::channel(16);
    let begun = tokio::time::Instant::now();
    let store = Arc::new(MemoryStore::new());
    let instances = Instances::open(store, instance(), |_, _| {}).await.unwrap();
    let probes = Arc::new(LinkProbes {
        instances: Arc::new(instances),
        hubs: Arc::new(Scripted { answers, asked, begun }),
        clock: Arc::new(PausedClock(begun)),
        sink: Arc::new(Told(told)),
        links: Arc::default(),
        interval: Duration::from_mins(1),
    });
    let task = tokio::spawn(Arc::clone(&probes).run());
    let mut news = || {
        heard.try_recv().ok().map(|event| match event {
            Event::LinkProbe(probe) => (probe.news, probe.outcome.code(), probe.hub.clone()),
            other => panic!("{other:?}"),
        })
    };
    // The sixth question has no answer: when it is asked, all before are told.
    let mut times = Vec::new();
    for _ in 0..6 {
        times.push(when.recv().await.unwrap());
    }
    assert_eq!(news(), Some(("Down", Some(code_of_stale_key()), "hub.test".into())));
    assert_eq!(news(), Some(("Up", None, "hub.test".into())));
    assert_eq!(news(), None);
    assert_eq!(times[0], Duration::ZERO, "at once");
    for (round, time) in times.iter().enumerate().skip(1) {
        let turn = Duration::from_secs(60 * u64::try_from(round).unwrap());
        assert!((turn..turn + Duration::from_secs(12)).contains(time), "probe {round} at {time:?}");
    }
    let samples = samples(&probes.links);
    assert_eq!((samples.len(), samples[0].reason), (1, None));
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn link_that_was_changed_is_asked_at_once() {
    let answers = Mutex::new(VecDeque::from([Err(HubError::Unauthorized("401001".into())), Ok(())]));
    let (asked, mut when) = mpsc::channel(16);
    let (told, _heard) = mpsc::channel(16);
    let begun = tokio::time::Instant::now();
    let instances = Instances::open(Arc::new(MemoryStore::new()), instance(), |_, _| {}).await.unwrap();
    let probes = Arc::new(LinkProbes {
        instances: Arc::new(instances),
        hubs: Arc::new(Scripted { answers, asked, begun }),
        clock: Arc::new(PausedClock(begun)),
        sink: Arc::new(Told(told)),
        links: Arc::default(),
        interval: Duration::from_hours(1),
    });
    let task = tokio::spawn(Arc::clone(&probes).run());
    when.recv().await.unwrap();
    let change = |kept: &mut Instance| {
        kept.linked_hubs[0].connection.key = Secret::new(vec![2; 32]);
        Ok(())
    };
    let of = probes.instances.default_instance();
    probes.instances.change(&of, None, change).await.unwrap();
    assert!(when.recv().await.unwrap() < Duration::from_mins(1), "long before its turn");
    task.abort();
}

fn code_of_stale_key() -> u32 {
    dps_model::Error::from(HubError::Unauthorized(String::new())).code.row().code
}

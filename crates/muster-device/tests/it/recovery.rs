//! Azure's recovery rules, each against injected faults, with time held: real TLS and protocols, no waiting.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dps_wire::mqtt::packet::ConnectReturnCode::{NotAuthorized, ServerUnavailable};
use muster_device::{
    Assignment, AssignmentCache, Device, Error, Fleet, HubClient, Notice, ProvisioningClient, Transport,
};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::network::Does::{self, Assign, Closes, Down, Hub, LookUp, Poll, Refuse, Register, Silent};
use crate::network::{Line, Network, assigned, registration};
use crate::pki::Ca;
use crate::{ASSIGNING, DEVICE, HOST, SCOPE, key};

const MQTT: u16 = 8883;
const HTTPS: u16 = 443;
const HUB: &str = "hub-1.test";
const OTHER_HUB: &str = "hub-2.test";

struct Bed {
    network: Arc<Network>,
    folder: tempfile::TempDir,
    ca: Ca,
    notices: Arc<Mutex<Vec<String>>>,
    transport: Transport,
}

impl Bed {
    fn new(service: impl IntoIterator<Item = Does>, hub: impl IntoIterator<Item = Does>) -> Self {
        let ca = Ca::new();
        let network = Network::new(&ca);
        network.prepare(HOST, MQTT, service);
        network.prepare(HUB, MQTT, hub);
        network.prepare(OTHER_HUB, MQTT, [hub_well()]);
        let folder = tempfile::tempdir().unwrap();
        Self { network, folder, ca, notices: Arc::default(), transport: Transport::Mqtt }
    }

    /// The same with a service over HTTPS, which meets each connection so.
    fn over_https(service: impl IntoIterator<Item = Does>, hub: impl IntoIterator<Item = Does>) -> Self {
        let mut bed = Self::new([], hub);
        bed.transport = Transport::Https;
        bed.network.prepare(HOST, HTTPS, service);
        bed
    }

    fn client(&self, seed: u64) -> ProvisioningClient {
        ProvisioningClient::builder(HOST, SCOPE, DEVICE, key())
            .transport(self.transport)
            .roots(self.ca.pem())
            .connector(Arc::new(Line(Arc::clone(&self.network))))
            .jitter_seed(seed)
            .build()
            .unwrap()
    }

    fn cache_file(&self) -> std::path::PathBuf {
        self.folder.path().join("assignment.json")
    }

    fn device(&self) -> Device {
        self.device_of(7)
    }

    fn device_of(&self, seed: u64) -> Device {
        let notices = Arc::clone(&self.notices);
        Device::new(self.client(seed), AssignmentCache::file(self.cache_file()))
            .observe(move |notice| notices.lock().unwrap().push(told(notice)))
    }

    /// A device that was assigned in an earlier life.
    fn assigned_device(&self) -> Device {
        let record = format!(
            r#"{{"version":1,"idScope":"{SCOPE}","registrationId":"{DEVICE}",
                "assignment":{{"assignedHub":"{HUB}","deviceId":"{DEVICE}"}}}}"#
        );
        std::fs::write(self.cache_file(), record).unwrap();
        self.device()
    }

    fn service(&self) -> Vec<f32> {
        self.network.seconds(HOST, MQTT)
    }

    /// Connections to the service over HTTPS.
    fn lookups(&self) -> Vec<f32> {
        self.network.seconds(HOST, HTTPS)
    }

    fn hub(&self) -> Vec<f32> {
        self.network.seconds(HUB, MQTT)
    }

    fn notices(&self) -> String {
        self.notices.lock().unwrap().join("\n")
    }
}

fn told(notice: Notice<'_>) -> String {
    match notice {
        Notice::CacheIgnored(reason) => format!("cache ignored: {reason}"),
        Notice::CacheNotWritten(reason) => format!("cache not written: {reason}"),
        Notice::Provisioned(assignment) => format!("provisioned: {}", assignment.assigned_hub),
        Notice::Connected(assignment) => format!("connected: {}", assignment.assigned_hub),
        Notice::Recovering { error, next, .. } => format!("{next:?} after: {error}"),
        _ => "?".to_owned(),
    }
}

fn hub_well() -> Does {
    Hub(Vec::new())
}

fn cached(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let record: serde_json::Value = serde_json::from_str(&text).unwrap();
    record["assignment"]["assignedHub"].as_str().unwrap().to_owned()
}

fn within(seconds: f32, least: f32, most: f32) {
    assert!((least..=most).contains(&seconds), "{seconds} is not within {least} and {most}");
}

fn gaps(seconds: &[f32]) -> Vec<f32> {
    seconds.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[tokio::test(start_paused = true)]
async fn device_without_assignment_provisions_connects_and_caches() {
    let bed = Bed::new([Assign(HUB)], [hub_well()]);
    let mut device = bed.device();
    device.ensure_connected().await.unwrap().twin().await.unwrap();
    assert_eq!(device.assignment().unwrap().assigned_hub, HUB);
    assert_eq!(cached(&bed.cache_file()), HUB);
    assert!(!std::fs::read_to_string(bed.cache_file()).unwrap().contains("c2VjcmV0"), "no key in it");
    assert_eq!((bed.service().len(), bed.hub().len()), (1, 1));
    device.ensure_connected().await.unwrap();
    assert_eq!(bed.hub().len(), 1, "connected is connected");
    device.close().await;
}

#[tokio::test(start_paused = true)]
async fn device_with_cached_assignment_never_asks_the_service() {
    let bed = Bed::new([Down], [hub_well()]);
    bed.assigned_device().ensure_connected().await.unwrap();
    assert!(bed.service().is_empty());
    assert_eq!(bed.hub(), [0.0]);
}

#[tokio::test(start_paused = true)]
async fn device_with_damaged_cache_says_so_and_provisions() {
    let bed = Bed::new([Assign(HUB)], [hub_well()]);
    std::fs::write(bed.cache_file(), "{\"version\":1,").unwrap();
    bed.device().ensure_connected().await.unwrap();
    assert!(bed.notices().starts_with("cache ignored: it is damaged"), "{}", bed.notices());
    assert_eq!(cached(&bed.cache_file()), HUB, "and it is whole again");
}

#[tokio::test(start_paused = true)]
async fn device_that_cannot_cache_says_so_and_connects() {
    let bed = Bed::new([Assign(HUB)], [hub_well()]);
    let notices = Arc::clone(&bed.notices);
    let cache = AssignmentCache::file(bed.folder.path().join("absent/assignment.json"));
    let mut device =
        Device::new(bed.client(1), cache).observe(move |notice| notices.lock().unwrap().push(told(notice)));
    device.ensure_connected().await.unwrap();
    assert!(bed.notices().contains("cache not written"), "{}", bed.notices());
}

#[tokio::test(start_paused = true)]
async fn fleet_first_registration_waits_for_its_draw() {
    let fleet = Fleet { devices: 100_000, calls_per_second: 200.0, load: 1.0 };
    let mut firsts = Vec::new();
    for seed in 0..5 {
        let bed = Bed::new([Assign(HUB)], [hub_well()]);
        bed.device_of(seed).fleet(fleet).ensure_connected().await.unwrap();
        within(bed.service()[0], 1.0, 500.0);
        firsts.push(bed.service()[0]);
    }
    firsts.dedup();
    assert_eq!(firsts.len(), 5, "each its own: {firsts:?}");
}

#[tokio::test(start_paused = true)]
async fn hub_not_authorized_means_full_registration_and_the_new_hub() {
    let bed = Bed::new([Assign(OTHER_HUB)], [Refuse(NotAuthorized)]);
    let mut device = bed.assigned_device();
    device.ensure_connected().await.unwrap();
    assert_eq!((bed.hub().len(), bed.service().len()), (1, 1));
    assert_eq!(device.assignment().unwrap().assigned_hub, OTHER_HUB);
    assert_eq!(cached(&bed.cache_file()), OTHER_HUB);
}

#[tokio::test(start_paused = true)]
async fn hub_twin_401_403_404_mean_full_registration() {
    for status in [401, 403, 404] {
        let bed = Bed::new([Assign(OTHER_HUB)], [Hub(vec![status])]);
        let mut device = bed.assigned_device();
        device.run(async |hub| hub.twin().await).await.unwrap();
        assert_eq!(bed.service().len(), 1, "{status}");
        assert_eq!(device.assignment().unwrap().assigned_hub, OTHER_HUB);
    }
}

#[tokio::test(start_paused = true)]
async fn service_401_403_404_mean_full_registration_with_backoff() {
    for status in [401, 403, 404] {
        let refusals = [Register(status, None), Poll(status, None), Register(status, None), Assign(HUB)];
        let bed = Bed::new(refusals, [hub_well()]);
        bed.device().ensure_connected().await.unwrap();
        let gaps = gaps(&bed.service());
        within(gaps[0], 1.0, 2.0);
        within(gaps[1], 3.0 + 2.0, 3.0 + 4.0);
        within(gaps[2], 4.0, 8.0);
    }
}

#[tokio::test(start_paused = true)]
async fn service_that_refuses_too_often_is_given_up_when_told_to() {
    let bed = Bed::new([Register(401, None)], [hub_well()]);
    let mut device = bed.device().give_up_after(2);
    let error = device.ensure_connected().await.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 401, .. }), "{error}");
    assert_eq!(bed.service().len(), 2);
    // Asked again, the device begins anew.
    bed.network.prepare(HOST, MQTT, [Assign(HUB)]);
    device.ensure_connected().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn service_429_waits_longer_and_never_less_than_retry_after() {
    let throttled = [
        Register(429, Some(30)),
        Register(429, Some(30)),
        Register(429, None),
        Register(429, None),
        Assign(HUB),
    ];
    let bed = Bed::new(throttled, [hub_well()]);
    bed.device().ensure_connected().await.unwrap();
    let gaps = gaps(&bed.service());
    within(gaps[0], 30.0, 31.0);
    within(gaps[1], 30.0, 32.0);
    within(gaps[2], 4.0, 8.0);
    within(gaps[3], 8.0, 16.0);
    assert!(gaps[0].fract() > 0.0, "jitter");
}

#[tokio::test(start_paused = true)]
async fn service_429_on_a_poll_for_longer_than_a_provisioning_takes_is_waited_out() {
    // 200 seconds are more than one provisioning may take: it ends, and the next one keeps away as long.
    let bed = Bed::new([Poll(429, Some(200)), Assign(HUB)], [hub_well()]);
    bed.device().ensure_connected().await.unwrap();
    within(gaps(&bed.service())[0], 203.0, 206.0);
}

/// A connection over HTTPS whose register request is answered so.
fn answered(status: u16, retry_after: &'static str) -> Does {
    Does::Https(vec![(status, retry_after, "{}".to_owned())])
}

/// A connection over HTTPS whose poll is answered so.
fn polled(status: u16, retry_after: &'static str) -> Does {
    Does::Https(vec![(202, "3", ASSIGNING.to_owned()), (status, retry_after, "{}".to_owned())])
}

/// A connection over HTTPS that assigns the device.
fn assigns(hub: &str) -> Does {
    Does::Https(vec![(202, "3", ASSIGNING.to_owned()), (200, "", assigned(hub))])
}

#[tokio::test(start_paused = true)]
async fn service_429_over_https_is_never_asked_sooner_than_retry_after() {
    let throttled = [
        answered(429, "30"),
        answered(429, "Mon, 01 Jan 2024 00:01:00 GMT"),
        answered(429, ""),
        polled(429, "200"),
        assigns(HUB),
    ];
    let bed = Bed::over_https(throttled, [hub_well()]);
    bed.device().ensure_connected().await.unwrap();
    let gaps = gaps(&bed.lookups());
    within(gaps[0], 30.0, 31.0);
    within(gaps[1], 60.0, 62.0);
    within(gaps[2], 4.0, 8.0);
    within(gaps[3], 3.0 + 200.0, 3.0 + 208.0);
    assert!(gaps[0].fract() > 0.0, "jitter");
}

#[tokio::test(start_paused = true)]
async fn service_401_403_404_over_https_mean_full_registration_with_backoff() {
    for status in [401, 403, 404] {
        let refusals = [answered(status, ""), polled(status, ""), answered(status, ""), assigns(HUB)];
        let bed = Bed::over_https(refusals, [hub_well()]);
        bed.device().ensure_connected().await.unwrap();
        let gaps = gaps(&bed.lookups());
        within(gaps[0], 1.0, 2.0);
        within(gaps[1], 3.0 + 2.0, 3.0 + 4.0);
        within(gaps[2], 4.0, 8.0);
    }
}

#[tokio::test(start_paused = true)]
async fn service_5xx_over_https_is_looked_up_with_its_own_backoff() {
    let lookup = LookUp(200, registration(HUB));
    let bed = Bed::over_https([answered(429, "30"), answered(503, "20"), lookup], [hub_well()]);
    bed.device().ensure_connected().await.unwrap();
    let gaps = gaps(&bed.lookups());
    within(gaps[0], 30.0, 31.0);
    within(gaps[1], 20.0, 21.0);
    assert_eq!(cached(&bed.cache_file()), HUB);
}

#[tokio::test(start_paused = true)]
async fn hub_429_waits_for_the_same_hub_on_the_same_connection() {
    let bed = Bed::new([Down], [Hub(vec![429, 429])]);
    let begun = Instant::now();
    bed.assigned_device().run(async |hub: &HubClient| hub.twin().await).await.unwrap();
    assert_eq!((bed.hub().len(), bed.service().len()), (1, 0));
    within(begun.elapsed().as_secs_f32(), 1.0 + 2.0, 2.0 + 4.0);
}

#[tokio::test(start_paused = true)]
async fn hub_5xx_tries_the_cached_hub_from_five_seconds_on() {
    let bed = Bed::new([Down], [Refuse(ServerUnavailable), Refuse(ServerUnavailable), hub_well()]);
    bed.assigned_device().ensure_connected().await.unwrap();
    let gaps = gaps(&bed.hub());
    within(gaps[0], 5.0, 10.0);
    within(gaps[1], 10.0, 20.0);
    assert!(bed.service().is_empty());
}

#[tokio::test(start_paused = true)]
async fn hub_5xx_that_goes_on_is_looked_up_and_the_other_hub_found() {
    let bed = Bed::new([Down], [Refuse(ServerUnavailable)]);
    bed.network.prepare(HOST, HTTPS, [LookUp(200, registration(OTHER_HUB))]);
    let mut device = bed.assigned_device();
    device.ensure_connected().await.unwrap();
    assert_eq!((bed.hub().len(), bed.lookups().len(), bed.service().len()), (3, 1, 0));
    assert_eq!(device.assignment().unwrap().assigned_hub, OTHER_HUB);
    assert_eq!(cached(&bed.cache_file()), OTHER_HUB);
}

#[tokio::test(start_paused = true)]
async fn hub_5xx_that_does_not_end_means_registration() {
    let bed = Bed::new([Assign(OTHER_HUB)], [Refuse(ServerUnavailable)]);
    bed.network.prepare(HOST, HTTPS, [LookUp(200, registration(HUB))]);
    bed.assigned_device().ensure_connected().await.unwrap();
    assert_eq!((bed.hub().len(), bed.lookups().len(), bed.service().len()), (10, 3, 1));
}

#[tokio::test(start_paused = true)]
async fn service_5xx_without_assignment_is_looked_up() {
    let bed = Bed::new([Register(503, Some(20))], [hub_well()]);
    bed.network.prepare(HOST, HTTPS, [LookUp(200, registration(HUB))]);
    let mut device = bed.device();
    device.ensure_connected().await.unwrap();
    within(bed.lookups()[0], 20.0, 21.0);
    assert_eq!(bed.service().len(), 1, "no second registration");
    assert_eq!(cached(&bed.cache_file()), HUB);
}

#[tokio::test(start_paused = true)]
async fn service_5xx_on_the_lookup_too_registers_again_each_with_its_own_backoff() {
    let unassigned = r#"{"registrationId":"my.dev_01:a-b","status":"unassigned"}"#.to_owned();
    let bed = Bed::new([Register(500, None), Register(500, None), Assign(HUB)], [hub_well()]);
    bed.network.prepare(HOST, HTTPS, [LookUp(503, "{}".into()), LookUp(200, unassigned)]);
    bed.device().ensure_connected().await.unwrap();
    let (service, lookups) = (bed.service(), bed.lookups());
    within(lookups[0] - service[0], 1.0, 2.0);
    within(service[1] - lookups[0], 1.0, 2.0);
    within(lookups[1] - service[1], 2.0, 4.0);
    within(service[2] - lookups[1], 0.0, 0.1);
}

#[tokio::test(start_paused = true)]
async fn hub_unreachable_is_tried_for_15_to_30_minutes_before_the_device_provisions() {
    let mut first = Vec::new();
    for seed in [1, 2, 3] {
        let bed = Bed::new([Assign(OTHER_HUB)], [Down]);
        drop(bed.assigned_device());
        bed.device_of(seed).ensure_connected().await.unwrap();
        assert_eq!(bed.service().len(), 1);
        within(bed.service()[0], 15.0 * 60.0, 30.0 * 60.0);
        assert!(bed.hub().len() > 10, "{}", bed.hub().len());
        assert!(bed.hub().iter().all(|at| *at <= bed.service()[0]));
        first.push(bed.service()[0]);
    }
    first.dedup();
    assert_eq!(first.len(), 3, "drawn: {first:?}");
}

#[tokio::test(start_paused = true)]
async fn hub_that_takes_connections_and_is_silent_is_given_up_within_30_minutes() {
    // Each try takes as long as it may.
    for seed in 0..5 {
        let bed = Bed::new([Assign(OTHER_HUB)], [Silent]);
        drop(bed.assigned_device());
        bed.device_of(seed).ensure_connected().await.unwrap();
        within(bed.service()[0], 15.0 * 60.0, 30.0 * 60.0);
    }
}

#[tokio::test(start_paused = true)]
async fn service_5xx_while_the_hub_is_unreachable_goes_back_to_the_cached_hub() {
    let bed = Bed::new([Register(503, None)], [Down]);
    let mut device = bed.assigned_device();
    let connected = async {
        device.ensure_connected().await.unwrap();
    };
    // The hub comes back after the device gave it up once.
    let network = Arc::clone(&bed.network);
    let back = async {
        while network.seconds(HOST, MQTT).is_empty() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        network.prepare(HUB, MQTT, [hub_well()]);
    };
    tokio::join!(connected, back);
    let service = bed.service();
    assert_eq!(service.len(), 1);
    within(bed.hub().last().unwrap() - service[0], 1.0, 2.0);
}

#[tokio::test(start_paused = true)]
async fn connection_lost_begins_the_work_again_on_the_same_hub() {
    let cut = Arc::new(Notify::new());
    let bed = Bed::new([Down], [Closes(Arc::clone(&cut)), hub_well()]);
    let mut begun = 0;
    let work = async |hub: &HubClient| {
        begun += 1;
        if begun == 1 {
            cut.notify_one();
            // Waits for something that never comes: the lost connection ends it.
            std::future::pending::<()>().await;
        }
        hub.twin().await
    };
    bed.assigned_device().run(work).await.unwrap();
    assert_eq!((begun, bed.service().len()), (2, 0));
    within(gaps(&bed.hub())[0], 1.0, 2.0);
}

#[tokio::test(start_paused = true)]
async fn device_runs_as_a_task_of_its_own() {
    let bed = Bed::new([Assign(HUB)], [hub_well()]);
    let mut device = bed.device();
    let task = tokio::spawn(async move {
        device.run(async |hub: &HubClient| hub.twin().await).await.unwrap();
        device
    });
    task.await.unwrap().close().await;
}

#[tokio::test(start_paused = true)]
async fn work_that_no_recovery_helps_gets_its_error_back() {
    let bed = Bed::new([Down], [Hub(vec![400])]);
    let mut device = bed.assigned_device();
    let error = device.run(async |hub: &HubClient| hub.twin().await).await.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 400, .. }), "{error}");
    device.ensure_connected().await.unwrap().twin().await.unwrap();
    assert_eq!(bed.hub().len(), 1, "the connection is as it was");
}

#[tokio::test(start_paused = true)]
async fn reprovision_leaves_the_hub_and_registers() {
    let bed = Bed::new([Assign(OTHER_HUB)], [hub_well()]);
    let mut device = bed.assigned_device();
    device.ensure_connected().await.unwrap();
    device.reprovision().await;
    device.ensure_connected().await.unwrap();
    assert_eq!(device.assignment(), Some(&assignment_of(OTHER_HUB, &device)));
    assert_eq!(bed.service().len(), 1);
}

/// The same assignment with another hub.
fn assignment_of(hub: &str, device: &Device) -> Assignment {
    let mut assignment = device.assignment().unwrap().clone();
    hub.clone_into(&mut assignment.assigned_hub);
    assignment
}

#[tokio::test(start_paused = true)]
async fn cancelled_wait_is_taken_up_where_it_was_left() {
    let bed = Bed::new([Register(429, Some(100)), Assign(HUB)], [hub_well()]);
    let mut device = bed.device();
    for _ in 0..5 {
        let impatient = tokio::time::timeout(Duration::from_secs(15), device.ensure_connected()).await;
        assert!(impatient.is_err());
    }
    device.ensure_connected().await.unwrap();
    let gap = gaps(&bed.service())[0];
    within(gap, 100.0, 101.0);
}

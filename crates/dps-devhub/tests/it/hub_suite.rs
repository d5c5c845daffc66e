//! The hub port's behaviour, proven alike for the development hub in process and for the REST client that reaches it
//! over TLS.

use std::sync::Arc;

use dps_core::ports::{HubError, Hubs, TwinTaken};
use dps_model::enrollment::DeviceCapabilities;
use dps_model::hub::{HubAuthentication, HubDevice, HubTwin, LinkedHub};
use dps_model::{DeviceId, HubName, Secret};
use serde_json::{Map, Value, json};

use crate::fixture::{HUB, World};
use crate::socket;

/// What a behaviour runs on.
struct Subject {
    world: World,
    hubs: Arc<dyn Hubs>,
    link: LinkedHub,
}

impl Subject {
    fn in_process() -> Self {
        let world = World::new();
        let hubs: Arc<dyn Hubs> = world.hubs.clone();
        let link = world.link(HUB);
        Self { world, hubs, link }
    }

    /// Tokens are made with the machine's time here, so the hub's clock follows it.
    async fn over_tls() -> Self {
        let world = World::new();
        world.clock.follow_machine();
        let (address, rest) = socket::serve(world.hubs.clone()).await;
        let link = world.link(&address.to_string());
        Self { world, hubs: Arc::new(rest), link }
    }

    async fn put(&self, device: &HubDevice, twin: Option<&HubTwin>) -> Result<TwinTaken, HubError> {
        self.hubs.put_device(&self.link, device, twin).await
    }

    async fn shown(&self, path: &str) -> Value {
        let answer = self.world.call(&format!("GET {path}"), &[], None).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }
}

macro_rules! hub_suite {
    ($($name:ident),* $(,)?) => {
        mod in_process {
            $(#[tokio::test] async fn $name() { super::$name(super::Subject::in_process()).await; })*
        }
        mod over_tls {
            $(#[tokio::test] async fn $name() { super::$name(super::Subject::over_tls().await).await; })*
        }
    };
}

hub_suite!(
    put_device_new_creates_identity_and_twin,
    put_device_same_again_writes_nothing,
    put_device_existing_gets_new_credentials_and_keeps_the_rest,
    put_device_with_twin_replaces_tags_and_desired,
    put_device_thumbprints_written_as_self_signed,
    put_device_odd_id_travels,
    twin_unknown_device_is_none,
    twin_sections_come_without_metadata,
    delete_device_gone_or_not_succeeds,
    link_wrong_key_is_unauthorized_with_the_hubs_words,
    put_device_oversized_twin_is_refused,
    put_device_many_at_once_makes_one_identity,
    probe_answers_whether_the_link_opens_the_hub,
    put_device_with_a_carried_twin_sets_what_was_reported,
    put_device_without_reported_properties_leaves_those_of_the_device,
);

fn id(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

fn sas(name: &str, key: u8) -> HubDevice {
    HubDevice {
        device_id: id(name),
        authentication: HubAuthentication::Sas {
            primary: Secret::new(vec![key; 32]),
            secondary: Secret::new(vec![key + 1; 32]),
        },
        capabilities: DeviceCapabilities { iot_edge: false },
    }
}

fn map(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

fn twin(tags: Value, desired: Value) -> HubTwin {
    HubTwin { tags: map(tags), desired: map(desired), reported: Map::new() }
}

async fn probe_answers_whether_the_link_opens_the_hub(mut subject: Subject) {
    subject.hubs.probe(&subject.link).await.unwrap();
    subject.link.connection.key = Secret::new(vec![1; 32]);
    let outcome = subject.hubs.probe(&subject.link).await;
    assert!(matches!(outcome, Err(HubError::Unauthorized(_))), "{outcome:?}");
}

async fn put_device_with_a_carried_twin_sets_what_was_reported(subject: Subject) {
    let carried = HubTwin {
        reported: map(json!({"firmware": {"version": "1.2"}})),
        ..twin(json!({"site": "a"}), json!({"n": 1}))
    };
    assert_eq!(subject.put(&sas("d1", 1), Some(&carried)).await.unwrap(), TwinTaken::Whole);
    let shown = subject.shown("/twins/d1").await;
    assert_eq!(shown["properties"]["reported"]["firmware"], json!({"version": "1.2"}));
    assert_eq!(shown["properties"]["reported"]["$version"], 2);
    assert_eq!(subject.hubs.twin(&subject.link, &id("d1")).await.unwrap(), Some(carried.clone()));
    subject.put(&sas("d1", 1), Some(&carried)).await.unwrap();
    assert_eq!(subject.shown("/twins/d1").await, shown, "the second time writes nothing");
}

async fn put_device_without_reported_properties_leaves_those_of_the_device(subject: Subject) {
    let carried = HubTwin { reported: map(json!({"a": 1})), ..HubTwin::default() };
    subject.put(&sas("d1", 1), Some(&carried)).await.unwrap();
    subject.put(&sas("d1", 1), Some(&twin(json!({"t": 1}), json!({})))).await.unwrap();
    let now = subject.hubs.twin(&subject.link, &id("d1")).await.unwrap().unwrap();
    assert_eq!((now.tags, now.reported), (map(json!({"t": 1})), map(json!({"a": 1}))));
}

async fn put_device_new_creates_identity_and_twin(subject: Subject) {
    let wanted = twin(json!({"site": "a"}), json!({"n": {"x": 1}}));
    subject.put(&sas("d1", 1), Some(&wanted)).await.unwrap();
    let identity = subject.shown("/devices/d1").await;
    assert_eq!(identity["authentication"]["type"], "sas");
    assert_eq!(identity["status"], "enabled");
    assert_eq!(
        identity["authentication"]["symmetricKey"]["primaryKey"],
        "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
    );
    let shown = subject.shown("/twins/d1").await;
    assert_eq!(shown["tags"], json!({"site": "a"}));
    assert_eq!(shown["properties"]["desired"]["n"], json!({"x": 1}));
    assert_eq!(shown["properties"]["desired"]["$version"], 2);
    assert_eq!(shown["properties"]["reported"]["$version"], 1);
}

async fn put_device_same_again_writes_nothing(subject: Subject) {
    let wanted = twin(json!({"site": "a"}), json!({"n": 1}));
    subject.put(&sas("d1", 1), Some(&wanted)).await.unwrap();
    let before = (subject.shown("/devices/d1").await, subject.shown("/twins/d1").await);
    subject.put(&sas("d1", 1), Some(&wanted)).await.unwrap();
    subject.put(&sas("d1", 1), None).await.unwrap();
    assert_eq!((subject.shown("/devices/d1").await, subject.shown("/twins/d1").await), before);
}

async fn put_device_existing_gets_new_credentials_and_keeps_the_rest(subject: Subject) {
    subject.put(&sas("d1", 1), None).await.unwrap();
    let mut body = subject.shown("/devices/d1").await;
    body["status"] = "disabled".into();
    body["statusReason"] = "stolen".into();
    let disabled = subject.world.call("PUT /devices/d1", &[("if-match", "\"*\"")], body).await;
    assert_eq!(disabled.status, 200);
    let edge = DeviceCapabilities { iot_edge: true };
    subject.put(&HubDevice { capabilities: edge, ..sas("d1", 5) }, None).await.unwrap();
    let after = subject.shown("/devices/d1").await;
    assert_eq!(after["generationId"], disabled.body["generationId"]);
    assert_ne!(after["etag"], disabled.body["etag"]);
    assert_eq!((&after["status"], &after["statusReason"]), (&json!("disabled"), &json!("stolen")));
    assert_eq!(after["capabilities"]["iotEdge"], true);
    assert_eq!(
        after["authentication"]["symmetricKey"]["primaryKey"],
        "BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU="
    );
}

async fn put_device_with_twin_replaces_tags_and_desired(subject: Subject) {
    subject.put(&sas("d1", 1), Some(&twin(json!({"a": 1}), json!({"x": 1, "y": 2})))).await.unwrap();
    let next = twin(json!({"b": 2}), json!({"y": 3}));
    subject.put(&sas("d1", 1), Some(&next)).await.unwrap();
    let found = subject.hubs.twin(&subject.link, &id("d1")).await.unwrap();
    assert_eq!(found, Some(next));
    let version = subject.shown("/twins/d1").await["properties"]["desired"]["$version"].clone();
    assert_eq!(version, 3);
}

async fn put_device_thumbprints_written_as_self_signed(subject: Subject) {
    let authentication = HubAuthentication::SelfSigned {
        primary_thumbprint: "AB".repeat(32),
        secondary_thumbprint: Some("CD".repeat(32)),
    };
    let device = HubDevice { authentication, ..sas("d1", 1) };
    subject.put(&sas("d1", 1), None).await.unwrap();
    subject.put(&device, None).await.unwrap();
    let shown = subject.shown("/devices/d1").await;
    assert_eq!(shown["authentication"]["type"], "selfSigned");
    assert_eq!(shown["authentication"]["x509Thumbprint"]["primaryThumbprint"], "AB".repeat(32));
    assert_eq!(shown["authentication"]["x509Thumbprint"]["secondaryThumbprint"], "CD".repeat(32));
    assert_eq!(shown["authentication"]["symmetricKey"]["primaryKey"], Value::Null);
    subject.put(&device, None).await.unwrap();
    assert_eq!(subject.shown("/devices/d1").await["etag"], shown["etag"]);
}

async fn put_device_odd_id_travels(subject: Subject) {
    let name = "a%2Fb?c#d@e=f+g'h(i),j:k;l!m*n$o.p";
    subject.put(&sas(name, 1), Some(&twin(json!({"t": 1}), json!({})))).await.unwrap();
    let found = subject.hubs.twin(&subject.link, &id(name)).await.unwrap();
    assert_eq!(found.map(|twin| twin.tags), Some(map(json!({"t": 1}))));
    subject.hubs.delete_device(&subject.link, &id(name)).await.unwrap();
    assert_eq!(subject.hubs.twin(&subject.link, &id(name)).await.unwrap(), None);
}

async fn twin_unknown_device_is_none(subject: Subject) {
    assert_eq!(subject.hubs.twin(&subject.link, &id("nobody")).await.unwrap(), None);
}

async fn twin_sections_come_without_metadata(subject: Subject) {
    let wanted = twin(json!({"a": {"b": [1, "x", null]}}), json!({"c": true}));
    subject.put(&sas("d1", 1), Some(&wanted)).await.unwrap();
    assert_eq!(subject.hubs.twin(&subject.link, &id("d1")).await.unwrap(), Some(wanted));
}

async fn delete_device_gone_or_not_succeeds(subject: Subject) {
    subject.put(&sas("d1", 1), None).await.unwrap();
    let first = subject.shown("/devices/d1").await["generationId"].clone();
    for _ in 0..2 {
        subject.hubs.delete_device(&subject.link, &id("d1")).await.unwrap();
    }
    assert_eq!(subject.world.call("GET /devices/d1", &[], None).await.status, 404);
    subject.put(&sas("d1", 1), None).await.unwrap();
    assert_ne!(subject.shown("/devices/d1").await["generationId"], first);
}

async fn link_wrong_key_is_unauthorized_with_the_hubs_words(mut subject: Subject) {
    subject.put(&sas("d1", 1), None).await.unwrap();
    subject.link.connection.key = Secret::new(vec![9; 32]);
    let put = subject.put(&sas("d2", 1), None).await;
    let twin = subject.hubs.twin(&subject.link, &id("d1")).await.map(drop);
    let delete = subject.hubs.delete_device(&subject.link, &id("d1")).await;
    for outcome in [put.map(drop), twin, delete] {
        let Err(HubError::Unauthorized(text)) = outcome else { panic!("{outcome:?}") };
        let body: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(body["Message"], "ErrorCode:IotHubUnauthorizedAccess;Unauthorized");
        assert!(body["ExceptionMessage"].as_str().unwrap().starts_with("Tracking ID:"));
    }
    subject.shown("/devices/d1").await;
}

async fn put_device_oversized_twin_is_refused(subject: Subject) {
    let many: Map<String, Value> = (0..20).map(|n| (format!("k{n}"), json!("x".repeat(4000)))).collect();
    let wanted = HubTwin { desired: many, ..HubTwin::default() };
    let outcome = subject.put(&sas("d1", 1), Some(&wanted)).await;
    assert!(matches!(outcome, Err(HubError::Refused { status: 400, .. })), "{outcome:?}");
}

async fn put_device_many_at_once_makes_one_identity(subject: Subject) {
    let subject = Arc::new(subject);
    let tasks: Vec<_> = (0..8)
        .map(|round: u8| {
            let subject = Arc::clone(&subject);
            tokio::spawn(async move {
                let tags = twin(json!({"round": round / 8}), json!({}));
                subject.put(&sas("d1", 1), Some(&tags)).await
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let counts = subject.shown("/statistics/devices").await;
    assert_eq!(counts, json!({"totalDeviceCount": 1, "enabledDeviceCount": 1, "disabledDeviceCount": 0}));
    assert_eq!(subject.shown("/twins/d1").await["tags"], json!({"round": 0}));
}

#[tokio::test]
async fn link_unknown_hub_is_not_found() {
    let world = World::new();
    let mut link = world.link(HUB);
    link.name = HubName::parse("gone.local").unwrap();
    let outcome = world.hubs.put_device(&link, &sas("d1", 1), None).await;
    assert!(matches!(outcome, Err(HubError::NotFound(_))), "{outcome:?}");
    assert!(world.hubs.knows(&HubName::parse("HUB.local:443").unwrap()));
    assert!(!world.hubs.knows(&link.name));
}

//! Properties: shares of an allocation, and a registration that reads back as it was written.

use dps_core::allocation::regions::RegionMap;
use dps_core::allocation::{self, Client};
use dps_core::plan::{Plan, TwinFate};
use dps_core::ports::Write;
use dps_core::registration::{
    EnrollmentName, Identities, Identity, OperationRecord, Proof, RegistrationRecord, Versioned,
};
use dps_model::enrollment::{DeviceCapabilities, EnrollmentSettings};
use dps_model::hub::{HubAuthentication, HubTwin};
use dps_model::instance::Instance;
use dps_model::registration::{DeviceRegistrationResult, Status, Substatus};
use dps_model::{DeviceId, HubName, OperationId, Protocol, RegistrationId, Secret, Timestamp};
use proptest::prelude::*;
use serde_json::json;

use crate::bed::{NOW, instance, linked};

const DEVICES: u16 = 2_000;

fn hub_of(service: &Instance, id: &str) -> String {
    let id = RegistrationId::parse(id).unwrap();
    let regions = RegionMap::default();
    let client = Client { address: [192, 0, 2, 1].into(), regions: &regions };
    allocation::choose(&EnrollmentSettings::default(), service, &id, client).unwrap().0.name.key()
}

fn service(weights: &[u32]) -> Instance {
    let hubs = weights.iter().enumerate().map(|(n, weight)| linked(&format!("hub-{n}.example"), *weight));
    instance(hubs.collect())
}

fn choose(weights: &[u32], id: &str) -> String {
    hub_of(&service(weights), id)
}

fn chosen(weights: &[u32], prefix: &str) -> Vec<String> {
    let service = service(weights);
    (0..DEVICES).map(|n| hub_of(&service, &format!("{prefix}-{n}"))).collect()
}

/// What a registration is made of; shown when a property fails, so the keys are plain bytes.
#[derive(Clone, Debug)]
struct Parts {
    id: String,
    device_id: String,
    hub: String,
    keys: Option<(Vec<u8>, Vec<u8>)>,
    thumbprint: Option<String>,
    edge: bool,
    attempts: u32,
    superseded: u64,
    group: Option<String>,
}

fn parts() -> impl Strategy<Value = Parts> {
    let key = || prop::collection::vec(any::<u8>(), 16..=64);
    let ids =
        ("[a-zA-Z0-9._:-]{0,100}[a-zA-Z0-9-]", "[a-zA-Z0-9.%_*?!(),:=@$'#+;-]{1,100}", "[a-z0-9.-]{1,60}");
    let credential = (prop::option::of((key(), key())), prop::option::of("[0-9A-F]{64}"));
    let rest = (any::<bool>(), any::<u32>(), 0_u64..5, prop::option::of("[A-Za-z0-9]{1,20}"));
    (ids, credential, rest).prop_map(
        |((id, device_id, hub), (keys, thumbprint), (edge, attempts, superseded, group))| Parts {
            id,
            device_id,
            hub,
            keys,
            thumbprint,
            edge,
            attempts,
            superseded,
            group,
        },
    )
}

impl Parts {
    /// A certificate's thumbprint where there is one, else keys, else nothing runs.
    fn credential(&self) -> Option<HubAuthentication> {
        let certificate = self.thumbprint.clone().map(|primary_thumbprint| HubAuthentication::SelfSigned {
            primary_thumbprint,
            secondary_thumbprint: None,
        });
        certificate.or_else(|| {
            let (primary, secondary) = self.keys.clone()?;
            Some(HubAuthentication::Sas { primary: Secret::new(primary), secondary: Secret::new(secondary) })
        })
    }

    fn record(&self) -> RegistrationRecord {
        let id = RegistrationId::parse(&self.id).unwrap();
        let hub = HubName::parse(&self.hub).unwrap();
        let device_id = DeviceId::parse(&self.device_id).unwrap();
        let plan = self.credential().map(|_| Plan {
            hub: hub.clone(),
            device_id: device_id.clone(),
            capabilities: DeviceCapabilities { iot_edge: self.edge },
            thumbprint: self.thumbprint.clone(),
            twin: self.edge.then(|| HubTwin {
                tags: json!({"ü": [1, null]}).as_object().cloned().unwrap(),
                ..HubTwin::default()
            }),
            substatus: Substatus::InitialAssignment,
            attempts: self.attempts,
            origin: None,
            reads_twin: self.edge,
            fate: TwinFate::Carried,
            stale_target: false,
            payload: self.edge.then(|| json!({"a": 1})),
        });
        let operation = OperationRecord {
            id: OperationId::fresh(u64::from(self.attempts)),
            superseded: (0..self.superseded).map(OperationId::fresh).collect(),
            admitted: Timestamp::from_millis(NOW),
            protocol: Protocol::Http,
            ask: None,
            plan,
            resume_at: None,
        };
        RegistrationRecord {
            state: DeviceRegistrationResult {
                created_date_time_utc: Some(Timestamp::from_millis(NOW)),
                ..DeviceRegistrationResult::bare(id, Status::Assigning)
            },
            enrollment: self.group.clone().map_or(EnrollmentName::Individual, EnrollmentName::Group),
            proof: Proof::SasToken("hash".into()),
            operation: Some(operation),
            identities: Identities { home: Some(Identity { hub, device_id }), strays: Vec::new() },
            carried: None,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn shares_follow_the_weights(weights in prop::collection::vec(1_u32..=10, 1..=6), prefix in "[a-z]{1,8}") {
        let chosen = chosen(&weights, &prefix);
        let total = f64::from(weights.iter().sum::<u32>());
        for (n, weight) in weights.iter().enumerate() {
            let hub = format!("hub-{n}.example");
            let share = chosen.iter().filter(|name| **name == hub).map(|_| 1.0).sum::<f64>() / f64::from(DEVICES);
            let expected = f64::from(*weight) / total;
            // Five standard deviations of a binomial share.
            let slack = 5.0 * (expected * (1.0 - expected) / f64::from(DEVICES)).sqrt();
            prop_assert!((share - expected).abs() <= slack, "{hub}: {share} for {expected}");
        }
    }

    #[test]
    fn added_hub_takes_devices_and_moves_none_between_the_others(
        weights in prop::collection::vec(1_u32..=10, 1..=5),
        added in 1_u32..=10,
        prefix in "[a-z]{1,8}",
    ) {
        let before = chosen(&weights, &prefix);
        let more: Vec<u32> = weights.iter().copied().chain([added]).collect();
        let new = format!("hub-{}.example", weights.len());
        for (was, is) in before.iter().zip(chosen(&more, &prefix)) {
            prop_assert!(is == *was || is == new);
        }
    }

    #[test]
    fn weight_raised_takes_devices_and_moves_none_between_the_others(
        weights in prop::collection::vec(1_u32..=1000, 1..=5),
        raised in any::<prop::sample::Index>(),
        by in 1_u32..=1000,
        prefix in "[a-z]{1,8}",
    ) {
        let at = raised.index(weights.len());
        let mut after = weights.clone();
        after[at] = after[at].saturating_add(by).min(dps_model::limits::MAX_ALLOCATION_WEIGHT);
        let heavier = format!("hub-{at}.example");
        for (was, is) in chosen(&weights, &prefix).iter().zip(chosen(&after, &prefix)) {
            prop_assert!(is == *was || is == heavier);
        }
    }

    #[test]
    fn spelling_of_the_id_does_not_move_a_device(id in "[a-z0-9]{1,40}", weights in prop::collection::vec(1_u32..=10, 1..=6)) {
        prop_assert_eq!(choose(&weights, &id), choose(&weights, &id.to_uppercase()));
    }

    #[test]
    fn registration_reads_back_as_written(parts in parts()) {
        let (record, credential) = (parts.record(), parts.credential());
        let due = record.running().map(|_| Timestamp::from_millis(NOW));
        let (write, etag) = record.write("dps", None, credential.as_ref(), due).unwrap();
        let Write::Put { document, .. } = write else { panic!("no put") };
        if let Some(HubAuthentication::Sas { primary, .. }) = &credential {
            let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, primary.expose());
            prop_assert!(!document.body.contains(&text), "a key stands in the readable part");
        }
        let read = Versioned::read(&document).unwrap();
        prop_assert!(read.credential == credential && read.etag == etag);
        let text = |record: &RegistrationRecord| serde_json::to_value(record).unwrap();
        prop_assert_eq!(text(&read.record), text(&record));
        let ended = read.record.ended(Ok(()), Timestamp::from_millis(NOW));
        prop_assert!(ended.running().is_none());
        let (write, _) = ended.write("dps", None, None, None).unwrap();
        let Write::Put { document, .. } = write else { panic!("no put") };
        prop_assert!(Versioned::read(&document).unwrap().credential.is_none());
    }
}

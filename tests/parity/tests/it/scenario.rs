//! What happens to all devices of a scenario: who they are, what is enrolled, and what they do.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use dps_attestation::symmetric_key::derive_device_key;
use dps_core::ports::Clock as _;
use dps_core::{DeviceOperation, DeviceRequest};
use dps_model::attestation::Mechanism;
use dps_model::channel::TlsSession;
use dps_model::limits::{Profile, Throttles};
use dps_model::registration::DeviceRegistration;
use dps_model::{Channel, Protocol, Secret, TrackingId};
use futures_util::FutureExt;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::device::{Attesting, Credential, Device, Medium};
use crate::hubs::Mood;
use crate::pki::{Ca, Leaf, by};
use crate::run::Run;
use crate::site::{SCOPE, Site};
use crate::software_tpm::SoftwareTpm;

/// Ids of the groups.
pub const KEYED_GROUP: &str = "keyed-group";
pub const CERTIFIED_GROUP: &str = "certified-group";
/// What a device says of itself; its spaces and numbers must arrive as they are.
pub const PAYLOAD: &str = r#"{"model": "X-1", "serial": 1.50, "slots": [null, true, "ü"]}"#;

/// An ID scope that no service of this server has.
const NOBODYS_SCOPE: &str = "0ne00NOBODY";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    First,
    Again,
    WrongCredential,
    WrongAnswer,
    Expired,
    Unknown,
    UnknownScope,
    KeptOut,
    Disabled,
    ThrottledRegistering,
    ThrottledPolling,
    HubFailsOnce,
    HubRefuses,
    CustomPayload,
    DropAfterConnect,
    DropAfterChallenge,
    DropBeforeAdmission,
    DropAfterRequest,
    DropAfterAdmission,
    DropAfterPoll,
}

impl Scenario {
    pub const ALL: [Self; 20] = [
        Self::First,
        Self::Again,
        Self::WrongCredential,
        Self::WrongAnswer,
        Self::Expired,
        Self::Unknown,
        Self::UnknownScope,
        Self::KeptOut,
        Self::Disabled,
        Self::ThrottledRegistering,
        Self::ThrottledPolling,
        Self::HubFailsOnce,
        Self::HubRefuses,
        Self::CustomPayload,
        Self::DropAfterConnect,
        Self::DropAfterChallenge,
        Self::DropBeforeAdmission,
        Self::DropAfterRequest,
        Self::DropAfterAdmission,
        Self::DropAfterPoll,
    ];

    /// A challenge is a TPM's alone.
    pub fn concerns(self, attesting: Attesting) -> bool {
        let of_tpms = matches!(self, Self::DropAfterChallenge | Self::WrongAnswer);
        !of_tpms || attesting == Attesting::Tpm
    }

    /// Do these two behave alike here? An ID scope is looked at where each protocol first hears of it.
    pub fn agree(self, one: Medium, other: Medium) -> bool {
        let place = |medium: Medium| match (self, medium) {
            (Self::UnknownScope, Medium::Https) => 0,
            (Self::UnknownScope, Medium::Mqtt | Medium::MqttWs) => 1,
            _ => 2,
        };
        place(one) == place(other)
    }

    fn limits(self) -> Profile {
        match self {
            Self::ThrottledRegistering => Profile::Azure,
            Self::ThrottledPolling => Profile::SelfHosted,
            _ => Profile::None,
        }
    }
}

/// Chips, which take long to make.
#[derive(Clone)]
pub struct Chips {
    enrolled: Arc<SoftwareTpm>,
    other: Arc<SoftwareTpm>,
}

impl Chips {
    pub fn new() -> Self {
        Self { enrolled: Arc::new(SoftwareTpm::new()), other: Arc::new(SoftwareTpm::new()) }
    }
}

/// What a site has enrolled for all its devices.
struct Enrolled {
    scenario: Scenario,
    chips: Chips,
    group: Ca,
    /// Named like the group's authority, and another.
    forged: Ca,
    group_key: Secret,
}

fn body(scenario: Scenario, attestation: &Value) -> Value {
    let status = if scenario == Scenario::Disabled { "disabled" } else { "enabled" };
    json!({"attestation": attestation, "provisioningStatus": status})
}

fn primary(mechanism: &Mechanism) -> Secret {
    match mechanism {
        Mechanism::SymmetricKey(keys) => keys.primary.clone(),
        _ => panic!("no symmetric key"),
    }
}

impl Enrolled {
    async fn groups(site: &Site, scenario: Scenario, chips: Chips) -> Self {
        let (group, forged) = (Ca::new("group"), Ca::new("group"));
        let mut group_key = Secret::new(vec![3; 64]);
        if scenario != Scenario::Unknown {
            let keyed = body(scenario, &json!({"type": "symmetricKey"}));
            group_key = primary(&site.enroll_group(KEYED_GROUP, &keyed).await);
            let certified = body(scenario, &by("signingCertificates", &group.der));
            site.enroll_group(CERTIFIED_GROUP, &certified).await;
        }
        Self { scenario, chips, group, forged, group_key }
    }

    async fn enroll(&self, site: &Site, id: &str, attestation: &Value) -> Option<Mechanism> {
        if self.scenario == Scenario::Unknown {
            return None;
        }
        Some(site.enroll(id, &body(self.scenario, attestation)).await)
    }

    async fn device(&self, site: &Site, attesting: Attesting, medium: Medium) -> Device {
        let id = format!("{}-{}", attesting.name(), medium.name());
        let (expired, wrong) =
            (self.scenario == Scenario::Expired, self.scenario == Scenario::WrongCredential);
        let key = |right: Secret| Credential::Key(if wrong { Secret::new(vec![5; 64]) } else { right });
        let credential = match attesting {
            Attesting::SymmetricIndividual => {
                let mechanism = self.enroll(site, &id, &json!({"type": "symmetricKey"})).await;
                key(mechanism.map_or_else(|| Secret::new(vec![4; 64]), |mechanism| primary(&mechanism)))
            }
            Attesting::SymmetricGroup => key(derive_device_key(&self.group_key, &id)),
            Attesting::X509Individual => {
                let leaf = Leaf::new(&id, None, expired);
                self.enroll(site, &id, &by("clientCertificates", leaf.der())).await;
                Credential::Certificate(if wrong { Leaf::new(&id, None, false) } else { leaf })
            }
            Attesting::X509Group => {
                let ca = if wrong { &self.forged } else { &self.group };
                Credential::Certificate(Leaf::new(&id, Some(ca), expired))
            }
            Attesting::Tpm => {
                let endorsement_key = self.chips.enrolled.keys().endorsement_key;
                let attestation = json!({"type": "tpm", "tpm": {"endorsementKey": endorsement_key}});
                self.enroll(site, &id, &attestation).await;
                Credential::Chip(Arc::clone(if wrong { &self.chips.other } else { &self.chips.enrolled }))
            }
        };
        let lifetime = if expired { -3_600 } else { 3_600 };
        let scope = if self.scenario == Scenario::UnknownScope { NOBODYS_SCOPE } else { SCOPE };
        Device { id, scope, credential, expiry: site.clock.now().seconds() + lifetime }
    }
}

/// A site with everything enrolled, and its devices.
pub async fn open(scenario: Scenario, chips: Chips) -> (Site, Vec<(Attesting, Medium, Device)>) {
    let site = Site::open(scenario.limits()).await;
    let enrolled = Enrolled::groups(&site, scenario, chips).await;
    let mut devices = Vec::new();
    for attesting in Attesting::ALL.into_iter().filter(|attesting| scenario.concerns(*attesting)) {
        for medium in Medium::ALL {
            devices.push((attesting, medium, enrolled.device(&site, attesting, medium).await));
        }
    }
    if scenario == Scenario::ThrottledRegistering {
        use_up_registrations(&site).await;
    }
    (site, devices)
}

/// Registers a device of nobody's until the instance takes no more. The clock stands, so it stays so.
async fn use_up_registrations(site: &Site) {
    let mechanism = site.enroll("busy", &json!({"attestation": {"type": "symmetricKey"}})).await;
    let expiry = site.clock.now().seconds() + 3_600;
    let credential = Credential::Key(primary(&mechanism));
    let device = Device { id: "busy".into(), scope: SCOPE, credential, expiry };
    let tls = TlsSession { version: "TLSv1.3".into(), ..TlsSession::default() };
    let channel = Arc::new(Channel { protocol: Protocol::Http, peer: ([127, 0, 0, 1], 9).into(), tls });
    let Throttles { registrations: Some(rate), .. } = Profile::Azure.throttles() else { panic!("no limit") };
    for _ in 0..rate.requests {
        let request = DeviceRequest {
            tracking_id: TrackingId::fresh(),
            channel: Arc::clone(&channel),
            id_scope: SCOPE.into(),
            registration_id: device.id.clone(),
            api_version: Some("2019-03-31".into()),
            client: None,
            sas_token: device.token().map(Into::into),
            operation: DeviceOperation::Register(DeviceRegistration::default()),
        };
        site.provisioning.serve(request).await.unwrap();
    }
}

/// Every device does it, all at once. The cells that broke are named.
async fn each<'a>(runs: &mut [Run<'a>], step: impl AsyncFn(&mut Run<'a>)) {
    let step = &step;
    let all = runs.iter_mut().map(|run| async move {
        let name = run.name();
        let done = AssertUnwindSafe(step(run)).catch_unwind().await;
        assert!(done.is_ok(), "{name}: broke off, for the reason above");
    });
    join_all(all).await;
}

/// Plays the scenario with the devices whose mechanism is offered.
pub async fn play(scenario: Scenario, site: &Site, runs: &mut [Run<'_>]) {
    each(runs, async |run| run.connect().await).await;
    match scenario {
        Scenario::First => {
            each(runs, async |run| {
                run.provision(1).await;
                run.look_up().await;
            })
            .await;
        }
        Scenario::Again => {
            each(runs, async |run| {
                run.provision(1).await;
                run.connect().await;
                run.provision(2).await;
            })
            .await;
        }
        Scenario::WrongCredential | Scenario::Expired | Scenario::Unknown | Scenario::Disabled => {
            each(runs, async |run| run.register().await).await;
        }
        Scenario::UnknownScope => {
            each(runs, async |run| {
                if run.is_connected() {
                    run.register().await;
                }
            })
            .await;
        }
        Scenario::KeptOut => {
            // Rules change under open connections.
            site.keep_out(true).await;
            each(runs, async |run| run.register().await).await;
            each(runs, async |run| {
                run.connect().await;
                run.register().await;
            })
            .await;
            site.keep_out(false).await;
            each(runs, async |run| {
                run.connect().await;
                run.provision(1).await;
            })
            .await;
        }
        Scenario::WrongAnswer => {
            each(runs, async |run| {
                assert!(run.challenge().await.is_some());
                run.answer_with(&Secret::new(vec![6; 32])).await;
                run.register().await;
            })
            .await;
        }
        Scenario::ThrottledRegistering => {
            each(runs, async |run| run.register().await).await;
            // Longer than anybody was told, and shorter than their places are held.
            site.clock.advance(10);
            each(runs, async |run| run.provision(1).await).await;
        }
        Scenario::ThrottledPolling => throttled_polling(site, runs).await,
        Scenario::HubFailsOnce => {
            site.hubs.be(Mood::FailsOnce);
            site.hubs.hold(true);
            each(runs, async |run| {
                run.register().await;
                run.poll().await;
            })
            .await;
            site.hubs.hold(false);
            each(runs, async |run| {
                run.ended(1).await;
                run.poll().await;
            })
            .await;
        }
        Scenario::HubRefuses => {
            site.hubs.be(Mood::Refuses);
            each(runs, async |run| run.provision(1).await).await;
        }
        Scenario::CustomPayload => {
            each(runs, async |run| {
                run.register_with(Some(PAYLOAD)).await;
                run.ended(1).await;
                run.poll().await;
            })
            .await;
        }
        Scenario::DropAfterConnect
        | Scenario::DropAfterChallenge
        | Scenario::DropBeforeAdmission
        | Scenario::DropAfterRequest
        | Scenario::DropAfterAdmission
        | Scenario::DropAfterPoll => dropped(scenario, site, runs).await,
    }
}

async fn throttled_polling(site: &Site, runs: &mut [Run<'_>]) {
    let Throttles { polls: Some(rate), .. } = Profile::SelfHosted.throttles() else { panic!("no limit") };
    each(runs, async |run| {
        run.register().await;
        run.ended(1).await;
        for _ in 0..=rate.requests {
            run.poll().await;
        }
    })
    .await;
    site.clock.advance(i64::from(rate.seconds));
    each(runs, async |run| run.poll().await).await;
}

/// The connection is cut after a step; then the device comes anew.
async fn dropped(scenario: Scenario, site: &Site, runs: &mut [Run<'_>]) {
    match scenario {
        Scenario::DropAfterConnect => {
            each(runs, async |run| {
                run.connect().await;
                run.provision(1).await;
            })
            .await;
        }
        Scenario::DropAfterChallenge => {
            each(runs, async |run| {
                assert!(run.challenge().await.is_some());
                run.connect().await;
                run.provision(1).await;
            })
            .await;
        }
        Scenario::DropBeforeAdmission => {
            each(runs, async |run| assert!(run.prove().await)).await;
            site.store.hold(true);
            each(runs, async |run| {
                run.register_unheard().await;
                site.store.asked_for(&run.device.id).await;
                run.drop_connection();
            })
            .await;
            site.store.hold(false);
            each(runs, async |run| {
                run.ended(1).await;
                run.connect().await;
                run.provision(2).await;
            })
            .await;
        }
        Scenario::DropAfterRequest => {
            // The hub says when the request has come so far that it is durable: then nobody is there any more.
            site.hubs.hold(true);
            each(runs, async |run| {
                run.register_unheard().await;
                site.hubs.asked_for(&run.device.id).await;
                run.drop_connection();
            })
            .await;
            site.hubs.hold(false);
            each(runs, async |run| {
                run.ended(1).await;
                run.connect().await;
                run.provision(2).await;
            })
            .await;
        }
        Scenario::DropAfterAdmission => {
            each(runs, async |run| {
                run.register().await;
                run.ended(1).await;
                run.connect().await;
                run.provision(2).await;
            })
            .await;
        }
        _ => {
            // Its operation still runs when it comes anew.
            site.hubs.hold(true);
            each(runs, async |run| {
                run.register().await;
                run.poll().await;
                run.connect().await;
                run.register().await;
            })
            .await;
            site.hubs.hold(false);
            each(runs, async |run| {
                run.ended(run.operations.len()).await;
                run.poll().await;
            })
            .await;
        }
    }
}

/// A device whose mechanism the protocol does not offer asks all the same.
pub async fn play_not_offered(runs: &mut [Run<'_>]) {
    each(runs, async |run| {
        run.connect().await;
        if run.is_connected() {
            assert!(run.challenge().await.is_none(), "challenged over {}", run.medium.name());
        }
    })
    .await;
}

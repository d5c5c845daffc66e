//! What an operation will do: decided and chosen when a device registers, or once its webhook has answered.
//! Owns the way from an enrollment and a device to a plan, pure throughout; must not carry one out (`operation` does).

use dps_attestation::Attested;
use dps_events::Allocation;
use dps_model::enrollment::{AllocationPolicy, DeviceCapabilities, InitialTwin};
use dps_model::hub::{HubAuthentication, HubDevice, HubTwin, LinkedHub};
use dps_model::instance::Instance;
use dps_model::registration::{DeviceRegistration, Substatus};
use dps_model::{ApiVersion, DeviceId, Error, ErrorCode, HubName, RegistrationId, Secret};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::allocation::custom::{self, Question};
use crate::allocation::{self, Client};
use crate::enrollment::Found;
use crate::registration::{Identities, Identity, RegistrationRecord};
use crate::reprovision::{self, Decision, TwinStart};

/// What an admitted operation begins with.
#[derive(Clone)]
pub enum Work {
    /// Ask a webhook; its answer makes the plan.
    Ask(Box<Ask>),
    /// Carry out a plan.
    Plan(Box<Plan>),
}

/// All of a plan but the hub.
#[derive(Clone, Serialize, Deserialize)]
pub struct Draft {
    /// Id on the hub.
    pub device_id: DeviceId,
    /// Capabilities on the hub.
    pub capabilities: DeviceCapabilities,
    /// X.509 credential on the hub; a symmetric one is sealed.
    pub thumbprint: Option<String>,
    /// The enrollment's initial twin.
    pub initial_twin: Option<HubTwin>,
    /// What is to be done with the device.
    pub decision: Decision,
}

/// What a webhook is asked, durable before it is.
#[derive(Clone, Serialize, Deserialize)]
pub struct Ask {
    /// The URL and the body: sealed.
    #[serde(skip)]
    pub sealed: Option<SealedAsk>,
    /// The URL without what opens it.
    pub shown_url: String,
    /// The hubs that the webhook is told of.
    pub offered: Vec<HubName>,
    /// What the plan will be.
    pub draft: Draft,
    /// Retries made so far.
    pub retries: u32,
}

/// The sealed part of an `Ask`.
#[derive(Clone)]
pub struct SealedAsk {
    /// Where.
    pub url: Secret,
    /// What: the device's payload is in it.
    pub body: String,
}

/// What an operation does, decided and durable before any hub is written.
#[derive(Clone, Serialize, Deserialize)]
pub struct Plan {
    /// The hub.
    pub hub: HubName,
    /// Id on the hub.
    pub device_id: DeviceId,
    /// Capabilities on the hub.
    pub capabilities: DeviceCapabilities,
    /// X.509 credential on the hub; a symmetric one is sealed.
    pub thumbprint: Option<String>,
    /// The twin to start with; none leaves the twin alone. Sealed: a carried one holds what a device reported.
    #[serde(default, skip_serializing)]
    pub twin: Option<HubTwin>,
    /// What the record will say.
    pub substatus: Substatus,
    /// Attempts made at the hubs so far.
    pub attempts: u32,
    /// The identity that the device had.
    #[serde(default)]
    pub origin: Option<Identity>,
    /// True while the twin of `origin` is still to be read.
    #[serde(default)]
    pub reads_twin: bool,
    /// What becomes of the twin, for the event.
    #[serde(default)]
    pub fate: TwinFate,
    /// An operation that did not succeed may have left a carried twin at the target: the identity is made anew.
    #[serde(default)]
    pub stale_target: bool,
    /// What a webhook has for the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
}

/// What becomes of a device's twin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TwinFate {
    /// It begins with the initial twin, on the device's first hub.
    #[default]
    Initial,
    /// It stays as it is.
    Kept,
    /// It moves with the device.
    Carried,
    /// It moves, but the hub did not take what the device reported.
    CarriedWithoutReported,
    /// The device moves and begins with the initial twin.
    Reset,
    /// It should have moved, and there was none to read.
    Lost,
}

impl TwinFate {
    /// As events say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Kept => "kept",
            Self::Carried => "carried",
            Self::CarriedWithoutReported => "carriedWithoutReported",
            Self::Reset => "reset",
            Self::Lost => "lost",
        }
    }
}

/// Who registers, under what.
pub struct Applicant<'a> {
    /// The enrollment.
    pub found: &'a Found,
    /// What was proven.
    pub attested: &'a Attested,
    /// The device.
    pub registration_id: &'a RegistrationId,
    /// Its last registration.
    pub last: Option<&'a RegistrationRecord>,
    /// What it sent.
    pub registration: &'a DeviceRegistration,
    /// In which version.
    pub api_version: ApiVersion,
    /// From where.
    pub client: Client<'a>,
}

/// Decides and chooses: what the operation will do is settled here, before anything is written anywhere.
/// Errors: no hub may be used, or the one that the device must stay on is not linked.
pub fn make(applicant: &Applicant<'_>, instance: &Instance) -> Result<(Work, Allocation), Error> {
    let settings = applicant.found.settings();
    let decision = reprovision::decide(applicant.last, settings, applicant.api_version);
    let home = decision.home();
    let kept = match &decision {
        Decision::Keep { home } => Some(instance.hub(&home.hub).ok_or_else(|| out_of_reach(home))?),
        Decision::Assign | Decision::Reevaluate { .. } => None,
    };
    let draft = Draft {
        device_id: applicant.found.device_id(applicant.registration_id, home.map(|home| &home.device_id)),
        capabilities: settings.capabilities.unwrap_or_default(),
        thumbprint: match applicant.attested.authentication() {
            HubAuthentication::SelfSigned { primary_thumbprint, .. } => Some(primary_thumbprint.clone()),
            HubAuthentication::Sas { .. } => None,
        },
        initial_twin: settings.initial_twin.as_ref().map(initial_twin),
        decision,
    };
    let by = |policy| Allocation { policy, region: None, scores: Vec::new() };
    let custom = settings
        .custom_allocation_definition
        .as_ref()
        .filter(|_| settings.allocation_policy == Some(AllocationPolicy::Custom));
    if let Some(definition) = custom {
        let hubs = kept.map_or_else(|| allocation::candidates(settings, instance), |hub| vec![hub]);
        if hubs.is_empty() {
            return Err(allocation::no_hub(settings, instance));
        }
        let body = custom::request_body(&question(applicant, &draft, &hubs), definition)?;
        let ask = Ask {
            sealed: Some(SealedAsk { url: definition.webhook_url.clone().into(), body }),
            shown_url: crate::event::bounded(&definition.masked_url()),
            offered: hubs.iter().map(|hub| hub.name.clone()).collect(),
            draft,
            retries: 0,
        };
        return Ok((Work::Ask(Box::new(ask)), by("custom")));
    }
    let (hub, allocation) = match kept {
        Some(hub) => (hub, by("kept")),
        None => allocation::choose(settings, instance, applicant.registration_id, applicant.client)?,
    };
    let unfinished = applicant.last.map(Unfinished::of).unwrap_or_default();
    let plan = draft.plan(hub.name.clone(), &unfinished, instance);
    Ok((Work::Plan(Box::new(plan)), allocation))
}

fn question<'a>(applicant: &'a Applicant<'_>, draft: &'a Draft, hubs: &'a [&'a LinkedHub]) -> Question<'a> {
    Question {
        found: applicant.found,
        registration_id: applicant.registration_id,
        home: draft.decision.home(),
        registration: applicant.registration,
        hubs,
    }
}

fn out_of_reach(home: &Identity) -> Error {
    Error::new(ErrorCode::HubNotFound).because(format!(
        "the reprovision policy keeps the device on hub {}, which is not linked; link it again, change the policy, or \
         delete the registration",
        home.hub
    ))
}

/// What operations that did not succeed have left.
#[derive(Clone, Default)]
pub struct Unfinished {
    identities: Identities,
    /// One of them had read the twin that it was to carry, and may have written it.
    carried: bool,
}

impl Unfinished {
    /// What a registration remembers of them.
    pub fn of(record: &RegistrationRecord) -> Self {
        Self { identities: record.identities.clone(), carried: record.carried.is_some() }
    }
}

impl Draft {
    /// The plan, now that the hub is known.
    pub fn plan(&self, hub: HubName, unfinished: &Unfinished, instance: &Instance) -> Plan {
        let home = self.decision.home();
        let linked = home.is_some_and(|home| instance.hub(&home.hub).is_some());
        let target = Identity { hub, device_id: self.device_id.clone() };
        let (substatus, start) = self.decision.settle(&target, linked);
        // One that failed may have removed the very identity that the device is to keep.
        let doubted = !unfinished.identities.strays.is_empty();
        let (twin, reads_twin, fate) = match start {
            TwinStart::Kept if doubted => (self.initial_twin.clone(), true, TwinFate::Kept),
            TwinStart::Kept => (None, false, TwinFate::Kept),
            TwinStart::Carried => (self.initial_twin.clone(), true, TwinFate::Carried),
            TwinStart::Initial if home.is_some() => (self.initial_twin.clone(), false, TwinFate::Reset),
            TwinStart::Initial => (self.initial_twin.clone(), false, TwinFate::Initial),
        };
        Plan {
            stale_target: unfinished.carried
                && unfinished.identities.strays.iter().any(|stray| stray.is(&target)),
            hub: target.hub,
            device_id: target.device_id,
            capabilities: self.capabilities,
            thumbprint: self.thumbprint.clone(),
            twin,
            substatus,
            attempts: 0,
            origin: home.cloned(),
            reads_twin,
            fate,
            payload: None,
        }
    }
}

impl Plan {
    /// The identity that the operation writes.
    pub fn identity(&self) -> Identity {
        Identity { hub: self.hub.clone(), device_id: self.device_id.clone() }
    }

    /// The identity as the hub gets it.
    pub fn hub_device(&self, credential: &HubAuthentication) -> HubDevice {
        HubDevice {
            device_id: self.device_id.clone(),
            authentication: credential.clone(),
            capabilities: self.capabilities,
        }
    }

    /// Takes note of what was read at the origin: its twin, or that there is none. `kept` is what an operation that
    /// did not succeed had read there before.
    pub fn twin_read(&mut self, read: Option<HubTwin>, kept: Option<&HubTwin>) {
        self.reads_twin = false;
        let stays = self.origin.as_ref().is_some_and(|origin| origin.is(&self.identity()));
        match (read, kept) {
            (Some(_), _) if stays => self.twin = None,
            (Some(twin), _) => self.twin = Some(twin),
            (None, Some(twin)) => {
                self.twin = Some(twin.clone());
                self.fate = TwinFate::Carried;
            }
            (None, None) => {
                self.fate = TwinFate::Lost;
                if self.substatus == Substatus::DeviceDataMigrated {
                    self.substatus = Substatus::DeviceDataReset;
                }
            }
        }
    }
}

/// An enrollment's initial twin as a hub gets it.
pub fn initial_twin(twin: &InitialTwin) -> HubTwin {
    let desired = twin.properties.as_ref().and_then(|properties| properties.desired.clone());
    HubTwin {
        tags: twin.tags.clone().unwrap_or_default(),
        desired: desired.unwrap_or_default(),
        reported: serde_json::Map::new(),
    }
}

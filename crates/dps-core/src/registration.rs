//! The registration record: a device's state, its current operation and what the operation needs to end.
//! Owns the document's form; must not know who writes it when (`provisioning` admits, `operation` ends).

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_model::hub::{HubAuthentication, HubTwin};
use dps_model::registration::{
    DeviceRegistrationResult, GroupResult, RegistrationOperationStatus, Status, TpmResult,
};
use dps_model::{
    DeviceId, Error, Etag, HubName, OperationId, Protocol, RegistrationId, Secret, Timestamp, limits,
};
use serde::{Deserialize, Serialize};

use crate::plan::{Ask, Plan, SealedAsk, Work};
use crate::ports::{Collection, Document, Precondition, Write};

/// One device's registration.
#[derive(Clone, Serialize, Deserialize)]
pub struct RegistrationRecord {
    /// What the APIs show; its etag is the document's.
    pub state: DeviceRegistrationResult,
    /// The enrollment that let the device in.
    pub enrollment: EnrollmentName,
    /// What proved the device at its last register request.
    pub proof: Proof,
    /// The last operation.
    pub operation: Option<OperationRecord>,
    /// Where the device has an identity, or may have one.
    #[serde(default)]
    pub identities: Identities,
    /// The twin that a move has read from `home` and not yet brought to its end: while it is here, `home` may be gone
    /// already. Sealed.
    #[serde(skip)]
    pub carried: Option<HubTwin>,
}

/// A device's identity on a hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The hub.
    pub hub: HubName,
    /// Its id there.
    pub device_id: DeviceId,
}

/// A device's identities over all hubs: one when its last operation succeeded. An operation that failed or was
/// replaced may have written another, and only what is remembered can be removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identities {
    /// Where the last operation that succeeded put the device.
    pub home: Option<Identity>,
    /// Where later ones may have put it; the next that succeeds removes them.
    pub strays: Vec<Identity>,
}

impl Identity {
    /// The same device on the same hub?
    pub fn is(&self, other: &Self) -> bool {
        self.device_id == other.device_id && self.hub.key() == other.hub.key()
    }
}

impl Identities {
    /// Those that must go when the device is at `target`.
    pub fn others(&self, target: &Identity) -> impl Iterator<Item = &Identity> {
        self.home.iter().chain(&self.strays).filter(move |identity| !identity.is(target))
    }

    fn may_be_at(&mut self, target: Identity) {
        if self.home.iter().chain(&self.strays).any(|known| known.is(&target)) {
            return;
        }
        if self.strays.len() >= limits::MAX_STRAY_IDENTITIES {
            self.strays.remove(0);
        }
        self.strays.push(target);
    }
}

/// Which enrollment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EnrollmentName {
    /// The individual enrollment of the same registration id.
    Individual,
    /// A group, by its id as its creator spelt it.
    Group(String),
}

/// What a poll may show to continue an attested registration: the same certificate, or the very same token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proof {
    /// SHA-256 thumbprint of the leaf.
    Certificate(String),
    /// Hash of the SAS token's signature, and its expiry.
    SasToken(String),
}

/// An operation: running while `ask` or `plan` is there.
#[derive(Clone, Serialize, Deserialize)]
pub struct OperationRecord {
    /// Its id.
    pub id: OperationId,
    /// Ids of earlier operations that a late poll may still name.
    pub superseded: Vec<OperationId>,
    /// When it was admitted.
    pub admitted: Timestamp,
    /// The protocol of the register request.
    pub protocol: Protocol,
    /// What a webhook is asked before there is a plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<Ask>,
    /// What is to be done; none when it has ended.
    pub plan: Option<Plan>,
    /// Not before that time is it tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume_at: Option<Timestamp>,
}

impl OperationRecord {
    fn thumbprint(&self) -> Option<&String> {
        let asked = self.ask.as_ref().and_then(|ask| ask.draft.thumbprint.as_ref());
        self.plan.as_ref().map_or(asked, |plan| plan.thumbprint.as_ref())
    }
}

/// What of a registration must not be readable at rest.
#[derive(Default, Serialize, Deserialize)]
struct Sealed {
    /// Keys of a running operation, base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    primary: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secondary: Option<String>,
    /// URL and body of what a webhook is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    webhook: Option<(String, String)>,
    /// Twin of a plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    twin: Option<HubTwin>,
    /// Twin of a move that has not succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    carried: Option<HubTwin>,
}

/// A record with the version it was read or written at.
pub struct Versioned {
    /// The record.
    pub record: RegistrationRecord,
    /// Its version.
    pub etag: Etag,
    /// What the device proves itself with at the hub; only while an operation runs.
    pub credential: Option<HubAuthentication>,
}

impl Versioned {
    /// Reads the stored document. Errors name the document, never its sealed part.
    pub fn read(document: &Document) -> Result<Self, Error> {
        let damaged = |what: &str, why: String| {
            Error::internal(format!("{what} of registration {} is damaged: {why}", document.id))
        };
        let mut record: RegistrationRecord =
            serde_json::from_str(&document.body).map_err(|error| damaged("the body", error.to_string()))?;
        let sealed: Sealed = match &document.sealed {
            Some(sealed) => serde_json::from_slice(sealed.expose())
                .map_err(|_| damaged("the sealed part", "it is not as it was written".into()))?,
            None => Sealed::default(),
        };
        let credential = if record.runs() {
            match record.operation.as_ref().and_then(OperationRecord::thumbprint) {
                Some(thumbprint) => Some(HubAuthentication::SelfSigned {
                    primary_thumbprint: thumbprint.clone(),
                    secondary_thumbprint: None,
                }),
                None => sealed.keys().map_err(|why| damaged("the sealed part", why.into()))?,
            }
        } else {
            None
        };
        sealed.open_into(&mut record);
        Ok(Self { record, etag: document.etag.clone(), credential })
    }
}

impl RegistrationRecord {
    /// The write that stores this record as a new version, if the stored one is still `expected`.
    pub fn write(
        &self,
        instance: &str,
        expected: Option<&Etag>,
        credential: Option<&HubAuthentication>,
        due: Option<Timestamp>,
    ) -> Result<(Write, Etag), Error> {
        let etag = Etag::fresh();
        let mut stored = self.clone();
        stored.state.etag = None;
        let document = Document {
            id: self.state.registration_id.key(),
            etag: etag.clone(),
            body: serde_json::to_string(&stored).map_err(Error::internal)?,
            sealed: Sealed::of(self, credential).close()?,
            owner: match &self.enrollment {
                EnrollmentName::Group(id) => Some(id.to_ascii_lowercase()),
                EnrollmentName::Individual => None,
            },
            due: due.map(Timestamp::millis),
            lookups: Vec::new(),
        };
        let precondition = expected.map_or(Precondition::Absent, |etag| Precondition::Matches(etag.clone()));
        let write = Write::Put {
            collection: Collection::Registrations,
            instance: instance.to_owned(),
            document,
            precondition,
        };
        Ok((write, etag))
    }

    /// This record with its operation's work: the operation runs.
    pub fn planned(mut self, work: Work) -> Self {
        match (work, &mut self.operation) {
            (Work::Plan(plan), Some(_)) => self.decided(*plan),
            (Work::Ask(ask), Some(operation)) => operation.ask = Some(*ask),
            (_, None) => {}
        }
        self
    }

    /// Notes the plan, and with it where an identity may be from now on.
    pub fn decided(&mut self, plan: Plan) {
        if let Some(operation) = &mut self.operation {
            self.identities.may_be_at(plan.identity());
            (operation.ask, operation.plan) = (None, Some(plan));
        }
    }

    /// This record after its operation has ended.
    pub fn ended(mut self, ended: Result<(), &Error>, now: Timestamp) -> Self {
        let plan = self.operation.as_mut().and_then(|operation| {
            (operation.ask, operation.resume_at) = (None, None);
            operation.plan.take()
        });
        let state = &mut self.state;
        state.last_updated_date_time_utc = Some(now);
        (state.error_code, state.error_message, state.payload) = (None, None, None);
        match (ended, plan) {
            (Ok(()), Some(plan)) => {
                self.identities = Identities { home: Some(plan.identity()), strays: Vec::new() };
                self.carried = None;
                state.status = Status::Assigned;
                state.assigned_hub = Some(plan.hub);
                state.device_id = Some(plan.device_id);
                state.substatus = Some(plan.substatus);
                state.payload = plan.payload;
            }
            (Ok(()), None) => {}
            (Err(error), _) => {
                state.status = Status::Failed;
                (state.assigned_hub, state.device_id, state.substatus) = (None, None, None);
                state.error_code = Some(error.code.row().code);
                state.error_message = Some(error.message.clone().into_owned());
            }
        }
        self
    }

    /// Is its operation running?
    pub fn runs(&self) -> bool {
        self.asking().is_some() || self.running().is_some()
    }

    /// What a webhook is to be asked.
    pub fn asking(&self) -> Option<&Ask> {
        self.operation.as_ref()?.ask.as_ref()
    }

    /// The running operation and its plan.
    pub fn running(&self) -> Option<(&OperationRecord, &Plan)> {
        let operation = self.operation.as_ref()?;
        Some((operation, operation.plan.as_ref()?))
    }

    /// True when a poll for that id means this record's operation, or one that it replaced.
    pub fn answers_for(&self, id: &OperationId) -> bool {
        self.operation
            .as_ref()
            .is_some_and(|operation| operation.id == *id || operation.superseded.contains(id))
    }

    /// Answer to an operation status poll.
    pub fn status(&self, id: &OperationId, etag: &Etag) -> RegistrationOperationStatus {
        RegistrationOperationStatus {
            operation_id: id.as_str().to_owned(),
            status: self.state.status,
            registration_state: Some(self.shown(etag)),
        }
    }

    /// The state as the APIs show it.
    pub fn shown(&self, etag: &Etag) -> DeviceRegistrationResult {
        match self.state.status {
            // While it runs a client needs these two and nothing else (wire-protocol facts §0.9).
            Status::Assigning => {
                DeviceRegistrationResult::bare(self.state.registration_id.clone(), Status::Assigning)
            }
            _ => DeviceRegistrationResult { etag: Some(etag.clone()), ..self.state.clone() },
        }
    }
}

/// The next operation of a registration: remembers the ids it replaces.
pub fn next_operation(
    registration_id: &RegistrationId,
    previous: Option<&OperationRecord>,
    now: Timestamp,
    protocol: Protocol,
) -> OperationRecord {
    let mut superseded: Vec<OperationId> = previous
        .map(|last| std::iter::once(&last.id).chain(&last.superseded).cloned().collect())
        .unwrap_or_default();
    superseded.truncate(limits::MAX_SUPERSEDED_OPERATIONS);
    let mut hasher = DefaultHasher::new();
    registration_id.key().hash(&mut hasher);
    let id = OperationId::fresh(hasher.finish());
    OperationRecord { id, superseded, admitted: now, protocol, ask: None, plan: None, resume_at: None }
}

/// The attestation member of a result: present and perhaps empty for the mechanism in use. `hub_key_blob` is a TPM's.
pub fn name_mechanism(
    state: &mut DeviceRegistrationResult,
    proof: &Proof,
    enrollment: &EnrollmentName,
    hub_key_blob: Option<String>,
) {
    let group = GroupResult {
        enrollment_group_id: match enrollment {
            EnrollmentName::Group(id) => Some(id.clone()),
            EnrollmentName::Individual => None,
        },
    };
    (state.tpm, state.x509, state.symmetric_key) = match (hub_key_blob, proof) {
        (Some(blob), _) => (Some(TpmResult { authentication_key: Some(blob) }), None, None),
        (None, Proof::Certificate(_)) => (None, Some(group), None),
        (None, Proof::SasToken(_)) => (None, None, Some(group)),
    };
}

impl Sealed {
    fn of(record: &RegistrationRecord, credential: Option<&HubAuthentication>) -> Self {
        let (primary, secondary) = match credential {
            Some(HubAuthentication::Sas { primary, secondary }) => {
                (Some(STANDARD.encode(primary.expose())), Some(STANDARD.encode(secondary.expose())))
            }
            Some(HubAuthentication::SelfSigned { .. }) | None => (None, None),
        };
        let asked = record.asking().and_then(|ask| ask.sealed.as_ref());
        Self {
            primary,
            secondary,
            webhook: asked
                .map(|asked| (String::from_utf8_lossy(asked.url.expose()).into_owned(), asked.body.clone())),
            twin: record.running().and_then(|(_, plan)| plan.twin.clone()),
            carried: record.carried.clone(),
        }
    }

    /// The bytes to seal; none where there is nothing.
    fn close(&self) -> Result<Option<Secret>, Error> {
        let bytes = serde_json::to_vec(self).map_err(Error::internal)?;
        Ok((bytes != b"{}").then(|| Secret::new(bytes)))
    }

    /// The keys, where there are any.
    fn keys(&self) -> Result<Option<HubAuthentication>, &'static str> {
        let decode = |text: &String| STANDARD.decode(text).map(Secret::new).map_err(|_| "a key is no base64");
        match (&self.primary, &self.secondary) {
            (Some(primary), Some(secondary)) => {
                let (primary, secondary) = (decode(primary)?, decode(secondary)?);
                Ok(Some(HubAuthentication::Sas { primary, secondary }))
            }
            (None, None) => Ok(None),
            _ => Err("a key is missing"),
        }
    }

    /// Puts the rest where it belongs.
    fn open_into(self, record: &mut RegistrationRecord) {
        record.carried = self.carried;
        let Some(operation) = &mut record.operation else { return };
        if let (Some(ask), Some((url, body))) = (&mut operation.ask, self.webhook) {
            ask.sealed = Some(SealedAsk { url: url.into(), body });
        }
        if let (Some(plan), Some(twin)) = (&mut operation.plan, self.twin) {
            plan.twin = Some(twin);
        }
    }
}

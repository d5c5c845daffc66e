//! What a rehearsal tells: each step of the line in words, and what the device would come to. Owns the words; must not
//! decide anything: all of it is read from how the line ended and from its record.

use dps_attestation::Attested;
use dps_events::{AttemptRecord, Enrollment};
use dps_model::enrollment::EnrollmentSettings;
use dps_model::instance::Instance;
use dps_model::registration::Substatus;
use dps_model::{Error, Timestamp};

use super::End;
use crate::evidence::{Halt, Proven};
use crate::line::Course;
use crate::plan::{Ask, Plan, TwinFate, Work};
use crate::registration::Versioned;
use crate::reprovision::Decision;
use crate::request::{DeviceOperation, DeviceRequest};

/// What a rehearsal came to.
pub struct Rehearsal {
    /// What the device would meet.
    pub foreseen: Foreseen,
    /// One sentence about it.
    pub summary: String,
    /// The failure that the device would be told, or would find in its registration.
    pub error: Option<Error>,
    /// Every step, in order; those behind a failure were not reached.
    pub steps: Vec<Step>,
    /// The enrollment that decides.
    pub enrollment: Option<Enrollment>,
    /// The hub, where it is known.
    pub hub: Option<String>,
    /// Id on the hub.
    pub device_id: Option<String>,
    /// How it would come there.
    pub substatus: Option<Substatus>,
    /// What would become of its twin.
    pub twin: Option<&'static str>,
    /// The record of the attempt, as the log of attempts would have it.
    pub record: Box<AttemptRecord>,
}

impl Rehearsal {
    /// The same where the hub, when it was asked last, did not take the service's call: who is put on it, fails.
    pub(super) fn on_broken_link(mut self, error: Error, since: Timestamp) -> Self {
        if self.foreseen != Foreseen::Assigned {
            return self;
        }
        let hub = self.hub.as_deref().unwrap_or("a hub");
        let why = error.cause.as_deref().unwrap_or(&error.message);
        self.summary = format!(
            "The device would be let in, and fail: {hub} does not take this service's calls since {since}: {why}. Mend the \
             link, not the device."
        );
        if let Some(last) = self.steps.last_mut() {
            last.result = StepResult::Failed;
            last.detail = format!("{hub} does not take this service's calls since {since}: {why}");
        }
        self.foreseen = Foreseen::Failed;
        self.error = Some(error);
        self
    }
}

/// What a device would meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreseen {
    /// It would be put on a hub.
    Assigned,
    /// It would get the operation that is under way.
    UnderWay,
    /// A webhook would be asked for its hub.
    WebhookAsked,
    /// Its TPM would be challenged.
    Challenged,
    /// It would be told that its enrollment is disabled.
    Disabled,
    /// It would be refused.
    Refused,
    /// It would be let in, and its operation would fail.
    Failed,
}

impl Foreseen {
    /// As the API names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Assigned => "wouldBeAssigned",
            Self::UnderWay => "wouldBeUnderWay",
            Self::WebhookAsked => "wouldAskWebhook",
            Self::Challenged => "wouldBeChallenged",
            Self::Disabled => "wouldBeDisabled",
            Self::Refused => "wouldBeRefused",
            Self::Failed => "wouldFail",
        }
    }

    /// Would the device get any further than this?
    pub const fn is_accepted(self) -> bool {
        matches!(self, Self::Assigned | Self::UnderWay | Self::WebhookAsked | Self::Challenged)
    }
}

/// One step of the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Stable name.
    pub name: &'static str,
    /// In words.
    pub title: &'static str,
    /// How it went.
    pub result: StepResult,
    /// What was found; empty where it was not reached.
    pub detail: String,
    /// How long it took, where that is measured.
    pub micros: Option<u64>,
}

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepResult {
    /// As it must.
    Ok,
    /// The device gets no further.
    Failed,
    /// It cannot be told without the device, or without asking somebody.
    Open,
    /// Something before it failed.
    NotReached,
}

impl StepResult {
    /// As the API names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Open => "open",
            Self::NotReached => "notReached",
        }
    }
}

/// What the report is made of, besides the end.
pub(super) struct Ground<'a> {
    pub(super) instance: &'a Instance,
    pub(super) request: &'a DeviceRequest,
    pub(super) previous: Option<&'a Versioned>,
    pub(super) webhooked: Option<Webhooked>,
}

/// What a webhook said, and the plan made of it.
pub(super) struct Webhooked {
    pub(super) said: String,
    pub(super) plan: Result<Box<Plan>, Error>,
}

/// The steps, in order: stable names and titles.
const STEPS: [(&str, &str); 10] = [
    ("service", "Find the provisioning service"),
    ("address", "Pass the IP filter"),
    ("registrationId", "Read the registration id"),
    ("evidence", "Read the evidence"),
    ("findEnrollment", "Find the enrollment"),
    ("verify", "Verify the evidence"),
    ("status", "Check that the enrollment is enabled"),
    ("reprovision", "Decide what becomes of the registration"),
    ("allocate", "Choose the hub"),
    ("twin", "Prepare the identity on the hub"),
];

const ENABLED: &str = "its provisioningStatus is enabled";

/// Steps so far.
struct Told<'a> {
    steps: Vec<Step>,
    record: &'a AttemptRecord,
}

impl Told<'_> {
    fn tell(&mut self, result: StepResult, detail: impl Into<String>) {
        let Some((name, title)) = STEPS.get(self.steps.len()).copied() else { return };
        let micros = self.record.steps.iter().find(|step| step.name == name).map(|step| step.micros);
        self.steps.push(Step { name, title, result, detail: detail.into(), micros });
    }

    fn ok(&mut self, detail: impl Into<String>) {
        self.tell(StepResult::Ok, detail);
    }

    fn fail(&mut self, error: &Error) {
        let why = error.cause.as_ref().unwrap_or(&error.message);
        self.tell(StepResult::Failed, why.clone());
    }

    fn finish(mut self) -> Vec<Step> {
        while self.steps.len() < STEPS.len() {
            self.tell(StepResult::NotReached, "");
        }
        self.steps
    }
}

/// The report.
pub(super) fn make(ground: &Ground<'_>, end: &End, record: Box<AttemptRecord>) -> Rehearsal {
    let mut told = Told { steps: Vec::with_capacity(STEPS.len()), record: &record };
    tell(&mut told, ground, end);
    let steps = told.finish();
    let (foreseen, error) = foreseen(ground, end);
    let plan = plan(ground, end);
    let running = ground.previous.and_then(|kept| kept.record.running()).map(|(_, plan)| plan);
    let running = running.filter(|_| foreseen == Foreseen::UnderWay);
    let plan = plan.or(running);
    let hub = plan.map(|plan| plan.hub.as_str().to_owned());
    Rehearsal {
        foreseen,
        summary: summary(foreseen, error.as_ref(), hub.as_deref(), &record),
        error,
        steps,
        enrollment: record.enrollment.clone(),
        device_id: plan.map(|plan| plan.device_id.as_str().to_owned()),
        substatus: plan.map(|plan| plan.substatus),
        twin: plan.map(|plan| plan.fate.as_str()),
        hub,
        record,
    }
}

fn foreseen(ground: &Ground<'_>, end: &End) -> (Foreseen, Option<Error>) {
    match end {
        End::Unaddressed(error) | End::Halted(Halt::Failed(error)) => {
            (Foreseen::Refused, Some(error.clone()))
        }
        End::Halted(Halt::Challenged(_)) => (Foreseen::Challenged, None),
        End::Course(Course::UnderWay(_)) => (Foreseen::UnderWay, None),
        End::Course(Course::Disabled(_)) => (Foreseen::Disabled, None),
        End::Course(Course::Planned(_, Err(error))) => (Foreseen::Failed, Some(error.clone())),
        End::Course(Course::Planned(_, Ok(Work::Plan(_)))) => (Foreseen::Assigned, None),
        End::Course(Course::Planned(_, Ok(Work::Ask(_)))) => {
            match ground.webhooked.as_ref().map(|asked| &asked.plan) {
                None => (Foreseen::WebhookAsked, None),
                Some(Ok(_)) => (Foreseen::Assigned, None),
                Some(Err(error)) => (Foreseen::Failed, Some(error.clone())),
            }
        }
    }
}

/// The plan, where there is one.
fn plan<'a>(ground: &'a Ground<'_>, end: &'a End) -> Option<&'a Plan> {
    match end {
        End::Course(Course::Planned(_, Ok(Work::Plan(plan)))) => Some(plan),
        _ => ground.webhooked.as_ref()?.plan.as_ref().ok().map(AsRef::as_ref),
    }
}

fn summary(foreseen: Foreseen, error: Option<&Error>, hub: Option<&str>, record: &AttemptRecord) -> String {
    let refusal = || {
        let told =
            error.map_or_else(String::new, |error| format!("{} {}", error.code.row().code, error.message));
        told.trim().to_owned()
    };
    let under = record.enrollment.as_ref().map(named).unwrap_or_default();
    match foreseen {
        Foreseen::Assigned => {
            format!("The device would be assigned to {} under {under}.", hub.unwrap_or("a hub"))
        }
        Foreseen::UnderWay => "The device would get the operation that is under way.".to_owned(),
        Foreseen::WebhookAsked => format!("The webhook of {under} would be asked for the device's hub."),
        Foreseen::Challenged => format!("The device's TPM would be challenged under {under}."),
        Foreseen::Disabled => format!("The device would be told that it is disabled: {under} is."),
        Foreseen::Refused => format!("The device would be refused: {}", refusal()),
        Foreseen::Failed => format!("The device would be let in under {under}, and fail: {}", refusal()),
    }
}

fn tell(told: &mut Told<'_>, ground: &Ground<'_>, end: &End) {
    let (instance, record) = (ground.instance, told.record);
    if record.instance.is_none() {
        if let End::Unaddressed(error) = end {
            told.fail(error);
        }
        return;
    }
    told.ok(format!("{} has the id scope {}", instance.name, instance.id_scope.as_str()));
    let address = record.peer.ip();
    if let End::Unaddressed(error) = end {
        // A reason is noted where the address is kept out, and only there.
        if record.reason.is_none() {
            told.ok(format!("{address} may call the device API"));
        }
        told.fail(error);
        return;
    }
    told.ok(format!("{address} may call the device API"));
    told.ok(record.registration_id.clone());
    let found = record.steps.iter().any(|step| step.name == "findEnrollment");
    match end {
        End::Halted(Halt::Failed(error)) if !found => {
            told.fail(error);
            return;
        }
        _ => told.ok(evidence(ground.request, record)),
    }
    enrollment(told, end);
    match end {
        End::Course(course) => admitted(told, ground, course),
        End::Halted(Halt::Challenged(_)) => told.tell(
            StepResult::Open,
            "the endorsement key is the enrollment's; whether the device holds it shows when its TPM answers",
        ),
        End::Halted(Halt::Failed(_)) | End::Unaddressed(_) => {}
    }
}

/// What the device shows, in words.
fn evidence(request: &DeviceRequest, record: &AttemptRecord) -> String {
    if let DeviceOperation::Register(body) = &request.operation
        && body.tpm.is_some()
    {
        return "a TPM's keys".to_owned();
    }
    if let Some(sas) = &record.sas {
        let expiry = Timestamp::from_millis(sas.expiry.saturating_mul(1_000));
        return format!("a SAS token for {}, good until {expiry}", sas.resource);
    }
    let Some(leaf) = record.chain.first() else {
        return "neither a SAS token nor a certificate".to_owned();
    };
    let count = match record.chain.len() {
        1 => "a certificate".to_owned(),
        more => format!("{more} certificates, the device's own"),
    };
    format!(
        "{count}: {}, issued by {}, valid until {}; that the device holds its key is assumed",
        leaf.subject, leaf.issuer, leaf.not_after
    )
}

/// The steps `findEnrollment` and, where it failed, `verify`.
fn enrollment(told: &mut Told<'_>, end: &End) {
    let record = told.record;
    let mut considered: Vec<String> =
        record.candidates.iter().map(|candidate| named(&candidate.enrollment)).collect();
    considered.extend(record.enrollment.as_ref().map(named));
    let tried = match record.groups_tried {
        0 => String::new(),
        count => format!("; the keys of {count} enrollment groups were tried"),
    };
    match (considered.is_empty(), end) {
        (true, End::Halted(Halt::Failed(error))) => {
            let why = error.cause.as_ref().unwrap_or(&error.message);
            told.tell(StepResult::Failed, format!("{why}{tried}"));
        }
        _ => told.ok(format!("{}{tried}", considered.join(", "))),
    }
    let refused: Vec<String> = record
        .candidates
        .iter()
        .map(|candidate| {
            format!("{}: {} ({})", named(&candidate.enrollment), candidate.detail, candidate.reason)
        })
        .collect();
    if let End::Halted(Halt::Failed(_)) = end
        && !refused.is_empty()
    {
        told.tell(StepResult::Failed, refused.join("; "));
    }
}

/// The steps of a device that is let in.
fn admitted(told: &mut Told<'_>, ground: &Ground<'_>, course: &Course) {
    match course {
        Course::UnderWay(operation_id) => {
            let slot = told.record.slot.unwrap_or_default();
            let under = told.record.enrollment.as_ref().map(named).unwrap_or_default();
            told.ok(format!("{under}, by its {slot} credential"));
            told.ok(ENABLED);
            told.ok(format!("operation {} is under way, and the device gets it", operation_id.as_str()));
            if let Some((_, plan)) = ground.previous.and_then(|kept| kept.record.running()) {
                told.ok(format!("{} was chosen", plan.hub));
                told.ok(format!("{} is being put on {}", plan.device_id.as_str(), plan.hub));
            }
        }
        Course::Disabled(proven) => {
            told.ok(verified(told.record, &proven.attested));
            told.tell(StepResult::Failed, "its provisioningStatus is disabled");
        }
        Course::Planned(proven, planned) => {
            told.ok(verified(told.record, &proven.attested));
            told.ok(ENABLED);
            let decision = decision(ground, proven);
            told.ok(decided(&decision));
            match planned {
                Ok(Work::Plan(plan)) => {
                    told.ok(allocated(told.record, plan));
                    told.ok(prepared(plan));
                }
                Ok(Work::Ask(ask)) => asked(told, ask, ground.webhooked.as_ref()),
                Err(error) => told.fail(error),
            }
        }
    }
}

fn verified(record: &AttemptRecord, attested: &Attested) -> String {
    let under = record.enrollment.as_ref().map(named).unwrap_or_default();
    let slot = attested.slot().as_str();
    let mut text = match (attested.kind(), attested.path()) {
        ("x509", Some(path)) => match &path.signer {
            Some(signer) => format!(
                "{under}: the chain leads to its {slot} certificate {} ({} between)",
                signer.subject_name,
                path.depth()
            ),
            None => format!("{under}: the certificate is its {slot} one"),
        },
        ("tpm", _) => format!("{under}: the TPM answered its challenge"),
        _ => format!("{under}: the token is signed with its {slot} key"),
    };
    let others = record
        .candidates
        .iter()
        .map(|candidate| format!("; not {}: {}", named(&candidate.enrollment), candidate.detail));
    text.extend(others);
    text
}

fn decision(ground: &Ground<'_>, proven: &Proven) -> Decision {
    let settings: &EnrollmentSettings = proven.found.settings();
    let version = ground.request.api_version.as_deref().and_then(dps_model::ApiVersion::parse);
    let last = ground.previous.map(|kept| &kept.record);
    crate::reprovision::decide(last, settings, version.unwrap_or(dps_model::ApiVersion::V2019_03_31))
}

fn decided(decision: &Decision) -> String {
    match decision {
        Decision::Assign => "the device has no hub: it gets one".to_owned(),
        Decision::Keep { home } => format!("the reprovision policy keeps the device on {}", home.hub),
        Decision::Reevaluate { home, migrate } => {
            let twin = if *migrate { "its twin moves with it" } else { "its twin begins anew" };
            format!("the device is on {}; the hub is chosen again, and where it moves, {twin}", home.hub)
        }
    }
}

fn allocated(record: &AttemptRecord, plan: &Plan) -> String {
    let Some(allocation) = &record.allocation else { return plan.hub.as_str().to_owned() };
    let region = allocation.region.as_ref().map(|region| format!(" from {region}")).unwrap_or_default();
    let scores: Vec<String> = allocation
        .scores
        .iter()
        .map(|score| match score.latency_ms {
            Some(latency) => format!("{} {latency} ms", score.hub),
            None => score.hub.clone(),
        })
        .collect();
    let among = if scores.is_empty() { String::new() } else { format!(", among {}", scores.join(", ")) };
    format!("{} by the policy {}{region}{among}", plan.hub, allocation.policy)
}

fn asked(told: &mut Told<'_>, ask: &Ask, webhooked: Option<&Webhooked>) {
    let offered: Vec<&str> = ask.offered.iter().map(dps_model::HubName::as_str).collect();
    let (url, offered) = (&ask.shown_url, offered.join(", "));
    match webhooked.map(|asked| (&asked.said, &asked.plan)) {
        None => told.tell(
            StepResult::Open,
            format!("the policy custom would ask {url} with the hubs {offered}; it was not asked"),
        ),
        Some((said, Ok(plan))) => {
            told.ok(format!("the policy custom asked {url} with the hubs {offered}: {said}"));
            told.ok(prepared(plan));
        }
        Some((said, Err(error))) => {
            let why = error.cause.as_ref().unwrap_or(&error.message);
            told.tell(StepResult::Failed, format!("{url} was asked with the hubs {offered}: {said}; {why}"));
        }
    }
}

fn prepared(plan: &Plan) -> String {
    let twin = match plan.fate {
        TwinFate::Initial => "with the enrollment's initial twin",
        TwinFate::Kept => "and its twin stays as it is",
        TwinFate::Carried | TwinFate::CarriedWithoutReported => "and its twin moves with it",
        TwinFate::Reset => "and its twin begins anew with the enrollment's initial twin",
        TwinFate::Lost => "and its twin is lost",
    };
    let edge = if plan.capabilities.iot_edge { ", as an IoT Edge device," } else { "" };
    format!("{} on {}{edge} {twin}; nothing was written", plan.device_id.as_str(), plan.hub)
}

fn named(enrollment: &Enrollment) -> String {
    let kind =
        if enrollment.kind == "EnrollmentGroup" { "enrollment group" } else { "individual enrollment" };
    format!("{kind} {}", enrollment.id)
}

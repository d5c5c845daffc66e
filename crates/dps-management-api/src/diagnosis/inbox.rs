//! `inbox`: devices that asked and that no enrollment knows, and what an operator does about them. Owns the JSON of a
//! group, and which enrollment lets whom in; must not know how groups are kept.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_core::Enrollments;
use dps_core::enrollment::Enrolled;
use dps_model::enrollment::{EnrollmentGroup, EnrollmentInput, IndividualEnrollment, Keys};
use dps_model::instance::Instance;
use dps_model::limits::MAX_ID_SCOPE;
use dps_model::member::Member;
use dps_model::{Error, ErrorCode};
use dps_monitor::StateError;
use dps_monitor::inbox::{Group, Inbox, InboxError, Kind};
use serde_json::{Map, Value, json};

use super::Action;
use crate::answer::Answer;
use crate::service::ManagementApi;

/// Unknown devices, and the enrollments that let them in.
#[derive(Clone)]
pub struct Unknown {
    /// Groups of them.
    pub inbox: Arc<Inbox>,
    /// Where an enrollment is made.
    pub enrollments: Arc<Enrollments>,
}

/// What an accepted group becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Individual,
    Group,
}

const WANTED: [(&str, Wanted); 2] =
    [("individualEnrollment", Wanted::Individual), ("enrollmentGroup", Wanted::Group)];

impl ManagementApi {
    /// Answers a call about the inbox; `id` names a group where the path does.
    pub(super) async fn inbox(
        &self,
        action: Action,
        instance: &Arc<Instance>,
        id: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Error> {
        let unknown = self.diagnosis.unknown.as_ref().ok_or_else(|| {
            Error::with(ErrorCode::RouteNotFound, "This server keeps no inbox of unknown devices.")
        })?;
        if action == Action::Inbox {
            let groups = unknown.inbox.list(|group| self.is_of(group, instance));
            let shown: Vec<Value> = groups.iter().map(|group| self.shown(group, instance)).collect();
            return Ok(Answer::shown(json!({"value": shown, "evicted": unknown.inbox.evicted()})));
        }
        let group = unknown.inbox.get(id).filter(|group| self.is_of(group, instance)).ok_or_else(missing)?;
        match action {
            Action::DeleteUnknown => unknown.inbox.delete(id).await.map(|()| Answer::done()).map_err(failed),
            Action::IgnoreUnknown => {
                let ignored = match body {
                    Some(body) => {
                        let body = Member::body(body)?;
                        body.only(&["ignored"])?;
                        body.get("ignored").boolean()?.unwrap_or(true)
                    }
                    None => true,
                };
                let group = unknown.inbox.set_ignored(id, ignored).await.map_err(failed)?;
                Ok(Answer::shown(self.shown(&group, instance)).changed(vec!["ignored"]))
            }
            Action::AcceptUnknown => {
                let nothing = json!({});
                accept(unknown, instance, &group, &Member::body(body.unwrap_or(&nothing))?).await
            }
            _ => Ok(Answer::shown(self.shown(&group, instance))),
        }
    }

    /// A group of an id scope that nobody has is shown by the service whose own is nearest.
    fn is_of(&self, group: &Group, instance: &Instance) -> bool {
        match &group.instance {
            Some(name) => name.eq_ignore_ascii_case(&instance.name),
            None => self.nearest(group).is_some_and(|nearest| nearest.name == instance.name),
        }
    }

    fn nearest(&self, group: &Group) -> Option<Arc<Instance>> {
        let wanted: String =
            group.about.id_scope.as_deref()?.to_ascii_lowercase().chars().take(MAX_ID_SCOPE).collect();
        let instances = self.instances.all();
        instances.into_iter().min_by_key(|instance| strsim::osa_distance(&wanted, &instance.id_scope.key()))
    }

    fn shown(&self, group: &Group, instance: &Instance) -> Value {
        let ids: Vec<&str> = group.samples.iter().map(|sample| sample.registration_id.as_str()).collect();
        let devices: Vec<Value> = group
            .samples
            .iter()
            .map(|sample| {
                json!({
                    "registrationId": sample.registration_id,
                    "count": sample.count,
                    "lastSeen": sample.last_seen,
                    "nearest": sample.nearest,
                    "hasCertificate": sample.certificate.is_some(),
                })
            })
            .collect();
        let scope = self.nearest(group).map(|nearest| nearest.id_scope.as_str().to_owned());
        let enrollment = || group.samples.iter().rev().find_map(|sample| sample.nearest.clone());
        let missing = |wanted| input(instance, group, wanted, &Map::new(), None).err();
        json!({
            "id": group.id,
            "kind": group.kind.name(),
            "title": title(group),
            "about": group.about,
            "registrationId": group.about.registration_id.as_deref().or(ids.last().copied()),
            "nearest": scope.or_else(enrollment),
            "cause": group.cause,
            "count": group.count,
            "firstSeen": group.first_seen,
            "lastSeen": group.last_seen,
            "ignored": group.ignored,
            "samples": ids,
            "devices": devices,
            "more": group.more,
            "protocols": group.protocols,
            "networks": group.networks,
            "accepts": {
                "individualEnrollment": missing(Wanted::Individual).is_none(),
                "enrollmentGroup": missing(Wanted::Group).is_none(),
            },
        })
    }
}

fn title(group: &Group) -> String {
    let about = &group.about;
    let device = || group.samples.last().map(|sample| sample.registration_id.clone());
    let text = match group.kind {
        Kind::Issuer => about.issuer.as_ref().map(|issuer| format!("Certificates of {issuer}")),
        Kind::IdScope => about.id_scope.as_ref().map(|scope| format!("ID scope {scope}")),
        Kind::SymmetricKey | Kind::NoEvidence => about.registration_id.clone(),
        Kind::Certificate | Kind::Tpm => device(),
    };
    text.unwrap_or_else(|| group.id.clone())
}

/// Makes the enrollment, and forgets whom it lets in.
async fn accept(
    unknown: &Unknown,
    instance: &Instance,
    group: &Group,
    body: &Member<'_>,
) -> Result<Answer, Error> {
    body.only(&["as", "id", "enrollment"])?;
    let wanted = body.get("as").one_of(&WANTED)?.unwrap_or(Wanted::Individual);
    let given = body.get("enrollment");
    given.object()?;
    let given = given.value().and_then(Value::as_object).cloned().unwrap_or_default();
    let made = input(instance, group, wanted, &given, body.get("id").text()?)?;
    match wanted {
        Wanted::Individual => {
            let answer = create::<IndividualEnrollment>(unknown, instance, &made).await?;
            unknown.inbox.accepted(&group.id, Some(&made.id)).await.or_else(gone)?;
            Ok(answer)
        }
        Wanted::Group => {
            let answer = create::<EnrollmentGroup>(unknown, instance, &made).await?;
            unknown.inbox.accepted(&group.id, None).await.or_else(gone)?;
            Ok(answer)
        }
    }
}

/// Somebody forgot it meanwhile: it is accepted all the same.
fn gone(error: InboxError) -> Result<(), Error> {
    if error == InboxError::Unknown { Ok(()) } else { Err(failed(error)) }
}

async fn create<E: Enrolled>(unknown: &Unknown, instance: &Instance, made: &Made) -> Result<Answer, Error> {
    let body = json!({"enrollment": made.body});
    let input = Member::body(&body)?.get("enrollment").read::<EnrollmentInput>()?.unwrap_or_default();
    let changed = unknown.enrollments.put::<E>(instance, &made.id, input, None).await?;
    let etag = changed.value.stamp().etag.clone();
    let shown = json!({"kind": kind::<E>(), "enrollment": changed.value.shown(Keys::Hidden)});
    Ok(Answer::shown(shown).versions(None, Some(etag)).changed(vec![kind::<E>()]))
}

fn kind<E: Enrolled>() -> &'static str {
    if E::ID == IndividualEnrollment::ID { "individualEnrollment" } else { "enrollmentGroup" }
}

/// An enrollment to be made.
struct Made {
    id: String,
    body: Map<String, Value>,
}

/// The enrollment that lets them in: what is `given`, with the id and the attestation that the group knows where those
/// are not said.
fn input(
    instance: &Instance,
    group: &Group,
    wanted: Wanted,
    given: &Map<String, Value>,
    id: Option<&str>,
) -> Result<Made, Error> {
    let mut body = given.clone();
    let member = match wanted {
        Wanted::Individual => "registrationId",
        Wanted::Group => "enrollmentGroupId",
    };
    let said = id.or_else(|| given.get(member).and_then(Value::as_str)).map(str::to_owned);
    let id = match (said, wanted) {
        (Some(id), _) => id,
        (None, Wanted::Individual) => own_id(group)?,
        (None, Wanted::Group) => format!("issuer-{}", group.id.chars().take(12).collect::<String>()),
    };
    if !body.contains_key("attestation") {
        let attestation = match wanted {
            Wanted::Individual => of_device(group, &id)?,
            Wanted::Group => of_issuer(instance, group)?,
        };
        body.insert("attestation".to_owned(), attestation);
    }
    body.insert(member.to_owned(), id.clone().into());
    Ok(Made { id, body })
}

/// The one device of a group.
fn own_id(group: &Group) -> Result<String, Error> {
    match group.samples.as_slice() {
        [device] if !group.more => Ok(device.registration_id.clone()),
        [] => Err(Error::argument("No device of this group is remembered; name it with id.")),
        _ => Err(Error::argument(
            "Several devices belong to this group; name one of them with id, or accept it as an enrollmentGroup.",
        )),
    }
}

fn of_device(group: &Group, id: &str) -> Result<Value, Error> {
    match group.kind {
        Kind::Issuer | Kind::Certificate => {
            let certificate = group.device(id).and_then(|device| device.certificate.as_ref());
            let certificate = certificate.ok_or_else(|| {
                Error::argument(format!(
                    "The certificate of {id} is not remembered; give it as enrollment.attestation, or let the device ask \
                     again."
                ))
            })?;
            Ok(json!({"type": "x509", "x509": {"clientCertificates": primary(certificate)}}))
        }
        Kind::Tpm => {
            let key = group.endorsement_key.as_ref();
            let key = key.ok_or_else(|| Error::argument("The endorsement key is not remembered."))?;
            Ok(json!({"type": "tpm", "tpm": {"endorsementKey": key}}))
        }
        // The device's key is not known: keys are generated, and the device must be given one of them.
        Kind::SymmetricKey | Kind::NoEvidence => Ok(json!({"type": "symmetricKey"})),
        Kind::IdScope => Err(Error::argument(
            "These devices ask an id scope that no provisioning service here has; no enrollment lets them in. Give them \
             the right id scope.",
        )),
    }
}

fn of_issuer(instance: &Instance, group: &Group) -> Result<Value, Error> {
    let Some(issuer) = group.about.issuer.as_ref().filter(|_| group.kind == Kind::Issuer) else {
        return Err(Error::argument(
            "Only devices of one certificate issuer become an enrollment group; accept it as an individualEnrollment.",
        ));
    };
    if let Some(certificate) = &group.issuer_certificate {
        return Ok(json!({"type": "x509", "x509": {"signingCertificates": primary(certificate)}}));
    }
    let uploaded = instance.certificates.iter().find(|known| known.certificate.info.subject_name == *issuer);
    if let Some(known) = uploaded {
        return Ok(json!({"type": "x509", "x509": {"caReferences": {"primary": known.name}}}));
    }
    let key = group.about.authority_key_id.as_deref().unwrap_or("unknown");
    Err(Error::argument(format!(
        "The certificate of {issuer} (key id {key}) is missing: no device presented it. Upload it as a CA certificate, or \
         give it as enrollment.attestation.x509.signingCertificates."
    )))
}

fn primary(der: &[u8]) -> Value {
    json!({"primary": {"certificate": STANDARD.encode(der)}})
}

fn missing() -> Error {
    Error::with(
        ErrorCode::InstanceNotFound,
        "The inbox has no group of that id; it may have been let in, or made room.",
    )
}

fn failed(error: InboxError) -> Error {
    match error {
        InboxError::Unknown => missing(),
        InboxError::Full => Error::argument(error.to_string()),
        InboxError::State(StateError::Busy) => Error::new(ErrorCode::Unavailable).because(error.to_string()),
        InboxError::State(_) => Error::internal(error),
    }
}

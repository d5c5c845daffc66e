//! `rehearsals`: what would happen to a device now. Owns the JSON of question and answer.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use dps_core::rehearsal::{Asked, Proposed, Rehearsal, Shown, Step};
use dps_events::Event;
use dps_model::instance::Instance;
use dps_model::limits::{MAX_CHAIN_CERTIFICATES, MAX_SAS_TOKEN};
use dps_model::member::Member;
use dps_model::registration::TpmKeys;
use dps_model::{Error, ErrorCode, Protocol};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::service::ManagementApi;

const PROTOCOLS: [(&str, Protocol); 5] = [
    ("Http", Protocol::Http),
    ("Mqtt", Protocol::Mqtt),
    ("MqttWs", Protocol::MqttWs),
    ("Amqp", Protocol::Amqp),
    ("AmqpWs", Protocol::AmqpWs),
];

const MEMBERS: [&str; 8] = [
    "registrationId",
    "evidence",
    "payload",
    "clientAddress",
    "protocol",
    "apiVersion",
    "askWebhook",
    "proposed",
];

impl ManagementApi {
    /// Rehearses; `caller` is where the device is taken to call from, unless the body says otherwise.
    pub(super) async fn rehearse(
        &self,
        instance: &Arc<Instance>,
        body: &Value,
        caller: SocketAddr,
    ) -> Result<Answer, Error> {
        let rehearsals = self.diagnosis.rehearsals.as_ref().ok_or_else(|| {
            Error::with(ErrorCode::RouteNotFound, "This server rehearses no registrations.")
        })?;
        let body = Member::body(body)?;
        body.only(&MEMBERS)?;
        let asked = self.asked(instance, &body, caller)?;
        let proposed = proposed(&body.get("proposed"))?;
        let mut rehearsal = rehearsals.run(instance, asked, proposed).await?;
        if let Some(explain) = &self.diagnosis.explain {
            explain.explain(&mut rehearsal.record).await;
        }
        encode(rehearsal).map(Answer::shown)
    }

    /// The question; what the device showed last stands for itself where the body does not say otherwise.
    fn asked(&self, instance: &Instance, body: &Member<'_>, caller: SocketAddr) -> Result<Asked, Error> {
        let evidence = body.get("evidence");
        evidence.object()?;
        if !evidence.get("lastShown").boolean()?.unwrap_or(false) {
            return asked(body, caller);
        }
        evidence.only(&["lastShown"])?;
        let id = body.get("registrationId").required()?;
        let last = self.last_shown(instance, id)?;
        let said = asked(body, last.peer)?;
        let protocol = if body.get("protocol").value().is_some() { said.protocol } else { last.protocol };
        let api_version = said.api_version.or_else(|| last.api_version.clone());
        Ok(Asked { shown: last.evidence()?, protocol, api_version, ..said })
    }
}

fn asked(body: &Member<'_>, caller: SocketAddr) -> Result<Asked, Error> {
    let address = body.get("clientAddress");
    let client = match address.text()?.map(str::trim) {
        Some(text) => {
            let address = text.parse::<IpAddr>();
            SocketAddr::new(
                address.map_err(|_| {
                    body.get("clientAddress")
                        .wrong("must be an IP address, such as 203.0.113.7, without a port")
                })?,
                0,
            )
        }
        None => caller,
    };
    let payload = body.get("payload").value().map(to_raw_value).transpose().map_err(Error::internal)?;
    Ok(Asked {
        registration_id: body.get("registrationId").text()?.map(str::to_owned),
        shown: shown(&body.get("evidence"))?,
        payload,
        client,
        protocol: body.get("protocol").one_of(&PROTOCOLS)?.unwrap_or(Protocol::Http),
        api_version: body.get("apiVersion").text()?.map(str::to_owned),
        asks_webhook: body.get("askWebhook").boolean()?.unwrap_or(false),
    })
}

/// Exactly one kind of evidence, or none.
fn shown(evidence: &Member<'_>) -> Result<Shown, Error> {
    const KINDS: [&str; 4] = ["certificateChain", "sasToken", "symmetricKey", "tpm"];
    evidence.object()?;
    evidence.only(&["certificateChain", "sasToken", "symmetricKey", "tpm", "lastShown"])?;
    let given: Vec<&str> = KINDS.into_iter().filter(|kind| evidence.get(kind).value().is_some()).collect();
    if given.len() > 1 {
        return Err(evidence.wrong(&format!("holds {}; a device shows one of them", given.join(" and "))));
    }
    match given.first() {
        Some(&"certificateChain") => certificates(&evidence.get("certificateChain")),
        Some(&"sasToken") => {
            let token = evidence.get("sasToken");
            let text = token.required()?;
            if text.len() > MAX_SAS_TOKEN {
                return Err(token.wrong(&format!("is longer than {MAX_SAS_TOKEN} bytes")));
            }
            Ok(Shown::Token(text.to_owned().into()))
        }
        Some(&"symmetricKey") => Shown::key(evidence.get("symmetricKey").required()?),
        Some(&"tpm") => {
            let tpm = evidence.get("tpm");
            tpm.object()?;
            tpm.only(&["endorsementKey", "storageRootKey"])?;
            Ok(Shown::Tpm(TpmKeys {
                endorsement_key: tpm.get("endorsementKey").required()?.to_owned(),
                storage_root_key: tpm.get("storageRootKey").text()?.map(str::to_owned),
            }))
        }
        _ => Ok(Shown::Nothing),
    }
}

/// One text with all certificates, or a list of texts.
fn certificates(chain: &Member<'_>) -> Result<Shown, Error> {
    if chain.is_list() {
        let texts = chain.texts(MAX_CHAIN_CERTIFICATES)?.unwrap_or_default();
        return Shown::certificates(texts.iter().map(|(text, _)| *text));
    }
    Shown::certificates([chain.required()?])
}

fn proposed(proposed: &Member<'_>) -> Result<Option<Proposed>, Error> {
    proposed.object()?;
    proposed.only(&["individualEnrollment", "enrollmentGroup"])?;
    match (proposed.get("individualEnrollment").read()?, proposed.get("enrollmentGroup").read()?) {
        (Some(_), Some(_)) => {
            Err(proposed
                .wrong("holds an individual enrollment and a group; one of them can be tried at a time"))
        }
        (Some(individual), None) => Ok(Some(Proposed::Individual(individual))),
        (None, Some(group)) => Ok(Some(Proposed::Group(group))),
        (None, None) => Ok(None),
    }
}

fn encode(rehearsal: Rehearsal) -> Result<Value, Error> {
    let Rehearsal { foreseen, summary, error, steps, enrollment, hub, device_id, substatus, twin, record } =
        rehearsal;
    let record = serde_json::to_value(Event::Attempt(record)).map_err(Error::internal)?;
    let row = error.as_ref().map(|error| error.code.row());
    Ok(json!({
        "outcome": {
            "status": foreseen.as_str(),
            "accepted": foreseen.is_accepted(),
            "summary": summary,
            "code": row.map(|row| row.code),
            "name": row.map(|row| row.name),
            "message": error.as_ref().map(|error| error.message.clone()),
        },
        "steps": steps.iter().map(step).collect::<Vec<_>>(),
        "registrationId": record.get("registrationId"),
        "enrollment": enrollment,
        "hub": hub,
        "deviceId": device_id,
        "substatus": substatus,
        "twin": twin,
        "candidates": record.get("candidates"),
        "causes": record.get("causes").cloned().unwrap_or_else(|| json!([])),
        "record": record,
    }))
}

fn step(step: &Step) -> Value {
    json!({
        "name": step.name,
        "title": step.title,
        "result": step.result.as_str(),
        "detail": step.detail,
        "micros": step.micros,
    })
}

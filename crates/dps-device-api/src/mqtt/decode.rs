//! CONNECT -> who speaks; PUBLISH -> `DeviceRequest`. Owns user names, client ids and topics; must not judge versions,
//! tokens or ids: what MQTT need not refuse itself is answered by the core, on the response topic.

use std::sync::Arc;

use dps_core::{DeviceOperation, DeviceRequest};
use dps_events::Operation;
use dps_model::registration::DeviceRegistration;
use dps_model::{ApiVersion, Channel, Error, ErrorCode, Secret, TrackingId, limits};
use dps_wire::mqtt::packet::{Connect, Password, Publish};
use dps_wire::mqtt::topic::dps::{Request, UserName};

use crate::certificate;
use crate::refused::Claims;

/// Who a connection says it is, for all its requests.
pub(super) struct Device {
    id_scope: String,
    registration_id: String,
    api_version: String,
    client: Option<String>,
    sas_token: Option<Secret>,
}

impl Device {
    pub(super) fn claims(&self) -> Claims {
        Claims {
            operation: None,
            id_scope: self.id_scope.clone(),
            registration_id: self.registration_id.clone(),
            api_version: Some(self.api_version.clone()),
            client: self.client.clone(),
        }
    }
}

/// Decides on CONNECT. An error is told by its CONNACK; everything else is answered on the response topic, where
/// devices look for it.
pub(super) fn connect(
    connect: &Connect,
    channel: &Channel,
    knows_scope: impl Fn(&str) -> bool,
) -> Result<Device, Error> {
    let text = connect.user_name.as_deref().unwrap_or_default();
    let name = UserName::parse(text).map_err(|error| {
        let error = if text.is_empty() { "there is no user name".to_owned() } else { error.to_string() };
        Error::new(ErrorCode::RouteNotFound).because(error)
    })?;
    if !knows_scope(&name.id_scope) {
        return Err(Error::new(ErrorCode::IdScopeNotFound));
    }
    if connect.will.is_some() {
        return Err(Error::new(ErrorCode::ArgumentInvalid).because("CONNECT has a will, which is not served"));
    }
    let is_id = |text: &str| text.eq_ignore_ascii_case(&name.registration_id);
    if !is_id(&connect.client_id) && connect.client_id != name.registration_id_raw {
        return Err(Error::new(ErrorCode::ArgumentInvalid)
            .because("the client id is not the registration id of the user name"));
    }
    let password = connect.password.as_ref().map(Password::expose).unwrap_or_default();
    if password.is_empty() {
        certificate::names(&channel.tls, &name.registration_id)?;
    }
    Ok(Device {
        id_scope: name.id_scope,
        registration_id: name.registration_id,
        api_version: name.api_version.unwrap_or_else(|| ApiVersion::V2019_03_31.as_str().to_owned()),
        client: name.client_version,
        sas_token: (!password.is_empty()).then(|| Secret::new(password.to_vec())),
    })
}

/// A PUBLISH that is no request for the core.
pub(super) enum Refusal {
    /// It can be told: `rid` says where.
    Answer { rid: String, operation: Option<Operation>, error: Box<Error> },
    /// It cannot: the connection ends, for this reason.
    Close(String),
}

/// Reads a request. Gives its mark back beside it.
pub(super) fn decode(
    device: &Device,
    channel: &Arc<Channel>,
    publish: &Publish,
    tracking_id: TrackingId,
) -> Result<(String, DeviceRequest), Refusal> {
    if publish.retain {
        return Err(Refusal::Close("PUBLISH asks to be retained, which is not served".to_owned()));
    }
    let request = Request::parse(&publish.topic).map_err(|error| {
        mark(&publish.topic).map_or_else(
            || Refusal::Close(format!("the topic of PUBLISH is none of DPS: {error}")),
            |rid| Refusal::Answer {
                rid,
                operation: None,
                error: Box::new(Error::argument(error.to_string())),
            },
        )
    })?;
    let (rid, operation) = match request {
        Request::Register { rid } => match registration(&publish.payload) {
            // Azure offers TPM attestation over HTTPS and AMQP alone.
            Ok(registration) => {
                (rid, DeviceOperation::Register(DeviceRegistration { tpm: None, ..registration }))
            }
            Err(error) => {
                let (operation, error) = (Some(Operation::Register), Box::new(error));
                return Err(Refusal::Answer { rid, operation, error });
            }
        },
        // Whatever stands in the body of a poll, nothing in it matters.
        Request::OperationStatus { rid, operation_id } => {
            (rid, DeviceOperation::OperationStatus { operation_id })
        }
    };
    let request = DeviceRequest {
        tracking_id,
        channel: Arc::clone(channel),
        id_scope: device.id_scope.clone(),
        registration_id: device.registration_id.clone(),
        api_version: Some(device.api_version.clone()),
        client: device.client.clone(),
        sas_token: device.sas_token.clone(),
        operation,
    };
    Ok((rid, request))
}

fn registration(payload: &[u8]) -> Result<DeviceRegistration, Error> {
    if payload.len() > limits::MAX_BODY {
        return Err(Error::new(ErrorCode::BodyTooLarge));
    }
    // The .NET SDK sends nothing at all.
    if payload.trim_ascii().is_empty() {
        return Ok(DeviceRegistration::default());
    }
    crate::json::registration(payload)
}

/// The mark of a request whose topic is otherwise wrong, when it is one of DPS and has a mark to answer to.
fn mark(topic: &str) -> Option<String> {
    let query = topic.strip_prefix("$dps/registrations/")?.split_once("/?")?.1;
    let rid = query.split('&').find_map(|piece| piece.strip_prefix("$rid="))?;
    let usable = !rid.is_empty() && rid.len() <= dps_wire::mqtt::limits::MAX_REQUEST_ID;
    usable.then(|| rid.to_owned())
}

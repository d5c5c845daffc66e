//! SASL and ATTACH -> who speaks; a message -> `DeviceRequest`. Owns user names, link addresses, link properties and
//! application properties; must not judge versions, tokens or ids: what AMQP need not refuse itself is answered by
//! the core, in the verdict about the message.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_core::{DeviceOperation, DeviceRequest};
use dps_events::Operation;
use dps_model::registration::{DeviceRegistration, TpmKeys};
use dps_model::{ApiVersion, Channel, Error, ErrorCode, Secret, TrackingId, limits};
use dps_wire::amqp;
use dps_wire::amqp::address::DpsAddress;
use dps_wire::amqp::message::{Body, Message};
use dps_wire::amqp::performative::Attach;
use dps_wire::amqp::sasl::Plain;
use dps_wire::amqp::value::{DecodeError, Value};

use crate::certificate;
use crate::refused::Claims;

/// Who a connection says it is, for all its requests.
pub(super) struct Device {
    id_scope: String,
    registration_id: String,
    api_version: Option<String>,
    client: Option<String>,
    sas_token: Option<Secret>,
    /// Shown in SASL; the .NET SDK does not repeat them in its message.
    tpm: Option<TpmKeys>,
}

impl Device {
    fn named(address: DpsAddress) -> Self {
        let DpsAddress { id_scope, registration_id } = address;
        Self { id_scope, registration_id, api_version: None, client: None, sas_token: None, tpm: None }
    }

    pub(super) fn claims(&self) -> Claims {
        Claims {
            operation: None,
            id_scope: self.id_scope.clone(),
            registration_id: self.registration_id.clone(),
            api_version: self.api_version.clone(),
            client: self.client.clone(),
        }
    }

    /// As devices write it.
    pub(super) fn address(&self) -> String {
        format!("{}/registrations/{}", self.id_scope, self.registration_id)
    }

    /// The token that ends the mechanism TPM.
    pub(super) fn show(&mut self, token: &amqp::value::Secret) {
        self.sas_token = Some(Secret::new(token.expose().to_vec()));
    }

    fn request(
        &self,
        channel: &Arc<Channel>,
        tracking_id: TrackingId,
        operation: DeviceOperation,
    ) -> DeviceRequest {
        let api_version = self.api_version.as_deref().unwrap_or(ApiVersion::V2019_03_31.as_str());
        DeviceRequest {
            tracking_id,
            channel: Arc::clone(channel),
            id_scope: self.id_scope.clone(),
            registration_id: self.registration_id.clone(),
            api_version: Some(api_version.to_owned()),
            client: self.client.clone(),
            sas_token: self.sas_token.clone(),
            operation,
        }
    }
}

/// Who says so with SASL PLAIN. An error is for the event alone: SASL has no words for it.
pub(super) fn plain(response: Option<&amqp::value::Secret>) -> Result<Device, String> {
    let response = response.ok_or("there is no initial response")?;
    let Plain { user, password, .. } = Plain::parse(response).map_err(|error| error.to_string())?;
    let address =
        DpsAddress::parse(&user).map_err(|_| format!("the user name {user:?} is no device's of DPS"))?;
    let mut device = Device::named(address);
    device.show(&password);
    Ok(device)
}

/// Who says so with SASL TPM.
pub(super) fn tpm(keys: &amqp::sasl::TpmKeys) -> Device {
    let amqp::sasl::TpmKeys { id_scope, registration_id, endorsement_key, storage_root_key } = keys;
    let address = DpsAddress { id_scope: id_scope.clone(), registration_id: registration_id.clone() };
    let keys = TpmKeys {
        endorsement_key: STANDARD.encode(endorsement_key),
        storage_root_key: Some(STANDARD.encode(storage_root_key)),
    };
    Device { tpm: Some(keys), ..Device::named(address) }
}

/// The request that gets a TPM its challenge.
pub(super) fn challenge(device: &Device, channel: &Arc<Channel>, tracking_id: TrackingId) -> DeviceRequest {
    let registration = DeviceRegistration { tpm: device.tpm.clone(), ..DeviceRegistration::default() };
    device.request(channel, tracking_id, DeviceOperation::Register(registration))
}

/// Decides on OPEN, as far as it tells who speaks. Without SASL that is only whether there is a certificate, and
/// nothing where neighbours share the port: tokens for a hub come later.
pub(super) fn open(
    device: Option<&Device>,
    channel: &Channel,
    shared: bool,
    knows_scope: impl Fn(&str) -> bool,
) -> Result<(), Error> {
    match device {
        Some(device) if !knows_scope(&device.id_scope) => Err(Error::new(ErrorCode::IdScopeNotFound)),
        None if !shared => certified(channel),
        _ => Ok(()),
    }
}

/// Who does not say in SASL who it is has a certificate that does.
fn certified(channel: &Channel) -> Result<(), Error> {
    if channel.tls.chain.is_empty() {
        let why = "neither SASL nor a client certificate says who speaks";
        return Err(Error::new(ErrorCode::Unauthorized).because(why));
    }
    Ok(())
}

/// Decides on a link. The first one of a connection without SASL says who speaks.
pub(super) fn attach(
    device: Option<Box<Device>>,
    attach: &Attach,
    channel: &Channel,
    knows_scope: impl Fn(&str) -> bool,
) -> Result<Box<Device>, Error> {
    let text = attach.address().unwrap_or_default();
    let address = DpsAddress::parse(text).map_err(|_| {
        // In Azure's words.
        let text = &text[..text.floor_char_boundary(amqp::limits::MAX_ADDRESS)];
        let message = format!("The link address '{text}' did not match any of the expected formats.");
        Error::with(ErrorCode::RouteNotFound, message)
    })?;
    let mut device = match device {
        Some(device) => {
            let same = address.id_scope == device.id_scope
                && address.registration_id.eq_ignore_ascii_case(&device.registration_id);
            if !same {
                return Err(Error::new(ErrorCode::Unauthorized)
                    .because(format!("the link address {text:?} is not the device that the connection is")));
            }
            device
        }
        None if !knows_scope(&address.id_scope) => return Err(Error::new(ErrorCode::IdScopeNotFound)),
        None => {
            certified(channel)?;
            certificate::names(&channel.tls, &address.registration_id)?;
            Box::new(Device::named(address))
        }
    };
    let said = |name: &str| attach.property(name).map(ToOwned::to_owned);
    device.api_version = said("com.microsoft:api-version").or(device.api_version);
    device.client = said("com.microsoft:client-version").or(device.client);
    Ok(device)
}

/// A message that is no request for the core: what it would have been, and why it is none.
pub(super) struct Refusal {
    pub operation: Option<Operation>,
    pub error: Box<Error>,
}

/// Reads a request.
pub(super) fn decode(
    device: &Device,
    channel: &Arc<Channel>,
    message: Result<Box<Message>, DecodeError>,
    tracking_id: TrackingId,
) -> Result<DeviceRequest, Refusal> {
    let message = &*message.map_err(|error| {
        let said = format!("The bytes of the delivery are no AMQP message: {error}.");
        Refusal { operation: None, error: Box::new(Error::with(ErrorCode::BodyMalformed, said)) }
    })?;
    let property = |name: &str| message.application_property(name).and_then(Value::as_text);
    let operation = match property("iotdps-operation-type") {
        Some("iotdps-register") => {
            DeviceOperation::Register(registration(device, message, Operation::Register)?)
        }
        Some("iotdps-get-registration") => {
            DeviceOperation::RegistrationLookup(registration(device, message, Operation::RegistrationLookup)?)
        }
        // Whatever stands in the body of a poll, nothing in it matters.
        Some("iotdps-get-operationstatus") => {
            let Some(operation_id) = property("iotdps-operation-id") else {
                let error = Error::argument("The application property iotdps-operation-id is missing.");
                return Err(Refusal { operation: Some(Operation::OperationStatus), error: Box::new(error) });
            };
            DeviceOperation::OperationStatus { operation_id: operation_id.to_owned() }
        }
        asked => {
            let error = Error::argument(match asked {
                Some(_) => "The application property iotdps-operation-type names no operation.",
                None => "The application property iotdps-operation-type is missing.",
            });
            return Err(Refusal { operation: None, error: Box::new(error) });
        }
    };
    Ok(device.request(channel, tracking_id, operation))
}

/// The body, and the keys of SASL: those of the body mean nothing, for nothing here proved them.
fn registration(
    device: &Device,
    message: &Message,
    operation: Operation,
) -> Result<DeviceRegistration, Refusal> {
    match body(message) {
        Ok(registration) => Ok(DeviceRegistration { tpm: device.tpm.clone(), ..registration }),
        Err(error) => Err(Refusal { operation: Some(operation), error: Box::new(error) }),
    }
}

fn body(message: &Message) -> Result<DeviceRegistration, Error> {
    let bytes = match &message.body {
        Body::Empty | Body::Value(Value::Null) => &[][..],
        body => body.as_bytes().ok_or_else(|| {
            Error::with(ErrorCode::BodyMalformed, "The message's body is neither a data section nor a text.")
        })?,
    };
    if bytes.len() > limits::MAX_BODY {
        return Err(Error::new(ErrorCode::BodyTooLarge));
    }
    // The .NET SDK sends nothing at all.
    if bytes.trim_ascii().is_empty() {
        return Ok(DeviceRegistration::default());
    }
    crate::json::registration(bytes)
}

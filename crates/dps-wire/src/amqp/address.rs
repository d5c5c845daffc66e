//! Link addresses as Azure's SDKs write them, of the Device Provisioning Service and of a hub.
//!
//! The C SDK writes a whole URI, the Java SDK a leading slash, the others neither. Percent escapes are decoded,
//! segment by segment, since some SDKs encode ids: no id of DPS may hold a percent sign, and a hub's is encoded by
//! its own SDKs. Must not know whether what an address names exists.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use thiserror::Error;

use super::limits::MAX_ADDRESS;

/// Why an address names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Longer than any.
    #[error("the link address has {length} bytes, and at most {MAX_ADDRESS} are accepted")]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// None of the forms.
    #[error("the link address did not match any of the expected formats: {expected}")]
    Format {
        /// The right form.
        expected: &'static str,
    },
    /// An escape that is not UTF-8.
    #[error("the link address has percent escapes that are not UTF-8")]
    NotUtf8,
}

const DPS: &str = "{idScope}/registrations/{registrationId}";
const HUB: &str = "/devices/{deviceId}[/modules/{moduleId}]/messages/events, /messages/devicebound, \
     /twin or /methods/devicebound, /messages/devicebound, or $cbs";

/// An address of the Device Provisioning Service; also the user name of SASL PLAIN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DpsAddress {
    /// The ID scope, as spelled.
    pub id_scope: String,
    /// The registration id, as spelled.
    pub registration_id: String,
}

impl DpsAddress {
    /// Parses any of the SDKs' forms.
    pub fn parse(address: &str) -> Result<Self, AddressError> {
        let mut segments = path(address)?.split('/');
        match (segments.next(), segments.next(), segments.next(), segments.next()) {
            (Some(id_scope), Some(word), Some(registration_id), None)
                if word.eq_ignore_ascii_case("registrations")
                    && !id_scope.is_empty()
                    && !registration_id.is_empty() =>
            {
                Ok(Self { id_scope: decode(id_scope)?, registration_id: decode(registration_id)? })
            }
            _ => Err(AddressError::Format { expected: DPS }),
        }
    }
}

/// An address of a hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubAddress {
    /// `$cbs`: tokens.
    Cbs,
    /// `/messages/devicebound`: a service's messages to any device, which each names in `to`.
    CloudToDevice,
    /// One of a device's, or of a module's.
    Device {
        /// The device.
        device_id: String,
        /// The module, if it is one's.
        module_id: Option<String>,
        /// Which.
        endpoint: HubEndpoint,
    },
}

/// What a device's link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HubEndpoint {
    /// Telemetry, to the hub.
    Events,
    /// Messages, to the device.
    DeviceBound,
    /// Twin operations, both ways.
    Twin,
    /// Direct methods, both ways.
    Methods,
}

impl HubAddress {
    /// Parses any of the SDKs' forms.
    pub fn parse(address: &str) -> Result<Self, AddressError> {
        let path = path(address)?;
        match path {
            "$cbs" => return Ok(Self::Cbs),
            _ if path.eq_ignore_ascii_case("messages/devicebound") => return Ok(Self::CloudToDevice),
            _ => {}
        }
        let wrong = AddressError::Format { expected: HUB };
        let rest = path.strip_prefix("devices/").ok_or(wrong)?;
        let (device_id, rest) = rest.split_once('/').ok_or(wrong)?;
        let (module_id, rest) = match rest.strip_prefix("modules/") {
            None => (None, rest),
            Some(rest) => rest.split_once('/').map(|(module, rest)| (Some(module), rest)).ok_or(wrong)?,
        };
        let endpoint = match &*rest.trim_end_matches('/').to_ascii_lowercase() {
            "messages/events" => HubEndpoint::Events,
            "messages/devicebound" => HubEndpoint::DeviceBound,
            "twin" => HubEndpoint::Twin,
            "methods/devicebound" => HubEndpoint::Methods,
            _ => return Err(wrong),
        };
        if device_id.is_empty() || module_id.is_some_and(str::is_empty) {
            return Err(wrong);
        }
        Ok(Self::Device {
            device_id: decode(device_id)?,
            module_id: module_id.map(decode).transpose()?,
            endpoint,
        })
    }
}

/// What is behind `amqps://host/` and a leading slash, if there is such a thing.
fn path(address: &str) -> Result<&str, AddressError> {
    if address.len() > MAX_ADDRESS {
        return Err(AddressError::TooLong { length: address.len() });
    }
    let scheme = ["amqps://", "amqp://"]
        .into_iter()
        .find(|scheme| address.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme)));
    let path = match scheme {
        None => address,
        Some(scheme) => {
            address.get(scheme.len()..).and_then(|rest| rest.split_once('/')).map_or("", |(_, p)| p)
        }
    };
    Ok(path.strip_prefix('/').unwrap_or(path))
}

fn decode(segment: &str) -> Result<String, AddressError> {
    percent_decode_str(segment).decode_utf8().map(Cow::into_owned).map_err(|_| AddressError::NotUtf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(device: &str, module: Option<&str>, endpoint: HubEndpoint) -> HubAddress {
        HubAddress::Device { device_id: device.to_owned(), module_id: module.map(str::to_owned), endpoint }
    }

    #[test]
    fn dps_address_has_the_forms_of_the_sdks() {
        for address in [
            "0ne1/registrations/my.dev_01:a-b",
            "/0ne1/registrations/my.dev_01:a-b",
            "amqps://localhost/0ne1/registrations/my.dev_01:a-b",
            "AMQPS://global.example:5671/0ne1/registrations/my.dev_01%3aa-b",
            "0ne1/Registrations/my.dev_01%3Aa-b",
        ] {
            let parsed = DpsAddress::parse(address).expect(address);
            assert_eq!((&*parsed.id_scope, &*parsed.registration_id), ("0ne1", "my.dev_01:a-b"));
        }
    }

    #[test]
    fn dps_address_of_another_shape_is_refused_in_azures_words() {
        for address in [
            "",
            "/",
            "0ne1/registrations/",
            "/registrations/d1",
            "0ne1/registrations/d1/x",
            "0ne1/registration/d1",
            "amqps://host",
            "//0ne1/registrations/d1",
            "devices/d1/messages/events",
        ] {
            let error = DpsAddress::parse(address).expect_err(address);
            assert!(error.to_string().contains("did not match any of the expected formats"), "{address}");
        }
        assert_eq!(DpsAddress::parse("0ne1/registrations/%ff"), Err(AddressError::NotUtf8));
        let long = "a".repeat(MAX_ADDRESS + 1);
        assert_eq!(DpsAddress::parse(&long), Err(AddressError::TooLong { length: MAX_ADDRESS + 1 }));
    }

    #[test]
    fn hub_address_has_the_forms_of_the_sdks() {
        for (address, parsed) in [
            ("$cbs", HubAddress::Cbs),
            ("/messages/deviceBound", HubAddress::CloudToDevice),
            ("/devices/d1/messages/events", hub("d1", None, HubEndpoint::Events)),
            ("amqps://h/devices/d%2F1/messages/events/", hub("d/1", None, HubEndpoint::Events)),
            ("/devices/d1/messages/deviceBound", hub("d1", None, HubEndpoint::DeviceBound)),
            ("/devices/d1/twin/", hub("d1", None, HubEndpoint::Twin)),
            ("/devices/d1/modules/m1/twin", hub("d1", Some("m1"), HubEndpoint::Twin)),
            ("/devices/d1/methods/devicebound", hub("d1", None, HubEndpoint::Methods)),
        ] {
            assert_eq!(HubAddress::parse(address), Ok(parsed), "{address}");
        }
        for address in
            ["", "/devices//twin", "/devices/d1", "/devices/d1/modules//twin", "/devices/d1/messages"]
        {
            assert!(HubAddress::parse(address).is_err(), "{address}");
        }
    }
}

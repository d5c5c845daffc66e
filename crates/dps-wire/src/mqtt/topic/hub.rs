//! The topics, property bags and the user name that a device speaks to its IoT hub.
//!
//! [`DeviceTopic`] is what devices publish to, [`HubTopic`] what a hub delivers to. Device and module ids are
//! not percent-encoded in topics (Azure's SDKs do not), so their `%` stays as it is.

use std::fmt;

use super::dps::{bounded, number, request_id};
use super::query;
use super::{TopicError, after, check_part, check_rid};
use crate::mqtt::limits::{MAX_FIELD, MAX_PROPERTIES, MAX_USER_NAME};

/// Filter of the answers to twin requests.
pub const TWIN_RESPONSES: &str = "$iothub/twin/res/#";
/// Filter of changes to the desired properties.
pub const TWIN_DESIRED: &str = "$iothub/twin/PATCH/properties/desired/#";
/// Filter of direct methods.
pub const METHODS: &str = "$iothub/methods/POST/#";

const TWIN_GET: &str = "$iothub/twin/GET/?";
const TWIN_REPORTED: &str = "$iothub/twin/PATCH/properties/reported/?";
const METHOD_RESPONSE: &str = "$iothub/methods/res/";
const TWIN_RESPONSE: &str = "$iothub/twin/res/";
const DESIRED: &str = "$iothub/twin/PATCH/properties/desired/?";
const METHOD: &str = "$iothub/methods/POST/";
const RIGHT_DEVICE_TOPIC: &str = "devices/{deviceId}/messages/events/{properties}, \
     $iothub/twin/GET/?$rid={request id}, $iothub/twin/PATCH/properties/reported/?$rid={request id} or \
     $iothub/methods/res/{status}/?$rid={request id}";
const RIGHT_HUB_TOPIC: &str = "devices/{deviceId}/messages/devicebound/{properties}, \
     $iothub/twin/res/{status}/?$rid={request id}, $iothub/twin/PATCH/properties/desired/?$version={version} or \
     $iothub/methods/POST/{method}/?$rid={request id}";
const RIGHT_USER_NAME: &str = "{hubHost}/{deviceId}[/{moduleId}]/?api-version={version}";

/// Filter of the messages from the cloud to a device.
pub fn devicebound_filter(device_id: &str) -> String {
    format!("devices/{device_id}/messages/devicebound/#")
}

/// Filter of the messages that arrive at a module's inputs.
pub fn module_inputs_filter(device_id: &str, module_id: &str) -> String {
    format!("devices/{device_id}/modules/{module_id}/inputs/#")
}

/// Where a device or module publishes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceTopic {
    /// A message to the cloud.
    Telemetry {
        /// The device.
        device_id: String,
        /// The module, if one speaks.
        module_id: Option<String>,
        /// System properties (`$.mid`) and the application's own.
        properties: PropertyBag,
    },
    /// Asks for the whole twin.
    TwinGet {
        /// `$rid`.
        rid: String,
    },
    /// Changes reported properties.
    TwinReported {
        /// `$rid`.
        rid: String,
    },
    /// Answers a direct method.
    MethodResponse {
        /// The device's status, any integer it likes.
        status: i32,
        /// `$rid` of the method.
        rid: String,
    },
}

impl DeviceTopic {
    /// Parses the topic of a PUBLISH from a device.
    pub fn parse(topic: &str) -> Result<Self, TopicError> {
        let expected = RIGHT_DEVICE_TOPIC;
        if let Some(query) = topic.strip_prefix(TWIN_GET) {
            return Ok(Self::TwinGet { rid: only_rid(query, TWIN_GET.len(), expected)? });
        }
        if let Some(query) = topic.strip_prefix(TWIN_REPORTED) {
            return Ok(Self::TwinReported { rid: only_rid(query, TWIN_REPORTED.len(), expected)? });
        }
        if let Some(rest) = topic.strip_prefix(METHOD_RESPONSE) {
            let at = METHOD_RESPONSE.len();
            let (status, query) = rest.split_once("/?").ok_or(TopicError::Unexpected { at, expected })?;
            let digits = status.strip_prefix('-').unwrap_or(status);
            number::<u32>("the status", digits, at)?;
            let status = status.parse().map_err(|_| TopicError::NotANumber { part: "the status", at })?;
            return Ok(Self::MethodResponse {
                status,
                rid: only_rid(query, topic.len() - query.len(), expected)?,
            });
        }
        let (device_id, module_id, rest) = device_and_module(topic, expected)?;
        let at = topic.len() - rest.len();
        let bag = match after(rest, "messages/events", at, expected)? {
            "" => "",
            bag => after(bag, "/", topic.len() - bag.len(), expected)?,
        };
        let properties = PropertyBag::parse(bag, topic.len() - bag.len())?;
        Ok(Self::Telemetry { device_id, module_id, properties })
    }

    /// The topic, for a client to publish to.
    pub fn topic(&self) -> Result<String, TopicError> {
        match self {
            Self::Telemetry { device_id, module_id, properties } => {
                let mut topic = device_prefix(device_id, module_id.as_deref())?;
                topic.push_str("messages/events/");
                properties.encode(&mut topic);
                Ok(topic)
            }
            Self::TwinGet { rid } => Ok(format!("{TWIN_GET}$rid={}", checked_rid(rid)?)),
            Self::TwinReported { rid } => Ok(format!("{TWIN_REPORTED}$rid={}", checked_rid(rid)?)),
            Self::MethodResponse { status, rid } => {
                Ok(format!("{METHOD_RESPONSE}{status}/?$rid={}", checked_rid(rid)?))
            }
        }
    }
}

/// Where a hub delivers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubTopic {
    /// A message from the cloud.
    CloudToDevice {
        /// The device.
        device_id: String,
        /// System properties (`$.mid`, `$.to`) and the application's own.
        properties: PropertyBag,
    },
    /// A message at a module's input.
    ModuleInput {
        /// The device.
        device_id: String,
        /// The module.
        module_id: String,
        /// The input's name.
        input: String,
        /// As above.
        properties: PropertyBag,
    },
    /// The answer to a twin request.
    TwinResponse {
        /// HTTP's number for it.
        status: u16,
        /// `$rid` of the request.
        rid: String,
        /// The new version of the reported properties, after a change to them.
        version: Option<u64>,
    },
    /// The desired properties changed.
    TwinDesired {
        /// Their new version.
        version: u64,
    },
    /// A direct method is called.
    Method {
        /// Its name.
        name: String,
        /// `$rid`, for the answer.
        rid: String,
    },
}

impl HubTopic {
    /// Parses the topic of a PUBLISH from a hub.
    pub fn parse(topic: &str) -> Result<Self, TopicError> {
        let expected = RIGHT_HUB_TOPIC;
        if let Some(rest) = topic.strip_prefix(TWIN_RESPONSE) {
            return Self::parse_twin_response(topic, rest);
        }
        if let Some(query) = topic.strip_prefix(DESIRED) {
            let [version] = query::pick("the query", query, DESIRED.len(), ["$version"])?;
            let version = version.ok_or(TopicError::Missing { part: "$version", expected })?;
            let version = number("$version", version.value.unwrap_or_default(), version.value_at())?;
            return Ok(Self::TwinDesired { version });
        }
        if let Some(rest) = topic.strip_prefix(METHOD) {
            let at = METHOD.len();
            let (name, query) = rest.split_once("/?").ok_or(TopicError::Unexpected { at, expected })?;
            bounded("the method name", name, at, MAX_FIELD)?;
            let rid = only_rid(query, topic.len() - query.len(), expected)?;
            return Ok(Self::Method { name: name.to_owned(), rid });
        }
        let (device_id, module_id, rest) = device_and_module(topic, expected)?;
        let at = topic.len() - rest.len();
        let Some(module_id) = module_id else {
            let bag = after(rest, "messages/devicebound/", at, expected)?;
            let properties = PropertyBag::parse(bag, topic.len() - bag.len())?;
            return Ok(Self::CloudToDevice { device_id, properties });
        };
        let rest = after(rest, "inputs/", at, expected)?;
        let (input, bag) = rest.split_once('/').unwrap_or((rest, ""));
        bounded("the input name", input, at, MAX_FIELD)?;
        let properties = PropertyBag::parse(bag, topic.len() - bag.len())?;
        Ok(Self::ModuleInput { device_id, module_id, input: input.to_owned(), properties })
    }

    fn parse_twin_response(topic: &str, rest: &str) -> Result<Self, TopicError> {
        let at = TWIN_RESPONSE.len();
        let expected = RIGHT_HUB_TOPIC;
        let (status, query) = rest.split_once("/?").ok_or(TopicError::Unexpected { at, expected })?;
        let status = number("the status", status, at)?;
        let from = topic.len() - query.len();
        let [rid, version] = query::pick("the query", query, from, ["$rid", "$version"])?;
        let version = match version {
            Some(piece) => Some(number("$version", piece.value.unwrap_or_default(), piece.value_at())?),
            None => None,
        };
        Ok(Self::TwinResponse { status, rid: request_id(rid, expected)?, version })
    }

    /// The topic, for a hub to publish to.
    pub fn topic(&self) -> Result<String, TopicError> {
        match self {
            Self::CloudToDevice { device_id, properties } => {
                let mut topic = device_prefix(device_id, None)?;
                topic.push_str("messages/devicebound/");
                properties.encode(&mut topic);
                Ok(topic)
            }
            Self::ModuleInput { device_id, module_id, input, properties } => {
                let mut topic = device_prefix(device_id, Some(module_id))?;
                check_part("the input name", input, MAX_FIELD)?;
                topic.push_str("inputs/");
                topic.push_str(input);
                topic.push('/');
                properties.encode(&mut topic);
                Ok(topic)
            }
            Self::TwinResponse { status, rid, version: None } => {
                Ok(format!("{TWIN_RESPONSE}{status}/?$rid={}", checked_rid(rid)?))
            }
            Self::TwinResponse { status, rid, version: Some(version) } => {
                Ok(format!("{TWIN_RESPONSE}{status}/?$rid={}&$version={version}", checked_rid(rid)?))
            }
            Self::TwinDesired { version } => Ok(format!("{DESIRED}$version={version}")),
            Self::Method { name, rid } => {
                check_part("the method name", name, MAX_FIELD)?;
                Ok(format!("{METHOD}{name}/?$rid={}", checked_rid(rid)?))
            }
        }
    }
}

/// One property of a message. A lone key has no value, which differs from an empty one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// Decoded; system properties begin with `$.`.
    pub key: String,
    /// Decoded.
    pub value: Option<String>,
}

/// The properties of a message, in order: `%24.mid=m1&a%20b=c`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PropertyBag(pub Vec<Property>);

impl PropertyBag {
    /// Parses a bag that begins at byte `from` of its topic. A leading `?` is skipped.
    fn parse(text: &str, from: usize) -> Result<Self, TopicError> {
        let part = "a message property";
        let (text, from) = text.strip_prefix('?').map_or((text, from), |rest| (rest, from + 1));
        let mut properties = Vec::new();
        for piece in query::pieces(text, from) {
            if properties.len() == MAX_PROPERTIES {
                return Err(TopicError::TooMany { part: "the property bag", limit: MAX_PROPERTIES });
            }
            if piece.key.is_empty() {
                return Err(TopicError::Empty { part: "the key of a message property", at: piece.at });
            }
            let key = query::decode(part, piece.key, piece.at)?.into_owned();
            let value = match piece.value {
                Some(value) => Some(query::decode(part, value, piece.value_at())?.into_owned()),
                None => None,
            };
            properties.push(Property { key, value });
        }
        Ok(Self(properties))
    }

    /// The first value under that key; `Some("")` for a lone key.
    pub fn get(&self, key: &str) -> Option<&str> {
        let property = self.0.iter().find(|property| property.key == key)?;
        Some(property.value.as_deref().unwrap_or_default())
    }

    /// Adds a property at the end.
    pub fn push(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.push(Property { key: key.into(), value: Some(value.into()) });
    }

    fn encode(&self, topic: &mut String) {
        for (index, property) in self.0.iter().enumerate() {
            if index > 0 {
                topic.push('&');
            }
            query::encode(&property.key, topic);
            if let Some(value) = &property.value {
                topic.push('=');
                query::encode(value, topic);
            }
        }
    }
}

/// The user name of CONNECT to a hub:
/// `{hubHost}/{deviceId}[/{moduleId}]/?api-version=…&DeviceClientType=…&model-id=…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserName {
    /// The hub's host name, without a port.
    pub hub_host: String,
    /// The device.
    pub device_id: String,
    /// The module, if one speaks.
    pub module_id: Option<String>,
    /// `api-version`; a hub accepts a user name without one.
    pub api_version: Option<String>,
    /// `DeviceClientType`, percent-decoded; informs only.
    pub device_client_type: Option<String>,
    /// `model-id` (IoT Plug and Play), percent-decoded.
    pub model_id: Option<String>,
}

impl UserName {
    /// Parses the user name; `/?` before the query and the query itself may be missing.
    pub fn parse(user_name: &str) -> Result<Self, TopicError> {
        if user_name.len() > MAX_USER_NAME {
            let (part, length) = ("the user name", user_name.len());
            return Err(TopicError::TooLong { part, length, limit: MAX_USER_NAME });
        }
        let expected = RIGHT_USER_NAME;
        let (hub_host, rest) =
            user_name.split_once('/').ok_or(TopicError::Unexpected { at: user_name.len(), expected })?;
        bounded("the hub's host name", hub_host, 0, MAX_USER_NAME)?;
        let from = hub_host.len() + 1;
        // A device id may have a `?` in it, so only a `/?`, or `/api-version=`, begins the query.
        let begins = [(rest.find("/?"), 2), (rest.find("/api-version="), 1)]
            .into_iter()
            .filter_map(|(at, skip)| Some((at?, skip)))
            .min();
        let (path, query) = match begins {
            Some((at, skip)) => (rest.get(..at), rest.get(at + skip..)),
            None => (Some(rest.strip_suffix('/').unwrap_or(rest)), None),
        };
        let (path, query) = (path.unwrap_or_default(), query.unwrap_or_default());
        let (device_id, module_id) =
            path.split_once('/').map_or((path, None), |(device, module)| (device, Some(module)));
        bounded("the device id", device_id, from, MAX_USER_NAME)?;
        if let Some(module_id) = module_id {
            let at = from + device_id.len() + 1;
            bounded("the module id", module_id, at, MAX_USER_NAME)?;
            if let Some(slash) = module_id.find('/') {
                return Err(TopicError::Unexpected { at: at + slash, expected });
            }
        }
        let at = user_name.len() - query.len();
        let keys = ["api-version", "DeviceClientType", "model-id"];
        let [version, client, model] = query::pick("the user name", query, at, keys)?
            .map(|piece| piece.and_then(|piece| piece.value).filter(|value| !value.is_empty()));
        Ok(Self {
            hub_host: hub_host.to_owned(),
            device_id: device_id.to_owned(),
            module_id: module_id.map(ToOwned::to_owned),
            api_version: version.map(ToOwned::to_owned),
            device_client_type: client.map(query::decode_lossy),
            model_id: model.map(query::decode_lossy),
        })
    }

    /// The client identifier that belongs to this user name: `{deviceId}` or `{deviceId}/{moduleId}`.
    pub fn client_id(&self) -> String {
        match &self.module_id {
            None => self.device_id.clone(),
            Some(module_id) => format!("{}/{module_id}", self.device_id),
        }
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.hub_host, self.client_id())?;
        let mut separator = "/?";
        let mut encoded = String::new();
        if let Some(version) = &self.api_version {
            write!(f, "{separator}api-version={version}")?;
            separator = "&";
        }
        for (key, value) in [("DeviceClientType", &self.device_client_type), ("model-id", &self.model_id)] {
            if let Some(value) = value {
                encoded.clear();
                query::encode(value, &mut encoded);
                write!(f, "{separator}{key}={encoded}")?;
                separator = "&";
            }
        }
        Ok(())
    }
}

fn only_rid(query: &str, from: usize, expected: &'static str) -> Result<String, TopicError> {
    let [rid] = query::pick("the query", query, from, ["$rid"])?;
    request_id(rid, expected)
}

fn checked_rid(rid: &str) -> Result<&str, TopicError> {
    check_rid(rid)?;
    Ok(rid)
}

/// `devices/{d}/` or `devices/{d}/modules/{m}/`, and what follows.
fn device_and_module<'a>(
    topic: &'a str,
    expected: &'static str,
) -> Result<(String, Option<String>, &'a str), TopicError> {
    let rest = after(topic, "devices/", 0, expected)?;
    let (device_id, rest) =
        rest.split_once('/').ok_or(TopicError::Unexpected { at: topic.len(), expected })?;
    bounded("the device id", device_id, "devices/".len(), MAX_FIELD)?;
    let Some(behind) = rest.strip_prefix("modules/") else {
        return Ok((device_id.to_owned(), None, rest));
    };
    let at = topic.len() - behind.len();
    let (module_id, rest) =
        behind.split_once('/').ok_or(TopicError::Unexpected { at: topic.len(), expected })?;
    bounded("the module id", module_id, at, MAX_FIELD)?;
    Ok((device_id.to_owned(), Some(module_id.to_owned()), rest))
}

/// What begins every topic of a device, or of a module.
fn device_prefix(device_id: &str, module_id: Option<&str>) -> Result<String, TopicError> {
    check_part("the device id", device_id, MAX_FIELD)?;
    match module_id {
        None => Ok(format!("devices/{device_id}/")),
        Some(module_id) => {
            check_part("the module id", module_id, MAX_FIELD)?;
            Ok(format!("devices/{device_id}/modules/{module_id}/"))
        }
    }
}

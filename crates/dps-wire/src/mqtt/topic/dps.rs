//! The topics and the user name of the Device Provisioning Service (facts: Azure's MQTT support page for DPS
//! and the five device SDKs). The server parses requests and builds responses; a client does the reverse.

use std::fmt;

use super::query::{self, Piece};
use super::{TopicError, after, check_rid};
use crate::mqtt::limits::{MAX_OPERATION_ID, MAX_REQUEST_ID, MAX_USER_NAME};

/// What a device subscribes to before it asks.
pub const SUBSCRIBE_FILTER: &str = "$dps/registrations/res/#";

const REGISTER: &str = "PUT/iotdps-register/?";
const OPERATION_STATUS: &str = "GET/iotdps-get-operationstatus/?";
const REQUESTS: &str = "$dps/registrations/";
const RESPONSES: &str = "$dps/registrations/res/";
const RIGHT_REQUEST: &str = "$dps/registrations/PUT/iotdps-register/?$rid={request id} or \
     $dps/registrations/GET/iotdps-get-operationstatus/?$rid={request id}&operationId={operation id}";
const RIGHT_RESPONSE: &str = "$dps/registrations/res/{status}/?$rid={request id}[&retry-after={seconds}]";
const RIGHT_USER_NAME: &str = "{idScope}/registrations/{registrationId}/api-version={version}";

/// A request topic. `rid` is the device's own mark, kept byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Register this device.
    Register {
        /// `$rid`.
        rid: String,
    },
    /// How far is that operation?
    OperationStatus {
        /// `$rid`.
        rid: String,
        /// `operationId`, percent-decoded.
        operation_id: String,
    },
}

impl Request {
    /// Parses the topic of a PUBLISH to DPS.
    pub fn parse(topic: &str) -> Result<Self, TopicError> {
        let rest = after(topic, REQUESTS, 0, RIGHT_REQUEST)?;
        if let Some(query) = rest.strip_prefix(REGISTER) {
            let [rid] = query::pick("the query", query, topic.len() - query.len(), ["$rid"])?;
            return Ok(Self::Register { rid: request_id(rid, RIGHT_REQUEST)? });
        }
        let query = after(rest, OPERATION_STATUS, REQUESTS.len(), RIGHT_REQUEST)?;
        let from = topic.len() - query.len();
        let [rid, operation] = query::pick("the query", query, from, ["$rid", "operationId"])?;
        let rid = request_id(rid, RIGHT_REQUEST)?;
        let part = "operationId";
        let operation = operation.ok_or(TopicError::Missing { part, expected: RIGHT_REQUEST })?;
        let decoded = query::decode(part, operation.value.unwrap_or_default(), operation.value_at())?;
        bounded(part, &decoded, operation.value_at(), MAX_OPERATION_ID)?;
        Ok(Self::OperationStatus { rid, operation_id: decoded.into_owned() })
    }

    /// The device's mark.
    pub fn rid(&self) -> &str {
        match self {
            Self::Register { rid } | Self::OperationStatus { rid, .. } => rid,
        }
    }

    /// The topic, for a client to publish to.
    pub fn topic(&self) -> Result<String, TopicError> {
        check_rid(self.rid())?;
        match self {
            Self::Register { rid } => Ok(format!("{REQUESTS}{REGISTER}$rid={rid}")),
            Self::OperationStatus { rid, operation_id } => {
                bounded("operationId", operation_id, 0, MAX_OPERATION_ID)?;
                let mut topic = format!("{REQUESTS}{OPERATION_STATUS}$rid={rid}&operationId=");
                query::encode(operation_id, &mut topic);
                Ok(topic)
            }
        }
    }
}

/// A response topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// HTTP's number for it.
    pub status: u16,
    /// `$rid` of the request.
    pub rid: String,
    /// Seconds until the next try, on 202 and 429.
    pub retry_after: Option<u32>,
}

impl Response {
    /// The topic, for the server to publish to: `$rid` first, `retry-after` as an integer, no `$` of ours behind
    /// them (the Python SDK splits at `$`).
    pub fn topic(&self) -> Result<String, TopicError> {
        check_rid(&self.rid)?;
        Ok(match self.retry_after {
            None => format!("{RESPONSES}{}/?$rid={}", self.status, self.rid),
            Some(seconds) => {
                format!("{RESPONSES}{}/?$rid={}&retry-after={seconds}", self.status, self.rid)
            }
        })
    }

    /// Parses the topic of a PUBLISH from DPS, whatever the order of its query. A `retry-after` that is not a
    /// number is an error; pieces that are not known are ignored.
    pub fn parse(topic: &str) -> Result<Self, TopicError> {
        let rest = after(topic, RESPONSES, 0, RIGHT_RESPONSE)?;
        let (status, query) = rest
            .split_once("/?")
            .ok_or(TopicError::Unexpected { at: RESPONSES.len(), expected: RIGHT_RESPONSE })?;
        let status = number("the status", status, RESPONSES.len())?;
        let from = topic.len() - query.len();
        let [rid, retry_after] = query::pick("the query", query, from, ["$rid", "retry-after"])?;
        let retry_after = match retry_after {
            Some(piece) => Some(number("retry-after", piece.value.unwrap_or_default(), piece.value_at())?),
            None => None,
        };
        Ok(Self { status, rid: request_id(rid, RIGHT_RESPONSE)?, retry_after })
    }
}

/// The user name of CONNECT: `{idScope}/registrations/{registrationId}/api-version=…[&ClientVersion=…]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserName {
    /// The ID scope.
    pub id_scope: String,
    /// The registration id, percent-decoded. What may stand in it is the model's business.
    pub registration_id: String,
    /// The registration id as it came.
    pub registration_id_raw: String,
    /// `api-version`; `None` when it is missing or empty.
    pub api_version: Option<String>,
    /// `ClientVersion`, percent-decoded; informs only.
    pub client_version: Option<String>,
}

impl UserName {
    /// A user name for a client to send.
    pub fn new(id_scope: &str, registration_id: &str, api_version: &str) -> Self {
        Self {
            id_scope: id_scope.to_owned(),
            registration_id: registration_id.to_owned(),
            registration_id_raw: registration_id.to_owned(),
            api_version: Some(api_version.to_owned()),
            client_version: None,
        }
    }

    /// Whether this reads like a DPS user name at all (`X/registrations/…`), so that the front can tell it
    /// from a hub's.
    pub fn is_dps(user_name: &str) -> bool {
        user_name.split('/').nth(1) == Some("registrations")
    }

    /// Parses the user name; the tail may begin with `?`, and may be missing.
    pub fn parse(user_name: &str) -> Result<Self, TopicError> {
        if user_name.len() > MAX_USER_NAME {
            let (part, length) = ("the user name", user_name.len());
            return Err(TopicError::TooLong { part, length, limit: MAX_USER_NAME });
        }
        let expected = RIGHT_USER_NAME;
        let (id_scope, rest) =
            user_name.split_once('/').ok_or(TopicError::Unexpected { at: user_name.len(), expected })?;
        bounded("the ID scope", id_scope, 0, MAX_USER_NAME)?;
        let rest = after(rest, "registrations/", id_scope.len() + 1, expected)?;
        let from = user_name.len() - rest.len();
        let (raw, tail) = rest.split_once('/').unwrap_or((rest, ""));
        bounded("the registration id", raw, from, MAX_USER_NAME)?;
        let registration_id = query::decode("the registration id", raw, from)?;
        let tail = tail.strip_prefix('?').unwrap_or(tail);
        let at = user_name.len() - tail.len();
        let [version, client] = query::pick("the user name", tail, at, ["api-version", "ClientVersion"])?;
        Ok(Self {
            id_scope: id_scope.to_owned(),
            registration_id: registration_id.into_owned(),
            registration_id_raw: raw.to_owned(),
            api_version: filled(version).map(ToOwned::to_owned),
            client_version: filled(client).map(query::decode_lossy),
        })
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/registrations/{}/", self.id_scope, self.registration_id_raw)?;
        write!(f, "api-version={}", self.api_version.as_deref().unwrap_or_default())?;
        if let Some(client_version) = &self.client_version {
            let mut encoded = String::new();
            query::encode(client_version, &mut encoded);
            write!(f, "&ClientVersion={encoded}")?;
        }
        Ok(())
    }
}

fn filled(piece: Option<Piece<'_>>) -> Option<&str> {
    piece.and_then(|piece| piece.value).filter(|value| !value.is_empty())
}

pub(super) fn request_id(rid: Option<Piece<'_>>, expected: &'static str) -> Result<String, TopicError> {
    let rid = rid.ok_or(TopicError::Missing { part: "$rid", expected })?;
    let value = rid.value.unwrap_or_default();
    bounded("$rid", value, rid.value_at(), MAX_REQUEST_ID)?;
    Ok(value.to_owned())
}

pub(super) fn bounded(part: &'static str, text: &str, at: usize, limit: usize) -> Result<(), TopicError> {
    if text.is_empty() {
        return Err(TopicError::Empty { part, at });
    }
    if text.len() > limit {
        return Err(TopicError::TooLong { part, length: text.len(), limit });
    }
    Ok(())
}

pub(super) fn number<T: std::str::FromStr>(
    part: &'static str,
    text: &str,
    at: usize,
) -> Result<T, TopicError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or(TopicError::NotANumber { part, at })
}

//! A rule: which occasions it is for, what happens then, and its JSON. Every member is bounded, and an unknown one is
//! refused. Must not know who asks for a rule or how a fault is caused.

use dps_model::Protocol;
use serde::{Deserialize, Deserializer, Serialize};

use crate::dev::limits::{MAX_ID, MAX_MILLISECONDS, MAX_RETRY_AFTER, MAX_TEXT};

/// Server errors that every protocol has a row for.
const STATUSES: [u16; 3] = [500, 503, 504];

/// What is to happen, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Its name; one is made up when it is left out.
    #[serde(default)]
    pub id: String,
    /// Which occasions it is for; all that the fault fits, when nothing is said.
    #[serde(rename = "match", default)]
    pub occasions: Occasions,
    /// What happens then.
    pub fault: Fault,
    /// Where the dice of `probability` begin: the same seed gives the same run.
    #[serde(default)]
    pub seed: u64,
}

/// Which occasions a rule is for. All that is said must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Occasions {
    /// The registration id, on a hub the device id; with `*` at its end all that begin so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_id: Option<String>,
    /// How the device speaks.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "protocol")]
    pub protocol: Option<Protocol>,
    /// What is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Point>,
    /// The id scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_scope: Option<String>,
    /// The hub's host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub: Option<String>,
    /// How often of all occasions, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// How many occasions go well before the first fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// How many times at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Point {
    /// A device's register request.
    Register,
    /// A device's poll.
    OperationStatus,
    /// A device's lookup of its registration.
    RegistrationLookup,
    /// A call of provisioning to a linked hub.
    HubWrite,
    /// A device's connection to a development hub.
    HubConnection,
    /// A call of a custom-allocation webhook, or of an action group's.
    Webhook,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Fault {
    /// The connection goes dumb: it stays open, and nothing more comes out of it.
    Drop {
        /// What is lost of the exchange.
        #[serde(default)]
        lost: Lost,
        /// On a hub: how long after the connection was made.
        #[serde(default)]
        milliseconds: u64,
    },
    /// The connection is closed without a word.
    Disconnect {
        /// What is lost of the exchange.
        #[serde(default)]
        lost: Lost,
        /// On a hub: how long after the connection was made.
        #[serde(default)]
        milliseconds: u64,
    },
    /// It takes so much longer.
    Delay {
        /// How long.
        milliseconds: u64,
    },
    /// Too many requests (429).
    Throttle {
        /// What the peer is told to wait, in seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u32>,
    },
    /// A server error.
    Error {
        /// 500, 503 or 504.
        #[serde(default = "internal")]
        status: u16,
        /// What the peer is told to wait, in seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u32>,
    },
    /// The hub is reached neither by provisioning nor by devices.
    HubDown {},
    /// Webhooks do not answer.
    WebhookDown {},
}

/// What is lost of an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Lost {
    /// The request: nothing comes of it.
    #[default]
    Request,
    /// The answer: the work is done.
    Answer,
}

fn internal() -> u16 {
    500
}

/// In any spelling of the letters' case.
fn protocol<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Protocol>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let all = [Protocol::Http, Protocol::Mqtt, Protocol::MqttWs, Protocol::Amqp, Protocol::AmqpWs];
    let found = all.into_iter().find(|protocol| protocol.as_str().eq_ignore_ascii_case(&text));
    let unknown = || serde::de::Error::custom("protocol is Http, Mqtt, MqttWs, Amqp or AmqpWs");
    found.map(Some).ok_or_else(unknown)
}

impl Fault {
    /// Its name in JSON and in events.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Drop { .. } => "drop",
            Self::Disconnect { .. } => "disconnect",
            Self::Delay { .. } => "delay",
            Self::Throttle { .. } => "throttle",
            Self::Error { .. } => "error",
            Self::HubDown {} => "hubDown",
            Self::WebhookDown {} => "webhookDown",
        }
    }

    /// Can it happen there?
    fn fits(&self, point: Point) -> bool {
        use Point::{HubConnection, HubWrite, OperationStatus, Register, RegistrationLookup, Webhook};
        match self {
            Self::Drop { .. } | Self::Disconnect { .. } => {
                matches!(point, Register | OperationStatus | RegistrationLookup | HubConnection)
            }
            Self::Delay { .. } => true,
            Self::Throttle { .. } | Self::Error { .. } => !matches!(point, HubConnection),
            Self::HubDown {} => matches!(point, HubWrite | HubConnection),
            Self::WebhookDown {} => matches!(point, Webhook),
        }
    }

    /// Where it happens when nothing is said: faults of devices' requests leave hubs and webhooks alone.
    fn is_meant(&self, point: Point) -> bool {
        use Point::{OperationStatus, Register, RegistrationLookup};
        match self {
            Self::HubDown {} | Self::WebhookDown {} => self.fits(point),
            _ => matches!(point, Register | OperationStatus | RegistrationLookup),
        }
    }
}

impl Rule {
    /// Is the rule for that point?
    pub fn is_for(&self, point: Point) -> bool {
        match self.occasions.operation {
            Some(said) => said == point,
            None => self.fault.is_meant(point),
        }
    }

    /// Does it make sense? The error is one sentence.
    pub fn check(&self) -> Result<(), String> {
        let id_ok = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if self.id.len() > MAX_ID || !self.id.chars().all(id_ok) {
            return Err(format!("id has at most {MAX_ID} letters, digits, - . _"));
        }
        let Occasions { registration_id, id_scope, hub, probability, after, count, operation, .. } =
            &self.occasions;
        for (name, text) in [("registrationId", registration_id), ("idScope", id_scope), ("hub", hub)] {
            if text.as_ref().is_some_and(|text| text.is_empty() || text.len() > MAX_TEXT) {
                return Err(format!("match.{name} has 1 to {MAX_TEXT} characters"));
            }
        }
        if probability.is_some_and(|it| !(0.0..=1.0).contains(&it)) {
            return Err("match.probability is from 0 to 1".to_owned());
        }
        if count == &Some(0) {
            return Err("match.count is 1 or more; leave it out for always".to_owned());
        }
        if after.is_some_and(|it| it > u64::from(u32::MAX))
            || count.is_some_and(|it| it > u64::from(u32::MAX))
        {
            return Err(format!("match.after and match.count are at most {}", u32::MAX));
        }
        if let Some(point) = operation
            && !self.fault.fits(*point)
        {
            let point = serde_json::to_value(point).unwrap_or_default();
            return Err(format!("{} does not happen at match.operation {point}", self.fault.kind()));
        }
        self.check_fault()
    }

    fn check_fault(&self) -> Result<(), String> {
        let at_hub = self.occasions.operation == Some(Point::HubConnection);
        match self.fault {
            Fault::Drop { lost, milliseconds } | Fault::Disconnect { lost, milliseconds } => {
                if milliseconds > MAX_MILLISECONDS {
                    return Err(format!("fault.milliseconds is at most {MAX_MILLISECONDS}"));
                }
                if milliseconds > 0 && !at_hub {
                    return Err(
                        "fault.milliseconds goes with match.operation hubConnection; a rule with kind delay \
                         slows requests down"
                            .to_owned(),
                    );
                }
                if lost == Lost::Answer && at_hub {
                    return Err("fault.lost is of requests, not of match.operation hubConnection".to_owned());
                }
                Ok(())
            }
            Fault::Delay { milliseconds } if !(1..=MAX_MILLISECONDS).contains(&milliseconds) => {
                Err(format!("fault.milliseconds is from 1 to {MAX_MILLISECONDS}"))
            }
            Fault::Error { status, .. } if !STATUSES.contains(&status) => {
                Err("fault.status is 500, 503 or 504; kind throttle gives 429".to_owned())
            }
            Fault::Throttle { retry_after } | Fault::Error { retry_after, .. }
                if retry_after.is_some_and(|seconds| seconds > MAX_RETRY_AFTER) =>
            {
                Err(format!("fault.retryAfter is at most {MAX_RETRY_AFTER} seconds"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Rule, String> {
        let rule: Rule = serde_json::from_str(text).map_err(|error| error.to_string())?;
        rule.check().map(|()| rule)
    }

    fn refused(text: &str) -> String {
        read(text).unwrap_err()
    }

    #[test]
    fn rule_is_read_and_written_alike() {
        let text = r#"{"id":"a","match":{"registrationId":"robot-*","protocol":"mqttws","operation":"register","probability":0.5,"count":3},"fault":{"kind":"throttle","retryAfter":7},"seed":4}"#;
        let rule = read(text).unwrap();
        assert_eq!(rule.occasions.protocol, Some(Protocol::MqttWs));
        assert_eq!(rule.fault, Fault::Throttle { retry_after: Some(7) });
        let again = serde_json::to_string(&rule).unwrap();
        assert_eq!(read(&again).unwrap(), rule);
    }

    #[test]
    fn rule_with_a_mistake_is_told_where_it_is() {
        for (text, said) in [
            ("{", "EOF"),
            (r#"{"fault":{"kind":"melt"}}"#, "melt"),
            (r#"{"fault":{"kind":"hubDown","for":3}}"#, "for"),
            (r#"{"fault":{"kind":"hubDown"},"macth":{}}"#, "macth"),
            (r#"{"fault":{"kind":"delay"}}"#, "milliseconds"),
            (r#"{"fault":{"kind":"delay","milliseconds":0}}"#, "from 1 to"),
            (r#"{"fault":{"kind":"delay","milliseconds":600001}}"#, "from 1 to"),
            (r#"{"fault":{"kind":"error","status":404}}"#, "500, 503 or 504"),
            (r#"{"fault":{"kind":"throttle","retryAfter":3601}}"#, "retryAfter"),
            (r#"{"fault":{"kind":"drop","milliseconds":5}}"#, "hubConnection"),
            (r#"{"match":{"operation":"hubConnection"},"fault":{"kind":"drop","lost":"answer"}}"#, "lost"),
            (r#"{"match":{"operation":"webhook"},"fault":{"kind":"hubDown"}}"#, "does not happen"),
            (r#"{"match":{"operation":"hubConnection"},"fault":{"kind":"throttle"}}"#, "does not happen"),
            (r#"{"match":{"probability":1.5},"fault":{"kind":"hubDown"}}"#, "from 0 to 1"),
            (r#"{"match":{"count":0},"fault":{"kind":"hubDown"}}"#, "1 or more"),
            (r#"{"match":{"registrationId":""},"fault":{"kind":"hubDown"}}"#, "registrationId"),
            (r#"{"match":{"protocol":"coap"},"fault":{"kind":"drop"}}"#, "MqttWs"),
            (r#"{"id":"a b","fault":{"kind":"hubDown"}}"#, "id has"),
        ] {
            let why = refused(text);
            assert!(why.contains(said), "{text}: {why}");
        }
        let long = format!(r#"{{"id":"{}","fault":{{"kind":"hubDown"}}}}"#, "x".repeat(65));
        assert!(refused(&long).contains("id has"));
    }
}

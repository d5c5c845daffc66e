//! `hubEvents`: what an IoT hub tells of its devices' connections, as Event Grid delivers it to a webhook. Owns the two forms of
//! such events and which hubs have told something; must not know what is made of a connection.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use dps_events::{Event, HubConnectionRecord, HubDeviceName};
use dps_model::instance::Instance;
use dps_model::limits::{MAX_EVENT_TEXT, MAX_HUB_EVENTS};
use dps_model::member::Member;
use dps_model::{Error, Timestamp, TrackingId};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::service::ManagementApi;

const CONNECTED: &str = "Microsoft.Devices.DeviceConnected";
const VALIDATION: &str = "Microsoft.EventGrid.SubscriptionValidationEvent";

/// Hubs that have told of a connection since the server began: of the others it is not known whether a device was there.
#[derive(Default)]
pub(crate) struct TellingHubs(Mutex<BTreeSet<String>>);

impl TellingHubs {
    /// They and those.
    pub(crate) fn and(&self, others: Vec<String>) -> Vec<String> {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        others.into_iter().chain(told.iter().cloned()).collect()
    }

    /// Only linked hubs come here, so they are few.
    fn add(&self, hub: &str) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !told.contains(hub) {
            told.insert(hub.to_owned());
        }
    }
}

/// What an event says.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    /// Event Grid asks whether its events are wanted here.
    Validation(String),
    /// A device connected.
    Connected(Connected),
    /// Nothing of interest.
    Else,
}

#[derive(Debug, PartialEq, Eq)]
struct Connected {
    hub: String,
    device_id: String,
    module_id: Option<String>,
    time: Timestamp,
}

impl ManagementApi {
    /// Takes a batch of events.
    pub(super) fn hub_events(
        &self,
        instance: &Instance,
        body: &Value,
        now: Timestamp,
    ) -> Result<Answer, Error> {
        let (mut taken, mut ignored) = (0_u32, 0_u32);
        for event in read(body)? {
            match event {
                Told::Validation(code) => return Ok(Answer::shown(json!({"validationResponse": code}))),
                Told::Connected(connected) if self.note(instance, &connected, now) => taken += 1,
                Told::Connected(_) | Told::Else => ignored += 1,
            }
        }
        Ok(Answer::shown(json!({"taken": taken, "ignored": ignored})))
    }

    /// Records a connection to a linked hub; false where there is none of that name.
    fn note(&self, instance: &Instance, connected: &Connected, now: Timestamp) -> bool {
        let Connected { hub, device_id, module_id, time } = connected;
        // An event has the hub's short name.
        let named = |name: &str| name.split('.').next().is_some_and(|short| short.eq_ignore_ascii_case(hub));
        let linked = instance.linked_hubs.iter().map(|linked| linked.name.as_str());
        let Some(hub) = linked.into_iter().find(|name| name.eq_ignore_ascii_case(hub) || named(name)) else {
            return false;
        };
        self.telling.add(hub);
        self.sink.record(Event::HubConnection(Box::new(HubConnectionRecord {
            tracking_id: TrackingId::fresh(),
            // Events come late, never early: a hub's clock may be ahead.
            time: (*time).min(now),
            micros: 0,
            device: HubDeviceName {
                hub: hub.to_owned(),
                device_id: device_id.clone(),
                module_id: module_id.clone(),
            },
            protocol: None,
            peer: None,
        })));
        true
    }
}

/// A list in Event Grid's form, or one event or a list in that of `CloudEvents`.
fn read(body: &Value) -> Result<Vec<Told>, Error> {
    let body = match body {
        Value::Array(_) => json!({"events": body}),
        _ => json!({"events": [body]}),
    };
    let events = Member::body(&body)?.get("events").list(MAX_HUB_EVENTS)?.unwrap_or_default();
    events.iter().map(event).collect()
}

fn event(event: &Member<'_>) -> Result<Told, Error> {
    let kind = match event.get("eventType").text()? {
        Some(kind) => kind,
        None => event.get("type").text()?.ok_or_else(|| {
            event.wrong("is no event: eventType is required, or type where it is a CloudEvent")
        })?,
    };
    let data = event.get("data");
    match kind {
        VALIDATION => Ok(Told::Validation(data.get("validationCode").required()?.to_owned())),
        CONNECTED => {
            let time = if event.get("eventTime").holds_something() { "eventTime" } else { "time" };
            let time = event.get(time);
            let module = data.get("moduleId").text()?.filter(|id| !id.is_empty());
            Ok(Told::Connected(Connected {
                hub: bounded(data.get("hubName").required()?),
                device_id: bounded(data.get("deviceId").required()?),
                module_id: module.map(bounded),
                time: Timestamp::parse(time.required()?)
                    .ok_or_else(|| time.wrong("must be a time such as 2030-01-01T00:00:00Z"))?,
            }))
        }
        _ => Ok(Told::Else),
    }
}

fn bounded(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_EVENT_TEXT)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_in_both_forms() {
        let data = json!({"hubName": "north", "deviceId": "press-1", "moduleId": ""});
        let grid = json!([
            {"id": "1", "eventType": CONNECTED, "eventTime": "2030-01-01T00:00:00Z", "data": data},
            {"id": "2", "eventType": "Microsoft.Devices.DeviceTelemetry", "data": {}},
        ]);
        let cloud =
            json!({"specversion": "1.0", "type": CONNECTED, "time": "2030-01-01T00:00:00Z", "data": data});
        let connected = || {
            Told::Connected(Connected {
                hub: "north".into(),
                device_id: "press-1".into(),
                module_id: None,
                time: Timestamp::parse("2030-01-01T00:00:00Z").unwrap(),
            })
        };
        assert_eq!(read(&grid).unwrap(), [connected(), Told::Else]);
        assert_eq!(read(&cloud).unwrap(), [connected()]);
        assert_eq!(read(&json!([])).unwrap(), []);
    }

    #[test]
    fn what_is_wrong_with_an_event_is_said_with_its_place() {
        for (event, says) in [
            (json!({}), "events[0] is no event"),
            (json!({"eventType": 7}), "events[0].eventType must be a text"),
            (json!({"eventType": CONNECTED, "data": {"deviceId": "a"}}), "events[0].data.hubName"),
            (
                json!({"eventType": CONNECTED, "eventTime": "noon", "data": {"hubName": "h", "deviceId": "a"}}),
                "events[0].eventTime must be a time",
            ),
            (json!({"eventType": VALIDATION, "data": {}}), "events[0].data.validationCode"),
        ] {
            let error = read(&json!([event])).unwrap_err();
            assert!(error.message.contains(says), "{}", error.message);
        }
        let many = Value::Array(vec![json!({"eventType": "x"}); MAX_HUB_EVENTS + 1]);
        assert!(read(&many).unwrap_err().message.contains("at most"));
        assert!(read(&json!([7])).unwrap_err().message.contains("events[0] must be an object"));
    }
}

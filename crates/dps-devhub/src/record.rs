//! The one place where the development hubs record: devices that connected, and connections that were refused before they
//! were a device's. Must not decide anything.

use dps_events::{ConnectionRecord, Event, HubConnectionRecord, HubDeviceName};
use dps_model::limits::MAX_EVENT_TEXT;
use dps_model::{Channel, Timestamp, TrackingId};

use crate::guest::Guest;
use crate::{DevHub, DevHubs};

/// When a unit of work began.
#[derive(Clone, Copy)]
pub(crate) struct Begun {
    time: Timestamp,
    micros: u64,
}

/// Who a connection said it was.
#[derive(Default)]
pub(crate) struct Claimed<'a> {
    /// In its own words.
    pub(crate) text: Option<&'a str>,
    /// The device that these name.
    pub(crate) device: Option<HubDeviceName>,
}

impl<'a> Claimed<'a> {
    /// A device of that hub.
    pub(crate) fn device(text: &'a str, hub: &DevHub, device_id: &str, module_id: Option<&str>) -> Self {
        let device = HubDeviceName {
            hub: hub.name.as_str().to_owned(),
            device_id: bounded(device_id),
            module_id: module_id.map(bounded),
        };
        Self { text: Some(text), device: Some(device) }
    }

    /// Words that name no device of a hub.
    pub(crate) fn words(text: Option<&'a str>) -> Self {
        Self { text, device: None }
    }
}

impl DevHubs {
    /// A unit of work begins now.
    pub(crate) fn begin(&self) -> Begun {
        Begun { time: self.clock.now(), micros: self.clock.monotonic_micros() }
    }

    /// A device was told that it is welcome.
    pub(crate) fn arrived(&self, begun: Begun, channel: &Channel, guest: &Guest) {
        guest.arrived();
        self.sink.record(Event::HubConnection(Box::new(HubConnectionRecord {
            tracking_id: TrackingId::fresh(),
            time: begun.time,
            micros: self.since(begun),
            device: HubDeviceName {
                hub: guest.hub.name.as_str().to_owned(),
                device_id: guest.id.as_str().to_owned(),
                module_id: None,
            },
            protocol: Some(channel.protocol),
            peer: Some(channel.peer),
        })));
    }

    /// What was refused, under the tracking id that the peer was told, if it was told one.
    pub(crate) fn refused(
        &self,
        begun: Begun,
        channel: &Channel,
        tracking_id: TrackingId,
        claimed: Claimed<'_>,
        reason: &str,
    ) {
        self.sink.record(Event::Connection(Box::new(ConnectionRecord {
            tracking_id,
            time: begun.time,
            micros: self.since(begun),
            protocol: channel.protocol,
            peer: channel.peer,
            stage: "connect",
            reason: bounded(reason),
            causes: Vec::new(),
            claimed: claimed.text.map(bounded),
            hub_device: claimed.device,
            handshake: None,
        })));
    }

    fn since(&self, begun: Begun) -> u64 {
        self.clock.monotonic_micros().saturating_sub(begun.micros)
    }
}

fn bounded(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_EVENT_TEXT)].to_owned()
}

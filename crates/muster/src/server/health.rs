//! How the server is: full, or not, and of what. Owns the words of `/health` and the sample behind the gauges; must not
//! know how a bound is kept.

use std::sync::Arc;

use dps_core::Throttle;
use dps_core::throttle::{GateLoad, Load};
use dps_device_api::{DeviceApi, DoorLoad};
use dps_events::LoadSample;
use http::StatusCode;
use serde_json::{Value, json};

/// Whom to ask.
#[derive(Clone)]
pub struct Health {
    /// The bounds on handling.
    pub throttle: Arc<Throttle>,
    /// The bounds on accepting and handshaking.
    pub api: Arc<DeviceApi>,
}

impl Health {
    /// 200 and `ok`, or 503, `overloaded` and why. Either body says how busy the server is.
    pub fn report(&self) -> (StatusCode, Value) {
        report(&self.throttle.load(), &self.api.load())
    }

    /// The same figures for the gauges.
    pub fn sample(&self) -> LoadSample {
        let (load, doors) = (self.throttle.load(), self.api.load());
        LoadSample {
            registering: load.registering.in_flight,
            registering_waiting: load.registering.waiting,
            polling: load.polling.in_flight,
            polling_waiting: load.polling.waiting,
            throttled_devices: load.throttled_devices,
            connections: doors.taken.connections,
            handshakes: doors.taken.handshakes,
        }
    }
}

fn report(load: &Load, doors: &DoorLoad) -> (StatusCode, Value) {
    let (taken, bounds) = (&doors.taken, &doors.bounds);
    let reasons: Vec<&str> = [
        (load.registering.overloaded, "more register requests than can be handled: new ones are refused"),
        (load.polling.overloaded, "more polls than can be handled: new ones are refused"),
        (taken.connections >= bounds.connections, "all connections are taken: new ones are closed"),
        (taken.handshakes >= bounds.handshakes, "all places for TLS handshakes are taken: new ones wait"),
    ]
    .into_iter()
    .filter_map(|(full, why)| full.then_some(why))
    .collect();
    let (status, word) = if reasons.is_empty() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "overloaded")
    };
    let gate = |gate: &GateLoad| json!({"inFlight": gate.in_flight, "waiting": gate.waiting});
    let body = json!({
        "status": word,
        "reasons": reasons,
        "registering": gate(&load.registering),
        "polling": gate(&load.polling),
        "throttledDevices": load.throttled_devices,
        "connections": taken.connections,
        "handshakes": taken.handshakes,
    });
    (status, body)
}

#[cfg(test)]
mod tests {
    use dps_device_api::Bounds;

    use super::*;

    fn gate(in_flight: usize, overloaded: bool) -> GateLoad {
        GateLoad { in_flight, waiting: 0, overloaded }
    }

    fn doors(connections: usize, handshakes: usize) -> DoorLoad {
        DoorLoad {
            taken: Bounds { connections, handshakes },
            bounds: Bounds { connections: 10, handshakes: 5 },
        }
    }

    #[test]
    fn server_with_room_is_ok_and_says_how_busy_it_is() {
        let load = Load { registering: gate(3, false), polling: gate(0, false), throttled_devices: 7 };
        let (status, body) = report(&load, &doors(9, 4));
        assert_eq!(status, StatusCode::OK);
        assert_eq!((&body["status"], &body["reasons"]), (&json!("ok"), &json!([])));
        assert_eq!(body["registering"], json!({"inFlight": 3, "waiting": 0}));
        assert_eq!((&body["throttledDevices"], &body["connections"]), (&json!(7), &json!(9)));
    }

    #[test]
    fn server_that_is_full_says_of_what() {
        let load = Load { registering: gate(3, true), polling: gate(0, false), throttled_devices: 0 };
        let (status, body) = report(&load, &doors(10, 5));
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body["status"], "overloaded");
        let reasons = body["reasons"].to_string();
        assert!(reasons.contains("register") && reasons.contains("connections") && reasons.contains("TLS"));
        assert!(!reasons.contains("polls"));
    }
}

//! How the server is: up, ready, full, draining, and of what. Owns the words of `/health`, the probe of the store and
//! the sample behind the gauges; must not know how a bound is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use dps_core::Throttle;
use dps_core::links::Links;
use dps_core::ports::{Clock, Collection, Document, Precondition, Store, Write};
use dps_core::throttle::{GateLoad, Load};
use dps_device_api::{DeviceApi, DoorLoad};
use dps_events::LoadSample;
use dps_model::{Etag, limits};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::link_probes;

/// Tells how the server certificates are.
pub type CertificatesReport = Arc<dyn Fn() -> Value + Send + Sync>;

/// Whom to ask.
pub struct Watched {
    /// The bounds on handling.
    pub throttle: Arc<Throttle>,
    /// The bounds on accepting and handshaking.
    pub api: Arc<DeviceApi>,
    /// Can it be written?
    pub store: Arc<dyn Store>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// How the linked hubs are.
    pub links: Arc<Links>,
    /// How the server certificates are, where somebody sees to them.
    pub certificates: Option<CertificatesReport>,
}

/// How the server is.
pub struct Health {
    watched: Watched,
    draining: AtomicBool,
    /// Listeners that accept.
    listening: AtomicUsize,
    /// When the store was last written, on the clock's own scale, and why it could not be.
    written: Mutex<Option<(u64, Result<(), String>)>>,
}

/// Listeners without which the server is not ready.
const LISTENERS: usize = 3;
/// Id of the document that shows that the store can be written.
const PROBE: &str = "health";

impl Health {
    /// Nothing listens yet.
    pub fn new(watched: Watched) -> Arc<Self> {
        Arc::new(Self {
            watched,
            draining: AtomicBool::new(false),
            listening: AtomicUsize::new(0),
            written: Mutex::default(),
        })
    }

    /// From now on the server is not ready: it is about to end.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// A listener accepts until this is dropped.
    pub fn listening(self: &Arc<Self>) -> Listening {
        self.listening.fetch_add(1, Ordering::Relaxed);
        Listening(Arc::clone(self))
    }

    /// 200 and `ok`, or 503 and why: `draining` or `overloaded`. Either body says how busy the server is.
    pub fn report(&self) -> (StatusCode, Value) {
        let Watched { throttle, api, links, certificates, .. } = &self.watched;
        let (mut status, mut body) = report(&throttle.load(), &api.load());
        if self.draining.load(Ordering::Relaxed) {
            (status, body["status"]) = (StatusCode::SERVICE_UNAVAILABLE, json!("draining"));
        }
        body["linkedHubs"] = link_probes::report(links);
        if let Some(certificates) = certificates {
            body["certificates"] = certificates();
        }
        (status, body)
    }

    /// 200 when a client sent here now would be served, or 503 and why not.
    pub async fn ready(&self) -> (StatusCode, Value) {
        let (_, body) = self.report();
        let mut reasons: Vec<Value> = body["reasons"].as_array().cloned().unwrap_or_default();
        if self.draining.load(Ordering::Relaxed) {
            reasons.push(json!("the server is about to end"));
        }
        if self.listening.load(Ordering::Relaxed) < LISTENERS {
            reasons.push(json!("not every listener accepts"));
        }
        if let Err(why) = self.store_writes().await {
            reasons.push(json!(format!("the store cannot be written: {why}")));
        }
        if reasons.is_empty() {
            return (StatusCode::OK, json!({"status": "ready", "reasons": reasons}));
        }
        (StatusCode::SERVICE_UNAVAILABLE, json!({"status": "not ready", "reasons": reasons}))
    }

    /// Writes a small document; who asks again soon is told the same.
    async fn store_writes(&self) -> Result<(), String> {
        let mut written = self.written.lock().await;
        let now = self.watched.clock.monotonic_micros();
        if let Some((at, result)) = written.as_ref()
            && now.saturating_sub(*at) < limits::STORE_PROBE_AGE_MS * 1_000
        {
            return result.clone();
        }
        let write = self.watched.store.write(vec![probe()]);
        let result = match tokio::time::timeout(Duration::from_secs(limits::STORE_PROBE_TIMEOUT), write).await
        {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {} seconds", limits::STORE_PROBE_TIMEOUT)),
        };
        *written = Some((now, result.clone()));
        result
    }

    /// Does the store answer? What a watchdog asks: a full disk is no reason to be started again.
    pub async fn store_answers(&self) -> bool {
        let read = self.watched.store.get(Collection::Settings, "", PROBE);
        tokio::time::timeout(Duration::from_secs(limits::STORE_PROBE_TIMEOUT), read).await.is_ok()
    }

    /// How the linked hubs are.
    pub fn links(&self) -> &Links {
        &self.watched.links
    }

    /// The same figures for the gauges.
    pub fn sample(&self) -> LoadSample {
        let (load, doors) = (self.watched.throttle.load(), self.watched.api.load());
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

/// A listener that accepts.
pub struct Listening(Arc<Health>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.listening.fetch_sub(1, Ordering::Relaxed);
    }
}

fn probe() -> Write {
    let document = Document {
        id: PROBE.to_owned(),
        etag: Etag::fresh(),
        body: "{}".to_owned(),
        sealed: None,
        owner: None,
        due: None,
        lookups: Vec::new(),
    };
    let (collection, instance) = (Collection::Settings, String::new());
    Write::Put { collection, instance, document, precondition: Precondition::None }
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
    use dps_device_api::{Bounds, Taken};

    use super::*;

    fn gate(in_flight: usize, overloaded: bool) -> GateLoad {
        GateLoad { in_flight, waiting: 0, overloaded }
    }

    fn doors(connections: usize, handshakes: usize) -> DoorLoad {
        DoorLoad {
            taken: Taken { connections, handshakes },
            bounds: Bounds { connections: 10, handshakes: 5, ..Bounds::default() },
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

//! The listeners and what works beside them while they run, and their end. Must not know what is served.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use dps_core::Operations;
use dps_device_api::ServerTls;
use dps_events::Metrics;
use dps_monitor::alerts::alerting::RunningAlerts;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};

use super::health::{CertificatesReport, Health, Watched};
use super::link_probes::LinkProbes;
use super::plain_http;
use super::ports::Ports;
use super::rollups::{CertificateEnds, RollupKeeper};
use super::rooms::{Outside, Rooms};

/// What is run.
pub struct Run {
    /// The joined rooms.
    pub rooms: Rooms,
    /// What they were given.
    pub outside: Outside,
    /// TLS of all ports.
    pub tls: Arc<ServerTls>,
    /// The bound listeners.
    pub ports: Ports,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// Time between two probes of a linked hub.
    pub probe_interval: Duration,
    /// How the server certificates are, where somebody sees to them.
    pub certificates: Option<CertificatesReport>,
    /// When the server certificates end.
    pub certificate_ends: CertificateEnds,
}

/// Everything that runs between start and stop.
pub struct Running {
    /// How it is.
    pub health: Arc<Health>,
    stop: watch::Sender<bool>,
    listeners: JoinSet<()>,
    operations: Arc<Operations>,
    background: Vec<AbortHandle>,
    alerts: RunningAlerts,
    /// It answers until the end: how the server is, is asked while it drains.
    plain: Option<(watch::Sender<bool>, JoinHandle<()>)>,
}

impl Running {
    /// Serves on every port, takes up operations that were left, and probes linked hubs.
    pub fn start(run: Run) -> Self {
        let Run { rooms, outside, tls, ports, metrics, probe_interval, certificates, certificate_ends } = run;
        let Rooms { api, plain, health: slot, operations, instances, hubs, alerting, .. } = rooms;
        let links = outside.links;
        let health = Health::new(Watched {
            throttle: outside.throttle,
            api: Arc::clone(&api),
            store: outside.store,
            clock: Arc::clone(&outside.clock),
            links: Arc::clone(&links),
            certificates,
        });
        let _ = slot.set(Arc::clone(&health)); // it is started once
        let (stop, shutdown) = watch::channel(false);
        let mut listeners = JoinSet::new();
        let given = || (Arc::clone(&api), Arc::clone(&tls), shutdown.clone(), health.listening());
        let (https, tls_of_https, end, listening) = given();
        listeners.spawn(async move {
            https.serve_https(ports.https, &tls_of_https, end).await;
            drop(listening);
        });
        let (mqtt, tls_of_mqtt, end, listening) = given();
        listeners.spawn(async move {
            mqtt.serve_mqtt(ports.mqtt, &tls_of_mqtt, end).await;
            drop(listening);
        });
        let (amqp, tls_of_amqp, end, listening) = given();
        listeners.spawn(async move {
            amqp.serve_amqp(ports.amqp, &tls_of_amqp, end).await;
            drop(listening);
        });
        let keeper = RollupKeeper {
            rollups: outside.rollups,
            clock: Arc::clone(&outside.clock),
            health: Arc::clone(&health),
            metrics: Arc::clone(&metrics),
            certificates: certificate_ends,
            instances: Arc::clone(&instances),
            dropped: AtomicU64::new(0),
        };
        let keeper = tokio::spawn(keeper.run()).abort_handle();
        let plain = ports.http.map(|http| {
            let (end, ended) = watch::channel(false);
            // Keys and tokens go over TLS wherever somebody else could listen.
            let alone = http.local_addr().is_ok_and(|address| address.ip().is_loopback());
            let shown =
                plain_http::Shown { metrics, health: Arc::clone(&health), apis: alone.then_some(plain) };
            (end, tokio::spawn(plain_http::serve(http, shown, ended)))
        });
        let sweep = tokio::spawn(Arc::clone(&operations).sweep_on()).abort_handle();
        let (clock, sink) = (outside.clock, outside.sink);
        let probes = LinkProbes { instances, hubs, clock, sink, links, interval: probe_interval };
        let probes = tokio::spawn(Arc::new(probes).run()).abort_handle();
        let alerts = alerting.start();
        let background = vec![sweep, probes, keeper];
        Self { health, stop, listeners, operations, background, alerts, plain }
    }

    /// Takes no new work and lets requests and operations in flight end, at most that long. What has not ended then is
    /// on disk, and the next start takes it up.
    pub async fn stop(mut self, patience: Duration) {
        self.health.drain();
        for task in &self.background {
            task.abort();
        }
        // Fails only when every task has ended already.
        let _ = self.stop.send(true);
        let ended = async {
            while self.listeners.join_next().await.is_some() {}
            self.operations.ended().await;
        };
        let _ = tokio::join!(tokio::time::timeout(patience, ended), self.alerts.stop(patience));
        if let Some((end, task)) = self.plain {
            let _ = end.send(true); // fails only when it has ended
            let _ = task.await;
        }
    }
}

//! The listeners and the sweep while they run, and their end. Must not know what is served.

use std::sync::Arc;

use dps_core::Throttle;
use dps_device_api::ServerTls;
use dps_events::Metrics;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::health::Health;
use super::plain_http;
use super::ports::Ports;
use super::rooms::Rooms;

/// Everything that runs between start and stop.
pub struct Running {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    sweep: AbortHandle,
}

impl Running {
    /// Serves on every port, and takes up operations that were left.
    pub fn start(
        rooms: Rooms,
        tls: &Arc<ServerTls>,
        ports: Ports,
        metrics: Arc<Metrics>,
        throttle: Arc<Throttle>,
    ) -> Self {
        let Rooms { api, operations, .. } = rooms;
        let (stop, shutdown) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let given = || (Arc::clone(&api), Arc::clone(tls), shutdown.clone());
        let serve = given();
        tasks.spawn(async move { serve.0.serve_https(ports.https, &serve.1, serve.2).await });
        let serve = given();
        tasks.spawn(async move { serve.0.serve_mqtt(ports.mqtt, &serve.1, serve.2).await });
        let serve = given();
        tasks.spawn(async move { serve.0.serve_amqp(ports.amqp, &serve.1, serve.2).await });
        if let Some(http) = ports.http {
            let health = Health { throttle, api };
            tasks.spawn(plain_http::serve(http, metrics, health, shutdown));
        }
        let sweep = tokio::spawn(operations.sweep_on()).abort_handle();
        Self { stop, tasks, sweep }
    }

    /// Takes no new work and lets the work in flight end.
    pub async fn stop(mut self) {
        self.sweep.abort();
        // Fails only when every task has ended already.
        let _ = self.stop.send(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

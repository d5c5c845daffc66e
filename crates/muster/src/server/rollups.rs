//! Keeps the rollups of metrics: feeds them events, looks now and then at what no event tells, writes what changed and
//! removes what is too old. Must not know what a metric means.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dps_core::Instances;
use dps_core::ports::Clock;
use dps_events::recorder::Listener;
use dps_events::{LoadSample, Metrics};
use dps_model::Timestamp;
use dps_model::limits::{ROLLUP_EXPIRE_INTERVAL, ROLLUP_FLUSH_INTERVAL};
use dps_monitor::metrics::{Metric, Rollups, Sample};

use super::health::Health;
use super::link_probes;

/// Host names of the server certificates with their ends.
pub type CertificateEnds = Arc<dyn Fn() -> Vec<(String, Timestamp)> + Send + Sync>;

/// A listener of the recorder that counts each event before another one sees it.
pub fn counting(rollups: &Arc<Rollups>, mut then: Listener) -> Listener {
    let rollups = Arc::clone(rollups);
    Box::new(move |event| {
        rollups.observe(event);
        then(event);
    })
}

/// Writes what has changed, for the last time.
pub async fn close(rollups: &Rollups, now: Timestamp) {
    if let Err(error) = rollups.flush(now).await {
        tracing::error!(%error, "the last metrics could not be written");
    }
}

/// Flushes between two looks at what no event tells: an idle server has little to write.
const LOOK_EVERY: u64 = 3;

/// What works on the rollups while the server runs.
pub struct RollupKeeper {
    /// The rollups.
    pub rollups: Arc<Rollups>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// How busy the server is.
    pub health: Arc<Health>,
    /// What was dropped.
    pub metrics: Arc<Metrics>,
    /// The server certificates.
    pub certificates: CertificateEnds,
    /// The provisioning services.
    pub instances: Arc<Instances>,
    /// Events that were dropped until the last look.
    pub dropped: AtomicU64,
}

impl RollupKeeper {
    /// Works until the task is dropped.
    pub async fn run(self) {
        let mut tick = tokio::time::interval(Duration::from_secs(ROLLUP_FLUSH_INTERVAL));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut expired: Option<Timestamp> = None;
        let mut failing = false;
        for round in 0_u64.. {
            tick.tick().await;
            let now = self.clock.now();
            if round.is_multiple_of(LOOK_EVERY) {
                self.rollups.sample(&self.samples(now), now);
            }
            let mut result = self.rollups.flush(now).await;
            let due = expired.is_none_or(|at| now.seconds().abs_diff(at.seconds()) >= ROLLUP_EXPIRE_INTERVAL);
            if due && result.is_ok() {
                expired = Some(now);
                result = self.rollups.expire(now).await.map(|removed| {
                    if removed > 0 {
                        tracing::info!(removed, "hours of metrics older than their retention removed");
                    }
                });
            }
            // A full disk must not flood the log: the first failure is said.
            let failed = result.is_err();
            if let Err(error) = result.as_ref()
                && !failing
            {
                tracing::error!(%error, "metrics cannot be written; they stay in memory and are tried again");
            }
            failing = failed;
        }
    }

    fn samples(&self, now: Timestamp) -> Vec<Sample> {
        let load = self.health.sample();
        let mut samples = of_load(&load);
        let total = self.metrics.dropped();
        let dropped = total.saturating_sub(self.dropped.swap(total, Ordering::Relaxed));
        if dropped > 0 {
            samples.push(sample(Metric::EventsDropped, &[], count(dropped)));
        }
        let ends = (self.certificates)();
        self.metrics.sample_certificates(&ends, now);
        for (host, end) in ends {
            samples.push(sample(Metric::CertificateDaysLeft, &[&host], days(now, end)));
        }
        samples.extend(self.of_services(now));
        self.metrics.sample_overflow(self.rollups.overflowed());
        samples
    }
}

impl RollupKeeper {
    /// What is seen of each provisioning service: its CA certificates, and the hubs that it links.
    fn of_services(&self, now: Timestamp) -> Vec<Sample> {
        let of = |service: &str, sample: Sample| Sample { service: Some(service.to_owned()), ..sample };
        let mut samples = Vec::new();
        for instance in &self.instances.all() {
            for certificate in instance.certificates.iter().filter(|certificate| certificate.is_verified) {
                let left = days(now, certificate.certificate.info.not_after_utc);
                let left = sample(Metric::SigningCertificateDaysLeft, &[certificate.name.as_str()], left);
                samples.push(of(&instance.name, left));
            }
        }
        for link in link_probes::samples(self.health.links()) {
            let down = if link.reason.is_some() { 1.0 } else { 0.0 };
            samples.push(of(&link.instance, sample(Metric::LinkedHubsDown, &[link.hub.as_str()], down)));
        }
        samples
    }
}

fn of_load(load: &LoadSample) -> Vec<Sample> {
    let number = |number: usize| count(u64::try_from(number).unwrap_or(u64::MAX));
    vec![
        sample(Metric::RequestsInFlight, &["Register"], number(load.registering)),
        sample(Metric::RequestsInFlight, &["Poll"], number(load.polling)),
        sample(Metric::RequestsWaiting, &["Register"], number(load.registering_waiting)),
        sample(Metric::RequestsWaiting, &["Poll"], number(load.polling_waiting)),
        sample(Metric::OpenConnections, &[], number(load.connections)),
    ]
}

fn sample(metric: Metric, values: &[&str], value: f64) -> Sample {
    Sample { metric, service: None, values: values.iter().map(|value| (*value).to_owned()).collect(), value }
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn count(number: u64) -> f64 {
    number as f64
}

/// Whole days are what people read; the past is negative.
#[allow(clippy::cast_precision_loss, reason = "days are far below 2^53")]
fn days(now: Timestamp, end: Timestamp) -> f64 {
    (end.seconds() - now.seconds()).div_euclid(86_400) as f64
}

#[cfg(test)]
mod tests {
    use dps_events::LoadSample;
    use dps_model::Timestamp;

    use super::{days, of_load};

    #[test]
    fn days_are_whole_and_an_ended_certificate_has_less_than_none() {
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
        assert_eq!(days(at(0), at(86_400 * 14 + 1)).to_string(), "14");
        assert_eq!(days(at(10), at(9)).to_string(), "-1");
    }

    #[test]
    fn load_is_told_by_kind() {
        let samples = of_load(&LoadSample { registering: 3, polling_waiting: 2, ..LoadSample::default() });
        let of = |name: &str, kind: &str| {
            let found = samples
                .iter()
                .find(|sample| sample.metric.definition().name == name && sample.values == [kind]);
            found.map(|sample| sample.value)
        };
        assert_eq!(of("RequestsInFlight", "Register"), Some(3.0));
        assert_eq!(of("RequestsWaiting", "Poll"), Some(2.0));
    }
}

//! Asks every linked hub again and again whether its link works, so that an operator hears of a stale key before a
//! device does. Owns the pace; what is news is decided in `dps_core::links`.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use dps_core::Instances;
use dps_core::links::{Link, Links, News};
use dps_core::ports::{Clock, Hubs};
use dps_events::{Event, EventSink, LinkProbeRecord, LinkSample, Outcome};
use dps_model::hub::LinkedHub;
use dps_model::{TrackingId, limits};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Whom to ask, and whom to tell.
pub struct LinkProbes {
    /// Whose hubs.
    pub instances: Arc<Instances>,
    /// How they are reached.
    pub hubs: Arc<dyn Hubs>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where news go.
    pub sink: Arc<dyn EventSink>,
    /// How all links are.
    pub links: Arc<Links>,
    /// Time between two probes of a link.
    pub interval: Duration,
}

impl LinkProbes {
    /// Probes for ever; ends when the task is dropped.
    pub async fn run(self: Arc<Self>) {
        let chance = RandomState::new();
        for round in 0_u64.. {
            let begun = tokio::time::Instant::now();
            let linked = self.linked();
            self.round(&linked, |link| match round {
                // Who starts a server wants to know.
                0 => Duration::ZERO,
                _ => self.jitter(chance.hash_one((round, link))),
            })
            .await;
            self.watch(linked, begun + self.interval).await;
        }
    }

    /// Until the next round asks the links that are new or changed: who mends one wants to know.
    async fn watch(self: &Arc<Self>, mut known: Vec<(Link, LinkedHub)>, until: tokio::time::Instant) {
        let look = Duration::from_secs(limits::LINK_CHANGE_LOOK);
        while tokio::time::Instant::now() + look < until {
            tokio::time::sleep(look).await;
            let now = self.linked();
            let same = |(link, hub): &&(Link, LinkedHub)| {
                known.iter().any(|(other, before)| other == link && before.connection == hub.connection)
            };
            let changed: Vec<_> = now.iter().filter(|it| !same(it)).cloned().collect();
            if !changed.is_empty() {
                self.round(&changed, |_| Duration::ZERO).await;
            }
            known = now;
        }
        tokio::time::sleep_until(until).await;
    }

    fn linked(&self) -> Vec<(Link, LinkedHub)> {
        self.instances.all().iter().flat_map(|instance| linked(instance)).collect()
    }

    /// So long after its turn a link is probed.
    fn jitter(&self, random: u64) -> Duration {
        let most = self.interval.as_millis() * u128::from(limits::LINK_PROBE_JITTER) / 100;
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        Duration::from_millis(random % most.max(1))
    }

    /// Asks these links once, and forgets those that are no more.
    async fn round(self: &Arc<Self>, asked: &[(Link, LinkedHub)], wait: impl Fn(&Link) -> Duration) {
        let linked = self.linked();
        self.links.keep(|link| linked.iter().any(|(other, _)| other == link));
        let places = Arc::new(Semaphore::new(limits::MAX_LINK_PROBES));
        let mut probes = JoinSet::new();
        for (link, hub) in asked.iter().cloned() {
            let (own, places, wait) = (Arc::clone(self), Arc::clone(&places), wait(&link));
            probes.spawn(async move {
                tokio::time::sleep(wait).await;
                let _place = places.acquire_owned().await;
                own.probe(link, &hub).await;
            });
        }
        while probes.join_next().await.is_some() {}
    }

    async fn probe(&self, link: Link, hub: &LinkedHub) {
        let (time, begun) = (self.clock.now(), self.clock.monotonic_micros());
        let answer = self.hubs.probe(hub).await;
        let (state, news) = self.links.answered(&link, answer, self.clock.now());
        let Some(news) = news else { return };
        self.sink.record(Event::LinkProbe(Box::new(LinkProbeRecord {
            tracking_id: TrackingId::fresh(),
            time,
            micros: self.clock.monotonic_micros().saturating_sub(begun),
            instance: link.instance,
            hub: link.hub,
            news: news.name(),
            since: state.since,
            causes: Vec::new(),
            outcome: match &news {
                News::Up => Outcome::Success,
                News::Down(error) | News::StillDown(error) => Outcome::failed(error),
            },
        })));
    }
}

fn linked(instance: &dps_model::instance::Instance) -> Vec<(Link, LinkedHub)> {
    let link = |hub: &LinkedHub| Link { instance: instance.name.clone(), hub: hub.name.to_string() };
    instance.linked_hubs.iter().map(|hub| (link(hub), hub.clone())).collect()
}

/// All links for the gauges.
pub fn samples(links: &Links) -> Vec<LinkSample> {
    let sample = |(link, state): (Link, dps_core::links::LinkState)| LinkSample {
        instance: link.instance,
        hub: link.hub,
        reason: state.trouble.map(|error| error.code.row().name),
        since: state.since.seconds(),
    };
    links.all().into_iter().map(sample).collect()
}

/// All links for `/health`. What a hub said is the operator's; the plain port shows the code alone.
pub fn report(links: &Links) -> Value {
    let link = |(link, state): (Link, dps_core::links::LinkState)| {
        json!({
            "instance": link.instance,
            "hub": link.hub,
            "up": state.trouble.is_none(),
            "reason": state.trouble.map(|error| error.code.row().name),
            "since": state.since,
            "asked": state.asked,
        })
    };
    links.all().into_iter().map(link).collect()
}

#[cfg(test)]
mod tests;

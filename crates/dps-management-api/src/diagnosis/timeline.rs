//! `devices/{registrationId}/timeline`: all that is kept of one device, made into its story. Owns what is looked up for it;
//! what follows from that is dps-explain's.

use std::collections::BTreeMap;

use dps_events::attempt_log::{Found, Key, Lookup, Position};
use dps_explain::timeline::{self, Line, Sources};
use dps_model::instance::Instance;
use dps_model::limits::{MAX_ATTEMPTS_FOUND, MAX_EVENT_TEXT, MAX_TIMELINE_RELATED};
use dps_model::{Error, Timestamp};
use http::request::Parts;
use serde_json::Value;

use super::attempts::{names, time};
use crate::answer::Answer;
use crate::service::ManagementApi;

/// What was found so far, each line once.
#[derive(Default)]
struct Gathered {
    lines: BTreeMap<Position, Line>,
    unreadable: u64,
    truncated: bool,
}

impl Gathered {
    fn take(&mut self, found: Found) {
        self.unreadable = self.unreadable.max(found.unreadable);
        self.truncated |= found.next.is_some();
        for kept in found.lines {
            match Line::read(&kept.line) {
                Some(line) => drop(self.lines.insert(kept.position, line)),
                None => self.unreadable += 1,
            }
        }
    }
}

impl ManagementApi {
    /// Answers with a device's timeline.
    pub(super) async fn timeline(
        &self,
        instance: &Instance,
        registration_id: &str,
        head: &Parts,
        now: Timestamp,
    ) -> Result<Answer, Error> {
        if registration_id.is_empty() || registration_id.len() > MAX_EVENT_TEXT {
            let message = format!("The registration id is 1 to {MAX_EVENT_TEXT} bytes long.");
            return Err(Error::argument(message));
        }
        let (from, to) = (time(head, "from")?, time(head, "to")?);
        let about = |any: Vec<Key>| Lookup { any, from, to, most: MAX_ATTEMPTS_FOUND, ..Lookup::default() };
        let is_default = self.instances.default_instance().resource_id == instance.resource_id;
        let names = names(instance, is_default);
        let own = names.iter().map(|name| Key::registration(name.as_deref(), registration_id));
        let mut gathered = Gathered::default();
        gathered.take(self.find_lines(about(own.collect())).await?);
        let lines: Vec<Line> = gathered.lines.values().cloned().collect();
        let related = timeline::related(&lines);
        let groups = related.groups.iter().take(MAX_TIMELINE_RELATED);
        let groups = groups.map(|group| Key::group(Some(&instance.name), group));
        let places = related.hub_devices.iter().take(MAX_TIMELINE_RELATED);
        let places = places.map(|(hub, device_id)| Key::hub_device(hub, device_id));
        let beside: Vec<Key> = groups.chain(places).collect();
        if !beside.is_empty() {
            gathered.take(self.find_lines(about(beside)).await?);
        }
        let Gathered { lines, unreadable, truncated } = gathered;
        let lines: Vec<Line> = lines.into_values().collect();
        let hubs = self.diagnosis.attempts.as_ref().map(|attempts| attempts.telling_hubs());
        let hubs = self.telling.and(hubs.unwrap_or_default());
        let told = timeline::of(&Sources {
            registration_id,
            lines: &lines,
            telling_hubs: &hubs,
            now: to.is_none().then_some(now),
        });
        let mut shown = serde_json::to_value(told).map_err(Error::internal)?;
        shown["unreadable"] = unreadable.into();
        shown["truncated"] = Value::Bool(truncated);
        Ok(Answer::shown(shown))
    }
}

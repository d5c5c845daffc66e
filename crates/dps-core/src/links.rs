//! What the probes of linked hubs tell: which links work, since when, and what an operator must hear. Pure but for the
//! memory of the last answers; must not know how a hub is asked or who listens.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dps_model::{Error, Timestamp, limits};

use crate::ports::HubError;

/// One link.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Link {
    /// Name of the instance.
    pub instance: String,
    /// Host name of the hub.
    pub hub: String,
}

/// How a link is.
#[derive(Clone, Debug)]
pub struct LinkState {
    /// Why it does not work; none when it does.
    pub trouble: Option<Error>,
    /// Since when it is so.
    pub since: Timestamp,
    /// When it was last asked.
    pub asked: Timestamp,
    /// Failures in a row that may pass by themselves.
    unreachable: u32,
    /// When it was last told.
    told: Timestamp,
}

/// What an operator must hear.
#[derive(Clone, Debug)]
pub enum News {
    /// It does not work any more, or never did.
    Down(Error),
    /// It still does not.
    StillDown(Error),
    /// It works again.
    Up,
}

impl News {
    /// Stable name, as logs have it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Down(_) => "Down",
            Self::StillDown(_) => "StillDown",
            Self::Up => "Up",
        }
    }
}

/// The state after an answer, and what is new in it. A hub that throttles has looked at the key, and tells nothing new;
/// one that does not answer is down when it did not the last time either.
fn after(
    known: Option<&LinkState>,
    answer: Result<(), HubError>,
    now: Timestamp,
) -> (LinkState, Option<News>) {
    let fresh = LinkState { trouble: None, since: now, asked: now, unreachable: 0, told: now };
    let before = known.cloned().unwrap_or(fresh.clone());
    let error = match answer {
        Ok(()) | Err(HubError::Throttled { .. }) if before.trouble.is_none() => {
            return (LinkState { asked: now, unreachable: 0, ..before }, None);
        }
        Ok(()) => return (fresh, Some(News::Up)),
        Err(HubError::Throttled { .. }) => return (LinkState { asked: now, ..before }, None),
        Err(error) => error,
    };
    let passing = error.is_transient();
    let unreachable = if passing { before.unreachable.saturating_add(1) } else { 0 };
    if before.trouble.is_none() && passing && unreachable < limits::LINK_UNREACHABLE_PROBES {
        return (LinkState { asked: now, unreachable, ..before }, None);
    }
    let error = Error::from(error);
    if before.trouble.is_none() {
        let state = LinkState { trouble: Some(error.clone()), unreachable, ..fresh };
        return (state, Some(News::Down(error)));
    }
    let due = now.seconds() - before.told.seconds() >= limits::LINK_REPORT_REPEAT;
    let told = if due { now } else { before.told };
    let state = LinkState { trouble: Some(error.clone()), asked: now, unreachable, told, ..before };
    (state, due.then_some(News::StillDown(error)))
}

/// How all links are.
#[derive(Default)]
pub struct Links {
    states: Mutex<HashMap<Link, LinkState>>,
}

impl Links {
    /// Takes an answer; gives the state, and what an operator must hear of it.
    pub fn answered(
        &self,
        link: &Link,
        answer: Result<(), HubError>,
        now: Timestamp,
    ) -> (LinkState, Option<News>) {
        let mut states = self.lock();
        let (state, news) = after(states.get(link), answer, now);
        states.insert(link.clone(), state.clone());
        (state, news)
    }

    /// Forgets links that are there no more.
    pub fn keep(&self, linked: impl Fn(&Link) -> bool) {
        self.lock().retain(|link, _| linked(link));
    }

    /// Why a link does not work, and since when; none when it does, or was not asked.
    pub fn trouble(&self, instance: &str, hub: &str) -> Option<(Error, Timestamp)> {
        let link = Link { instance: instance.to_owned(), hub: hub.to_owned() };
        let states = self.lock();
        let state = states.get(&link)?;
        state.trouble.clone().map(|trouble| (trouble, state.since))
    }

    /// Every link that was asked, in the order of names.
    pub fn all(&self) -> Vec<(Link, LinkState)> {
        let mut all: Vec<_> = self.lock().iter().map(|(link, state)| (link.clone(), state.clone())).collect();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Link, LinkState>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Link {
        Link { instance: "dps".into(), hub: "hub.test".into() }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn stale_key() -> Result<(), HubError> {
        Err(HubError::Unauthorized("401".into()))
    }

    fn silent() -> Result<(), HubError> {
        Err(HubError::Unreachable("timeout".into()))
    }

    fn throttled() -> Result<(), HubError> {
        Err(HubError::Throttled { text: "429".into(), retry_after: None })
    }

    /// The names of what is told of a series of answers, one a minute.
    fn told(answers: Vec<Result<(), HubError>>) -> Vec<&'static str> {
        let links = Links::default();
        let mut minute = 0;
        let mut news = |answer| {
            minute += 1;
            links.answered(&link(), answer, at(minute * 60)).1.map_or("", |news| news.name())
        };
        answers.into_iter().map(&mut news).collect()
    }

    #[test]
    fn working_link_is_never_told() {
        assert_eq!(told(vec![Ok(()), throttled(), Ok(())]), ["", "", ""]);
    }

    #[test]
    fn stale_key_is_told_at_once_and_its_end_too() {
        assert_eq!(told(vec![stale_key(), stale_key(), Ok(()), Ok(())]), ["Down", "", "Up", ""]);
        assert_eq!(told(vec![Ok(()), stale_key(), throttled(), stale_key()]), ["", "Down", "", ""]);
    }

    #[test]
    fn hub_that_is_silent_once_is_not_down() {
        assert_eq!(told(vec![Ok(()), silent(), Ok(()), silent()]), ["", "", "", ""]);
        assert_eq!(told(vec![Ok(()), silent(), silent(), silent(), Ok(())]), ["", "", "Down", "", "Up"]);
    }

    #[test]
    fn link_that_stays_down_is_told_again_each_hour_with_its_first_time() {
        let links = Links::default();
        let mut told = Vec::new();
        for minute in 0..150 {
            let (state, news) = links.answered(&link(), stale_key(), at(minute * 60));
            assert_eq!(state.since, at(0));
            told.extend(news.map(|news| (minute, news.name())));
        }
        assert_eq!(told, [(0, "Down"), (60, "StillDown"), (120, "StillDown")]);
    }

    #[test]
    fn link_that_is_there_no_more_is_forgotten() {
        let links = Links::default();
        links.answered(&link(), Ok(()), at(0));
        links.keep(|link| link.hub != "hub.test");
        assert!(links.all().is_empty());
    }
}

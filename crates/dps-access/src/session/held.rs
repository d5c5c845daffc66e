//! The sessions that are open, by a hash of their ids: who reads this memory can sign nobody in. Owns how long and how many;
//! the time is an argument.

use std::collections::HashMap;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dps_model::limits::{MAX_SESSIONS, MAX_SESSIONS_OF_ONE, SESSION_ID, SESSION_IDLE};

use super::Session;

/// The hash of an id. Looked up as it is: a guess tells by its time what a hash begins with, and no id follows from that.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Mark([u8; 32]);

impl Mark {
    /// Of an id as the browser shows it; none of what cannot be one.
    pub(super) fn of(id: &str) -> Option<Self> {
        let long = SESSION_ID.div_ceil(3) * 4;
        let bytes = Some(id).filter(|id| id.len() <= long).and_then(|id| URL_SAFE_NO_PAD.decode(id).ok())?;
        let hash = digest(&SHA256, &bytes);
        (bytes.len() == SESSION_ID).then_some(())?;
        hash.as_ref().try_into().ok().map(Self)
    }
}

struct Entry {
    session: Session,
    used: i64,
}

/// Open sessions.
#[derive(Default)]
pub(super) struct Held {
    entries: HashMap<Mark, Entry>,
}

impl Held {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn insert(&mut self, mark: Mark, session: Session, now: i64) {
        let own = |entry: &Entry| entry.session.owner.is_same_as(&session.owner);
        if self.entries.len() >= MAX_SESSIONS {
            self.entries.retain(|_, entry| entry.is_open(now));
        }
        if self.entries.values().filter(|entry| own(entry)).count() >= MAX_SESSIONS_OF_ONE {
            self.remove_idlest(own);
        }
        if self.entries.len() >= MAX_SESSIONS {
            self.remove_idlest(|_| true);
        }
        self.entries.insert(mark, Entry { session, used: now });
    }

    pub(super) fn find(&mut self, mark: &Mark, now: i64) -> Option<Session> {
        let entry = self.entries.get_mut(mark)?;
        if !entry.is_open(now) {
            self.entries.remove(mark);
            return None;
        }
        entry.used = now;
        Some(entry.session.clone())
    }

    pub(super) fn remove(&mut self, mark: &Mark) {
        self.entries.remove(mark);
    }

    fn remove_idlest(&mut self, among: impl Fn(&Entry) -> bool) {
        let idlest =
            self.entries.iter().filter(|(_, entry)| among(entry)).min_by_key(|(_, entry)| entry.used);
        if let Some(mark) = idlest.map(|(mark, _)| *mark) {
            self.entries.remove(&mark);
        }
    }
}

impl Entry {
    fn is_open(&self, now: i64) -> bool {
        now < self.session.ends && now.saturating_sub(self.used) < SESSION_IDLE
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dps_model::Secret;
    use dps_model::limits::{MAX_SESSIONS, MAX_SESSIONS_OF_ONE, SESSION_IDLE};

    use super::super::{Owner, Session};
    use super::{Held, Mark};

    fn session(policy: &str, ends: i64) -> Session {
        let owner = Owner::Policy { rows: "r".into(), name: policy.into(), key: Secret::new(vec![1]) };
        Session { owner: Arc::new(owner), ends }
    }

    fn mark(number: usize) -> Mark {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        Mark(bytes)
    }

    #[test]
    fn session_is_over_when_idle_and_at_its_end() {
        let mut held = Held::default();
        held.insert(mark(1), session("a", 100_000), 0);
        assert!(held.find(&mark(1), SESSION_IDLE - 1).is_some());
        assert!(held.find(&mark(1), 2 * SESSION_IDLE - 2).is_some(), "a call keeps it");
        assert!(held.find(&mark(1), 3 * SESSION_IDLE - 2).is_none());
        held.insert(mark(2), session("a", 10), 0);
        assert!(held.find(&mark(2), -5).is_some(), "a clock that was set back ends nothing");
        assert!(held.find(&mark(2), 10).is_none());
        assert_eq!(held.len(), 0, "what is over is forgotten");
    }

    #[test]
    fn one_owner_pushes_out_its_own_sessions_alone() {
        let mut held = Held::default();
        held.insert(mark(0), session("other", 100), 0);
        for number in 1..=MAX_SESSIONS_OF_ONE + 5 {
            held.insert(mark(number), session("greedy", 100), i64::try_from(number).unwrap());
        }
        assert_eq!(held.len(), MAX_SESSIONS_OF_ONE + 1);
        assert!(held.find(&mark(0), 90).is_some());
        assert!(held.find(&mark(5), 90).is_none() && held.find(&mark(6), 90).is_some());
    }

    #[test]
    fn sessions_are_bounded_and_the_idlest_makes_place() {
        let mut held = Held::default();
        for number in 0..MAX_SESSIONS + 10 {
            let used = i64::try_from(number % 1_000).unwrap();
            held.insert(mark(number), session(&format!("p{number}"), 3_000), used);
        }
        assert_eq!(held.len(), MAX_SESSIONS);
        assert!(held.find(&mark(0), 1_000).is_none() && held.find(&mark(999), 1_000).is_some());
    }

    #[test]
    fn id_that_cannot_be_one_has_no_mark() {
        let id = "A".repeat(43);
        assert!(Mark::of(&id).is_some());
        for other in ["", "A", &id[1..], &format!("{id}A"), &"=".repeat(43), &"A".repeat(1 << 20)] {
            assert!(Mark::of(other).is_none(), "{}", other.len());
        }
    }
}

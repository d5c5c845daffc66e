//! The lane on which a symmetric-key device of unknown group is tried against the groups' keys.
//!
//! A SAS token does not say which group's key it derives from, so a first attempt must try them. That is CPU work an
//! attacker can ask for, so it has one thread, a bounded queue, turns of `GROUPS_PER_TURN` shared round-robin between
//! caller addresses, and callers whose last trial matched nothing wait behind those who did not fail
//! (docs/adr/0005-group-lane.md). Must not know how keys are stored or what a match is used for.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use dps_attestation::sas_token::SasToken;
use dps_attestation::symmetric_key::GroupKeys;
use dps_model::{Error, ErrorCode, RegistrationId, limits};
use tokio::sync::oneshot;

/// The keys of all symmetric-key groups of an instance, ready to try.
pub type KeyRing = Arc<Vec<(String, GroupKeys)>>;

/// What a trial found.
#[derive(Debug, PartialEq, Eq)]
pub struct Trial {
    /// Key of the group that matched.
    pub group: Option<String>,
    /// Groups tried.
    pub tried: u32,
}

/// The lane. Dropping it ends its thread.
pub struct GroupLane {
    shared: Arc<Shared>,
}

struct Shared {
    queues: Mutex<Queues>,
    work: Condvar,
}

#[derive(Default)]
struct Queues {
    /// Callers who have not failed lately.
    fresh: Fair,
    /// Callers whose last trial matched nothing; served when no other waits, and once in `SUSPECT_TURN` turns.
    suspect: Fair,
    failed: Failed,
    turn: u32,
    closed: bool,
}

/// Every such turn is the suspects', so that a device that was mended is served even in a flood.
const SUSPECT_TURN: u32 = 8;

/// One queue per caller address, served in turn.
#[derive(Default)]
struct Fair {
    order: VecDeque<IpAddr>,
    waiting: HashMap<IpAddr, VecDeque<Job>>,
    len: usize,
}

/// Registration ids whose last trial matched nothing: two generations, so that it forgets in constant time.
#[derive(Default)]
struct Failed {
    young: HashSet<String>,
    old: HashSet<String>,
}

struct Job {
    peer: IpAddr,
    id: RegistrationId,
    token: SasToken,
    ring: KeyRing,
    next: usize,
    suspect: bool,
    answer: oneshot::Sender<Trial>,
}

impl GroupLane {
    /// Starts the lane's thread.
    pub fn start() -> std::io::Result<Self> {
        let shared = Arc::new(Shared { queues: Mutex::default(), work: Condvar::new() });
        let worker = Arc::clone(&shared);
        std::thread::Builder::new().name("group-lane".into()).spawn(move || worker.serve())?;
        Ok(Self { shared })
    }

    /// Tries the token against the ring. Errors: `Throttled` when the lane, or this caller's part of it, is full.
    pub async fn search(
        &self,
        peer: IpAddr,
        id: &RegistrationId,
        token: &SasToken,
        ring: KeyRing,
    ) -> Result<Trial, Error> {
        if ring.is_empty() {
            return Ok(Trial { group: None, tried: 0 });
        }
        let (answer, answered) = oneshot::channel();
        let peer = caller(peer);
        let job = Job { peer, id: id.clone(), token: token.clone(), ring, next: 0, suspect: false, answer };
        self.shared.lock().admit(job)?;
        self.shared.work.notify_one();
        answered.await.map_err(|_| Error::new(ErrorCode::Unavailable).because("the group lane has ended"))
    }

    /// Forgets that trials failed: a key changed, and who failed before may match now.
    pub fn forgive(&self) {
        self.shared.lock().failed = Failed::default();
    }
}

/// Who counts as one caller: an IPv4 address, or the IPv6 network of 64 bits that one subscriber has whole.
fn caller(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl Drop for GroupLane {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
    }
}

impl Shared {
    /// A panic under the lock cannot leave the queues half-changed: nothing in there calls out.
    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        while let Some(job) = self.next() {
            if job.answer.is_closed() {
                continue; // the caller went away
            }
            if let Some(unfinished) = self.turn(job) {
                self.lock().resume(unfinished);
            }
        }
    }

    fn next(&self) -> Option<Job> {
        let mut queues = self.lock();
        loop {
            if queues.closed {
                return None;
            }
            if let Some(job) = queues.take() {
                return Some(job);
            }
            queues = self.work.wait(queues).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Tries the next groups; gives the job back when there are more.
    fn turn(&self, mut job: Job) -> Option<Job> {
        let end = job.ring.len().min(limits::MAX_GROUPS_TRIED);
        let stop = end.min(job.next + limits::GROUPS_PER_TURN);
        let hit = (job.next..stop).find(|&at| job.ring[at].1.matches(&job.token, &job.id).is_some());
        job.next = hit.map_or(stop, |at| at + 1);
        if hit.is_none() && stop < end {
            return Some(job);
        }
        let group = hit.map(|at| job.ring[at].0.clone());
        self.lock().failed.note(&job.id, group.is_none());
        let tried = u32::try_from(job.next).unwrap_or(u32::MAX);
        let _ = job.answer.send(Trial { group, tried }); // the caller may have gone
        None
    }
}

impl Queues {
    fn admit(&mut self, mut job: Job) -> Result<(), Error> {
        job.suspect = self.failed.contains(&job.id);
        let full = |cause: String| {
            Error::new(ErrorCode::Throttled).because(cause).retry_after(limits::RETRY_AFTER_BUSY)
        };
        let queue = if job.suspect { &mut self.suspect } else { &mut self.fresh };
        if queue.len >= limits::MAX_GROUP_LANE_WAITING {
            return Err(full(format!("{} first attempts wait in the group lane", queue.len)));
        }
        if queue.waiting.get(&job.peer).map_or(0, VecDeque::len) >= limits::MAX_GROUP_LANE_WAITING_PER_PEER {
            return Err(full(format!("too many first attempts of {} wait in the group lane", job.peer)));
        }
        queue.push_back(job);
        Ok(())
    }

    fn take(&mut self) -> Option<Job> {
        self.turn = self.turn.wrapping_add(1);
        let suspects_first = self.turn.is_multiple_of(SUSPECT_TURN);
        let (first, second) = if suspects_first {
            (&mut self.suspect, &mut self.fresh)
        } else {
            (&mut self.fresh, &mut self.suspect)
        };
        first.pop().or_else(|| second.pop())
    }

    fn resume(&mut self, job: Job) {
        if job.suspect { self.suspect.push_front(job) } else { self.fresh.push_front(job) }
    }
}

impl Fair {
    fn push_back(&mut self, job: Job) {
        self.queue(job.peer).push_back(job);
    }

    /// Before the caller's other jobs, but behind the other callers.
    fn push_front(&mut self, job: Job) {
        self.queue(job.peer).push_front(job);
    }

    fn queue(&mut self, peer: IpAddr) -> &mut VecDeque<Job> {
        self.len += 1;
        if !self.waiting.contains_key(&peer) {
            self.order.push_back(peer);
        }
        self.waiting.entry(peer).or_default()
    }

    /// The next caller's next job; the caller goes to the end of the order.
    fn pop(&mut self) -> Option<Job> {
        let peer = self.order.pop_front()?;
        let queue = self.waiting.get_mut(&peer)?;
        let job = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&peer);
        } else {
            self.order.push_back(peer);
        }
        self.len -= usize::from(job.is_some());
        job
    }
}

impl Failed {
    fn contains(&self, id: &RegistrationId) -> bool {
        let key = id.key();
        self.young.contains(&key) || self.old.contains(&key)
    }

    fn note(&mut self, id: &RegistrationId, failed: bool) {
        let key = id.key();
        if !failed {
            self.young.remove(&key);
            self.old.remove(&key);
            return;
        }
        if self.young.len() >= limits::MAX_GROUP_LANE_WAITING {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;

    use dps_attestation::sas_token::{SasToken, sign_for_device};
    use dps_attestation::symmetric_key::{GroupKeys, derive_device_key};
    use dps_model::attestation::SymmetricKeys;
    use dps_model::{ErrorCode, IdScope, RegistrationId, Secret, limits};
    use tokio::sync::oneshot;

    use super::{GroupLane, Job, KeyRing, Queues, Trial, caller};

    fn secret(n: usize) -> Secret {
        Secret::new(format!("key-number-{n:08}-of-the-ring").into_bytes())
    }

    fn ring(groups: usize) -> KeyRing {
        let keys =
            |n| GroupKeys::prepare(&SymmetricKeys { primary: secret(2 * n), secondary: secret(2 * n + 1) });
        Arc::new((0..groups).map(|n| (format!("group-{n}"), keys(n))).collect())
    }

    fn token(id: &RegistrationId, group_key: &Secret) -> SasToken {
        let scope = IdScope::parse("0ne00000012").unwrap();
        let key = derive_device_key(group_key, id.as_str());
        SasToken::parse(&sign_for_device(&scope, id, &key, 2_000_000_000)).unwrap()
    }

    fn peer(n: u8) -> IpAddr {
        Ipv4Addr::new(127, 0, 0, n).into()
    }

    #[tokio::test]
    async fn search_finds_the_group_of_either_key() {
        let lane = GroupLane::start().unwrap();
        let (id, ring) = (RegistrationId::parse("dev").unwrap(), ring(600));
        for (key, group, tried) in [(2 * 5, "group-5", 6), (2 * 599 + 1, "group-599", 600)] {
            let trial =
                lane.search(peer(1), &id, &token(&id, &secret(key)), Arc::clone(&ring)).await.unwrap();
            assert_eq!(trial, Trial { group: Some(group.into()), tried });
        }
        let wrong = lane.search(peer(1), &id, &token(&id, &secret(9_999)), ring).await.unwrap();
        assert_eq!(wrong, Trial { group: None, tried: 600 });
    }

    fn job(from: u8, id: &str) -> (Job, oneshot::Receiver<Trial>) {
        let id = RegistrationId::parse(id).unwrap();
        let (answer, answered) = oneshot::channel();
        let token = token(&id, &secret(1));
        (Job { peer: peer(from), id, token, ring: ring(1), next: 0, suspect: false, answer }, answered)
    }

    #[test]
    fn flood_of_one_caller_does_not_delay_another() {
        let mut queues = Queues::default();
        for n in 0..limits::MAX_GROUP_LANE_WAITING_PER_PEER {
            queues.admit(job(1, &format!("flood-{n}")).0).unwrap();
        }
        let error = queues.admit(job(1, "one-more").0).err().unwrap();
        assert_eq!((error.code, error.retry_after), (ErrorCode::Throttled, Some(limits::RETRY_AFTER_BUSY)));
        queues.admit(job(2, "honest").0).unwrap();
        let served: Vec<_> = (0..2).filter_map(|_| queues.take()).map(|job| job.id.to_string()).collect();
        assert!(served.contains(&"honest".to_owned()), "{served:?}");
    }

    #[test]
    fn caller_is_an_ipv4_address_or_an_ipv6_network() {
        let of = |text: &str| caller(text.parse().unwrap()).to_string();
        assert_eq!((of("127.0.0.1"), of("::ffff:127.0.0.1")), ("127.0.0.1".into(), "127.0.0.1".into()));
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2::9"));
        assert_ne!(of("2001:db8:1:2::9"), of("2001:db8:1:3::9"));
    }

    #[test]
    fn failed_device_waits_behind_others_but_is_served() {
        let mut queues = Queues::default();
        let bad = RegistrationId::parse("bad").unwrap();
        queues.failed.note(&bad, true);
        queues.admit(job(1, "bad").0).unwrap();
        for n in 0..20 {
            queues.admit(job(1, &format!("good-{n}")).0).unwrap();
        }
        let order: Vec<_> = (0..21).filter_map(|_| queues.take()).map(|job| job.id.to_string()).collect();
        let at = order.iter().position(|id| id == "bad").unwrap();
        assert!((1..=8).contains(&at), "{order:?}");
    }
}

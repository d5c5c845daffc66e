//! Sessions: who signed in to the portal, remembered under an id that only the browser has. Owns ids, lives and bounds; what
//! a session may do is judged anew with every call, by `decision`. Must not know cookies or pages.

mod attempts;
mod decision;
mod held;
mod oidc;
mod owner;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dps_model::instance::Instance;
use dps_model::limits::{SESSION_ID, SESSION_IDLE};
use dps_model::{Error, ErrorCode, Secret, Timestamp};

use self::attempts::Attempts;
use self::held::{Held, Mark};
pub use self::oidc::{Begun, Returned};
pub use self::owner::Owner;

/// What stands before a session's id where a bearer token would stand.
pub const SESSION_PREFIX: &str = "muster-session.";

/// The provisioning services, as far as sessions of their policies need them.
pub trait Services: Send + Sync {
    /// The service that has the rows of that key.
    fn by_rows(&self, rows: &str) -> Option<Arc<Instance>>;
    /// Is there no other one?
    fn is_only_one(&self) -> bool;
}

/// The sessions of a server.
pub struct Sessions {
    services: Arc<dyn Services>,
    held: Mutex<Held>,
    attempts: Mutex<Attempts>,
}

/// Somebody who is signed in.
#[derive(Clone)]
pub struct Session {
    owner: Arc<Owner>,
    ends: i64,
}

/// A session that was opened just now.
pub struct Opened {
    /// What the browser shows from now on.
    pub id: Secret,
    /// The session.
    pub session: Session,
}

impl Sessions {
    /// No sessions yet; those of policies are of these services.
    pub fn new(services: Arc<dyn Services>) -> Self {
        Self { services, held: Mutex::default(), attempts: Mutex::default() }
    }

    /// Counts an attempt to sign in from that address; it counts as failed until `forgive`.
    ///
    /// # Errors
    /// 429001 with the seconds to wait, when too many failed.
    pub fn attempt(&self, peer: IpAddr, now: Timestamp) -> Result<(), Error> {
        lock(&self.attempts).count(peer, now.seconds()).map_err(|wait| {
            Error::with(ErrorCode::Throttled, "Too many attempts to sign in failed; wait and try again.")
                .retry_after(wait)
                .because("too many attempts to sign in failed from this address")
        })
    }

    /// Takes an attempt back that succeeded.
    pub fn forgive(&self, peer: IpAddr, now: Timestamp) {
        lock(&self.attempts).forgive(peer, now.seconds());
    }

    /// Ends a session.
    pub fn end(&self, id: &str) {
        if let Some(mark) = Mark::of(id) {
            lock(&self.held).remove(&mark);
        }
    }

    /// How many there are, those included whose time is over but who were not looked for.
    pub fn count(&self) -> usize {
        lock(&self.held).len()
    }

    fn open(&self, owner: Owner, ends: i64, now: Timestamp) -> Result<Opened, Error> {
        let mut bytes = [0; SESSION_ID];
        aws_lc_rs::rand::fill(&mut bytes)
            .map_err(|_| Error::internal("the system has no randomness to give"))?;
        let id = URL_SAFE_NO_PAD.encode(bytes);
        let mark = Mark::of(&id).ok_or_else(|| Error::internal("a session's id cannot be read back"))?;
        let session = Session { owner: Arc::new(owner), ends };
        lock(&self.held).insert(mark, session.clone(), now.seconds());
        Ok(Opened { id: Secret::from(id), session })
    }

    /// The session of that id, which is in use from now on.
    fn find(&self, id: &str, now: Timestamp) -> Option<Session> {
        lock(&self.held).find(&Mark::of(id)?, now.seconds())
    }
}

impl Session {
    /// When it ends if nothing is called any more.
    pub fn expires(&self, now: Timestamp) -> Timestamp {
        Timestamp::from_millis(
            self.ends.min(now.seconds().saturating_add(SESSION_IDLE)).saturating_mul(1_000),
        )
    }

    /// Whose it is.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in here can be left half done by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! What a device does next, and when: Azure's recovery rules as a state machine. Pure: outcomes, time and randomness
//! come in, a plan goes out. Must not know sockets, files, or what an error says.
//!
//! | what happened | what follows |
//! |---|---|
//! | no assignment known | full registration; the first delay of a fleet is drawn ([`Fleet`]) |
//! | 401, 403, 404 from hub or service | full registration; again and again with backoff |
//! | 429 | the same again, with backoff and jitter, never sooner than `retry-after` |
//! | 5xx of the hub | the hub again with backoff from 5 s; every third time a lookup; after ten a registration |
//! | 5xx of the service | the assignment known; without one a lookup, then a registration, each with its own backoff |
//! | hub unreachable | the hub again for 15 to 30 minutes (drawn), then a registration |
//! | service unreachable | the assignment known; without one the service again |

use std::time::Duration;

use crate::backoff::Backoff;
use crate::limits::{
    BACKOFF_FIRST, BACKOFF_LONGEST, DENIED_BACKOFF_LONGEST, HUB_PATIENCE_LEAST, HUB_PATIENCE_MOST,
    HUB_TRIES_BEFORE_REGISTRATION, HUB_TRIES_PER_LOOKUP, HUB_TROUBLE_BACKOFF_FIRST, STABLE_CONNECTION,
};
use crate::random::Jitter;

/// A fleet that shares one provisioning service: what a device needs to know of the others to keep out of their way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fleet {
    /// How many devices may begin at the same time.
    pub devices: u32,
    /// Calls that the service takes in a second.
    pub calls_per_second: f64,
    /// The part of that which the fleet may use, above 0; 1 for all of it.
    pub load: f64,
}

impl Fleet {
    /// The least delay.
    const LEAST: Duration = Duration::from_secs(1);

    /// The longest first delay, and the longest jitter where the service names no time: with `T = devices / calls per
    /// second`, `T / load` (Azure: "Best practices for large-scale deployments"). Never below the least delay of a
    /// second, never beyond a day.
    pub fn longest_delay(&self) -> Duration {
        let seconds = f64::from(self.devices) / self.calls_per_second / self.load;
        Duration::try_from_secs_f64(seconds)
            .unwrap_or(Duration::MAX)
            .clamp(Self::LEAST, crate::limits::MAX_FLEET_DELAY)
    }

    fn delay(&self, jitter: &mut Jitter) -> Duration {
        jitter.between(Self::LEAST, self.longest_delay())
    }
}

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Register with the provisioning service and wait for the assignment.
    Register,
    /// Ask the service for the registration there is.
    LookUp,
    /// Connect to the assigned hub.
    Connect,
}

/// What to do and how long to wait before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) step: Step,
    pub(crate) delay: Duration,
}

/// What became of a step, or of a connection that a step had made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// There is an assignment now.
    Assigned,
    /// The service knows of none.
    NotAssigned,
    /// The hub has the device.
    Connected,
    /// It failed.
    Failed(Fault),
}

/// Kinds of failure that the rules tell apart. `retry_after` in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// 401, 403, 404.
    Denied,
    /// 429.
    Throttled { retry_after: Option<u32> },
    /// 5xx.
    Trouble { retry_after: Option<u32> },
    /// No connection, no answer, or the connection ended.
    Unreachable,
    /// Any other refusal: the device asks for what the server does not do.
    Unusable,
    /// The device itself cannot: its settings, or its TPM.
    Own,
}

/// The state between two steps.
pub(crate) struct Recovery {
    fleet: Option<Fleet>,
    /// So many registrations may be denied in a row before the device gives up.
    denials_allowed: Option<u32>,
    can_look_up: bool,
    /// There is an assignment that no hub has denied.
    assignment: bool,
    /// Since when the hub is unreachable, and until when it is tried.
    patience: Option<Duration>,
    connected_at: Option<Duration>,
    step: Step,
    /// Registrations that were denied.
    denied: Backoff,
    /// Registrations that a hub denied afterwards: two servers that disagree must not be asked in a circle.
    disowned: Backoff,
    throttled: Backoff,
    hub_trouble: Backoff,
    hub_unreachable: Backoff,
    register_trouble: Backoff,
    look_up_trouble: Backoff,
    /// 429 and 5xx of the hub in a row.
    hub_tries: u32,
}

impl Recovery {
    /// `assignment`: one is known from earlier.
    pub(crate) fn new(
        assignment: bool,
        can_look_up: bool,
        fleet: Option<Fleet>,
        denials_allowed: Option<u32>,
    ) -> Self {
        let backoff = Backoff::new(BACKOFF_FIRST, BACKOFF_LONGEST);
        Self {
            fleet,
            denials_allowed,
            can_look_up,
            assignment,
            patience: None,
            connected_at: None,
            step: Step::Register,
            denied: Backoff::new(BACKOFF_FIRST, DENIED_BACKOFF_LONGEST),
            disowned: Backoff::new(BACKOFF_FIRST, DENIED_BACKOFF_LONGEST),
            throttled: backoff.clone(),
            hub_trouble: Backoff::new(HUB_TROUBLE_BACKOFF_FIRST, BACKOFF_LONGEST),
            hub_unreachable: backoff.clone(),
            register_trouble: backoff.clone(),
            look_up_trouble: backoff,
            hub_tries: 0,
        }
    }

    /// The first step: the hub that is known, else a registration when the fleet's draw says so.
    pub(crate) fn begin(&mut self, jitter: &mut Jitter) -> Plan {
        if self.assignment { self.plan(Step::Connect, Duration::ZERO) } else { self.register_spread(jitter) }
    }

    /// The user wants the device provisioned anew: at once.
    pub(crate) fn reprovision(&mut self) -> Plan {
        (self.patience, self.connected_at) = (None, None);
        self.plan(Step::Register, Duration::ZERO)
    }

    /// The next step after an outcome of the last one; `None` when nothing is to be done: the device is connected, or
    /// it gives up. `now` is time since any fixed moment.
    pub(crate) fn next(&mut self, outcome: Outcome, now: Duration, jitter: &mut Jitter) -> Option<Plan> {
        if let Outcome::Failed(_) = outcome
            && self.connected_at.take().is_some_and(|since| now.saturating_sub(since) >= STABLE_CONNECTION)
        {
            self.all_is_well();
        }
        match (self.step, outcome) {
            (_, Outcome::Connected) => {
                (self.connected_at, self.patience) = (Some(now), None);
                None
            }
            (_, Outcome::Assigned) => Some(self.assigned()),
            (_, Outcome::NotAssigned) => Some(self.plan(Step::Register, Duration::ZERO)),
            (_, Outcome::Failed(Fault::Own)) => None,
            (Step::Connect, Outcome::Failed(fault)) => Some(self.hub_failed(fault, now, jitter)),
            (Step::Register, Outcome::Failed(fault)) => self.registration_failed(fault, jitter),
            (Step::LookUp, Outcome::Failed(fault)) => Some(self.lookup_failed(fault, jitter)),
        }
    }

    fn assigned(&mut self) -> Plan {
        self.assignment = true;
        self.denied.reset();
        self.register_trouble.reset();
        self.look_up_trouble.reset();
        if self.step == Step::Register {
            // A new word of the service: the hub gets the patience of a new one.
            (self.hub_tries, self.patience) = (0, None);
            self.throttled.reset();
        }
        // What the service knew already may be a hub in trouble: that backoff goes on.
        let delay = Duration::ZERO;
        self.plan(Step::Connect, delay)
    }

    fn hub_failed(&mut self, fault: Fault, now: Duration, jitter: &mut Jitter) -> Plan {
        if fault != Fault::Unreachable {
            self.patience = None;
        }
        match fault {
            Fault::Denied | Fault::Own => {
                self.assignment = false;
                self.hub_tries = 0;
                if self.disowned.times() == 0 {
                    // A hub that is gone sends its whole fleet here at once.
                    let plan = self.register_spread(jitter);
                    self.disowned.pause(None, jitter);
                    return plan;
                }
                let delay = self.disowned.pause(None, jitter);
                self.plan(Step::Register, delay)
            }
            Fault::Throttled { retry_after } => {
                let delay = self.throttled_pause(retry_after, jitter);
                self.hub_again(delay, false)
            }
            Fault::Trouble { retry_after } => {
                let delay = self.hub_trouble.pause(retry_after, jitter);
                self.hub_again(delay, true)
            }
            Fault::Unusable => {
                let delay = self.hub_trouble.pause(None, jitter);
                self.hub_again(delay, false)
            }
            Fault::Unreachable => {
                let until = *self.patience.get_or_insert_with(|| {
                    now.saturating_add(jitter.between(HUB_PATIENCE_LEAST, HUB_PATIENCE_MOST))
                });
                let left = until.saturating_sub(now);
                if left.is_zero() {
                    self.patience = None;
                    self.hub_unreachable.reset();
                    return self.register_spread(jitter);
                }
                let delay = self.hub_unreachable.pause(None, jitter).min(left);
                self.plan(Step::Connect, delay)
            }
        }
    }

    /// The hub answered and did not help: there again, or past it when that has gone on for long.
    fn hub_again(&mut self, delay: Duration, may_look_up: bool) -> Plan {
        self.hub_tries += 1;
        if self.hub_tries >= HUB_TRIES_BEFORE_REGISTRATION {
            self.hub_tries = 0;
            return self.plan(Step::Register, delay);
        }
        // The device may have been moved to another hub while this one fails.
        let look_up = may_look_up && self.can_look_up && self.hub_tries.is_multiple_of(HUB_TRIES_PER_LOOKUP);
        self.plan(if look_up { Step::LookUp } else { Step::Connect }, delay)
    }

    fn registration_failed(&mut self, fault: Fault, jitter: &mut Jitter) -> Option<Plan> {
        match fault {
            Fault::Denied | Fault::Unusable | Fault::Own => {
                let delay = self.denied.pause(None, jitter);
                let given_up = self.denials_allowed.is_some_and(|allowed| self.denied.times() >= allowed);
                (!given_up).then(|| self.plan(Step::Register, delay))
            }
            Fault::Throttled { retry_after } => {
                let delay = self.throttled_pause(retry_after, jitter);
                Some(self.plan(Step::Register, delay))
            }
            Fault::Trouble { retry_after } => {
                let delay = self.register_trouble.pause(retry_after, jitter);
                Some(self.plan(self.without_registration(), delay))
            }
            Fault::Unreachable => {
                let delay = self.register_trouble.pause(None, jitter);
                let step = if self.assignment { Step::Connect } else { Step::Register };
                Some(self.plan(step, delay))
            }
        }
    }

    fn lookup_failed(&mut self, fault: Fault, jitter: &mut Jitter) -> Plan {
        match fault {
            Fault::Denied | Fault::Unusable | Fault::Own => self.plan(Step::Register, Duration::ZERO),
            Fault::Throttled { retry_after } => {
                let delay = self.throttled_pause(retry_after, jitter);
                self.plan(Step::LookUp, delay)
            }
            Fault::Trouble { .. } | Fault::Unreachable => {
                let retry_after = if let Fault::Trouble { retry_after } = fault { retry_after } else { None };
                let delay = self.look_up_trouble.pause(retry_after, jitter);
                self.plan(if self.assignment { Step::Connect } else { Step::Register }, delay)
            }
        }
    }

    /// Where the device may learn its hub while the service cannot register it.
    fn without_registration(&self) -> Step {
        match (self.assignment, self.can_look_up) {
            (true, _) => Step::Connect,
            (false, true) => Step::LookUp,
            (false, false) => Step::Register,
        }
    }

    /// Never sooner than asked; where nothing is asked, spread over the time that the fleet takes.
    fn throttled_pause(&mut self, retry_after: Option<u32>, jitter: &mut Jitter) -> Duration {
        match (retry_after, self.fleet) {
            (None, Some(fleet)) => self.throttled.spread(fleet.longest_delay(), jitter),
            _ => self.throttled.pause(retry_after, jitter),
        }
    }

    /// A registration that many devices may begin in the same moment.
    fn register_spread(&mut self, jitter: &mut Jitter) -> Plan {
        let delay = self.fleet.map_or(Duration::ZERO, |fleet| fleet.delay(jitter));
        self.plan(Step::Register, delay)
    }

    fn plan(&mut self, step: Step, delay: Duration) -> Plan {
        self.step = step;
        Plan { step, delay }
    }

    /// The last connection held: what was before it is forgotten. The failure that ended it is the hub's.
    fn all_is_well(&mut self) {
        self.step = Step::Connect;
        self.hub_tries = 0;
        for backoff in [
            &mut self.denied,
            &mut self.disowned,
            &mut self.throttled,
            &mut self.hub_trouble,
            &mut self.hub_unreachable,
            &mut self.register_trouble,
            &mut self.look_up_trouble,
        ] {
            backoff.reset();
        }
    }
}

#[cfg(test)]
mod tests;

//! A device that finds its hub and stays with it: provisioning, cache, connection and recovery in one. Owns what is
//! done when; the rules are `recovery`'s. Must not know protocols.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::assignment::Assignment;
use crate::cache::{AssignmentCache, Owner};
use crate::error::Error;
use crate::hub::HubClient;
use crate::provisioning::ProvisioningClient;
use crate::random::Jitter;
use crate::recovery::{Fault, Fleet, Outcome, Plan, Recovery, Step};

/// What happens to a device, for those who watch it. See [`Device::observe`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Notice<'a> {
    /// The cached assignment is not used, and why: the device provisions.
    CacheIgnored(&'a str),
    /// The assignment could not be cached, and why: the device goes on without.
    CacheNotWritten(&'a str),
    /// The service assigned the device, or told where it is assigned.
    Provisioned(&'a Assignment),
    /// The hub has the device.
    Connected(&'a Assignment),
    /// Something failed; this follows.
    Recovering {
        /// What failed.
        error: &'a Error,
        /// What is done about it.
        next: Step,
        /// How long after the failure.
        delay: Duration,
    },
}

type Observer = Box<dyn FnMut(Notice<'_>) + Send>;

/// A device with its credential and its memory, which provisions when it must, connects, and recovers by Azure's rules.
///
/// ```no_run
/// use muster_device::{AssignmentCache, Attestation, Device, Fleet, ProvisioningClient};
///
/// # async fn example() -> Result<(), muster_device::Error> {
/// let key = Attestation::symmetric_key("c2VjcmV0IGtleSBvZiAxNisgYnl0ZXM=")?;
/// let client = ProvisioningClient::builder("localhost", "0ne00ABCDEF", "device-1", key).build()?;
/// let fleet = Fleet { devices: 100_000, calls_per_second: 200.0, load: 1.0 };
/// let mut device = Device::new(client, AssignmentCache::file("assignment.json"))
///     .fleet(fleet)
///     .observe(|notice| eprintln!("{notice:?}"));
/// device
///     .run(async |hub| {
///         // Begins again on every new connection.
///         loop {
///             hub.send_telemetry(r#"{"temperature":21.5}"#, &[]).await?;
///             tokio::time::sleep(std::time::Duration::from_secs(60)).await;
///         }
///     })
///     .await
/// # }
/// ```
pub struct Device {
    client: ProvisioningClient,
    cache: AssignmentCache,
    fleet: Option<Fleet>,
    denials_allowed: Option<u32>,
    observer: Option<Observer>,
    jitter: Jitter,
    assignment: Option<Assignment>,
    hub: Option<HubClient>,
    /// None before the first use.
    progress: Option<Progress>,
}

/// Where the device is in its recovery.
struct Progress {
    recovery: Recovery,
    begun: Instant,
    /// What is to be done; nothing while the device is connected.
    due: Option<(Step, Instant)>,
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device")
            .field("client", &self.client)
            .field("assignment", &self.assignment)
            .finish_non_exhaustive()
    }
}

impl Device {
    /// A device that has done nothing yet.
    pub fn new(client: ProvisioningClient, cache: AssignmentCache) -> Self {
        let jitter = client.jitter();
        Self {
            client,
            cache,
            fleet: None,
            denials_allowed: None,
            observer: None,
            jitter,
            assignment: None,
            hub: None,
            progress: None,
        }
    }

    /// The fleet whose devices must not all come at once: spreads the first registration, and those that a hub's
    /// refusal causes.
    #[must_use]
    pub fn fleet(mut self, fleet: Fleet) -> Self {
        self.fleet = Some(fleet);
        self
    }

    /// Gives up after so many registrations in a row that were refused by something that does not pass (401, 403, 404,
    /// a disabled enrollment). Unless said otherwise a device never does: it may be enrolled tomorrow.
    #[must_use]
    pub fn give_up_after(mut self, refusals: u32) -> Self {
        self.denials_allowed = Some(refusals);
        self
    }

    /// Tells what happens, as it happens.
    #[must_use]
    pub fn observe(mut self, observer: impl FnMut(Notice<'_>) + Send + 'static) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Where the device belongs, as far as is known.
    pub fn assignment(&self) -> Option<&Assignment> {
        self.assignment.as_ref()
    }

    /// The hub, connected: at once where it is, else as soon as the rules lead there. Waits as long as that takes.
    /// Cancel-safe: the next call goes on where this one was left, and no pause is cut short.
    ///
    /// # Errors
    /// [`Error::Setting`] and [`Error::Tpm`], and the last refusal of a device that gives up
    /// ([`Device::give_up_after`]). The next call begins anew.
    pub async fn ensure_connected(&mut self) -> Result<&HubClient, Error> {
        self.begin().await;
        if let Some(error) = self.hub.as_ref().and_then(HubClient::end) {
            self.hub_failed(&error)?;
        }
        while let Some((step, at)) = self.progress.as_ref().and_then(|progress| progress.due) {
            tokio::time::sleep_until(at).await;
            let outcome = self.take(step).await;
            self.conclude(outcome)?;
        }
        self.hub.as_ref().ok_or_else(|| Error::Disconnected("the device has not connected".into()))
    }

    /// Does the work on the connected hub, again from its beginning on every new connection, until it is done. Work is
    /// dropped when its connection ends.
    ///
    /// # Errors
    /// What [`Device::ensure_connected`] gives, and errors of the work that no recovery helps against: its own
    /// settings, and the hub's refusals other than 401, 403, 404, 429 and 5xx.
    pub async fn run<T>(
        &mut self,
        mut work: impl AsyncFnMut(&HubClient) -> Result<T, Error>,
    ) -> Result<T, Error> {
        loop {
            let hub = self.ensure_connected().await?;
            let result = tokio::select! {
                biased;
                result = work(hub) => result,
                error = hub.ended() => Err(error),
            };
            match result {
                Err(error) if recoverable(error.fault()) => self.hub_failed(&error)?,
                other => return other,
            }
        }
    }

    /// Tells of an error that a request to the hub had, so that the next [`Device::ensure_connected`] does what the
    /// rules say. [`Device::run`] does this by itself. Errors that no recovery helps against change nothing.
    ///
    /// # Errors
    /// None that a device meets in practice: those of [`Device::ensure_connected`].
    pub fn hub_failed(&mut self, error: &Error) -> Result<(), Error> {
        let fault = error.fault();
        if self.progress.is_none() || !recoverable(fault) {
            return Ok(());
        }
        // Throttled or in trouble, a hub that keeps the connection gets no other one.
        let ended = self.hub.as_ref().is_none_or(|hub| hub.end().is_some());
        if ended || matches!(fault, Fault::Denied | Fault::Unreachable) {
            self.hub = None;
        }
        self.conclude(Err(error.clone()))
    }

    /// Registers once, without recovery, and caches the assignment.
    ///
    /// # Errors
    /// As [`ProvisioningClient::provision`].
    pub async fn provision(&mut self) -> Result<Assignment, Error> {
        let assignment = self.client.provision().await?;
        self.learn(assignment.clone()).await;
        Ok(assignment)
    }

    /// Has the device leave its hub and provision again, with the next [`Device::ensure_connected`]: for the button that
    /// every device should have.
    pub async fn reprovision(&mut self) {
        self.begin().await;
        self.hub = None;
        if let Some(progress) = &mut self.progress {
            let plan = progress.recovery.reprovision();
            progress.schedule(Some(plan));
        }
    }

    /// Leaves the hub in good order.
    pub async fn close(self) {
        if let Some(hub) = self.hub {
            // It may have ended by itself; there is nothing to be done about it.
            hub.close().await.ok();
        }
    }

    /// Reads the cache and makes the first plan.
    async fn begin(&mut self) {
        if self.progress.is_some() {
            return;
        }
        match self.cache.read(owner(&self.client)).await {
            Ok(known) => self.assignment = known.or(self.assignment.take()),
            Err(reason) => self.tell(Notice::CacheIgnored(&reason)),
        }
        let (known, can_look_up) = (self.assignment.is_some(), self.client.can_look_up());
        let mut recovery = Recovery::new(known, can_look_up, self.fleet, self.denials_allowed);
        let plan = recovery.begin(&mut self.jitter);
        let mut progress = Progress { recovery, begun: Instant::now(), due: None };
        progress.schedule(Some(plan));
        self.progress = Some(progress);
    }

    async fn take(&mut self, step: Step) -> Result<Outcome, Error> {
        match step {
            Step::Register => {
                self.hub = None;
                let assignment = self.client.provision().await?;
                self.learn(assignment).await;
                Ok(Outcome::Assigned)
            }
            Step::LookUp => {
                let Some(assignment) = self.client.look_up().await? else { return Ok(Outcome::NotAssigned) };
                self.learn(assignment).await;
                Ok(Outcome::Assigned)
            }
            Step::Connect => self.connect().await.map(|()| Outcome::Connected),
        }
    }

    async fn connect(&mut self) -> Result<(), Error> {
        if self.hub.as_ref().is_some_and(|hub| hub.end().is_none()) {
            return Ok(());
        }
        let Some(assignment) = &self.assignment else {
            return Err(Error::Disconnected("no hub is known".into()));
        };
        let options = self.client.hub_options();
        let hub = HubClient::connect(assignment, &self.client.attestation, options).await?;
        self.hub = Some(hub);
        if let (Some(observer), Some(assignment)) = (&mut self.observer, &self.assignment) {
            observer(Notice::Connected(assignment));
        }
        Ok(())
    }

    async fn learn(&mut self, assignment: Assignment) {
        let same_place = |known: &Assignment| {
            known.assigned_hub == assignment.assigned_hub && known.device_id == assignment.device_id
        };
        if !self.assignment.as_ref().is_some_and(same_place) {
            self.hub = None;
        }
        self.tell(Notice::Provisioned(&assignment));
        if self.assignment.as_ref() != Some(&assignment)
            && let Err(reason) = self.cache.write(owner(&self.client), &assignment).await
        {
            self.tell(Notice::CacheNotWritten(&reason));
        }
        self.assignment = Some(assignment);
    }

    /// Asks the rules what follows. An error comes back when nothing does.
    fn conclude(&mut self, outcome: Result<Outcome, Error>) -> Result<(), Error> {
        let Some(progress) = &mut self.progress else { return Ok(()) };
        let told = match &outcome {
            Ok(outcome) => *outcome,
            Err(error) => Outcome::Failed(error.fault()),
        };
        let plan = progress.recovery.next(told, progress.begun.elapsed(), &mut self.jitter);
        progress.schedule(plan);
        match (outcome, plan) {
            (Ok(_), _) => Ok(()),
            (Err(error), Some(Plan { step, delay })) => {
                self.tell(Notice::Recovering { error: &error, next: step, delay });
                Ok(())
            }
            (Err(error), None) => {
                self.progress = None;
                self.hub = None;
                Err(error)
            }
        }
    }

    fn tell(&mut self, notice: Notice<'_>) {
        if let Some(observer) = &mut self.observer {
            observer(notice);
        }
    }
}

impl Progress {
    fn schedule(&mut self, plan: Option<Plan>) {
        self.due = plan.map(|plan| (plan.step, Instant::now() + plan.delay));
    }
}

fn owner(client: &ProvisioningClient) -> Owner<'_> {
    Owner { id_scope: &client.id_scope, registration_id: &client.registration_id }
}

fn recoverable(fault: Fault) -> bool {
    !matches!(fault, Fault::Unusable | Fault::Own)
}

impl Error {
    /// What the rules call it.
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Setting(_) | Self::Tpm(_) => Fault::Own,
            // CONNACK: identifier rejected, bad user name or password, not authorized; server unavailable. Without the
            // hub's key nobody needs to be asked.
            Self::Disabled
            | Self::TpmKeyMissing(_)
            | Self::ConnectionRefused { return_code: 2 | 4 | 5, .. } => Fault::Denied,
            Self::ConnectionRefused { return_code: 3, .. } => Fault::Trouble { retry_after: None },
            Self::ConnectionRefused { .. } => Fault::Unusable,
            Self::Refused { status, retry_after, .. } => by_status(u32::from(*status), *retry_after),
            // The six digits begin with the status they stand for.
            Self::Failed { error_code, .. } => by_status(error_code.map_or(0, |code| code / 1000), None),
            Self::Unreachable { .. }
            | Self::Tls { .. }
            | Self::Timeout { .. }
            | Self::Protocol(_)
            | Self::Disconnected(_) => Fault::Unreachable,
        }
    }
}

fn by_status(status: u32, retry_after: Option<u32>) -> Fault {
    match status {
        401 | 403 | 404 => Fault::Denied,
        408 => Fault::Unreachable,
        429 => Fault::Throttled { retry_after },
        500.. => Fault::Trouble { retry_after },
        _ => Fault::Unusable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16) -> Error {
        Error::Refused {
            status,
            error_code: None,
            message: String::new(),
            tracking_id: None,
            retry_after: Some(7),
        }
    }

    #[test]
    fn faults_are_told_apart_as_the_rules_need_it() {
        let connack = |return_code| Error::ConnectionRefused { return_code, meaning: "" };
        let failed = |error_code| Error::Failed { error_code, message: String::new() };
        for (error, fault) in [
            (refused(401), Fault::Denied),
            (refused(403), Fault::Denied),
            (refused(404), Fault::Denied),
            (refused(429), Fault::Throttled { retry_after: Some(7) }),
            (refused(500), Fault::Trouble { retry_after: Some(7) }),
            (refused(599), Fault::Trouble { retry_after: Some(7) }),
            (refused(408), Fault::Unreachable),
            (refused(400), Fault::Unusable),
            (refused(412), Fault::Unusable),
            (connack(1), Fault::Unusable),
            (connack(2), Fault::Denied),
            (connack(3), Fault::Trouble { retry_after: None }),
            (connack(4), Fault::Denied),
            (connack(5), Fault::Denied),
            (failed(Some(401_002)), Fault::Denied),
            (failed(Some(400_207)), Fault::Unusable),
            (failed(Some(500_000)), Fault::Trouble { retry_after: None }),
            (failed(None), Fault::Unusable),
            (Error::Disabled, Fault::Denied),
            (Error::Disconnected(String::new()), Fault::Unreachable),
            (Error::Protocol(String::new()), Fault::Unreachable),
            (Error::Tpm(String::new()), Fault::Own),
            (Error::TpmKeyMissing(String::new()), Fault::Denied),
        ] {
            assert_eq!(error.fault(), fault, "{error:?}");
        }
    }
}

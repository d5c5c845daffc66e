//! Carries one operation out: the webhook, the twin of a device that moves, the new identity, the former one, the
//! commit. Each step may be repeated; each is durable before the next one relies on it (ADR 0006, ADR 0011).
//! Owns attempts, pauses and the lease; must not decide anything.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use dps_events::WebhookExchange;
use dps_events::record::exchange::{masked, masked_value, stage_of};
use dps_model::hub::{HubAuthentication, LinkedHub};
use dps_model::instance::Instance as Service;
use dps_model::{Error, ErrorCode, HubName, limits};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::places::Place;
use super::{Admitted, Held, OperationEvent, Operations};
use crate::allocation::custom::{self, Next};
use crate::plan::{Plan, TwinFate, Unfinished};
use crate::ports::{HubError, TwinTaken, WebhookAnswer, WebhookError};
use crate::registration::Identity;

/// One registration's operations, one after the other, on a task of their own.
pub(super) struct Run {
    operations: Arc<Operations>,
    held: Held,
    place: Option<Place>,
}

/// Why an operation does not go on.
enum Stopped {
    /// The webhook or the hub said no, or could not be reached often enough: the registration failed.
    Failed(Error),
    /// The registration is no longer this operation's.
    Lost(Error),
    /// It waits in the store: a sweep takes it up.
    Left,
}

impl Run {
    pub(super) fn new(operations: Arc<Operations>, held: Held, place: Place) -> Self {
        Self { operations, held, place: Some(place) }
    }

    /// What was put behind meanwhile.
    pub(super) fn next(&mut self) -> Option<Admitted> {
        self.held.next()
    }

    /// Every exit records the operation's event once, unless the operation goes on elsewhere.
    pub(super) async fn operation(&mut self, mut admitted: Admitted) {
        let operations = Arc::clone(&self.operations);
        let mut event = OperationEvent::open(&admitted, &operations.sink, &operations.clock);
        let ended = match self.steps(&mut admitted, &mut event).await {
            Ok(()) => operations.commit(&admitted, Ok(())).await,
            Err(Stopped::Failed(error)) => operations.commit(&admitted, Err(&error)).await.and(Err(error)),
            Err(Stopped::Lost(error)) => Err(error),
            Err(Stopped::Left) => return event.forget(),
        };
        event.step("commitRegistration");
        event.close(&admitted, &ended);
    }

    async fn steps(&mut self, admitted: &mut Admitted, event: &mut OperationEvent) -> Result<(), Stopped> {
        self.resume(admitted).await?;
        if admitted.record.asking().is_some() {
            self.ask(admitted, event).await?;
            event.step("askWebhook");
            self.take_place(admitted).await;
        }
        if admitted.plan_mut().is_some_and(|plan| plan.reads_twin) {
            self.read_twin(admitted, event).await?;
            event.step("readTwin");
        }
        self.put_device(admitted, event).await?;
        event.step("putDevice");
        let others: Vec<Identity> = match admitted.record.running() {
            Some((_, plan)) => admitted.record.identities.others(&plan.identity()).cloned().collect(),
            None => Vec::new(),
        };
        for other in &others {
            self.remove(admitted, event, other).await?;
        }
        if !others.is_empty() {
            event.step("deleteFormerDevice");
        }
        Ok(())
    }

    /// An operation that was left while it waited goes on waiting.
    async fn resume(&mut self, admitted: &mut Admitted) -> Result<(), Stopped> {
        self.take_place(admitted).await;
        let until = admitted.record.operation.as_ref().and_then(|operation| operation.resume_at);
        let wait = until.map_or(0, |until| until.millis() - self.operations.clock.now().millis());
        match u64::try_from(wait) {
            // A clock that was set back meanwhile must not make a short pause a long one.
            Ok(wait @ 1..) => {
                let longest = Duration::from_secs(limits::MAX_OPERATION_PAUSE);
                self.rest(admitted, Duration::from_millis(wait).min(longest)).await
            }
            _ => Ok(()),
        }
    }

    /// Asks until there is an answer to go by, and makes the plan of it. The plan is durable before a hub hears of it;
    /// a crash before that asks again.
    async fn ask(&mut self, admitted: &mut Admitted, event: &mut OperationEvent) -> Result<(), Stopped> {
        loop {
            let Some(ask) = admitted.record.asking().cloned() else { return Ok(()) };
            let operations = Arc::clone(&self.operations);
            let begun = operations.clock.monotonic_micros();
            let answer = {
                let webhook = Arc::clone(&operations.webhook);
                let sealed = ask.sealed.clone();
                let call = async move {
                    let lost = || WebhookError::Forbidden("its URL is lost".into());
                    let sealed = sealed.ok_or_else(lost)?;
                    webhook.ask(&sealed.url, &sealed.body).await
                };
                operations.while_leased(admitted, call).await?
            };
            let said = match &answer {
                Ok(answer) => format!("iotHubHostName {:?}", answer.hub.as_deref().unwrap_or_default()),
                Err(error) => error.to_string(),
            };
            let micros = operations.clock.monotonic_micros().saturating_sub(begun);
            let last = ask.sealed.as_ref().map(|sealed| exchange(&sealed.body, &answer, micros));
            event.webhook(&ask.shown_url, ask.retries + 1, &said, last);
            match custom::judge(answer, &ask.offered, ask.retries).map_err(Stopped::Failed)? {
                Next::Assign { hub, twin, payload } => {
                    let unfinished = Unfinished::of(&admitted.record);
                    let mut draft = ask.draft;
                    draft.initial_twin = twin.or(draft.initial_twin);
                    let mut plan = draft.plan(hub, &unfinished, &admitted.instance);
                    plan.payload = payload;
                    admitted.record.decided(plan);
                    return operations.keep(admitted).await;
                }
                Next::Again(pause) => {
                    if let Some(ask) = admitted.ask_mut() {
                        ask.retries += 1;
                    }
                    self.rest(admitted, pause).await?;
                }
            }
        }
    }

    /// Reads the twin that the device had, and makes it durable here before anything is written or removed there.
    async fn read_twin(
        &mut self,
        admitted: &mut Admitted,
        event: &mut OperationEvent,
    ) -> Result<(), Stopped> {
        let read = self
            .attempt(admitted, event, |operations, at, plan| async move {
                let Some(origin) = plan.origin else { return Ok(None) };
                let hub = at.hub(&origin.hub)?;
                let twin = operations.hubs.twin(&hub, &origin.device_id).await?;
                let size =
                    twin.as_ref().and_then(|twin| serde_json::to_vec(twin).ok()).map_or(0, |t| t.len());
                if size > limits::MAX_CARRIED_TWIN {
                    let most = limits::MAX_CARRIED_TWIN;
                    let text = format!("the twin to carry over has {size} bytes; at most {most} are carried");
                    return Err(HubError::Refused { status: 413, text });
                }
                Ok(twin)
            })
            .await?;
        let kept = admitted.record.carried.take();
        if let Some(plan) = admitted.plan_mut() {
            plan.twin_read(read.clone(), kept.as_ref());
        }
        admitted.record.carried = read.or(kept);
        self.operations.keep(admitted).await
    }

    async fn put_device(
        &mut self,
        admitted: &mut Admitted,
        event: &mut OperationEvent,
    ) -> Result<(), Stopped> {
        let taken = self
            .attempt(admitted, event, |operations, at, plan| async move {
                let hub = at.hub(&plan.hub)?;
                if plan.stale_target && plan.fate != TwinFate::Kept {
                    operations.hubs.delete_device(&hub, &plan.device_id).await?;
                }
                let device = plan.hub_device(&at.credential);
                operations.hubs.put_device(&hub, &device, plan.twin.as_ref()).await
            })
            .await?;
        if let Some(plan) = admitted.plan_mut()
            && taken == TwinTaken::WithoutReported
        {
            plan.fate = TwinFate::CarriedWithoutReported;
        }
        Ok(())
    }

    /// Removes an identity that the device had before, so that it has one. A hub that is not linked any more is out of
    /// reach, and one that will never do it must not keep the device from its new place.
    async fn remove(
        &mut self,
        admitted: &mut Admitted,
        event: &mut OperationEvent,
        other: &Identity,
    ) -> Result<(), Stopped> {
        if admitted.instance.hub(&other.hub).is_none() {
            return Ok(());
        }
        self.attempt(admitted, event, |operations, at, _| {
            let other = other.clone();
            async move {
                let hub = at.hub(&other.hub)?;
                match operations.hubs.delete_device(&hub, &other.device_id).await {
                    Err(error) if !error.is_transient() => {
                        let (hub, device) = (other.hub.as_str(), other.device_id.as_str());
                        tracing::error!(%error, hub, device, "the identity on the former hub was not removed");
                        Ok(())
                    }
                    removed => removed,
                }
            }
        })
        .await
    }

    /// Does a step at a hub, again and again while its failure may pass.
    async fn attempt<T, F: Future<Output = Result<T, HubError>>>(
        &mut self,
        admitted: &mut Admitted,
        event: &mut OperationEvent,
        step: impl Fn(Arc<Operations>, AtHub, Plan) -> F,
    ) -> Result<T, Stopped> {
        loop {
            event.attempts(admitted);
            let operations = Arc::clone(&self.operations);
            let Some(plan) = admitted.plan_mut().cloned() else {
                return Err(Stopped::Failed(Error::internal("an operation runs without a plan")));
            };
            let (attempts, at) = (plan.attempts + 1, AtHub::of(admitted));
            let error =
                match operations.while_leased(admitted, step(Arc::clone(&operations), at, plan)).await? {
                    Ok(done) => return Ok(done),
                    Err(error) => error,
                };
            event.hub_answer(&error);
            if !error.is_transient() || attempts >= limits::HUB_ATTEMPTS {
                return Err(Stopped::Failed(error.into()));
            }
            if let Some(plan) = admitted.plan_mut() {
                plan.attempts = attempts;
            }
            self.rest(admitted, pause(attempts, &error)).await?;
        }
    }

    /// Waits. A short pause keeps the place; a longer one gives it to another operation and is kept in the store, so
    /// that it is over at the same time if the process dies. Who is replaced meanwhile waits no longer.
    async fn rest(&mut self, admitted: &mut Admitted, wait: Duration) -> Result<(), Stopped> {
        if wait < Duration::from_millis(limits::OPERATION_PARKED_FROM_MS) {
            sleep(wait).await;
            return self.operations.keep(admitted).await;
        }
        let millis = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        let until = self.operations.clock.now().plus_millis(millis);
        admitted.resume_at(Some(until));
        self.operations.renew(admitted, until).await.map_err(Stopped::Lost)?;
        self.place = None;
        let parked = Arc::clone(&self.operations.parked).try_acquire_owned().map_err(|_| Stopped::Left)?;
        let over = Instant::now() + wait;
        while !self.held.is_replaced() && timeout_at(over, self.held.wake.notified()).await.is_ok() {}
        drop(parked);
        admitted.resume_at(None);
        self.take_place(admitted).await;
        self.operations.keep(admitted).await
    }

    /// Waits for a place among those that do what this operation does next.
    async fn take_place(&mut self, admitted: &Admitted) {
        let wanted = self.operations.places.of(admitted);
        if self.place.as_ref().is_some_and(|place| place.is_among(&wanted)) {
            return;
        }
        self.place = None;
        self.place = wanted.take().await;
    }
}

/// A call of a webhook as records keep it.
fn exchange(body: &str, answer: &Result<WebhookAnswer, WebhookError>, micros: u64) -> WebhookExchange {
    let (response, status, stage) = match answer {
        Ok(WebhookAnswer { hub, initial_twin, payload }) => {
            let twin = serde_json::to_value(initial_twin).unwrap_or_default();
            let said = json!({ "iotHubHostName": hub, "initialTwin": twin, "payload": payload });
            (Some(masked_value(said)), Some(200), None)
        }
        Err(WebhookError::Busy { status, .. } | WebhookError::Refused { status, .. }) => {
            (None, Some(*status), None)
        }
        Err(WebhookError::Unauthorized) => (None, Some(401), None),
        Err(WebhookError::Unreachable(why)) => (None, None, stage_of(why)),
        Err(WebhookError::Forbidden(_)) => (None, None, None),
    };
    WebhookExchange { request: masked(body), response, status, stage, micros }
}

/// What a step at a hub needs besides the plan.
struct AtHub {
    instance: Arc<Service>,
    credential: HubAuthentication,
}

impl AtHub {
    fn of(admitted: &Admitted) -> Self {
        Self { instance: Arc::clone(&admitted.instance), credential: admitted.credential.clone() }
    }

    fn hub(&self, name: &HubName) -> Result<LinkedHub, HubError> {
        let unlinked = || HubError::NotFound(format!("hub {name} is not linked any more"));
        self.instance.hub(name).cloned().ok_or_else(unlinked)
    }
}

impl Operations {
    /// Keeps the lease alive while something slow is done. Once the registration is another's, the work that is under
    /// way is still waited for: the next operation of the device must not overtake it at the hub.
    async fn while_leased<T>(
        &self,
        admitted: &mut Admitted,
        work: impl Future<Output = T>,
    ) -> Result<T, Stopped> {
        let mut work = pin!(work);
        loop {
            if let Ok(done) = timeout(Duration::from_secs(limits::OPERATION_RENEWAL), &mut work).await {
                return Ok(done);
            }
            match self.renew(admitted, self.lease()).await {
                Err(lost) if lost.code == ErrorCode::RegistrationConflict => {
                    let _ = work.await;
                    return Err(Stopped::Lost(lost));
                }
                // A store that fails now may do it the next time: the lease is long enough for two.
                Ok(()) | Err(_) => {}
            }
        }
    }

    /// Makes durable what the operation knows now, and keeps the lease.
    async fn keep(&self, admitted: &mut Admitted) -> Result<(), Stopped> {
        self.renew(admitted, self.lease()).await.map_err(Stopped::Lost)
    }
}

/// Doubles from half a second, and never sooner than the hub asks.
fn pause(attempts: u32, error: &HubError) -> Duration {
    let doubled = Duration::from_millis(250).saturating_mul(1 << attempts.min(8));
    let asked = match error {
        HubError::Throttled { retry_after: Some(seconds), .. } => u64::from(*seconds),
        _ => 0,
    };
    let own = doubled.min(Duration::from_secs(limits::OPERATION_BACKOFF));
    own.max(Duration::from_secs(asked.min(limits::MAX_HUB_RETRY_AFTER)))
}

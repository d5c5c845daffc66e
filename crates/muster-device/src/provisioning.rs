//! The conversation of one provisioning: register, wait, poll until there is a result. Owns its order and its bound in
//! time; answers are judged in `answer`, pauses chosen in `pace`, bytes moved in `transport`.

use std::sync::Arc;
use std::time::Duration;

use dps_model::limits::{MAX_BODY, MAX_OPERATION_ID};
use dps_model::registration::TpmKeys;
use dps_model::{IdScope, RegistrationId};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::answer::{Assigned, Progress};
use crate::assignment::Assignment;
use crate::attestation::Attestation;
use crate::builder::ProvisioningClientBuilder;
use crate::clock::Clock;
use crate::error::Error;
use crate::hub::HubOptions;
use crate::limits::PROVISIONING_TOKEN_LIFETIME;
use crate::pace::Pace;
use crate::random::Jitter;
use crate::tls::Server;
use crate::tpm;
use crate::transport::{Conversation, Device, Exchange, Https, Transport};

/// A device that can ask a provisioning service for its hub. Made by [`ProvisioningClient::builder`]; may be asked as
/// often as wanted.
pub struct ProvisioningClient {
    pub(crate) server: Server,
    /// The same service over HTTPS.
    pub(crate) https: Server,
    pub(crate) transport: Transport,
    pub(crate) id_scope: IdScope,
    pub(crate) registration_id: RegistrationId,
    pub(crate) attestation: Attestation,
    /// For the custom-allocation webhook.
    pub(crate) payload: Option<Value>,
    pub(crate) poll_immediately: bool,
    pub(crate) timeout: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    /// Of random delays; none for the system's randomness.
    pub(crate) seed: Option<u64>,
    pub(crate) hub_options: HubOptions,
}

impl std::fmt::Debug for ProvisioningClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProvisioningClient")
            .field("id_scope", &self.id_scope)
            .field("registration_id", &self.registration_id)
            .field("attestation", &self.attestation)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

/// Body of the register request and of the lookup (DPS REST: `DeviceRegistration`).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::struct_field_names)] // the members' names are Azure's
pub(crate) struct Registration<'a> {
    pub(crate) registration_id: &'a RegistrationId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tpm: Option<TpmKeys>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) payload: Option<&'a Value>,
}

impl Registration<'_> {
    /// As JSON, no longer than a service takes.
    pub(crate) fn body(&self) -> Result<String, Error> {
        let body = serde_json::to_string(self)
            .map_err(|error| Error::Setting(format!("the payload cannot be written as JSON: {error}")))?;
        if body.len() > MAX_BODY {
            return Err(Error::Setting(format!(
                "the payload makes a request of {} bytes, and a service takes {MAX_BODY}",
                body.len()
            )));
        }
        Ok(body)
    }
}

impl ProvisioningClient {
    /// A client of the service at `host` (name or address, no port), for one device.
    pub fn builder(
        host: &str,
        id_scope: &str,
        registration_id: &str,
        attestation: Attestation,
    ) -> ProvisioningClientBuilder {
        ProvisioningClientBuilder::new(host, id_scope, registration_id, attestation)
    }

    /// Registers the device and waits for its hub, within the client's timeout.
    ///
    /// # Errors
    /// Every [`Error`] but [`Error::Disconnected`].
    pub async fn provision(&self) -> Result<Assignment, Error> {
        let limit = self.timeout;
        tokio::time::timeout(limit, self.converse())
            .await
            .unwrap_or(Err(Error::Timeout { limit, doing: "provisioning" }))
    }

    /// Asks the service where the device is registered, without registering it again (DPS REST: Device Registration
    /// Status Lookup). Always over HTTPS; `None` when it is assigned nowhere. A device with a TPM registers instead:
    /// its answer to a challenge would cost it the key for its hub.
    ///
    /// # Errors
    /// Every [`Error`] but [`Error::Disconnected`].
    pub async fn look_up(&self) -> Result<Option<Assignment>, Error> {
        if !self.can_look_up() {
            return Err(Error::Setting("a device with a TPM registers again; it cannot look up".into()));
        }
        let limit = self.timeout;
        let asked = async {
            let body = self.registration(None, None).body()?;
            Https::open(&self.https, self.device()).await?.look_up(&body).await?.registration()
        };
        tokio::time::timeout(limit, asked).await.unwrap_or(Err(Error::Timeout { limit, doing: "looking up" }))
    }

    /// May the device ask for its registration without a challenge?
    pub(crate) fn can_look_up(&self) -> bool {
        !matches!(self.attestation, Attestation::Tpm(_))
    }

    /// How to reach the hubs of this installation: the same transport, roots, dialled address, port and clock.
    pub fn hub_options(&self) -> HubOptions {
        self.hub_options.clone()
    }

    /// Random numbers for this device's delays.
    pub(crate) fn jitter(&self) -> Jitter {
        self.seed.map_or_else(Jitter::from_system, Jitter::seeded)
    }

    pub(crate) fn registration<'a>(
        &'a self,
        tpm: Option<TpmKeys>,
        payload: Option<&'a Value>,
    ) -> Registration<'a> {
        Registration { registration_id: &self.registration_id, tpm, payload }
    }

    fn device(&self) -> Device {
        let expiry = self.clock.now().seconds().saturating_add(PROVISIONING_TOKEN_LIFETIME);
        let tpm = match &self.attestation {
            Attestation::Tpm(tpm) => Some((Arc::clone(tpm), expiry)),
            Attestation::SymmetricKey(_) | Attestation::X509 { .. } => None,
        };
        Device {
            id_scope: self.id_scope.clone(),
            registration_id: self.registration_id.clone(),
            token: self.attestation.provisioning_token(&self.id_scope, &self.registration_id, &*self.clock),
            tpm,
        }
    }

    async fn converse(&self) -> Result<Assignment, Error> {
        // Every way out of here is within the limit of the caller.
        let deadline = Instant::now() + self.timeout;
        let keys = match &self.attestation {
            Attestation::Tpm(tpm) => {
                let (endorsement_key, storage_root_key) = tpm::keys(tpm).await?;
                Some(TpmKeys { endorsement_key, storage_root_key: Some(storage_root_key) })
            }
            Attestation::SymmetricKey(_) | Attestation::X509 { .. } => None,
        };
        let body = self.registration(keys, self.payload.as_ref()).body()?;
        let mut conversation = Conversation::open(self.transport, &self.server, self.device()).await?;
        let pace = Pace::new(self.poll_immediately, self.jitter());
        let result = run(&mut conversation, &body, pace, deadline).await;
        // A refusal is an answer: the device leaves in good order all the same.
        conversation.close().await;
        let Assigned { assignment, hub_key } = result?;
        if let Attestation::Tpm(tpm) = &self.attestation {
            let blob = hub_key.ok_or_else(|| {
                Error::Protocol("the service assigned a device with a TPM and sent no key for its hub".into())
            })?;
            tpm::activate(tpm, &blob).await?;
        }
        Ok(assignment)
    }
}

/// One registration over an open exchange.
async fn run(
    exchange: &mut impl Exchange,
    body: &str,
    mut pace: Pace,
    deadline: Instant,
) -> Result<Assigned, Error> {
    let mut progress = exchange.register(body).await?.progress()?;
    let mut operation = None;
    loop {
        let (told, retry_after) = match progress {
            Progress::Assigned(assigned) => return Ok(*assigned),
            Progress::Assigning { operation_id, retry_after } => (operation_id, retry_after),
        };
        // An answer to a poll may leave the id away: it is still the same operation.
        let id: String = told.or_else(|| operation.take()).ok_or_else(|| {
            Error::Protocol("the service accepted the registration and named no operation".into())
        })?;
        if id.len() > MAX_OPERATION_ID {
            return Err(Error::Protocol(format!(
                "the service's operation id is longer than {MAX_OPERATION_ID} bytes"
            )));
        }
        tokio::time::sleep(pace.assigning(retry_after)).await;
        progress = poll(exchange, &id, &mut pace, deadline).await?;
        operation = Some(id);
    }
}

/// Polls until the service has something to say about the operation: throttled or in trouble, it is asked again. When
/// it asks for more patience than there is, its refusal is the result.
async fn poll(
    exchange: &mut impl Exchange,
    id: &str,
    pace: &mut Pace,
    deadline: Instant,
) -> Result<Progress, Error> {
    loop {
        match exchange.poll(id).await?.progress() {
            Err(error @ Error::Refused { status: status @ (429 | 500..), retry_after, .. }) => {
                let pause = pace.refused(status, retry_after);
                if pause >= deadline.saturating_duration_since(Instant::now()) {
                    return Err(error);
                }
                tokio::time::sleep(pause).await;
            }
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::answer::Answer;
    use bytes::Bytes;

    const ASSIGNING: &str = r#"{"operationId":"5.a.b","status":"assigning"}"#;
    const ASSIGNED: &str = r#"{"operationId":"5.a.b","status":"assigned","registrationState":{
        "registrationId":"r","assignedHub":"hub","deviceId":"d","status":"assigned"}}"#;

    /// Answers in order, and what was asked when.
    struct Script {
        answers: VecDeque<(u16, Option<u32>, &'static str)>,
        asked: Vec<(String, u64)>,
        begun: Instant,
    }

    impl Script {
        fn new(answers: &[(u16, Option<u32>, &'static str)]) -> Self {
            Self { answers: answers.iter().copied().collect(), asked: Vec::new(), begun: Instant::now() }
        }

        fn next(&mut self, what: &str) -> Result<Answer, Error> {
            self.asked.push((what.to_owned(), self.begun.elapsed().as_secs()));
            let (status, retry_after, body) = self.answers.pop_front().ok_or(Error::Disabled)?;
            Ok(Answer { status, retry_after, body: Bytes::from_static(body.as_bytes()) })
        }
    }

    impl Exchange for Script {
        async fn register(&mut self, _body: &str) -> Result<Answer, Error> {
            self.next("register")
        }

        async fn poll(&mut self, operation_id: &str) -> Result<Answer, Error> {
            self.next(operation_id)
        }
    }

    async fn go(script: &mut Script, at_once: bool) -> Result<Assignment, Error> {
        let deadline = Instant::now() + Duration::from_mins(2);
        let pace = Pace::new(at_once, Jitter::seeded(1));
        run(script, "{}", pace, deadline).await.map(|assigned| assigned.assignment)
    }

    fn at(what: &str, second: u64) -> (String, u64) {
        (what.to_owned(), second)
    }

    #[tokio::test(start_paused = true)]
    async fn provisioning_waits_for_retry_after_before_each_poll() {
        let mut script =
            Script::new(&[(202, Some(3), ASSIGNING), (202, Some(5), ASSIGNING), (200, None, ASSIGNED)]);
        let assignment = go(&mut script, false).await.unwrap();
        assert_eq!(assignment.assigned_hub, "hub");
        assert_eq!(script.asked, [at("register", 0), at("5.a.b", 3), at("5.a.b", 8)]);
    }

    #[tokio::test(start_paused = true)]
    async fn provisioning_polls_at_once_when_told_to() {
        let mut script = Script::new(&[(202, Some(3), ASSIGNING), (200, None, ASSIGNED)]);
        go(&mut script, true).await.unwrap();
        assert_eq!(script.asked, [at("register", 0), at("5.a.b", 0)]);
    }

    #[tokio::test(start_paused = true)]
    async fn provisioning_throttled_poll_waits_and_goes_on() {
        let answers =
            [(202, Some(3), ASSIGNING), (429, Some(10), "{}"), (503, None, "oops"), (200, None, ASSIGNED)];
        let mut script = Script::new(&answers);
        go(&mut script, true).await.unwrap();
        let at: Vec<u64> = script.asked.iter().map(|(_, second)| *second).collect();
        assert_eq!(at[..2], [0, 0]);
        assert!(
            (10..=11).contains(&at[2]),
            "never sooner than asked, by a client that polls at once: {at:?}"
        );
        assert!((at[2] + 1..=at[2] + 2).contains(&at[3]), "5xx has its own backoff: {at:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn provisioning_poll_throttled_for_longer_than_there_is_time_is_refused() {
        let mut script = Script::new(&[(202, Some(3), ASSIGNING), (429, Some(600), "{}")]);
        let error = go(&mut script, false).await.unwrap_err();
        assert_eq!(error.retry_after(), Some(600));
        assert_eq!(script.asked.last(), Some(&at("5.a.b", 3)));
    }

    #[tokio::test(start_paused = true)]
    async fn provisioning_poll_without_operation_id_goes_on_with_the_known_one() {
        let nameless = r#"{"operationId":"","status":"assigning"}"#;
        let mut script =
            Script::new(&[(202, Some(1), ASSIGNING), (202, Some(1), nameless), (200, None, ASSIGNED)]);
        go(&mut script, false).await.unwrap();
        assert_eq!(script.asked.last(), Some(&at("5.a.b", 2)));
    }

    #[tokio::test(start_paused = true)]
    async fn provisioning_accepted_without_operation_id_is_a_protocol_error() {
        let nameless = r#"{"operationId":"","status":"assigning"}"#;
        let mut script = Script::new(&[(202, Some(1), nameless)]);
        let error = go(&mut script, false).await.unwrap_err();
        assert!(matches!(error, Error::Protocol(_)), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn provisioning_refused_register_is_not_repeated() {
        let mut script = Script::new(&[(429, Some(10), "{}")]);
        let error = go(&mut script, true).await.unwrap_err();
        assert_eq!(error.retry_after(), Some(10));
        assert_eq!(script.asked, [at("register", 0)]);
    }
}

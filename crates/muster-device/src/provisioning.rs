//! The conversation of one provisioning: register, wait, poll until there is a result. Owns its order and its bound in
//! time; answers are judged in `answer`, pauses chosen in `pace`, bytes moved in `transport`.

use std::sync::Arc;
use std::time::Duration;

use dps_model::limits::MAX_OPERATION_ID;
use dps_model::{IdScope, RegistrationId};
use serde::Serialize;
use serde_json::Value;

use crate::answer::Progress;
use crate::assignment::Assignment;
use crate::attestation::Attestation;
use crate::builder::ProvisioningClientBuilder;
use crate::clock::Clock;
use crate::error::Error;
use crate::hub::HubOptions;
use crate::pace::Pace;
use crate::tls::Server;
use crate::transport::{Conversation, Device, Exchange, Transport};

/// A device that can ask a provisioning service for its hub. Made by [`ProvisioningClient::builder`]; may be asked as
/// often as wanted.
pub struct ProvisioningClient {
    pub(crate) server: Server,
    pub(crate) transport: Transport,
    pub(crate) id_scope: IdScope,
    pub(crate) registration_id: RegistrationId,
    pub(crate) attestation: Attestation,
    /// The body of the register request.
    pub(crate) body: String,
    pub(crate) poll_immediately: bool,
    pub(crate) timeout: Duration,
    pub(crate) clock: Arc<dyn Clock>,
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

/// Body of the register request (DPS REST: `DeviceRegistration`).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Registration<'a> {
    pub(crate) registration_id: &'a RegistrationId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) payload: Option<&'a Value>,
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

    /// How to reach the hubs of this installation: the same roots, dialled address, MQTT port and clock.
    pub fn hub_options(&self) -> HubOptions {
        self.hub_options.clone()
    }

    async fn converse(&self) -> Result<Assignment, Error> {
        let device = Device {
            id_scope: self.id_scope.clone(),
            registration_id: self.registration_id.clone(),
            token: self.attestation.provisioning_token(&self.id_scope, &self.registration_id, &*self.clock),
        };
        let mut conversation = Conversation::open(self.transport, &self.server, device).await?;
        let result = run(&mut conversation, &self.body, Pace::new(self.poll_immediately)).await;
        // A refusal is an answer: the device leaves in good order all the same.
        conversation.close().await;
        result
    }
}

/// One registration over an open exchange.
async fn run(exchange: &mut impl Exchange, body: &str, mut pace: Pace) -> Result<Assignment, Error> {
    let mut progress = exchange.register(body).await?.progress()?;
    let mut operation = None;
    loop {
        let (told, retry_after) = match progress {
            Progress::Assigned(assignment) => return Ok(*assignment),
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
        progress = poll(exchange, &id).await?;
        operation = Some(id);
    }
}

/// Polls until the service has something to say about the operation: throttled or in trouble, it is asked again.
async fn poll(exchange: &mut impl Exchange, id: &str) -> Result<Progress, Error> {
    loop {
        match exchange.poll(id).await?.progress() {
            Err(Error::Refused { status: 429 | 500.., retry_after, .. }) => {
                tokio::time::sleep(Pace::refused(retry_after)).await;
            }
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use bytes::Bytes;
    use tokio::time::Instant;

    use super::*;
    use crate::answer::Answer;

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

    fn at(what: &str, second: u64) -> (String, u64) {
        (what.to_owned(), second)
    }

    #[tokio::test(start_paused = true)]
    async fn provisioning_waits_for_retry_after_before_each_poll() {
        let mut script =
            Script::new(&[(202, Some(3), ASSIGNING), (202, Some(5), ASSIGNING), (200, None, ASSIGNED)]);
        let assignment = run(&mut script, "{}", Pace::new(false)).await.unwrap();
        assert_eq!(assignment.assigned_hub, "hub");
        assert_eq!(script.asked, [at("register", 0), at("5.a.b", 3), at("5.a.b", 8)]);
    }

    #[tokio::test(start_paused = true)]
    async fn provisioning_polls_at_once_when_told_to() {
        let mut script = Script::new(&[(202, Some(3), ASSIGNING), (200, None, ASSIGNED)]);
        run(&mut script, "{}", Pace::new(true)).await.unwrap();
        assert_eq!(script.asked, [at("register", 0), at("5.a.b", 0)]);
    }

    #[tokio::test(start_paused = true)]
    async fn provisioning_throttled_poll_waits_and_goes_on() {
        let answers =
            [(202, Some(3), ASSIGNING), (429, Some(10), "{}"), (503, None, "oops"), (200, None, ASSIGNED)];
        let mut script = Script::new(&answers);
        run(&mut script, "{}", Pace::new(true)).await.unwrap();
        assert_eq!(
            script.asked,
            [at("register", 0), at("5.a.b", 0), at("5.a.b", 10), at("5.a.b", 12)],
            "never sooner than asked, even by a client that polls at once"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn provisioning_poll_without_operation_id_goes_on_with_the_known_one() {
        let nameless = r#"{"operationId":"","status":"assigning"}"#;
        let mut script =
            Script::new(&[(202, Some(1), ASSIGNING), (202, Some(1), nameless), (200, None, ASSIGNED)]);
        run(&mut script, "{}", Pace::new(false)).await.unwrap();
        assert_eq!(script.asked.last(), Some(&at("5.a.b", 2)));
    }

    #[tokio::test(start_paused = true)]
    async fn provisioning_accepted_without_operation_id_is_a_protocol_error() {
        let nameless = r#"{"operationId":"","status":"assigning"}"#;
        let mut script = Script::new(&[(202, Some(1), nameless)]);
        let error = run(&mut script, "{}", Pace::new(false)).await.unwrap_err();
        assert!(matches!(error, Error::Protocol(_)), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn provisioning_refused_register_is_not_repeated() {
        let mut script = Script::new(&[(429, Some(10), "{}")]);
        let error = run(&mut script, "{}", Pace::new(true)).await.unwrap_err();
        assert_eq!(error.retry_after(), Some(10));
        assert_eq!(script.asked, [at("register", 0)]);
    }
}

//! The settings of a provisioning client, checked once. Must not connect.

use std::sync::Arc;
use std::time::Duration;

use dps_model::{IdScope, RegistrationId};
use serde_json::Value;

use crate::attestation::Attestation;
use crate::clock::{Clock, SystemClock};
use crate::error::Error;
use crate::hub::HubOptions;
use crate::limits::DEFAULT_PROVISIONING_TIMEOUT;
use crate::provisioning::ProvisioningClient;
use crate::stream::{Connector, Tcp};
use crate::tls::Server;
use crate::transport::{HTTPS_PORT, MQTT_PORT, Transport};

/// Settings on their way to a [`ProvisioningClient`].
#[must_use]
pub struct ProvisioningClientBuilder {
    host: String,
    id_scope: String,
    registration_id: String,
    attestation: Attestation,
    transport: Transport,
    mqtt_port: u16,
    https_port: u16,
    roots: Option<Vec<u8>>,
    dial: Option<String>,
    connector: Arc<dyn Connector>,
    seed: Option<u64>,
    payload: Option<Value>,
    poll_immediately: bool,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

impl ProvisioningClientBuilder {
    pub(crate) fn new(host: &str, id_scope: &str, registration_id: &str, attestation: Attestation) -> Self {
        Self {
            host: host.to_owned(),
            id_scope: id_scope.to_owned(),
            registration_id: registration_id.to_owned(),
            attestation,
            transport: Transport::default(),
            mqtt_port: MQTT_PORT,
            https_port: HTTPS_PORT,
            roots: None,
            dial: None,
            connector: Arc::new(Tcp),
            seed: None,
            payload: None,
            poll_immediately: false,
            timeout: DEFAULT_PROVISIONING_TIMEOUT,
            clock: Arc::new(SystemClock),
        }
    }

    /// How to speak with the service; MQTT unless said otherwise. Its hubs are reached through a WebSocket when the
    /// service is, over MQTT else.
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// Other ports than 8883 and 443, of the service and its hubs.
    pub fn ports(mut self, mqtt: u16, https: u16) -> Self {
        self.mqtt_port = mqtt;
        self.https_port = https;
        self
    }

    /// Trusts these certificates (PEM) alone, in place of the machine's.
    pub fn roots(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Some(pem.into());
        self
    }

    /// Dials this address in place of the host's name, for the service and its hubs; names are still checked.
    pub fn dial(mut self, address: impl Into<String>) -> Self {
        self.dial = Some(address.into());
        self
    }

    /// Another way to the service and its hubs than TCP.
    pub fn connector(mut self, connector: Arc<dyn Connector>) -> Self {
        self.connector = connector;
        self
    }

    /// Draws random delays from this seed, for a test that repeats; unless said otherwise the system's randomness.
    pub fn jitter_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// JSON for the custom-allocation webhook.
    pub fn payload(mut self, payload: Value) -> Self {
        self.payload = Some(payload);
        self
    }

    /// Polls at once instead of after the service's `retry-after`, then in growing pauses. For tests and benches: a
    /// service may answer such a device with 429.
    pub fn poll_immediately(mut self, at_once: bool) -> Self {
        self.poll_immediately = at_once;
        self
    }

    /// Time that one provisioning may take in all; 120 seconds unless said otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Another wall clock than the machine's, for the expiry of tokens.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// [`Error::Setting`], which says which one and why.
    pub fn build(self) -> Result<ProvisioningClient, Error> {
        let invalid = |error: dps_model::ids::InvalidId| Error::Setting(error.to_string());
        let id_scope = IdScope::parse(&self.id_scope).map_err(invalid)?;
        let registration_id = RegistrationId::parse(&self.registration_id).map_err(invalid)?;
        if matches!(self.attestation, Attestation::Tpm(_)) && self.transport != Transport::Https {
            return Err(Error::Setting("a device with a TPM is provisioned over HTTPS".into()));
        }
        let ports = |transport| if transport == Transport::Mqtt { self.mqtt_port } else { self.https_port };
        let roots = self.roots.as_deref();
        let connector = Arc::clone(&self.connector);
        let server = Server::new(&self.host, ports(self.transport), roots, &self.attestation, connector)?;
        let server = server.dial(self.dial.clone());
        let hub = if self.transport == Transport::MqttWs { Transport::MqttWs } else { Transport::Mqtt };
        let hub_options = HubOptions {
            transport: hub,
            port: Some(ports(hub)),
            roots: self.roots,
            dial: self.dial,
            connector: self.connector,
            clock: Arc::clone(&self.clock),
            ..HubOptions::default()
        };
        let client = ProvisioningClient {
            https: server.on_port(self.https_port),
            server,
            transport: self.transport,
            id_scope,
            registration_id,
            attestation: self.attestation,
            payload: self.payload,
            poll_immediately: self.poll_immediately,
            timeout: self.timeout,
            clock: self.clock,
            seed: self.seed,
            hub_options,
        };
        // Told now rather than at the first request.
        client.registration(None, client.payload.as_ref()).body()?;
        Ok(client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dps_model::limits::MAX_BODY;

    fn builder(scope: &str, id: &str) -> ProvisioningClientBuilder {
        let key = Attestation::symmetric_key("c2VjcmV0IGtleSBvZiAxNisgYnl0ZXM=").unwrap();
        let root = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        ProvisioningClient::builder("localhost", scope, id, key).roots(root.cert.pem())
    }

    #[test]
    fn build_bad_ids_say_which() {
        for (scope, id, word) in [("0ne/1", "a", "idScope"), ("0ne1", "a b", "registrationId")] {
            let error = builder(scope, id).build().err().unwrap().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn build_payload_too_large_refused() {
        let error = builder("0ne1", "a").payload(Value::from("x".repeat(MAX_BODY))).build().err().unwrap();
        assert!(matches!(&error, Error::Setting(text) if text.contains("bytes")), "{error}");
    }

    #[test]
    fn build_body_has_id_and_payload() {
        let client = builder("0ne1", "a").payload(serde_json::json!({"model": 7})).build().unwrap();
        let body =
            |client: &ProvisioningClient| client.registration(None, client.payload.as_ref()).body().unwrap();
        assert_eq!(body(&client), r#"{"registrationId":"a","payload":{"model":7}}"#);
        assert_eq!(body(&builder("0ne1", "a").build().unwrap()), r#"{"registrationId":"a"}"#);
    }
}

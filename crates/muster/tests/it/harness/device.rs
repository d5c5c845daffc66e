//! A device with its proof, and the three ways it speaks to the provisioning service.

use std::io;
use std::sync::Arc;

use dps_attestation::symmetric_key;
use dps_model::Secret;
use rustls::ClientConfig;
use serde_json::Value;

use super::amqp::Amqp;
use super::http::Http;
use super::mqtt::Mqtt;
use super::server::Endpoint;
use super::tls::{self, Leaf};

/// What a device proves itself with.
pub enum Proof {
    Key(Secret),
    Certificate(Leaf),
}

/// How it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Https,
    Mqtt,
    Amqp,
}

/// A device that is enrolled.
pub struct Device {
    pub id: String,
    pub protocol: Protocol,
    pub proof: Proof,
    config: Arc<ClientConfig>,
    token: Option<String>,
}

/// An answer, whatever the protocol.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub body: Value,
}

impl Reply {
    /// The operation id of a 202.
    pub fn operation_id(&self) -> String {
        assert_eq!(self.status, 202, "{}", self.body);
        self.body["operationId"].as_str().expect("an operationId").to_owned()
    }

    /// The state of an assigned device; none while it is being assigned.
    pub fn assigned(&self) -> Option<&Value> {
        match self.body["status"].as_str() {
            Some("assigning") if self.status == 202 => None,
            Some("assigned") if self.status == 200 => Some(&self.body["registrationState"]),
            _ => panic!("neither assigning nor assigned: {self:?}"),
        }
    }
}

impl Device {
    pub fn new(id: &str, protocol: Protocol, proof: Proof, endpoint: &Endpoint) -> Self {
        let (config, token) = match &proof {
            Proof::Key(key) => (Arc::clone(&endpoint.trust.plain), Some(endpoint.device_token(id, key))),
            Proof::Certificate(leaf) => (endpoint.trust.with(leaf), None),
        };
        Self { id: id.to_owned(), protocol, proof, config, token }
    }

    /// With the key that a group's key gives it.
    pub fn of_group(id: &str, protocol: Protocol, group_key: &Secret, endpoint: &Endpoint) -> Self {
        Self::new(id, protocol, Proof::Key(symmetric_key::derive_device_key(group_key, id)), endpoint)
    }

    pub async fn connect(&self, endpoint: &Endpoint) -> io::Result<Link<'_>> {
        let over = match self.protocol {
            Protocol::Https => Over::Https(
                Http::over(tls::connect(endpoint.https, &self.config).await?),
                endpoint.id_scope.clone(),
            ),
            Protocol::Mqtt => {
                let stream = tls::connect(endpoint.mqtt, &self.config).await?;
                Over::Mqtt(Mqtt::connect(stream, &endpoint.id_scope, &self.id, self.token.as_deref()).await?)
            }
            Protocol::Amqp => {
                let stream = tls::connect(endpoint.amqp, &self.config).await?;
                Over::Amqp(Amqp::connect(stream, &endpoint.id_scope, &self.id, self.token.as_deref()).await?)
            }
        };
        Ok(Link { device: self, over })
    }

    /// Registers, and polls until it is assigned; gives the state.
    pub async fn provision(&self, endpoint: &Endpoint) -> io::Result<Value> {
        let mut link = self.connect(endpoint).await?;
        let operation_id = link.register().await?.operation_id();
        loop {
            if let Some(state) = link.poll(&operation_id).await?.assigned() {
                return Ok(state.clone());
            }
        }
    }
}

/// A device's connection.
pub struct Link<'a> {
    device: &'a Device,
    over: Over,
}

enum Over {
    Https(Http<tls::Stream>, String),
    Mqtt(Mqtt),
    Amqp(Amqp),
}

impl Link<'_> {
    pub async fn register(&mut self) -> io::Result<Reply> {
        let body = format!(r#"{{"registrationId":"{}"}}"#, self.device.id);
        self.ask(None, body.as_bytes()).await
    }

    pub async fn poll(&mut self, operation_id: &str) -> io::Result<Reply> {
        self.ask(Some(operation_id), b"").await
    }

    async fn ask(&mut self, operation_id: Option<&str>, body: &[u8]) -> io::Result<Reply> {
        let Device { id, token, .. } = self.device;
        let (http, id_scope) = match &mut self.over {
            Over::Mqtt(mqtt) => return mqtt.ask(operation_id, body).await,
            Over::Amqp(amqp) => return amqp.ask(operation_id, body).await,
            Over::Https(http, id_scope) => (http, id_scope),
        };
        let base = format!("/{id_scope}/registrations/{id}");
        let headers: Vec<_> = token.iter().map(|token| ("Authorization", token.as_str())).collect();
        let answer = match operation_id {
            None => {
                let target = format!("{base}/register?api-version=2019-03-31");
                http.ask("PUT", &target, &headers, Some(body)).await?
            }
            Some(operation) => {
                let target = format!("{base}/operations/{operation}?api-version=2019-03-31");
                http.ask("GET", &target, &headers, None).await?
            }
        };
        Ok(Reply { status: answer.status, body: answer.json() })
    }
}

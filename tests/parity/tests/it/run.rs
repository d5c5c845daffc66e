//! One cell while it runs: a device with its connection, and all that it was told.

use std::net::SocketAddr;

use dps_model::Secret;

use crate::client::{self, Asking, Client, Told};
use crate::device::{Attesting, Device, Medium};
use crate::site::Site;

pub struct Run<'a> {
    pub site: &'a Site,
    pub medium: Medium,
    pub attesting: Attesting,
    pub device: Device,
    /// Step and answer, in order.
    pub told: Vec<(&'static str, Told)>,
    /// Operation ids, in the order in which they were first told.
    pub operations: Vec<String>,
    /// Where it connected from.
    pub peers: Vec<SocketAddr>,
    client: Option<Box<dyn Client>>,
    /// The TPM has answered its challenge on this connection, or there is none to answer.
    proven: bool,
}

impl<'a> Run<'a> {
    pub fn new(site: &'a Site, medium: Medium, attesting: Attesting, device: Device) -> Self {
        let (told, operations, peers) = (Vec::new(), Vec::new(), Vec::new());
        Self { site, medium, attesting, device, told, operations, peers, client: None, proven: false }
    }

    pub fn name(&self) -> String {
        format!("{} over {}", self.attesting.name(), self.medium.name())
    }

    /// A connection; the one before is cut.
    pub async fn connect(&mut self) {
        self.client = None;
        let (client, peer) = client::connect(self.site, self.medium, &self.device).await;
        self.peers.push(peer);
        match client {
            Ok(client) => self.client = Some(client),
            Err(told) => self.tell("connect", told),
        }
        self.proven = self.device.chip().is_none();
    }

    /// Was it let in so far that it can ask?
    pub fn is_connected(&self) -> bool {
        self.client.is_some()
    }

    /// The connection is cut, without a word.
    pub fn drop_connection(&mut self) {
        self.client = None;
    }

    fn client(&mut self) -> &mut dyn Client {
        &mut **self.client.as_mut().expect("connected")
    }

    fn tell(&mut self, step: &'static str, told: Told) {
        if let Told::Accepted { body, .. } = &told
            && let Some(id) = body["operationId"].as_str().filter(|id| !id.is_empty())
            && !self.operations.iter().any(|known| known == id)
        {
            self.operations.push(id.to_owned());
        }
        self.told.push((step, told));
    }

    /// A TPM shows its keys. `None` when that was refused.
    pub async fn challenge(&mut self) -> Option<Secret> {
        let told = self.client().challenge().await;
        let key = match &told {
            Told::Challenged { blob, .. } => {
                let (key, _) = self.device.chip().unwrap().activate(blob).expect("made for this chip");
                Some(Secret::new(key))
            }
            _ => None,
        };
        let step = if key.is_some() { "challenge" } else { "register" };
        self.tell(step, told);
        key
    }

    /// A TPM answers its challenge; a key or a certificate has proven itself. False when it was refused.
    pub async fn prove(&mut self) -> bool {
        if !self.proven {
            let Some(key) = self.challenge().await else { return false };
            self.answer_with(&key).await;
        }
        true
    }

    /// A TPM's token, signed with that key.
    pub async fn answer_with(&mut self, key: &Secret) {
        let token = self.device.sign(key);
        self.client().prove(token).await;
        self.proven = true;
    }

    /// Registers, as far as it comes.
    pub async fn register(&mut self) {
        self.register_with(None).await;
    }

    pub async fn register_with(&mut self, payload: Option<&str>) {
        if self.prove().await {
            let told = self.exchange(Asking::Register { payload }).await;
            self.tell("register", told);
        }
    }

    /// The request leaves, and nothing is read.
    pub async fn register_unheard(&mut self) {
        assert!(self.prove().await);
        self.client().ask(Asking::Register { payload: None }).await;
    }

    /// Polls for the operation that was told last.
    pub async fn poll(&mut self) {
        let operation_id = self.operations.last().expect("an operation").clone();
        let told = self.exchange(Asking::Poll { operation_id: &operation_id }).await;
        self.tell("poll", told);
    }

    pub async fn look_up(&mut self) {
        if self.medium.looks_up() {
            let told = self.exchange(Asking::LookUp).await;
            self.tell("lookup", told);
        }
    }

    async fn exchange(&mut self, asking: Asking<'_>) -> Told {
        let client = self.client();
        client.ask(asking).await;
        client.answer().await
    }

    /// Waits until so many of its operations have ended.
    pub async fn ended(&self, operations: usize) {
        self.site.events.operations_ended(&self.device.id, operations).await;
    }

    /// Registers, and polls when the operation has ended, which is its device's so manieth.
    pub async fn provision(&mut self, operations: usize) {
        self.register().await;
        self.ended(operations).await;
        self.poll().await;
    }
}

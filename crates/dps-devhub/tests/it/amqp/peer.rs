//! A client of a hub over AMQP, made of the engine's codec, and the door through which it comes.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use dps_device_api::foreign::{AmqpClaim, AmqpConnection, AmqpLine, Came, ForeignFront};
use dps_model::{Channel, Protocol, TlsSession};
use dps_wire::amqp::connection::{Config, Event};
use dps_wire::amqp::frame::{Frame, ProtocolHeader, decode_sasl, encode_sasl};
use dps_wire::amqp::message::{Body, Message, Properties};
use dps_wire::amqp::performative::{
    AmqpError, Attach, Begin, DeliveryState, Disposition, Flow, Open, Performative, ReceiverSettleMode, Role,
    Sasl, SaslCode, SaslInit, SenderSettleMode, Transfer, source, target,
};
use dps_wire::amqp::sasl::{Mechanism, Plain};
use dps_wire::amqp::value::{Secret, Symbol, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::watch;

use crate::fixture::{HUB, World};

/// What the device API does until a connection turns out to be a hub's.
async fn door(hubs: Arc<dps_devhub::DevHubs>, channel: Arc<Channel>, mut line: AmqpLine) {
    let mut hostname = None;
    loop {
        let Some(event) = line.poll().unwrap() else {
            line.flush().await.unwrap();
            if !matches!(line.wait().await, Came::Bytes(Ok(1..))) {
                return;
            }
            continue;
        };
        let claim = match &event {
            Event::SaslInit(init) if init.mechanism.as_str() == "PLAIN" => {
                let plain = Plain::parse(init.initial_response.as_ref().unwrap()).unwrap();
                assert!(hubs.claims_amqp(AmqpClaim::User(&plain.user)));
                true
            }
            Event::SaslInit(_) => hubs.claims_amqp(AmqpClaim::Mechanism(Mechanism::MsSbCbs)),
            Event::Open(open) => {
                hostname.clone_from(&open.hostname);
                let now_ms = line.now_ms();
                line.connection.accept_open(now_ms).unwrap();
                false
            }
            Event::Attach { attach, .. } => {
                assert!(hubs.claims_amqp(AmqpClaim::Address(attach.address().unwrap())));
                true
            }
            other => panic!("{other:?}"),
        };
        if claim {
            return hubs.amqp(AmqpConnection { channel, line, hostname, event }).await;
        }
    }
}

/// One connection of a client.
pub struct Amqp {
    stream: DuplexStream,
    input: BytesMut,
    handles: u32,
    sent: u32,
    /// Stops the server when it is dropped.
    shutdown: watch::Sender<bool>,
}

impl Amqp {
    /// Connected, with this leaf in TLS.
    fn dial(world: &World, leaf: Option<&[u8]>) -> Self {
        let (near, far) = tokio::io::duplex(1024 * 1024);
        let (shutdown, stop) = watch::channel(false);
        let mechanisms = vec![Mechanism::Plain.symbol(), Mechanism::MsSbCbs.symbol()];
        let config = Arc::new(Config::new("door", mechanisms));
        let line = AmqpLine::new(Box::new(far), config, stop);
        let chain: Vec<Vec<u8>> = leaf.map(<[u8]>::to_vec).into_iter().collect();
        let channel = Arc::new(Channel {
            protocol: Protocol::Amqp,
            peer: "127.0.0.1:1".parse().unwrap(),
            tls: TlsSession { chain: chain.into(), ..TlsSession::default() },
        });
        tokio::spawn(door(Arc::clone(&world.hubs), channel, line));
        Self { stream: near, input: BytesMut::new(), handles: 0, sent: 0, shutdown }
    }

    /// Open, with a session; to this hub.
    pub async fn open_to(world: &World, leaf: Option<&[u8]>, hub: &str) -> Self {
        let mut amqp = Self::dial(world, leaf);
        amqp.begin(hub).await;
        amqp
    }

    pub async fn open(world: &World) -> Self {
        Self::open_to(world, None, HUB).await
    }

    /// SASL with this mechanism, to its outcome; then OPEN when that is good.
    pub async fn sasl(world: &World, mechanism: Mechanism, response: &str) -> Result<Self, SaslCode> {
        let mut amqp = Self::authenticated(world, mechanism, response).await?;
        amqp.begin(HUB).await;
        Ok(amqp)
    }

    /// SASL with this mechanism, to its outcome.
    pub async fn authenticated(
        world: &World,
        mechanism: Mechanism,
        response: &str,
    ) -> Result<Self, SaslCode> {
        let mut amqp = Self::dial(world, None);
        amqp.header(ProtocolHeader::Sasl).await;
        let mut bytes = BytesMut::new();
        let initial_response = Some(Secret::new(response.as_bytes().to_vec()));
        let mechanism = mechanism.symbol();
        encode_sasl(&Sasl::Init(SaslInit { mechanism, initial_response, hostname: None }), &mut bytes);
        amqp.bytes(&bytes).await;
        loop {
            match decode_sasl(&mut amqp.input).unwrap() {
                Some(Sasl::Outcome(SaslCode::Ok)) => return Ok(amqp),
                Some(Sasl::Outcome(code)) => {
                    assert!(!amqp.more().await, "the end follows");
                    return Err(code);
                }
                Some(_) => {}
                None => assert!(amqp.more().await),
            }
        }
    }

    /// Proven by a token on `$cbs`.
    pub async fn device(world: &World, id: &str) -> Self {
        let mut amqp = Self::open(world).await;
        amqp.cbs().await;
        let audience = format!("{HUB}/devices/{id}");
        assert_eq!(amqp.token(&audience, &world.device_token(id, 1, 3600)).await.0, 200);
        amqp
    }

    async fn begin(&mut self, hub: &str) {
        self.header(ProtocolHeader::Amqp).await;
        let hostname = Some(hub.to_owned());
        self.say(Performative::Open(Box::new(Open { hostname, ..Open::new("c") }))).await;
        assert!(matches!(self.next().await, Some(Performative::Open(_))));
        self.session().await;
    }

    /// A session on channel 0.
    pub async fn session(&mut self) {
        let begin = Begin {
            remote_channel: None,
            next_outgoing_id: 0,
            incoming_window: 100,
            outgoing_window: 100,
            handle_max: 100,
        };
        self.say(Performative::Begin(begin)).await;
        assert!(matches!(self.next().await, Some(Performative::Begin(_))));
    }

    async fn header(&mut self, header: ProtocolHeader) {
        self.bytes(&header.bytes()).await;
        while self.input.len() < 8 {
            assert!(self.more().await);
        }
        assert_eq!(ProtocolHeader::decode(&mut self.input), Some(header));
    }

    pub async fn bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The server is asked to stop.
    pub fn stop(&self) {
        self.shutdown.send_replace(true);
    }

    /// Nothing is sent any more.
    pub async fn finish(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    async fn more(&mut self) -> bool {
        self.stream.read_buf(&mut self.input).await.unwrap_or(0) > 0
    }

    pub async fn say(&mut self, performative: Performative) {
        let mut bytes = BytesMut::new();
        Frame::new(0, performative).encode(&mut bytes);
        self.bytes(&bytes).await;
    }

    /// The next frame that is no credit; `None` at the end.
    async fn frame(&mut self) -> Option<Frame> {
        loop {
            match Frame::decode(&mut self.input, 1024 * 1024).unwrap() {
                Some(Frame { performative: None | Some(Performative::Flow(_)), .. }) => {}
                Some(frame) => return Some(frame),
                None if self.more().await => {}
                None => return None,
            }
        }
    }

    pub async fn next(&mut self) -> Option<Performative> {
        self.frame().await.and_then(|frame| frame.performative)
    }

    /// The handle of the newest link.
    pub fn last_handle(&self) -> u32 {
        self.handles - 1
    }

    /// Asks for a link.
    pub async fn ask(&mut self, role: Role, address: &str) {
        self.ask_for(role, address, None).await;
    }

    /// Asks for a link that takes messages up to this size.
    pub async fn ask_for(&mut self, role: Role, address: &str, max_message_size: Option<u64>) {
        let handle = self.handles;
        self.handles += 1;
        let attach = Attach {
            name: format!("link {handle}"),
            handle,
            role,
            snd_settle_mode: SenderSettleMode::Mixed,
            rcv_settle_mode: ReceiverSettleMode::First,
            source: Some(source(address)),
            target: Some(target(address)),
            initial_delivery_count: (role == Role::Sender).then_some(0),
            max_message_size,
            properties: Vec::new(),
        };
        self.say(Performative::Attach(Box::new(attach))).await;
    }

    /// Asks for a link; its handle, and the hub's ATTACH.
    pub async fn attach(&mut self, role: Role, address: &str) -> (u32, Attach) {
        self.ask(role, address).await;
        match self.next().await {
            Some(Performative::Attach(attach)) => (self.last_handle(), *attach),
            other => panic!("{other:?} instead of ATTACH"),
        }
    }

    /// A link that is granted; a receiver gives credit.
    pub async fn link(&mut self, role: Role, address: &str) -> u32 {
        let (handle, attach) = self.attach(role, address).await;
        assert!(granted(role, &attach), "refused: {:?}", self.next().await);
        if role == Role::Receiver {
            self.credit(handle, 50).await;
        }
        handle
    }

    /// Takes so many messages in all on a link, from its first on.
    pub async fn credit(&mut self, handle: u32, credit: u32) {
        let flow = Flow {
            next_incoming_id: Some(0),
            incoming_window: 100,
            outgoing_window: 100,
            handle: Some(handle),
            delivery_count: Some(0),
            link_credit: Some(credit),
            ..Flow::default()
        };
        self.say(Performative::Flow(flow)).await;
    }

    /// Why a link is refused.
    pub async fn refused(&mut self, role: Role, address: &str) -> AmqpError {
        let (_, attach) = self.attach(role, address).await;
        assert!(!granted(role, &attach));
        match self.next().await {
            Some(Performative::Detach(detach)) => detach.error.unwrap(),
            other => panic!("{other:?} instead of DETACH"),
        }
    }

    /// Both links of `$cbs`: handles 0 and 1 of a new connection.
    pub async fn cbs(&mut self) {
        self.link(Role::Sender, "$cbs").await;
        self.link(Role::Receiver, "$cbs").await;
    }

    /// Shows a token: status and description of the answer.
    pub async fn token(&mut self, audience: &str, token: &str) -> (i64, String) {
        let text = |text: &str| Value::String(text.to_owned());
        let message = Message {
            properties: Some(Box::new(Properties { message_id: Some(text("m")), ..Properties::default() })),
            application_properties: vec![
                ("operation".to_owned(), text("put-token")),
                ("type".to_owned(), text("servicebus.windows.net:sastoken")),
                ("name".to_owned(), text(audience)),
            ],
            body: Body::Value(text(token)),
            ..Message::default()
        };
        assert_eq!(self.send(0, &message).await, DeliveryState::Accepted);
        let answer = self.message().await;
        assert_eq!(answer.correlation_id(), Some(&text("m")));
        let property = |name: &str| answer.application_property(name).unwrap();
        let description = property("status-description").as_text().unwrap().to_owned();
        (property("status-code").as_i64().unwrap(), description)
    }

    /// Sends on a link; the verdict.
    pub async fn send(&mut self, handle: u32, message: &Message) -> DeliveryState {
        let mut payload = BytesMut::new();
        message.encode(&mut payload);
        self.send_bytes(handle, payload.freeze()).await
    }

    pub async fn send_bytes(&mut self, handle: u32, payload: Bytes) -> DeliveryState {
        self.push(handle, payload).await;
        match self.next().await {
            Some(Performative::Disposition(Disposition { state: Some(state), settled: true, .. })) => state,
            other => panic!("{other:?} instead of a verdict"),
        }
    }

    /// Sends on a link and waits for nothing.
    pub async fn push(&mut self, handle: u32, payload: Bytes) {
        let mut pieces = payload.chunks(60_000).peekable();
        while let Some(piece) = pieces.next() {
            let performative = Some(Performative::Transfer(Transfer {
                handle,
                delivery_id: Some(self.sent),
                delivery_tag: Some(Bytes::copy_from_slice(&self.sent.to_be_bytes())),
                message_format: Some(0),
                settled: Some(false),
                more: pieces.peek().is_some(),
                aborted: false,
            }));
            let mut bytes = BytesMut::new();
            Frame { channel: 0, performative, payload: Bytes::copy_from_slice(piece) }.encode(&mut bytes);
            self.bytes(&bytes).await;
        }
        self.sent += 1;
    }

    /// The next message.
    pub async fn message(&mut self) -> Message {
        match self.frame().await {
            Some(Frame { performative: Some(Performative::Transfer(_)), payload, .. }) => {
                Message::decode(&payload).unwrap()
            }
            other => panic!("{other:?} instead of a message"),
        }
    }

    /// CLOSE: its error, answered, and the end.
    pub async fn closed(&mut self) -> AmqpError {
        match self.next().await {
            Some(Performative::Close(Some(error))) => {
                self.say(Performative::Close(None)).await;
                assert_eq!(self.next().await, None);
                error
            }
            other => panic!("{other:?} instead of CLOSE"),
        }
    }
}

/// A refused link is attached without the end that was asked for.
fn granted(role: Role, reply: &Attach) -> bool {
    match role {
        Role::Sender => reply.target.is_some(),
        Role::Receiver => reply.source.is_some(),
    }
}

/// A request to a twin.
pub fn twin(operation: &str, resource: Option<&str>, body: &str) -> Message {
    let mut annotations = vec![(Symbol::from_static("operation"), Value::String(operation.to_owned()))];
    annotations.extend(resource.map(|at| (Symbol::from_static("resource"), Value::String(at.to_owned()))));
    let correlation_id = Some(Value::String("c".to_owned()));
    Message {
        message_annotations: annotations,
        properties: Some(Box::new(Properties { correlation_id, ..Properties::default() })),
        ..Message::data(body.to_owned())
    }
}

/// A whole number among a message's annotations.
pub fn annotation(message: &Message, name: &str) -> Option<i64> {
    let found = message.message_annotations.iter().find(|(key, _)| key.as_str() == name);
    found.and_then(|(_, value)| value.as_i64())
}

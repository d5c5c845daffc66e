//! A client of the engine under test, made of the same codec.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use dps_wire::amqp::connection::{Config, Connection, ConnectionError, Event, LinkId};
use dps_wire::amqp::frame::{Frame, ProtocolHeader};
use dps_wire::amqp::message::Message;
use dps_wire::amqp::performative::{
    Attach, Begin, Flow, Open, Performative, ReceiverSettleMode, Role, SenderSettleMode, Transfer, source,
    target,
};
use dps_wire::amqp::sasl::Mechanism;

pub const ADDRESS: &str = "0ne1/registrations/d1";

pub fn config() -> Config {
    let mut config = Config::new("IoTDPSGW_00000000000000000000000000000000", mechanisms());
    config.hostname = Some("gateway000000".to_owned());
    config
}

pub fn mechanisms() -> Vec<dps_wire::amqp::value::Symbol> {
    vec![Mechanism::Plain.symbol(), Mechanism::Tpm.symbol()]
}

/// A connection at time 0 and what it wrote, read.
pub struct Peer {
    pub connection: Connection,
}

impl Peer {
    pub fn new(config: Config) -> Self {
        Self { connection: Connection::new(Arc::new(config), 0) }
    }

    /// Without SASL, OPEN accepted.
    pub fn open(config: Config, open: Open) -> Self {
        let mut peer = Self::new(config);
        peer.connection.receive(&ProtocolHeader::Amqp.bytes());
        assert_eq!(
            peer.say(Performative::Open(Box::new(open.clone()))),
            Ok(Some(Event::Open(Box::new(open))))
        );
        peer.connection.accept_open(0).expect("OPEN waits");
        let output = peer.connection.take_output();
        assert_eq!(output.get(..8), Some(&ProtocolHeader::Amqp.bytes()[..]));
        peer
    }

    /// Open, with a session on channel 0.
    pub fn begun(config: Config) -> Self {
        let mut peer = Self::open(config, Open::new("c"));
        assert_eq!(peer.say(Performative::Begin(begin())), Ok(None));
        let heard = peer.heard();
        assert!(
            matches!(heard[..], [Performative::Begin(Begin { remote_channel: Some(0), .. })]),
            "{heard:?}"
        );
        peer
    }

    /// Begun, with a link of this role at handle 0, accepted.
    pub fn linked(config: Config, attach: Attach) -> (Self, LinkId) {
        let mut peer = Self::begun(config);
        let link = peer.attach(attach);
        peer.connection.accept_link(link).expect("the link is asked for");
        peer.heard();
        (peer, link)
    }

    pub fn attach(&mut self, attach: Attach) -> LinkId {
        match self.say(Performative::Attach(Box::new(attach))) {
            Ok(Some(Event::Attach { link, .. })) => link,
            other => panic!("{other:?}"),
        }
    }

    pub fn say(&mut self, performative: Performative) -> Result<Option<Event>, ConnectionError> {
        self.say_frame(&Frame::new(0, performative))
    }

    pub fn say_frame(&mut self, frame: &Frame) -> Result<Option<Event>, ConnectionError> {
        let mut bytes = BytesMut::new();
        frame.encode(&mut bytes);
        self.connection.receive(&bytes);
        self.connection.poll(0)
    }

    pub fn transfer(
        &mut self,
        transfer: Transfer,
        payload: impl Into<Bytes>,
    ) -> Result<Option<Event>, ConnectionError> {
        let performative = Some(Performative::Transfer(transfer));
        self.say_frame(&Frame { channel: 0, performative, payload: payload.into() })
    }

    /// A whole message on handle 0.
    pub fn message(&mut self, id: u32) -> Result<Option<Event>, ConnectionError> {
        self.transfer(first(id), bytes_of(&Message::data("{}")))
    }

    /// The frames that the connection wrote since the last time.
    pub fn frames(&mut self) -> Vec<Frame> {
        let mut output = self.connection.take_output();
        let mut frames = Vec::new();
        while let Some(frame) = Frame::decode(&mut output, 65_536).expect("what we write is legal") {
            frames.push(frame);
        }
        assert!(output.is_empty(), "whole frames only");
        frames
    }

    pub fn heard(&mut self) -> Vec<Performative> {
        self.frames().into_iter().filter_map(|frame| frame.performative).collect()
    }

    /// The condition of the CLOSE that ended the connection.
    pub fn closed_for(&mut self) -> String {
        assert!(self.connection.is_closed());
        match self.heard().pop() {
            Some(Performative::Close(Some(error))) => error.condition.to_string(),
            other => panic!("{other:?}"),
        }
    }
}

pub fn begin() -> Begin {
    Begin {
        remote_channel: None,
        next_outgoing_id: 0,
        incoming_window: 2048,
        outgoing_window: 2048,
        handle_max: u32::MAX,
    }
}

pub fn sender(handle: u32) -> Attach {
    Attach {
        name: "link".to_owned(),
        handle,
        role: Role::Sender,
        snd_settle_mode: SenderSettleMode::Mixed,
        rcv_settle_mode: ReceiverSettleMode::First,
        source: Some(source("local")),
        target: Some(target(ADDRESS)),
        initial_delivery_count: Some(0),
        max_message_size: None,
        properties: Vec::new(),
    }
}

pub fn receiver(handle: u32) -> Attach {
    Attach {
        role: Role::Receiver,
        source: Some(source(ADDRESS)),
        target: Some(target("local")),
        initial_delivery_count: None,
        ..sender(handle)
    }
}

pub fn first(id: u32) -> Transfer {
    Transfer {
        handle: 0,
        delivery_id: Some(id),
        delivery_tag: Some(Bytes::copy_from_slice(&id.to_be_bytes())),
        message_format: Some(0),
        ..Transfer::default()
    }
}

pub fn credit(link_credit: u32) -> Performative {
    Performative::Flow(Flow {
        next_incoming_id: Some(0),
        incoming_window: 2048,
        outgoing_window: 2048,
        handle: Some(0),
        delivery_count: Some(0),
        link_credit: Some(link_credit),
        ..Flow::default()
    })
}

pub fn bytes_of(message: &Message) -> Bytes {
    let mut bytes = BytesMut::new();
    message.encode(&mut bytes);
    bytes.freeze()
}

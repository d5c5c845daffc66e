//! AMQP by hand: a client made of the engine's codec, for what the SDKs do not say.

use bytes::{Bytes, BytesMut};
use dps_events::{Event, Operation, Outcome};
use dps_model::{ErrorCode, Protocol};
use dps_wire::amqp::connection::OPEN_ERROR;
use dps_wire::amqp::frame::{Frame, ProtocolHeader, decode_sasl, encode_sasl};
use dps_wire::amqp::message::{Body, Message};
use dps_wire::amqp::performative::{
    AmqpError, Attach, Begin, DeliveryState, Disposition, Flow, Open, Performative, ReceiverSettleMode, Role,
    Sasl, SaslCode, SaslInit, SenderSettleMode, Transfer, source, target,
};
use dps_wire::amqp::value::{Secret, Symbol, Value};
use rustls::ClientConfig;
use rustls::version::TLS13;
use serde_json::Value as Json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::amqp_sdks::{json, operations};
use crate::fixture::{PENDING, SCOPE, Server, connect};
use crate::pki::{Device, EC};

/// A client that does what a test says.
pub struct Amqp {
    stream: TlsStream<TcpStream>,
    input: BytesMut,
    sent: u32,
}

pub fn address(id: &str) -> String {
    format!("{SCOPE}/registrations/{id}")
}

pub fn attach(role: Role, address: &str) -> Performative {
    Performative::Attach(Box::new(Attach {
        name: format!("{role:?}"),
        handle: u32::from(role == Role::Sender),
        role,
        snd_settle_mode: SenderSettleMode::Unsettled,
        rcv_settle_mode: ReceiverSettleMode::First,
        source: Some(source(address)),
        target: Some(target(address)),
        initial_delivery_count: (role == Role::Sender).then_some(0),
        max_message_size: None,
        properties: Vec::new(),
    }))
}

pub fn asks(operation: &str) -> Message {
    let mut message = Message::default();
    let property = ("iotdps-operation-type".to_owned(), Value::String(operation.to_owned()));
    message.application_properties.push(property);
    message
}

fn polls(operation_id: &str) -> Message {
    let mut message = asks("iotdps-get-operationstatus");
    let property = ("iotdps-operation-id".to_owned(), Value::String(operation_id.to_owned()));
    message.application_properties.push(property);
    message
}

impl Amqp {
    pub fn new(stream: TlsStream<TcpStream>) -> Self {
        Self { stream, input: BytesMut::new(), sent: 0 }
    }

    async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    async fn more(&mut self) -> bool {
        self.stream.read_buf(&mut self.input).await.unwrap_or(0) > 0
    }

    pub async fn header(&mut self, header: ProtocolHeader) {
        self.write(&header.bytes()).await;
        while self.input.len() < 8 {
            assert!(self.more().await);
        }
        assert_eq!(ProtocolHeader::decode(&mut self.input), Some(header));
    }

    async fn sasl(&mut self) -> Sasl {
        loop {
            if let Some(said) = decode_sasl(&mut self.input).unwrap() {
                return said;
            }
            assert!(self.more().await);
        }
    }

    /// SASL with this mechanism, to its first answer.
    pub async fn authenticate(server: &Server, mechanism: &'static str, response: &[u8]) -> (Self, Sasl) {
        Self::authenticate_as(server, server.plain(), mechanism, response).await
    }

    pub async fn authenticate_as(
        server: &Server,
        config: ClientConfig,
        mechanism: &'static str,
        response: &[u8],
    ) -> (Self, Sasl) {
        let mut amqp = Self::new(connect(server.amqp, config).await.unwrap());
        amqp.header(ProtocolHeader::Sasl).await;
        assert!(matches!(amqp.sasl().await, Sasl::Mechanisms(_)));
        let mut bytes = BytesMut::new();
        let mechanism = Symbol::from_static(mechanism);
        let initial_response = Some(Secret::new(response.to_vec()));
        encode_sasl(&Sasl::Init(SaslInit { mechanism, initial_response, hostname: None }), &mut bytes);
        amqp.write(&bytes).await;
        let said = amqp.sasl().await;
        (amqp, said)
    }

    /// PLAIN and OPEN sent.
    async fn plain(server: &Server, address: &str) -> Self {
        let response = format!("\0{address}\0SharedAccessSignature x");
        let (mut amqp, said) = Self::authenticate(server, "PLAIN", response.as_bytes()).await;
        assert_eq!(said, Sasl::Outcome(SaslCode::Ok));
        amqp.header(ProtocolHeader::Amqp).await;
        amqp.say(Performative::Open(Box::new(Open::new("c")))).await;
        amqp
    }

    /// With both links.
    async fn ready(server: &Server, id: &str) -> Self {
        let mut amqp = Self::plain(server, &address(id)).await;
        amqp.links(id).await;
        amqp
    }

    /// Both links, once OPEN is sent.
    pub async fn links(&mut self, id: &str) {
        self.begin().await;
        for role in [Role::Receiver, Role::Sender] {
            self.say(attach(role, &address(id))).await;
            assert!(matches!(self.next().await, Some(Performative::Attach(_))));
        }
        let flow = Flow {
            next_incoming_id: Some(0),
            incoming_window: 100,
            outgoing_window: 100,
            handle: Some(0),
            delivery_count: Some(0),
            link_credit: Some(100),
            ..Flow::default()
        };
        self.say(Performative::Flow(flow)).await;
    }

    pub async fn begin(&mut self) {
        assert!(matches!(self.next().await, Some(Performative::Open(_))));
        let begin = Begin {
            remote_channel: None,
            next_outgoing_id: 0,
            incoming_window: 100,
            outgoing_window: 100,
            handle_max: 10,
        };
        self.say(Performative::Begin(begin)).await;
        assert!(matches!(self.next().await, Some(Performative::Begin(_))));
    }

    pub async fn say(&mut self, performative: Performative) {
        let mut bytes = BytesMut::new();
        Frame::new(0, performative).encode(&mut bytes);
        self.write(&bytes).await;
    }

    /// The next frame that is no credit; `None` at the end.
    async fn frame(&mut self) -> Option<Frame> {
        loop {
            match Frame::decode(&mut self.input, 65_536).unwrap() {
                Some(Frame { performative: Some(Performative::Flow(_)), .. }) => {}
                Some(frame) => return Some(frame),
                None if self.more().await => {}
                None => return None,
            }
        }
    }

    pub async fn next(&mut self) -> Option<Performative> {
        self.frame().await.map(|frame| frame.performative.unwrap())
    }

    pub async fn send(&mut self, message: &Message) {
        let mut payload = BytesMut::new();
        message.encode(&mut payload);
        self.send_bytes(&payload).await;
    }

    async fn send_bytes(&mut self, payload: &[u8]) {
        let mut pieces = payload.chunks(60_000).peekable();
        while let Some(piece) = pieces.next() {
            let performative = Some(Performative::Transfer(Transfer {
                handle: 1,
                delivery_id: Some(self.sent),
                delivery_tag: Some(Bytes::copy_from_slice(&self.sent.to_be_bytes())),
                message_format: Some(0),
                settled: Some(false),
                more: pieces.peek().is_some(),
                aborted: false,
            }));
            let mut bytes = BytesMut::new();
            Frame { channel: 0, performative, payload: Bytes::copy_from_slice(piece) }.encode(&mut bytes);
            self.write(&bytes).await;
        }
        self.sent += 1;
    }

    async fn verdict(&mut self) -> DeliveryState {
        match self.next().await {
            Some(Performative::Disposition(Disposition { state: Some(state), settled: true, .. })) => state,
            other => panic!("no verdict: {other:?}"),
        }
    }

    async fn rejected(&mut self) -> (AmqpError, Json) {
        match self.verdict().await {
            DeliveryState::Rejected(Some(error)) => {
                let body = serde_json::from_str(error.description.as_deref().unwrap()).unwrap();
                (error, body)
            }
            other => panic!("not rejected: {other:?}"),
        }
    }

    pub async fn answered(&mut self) -> Json {
        assert_eq!(self.verdict().await, DeliveryState::Accepted);
        json(&Message::decode(&self.frame().await.unwrap().payload).unwrap())
    }

    /// CLOSE with its error, answered, and the end.
    pub async fn closed(&mut self) -> (AmqpError, Json) {
        let error = match self.next().await {
            Some(Performative::Close(Some(error))) => error,
            other => panic!("not closed: {other:?}"),
        };
        self.say(Performative::Close(None)).await;
        assert_eq!(self.next().await, None);
        let body = serde_json::from_str(error.description.as_deref().unwrap()).unwrap_or_default();
        (error, body)
    }
}

#[tokio::test]
async fn refusal_of_the_core_rejects_the_message_and_the_link_goes_on() {
    let server = Server::start().await;
    let mut amqp = Amqp::ready(&server, "unauthorized").await;
    // More than the credit of the beginning.
    for _ in 0..40 {
        amqp.send(&asks("iotdps-register")).await;
        let (error, body) = amqp.rejected().await;
        assert_eq!((&error.condition, &error.info), (&"amqp:unauthorized-access".sym(), &Vec::new()));
        assert_eq!(body["errorCode"], 401_000);
    }
    let mut amqp = Amqp::ready(&server, "throttled").await;
    amqp.send(&polls(PENDING)).await;
    let (error, body) = amqp.rejected().await;
    assert_eq!(
        (&error.condition, &body["errorCode"]),
        (&"com.microsoft:device-container-throttled".sym(), &429_001.into())
    );
    let info = ["retry-after", "Retry-After"].map(|name| (name.sym(), Value::Int(7)));
    assert_eq!(error.info, info);
    assert!(server.stop().await.is_empty(), "the core records what it refuses");
}

trait Sym {
    fn sym(self) -> Symbol;
}

impl Sym for &'static str {
    fn sym(self) -> Symbol {
        Symbol::from_static(self)
    }
}

#[tokio::test]
async fn message_that_is_no_request_rejected_with_one_event() {
    let mut server = Server::start().await;
    let mut amqp = Amqp::ready(&server, "d").await;
    let body = |body: Body| Message { body, ..asks("iotdps-register") };
    let data = |bytes: &[u8]| body(Body::Data(Bytes::copy_from_slice(bytes)));
    for (message, code, operation) in [
        (Message::data("{}"), ErrorCode::ArgumentInvalid, Operation::Unrouted),
        (asks("iotdps-unregister"), ErrorCode::ArgumentInvalid, Operation::Unrouted),
        (asks("iotdps-get-operationstatus"), ErrorCode::ArgumentInvalid, Operation::OperationStatus),
        (data(b"[]"), ErrorCode::BodyMalformed, Operation::Register),
        (body(Body::Value(Value::Uint(1))), ErrorCode::BodyMalformed, Operation::Register),
        (data(&vec![b' '; dps_model::limits::MAX_BODY + 1]), ErrorCode::BodyTooLarge, Operation::Register),
    ] {
        amqp.send(&message).await;
        let (_, body) = amqp.rejected().await;
        let record = server.attempt_event().await;
        assert_eq!(
            (&body["trackingId"], record.operation),
            (&record.tracking_id.to_string().into(), operation)
        );
        assert!(matches!(record.outcome, Outcome::Failed { code, .. } if body["errorCode"] == code));
        assert_eq!(body["errorCode"], code.row().code);
    }
    amqp.send(&asks("iotdps-get-registration")).await;
    assert_eq!(amqp.answered().await["status"], "unassigned");
    amqp.send(&polls(PENDING)).await;
    assert_eq!(amqp.answered().await["status"], "assigning");
    assert_eq!(operations(&server.seen()), ["lookup", &format!("status {PENDING}")]);
    assert!(server.stop().await.is_empty());
}

#[tokio::test]
async fn bytes_that_are_no_message_rejected_with_one_event_and_the_link_goes_on() {
    let mut server = Server::start().await;
    let mut amqp = Amqp::ready(&server, "d").await;
    for bytes in [&b"nonsense"[..], b"\x00\x53\x74\xa1\x01x"] {
        amqp.send_bytes(bytes).await;
        let (_, body) = amqp.rejected().await;
        let record = server.attempt_event().await;
        assert_eq!(body["trackingId"], record.tracking_id.to_string(), "{bytes:?}");
        assert_eq!(&*record.registration_id, "d");
        let malformed = ErrorCode::BodyMalformed.row().code;
        assert!(matches!(record.outcome, Outcome::Failed { code, .. } if code == malformed));
    }
    amqp.send(&asks("iotdps-get-registration")).await;
    assert_eq!(amqp.answered().await["status"], "unassigned");
    assert!(server.stop().await.is_empty());
}

#[tokio::test]
async fn answer_without_room_ends_the_connection_and_says_why() {
    let mut server = Server::start().await;
    let mut amqp = Amqp::plain(&server, &address("d")).await;
    amqp.begin().await;
    for role in [Role::Receiver, Role::Sender] {
        amqp.say(attach(role, &address("d"))).await;
        assert!(matches!(amqp.next().await, Some(Performative::Attach(_))));
    }
    // Its receiver grants no credit: one more answer than may wait.
    for _ in 0..17 {
        amqp.send(&asks("iotdps-register")).await;
        assert_eq!(amqp.verdict().await, DeliveryState::Accepted);
    }
    let (error, _) = amqp.closed().await;
    assert_eq!(error.condition, "amqp:resource-limit-exceeded".sym());
    let record = server.connection_event().await;
    assert_eq!((record.stage, record.claimed.as_deref()), ("protocol", Some(&*address("d"))));
    assert!(record.reason.contains("could not be sent"), "{}", record.reason);
    assert!(server.stop().await.is_empty());
}

#[tokio::test]
async fn violation_names_the_device_that_it_is_of() {
    let mut server = Server::start().await;
    let mut amqp = Amqp::ready(&server, "d").await;
    amqp.say(Performative::Open(Box::new(Open::new("c")))).await;
    let (error, _) = amqp.closed().await;
    assert_eq!(error.condition, "amqp:illegal-state".sym());
    assert_eq!(server.connection_event().await.claimed.as_deref(), Some(&*address("d")));
    assert!(server.stop().await.is_empty());
}

#[tokio::test]
async fn message_beyond_its_bound_ends_the_connection_with_one_event() {
    let mut server = Server::start().await;
    let mut amqp = Amqp::ready(&server, "d").await;
    let large = vec![b' '; dps_model::limits::MAX_AMQP_MESSAGE];
    amqp.send(&Message { body: Body::Data(large.into()), ..asks("iotdps-register") }).await;
    assert!(matches!(amqp.next().await, Some(Performative::Detach(_))));
    assert_eq!(amqp.closed().await.0.condition, "amqp:link:message-size-exceeded".sym());
    let record = server.connection_event().await;
    assert_eq!((record.stage, record.claimed.as_deref()), ("protocol", Some(&*address("d"))));
    assert!(server.stop().await.is_empty());
}

#[tokio::test]
async fn identity_that_is_none_refused_by_saslcode_with_one_event() {
    let mut server = Server::start().await;
    let long = [&[0x80][..], &[b'x'; 460]].concat();
    for (mechanism, response, why) in [
        ("PLAIN", &b"nonsense"[..], "form"),
        ("PLAIN", b"\0d1@sas.hub\0SharedAccessSignature x", "no device's"),
        ("PLAIN", b"\x000ne1/registrations/d1\0", "password"),
        ("TPM", b"\0nonsense", "form"),
        ("TPM", b"\x01", "control byte"),
        ("MSSBCBS", b"", "not offered"),
        ("EXTERNAL", b"", "no client certificate"),
    ] {
        let (mut amqp, said) = Amqp::authenticate(&server, mechanism, response).await;
        assert_eq!(said, Sasl::Outcome(SaslCode::Auth));
        assert!(!amqp.more().await);
        let record = server.connection_event().await;
        assert!(record.reason.contains(why), "{}", record.reason);
    }
    // A key in segments waits for its next one.
    let (_, said) = Amqp::authenticate(&server, "TPM", &long).await;
    assert_eq!(said, Sasl::Challenge(Secret::new(vec![0])));
    assert!(server.stop().await.is_empty());
}

#[tokio::test]
async fn tpm_that_the_core_refuses_told_at_open_with_the_cores_event() {
    let server = Server::start().await;
    for (id, condition, code) in [
        ("unauthorized", "amqp:unauthorized-access", 401_000),
        ("throttled", "com.microsoft:device-container-throttled", 429_001),
    ] {
        let init = format!("\0{SCOPE}\0{id}\0EK");
        let (mut amqp, said) = Amqp::authenticate(&server, "TPM", init.as_bytes()).await;
        assert_eq!(said, Sasl::Challenge(Secret::new(vec![0])));
        let mut bytes = BytesMut::new();
        encode_sasl(&Sasl::Response(Secret::new(b"\0SRK".to_vec())), &mut bytes);
        amqp.write(&bytes).await;
        assert_eq!(amqp.sasl().await, Sasl::Outcome(SaslCode::Ok));
        amqp.header(ProtocolHeader::Amqp).await;
        amqp.say(Performative::Open(Box::new(Open::new("c")))).await;
        let opened = match amqp.next().await {
            Some(Performative::Open(open)) => open,
            other => panic!("{other:?}"),
        };
        let (error, body) = amqp.closed().await;
        assert_eq!(opened.properties, [(OPEN_ERROR.sym(), error.to_value())]);
        assert_eq!((&error.condition, &body["errorCode"]), (&condition.sym(), &code.into()));
        let info = ["retry-after", "Retry-After"].map(|name| (name.sym(), Value::Int(7)));
        assert_eq!(error.info == info, code == 429_001, "{:?}", error.info);
    }
    assert_eq!(operations(&server.seen()), ["register", "register"]);
    assert!(server.stop().await.is_empty(), "the core records what it refuses");
}

#[tokio::test]
async fn connection_refused_at_open_where_open_tells_who_it_is() {
    let mut server = Server::start().await;
    let unknown = "0neFFFFFFFF/registrations/d";
    for (sasl, condition, code) in
        [(true, "amqp:not-found", 404_204), (false, "amqp:unauthorized-access", 401_000)]
    {
        let mut amqp = if sasl {
            Amqp::plain(&server, unknown).await
        } else {
            let mut amqp = Amqp::new(connect(server.amqp, server.plain()).await.unwrap());
            amqp.header(ProtocolHeader::Amqp).await;
            amqp.say(Performative::Open(Box::new(Open::new("c")))).await;
            amqp
        };
        let opened = match amqp.next().await {
            Some(Performative::Open(open)) => open,
            other => panic!("{other:?}"),
        };
        let record = server.connection_event().await;
        let (error, body) = amqp.closed().await;
        assert_eq!(opened.properties, [(OPEN_ERROR.sym(), error.to_value())]);
        assert_eq!((&error.condition, &body["errorCode"]), (&condition.sym(), &code.into()));
        assert_eq!((record.stage, record.claimed.as_deref()), ("connect", sasl.then_some(unknown)));
        assert_eq!(body["trackingId"], record.tracking_id.to_string());
    }
    assert!(server.stop().await.is_empty());
}

#[tokio::test]
async fn connection_refused_at_attach_where_the_address_tells_who_it_is() {
    let mut server = Server::start().await;
    let (mine, unknown) = (address("d"), "0neFFFFFFFF/registrations/d");
    for (common_name, asked, code) in [
        (Some("other"), &*mine, 401_002),
        (Some("d"), unknown, 404_204),
        (Some("d"), "/devices/d/messages/events", 404_000),
        (Some("d"), "0ne1/registrations/", 404_000),
        (None, &address("other"), 401_000),
        (None, "$cbs", 404_000),
    ] {
        let mut amqp = if let Some(common_name) = common_name {
            let config = server.ca.client(&TLS13, Some(&Device::new(common_name, EC)));
            let mut amqp = Amqp::new(connect(server.amqp, config).await.unwrap());
            amqp.header(ProtocolHeader::Amqp).await;
            amqp.say(Performative::Open(Box::new(Open::new("c")))).await;
            amqp
        } else {
            Amqp::plain(&server, &mine).await
        };
        amqp.begin().await;
        amqp.say(attach(Role::Receiver, asked)).await;
        assert!(matches!(amqp.next().await, Some(Performative::Attach(attach)) if attach.source.is_none()));
        let detach = match amqp.next().await {
            Some(Performative::Detach(detach)) => detach,
            other => panic!("{other:?}"),
        };
        let (error, body) = amqp.closed().await;
        assert_eq!(detach.error, Some(error));
        assert_eq!(body["errorCode"], code, "{asked}");
        let record = server.connection_event().await;
        assert_eq!(body["trackingId"], record.tracking_id.to_string());
        assert_eq!(record.claimed.as_deref(), Some(if common_name.is_some() { asked } else { &*mine }));
        let azure = format!("The link address '{asked}' did not match any of the expected formats.");
        assert_eq!(body["message"] == azure, code == 404_000, "{body}");
    }
    assert!(server.stop().await.is_empty());
}

#[tokio::test]
async fn request_without_a_link_for_its_answer_rejected_with_one_event() {
    let mut server = Server::start().await;
    let mut amqp = Amqp::plain(&server, &address("D")).await;
    amqp.begin().await;
    // The same device, in another case.
    amqp.say(attach(Role::Sender, &address("d"))).await;
    assert!(matches!(amqp.next().await, Some(Performative::Attach(_))));
    amqp.send(&asks("iotdps-register")).await;
    let (error, body) = amqp.rejected().await;
    assert_eq!(error.condition, "com.microsoft:argument-error".sym());
    assert_eq!(body["trackingId"], server.attempt_event().await.tracking_id.to_string());
    assert!(server.stop().await.is_empty());
}

#[tokio::test]
async fn peer_that_stops_before_open_told_and_timed_out() {
    let mut server = Server::start().await;
    let mut amqp = Amqp::new(connect(server.amqp, server.plain()).await.unwrap());
    amqp.header(ProtocolHeader::Sasl).await;
    amqp.sasl().await;
    tokio::time::pause();
    let record = server.connection_event().await;
    assert_eq!((record.stage, record.protocol), ("connect", Protocol::Amqp));
    assert!(record.reason.contains("not open in time"), "{}", record.reason);
    assert!(!amqp.more().await);
}

#[tokio::test]
async fn shutdown_ends_the_request_in_progress_and_tells_idle_connections() {
    let server = Server::start().await;
    let mut idle = Amqp::ready(&server, "d").await;
    let mut busy = Amqp::ready(&server, "slow").await;
    busy.send(&asks("iotdps-register")).await;
    server.busy().await;
    server.stop_while_busy();
    assert_eq!(busy.answered().await["status"], "assigning");
    for amqp in [&mut idle, &mut busy] {
        match amqp.next().await {
            Some(Performative::Close(Some(error))) => {
                assert_eq!(error.condition, "amqp:connection:forced".sym());
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(amqp.next().await, None);
    }
    let left: Vec<Event> = server.stop().await;
    assert!(left.is_empty());
}

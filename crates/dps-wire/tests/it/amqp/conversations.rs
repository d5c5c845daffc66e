//! Whole conversations as bytes. `node*` and `proton` were recorded from the Node.js device SDK 1.9.1 and Qpid Proton
//! 0.40; `c`, `c_tpm`, `csharp` and `java` were written after those SDKs' sources, since they do not run here. A line
//! `C` is what the client sends, a line `S` what it must get; the fuzz targets start from the same bytes.

use std::fmt::Write;
use std::sync::Arc;

use dps_wire::amqp::address::DpsAddress;
use dps_wire::amqp::connection::{Connection, Event, LinkId};
use dps_wire::amqp::message::{Message, Properties};
use dps_wire::amqp::performative::{AmqpError, Role, SaslCode};
use dps_wire::amqp::sasl::{Mechanism, Plain, TpmExchange, TpmStep};
use dps_wire::amqp::value::{Secret, Symbol, Value};

use super::peer::config;

const ASSIGNED: &str = r#"{"operationId":"4.a","status":"assigned","registrationState":{"registrationId":"d1","assignedHub":"hub","deviceId":"d1","status":"assigned","substatus":"initialAssignment","lastUpdatedDateTimeUtc":"2020-01-01T00:00:00.0000000Z","createdDateTimeUtc":"2020-01-01T00:00:00.0000000Z","etag":"x"}}"#;
const ASSIGNING: &str = r#"{"operationId":"4.a","status":"assigning"}"#;

#[derive(Clone, Copy, PartialEq)]
enum Policy {
    Serve,
    RejectRegister,
    RefuseOpen,
}

/// A front in miniature, which writes down what it was asked.
struct Front {
    connection: Connection,
    policy: Policy,
    tpm: TpmExchange,
    answers: Option<LinkId>,
    heard: String,
}

impl Front {
    fn new(policy: Policy) -> Self {
        let connection = Connection::new(Arc::new(config()), 0);
        Self { connection, policy, tpm: TpmExchange::new(), answers: None, heard: String::new() }
    }

    /// Takes bytes, gives bytes.
    fn exchange(&mut self, bytes: &[u8], piece: usize) -> Vec<u8> {
        for piece in bytes.chunks(piece) {
            assert!(self.connection.wants_input());
            self.connection.receive(piece);
            while let Some(event) = self.connection.poll(0).expect("SDKs keep the rules") {
                self.answer(event);
            }
        }
        self.connection.take_output().to_vec()
    }

    fn note(&mut self, text: &str) {
        self.heard.push_str(text);
        self.heard.push('\n');
    }

    fn answer(&mut self, event: Event) {
        match event {
            Event::SaslInit(init) => {
                let response = init.initial_response.expect("both mechanisms have one");
                match Mechanism::parse(init.mechanism.as_str()) {
                    Some(Mechanism::Plain) => {
                        let plain = Plain::parse(&response).expect("PLAIN");
                        DpsAddress::parse(&plain.user).expect("the user is a DPS address");
                        self.note(&format!("plain {}", plain.user));
                        self.connection.sasl_outcome(SaslCode::Ok).expect("it waits");
                    }
                    Some(Mechanism::Tpm) => self.tpm(&response),
                    other => panic!("{other:?}"),
                }
            }
            Event::SaslResponse(response) => self.tpm(&response),
            Event::Open(open) => {
                self.note(&format!("open {}", open.hostname.unwrap_or_default()));
                if self.policy == Policy::RefuseOpen {
                    self.connection
                        .refuse_open(unauthorized(r#"{"errorCode":401002}"#), 0)
                        .expect("it waits");
                } else {
                    self.connection.accept_open(0).expect("it waits");
                }
            }
            Event::Attach { link, attach } => {
                let address =
                    DpsAddress::parse(attach.address().expect("an address")).expect("a DPS address");
                let version = attach.property("com.microsoft:api-version").unwrap_or("no api version");
                let id = &address.registration_id;
                self.note(&format!("{:?} {id} {version}", attach.role).to_lowercase());
                if attach.role == Role::Receiver {
                    self.answers = Some(link);
                }
                self.connection.accept_link(link).expect("it waits");
            }
            Event::Delivery { id, settled, message } => {
                assert!(!settled);
                let message = message.expect("the SDKs send messages");
                self.serve(&message);
                if self.policy == Policy::RejectRegister {
                    let mut error = unauthorized(r#"{"errorCode":401002,"message":"Unauthorized"}"#);
                    error.info.push((Symbol::from_static("retry-after"), Value::Int(3)));
                    return self.connection.reject(id, error).expect("it waits");
                }
                self.connection.accept(id).expect("it waits");
                let answer = answer(&message);
                self.connection
                    .send(self.answers.expect("a receiver"), &answer, false)
                    .expect("it is attached");
            }
            Event::Verdict { state, .. } => self.note(&format!("verdict {:?}", state.expect("a state"))),
            Event::Detached { error, .. } => {
                assert_eq!(error, None);
                self.note("detached");
            }
            Event::Closed(error) => {
                assert_eq!(error, None);
                self.note("closed");
            }
        }
    }

    fn serve(&mut self, message: &Message) {
        let text = |name| message.application_property(name).and_then(Value::as_text).unwrap_or("-");
        let mut line = format!("{} {}", text("iotdps-operation-type"), text("iotdps-operation-id"));
        let correlation = if message.correlation_id().is_some() { "correlated" } else { "uncorrelated" };
        write!(line, " {correlation} {} bytes", message.body.as_bytes().map_or(0, <[u8]>::len))
            .expect("text");
        self.note(&line);
    }

    fn tpm(&mut self, message: &Secret) {
        match self.tpm.receive(message).expect("a TPM message") {
            TpmStep::Challenge(challenge) => self.connection.sasl_challenge(challenge).expect("it waits"),
            TpmStep::Activate(keys) => {
                let lengths = (keys.endorsement_key.len(), keys.storage_root_key.len());
                self.note(&format!("tpm {} {} {lengths:?}", keys.id_scope, keys.registration_id));
                let Ok(TpmStep::Challenge(challenge)) = self.tpm.activate(&[7; 800]) else {
                    panic!("a blob fits")
                };
                self.connection.sasl_challenge(challenge).expect("it fits into a frame");
            }
            TpmStep::Token(token) => {
                assert!(token.expose_str().expect("text").starts_with("SharedAccessSignature "));
                self.connection.sasl_outcome(SaslCode::Ok).expect("it waits");
            }
        }
    }
}

fn unauthorized(json: &str) -> AmqpError {
    AmqpError::new("amqp:unauthorized-access", json)
}

fn answer(request: &Message) -> Message {
    let operation = request.application_property("iotdps-operation-type").and_then(Value::as_text);
    let status = operation == Some("iotdps-get-operationstatus");
    let mut answer = Message::data(if status { ASSIGNED } else { ASSIGNING });
    answer.application_properties.push(("retry-after".to_owned(), Value::Int(1)));
    let correlated = |id: &Value| Properties { correlation_id: Some(id.clone()), ..Properties::default() };
    answer.properties = request.correlation_id().map(|id| Box::new(correlated(id)));
    answer
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()).expect("hex")).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// Plays a conversation with what the client sends cut into pieces; gives what the front was asked.
fn play(script: &str, policy: Policy, piece: usize) -> String {
    let mut front = Front::new(policy);
    let (mut came, mut due) = (Vec::new(), Vec::new());
    for line in script.lines() {
        match line.split_at(2) {
            ("C ", bytes) => came.extend(front.exchange(&unhex(bytes), piece)),
            (_, bytes) => due.extend(unhex(bytes)),
        }
    }
    assert!(front.connection.is_closed());
    assert_eq!(came.len(), due.len());
    let differs = came.iter().zip(&due).position(|(came, due)| came != due);
    assert_eq!(differs, None, "{:02x?}", differs.map(|at| &came[at.saturating_sub(8)..]));
    front.heard
}

fn check(script: &str, policy: Policy, heard: &str) {
    for piece in [usize::MAX, 1, 7] {
        let got = play(script, policy, piece);
        let (got, due) = (got.lines(), heard.lines().map(str::trim));
        assert_eq!(got.collect::<Vec<_>>(), due.collect::<Vec<_>>(), "in pieces of {piece}");
    }
}

#[test]
fn node_registers() {
    check(
        include_str!("conversations/node.txt"),
        Policy::Serve,
        "plain 0ne00ABCDEF/registrations/my.dev_01:a-b
         open localhost
         receiver my.dev_01:a-b 2019-03-31
         sender my.dev_01:a-b 2019-03-31
         iotdps-register - correlated 34 bytes
         verdict Accepted
         iotdps-get-operationstatus 4.a correlated 0 bytes
         verdict Accepted
         detached
         detached
         closed",
    );
}

#[test]
fn node_is_rejected_at_register() {
    check(
        include_str!("conversations/node_rejected.txt"),
        Policy::RejectRegister,
        "plain 0ne00ABCDEF/registrations/my.dev_01:a-b
         open localhost
         receiver my.dev_01:a-b 2019-03-31
         sender my.dev_01:a-b 2019-03-31
         iotdps-register - correlated 34 bytes
         detached
         detached
         closed",
    );
}

#[test]
fn node_is_refused_at_open() {
    check(
        include_str!("conversations/node_refused.txt"),
        Policy::RefuseOpen,
        "plain 0ne00ABCDEF/registrations/my.dev_01:a-b
         open localhost",
    );
}

#[test]
fn c_registers() {
    check(
        include_str!("conversations/c.txt"),
        Policy::Serve,
        "plain 0ne1/registrations/d1
         open localhost
         receiver d1 2021-06-01
         sender d1 2021-06-01
         iotdps-register - uncorrelated 23 bytes
         verdict Accepted
         iotdps-get-operationstatus 4.a uncorrelated 23 bytes
         verdict Accepted
         detached
         detached
         closed",
    );
}

#[test]
fn c_activates_its_tpm_and_registers() {
    check(
        include_str!("conversations/c_tpm.txt"),
        Policy::Serve,
        "tpm 0ne1 d1 (316, 284)
         open localhost
         receiver d1 2021-06-01
         sender d1 2021-06-01
         iotdps-register - uncorrelated 23 bytes
         verdict Accepted
         iotdps-get-operationstatus 4.a uncorrelated 23 bytes
         verdict Accepted
         detached
         detached
         closed",
    );
}

#[test]
fn csharp_registers_without_sasl() {
    check(
        include_str!("conversations/csharp.txt"),
        Policy::Serve,
        "open localhost
         receiver d1 2019-03-31
         sender d1 2019-03-31
         iotdps-register - correlated 0 bytes
         verdict Accepted
         iotdps-get-operationstatus 4.a correlated 26 bytes
         verdict Accepted
         closed",
    );
}

#[test]
fn java_registers() {
    check(
        include_str!("conversations/java.txt"),
        Policy::Serve,
        "plain 0ne1/registrations/d1
         open localhost:5671
         receiver d1 2019-03-31
         sender d1 2019-03-31
         iotdps-register - uncorrelated 23 bytes
         verdict Accepted
         iotdps-get-operationstatus 4.a uncorrelated 0 bytes
         verdict Accepted
         detached
         detached
         closed",
    );
}

#[test]
fn proton_registers_over_one_link_name() {
    check(
        include_str!("conversations/proton.txt"),
        Policy::Serve,
        "plain 0ne1/registrations/d1
         open 127.0.0.1
         receiver d1 no api version
         sender d1 no api version
         iotdps-register - correlated 23 bytes
         iotdps-get-operationstatus 4.a uncorrelated 5000 bytes
         verdict Accepted
         verdict Accepted
         detached
         detached
         closed",
    );
}

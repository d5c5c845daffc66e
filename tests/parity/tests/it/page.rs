//! docs/reference/protocols.md is what the matrix was found to be. `MUSTER_UPDATE_GOLDEN=1` writes it anew.

use std::fmt::Write as _;

use crate::device::{Attesting, Medium};
use crate::matrix::Cells;
use crate::scenario::Scenario;

const HEAD: &str = "\
# Protocols

How devices come, what they can do over each protocol, and what they are told. The tables are the output of a test
(`tests/parity`) that plays every scenario over every protocol with every mechanism, on real sockets before the real
core, and compares what was told, stored, written to hubs and recorded; `MUSTER_UPDATE_GOLDEN=1 cargo test -p
muster-parity` writes this page anew, as `cargo xtask docs` does.

| | https | mqtt | mqtt-ws | amqp | amqp-ws |
|---|---|---|---|---|---|
| port | 443 | 8883 | 443 | 5671 | 443 |
| protocol | HTTP/1.1 or HTTP/2 by ALPN | MQTT 3.1.1 | the same in binary WebSocket frames | AMQP 1.0 | the same in binary \
WebSocket frames |
| WebSocket sub-protocol, any path | | | `mqtt` | | `AMQPWSB10` |
| who speaks | path | user name | user name | SASL, or link address | SASL, or link address |
| X.509 | client certificate in TLS | the same, no password | the same | the same; no SASL, ANONYMOUS or EXTERNAL | the \
same |
| symmetric key | `Authorization` | password | password | SASL PLAIN | SASL PLAIN |
| TPM | 401 with `authenticationKey` and `keyName`, then `Authorization` | not offered | not offered | SASL TPM | SASL \
TPM |
| register | `PUT …/register` | `PUT/iotdps-register` | the same | `iotdps-register` | the same |
| poll | `GET …/operations/{id}` | `GET/iotdps-get-operationstatus` | the same | `iotdps-get-operationstatus` | the same |
| lookup | `POST …/registrations/{id}` | – | – | `iotdps-get-registration` | the same |

`muster dev` has these ports unless it is told others, and 8443 where it cannot have 443. TLS 1.2 and 1.3; any client
certificate is accepted by TLS and judged by the enrollment.

## Where an answer is told

The state, the code and the event are the same for a mechanism over every protocol that offers it, but for the last row
here. Where they are told differs by nature:

| | https | mqtt, mqtt-ws | amqp, amqp-ws |
|---|---|---|---|
| it is done, or under way | status 200, or 202 | status in the response topic | disposition *accepted*, then a message |
| refused | status, `x-ms-error-code`, body | status in the response topic, payload | disposition *rejected*: condition, \
description |
| when to come again | header `Retry-After` | `retry-after` in the topic | `retry-after` among the message's properties, \
or in the error's info |
| a TPM's challenge | 401 and body | – | SASL challenge in two segments |
| a TPM that gets no challenge | as any refusal | – | SASL has no words for it and ends well; in OPEN and CLOSE |
| unknown ID scope, a certificate of another name | as any refusal | CONNACK 3, CONNACK 5; the event is a connection's | in OPEN and CLOSE, or in \
ATTACH, DETACH and CLOSE; the event is a connection's |

Conditions and topics of every code are in [errors.md](errors.md), limits in [throttling.md](throttling.md), reasons of
refusals in [attestation.md](attestation.md).

Azure offers no TPM attestation over MQTT, and its SDKs do not try. A device that sends its keys all the same has shown
nothing that proves it, and is told 401000.

## The matrix

A number is the `errorCode`, a word the status. What a cell shows is what its device heard, register requests and polls
in order, without the 202 that a register request gets and without a TPM's challenge.
";

fn title(scenario: Scenario) -> (&'static str, &'static str) {
    match scenario {
        Scenario::First => (
            "First registration",
            "Register, poll when the operation has ended. Over HTTPS and AMQP a lookup says the same.",
        ),
        Scenario::Again => (
            "Again",
            "The same device on a new connection: another operation, the same hub, the same identity.",
        ),
        Scenario::WrongCredential => (
            "Wrong credential",
            "Another key, a certificate that is not enrolled, a chain signed by a namesake of the group's authority, \
             another chip.",
        ),
        Scenario::WrongAnswer => (
            "Wrong answer to the challenge",
            "The token is not signed with the key that the challenge brought.",
        ),
        Scenario::Expired => (
            "Expired",
            "The token of an hour ago; a certificate that ended yesterday. A TPM is challenged first: its token \
             answers that.",
        ),
        Scenario::Unknown => ("Unknown", "There is no enrollment, and no group."),
        Scenario::UnknownScope => (
            "Unknown ID scope",
            "No service of the server has it. Each protocol looks at it where it first hears of it; the event is that of \
             a request over HTTPS and of SASL TPM, and that of a connection elsewhere.",
        ),
        Scenario::KeptOut => (
            "Address kept out",
            "A rule rejects the device's address while it is connected: its next request is refused like one with a wrong \
             key, on a new connection too, and a TPM gets no challenge. Then the rule is gone.",
        ),
        Scenario::Disabled => (
            "Disabled",
            "The enrollment is disabled: the device proves itself, and the answer is a status, no error.",
        ),
        Scenario::ThrottledRegistering => (
            "Throttled: registering",
            "The instance takes no more (profile `azure`). The same request is admitted when its time has come, the \
             same connection and token included.",
        ),
        Scenario::ThrottledPolling => (
            "Throttled: polling",
            "The sixth poll within ten seconds (profile `self-hosted`), and one after that.",
        ),
        Scenario::HubFailsOnce => (
            "Hub failure that passes",
            "The hub cannot be reached at first: the operation goes on, a poll hears `assigning` and `retry-after`.",
        ),
        Scenario::HubRefuses => (
            "Hub failure that stays",
            "The hub refuses this service: the registration fails, and a poll says why.",
        ),
        Scenario::CustomPayload => {
            ("Custom payload", "The body's `payload` comes to the core byte for byte.")
        }
        Scenario::DropAfterConnect => (
            "Dropped after connecting",
            "In this and the next tables the connection is cut without a word, and the device comes anew. It ends with \
             one registration and one identity on one hub.",
        ),
        Scenario::DropAfterChallenge => (
            "Dropped after the challenge",
            "The TPM is challenged anew; the first challenge has stored nothing.",
        ),
        Scenario::DropBeforeAdmission => (
            "Dropped while the request is looked at",
            "Before anything is durable: it is finished and recorded as answered, as in the next table.",
        ),
        Scenario::DropAfterRequest => (
            "Dropped after the request was sent",
            "The operation goes on without its device, is recorded as admitted, and ends.",
        ),
        Scenario::DropAfterAdmission => {
            ("Dropped after the 202", "The operation ends; the device registers again and gets another.")
        }
        Scenario::DropAfterPoll => (
            "Dropped after the first poll",
            "The operation still runs when the device comes anew: it gets the same one. A TPM gets another, since the \
             key that its hub is given is new with each registration; the first gives way.",
        ),
    }
}

fn page(all: &[(Scenario, Cells)]) -> String {
    let mut page = HEAD.to_owned();
    for (scenario, cells) in all {
        let (title, text) = title(*scenario);
        let _ = write!(page, "\n### {title}\n\n{text}\n\n| |");
        for medium in Medium::ALL {
            let _ = write!(page, " {} |", medium.name());
        }
        page.push_str("\n|---|---|---|---|---|---|\n");
        for attesting in Attesting::ALL.into_iter().filter(|attesting| scenario.concerns(*attesting)) {
            let _ = write!(page, "| {} |", attesting.name());
            for medium in Medium::ALL {
                let brief = &cells[&(attesting, medium)].brief;
                let not_offered = if medium.offers(attesting) { "" } else { "not offered: " };
                let _ = write!(page, " {not_offered}{brief} |");
            }
            page.push('\n');
        }
    }
    page
}

/// Fails when the page says something else, or writes it.
pub fn compare(all: &[(Scenario, Cells)]) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/protocols.md");
    let page = page(all);
    if std::env::var_os("MUSTER_UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        golden == page,
        "docs/reference/protocols.md differs: run with MUSTER_UPDATE_GOLDEN=1 and look at the change"
    );
}

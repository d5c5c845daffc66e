//! What each cell must be, written down by hand: from Azure's documentation and the facts about its SDKs, not from what
//! the server answers.

use serde_json::{Value, json};

use crate::device::{Attesting, Medium};
use crate::scenario::{CERTIFIED_GROUP, KEYED_GROUP, PAYLOAD, Scenario};

const HUB: &str = "hub-a.example";
/// Azure's words for a chain that does not lead to the group's certificate.
const NO_MATCH: &str = "Signing certificate info did not match chain elements.";
const HUB_REFUSAL: &str = "ErrorCode:IotHubUnauthorizedAccess;Unauthorized";

pub struct Expected {
    pub lines: Vec<String>,
    pub lookups: Vec<String>,
    pub how: Vec<String>,
}

/// The outcome of one cell.
pub fn of(scenario: Scenario, attesting: Attesting, medium: Medium) -> Expected {
    let mut story = Story { attesting, medium, told: Vec::new(), events: Vec::new(), ends: Vec::new() };
    let mut lookups = Vec::new();
    let rest = if medium.offers(attesting) {
        story.tell(scenario, &mut lookups)
    } else {
        story.not_offered(scenario);
        Vec::new()
    };
    let how = story.told.iter().map(|told| told.how.clone()).chain(lookups.iter().map(|_| ok(medium, 200)));
    let how = how.collect();
    if !medium.looks_up() {
        lookups.clear();
    }
    let told = story.told.into_iter().map(|told| told.line);
    let events = story.events.into_iter().chain(story.ends).map(|event| format!("event: {event}"));
    if let Some(lookup) = lookups.first_mut() {
        *lookup = format!("lookup: {lookup}");
        let event = format!("event: RegistrationLookup success, status Assigned, hub {HUB}");
        lookups.push(event);
    }
    Expected { lines: told.chain(rest).chain(events).collect(), lookups, how }
}

struct Told {
    line: String,
    how: String,
}

/// A device's story in the making.
struct Story {
    attesting: Attesting,
    medium: Medium,
    told: Vec<Told>,
    /// Of requests, then of operations.
    events: Vec<String>,
    ends: Vec<String>,
}

/// How each medium says that it went well.
fn ok(medium: Medium, status: u16) -> String {
    match medium {
        Medium::Https => format!("HTTP {status}"),
        Medium::Mqtt | Medium::MqttWs => format!("topic {status}"),
        Medium::Amqp | Medium::AmqpWs => "accepted".to_owned(),
    }
}

/// AMQP's word for it.
fn condition(code: u32) -> &'static str {
    match code {
        401_000 | 401_002 => "amqp:unauthorized-access",
        404_201 | 404_204 => "amqp:not-found",
        429_001 => "com.microsoft:device-container-throttled",
        _ => panic!("no condition for {code}"),
    }
}

/// How each medium says that it did not.
fn not_ok(medium: Medium, code: u32) -> String {
    match medium {
        Medium::Https => format!("HTTP {}, x-ms-error-code {code}", code / 1000),
        Medium::Mqtt | Medium::MqttWs => format!("topic {}", code / 1000),
        Medium::Amqp | Medium::AmqpWs => format!("rejected, {}", condition(code)),
    }
}

fn admitted(operation: u8) -> String {
    let body = json!({"operationId": format!("$operation{operation}"), "status": "assigning"});
    format!("{body}, retry-after 3")
}

fn name(code: u32) -> &'static str {
    match code {
        401_000 => "Unauthorized",
        401_002 => "CertificateRejected",
        404_201 => "EnrollmentNotFound",
        404_204 => "IdScopeNotFound",
        429_001 => "Throttled",
        _ => panic!("no name for {code}"),
    }
}

impl Story {
    fn enrollment(&self) -> String {
        match self.attesting {
            Attesting::X509Group => format!("EnrollmentGroup {CERTIFIED_GROUP}"),
            Attesting::SymmetricGroup => format!("EnrollmentGroup {KEYED_GROUP}"),
            _ => "IndividualEnrollment $id".to_owned(),
        }
    }

    fn mechanism(&self) -> &'static str {
        match self.attesting {
            Attesting::X509Individual | Attesting::X509Group => "x509",
            Attesting::SymmetricIndividual | Attesting::SymmetricGroup => "symmetricKey",
            Attesting::Tpm => "tpm",
        }
    }

    fn is_tpm(&self) -> bool {
        self.attesting == Attesting::Tpm
    }

    fn says(&mut self, step: &str, what: &str, how: String) {
        self.told.push(Told { line: format!("{step}: {what}"), how });
    }

    fn refuses(&mut self, step: &str, code: u32, message: &str) {
        let after = if code == 429_001 { ", retry-after" } else { "" };
        let how = not_ok(self.medium, code);
        self.says(step, &format!("refused {code} {message:?}{after}"), how);
    }

    /// By whom a request was let in.
    fn by(&self) -> String {
        format!("{} of {}, primary", self.mechanism(), self.enrollment())
    }

    /// A TPM is challenged, the others have shown themselves with the connection.
    fn challenge(&mut self) {
        if self.is_tpm() {
            let https = self.medium == Medium::Https;
            let how = if https { "HTTP 401" } else { "SASL challenge" }.to_owned();
            self.says("challenge", "challenged", how);
            self.events.push("Register challenged, tpm of IndividualEnrollment $id".to_owned());
        }
    }

    fn admits(&mut self, operation: u8) {
        self.says("register", &admitted(operation), ok(self.medium, 202));
        self.admission(operation);
    }

    fn admission(&mut self, operation: u8) {
        self.events.push(format!("Register success, {}, hub {HUB}, $operation{operation}", self.by()));
    }

    fn ends(&mut self, operation: u8, result: &str, substatus: &str, attempts: u8) {
        self.ends.push(format!(
            "Assignment {result}, {}, $id on {HUB}{substatus}, attempts {attempts}, $operation{operation}",
            self.enrollment()
        ));
    }

    fn assigns(&mut self, operation: u8) {
        self.ends(operation, "success", " InitialAssignment", 1);
    }

    fn state(&self, status: &str) -> Value {
        let mut state = json!({
            "registrationId": "$id", "status": status, "createdDateTimeUtc": "$time",
            "lastUpdatedDateTimeUtc": "$time"
        });
        let (member, result) = match self.attesting {
            Attesting::X509Individual => ("x509", json!({})),
            Attesting::X509Group => ("x509", json!({"enrollmentGroupId": CERTIFIED_GROUP})),
            Attesting::SymmetricIndividual => ("symmetricKey", json!({})),
            Attesting::SymmetricGroup => ("symmetricKey", json!({"enrollmentGroupId": KEYED_GROUP})),
            Attesting::Tpm => ("tpm", json!({"authenticationKey": "$blob"})),
        };
        state[member] = result;
        match status {
            "assigned" => {
                state["assignedHub"] = json!(HUB);
                state["deviceId"] = json!("$id");
                state["substatus"] = json!("initialAssignment");
            }
            "failed" => {
                state["errorCode"] = json!(401_002);
                state["errorMessage"] = json!(HUB_REFUSAL);
            }
            _ => {}
        }
        state
    }

    fn shown(&self, status: &str) -> Value {
        let mut state = self.state(status);
        state["etag"] = json!("$etag");
        state
    }

    fn polls(&mut self, operation: u8, status: &str) {
        let (state, status_code, after) = match status {
            "assigning" => (json!({"registrationId": "$id", "status": "assigning"}), 202, ", retry-after 3"),
            _ => (self.shown(status), 200, ""),
        };
        let id = format!("$operation{operation}");
        let body = json!({"operationId": id, "registrationState": state, "status": status});
        self.says("poll", &format!("{body}{after}"), ok(self.medium, status_code));
        let shown = match status {
            "assigning" => "Assigning",
            "assigned" => "Assigned",
            _ => "Failed",
        };
        // Only a device that is on a hub is said to be.
        let hub = if status == "assigned" { format!(", hub {HUB}") } else { String::new() };
        self.events.push(format!("OperationStatus success, status {shown}{hub}, {id}"));
    }

    /// Registers, is assigned and hears of it.
    fn provisions(&mut self, operation: u8) {
        self.challenge();
        self.admits(operation);
        self.polls(operation, "assigned");
        self.assigns(operation);
    }

    /// What is stored behind operations, the last of them first.
    fn document(&self, status: &str, operations: &[u8]) -> String {
        let enrollment = match self.attesting {
            Attesting::X509Group => json!({"Group": CERTIFIED_GROUP}),
            Attesting::SymmetricGroup => json!({"Group": KEYED_GROUP}),
            _ => json!("Individual"),
        };
        let proof = match self.mechanism() {
            "x509" => json!({"Certificate": "$proof"}),
            _ => json!({"SasToken": "$proof"}),
        };
        let ids: Vec<String> = operations.iter().map(|operation| format!("$operation{operation}")).collect();
        let operation = ids
            .first()
            .map(|id| json!({"id": id, "superseded": ids[1..], "admitted": "$time", "plan": null}));
        let identity = json!({"device_id": "$id", "hub": HUB});
        let (home, strays) = match status {
            "assigned" => (identity, json!([])),
            "failed" => (Value::Null, json!([identity])),
            _ => (Value::Null, json!([])),
        };
        let mut state = self.state(status);
        if status == "disabled" {
            for member in ["x509", "symmetricKey", "tpm"] {
                state.as_object_mut().unwrap().remove(member);
            }
        }
        let document = json!({
            "enrollment": enrollment, "proof": proof, "operation": operation,
            "identities": {"home": home, "strays": strays}, "state": state,
        });
        format!("document: {document}")
    }

    fn hub(&self) -> String {
        let credential = match self.mechanism() {
            "x509" => "its certificate",
            "tpm" => "the key of its last blob",
            _ => "its key",
        };
        format!("hub: {HUB} has $id with {credential}")
    }

    /// Assigned behind those operations.
    fn assigned(&self, operations: &[u8]) -> Vec<String> {
        vec![self.document("assigned", operations), self.hub()]
    }

    /// What is told and recorded; gives what is stored and written to hubs.
    fn tell(&mut self, scenario: Scenario, lookups: &mut Vec<String>) -> Vec<String> {
        match scenario {
            Scenario::First => {
                self.provisions(1);
                if self.medium.looks_up() {
                    lookups.push(self.shown("assigned").to_string());
                }
                self.assigned(&[1])
            }
            Scenario::CustomPayload => {
                self.provisions(1);
                let mut rest = vec![format!("payload: {PAYLOAD}")];
                rest.extend(self.assigned(&[1]));
                rest
            }
            Scenario::Again => {
                self.provisions(1);
                self.provisions(2);
                self.assigned(&[2, 1])
            }
            Scenario::WrongCredential => self.wrong_credential(),
            Scenario::WrongAnswer => self.wrong_answer(),
            Scenario::Expired => self.expired(),
            Scenario::Unknown => self.unknown(),
            Scenario::UnknownScope => self.unknown_scope(),
            Scenario::KeptOut => {
                for _ in 0..2 {
                    self.kept_out();
                }
                self.provisions(1);
                self.assigned(&[1])
            }
            Scenario::Disabled => self.disabled(),
            Scenario::ThrottledRegistering | Scenario::ThrottledPolling => self.throttled(scenario),
            Scenario::HubFailsOnce => {
                self.challenge();
                self.admits(1);
                self.polls(1, "assigning");
                self.polls(1, "assigned");
                self.ends(1, "success", " InitialAssignment", 2);
                self.assigned(&[1])
            }
            Scenario::HubRefuses => {
                self.challenge();
                self.admits(1);
                self.polls(1, "failed");
                self.ends(1, "401002 HubUnauthorized", "", 1);
                vec![self.document("failed", &[1])]
            }
            _ => self.dropped(scenario),
        }
    }

    fn wrong_credential(&mut self) -> Vec<String> {
        let (code, message, reason) = match self.attesting {
            Attesting::SymmetricIndividual => (401_000, "Unauthorized", "SAS_SIGNATURE_MISMATCH"),
            // No group's key is this one's: nobody can say which was meant.
            Attesting::SymmetricGroup => (401_000, "Unauthorized", ""),
            Attesting::X509Individual => (401_002, "Unauthorized", "X509_CERTIFICATE_NOT_ENROLLED"),
            Attesting::X509Group => (401_002, NO_MATCH, "X509_SIGNER_REISSUED"),
            Attesting::Tpm => (401_000, "Unauthorized", "EK_CHANGED"),
        };
        self.refused_at_once(code, message, reason);
        Vec::new()
    }

    /// Refused before a challenge; SASL has no words for it, so OPEN says why.
    fn refused_at_once(&mut self, code: u32, message: &str, reason: &str) {
        self.refuses("register", code, message);
        if self.is_tpm() && matches!(self.medium, Medium::Amqp | Medium::AmqpWs) {
            self.told[0].how = format!("OPEN and CLOSE, {}", condition(code));
        }
        let why = match reason {
            "" => String::new(),
            _ => format!(", not {} {reason}, reason {reason}", self.enrollment()),
        };
        self.events.push(format!("Register {code} {}{why}", name(code)));
    }

    fn wrong_answer(&mut self) -> Vec<String> {
        self.challenge();
        self.refuses("register", 401_000, "Unauthorized");
        let (enrollment, reason) = (self.enrollment(), "TPM_KEY_NOT_ACTIVATED");
        self.events.push(format!("Register 401000 Unauthorized, not {enrollment} {reason}, reason {reason}"));
        Vec::new()
    }

    fn expired(&mut self) -> Vec<String> {
        self.challenge();
        let (code, message, reason) = match self.mechanism() {
            "x509" => (401_002, "Invalid certificate.", "X509_CERTIFICATE_EXPIRED"),
            _ => (401_000, "Unauthorized", "SAS_EXPIRED"),
        };
        self.refuses("register", code, message);
        let enrollment = self.enrollment();
        let event = format!("Register {code} {}, not {enrollment} {reason}, reason {reason}", name(code));
        self.events.push(event);
        Vec::new()
    }

    fn unknown(&mut self) -> Vec<String> {
        let (code, message) = match self.mechanism() {
            "x509" => (401_002, "Unauthorized"),
            "tpm" => (404_201, "Enrollment not found."),
            _ => (401_000, "Unauthorized"),
        };
        self.refused_at_once(code, message, "");
        Vec::new()
    }

    /// Each protocol looks at the ID scope where it first hears of it.
    fn unknown_scope(&mut self) -> Vec<String> {
        let (code, message) = (404_204, "ID scope not found.");
        let at = match (self.medium, self.mechanism()) {
            // To the core, as any request.
            (Medium::Https, _) | (Medium::Amqp | Medium::AmqpWs, "tpm") => {
                self.refused_at_once(code, message, "");
                return Vec::new();
            }
            (Medium::Mqtt | Medium::MqttWs, _) => {
                self.says("connect", "refused", "CONNACK 3".to_owned());
                "CONNACK 3".to_owned()
            }
            // Without SASL it is the link that has an address.
            (Medium::Amqp | Medium::AmqpWs, mechanism) => {
                let (at, frames) = match mechanism {
                    "x509" => ("ATTACH", "ATTACH, DETACH and CLOSE"),
                    _ => ("OPEN", "OPEN and CLOSE"),
                };
                let how = format!("{frames}, amqp:not-found");
                self.says("connect", &format!("refused {code} {message:?}"), how);
                format!("{at}, amqp:not-found")
            }
        };
        self.events.push(format!("connection, connect: {at}: {message}"));
        Vec::new()
    }

    /// Told what a wrong key is told, and not challenged; the event names the reason and nothing else.
    fn kept_out(&mut self) {
        self.refuses("register", 401_000, "Unauthorized");
        if self.is_tpm()
            && matches!(self.medium, Medium::Amqp | Medium::AmqpWs)
            && let Some(told) = self.told.last_mut()
        {
            told.how = format!("OPEN and CLOSE, {}", condition(401_000));
        }
        self.events.push("Register 401000 Unauthorized, reason IP_FILTER_REJECTED".to_owned());
    }

    fn disabled(&mut self) -> Vec<String> {
        self.challenge();
        let body = json!({
            "operationId": "", "status": "disabled",
            "registrationState": {"registrationId": "$id", "status": "disabled"},
        });
        self.says("register", &body.to_string(), ok(self.medium, 200));
        self.events.push(format!("Register success, {}, status Disabled", self.by()));
        vec![self.document("disabled", &[])]
    }

    fn throttled(&mut self, scenario: Scenario) -> Vec<String> {
        self.challenge();
        let refused = "429001 Throttled";
        if scenario == Scenario::ThrottledRegistering {
            self.refuses("register", 429_001, "Too many requests.");
            self.events.push(format!("Register {refused}, {}, reason THROTTLED_INSTANCE", self.by()));
            // The token that answered the challenge has let nothing in, so it is good still.
            self.admits(1);
            self.polls(1, "assigned");
            self.assigns(1);
            return self.assigned(&[1]);
        }
        self.admits(1);
        for _ in 0..5 {
            self.polls(1, "assigned");
        }
        self.refuses("poll", 429_001, "Too many requests.");
        self.events.push(format!("OperationStatus {refused}, reason THROTTLED_DEVICE, hub {HUB}"));
        self.polls(1, "assigned");
        self.assigns(1);
        self.assigned(&[1])
    }

    fn dropped(&mut self, scenario: Scenario) -> Vec<String> {
        match scenario {
            Scenario::DropAfterConnect => {
                self.provisions(1);
                self.assigned(&[1])
            }
            Scenario::DropAfterChallenge => {
                self.challenge();
                self.provisions(1);
                self.assigned(&[1])
            }
            Scenario::DropBeforeAdmission | Scenario::DropAfterRequest => {
                // Nobody was told of the first operation.
                self.challenge();
                self.admission(1);
                self.assigns(1);
                self.provisions(2);
                self.assigned(&[2, 1])
            }
            Scenario::DropAfterAdmission => {
                self.challenge();
                self.admits(1);
                self.assigns(1);
                self.provisions(2);
                self.assigned(&[2, 1])
            }
            _ => self.dropped_while_assigning(),
        }
    }

    /// It comes anew while its operation runs, and gets the same one. A TPM gets another: the key that its hub is
    /// given is new with each registration, so the first operation gives way.
    fn dropped_while_assigning(&mut self) -> Vec<String> {
        self.challenge();
        self.admits(1);
        self.polls(1, "assigning");
        self.challenge();
        if self.is_tpm() {
            self.admits(2);
            self.polls(2, "assigned");
            self.ends(1, "409203 RegistrationConflict", "", 1);
            self.assigns(2);
            return self.assigned(&[2, 1]);
        }
        self.says("register", &admitted(1), ok(self.medium, 202));
        self.events.push(format!("Register success, {}, $operation1", self.by()));
        self.polls(1, "assigned");
        self.assigns(1);
        self.assigned(&[1])
    }

    /// A TPM's keys over MQTT: nothing is made of them, so the device has shown nothing.
    fn not_offered(&mut self, scenario: Scenario) {
        if scenario == Scenario::UnknownScope {
            self.unknown_scope();
            return;
        }
        self.refuses("register", 401_000, "Unauthorized");
        let reason = "EVIDENCE_MISSING";
        self.events.push(match scenario {
            Scenario::Unknown => "Register 401000 Unauthorized".to_owned(),
            _ => format!(
                "Register 401000 Unauthorized, not IndividualEnrollment $id {reason}, reason {reason}"
            ),
        });
    }
}

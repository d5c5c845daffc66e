//! Failures explained: a code of the catalogue, an HTTP status, or what a client prints. Owns how one is found from what
//! somebody has before him, and the query that finds it in the logs; must not know who asks.

use serde::Serialize;

use crate::ErrorCode;
use crate::error_code::Fault;
use crate::limits::MAX_EVENT_TEXT;

/// A failure explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Six digits, three digits, or empty of what has no number.
    pub code: String,
    /// Name of the catalogue's row, the reason phrase of a status, or a client's words.
    pub name: &'static str,
    /// HTTP status; none of what is not the service's.
    pub http_status: Option<u16>,
    /// What the client reads, where that is always the same.
    pub message: &'static str,
    /// What happened.
    pub meaning: &'static str,
    /// What usually lies behind it, the likeliest first.
    pub likely_causes: &'static [&'static str],
    /// What to do.
    pub suggested_action: &'static str,
    /// Who must act: `Device`, `Operator`, `Hub`, `Webhook` or `Service`.
    pub whose: &'static str,
    /// May the same request succeed later without a change?
    pub retryable: bool,
    /// Codes of the catalogue that bear this status.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<u32>,
    /// KQL that finds it.
    pub query: String,
}

/// A text that explains nothing, and the nearest codes that would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unexplained {
    /// Codes or names.
    pub suggestions: Vec<String>,
}

/// Codes that are suggested for one that is not known.
const SUGGESTIONS: usize = 5;
/// Shortest text that is looked for within the messages of the catalogue.
const MIN_PHRASE: usize = 8;
/// The same within the words of IoT Edge, which begin as many others do.
const MIN_IOT_EDGE: usize = 20;

/// Explains a code, a status, a name, or a message as it was printed. A code may have two meanings.
pub fn explain(question: &str) -> Result<Vec<Explanation>, Unexplained> {
    let question = question.trim();
    if question.len() > MAX_EVENT_TEXT {
        return Err(Unexplained { suggestions: Vec::new() });
    }
    let found = match question.parse::<u32>() {
        Ok(number) if number < 1_000 => {
            STATUSES.iter().filter(|status| u32::from(status.number) == number).map(Status::explain).collect()
        }
        Ok(number) => catalogue(|code| code.row().code == number),
        Err(_) => by_words(question),
    };
    if found.is_empty() { Err(Unexplained { suggestions: suggestions(question) }) } else { Ok(found) }
}

/// The HTTP statuses that are explained.
pub fn statuses() -> Vec<Explanation> {
    STATUSES.iter().map(Status::explain).collect()
}

/// What clients print that is no code of the service.
pub fn client_messages() -> Vec<Explanation> {
    vec![iot_edge()]
}

impl ErrorCode {
    /// This failure explained.
    pub fn explain(self) -> Explanation {
        let row = self.row();
        let query = if self.is_of_control_plane() {
            format!(
                "AzureActivity | where toint(Properties_d.code) == {} | project TimeGenerated, Caller, \
                 OperationNameValue, ResourceId, Properties | order by TimeGenerated desc",
                row.code
            )
        } else {
            format!(
                "AzureDiagnostics | where ResultDescription startswith \"{}\"{} | project TimeGenerated, OperationName, \
                 ResultType, ResultSignature, ResultDescription, CorrelationId, properties_s | order by TimeGenerated desc",
                row.code,
                // Two failures share this number.
                if row.code == ErrorCode::CertificateRejected.row().code {
                    format!(" and tostring(parse_json(properties_s).error) == \"{}\"", row.name)
                } else {
                    String::new()
                }
            )
        };
        Explanation {
            code: row.code.to_string(),
            name: row.name,
            http_status: Some(self.status()),
            message: row.message,
            meaning: row.meaning,
            likely_causes: self.likely_causes(),
            suggested_action: row.action,
            whose: whose(row.fault),
            retryable: row.retryable,
            codes: Vec::new(),
            query,
        }
    }
}

const fn whose(fault: Fault) -> &'static str {
    match fault {
        Fault::Device => "Device",
        Fault::Operator => "Operator",
        Fault::Hub => "Hub",
        Fault::Webhook => "Webhook",
        Fault::Service => "Service",
    }
}

fn catalogue(wanted: impl Fn(ErrorCode) -> bool) -> Vec<Explanation> {
    ErrorCode::ALL.iter().filter(|code| wanted(**code)).map(|code| code.explain()).collect()
}

/// By the name of a row, or by a message of which a part was pasted.
fn by_words(question: &str) -> Vec<Explanation> {
    let named = catalogue(|code| code.row().name.eq_ignore_ascii_case(question));
    if !named.is_empty() {
        return named;
    }
    let words = plain(question);
    if words.len() < MIN_PHRASE {
        return STATUSES.iter().filter(|status| plain(status.name) == words).map(Status::explain).collect();
    }
    if words.contains(IOT_EDGE) || (words.len() >= MIN_IOT_EDGE && IOT_EDGE.contains(&words)) {
        return vec![iot_edge()];
    }
    // A log line may hold the message: the longest that it holds is meant, as short ones stand within others.
    let held = |code: ErrorCode| plain(code.row().message).len() * usize::from(holds(&words, code));
    let longest = ErrorCode::ALL.iter().map(|code| held(*code)).max().unwrap_or(0);
    let of_message = catalogue(|code| {
        if longest > 0 { held(code) == longest } else { plain(code.row().message).contains(&words) }
    });
    if !of_message.is_empty() {
        return of_message;
    }
    STATUSES.iter().filter(|status| plain(status.name) == words).map(Status::explain).collect()
}

/// Is the message of this failure within those words?
fn holds(words: &str, code: ErrorCode) -> bool {
    let message = plain(code.row().message);
    message.len() >= MIN_PHRASE && words.contains(&message)
}

/// Words alone, in lower case, one space between them.
fn plain(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Codes that share digits at the beginning, names that hold a word of the question.
fn suggestions(question: &str) -> Vec<String> {
    let digits: String = question.chars().take_while(char::is_ascii_digit).take(6).collect();
    let words = plain(question);
    let words: Vec<&str> = words.split(' ').filter(|word| word.len() > 3).collect();
    let codes: Vec<_> = ErrorCode::ALL.iter().map(|code| code.row()).collect();
    let mut found = Vec::new();
    for length in (2..=digits.len()).rev() {
        let Some(prefix) = digits.get(..length) else { continue };
        found.extend(codes.iter().map(|row| row.code.to_string()).filter(|code| code.starts_with(prefix)));
    }
    found.extend(codes.iter().filter_map(|row| {
        let text = format!("{} {}", row.name, row.message).to_lowercase();
        words.iter().any(|word| text.contains(word)).then(|| row.code.to_string())
    }));
    let mut once = Vec::new();
    for code in found {
        if !once.contains(&code) && once.len() < SUGGESTIONS {
            once.push(code);
        }
    }
    once
}

/// An HTTP status, explained for all the codes that bear it.
struct Status {
    number: u16,
    name: &'static str,
    meaning: &'static str,
    causes: &'static [&'static str],
    action: &'static str,
    whose: &'static str,
    retryable: bool,
}

impl Status {
    fn explain(&self) -> Explanation {
        let codes =
            ErrorCode::ALL.iter().filter(|code| code.status() == self.number).map(|code| code.row().code);
        let mut codes: Vec<u32> = codes.collect();
        codes.dedup();
        Explanation {
            code: self.number.to_string(),
            name: self.name,
            http_status: Some(self.number),
            message: "",
            meaning: self.meaning,
            likely_causes: self.causes,
            suggested_action: self.action,
            whose: self.whose,
            retryable: self.retryable,
            codes,
            query: format!(
                "AzureDiagnostics | where ResultSignature == \"{}\" | summarize count() by OperationName, ResultType, \
                 ResultDescription | order by count_ desc",
                self.number
            ),
        }
    }
}

const STATUSES: &[Status] = &[
    Status {
        number: 400,
        name: "Bad Request",
        meaning: "The body or a parameter of the request is not as it has to be.",
        causes: &["malformed JSON", "an id with a forbidden character", "an unknown api-version"],
        action: "Read the message: it names the member. Correct it; the same request will fail again.",
        whose: "Device",
        retryable: false,
    },
    Status {
        number: 401,
        name: "Unauthorized",
        meaning: "The token or the certificate does not prove who is calling, or the linked hub refuses this service. The \
                  first request of TPM attestation is answered so too: its body carries the challenge.",
        causes: &[
            "an expired token or a wrong clock",
            "a token for another resource than the path names",
            "another key than the enrollment has, or no enrollment",
            "a certificate chain that does not lead to a verified CA certificate",
            "the linked hub's key was renewed",
        ],
        action: "Look the six-digit code up; the row's reason and cause name the very things involved. A device that gets \
                 it from its hub registers anew.",
        whose: "Device",
        retryable: false,
    },
    Status {
        number: 403,
        name: "Forbidden",
        meaning: "The caller is known and may not do this, or a quota is used up.",
        causes: &["no role assignment", "a quota of the service or of the linked hub"],
        action: "Assign a role, or raise the quota. A device that gets it from its hub registers anew.",
        whose: "Operator",
        retryable: false,
    },
    Status {
        number: 404,
        name: "Not Found",
        meaning: "The enrollment, the registration, the operation, the id scope or the path does not exist.",
        causes: &["a typing error in an id or an id scope", "it was deleted", "the device never registered"],
        action: "Look the six-digit code up: it says which of them. A device that gets it registers anew.",
        whose: "Device",
        retryable: false,
    },
    Status {
        number: 405,
        name: "Method Not Allowed",
        meaning: "The path exists, but not with this method.",
        causes: &["the id is missing from the path, so the path is another one"],
        action: "Use a method that the header Allow names, and check the path.",
        whose: "Device",
        retryable: false,
    },
    Status {
        number: 409,
        name: "Conflict",
        meaning: "It exists already, or is in use, or two requests changed it at once.",
        causes: &["creating without If-Match what is there", "one certificate in two enrollments"],
        action: "Read the current state, then update it with its etag.",
        whose: "Operator",
        retryable: false,
    },
    Status {
        number: 412,
        name: "Precondition Failed",
        meaning: "If-Match does not name the current version.",
        causes: &["somebody else changed it in the meantime", "a cached etag"],
        action: "Read the current version, apply the change to it, send its etag.",
        whose: "Operator",
        retryable: false,
    },
    Status {
        number: 415,
        name: "Unsupported Media Type",
        meaning: "The body's Content-Type is not JSON.",
        causes: &["a client that sends no Content-Type, or a form"],
        action: "Send Content-Type: application/json.",
        whose: "Device",
        retryable: false,
    },
    Status {
        number: 429,
        name: "Too Many Requests",
        meaning: "The service, one device, or the linked hub is asked more often than it answers.",
        causes: &["many devices start at once", "a device that polls or registers without waiting"],
        action: "Wait at least for Retry-After, then retry with exponential backoff and random jitter; stagger a rollout.",
        whose: "Device",
        retryable: true,
    },
    Status {
        number: 500,
        name: "Internal Server Error",
        meaning: "The server failed, or could not reach the linked hub.",
        causes: &["a full disk", "the linked hub does not answer", "a defect"],
        action: "Retry with backoff; look the tracking id up in the logs when it stays.",
        whose: "Service",
        retryable: true,
    },
];

/// What IoT Edge prints, as plain words.
const IOT_EDGE: &str = "failed to provision with iot hub and no valid device backup was found";

fn iot_edge() -> Explanation {
    Explanation {
        code: String::new(),
        name: "failed to provision with IoT Hub, and no valid device backup was found",
        http_status: None,
        message: "failed to provision with IoT Hub, and no valid device backup was found dps client error",
        meaning: "IoT Edge's identity service could not register and has no earlier assignment to fall back on. The \
                  words are the client's: why it failed stands in the service's answer.",
        likely_causes: &[
            "global_endpoint, id_scope or registration_id in /etc/aziot/config.toml is wrong",
            "the attestation does not match the enrollment: key, certificate or TPM",
            "port 443 to this server is blocked, or its CA is not trusted on the device",
            "the enrollment is disabled, or no linked hub is available",
        ],
        suggested_action: "Run `iotedge check` and `iotedge system logs` on the device, find its registration id in the \
                           query below, mend what the row names, then `iotedge system reprovision`.",
        whose: "Device",
        retryable: false,
        codes: vec![400_210, 401_000, 401_002, 404_204],
        query: "AzureDiagnostics | where Category == \"DeviceOperations\" and ResultType != \"Success\" | extend \
                RegistrationId = tostring(parse_json(properties_s).id) | project TimeGenerated, RegistrationId, \
                OperationName, ResultSignature, ResultDescription, CorrelationId | order by TimeGenerated desc"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{explain, statuses};
    use crate::ErrorCode;

    fn names(question: &str) -> Vec<&'static str> {
        explain(question).map(|found| found.iter().map(|one| one.name).collect()).unwrap_or_default()
    }

    #[test]
    fn every_code_name_and_status_is_explained_with_causes_and_a_query() {
        for code in ErrorCode::ALL {
            let row = code.row();
            assert!(names(&row.code.to_string()).contains(&row.name), "{}", row.code);
            assert_eq!(names(row.name), [row.name]);
            let one = code.explain();
            assert!(
                !one.likely_causes.is_empty() && one.query.contains(&row.code.to_string()),
                "{}",
                row.name
            );
        }
        for status in [400, 401, 403, 404, 405, 409, 412, 415, 429, 500] {
            assert_eq!(explain(&status.to_string()).unwrap()[0].http_status, Some(status));
        }
        assert!(statuses().iter().all(|status| !status.codes.is_empty() && !status.likely_causes.is_empty()));
    }

    #[test]
    fn code_with_two_meanings_gives_both_with_queries_that_tell_them_apart() {
        let found = explain("401002").unwrap();
        assert_eq!(
            found.iter().map(|one| one.name).collect::<Vec<_>>(),
            ["CertificateRejected", "HubUnauthorized"]
        );
        assert_ne!(found[0].query, found[1].query);
    }

    #[test]
    fn failure_is_found_by_what_the_client_printed() {
        for question in [
            "failed to provision with IoT Hub, and no valid device backup was found",
            "Failed to provision with IoT Hub, and no valid device backup was found dps client error",
            "  error: failed to provision with iot hub and no valid device backup was found: x",
        ] {
            let found = explain(question).unwrap();
            assert_eq!((found.len(), found[0].http_status), (1, None), "{question}");
        }
        assert_eq!(names("ErrorCode:IotHubUnauthorizedAccess;Unauthorized"), ["HubUnauthorized"]);
        assert_eq!(names("registration not found"), ["RegistrationNotFound"]);
        assert_eq!(names("forbidden"), ["Forbidden"]);
    }

    #[test]
    fn unknown_code_gets_the_nearest() {
        let suggestions = explain("401009").unwrap_err().suggestions;
        assert_eq!(suggestions[..2], ["401000", "401001"]);
        assert!(explain("hub quota").unwrap_err().suggestions.contains(&"403003".to_owned()));
        assert!(explain("").is_err() && explain("402").is_err());
        assert!(explain(&"x".repeat(100_000)).unwrap_err().suggestions.is_empty());
    }
}

//! What was asked of a webhook or a hub in an operation, and what came back: bounded, secrets masked. Owns the mask.

use dps_model::limits::{MAX_EVENT_TEXT, MAX_EXCHANGE_TEXT};
use serde::Serialize;
use serde_json::Value;

/// The last call of a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookExchange {
    /// The body that was sent.
    pub request: String,
    /// What was understood of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<String>,
    /// HTTP status, where there was an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Where it ended without one: `DNS`, `TCP`, `TLS` or `HTTP`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<&'static str>,
    /// Microseconds until then.
    pub micros: u64,
}

/// What a hub answered to what it did not do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HubAnswer {
    /// HTTP status, where there was an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Where it ended without one: `DNS`, `TCP`, `TLS` or `HTTP`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<&'static str>,
    /// The hub's words, or why there are none.
    pub body: String,
}

impl HubAnswer {
    /// Of those words.
    pub fn new(status: Option<u16>, words: &str) -> Self {
        let stage = if status.is_none() { stage_of(words) } else { None };
        Self { status, stage, body: cut(words, MAX_EVENT_TEXT) }
    }
}

/// The stage that the words of an outbound client name, as `dps-hub` writes them.
pub fn stage_of(words: &str) -> Option<&'static str> {
    let named = |stage: &&str| words.split(": ").any(|part| part == *stage);
    ["DNS", "TCP", "TLS", "HTTP"].into_iter().find(named)
}

/// JSON as a record may keep it: what may be a secret is masked, the rest is cut to its bound.
pub fn masked(json: &str) -> String {
    match serde_json::from_str(json) {
        Ok(value) => masked_value(value),
        // Nothing is known of what is no JSON.
        Err(_) => "(no JSON)".to_owned(),
    }
}

/// The same of a value.
pub fn masked_value(mut value: Value) -> String {
    mask(&mut value);
    cut(&value.to_string(), MAX_EXCHANGE_TEXT)
}

const MASK: &str = "***";

fn mask(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                if is_secret_name(name) && !member.is_object() && !member.is_array() {
                    *member = Value::String(MASK.to_owned());
                } else {
                    mask(member);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::String(text) if is_secret_text(text) => MASK.clone_into(text),
        _ => {}
    }
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["key", "password", "secret", "token", "connectionstring", "sas"].iter().any(|end| name.ends_with(end))
}

/// A token, a connection string, or a URL with a key in its query.
fn is_secret_text(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["sharedaccesssignature", "sharedaccesskey", "accountkey="].iter().any(|part| text.contains(part))
        || text.split_once('?').is_some_and(|(_, query)| {
            query.split('&').any(|pair| pair.starts_with("code=") || pair.starts_with("sig="))
        })
}

fn cut(text: &str, most: usize) -> String {
    text[..text.floor_char_boundary(most)].to_owned()
}

#[cfg(test)]
mod tests {
    use dps_model::limits::MAX_EXCHANGE_TEXT;

    use super::{HubAnswer, masked, stage_of};

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        let text = masked(
            r#"{"a":{"primaryKey":"AAAA"},"b":["HostName=h;SharedAccessKey=BBBB"],"url":"https://f/a?x=1&code=CCCC",
                "registrationId":"robot-1","sasToken":"DDDD","twin":{"tags":{"plant":7}},"n":"https://f/a?x=code"}"#,
        );
        for secret in ["AAAA", "BBBB", "CCCC", "DDDD"] {
            assert!(!text.contains(secret), "{text}");
        }
        for kept in ["robot-1", r#""plant":7"#, "https://f/a?x=code"] {
            assert!(text.contains(kept), "{text}");
        }
        assert_eq!(masked("primaryKey=AAAA"), "(no JSON)");
    }

    #[test]
    fn long_texts_are_cut_after_they_are_masked() {
        let text = masked(&format!(r#"{{"a":"{}","key":"AAAA"}}"#, "x".repeat(10_000)));
        assert!(text.len() == MAX_EXCHANGE_TEXT && !text.contains("AAAA"));
    }

    #[test]
    fn stage_is_what_the_client_says() {
        assert_eq!(stage_of("no answer from h: TLS: error (unknown issuer)"), Some("TLS"));
        assert_eq!(stage_of("iothub not found"), None);
        assert_eq!(HubAnswer::new(Some(401), "no answer from h: TLS: x").stage, None);
    }
}

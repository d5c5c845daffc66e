//! Custom allocation: what a webhook is told, and what its answer means (facts: dps-api.md §6.2). Pure; must not know
//! how it is asked, or again when.

use std::time::Duration;

use dps_model::enrollment::{CustomAllocationDefinition, InitialTwin, Keys};
use dps_model::hub::{HubTwin, LinkedHub};
use dps_model::limits::{
    MAX_TWIN_SECTION, MAX_WEBHOOK_PAYLOAD, MAX_WEBHOOK_RETRY_AFTER, WEBHOOK_DELAY_STEP, WEBHOOK_FIRST_DELAY,
    WEBHOOK_RETRIES, WEBHOOK_UNREACHABLE_RETRIES,
};
use dps_model::registration::{DeviceRegistration, TpmKeys};
use dps_model::{Error, ErrorCode, HubName, RegistrationId};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::enrollment::Found;
use crate::plan::initial_twin;
use crate::ports::{WebhookAnswer, WebhookError};
use crate::registration::Identity;

/// The first version whose request tells of symmetric keys and of the device's payload.
const WITH_PAYLOAD: &str = "2019-03-31";

/// What is to be told.
pub struct Question<'a> {
    /// The enrollment that asks.
    pub found: &'a Found,
    /// For whom.
    pub registration_id: &'a RegistrationId,
    /// Where the device is.
    pub home: Option<&'a Identity>,
    /// What the device sent.
    pub registration: &'a DeviceRegistration,
    /// The hubs to choose among.
    pub hubs: &'a [&'a LinkedHub],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    individual_enrollment: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enrollment_group: Option<Value>,
    device_runtime_context: DeviceRuntimeContext<'a>,
    linked_hubs: Vec<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeviceRuntimeContext<'a> {
    registration_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_iot_hub_host_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_device_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x509: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    symmetric_key: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tpm: Option<&'a TpmKeys>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a RawValue>,
}

/// The body of the request: the enrollment without keys and with its URL masked, the device, the hubs.
pub fn request_body(
    question: &Question<'_>,
    definition: &CustomAllocationDefinition,
) -> Result<String, Error> {
    let has_payload = !older(&definition.api_version, WITH_PAYLOAD);
    let kind = question.found.mechanism().kind();
    let (individual_enrollment, enrollment_group) = match question.found {
        Found::Individual(enrollment) => {
            (Some(masked(enrollment.to_json(Keys::Hidden, None), definition)), None)
        }
        Found::Group(group) => (None, Some(masked(group.to_json(Keys::Hidden), definition))),
    };
    let request = Request {
        individual_enrollment,
        enrollment_group,
        device_runtime_context: DeviceRuntimeContext {
            registration_id: question.registration_id.as_str(),
            current_iot_hub_host_name: question.home.map(|home| home.hub.as_str()),
            current_device_id: question.home.map(|home| home.device_id.as_str()),
            x509: (kind == "x509").then(Map::new),
            symmetric_key: (kind == "symmetricKey" && has_payload).then(Map::new),
            tpm: question.registration.tpm.as_ref().filter(|_| kind == "tpm"),
            payload: question.registration.payload.as_deref().filter(|_| has_payload),
        },
        linked_hubs: question.hubs.iter().map(|hub| hub.name.as_str()).collect(),
    };
    serde_json::to_string(&request).map_err(Error::internal)
}

fn masked(mut enrollment: Value, definition: &CustomAllocationDefinition) -> Value {
    if let Value::Object(members) = &mut enrollment {
        let shown = json!({ "webhookUrl": definition.masked_url(), "apiVersion": definition.api_version });
        members.insert("customAllocationDefinition".into(), shown);
    }
    enrollment
}

/// Versions are dates: their texts are in the order of time.
fn older(version: &str, than: &str) -> bool {
    version.get(..than.len()).unwrap_or(version) < than
}

/// What is to be done after a call.
#[derive(Debug, PartialEq)]
pub enum Next {
    /// That hub, with the twin of the answer where it has one, and what goes back to the device.
    Assign {
        /// One of those that were offered.
        hub: HubName,
        /// In place of the enrollment's.
        twin: Option<HubTwin>,
        /// For the device.
        payload: Option<Value>,
    },
    /// Ask again after that time.
    Again(Duration),
}

/// What an answer means after `retries` retries. `offered` are the hubs that the webhook was told of.
/// Errors: the codes that Azure has for it, 400207 to 400209.
pub fn judge(
    answer: Result<WebhookAnswer, WebhookError>,
    offered: &[HubName],
    retries: u32,
) -> Result<Next, Error> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(WebhookError::Busy { retry_after, .. }) if retries < WEBHOOK_RETRIES => {
            return Ok(Next::Again(pause(retries, retry_after)));
        }
        Err(WebhookError::Unreachable(_)) if retries < WEBHOOK_UNREACHABLE_RETRIES => {
            return Ok(Next::Again(pause(retries, None)));
        }
        Err(error) => return Err(failed(&error)),
    };
    let named = answer.hub.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let named = named.ok_or_else(|| Error::new(ErrorCode::CustomAllocationHubNotSpecified))?;
    let bad = |why: String| failed(&WebhookError::Refused { status: 200, why });
    let hub = offered.iter().find(|hub| hub.as_str().eq_ignore_ascii_case(named)).ok_or_else(|| {
        let named: String = named.chars().take(64).collect();
        bad(format!("it named {named:?}, which is none of the linkedHubs that it was told"))
    })?;
    let twin = answer.initial_twin.as_ref().map(|twin| fitting(twin).map_err(bad)).transpose()?;
    let payload = answer.payload.filter(|payload| !payload.is_null());
    if payload.as_ref().is_some_and(|payload| payload.to_string().len() > MAX_WEBHOOK_PAYLOAD) {
        return Err(bad(format!("its payload has more than {MAX_WEBHOOK_PAYLOAD} bytes")));
    }
    Ok(Next::Assign { hub: hub.clone(), twin, payload })
}

/// 1 s, then 9 s more each time, and never sooner than the webhook asks.
fn pause(retries: u32, asked: Option<u32>) -> Duration {
    let own = WEBHOOK_FIRST_DELAY + WEBHOOK_DELAY_STEP * u64::from(retries);
    let asked = asked.map_or(0, |seconds| u64::from(seconds).min(MAX_WEBHOOK_RETRY_AFTER));
    Duration::from_secs(own.max(asked))
}

fn fitting(twin: &InitialTwin) -> Result<HubTwin, String> {
    let twin = initial_twin(twin);
    for (name, section) in [("tags", &twin.tags), ("desired properties", &twin.desired)] {
        let size = serde_json::to_string(section).map_or(usize::MAX, |text| text.len());
        if size > MAX_TWIN_SECTION {
            return Err(format!(
                "the {name} of its initialTwin have {size} bytes of at most {MAX_TWIN_SECTION}"
            ));
        }
    }
    Ok(twin)
}

fn failed(error: &WebhookError) -> Error {
    let failed = match error {
        WebhookError::Unauthorized => Error::new(ErrorCode::CustomAllocationUnauthorized),
        WebhookError::Busy { status, .. } | WebhookError::Refused { status, .. } => {
            let message = format!("Custom allocation failed with status code: {status}");
            Error::with(ErrorCode::CustomAllocationFailed, message)
        }
        // Azure's words where no answer came.
        WebhookError::Unreachable(_) | WebhookError::Forbidden(_) => {
            Error::with(ErrorCode::CustomAllocationFailed, "An error occurred while sending the request.")
        }
    };
    failed.because(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dps_model::enrollment::{InitialTwin, InitialTwinProperties};
    use dps_model::{HubName, limits};
    use serde_json::{Value, json};

    use super::{Next, judge, older};
    use crate::ports::{WebhookAnswer, WebhookError};

    fn offered() -> Vec<HubName> {
        ["a.example", "B.example"].map(|name| HubName::parse(name).unwrap()).to_vec()
    }

    fn names(hub: &str) -> WebhookAnswer {
        WebhookAnswer { hub: Some(hub.into()), ..WebhookAnswer::default() }
    }

    fn busy(status: u16) -> Result<WebhookAnswer, WebhookError> {
        Err(WebhookError::Busy { status, retry_after: None })
    }

    #[test]
    fn hub_of_the_answer_is_taken_in_any_case_with_what_else_it_says() {
        let desired = json!({"n": 1}).as_object().cloned();
        let answer = WebhookAnswer {
            initial_twin: Some(InitialTwin {
                tags: None,
                properties: Some(InitialTwinProperties { desired: desired.clone() }),
            }),
            payload: Some(json!({"for": "you"})),
            ..names(" b.EXAMPLE ")
        };
        let Next::Assign { hub, twin, payload } = judge(Ok(answer), &offered(), 0).unwrap() else {
            panic!("asked again")
        };
        assert_eq!((hub.as_str(), twin.unwrap().desired), ("B.example", desired.unwrap()));
        assert_eq!(payload, Some(json!({"for": "you"})));
        let nothing = WebhookAnswer { payload: Some(Value::Null), ..names("a.example") };
        let next = judge(Ok(nothing), &offered(), 0).unwrap();
        assert!(matches!(next, Next::Assign { twin: None, payload: None, .. }), "{next:?}");
    }

    #[test]
    fn every_failure_has_azures_code_and_words() {
        let large = json!("x".repeat(limits::MAX_WEBHOOK_PAYLOAD));
        let tags =
            [("t".to_owned(), Value::from("x".repeat(limits::MAX_TWIN_SECTION)))].into_iter().collect();
        let wide = InitialTwin { tags: Some(tags), properties: None };
        let refused = |status| Err(WebhookError::Refused { status, why: "no".into() });
        let status = |status: u16| format!("Custom allocation failed with status code: {status}");
        let sending = "An error occurred while sending the request.".to_owned();
        let missing = "Custom allocation did not specify an IoT hub.".to_owned();
        for (answer, code, message) in [
            (Ok(WebhookAnswer::default()), 400_208, missing.clone()),
            (Ok(names("  ")), 400_208, missing),
            (Ok(names("c.example")), 400_207, status(200)),
            (Ok(WebhookAnswer { payload: Some(large), ..names("a.example") }), 400_207, status(200)),
            (Ok(WebhookAnswer { initial_twin: Some(wide), ..names("a.example") }), 400_207, status(200)),
            (Err(WebhookError::Unauthorized), 400_209, "Custom allocation was not authorized.".into()),
            (refused(400), 400_207, status(400)),
            (refused(302), 400_207, status(302)),
            (busy(503), 400_207, status(503)),
            (Err(WebhookError::Unreachable("refused".into())), 400_207, sending.clone()),
            (Err(WebhookError::Forbidden("http".into())), 400_207, sending),
        ] {
            let error = judge(answer, &offered(), limits::WEBHOOK_RETRIES).unwrap_err();
            assert_eq!((error.code.row().code, error.message.as_ref()), (code, message.as_str()));
        }
    }

    #[test]
    fn busy_webhook_is_asked_ten_times_more_with_growing_pauses() {
        let mut pauses = Vec::new();
        for retries in 0..limits::WEBHOOK_RETRIES {
            match judge(busy(429), &offered(), retries).unwrap() {
                Next::Again(pause) => pauses.push(pause.as_secs()),
                other @ Next::Assign { .. } => panic!("{other:?}"),
            }
        }
        assert_eq!(pauses, [1, 10, 19, 28, 37, 46, 55, 64, 73, 82]);
        assert!(judge(busy(429), &offered(), limits::WEBHOOK_RETRIES).is_err());
        for (asked, waits) in [(5, 5), (0, 1), (100_000, limits::MAX_WEBHOOK_RETRY_AFTER)] {
            let answer = Err(WebhookError::Busy { status: 503, retry_after: Some(asked) });
            assert_eq!(judge(answer, &offered(), 0).unwrap(), Next::Again(Duration::from_secs(waits)));
        }
        let silent = || Err(WebhookError::Unreachable("refused".into()));
        assert!(matches!(judge(silent(), &offered(), 1), Ok(Next::Again(_))));
        assert!(judge(silent(), &offered(), limits::WEBHOOK_UNREACHABLE_RETRIES).is_err());
    }

    #[test]
    fn versions_are_compared_by_date() {
        assert!(older("2018-09-01-preview", "2019-03-31") && older("", "2019-03-31"));
        assert!(!older("2019-03-31", "2019-03-31") && !older("2021-10-01", "2019-03-31"));
        assert!(!older("2019-03-31-preview", "2019-03-31"));
    }
}

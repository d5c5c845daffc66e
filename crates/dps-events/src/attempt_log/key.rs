//! What a line is about, as keys that it can be found by. Owns which members of a line make keys; must not know files.
//! A line is asked for its keys when it is written and when its segment is indexed anew, so that both agree.

use dps_model::Timestamp;
use serde::Deserialize;
use twox_hash::XxHash64;

/// Between the parts of a key; JSON of ours has no such character in a name.
const BETWEEN: char = '\u{1f}';

/// Something that lines can be about. Letters' case does not count.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(String);

impl Key {
    fn new(kind: &str, parts: &[&str]) -> Self {
        let mut text = kind.to_owned();
        for part in parts {
            text.push(BETWEEN);
            text.extend(part.chars().flat_map(char::to_lowercase));
        }
        Self(text)
    }

    /// All of a provisioning service; without a name, what names none.
    pub fn instance(instance: Option<&str>) -> Self {
        Self::new("instance", &[instance.unwrap_or_default()])
    }

    /// What did not go well with its devices.
    pub fn refused(instance: Option<&str>) -> Self {
        Self::new("refused", &[instance.unwrap_or_default()])
    }

    /// A device of a provisioning service.
    pub fn registration(instance: Option<&str>, registration_id: &str) -> Self {
        Self::new("registration", &[instance.unwrap_or_default(), registration_id])
    }

    /// Changes and reads of an enrollment group.
    pub fn group(instance: Option<&str>, group_id: &str) -> Self {
        Self::new("group", &[instance.unwrap_or_default(), group_id])
    }

    /// A tracking id.
    pub fn tracking(tracking_id: &str) -> Self {
        Self::new("tracking", &[tracking_id])
    }

    /// An operation.
    pub fn operation(operation_id: &str) -> Self {
        Self::new("operation", &[operation_id])
    }

    /// A device of a hub.
    pub fn hub_device(hub: &str, device_id: &str) -> Self {
        Self::new("hubDevice", &[hub, device_id])
    }

    /// The hash that an index keeps in its place; other keys may have the same.
    pub(super) fn hash(&self) -> u64 {
        XxHash64::oneshot(0, self.0.as_bytes())
    }
}

/// What an index needs of a line.
pub(super) struct Subject {
    /// When it began.
    pub(super) time: Timestamp,
    /// What it is about.
    pub(super) keys: Vec<Key>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    time: Timestamp,
    result_type: String,
    correlation_id: String,
    properties: Record,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event: String,
    #[serde(default)]
    instance: Option<String>,
    #[serde(default)]
    registration_id: Option<String>,
    #[serde(default)]
    operation_id: Option<String>,
    /// Of a registration, or of HTTP.
    #[serde(default)]
    status: serde_json::Value,
    #[serde(default)]
    hub: Option<String>,
    #[serde(default)]
    device_id: Option<String>,
    #[serde(default)]
    hub_device: Option<HubDevice>,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HubDevice {
    hub: String,
    device_id: String,
}

#[derive(Deserialize)]
struct Item {
    id: String,
}

/// Reads a line, with or without its end; none of one that is no event.
pub(super) fn subject(line: &[u8]) -> Option<Subject> {
    let Line { time, result_type, correlation_id, properties: record } = serde_json::from_slice(line).ok()?;
    let instance = record.instance.as_deref();
    let mut keys = vec![Key::instance(instance), Key::tracking(&correlation_id)];
    let of_a_device =
        matches!(record.event.as_str(), "attempt" | "assignment" | "connection" | "hubConnection");
    // A device whose enrollment is disabled is answered with success, and gets nowhere.
    if of_a_device && (result_type != "Success" || record.status == "disabled") {
        keys.push(Key::refused(instance));
    }
    if let Some(id) = record.registration_id.as_deref().filter(|id| !id.is_empty()) {
        keys.push(Key::registration(instance, id));
    }
    if let Some(id) = record.operation_id.as_deref().filter(|id| !id.is_empty()) {
        keys.push(Key::operation(id));
    }
    if let (Some(hub), Some(device_id)) = (&record.hub, &record.device_id) {
        keys.push(Key::hub_device(hub, device_id));
    }
    if let Some(HubDevice { hub, device_id }) = &record.hub_device {
        keys.push(Key::hub_device(hub, device_id));
    }
    if record.event == "serviceCall" {
        let of = match record.kind.as_deref() {
            Some("EnrollmentGroup") => Key::group,
            _ => Key::registration,
        };
        let ids = record.id.iter().chain(record.items.iter().map(|item| &item.id));
        keys.extend(ids.filter(|id| !id.is_empty()).map(|id| of(instance, id)));
    }
    Some(Subject { time, keys })
}

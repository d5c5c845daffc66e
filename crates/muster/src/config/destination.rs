//! Destinations of diagnostic settings, as the file has them. Owns which keys belong to which kind; how each is spoken to
//! is dps-destinations' affair.

use std::collections::HashSet;

use dps_destinations::limits::{MAX_DESTINATIONS, MAX_RESOURCE_ID};
use dps_destinations::{Bucket, KafkaSettings, OtlpSettings};
use dps_model::Secret;

use super::read::trusted_ca;
use super::section::Section;
use crate::server::destinations;

/// A destination.
#[derive(Clone)]
pub struct DestinationSettings {
    /// What settings name it by, in lower case.
    pub id: String,
    /// What it is.
    pub kind: DestinationKind,
    /// PEM of CAs trusted besides those of the machine.
    pub trusted: Vec<u8>,
}

/// What a destination is.
#[derive(Clone)]
pub enum DestinationKind {
    /// A local directory.
    Directory(std::path::PathBuf),
    /// A storage account, by its connection string.
    AzureBlob(Secret),
    /// A bucket of S3.
    S3(Box<Bucket>),
    /// A namespace of Event Hubs, by its connection string.
    EventHubs(Secret),
    /// A cluster of Kafka.
    Kafka(KafkaSettings),
    /// An OpenTelemetry receiver.
    Otlp(OtlpSettings),
}

/// Which keys a kind has besides `id` and `kind`: those that it must have, and those that it may have.
const KEYS: [(&str, &[&str], &[&str]); 6] = [
    ("directory", &["path"], &[]),
    ("azure-blob", &["connection_string"], &["trusted_ca"]),
    (
        "s3",
        &["bucket", "region", "access_key_id", "secret_access_key"],
        &["endpoint", "path_style", "prefix", "session_token", "trusted_ca"],
    ),
    ("event-hubs", &["connection_string"], &["trusted_ca"]),
    ("kafka", &["bootstrap"], &["tls", "user", "password", "topic", "trusted_ca"]),
    ("otlp", &["endpoint"], &["header", "credential", "gzip", "trusted_ca"]),
];

/// Reads all of them.
pub fn read(sections: &[Section<'_>]) -> Vec<DestinationSettings> {
    if let Some(first) = sections.get(MAX_DESTINATIONS) {
        first.reading.wrong(first.at, format!("a server has at most {MAX_DESTINATIONS} destinations"));
    }
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for section in sections.iter().take(MAX_DESTINATIONS) {
        let Some(settings) = one(section) else { continue };
        if !seen.insert(settings.id.clone()) {
            section.reading.wrong(section.at, format!("the destination \"{}\" is there twice", settings.id));
        }
        if let Err(error) = destinations::check(&settings) {
            section.reading.wrong(section.at, error);
        }
        all.push(settings);
    }
    all
}

fn one(section: &Section<'_>) -> Option<DestinationSettings> {
    let (id, kind) = (id(section), section.text("kind"));
    let name = kind.as_ref().map(|kind| kind.value.clone()).unwrap_or_default();
    let text = |key| section.text(key).map(|text| text.value);
    // Defaults are not the shape's: other kinds would seem to have them.
    let switch = |key| section.switch(key).is_none_or(|switch| switch.value);
    let secret = |key| section.secret(key).map(|secret| secret.value);
    let (path, connection_string) =
        (section.path("path").map(|path| path.value), secret("connection_string"));
    let bucket = Bucket {
        bucket: text("bucket").unwrap_or_default(),
        region: text("region").unwrap_or_default(),
        endpoint: None,
        path_style: switch("path_style"),
        prefix: text("prefix").unwrap_or_default(),
        key_id: text("access_key_id").unwrap_or_default(),
        key: secret("secret_access_key").unwrap_or_else(|| Secret::new(Vec::new())),
        token: secret("session_token"),
    };
    let endpoint = text("endpoint");
    let (user, password) = (text("user"), secret("password"));
    let kafka = KafkaSettings {
        bootstrap: section.texts("bootstrap").unwrap_or_default().into_iter().map(|it| it.value).collect(),
        tls: switch("tls"),
        sasl: user.clone().zip(password.clone()),
        topic: text("topic"),
    };
    let header = text("header").unwrap_or_else(|| "authorization".to_owned());
    let credential = secret("credential");
    let otlp = OtlpSettings {
        endpoint: endpoint.clone().unwrap_or_default(),
        headers: credential.map(|credential| (header, credential)).into_iter().collect(),
        gzip: switch("gzip"),
    };
    let trusted = trusted_ca(section);
    if !fits(section, &name) {
        return None;
    }
    if name == "kafka" && user.is_some() != password.is_some() {
        section.reading.wrong(section.at, "user and password belong together");
    }
    let kind = match name.as_str() {
        "directory" => DestinationKind::Directory(path?),
        "azure-blob" => DestinationKind::AzureBlob(connection_string?),
        "s3" => DestinationKind::S3(Box::new(Bucket { endpoint, ..bucket })),
        "event-hubs" => DestinationKind::EventHubs(connection_string?),
        "kafka" => DestinationKind::Kafka(kafka),
        "otlp" => DestinationKind::Otlp(otlp),
        _ => return None,
    };
    Some(DestinationSettings { id: id?, kind, trusted })
}

/// Does the table have what its kind must have, and nothing that another kind has?
fn fits(section: &Section<'_>, kind: &str) -> bool {
    let Some((_, must, may)) = KEYS.iter().find(|(name, _, _)| *name == kind) else { return false };
    let mut fits = true;
    for key in must.iter().filter(|key| section.given(key).is_none()) {
        section.reading.wrong(section.at, format!("a destination of kind \"{kind}\" lacks {key}"));
        fits = false;
    }
    let all = KEYS.iter().flat_map(|(_, must, may)| must.iter().chain(*may));
    let others: HashSet<&str> =
        all.copied().filter(|key| !must.contains(key) && !may.contains(key)).collect();
    let mut found: Vec<(usize, &str)> =
        others.into_iter().filter_map(|key| Some((section.given(key)?, key))).collect();
    found.sort_unstable();
    for (at, key) in found {
        section.reading.wrong(at, format!("{key} is not for a destination of kind \"{kind}\""));
        fits = false;
    }
    fits
}

fn id(section: &Section<'_>) -> Option<String> {
    let id = section.text("id")?;
    let text = id.value.trim_end_matches('/');
    let is_id = text.starts_with('/') && text.contains("/providers/") && !text.contains(char::is_whitespace);
    if !is_id || text.len() > MAX_RESOURCE_ID {
        let rule = "write a resource id as a setting would name it, such as \
                    \"/subscriptions/{guid}/resourceGroups/{name}/providers/Microsoft.Storage/storageAccounts/{name}\"";
        section.reading.wrong(id.at, format!("id is no resource id: {rule}"));
        return None;
    }
    Some(text.to_lowercase())
}

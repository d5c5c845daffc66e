//! Where in storage a batch lies: containers and blob names of Azure's export, which analysts' tools know. Owns the
//! names; must not know what kind of storage it is.

use dps_model::Timestamp;
use dps_monitor::destinations::{Batch, DeliveryError, Records};

use crate::limits::MAX_RESOURCE_ID;

/// Name of the container: `insights-logs-deviceoperations`, `insights-metrics-pt1m`. The category decides; a batch
/// without records has none.
pub fn container(records: &Records) -> Option<String> {
    match records {
        Records::Logs(logs) => {
            logs.first().map(|log| format!("insights-logs-{}", log.category.name().to_lowercase()))
        }
        Records::Metrics(minutes) => (!minutes.is_empty()).then(|| "insights-metrics-pt1m".to_owned()),
    }
}

/// Folder of the hour in which the batch was received:
/// `resourceId=/SUBSCRIPTIONS/…/y=2026/m=11/d=29/h=09/m=00`. The hour's blob in it is `PT1H.json`.
pub fn folder(batch: &Batch) -> Result<String, DeliveryError> {
    let id = batch.resource_id.trim_matches('/');
    if id.is_empty() {
        return Err(DeliveryError::Refused("the provisioning service of these records is gone".to_owned()));
    }
    if id.len() > MAX_RESOURCE_ID {
        let why =
            format!("the resource id has {} bytes; paths are made of at most {MAX_RESOURCE_ID}", id.len());
        return Err(DeliveryError::Refused(why));
    }
    let segments: Vec<String> = id.split('/').map(segment).collect();
    Ok(format!("resourceId=/{}/{}", segments.join("/"), hour(batch.received)))
}

/// The name of the hour's blob; when the first is full, `PT1H_1.json` and so on (D-660).
pub fn blob(number: u32) -> String {
    match number {
        0 => "PT1H.json".to_owned(),
        number => format!("PT1H_{number}.json"),
    }
}

fn hour(at: Timestamp) -> String {
    let at = at.0.to_zoned(jiff::tz::TimeZone::UTC);
    format!("y={:04}/m={:02}/d={:02}/h={:02}/m=00", at.year(), at.month(), at.day(), at.hour())
}

/// A segment that is a file name everywhere and leads nowhere else: what is more than letters, digits and `-_.()` is
/// written as `%XX`.
fn segment(text: &str) -> String {
    let dots = text.bytes().all(|byte| byte == b'.');
    text.bytes()
        .map(|byte| match byte {
            b'.' if dots => "%2E".to_owned(),
            b'-' | b'_' | b'.' | b'(' | b')' => char::from(byte).to_string(),
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use dps_monitor::destinations::Records;

    use super::{blob, container, folder};
    use crate::fixtures::{log, logs, metrics};
    use crate::limits::MAX_RESOURCE_ID;

    #[test]
    fn names_are_azures() {
        let batch = logs(&[log("a")]);
        assert_eq!(container(&batch.records).as_deref(), Some("insights-logs-deviceoperations"));
        assert_eq!(container(&metrics().records).as_deref(), Some("insights-metrics-pt1m"));
        assert_eq!(container(&Records::Logs(Vec::new())), None);
        assert_eq!(
            folder(&batch).unwrap(),
            "resourceId=/SUBSCRIPTIONS/S/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.DEVICES/PROVISIONINGSERVICES/P/\
             y=2026/m=11/d=29/h=09/m=00"
        );
        assert_eq!([blob(0), blob(1), blob(12)], ["PT1H.json", "PT1H_1.json", "PT1H_12.json"]);
    }

    #[test]
    fn resource_id_leads_nowhere_else() {
        let mut batch = logs(&[log("a")]);
        for (id, inside) in [
            ("/../../etc", "resourceId=/%2E%2E/%2E%2E/etc/"),
            ("/a/./b", "resourceId=/a/%2E/b/"),
            ("/a//b", "resourceId=/a//b/"),
            ("/a\\b\0c/ü (x)", "resourceId=/a%5Cb%00c/%C3%BC%20(x)/"),
        ] {
            batch.resource_id = id.into();
            let folder = folder(&batch).unwrap();
            assert!(folder.starts_with(inside), "{folder}");
        }
        for id in ["", "///", &"x".repeat(MAX_RESOURCE_ID + 1)] {
            batch.resource_id = id.into();
            assert!(folder(&batch).is_err(), "{id}");
        }
    }
}

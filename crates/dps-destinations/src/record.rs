//! Records as text: the raw JSON that storage and event streams get (Azure Monitor: "resource logs schema", and the shape
//! of exported platform metrics). Owns the shapes; must not know where they go.

use dps_model::Timestamp;
use dps_monitor::destinations::{Batch, DeliveryError, MetricMinute, Records};
use serde::Serialize;

use crate::limits::MAX_RECORD;

/// A metric's minute as Azure exports it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExportedMetric<'a> {
    count: u64,
    total: f64,
    minimum: f64,
    maximum: f64,
    average: f64,
    resource_id: &'a str,
    time: Timestamp,
    metric_name: &'a str,
    time_grain: &'static str,
}

/// The records of a batch, a JSON object each, in their order.
pub fn encode(batch: &Batch) -> Result<Vec<String>, DeliveryError> {
    let texts: Result<Vec<String>, serde_json::Error> = match &batch.records {
        Records::Logs(logs) => logs.iter().map(serde_json::to_string).collect(),
        Records::Metrics(minutes) => minutes
            .iter()
            .map(|minute| serde_json::to_string(&exported(&batch.resource_id, minute)))
            .collect(),
    };
    let texts = texts.map_err(|error| DeliveryError::Refused(format!("a record is no JSON: {error}")))?;
    match texts.iter().find(|text| text.len() > MAX_RECORD) {
        Some(text) => Err(DeliveryError::Refused(format!(
            "a record has {} bytes; no destination takes more than {MAX_RECORD}",
            text.len()
        ))),
        None => Ok(texts),
    }
}

/// The records one a line, in pieces of at most so many bytes.
pub fn lines(texts: &[String], most: usize) -> Vec<Vec<u8>> {
    pieces(texts, most, 1)
        .map(|piece| piece.iter().flat_map(|text| [text.as_bytes(), b"\n"].concat()).collect())
        .collect()
}

/// The records in envelopes `{"records":[…]}` of at most so many bytes.
pub fn envelopes(texts: &[String], most: usize) -> Vec<Vec<u8>> {
    const OPEN: &str = "{\"records\":[";
    const CLOSE: &str = "]}";
    pieces(texts, most.saturating_sub(OPEN.len() + CLOSE.len()), 1)
        .map(|piece| format!("{OPEN}{}{CLOSE}", piece.join(",")).into_bytes())
        .collect()
}

/// Runs of texts that come to no more than that size together, each with so many bytes for what separates it.
fn pieces(texts: &[String], most: usize, each: usize) -> impl Iterator<Item = &[String]> {
    let mut rest = texts;
    std::iter::from_fn(move || {
        let mut size = 0_usize;
        let fitting = rest.iter().take_while(|text| {
            size = size.saturating_add(text.len() + each);
            size <= most
        });
        // One that is too large goes alone: who receives it says so.
        let count = fitting.count().max(1).min(rest.len());
        let (piece, left) = rest.split_at(count);
        rest = left;
        (!piece.is_empty()).then_some(piece)
    })
}

fn exported<'a>(resource_id: &'a str, minute: &'a MetricMinute) -> ExportedMetric<'a> {
    #[allow(clippy::cast_precision_loss)] // points of a minute are far below 2^53
    let average = minute.total / minute.count.max(1) as f64;
    ExportedMetric {
        count: minute.count,
        total: minute.total,
        minimum: minute.minimum,
        maximum: minute.maximum,
        average,
        resource_id,
        time: minute.time,
        metric_name: minute.name,
        time_grain: "PT1M",
    }
}

#[cfg(test)]
mod tests {
    use dps_monitor::destinations::DeliveryError;

    use super::{encode, envelopes, lines};
    use crate::fixtures::{log, logs, metrics};
    use crate::limits::MAX_RECORD;

    #[test]
    fn log_is_written_in_the_raw_shape_of_azure() {
        let texts = encode(&logs(&[log("my-device-1")])).unwrap();
        assert_eq!(
            texts,
            [concat!(
                r#"{"time":"2026-11-29T08:59:58.5000000Z","#,
                r#""resourceId":"/SUBSCRIPTIONS/S/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.DEVICES/PROVISIONINGSERVICES/P","#,
                r#""operationName":"AttestationAttempt","operationVersion":"March2019","#,
                r#""category":"DeviceOperations","level":"Information","resultType":"Success","#,
                r#""resultSignature":"","resultDescription":"","durationMs":"226","#,
                r#""callerIpAddress":"24.18.226.XXX","correlationId":"00000000-0000-0000-0000-000000000000","#,
                r#""location":"local","properties":"{\"id\":\"my-device-1\"}"}"#
            )]
        );
    }

    #[test]
    fn metric_is_written_with_its_average() {
        let text = encode(&metrics()).unwrap().concat();
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&read["total"], &read["count"], &read["average"]),
            (&12.0.into(), &6.into(), &2.0.into())
        );
        assert_eq!(
            (&read["metricName"], &read["timeGrain"]),
            (&"RegistrationAttempts".into(), &"PT1M".into())
        );
        assert_eq!(read["time"], "2026-11-29T08:59:00.0000000Z");
    }

    #[test]
    fn record_larger_than_any_destination_takes_is_refused_with_its_size() {
        let refused = encode(&logs(&[log("a"), log(&"x".repeat(MAX_RECORD))])).unwrap_err();
        let DeliveryError::Refused(why) = refused else { panic!("{refused}") };
        assert!(why.contains(&MAX_RECORD.to_string()), "{why}");
    }

    #[test]
    fn pieces_hold_all_texts_in_order_and_no_more_than_fits() {
        let texts: Vec<String> = ["aa", "bb", "cc", "dddddddddddddddddddddd", "e"].map(str::to_owned).into();
        let text = |pieces: Vec<Vec<u8>>| -> Vec<String> {
            pieces.into_iter().map(|piece| String::from_utf8(piece).unwrap()).collect()
        };
        assert_eq!(text(lines(&texts, 6)), ["aa\nbb\n", "cc\n", "dddddddddddddddddddddd\n", "e\n"]);
        assert_eq!(text(lines(&texts, 1_000)).len(), 1);
        assert_eq!(
            text(envelopes(&texts, 20)),
            [
                "{\"records\":[aa,bb]}",
                "{\"records\":[cc]}",
                "{\"records\":[dddddddddddddddddddddd]}",
                "{\"records\":[e]}"
            ]
        );
        assert!(text(envelopes(&texts[..2], 20)).iter().all(|envelope| envelope.len() <= 20));
        assert!(lines(&[], 10).is_empty());
    }
}

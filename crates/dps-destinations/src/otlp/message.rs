//! Batches as OTLP messages. Owns names of attributes (those that the OpenTelemetry collector gives to Azure's resource
//! logs) and kinds of metrics; must not know where they go.

use dps_model::Timestamp;
use dps_monitor::ResourceLog;
use dps_monitor::destinations::{Batch, MetricMinute, Records};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;

/// A batch as the body of a request.
pub enum Export {
    /// For `/v1/logs`.
    Logs(Vec<u8>),
    /// For `/v1/metrics`.
    Metrics(Vec<u8>),
}

/// The batch's message; none of a batch without records.
pub fn export(batch: &Batch) -> Option<Export> {
    match &batch.records {
        Records::Logs(logs) if logs.is_empty() => None,
        Records::Metrics(minutes) if minutes.is_empty() => None,
        Records::Logs(logs) => {
            let log_records = logs.iter().map(|log| record(log, batch.received)).collect();
            let scope_logs = vec![ScopeLogs { scope: Some(scope()), log_records, ..ScopeLogs::default() }];
            let resource = Some(resource(&batch.resource_id));
            let resource_logs = vec![ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }];
            Some(Export::Logs(ExportLogsServiceRequest { resource_logs }.encode_to_vec()))
        }
        Records::Metrics(minutes) => {
            let metrics = minutes.iter().map(metric).collect();
            let scope_metrics =
                vec![ScopeMetrics { scope: Some(scope()), metrics, ..ScopeMetrics::default() }];
            let resource = Some(resource(&batch.resource_id));
            let resource_metrics =
                vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
            Some(Export::Metrics(ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()))
        }
    }
}

fn resource(id: &str) -> Resource {
    let attributes = vec![
        attribute("service.name", text("muster")),
        attribute("cloud.resource_id", text(&id.to_lowercase())),
    ];
    Resource { attributes, ..Resource::default() }
}

fn scope() -> InstrumentationScope {
    let (name, version) = ("muster".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    InstrumentationScope { name, version, ..InstrumentationScope::default() }
}

fn record(log: &ResourceLog, received: Timestamp) -> LogRecord {
    let severity = match log.level {
        "Error" => SeverityNumber::Error,
        "Warning" => SeverityNumber::Warn,
        _ => SeverityNumber::Info,
    };
    let body = match log.result_description.as_str() {
        "" => format!("{}: {}", log.operation_name, log.result_type),
        why => format!("{}: {why}", log.operation_name),
    };
    let correlation = log.correlation_id.to_string();
    let known = [
        ("azure.category", log.category.name()),
        ("azure.operation.name", log.operation_name),
        ("azure.operation.version", log.operation_version),
        ("azure.result.type", log.result_type),
        ("azure.result.signature", &log.result_signature),
        ("azure.result.description", &log.result_description),
        ("azure.correlation.id", &correlation),
        ("network.peer.address", &log.caller_ip_address),
        ("cloud.region", &log.location),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(name, value)| attribute(name, text(value)));
    let duration = i64::try_from(log.duration_ms).unwrap_or(i64::MAX);
    let properties = serde_json::from_str(&log.properties).map_or_else(|_| text(&log.properties), any);
    let more =
        [attribute("azure.duration", Value::IntValue(duration)), attribute("azure.properties", properties)];
    LogRecord {
        time_unix_nano: nanoseconds(log.time),
        observed_time_unix_nano: nanoseconds(received),
        severity_number: severity.into(),
        severity_text: log.level.to_owned(),
        body: Some(AnyValue { value: Some(Value::StringValue(body)) }),
        attributes: known.chain(more).collect(),
        ..LogRecord::default()
    }
}

/// Counts are sums of the minute; of measures the least, the greatest and the sum are known, which a histogram without
/// buckets holds.
fn metric(minute: &MetricMinute) -> Metric {
    let start = nanoseconds(minute.time);
    let end = nanoseconds(minute.time.plus_millis(60_000));
    let temporality = AggregationTemporality::Delta.into();
    let (unit, data) = if minute.unit == "Count" {
        let point = NumberDataPoint {
            start_time_unix_nano: start,
            time_unix_nano: end,
            value: Some(Number::AsDouble(minute.total)),
            ..NumberDataPoint::default()
        };
        let sum = Sum { data_points: vec![point], aggregation_temporality: temporality, is_monotonic: true };
        ("1", Data::Sum(sum))
    } else {
        let point = HistogramDataPoint {
            start_time_unix_nano: start,
            time_unix_nano: end,
            count: minute.count,
            sum: Some(minute.total),
            min: Some(minute.minimum),
            max: Some(minute.maximum),
            ..HistogramDataPoint::default()
        };
        let unit = match minute.unit {
            "MilliSeconds" => "ms",
            other => other,
        };
        (unit, Data::Histogram(Histogram { data_points: vec![point], aggregation_temporality: temporality }))
    };
    Metric { name: minute.name.to_owned(), unit: unit.to_owned(), data: Some(data), ..Metric::default() }
}

fn attribute(name: &str, value: Value) -> KeyValue {
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn text(text: &str) -> Value {
    Value::StringValue(text.to_owned())
}

/// JSON as OTLP has it; its depth is bounded by what was read.
fn any(json: serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => text(""),
        Json::Bool(bool) => Value::BoolValue(bool),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Value::IntValue(integer),
            (None, float) => Value::DoubleValue(float.unwrap_or_default()),
        },
        Json::String(string) => Value::StringValue(string),
        Json::Array(all) => {
            let values = all.into_iter().map(|one| AnyValue { value: Some(any(one)) }).collect();
            Value::ArrayValue(ArrayValue { values })
        }
        Json::Object(members) => {
            let values = members.into_iter().map(|(name, value)| attribute(&name, any(value))).collect();
            Value::KvlistValue(KeyValueList { values })
        }
    }
}

fn nanoseconds(at: Timestamp) -> u64 {
    u64::try_from(at.0.as_nanosecond()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use dps_monitor::destinations::{Batch, Records};
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    use prost::Message as _;

    use super::{Export, Value, any, export};
    use crate::fixtures::{logs, metrics};

    fn data(batch: &Batch) -> Data {
        let Some(Export::Metrics(bytes)) = export(batch) else { panic!("no metrics") };
        let read = ExportMetricsServiceRequest::decode(&*bytes).unwrap();
        read.resource_metrics[0].scope_metrics[0].metrics[0].data.clone().unwrap()
    }

    #[test]
    fn measure_is_a_histogram_and_a_count_a_sum() {
        let mut batch = metrics();
        assert!(
            matches!(data(&batch), Data::Sum(sum) if sum.is_monotonic && sum.aggregation_temporality == 1)
        );
        if let Records::Metrics(minutes) = &mut batch.records {
            minutes[0].unit = "MilliSeconds";
        }
        let Data::Histogram(histogram) = data(&batch) else { panic!("no histogram") };
        let point = &histogram.data_points[0];
        assert_eq!((point.count, point.sum, point.min, point.max), (6, Some(12.0), Some(1.0), Some(4.0)));
        assert_eq!(point.time_unix_nano - point.start_time_unix_nano, 60_000_000_000);
    }

    #[test]
    fn batch_without_records_is_no_message() {
        assert!(export(&logs(&[])).is_none());
    }

    #[test]
    fn json_keeps_its_kinds() {
        let json = serde_json::json!({"a": [1, 1.5, true, null, "x"], "b": u64::MAX});
        let Value::KvlistValue(list) = any(json) else { panic!("no list") };
        let Some(Value::ArrayValue(array)) = list.values[0].value.clone().unwrap().value else {
            panic!("no array")
        };
        let values: Vec<Value> = array.values.into_iter().filter_map(|value| value.value).collect();
        assert_eq!(
            values,
            [
                Value::IntValue(1),
                Value::DoubleValue(1.5),
                Value::BoolValue(true),
                Value::StringValue(String::new()),
                Value::StringValue("x".into())
            ]
        );
    }
}
